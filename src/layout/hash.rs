//! Hashes: packed while small, a table of fields and values beyond.
//!
//! Source: redis 7.0.15 `src/t_hash.c`; Valkey 8.1 `src/t_hash.c` for entries that hold field and value; TTLs of fields:
//! redis 7.4 and Valkey 9.0 `src/t_hash.c`, *measured* on redis 8.0.2 and valkey 9.1.2.  Elements' lengths are the caller's;
//! the state is the same size for any number of fields.  Wherever fields are named one after another, those with a TTL
//! come first, then those that have kept the room for one.

use super::allocation::{Allocation, Held, Rules, Tally};
use super::dict::{self, Dict, Kind};
use super::field_index::{Span, TimeIndex};
use super::listpack::{Element, Packed};
use super::{Encoding, sds};
use crate::profile::{FieldString, FieldTtl, HashEntry, Packing};

/// The third element of a field in a packed hash: without a TTL, and a time in milliseconds.
pub(super) const NO_TTL: Element = Element::Int(0);
pub(super) const SOME_TTL: Element = Element::Int(1 << 40);

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
pub(super) enum Body {
    Packed(Packed),
    Table(Box<Dict>),
}

/// A hash without the key and the object that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash {
    pub(super) body: Body,
    pub(super) bytes: u64,
    pub(super) phase: u32,
    /// From the first TTL of a field on.
    pub(super) ttls: Option<Box<FieldTtls>>,
}

/// TTLs of fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FieldTtls {
    /// Fields with a TTL.
    pub(super) timed: u64,
    /// Fields that have room for one, these included.
    pub(super) roomy: u64,
    /// A table's index of them by time.
    pub(super) index: TimeIndex,
    /// From when to when they expire.
    pub(super) span: Span,
}

/// The table of a hash, with or without TTLs.
pub(super) fn table_kind(ttls: bool, rules: &Rules<'_>) -> Kind {
    let kind = Kind::hash(rules);
    match rules.collections.field_ttl {
        FieldTtl::Ebuckets { metadata, .. } if ttls => Kind { header: kind.header + metadata, ..kind },
        _ => kind,
    }
}

/// The blocks of one pair in a table: the entry's two strings, or what holds both, by request (B).  A second of 0 is
/// none.
pub(super) fn pair_requests(pair: Pair, roomy: bool, rules: &Rules<'_>) -> (u64, u64) {
    let (field, value) = (pair.field.length(), pair.value.length());
    let room = match rules.collections.field_ttl {
        FieldTtl::Ebuckets { room, .. } | FieldTtl::VolatileSet { room } if roomy => room,
        _ => 0,
    };
    match rules.collections.hash_entry {
        HashEntry::Separate => {
            let header = match rules.collections.field_string {
                FieldString::Mstr if field > 65_535 => 9,
                FieldString::Mstr if field > 255 => 3,
                FieldString::Mstr | FieldString::Sds => sds::header(field),
            };
            (room + header + field + 1, sds::request(value))
        }
        HashEntry::Embedded { longest } => {
            // A value in the entry has a header of type 8, so that it can say how much room it has.
            let header = if roomy { sds::header(field).max(3) } else { sds::header(field) };
            let both = room + header + field + 1 + 3 + value + 1;
            if both <= longest {
                return (both, 0);
            }
            // A pointer to the value in front; a field's header says so, and needs three bytes for it.
            (room + 8 + sds::header(field).max(3) + field + 1, sds::request(value))
        }
    }
}

fn allocate_pair<T: Tally>(pair: Pair, roomy: bool, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    let (first, second) = pair_requests(pair, roomy, rules);
    held.allocate(first);
    held.allocate_many(second, u64::from(second > 0));
}

fn free_pair<T: Tally>(pair: Pair, roomy: bool, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    let (first, second) = pair_requests(pair, roomy, rules);
    held.free(first);
    held.free_many(second, u64::from(second > 0));
}

