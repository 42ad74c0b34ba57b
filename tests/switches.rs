//! The switches by which releases differ, as the profiles have them: a value for every release, stated once more.
//!
//! A release that is added fails here until its row is filled in from its own source.

use capsim::profile::{
    Allocator, FieldTtl, Fragmentation, KeyLayout, PROFILES, Profile, QueryBuffer, ReplicationBuffer, ShrinkRule,
    SlotIndex, TableLayout,
};
use capsim::scenario;
use capsim::sim;
use std::path::Path;

/// One switch: its name in `docs/model.md`, how a profile says it, and its value by release, in this order.
type Switch = (&'static str, fn(&Profile) -> String, [&'static str; 9]);

const RELEASES: [&str; 9] = [
    "redis-6.2",
    "redis-7.0",
    "redis-7.2",
    "redis-7.4",
    "redis-8.0",
    "redis-8.2",
    "valkey-8.0",
    "valkey-8.1",
    "valkey-9.1",
];

#[rustfmt::skip]
const SWITCHES: &[Switch] = &[
    ("evict.not_counted", |p| buffer(p, "replicas, diff", "beyond backlog"),
     ["replicas, diff", "beyond backlog", "beyond backlog", "beyond backlog", "beyond backlog", "beyond backlog", "beyond backlog", "beyond backlog", "beyond backlog"]),
    ("lru.inherit_on_overwrite", |p| p.lru_inherited_on_overwrite.to_string(),
     ["false", "false", "true", "true", "true", "true", "true", "true", "true"]),
    ("dict.avoid_ratio", |p| p.child_rules.grow_load.to_string(),
     ["6", "6", "6", "4", "4", "4", "4", "5", "5"]),
    ("dict.shrink", |p| shrink(p.shrink),
     ["cron", "cron", "cron", "12500", "12500", "12500", "12500", "13000", "13000"]),
    ("expire.cursor_order", |p| p.expire_scan_reverse_binary.to_string(),
     ["false", "false", "true", "true", "true", "true", "true", "true", "true"]),
    ("expire.db_done_stop", |p| p.expire_one_sweep.to_string(),
     ["false", "false", "false", "true", "true", "true", "true", "true", "true"]),
    ("expire.fast_percent_bug", |p| p.expire_fast_percent_bug.to_string(),
     ["true", "true", "true", "true", "true", "true", "true", "true", "true"]),
    ("hfe", |p| field_ttl(p.collections.field_ttl),
     ["none", "none", "none", "ebuckets", "ebuckets", "ebuckets", "none", "none", "volatile set"]),
    ("repl.shared_buffer", |p| buffer(p, "false", "true"),
     ["false", "true", "true", "true", "true", "true", "true", "true", "true"]),
    ("repl.diskless_default", |p| p.defaults.repl_diskless_sync.to_string(),
     ["false", "true", "true", "true", "true", "true", "true", "true", "true"]),
    ("backlog_default", |p| (p.defaults.repl_backlog_size >> 20).to_string(),
     ["1", "1", "1", "1", "1", "1", "10", "10", "10"]),
    ("lazyfree_default", |p| p.defaults.lazyfree.to_string(),
     ["false", "false", "false", "false", "false", "false", "true", "true", "true"]),
    ("aof.diff_buffer", |p| p.aof_diff_buffer.to_string(),
     ["true", "false", "false", "false", "false", "false", "false", "false", "false"]),
    ("child.dismiss", |p| p.child_dismisses.to_string(),
     ["false", "true", "true", "true", "true", "true", "true", "true", "false"]),
    ("reply_buf.adaptive", |p| p.reply_buffer_adaptive.to_string(),
     ["false", "true", "true", "true", "true", "true", "true", "true", "true"]),
    ("qbuf.shared", |p| query_buffer(p.query_buffer),
     ["greedy", "own", "own", "own", "shared", "shared", "until incomplete", "until incomplete", "shared"]),
    ("frag_ratio_def", |p| match p.fragmentation { Fragmentation::ActivePages => "active", Fragmentation::SmallSlabs => "slabs" }.to_owned(),
     ["active", "active", "active", "slabs", "slabs", "slabs", "slabs", "slabs", "slabs"]),
    ("jemalloc.quantum", |p| format!("{}/{}", p.jemalloc.quantum.bundled, p.jemalloc.quantum.system),
     ["8/16", "8/16", "8/16", "8/16", "8/16", "8/16", "8/16", "8/16", "8/16"]),
    ("jemalloc.cache_oblivious", |p| p.jemalloc.cache_oblivious.to_string(),
     ["true", "true", "false", "false", "false", "false", "false", "false", "false"]),
    ("table.kind", |p| table(p.table_layout),
     ["entries", "entries", "entries", "entries", "entries", "keys", "entries", "buckets", "buckets"]),
    ("client_eviction", |p| p.client_eviction.to_string(),
     ["false", "true", "true", "true", "true", "true", "true", "true", "true"]),
    ("key layout", |p| match p.key_layout { KeyLayout::Separate => "separate", KeyLayout::InEntry { .. } => "entry", KeyLayout::InObject(_) => "object" }.to_owned(),
     ["separate", "separate", "separate", "separate", "separate", "object", "entry", "object", "object"]),
    ("cluster.slots", |p| match p.cluster.index { SlotIndex::RadixTree => "rax", SlotIndex::EntryLinks { .. } => "links", SlotIndex::TablePerSlot => "tables" }.to_owned(),
     ["rax", "links", "links", "tables", "tables", "tables", "tables", "tables", "tables"]),
    ("cluster.databases", |p| if p.cluster.single_database { "one" } else { "all" }.to_owned(),
     ["all", "all", "one", "one", "one", "one", "one", "one", "one"]),
    ("measured", |p| (!p.measured.is_empty()).to_string(),
     ["true", "true", "true", "true", "true", "false", "true", "true", "true"]),
];

