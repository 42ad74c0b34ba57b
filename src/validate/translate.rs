//! A measured case as a scenario, in the text that a user would write.

use super::measurement::{Case, Measurement};
use super::pubsub;
use crate::profile::{Profile, SlotIndex};
use serde_json::Value;
use std::fmt::Write as _;

/// Where a translation says when a load begins.
pub(super) const BEGIN: &str = "at = \"0ms\"";
/// A curve is compared nearly key by key.
const LOAD_SAMPLE: &str = "2ms";

/// The measuring client loads this many keys a second where the record does not say.  *measured*: `dict-growth`,
/// 1.2 M keys in 5.1 s, the same on three servers.
const LOAD_RATE: f64 = 235_000.0;

/// After loading, the server is read once `used_memory` has stood still for this long (s).  Source: `measure.py`,
/// `settle`.
const SETTLE_SECONDS: f64 = 0.7;

/// The same with tables by slot (s): `used_memory` moves with each that cron moves, so it stands still once all are.
/// *assumed*: longer changes nothing.
const SETTLE_SLOTS_SECONDS: f64 = 5.0;

/// Elements of a collection that one command brings.  Source: `measure.py`, `commands_for`.
pub(super) const BATCH: u64 = 500;
/// Times a second that a string grows, and the rest before a key is looked at: client buffers are given back (µs).
const APPEND_RATE: u64 = 100_000;
const GROW_REST_US: u64 = 4_000_000;

/// A pause of the client between two bursts of writes (s).  Source: `measure.py`, `run_expiry`: sleeps 5 ms, and works.
const BURST_SECONDS: f64 = 0.006;

/// What is simulated for a measurement.
#[derive(Debug, Clone)]
pub(super) struct Translation {
    /// The scenario.
    pub(super) toml: String,
    /// Times of the record begin this much before the run (s).
    pub(super) offset_s: f64,
}

/// The scenario of a measurement; `None` for kinds and types that are not modelled yet.
pub(super) fn translate(measurement: &Measurement) -> Option<Translation> {
    let case = &measurement.case;
    let mut toml = String::new();
    let mut offset_s = 0.0;
    match case.kind.as_str() {
        "static" => load_case(measurement, &mut toml)?,
        "cache" => cache_case(case, &mut toml)?,
        "cow" => super::cow::translate(measurement, &mut toml)?,
        "expiry" => offset_s = expiry_case(measurement, &mut toml)?,
        "replica" => super::replica::translate(measurement, &mut toml)?,
        "churn" => super::churn::translate(measurement, &mut toml)?,
        "pubsub" => pubsub::scenario(measurement, &mut toml)?,
        _ => super::mechanisms::translate(measurement, &mut toml)?,
    }
    let (profile, allocator) = measurement.server_names();
    // One that is no number is refused with the scenario.
    let seed = case.parameters.get("seed").map_or_else(|| "1".to_owned(), inline);
    let title = toml::Value::from(format!("{} on {}", case.name, measurement.server));
    let head = format!("title = {title}\nseed = {seed}\n");
    let server = format!("\n[server]\nprofile = \"{profile}\"\nallocator = \"{allocator}\"\n\n[server.config]\n");
    toml = head + &toml + &server + &config(case);
    Some(Translation { toml, offset_s })
}

/// The scenario in which one key of a `grow` case gets `elements` elements, by a command each.
pub(super) fn grow(measurement: &Measurement, elements: u64) -> Option<Translation> {
    let case = &measurement.case;
    let appends = case.text("type")? == "append";
    let micros = if appends { elements * 1_000_000 / APPEND_RATE } else { 0 };
    let mut toml = format!("seed = 1\nduration = \"{}us\"\nsample-interval = \"1s\"\n", micros + GROW_REST_US);
    keyspace(case, 1.0, &mut toml)?;
    let _ = if appends {
        writeln!(
            toml,
            "\n[[traffic]]\nkeyspace = \"k\"\nrate = {APPEND_RATE}\narrivals = \"deterministic\"\nuntil = \"{micros}us\"\n\
             commands = {{ APPEND = 1 }}\nwrite-size = {}",
            case.number("value_len")?
        )
    } else {
        writeln!(
            toml,
            "elements = {elements}\n\n[[event]]\nat = 0\nkind = \"fill\"\nkeyspace = \"k\"\nkeys = 1\nbatch = 1\nrate = 10"
        )
    };
    let (profile, allocator) = measurement.server_names();
    let server = format!("\n[server]\nprofile = \"{profile}\"\nallocator = \"{allocator}\"\n\n[server.config]\n");
    Some(Translation { toml: toml + &server + &config(case), offset_s: 0.0 })
}

