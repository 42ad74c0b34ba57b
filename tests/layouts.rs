//! Layouts against real servers: every recorded case of keys and collections, on nine builds.
//!
//! `validation/layouts/collections.jsonl` holds a case a line, and what each server showed: `used_memory` grown by, `MEMORY
//! USAGE` of one key, its encoding; or the same at each mark of a key that grows.

use capsim::layout::key::{self, Stored};
use capsim::layout::stream::Id;
use capsim::layout::{Element, Limits, Rules, Tally, dict, hash, list, set, stream, string, total, zset};
use capsim::profile::{Allocator, Collections, PROFILES, Profile, Table, TableLayout};
use capsim::rng::mix;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

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
enum Grown {
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

impl Grown {
    fn new(case: &Case, command: u64, phase: u32, rules: &Rules<'_>) -> Grown {
        match case.kind.as_str() {
            "hash" => Grown::Hash(hash::Hash::new(phase, rules, &mut ())),
            "set" | "intset" => Grown::Set(set::Set::new(element(case, 0), command, phase, rules, &mut ())),
            "zset" => Grown::Zset(zset::Zset::new(case.element, command, phase, rules, &mut ())),
            "list" => Grown::List(list::List::new(rules, &mut ())),
            "stream" => Grown::Stream(Box::new(stream::Stream::new(rules, &mut ()))),
            "append" => Grown::Append(0, None),
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
            Grown::Hash(hash) => {
                hash.size_hint(end - start, (0..start).map(|_| pair), rules, &mut ());
                for index in start..end {
                    hash.insert(pair, (0..index).map(|_| pair), rules, &mut ());
                }
            }
            Grown::Set(set) => {
                set.size_hint(end - start, elements(start), rules, &mut ());
                for index in start..end {
                    set.insert(element(case, index), elements(index), rules, &mut ());
                }
            }
            Grown::Zset(zset) => {
                zset.size_hint(end - start, members(start), rules, &mut ());
                for index in start..end {
                    zset.insert(member(case, index, draws, rules.collections), members(index), rules, &mut ());
                }
            }
            Grown::List(list) => {
                list.size_hint(end - start, (end - start) * case.value, rules, &mut ());
                for _ in start..end {
                    list.push(list::End::Back, case.value.into(), rules, &mut ());
                }
            }
            Grown::Stream(stream) => {
                let fields: Vec<_> = (0..case.fields).map(|_| pair).collect();
                for index in start..end {
                    stream.append(Id { ms: 1_700_000_000_000 + index, seq: 0 }, &fields, 0, rules, &mut ());
                }
            }
            Grown::Append(length, value) => {
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
            Grown::Hash(v) => (v.bytes(), v.memory_usage(rules), v.encoding(rules).name()),
            Grown::Set(v) => (v.bytes(), v.memory_usage(rules), v.encoding().name()),
            Grown::Zset(v) => (v.bytes(), v.memory_usage(rules), v.encoding(rules).name()),
            Grown::List(v) => (v.bytes(), v.memory_usage(rules), v.encoding(rules).name()),
            Grown::Stream(v) => (v.bytes(), v.memory_usage(rules), "stream"),
            Grown::Append(_, v) => {
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
            _ => Stored::Int(case.base + index.cast_signed(), case.shared),
        };
        for index in 0..case.keys {
            bytes += key::blocks(case.key_length, stored(index), case.expires, rules).bytes(rules);
        }
        let middle = stored(case.keys / 2);
        let key = key::blocks(case.key_length, middle, case.expires, rules);
        let encoding = if case.kind == "int" {
            "int"
        } else if key.embedded {
            "embstr"
        } else {
            "raw"
        };
        return (bytes as f64 + tables, key.memory_usage(middle, 0, rules), encoding);
    }
    let key = key::blocks(case.key_length, Stored::Collection, false, rules);
    let mut bytes = 0;
    let mut middle = (0, "");
    // Equal keys differ in what is random; some of them say enough.
    let drawn = if ["zset", "set"].contains(&case.kind.as_str()) { case.keys.min(400) } else { 1 };
    for index in 0..drawn {
        let phase = ((index * 2 + 1) * (u64::from(u32::MAX) / (2 * drawn))) as u32;
        let batch = if case.kind == "stream" { u64::MAX } else { BATCH };
        let mut value = Grown::new(case, case.elements.min(BATCH), phase, rules);
        value.grow(case, 0, case.elements, batch.min(case.elements), mix(index), rules);
        let (held, usage, encoding) = value.figures(rules);
        bytes += key.bytes(rules) + held;
        middle = (key.memory_usage(Stored::Collection, usage, rules), encoding);
    }
    (bytes as f64 / drawn as f64 * case.keys as f64 + tables, middle.0, middle.1)
}

fn records() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/validation/layouts/collections.jsonl");
    let text = std::fs::read_to_string(path).expect("the measurements");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

fn rules(server: &(&str, &str, Allocator)) -> Rules<'static> {
    let profile = Profile::find(server.1).expect("a release");
    Rules::new(profile, profile.classes(server.2), Limits::default())
}

/// What a server's figures may differ by because of chance, for one key: a standard deviation (B).  Levels of skiplist
/// nodes differ from node to node; which elements share a bucket is the same in all keys of one server.
fn deviation(case: &Case, elements: u64, encoding: &str, rules: &Rules<'_>) -> (f64, f64) {
    let levels = if encoding == "skiplist" { 12.3 * (elements as f64).sqrt() } else { 0.0 };
    if !["hashtable", "skiplist"].contains(&encoding) {
        return (levels, 0.0);
    }
    let kind = match case.kind.as_str() {
        "hash" => dict::Kind::hash(rules),
        "zset" => dict::Kind::zset(rules),
        _ => dict::Kind::set(rules),
    };
    let buckets = dict::settled_buckets(kind, elements, 0) as f64;
    let sharing = match (kind.table, kind.entries) {
        // Balls in bins: 0.31 of the square root of the buckets.
        (Table::Dict, dict::Entries::Chained) => 16.0 * 0.31 * buckets.sqrt(),
        // Child buckets are rare: about as many as their own square root.
        (Table::Hashtable, _) => 64.0 * (kind.spill(elements as f64, buckets) + 0.5).sqrt(),
        _ => 0.0,
    };
    (levels, sharing)
}

/// What `used_memory` grows by that is no key: the loading command's histogram, the reading connection's buffers (B).
fn beside_keys(case: &Case, rules: &Rules<'_>) -> f64 {
    if rules.profile.name == "redis-6.2" {
        return 0.0;
    }
    let expire = if case.expires { 24_688.0 } else { 0.0 };
    35_120.0 + expire
}

/// What else grows on a server that has been loaded: commands in the slow log, a buffer that has not shrunk (B).
const LOADED: f64 = 44_000.0;

#[test]
fn loaded_keys_cost_what_servers_show() {
    for server in SERVERS {
        let rules = rules(server);
        for record in records().iter().filter(|record| record["case"]["kind"] == "static") {
            let case = Case::new(&record["case"]);
            let [delta, seen, encoding] = [0, 1, 2].map(|i| &record["measured"][server.0][i]);
            let (bytes, usage, predicted) = predict(&case, &rules);
            let name = format!("{} {}", server.0, case.name);
            assert_eq!(predicted, encoding.as_str().expect("an encoding"), "{name}");
            let (levels, sharing) = deviation(&case, case.elements, predicted, &rules);
            let one = 4.0 * (levels + sharing);
            let off = usage as f64 - seen.as_f64().expect("a size");
            assert!(off.abs() <= one, "{name}: MEMORY USAGE {usage}, {seen}");
            // The table of the keyspace has child buckets too.
            let main = if rules.profile.table_layout == TableLayout::Buckets { 24_000.0 } else { 0.0 };
            let all = 4.0 * (levels * (case.keys as f64).sqrt() * 2.0 + sharing * case.keys as f64) + main;
            let off = delta.as_f64().expect("bytes") - bytes - beside_keys(&case, &rules);
            println!("{name}: {delta} measured, {off:+.0} from what is predicted, MEMORY USAGE {usage}, {seen}");
            // Release 6.2 was exact but for one command in the slow log.
            let (less, noise) = if rules.profile.name == "redis-6.2" { (0.0, 4272.0) } else { (1500.0, LOADED) };
            assert!(off >= -all - less && off <= all + noise, "{name}: {delta} measured, {bytes} and {off} more");
        }
    }
}

#[test]
fn a_growing_key_costs_what_servers_show_at_each_mark() {
    for server in SERVERS {
        let rules = rules(server);
        for record in records().iter().filter(|record| record["case"]["kind"] == "grow") {
            let case = Case::new(&record["case"]);
            let mut value = Grown::new(&case, 1, 1 << 31, &rules);
            let (mut done, mut beside) = (0, None);
            for mark in record["measured"][server.0].as_array().expect("marks") {
                let [at, used, seen] = [0, 1, 2].map(|i| mark[i].as_u64().expect("a figure"));
                value.grow(&case, done, at, 1, 11, &rules);
                done = at;
                let stored = if case.kind == "append" { Stored::Raw } else { Stored::Collection };
                let key = key::blocks(case.key_length, stored, false, &rules);
                let (held, usage, encoding) = value.figures(&rules);
                let name = format!("{} {} at {at}", server.0, case.name);
                assert_eq!(encoding, mark[3].as_str().expect("an encoding"), "{name}");
                let (levels, sharing) = deviation(&case, at, encoding, &rules);
                // Levels are drawn here and there.
                let chance = 4.0 * (levels * 1.5 + sharing);
                let usage = key.memory_usage(stored, usage, &rules);
                assert!((usage as f64 - seen as f64).abs() <= chance, "{name}: MEMORY USAGE {usage}, {seen}");
                // The first reading has used every command; from the second on nothing grows but the key.
                let off = used as f64 - (key.bytes(&rules) + held) as f64;
                if at > 1 {
                    let base = *beside.get_or_insert(off);
                    assert!((off - base).abs() <= chance + 16_500.0, "{name}: {used} measured, {held} held");
                }
            }
        }
    }
}

/// Blocks by class.
#[derive(Default, PartialEq, Eq, Debug)]
struct Classes(BTreeMap<u64, u64>);

impl Tally for Classes {
    fn allocated(&mut self, class: u64, count: u64) {
        *self.0.entry(class).or_default() += count;
    }

