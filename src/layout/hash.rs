//! Hashes: packed while small, a table of fields and values beyond.
//!
//! Source: redis 7.0.15 `src/t_hash.c`; Valkey 8.1 `src/t_hash.c` for entries that hold field and value.  Elements'
//! lengths are the caller's; the state is the same size for any number of fields.

use super::allocation::{Allocation, Held, Rules, Tally};
use super::dict::{self, Dict, Kind};
use super::listpack::{Element, Packed};
use super::{Encoding, sds};
use crate::profile::{FieldString, HashEntry, Packing};

/// A field and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The field.
    pub field: Element,
    /// Its value.
    pub value: Element,
}

impl Pair {
    /// A field and a value of these lengths, neither of them an integer (B).
    #[must_use]
    pub fn of(field: u64, value: u64) -> Pair {
        Pair { field: field.into(), value: value.into() }
    }
}

/// How the fields are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Packed(Packed),
    Table(Box<Dict>),
}

/// A hash without the key and the object that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash {
    body: Body,
    bytes: u64,
    phase: u32,
}

/// The blocks of one pair in a table: the entry's two strings, or what holds both, by request (B).  A second of 0 is
/// none.
fn pair_requests(pair: Pair, rules: &Rules<'_>) -> (u64, u64) {
    let (field, value) = (pair.field.length(), pair.value.length());
    match rules.collections.hash_entry {
        HashEntry::Separate => {
            let header = match rules.collections.field_string {
                FieldString::Mstr if field > 255 => {
                    if field <= 65_535 {
                        3
                    } else {
                        9
                    }
                }
                FieldString::Mstr | FieldString::Sds => sds::header(field),
            };
            (header + field + 1, sds::request(value))
        }
        HashEntry::Embedded { longest } => {
            // A value in the entry has a header of type 8, so that it can say how much room it has.
            let both = sds::request(field) + 3 + value + 1;
            if both <= longest {
                return (both, 0);
            }
            // A pointer to the value in front; a field's header says so, and needs three bytes for it.
            (8 + sds::header(field).max(3) + field + 1, sds::request(value))
        }
    }
}

fn allocate_pair<T: Tally>(pair: Pair, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    let (first, second) = pair_requests(pair, rules);
    held.allocate(first);
    held.allocate_many(second, u64::from(second > 0));
}

fn free_pair<T: Tally>(pair: Pair, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    let (first, second) = pair_requests(pair, rules);
    held.free(first);
    held.free_many(second, u64::from(second > 0));
}

impl Hash {
    /// An empty hash.  `phase` is the key's own: see [`dict`].
    pub fn new<T: Tally>(phase: u32, rules: &Rules<'_>, tally: &mut T) -> Hash {
        let packed = Packed::new();
        let mut bytes = 0;
        Held::new(&mut bytes, rules.classes, tally).allocate(packed.bytes(rules.collections.packing));
        Hash { body: Body::Packed(packed), bytes, phase }
    }