/// The load of a `static` case: `fill` at the recorded speed, then a time of rest.
fn load_case(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let keys = case.number("n")?;
    let last = measurement.curve().last().copied();
    let rate = last.map_or(LOAD_RATE, |[loaded, _, seconds]| loaded / seconds);
    let elements = case.number("elements").unwrap_or(1.0);
    // A key of many elements is loaded as slowly as so many strings.
    let rate = rate / elements.max(1.0);
    let loading = keys / rate;
    let by_slot = Profile::find(&measurement.server_names().0)
        .is_some_and(|profile| profile.cluster.index == SlotIndex::TablePerSlot);
    let cluster = case.parameters.get("config").is_some_and(|config| config.get("cluster-enabled").is_some());
    let settle = if cluster && by_slot { SETTLE_SLOTS_SECONDS } else { SETTLE_SECONDS };
    let _ = writeln!(toml, "duration = \"{:.0}ms\"", (loading + settle) * 1000.0);
    let _ = writeln!(toml, "sample-interval = \"{LOAD_SAMPLE}\"");
    keyspace(case, keys, toml)?;
    let _ = writeln!(toml, "\n[[event]]\n{BEGIN}\nkind = \"fill\"\nkeyspace = \"k\"\nkeys = {keys}\nrate = {rate:.3}");
    if case.parameters.contains_key("elements") {
        let _ = writeln!(toml, "batch = {BATCH}");
    }
    Some(())
}

/// Cache-aside: reads in pipelines, and the writes that follow their misses.
fn cache_case(case: &Case, toml: &mut String) -> Option<()> {
    let _ = writeln!(toml, "duration = {}\nsample-interval = 1\n{}", case.number("duration")?, super::cache::START);
    keyspace(case, case.number("keys")?, toml)?;
    let popularity = case.parameters.get("popularity")?;
    let on_miss = if case.parameters.contains_key("ttl") { "SET EX" } else { "SET" };
    let _ = writeln!(
        toml,
        "\n[[traffic]]\nkeyspace = \"k\"\nrate = {}\narrivals = \"deterministic\"\npopularity = {}\n\
         commands = {{ STRLEN = 1 }}\non-miss = \"{on_miss}\"\nclients = \"load\"\n\n\
         [[clients]]\nname = \"load\"\npipeline = 100",
        case.number("rate")?,
        inline(popularity)
    );
    Some(())
}

/// New keys at a fixed rate; returns how long the keys loaded beforehand took (s).
fn expiry_case(measurement: &Measurement, toml: &mut String) -> Option<f64> {
    let case = &measurement.case;
    let rate = case.number("rate")?;
    let preload = case.number("preload").unwrap_or(0.0);
    let first = measurement.timeline().first().and_then(|s| s.get("t")).and_then(Value::as_f64).unwrap_or(0.0);
    let loading = if preload > 0.0 { first } else { 0.0 };
    let _ = writeln!(toml, "duration = {}\nsample-interval = \"100ms\"", case.number("duration")?);
    keyspace(case, preload.max(1.0), toml)?;
    if preload > 0.0 {
        let load_rate = preload / loading;
        let _ = writeln!(
            toml,
            "preload = {{ keys = {preload}, by = \"commands\", load-rate = {load_rate:.0}, ttl = \"full\" }}"
        );
    }
    let pipeline = (rate * BURST_SECONDS).max(1.0);
    let _ = writeln!(
        toml,
        "\n[[traffic]]\nkeyspace = \"k\"\nrate = {rate}\narrivals = \"deterministic\"\npopularity = \"new\"\n\
         commands = {{ \"SET PX\" = 1 }}\nclients = \"load\"\n\n\
         [[clients]]\nname = \"load\"\npipeline = {pipeline:.0}"
    );
    Some(loading)
}

pub(super) fn keyspace(case: &Case, keys: f64, toml: &mut String) -> Option<()> {
    // A string that APPEND makes is a string.
    let kind = case.text("type").unwrap_or("string").replace("append", "string");
    let _ = writeln!(
        toml,
        "\n[[keyspace]]\nname = \"k\"\ntype = \"{kind}\"\nkeys = {keys}\nkey-length = {}",
        case.number("key_len")?
    );
    let number = |name: &str, or: f64| case.number(name).unwrap_or(or);
    let (length, value) = (number("element_len", 8.0), number("value_len", 8.0));
    let _ = match kind.as_str() {
        "int" => writeln!(toml, "base = {}", number("base", 1_000_000.0)),
        "string" if case.kind == "grow" => writeln!(toml, "value-size = {value}"),
        "string" => writeln!(toml, "value-size = {}", inline(case.parameters.get("size")?)),
        "hash" => writeln!(toml, "field-length = {length}\nvalue-size = {value}"),
        "set" => writeln!(toml, "member-length = {length}"),
        "intset" => writeln!(toml, "base = {}\nstep = 3", number("base", 100_000.0)),
        "zset" => writeln!(toml, "member-length = {length}\nscore = {{ step = 1.5 }}"),
        "list" => writeln!(toml, "value-size = {value}"),
        "stream" => {
            writeln!(toml, "field-length = {length}\nvalue-size = {value}\nfields = {}", number("fields", 1.0))
        }
        _ => return None,
    };
    if let Some(elements) = case.parameters.get("elements") {
        let _ = writeln!(toml, "elements = {}", inline(elements));
    }
    if let Some(ttl) = case.parameters.get("ttl") {
        let _ = writeln!(toml, "ttl = {}\nttl-drawn = \"key\"", seconds(ttl));
    }
    Some(())
}

