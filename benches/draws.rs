//! Nanoseconds of CPU for a draw from each law of popularity, over a million and a thousand million keys.
//!
//! `cargo bench --bench draws`.  Under `cargo test --benches` it draws a few, so that it does not rot.

use capsim::rng::{Stream, stream_rng};
use capsim::scenario;
use capsim::workload::Sampler;
use std::path::Path;

/// Laws as a scenario writes them.
const LAWS: &[&str] = &[
    "\"uniform\"",
    "{ dist = \"zipf\", exponent = 0.5 }",
    "{ dist = \"zipf\", exponent = 0.9 }",
    "{ dist = \"zipf\", exponent = 1.0 }",
    "{ dist = \"zipf\", exponent = 1.2 }",
    "{ dist = \"zipf\", exponent = 3.0 }",
    "{ dist = \"hotspot\", hot-keys = 0.2, hot-requests = 0.8 }",
    "{ dist = \"zipf-plus-once\", exponent = 0.9, once = 0.1 }",
];

/// CPU time of this process (s), by the scheduler's own count.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn main() {
    let draws: usize = if std::env::args().any(|a| a == "--bench") { 50_000_000 } else { 10_000 };
    for law in LAWS {
        let text = format!(
            "duration = 1\n[server.config]\nsave = \"\"\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\nkeys = 10\n\
             key-length = 8\nvalue-size = 8\n[[traffic]]\nkeyspace = \"k\"\nrate = 1\ncommands = {{ SET = 1 }}\n\
             popularity = {law}\n"
        );
        let input = scenario::Input { name: "draws", text: &text, overrides: &[], base: Path::new(".") };
        let Ok(scenario) = scenario::parse(&input, &|_| Err(std::io::ErrorKind::NotFound.into())) else {
            println!("{law}: refused");
            continue;
        };
        for keys in [1_000_000, 1_000_000_000] {
            let mut sampler = Sampler::new(&scenario.traffic[0].popularity, keys);
            let mut rng = stream_rng(1, Stream::Traffic(0));
            let (mut picks, mut sum) = ([0_u32; 64], 0_u64);
            let began = cpu_seconds();
            for _ in 0..draws / picks.len() {
                sampler.fill(&mut rng, &mut picks);
                sum = sum.wrapping_add(picks.iter().map(|&pick| u64::from(pick)).sum());
            }
            let nanos = (cpu_seconds() - began) * 1e9 / draws as f64;
            println!("{law:<55} {keys:>13} keys: {nanos:5.2} ns a draw; digest {sum}");
        }
    }
}
