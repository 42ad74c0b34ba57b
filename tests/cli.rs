//! The binary: exit statuses, messages, the result folder.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

const SMALL: &str = "duration = \"2s\"\n[server.config]\nsave = \"\"\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\n\
                     keys = 100\nkey-length = 10\nvalue-size = 20\n[[traffic]]\nkeyspace = \"k\"\nrate = 100\n\
                     commands = { GET = 1 }\non-miss = \"SET\"\n";

fn capsim() -> Command {
    Command::cargo_bin("capsim").expect("the binary")
}

fn run_in(folder: &Path, text: &str, more: &[&str]) -> std::process::Output {
    let scenario = folder.join("s.toml");
    fs::write(&scenario, text).expect("written");
    let out = folder.join("out");
    let mut command = capsim();
    command.arg("run").arg(&scenario).arg("--out").arg(&out).args(more);
    command.output().expect("it ran")
}

#[test]
fn a_run_writes_its_folder_and_prints_a_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run_in(folder.path(), SMALL, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Recommended maxmemory") && text.contains("At the peak"), "{text}");
    for file in ["summary.json", "timeline.csv", "report.md", "memory.svg", "memory.png", "keys.svg", "hit_ratio.png"] {
        assert!(folder.path().join("out").join(file).exists(), "{file}");
    }
    let png = fs::read(folder.path().join("out/memory.png")).expect("a picture");
    assert_eq!(png[16..24], [0, 0, 5, 120, 0, 0, 3, 32], "1400 by 800 pixels");
    let json = run_in(folder.path(), SMALL, &["--format", "json"]);
    let summary: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(summary["schema"], 1);
    let keys: Vec<&String> = summary.as_object().expect("an object").keys().collect();
    let contract = [
        "schema",
        "capsim",
        "scenario",
        "verdict",
        "peak",
        "end",
        "steady_state",
        "events",
        "keyspaces",
        "recommendation",
        "thresholds",
        "cost",
    ];
    assert_eq!(keys, contract);
}

#[test]
fn wrong_usage_and_wrong_scenarios_exit_with_two() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(capsim().arg("fly").output().expect("ran").status.code(), Some(2));
    assert_eq!(capsim().arg("--help").output().expect("ran").status.code(), Some(0));
    let missing = capsim().args(["run", "no-such-file.toml"]).output().expect("ran");
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.toml"));
    let wrong = run_in(folder.path(), &SMALL.replace("keys = 100", "keyz = 100"), &[]);
    let message = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(message.contains("s.toml:7:1") && message.contains("did you mean \"keys\""), "{message}");
    assert!(!folder.path().join("out").exists(), "nothing is written");
    let set = run_in(folder.path(), SMALL, &["--set", "keyspace.k.keys=many"]);
    assert!(String::from_utf8_lossy(&set.stderr).contains("--set keyspace.k.keys"));
}

#[test]
fn a_breached_threshold_exits_with_ninety_nine() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{SMALL}[thresholds]\nkeys = [\"max<10\"]\n");
    let output = run_in(folder.path(), &text, &["--quiet"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(99), 0));
    let held = run_in(folder.path(), &text, &["--set", "thresholds.keys=max<1000"]);
    assert_eq!(held.status.code(), Some(0));
    let warned = run_in(folder.path(), SMALL, &["--fail-on", "warn", "--set", "server.config.maxmemory=1mb"]);
    assert_eq!(warned.status.code(), Some(99), "headroom is below policy");
}

/// Every file below a folder, temporary ones included.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_no_scenario_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = folder.path().join("binary");
    fs::write(&binary, [0x7f, b'E', b'L', b'F', 0xff, 0xfe]).expect("written");
    let large = folder.path().join("large.toml");
    fs::write(&large, "x".repeat(5 << 20)).expect("written");
    let all = [folder.path(), &binary, &large, Path::new("/dev/null"), Path::new("/dev/zero")];
    for (path, word) in all.iter().zip(["directory", "UTF-8", "too large", "duration", "too large"]) {
        let output = capsim().arg("run").arg(path).output().expect("ran");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(word) && !message.contains("panicked"), "{message}");
    }
}

#[test]
fn standard_input_is_a_scenario() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |text: &str| {
        let mut command = capsim();
        command.current_dir(folder.path()).args(["run", "-", "--format", "json", "--no-color"]).write_stdin(text);
        command.output().expect("ran")
    };
    let good = run(SMALL);
    assert_eq!(good.status.code(), Some(0));
    serde_json::from_slice::<serde_json::Value>(&good.stdout).expect("JSON alone on standard output");
    assert!(folder.path().join("output/stdin/summary.json").exists());
    let wrong = run("duration = 5 parsecs");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("stdin:1:12"), "{wrong:?}");
}

