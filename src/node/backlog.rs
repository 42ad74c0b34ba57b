//! The replication buffer of 7.0 and later: blocks that the backlog and all replicas share.
//!
//! Writes are appended to the last block; a block is freed once no replica still has to be sent it and the backlog is long
//! enough without it.  Blocks all have the same capacity, so that two numbers say which of them are alive.
//!
//! Left out: single writes larger than a block, which get a block of their own size.
//! Source: redis 7.0.15 `src/replication.c` (`feedReplicationBuffer`, `incrementalTrimReplicationBacklog`).

use crate::profile::SizeClasses;

/// Header of a block (B).  Source: `replBufBlock`.
const BLOCK_HEADER: u64 = 40;
/// `listNode` (B).
const LIST_NODE: u64 = 24;
/// Bytes of a block before it is rounded up (B).  Source: `PROTO_REPLY_CHUNK_BYTES`.
const BLOCK_BYTES: u64 = 16 << 10;
/// Blocks freed at a time: when something is written, and before each sleep.  Source: `REPL_BACKLOG_TRIM_BLOCKS_PER_CALL`.
pub(super) const TRIM_ON_FEED: u64 = 64;
pub(super) const TRIM_BEFORE_SLEEP: u64 = 640;

/// The blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    /// Bytes of a block that hold stream (B).
    capacity: u64,
    /// What `repl_buffer_mem` and `used_memory` grow by for a block (B).
    counted: u64,
    charged: u64,
    /// Blocks made and freed since the start.
    made: u64,
    freed: u64,
    /// Bytes of stream since the start.
    offset: u64,
}

impl Backlog {
    pub(super) fn new(classes: SizeClasses) -> Backlog {
        let block = classes.class(BLOCK_BYTES + BLOCK_HEADER);
        Backlog {
            capacity: block - BLOCK_HEADER,
            counted: block + LIST_NODE,
            charged: block + classes.class(LIST_NODE),
            made: 0,
            freed: 0,
            offset: 0,
        }
    }

    /// Bytes of stream since the start.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends bytes of stream; returns how many blocks were made for them.
    #[inline]
    pub(super) fn append(&mut self, bytes: u64) -> u64 {
        self.offset += bytes;
        let needed = self.offset.div_ceil(self.capacity);
        let more = needed - self.made.min(needed);
        self.made = self.made.max(needed);
        more
    }

    /// The oldest offset that is still there.
    pub(super) fn start(&self) -> u64 {
        self.freed * self.capacity
    }

    /// Frees up to `most` blocks that lie wholly before `unsent`, the first offset that some replica still needs, and
    /// without which the backlog holds `size` bytes; one block stays.
    pub(super) fn trim(&mut self, unsent: u64, size: u64, most: u64) {
        for _ in 0..most {
            let end = (self.freed + 1) * self.capacity;
            let kept = self.freed + 1 < self.made && end <= unsent && self.offset.saturating_sub(end) > size;
            if !kept {
                break;
            }
            self.freed += 1;
        }
    }

    /// The stream ends at an earlier offset, and begins no earlier than `start`: another server's backlog.
    pub(super) fn go_back(&mut self, start: u64, end: u64) {
        self.offset = end;
        self.freed = self.freed.max(start / self.capacity);
        self.made = end.div_ceil(self.capacity).max(self.freed);
    }

    fn blocks(&self) -> u64 {
        self.made - self.freed
    }

    /// `repl_buffer_mem`, shown as `mem_total_replication_buffers` (B).
    pub(super) fn total(&self) -> u64 {
        self.blocks() * self.counted
    }

    /// What the blocks cost in size classes (B).
    pub(super) fn charged(&self) -> u64 {
        self.blocks() * self.charged
    }

    /// What the limits count for a replica that has been sent everything before `sent` (B): whole blocks from its own on.
    pub(super) fn usage(&self, sent: u64) -> u64 {
        if sent >= self.offset {
            return 0;
        }
        (self.made - sent / self.capacity) * (self.capacity + BLOCK_HEADER + LIST_NODE)
    }

    /// What `maxmemory` does not count (B): blocks beyond a backlog of `size`.
    pub(super) fn not_counted(&self, size: u64) -> u64 {
        let counted = size.saturating_add((size / BLOCK_BYTES + 1) * (BLOCK_HEADER + LIST_NODE));
        if self.total() > size { self.total().saturating_sub(counted) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    fn backlog() -> Backlog {
        Backlog::new(Allocator::System.classes())
    }

    #[test]
    fn blocks_cost_what_a_server_was_seen_to_count() {
        let mut backlog = backlog();
        assert_eq!(backlog.append(1), 1);
        assert_eq!(backlog.total(), 20_504);
        // Measured: a backlog of 1 MiB under writes is 52 or 53 blocks, 1 066 208 or 1 086 712 bytes.
        for _ in 0..10_000 {
            backlog.append(1_041);
            backlog.trim(backlog.offset(), 1 << 20, TRIM_ON_FEED);
        }
        assert!([1_066_208, 1_086_712].contains(&backlog.total()), "{}", backlog.total());
        // Measured beside it: mem_not_counted_for_evict 13 472 and 33 976.
        assert!([13_472, 33_976].contains(&backlog.not_counted(1 << 20)), "{}", backlog.not_counted(1 << 20));
    }

    #[test]
    fn a_replica_that_stands_still_holds_every_block_after_it() {
        let mut backlog = backlog();
        backlog.append(5_000_000);
        backlog.trim(1_000_000, 1 << 20, u64::MAX);
        assert!(backlog.start() <= 1_000_000);
        assert!(backlog.total() > 4_000_000);
        backlog.trim(backlog.offset(), 1 << 20, TRIM_ON_FEED);
        let after_one_call = backlog.total();
        backlog.trim(backlog.offset(), 1 << 20, TRIM_BEFORE_SLEEP);
        assert!(backlog.total() < after_one_call);
        assert_eq!(backlog.usage(backlog.offset()), 0);
    }
}
