//! The replication buffer of 7.0 and later: blocks that the backlog and all replicas share.
//!
//! Writes are appended to the last block; a block is freed once no replica still has to be sent it and the backlog is long
//! enough without it.  A write that does not fit gets a block of its own size.
//! Source: redis 7.0.15 `src/replication.c` (`feedReplicationBuffer`, `incrementalTrimReplicationBacklog`).

use super::runs::Runs;
use crate::profile::SizeClasses;
use std::collections::VecDeque;

/// Header of a block (B).  Source: `replBufBlock`.
const BLOCK_HEADER: u64 = 40;
/// `listNode` (B).
const LIST_NODE: u64 = 24;
/// Bytes of a block before it is rounded up, unless a write needs more (B).  Source: `PROTO_REPLY_CHUNK_BYTES`.
const BLOCK_BYTES: u64 = 16 << 10;
/// A block is at most this part of the backlog, but never less than [`BLOCK_BYTES`].  Source: `feedReplicationBuffer`.
const BLOCKS_IN_BACKLOG: u64 = 16;
/// Source: `REPL_BACKLOG_INDEX_PER_BLOCKS`.
const BLOCKS_PER_INDEX: u64 = 64;
/// Blocks freed at a time: when something is written, and before each sleep.  Source: `REPL_BACKLOG_TRIM_BLOCKS_PER_CALL`.
pub(super) const TRIM_ON_FEED: u64 = 64;
pub(super) const TRIM_BEFORE_SLEEP: u64 = 640;

/// A block.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Offset of its first byte.
    start: u64,
    /// Bytes of stream that it can hold (B).
    capacity: u64,
    /// `repl_buffer_mem` of it and all that were made before it (B).
    counted_to: u64,
}

impl Block {
    fn end(self) -> u64 {
        self.start + self.capacity
    }

    /// What it adds to `repl_buffer_mem` (B).
    fn counted(self) -> u64 {
        self.capacity + BLOCK_HEADER + LIST_NODE
    }
}

/// The blocks.
#[derive(Debug, Clone)]
pub(super) struct Backlog {
    classes: SizeClasses,
    blocks: VecDeque<Block>,
    /// Bytes of stream since the start.
    offset: u64,
    /// `repl_buffer_mem` (B).
    total: u64,
    /// What the blocks cost in size classes (B).
    charged: u64,
}

impl Backlog {
    pub(super) fn new(classes: SizeClasses) -> Backlog {
        Backlog { classes, blocks: VecDeque::new(), offset: 0, total: 0, charged: 0 }
    }

    /// Bytes of stream since the start.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends one write of `bytes` beside a backlog of `size` bytes; true when a block was made for it.
    #[inline]
    pub(super) fn append(&mut self, bytes: u64, size: u64) -> bool {
        let room = self.blocks.back().map_or(self.offset, |block| block.end()) - self.offset;
        if bytes <= room {
            self.offset += bytes;
            return false;
        }
        self.append_blocks(bytes, room, size);
        true
    }

    fn append_blocks(&mut self, bytes: u64, room: u64, size: u64) {
        self.offset += room;
        let mut left = bytes - room;
        while left > 0 {
            let most = (size / BLOCKS_IN_BACKLOG).max(BLOCK_BYTES);
            self.add_block(left.max(BLOCK_BYTES).min(most));
            let taken = left.min(self.blocks.back().map_or(left, |block| block.capacity));
            self.offset += taken;
            left -= taken;
        }
    }

    /// Makes a block for at least `bytes`.
    fn add_block(&mut self, bytes: u64) {
        let class = self.classes.class(bytes + BLOCK_HEADER);
        let block = Block { start: self.offset, capacity: class - BLOCK_HEADER, counted_to: 0 };
        let before = self.blocks.back().map_or(0, |last| last.counted_to);
        self.total += block.counted();
        self.charged += class + self.classes.class(LIST_NODE);
        self.blocks.push_back(Block { counted_to: before + block.counted(), ..block });
    }

