//! Where commands wait for replicas: one list of blocks for all, or a buffer for each and a ring, as the release has it.

use super::backlog::Backlog;
use super::private_buffers::PrivateBuffers;
use super::runs::Runs;
use crate::profile::{ReplicationBuffer, SizeClasses};

/// The stream of replication as the server keeps it.
#[derive(Debug, Clone)]
pub(super) enum StreamBuffer {
    /// 7.0 and later.
    Shared(Backlog),
    /// Before.
    Private(PrivateBuffers),
}

/// Calls the same method of either.
macro_rules! either {
    ($self:expr, $buffer:ident => $call:expr) => {
        match $self {
            StreamBuffer::Shared($buffer) => $call,
            StreamBuffer::Private($buffer) => $call,
        }
    };
}

impl StreamBuffer {
    pub(super) fn new(kind: ReplicationBuffer, classes: SizeClasses) -> StreamBuffer {
        match kind {
            ReplicationBuffer::Shared => StreamBuffer::Shared(Backlog::new(classes)),
            ReplicationBuffer::Private => StreamBuffer::Private(PrivateBuffers::new(classes)),
        }
    }

    /// Bytes of stream since the start.
    pub(super) fn offset(&self) -> u64 {
        either!(self, buffer => buffer.offset())
    }

    /// The oldest offset that is still there.
    pub(super) fn start(&self) -> u64 {
        either!(self, buffer => buffer.start())
    }

    /// Appends one write beside a backlog of `size` bytes; true when limits are to be looked at.
    pub(super) fn append(&mut self, bytes: u64, size: u64) -> bool {
        either!(self, buffer => buffer.append(bytes, size))
    }

    /// A replica attaches to a server that had no backlog.
    pub(super) fn create(&mut self, size: u64) {
        if let StreamBuffer::Private(buffers) = self {
            buffers.create(size);
        }
    }

    /// Frees what neither the backlog nor the replicas need, which have been sent so much.
    pub(super) fn trim(&mut self, sent: impl Iterator<Item = u64>, size: u64, most: u64) {
        match self {
            StreamBuffer::Shared(blocks) => {
                let unsent = sent.min().unwrap_or(blocks.offset());
                blocks.trim(unsent, size, most);
            }
            StreamBuffer::Private(buffers) => buffers.wait_for(sent),
        }
    }

    /// The stream ends at an earlier offset, and begins no earlier than `start`: another server's.
    pub(super) fn go_back(&mut self, start: u64, end: u64) {
        either!(self, buffer => buffer.go_back(start, end));
    }

    /// The backlog is freed; the stream goes on from where it is.
    pub(super) fn clear(&mut self) {
        either!(self, buffer => buffer.clear());
    }

    /// What the limits count for a replica that has been sent everything before `sent` (B).
    pub(super) fn usage(&self, sent: u64) -> u64 {
        either!(self, buffer => buffer.usage(sent))
    }

    /// Backlog and what waits for replicas, as the server counts them (B).
    pub(super) fn total(&self) -> u64 {
        either!(self, buffer => buffer.total())
    }

    /// The same in size classes (B).
    pub(super) fn charged(&self) -> u64 {
        either!(self, buffer => buffer.charged())
    }

    /// Adds what it has of runs of pages.
    pub(super) fn add_runs(&self, runs: &mut Runs) {
        either!(self, buffer => buffer.add_runs(runs));
    }

    /// `mem_clients_slaves`: what is kept for replicas beyond a backlog of `size` (B).
    pub(super) fn for_replicas(&self, size: u64, connected: u64) -> u64 {
        match self {
            StreamBuffer::Shared(blocks) if connected > 0 => blocks.total().saturating_sub(size),
            StreamBuffer::Shared(_) => 0,
            StreamBuffer::Private(buffers) => buffers.waiting(),
        }
    }

    /// The index of the blocks (B).
    pub(super) fn index_bytes(&self) -> u64 {
        match self {
            StreamBuffer::Shared(blocks) => blocks.index_bytes(),
            StreamBuffer::Private(_) => 0,
        }
    }

    /// What `maxmemory` does not count beside a backlog of `size` (B).
    pub(super) fn not_counted(&self, size: u64) -> u64 {
        match self {
            StreamBuffer::Shared(blocks) => blocks.not_counted(size),
            StreamBuffer::Private(buffers) => buffers.waiting(),
        }
    }
}
