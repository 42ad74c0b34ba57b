//! The append-only file: its buffer, its size, when it is rewritten.
//!
//! What is propagated to replicas is also appended to `aof_buf`, which one write empties before each sleep.  A rewrite
//! forks like a snapshot; from 7.0 on nothing is kept for it in memory.
//! Left out: disks that do not keep up (the buffer then holds more than one iteration's writes).
//! Source: redis 7.0.15 `src/aof.c`, `src/server.c` (`serverCron`); dynamics specification, section 4.2.

use super::Node;
use super::child::ChildKind;
use super::ledger::MemoryPart;
use crate::layout::sds;
use crate::units::Micros;

/// The file at run time.
#[derive(Debug, Default)]
pub(super) struct Aof {
    /// `aof_buf` now (B).
    buffered: u64,
    /// `aof_current_size` (B).
    size: u64,
    /// `aof_base_size`: the size after the last rewrite (B).
    base: u64,
    /// The size when the present rewrite forked (B).
    at_fork: u64,
    /// Changes that were on disk when the last whole second ended.
    synced_changes: u64,
}

impl Aof {
    /// Whether the file has grown enough to be rewritten.  Source: `serverCron`, growth in whole percents.
    fn wants_rewrite(&self, min_size: u64, percentage: u64) -> bool {
        let base = self.base.max(1);
        let growth = u128::from(self.size) * 100 / u128::from(base);
        percentage > 0 && self.size > min_size && growth.saturating_sub(100) >= u128::from(percentage)
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
        self.aof.buffered += bytes;
    }

    /// Before each sleep: the buffer is written and freed.
    pub(super) fn flush_aof(&mut self) {
        if self.aof.buffered == 0 {
            return;
        }
        // The buffer has doubled as it grew, up to a mebibyte at a time.
        let bytes = sds::grow(self.aof.buffered, self.classes);
        self.ledger.set(MemoryPart::AofBuffer, bytes);
        self.note_peak();
        self.ledger.set(MemoryPart::AofBuffer, 0);
        self.aof.size += self.aof.buffered;
        self.aof.buffered = 0;
    }

    /// Cron's look: what is on disk, and whether a rewrite is due.
    pub(super) fn aof_cron(&mut self) {
        if !self.config.appendonly {
            return;
        }
        if self.cron_loops.is_multiple_of(u64::from(self.effective_hz())) {
            self.aof.synced_changes = self.persistence.changes();
        }
        let (min_size, percentage) = (self.config.auto_aof_rewrite_min_size.0, self.config.auto_aof_rewrite_percentage);
        if self.child.is_none() && self.aof.wants_rewrite(min_size, percentage) {
            self.aof_rewrite(None);
        }
    }

    /// BGREWRITEAOF; its length is as modelled unless given.
    pub fn aof_rewrite(&mut self, duration: Option<Micros>) {
        self.aof.at_fork = self.aof.size;
        self.start_child(ChildKind::AofRewrite, duration);
    }

    /// A rewrite has ended: the file is what the child wrote, and what came since.
    pub(super) fn aof_rewrite_ended(&mut self, succeeded: bool) {
        if succeeded {
            let since = self.aof.size - self.aof.at_fork.min(self.aof.size);
            self.aof.base = self.payload_bytes();
            self.aof.size = self.aof.base + since;
        }
    }

    /// Changes that a sudden end of the server loses: with `appendonly` those of the last second, else all since the last
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
}
