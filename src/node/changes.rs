//! What happens to the data, in the order in which a primary sends it to its replicas, and how a replica takes it.
//!
//! A primary that is watched from a replica keeps a list of [`Change`]s, each with its place in the stream of
//! replication.  The replica is a second [`Node`]: it makes the same changes to tables of its own, evicts nothing, expires
//! nothing by itself, and answers nobody.
//! Source: redis 7.0.15 `src/replication.c`, `src/expire.c` (`expireIfNeeded`), `src/evict.c` (`performEvictions`).

use super::keys::{NIL, NO_ID, Sizes, Slot};
use super::lazyfree::FreedBy;
use super::notice::{EventKind, TableName};
use super::{KeyRef, Node, StringValue};
use crate::units::Micros;

/// Which side of replication a server is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It serves writes, evicts and expires.
    #[default]
    Primary,
    /// It follows a primary; `maxmemory` and TTLs are the primary's business.
    Replica,
}

/// One change to the data.  Slots are the primary's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// A key was added.
    Added { slot: Slot, hash: u32, sizes: Sizes },
    /// A value was replaced; `in_place`: by a command that changes the value it finds.
    Replaced { slot: Slot, payload: u64, value: StringValue, in_place: bool },
    /// A key got a TTL, or another one (ms of the server's clock).
    Timed { slot: Slot, expire_at: u64 },
    /// A key lost its TTL.
    Untimed { slot: Slot },
    /// A key was deleted, whatever the cause.
    Deleted { slot: Slot },
    /// FLUSHALL.
    Flushed,
}

/// A key as a synchronisation sends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentKey {
    slot: Slot,
    hash: u32,
    sizes: Sizes,
    /// When it expires (ms of the server's clock).
    expire_at: Option<u64>,
}

/// Changes that a replica has not made yet, by place in the stream.
pub(crate) type ChangeLog = std::collections::VecDeque<(u64, Change)>;

/// Sets offsets beyond the end of the stream to it.
pub(crate) fn cut_log(log: &mut ChangeLog, end: u64) {
    log.iter_mut().rev().take_while(|(offset, _)| *offset > end).for_each(|(offset, _)| *offset = end);
}

impl Node {
    /// Notes a change for a replica that is watched.
    #[inline]
    pub(super) fn log_change(&mut self, change: Change) {
        if self.changes.is_some() {
            self.keep_change(change);
        }
    }

    #[inline(never)]
    fn keep_change(&mut self, change: Change) {
        let offset = self.stream_offset();
        if let Some(changes) = &mut self.changes {
            changes.push_back((offset, change));
        }
    }

    /// From here on changes are kept, or no longer.
    pub(crate) fn keep_changes(&mut self, keep: bool) {
        self.changes = keep.then(Box::default);
    }

    /// Takes the changes that were kept so far.
    pub(crate) fn take_changes(&mut self, into: &mut ChangeLog) {
        if let Some(changes) = &mut self.changes {
            into.append(changes);
        }
    }

    /// The stream ends at an earlier offset: what was changed later has happened by then.
    pub(super) fn cut_changes(&mut self, end: u64) {
        if let Some(changes) = &mut self.changes {
            cut_log(changes, end);
        }
    }

    /// Every key, in the order in which a child of this instant sends it: bucket after bucket.
    pub(crate) fn dataset(&self) -> Vec<SentKey> {
        let mut sent = Vec::with_capacity(self.main.len() as usize);
        self.main.visit_buckets(|head| {
            let mut slot = head;
            while slot != NIL {
                let entry = self.keys.entries[slot as usize];
                let expire_at = entry.has_ttl().then(|| self.keys.timed[slot as usize].expire_at());
                sent.push(SentKey { slot, hash: entry.hash, sizes: entry.sizes, expire_at });
                slot = entry.next;
            }
        });
        sent
    }

