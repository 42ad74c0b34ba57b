//! Inputs that nobody would write: whatever comes in, the parser answers and the simulator ends.

use capsim::analysis::analyse;
use capsim::report::{self, Cost};
use capsim::scenario::{self, Scenario, ScenarioError};
use capsim::sim;
use proptest::prelude::*;
use std::io;
use std::path::Path;

const REFERENCE: &str = include_str!("../scenarios/reference.toml");

/// A small scenario whose parts the cases replace.
const SMALL: &str = r#"duration = "2s"
[server.config]
maxmemory = 0
save = ""
[[keyspace]]
name = "k"
type = "string"
keys = 50
key-length = 10
value-size = 20
ttl = "1s"
[[traffic]]
keyspace = "k"
rate = 500
popularity = "uniform"
commands = { GET = 8, SET = 1, APPEND = 1, SETRANGE = 1, EXPIRE = 1, DEL = 1, GETDEL = 1, "SET KEEPTTL" = 1 }
on-miss = "SET"
"#;

fn parse_with(text: &str, overrides: &[(String, String)], conf: &str) -> Result<Scenario, ScenarioError> {
    let input = scenario::Input { name: "s.toml", text, overrides, base: Path::new(".") };
    let read = |path: &Path| {
        if path.ends_with("r.conf") { Ok(conf.to_owned()) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
    };
    scenario::parse(&input, &read)
}

/// Parses and, when that fails, shows the error as a terminal would.
fn parse(text: &str, overrides: &[(String, String)], conf: &str) -> Option<Scenario> {
    match parse_with(text, overrides, conf) {
        Ok(scenario) => Some(scenario),
        Err(error) => {
            assert!(!error.render(false).chars().any(|c| c.is_control() && c != '\n'), "no control characters");
            None
        }
    }
}

/// Runs a scenario to its end and makes every report of it.
fn simulate(scenario: Scenario) {
    let runs = sim::run_all(&scenario, &sim::Unwatched).expect("nobody interrupts");
    let findings = analyse(scenario, runs, "s.toml");
    let cost = Cost { simulated_ops: 1, wall_s: 0.0, peak_rss_bytes: 0 };
    for exporter in report::EXPORTERS {
        let text = (exporter.render)(&findings, &cost);
        assert!(!text.contains("NaN") && !text.contains(" inf"), "{}: {text}", exporter.file);
        if exporter.file.ends_with("json") {
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
    }
    report::plot::pictures(&findings).expect("pictures");
}

/// The small scenario with overrides, simulated.
#[track_caller]
fn simulate_set(overrides: &[(&str, &str)]) {
    let given: Vec<(String, String)> = overrides.iter().map(|(p, v)| ((*p).to_owned(), (*v).to_owned())).collect();
    let scenario = parse_with(SMALL, &given, "").unwrap_or_else(|error| panic!("{overrides:?}: {error}"));
    simulate(scenario);
}

#[test]
fn extreme_values_that_are_legal_simulate() {
    let cases: &[&[(&str, &str)]] = &[
        &[("keyspace.k.keys", "1")],
        &[("duration", "1ms")],
        &[("duration", "1us"), ("keyspace.k.preload", "{ share = 1 }")],
        &[("traffic.0.rate", "0")],
        &[("traffic.0.rate", "1e-300")],
        &[("server.config.hz", "500")],
        &[("server.config.hz", "1"), ("server.config.dynamic-hz", "no")],
        &[("server.config.maxmemory", "1")],
        &[("server.config.maxmemory", "1"), ("server.config.maxmemory-policy", "allkeys-lru")],
        &[
            ("server.config.maxmemory", "1mb"),
            ("server.config.maxmemory-policy", "volatile-ttl"),
            ("server.config.maxmemory-samples", "64"),
            ("keyspace.k.value-size", "100kb"),
        ],
        &[("server.config.maxmemory", "18446744073709551615"), ("server.config.maxmemory-policy", "allkeys-lfu")],
        &[("server.config.lfu-decay-time", "0"), ("server.config.maxmemory-policy", "volatile-lfu")],
        &[("server.config.lfu-log-factor", "2147483647"), ("server.config.maxmemory-policy", "allkeys-lfu")],
        &[("server.config.databases", "16384"), ("server.config.maxmemory-eviction-tenacity", "100")],
        &[("server.config.maxmemory-eviction-tenacity", "0"), ("server.config.maxmemory", "2mb")],
        &[("server.config.active-expire-effort", "10"), ("costs.expire-key", "1s")],
        &[("costs.rehash-buckets-per-ms", "1"), ("costs.evict-key", "0ns")],
        &[("traffic.0.popularity", "{ dist = \"zipf\", exponent = 0 }")],
        &[("traffic.0.popularity", "{ dist = \"zipf\", exponent = 50 }")],
        &[("traffic.0.popularity", "{ dist = \"zipf\", exponent = 1e300 }")],
        &[("traffic.0.popularity", "{ dist = \"latest\", exponent = 50 }"), ("keyspace.k.keys", "1")],
        &[("traffic.0.popularity", "{ dist = \"zipf-plus-once\", exponent = 1, once = 1 }")],
        &[("traffic.0.popularity", "{ dist = \"hotspot\", hot-keys = 1e-300, hot-requests = 1 }")],
        &[("traffic.0.popularity", "{ dist = \"buckets\", counts = [1e300, 1e-300], weights = [0, 1] }")],
        &[("traffic.0.popularity", "sequential"), ("keyspace.k.keys", "1")],
        &[("traffic.0.popularity", "new"), ("traffic.0.ttl", "none"), ("traffic.0.commands", "{ SET = 1, GET = 1 }")],
        &[("keyspace.k.preload", "{ share = 0 }")],
        &[("keyspace.k.preload", "{ share = 1, by = \"commands\", load-rate = 1e9, order = \"random\" }")],
        &[("keyspace.k.preload", "{ keys = 50, by = \"commands\", load-rate = 0.01, ttl = \"full\" }")],
        &[("keyspace.k.ttl", "1ms")],
        &[("keyspace.k.ttl", "36500d"), ("keyspace.k.preload", "{ share = 1 }")],
        &[("keyspace.k.ttl", "{ dist = \"weibull\", scale = \"1h\", shape = 0.01 }")],
        &[("keyspace.k.key-length", "65535")],
        &[("keyspace.k.key-length", "{ dist = \"normal\", mean = 1, sd = 1000 }")],
        &[("keyspace.k.value-size", "0")],
        &[("keyspace.k.value-size", "512mb")],
        &[("keyspace.k.value-size", "{ dist = \"weibull\", scale = 1e15, shape = 0.001 }")],
        &[("keyspace.k.value-size", "{ dist = \"lognormal\", median = 1e-300, sigma = 1e300 }")],
        &[("keyspace.k.value-size", "{ dist = \"gev\", location = 0, scale = 1e300, shape = -1e300 }")],
        &[("keyspace.k.value-size", "{ dist = \"quantiles\", points = [[0.0, 0], [1e-300, 1], [1.0, \"512mb\"]] }")],
        &[("traffic.0.write-size", "512mb"), ("traffic.0.offset", "512mb")],
        &[
            ("server.config.activedefrag", "yes"),
            ("server.config.active-defrag-ignore-bytes", "0"),
            ("server.config.active-defrag-threshold-lower", "50"),
            ("server.config.active-defrag-threshold-upper", "5"),
        ],
        &[
            ("server.config.activedefrag", "yes"),
            ("server.config.active-defrag-ignore-bytes", "0"),
            ("server.config.active-defrag-threshold-lower", "0"),
            ("server.config.active-defrag-cycle-min", "99"),
            ("server.config.active-defrag-cycle-max", "1"),
        ],
        &[("host.memory", "1")],
        &[
            ("host.memory", "1125899906842624"),
            ("host.os-reserve", "1125899906842624"),
            ("host.overcommit-memory", "2"),
        ],
        &[("replica", "[{ name = \"r\" }]"), ("server.config.repl-backlog-size", "18446744073709551615")],
        &[
            ("replica", "[{ name = \"r\", link = \"1b/s\", socket-buffer = 0, stalls = [{ at = 0, for = \"1s\" }] }]"),
            ("server.config.repl-backlog-size", "1"),
            ("server.config.client-output-buffer-limit", "replica 1 1 0"),
        ],
        &[
            ("replica", "[{ name = \"a\" }, { name = \"b\", link = \"1kb/s\" }, { name = \"c\" }]"),
            (
                "event",
                "[{ every = \"100ms\", kind = \"failover\" }, { every = \"100ms\", kind = \"replica-attach\", replica = \"c\" }]",
            ),
        ],
        &[
            ("server.config.appendonly", "yes"),
            ("server.config.auto-aof-rewrite-min-size", "0"),
            ("server.config.auto-aof-rewrite-percentage", "1"),
            (
                "event",
                "[{ every = \"100ms\", kind = \"bgsave\", duration = \"1us\" }, { every = \"150ms\", kind = \"aof-rewrite\" }, \
                 { every = \"300ms\", kind = \"flushall\" }, { every = \"50ms\", kind = \"memory-purge\" }]",
            ),
        ],
        &[
            ("costs.cpu-cache", "0"),
            ("costs.snapshot-key", "1s"),
            ("costs.fork-per-gb", "1s"),
            ("server.config.save", "1 1"),
        ],
        &[("warmup", "2s")],
        &[("sample-interval", "1h")],
        &[("sample-interval", "1ms")],
        &[("runs", "100"), ("duration", "100ms")],
        &[("start-of-day", "23:59"), ("seed", "9223372036854775807")],
        &[("clients", "[{ name = \"c\", connections = 10000, pipeline = 10000 }]"), ("traffic.0.clients", "c")],
        &[(
            "traffic.0.rate",
            "{ shape = \"flash\", base = 1, at = 0, multiplier = 1000, rise = \"1us\", half-life = \"1us\" }",
        )],
        &[("traffic.0.rate", "{ shape = \"on-off\", on = \"1us\", off = \"36500d\", rate = 1e9 }")],
        &[("traffic.0.rate", "{ shape = \"diurnal\", mean = 500, amplitude = 1, period = \"1us\" }")],
        &[("traffic.0.rate", "{ shape = \"ramp\", points = [[\"36500d\", 500]] }")],
        &[("policy.headroom", "[100, 100]"), ("policy.alarm-ratio", "0"), ("policy.alarm-for", "0")],
    ];
    for case in cases {
        simulate_set(case);
    }
}

/// A scenario of integers, or of nothing, with events at every odd time.
#[test]
fn odd_scenarios_simulate() {
    let simple = |more: &str| format!("duration = \"2s\"\n[server.config]\nsave = \"\"\n{more}");
    let int = "[[keyspace]]\nname = \"i\"\ntype = \"int\"\nkeys = 5\nkey-length = 1\nbase = 9223372036854775807\n\
               preload = { share = 1 }\n[[traffic]]\nkeyspace = \"i\"\nrate = 100\ncommands = { INCR = 1, GET = 1 }\n";
    let event = |when: &str, what: &str| format!("[[event]]\n{when}\nkind = {what}\n");
    let mut all = SMALL.to_owned();
    for when in ["at = 0", "at = \"2s\"", "every = \"10ms\"", "at = \"1s\""] {
        for what in [
            "\"flushall\"",
            "\"config-set\"\nconfig = { maxmemory = 1, hz = 500, maxmemory-policy = \"allkeys-random\" }",
            "\"config-set\"\nconfig = { maxmemory = 0, hz = 1, maxmemory-policy = \"volatile-lfu\" }",
            "\"fill\"\nkeyspace = \"k\"\nrate = 1e9",
            "\"fill\"\nkeyspace = \"k\"\nkeys = 1\nrate = 1e-300\nvalue-size = 0",
            "\"delete\"\nkeyspace = \"k\"\nshare = 0",
            "\"delete\"\nkeyspace = \"k\"\nshare = 1\norder = \"sequential\"\nrate = 1e9",
            "\"overwrite\"\nkeyspace = \"k\"\nshare = 1\nvalue-size = \"512mb\"",
            "\"overwrite\"\nkeyspace = \"k\"\nshare = 0.5\nrate = 0.001",
            "\"ttl-lost\"\nkeyspace = \"k\"\nshare = 1\nfor = \"36500d\"",
            "\"size-change\"\nkeyspace = \"k\"\nvalue-size = { dist = \"uniform\", min = 0, max = \"512mb\" }",
            "\"traffic\"\nmultiply = 0\nfor = \"36500d\"",
        ] {
            all.push_str(&event(when, what));
        }
    }
    for text in [simple(""), simple(int), all, simple("[[clients]]\nname = \"x\"\n")] {
        let scenario = parse_with(&text, &[], "").unwrap_or_else(|error| panic!("{}", error.render(false)));
        simulate(scenario);
    }
}

#[test]
fn deep_and_huge_texts_are_refused_at_once() {
    let deep = [
        "[".repeat(100_000),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        "a = 1\n".repeat(100_000),
        (0..100_000).map(|i| format!("a{i} = 1\n")).collect(),
        (0..20_000).map(|i| format!("[[keyspace]]\nx{i} = 1\n")).collect(),
        "x".repeat(5 << 20),
    ];
    for text in deep {
        assert!(parse(&text, &[], "").is_none());
    }
    let conf: String = (0..50_000).map(|i| format!("maxmemry{i} 1\n")).collect();
    assert!(parse("duration = 1\n[server]\ninclude = \"r.conf\"\n", &[], &conf).is_none());
    let path = vec!["a"; 100_000].join(".");
    assert!(parse(SMALL, &[(path, "1".to_owned())], "").is_none());
    assert!(parse(SMALL, &[("seed".to_owned(), "[".repeat(100_000))], "").is_none());
}

/// Tokens that a mutation puts in.
const TOKENS: &[&str] = &[
    "0",
    "-1",
    "1e308",
    "nan",
    "inf",
    "1_000_000_000_000_000_000",
    "\"\"",
    "\"1mb\"",
    "\"1ms\"",
    "\"daily 03:00\"",
    "true",
    "[]",
    "{}",
    "[[",
    "]]",
    "\"",
    "\n",
    "=",
    "{ dist = \"none\" }",
    "\u{0}",
    "\u{1b}[31m",
    "é",
    "日本",
    "\u{202e}",
    "#",
];

/// The reference, damaged at a few places.
fn damaged() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..30_usize, prop::sample::select(TOKENS), 0..4_u8);
    prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut text: Vec<char> = REFERENCE.chars().collect();
        for (at, length, token, kind) in changes {
            let start = at.index(text.len().max(1)).min(text.len());
            let end = (start + length).min(text.len());
            match kind {
                0 => drop(text.drain(start..end)),
                1 => drop(text.splice(start..start, token.chars())),
                2 => {
                    // A whole value: from the next sign of equality to the end of its line.
                    let from = text[start..].iter().position(|c| *c == '=').map_or(text.len(), |at| start + at + 1);
                    let to = text[from..].iter().position(|c| *c == '\n').map_or(text.len(), |at| from + at);
                    drop(text.splice(from..to, token.chars()));
                }
                _ => text[start..end].reverse(),
            }
        }
        text.into_iter().collect()
    })
}

