//! A forked child: at most one lives, whatever it was forked for.
//!
//! While it lives, recency and rehash are frozen and tables avoid growth (see `eviction`, `tables`), and each first write
//! to a region that it shares copies pages (`cow`).  Once a second it reports how much it no longer shares; the largest
//! report is `rdb_last_cow_size`.
//! Source: redis 7.0.15 `src/childinfo.c`, `src/rdb.c`; dynamics specification, sections 4.4 to 4.8.

use super::Node;
use super::collection::Collection;
use super::cow::CopyOnWrite;
use super::keys::{Region, Sizes, Slot};
use super::ledger::MemoryPart;
use super::notice::{EventKind, TableName};
use crate::units::Micros;
use std::collections::BTreeMap;

/// Between two reports of a child (µs).  Source: `sendChildInfoGeneric`, once a second.
const REPORT_US: u64 = 1_000_000;
/// A child that saves looks at the clock whenever it has saved so many keys.  Source: `rdbSaveDb`; *measured*: 7.0.15, 300 values of
/// 100 kB, saved in two seconds and written over meanwhile: the report is the one at the end, 1.9 MB, when all are dismissed.
const KEYS_PER_LOOK: u64 = 1024;
/// Resident bytes that the cost of a fork is given for (B).
const GIB: u64 = 1 << 30;

/// What a child was forked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildKind {
    /// BGSAVE, by command or by a save point.
    Bgsave,
    /// A rewrite of the append-only file.
    AofRewrite,
    /// A full synchronisation of replicas.
    Sync,
}

impl ChildKind {
    /// What the child does, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            ChildKind::Bgsave => "BGSAVE",
            ChildKind::AofRewrite => "AOF rewrite",
            ChildKind::Sync => "full sync",
        }
    }
}

/// Fixed point of the expected number of blocks written.
const WRITTEN_ONE: u64 = 1 << 16;

/// How a child ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChildEnd {
    /// Its work is done.
    Done,
    /// Something killed it, or its work failed.
    Failed,
    /// The server itself killed it (SIGUSR1), which is no failure.  Source: `killRDBChild`, `backgroundSaveDoneHandlerDisk`.
    Killed,
}

/// A child that lives.
#[derive(Debug)]
pub(super) struct Child {
    kind: ChildKind,
    started_us: u64,
    ends_us: u64,
    /// Keys at the fork.
    keys: u64,
    /// Changes before the fork.
    changes: u64,
    cow: CopyOnWrite,
    next_report_us: u64,
    /// Looks at the clock so far.
    looks: u64,
    /// The largest report so far (B).
    peak: u64,
    /// What its parent told it since the fork, in memory of its own (B).
    told: u64,
    /// Blocks of collections made since the fork that are still there, by class.
    fresh: BTreeMap<u64, u64>,
}

impl Child {
    /// What it was forked for.
    pub(super) fn kind(&self) -> ChildKind {
        self.kind
    }

    /// Keys saved by an instant.
    fn saved(&self, now_us: u64) -> u64 {
        let (done, all) = (now_us.saturating_sub(self.started_us), (self.ends_us - self.started_us).max(1));
        (u128::from(self.keys) * u128::from(done.min(all)) / u128::from(all)) as u64
    }

    /// Bytes that it no longer shares (B).
    fn unshared(&self, now_us: u64) -> u64 {
        self.cow.bytes(self.saved(now_us), self.keys) + self.told
    }

    /// Blocks of a collection were made.
    pub(super) fn blocks_made(&mut self, class: u64, count: u64) {
        *self.fresh.entry(class).or_default() += count;
        (0..count).for_each(|_| self.cow.allocate(class));
    }

    /// Blocks of a collection were freed: those made last go first.
    pub(super) fn blocks_freed(&mut self, class: u64, count: u64) {
        let fresh = self.fresh.entry(class).or_default();
        let own = count.min(*fresh);
        *fresh -= own;
        (0..own).for_each(|_| self.cow.free(class, false));
        (own..count).for_each(|_| self.cow.free(class, true));
    }

