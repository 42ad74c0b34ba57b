//! The output buffer of one connection: the static reply buffer, then a list of blocks.
//!
//! A reply goes to the static buffer while the list is empty.  What does not fit goes to the list's last block as far as
//! it has room; the rest gets a new block of its own size, at least 16 KiB, which takes over what its size class has to
//! spare.  So every block but the last is full, and blocks of one size that follow each other are kept as one entry.
//! Source: redis 7.0.15 `src/networking.c` (`_addReplyToBuffer`, `_addReplyProtoToList`, `_writeToClient`).

use super::runs::Runs;
use crate::profile::SizeClasses;
use std::collections::VecDeque;

/// Smallest block (B).  Source: `PROTO_REPLY_CHUNK_BYTES`.
const CHUNK: u64 = 16 * 1024;
/// Header of a block, and the list node that points to it (B).  Source: `clientReplyBlock`, `listNode`.
const BLOCK_HEADER: u64 = 16;
const LIST_NODE: u64 = 24;

/// Blocks of one capacity that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blocks {
    capacity: u64,
    count: u64,
}

/// What waits for one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct OutputBuffer {
    /// Bytes in the static buffer, and how many of them are sent (B).
    fixed: u64,
    fixed_sent: u64,
    list: VecDeque<Blocks>,
    /// Bytes of the first block that are sent (B).
    head_sent: u64,
    /// Bytes in the last block (B).
    tail_used: u64,
    blocks: u64,
    /// Capacities of all blocks (B).  Source: `reply_bytes`.
    reply_bytes: u64,
    /// Bytes not sent yet (B).
    pending: u64,
}

impl OutputBuffer {
    /// Adds `length` bytes; `fixed_size` is the size of the static buffer.  True when a block was added.
    pub(super) fn append(&mut self, length: u64, fixed_size: u64, classes: SizeClasses) -> bool {
        self.pending += length;
        let mut left = length;
        if self.blocks == 0 {
            let taken = left.min(fixed_size.saturating_sub(self.fixed));
            self.fixed += taken;
            left -= taken;
        } else if let Some(tail) = self.list.back() {
            let taken = left.min(tail.capacity - self.tail_used);
            self.tail_used += taken;
            left -= taken;
        }
        if left == 0 {
            return false;
        }
        let capacity = classes.class(left.max(CHUNK) + BLOCK_HEADER) - BLOCK_HEADER;
        match self.list.back_mut() {
            Some(tail) if tail.capacity == capacity => tail.count += 1,
            _ => self.list.push_back(Blocks { capacity, count: 1 }),
        }
        self.blocks += 1;
        self.reply_bytes += capacity;
        self.tail_used = left;
        true
    }

    /// `bytes` of what waits are sent; blocks sent to their end are freed.
    pub(super) fn send(&mut self, bytes: u64) {
        let bytes = bytes.min(self.pending);
        self.pending -= bytes;
        let from_fixed = bytes.min(self.fixed - self.fixed_sent);
        self.fixed_sent += from_fixed;
        if self.fixed_sent == self.fixed {
            (self.fixed, self.fixed_sent) = (0, 0);
        }
        self.head_sent += bytes - from_fixed;
        while let Some(head) = self.list.front_mut() {
            let used = if self.blocks == 1 { self.tail_used } else { head.capacity };
            if self.head_sent < used {
                break;
            }
            self.head_sent -= used;
            self.blocks -= 1;
            self.reply_bytes -= head.capacity;
            head.count -= 1;
            if head.count == 0 {
                self.list.pop_front();
            }
        }
    }

    /// Bytes not sent yet (B).
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Bytes in the static buffer (B).  Source: `bufpos`.
    pub(super) fn fixed(&self) -> u64 {
        self.fixed
    }

    /// Blocks in the list.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The server's own figure, which limits are set on (B).  Source: `getClientOutputBufferMemoryUsage`.
    pub(super) fn omem(&self) -> u64 {
        self.reply_bytes + self.blocks * (LIST_NODE + BLOCK_HEADER)
    }

    /// Adds the blocks of so many buffers like this one, which are runs of pages of their own.
    pub(super) fn add_runs(&self, buffers: u64, runs: &mut Runs) {
        self.list.iter().for_each(|blocks| runs.add(blocks.capacity + BLOCK_HEADER, buffers * blocks.count));
    }

    /// What the allocator has given out for the list (B).
    pub(super) fn allocated(&self, classes: SizeClasses) -> u64 {
        self.reply_bytes + self.blocks * (classes.class(LIST_NODE) + BLOCK_HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    #[test]
    fn a_list_costs_what_the_server_says() {
        let classes = Allocator::Bundled.classes();
        let mut buffer = OutputBuffer::default();
        assert!(!buffer.append(16_384, 16_384, classes), "the static buffer takes it");
        assert_eq!((buffer.omem(), buffer.fixed()), (0, 16_384));
        assert!(buffer.append(1, 16_384, classes));
        // A block of 16 384 + 16 in the class of 20 480.
        assert_eq!((buffer.omem(), buffer.allocated(classes)), (20_464 + 40, 20_480 + 24));
        assert!(!buffer.append(20_463, 16_384, classes), "the class's slack is used");
        assert!(buffer.append(20_465, 16_384, classes));
        let second = classes.class(20_465 + 16) - 16;
        assert_eq!(buffer.omem(), 20_464 + second + 80, "its own size is beyond the chunk's class");
    }

    #[test]
    fn a_message_fills_the_tail_and_its_rest_gets_a_block_of_its_size() {
        let classes = Allocator::Bundled.classes();
        let mut buffer = OutputBuffer::default();
        buffer.append(100, 0, classes);
        buffer.append(60_000, 0, classes);
        let rest = 60_000 - (20_464 - 100);
        assert_eq!(buffer.omem(), 20_464 + classes.class(rest + 16) - 16 + 80);
        assert_eq!(buffer.pending(), 60_100);
    }

    #[test]
    fn what_is_sent_is_freed_block_by_block() {
        let classes = Allocator::System.classes();
        let mut buffer = OutputBuffer::default();
        for _ in 0..1000 {
            buffer.append(1034, 1024, classes);
        }
        let full = buffer.blocks();
        assert_eq!(full, (1_034_000_u64 - 1024).div_ceil(20_464));
        buffer.send(1024);
        assert_eq!((buffer.fixed(), buffer.blocks()), (0, full));
        buffer.send(20_463);
        assert_eq!(buffer.blocks(), full);
        buffer.send(1);
        assert_eq!(buffer.blocks(), full - 1);
        buffer.send(u64::MAX);
        assert_eq!((buffer.pending(), buffer.omem(), buffer.allocated(classes)), (0, 0, 0));
        assert!(!buffer.append(10, 1024, classes), "the static buffer takes it again");
    }
}