    /// A replica empties itself before it loads what it was sent.
    pub(crate) fn begin_load(&mut self, keys: &[SentKey]) {
        self.flush_data();
        self.restart_backlog();
        let timed = keys.iter().filter(|key| key.expire_at.is_some()).count() as u64;
        self.presize(keys.len() as u64, timed);
        self.note_event(EventKind::LoadingStarted { keys: keys.len() as u64 });
    }

    /// A replica is in sync after a full synchronisation.
    pub(crate) fn end_load(&mut self, replica: usize) {
        self.note_event(EventKind::ReplicaOnline { replica });
    }

    /// A replica loads keys; `slots` says where it keeps each of the primary's.
    pub(crate) fn load_sent(&mut self, keys: &[SentKey], slots: &mut Vec<Slot>) {
        for key in keys {
            self.make(Change::Added { slot: key.slot, hash: key.hash, sizes: key.sizes }, slots);
            if let Some(expire_at) = key.expire_at {
                self.make(Change::Timed { slot: key.slot, expire_at }, slots);
            }
            self.note_peak();
        }
    }

    /// A replica makes a change that it has read from the stream.
    pub(crate) fn follow(&mut self, change: Change, slots: &mut Vec<Slot>) {
        self.counters.total_commands_processed += 1;
        match change {
            Change::Added { .. } => {
                self.rehash_step(TableName::Main, self.profile.rehash_steps_insert);
                self.rehash_step(TableName::Expires, self.profile.rehash_steps_lookup);
                self.persistence.note_change();
            }
            Change::Replaced { .. } => {
                self.rehash_step(TableName::Main, self.profile.rehash_steps_insert - 1);
                self.rehash_step(TableName::Expires, self.profile.rehash_steps_lookup);
                self.persistence.note_change();
            }
            Change::Deleted { .. } => self.persistence.note_change(),
            Change::Timed { .. } | Change::Untimed { .. } | Change::Flushed => {}
        }
        self.make(change, slots);
        self.note_peak();
    }

    fn make(&mut self, change: Change, slots: &mut Vec<Slot>) {
        match change {
            Change::Added { slot, hash, sizes } => {
                let key = KeyRef { id: NO_ID, hash, keyspace: sizes.keyspace };
                let own = self.insert_key(key, sizes);
                if slots.len() <= slot as usize {
                    slots.resize(slot as usize + 1, NIL);
                }
                slots[slot as usize] = own;
            }
            Change::Replaced { slot, payload, value, in_place } => {
                self.replace_value(slots[slot as usize], payload, value, in_place);
            }
            Change::Timed { slot, expire_at } => self.set_ttl(slots[slot as usize], expire_at),
            Change::Untimed { slot } => self.remove_ttl(slots[slot as usize]),
            Change::Deleted { slot } => self.delete_key(slots[slot as usize], FreedBy::Del),
            Change::Flushed => self.flushall(),
        }
    }

    /// A replica has read `bytes` of the stream: they go to its own backlog, and to its append-only file.
    pub(crate) fn read_stream(&mut self, bytes: u64) {
        for _ in 0..bytes / READ_BYTES {
            self.propagate(READ_BYTES);
        }
        if !bytes.is_multiple_of(READ_BYTES) {
            self.propagate(bytes % READ_BYTES);
        }
    }

    /// How long a replica takes to load what this server holds now.
    pub(super) fn load_duration(&self) -> Micros {
        Micros((self.main.len() * LOAD_KEY_NS + self.payload_bytes() * LOAD_TEN_BYTES_NS / 10) / 1000)
    }
}

/// Stream that a replica reads at a time (B).  Source: `PROTO_IOBUF_LEN`.
const READ_BYTES: u64 = 16 << 10;
/// Time to load a key, and ten bytes of it (ns).  *measured*: `DEBUG RELOAD` of 7.0.15, values of 100 and 1000 bytes.
const LOAD_KEY_NS: u64 = 1_800;
const LOAD_TEN_BYTES_NS: u64 = 17;