    fn freed(&mut self, class: u64, count: u64) {
        let held = self.0.get_mut(&class).expect("a class that is held");
        *held = held.checked_sub(count).expect("no more freed than held");
        if *held == 0 {
            self.0.remove(&class);
        }
    }
}

impl Classes {
    fn bytes(&self) -> u64 {
        self.0.iter().map(|(class, count)| class * count).sum()
    }
}

/// Random lengths of elements: short mostly, some above the thresholds.
fn lengths(seed: u64, index: u64) -> (u64, u64) {
    let bits = mix(seed ^ mix(index));
    let length = |bits: u64| if bits.is_multiple_of(97) { 70 + bits % 300 } else { bits % 40 };
    (1 + length(bits & 0xffff), length(bits >> 32 & 0xffff))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What is told by class adds up to the bytes, at every step, in every release; and nothing is left at the end.
    #[test]
    fn classes_add_up_and_nothing_is_left(seed: u64, count in 1_u64..700) {
        for profile in PROFILES {
            let rules = Rules::new(profile, profile.classes(Allocator::Bundled), Limits::default());
            let pair = |i: u64| hash::Pair::of(lengths(seed, i).0, lengths(seed, i).1);
            let member = |i: u64| Element::Bytes(lengths(seed, i).0);
            let scored = |i: u64| zset::Member { member: member(i), score: Element::Int(i.cast_signed()), draw: mix(seed ^ i) };
            let mut held = [Classes::default(), Classes::default(), Classes::default(), Classes::default()];
            let [in_hash, in_set, in_zset, in_list] = &mut held;
            let mut hash = hash::Hash::new(1, &rules, in_hash);
            let mut set = set::Set::new(member(0), 1, 1, &rules, in_set);
            let mut zset = zset::Zset::new(1, 1, 1, &rules, in_zset);
            let mut list = list::List::new(&rules, in_list);
            for i in 0..count {
                let peak = hash.insert(pair(i), (0..i).map(pair), &rules, in_hash);
                prop_assert!(peak >= hash.bytes());
                set.insert(member(i), (0..i).map(member), &rules, in_set);
                zset.insert(scored(i), (0..i).map(scored), &rules, in_zset);
                list.size_hint(1, lengths(seed, i).0, &rules, in_list);
                list.push(list::End::Back, member(i), &rules, in_list);
                prop_assert_eq!(hash.bytes(), in_hash.bytes());
                prop_assert_eq!(set.bytes(), in_set.bytes());
                prop_assert_eq!(zset.bytes(), in_zset.bytes());
                prop_assert_eq!(list.bytes(), in_list.bytes());
            }
            prop_assert_eq!((hash.len(), set.len(), zset.len(), list.len()), (count, count, count, count));
            // Half of them one by one, the rest with the key.
            let half = count / 2;
            for i in 0..half {
                hash.remove(pair(i), &rules, in_hash);
                set.remove(member(i), &rules, in_set);
                zset.remove(scored(i), &rules, in_zset);
                list.pop(list::End::Front, member(i), &rules, in_list);
                prop_assert_eq!(hash.bytes(), in_hash.bytes());
                prop_assert_eq!(set.bytes(), in_set.bytes());
                prop_assert_eq!(zset.bytes(), in_zset.bytes());
                prop_assert_eq!(list.bytes(), in_list.bytes());
            }
            hash.release((half..count).map(pair), &rules, in_hash);
            set.release((half..count).map(member), &rules, in_set);
            zset.release((half..count).map(scored), &rules, in_zset);
            list.release(&rules, in_list);
            prop_assert_eq!((hash.bytes(), set.bytes(), zset.bytes(), list.bytes()), (0, 0, 0, 0));
            for classes in held {
                prop_assert_eq!(classes, Classes::default());
            }
        }
    }

    /// A list popped to the end costs no more than an empty one; a packed list is the literal sum of its entries.
    #[test]
    fn packed_collections_are_the_sum_of_their_entries(seed: u64, count in 1_u64..60) {
        let profile = Profile::find("redis-7.4").expect("a release");
        let rules = Rules::new(profile, profile.classes(Allocator::Bundled), Limits::default());
        let short = |i: u64| mix(seed ^ i) % 60;
        let entry = |length: u64| 1 + length + 1;
        let mut list = list::List::new(&rules, &mut ());
        let mut hash = hash::Hash::new(0, &rules, &mut ());
        let (mut listed, mut hashed) = (7, 7);
        for i in 0..count {
            list.size_hint(1, short(i), &rules, &mut ());
            list.push(if i % 2 == 0 { list::End::Front } else { list::End::Back }, short(i).into(), &rules, &mut ());
            listed += entry(short(i));
            hash.insert(hash::Pair::of(short(i), 63), (0..i).map(|j| hash::Pair::of(short(j), 63)), &rules, &mut ());
            hashed += entry(short(i)) + entry(63);
        }
        prop_assert_eq!(list.bytes(), rules.classes.class(listed));
        prop_assert_eq!(hash.bytes(), rules.classes.class(hashed));
        for i in 0..count {
            hash.overwrite(hash::Pair::of(short(i), 63), hash::Pair::of(short(i), 10), [], &rules, &mut ());
        }
        prop_assert_eq!(hash.bytes(), rules.classes.class(hashed - 53 * count));
    }
}

/// Conversions happen at the element after each threshold, and back only where the server goes back.
#[test]
fn encodings_change_at_the_thresholds() {
    for profile in PROFILES {
        let rules = Rules::new(profile, profile.classes(Allocator::System), Limits::default());
        let packed = if profile.name == "redis-6.2" { "ziplist" } else { "listpack" };
        let hash_of = |fields: u64, length: u64| {
            let pair = hash::Pair::of(8, length);
            let mut hash = hash::Hash::new(0, &rules, &mut ());
            (0..fields).for_each(|i| {
                hash.insert(pair, (0..i).map(|_| pair), &rules, &mut ());
            });
            hash.encoding(&rules).name()
        };
        assert_eq!(
            [hash_of(512, 8), hash_of(513, 8), hash_of(1, 64), hash_of(1, 65)],
            [packed, "hashtable", packed, "hashtable"]
        );
        let zset_of = |members: u64, length: u64| {
            let member = zset::Member { member: length.into(), score: Element::Int(1), draw: 1 };
            let mut zset = zset::Zset::new(length, 1, 0, &rules, &mut ());
            (0..members).for_each(|i| {
                zset.insert(member, (0..i).map(|_| member), &rules, &mut ());
            });
            zset.encoding(&rules).name()
        };
        assert_eq!(
            [zset_of(128, 8), zset_of(129, 8), zset_of(1, 64), zset_of(1, 65)],
            [packed, "skiplist", packed, "skiplist"]
        );
        let set_of = |members: u64, member: Element| {
            let mut set = set::Set::new(member, 1, 0, &rules, &mut ());
            (0..members).for_each(|i| {
                set.insert(member, (0..i).map(|_| member), &rules, &mut ());
            });
            set.encoding().name()
        };
        let integers = [set_of(512, Element::Int(1)), set_of(513, Element::Int(1))];
        assert_eq!(integers, ["intset", "hashtable"]);
        let small = if rules.collections.set_packed { "listpack" } else { "hashtable" };
        let strings = [set_of(128, Element::Bytes(9)), set_of(129, Element::Bytes(9)), set_of(1, Element::Bytes(65))];
        assert_eq!(strings, [small, "hashtable", "hashtable"], "{}", profile.name);
    }
}

/// The listing of a collection of equal elements adds up to the state that its operations lead to.
#[test]
fn listings_add_up_to_the_state() {
    for profile in PROFILES {
        for allocator in Allocator::ALL {
            let rules = Rules::new(profile, profile.classes(allocator), Limits::default());
            for count in [1, 100, 400, 513, 1000, 5000] {
                let pair = hash::Pair::of(12, 70);
                let mut hash = hash::Hash::new(1 << 31, &rules, &mut ());
                let mut set = set::Set::new(Element::Bytes(20), 1, 1 << 31, &rules, &mut ());
                let mut list = list::List::new(&rules, &mut ());
                let mut stream = stream::Stream::new(&rules, &mut ());
                for i in 0..count {
                    hash.insert(pair, (0..i).map(|_| pair), &rules, &mut ());
                    set.insert(Element::Bytes(20), (0..i).map(|_| Element::Bytes(20)), &rules, &mut ());
                    list.size_hint(1, 30, &rules, &mut ());
                    list.push(list::End::Back, Element::Bytes(30), &rules, &mut ());
                    stream.append(Id { ms: 1_700_000_000_000 + 7 * i, seq: 0 }, &[pair], 0, &rules, &mut ());
                }
                for _ in 0..20_000 {
                    hash.lookup(&rules, &mut ());
                    set.lookup(&rules, &mut ());
                }
                let near = |listed: f64, held: u64, block: f64| {
                    let off = (listed - held as f64).abs();
                    assert!(off <= block, "{} {count}: {listed} listed, {held} held", profile.name);
                };
                near(total(&hash::allocations(count, pair, &rules)), hash.bytes(), 65.0);
                near(total(&set::allocations(count, Element::Bytes(20), &rules)), set.bytes(), 65.0);
                near(total(&list.allocations(&rules)), list.bytes(), 0.0);
                near(total(&stream.allocations(&rules)), stream.bytes(), 0.0);
            }
        }
    }
}
