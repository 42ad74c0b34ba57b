//! What a run leaves behind: the timeline, the peak with the ledger at that instant, events, counters.
//!
//! Plain data, filled by `sim`, read by `analysis` and `report`.  Integers only, so that two runs of one seed compare
//! byte for byte.

pub use crate::node::FreedBy;
pub use crate::node::KeyExample;
pub use crate::node::child::ChildKind;
pub use crate::node::counters::{Counters, KeyspaceCounters};
pub use crate::node::host::{HOST_PARTS, HostMemory, HostPart, Victim};
use crate::node::ledger::PARTS;
pub use crate::node::notice::{DisconnectReason, EventKind, TableName};
pub use crate::node::persistence::PersistenceInfo;
pub use crate::node::replication::{DropReason, ReplicationInfo};
pub use crate::node::rss::AllocatorInfo;
use crate::units::SimTime;

/// One row of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// When.
    pub at: SimTime,
    /// `used_memory` (B).
    pub used_memory: u64,
    /// `used_memory_peak` so far (B).
    pub used_memory_peak: u64,
    /// The largest `used_memory` since the previous sample (B).
    pub used_memory_high: u64,
    /// `used_memory` by part, indexed as `MemoryPart::ALL` (B).
    pub parts: [u64; PARTS],
    /// `used_memory_overhead` by `INFO`'s definition (B).
    pub used_memory_overhead: u64,
    /// `mem_clients_normal` (B).
    pub mem_clients_normal: u64,
    /// `maxmemory` in force; zero: none (B).
    pub maxmemory: u64,
    /// Keys.
    pub keys: u64,
    /// Keys with a TTL.
    pub expires: u64,
    /// Keys whose TTL has passed and which are still there.
    pub expired_resident_keys: u64,
    /// Their bytes: entry, key, value, expires entry (B).
    pub expired_resident_bytes: u64,
    /// Bytes that the policy could evict (B).
    pub evictable_bytes: u64,
    /// Old bucket arrays still alive while their tables rehash (B).
    pub rehashing_bytes: u64,
    /// The server's own estimate of stale keys, in thousandths of a percent (`expired_stale_perc` × 1000).
    pub expired_stale_millipercent: u64,
    /// Replication.
    pub replication: ReplicationInfo,
    /// What the allocator holds.
    pub allocator: AllocatorInfo,
    /// What the kernel counts (B).
    pub host: HostMemory,
    /// Memory of the host; zero: not said (B).
    pub host_limit: u64,
    /// Persistence, and defragmentation.
    pub persistence: PersistenceInfo,
    /// Connections open (`connected_clients`).
    pub connected_clients: u64,
    /// The largest output buffer of a connection of class normal, and of class pubsub (`omem`) (B).
    pub omem: [u64; 2],
    /// Bytes that kernel socket buffers hold for connections; no part of `used_memory` (B).
    pub socket_bytes: u64,
    /// `lazyfree_pending_objects`.
    pub lazyfree_pending_objects: u64,
    /// Counters since the start.
    pub counters: Counters,
}

/// A thing worth marking on the curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SimTime,
    /// What.
    pub kind: EventKind,
}

/// The peak and the ledger at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peak {
    /// `used_memory` at the peak (B).
    pub used_memory: u64,
    /// When it was first reached.
    pub at: SimTime,
    /// By part, indexed as `MemoryPart::ALL` (B).
    pub parts: [u64; PARTS],
    /// Keys present.
    pub keys: u64,
    /// Bytes of keys whose TTL had passed, as of the sample before the peak (B).
    pub expired_resident_bytes: u64,
    /// Old bucket arrays alive at the peak (B).
    pub rehashing_bytes: u64,
}

/// The largest use of the host's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostPeak {
    /// By part (B).
    pub memory: HostMemory,
    /// When it was reached.
    pub at: SimTime,
    /// `used_memory` of the sample before (B).
    pub used_memory: u64,
}

/// A time in which one thing kept happening (writes refused, keys evicted).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spell {
    /// How often it happened.
    pub count: u64,
    /// First time.
    pub first: SimTime,
    /// Last time.
    pub last: SimTime,
    /// Sampling intervals in which it happened, as time (µs).
    pub lasted_us: u64,
}

/// One keyspace at the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyspaceRecord {
    /// Its name.
    pub name: String,
    /// What the server counted for it, with its keys and bytes at the end.
    pub counters: KeyspaceCounters,
    /// Bytes of its keys at t = 0 (B).
    pub bytes_at_start: u64,
    /// Bytes of its keys whose TTL has passed (B).
    pub expired_resident_bytes: u64,
    /// What the server says of its first key.
    pub example: Option<KeyExample>,
}

/// Everything one run leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// The seed it ran with.
    pub seed: u64,
    /// Samples in time order; the first at zero, the last at the end.
    pub timeline: Vec<Sample>,
    /// The peak of `used_memory`.
    pub peak: Peak,
    /// The peak of what the kernel counts.
    pub host_peak: HostPeak,
    /// The last sample, taken at the end.
    pub end: Sample,
    /// `used_memory_startup` (B).
    pub used_memory_startup: u64,
    /// What the kernel counts beside an empty server: its resident memory, and the host's reserve (B).
    pub empty_host_memory: u64,
    /// Counters at the end of the warm-up, to subtract for steady-state figures.
    pub warmup: Counters,
    /// Events in time order, bounded in number.
    pub events: Vec<Event>,
    /// Events that were not kept because there were too many.
    pub events_dropped: u64,
    /// One record for each keyspace, in the scenario's order.
    pub keyspaces: Vec<KeyspaceRecord>,
    /// Writes refused: when and how long.
    pub write_rejected: Spell,
    /// Keys evicted: when and how long.
    pub evicting: Spell,
    /// Sum of the sizes of the string values present at the end (B).
    pub value_bytes: u64,
    /// Requests generated (a write that follows a miss is one of its own).
    pub simulated_ops: u64,
}
