//! The same scenario and seed give the same bytes: twice, and on any number of threads.

use capsim::analysis::analyse;
use capsim::report::{Cost, EXPORTERS, plot};
use capsim::{scenario, sim};
use std::path::Path;

const SCENARIO: &str = r#"
title = "everything random"
duration = "40s"
runs = 4
[server]
profile = "redis-7.0"
[server.config]
maxmemory = "8mb"
maxmemory-policy = "allkeys-lfu"
save = ""
[[keyspace]]
name = "a"
type = "string"
keys = 40_000
key-length = { dist = "uniform", min = 10, max = 60 }
value-size = { dist = "lognormal", median = 120, p99 = 3000 }
ttl = { mix = [ { weight = 0.6, dist = "uniform", min = 2, max = 30 }, { weight = 0.4, dist = "none" } ] }
preload = { share = 0.3 }
[[keyspace]]
name = "n"
type = "int"
keys = 5000
key-length = 16
[[traffic]]
keyspace = "a"
rate = 3000
popularity = { dist = "zipf-plus-once", exponent = 0.9, once = 0.1 }
commands = { GET = 8, SET = 1, DEL = 1 }
on-miss = "SET"
[[traffic]]
keyspace = "n"
rate = 500
commands = { INCR = 1 }
[[event]]
at = "20s"
kind = "delete"
keyspace = "a"
share = 0.5
"#;

fn files(threads: usize) -> Vec<Vec<u8>> {
    let input = scenario::Input { name: "s", text: SCENARIO, overrides: &[], base: Path::new(".") };
    let scenario = scenario::parse(&input, &|_| unreachable!("no include")).expect("a valid scenario");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let runs = pool.install(|| sim::run_all(&scenario, &sim::Unwatched)).expect("not interrupted");
    let findings = analyse(scenario, runs, "s");
    let texts = EXPORTERS.iter().map(|exporter| (exporter.render)(&findings, &Cost::default()).into_bytes());
    let pictures = plot::pictures(&findings).expect("pictures");
    texts.chain(pictures.into_iter().flat_map(|p| [p.svg.into_bytes(), p.png])).collect()
}

#[test]
fn the_same_bytes_on_one_thread_on_many_and_twice() {
    let one = files(1);
    assert!(one.len() > 3 + 2);
    assert!(one == files(3), "threads change the result");
    assert!(one == files(1), "a second run differs");
}