    /// An element of a collection was written where it is, since the fork of this number: in a block of the class that it
    /// has most of, one that was not written before as likely as there are such.
    pub(super) fn write_element(&mut self, collection: &mut Collection, fork: u64) {
        if collection.fork != fork {
            (collection.fork, collection.written) = (fork, 0);
        }
        let Some((class, blocks)) = collection.blocks.iter().max_by_key(|&(class, count)| (count, class)) else {
            return;
        };
        let whole = blocks * WRITTEN_ONE;
        let before = collection.written / WRITTEN_ONE;
        collection.written += (whole - collection.written.min(whole)).div_ceil(blocks);
        if collection.written / WRITTEN_ONE > before {
            self.cow.write(class);
        }
    }

    fn report(&mut self, now_us: u64) {
        self.peak = self.peak.max(self.unshared(now_us));
    }
}

impl Node {
    /// Forks; false when a child lives already or the kernel refuses.
    pub(super) fn start_child(&mut self, kind: ChildKind, duration: Option<Micros>) -> bool {
        if self.child.is_some() {
            return false;
        }
        let now_s = self.now_us / 1_000_000;
        let refused = self.fork_is_refused();
        if self.saves_file(kind) {
            self.persistence.tried(now_s, !refused);
        }
        if refused {
            self.note_fork_failed(kind);
            return false;
        }
        let duration = duration.unwrap_or_else(|| self.snapshot_duration());
        self.counters.total_forks += 1;
        let fork_us = u128::from(self.rss_bytes()) * u128::from(self.costs.fork_per_gib_us) / u128::from(GIB);
        self.persistence.latest_fork_usec = fork_us as u64;
        let child = Child {
            kind,
            started_us: self.now_us,
            ends_us: self.now_us + duration.0,
            keys: self.main.len(),
            changes: self.persistence.dirty(),
            cow: self.shared_heap(),
            next_report_us: self.now_us + REPORT_US,
            looks: 0,
            peak: 0,
            told: 0,
            fresh: BTreeMap::new(),
        };
        self.child = Some(Box::new(child));
        self.child_active = true;
        self.note_event(EventKind::ChildStarted { kind, lasts: duration, fork_us: fork_us as u64 });
        true
    }

    /// `total_forks`.
    pub(crate) fn total_forks(&self) -> u64 {
        self.counters.total_forks
    }

    /// A child keeps `bytes` that it was told in memory of its own.
    pub(super) fn child_keeps(&mut self, bytes: u64) {
        if let Some(child) = self.child.as_mut() {
            child.told = bytes;
        }
    }

    /// What a child has written so far (B).
    pub(super) fn child_output(&self) -> u64 {
        let Some(child) = &self.child else { return 0 };
        let written = u128::from(self.payload_bytes()) * u128::from(child.saved(self.now_us));
        (written / u128::from(child.keys.max(1))) as u64
    }

    /// Whether a child lives that writes to the disk.
    pub(super) fn child_writes_to_disk(&self) -> bool {
        match self.child_kind() {
            Some(ChildKind::Bgsave | ChildKind::AofRewrite) => true,
            Some(ChildKind::Sync) => !self.config.repl_diskless_sync,
            None => false,
        }
    }

    /// The heap as a fork finds it: everything shared.
    fn shared_heap(&mut self) -> CopyOnWrite {
        let bytes = |part: MemoryPart| self.ledger.part(part);
        let tables = [bytes(MemoryPart::MainTable), bytes(MemoryPart::ExpiresTable)];
        let mut cow = CopyOnWrite::new(self.host.setup.page_size, tables);
        let mut regions: BTreeMap<u64, u64> = BTreeMap::new();
        let regions_of = self.regions;
        for entry in self.keys.entries.iter_mut().filter(|entry| entry.present()) {
            entry.clear_written();
            let [object, value] = regions_of.value_classes(entry.sizes);
            for class in [regions_of.key(entry.sizes), object, value] {
                *regions.entry(class).or_default() += 1;
            }
        }
        *regions.entry(self.regions.entry).or_default() += self.main.len();
        *regions.entry(self.regions.timed).or_default() += self.expires.len();
        let blocks = self.collections.blocks().chain(self.lazyfree.blocks()).chain([self.field_expiry.blocks()]);
        for (class, count) in blocks.flat_map(super::collection::Blocks::iter) {
            *regions.entry(class).or_default() += count;
        }
        for (class, count) in regions {
            cow.add_live(class, count);
        }
        for (class, bytes) in self.rss.resident_by_class() {
            cow.set_resident(class, bytes);
        }
        cow.set_dirty(self.rss.dirty_bytes());
        cow.set_heap(self.rss.heap_bytes());
        cow.set_keeps_saved(!self.profile.child_dismisses);
        cow
    }

