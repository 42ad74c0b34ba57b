//! What collections did to memory: one big key, encodings that were outgrown.

use super::series;
use crate::record::{KeyspaceRecord, Run};
use crate::scenario::{KeyType, Keyspace, Scenario};
use crate::units::{Bytes, counted};

/// A key that is at least this share of the peak is a big one.  *assumed*
const BIG_SHARE: f64 = 0.25;
/// Keys that outgrew their encoding drive the peak when they hold at least this share of it.  *assumed*
const CONVERTED_SHARE: f64 = 0.5;
/// Keys are named in the verdict from this share of the peak on.  *assumed*
const NAMED_SHARE: f64 = 0.1;

/// Bytes that keys hold at the end which outgrew their encoding: their share of the keyspace's (B).
fn converted_bytes(keyspace: &KeyspaceRecord) -> u64 {
    let counters = &keyspace.counters;
    let converted = counters.converted_keys.min(counters.keys);
    u128::from(counters.bytes).checked_mul(converted.into()).map_or(0, |all| all / u128::from(counters.keys.max(1)))
        as u64
}

/// The keyspace of the largest collection that there was.
fn largest(run: &Run) -> Option<&KeyspaceRecord> {
    run.keyspaces.iter().max_by_key(|keyspace| keyspace.counters.largest_bytes)
}

/// What drove the peak, if it was collections: one big key; keys that outgrew their encoding.
pub(super) fn driver(run: &Run) -> Option<&'static str> {
    let peak = run.peak.used_memory;
    if series::ratio(run.keyspaces.iter().map(converted_bytes).sum(), peak) >= CONVERTED_SHARE {
        return Some("collections that outgrew their compact encoding");
    }
    let big = largest(run).map_or(0, |keyspace| keyspace.counters.largest_bytes);
    (series::ratio(big, peak) >= BIG_SHARE).then_some("one big key")
}

/// Sentences on them, for the verdict.
pub(super) fn sentences(scenario: &Scenario, run: &Run) -> Vec<String> {
    let peak = run.peak.used_memory;
    let named = |bytes: u64| series::ratio(bytes, peak) >= NAMED_SHARE;
    let mut sentences = Vec::new();
    for (keyspace, record) in scenario.keyspaces.iter().zip(&run.keyspaces) {
        let counters = &record.counters;
        if counters.converted_keys > 0 && named(converted_bytes(record)) {
            sentences.push(format!(
                "In {} {} outgrew {}: {} each before, {} at the end.",
                record.name,
                counted(counters.converted_keys, "key"),
                compact(keyspace).map_or("its encoding", |(name, _)| name),
                Bytes(counters.converted_bytes / counters.converted_keys),
                Bytes(counters.bytes / counters.keys.max(1)),
            ));
        }
    }
    if let Some(record) = largest(run).filter(|record| named(record.counters.largest_bytes)) {
        sentences.push(format!(
            "The biggest key is in {}: {}, {}.",
            record.name,
            counted(record.counters.largest_elements, "element"),
            Bytes(record.counters.largest_bytes)
        ));
    }
    sentences
}

/// The compact encoding of a type, and the directive that says how many elements it holds.
fn compact(keyspace: &Keyspace) -> Option<(&'static str, &'static str)> {
    match keyspace.kind {
        KeyType::Hash => Some(("the listpack", "hash-max-listpack-entries and -value")),
        KeyType::Zset => Some(("the listpack", "zset-max-listpack-entries and -value")),
        KeyType::Set => Some(("the listpack", "set-max-listpack-entries and -value")),
        KeyType::Intset => Some(("the intset", "set-max-intset-entries")),
        _ => None,
    }
}

/// What bounds a collection of this type.
fn cap(keyspace: &Keyspace) -> Option<&'static str> {
    match keyspace.kind {
        KeyType::Hash => Some("HDEL what is old, or split it into a key for each day or shard"),
        KeyType::Set | KeyType::Intset => Some("SREM what is old, or split it into a key for each day or shard"),
        KeyType::Zset => Some("ZREMRANGEBYRANK or ZREMRANGEBYSCORE what is old"),
        KeyType::List => Some("LTRIM after each push"),
        KeyType::Stream => Some("XADD … MAXLEN ~, and XACK or XGROUP DELCONSUMER what stays pending"),
        _ => None,
    }
}

/// What to change about them.
pub(super) fn fixes(scenario: &Scenario, run: &Run) -> Vec<String> {
    let mut fixes = Vec::new();
    let peak = run.peak.used_memory;
    for (keyspace, record) in scenario.keyspaces.iter().zip(&run.keyspaces) {
        let counters = &record.counters;
        if let Some((encoding, directives)) = compact(keyspace)
            && series::ratio(converted_bytes(record), peak) >= CONVERTED_SHARE
        {
            fixes.push(format!(
                "raise {directives} so that {} keeps {encoding}, or give it fewer elements",
                record.name
            ));
        }
        let grows = counters.bytes > record.bytes_at_start;
        if let Some(cap) = cap(keyspace)
            && series::ratio(counters.largest_bytes, peak) >= BIG_SHARE
            && grows
        {
            fixes.push(format!("cap the big key in {}: {cap}", record.name));
        }
    }
    fixes
}
