//! Expiry of hash fields: the index of hashes with such fields, and the active cycle.
//!
//! Redis keeps hashes by the first time in each (ebuckets) and deletes so many fields in a call; Valkey keeps a table of
//! them and works while its share of the time lasts.
//! Source: redis 7.4 `src/expire.c` (`activeExpireHashFieldCycle`), `src/t_hash.c` (`hashTypeSetExDone`); *measured*: redis
//! 8.0.2 deletes 16 000 fields in each run of cron at hz 10, valkey 9.1.2 some 80 000.

use super::collection::{Blocks, Collection, Elements, Kept};
use super::keys::Slot;
use super::lazyfree::FreedBy;
use super::ledger::MemoryPart;
use super::{Node, Role};
use crate::layout::Rules;
use crate::layout::field_index::{HashIndex, Span};
use crate::profile::FieldTtl;
use std::collections::BTreeSet;

/// Fields deleted in a second by one call in each run of cron.  Source: `HFE_DB_BASE_ACTIVE_EXPIRE_FIELDS_PER_SEC`.
const FIELDS_PER_SECOND: u64 = 10_000;
/// Databases that a run of cron visits at most, each with a call.  Source: `CRON_DBS_PER_CALL`.
const CALLS: u64 = 16;
/// From so many fields deleted without catching up on, the number in a call is multiplied.
const SEQUENCE: u64 = 1_000_000;
/// By this at most.
const SEQUENCE_FACTOR: u64 = 32;
/// The index is brought up to date where the first time moves by this or more (ms).
/// Source: `HASH_NEW_EXPIRE_DIFF_THRESHOLD`.
const REINDEX_MS: u64 = 4000;
/// Time that Valkey's job takes in a run of cron at hz 10 (µs), and for one field (ns).  *measured*: 1 000 fields in each
/// of 1 000 hashes, all due at once, are gone after 1.9 s.
const JOB_US: u64 = 25_000;
const FIELD_NS: u64 = 312;

/// What the elements of a keyspace's key of a number are.
pub type ElementsOf<'a> = dyn Fn(u8, u64) -> Box<dyn Elements + 'a> + 'a;

/// The index of hashes whose fields have a TTL.
#[derive(Debug, Default)]
pub(super) struct FieldExpiry {
    /// Time (ms) and number of the collection.
    due: BTreeSet<(u64, u64)>,
    index: HashIndex,
    blocks: Blocks,
    /// Fields deleted without catching up.
    sequence: u64,
}

impl FieldExpiry {
    /// Its blocks.
    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// From the first to the last time in it.
    fn span(&self) -> Span {
        let at = |item: Option<&(u64, u64)>| item.map_or(0, |item| item.0);
        Span { first: at(self.due.first()), last: at(self.due.last()) }
    }
}

impl Node {
    /// Enters a hash into the index by the first time in it, or takes it out; `expired`: cron has been at it.
    pub(super) fn index_fields(&mut self, number: u64, expired: bool) {
        let Some(times) = self.collections.get_mut(number).and_then(|collection| collection.times.as_mut()) else {
            return;
        };
        let ebuckets = matches!(self.profile.collections.field_ttl, FieldTtl::Ebuckets { .. });
        let (before, first) = (times.indexed, times.fields.first());
        let moved = match (before, first) {
            (Some(before), Some(first)) => expired || !ebuckets || before.abs_diff(first) >= REINDEX_MS,
            // Redis finds out when its time comes.
            (Some(_), None) => expired || !ebuckets,
            (None, first) => first.is_some(),
        };
        if moved && before != first {
            times.indexed = first;
            self.move_in_index(number, before, first);
        }
    }

    /// A hash is gone, and so is its place in the index.
    pub(super) fn forget_fields(&mut self, number: u64, collection: &Collection) {
        if let Some(at) = collection.times.as_ref().and_then(|times| times.indexed) {
            self.move_in_index(number, Some(at), None);
        }
    }

    fn move_in_index(&mut self, number: u64, from: Option<u64>, to: Option<u64>) {
        let rules = Rules::new(self.profile, self.classes, self.config.limits);
        let before = self.field_expiry.index.bytes();
        let mut told = super::collections::Told { rss: &mut self.rss, child: self.child.as_deref_mut() };
        let expiry = &mut self.field_expiry;
        if let Some(at) = from {
            expiry.due.remove(&(at, number));
        }
        let last = to.is_some_and(|at| expiry.due.last().is_none_or(|latest| at >= latest.0));
        expiry.due.extend(to.map(|at| (at, number)));
        let span = expiry.span();
        let mut tally = Kept { blocks: &mut expiry.blocks, next: &mut told };
        match (from, to) {
            (None, Some(_)) => expiry.index.insert(last, span, &rules, &mut tally),
            (Some(_), None) => expiry.index.remove(span, &rules, &mut tally),
            _ => {}
        }
        let after = self.field_expiry.index.bytes();
        self.ledger.release(MemoryPart::ExpiresEntries, before);
        self.ledger.charge(MemoryPart::ExpiresEntries, after);
    }

    /// The active cycle of hash fields, once in each run of cron.
    pub fn active_expire_fields(&mut self, elements_of: &ElementsOf<'_>) {
        if self.role == Role::Replica || self.field_expiry.due.first().is_none_or(|&(at, _)| at > self.now_ms) {
            self.field_expiry.sequence = 0;
            return;
        }
        let hz = u64::from(self.effective_hz());
        let most = match self.profile.collections.field_ttl {
            FieldTtl::Ebuckets { .. } => {
                let factor = (self.field_expiry.sequence / SEQUENCE).clamp(1, SEQUENCE_FACTOR);
                FIELDS_PER_SECOND / hz * factor * u64::from(self.config.databases).min(CALLS)
            }
            FieldTtl::VolatileSet { .. } | FieldTtl::None => JOB_US * 10 / hz * 1000 / FIELD_NS,
        };
        let mut left = most;
        while left > 0
            && let Some(&(at, number)) = self.field_expiry.due.first()
            && at <= self.now_ms
        {
            left -= self.expire_fields_of(number, left, elements_of);
        }
        self.field_expiry.sequence = if left == 0 { self.field_expiry.sequence + most } else { 0 };
        self.note_peak();
        self.ledger.assert_balanced();
    }

    /// Deletes fields of one hash whose time has passed, and the key with the last one.
    fn expire_fields_of(&mut self, number: u64, most: u64, elements_of: &ElementsOf<'_>) -> u64 {
        let Some(collection) = self.collections.get(number) else { return most };
        let (slot, key) = (collection.slot, collection.times.as_ref().map_or(0, |times| times.key));
        let keyspace = self.keys.entries[slot as usize].sizes.keyspace;
        let elements = elements_of(keyspace, key);
        let (now_ms, mut deleted) = (self.now_ms, 0);
        self.change(slot, |collection, rules, told| {
            deleted = collection.expire_due(now_ms, most, &*elements, rules, told);
            super::collection::Done { changed: true, ..Default::default() }
        });
        self.note_expired_fields(slot, deleted, &*elements);
        if self.collections.get(number).is_some_and(Collection::is_gone) {
            self.delete_key(slot, FreedBy::Server);
        } else {
            self.index_fields(number, true);
        }
        deleted
    }

    fn note_expired_fields(&mut self, slot: Slot, deleted: u64, elements: &dyn Elements) {
        self.counters.expired_subkeys += deleted;
        self.keyspaces[self.keys.entries[slot as usize].sizes.keyspace as usize].expired_subkeys += deleted;
        if self.propagates() {
            self.propagate_expired_fields(slot, deleted, elements);
        }
    }
}