/// The paths of values, and words that lead nowhere.
const SEGMENTS: &[&str] = &[
    "duration",
    "server",
    "config",
    "maxmemory",
    "keyspace",
    "session",
    "traffic",
    "0",
    "99999999999999999999",
    "event",
    "rate",
    "value-size",
    "mix",
    "",
    " ",
    "é",
    "-1",
    "thresholds",
    "policy",
    "costs",
    "name",
    "popularity",
    "dist",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_scenarios_are_read_or_refused(text in damaged()) {
        parse(&text, &[], "");
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse(&text, &[], "");
        parse(&String::from_utf8_lossy(&bytes), &[], "");
    }

    #[test]
    fn any_override_is_read_or_refused(
        segments in prop::collection::vec(prop::sample::select(SEGMENTS), 0..5),
        token in prop::sample::select(TOKENS),
        path in any::<String>(),
        value in any::<String>(),
    ) {
        let overrides = [(segments.join("."), token.to_owned()), (path, value.clone()), (segments.join("."), value)];
        parse(REFERENCE, &overrides[..1], "");
        parse(REFERENCE, &overrides[1..], "");
    }

    #[test]
    fn any_redis_conf_is_read_or_refused(
        any_text in any::<String>(),
        lines in prop::collection::vec(("(maxmemory|save|include|hz|slaveof|client-output-buffer-limit|.{0,9})", "[ -~]{0,20}"), 0..8),
    ) {
        let text = "duration = 1\n[server]\ninclude = [\"r.conf\"]\n";
        let lines: String = lines.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        parse(text, &[], &any_text);
        parse(text, &[], &lines);
    }
}

