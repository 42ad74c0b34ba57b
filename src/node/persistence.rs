//! Snapshots: save points, BGSAVE, what a failed one does to writes.
//!
//! Source: redis 7.0.15 `src/rdb.c`, `src/server.c` (`serverCron`); dynamics specification, sections 4.1 and 4.6.

use super::Node;
use super::child::ChildKind;
use super::ledger::MemoryPart;
use super::notice::EventKind;
use crate::layout::rdb;
use crate::layout::string::Encoding;
use crate::units::Micros;

/// After a failed snapshot the next one waits this long (s).  Source: `CONFIG_BGSAVE_RETRY_DELAY`.
const RETRY_DELAY_SECONDS: u64 = 5;

/// A pair of `save`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last snapshot, more than which must have passed.
    pub seconds: u64,
    /// Changes since then, at least.
    pub changes: u64,
}

/// What `INFO` says of persistence, and of defragmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PersistenceInfo {
    /// `rdb_last_cow_size` (B).
    pub rdb_last_cow_size: u64,
    /// `rdb_last_bgsave_time_sec` (s).
    pub rdb_last_bgsave_time_sec: u64,
    /// `rdb_changes_since_last_save`.
    pub rdb_changes_since_last_save: u64,
    /// `latest_fork_usec` (µs).
    pub latest_fork_usec: u64,
    /// `aof_last_cow_size` (B).
    pub aof_last_cow_size: u64,
    /// `aof_current_size` (B).
    pub aof_current_size: u64,
    /// `aof_base_size` (B).
    pub aof_base_size: u64,
    /// `active_defrag_hits`: allocations moved.
    pub active_defrag_hits: u64,
}

/// What persistence keeps from run to run.
#[derive(Debug, Default)]
pub(super) struct Persistence {
    /// `rdb_changes_since_last_save`.
    dirty: u64,
    /// Changes since the start.
    changes: u64,
    /// When the last snapshot ended (s of the server's clock).
    last_save_s: u64,
    /// When the last one was tried (s).
    last_try_s: u64,
    /// The last one failed.
    failed: bool,
    /// Length of the last snapshot (s): `rdb_last_bgsave_time_sec`.
    pub(super) last_bgsave_time_sec: u64,
    /// `rdb_last_cow_size` (B).
    pub(super) rdb_last_cow_size: u64,
    /// `aof_last_cow_size` (B).
    pub(super) aof_last_cow_size: u64,
    /// `latest_fork_usec` (µs).
    pub(super) latest_fork_usec: u64,
}

impl Persistence {
    /// A server that starts at `now_s`.
    pub(super) fn new(now_s: u64) -> Persistence {
        Persistence { last_save_s: now_s, ..Persistence::default() }
    }

    /// `rdb_changes_since_last_save`.
    pub(super) fn dirty(&self) -> u64 {
        self.dirty
    }

    /// Changes since the start.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// A write changed a key.
    #[inline]
    pub(super) fn note_change(&mut self) {
        self.dirty += 1;
        self.changes += 1;
    }

    /// Whether the last snapshot failed.
    #[inline]
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// A snapshot was begun, or could not be.
    pub(super) fn tried(&mut self, now_s: u64, began: bool) {
        self.last_try_s = now_s;
        self.failed |= !began;
    }

    /// A snapshot ended; `changes`: those before its fork.
    pub(super) fn ended(&mut self, now_s: u64, seconds: u64, changes: u64, succeeded: bool) {
        self.failed = !succeeded;
        self.last_bgsave_time_sec = seconds;
        if succeeded {
            self.dirty -= changes.min(self.dirty);
            self.last_save_s = now_s;
        }
    }

    /// The server saved by itself, without a child.
    pub(super) fn saved(&mut self, now_s: u64) {
        (self.dirty, self.last_save_s, self.failed) = (0, now_s, false);
    }

    /// Nothing has changed since the server came up.
    pub(super) fn reset(&mut self, now_s: u64) {
        *self = Persistence::new(now_s);
    }

    /// Whether a save point wants a snapshot.
    fn is_due(&self, points: &[SavePoint], now_s: u64) -> bool {
        let may_try = !self.failed || now_s - self.last_try_s > RETRY_DELAY_SECONDS;
        let wanted =
            |point: &SavePoint| self.dirty >= point.changes && now_s.saturating_sub(self.last_save_s) > point.seconds;
        may_try && points.iter().any(wanted)
    }
}

impl Node {
    /// Cron's look at the save points.
    pub(super) fn save_points_cron(&mut self) {
        let now_s = self.now_us / 1_000_000;
        if self.child.is_none() && self.persistence.is_due(&self.config.save, now_s) {
            self.start_child(ChildKind::Bgsave, None);
        }
    }

    /// BGSAVE; its length is as modelled unless given.  While a child lives it is an error, as on the server.
    pub fn bgsave(&mut self, duration: Option<Micros>) {
        if self.child.is_some() {
            self.note_event(EventKind::NoEffect { why: "a child lives already" });
            return;
        }
        self.start_child(ChildKind::Bgsave, duration);
    }

