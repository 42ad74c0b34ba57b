//! The append-only file: its buffer, the disk behind it, its size, when it is rewritten.
//!
//! What is propagated to replicas is also appended to `aof_buf`, which one write empties before each sleep.  With
//! `appendfsync everysec` a thread has it synced once a second; while the disk is still busy with the last second's, the
//! buffer is kept back for up to two seconds.  A rewrite forks like a snapshot.  Before 7.0 what is written meanwhile also
//! goes to the child, in blocks of 10 MiB, which keeps what it has read in memory until it is done; later releases open a new
//! file.
//! Left out: the server's wait for a disk that is two seconds behind, or for `appendfsync always`.
//! Source: redis 7.0.15 `src/aof.c` (`flushAppendOnlyFile`, `aofRewriteLimited`), `src/server.c` (`serverCron`); dynamics
//! specification, section 4.2.

use super::Node;
use super::child::ChildKind;
use super::ledger::MemoryPart;
use super::notice::EventKind;
use super::runs::Runs;
use crate::layout::sds;
use crate::units::Micros;

/// A flush is put off for so long while the disk is busy (s).  Source: `flushAppendOnlyFile`.
const POSTPONED_SECONDS: u64 = 2;
/// An empty buffer is kept for the next writes while its allocation is below this (B).  Source: `flushAppendOnlyFile`.
const KEPT_BELOW: u64 = 4000;
/// A block of what the child has still to be told, and its header (B).  Source: 6.2, `AOF_RW_BUF_BLOCK_SIZE`, `aofrwblock`.
const DIFF_BLOCK_BYTES: u64 = 10 << 20;
const DIFF_BLOCK_HEADER: u64 = 16;
/// The child reads up to a pipe's content whenever it has written so much (B).  Source: 6.2, `AOF_READ_DIFF_INTERVAL_BYTES`,
/// `aofReadDiffFromParent`.
const READ_EVERY: u64 = 10 << 10;
const PIPE: u64 = 64 << 10;
/// The kernel writes pages by itself after this (µs).  Source: `vm.dirty_expire_centisecs`, default.
const KERNEL_WRITES_US: u64 = 30_000_000;
/// Rewrites that may fail in a row before they wait, and how long they wait at most (min).  Source: `aofRewriteLimited`.
const FAILURES_BORNE: u32 = 3;
const LONGEST_WAIT_MINUTES: u64 = 60;
const MINUTE_US: u64 = 60_000_000;

/// `appendfsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Appendfsync {
    /// After every write.
    Always,
    /// Once a second, by a thread.
    #[default]
    Everysec,
    /// When the kernel does.
    No,
}

/// `aof_buf`.
#[derive(Debug, Clone, Copy, Default)]
struct Buffer {
    /// Bytes in it (B).
    length: u64,
    /// Bytes that its allocation can hold, and its class (B).
    capacity: u64,
    class: u64,
}

impl Buffer {
    /// Appends; true when it had to grow.
    #[inline]
    fn append(&mut self, bytes: u64, classes: crate::profile::SizeClasses) -> bool {
        self.length += bytes;
        if self.length <= self.capacity {
            return false;
        }
        self.class = sds::grow(self.length, classes);
        self.capacity = sds::grown_capacity(self.class);
        true
    }

    /// It was written to the file.
    fn empty(&mut self) {
        *self = if self.class < KEPT_BELOW { Buffer { length: 0, ..*self } } else { Buffer::default() };
    }
}

/// An fsync under way.
#[derive(Debug, Clone, Copy)]
struct Fsync {
    /// When the disk is done (µs).
    until_us: u64,
    /// Changes that are safe then.
    changes: u64,
}

/// The file at run time.
#[derive(Debug, Default)]
pub(super) struct Aof {
    buffer: Buffer,
    /// `aof_current_size` (B).
    size: u64,
    /// `aof_base_size`: the size after the last rewrite, with what was written during it (B).  Source:
    /// `backgroundRewriteDoneHandler`; *measured*: 7.0.15.
    base: u64,
    /// The size when the present rewrite forked, and that of the file which its child writes (B).
    at_fork: u64,
    rewritten: u64,
    /// Bytes written and not synced (B).
    unsynced: u64,
    fsync: Option<Fsync>,
    /// The second of the last fsync, and the one in which a flush was put off first.
    last_fsync_s: u64,
    postponed_since_s: Option<u64>,
    /// Changes that are on disk.
    synced_changes: u64,
    /// What was written since the fork and has not gone to the child yet, and what has (B).
    diff: u64,
    told: u64,
    /// Rewrites that failed in a row, and until when the next one waits (µs).
    failures: u32,
    waits_until_us: u64,
    /// BGREWRITEAOF was asked for while another child lived: `aof_rewrite_scheduled`.
    scheduled: bool,
}

