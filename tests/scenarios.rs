//! Every scenario parses, names its sources, is listed, and runs (scaled down) to the figures of its golden file.
//!
//! `UPDATE_GOLDEN=1` writes the golden files anew.

use capsim::analysis::analyse;
use capsim::scenario::{self, Scenario};
use capsim::sim;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn files() -> Vec<PathBuf> {
    let folders = [folder(), folder().join("published")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder of scenarios"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    assert!(files.len() >= 8, "the folder holds all scenarios");
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn parse(path: &Path, overrides: &[(String, String)]) -> Scenario {
    let text = fs::read_to_string(path).expect("a scenario");
    let input = scenario::Input { name: &stem(path), text: &text, overrides, base: &folder() };
    scenario::parse(&input, &|file| fs::read_to_string(file)).unwrap_or_else(|error| panic!("{error}"))
}

/// The overrides of the file's `# test:` line.
fn scaled_down(text: &str) -> Vec<(String, String)> {
    let line = text.lines().find_map(|line| line.strip_prefix("# test:")).unwrap_or_default();
    let given = line.split("--set").map(str::trim).filter(|given| !given.is_empty());
    given.map(|given| given.split_once('=').expect("KEY=VALUE")).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The figures of a run, whole numbers only.
fn figures(scenario: Scenario) -> String {
    let runs = sim::run_all(&scenario, &sim::Unwatched).expect("not interrupted");
    let findings = analyse(scenario, runs, "");
    let run = findings.shown();
    let (end, counters) = (&run.end, &run.end.counters);
    let mut text = String::new();
    for (name, value) in [
        ("peak.used_memory", run.peak.used_memory),
        ("peak.at_us", run.peak.at.0),
        ("end.used_memory", end.used_memory),
        ("end.used_memory_overhead", end.used_memory_overhead),
        ("end.keys", end.keys),
        ("end.expires", end.expires),
        ("evicted_keys", counters.evicted_keys),
        ("expired_keys", counters.expired_keys),
        ("keyspace_hits", counters.keyspace_hits),
        ("keyspace_misses", counters.keyspace_misses),
        ("oom_errors", counters.oom_errors),
        ("total_commands_processed", counters.total_commands_processed),
        ("recommended_maxmemory", findings.recommendation.maxmemory),
    ] {
        let _ = writeln!(text, "{name} {value}");
    }
    let _ = writeln!(text, "verdict {}", findings.verdict.status.name());
    text
}

#[test]
fn every_scenario_parses_names_its_sources_and_is_listed() {
    for path in files() {
        let list = fs::read_to_string(path.with_file_name("README.md")).expect("the list of its folder");
        let text = fs::read_to_string(&path).expect("a scenario");
        assert!(text.contains("# Source"), "{} names its source", path.display());
        assert!(list.contains(&format!("`{}`", stem(&path))), "{} is listed", path.display());
        parse(&path, &[]);
    }
}

#[test]
fn every_scenario_runs_to_its_golden_figures() {
    for path in files() {
        let text = fs::read_to_string(&path).expect("a scenario");
        let found = figures(parse(&path, &scaled_down(&text)));
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{}.txt", stem(&path)));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).expect("written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{} differs from its golden file", stem(&path));
    }
}

#[test]
fn the_reference_names_every_key_that_the_parser_knows() {
    let text = fs::read_to_string(folder().join("reference.toml")).expect("the reference");
    for known in scenario::known_keys() {
        let name = known.rsplit_once(['.', ':']).map_or(known.as_str(), |(_, name)| name);
        assert!(text.contains(name), "scenarios/reference.toml shows {known}");
    }
}
