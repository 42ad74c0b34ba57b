//! The model against recorded measurements of real servers: every figure of every modelled case within its tolerance.

use capsim::validate::{CaseResult, Outcome, measurement, validate};
use std::sync::OnceLock;

/// Why a figure is outside its tolerance; docs/limitations.md says more.
const PLACEMENT: &str = "where elements fall in a table is one draw of the server's seed";
const LOAD_SPEED: &str = "how fast keys were loaded, and when cron looked, is not recorded";
const PARSED_AHEAD: &str = "the loading connection holds more than is modelled";
/// Names fall into slots by CRC16, keys of the model by their hash: two draws.  How many of 16 384 slots 30 000 keys reach
/// has a standard deviation of 45, and a slot's structs take 2592 bytes on redis 8.0: 115 KB for a tolerance of 83 KB.
const SLOTS: &str = "which slots keys fall into is a draw";
const OLD_TABLE: &str =
    "an old table of 2 MiB was alive in the record, its rehash slower by a tenth than the model says";
const GLIBC_HOLES: &str = "holes too small for larger values";
/// Slabs of a page between others keep runs of pages from growing to 8 MiB; where they lie depends on short-lived blocks, as
/// replies of the measuring client's pipelines of 4000 commands are.  Six runs of `churn-three-quarters-sequential-200` were at
/// 118.5 to 133.6 MB, one with pipelines of 1000 at 108.6 MB (predicted 103.1 MB).
const DIRTY_RUNS: &str = "where runs of free pages end depends on short-lived blocks";
const SIZES_OF_POPULAR_KEYS: &str = "which sizes the popular keys have is one draw";
const WRITTEN_IN_A_ROW: &str =
    "keys are written over in the order of their load, copies are taken to fall on pages at random";
const BUSY: &str = "the measuring machine was busy: the other repetition freed a third faster";
const UNEXPLAINED: &str = "cause not found yet";