impl Aof {
    /// The file of a server that has just loaded `bytes`.  Source: `loadAppendOnlyFiles`, which takes the size it finds as
    /// `aof_rewrite_base_size`; *measured*: 7.0.15 started on a file of 96 998 018 bytes shows both at it.
    pub(super) fn loaded(bytes: u64) -> Aof {
        Aof { size: bytes, base: bytes, at_fork: bytes, ..Aof::default() }
    }

    /// Whether the file has grown enough to be rewritten.  Source: `serverCron`, growth in whole percents.
    fn wants_rewrite(&self, min_size: u64, percentage: u64) -> bool {
        let base = self.base.max(1);
        let growth = u128::from(self.size) * 100 / u128::from(base);
        percentage > 0 && self.size > min_size && growth.saturating_sub(100) >= u128::from(percentage)
    }

    /// A rewrite failed: from the fourth in a row on the next one waits 1, 2, 4 … minutes.
    fn note_failure(&mut self, now_us: u64) {
        self.failures += 1;
        if self.failures > FAILURES_BORNE {
            let doublings = (self.failures - FAILURES_BORNE - 1).min(6);
            self.waits_until_us = now_us + (1 << doublings).min(LONGEST_WAIT_MINUTES) * MINUTE_US;
        }
    }
}

impl Node {
    /// Whether writes go anywhere besides memory.
    #[inline]
    pub(super) fn propagates(&self) -> bool {
        self.replication.begun() || self.config.appendonly
    }

    /// A propagated command of `bytes` is appended.
    pub(super) fn append_to_aof(&mut self, bytes: u64) {
        let grew = self.aof.buffer.append(bytes, self.classes);
        if self.profile.aof_diff_buffer && self.child_kind() == Some(ChildKind::AofRewrite) {
            self.aof.diff += bytes;
        }
        if grew {
            self.charge_aof();
            self.note_peak();
        }
    }

    /// Where nothing was written to it yet, the file is as a server finds it that has just loaded its data.
    pub(super) fn restart_aof(&mut self) {
        if !self.config.appendonly || self.aof.size > 0 {
            return;
        }
        self.aof = Aof::loaded(self.rdb_bytes());
        self.charge_aof();
    }

    /// Charges the buffer, and the blocks that go to a child.
    fn charge_aof(&mut self) {
        let blocks =
            self.aof.diff.div_ceil(DIFF_BLOCK_BYTES) * self.classes.class(DIFF_BLOCK_BYTES + DIFF_BLOCK_HEADER);
        self.ledger.set(MemoryPart::AofBuffer, self.aof.buffer.class + blocks);
    }

    /// Adds the buffer where it is a run of pages, and the blocks that go to a child.
    pub(super) fn add_aof_runs(&self, runs: &mut Runs) {
        let blocks = self.aof.diff.div_ceil(DIFF_BLOCK_BYTES);
        runs.add(self.aof.buffer.class, 1);
        runs.add(self.classes.class(DIFF_BLOCK_BYTES + DIFF_BLOCK_HEADER), blocks);
    }

    /// What `maxmemory` does not count (B).
    #[inline]
    pub(super) fn aof_not_counted(&self) -> u64 {
        self.aof.buffer.class + self.aof.diff
    }

    /// The child reads what it can of what was written since the fork.
    fn tell_child(&mut self) {
        if self.aof.diff == 0 {
            return;
        }
        let read = self.child_output() / READ_EVERY * PIPE;
        let more = read.saturating_sub(self.aof.told).min(self.aof.diff);
        self.aof.diff -= more;
        self.aof.told += more;
        self.child_keeps(self.aof.told);
        self.charge_aof();
    }

    /// Before each sleep: the buffer is written, unless the disk is still busy with what was written before.
    pub(super) fn flush_aof(&mut self) {
        if !self.config.appendonly {
            return;
        }
        let now_s = self.now_us / 1_000_000;
        self.end_fsync();
        if self.aof.buffer.length > 0 {
            if self.config.appendfsync == Appendfsync::Everysec && self.aof.fsync.is_some() {
                let since = *self.aof.postponed_since_s.get_or_insert(now_s);
                if now_s - since < POSTPONED_SECONDS {
                    return;
                }
                self.counters.aof_delayed_fsync += 1;
            }
            self.aof.postponed_since_s = None;
            self.aof.size += self.aof.buffer.length;
            self.aof.unsynced += self.aof.buffer.length;
            self.aof.buffer.empty();
            self.charge_aof();
        }
        if self.aof.unsynced > 0 {
            self.begin_fsync(now_s);
        }
    }