fn config(case: &Case) -> String {
    let mut text = String::new();
    let given = case.parameters.get("config").and_then(Value::as_object);
    if !given.is_some_and(|config| config.contains_key("save")) {
        text.push_str("save = \"\"\n");
    }
    for (name, value) in given.into_iter().flatten() {
        let _ = writeln!(text, "{name} = {}", inline(value));
    }
    text
}

/// A JSON value as TOML: tables and lists inline.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A distribution of whole seconds.  The client rounds to whole seconds; a uniform draw that is rounded up must begin
/// just above the second before.
fn seconds(value: &Value) -> String {
    let uniform = value.get("dist").and_then(Value::as_str) == Some("uniform");
    match (uniform, value.get("min").and_then(Value::as_u64), value.get("max").and_then(Value::as_u64)) {
        (true, Some(min), Some(max)) => {
            format!(
                "{{ dist = \"uniform\", min = \"{}ms\", max = \"{}ms\" }}",
                min.saturating_mul(1000).saturating_sub(999),
                max.saturating_mul(1000)
            )
        }
        _ => inline(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, measurement, validate};
    use serde_json::{Value, json};

    /// Why a record is not judged.
    fn refused(record: &Value) -> String {
        let parsed = measurement::parse("test", &record.to_string()).expect("a measurement");
        match validate(&parsed).pop().map(|result| result.outcome) {
            Some(Outcome::Skipped(reason)) => reason,
            other => panic!("judged: {other:?}"),
        }
    }

    #[test]
    fn what_no_server_could_do_is_refused_with_its_reason() {
        let replica = |key: Value, size: Value| {
            let case = json!({"name": "r", "kind": "replica", "n": 10, "key_len": key, "size": size, "duration": 2});
            let timeline = json!([{"t": 1.5, "connected_slaves": 1, "mem_total_replication_buffers": 9}]);
            json!({"server": "redis-7.0.15", "case": case, "result": {"writes": 100, "timeline": timeline}})
        };
        assert!(refused(&replica(json!(1e300), json!(10))).contains("key-length"));
        assert!(refused(&replica(json!(10), json!(1e300))).contains("value-size"));
        let churn = |seed: Value| {
            let case = json!({"name": "c", "kind": "churn", "key_len": 10, "seed": seed,
                "steps": [{"fill": 10, "size": 10}]});
            let mark = |t: f64| json!({"t": t, "used_memory": 1, "allocator_active": 1, "used_memory_rss": 1});
            json!({"server": "redis-7.0.15", "case": case, "result": {"marks": [mark(1.0), mark(4.0)]}})
        };
        for seed in [json!("x"), json!(-1), json!(1.5)] {
            assert!(refused(&churn(seed)).contains("seed"));
        }
        assert!(refused(&churn(json!(1_u64 << 40))).contains("not known"), "the script draws of 32 bits");
    }

    #[test]
    fn a_name_is_a_title_and_nothing_else() {
        let judged = |name: &str| {
            let case = json!({"name": name, "kind": "churn", "key_len": 10, "steps": [{"fill": 10, "size": 10}]});
            let mark = |t: f64| json!({"t": t, "used_memory": 1, "allocator_active": 1, "used_memory_rss": 1});
            let record = json!({"server": "redis-7.0.15", "case": case, "result": {"marks": [mark(1.0), mark(4.0)]}});
            let parsed = measurement::parse("test", &record.to_string()).expect("a measurement");
            validate(&parsed).pop().map(|result| result.outcome)
        };
        assert!(matches!(judged("a \"quoted\" \\ name"), Some(Outcome::Judged(_))));
        let injected = judged("\"\nduration = 7");
        assert!(matches!(&injected, Some(Outcome::Skipped(why)) if why.contains("control characters")), "{injected:?}");
    }

    #[test]
    fn whole_seconds_begin_at_nothing() {
        let range = |min: u64, max: u64| super::seconds(&json!({"dist": "uniform", "min": min, "max": max}));
        assert_eq!(range(0, 2), "{ dist = \"uniform\", min = \"0ms\", max = \"2000ms\" }");
        assert_eq!(range(2, 3), "{ dist = \"uniform\", min = \"1001ms\", max = \"3000ms\" }");
        assert!(range(u64::MAX, u64::MAX).contains("18446744073709551615ms"));
    }
}