/// Figures that are outside, exactly these: server, case, beginning of the figure's name, reason.
const KNOWN_MISSES: &[(&str, &str, &str, &str)] = &[
    ("redis-7.0.15-debian", "churn-half-sequential", "used_memory_rss at mark 2", DIRTY_RUNS),
    ("redis-7.0.15-debian", "churn-three-quarters-sequential-100", "used_memory_rss at mark 2", DIRTY_RUNS),
    ("redis-7.0.15-debian", "churn-three-quarters-sequential-200", "used_memory_rss at mark 2", DIRTY_RUNS),
    ("redis-7.0.15-debian", "churn-three-quarters-sequential-100", "used_memory_rss at mark 3", DIRTY_RUNS),
    ("redis-7.0.15-debian", "churn-quarter-sequential-100", "used_memory_rss at mark 3", DIRTY_RUNS),
    ("valkey-8.0.1", "churn-half-sequential", "used_memory_rss at mark 3", DIRTY_RUNS),
    ("redis-6.2.14-libc", "churn-half-random", "allocator_active at mark 4", GLIBC_HOLES),
    ("redis-6.2.14-libc", "churn-half-random", "used_memory_rss at mark 4", GLIBC_HOLES),
    ("redis-6.2.14-libc", "churn-half-random", "allocator_active at mark 5", GLIBC_HOLES),
    ("redis-6.2.14-libc", "churn-half-random", "used_memory_rss at mark 5", GLIBC_HOLES),
    ("redis-6.2.16", "hash-5x8+8", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15-debian", "hash-5x8+8", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15-debian", "list-5x20", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15", "hash-5x8+8", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15", "list-5x20", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-6.2.16", "intset-10", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-6.2.16", "zset-10x8", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15-debian", "intset-10", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15-debian", "zset-10x8", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15", "intset-10", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.0.15", "zset-10x8", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("redis-7.4.1", "list-5x20", "peak_loading", LOAD_SPEED),
    ("redis-8.0.2-debian", "set-10x8", "peak_loading", LOAD_SPEED),
    ("redis-8.0.2-debian", "intset-10", "peak_loading", LOAD_SPEED),
    ("valkey-8.0.1", "hash-5x8+8", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("valkey-8.0.1", "list-5x20", "peak_loading: keys when the old table goes", LOAD_SPEED),
    ("valkey-9.1.2-debian", "intset-10", "peak_loading", PARSED_AHEAD),
    ("valkey-9.1.2-debian", "intset-500", "peak_loading", PARSED_AHEAD),
    ("redis-7.2.6", "set-129x20", "delta of used_memory", PLACEMENT),
    ("redis-7.2.6", "set-129x20", "peak_loading", PLACEMENT),
    ("redis-7.2.6", "intset-513", "delta of used_memory", PLACEMENT),
    ("redis-7.4.1", "set-129x20", "delta of used_memory", PLACEMENT),
    ("redis-7.4.1", "set-129x20", "peak_loading", PLACEMENT),
    ("redis-7.4.1", "intset-513", "delta of used_memory", PLACEMENT),
    ("redis-8.0.2-debian", "set-129x20", "delta of used_memory", PLACEMENT),
    ("redis-8.0.2-debian", "set-129x20", "peak_loading", PLACEMENT),
    ("redis-8.0.2-debian", "intset-513", "delta of used_memory", PLACEMENT),
    ("valkey-8.0.1", "set-129x20", "delta of used_memory", PLACEMENT),
    ("valkey-8.0.1", "set-129x20", "peak_loading", PLACEMENT),
    ("valkey-8.0.1", "intset-513", "delta of used_memory", PLACEMENT),
    ("valkey-8.1.1-debian", "hash-20x8+65", "delta of used_memory", PLACEMENT),
    ("valkey-8.1.1-debian", "hash-20x8+65", "peak_loading", PLACEMENT),
    ("valkey-8.1.1-debian", "zset-129x16", "delta of used_memory", PLACEMENT),
    ("valkey-9.1.2-debian", "hash-20x8+65", "delta of used_memory", PLACEMENT),
    ("valkey-9.1.2-debian", "hash-20x8+65", "peak_loading", PLACEMENT),
    ("valkey-9.1.2-debian", "set-129x20", "delta of used_memory", PLACEMENT),
    ("valkey-9.1.2-debian", "set-129x20", "peak_loading", PLACEMENT),
    ("valkey-9.1.2-debian", "set-1000x36", "delta of used_memory", PLACEMENT),
    ("valkey-9.1.2-debian", "intset-513", "delta of used_memory", PLACEMENT),
    ("valkey-9.1.2-debian", "intset-513", "peak_loading", PLACEMENT),
    ("redis-7.0.15-debian", "churn-lognormal", "used_memory at mark 1", OLD_TABLE),
    ("redis-8.0.2-debian", "cluster-30000", "delta of used_memory", SLOTS),
    ("redis-7.0.15-debian", "cluster-300000-ttl", "peak_loading", LOAD_SPEED),
    ("valkey-8.1.1-debian", "cow-uniform-10k", "cow_size", UNEXPLAINED),
    ("redis-7.4.1", "evict-lru-ttl-short", "end.keys", SIZES_OF_POPULAR_KEYS),
    ("redis-7.0.15-debian", "lazy-unlink-hash", "seconds until half is free", BUSY),
    ("redis-7.0.15-debian", "lazy-del-zset", "seconds of the command", BUSY),
    ("valkey-9.1.2-debian", "sync-disk-1k", "end.rdb_last_cow_size", WRITTEN_IN_A_ROW),
    ("valkey-8.1.1-debian", "evict-allkeys-lfu-zipf0.9", "miss_ratio_2nd_half", UNEXPLAINED),
    ("valkey-8.1.1-debian", "evict-allkeys-lfu-zipf0.9", "end.evicted_keys", UNEXPLAINED),
];

/// At most one figure in so many is outside its tolerance.
const ONE_IN: usize = 30;
/// No figure is outside by more than so many times its tolerance, but for [`FAR_OUTSIDE`].
const TIMES: f64 = 3.0;
/// One draw of all keys' elements, or of the pages that a run holds, counts many times.
const FAR_OUTSIDE: &[&str] = &[PLACEMENT, DIRTY_RUNS, OLD_TABLE, WRITTEN_IN_A_ROW];
/// Median error of `static` on any server (share).
const STATIC_MEDIAN: f64 = 0.000_2;

/// Servers whose dynamics were recorded.
const SERVERS: [&str; 3] = ["redis-7.0.15-debian", "redis-7.4.1", "valkey-8.0.1"];

/// A result and the file that it came from.
struct Judged {
    file: String,
    result: CaseResult,
}

/// Every recorded measurement, predicted once for all tests: repetitions lie in files of their own.
fn all() -> &'static [Judged] {
    static ALL: OnceLock<Vec<Judged>> = OnceLock::new();
    ALL.get_or_init(|| {
        let folder = format!("{}/validation", env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
        paths.sort();
        let (mut files, mut measurements) = (Vec::new(), Vec::new());
        for path in paths {
            let file = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a recorded measurement");
            let read = measurement::parse(&file, &text).expect("measurements");
            files.extend(std::iter::repeat_n(file, read.len()));
            measurements.extend(read);
        }
        let results = validate(&measurements);
        files.into_iter().zip(results).map(|(file, result)| Judged { file, result }).collect()
    })
}

fn reason(result: &CaseResult, figure: &str) -> Option<&'static str> {
    let known = KNOWN_MISSES
        .iter()
        .find(|(server, case, name, _)| result.server == *server && result.case == *case && figure.starts_with(name));
    known.map(|(_, _, _, reason)| *reason)
}

fn check(file: &str, expected_cases: usize) {
    check_those(file, expected_cases, |_| true);
}

/// The cases of one kind in a file that has several.
fn check_kind(file: &str, kind: &str, expected_cases: usize) {
    check_those(file, expected_cases, |result| result.kind == kind);
}

fn check_those(file: &str, expected_cases: usize, which: impl Fn(&CaseResult) -> bool) {
    let results: Vec<&CaseResult> = all()
        .iter()
        .filter(|judged| judged.file == file && which(&judged.result))
        .map(|judged| &judged.result)
        .collect();
    let judged = results.iter().filter(|r| matches!(&r.outcome, Outcome::Judged(figures) if !figures.is_empty()));
    assert_eq!(judged.count(), expected_cases, "every case of {file} is judged");
    for result in results {
        for figure in result.misses() {
            let reason = reason(result, &figure.name);
            assert!(reason.is_some(), "{} {}: {figure:?}", result.server, result.case);
            let far = FAR_OUTSIDE.contains(&reason.unwrap_or_default()) || figure.by_tolerance() <= TIMES;
            assert!(far, "{} {}: {figure:?}", result.server, result.case);
        }
    }
}

#[test]
fn exactly_the_known_figures_are_outside_and_they_are_few() {
    let results = || all().iter().map(|judged| &judged.result);
    for (server, case, name, _) in KNOWN_MISSES {
        let still = results()
            .filter(|result| result.server == *server && result.case == *case)
            .any(|result| result.misses().any(|figure| figure.name.starts_with(name)));
        assert!(still, "{server} {case} {name} is within its tolerance now");
    }
    let figures: usize = results().map(|result| result.figures().len()).sum();
    let outside: usize = results().map(|result| result.misses().count()).sum();
    assert!(outside * ONE_IN <= figures, "{outside} of {figures}");
}

#[test]
fn the_median_error_of_keys_is_small_on_every_server() {
    let statics = || all().iter().map(|judged| &judged.result).filter(|result| result.kind == "static");
    // Which slots keys fall into is a draw.
    let statics = || statics().filter(|result| !result.case.starts_with("cluster-"));
    let mut servers: Vec<&str> = statics().map(|result| result.server.as_str()).collect();
    servers.dedup();
    assert!(servers.len() >= 10);
    for server in servers {
        // What is exact by construction, as encodings, would make any median small.
        let figures = statics().filter(|result| result.server == server).flat_map(CaseResult::figures);
        let deltas = figures.filter(|figure| figure.name == "delta of used_memory");
        let mut errors: Vec<f64> = deltas.map(|figure| figure.relative_error().abs()).collect();
        errors.sort_by(f64::total_cmp);
        assert!(errors[errors.len() / 2] <= STATIC_MEDIAN, "{server}: {}", errors[errors.len() / 2]);
    }
}

#[test]
fn repetitions_are_judged_too() {
    check("cow.redis-7.0.15-debian.run2.jsonl", 10);
    check("expiry.redis-7.0.15-debian.run2.jsonl", 4);
    check("expiry.redis-7.0.15-debian.run3.jsonl", 4);
}

#[test]
fn mechanisms_of_the_projects_own_script() {
    for server in ["redis-7.0.15-debian", "valkey-9.1.2-debian"] {
        for run in ["", ".run2"] {
            let file = format!("mechanisms.{server}{run}.jsonl");
            // FLUSHALL is recorded, and not modelled.
            for (kind, cases) in
                [("purge", 3), ("aof", 3), ("full-sync", 3), ("soft-limit", 4), ("clients", 2), ("lazyfree", 4)]
            {
                check_kind(&file, kind, cases);
            }
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
fn what_goes_back_at_once_and_what_decays() {
    check("fragmentation-more.redis-7.0.15-debian.jsonl", 7);
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
