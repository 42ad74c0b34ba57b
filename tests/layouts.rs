//! Layouts against real servers: every recorded case of keys and collections, on nine builds.
//!
//! `validation/collections.jsonl` holds a case a line, and what each server showed: `used_memory` grown by, `MEMORY
//! USAGE` of one key, its encoding; or the same at each mark of a key that grows.

use capsim::layout::key::{self, Stored};
use capsim::layout::stream::Id;
use capsim::layout::{Element, Limits, Rules, hash, list, set, stream, string, total, zset};
use capsim::profile::{Allocator, Collections, Profile};
use capsim::rng::mix;
use serde_json::Value;

/// A recorded build: its label, release and allocator.
const SERVERS: &[(&str, &str, Allocator)] = &[
    ("redis-6.2.16", "redis-6.2", Allocator::Bundled),
    ("redis-7.0.15-debian", "redis-7.0", Allocator::System),
    ("redis-7.0.15", "redis-7.0", Allocator::Bundled),
    ("redis-7.2.6", "redis-7.2", Allocator::Bundled),
    ("redis-7.4.1", "redis-7.4", Allocator::Bundled),
    ("redis-8.0.2-debian", "redis-8.0", Allocator::System),
    ("valkey-8.0.1", "valkey-8.0", Allocator::Bundled),
    ("valkey-8.1.1-debian", "valkey-8.1", Allocator::System),
    ("valkey-9.1.2-debian", "valkey-9.1", Allocator::System),
];

/// Elements that one command of a recorded load brings.
const BATCH: u64 = 500;

struct Case {
    name: String,
    kind: String,
    keys: u64,
    key_length: u64,
    elements: u64,
    element: u64,
    value: u64,
    size: u64,
    fields: u64,
    base: i64,
    expires: bool,
    shared: bool,
}

impl Case {
    fn new(case: &Value) -> Case {
        let number = |name: &str, default: u64| case[name].as_u64().unwrap_or(default);
        let kind = case["type"].as_str().expect("a type").to_owned();
        let base = if kind == "int" { 1_000_000 } else { 100_000 };
        Case {
            name: case["name"].as_str().expect("a name").to_owned(),
            keys: number("n", 1),
            key_length: number("key_len", 16),
            elements: number("elements", 0),
            element: number("element_len", 8),
            value: number("value_len", 8),
            size: number("size", 8),
            fields: number("fields", 1),
            base: case["base"].as_i64().unwrap_or(base),
            expires: !case["ttl"].is_null(),
            shared: case["config"]["maxmemory-policy"].is_null(),
            kind,
        }
    }
}

/// A key's value that grows by its case's elements.
enum Value1 {
    Hash(hash::Hash),
    Set(set::Set),
    Zset(zset::Zset),
    List(list::List),
    Stream(Box<stream::Stream>),
    Append(u64, Option<string::StringValue>),
}

fn member(case: &Case, index: u64, draws: u64, collections: &Collections) -> zset::Member {
    let score = zset::score(index as f64 * 1.5, collections.score_shortest);
    zset::Member { member: Element::Bytes(case.element), score, draw: mix(draws ^ mix(index)) }
}

fn element(case: &Case, index: u64) -> Element {
    if case.kind == "intset" { Element::Int(case.base + 3 * index.cast_signed()) } else { Element::Bytes(case.element) }
}

/// The release's profile where strings still need one.
fn profile() -> &'static Profile {
    Profile::find("redis-7.0").expect("a listed profile")
}

impl Value1 {
    fn new(case: &Case, command: u64, phase: u32, rules: &Rules<'_>) -> Value1 {
        match case.kind.as_str() {
            "hash" => Value1::Hash(hash::Hash::new(phase, rules, &mut ())),
            "set" | "intset" => Value1::Set(set::Set::new(element(case, 0), command, phase, rules, &mut ())),
            "zset" => Value1::Zset(zset::Zset::new(case.element, command, phase, rules, &mut ())),
            "list" => Value1::List(list::List::new(rules, &mut ())),
            "stream" => Value1::Stream(Box::new(stream::Stream::new(rules, &mut ()))),
            "append" => Value1::Append(0, None),
            other => panic!("{other}"),
        }
    }

    /// Adds elements `from..to`, `batch` to a command.
    fn grow(&mut self, case: &Case, from: u64, to: u64, batch: u64, draws: u64, rules: &Rules<'_>) {
        for start in (from..to).step_by(batch as usize) {
            let end = (start + batch).min(to);
            self.command(case, start, end, draws, rules);
        }
    }

    fn command(&mut self, case: &Case, start: u64, end: u64, draws: u64, rules: &Rules<'_>) {
        let pair = hash::Pair::of(case.element, case.value);
        let elements = |count: u64| (0..count).map(|index| element(case, index));
        let members = |count: u64| (0..count).map(move |i| member(case, i, draws, rules.collections));
        match self {
            Value1::Hash(hash) => {
                hash.size_hint(end - start, (0..start).map(|_| pair), rules, &mut ());
                for index in start..end {
                    hash.insert(pair, (0..index).map(|_| pair), rules, &mut ());
                }
            }
            Value1::Set(set) => {
                set.size_hint(end - start, elements(start), rules, &mut ());
                for index in start..end {
                    set.insert(element(case, index), elements(index), rules, &mut ());
                }
            }
            Value1::Zset(zset) => {
                zset.size_hint(end - start, members(start), rules, &mut ());
                for index in start..end {
                    zset.insert(member(case, index, draws, rules.collections), members(index), rules, &mut ());
                }
            }
            Value1::List(list) => {
                list.size_hint(end - start, (end - start) * case.value, rules, &mut ());
                for _ in start..end {
                    list.push(list::End::Back, case.value.into(), rules, &mut ());
                }
            }
            Value1::Stream(stream) => {
                let fields: Vec<_> = (0..case.fields).map(|_| pair).collect();
                for index in start..end {
                    stream.append(Id { ms: 1_700_000_000_000 + index, seq: 0 }, &fields, 0, rules, &mut ());
                }
            }
            Value1::Append(length, value) => {
                for _ in start..end {
                    let new = *length + case.value;
                    *value = Some(match *value {
                        None => string::written(new, profile(), rules.classes),
                        Some(old) => string::grown(old, *length, new, profile(), rules.classes),
                    });
                    *length = new;
                }
            }
        }
    }