fn buffer(profile: &Profile, private: &str, shared: &str) -> String {
    if profile.replication_buffer == ReplicationBuffer::Private { private } else { shared }.to_owned()
}

fn shrink(rule: ShrinkRule) -> String {
    match rule {
        ShrinkRule::CronBelowTenth => "cron".to_owned(),
        ShrinkRule::Deletion { at, .. } => at.to_string(),
    }
}

fn field_ttl(kind: FieldTtl) -> String {
    match kind {
        FieldTtl::None => "none",
        FieldTtl::Ebuckets { .. } => "ebuckets",
        FieldTtl::VolatileSet { .. } => "volatile set",
    }
    .to_owned()
}

fn query_buffer(kind: QueryBuffer) -> String {
    match kind {
        QueryBuffer::PrivateGreedy => "greedy",
        QueryBuffer::Private => "own",
        QueryBuffer::Shared => "shared",
        QueryBuffer::SharedUntilIncomplete => "until incomplete",
    }
    .to_owned()
}

fn table(layout: TableLayout) -> String {
    match layout {
        TableLayout::Chained { .. } => "entries",
        TableLayout::ChainedKeys { .. } => "keys",
        TableLayout::Buckets => "buckets",
    }
    .to_owned()
}

#[test]
fn every_release_has_the_value_of_every_switch() {
    let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
    assert_eq!(names, RELEASES, "a release that is added needs its values here");
    for (name, value, expected) in SWITCHES {
        let values: Vec<String> = PROFILES.iter().map(value).collect();
        assert_eq!(values, expected, "{name}");
    }
}

#[test]
fn the_documentation_lists_every_switch() {
    let text = include_str!("../docs/model.md");
    for (name, _, _) in SWITCHES.iter().filter(|(name, _, _)| name.contains(['.', '_']) || *name == "hfe") {
        assert!(text.contains(&format!("| `{name}` |")), "docs/model.md has no row of {name}");
    }
}

/// A server that is filled, and rests.
fn run(profile: &str, server: &str, keys: u32) -> capsim::record::Run {
    let text = format!(
        "duration = \"20s\"\nsample-interval = \"1s\"\n[server]\nprofile = \"{profile}\"\n{server}\n[[keyspace]]\nname = \"k\"\n\
         type = \"string\"\nkeys = {keys}\nkey-length = 16\nvalue-size = 100\n[[event]]\nat = 0\nkind = \"fill\"\n\
         keyspace = \"k\"\nkeys = {keys}\nrate = 100000\n"
    );
    let input = scenario::Input { name: "switches", text: &text, overrides: &[], base: Path::new(".") };
    let scenario = match scenario::parse(&input, &|_| Err(std::io::ErrorKind::NotFound.into())) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}"),
    };
    sim::run_one(&scenario, 0, &[], &sim::Unwatched).expect("a run")
}

