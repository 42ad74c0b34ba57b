//! A real server driven with a scenario's own stream, for the tests of it.
//!
//! Needs a redis-server: the one that `CAPSIM_SERVER` names, or the first on the path.  Without one the tests are left
//! out, and say so; with `CAPSIM_LIVE=required`, as `./test` sets it, they fail.

use assert_cmd::Command;
use capsim::validate::{self, Figure, measurement};
use std::fs;
use std::path::{Path, PathBuf};

/// The server to drive; `None` where there is none and none is required.
pub(crate) fn server() -> Option<PathBuf> {
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

/// A scenario to drive it with.
pub(crate) fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/live").join(format!("{name}.toml"))
}

/// Whether a process is there, and not just waits to be reaped.
pub(crate) fn runs(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Drives a scenario; returns its figures.
pub(crate) fn drive(server: &Path, name: &str, folder: &Path) -> Vec<Figure> {
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