    /// Whether writes are refused since the last snapshot failed (`-MISCONF`).
    #[inline]
    pub(super) fn refuses_after_failed_save(&self) -> bool {
        self.persistence.failed() && self.config.stop_writes_on_bgsave_error && !self.config.save.is_empty()
    }

    /// How long a snapshot of what is there takes: so much for each key, and its payload at the child's rate, or the disk's
    /// where that is slower.
    pub(super) fn snapshot_duration(&self) -> Micros {
        let keys_us = self.main.len() * self.costs.snapshot_key_ns / 1000;
        let payload = u128::from(self.payload_bytes());
        let bytes_us = match self.host.setup.snapshot_rate {
            Some(rate) => payload * 1_000_000 / u128::from(rate.max(1)),
            None => {
                let picos = if self.config.rdbcompression { COMPRESSED_BYTE_PS } else { RAW_BYTE_PS };
                payload * picos / 1_000_000
            }
        };
        let disk = self.host.disk_time(self.payload_bytes(), false);
        Micros(keys_us + bytes_us as u64).max(disk)
    }

    /// How long the file is that a child writes: keys and strings as they are saved, of bytes that do not compress, and
    /// collections by what they take (B).
    pub(super) fn rdb_bytes(&self) -> u64 {
        let clock = match (self.config.maxmemory_policy.forbids_shared_integers(), self.counts_accesses()) {
            (true, true) => COUNTER_BYTES,
            (true, false) => IDLE_BYTES,
            (false, _) => 0,
        };
        let (mut saved, mut strings) = (FILE_BYTES, 0);
        for slot in self.keys.present() {
            let entry = &self.keys.entries[slot as usize];
            let value = match entry.sizes.encoding {
                Encoding::Collection => 0,
                Encoding::Int => rdb::integer(entry.sizes.payload.cast_signed()),
                Encoding::Embstr | Encoding::Raw | Encoding::RawTrimmed => rdb::string(entry.sizes.payload),
            };
            if value > 0 {
                strings += entry.sizes.value_total();
            }
            let expiry = if entry.has_ttl() { rdb::EXPIRY } else { 0 };
            saved += rdb::key(self.mean_key_length(slot)) + value + expiry + clock;
        }
        saved + self.ledger.part(MemoryPart::Values).saturating_sub(strings)
    }

    /// What `INFO` says of persistence.
    pub(super) fn persistence_info(&self) -> PersistenceInfo {
        let persistence = &self.persistence;
        PersistenceInfo {
            rdb_last_cow_size: persistence.rdb_last_cow_size,
            rdb_last_bgsave_time_sec: persistence.last_bgsave_time_sec,
            rdb_changes_since_last_save: persistence.dirty(),
            latest_fork_usec: persistence.latest_fork_usec,
            aof_last_cow_size: persistence.aof_last_cow_size,
            aof_current_size: self.aof_current_size(),
            aof_base_size: self.aof_base_size(),
            active_defrag_hits: self.defrag.hits,
        }
    }

    /// A refused or failed fork is told once for each try.
    pub(super) fn note_fork_failed(&mut self, kind: ChildKind) {
        self.counters.fork_failures += 1;
        self.note_event(EventKind::ForkFailed { kind });
    }
}

/// CPU of a child to write a byte, raw and compressed (ps).  *assumed*: dynamics specification, section 12.3.
const RAW_BYTE_PS: u128 = 2_000;
const COMPRESSED_BYTE_PS: u128 = 12_000;

/// Header, auxiliary fields, end and checksum of an RDB file (B).  *measured*: 7.0.15, a file of 50 000 keys.
const FILE_BYTES: u64 = 98;
/// A key's idle time, up to 4.5 hours, and its counter of accesses, where the policy ranks by it (B).  Source:
/// `rdbSaveKeyValuePair`.
const IDLE_BYTES: u64 = 3;
const COUNTER_BYTES: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: &[SavePoint] =
        &[SavePoint { seconds: 300, changes: 100 }, SavePoint { seconds: 60, changes: 10_000 }];

    fn changed(times: u64) -> Persistence {
        Persistence { dirty: times, ..Persistence::new(1_000) }
    }

    #[test]
    fn save_points_want_changes_and_more_than_their_seconds() {
        assert!(!changed(10_000).is_due(POINTS, 1_060));
        assert!(changed(10_000).is_due(POINTS, 1_061));
        assert!(!changed(9_999).is_due(POINTS, 1_300));
        assert!(changed(100).is_due(POINTS, 1_301));
        assert!(!changed(1_000_000).is_due(&[], 9_999));
    }

    #[test]
    fn a_failed_snapshot_is_tried_again_after_five_seconds() {
        let mut persistence = changed(10_000);
        persistence.tried(1_061, false);
        assert!(persistence.failed());
        assert!(!persistence.is_due(POINTS, 1_066));
        assert!(persistence.is_due(POINTS, 1_067));
        persistence.ended(1_070, 3, 9_000, true);
        assert_eq!((persistence.dirty(), persistence.failed()), (1_000, false));
        assert!(!persistence.is_due(POINTS, 1_131), "seconds count from the end of the snapshot");
    }
}
