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
