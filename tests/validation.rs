//! The model against recorded measurements of real servers: every figure of every modelled case within its tolerance.

use capsim::validate::{Outcome, measurement, validate};

/// Figures that are known to miss, with the reason; the list may only become shorter.
///
/// - `churn-lognormal`, first mark, on 7.0.15: an old bucket array of 2 MiB is still alive in the record (its rehash was
///   slower by a tenth at least than the model says).
/// - `churn-half-sequential`, just after the deletes: jemalloc gives freed pages back by whole runs of neighbouring pages,
///   so more of them at once than the decay curve says; how many, differs from run to run.
const KNOWN_MISSES: &[(&str, &str)] = &[
    ("churn-lognormal", "used_memory at mark 1,"),
    ("churn-half-sequential", "used_memory_rss at mark 2,"),
    // 67 KB for a floor of 64 KiB.
    ("intset-500", "peak_loading"),
    // jemalloc's metadata had grown by a block of 2 MiB in this run, not in its repetition.
    ("purge-sequential", "allocator_resident, "),
    // Keys are written over in the order in which they were loaded; copies are taken to fall on pages at random.
    ("sync-disk-1k", "end.rdb_last_cow_size"),
    // The replica of valkey 9.1.2 reads the stream a second after it has the file.
    ("sync-disk-1k", "largest mem_total_replication_buffers"),
];

/// Cases whose keys all have the same elements, which fall into the buckets of their tables by the server's random seed: one
/// draw, which no model knows.  They miss by no more than this (share).
const RANDOM_PLACEMENT: &[&str] = &["set-129x20", "set-1000x36", "intset-513", "hash-20x8+65", "zset-129x16"];
const RANDOM_SHARE: f64 = 0.02;

/// Names fall into slots by CRC16, keys of the model by their hash: two draws.  How many of 16 384 slots 30 000 keys reach
/// has a standard deviation of 45, and a slot's structs take 2592 bytes on redis 8.0: 115 KB for a tolerance of 83 KB.
const RANDOM_SLOTS: &[(&str, &str)] = &[("redis-8.0.2-debian", "cluster-30000")];

/// Servers whose dynamics were recorded.
const SERVERS: [&str; 3] = ["redis-7.0.15-debian", "redis-7.4.1", "valkey-8.0.1"];

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
        for figure in result.misses() {
            let known = KNOWN_MISSES.iter().any(|(case, name)| result.case == *case && figure.name.starts_with(name));
            let random = RANDOM_PLACEMENT.contains(&result.case.as_str()) && !figure.name.starts_with("encoding");
            let random = random && figure.relative_error().abs() < RANDOM_SHARE;
            let slots = RANDOM_SLOTS.contains(&(result.server.as_str(), result.case.as_str()));
            let random = random || (slots && figure.relative_error().abs() < 0.004);
            assert!(known || random, "{} {}: {figure:?}", result.server, result.case);
        }
    }
}

#[test]
fn keys_of_every_type_on_redis_7_0_bundled() {
    check("static.redis-7.0.15.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_redis_7_0_system() {
    check("static.redis-7.0.15-debian.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_redis_7_2() {
    check("static.redis-7.2.6.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_redis_6_2() {
    check("static.redis-6.2.16.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_redis_7_4() {
    check("static.redis-7.4.1.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_redis_8_0() {
    check("static.redis-8.0.2-debian.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_valkey_8_0() {
    check("static.valkey-8.0.1.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_valkey_8_1() {
    check("static.valkey-8.1.1-debian.jsonl", 55);
}

#[test]
fn keys_of_every_type_on_valkey_9_1() {
    check("static.valkey-9.1.2-debian.jsonl", 55);
}

#[test]
fn keys_that_grow() {
    for server in [
        "redis-6.2.16",
        "redis-7.0.15",
        "redis-7.0.15-debian",
        "redis-7.2.6",
        "redis-7.4.1",
        "redis-8.0.2-debian",
        "valkey-8.0.1",
        "valkey-8.1.1-debian",
        "valkey-9.1.2-debian",
    ] {
        check(&format!("grow.{server}.jsonl"), 6);
    }
}

#[test]
fn every_eviction_policy_measured() {
    for server in SERVERS {
        check(&format!("eviction.{server}.jsonl"), 8);
    }
}

#[test]
fn copies_of_a_snapshot_under_writes() {
    for server in SERVERS {
        check(&format!("cow.{server}.jsonl"), 10);
    }
}

#[test]
fn what_the_allocator_keeps() {
    for server in SERVERS {
        check(&format!("fragmentation.{server}.jsonl"), 5);
    }
}

#[test]
fn a_frozen_replica_and_its_buffers() {
    for server in SERVERS {
        check(&format!("replica.{server}.jsonl"), 3);
    }
}

#[test]
fn expiry_steady_mixed_and_en_masse() {
    for server in SERVERS {
        check(&format!("expiry.{server}.jsonl"), 4);
    }
}

#[test]
fn subscribers_that_never_read() {
    for server in SERVERS {
        check_kind(&format!("buffers.{server}.jsonl"), "pubsub", 4);
    }
}

#[test]
fn strings_and_integers_with_glibc() {
    check("static.redis-6.2.14-libc.jsonl", 22);
}

#[test]
fn what_glibc_and_a_table_of_buckets_keep() {
    check("fragmentation.redis-6.2.14-libc.jsonl", 1);
    check("fragmentation.valkey-8.1.1-debian.jsonl", 1);
}

#[test]
fn eviction_expiry_and_snapshots_on_tables_of_buckets() {
    check("eviction.valkey-8.1.1-debian.jsonl", 4);
    check("eviction.valkey-9.1.2-debian.jsonl", 1);
    check("expiry.valkey-8.1.1-debian.jsonl", 1);
    check("cow.valkey-8.1.1-debian.jsonl", 1);
}

#[test]
fn eviction_on_redis_6_2_and_expiry_on_valkey_9_1() {
    check("eviction.redis-6.2.14-libc.jsonl", 1);
    check("expiry.valkey-9.1.2-debian.jsonl", 1);
}

#[test]
fn mechanisms_of_the_projects_own_script() {
    for server in ["redis-7.0.15-debian", "valkey-9.1.2-debian"] {
        let file = format!("mechanisms.{server}.jsonl");
        for (kind, cases) in [("purge", 3), ("aof", 3), ("full-sync", 3), ("soft-limit", 4), ("clients", 2)] {
            check_kind(&file, kind, cases);
        }
    }
}

#[test]
fn keys_in_cluster_mode() {
    for server in [
        "redis-7.0.15-debian",
        "redis-8.0.2-debian",
        "valkey-8.0.1-debian",
        "valkey-8.1.1-debian",
        "valkey-9.1.2-debian",
    ] {
        check(&format!("cluster.{server}.jsonl"), 5);
    }
}
