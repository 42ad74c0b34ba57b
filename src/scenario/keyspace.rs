//! `[[keyspace]]`: a family of keys.

use super::drawing::{self, KEY_LENGTH, VALUE_SIZE};
use super::elements;
use super::keys;
use super::limits::{KEYS_LIMIT, memory_for};
use super::reader::{Item, Table};
use super::{KeyType, Keyspace, Order, Preload, PreloadBy, PreloadTtl, SizeDrawn};
use crate::units::Micros;
use crate::workload::{Distribution, Ttl};

/// Types of values.
const TYPES: [(&str, KeyType); 9] = [
    ("string", KeyType::String),
    ("int", KeyType::Int),
    ("hyperloglog", KeyType::HyperLogLog),
    ("hash", KeyType::Hash),
    ("set", KeyType::Set),
    ("intset", KeyType::Intset),
    ("zset", KeyType::Zset),
    ("list", KeyType::List),
    ("stream", KeyType::Stream),
];

/// Time that loading a family by commands may take.  *Assumed*: longer than any load.
const LOAD_TIME_LIMIT: Micros = Micros::from_secs(30 * 86_400);

/// When a thing is drawn: once for each key, or at each write.
const DRAWN: [(&str, SizeDrawn); 2] = [("key", SizeDrawn::Key), ("write", SizeDrawn::Write)];

/// Orders of visiting keys.
pub(super) const ORDERS: [(&str, Order); 2] = [("sequential", Order::Sequential), ("random", Order::Random)];

/// Reads a family of keys.
pub(super) fn keyspace(item: &Item<'_>) -> Option<Keyspace> {
    let table = item.table(&keys::KEYSPACE)?;
    let name = table.require("name", "a name for the family of keys").and_then(|item| item.name());
    let kind = table.require("type", "string, int, hyperloglog, hash, set, intset, zset, list or stream");
    let kind = kind.and_then(|item| item.choice("a type", &TYPES, &[]));
    let keys = table.require("keys", "the number of keys").and_then(|item| key_count(&item));
    let key_length = table
        .require("key-length", "the length of a key in bytes")
        .and_then(|item| drawing::distribution(&item, KEY_LENGTH));
    let value_size = value_size(&table, kind);
    let size_drawn = table.get("size-drawn").map_or(Some(SizeDrawn::Key), |i| i.choice("a time to draw", &DRAWN, &[]));
    let ttl_drawn = table.get("ttl-drawn").map_or(Some(SizeDrawn::Write), |i| i.choice("a time to draw", &DRAWN, &[]));
    if let Some(item) = table.get("size-drawn").filter(|_| kind.is_some_and(|kind| kind != KeyType::String)) {
        item.refuse("is followed by strings only; expected it to be left out");
    }
    let elements = elements::shape(&table, kind);
    let base = table.get("base").map_or(Some(0), |item| base(&item, kind));
    let ttl = table.get("ttl").map_or(Some(Ttl::none()), |item| drawing::ttl(&item));
    let preload = match table.get("preload") {
        Some(item) => Some(preload(&item, keys?)?),
        None => None,
    };
    table.finish();
    Some(Keyspace {
        name: name?.to_owned(),
        kind: kind?,
        keys: keys?,
        key_length: key_length?,
        value_size: value_size?,
        size_drawn: size_drawn?,
        base: base?,
        ttl: ttl?,
        ttl_drawn: ttl_drawn?,
        elements: elements?,
        preload,
    })
}

/// `value-size`: needed by what has values.
fn value_size(table: &Table<'_>, kind: Option<KeyType>) -> Option<Distribution> {
    let needed = matches!(kind, Some(KeyType::String | KeyType::Hash | KeyType::List | KeyType::Stream));
    match table.get("value-size") {
        Some(item) if needed || kind.is_none() => drawing::distribution(&item, VALUE_SIZE),
        Some(item) => {
            let what = match kind {
                Some(KeyType::Int) => "integers",
                Some(KeyType::HyperLogLog) => "HyperLogLogs",
                _ => "members of sets",
            };
            item.refuse(format!("has no meaning for {what}; expected it to be left out"));
            None
        }
        None if needed => {
            table.require("value-size", "the size of a value in bytes");
            None
        }
        None => Some(Distribution::fixed(0)),
    }
}

fn base(item: &Item<'_>, kind: Option<KeyType>) -> Option<i64> {
    if !matches!(kind, None | Some(KeyType::Int | KeyType::Intset)) {
        let what = if kind == Some(KeyType::String) { "strings" } else { "elements that are no integers" };
        item.refuse(format!("has no meaning for {what}; expected a keyspace of type int, or no base"));
        return None;
    }
    item.integer_in(i128::from(i64::MIN)..=i128::from(i64::MAX)).map(|base| base as i64)
}

fn key_count(item: &Item<'_>) -> Option<u32> {
    let count = item.integer_in(i128::MIN..=i128::MAX)?;
    if count < 1 {
        item.refuse(format!("is out of range; expected 1 to {KEYS_LIMIT}"));
        return None;
    }
    if count > i128::from(KEYS_LIMIT) {
        item.refuse(format!(
            "keys are too many: simulating them would take {}; expected at most {KEYS_LIMIT}, which take {}",
            memory_for(count),
            memory_for(i128::from(KEYS_LIMIT))
        ));
        return None;
    }
    u32::try_from(count).ok()
}

fn load_rate(item: &Item<'_>, keys: u32) -> Option<f64> {
    let rate = item.positive_rate()?;
    if f64::from(keys) / rate > LOAD_TIME_LIMIT.as_secs_f64() {
        item.refuse(format!("is too slow for {keys} keys; expected them to be loaded within {LOAD_TIME_LIMIT}"));
        return None;
    }
    Some(rate)
}

fn preload(item: &Item<'_>, all: u32) -> Option<Preload> {
    let table = item.table(&keys::PRELOAD)?;
    let share = table.get("share");
    let count = table.get("keys");
    let keys = match (&share, &count) {
        (Some(share), None) => (share.number_in(0.0..=1.0)? * f64::from(all)).round() as u32,
        (None, Some(count)) => count.u32_in(0..=all)?,
        (Some(_), Some(count)) => {
            count.refuse("stands beside share; expected one of them");
            return None;
        }
        (None, None) if table.misspells("share") || table.misspells("keys") => return None,
        (None, None) => {
            item.refuse("does not say how many; expected { share = 0.5 } or { keys = 1000 }");
            return None;
        }
    };
    let by_commands = match table.get("by") {
        Some(by) => by.choice("a way of loading", &[("rdb", false), ("commands", true)], &[])?,
        None => false,
    };
    let by = match (by_commands, table.get("load-rate")) {
        (true, Some(rate)) => PreloadBy::Commands { load_rate: load_rate(&rate, keys)? },
        (true, None) => {
            table.require("load-rate", "commands a second, with by = \"commands\"");
            return None;
        }
        (false, None) => PreloadBy::Rdb,
        (false, Some(rate)) => {
            rate.refuse("has no meaning for an RDB file; expected it with by = \"commands\" only");
            return None;
        }
    };
    let order = table.get("order").map_or(Some(Order::Sequential), |item| item.choice("an order", &ORDERS, &[]))?;
    let ttls = [("residual", PreloadTtl::Residual), ("full", PreloadTtl::Full)];
    let ttl =
        table.get("ttl").map_or(Some(PreloadTtl::Residual), |item| item.choice("what is left of a TTL", &ttls, &[]))?;
    table.finish();
    Some(Preload { keys, by, order, ttl })
}
