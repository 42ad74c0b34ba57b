//! What users read when a scenario is wrong: every kind of mistake, as the terminal shows it.
//!
//! `INSTA_UPDATE=always` writes the snapshots anew: read the difference as the user would.

use capsim::scenario::{self, ScenarioError};
use std::io;
use std::path::Path;

/// A scenario without mistakes; cases replace parts of it.
const GOOD: &str = r#"title = "Good"
duration = "1h"

[server]
profile = "redis-7.2"

[server.config]
maxmemory = "100mb"
save = ""

[[keyspace]]
name = "session"
type = "string"
keys = 1000
key-length = 20
value-size = 100
ttl = "5m"

[[keyspace]]
name = "counter"
type = "int"
keys = 10
key-length = 8

[[clients]]
name = "app"
connections = 5

[[traffic]]
keyspace = "session"
rate = 100
commands = { GET = 9, SET = 1 }
on-miss = "SET"
clients = "app"
"#;

/// The files that scenarios of this test can include.
const FILES: &[(&str, &str)] = &[
    ("good.conf", "maxmemory 1gb\nsave \"\"\n"),
    ("save.conf", "# Snapshots\nmaxmemory 1gb\nsave 3600 1 300\n"),
    ("typo.conf", "port 6379\n  maxmemroy 1gb\n"),
    ("quotes.conf", "requirepass \"secret\nmaxmemory 1gb\n"),
    ("limit.conf", "client-output-buffer-limit replicas 256mb 64mb 60\n"),
    ("self.conf", "include self.conf\n"),
    ("ping.conf", "maxmemory 1gb\ninclude pong.conf\n"),
    ("pong.conf", "include ./ping.conf\n"),
    ("outer.conf", "include missing.conf\n"),
    ("bare.conf", "include\n"),
    ("many.conf", "include good.conf\ninclude many-more.conf\ninclude many-more.conf\n"),
    ("many-more.conf", "include fan.conf\ninclude fan.conf\ninclude fan.conf\n"),
    ("fan.conf", "include fan2.conf\ninclude fan2.conf\ninclude fan2.conf\ninclude fan2.conf\n"),
    ("fan2.conf", "include good.conf\ninclude good.conf\ninclude good.conf\ninclude good.conf\ninclude good.conf\n"),
];

fn read(path: &Path) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = FILES.iter().find(|(file, _)| *file == name);
    file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

fn parse(text: &str, overrides: &[(&str, &str)]) -> Result<scenario::Scenario, ScenarioError> {
    let overrides: Vec<(String, String)> =
        overrides.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    let input = scenario::Input { name: "s.toml", text, overrides: &overrides, base: Path::new("conf") };
    scenario::parse(&input, &read)
}

#[track_caller]
fn refused(name: &str, text: &str, overrides: &[(&str, &str)]) {
    let error = parse(text, overrides).expect_err(name);
    for problem in error.problems() {
        assert!(!problem.message().is_empty() && problem.line() >= 1 && problem.column() >= 1, "{name}");
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, error.render(false));
    });
}

/// The good scenario with one part replaced.
#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// The good scenario with something at its end.
fn added(more: &str) -> String {
    format!("{GOOD}\n{more}\n")
}

#[track_caller]
fn check_changed(cases: &[(&str, &str, &str)]) {
    for (name, from, to) in cases {
        refused(name, &changed(from, to), &[]);
    }
}

#[track_caller]
fn check_added(cases: &[(&str, &str)]) {
    for (name, more) in cases {
        refused(name, &added(more), &[]);
    }
}

/// The good scenario with another distribution of sizes.
#[track_caller]
fn check_sizes(cases: &[(&str, &str)]) {
    for (name, size) in cases {
        refused(name, &changed("value-size = 100", &format!("value-size = {size}")), &[]);
    }
}

