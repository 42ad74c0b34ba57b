//! What a hash table is made of, by release: its header, buckets and entries, and how many of them elements that hash
//! evenly need.
//!
//! Source: as for the table, `dict.rs`.

use crate::layout::allocation::{Allocation, Rules};
use crate::profile::{Shrink, Table};

/// An entry with a value, and one without (B).  Source: `dictEntry`, `dictEntryNoValue`.
pub(super) const ENTRY: u64 = 24;
pub(super) const ENTRY_NO_VALUE: u64 = 16;
/// Smallest array of buckets.  Source: `DICT_HT_INITIAL_SIZE`.
pub(super) const SMALLEST: u64 = 4;
/// A bucket of Valkey's table: its bytes, and the elements that fit (B).  Source: `ENTRIES_PER_BUCKET`.
const BUCKET: u64 = 64;
pub(super) const PLACES: u64 = 7;
/// What a child bucket adds: it takes a place for the pointer to it.
const CHILD_PLACES: u64 = 6;
/// A table is made for 32 / 5 elements a bucket.  Source: `BUCKET_FACTOR`, `BUCKET_DIVISOR`.
const BUCKET_FACTOR: u64 = 5;
const BUCKET_DIVISOR: u64 = 32;

/// Which elements have an entry of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// Each, with a value.
    Each,
    /// Chained ones; the first of a bucket lies in it.
    Chained,
    /// None: buckets point at elements.
    None,
}

/// A table's structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `dict.c` or `hashtable.c`.
    pub table: Table,
    /// Its header (B).
    pub header: u64,
    /// Its entries.
    pub entries: Entries,
    /// When it shrinks.
    pub shrink: Shrink,
    /// A step moves the bucket that the command looks at.
    pub visited: bool,
}

impl Kind {
    /// The table of a hash.
    #[must_use]
    pub fn hash(rules: &Rules<'_>) -> Kind {
        let kind = Kind::with(rules, Entries::Each);
        Kind { header: kind.header + rules.collections.hash_metadata, ..kind }
    }

    /// The table of a set.
    #[must_use]
    pub fn set(rules: &Rules<'_>) -> Kind {
        Kind::with(rules, if rules.collections.set_chained_only { Entries::Chained } else { Entries::Each })
    }

    /// The table of a sorted set.
    #[must_use]
    pub fn zset(rules: &Rules<'_>) -> Kind {
        Kind::with(rules, Entries::Each)
    }

    fn with(rules: &Rules<'_>, entries: Entries) -> Kind {
        let collections = rules.collections;
        let entries = if collections.table == Table::Hashtable { Entries::None } else { entries };
        let (table, header) = (collections.table, collections.table_header);
        Kind { table, header, entries, shrink: collections.shrink, visited: collections.rehash_visited }
    }

    /// Bytes of a bucket (B).
    pub(super) fn bucket(self) -> u64 {
        if self.table == Table::Hashtable { BUCKET } else { 8 }
    }

    /// Buckets of a table made for `elements`.
    #[must_use]
    pub fn buckets_for(self, elements: u64) -> u64 {
        match self.table {
            Table::Dict => elements.max(SMALLEST).next_power_of_two(),
            Table::Hashtable => (elements.max(1) * BUCKET_FACTOR).div_ceil(BUCKET_DIVISOR).next_power_of_two(),
        }
    }

    /// Bytes of what overfull buckets need each (B).
    pub(super) fn spill_request(self) -> u64 {
        if self.table == Table::Hashtable { BUCKET } else { ENTRY_NO_VALUE }
    }

    /// What the header and the entries of a table of `used` elements cost beyond their own sizes: `MEMORY USAGE` does
    /// not see it (B).
    #[must_use]
    pub fn rounding(self, used: u64, rules: &Rules<'_>) -> u64 {
        let entries = if self.entries == Entries::Each { used } else { 0 };
        rules.classes.class(self.header) - self.header + entries * (rules.classes.class(ENTRY) - ENTRY)
    }

    /// What `MEMORY USAGE` of 7.2 to 8.0 counts too much for a set's entries, which are not there, or smaller (B).
    #[must_use]
    pub fn imagined(self, used: u64, chained: f64, rules: &Rules<'_>) -> f64 {
        (used * ENTRY) as f64 - chained * rules.classes.class(ENTRY_NO_VALUE) as f64
    }