    /// Cron's look at the child: reports, and whether it is done.
    pub(super) fn child_cron(&mut self) {
        let (now_us, dirty, heap) = (self.now_us, self.rss.dirty_bytes(), self.rss.heap_bytes());
        let Some(child) = self.child.as_mut() else { return };
        child.cow.dirty_left(dirty);
        child.cow.heap_left(heap);
        let looks = child.saved(now_us) / KEYS_PER_LOOK;
        if now_us >= child.next_report_us && looks > child.looks && now_us < child.ends_us {
            child.report(now_us);
            child.next_report_us += REPORT_US;
        }
        child.looks = looks;
        if now_us >= child.ends_us {
            self.end_child(ChildEnd::Done);
        }
    }

    /// Whether a child writes the RDB file: a full synchronisation by way of the disk counts as a snapshot.
    /// Source: `startBgsaveForReplication` calls `rdbSaveBackground`; *measured*: `rdb_changes_since_last_save` is 0 after it.
    fn saves_file(&self, kind: ChildKind) -> bool {
        kind == ChildKind::Bgsave || kind == ChildKind::Sync && !self.config.repl_diskless_sync
    }

    /// The child ends, its work done or not.
    pub(super) fn end_child(&mut self, end: ChildEnd) {
        let succeeded = end == ChildEnd::Done;
        let Some(mut child) = self.child.take() else { return };
        self.child_active = false;
        child.report(self.now_us);
        let seconds = self.now_us.saturating_sub(child.started_us) / 1_000_000;
        match child.kind {
            ChildKind::Bgsave | ChildKind::Sync => {
                if self.saves_file(child.kind) && end != ChildEnd::Killed {
                    self.persistence.ended(self.now_us / 1_000_000, seconds, child.changes, succeeded);
                }
                // A child that is killed makes no last report.
                if end != ChildEnd::Killed {
                    self.persistence.rdb_last_cow_size = child.peak;
                }
            }
            ChildKind::AofRewrite => {
                self.persistence.aof_last_cow_size = child.peak;
                self.aof_rewrite_ended(succeeded);
            }
        }
        if child.kind == ChildKind::Sync {
            self.sync_child_ended(succeeded);
        }
        self.note_event(EventKind::ChildEnded { kind: child.kind, cow_size: child.peak, succeeded });
    }

    /// Pages that parent and child no longer share (B); 0 without a child.
    #[must_use]
    pub fn copy_on_write_bytes(&self) -> u64 {
        self.child.as_ref().map_or(0, |child| child.unshared(self.now_us))
    }

    /// A key was added: its parts are new regions, and its bucket was written.
    pub(super) fn note_added_to_child(&mut self, slot: Slot, sizes: Sizes) {
        let Some(child) = self.child.as_mut() else { return };
        let [object, value] = self.regions.value_classes(sizes);
        for class in [self.regions.entry, self.regions.key(sizes), object, value] {
            child.cow.allocate(class);
        }
        child.cow.write_bucket(TableName::Main as usize);
        let entry = &mut self.keys.entries[slot as usize];
        [Region::Entry, Region::Key, Region::Object, Region::Value].into_iter().for_each(|r| entry.set_written(r));
    }