fn refusal(profile: &str, config: &str) -> String {
    let text = format!(
        "duration = \"1s\"\n[server]\nprofile = \"{profile}\"\n[server.config]\n{config}\n[[keyspace]]\nname = \"k\"\n\
         type = \"string\"\nkeys = 10\nkey-length = 16\nvalue-size = 100\n"
    );
    let input = scenario::Input { name: "switches", text: &text, overrides: &[], base: Path::new(".") };
    match scenario::parse(&input, &|_| Err(std::io::ErrorKind::NotFound.into())) {
        Ok(scenario) => scenario.warnings.join("\n"),
        Err(error) => error.to_string(),
    }
}

const CLUSTER: &str = "[server.config]\nsave = \"\"\ncluster-enabled = \"yes\"";

#[test]
fn fragmentation_is_pages_before_7_4_and_free_places_since() {
    let keys = 100_000;
    let end = |profile: &str| run(profile, "", keys).end.allocator;
    let (before, since) = (end("redis-7.2"), end("redis-7.4"));
    assert_eq!(before.frag_bytes, before.active - before.allocated);
    assert!(since.frag_bytes < since.active - since.allocated, "{since:?}");
    assert!(before.frag_ratio() > since.frag_ratio());
}

#[test]
fn the_quantum_moves_what_keys_cost() {
    let used = |allocator: Allocator| {
        let run = run("redis-7.0", &format!("allocator = \"{}\"", allocator.name()), 100_000);
        run.end.used_memory - run.used_memory_startup
    };
    // An entry of 24 bytes costs 32, a key string of 18 costs 32, not 24.
    let more = used(Allocator::System) - used(Allocator::Bundled);
    assert!((1_600_000..1_610_000).contains(&more), "{more}");
}

#[test]
fn entries_of_7_0_know_their_slot_in_cluster_mode() {
    let (plain, cluster) = (run("redis-7.0", "", 100_000), run("redis-7.0", CLUSTER, 100_000));
    assert_eq!(cluster.used_memory_startup - plain.used_memory_startup, 723_960);
    assert_eq!(cluster.end.used_memory - plain.end.used_memory, 723_960 + 16 * 100_000);
    assert_eq!(cluster.end.used_memory_overhead - plain.end.used_memory_overhead, 723_960 + 16 * 100_000);
}

#[test]
fn slots_of_8_0_have_tables_of_their_own() {
    let (plain, cluster) = (run("redis-8.0", "", 100_000), run("redis-8.0", CLUSTER, 100_000));
    let startup = cluster.used_memory_startup - plain.used_memory_startup;
    let more = cluster.end.used_memory - plain.end.used_memory - startup;
    // Of 16 384 slots 16 347 hold a key, each with a struct of 2464 in 2560; arrays of 1.08 MB for one of 1.05 MB.
    let expected = 16_347 * 2_560;
    assert!(more.abs_diff(expected) < 200_000, "{more}, about {expected}");
}

#[test]
fn what_is_not_modelled_or_not_measured_of_cluster_mode_is_said() {
    let yes = "cluster-enabled = \"yes\"";
    assert!(refusal("redis-6.2", yes).contains("radix tree, which is not modelled"), "{}", refusal("redis-6.2", yes));
    let evicting = format!("{yes}\nmaxmemory = \"1gb\"\nmaxmemory-policy = \"allkeys-lru\"");
    assert!(refusal("redis-8.0", &evicting).contains("expected maxmemory-policy noeviction"));
    assert!(!refusal("redis-7.0", &evicting).contains("cluster"), "7.0 has one table");
    for (profile, said) in [("redis-7.0", false), ("redis-7.4", true), ("redis-8.2", true), ("valkey-8.1", false)] {
        let warning =
            format!("cluster mode of {profile}: read from the server's source, not confirmed by measurements");
        assert_eq!(refusal(profile, yes).contains(&warning), said, "{profile}");
    }
    assert!(refusal("redis-8.2", "").contains("profile redis-8.2: read from the server's source, not confirmed"));
}
