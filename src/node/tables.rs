//! Growth, shrinking and rehash of the two hash tables, and what they charge.
//!
//! Source: redis 7.0.15 `src/dict.c` (`_dictExpandIfNeeded`), `src/server.c` (`dictExpandAllowed`,
//! `tryResizeHashTables`, `incrementallyRehash`).

use super::config::ServerConfig;
use super::dict::{self, RehashEnded};
use super::keys::{ExpiresChain, MainChain, Slot};
use super::ledger::MemoryPart;
use super::notice::{EventKind, TableName};
use super::slot_tables::{self, SlotTables};
use super::{Node, Role};
use crate::profile::cluster::SLOTS;
use crate::profile::{Profile, ShrinkRule, SizeClasses, TableLayout};

/// Above this load a table may grow past `maxmemory`.  Source: `HASHTABLE_MAX_LOAD_FACTOR`.
const MAX_LOAD_FACTOR: f64 = 1.618;

/// Tables smaller than this make no event when they rehash: they are noise on the curve.
const EVENT_MIN_BUCKETS: u64 = 1 << 16;

/// Bytes of a pointer to a slot's table (B).
const POINTER: u64 = 8;

/// The tables of all slots, where cluster mode has them.
pub(super) fn slot_tables(
    profile: &Profile,
    classes: SizeClasses,
    config: &ServerConfig,
) -> Option<Box<[SlotTables; 2]>> {
    let kvstore = profile.kvstore.filter(|_| config.cluster_enabled)?;
    let node = kvstore.rehashing_node;
    Some(Box::new([kvstore.main_table, kvstore.expires_table].map(|t| SlotTables::new(profile, classes, t, node))))
}

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
        if refusable && self.over_limit(buckets * dict.bucket_bytes()) {
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
                self.resize(table, self.dict(table).buckets_for(entries));
            }
        }
    }

    /// Shrinks a table that is nearly empty, as cron does and, in some releases, a deletion.
    #[inline]
    pub(super) fn shrink_if_needed(&mut self, table: TableName) {
        if self.dict(table).wants_shrink(self.profile.shrink, self.child_active) {
            self.shrink(table);
        }
    }

    #[inline(never)]
    fn shrink(&mut self, table: TableName) {
        let dict = self.dict(table);
        let buckets = dict.buckets_for(dict.len());
        // A release whose deletions shrink asks for permission as for growth.
        let asks = matches!(self.profile.shrink, ShrinkRule::Deletion { .. })
            && self.profile.table_layout != TableLayout::Buckets;
        if buckets < dict.buckets() && !(asks && self.over_limit(buckets * dict.bucket_bytes())) {
            self.resize(table, buckets);
        }
    }

    /// A deletion from a table: it shrinks where the release looks at once.
    #[inline]
    pub(super) fn note_deleted_from(&mut self, table: TableName, slot: Slot) {
        if !self.plain_tables {
            self.shrink_if_needed_after_deletion(table, slot);
        }
    }

    /// An insertion into a table: what it has beside its arrays is charged, or what the table of its slot has become.
    #[inline]
    pub(super) fn note_inserted_into(&mut self, table: TableName, slot: Slot) {
        if !self.plain_tables {
            self.charge_after_insertion(table, slot);
        }
    }

    #[inline(never)]
    fn charge_after_insertion(&mut self, table: TableName, slot: Slot) {
        if self.slot_tables.is_some() {
            let (steps, now) = (self.profile.rehash_steps_insert, self.slot_tables_now());
            let hash = self.keys.entries[slot as usize].hash;
            if let Some(tables) = &mut self.slot_tables {
                tables[table as usize].insert(hash, steps, now);
            }
        }
        self.move_charge_beside_arrays(table);
    }

    /// What tables by slot may do now.
    fn slot_tables_now(&self) -> slot_tables::Now {
        let max = self.config.maxmemory.0;
        let counted = self.ledger.used() - self.not_counted();
        let limited = max > 0 && self.role == Role::Primary;
        let room = if limited { max.saturating_sub(counted) } else { u64::MAX };
        slot_tables::Now { child: self.child_active, room }
    }

    #[inline(never)]
    fn shrink_if_needed_after_deletion(&mut self, table: TableName, slot: Slot) {
        if self.slot_tables.is_some() {
            let (hash, now) = (self.keys.entries[slot as usize].hash, self.slot_tables_now());
            if let Some(tables) = &mut self.slot_tables {
                tables[table as usize].remove(hash, now);
            }
        }
        if matches!(self.profile.shrink, ShrinkRule::Deletion { .. }) {
            self.shrink_if_needed(table);
        }
        self.charge_beside_arrays(table);
    }

    /// Charges what a table has beside its arrays: child buckets, or entries of keys that share a bucket.
    #[inline]
    pub(super) fn charge_beside_arrays(&mut self, table: TableName) {
        if !self.plain_tables {
            self.move_charge_beside_arrays(table);
        }
    }

    #[inline(never)]
    fn move_charge_beside_arrays(&mut self, table: TableName) {
        let bytes = if let Some(tables) = &self.slot_tables {
            tables[table as usize].bytes()
        } else {
            let (count, size) = self.dict(table).beside_arrays();
            count * self.classes.class(size)
        };
        let part = match (self.profile.table_layout, table) {
            _ if self.slot_tables.is_some() => table.part(),
            (TableLayout::Buckets, _) => table.part(),
            (_, TableName::Main) => MemoryPart::Entries,
            (_, TableName::Expires) => MemoryPart::ExpiresEntries,
        };
        let charged = std::mem::replace(&mut self.beside_arrays[table as usize], bytes);
        self.ledger.charge(part, bytes.saturating_sub(charged));
        self.ledger.release(part, charged.saturating_sub(bytes));
    }

    /// Bytes of the struct that holds a table, made on first use (B).
    fn table_struct(&self, table: TableName) -> u64 {
        let Some(kvstore) = self.profile.kvstore else { return 0 };
        self.classes.class(match table {
            TableName::Main => kvstore.main_table,
            TableName::Expires => kvstore.expires_table,
        })
    }

    /// FLUSHALL empties the tables; their structs stay.
    pub(super) fn charge_structs_after_flush(&mut self) {
        self.beside_arrays = [0; 2];
        if let Some(tables) = &mut self.slot_tables {
            tables.iter_mut().for_each(SlotTables::clear);
            return;
        }
        for table in [TableName::Main, TableName::Expires] {
            if self.structs_made[table as usize] {
                self.ledger.charge(table.part(), self.table_struct(table));
            }
        }
    }

    /// What `used_memory_overhead` counts of the tables besides entries and objects (B).
    pub(super) fn tables_overhead(&self) -> u64 {
        if let (Some(tables), Some(kvstore)) = (&self.slot_tables, self.profile.kvstore) {
            // measured: 16 bytes more
            let arrays = 2 * (kvstore.header + POINTER * SLOTS) + 16;
            return arrays + tables.iter().map(SlotTables::nominal).sum::<u64>();
        }
        let arrays = self.main.bucket_bytes() * (self.main.buckets() + self.expires.buckets());
        let beside: u64 = arrays
            + [&self.main, &self.expires].map(dict::Dict::beside_arrays).iter().map(|(n, size)| n * size).sum::<u64>();
        // A database is listed once it has a table.
        let Some(kvstore) = self.profile.kvstore.filter(|_| self.structs_made[0]) else { return beside };
        let expires = if self.structs_made[1] { kvstore.expires_table } else { 0 };
        let rehashing = u64::from(self.main.rehashing()) + u64::from(self.expires.rehashing());
        beside + 2 * kvstore.header + kvstore.main_table + expires + rehashing * kvstore.rehashing_node
    }

    /// Bytes of the list node of a table that rehashes (B).
    fn rehashing_node(&self) -> u64 {
        self.profile.kvstore.map_or(0, |kvstore| self.classes.class(kvstore.rehashing_node))
    }

    fn resize(&mut self, table: TableName, buckets: u64) {
        if self.slot_tables.is_some() {
            // The literal table says where keys stand; what is allocated is counted by slot.
            match table {
                TableName::Main => self.main.resize(buckets),
                TableName::Expires => self.expires.resize(buckets),
            };
            return;
        }
        let from_buckets = self.dict(table).buckets();
        let bucket_bytes = self.dict(table).bucket_bytes();
        if !std::mem::replace(&mut self.structs_made[table as usize], true) {
            self.ledger.charge(table.part(), self.table_struct(table));
        }
        let rehashes = match table {
            TableName::Main => self.main.resize(buckets),
            TableName::Expires => self.expires.resize(buckets),
        };
        let bytes = self.classes.class(buckets * bucket_bytes);
        self.ledger.charge(table.part(), bytes);
        self.note_array_in_heap(bytes, true);
        if rehashes {
            self.ledger.charge(table.part(), self.rehashing_node());
        }
        if rehashes && buckets.max(from_buckets) >= EVENT_MIN_BUCKETS {
            self.note_event(EventKind::RehashStarted {
                table,
                from_buckets,
                to_buckets: buckets,
                new_array: buckets * bucket_bytes,
            });
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
            self.rehash_unless_frozen(table, self.child_active && self.frozen(table), steps);
        }
    }

    fn rehash_unless_frozen(&mut self, table: TableName, frozen: bool, steps: u32) {
        self.rehash(table, frozen, |node| match table {
            TableName::Main => node.main.rehash(u64::from(steps), &mut MainChain(&mut node.keys.entries)),
            TableName::Expires => {
                let chain = &mut ExpiresChain::of(&mut node.keys);
                node.expires.rehash(u64::from(steps), chain)
            }
        });
    }

    /// While a child lives, tables with places step on insertions alone.  Source: `rehashStepOnWriteIfNeeded`.
    #[inline]
    pub(super) fn rehash_step_of_write(&mut self, table: TableName) {
        if self.child_active {
            self.rehash_step_of_write_beside_child(table);
        }
    }

    #[inline(never)]
    fn rehash_step_of_write_beside_child(&mut self, table: TableName) {
        if self.profile.table_layout == TableLayout::Buckets && self.dict(table).rehashing() {
            self.rehash_unless_frozen(table, false, 1);
        }
    }

    /// Cron's share: shrinks a table that is nearly empty, grows a full one where the release does, and rehashes for a
    /// millisecond.
    pub(super) fn resize_and_rehash_in_cron(&mut self) {
        if self.child_active {
            return;
        }
        for table in [TableName::Main, TableName::Expires] {
            self.shrink_if_needed(table);
            if self.profile.cron_expands && self.dict(table).is_full() {
                self.grow(table);
            }
        }
        if self.slot_tables.is_some() {
            self.slot_tables_cron();
        }
        if !self.config.activerehashing {
            return;
        }
        if self.main.rehashing() {
            let buckets = self.costs.rehash_buckets(self.rehash_reads(TableName::Main));
            self.rehash(TableName::Main, false, |node| {
                node.main.rehash_buckets(buckets, &mut MainChain(&mut node.keys.entries))
            });
        } else if self.expires.rehashing() {
            let buckets = self.costs.rehash_buckets(self.rehash_reads(TableName::Expires));
            self.rehash(TableName::Expires, false, |node| {
                let chain = &mut ExpiresChain::of(&mut node.keys);
                node.expires.rehash_buckets(buckets, chain)
            });
        }
    }

    /// Cron's share of tables by slot: one millisecond of rehash for those of keys, then for those of times.
    #[inline(never)]
    fn slot_tables_cron(&mut self) {
        let now = self.slot_tables_now();
        for table in [TableName::Main, TableName::Expires] {
            let buckets =
                if self.config.activerehashing { self.costs.rehash_buckets(self.rehash_reads(table)) } else { 0 };
            if let Some(tables) = &mut self.slot_tables {
                tables[table as usize].cron(buckets, now);
            }
            self.move_charge_beside_arrays(table);
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
    fn rehash(&mut self, table: TableName, frozen: bool, work: impl FnOnce(&mut Node) -> Option<RehashEnded>) {
        if frozen {
            return;
        }
        if let Some(RehashEnded { freed_buckets, buckets }) = work(self).filter(|_| self.slot_tables.is_none()) {
            let freed_bytes = self.classes.class(freed_buckets * self.dict(table).bucket_bytes());
            self.ledger.release(table.part(), freed_bytes + self.rehashing_node());
            self.note_array_in_heap(freed_bytes, false);
            if freed_buckets.max(buckets) >= EVENT_MIN_BUCKETS {
                self.note_event(EventKind::RehashEnded { table, buckets });
            }
        }
        self.charge_beside_arrays(table);
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