    fn drop_first(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.total -= block.counted();
            self.charged -= block.capacity + BLOCK_HEADER + self.classes.class(LIST_NODE);
        }
    }

    /// The oldest offset that is still there.
    pub(super) fn start(&self) -> u64 {
        self.blocks.front().map_or(self.offset, |block| block.start)
    }

    /// Frees up to `most` blocks that lie wholly before `unsent`, the first offset that some replica still needs, and
    /// without which the backlog holds `size` bytes; one block stays.
    pub(super) fn trim(&mut self, unsent: u64, size: u64, most: u64) {
        for _ in 0..most {
            let Some(end) = self.blocks.front().map(|block| block.end()) else { break };
            let frees = self.blocks.len() > 1 && end <= unsent && self.offset.saturating_sub(end) > size;
            if !frees {
                break;
            }
            self.drop_first();
        }
    }

    /// The stream ends at an earlier offset, and begins no earlier than `start`: another server's backlog.
    pub(super) fn go_back(&mut self, start: u64, end: u64) {
        let start = start.max(self.start());
        self.clear();
        self.offset = start;
        while self.offset < end {
            self.append_blocks((end - self.offset).min(BLOCK_BYTES), 0, 0);
        }
        self.offset = end;
    }

    /// Every block is freed; the stream goes on from where it is.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        (self.total, self.charged) = (0, 0);
    }

    /// `repl_buffer_mem`, shown as `mem_total_replication_buffers` (B).
    #[inline]
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// What the blocks cost in size classes (B).
    pub(super) fn charged(&self) -> u64 {
        self.charged
    }

    /// Adds the blocks.
    pub(super) fn add_runs(&self, runs: &mut Runs) {
        self.blocks.iter().for_each(|block| runs.add(block.capacity + BLOCK_HEADER, 1));
    }

    /// The index of the blocks, of which it holds one in 64 (B).  *measured*: 16 bytes for 52 blocks.
    pub(super) fn index_bytes(&self) -> u64 {
        let entries = (self.blocks.len() as u64).div_ceil(BLOCKS_PER_INDEX);
        if entries == 0 { 0 } else { 4 + 12 * entries }
    }

    /// What the limits count for a replica that has been sent everything before `sent` (B): whole blocks from its own on.
    pub(super) fn usage(&self, sent: u64) -> u64 {
        if sent >= self.offset {
            return 0;
        }
        let before = self.blocks.partition_point(|block| block.end() <= sent);
        let first = before.checked_sub(1).and_then(|last| self.blocks.get(last));
        let counted = first.map_or_else(
            || self.blocks.front().map_or(0, |block| block.counted_to - block.counted()),
            |block| block.counted_to,
        );
        self.blocks.back().map_or(0, |last| last.counted_to - counted)
    }

    /// What `maxmemory` does not count (B): blocks beyond a backlog of `size`.
    pub(super) fn not_counted(&self, size: u64) -> u64 {
        let counted = size.saturating_add((size / BLOCK_BYTES + 1) * (BLOCK_HEADER + LIST_NODE));
        if self.total > size { self.total.saturating_sub(counted) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    const SIZE: u64 = 1 << 20;

    fn backlog() -> Backlog {
        Backlog::new(Allocator::System.classes())
    }

    /// `bytes` in writes of a kilobyte.
    fn written(backlog: &mut Backlog, bytes: u64) {
        for _ in 0..bytes / 1000 {
            backlog.append(1000, SIZE);
        }
    }

    #[test]
    fn blocks_cost_what_a_server_was_seen_to_count() {
        let mut backlog = backlog();
        assert!(backlog.append(1, SIZE));
        assert_eq!(backlog.total(), 20_504);
        // Measured: a backlog of 1 MiB under writes is 52 or 53 blocks, 1 066 208 or 1 086 712 bytes.
        for _ in 0..10_000 {
            backlog.append(1_041, SIZE);
            backlog.trim(backlog.offset(), SIZE, TRIM_ON_FEED);
        }
        assert!([1_066_208, 1_086_712].contains(&backlog.total()), "{}", backlog.total());
        // Measured beside it: mem_not_counted_for_evict 13 472 and 33 976.
        assert!([13_472, 33_976].contains(&backlog.not_counted(SIZE)), "{}", backlog.not_counted(SIZE));
    }

    #[test]
    fn a_write_that_does_not_fit_gets_a_block_of_its_own_size() {
        let mut backlog = backlog();
        backlog.append(40_000, SIZE);
        // Its class is 40 960.
        assert_eq!((backlog.total(), backlog.offset()), (40_960 + LIST_NODE, 40_000));
        // No block is larger than a sixteenth of the backlog: 64 KiB, in a class of 80 KiB.
        let before = backlog.total();
        backlog.append(100_000, SIZE);
        assert_eq!(backlog.total() - before, 81_920 + 20_480 + 2 * LIST_NODE);
        assert_eq!(backlog.usage(0), backlog.total());
        assert_eq!(backlog.usage(40_920), backlog.total() - before);
    }

    #[test]
    fn a_replica_that_stands_still_holds_every_block_after_it() {
        let mut backlog = backlog();
        written(&mut backlog, 5_000_000);
        backlog.trim(1_000_000, SIZE, u64::MAX);
        assert!(backlog.start() <= 1_000_000);
        assert!(backlog.total() > 4_000_000);
        backlog.trim(backlog.offset(), SIZE, TRIM_ON_FEED);
        let after_one_call = backlog.total();
        backlog.trim(backlog.offset(), SIZE, TRIM_BEFORE_SLEEP);
        assert!(backlog.total() < after_one_call);
        assert_eq!(backlog.usage(backlog.offset()), 0);
    }

    #[test]
    fn another_server_s_backlog_holds_what_it_has_received() {
        let mut backlog = backlog();
        written(&mut backlog, 5_000_000);
        backlog.go_back(3_000_000, 4_000_000);
        assert_eq!((backlog.start(), backlog.offset()), (3_000_000, 4_000_000));
        backlog.append(1000, SIZE);
        assert_eq!(backlog.offset(), 4_001_000);
        assert!(backlog.usage(3_000_000) == backlog.total());
    }
}
