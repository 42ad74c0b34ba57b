//! What verdicts say: drivers, sentences and budgets of scenarios that are known to come out so.

use capsim::analysis::{Findings, analyse};
use capsim::report::{Cost, summary_json, terminal};
use capsim::{scenario, sim};
use std::fs;
use std::path::Path;

fn judged(text: &str, overrides: &[(&str, &str)]) -> Findings {
    let overrides: Vec<(String, String)> =
        overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let input = scenario::Input { name: "s", text, overrides: &overrides, base: &base };
    let scenario = scenario::parse(&input, &|file| fs::read_to_string(file)).unwrap_or_else(|error| panic!("{error}"));
    let runs = sim::run_all(&scenario, &sim::Unwatched).expect("not interrupted");
    analyse(scenario, runs, "s.toml")
}

/// A scenario of the folder, with the overrides of its `# test:` line, or others.
fn of_folder(name: &str, overrides: &[(&str, &str)]) -> Findings {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
    judged(&fs::read_to_string(path).expect("a scenario"), overrides)
}

fn text(findings: &Findings) -> String {
    // Lines are wrapped: one space for any white space but the narrow one of numbers.
    let text = terminal(findings, &Cost::default(), "out", false);
    text.split([' ', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn summary(findings: &Findings) -> serde_json::Value {
    serde_json::from_str(&summary_json(findings, &Cost::default())).expect("JSON")
}

#[test]
fn a_cache_that_evicts_for_output_buffers_is_not_full_by_design() {
    let findings = of_folder("pubsub-slow-consumer", &[]);
    let sentence = &findings.verdict.sentence;
    assert!(!sentence.contains("is full"), "{sentence}");
    assert!(sentence.contains("used_memory reaches maxmemory (1.46 GiB) after 4.4 min"), "{sentence}");
    assert!(sentence.contains("allkeys-lru evicts 381\u{202f}451 keys for 29.5 s in all"), "{sentence}");
    let end = findings.shown().end.used_memory;
    assert!(sentence.contains(&format!("{} of used_memory at the end", capsim::units::Bytes(end))), "{sentence}");
    assert_eq!(findings.verdict.driver, "client output buffers");
    assert!(findings.recommendation.maxmemory > findings.shown().peak.used_memory);
    // No fork: the page tables are the server's alone.
    assert!(findings.host.budget.iter().any(|line| line.part == "page tables" && line.why == "of the server"));
}

#[test]
fn memory_that_falls_after_its_peak_does_not_still_grow_and_is_fragmented() {
    let scaled =
        [("keyspace.profile.keys", "60_000"), ("traffic.0.rate", "1000"), ("keyspace.profile.preload.keys", "60_000")];
    for overrides in [&scaled[..], &[]] {
        let findings = of_folder("frag-size-shift", overrides);
        let sentence = &findings.verdict.sentence;
        assert!(!sentence.contains("still grows") && !sentence.contains("levelled off"), "{sentence}");
        assert!(findings.verdict.reasons.iter().all(|reason| !reason.contains("still growing")));
        if overrides.is_empty() {
            assert_eq!((findings.verdict.driver, findings.verdict.ledger_driver), ("fragmentation", "values"));
            assert!(sentence.contains("are fragmentation."), "{sentence}");
            assert!(text(&findings).contains("driven by fragmentation"));
        }
    }
}

#[test]
fn copies_drive_the_host_and_values_the_ledger() {
    let findings = of_folder("cow-bgsave", &[]);
    assert_eq!((findings.verdict.driver, findings.verdict.ledger_driver), ("copy-on-write", "values"));
    assert_eq!(summary(&findings)["verdict"]["driver"], "copy-on-write");
    let text = text(&findings);
    assert!(text.contains("of used_memory after 1 s, driven by values"), "{text}");
    assert!(text.contains("of it copy-on-write, driven by copy-on-write"), "{text}");
    assert!(text.contains("While a child lives the kernel counts 845.9 MiB, 297.5 MiB of it copy-on-write."), "{text}");
    assert!(text.contains("it wins over the 487mb above"), "{text}");
}

#[test]
fn the_second_oom_tells_of_the_first_and_needs_the_snapshot() {
    let findings = of_folder("two-ooms", &[]);
    let sentence = &findings.verdict.sentence;
    assert!(sentence.contains("OOM killer takes the server") && sentence.contains("copy-on-write 20"), "{sentence}");
    assert!(sentence.contains("Before that Redis itself refused 233\u{202f}481 writes, from 5.5 min on"), "{sentence}");
    assert!(!sentence.contains("only"), "more than half of the host: {sentence}");
    let killed = findings.shown().end.at;
    // Without snapshots the host does for longer.
    let quiet = of_folder("two-ooms", &[("event.1.at", "29m"), ("event.1.every", "30m")]);
    assert!(quiet.shown().end.at > killed);
}

#[test]
fn a_host_that_has_no_room_for_an_empty_server_is_named() {
    let store = "duration = \"2s\"\n[server]\nprofile = \"redis-7.2\"\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\n\
                 keys = 10\nkey-length = 9\nvalue-size = 9\n";
    for memory in ["1", "4mb"] {
        let findings = judged(store, &[("host.memory", memory)]);
        let text = text(&findings);
        assert!(findings.verdict.sentence.contains("no server can run there"), "{text}");
        assert!(findings.verdict.reasons.iter().all(|reason| !reason.contains('%')), "{text}");
        assert!(!text.contains("00000"), "{text}");
    }
    let enough = judged(store, &[("host.memory", "10mb"), ("policy.host-utilisation", "0.99")]);
    assert!(!enough.verdict.sentence.contains("no server can run"), "{}", enough.verdict.sentence);
}

#[test]
fn an_event_that_changes_nothing_is_told() {
    let two = "duration = \"30s\"\n[server]\nprofile = \"redis-7.0\"\n[server.config]\nsave = \"\"\n[[keyspace]]\n\
               name = \"k\"\ntype = \"string\"\nkeys = 1000\nkey-length = 9\nvalue-size = 9\npreload = { share = 1.0 }\n\
               [[replica]]\nname = \"a\"\n";
    let event = |at: u64, kind: &str, more: &str| format!("[[event]]\nat = {at}\nkind = \"{kind}\"\n{more}\n");
    let events = event(1, "replica-attach", "replica = \"a\"")
        + &event(2, "replica-attach", "replica = \"a\"")
        + &event(12, "bgsave", "duration = \"9s\"")
        + &event(13, "bgsave", "")
        + &event(24, "failover", "")
        + &event(25, "failover", "replica = \"a\"")
        + &event(26, "failover", "");
    let findings = judged(&format!("{two}{events}"), &[]);
    let json = summary(&findings);
    let told: Vec<(f64, &str)> = json["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["kind"] == "no_effect")
        .map(|event| (event["at_s"].as_f64().expect("a time"), event["detail"]["why"].as_str().expect("why")))
        .collect();
    assert_eq!(
        told,
        [
            (2.0, "the replica has attached already"),
            (13.0, "a child lives already"),
            (25.0, "that replica is not in sync"),
            (26.0, "no replica is in sync"),
        ]
    );
    assert!(text(&findings).contains("an event had no effect, first after 13 s: a child lives already"));
    assert_eq!(json["end"]["events_dropped"], 0);
}

#[test]
fn the_reason_for_a_dropped_replica_is_a_word_of_the_summary() {
    let store = "duration = \"30s\"\n[server]\nprofile = \"redis-7.0\"\n[server.config]\nsave = \"\"\n\
                 client-output-buffer-limit = \"replica 2mb 0 0\"\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\n\
                 keys = 1000\nkey-length = 9\nvalue-size = 1000\npreload = { share = 1.0 }\n[[traffic]]\nkeyspace = \"k\"\n\
                 rate = 1000\ncommands = { SET = 1 }\n[[replica]]\nname = \"a\"\nstalls = [{ at = 5, for = 20 }]\n";
    let json = summary(&judged(store, &[]));
    let events = json["events"].as_array().expect("events");
    let dropped = events.iter().find(|event| event["kind"] == "replica_dropped").expect("dropped");
    assert_eq!(dropped["detail"]["reason"], "hard");
}