    /// Has the disk sync what was written, where that is due.
    fn begin_fsync(&mut self, now_s: u64) {
        if self.config.no_appendfsync_on_rewrite && self.child.is_some() {
            return;
        }
        let due = match self.config.appendfsync {
            Appendfsync::Always => true,
            Appendfsync::Everysec => now_s > self.aof.last_fsync_s && self.aof.fsync.is_none(),
            Appendfsync::No => self.now_us >= self.aof.last_fsync_s * 1_000_000 + KERNEL_WRITES_US,
        };
        if !due {
            return;
        }
        let lasts = match self.config.appendfsync {
            // The write waits for it.
            Appendfsync::Always => Micros(0),
            _ => self.host.disk_time(self.aof.unsynced, self.child_writes_to_disk()),
        };
        self.aof.fsync = Some(Fsync { until_us: self.now_us + lasts.0, changes: self.persistence.changes() });
        self.aof.last_fsync_s = now_s;
        self.aof.unsynced = 0;
        self.end_fsync();
    }

    /// Notes that an fsync has ended.
    fn end_fsync(&mut self) {
        if let Some(fsync) = self.aof.fsync
            && self.now_us >= fsync.until_us
        {
            self.aof.synced_changes = fsync.changes;
            self.aof.fsync = None;
        }
    }

    /// Cron's look: whether a flush that was put off is due, or a rewrite.
    pub(super) fn aof_cron(&mut self) {
        if self.aof.scheduled && self.child.is_none() {
            self.aof_rewrite(None);
        }
        if !self.config.appendonly {
            return;
        }
        self.flush_aof();
        self.tell_child();
        let (min_size, percentage) = (self.config.auto_aof_rewrite_min_size.0, self.config.auto_aof_rewrite_percentage);
        let may_try = self.child.is_none() && self.now_us >= self.aof.waits_until_us;
        if may_try && self.aof.wants_rewrite(min_size, percentage) {
            self.aof_rewrite(None);
        }
    }

    /// BGREWRITEAOF; its length is as modelled unless given.  While another child lives it is put off until that one's end.
    /// Source: `bgrewriteaofCommand`.
    pub fn aof_rewrite(&mut self, duration: Option<Micros>) {
        self.aof.scheduled = self.child.is_some() && self.child_kind() != Some(ChildKind::AofRewrite);
        if self.child_kind() == Some(ChildKind::AofRewrite) {
            self.note_event(EventKind::NoEffect { why: "a rewrite is under way" });
        }
        if self.child.is_some() {
            return;
        }
        (self.aof.at_fork, self.aof.rewritten) = (self.aof.size, self.rdb_bytes());
        if !self.start_child(ChildKind::AofRewrite, duration) {
            self.aof.note_failure(self.now_us);
        }
    }

    /// A rewrite has ended: the file is what the child wrote, and what came since.
    pub(super) fn aof_rewrite_ended(&mut self, succeeded: bool) {
        (self.aof.diff, self.aof.told) = (0, 0);
        self.charge_aof();
        if succeeded {
            let since = self.aof.size - self.aof.at_fork.min(self.aof.size);
            self.aof.size = self.aof.rewritten + since;
            self.aof.base = self.aof.size;
            (self.aof.failures, self.aof.waits_until_us) = (0, 0);
        } else {
            self.aof.note_failure(self.now_us);
        }
    }

    /// Changes that a sudden end of the server loses: with `appendonly` those since the last fsync, else all since the last
    /// snapshot.
    pub(super) fn changes_at_risk(&self) -> u64 {
        if self.config.appendonly {
            self.persistence.changes() - self.aof.synced_changes.min(self.persistence.changes())
        } else {
            self.persistence.dirty()
        }
    }

    /// `aof_current_size` (B).
    pub(super) fn aof_current_size(&self) -> u64 {
        self.aof.size
    }

    /// `aof_base_size` (B).
    pub(super) fn aof_base_size(&self) -> u64 {
        self.aof.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_wants_size_and_growth() {
        let grown = |size, base| Aof { size, base, ..Aof::default() }.wants_rewrite(64 << 20, 100);
        assert!(!grown(64 << 20, 1), "not above the least size");
        assert!(grown((64 << 20) + 1, 0));
        assert!(!grown(100 << 20, 51 << 20));
        assert!(grown(102 << 20, 51 << 20));
        assert!(!Aof { size: 1 << 40, ..Aof::default() }.wants_rewrite(0, 0), "zero turns it off");
    }

    #[test]
    fn the_buffer_doubles_as_it_grows_and_is_kept_while_small() {
        let classes = crate::profile::Allocator::Bundled.classes();
        let mut buffer = Buffer::default();
        assert!(buffer.append(100, classes));
        // Twice the length, a header of 3 and a terminator.
        assert_eq!(buffer.class, classes.class(204));
        assert!(!buffer.append(100, classes));
        buffer.empty();
        assert_eq!((buffer.length, buffer.class), (0, classes.class(204)));
        assert!(buffer.append(5_000_000, classes));
        buffer.empty();
        assert_eq!(buffer.class, 0);
    }

    #[test]
    fn rewrites_that_fail_wait_longer_and_longer() {
        let mut aof = Aof::default();
        let waits: Vec<u64> = (0..11)
            .map(|_| {
                aof.note_failure(0);
                aof.waits_until_us / MINUTE_US
            })
            .collect();
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