    /// Bytes beside the object, and what `MEMORY USAGE` counts of them.
    fn figures(&self, rules: &Rules<'_>) -> (u64, u64, &'static str) {
        match self {
            Value1::Hash(v) => (v.bytes(), v.memory_usage(rules), v.encoding(rules).name()),
            Value1::Set(v) => (v.bytes(), v.memory_usage(rules), v.encoding().name()),
            Value1::Zset(v) => (v.bytes(), v.memory_usage(rules), v.encoding(rules).name()),
            Value1::List(v) => (v.bytes(), v.memory_usage(rules), v.encoding(rules).name()),
            Value1::Stream(v) => (v.bytes(), v.memory_usage(rules), "stream"),
            Value1::Append(_, v) => {
                let class = v.map_or(0, |v| v.bytes_class);
                (class, class, "raw")
            }
        }
    }
}

/// Predicted growth of `used_memory`, `MEMORY USAGE` of the middle key, and encoding.
fn predict(case: &Case, rules: &Rules<'_>) -> (f64, u64, &'static str) {
    let expiring = if case.expires { case.keys } else { 0 };
    let tables = total(&key::tables(case.keys, expiring, rules));
    if case.kind == "string" || case.kind == "int" {
        let mut bytes = 0;
        let stored = |index: u64| match case.kind.as_str() {
            "string" => Stored::String(case.size),
            _ => Stored::Int(case.base + index.cast_signed(), case.shared && rules.collections.shared_integers),
        };
        for index in 0..case.keys {
            bytes += key::blocks(case.key_length, stored(index), case.expires, rules).bytes(rules);
        }
        let middle = stored(case.keys / 2);
        let key = key::blocks(case.key_length, middle, case.expires, rules);
        let encoding = if case.kind == "int" { "int" } else if key.embedded { "embstr" } else { "raw" };
        return (bytes as f64 + tables, key.memory_usage(middle, 0, rules), encoding);
    }
    let key = key::blocks(case.key_length, Stored::Collection, false, rules);
    let mut bytes = 0;
    let mut middle = (0, "");
    // Equal keys differ in what is random; a few of them say enough.
    let drawn = if ["zset", "set"].contains(&case.kind.as_str()) { case.keys.min(20) } else { 1 };
    for index in 0..drawn {
        let phase = ((index * 2 + 1) * (u64::from(u32::MAX) / (2 * drawn))) as u32;
        let batch = if case.kind == "stream" { u64::MAX } else { BATCH };
        let mut value = Value1::new(case, case.elements.min(BATCH), phase, rules);
        value.grow(case, 0, case.elements, batch.min(case.elements), mix(index), rules);
        let (held, usage, encoding) = value.figures(rules);
        bytes += key.bytes(rules) + held;
        middle = (key.memory_usage(Stored::Collection, usage, rules), encoding);
    }
    (bytes as f64 / drawn as f64 * case.keys as f64 + tables, middle.0, middle.1)
}

fn records() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/validation/collections.jsonl");
    let text = std::fs::read_to_string(path).expect("the measurements");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

fn rules(server: &(&str, &str, Allocator)) -> Rules<'static> {
    let (_, collections) = Collections::ALL.iter().find(|(name, _)| *name == server.1).expect("a release");
    Rules { collections, classes: server.2.classes(), limits: Limits::default() }
}

#[test]
fn show() {
    for server in SERVERS {
        let rules = rules(server);
        for record in records() {
            let case = Case::new(&record["case"]);
            let measured = &record["measured"][server.0];
            if record["case"]["kind"] == "static" {
                let (bytes, usage, encoding) = predict(&case, &rules);
                let (delta, seen) = (measured[0].as_f64().unwrap_or(0.0), measured[1].as_u64().unwrap_or(0));
                println!(
                    "{} {} residual {} ({:.4} %) usage {usage} {seen} {} {encoding} {}",
                    server.0, case.name, delta - bytes, (delta - bytes) / delta * 100.0,
                    usage as i64 - seen as i64, measured[2]
                );
            } else {
                let mut value = Value1::new(&case, 1, 1 << 31, &rules);
                let mut done = 0;
                for mark in measured.as_array().expect("marks") {
                    let at = mark[0].as_u64().expect("a mark");
                    value.grow(&case, done, at, 1, 7, &rules);
                    done = at;
                    let stored = if case.kind == "append" { Stored::Raw } else { Stored::Collection };
                    let key = key::blocks(case.key_length, stored, false, &rules);
                    let (held, usage, encoding) = value.figures(&rules);
                    let bytes = key.bytes(&rules) + held;
                    let usage = key.memory_usage(stored, usage, &rules);
                    let seen = mark[2].as_i64().unwrap_or(0);
                    println!(
                        "{} {} {at} residual {} usage {usage} {seen} {} {encoding} {}", server.0, case.name,
                        mark[1].as_i64().unwrap_or(0) - bytes as i64, usage as i64 - seen, mark[3]
                    );
                }
            }
        }
    }
}
