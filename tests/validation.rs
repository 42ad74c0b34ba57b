//! The model against recorded measurements of real servers: every figure of every modelled case within its tolerance.

use capsim::validate::{Outcome, measurement, validate};

fn check(file: &str, expected_cases: usize) {
    check_those(file, expected_cases, |_| true);
}

/// The cases of one kind in a file that has several.
fn check_kind(file: &str, kind: &str, expected_cases: usize) {
    check_those(file, expected_cases, |case| case.kind == kind);
}

fn check_those(file: &str, expected_cases: usize, which: impl Fn(&measurement::Case) -> bool) {
    let path = format!("{}/validation/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a recorded measurement");
    let mut measurements = measurement::parse(file, &text).expect("measurements");
    measurements.retain(|measurement| which(&measurement.case));
    let results = validate(&measurements);
    let judged = results.iter().filter(|r| matches!(&r.outcome, Outcome::Judged(figures) if !figures.is_empty()));
    assert_eq!(judged.count(), expected_cases, "every case of {file} is judged");
    for result in &results {
        if let Some(figure) = result.misses().next() {
            panic!("{} {}: {figure:?}", result.server, result.case);
        }
    }
}

#[test]
fn strings_and_integers_on_redis_7_0_bundled() {
    check("static.redis-7.0.15.jsonl", 22);
}

#[test]
fn strings_and_integers_on_redis_7_0_system() {
    check("static.redis-7.0.15-debian.jsonl", 22);
}

#[test]
fn strings_and_integers_on_redis_7_2() {
    check("static.redis-7.2.6.jsonl", 22);
}

#[test]
fn every_eviction_policy_measured() {
    check("eviction.redis-7.0.15-debian.jsonl", 8);
}

#[test]
fn copies_of_a_snapshot_under_writes() {
    check("cow.redis-7.0.15-debian.jsonl", 10);
}

#[test]
fn expiry_steady_mixed_and_en_masse() {
    check("expiry.redis-7.0.15-debian.jsonl", 4);
}

#[test]
fn subscribers_that_never_read() {
    check_kind("buffers.redis-7.0.15-debian.jsonl", "pubsub", 4);
}
