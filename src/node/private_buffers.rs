//! Replication before 7.0: the backlog is a ring of its own, and each replica has an output buffer like any client.
//!
//! What is written is copied into the ring and into the buffer of every replica that does not keep up.
//! Left out: blocks that a replica has read in part.
//! Source: redis 6.2 `src/replication.c` (`feedReplicationBacklog`, `replicationFeedSlaves`), `src/networking.c`
//! (`_addReplyProtoToList`, `getClientOutputBufferMemoryUsage`).

use super::runs::Runs;
use crate::profile::SizeClasses;

/// Bytes of the reply buffer inside the client struct, filled first (B).  Source: `PROTO_REPLY_CHUNK_BYTES`.
const REPLY_BUFFER: u64 = 16 << 10;
/// `clientReplyBlock` before its bytes (B).
const BLOCK_HEADER: u64 = 16;
/// `listNode` (B).
const LIST_NODE: u64 = 24;

/// The ring, and what waits for replicas.
#[derive(Debug, Clone)]
pub(super) struct PrivateBuffers {
    classes: SizeClasses,
    /// Size of the ring; 0: there is none (B).
    ring: u64,
    /// Bytes of stream since the start, and where the ring's history begins.
    offset: u64,
    begins: u64,
    /// Blocks of all replicas.
    blocks: u64,
    /// Bytes of a block that hold stream (B).
    capacity: u64,
}

impl PrivateBuffers {
    pub(super) fn new(classes: SizeClasses) -> PrivateBuffers {
        let capacity = classes.class(REPLY_BUFFER + BLOCK_HEADER) - BLOCK_HEADER;
        PrivateBuffers { classes, ring: 0, offset: 0, begins: 0, blocks: 0, capacity }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends one write beside a ring of `size` bytes; true when a replica that waits began another block.
    pub(super) fn append(&mut self, bytes: u64, size: u64) -> bool {
        self.ring = size;
        let before = self.offset / self.capacity;
        self.offset += bytes;
        self.offset / self.capacity > before
    }

    /// The oldest offset that is still there.
    pub(super) fn start(&self) -> u64 {
        self.begins.max(self.offset.saturating_sub(self.ring))
    }

    /// The ring of `size` bytes is made.
    pub(super) fn create(&mut self, size: u64) {
        self.ring = size;
    }

    /// The ring is freed; the stream goes on from where it is.
    pub(super) fn clear(&mut self) {
        (self.ring, self.begins) = (0, self.offset);
    }

    /// Another server's stream.
    pub(super) fn go_back(&mut self, start: u64, end: u64) {
        (self.begins, self.offset) = (start.max(self.start()), end);
    }

    /// Blocks of a replica that has been sent everything before `sent`.
    fn blocks_of(&self, sent: u64) -> u64 {
        (self.offset.saturating_sub(sent)).saturating_sub(REPLY_BUFFER).div_ceil(self.capacity)
    }

    /// Counts what waits for replicas that have been sent so much.
    pub(super) fn wait_for(&mut self, sent: impl Iterator<Item = u64>) {
        self.blocks = sent.map(|sent| self.blocks_of(sent)).sum();
    }

    /// `omem` of a replica (B).
    pub(super) fn usage(&self, sent: u64) -> u64 {
        self.blocks_of(sent) * (self.capacity + BLOCK_HEADER + LIST_NODE)
    }

    /// What waits for replicas, which `maxmemory` does not count (B).
    pub(super) fn waiting(&self) -> u64 {
        self.blocks * (self.capacity + BLOCK_HEADER + LIST_NODE)
    }

    /// Ring and buffers (B).
    pub(super) fn total(&self) -> u64 {
        self.ring + self.waiting()
    }

    /// Adds the ring and the blocks.
    pub(super) fn add_runs(&self, runs: &mut Runs) {
        if self.ring > 0 {
            runs.add(self.classes.class(self.ring), 1);
        }
        runs.add(self.capacity + BLOCK_HEADER, self.blocks);
    }

    /// What they cost in size classes (B).
    pub(super) fn charged(&self) -> u64 {
        let ring = if self.ring > 0 { self.classes.class(self.ring) } else { 0 };
        ring + self.blocks * (self.capacity + BLOCK_HEADER + self.classes.class(LIST_NODE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    #[test]
    fn every_replica_has_what_it_waits_for_in_a_buffer_of_its_own() {
        let mut buffers = PrivateBuffers::new(Allocator::Bundled.classes());
        buffers.create(1 << 20);
        assert_eq!(buffers.charged(), 1 << 20);
        (0..100_000).for_each(|_| {
            buffers.append(138, 1 << 20);
        });
        let one = buffers.usage(0);
        // 13.8 MB, less the buffer inside the client, in blocks of 20 464.
        assert_eq!(one, (13_800_000_u64 - REPLY_BUFFER).div_ceil(20_464) * 20_504);
        buffers.wait_for([0, 0, buffers.offset()].into_iter());
        assert_eq!(buffers.waiting(), 2 * one);
        assert_eq!(buffers.start(), 13_800_000 - (1 << 20));
    }
}
