//! PFADD in a run: HyperLogLogs grow as their registers fill, turn dense, and stay so.

use capsim::node::ledger::MemoryPart;
use capsim::record::Run;
use capsim::{scenario, sim};
use std::path::Path;

const VISITORS: &str = r#"
duration = "100s"
sample-interval = "1s"
[server]
profile = "redis-7.0"
allocator = "system"
[server.config]
save = ""
[[keyspace]]
name = "visitors"
type = "hyperloglog"
keys = 200
key-length = 16
[[traffic]]
keyspace = "visitors"
rate = 2_000
popularity = "sequential"
commands = { PFADD = 1 }
until = "60s"
"#;

fn run(overrides: &[(&str, &str)]) -> Run {
    let overrides: Vec<(String, String)> =
        overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let input = scenario::Input { name: "s", text: VISITORS, overrides: &overrides, base: Path::new(".") };
    let scenario = scenario::parse(&input, &|_| unreachable!("no include")).unwrap_or_else(|error| panic!("{error}"));
    sim::run_one(&scenario, 0, &[], &sim::Unwatched).expect("not interrupted")
}

/// Bytes of all values at a row of the timeline.
fn values(run: &Run, row: usize) -> u64 {
    let part = MemoryPart::ALL.iter().position(|part| *part == MemoryPart::Values).expect("a part");
    run.timeline[row].parts[part]
}

/// Bytes of a key when so many distinct elements were added to each, one by one.
fn bytes_each(profile: &str, elements: u64) -> f64 {
    let until = format!("{}s", elements / 10);
    let run = run(&[("server.profile", profile), ("traffic.0.until", &until), ("duration", "250s")]);
    values(&run, run.timeline.len() - 1) as f64 / 200.0
}

#[test]
fn strings_grow_by_the_measured_classes_and_turn_dense() {
    // Measured: classes of redis 7.0.15 and, where growth is capped, of valkey 9.1.2 after so many elements; and the
    // object's 16 bytes.  Near the end of a
    // class some keys are in the next, for lengths are drawn.
    for (elements, doubling, capped) in [(50, 192, 192), (200, 768, 768), (600, 1536, 1280), (2300, 14_336, 14_336)] {
        for (profile, class) in [("redis-7.0", doubling), ("redis-8.0", capped)] {
            let found = bytes_each(profile, elements);
            let expected = f64::from(class + 16);
            assert!((found / expected - 1.0).abs() < 0.02, "{profile} {elements}: {found}, {expected} measured");
        }
    }
}

#[test]
fn elements_seen_before_change_nothing() {
    let seen = run(&[
        ("keyspace.visitors.preload", "{ share = 1.0 }"),
        ("keyspace.visitors.elements", "300"),
        ("traffic.0.elements", "\"existing\""),
    ]);
    let last = seen.timeline.len() - 1;
    assert_eq!(values(&seen, 5), values(&seen, last));
    let new = run(&[("keyspace.visitors.preload", "{ share = 1.0 }"), ("keyspace.visitors.elements", "300")]);
    assert!(values(&new, last) > values(&new, 5));
}

#[test]
fn a_run_with_pfadd_is_the_same_each_time() {
    let series = |run: &Run| run.timeline.iter().map(|sample| sample.used_memory).collect::<Vec<u64>>();
    let given = [("traffic.0.elements", "{ new = 0.3 }")];
    assert_eq!(series(&run(&given)), series(&run(&given)));
}