    /// Expected number of chained entries or child buckets of `elements` spread evenly over `buckets`.
    #[must_use]
    pub fn spill(self, elements: f64, buckets: f64) -> f64 {
        match (self.table, self.entries) {
            (Table::Hashtable, _) => children(elements, buckets),
            (Table::Dict, Entries::Chained) => chained(elements, buckets),
            (Table::Dict, _) => 0.0,
        }
    }
}

/// Expected number of buckets that hold something.
#[must_use]
pub fn non_empty(elements: f64, buckets: f64) -> f64 {
    if buckets <= 1.0 {
        return if elements > 0.0 { buckets } else { 0.0 };
    }
    buckets * (1.0 - (elements * (-1.0 / buckets).ln_1p()).exp())
}

/// Expected number of elements that are not the first of their bucket.
#[must_use]
pub fn chained(elements: f64, buckets: f64) -> f64 {
    elements - non_empty(elements, buckets)
}

/// Expected number of child buckets: one for each six elements beyond the seventh of a bucket.
#[must_use]
pub fn children(elements: f64, buckets: f64) -> f64 {
    let own = |inside: f64| ((inside - PLACES as f64) / CHILD_PLACES as f64).ceil().max(0.0);
    if buckets <= 1.0 {
        return if buckets > 0.0 { own(elements / buckets) * buckets } else { 0.0 };
    }
    let p = 1.0 / buckets;
    // The binomial distribution, from none upwards.
    let mut probability = (elements * (-p).ln_1p()).exp();
    let (odds, mean) = (p / (1.0 - p), elements * p);
    let (mut sum, mut inside) = (0.0, 0.0);
    while inside < elements && (inside < mean || probability > 1e-12) {
        probability *= (elements - inside) / (inside + 1.0) * odds;
        inside += 1.0;
        if inside > PLACES as f64 {
            sum += probability * own(inside);
        }
    }
    sum * buckets
}

/// The blocks of a table of `elements` that grew one by one, or was made for `expected` of them, and whose rehash is
/// over.
#[must_use]
pub fn allocations(kind: Kind, elements: u64, expected: u64, rules: &Rules<'_>) -> Vec<Allocation> {
    let classes = rules.classes;
    let buckets = settled_buckets(kind, elements, expected);
    let name = if kind.table == Table::Hashtable { "hashtable" } else { "dict" };
    let mut all = vec![Allocation::new(name, kind.header, 1.0, classes)];
    if buckets > 0 {
        all.push(Allocation::new(format!("{name} buckets ({buckets})"), buckets * kind.bucket(), 1.0, classes));
    }
    if kind.entries == Entries::Each {
        all.push(Allocation::new("dictEntry", ENTRY, elements as f64, classes));
    }
    let spill = kind.spill(elements as f64, buckets as f64);
    if spill > 0.0 {
        let what = if kind.table == Table::Hashtable { "child bucket" } else { "dictEntry of a chained member" };
        all.push(Allocation::new(format!("{what} (expected)"), kind.spill_request(), spill, classes));
    }
    all
}

/// Buckets of a table of `elements` when its rehash is over.
#[must_use]
pub fn settled_buckets(kind: Kind, elements: u64, expected: u64) -> u64 {
    match (kind.table, elements.max(expected)) {
        (_, 0) => 0,
        (Table::Dict, largest) => kind.buckets_for(largest),
        (Table::Hashtable, _) => {
            let mut buckets = kind.buckets_for(expected.max(1));
            while elements > buckets * PLACES {
                // Grown when one element too many came.
                buckets = kind.buckets_for(buckets * PLACES + 1);
            }
            buckets
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_buckets_follow_the_load() {
        for (load, expected) in [(3.5, 0.027), (4.0, 0.051), (5.0, 0.134), (6.0, 0.26), (7.0, 0.41)] {
            let buckets = 65_536.0;
            let share = children(load * buckets, buckets) / buckets;
            assert!((share - expected).abs() < 0.006, "{load}: {share}");
        }
        assert!(children(7.0, 1.0).abs() < f64::EPSILON, "one bucket holds seven");
    }
}
