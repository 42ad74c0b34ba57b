//! Requests per CPU-second of the simulation, generation included, on the reference workload.
//!
//! allkeys-lru, 5 samples and pool, Zipf 0.99, capacity 10 % of the keys, full accounting; a request is a GET, and the
//! SET that follows a miss is not counted.  `cargo bench --bench engine`; `-- KEYS RUNS` for other sizes.  Under
//! `cargo test --benches` it runs tiny, so that it does not rot.

use capsim::{scenario, sim};
use std::fs;
use std::path::Path;

/// Bytes of a key of the reference workload with its share of the table (B).
const BYTES_PER_KEY: u64 = 24 + 24 + 16 + 112 + 9;

/// One thing to measure.
struct Case {
    name: &'static str,
    /// Policy, capacity as a share of the keys, TTL.
    policy: &'static str,
    capacity: f64,
    ttl: &'static str,
}

const CASES: &[Case] = &[
    Case { name: "allkeys-lru", policy: "allkeys-lru", capacity: 0.1, ttl: "" },
    Case { name: "allkeys-lfu", policy: "allkeys-lfu", capacity: 0.1, ttl: "" },
    Case { name: "fits", policy: "noeviction", capacity: 1.2, ttl: "" },
    Case { name: "ttl", policy: "noeviction", capacity: 1.4, ttl: "ttl = { dist = \"uniform\", min = 5, max = 25 }" },
];

fn text(case: &Case, keys: u64, seconds: u64) -> String {
    let share = case.capacity.min(0.5);
    let maxmemory = 2_000_000 + (keys as f64 * case.capacity * BYTES_PER_KEY as f64 * 1.25) as u64;
    let maxmemory = if case.policy == "noeviction" {
        maxmemory
    } else {
        2_000_000 + (keys as f64 * case.capacity * BYTES_PER_KEY as f64) as u64
    };
    format!(
        "duration = {seconds}\nsample-interval = 1\n[server.config]\nmaxmemory = {maxmemory}\nmaxmemory-policy = \"{}\"\n\
         save = \"\"\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\nkeys = {keys}\nkey-length = 16\nvalue-size = 100\n\
         preload = {{ share = {share} }}\n{}\n[[traffic]]\nkeyspace = \"k\"\nrate = 1_000_000\n\
         popularity = {{ dist = \"zipf\", exponent = 0.99 }}\ncommands = {{ GET = 1 }}\non-miss = \"SET\"\n",
        case.policy, case.ttl
    )
}

/// CPU time of this process (s), by the scheduler's own count.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Largest resident size (B).
fn peak_rss() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB").to_owned();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.replace('_', "").parse().ok()).collect();
    let only: Vec<String> = std::env::args().skip(1).filter(|a| CASES.iter().any(|c| c.name == a)).collect();
    let measured = std::env::args().any(|a| a == "--bench");
    let keys = given.first().copied().unwrap_or(if measured { 10_000_000 } else { 10_000 });
    let runs = given.get(1).copied().unwrap_or(if measured { 5 } else { 1 });
    let seconds = if measured { 20 } else { 1 };
    for case in CASES.iter().filter(|case| only.is_empty() || only.iter().any(|name| name == case.name)) {
        let text = text(case, keys, seconds);
        let input = scenario::Input { name: case.name, text: &text, overrides: &[], base: Path::new(".") };
        let Ok(parsed) = scenario::parse(&input, &|_| Err(std::io::ErrorKind::NotFound.into())) else {
            println!("{}: the scenario is refused", case.name);
            continue;
        };
        let mut rates: Vec<f64> = Vec::new();
        let mut digest = 0;
        for _ in 0..runs {
            let mut empty = parsed.clone();
            empty.duration = capsim::units::Micros(1);
            empty.sample_interval = capsim::units::Micros(1);
            let began = cpu_seconds();
            let _ = sim::run_one(&empty, 0, &[], &sim::Unwatched);
            let loaded = cpu_seconds();
            let Ok(run) = sim::run_one(&parsed, 0, &[], &sim::Unwatched) else { return };
            let spent = (cpu_seconds() - loaded) - (loaded - began);
            let gets = run.end.counters.keyspace_hits + run.end.counters.keyspace_misses;
            rates.push(gets as f64 / spent / 1e6);
            digest = run.end.counters.evicted_keys ^ run.end.counters.expired_keys ^ run.end.used_memory;
        }
        rates.sort_by(f64::total_cmp);
        println!(
            "{:<12} {keys} keys: {:.2} M requests per CPU-second (median of {runs}; {:.2} to {:.2}); \
             {:.1} bytes a key so far; digest {digest}",
            case.name,
            rates[rates.len() / 2],
            rates[0],
            rates[rates.len() - 1],
            peak_rss() as f64 / keys as f64,
        );
    }
}