#[test]
fn the_good_scenario_has_no_mistakes() {
    parse(GOOD, &[]).unwrap_or_else(|error| panic!("{error}"));
    let text = changed("profile = \"redis-7.2\"", "profile = \"redis-7.2\"\ninclude = \"good.conf\"");
    parse(&text, &[("keyspace.session.keys", "5000")]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn unknown_keys() {
    check_changed(&[
        ("key_top_level", "duration = ", "warm-up = \"5m\"\nduration = "),
        ("key_server", "profile = ", "profil = "),
        ("key_keyspace", "value-size = 100", "value_size = 100"),
        ("key_traffic", "on-miss = ", "onmiss = "),
        ("key_clients", "connections = 5", "connexions = 5"),
        ("key_unlike_any_other", "ttl = \"5m\"", "colour = \"blue\""),
    ]);
    check_added(&[
        ("key_event", "[[event]]\nat = \"1m\"\nkind = \"delete\"\nkeyspace = \"session\"\nshares = 0.5"),
        ("key_costs", "[costs]\nexpire-keys = \"4us\""),
        ("key_policy", "[policy]\nheadrom = [0.2, 0.5]"),
        ("key_metric", "[thresholds]\nused_memroy = [\"max<1gb\"]"),
    ]);
    check_sizes(&[("key_distribution", "{ dist = \"lognormal\", medain = 100, p99 = 400 }")]);
    refused("key_preload", &changed("ttl = \"5m\"", "preload = { shares = 0.5 }"), &[]);
}

#[test]
fn unknown_names() {
    check_changed(&[
        ("name_keyspace", "keyspace = \"session\"", "keyspace = \"sesion\""),
        ("name_command", "GET = 9", "GTE = 9"),
        ("name_on_miss", "on-miss = \"SET\"", "on-miss = \"STE\""),
        ("name_clients", "clients = \"app\"", "clients = \"apps\""),
        ("name_profile", "redis-7.2", "redis-72"),
        ("name_allocator", "profile = \"redis-7.2\"", "allocator = \"bundle\""),
        ("name_type", "type = \"string\"", "type = \"strings\""),
        ("name_popularity", "rate = 100", "rate = 100\npopularity = { dist = \"zpif\", exponent = 1 }"),
        ("name_popularity_kind", "rate = 100", "rate = 100\npopularity = 0.9"),
        ("name_popularity_needs", "rate = 100", "rate = 100\npopularity = \"zipf\""),
        ("name_rate_shape", "rate = 100", "rate = { shape = \"diurnial\", mean = 100, amplitude = 0.5 }"),
        ("name_rate_shape_missing", "rate = 100", "rate = { mean = 100 }"),
        ("name_arrivals", "rate = 100", "rate = 100\narrivals = \"poison\""),
        ("name_directive", "save = \"\"", "maxmemory-polcy = \"allkeys-lru\"\nsave = \"\""),
        ("name_policy", "save = \"\"", "maxmemory-policy = \"allkeys-lur\"\nsave = \"\""),
    ]);
    check_added(&[
        ("name_event_kind", "[[event]]\nat = \"1m\"\nkind = \"deletes\"\nkeyspace = \"session\""),
        ("name_event_keyspace", "[[event]]\nat = \"1m\"\nkind = \"delete\"\nkeyspace = \"sessions\""),
        ("name_event_order", "[[event]]\nat = \"1m\"\nkind = \"delete\"\nkeyspace = \"session\"\norder = \"randon\""),
        ("name_config_set", "[[event]]\nat = \"1m\"\nkind = \"config-set\"\nconfig = { maxmemori = \"1gb\" }"),
    ]);
    check_sizes(&[("name_distribution", "{ dist = \"log-normal\", median = 100, p99 = 400 }")]);
}

#[test]
fn wrong_types_and_values() {
    check_changed(&[
        ("type_duration", "duration = \"1h\"", "duration = [1]"),
        ("type_keys", "keys = 1000", "keys = \"many\""),
        ("type_keys_fraction", "keys = 1000", "keys = 1.5"),
        ("type_name", "name = \"session\"", "name = 5"),
        ("type_commands", "{ GET = 9, SET = 1 }", "[\"GET\"]"),
        ("type_server", "[server]\nprofile = \"redis-7.2\"\n\n[server.config]", "[[server]]\n[server.config]"),
        ("type_keyspace", "[[keyspace]]\nname = \"session\"", "[keyspace]\nname = \"session\""),
        ("type_date", "title = \"Good\"", "title = 2024-01-01"),
        ("value_name_empty", "name = \"session\"", "name = \"\""),
        ("value_name_control", "name = \"session\"", "name = \"a\\u001b[31mb\""),
        ("value_duration", "duration = \"1h\"", "duration = \"15 parsecs\""),
        ("value_duration_zero", "duration = \"1h\"", "duration = 0"),
        // Nothing is said of the interval, which would be too short for the longest run.
        ("value_duration_compound", "duration = \"1h\"", "duration = \"1h-5m\"\nsample-interval = \"1s\""),
        ("value_duration_negative", "duration = \"1h\"", "duration = -3"),
        ("value_size", "value-size = 100", "value-size = \"10 stones\""),
        ("value_size_negative", "value-size = 100", "value-size = -1"),
        ("value_rate", "rate = 100", "rate = \"100 per second\""),
        ("value_rate_negative", "rate = 100", "rate = -100"),
        ("value_rate_nan", "rate = 100", "rate = nan"),
        ("value_rate_inf", "rate = 100", "rate = inf"),
        ("value_weight_negative", "SET = 1 }", "SET = -1 }"),
        ("value_weights_zero", "{ GET = 9, SET = 1 }", "{ GET = 0, SET = 0.0 }"),
        ("value_weight_nan", "SET = 1 }", "SET = nan }"),
        ("value_ttl", "ttl = \"5m\"", "ttl = \"forever\""),
        ("value_ttl_zero", "ttl = \"5m\"", "ttl = 0"),
        ("value_start_of_day", "title = \"Good\"", "start-of-day = \"25:00\""),
    ]);
}

#[test]
fn limits_are_checked_before_memory_is_taken() {
    check_changed(&[
        ("limit_keys", "keys = 1000", "keys = 1_000_000_000_000_000_000"),
        ("limit_keys_float", "keys = 1000", "keys = 1e18"),
        ("limit_keys_overflow", "keys = 1000", "keys = 99999999999999999999999999999999999999999999"),
        ("limit_keys_memory", "keys = 1000", "keys = 1_000_000_000"),
        ("limit_keys_zero", "keys = 1000", "keys = 0"),
        ("limit_duration", "duration = \"1h\"", "duration = \"365000000000d\""),
        ("limit_duration_seconds", "duration = \"1h\"", "duration = 31536000000000000"),
        ("limit_rate", "rate = 100", "rate = 1e30"),
        ("limit_rate_unit", "rate = 100", "rate = \"99999G/s\""),
        ("limit_key_length_zero", "key-length = 20", "key-length = 0"),
        ("limit_key_length", "key-length = 20", "key-length = 1_000_000_000"),
        ("limit_value_size", "value-size = 100", "value-size = \"513mb\""),
        ("limit_connections", "connections = 5", "connections = 10_001"),
        ("limit_pipeline", "connections = 5", "pipeline = 1_000_000"),
        ("limit_runs", "title = \"Good\"", "runs = 0"),
        ("limit_runs_memory", "title = \"Good\"", "runs = 10_000\nsample-interval = \"1s\""),
        ("limit_samples", "duration = \"1h\"", "duration = \"365d\"\nsample-interval = \"1s\""),
        ("limit_seed", "title = \"Good\"", "seed = -1"),
        ("limit_warmup", "title = \"Good\"", "warmup = \"2h\""),
    ]);
    let text = changed("maxmemory = \"100mb\"\n", "").replace("ttl = \"5m\"\n", "");
    refused("limit_new_keys", &text.replace("rate = 100", "rate = 1_000_000\npopularity = \"new\""), &[]);
    let text = changed("duration = \"1h\"", "duration = \"36500d\"");
    refused("limit_requests", &text.replace("rate = 100", "rate = 1_000_000_000"), &[]);
    check_added(&[
        ("limit_events", "[[event]]\nevery = \"1ms\"\nkind = \"flushall\""),
        ("limit_surges", "[[event]]\nevery = \"1s\"\nkind = \"traffic\"\nmultiply = 2\nfor = \"1h\""),
        (
            "limit_load_time",
            "[[keyspace]]\nname = \"slow\"\ntype = \"int\"\nkeys = 1000\nkey-length = 9\n\
             preload = { share = 1, by = \"commands\", load-rate = 0.00001 }",
        ),
    ]);
}

#[test]
fn distributions() {
    check_sizes(&[
        ("dist_p99_below_median", "{ dist = \"lognormal\", median = 400, p99 = 300 }"),
        ("dist_p99_and_sigma", "{ dist = \"lognormal\", median = 400, p99 = 500, sigma = 1 }"),
        ("dist_min_above_max", "{ dist = \"uniform\", min = 10, max = 5 }"),
        ("dist_missing", "{ dist = \"uniform\", min = 10 }"),
        ("dist_no_name", "{ min = 10, max = 20 }"),
        ("dist_choice_empty", "{ dist = \"choice\", values = [] }"),
        ("dist_choice_weights", "{ dist = \"choice\", values = [1, 2], weights = [1] }"),
        ("dist_choice_weights_zero", "{ dist = \"choice\", values = [1, 2], weights = [0, 0] }"),
        ("dist_quantiles_unsorted", "{ dist = \"quantiles\", points = [[0.0, 10], [0.9, 5], [0.5, 20], [1.0, 99]] }"),
        ("dist_quantiles_pair", "{ dist = \"quantiles\", points = [[0.0, 10], [1.0]] }"),
        ("dist_histogram_edges", "{ dist = \"histogram\", edges = [10, 5, 20], weights = [1, 1] }"),
        ("dist_tail_too_large", "{ dist = \"pareto\", min = 10, alpha = 1, max = \"1gb\" }"),
        ("dist_heavy_tail", "{ dist = \"gpd\", location = 1, scale = -5, shape = 0.5, max = 100 }"),
        ("dist_none", "{ dist = \"none\" }"),
        ("dist_mix_empty", "{ mix = [] }"),
        ("dist_mix_weight_missing", "{ mix = [{ dist = \"fixed\", value = 5 }] }"),
        ("dist_mix_weight_zero", "{ mix = [{ weight = 0, dist = \"fixed\", value = 5 }] }"),
        ("dist_mix_in_mix", "{ mix = [{ weight = 1, mix = [] }] }"),
        ("dist_jitter", "{ dist = \"fixed\", value = 5, jitter = 1.5 }"),
    ]);
    check_changed(&[
        ("dist_key_length_choice", "key-length = 20", "key-length = { dist = \"choice\", values = [0, 10] }"),
        ("dist_exponent", "rate = 100", "rate = 100\npopularity = { dist = \"zipf\", exponent = -1 }"),
        ("dist_ramp", "rate = 100", "rate = { shape = \"ramp\", points = [[\"1h\", 5], [\"0s\", 1]] }"),
    ]);
}

#[test]
fn replicas_that_cannot_be() {
    check_added(&[
        ("replica_link", "[[replica]]\nname = \"r\"\nlink = \"fast\""),
        ("replica_key", "[[replica]]\nname = \"r\"\nlinc = \"1mb/s\""),
        ("replica_nameless", "[[replica]]\nlink = \"1mb/s\""),
        ("failover_without_replica", "[[event]]\nat = \"1m\"\nkind = \"failover\""),
        (
            "replica_attach_unknown",
            "[[replica]]\nname = \"one\"\n[[event]]\nat = \"1m\"\nkind = \"replica-attach\"\nreplica = \"onne\"",
        ),
    ]);
    check_changed(&[("directive_repl_backlog", "save = \"\"", "save = \"\"\nrepl-backlog-size = \"a lot\"")]);
}

#[test]
fn machines_that_cannot_be() {
    check_added(&[
        ("host_memory", "[host]\nmemory = \"lots\""),
        ("host_huge_pages", "[host]\ntransparent-hugepages = \"allways\""),
        ("host_overcommit", "[host]\novercommit-memory = 3"),
        ("host_snapshot_rate", "[host]\nsnapshot-rate = \"60mb\""),
        ("host_too_large", "[host]\nmemory = \"2000000gb\""),
        ("host_snapshot_rate_zero", "[host]\nsnapshot-rate = \"0b/s\""),
        ("host_disk_rate_zero", "[host]\ndisk-rate = 0"),
        ("host_network_rate", "[host]\nnetwork-rate = \"2 parsecs\""),
        (
            "failover_to_nobody",
            "[[replica]]\nname = \"one\"\n[[event]]\nat = 1\nkind = \"failover\"\nreplica = \"ona\"",
        ),
        ("host_key", "[host]\nmemori = \"2gb\""),
        ("bgsave_duration", "[[event]]\nat = \"1m\"\nkind = \"bgsave\"\nduration = \"0s\""),
        ("policy_host_utilisation", "[policy]\nhost-utilisation = 1.5"),
    ]);
}

#[test]
fn connections_and_channels() {
    let group = |keys: &str| format!("[[clients]]\nname = \"subscribers\"\nclass = \"pubsub\"\n{keys}");
    let channel = |keys: &str| format!("{}\n[[channel]]\n{keys}", group(""));
    check_added(&[
        ("client_class", "[[clients]]\nname = \"a\"\nclass = \"pubsubs\""),
        ("client_read_rate", &group("read-rate = \"2mb\"")),
        ("client_read_rate_negative", &group("read-rate = -1")),
        ("client_socket_buffer", &group("socket-buffer = \"1 parsec\"")),
        ("client_stalls", &group("stalls = [ { at = \"1m\", fro = \"2m\" } ]")),
        ("client_stall_after_the_end", &group("stalls = [ { at = \"40d\", for = \"2m\" } ]")),
        ("client_pipeline", &group("pipeline = 5")),
        ("client_reconnect", "[[clients]]\nname = \"a\"\nreconnect = \"5s\""),
        ("key_stalls", &group("stals = []")),
        ("channel_empty", &channel("name = \"news\"")),
        ("channel_name", &channel("name = \"\"\nsubscribers = \"subscribers\"\nrate = 1\nmessage-size = 1")),
        ("channel_subscribers", &channel("name = \"n\"\nsubscribers = \"subscriber\"\nrate = 1\nmessage-size = 1")),
        (
            "channel_twice",
            &channel("name = \"n\"\nsubscribers = [\"subscribers\", \"subscribers\"]\nrate = 1\nmessage-size = 1"),
        ),
        ("channel_rate", &channel("name = \"n\"\nsubscribers = \"subscribers\"\nrate = \"1mb/s\"\nmessage-size = 1")),
        ("channel_size", &channel("name = \"n\"\nsubscribers = \"subscribers\"\nrate = 1\nmessage-size = \"1gb\"")),
        ("channel_key", &channel("name = \"n\"\nsubscribers = \"subscribers\"\nrate = 1\nmesage-size = 1")),
    ]);
    check_changed(&[("directive_maxmemory_clients", "save = \"\"", "save = \"\"\nmaxmemory-clients = \"101%\"")]);
}

#[test]
fn collections_that_cannot_be() {
    let keyspace = |rest: &str| format!("[[keyspace]]\nname = \"c\"\nkeys = 10\nkey-length = 8\n{rest}");
    let traffic = |kind: &str, rest: &str| {
        let of = keyspace(&format!("type = \"{kind}\""));
        format!("{of}\n[[traffic]]\nkeyspace = \"c\"\nrate = 1\n{rest}")
    };
    let hash = |rest: &str| {
        let of = keyspace("type = \"hash\"\nfield-length = 8\nvalue-size = 8");
        format!("{of}\nttl = \"1h\"\n[[traffic]]\nkeyspace = \"c\"\nrate = 1\n{rest}")
    };
    let newer = changed("profile = \"redis-7.2\"", "profile = \"redis-7.4\"");
    refused("field_ttl_missing", &format!("{newer}\n{}", hash("commands = { HEXPIRE = 1 }")), &[]);
    check_changed(&[
        ("hash_without_fields", "type = \"string\"", "type = \"hash\""),
        ("elements_of_strings", "value-size = 100", "value-size = 100\nelements = 5"),
        ("command_of_other_type", "GET = 9", "HGETALL = 9"),
    ]);
    check_added(&[
        ("set_value_size", &keyspace("type = \"set\"\nmember-length = 8\nvalue-size = 5")),
        ("set_member_zero", &keyspace("type = \"set\"\nmember-length = 0")),
        ("list_member", &keyspace("type = \"list\"\nvalue-size = 8\nmember-length = 5")),
        ("elements_many", &keyspace("type = \"list\"\nvalue-size = 8\nelements = 2_000_000_000")),
        ("elements_negative", &keyspace("type = \"list\"\nvalue-size = 8\nelements = -1")),
        ("score_word", &keyspace("type = \"zset\"\nmember-length = 8\nscore = \"rising\"")),
        ("score_step", &keyspace("type = \"zset\"\nmember-length = 8\nscore = { step = \"a\" }")),
        ("stream_fields", &keyspace("type = \"stream\"\nvalue-size = 8\nfields = 0")),
        ("size_drawn_of_lists", &keyspace("type = \"list\"\nvalue-size = 8\nsize-drawn = \"write\"")),
        ("get_of_a_list", &traffic("list", "commands = { GET = 1 }").replace("\"list\"", "\"list\"\nvalue-size = 8")),
        ("elements_word", &traffic("intset", "commands = { SADD = 1 }\nelements = \"some\"")),
        ("elements_share", &traffic("intset", "commands = { SADD = 1 }\nelements = { new = 2 }")),
        ("field_ttl_of_an_old_release", &hash("commands = { HEXPIRE = 1 }\nttl = \"1h\"")),
        ("pfadd_of_a_string", &traffic("intset", "commands = { PFADD = 1 }")),
        ("get_of_a_hyperloglog", &traffic("hyperloglog", "commands = { GET = 1 }")),
        ("hyperloglog_value_size", &keyspace("type = \"hyperloglog\"\nvalue-size = 5")),
        (
            "hyperloglog_popularity",
            &traffic("hyperloglog", "commands = { PFADD = 1 }\nelement-popularity = \"uniform\""),
        ),
        ("trim_unused", &traffic("intset", "commands = { SADD = 1 }\ntrim = 5")),
        (
            "overwrite_of_sets",
            &format!("{}\n[[event]]\nat = 1\nkind = \"overwrite\"\nkeyspace = \"c\"", keyspace("type = \"intset\"")),
        ),
    ]);
}

#[test]
fn what_is_not_modelled_says_so() {
    check_changed(&[("planned_scale", "title = \"Good\"", "scale = 0.1")]);
    check_added(&[
        ("planned_trace", "[[trace]]\npath = \"t.csv\"\nformat = \"csv\""),
        ("planned_flushall_async", "[[event]]\nat = \"1m\"\nkind = \"flushall\"\nasync = true"),
        ("planned_config_set", "[[event]]\nat = \"1m\"\nkind = \"config-set\"\nconfig = { list-compress-depth = 5 }"),
    ]);
    let scenario = parse(&changed("save = \"\"", "save = \"\"\nlist-compress-depth = 1"), &[]);
    let warnings = scenario.unwrap_or_else(|error| panic!("{error}")).warnings;
    assert!(
        warnings.iter().any(|w| w.contains("list-compress-depth") && w.contains("not modelled yet")),
        "{warnings:?}"
    );
}

#[test]
fn what_has_no_effect_is_refused() {
    check_changed(&[
        ("unused_base", "ttl = \"5m\"", "base = 5"),
        ("unused_value_size", "keys = 10\n", "keys = 10\nvalue-size = 5\n"),
        ("unused_write_size", "rate = 100", "rate = 100\nwrite-size = 10"),
        ("unused_offset", "rate = 100", "rate = 100\noffset = 10"),
        ("unused_from", "rate = 100", "rate = 100\nfrom = \"30m\"\nuntil = \"20m\""),
        ("unused_on_miss", "GET = 9, SET = 1", "SET = 1"),
        ("unused_on_miss_read", "on-miss = \"SET\"", "on-miss = \"GET\""),
        ("command_of_another_type", "GET = 9", "INCR = 9"),
    ]);
    let text = changed("ttl = \"5m\"", "").replace("SET = 1", "EXPIRE = 1");
    refused("command_without_ttl", &text, &[]);
    let event = "[[event]]\nat = \"1m\"\nkind = \"size-change\"\nkeyspace = \"counter\"\nvalue-size = 5";
    check_added(&[("unused_size_change", event)]);
}

#[test]
fn missing_and_doubled() {
    refused("empty", "", &[]);
    refused("missing_duration", &changed("duration = \"1h\"\n", ""), &[]);
    check_changed(&[
        ("missing_name", "name = \"session\"\n", ""),
        ("missing_type", "type = \"string\"\n", ""),
        ("missing_value_size", "value-size = 100\n", ""),
        ("missing_commands", "commands = { GET = 9, SET = 1 }\n", ""),
        ("missing_rate", "rate = 100\n", ""),
        ("doubled_name", "name = \"counter\"", "name = \"session\""),
        ("doubled_key", "keys = 1000", "keys = 1000\nkeys = 2000"),
        ("preload_nothing", "ttl = \"5m\"", "preload = { by = \"rdb\" }"),
        ("preload_both", "ttl = \"5m\"", "preload = { share = 0.5, keys = 5 }"),
        ("preload_load_rate", "ttl = \"5m\"", "preload = { share = 0.5, load-rate = 5 }"),
        ("preload_no_load_rate", "ttl = \"5m\"", "preload = { share = 0.5, by = \"commands\" }"),
        ("preload_too_many", "ttl = \"5m\"", "preload = { keys = 1001 }"),
    ]);
    check_added(&[
        ("missing_event_kind", "[[event]]\nat = \"1m\""),
        ("missing_event_time", "[[event]]\nkind = \"flushall\""),
        ("missing_event_for", "[[event]]\nat = \"1m\"\nkind = \"traffic\"\nmultiply = 2"),
    ]);
}

#[test]
fn syntax() {
    check_changed(&[
        ("syntax_quote", "title = \"Good\"", "title = \"Good"),
        ("syntax_bracket", "[[keyspace]]", "[[keyspace]"),
        ("syntax_no_value", "duration = \"1h\"", "duration ="),
        ("syntax_unit_without_quotes", "duration = \"1h\"", "duration = 1h"),
    ]);
    refused("syntax_not_toml", "{\"duration\": \"1h\"}\n", &[]);
    refused("syntax_unicode", "dürätion = \"1h\"\n日本 = 5\n", &[]);
    refused("syntax_control_characters", "title = \"a\u{1b}[31mred\"\nduration = \"1h\"\n", &[]);
    refused("syntax_nul_in_number", &changed("keys = 1000", "keys = 10\u{0}00"), &[]);
    refused(
        "syntax_turned_text",
        &changed("\"session\"", "\"a\u{202e}b\"").replace("rate = 100", "rate = \"\u{202e}5\""),
        &[],
    );
    let long = format!("duration = \"1h\"\n{} = 1 # {}\n", "k".repeat(5000), "x".repeat(5000));
    refused("syntax_long_line", &long, &[]);
    let many: String = (0..30).map(|i| format!("key{i} = {i}\n")).collect();
    let error = parse(&format!("duration = \"1h\"\n{many}"), &[]).expect_err("wrong");
    assert_eq!((error.problems().count(), error.omitted()), (20, 10));
    assert!(error.render(false).ends_with("… and 10 more\n"));
}

#[test]
fn events_and_thresholds() {
    let flush = |when: &str| format!("[[event]]\n{when}\nkind = \"flushall\"");
    for (name, when) in [
        ("event_after_the_end", "at = \"2h\""),
        ("event_daily_25", "at = \"daily 25:00\""),
        ("event_daily_after_the_end", "at = \"daily 03:00\""),
        ("event_daily_and_every", "at = \"daily 00:10\"\nevery = \"1m\""),
        ("event_every_zero", "every = 0"),
        ("event_every_too_long", "every = \"2h\""),
        ("event_at_words", "at = \"tomorrow\""),
    ] {
        refused(name, &added(&flush(when)), &[]);
    }
    check_added(&[
        ("event_share", "[[event]]\nat = \"1m\"\nkind = \"delete\"\nkeyspace = \"session\"\nshare = 30"),
        ("event_fill_rate", "[[event]]\nat = \"1m\"\nkind = \"fill\"\nkeyspace = \"session\"\nrate = 0"),
        ("event_multiply", "[[event]]\nat = \"1m\"\nkind = \"traffic\"\nmultiply = inf\nfor = \"1m\""),
        ("event_config_fixed", "[[event]]\nat = \"1m\"\nkind = \"config-set\"\nconfig = { databases = 5 }"),
        (
            "event_config_value",
            "[[event]]\nat = \"1m\"\nkind = \"config-set\"\nconfig = { maxmemory = [\"1gb\", \"2gb\"] }",
        ),
        ("threshold_comparison", "[thresholds]\nused_ratio = [\"max=0.85\"]"),
        ("threshold_aggregation", "[thresholds]\nused_ratio = \"maximum<0.85\""),
        ("threshold_percentile", "[thresholds]\nused_ratio = \"p(101)<0.85\""),
        ("threshold_value", "[thresholds]\nused_memory = \"max<lots\""),
        ("threshold_for", "[thresholds]\nused_ratio = \"max<0.85 for ever\""),
        ("policy_headroom", "[policy]\nheadroom = [0.5, 0.25]"),
        ("cost_value", "[costs]\nexpire-key = \"4 moments\""),
    ]);
}

#[test]
fn directives() {
    check_changed(&[
        ("directive_maxmemory", "maxmemory = \"100mb\"", "maxmemory = \"100 elephants\""),
        ("directive_maxmemory_fraction", "maxmemory = \"100mb\"", "maxmemory = \"1.5gb\""),
        ("directive_maxmemory_float", "maxmemory = \"100mb\"", "maxmemory = 1.5"),
        ("directive_maxmemory_list", "maxmemory = \"100mb\"", "maxmemory = [\"1gb\", \"2gb\"]"),
        ("directive_maxmemory_empty_list", "maxmemory = \"100mb\"", "maxmemory = []"),
        ("directive_hz", "maxmemory = \"100mb\"", "hz = 1000"),
        ("directive_switch", "maxmemory = \"100mb\"", "dynamic-hz = \"perhaps\""),
        ("directive_save", "save = \"\"", "save = \"3600 1 300\""),
        ("directive_buffer_limit", "save = \"\"", "client-output-buffer-limit = [\"replicas 1mb 1mb 60\"]"),
    ]);
}

#[test]
fn included_files() {
    for name in ["save", "typo", "quotes", "limit", "self", "ping", "outer", "bare", "many"] {
        let include = format!("profile = \"redis-7.2\"\ninclude = [\"{name}.conf\"]");
        refused(&format!("include_{name}"), &changed("profile = \"redis-7.2\"", &include), &[]);
    }
    check_changed(&[
        ("include_missing", "profile = \"redis-7.2\"", "include = [\"good.conf\", \"nowhere.conf\"]"),
        ("include_type", "profile = \"redis-7.2\"", "include = 5"),
    ]);
}

#[test]
fn overrides() {
    for (name, path, value) in [
        ("set_unknown_key", "keyspace.session.keyz", "5"),
        ("set_unknown_name", "keyspace.sesion.keys", "5"),
        ("set_unknown_index", "traffic.7.rate", "5"),
        ("set_no_list", "event.0.at", "5"),
        ("set_into_a_value", "duration.hours", "5"),
        ("set_empty_path", "", "5"),
        ("set_dots", "keyspace..keys", "5"),
        ("set_value", "keyspace.session.keys", "many"),
        ("set_value_unit", "duration", "15 parsecs"),
        ("set_directive", "server.config.maxmemroy", "1gb"),
        ("set_list_index", "keyspace.session.ttl.mix.0.weight", "2"),
        ("set_control", "keyspace.session.\u{1b}[31mred", "\u{1b}[0m"),
    ] {
        refused(name, GOOD, &[(path, value)]);
    }
}