/// Stops a run after some requests.
struct Enough(std::sync::atomic::AtomicU64);

impl sim::Progress for Enough {
    fn advance(&self, _run: u32, _at: capsim::units::SimTime, ops: u64) {
        self.0.fetch_add(ops, std::sync::atomic::Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) > 300_000
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_scenarios_that_parse_simulate(text in damaged()) {
        if let Some(mut scenario) = parse(&text, &[], "")
            && scenario.keyspaces.iter().all(|keyspace| keyspace.keys <= 100_000)
        {
            scenario.runs = 1;
            if let Ok(runs) = sim::run_all(&scenario, &Enough(0.into())) {
                let findings = analyse(scenario, runs, "");
                prop_assert_eq!(findings.runs.len(), 1);
            }
        }
    }
}

/// Values that are legal somewhere; where they are not, the parser says so.
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "0.5",
    "64",
    "500",
    "\"1ms\"",
    "\"1us\"",
    "\"2s\"",
    "\"1kb\"",
    "\"none\"",
    "\"write\"",
    "\"uniform\"",
    "\"new\"",
    "\"sequential\"",
    "\"deterministic\"",
    "\"allkeys-lfu\"",
    "\"volatile-ttl\"",
    "{ dist = \"zipf\", exponent = 3 }",
    "{ dist = \"latest\", exponent = 1 }",
    "{ share = 1 }",
    "{ keys = 1, by = \"commands\", load-rate = 1 }",
    "{ dist = \"uniform\", min = 0, max = 9 }",
    "{ shape = \"step\", points = [[\"1s\", 9]] }",
    "[\"max<1\"]",
];
const PATHS: &[&str] = &[
    "duration",
    "warmup",
    "sample-interval",
    "seed",
    "runs",
    "keyspace.k.keys",
    "keyspace.k.key-length",
    "keyspace.k.value-size",
    "keyspace.k.ttl",
    "keyspace.k.ttl-drawn",
    "keyspace.k.size-drawn",
    "keyspace.k.preload",
    "traffic.0.rate",
    "traffic.0.popularity",
    "traffic.0.arrivals",
    "traffic.0.ttl",
    "traffic.0.from",
    "traffic.0.until",
    "traffic.0.write-size",
    "traffic.0.offset",
    "server.config.maxmemory",
    "server.config.maxmemory-policy",
    "server.config.hz",
    "server.config.maxmemory-samples",
    "costs.expire-key",
    "policy.alarm-for",
    "thresholds.used_ratio",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_parses_simulates(
        changes in prop::collection::vec((prop::sample::select(PATHS), prop::sample::select(VALUES)), 1..5),
    ) {
        let overrides: Vec<(String, String)> =
            changes.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
        if let Some(scenario) = parse(SMALL, &overrides, "")
            && scenario.duration.as_secs_f64() <= 10.0
            && scenario.runs <= 2
        {
            let runs = sim::run_all(&scenario, &sim::Unwatched).expect("nobody interrupts");
            let findings = analyse(scenario, runs, "");
            prop_assert!(!findings.runs.is_empty());
        }
    }
}
