//! A real server driven with a scenario's own stream, end to end; how well predictions hold: `live_accuracy.rs`.

mod driving;

use assert_cmd::Command;
use driving::{drive, runs, scenario, server};
use std::fs;
use std::path::Path;
use std::thread;

#[test]
fn a_server_is_driven_with_a_scenarios_stream_and_its_record_read_again() {
    let Some(server) = server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let figures = drive(&server, "cache-eviction", folder.path());
    for wanted in ["miss ratio", "evicted_keys", "end.keys", "end.used_memory", "used_memory_peak"] {
        assert!(figures.iter().any(|figure| figure.name.starts_with(wanted)), "{wanted} is judged");
    }
}

#[test]
fn what_cannot_be_driven_is_refused_before_a_server_is_started() {
    let refused = |arguments: &[&str], reason: &str| {
        let output = Command::cargo_bin("capsim")
            .expect("the binary")
            .args(["validate", "--server", "/no/such/server"])
            .args(arguments)
            .output()
            .expect("it ran");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(reason), "{reason}: {told}");
        assert_eq!(output.status.code(), Some(2), "{told}");
    };
    let cache = scenario("cache-eviction").display().to_string();
    let long = ["--set", "duration=2h", "--set", "sample-interval=60s"];
    refused(&[&[cache.as_str()][..], &long].concat(), "--force");
    refused(&[&cache, "--set", "traffic.0.rate=90000"], "requests a second are too many");
    let stream = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/leaderboard.toml").display().to_string();
    refused(&[&stream], "only strings and integers are driven");
    let replica = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/replica-slow-loop.toml").display().to_string();
    refused(&[&replica], "replicas are not started");
    refused(&[&cache, &cache], "expected one scenario");
    let output = Command::cargo_bin("capsim")
        .expect("the binary")
        .args(["validate", "--server", "/no/such/server", &cache])
        .output()
        .expect("it ran");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot start /no/such/server"));
}

/// Ctrl-C while a server is driven: it is stopped, and its folder goes.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_run_leaves_no_server_behind() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let Some(server) = server() else { return };
    let temporary = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("capsim"))
        .args(["validate", "--server"])
        .args([&server, &scenario("bgsave-writes")])
        .env("TMPDIR", temporary.path())
        .current_dir(temporary.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("its errors")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("process ")).expect("its process id");
    let pid = line.split("process ").nth(1).and_then(|rest| rest.split(':').next()).expect("a number");
    assert!(runs(pid), "the server runs");
    thread::sleep(std::time::Duration::from_secs(3));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(!runs(pid), "the server is gone");
    let left: Vec<_> = fs::read_dir(temporary.path()).expect("a folder").filter_map(Result::ok).collect();
    assert!(left.is_empty(), "nothing is left: {left:?}");
}
