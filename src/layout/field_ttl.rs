//! TTLs of a hash's fields: the first one, further ones, and what is left when they go.
//!
//! Source: redis 7.4 and 8.0 `src/t_hash.c`; valkey 9.0 `src/t_hash.c`, `src/entry.c`; *measured*: redis 8.0.2, valkey
//! 9.1.2.  In a table of ebuckets a field that loses its TTL keeps the room for it.

use super::allocation::{Allocation, Held, Rules, Tally};
use super::dict;
use super::field_index::{Span, TimeIndex};
use super::hash::{self, Body, FieldTtls, Hash, NO_TTL, Pair, SOME_TTL, pair_requests, resize_pair, table_kind};
use super::listpack::Packed;
use crate::profile::FieldTtl;

impl FieldTtls {
    /// Puts the fields of a packed hash that becomes a table into the index.
    pub(super) fn index_all<T: Tally>(&mut self, rules: &Rules<'_>, held: &mut Held<'_, T>) {
        self.roomy = self.timed;
        for _ in 0..self.timed {
            self.index.insert(false, self.span, rules, held);
        }
    }
}

impl Hash {
    /// Fields with a TTL.
    #[must_use]
    pub fn timed(&self) -> u64 {
        self.roomy().1
    }

    /// Fields that have room for a TTL in a table, those with one included.
    #[must_use]
    pub fn with_room(&self) -> u64 {
        self.roomy().0
    }

    /// HEXPIRE of the first field without a TTL.  `last`: it expires after all others; `span`: from when to when fields
    /// expire then.
    pub fn expire<T: Tally>(
        &mut self,
        pair: Pair,
        (last, span): (bool, Span),
        existing: impl IntoIterator<Item = Pair>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let peak = self.admit_ttls(existing, rules, tally);
        let Some(ttls) = &mut self.ttls else { return peak };
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        ttls.timed += 1;
        ttls.span = span;
        match &mut self.body {
            Body::Packed(packed) => {
                let packing = rules.collections.packing;
                let before = packed.bytes(packing);
                packed.replace(NO_TTL, SOME_TTL, packing);
                held.resize(before, packed.bytes(packing));
                ttls.roomy = ttls.timed;
            }
            Body::Table(dict) => {
                dict.touch(table_kind(true, rules), rules.collections.rehash.lookup, &mut held);
                if ttls.timed > ttls.roomy {
                    ttls.roomy = ttls.timed;
                    resize_pair(pair_requests(pair, false, rules), pair_requests(pair, true, rules), &mut held);
                }
                ttls.index.insert(last, span, rules, &mut held);
            }
        }
        peak.max(held.peak())
    }

    /// Makes it what a hash with TTLs is.
    fn admit_ttls<T: Tally>(
        &mut self,
        existing: impl IntoIterator<Item = Pair>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        if self.ttls.is_some() || rules.collections.field_ttl == FieldTtl::None {
            return self.bytes;
        }
        let mut peak = self.bytes;
        if matches!(rules.collections.field_ttl, FieldTtl::VolatileSet { .. }) {
            peak = self.make_table(0, existing, rules, tally);
        }
        let fields = self.len();
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match (&mut self.body, rules.collections.field_ttl) {
            (Body::Packed(packed), FieldTtl::Ebuckets { packed: head, .. }) => {
                let packing = rules.collections.packing;
                let before = packed.bytes(packing);
                (0..fields).for_each(|_| packed.push_back(NO_TTL, packing));
                held.allocate(head);
                held.resize(before, packed.bytes(packing));
            }
            (Body::Table(_), _) => {
                held.resize(table_kind(false, rules).header, table_kind(true, rules).header);
            }
            (Body::Packed(_), _) => {}
        }
        self.ttls = Some(Box::default());
        peak.max(held.peak())
    }

    /// HPERSIST of the last field with a TTL, or what HSET does to it.
    pub fn persist<T: Tally>(&mut self, pair: Pair, span: Span, rules: &Rules<'_>, tally: &mut T) {
        let Some(ttls) = self.ttls.as_mut().filter(|ttls| ttls.timed > 0) else { return };
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        ttls.timed -= 1;
        ttls.span = span;
        match &mut self.body {
            Body::Packed(packed) => {
                let packing = rules.collections.packing;
                let before = packed.bytes(packing);
                packed.replace(SOME_TTL, NO_TTL, packing);
                held.resize(before, packed.bytes(packing));
                ttls.roomy = ttls.timed;
            }
            Body::Table(_) => {
                ttls.index.remove(span, rules, &mut held);
                if matches!(rules.collections.field_ttl, FieldTtl::VolatileSet { .. }) {
                    ttls.roomy = ttls.timed;
                    resize_pair(pair_requests(pair, true, rules), pair_requests(pair, false, rules), &mut held);
                }
            }
        }
    }

    /// The first field goes, one that has room for a TTL: it has expired, or HDEL took it.
    pub fn remove_first<T: Tally>(&mut self, pair: Pair, span: Span, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let (roomy, timed) = self.roomy();
        let ttl = if timed > 0 { SOME_TTL } else { NO_TTL };
        let peak = self.take(pair, ttl, roomy > 0, rules, tally);
        let Some(ttls) = &mut self.ttls else { return peak };
        ttls.roomy = roomy.saturating_sub(1);
        if timed > 0 {
            ttls.timed = timed - 1;
            ttls.span = span;
            if matches!(self.body, Body::Table(_)) {
                ttls.index.remove(span, rules, &mut Held::new(&mut self.bytes, rules.classes, tally));
            }
        }
        peak
    }
}

/// The blocks of a hash of `fields` equal pairs, of which `timed` have a TTL that falls anywhere within `span`, and what
/// `MEMORY USAGE` leaves out of them (B).
#[must_use]
pub fn allocations(fields: u64, timed: u64, pair: Pair, span: Span, rules: &Rules<'_>) -> (Vec<Allocation>, u64) {
    let (collections, classes) = (rules.collections, rules.classes);
    let plain = hash::allocations(fields, pair, rules);
    if let ([_], FieldTtl::Ebuckets { packed: head, .. }) = (&plain[..], collections.field_ttl) {
        let mut packed = Packed::new();
        for number in 0..fields {
            packed.push_back(pair.field, collections.packing);
            packed.push_back(pair.value, collections.packing);
            packed.push_back(if number < timed { SOME_TTL } else { NO_TTL }, collections.packing);
        }
        let bytes = packed.bytes(collections.packing);
        let blocks = [("listpackEx", head), ("listpack with TTLs", bytes)];
        return (blocks.map(|(name, request)| Allocation::new(name, request, 1.0, classes)).into(), 0);
    }
    let kind = table_kind(true, rules);
    let mut all = dict::allocations(kind, fields, 0, rules);
    all.extend(hash::pair_allocations(pair, fields - timed, false, rules));
    all.extend(hash::pair_allocations(pair, timed, true, rules));
    let (mut bytes, mut index) = (0, TimeIndex::default());
    let mut tally = ();
    let mut held = Held::new(&mut bytes, classes, &mut tally);
    (0..timed).for_each(|_| index.insert(false, span, rules, &mut held));
    all.extend(index.allocations(rules));
    (all, index.unseen(rules) + kind.header - table_kind(false, rules).header + kind.rounding(fields, rules))
}