    /// What it holds (B).
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fields.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.body {
            Body::Packed(packed) => packed.entries / 2,
            Body::Table(dict) => dict.used(),
        }
    }

    /// Whether it has no field: the server then deletes the key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its encoding.
    #[must_use]
    pub fn encoding(&self, rules: &Rules<'_>) -> Encoding {
        match &self.body {
            Body::Packed(_) => Encoding::packed(rules.collections.packing),
            Body::Table(_) => Encoding::Hashtable,
        }
    }

    /// The table, when there is one.
    #[must_use]
    pub fn table(&self) -> Option<&Dict> {
        match &self.body {
            Body::Packed(_) => None,
            Body::Table(dict) => Some(dict),
        }
    }

    /// What `MEMORY USAGE` with all samples counts for it beside the object (B).
    #[must_use]
    pub fn memory_usage(&self, rules: &Rules<'_>) -> u64 {
        match &self.body {
            Body::Packed(packed) if rules.collections.memory_usage.packed_nominal => {
                packed.bytes(rules.collections.packing)
            }
            Body::Packed(_) => self.bytes,
            Body::Table(dict) => self.bytes - Kind::hash(rules).rounding(dict.used(), rules),
        }
    }

    /// HSET of a field that is new, among `existing` ones, which are asked for at a conversion alone.  The result is
    /// the most that was held while it ran (B).
    pub fn insert<T: Tally>(
        &mut self,
        pair: Pair,
        existing: impl IntoIterator<Item = Pair>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let too_long = self.is_too_long(pair, rules);
        let mut bytes = self.bytes;
        let mut held = Held::new(&mut bytes, rules.classes, tally);
        let packing = rules.collections.packing;
        match &mut self.body {
            Body::Table(dict) => insert_into(dict, pair, rules.collections.rehash.hash_insert, rules, &mut held),
            Body::Packed(packed) if too_long => {
                let mut dict = convert(packed, 0, existing, self.phase, rules, &mut held);
                insert_into(&mut dict, pair, rules.collections.rehash.hash_insert, rules, &mut held);
                self.body = Body::Table(Box::new(dict));
            }
            Body::Packed(packed) => {
                let before = packed.bytes(packing);
                packed.push_back(pair.field, packing);
                packed.push_back(pair.value, packing);
                held.resize(before, packed.bytes(packing));
                if packed.entries / 2 > rules.limits.hash_entries {
                    let with = existing.into_iter().chain([pair]);
                    self.body = Body::Table(Box::new(convert(packed, 0, with, self.phase, rules, &mut held)));
                }
            }
        }
        let peak = held.peak();
        self.bytes = bytes;
        peak
    }

    fn is_too_long(&self, pair: Pair, rules: &Rules<'_>) -> bool {
        let longest = rules.limits.hash_value;
        pair.field.length() > longest || pair.value.length() > longest
    }

    /// A command with `fields` fields is about to be executed: where commands tell, more than fit make it a table.
    pub fn size_hint<T: Tally>(
        &mut self,
        fields: u64,
        existing: impl IntoIterator<Item = Pair>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let Body::Packed(packed) = &self.body else { return self.bytes };
        if !rules.collections.size_hints || fields <= rules.limits.hash_entries {
            return self.bytes;
        }
        let packed = *packed;
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        self.body = Body::Table(Box::new(convert(&packed, fields, existing, self.phase, rules, &mut held)));
        held.peak()
    }

    /// HSET of a field that is there: `old` and `new` have the same field.
    pub fn overwrite<T: Tally>(
        &mut self,
        old: Pair,
        new: Pair,
        existing: impl IntoIterator<Item = Pair>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let too_long = self.is_too_long(new, rules);
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let packing = rules.collections.packing;
        let replace = |dict: &mut Dict, held: &mut Held<'_, T>| {
            dict.touch(Kind::hash(rules), rules.collections.rehash.lookup, held);
            let (before, after) = (pair_requests(old, rules), pair_requests(new, rules));
            held.resize(before.0, after.0);
            match (before.1, after.1) {
                (0, second) => held.allocate_many(second, u64::from(second > 0)),
                (first, 0) => held.free(first),
                (first, second) => held.resize(first, second),
            }
        };
        match &mut self.body {
            Body::Table(dict) => replace(dict, &mut held),
            Body::Packed(packed) if too_long => {
                let mut dict = convert(packed, 0, existing, self.phase, rules, &mut held);
                replace(&mut dict, &mut held);
                self.body = Body::Table(Box::new(dict));
            }
            Body::Packed(packed) => {
                let before = packed.bytes(packing);
                packed.replace(old.value, new.value, packing);
                held.resize(before, packed.bytes(packing));
            }
        }
        held.peak()
    }

    /// HDEL of a field that is there.
    pub fn remove<T: Tally>(&mut self, pair: Pair, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let packing = rules.collections.packing;
        match &mut self.body {
            Body::Table(dict) => {
                free_pair(pair, rules, &mut held);
                dict.remove(Kind::hash(rules), rules.collections.rehash.remove, &mut held);
            }
            Body::Packed(packed) => {
                let before = packed.bytes(packing);
                packed.remove(pair.field, packing);
                packed.remove(pair.value, packing);
                held.resize(before, packed.bytes(packing));
            }
        }
        held.peak()
    }

    /// HGET: a table makes a step of its rehash.
    pub fn lookup<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        if let Body::Table(dict) = &mut self.body {
            let mut held = Held::new(&mut self.bytes, rules.classes, tally);
            dict.touch(Kind::hash(rules), rules.collections.rehash.lookup, &mut held);
        }
    }

    /// Frees all of it, `existing` fields included.
    pub fn release<T: Tally>(&mut self, existing: impl IntoIterator<Item = Pair>, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Packed(packed) => held.free(packed.bytes(rules.collections.packing)),
            Body::Table(dict) => {
                existing.into_iter().for_each(|pair| free_pair(pair, rules, &mut held));
                dict.release(Kind::hash(rules), &mut held);
            }
        }
    }
}

fn insert_into<T: Tally>(dict: &mut Dict, pair: Pair, steps: u64, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    dict.insert(Kind::hash(rules), steps, held);
    allocate_pair(pair, rules, held);
}

/// Makes a table of a packed hash: both are held while it is filled.
fn convert<T: Tally>(
    packed: &Packed,
    expected: u64,
    existing: impl IntoIterator<Item = Pair>,
    phase: u32,
    rules: &Rules<'_>,
    held: &mut Held<'_, T>,
) -> Dict {
    let presize = if rules.collections.hash_presized { packed.entries / 2 } else { 0 };
    let mut dict = Dict::new(Kind::hash(rules), expected.max(presize), phase, held);
    for pair in existing.into_iter().take((packed.entries / 2) as usize) {
        insert_into(&mut dict, pair, 1, rules, held);
    }
    held.free(packed.bytes(rules.collections.packing));
    dict
}

/// The blocks of a hash of `fields` equal pairs, added one by one.
#[must_use]
pub fn allocations(fields: u64, pair: Pair, rules: &Rules<'_>) -> Vec<Allocation> {
    let longest = pair.field.length().max(pair.value.length());
    if fields <= rules.limits.hash_entries && longest <= rules.limits.hash_value {
        let mut packed = Packed::new();
        for _ in 0..fields {
            packed.push_back(pair.field, rules.collections.packing);
            packed.push_back(pair.value, rules.collections.packing);
        }
        let bytes = packed.bytes(rules.collections.packing);
        return vec![Allocation::new(packed_name(rules.collections.packing), bytes, 1.0, rules.classes)];
    }
    let mut all = dict::allocations(Kind::hash(rules), fields, 0, rules);
    let (first, second) = pair_requests(pair, rules);
    let together = matches!(rules.collections.hash_entry, HashEntry::Embedded { .. });
    let name = if together { if second == 0 { "field and value" } else { "field and pointer" } } else { "field" };
    all.push(Allocation::new(name, first, fields as f64, rules.classes));
    if second > 0 {
        all.push(Allocation::new("value", second, fields as f64, rules.classes));
    }
    all
}

/// The server's word for a packed block.
#[must_use]
pub(super) fn packed_name(packing: Packing) -> &'static str {
    match packing {
        Packing::Ziplist => "ziplist",
        Packing::Listpack => "listpack",
    }
}