impl Hash {
    /// An empty hash.  `phase` is the key's own: see [`dict`].
    pub fn new<T: Tally>(phase: u32, rules: &Rules<'_>, tally: &mut T) -> Hash {
        let packed = Packed::new();
        let mut bytes = 0;
        Held::new(&mut bytes, rules.classes, tally).allocate(packed.bytes(rules.collections.packing));
        Hash { body: Body::Packed(packed), bytes, phase, ttls: None }
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
            Body::Packed(packed) => packed.entries / self.elements_each(),
            Body::Table(dict) => dict.used(),
        }
    }

    /// Elements of a field in a packed hash.
    fn elements_each(&self) -> u64 {
        if self.ttls.is_some() { 3 } else { 2 }
    }

    /// Fields that have room for a TTL, and those that have one.
    pub(super) fn roomy(&self) -> (u64, u64) {
        self.ttls.as_ref().map_or((0, 0), |ttls| (ttls.roomy, ttls.timed))
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
            Body::Packed(_) if self.ttls.is_some() => Encoding::ListpackEx,
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
            Body::Table(dict) => {
                let unseen = self.ttls.as_ref().map_or(0, |ttls| ttls.index.unseen(rules));
                // It takes the header of a table without TTLs, `sizeof(dict)`.
                let header = self.kind(rules).header - table_kind(false, rules).header;
                self.bytes - unseen - header - self.kind(rules).rounding(dict.used(), rules)
            }
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
        let (kind, each) = (self.kind(rules), self.elements_each());
        let (mut bytes, mut peak) = (self.bytes, 0);
        if self.is_too_long(pair, rules) {
            peak = self.make_table(0, existing, rules, tally);
            bytes = self.bytes;
        } else if let Body::Packed(packed) = &mut self.body {
            let mut held = Held::new(&mut self.bytes, rules.classes, tally);
            let packing = rules.collections.packing;
            let before = packed.bytes(packing);
            packed.push_back(pair.field, packing);
            packed.push_back(pair.value, packing);
            if each == 3 {
                packed.push_back(NO_TTL, packing);
            }
            held.resize(before, packed.bytes(packing));
            let peak = held.peak();
            if packed.entries / each <= rules.limits.hash_entries {
                return peak;
            }
            return peak.max(self.make_table(0, existing.into_iter().chain([pair]), rules, tally));
        }
        let Body::Table(dict) = &mut self.body else { return peak };
        let mut held = Held::new(&mut bytes, rules.classes, tally);
        insert_into(dict, pair, kind, false, rules.collections.rehash.hash_insert, rules, &mut held);
        peak = peak.max(held.peak());
        self.bytes = bytes;
        peak
    }

    /// Its table, or the one that it would have.
    pub(super) fn kind(&self, rules: &Rules<'_>) -> Kind {
        table_kind(self.ttls.is_some(), rules)
    }

    /// Makes a table of a packed hash: both are held while it is filled.  The result is the most that was held.
    pub(super) fn make_table<T: Tally>(
        &mut self,
        expected: u64,
        existing: impl IntoIterator<Item = Pair>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let (kind, fields) = (self.kind(rules), self.len());
        let Body::Packed(packed) = self.body else { return self.bytes };
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let presize = if rules.collections.hash_presized { fields } else { 0 };
        let mut dict = Dict::new(kind, expected.max(presize), self.phase, &mut held);
        let timed = self.ttls.as_ref().map_or(0, |ttls| ttls.timed);
        for (number, pair) in (0..fields).zip(existing) {
            insert_into(&mut dict, pair, kind, number < timed, 1, rules, &mut held);
        }
        held.free(packed.bytes(rules.collections.packing));
        if let (Some(ttls), FieldTtl::Ebuckets { packed, .. }) = (&mut self.ttls, rules.collections.field_ttl) {
            held.free(packed);
            ttls.index_all(rules, &mut held);
        }
        self.body = Body::Table(Box::new(dict));
        held.peak()
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
        if !rules.collections.size_hints || fields <= rules.limits.hash_entries {
            return self.bytes;
        }
        self.make_table(fields, existing, rules, tally)
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
        self.replace(old, new, false, existing, rules, tally)
    }

    /// The same, where the field may have room for a TTL.
    pub fn replace<T: Tally>(
        &mut self,
        old: Pair,
        new: Pair,
        roomy: bool,
        existing: impl IntoIterator<Item = Pair>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let peak = if self.is_too_long(new, rules) { self.make_table(0, existing, rules, tally) } else { 0 };
        let kind = self.kind(rules);
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Table(dict) => {
                dict.touch(kind, rules.collections.rehash.lookup, &mut held);
                resize_pair(pair_requests(old, roomy, rules), pair_requests(new, roomy, rules), &mut held);
            }
            Body::Packed(packed) => {
                let packing = rules.collections.packing;
                let before = packed.bytes(packing);
                packed.replace(old.value, new.value, packing);
                held.resize(before, packed.bytes(packing));
            }
        }
        peak.max(held.peak())
    }

    /// HDEL of the last field.
    pub fn remove<T: Tally>(&mut self, pair: Pair, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let roomy = self.ttls.is_some() && self.roomy().0 == self.len();
        if let Some(ttls) = self.ttls.as_mut().filter(|_| roomy) {
            ttls.roomy = ttls.roomy.saturating_sub(1);
        }
        self.take(pair, NO_TTL, roomy, rules, tally)
    }

    pub(super) fn take<T: Tally>(
        &mut self,
        pair: Pair,
        ttl: Element,
        roomy: bool,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let (kind, each) = (self.kind(rules), self.elements_each());
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let packing = rules.collections.packing;
        match &mut self.body {
            Body::Table(dict) => {
                free_pair(pair, roomy, rules, &mut held);
                dict.remove(kind, rules.collections.rehash.remove, &mut held);
            }
            Body::Packed(packed) => {
                let before = packed.bytes(packing);
                packed.remove(pair.field, packing);
                packed.remove(pair.value, packing);
                if each == 3 {
                    packed.remove(ttl, packing);
                }
                held.resize(before, packed.bytes(packing));
            }
        }
        held.peak()
    }

    /// HGET: a table makes a step of its rehash.
    pub fn lookup<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        let kind = self.kind(rules);
        if let Body::Table(dict) = &mut self.body {
            let mut held = Held::new(&mut self.bytes, rules.classes, tally);
            dict.touch(kind, rules.collections.rehash.lookup, &mut held);
        }
    }

    /// Frees all of it, `existing` fields included.
    pub fn release<T: Tally>(&mut self, existing: impl IntoIterator<Item = Pair>, rules: &Rules<'_>, tally: &mut T) {
        let (kind, (roomy, _)) = (self.kind(rules), self.roomy());
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Packed(packed) => {
                held.free(packed.bytes(rules.collections.packing));
                if let (Some(_), FieldTtl::Ebuckets { packed, .. }) = (&self.ttls, rules.collections.field_ttl) {
                    held.free(packed);
                }
            }
            Body::Table(dict) => {
                (0..).zip(existing).for_each(|(number, pair)| free_pair(pair, number < roomy, rules, &mut held));
                dict.release(kind, &mut held);
                if let Some(ttls) = &mut self.ttls {
                    ttls.index.release(rules, &mut held);
                }
            }
        }
    }
}

