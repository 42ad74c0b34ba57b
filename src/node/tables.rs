//! Growth, shrinking and rehash of the two hash tables, and what they charge.
//!
//! Source: redis 7.0.15 `src/dict.c` (`_dictExpandIfNeeded`), `src/server.c` (`dictExpandAllowed`,
//! `tryResizeHashTables`, `incrementallyRehash`).

use super::Node;
use super::dict::{self, BUCKET_BYTES, RehashEnded};
use super::keys::{ExpiresChain, MainChain};
use super::ledger::MemoryPart;
use super::notice::{EventKind, TableName};

/// Above this load a table may grow past `maxmemory`.  Source: `HASHTABLE_MAX_LOAD_FACTOR`.
const MAX_LOAD_FACTOR: f64 = 1.618;

/// Tables smaller than this make no event when they rehash: they are noise on the curve.
const EVENT_MIN_BUCKETS: u64 = 1 << 16;

impl TableName {
    /// Where the table's arrays are charged.
    fn part(self) -> MemoryPart {
        match self {
            TableName::Main => MemoryPart::MainTable,
            TableName::Expires => MemoryPart::ExpiresTable,
        }
    }
}

impl Node {
    /// Grows a table that is full, unless a child lives or the new array would pass `maxmemory`.
    #[inline]
    pub(super) fn expand_if_needed(&mut self, table: TableName) {
        let avoid = self.child_active.then_some(self.profile.child_rules.grow_load);
        let dict = match table {
            TableName::Main => &self.main,
            TableName::Expires => &self.expires,
        };
        if dict.wants_growth(avoid) {
            self.grow(table);
        }
    }

    fn grow(&mut self, table: TableName) {
        let dict = self.dict(table);
        let (buckets, size) = (dict.next_size(), dict.buckets());
        let refusable = size > 0 && dict.load_factor() <= MAX_LOAD_FACTOR;
        if refusable && self.over_limit(buckets * BUCKET_BYTES) {
            let refused = &mut self.refused_sizes[table as usize];
            if *refused != size {
                *refused = size;
                self.note_event(EventKind::ResizeRefused { table, buckets: size });
            }
            return;
        }
        self.resize(table, buckets);
    }

    /// Presizes the tables for what an RDB file announces.
    pub fn presize(&mut self, keys: u64, with_ttl: u64) {
        for (table, entries) in [(TableName::Main, keys), (TableName::Expires, with_ttl)] {
            if entries > 0 && self.dict(table).buckets() == 0 {
                self.resize(table, dict::buckets_for(entries));
            }
        }
    }

    fn resize(&mut self, table: TableName, buckets: u64) {
        let from_buckets = self.dict(table).buckets();
        let rehashes = match table {
            TableName::Main => self.main.resize(buckets),
            TableName::Expires => self.expires.resize(buckets),
        };
        self.ledger.charge(table.part(), buckets * BUCKET_BYTES);
        self.note_array_in_heap(buckets * BUCKET_BYTES, true);
        if rehashes && buckets.max(from_buckets) >= EVENT_MIN_BUCKETS {
            self.note_event(EventKind::RehashStarted { table, from_buckets, to_buckets: buckets });
        }
    }

    #[inline]
    pub(super) fn dict(&self, table: TableName) -> &dict::Dict {
        match table {
            TableName::Main => &self.main,
            TableName::Expires => &self.expires,
        }
    }

    /// Makes `steps` steps of a table's rehash, as a command that touches the table does.
    #[inline]
    pub(super) fn rehash_step(&mut self, table: TableName, steps: u32) {
        if self.dict(table).rehashing() {
            self.rehash(table, |node| match table {
                TableName::Main => node.main.rehash(u64::from(steps), &mut MainChain(&mut node.keys.entries)),
                TableName::Expires => {
                    let chain = &mut ExpiresChain::of(&mut node.keys);
                    node.expires.rehash(u64::from(steps), chain)
                }
            });
        }
    }

    /// Cron's share: shrinks a table that is nearly empty, and rehashes for a millisecond.
    pub(super) fn resize_and_rehash_in_cron(&mut self) {
        if self.child_active {
            return;
        }
        for table in [TableName::Main, TableName::Expires] {
            if self.dict(table).wants_shrink() {
                let buckets = dict::buckets_for(self.dict(table).len());
                self.resize(table, buckets);
            }
        }
        if !self.config.activerehashing {
            return;
        }
        if self.main.rehashing() {
            let buckets = self.costs.rehash_buckets(self.rehash_reads(TableName::Main));
            self.rehash(TableName::Main, |node| {
                node.main.rehash_buckets(buckets, &mut MainChain(&mut node.keys.entries))
            });
        } else if self.expires.rehashing() {
            let buckets = self.costs.rehash_buckets(self.rehash_reads(TableName::Expires));
            self.rehash(TableName::Expires, |node| {
                let chain = &mut ExpiresChain::of(&mut node.keys);
                node.expires.rehash_buckets(buckets, chain)
            });
        }
    }

    /// What a rehash of a whole table reads and writes: its arrays, its entries, and the keys that are hashed anew (B).
    fn rehash_reads(&self, table: TableName) -> u64 {
        let entries = match table {
            TableName::Main => MemoryPart::Entries,
            TableName::Expires => MemoryPart::ExpiresEntries,
        };
        let keys = self.ledger.part(MemoryPart::Keys) * self.dict(table).len() / self.main.len().max(1);
        self.ledger.part(table.part()) + self.ledger.part(entries) + keys
    }

    /// Runs a piece of rehash, unless a child freezes it, and frees the old array when it was the last.
    fn rehash(&mut self, table: TableName, work: impl FnOnce(&mut Node) -> Option<RehashEnded>) {
        if self.child_active && self.frozen(table) {
            return;
        }
        if let Some(RehashEnded { freed_buckets, buckets }) = work(self) {
            self.ledger.release(table.part(), freed_buckets * BUCKET_BYTES);
            self.note_array_in_heap(freed_buckets * BUCKET_BYTES, false);
            if freed_buckets.max(buckets) >= EVENT_MIN_BUCKETS {
                self.note_event(EventKind::RehashEnded { table, buckets });
            }
        }
    }

    /// Whether a child freezes the table's rehash: sizes not far enough apart to force it.
    fn frozen(&self, table: TableName) -> bool {
        let [old, new] = self.dict(table).array_sizes();
        let rules = self.profile.child_rules;
        if new >= old {
            old == 0 || new / old < rules.rehash_growth
        } else {
            new == 0 || old / new < rules.rehash_shrink
        }
    }
}