    /// A key is being deleted: its parts are freed, which writes only the link to it.
    pub(super) fn note_deleted_to_child(&mut self, slot: Slot, link: Option<Slot>) {
        self.note_link_to_child(TableName::Main, link);
        let Some(child) = self.child.as_mut() else { return };
        let entry = &self.keys.entries[slot as usize];
        let [object, value] = self.regions.value_classes(entry.sizes);
        for (class, region) in [
            (self.regions.entry, Region::Entry),
            (self.regions.key(entry.sizes), Region::Key),
            (object, Region::Object),
            (value, Region::Value),
        ] {
            child.cow.free(class, !entry.written(region));
        }
    }

    /// The link to a removed entry was written: in the entry before it, or in its bucket.
    fn note_link_to_child(&mut self, table: TableName, link: Option<Slot>) {
        let Some(slot) = link else {
            if let Some(child) = self.child.as_mut() {
                child.cow.write_bucket(table as usize);
            }
            return;
        };
        match table {
            TableName::Main => self.write_link(slot),
            TableName::Expires if self.regions.timed > 0 => {
                self.write_in_place(slot, Region::Timed, self.regions.timed);
            }
            TableName::Expires => self.note_link_to_child(table, None),
        }
    }

    /// What links a key into the main table was written: its entry, the key that is one, or the bucket.
    fn write_link(&mut self, slot: Slot) {
        if self.regions.key_is_entry() {
            let class = self.regions.key(self.keys.entries[slot as usize].sizes);
            self.write_in_place(slot, Region::Key, class);
        } else if self.regions.entry > 0 {
            self.write_in_place(slot, Region::Entry, self.regions.entry);
        } else {
            self.note_link_to_child(TableName::Main, None);
        }
    }

    /// A region of a key was written where it is.
    fn write_in_place(&mut self, slot: Slot, region: Region, class: u64) {
        let entry = &mut self.keys.entries[slot as usize];
        if !entry.written(region) {
            entry.set_written(region);
            if let Some(child) = self.child.as_mut() {
                child.cow.write(class);
            }
        }
    }

    /// A value was replaced; `in_place`: by a command that changes the value it finds, not by SET.
    pub(super) fn note_replaced_to_child(&mut self, slot: Slot, before: Sizes, in_place: bool) {
        let after = self.keys.entries[slot as usize].sizes;
        let [old_object, old_value] = self.regions.value_classes(before);
        let [object, value] = self.regions.value_classes(after);
        // A shared integer, or an embedded string that becomes raw, gets a new object.
        let keeps_object = in_place && old_object == object && before.encoding.is_raw() == after.encoding.is_raw();
        if keeps_object && object > 0 {
            self.write_in_place(slot, Region::Object, object);
        } else {
            self.write_link(slot);
            self.move_region(slot, Region::Object, old_object, object);
        }
        if keeps_object && old_value == value {
            if value > 0 {
                self.write_in_place(slot, Region::Value, value);
            }
        } else {
            self.move_region(slot, Region::Value, old_value, value);
        }
    }

    /// A region was allocated anew, then the old one freed.
    fn move_region(&mut self, slot: Slot, region: Region, from: u64, to: u64) {
        let entry = &mut self.keys.entries[slot as usize];
        let shared = !entry.written(region);
        entry.set_written(region);
        if let Some(child) = self.child.as_mut() {
            child.cow.allocate(to);
            child.cow.free(from, shared);
        }
    }

    /// A key got a TTL, or another one; `new`: it had none.
    pub(super) fn note_ttl_set_to_child(&mut self, slot: Slot, new: bool) {
        if !new {
            self.write_in_place(slot, Region::Timed, self.regions.timed);
            return;
        }
        self.keys.entries[slot as usize].set_written(Region::Timed);
        if let Some(child) = self.child.as_mut() {
            child.cow.allocate(self.regions.timed);
            child.cow.write_bucket(TableName::Expires as usize);
        }
    }

    /// A key lost its TTL.
    pub(super) fn note_ttl_removed_to_child(&mut self, slot: Slot, link: Option<Slot>) {
        self.note_link_to_child(TableName::Expires, link);
        let shared = !self.keys.entries[slot as usize].written(Region::Timed);
        if let Some(child) = self.child.as_mut() {
            child.cow.free(self.regions.timed, shared);
        }
    }
}
