//! A real server driven with a scenario's own stream, end to end.
//!
//! Needs a redis-server: the one that `CAPSIM_SERVER` names, or the first on the path.  Without one the tests are left
//! out, and say so; with `CAPSIM_LIVE=required`, as `./test` sets it, they fail.

use assert_cmd::Command;
use capsim::validate::{self, Figure, measurement};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

/// A prediction may be wrong by so many tolerances.
const TOLERANCES: f64 = 1.5;

fn server() -> Option<PathBuf> {
    let named = std::env::var_os("CAPSIM_SERVER").map(PathBuf::from);
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|binary| binary.is_file())
    };
    let found = named.or_else(on_path);
    if found.is_none() {
        let required = std::env::var_os("CAPSIM_LIVE").is_some_and(|value| value == "required");
        assert!(!required, "no redis-server on the path: install it, or name one with CAPSIM_SERVER");
        eprintln!("LEFT OUT: no redis-server on the path, nothing is driven");
    }
    found
}

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/live").join(format!("{name}.toml"))
}

/// Whether a process is there, and not just waits to be reaped.
fn runs(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Drives a scenario; returns its figures.
fn drive(server: &Path, name: &str, folder: &Path) -> Vec<Figure> {
    let saved = folder.join("live.jsonl");
    let output = Command::cargo_bin("capsim")
        .expect("the binary")
        .args(["validate", "--server"])
        .args([server, &scenario(name), Path::new("--save"), &saved, Path::new("--out"), folder])
        .output()
        .expect("it ran");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 99)), "{name}: {told}");
    assert!(told.contains("profile redis-") || told.contains("profile valkey-"), "{name} says what it took: {told}");
    let pid = told.split("process ").nth(1).and_then(|rest| rest.split(':').next()).expect("its process id");
    assert!(!runs(pid), "{name}: the server is gone");
    let is_picture = |entry: fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "png");
    let mut files = fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
    assert!(files.any(is_picture), "{name} is drawn");

    let text = fs::read_to_string(&saved).expect("the measurement");
    let measured = measurement::parse("live.jsonl", &text).expect("a measurement");
    let results = validate::validate(&measured);
    assert_eq!(validate::text(&results), printed, "{name}: what is read again is predicted again");
    results[0].figures().to_vec()
}

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
#[ignore = "needs a machine that does nothing else: cargo test --test live -- --ignored"]
fn predictions_hold_on_a_server_that_is_driven_with_the_same_stream() {
    let Some(server) = server() else { return };
    let cases = [
        ("cache-eviction", &["miss ratio", "evicted_keys", "end.keys", "end.used_memory", "used_memory_peak"][..]),
        (
            "ttl-mix",
            &["keys, mean absolute error", "keys, mean of", "expired_keys", "expired_stale_perc", "used_memory, mean"],
        ),
        ("bgsave-writes", &["rdb_last_cow_size", "end.used_memory_rss", "end.used_memory"]),
    ];
    thread::scope(|scope| {
        for (name, expected) in cases {
            let server = &server;
            scope.spawn(move || {
                let folder = tempfile::tempdir().expect("a folder");
                let figures = drive(server, name, folder.path());
                for wanted in expected {
                    assert!(figures.iter().any(|figure| figure.name.starts_with(wanted)), "{name} has {wanted}");
                }
                for figure in figures {
                    assert!(
                        figure.by_tolerance() <= TOLERANCES,
                        "{name}: {} is {:.2} tolerances off: measured {}, predicted {}",
                        figure.name,
                        figure.by_tolerance(),
                        figure.measured,
                        figure.predicted
                    );
                }
            });
        }
    });
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