fn insert_into<T: Tally>(
    dict: &mut Dict,
    pair: Pair,
    kind: Kind,
    roomy: bool,
    steps: u64,
    rules: &Rules<'_>,
    held: &mut Held<'_, T>,
) {
    dict.insert(kind, steps, held);
    allocate_pair(pair, roomy, rules, held);
}

/// A pair's blocks become others.
pub(super) fn resize_pair<T: Tally>(old: (u64, u64), new: (u64, u64), held: &mut Held<'_, T>) {
    held.resize(old.0, new.0);
    match (old.1, new.1) {
        (0, second) => held.allocate_many(second, u64::from(second > 0)),
        (first, 0) => held.free(first),
        (first, second) => held.resize(first, second),
    }
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
    all.extend(pair_allocations(pair, fields, false, rules));
    all
}

/// The blocks of `count` equal pairs in a table.  `timed`: each has a TTL.
pub(super) fn pair_allocations(pair: Pair, count: u64, timed: bool, rules: &Rules<'_>) -> Vec<Allocation> {
    let (first, second) = pair_requests(pair, timed, rules);
    let together = matches!(rules.collections.hash_entry, HashEntry::Embedded { .. });
    let name = if together { if second == 0 { "field and value" } else { "field and pointer" } } else { "field" };
    let with = if timed { ", with TTL" } else { "" };
    let value = if second > 0 { Some(("value".to_owned(), second)) } else { None };
    let blocks = [(format!("{name}{with}"), first)].into_iter().chain(value);
    let blocks = blocks.filter(|_| count > 0);
    blocks.map(|(name, request)| Allocation::new(name, request, count as f64, rules.classes)).collect()
}

/// The server's word for a packed block.
#[must_use]
pub(super) fn packed_name(packing: Packing) -> &'static str {
    match packing {
        Packing::Ziplist => "ziplist",
        Packing::Listpack => "listpack",
    }
}