#[test]
fn options_out_of_range_are_wrong_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    for options in [
        ["--seed", "18446744073709551615"],
        ["--seed", "x"],
        ["--runs", "0"],
        ["--runs", "99999999999"],
        ["--scale", "0.5"],
        ["--scale", "nan"],
        ["--threads", "0"],
        ["--threads", "100000"],
        ["--set", "keyspace.k.keys"],
        ["--set", "=5"],
        ["--out", ""],
        ["--format", "xml"],
    ] {
        let output = run_in(folder.path(), SMALL, &options);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {output:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{options:?}");
    }
    assert_eq!(run_in(folder.path(), SMALL, &["--scale", "1", "--runs", "2", "--seed", "7"]).status.code(), Some(0));
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_the_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scenario, file) = (folder.path().join("s.toml"), folder.path().join("file"));
    fs::write(&scenario, SMALL.replace("2s", "36500d")).expect("written");
    fs::write(&file, "mine").expect("written");
    for out in [file.clone(), file.join("below"), "/proc/capsim".into()] {
        let output = capsim().arg("run").arg(&scenario).arg("--out").arg(&out).output().expect("ran");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(&out.display().to_string()), "{message}");
    }
    assert_eq!(fs::read_to_string(&file).expect("still there"), "mine");
    assert_eq!(files(folder.path()), ["file", "s.toml"]);
}

#[test]
fn validate_says_when_there_is_nothing_to_validate() {
    let folder = tempfile::tempdir().expect("a folder");
    let (empty, one) = (folder.path().join("empty.jsonl"), folder.path().join("one.jsonl"));
    fs::write(&empty, "\n").expect("written");
    fs::write(&one, r#"{"server": "redis-7.0.15", "case": {"name": "a", "kind": "static"}}"#).expect("written");
    let one = one.display().to_string();
    for (arguments, told) in [
        (vec![empty.display().to_string()], "no measurements"),
        (vec![one.clone(), "--only".to_owned(), "zzz".to_owned()], "--only zzz: no case"),
    ] {
        let output = capsim().arg("validate").args(arguments).output().expect("ran");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(told), "{message}");
    }
    // Where a measurement goes is looked at before a server is started.
    let file = folder.path().join("empty.jsonl").join("below");
    let output = capsim().args(["validate", "--server", "/no/such/server", "s.toml", "--save"]).arg(&file).output();
    let output = output.expect("ran");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("empty.jsonl"));
}

#[cfg(unix)]
#[test]
fn nobody_need_listen() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s.toml"), SMALL).expect("written");
    let shell = |line: &str| {
        let line = line.replace("capsim", env!("CARGO_BIN_EXE_capsim"));
        let mut command = std::process::Command::new("bash");
        command.current_dir(folder.path()).args(["-c", &line]);
        command.output().expect("ran")
    };
    for line in
        ["capsim run s.toml | true; exit ${PIPESTATUS[0]}", "capsim --help | true", "capsim run s.toml >&- 2>&-"]
    {
        let output = shell(line);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{line}: {output:?}");
    }
    assert_eq!(shell("capsim run s.toml > /dev/full").status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_any_work_at_once() {
    use std::process::{Command, Stdio};
    use std::time::Duration;
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("s.toml");
    fs::write(&scenario, SMALL).expect("written");
    let load = "keyspace.k.preload={ share = 1, by = \"commands\", load-rate = 4 }";
    for more in [
        ["--set", "duration=36500d", "--set", "sample-interval=30d"],
        ["--set", "traffic.0.rate=1e9", "--set", "server.config.hz=1"],
        ["--set", "keyspace.k.keys=10_000_000", "--set", load],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capsim"));
        command.arg("run").arg(&scenario).args(more).arg("--out").arg(folder.path().join("out"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        std::thread::sleep(Duration::from_millis(600));
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
        assert!(kill.success(), "{more:?}: it was still at work");
        let output = child.wait_with_output().expect("ended");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{more:?}: {message}");
        assert_eq!(message, "capsim: interrupted; nothing was written\n");
        assert_eq!(files(folder.path()), ["s.toml"]);
    }
}

#[test]
fn errors_have_no_colour_without_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = run_in(folder.path(), "duration = \"15 parsecs\"", &[]);
    assert!(!wrong.stderr.contains(&0x1b) && !wrong.stderr.is_empty());
}
