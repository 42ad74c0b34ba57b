//! What a run leaves behind: the timeline, the peak with the ledger at that instant, events, counters.
//!
//! Plain data, filled by `sim`, read by `analysis` and `report`.  Integers only, so that two runs of one seed compare
//! byte for byte.

use crate::node::ledger::PARTS;
use crate::units::SimTime;

/// Counters since the start, with `INFO`'s names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands processed.
    pub total_commands_processed: u64,
    /// Reads that found their key.
    pub keyspace_hits: u64,
    /// Reads that did not.
    pub keyspace_misses: u64,
    /// Keys evicted.
    pub evicted_keys: u64,
    /// Keys deleted because their TTL had passed.
    pub expired_keys: u64,
    /// Writes refused with `OOM command not allowed when used memory > 'maxmemory'`.
    pub oom_errors: u64,
    /// Expire cycles cut by their time limit.
    pub expired_time_cap_reached_count: u64,
    /// Time with memory over the limit after an eviction cycle [ms].
    pub total_eviction_exceeded_time: u64,
}

/// One row of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// When.
    pub at: SimTime,
    /// `used_memory` [B].
    pub used_memory: u64,
    /// `used_memory_peak` so far [B].
    pub used_memory_peak: u64,
    /// The largest `used_memory` since the previous sample [B].
    pub used_memory_high: u64,
    /// `used_memory` by part, indexed as `MemoryPart::ALL` [B].
    pub parts: [u64; PARTS],
    /// `used_memory_overhead` by `INFO`'s definition [B].
    pub used_memory_overhead: u64,
    /// `mem_clients_normal` [B].
    pub mem_clients_normal: u64,
    /// `maxmemory` in force; zero: none [B].
    pub maxmemory: u64,
    /// Keys.
    pub keys: u64,
    /// Keys with a TTL.
    pub expires: u64,
    /// Keys whose TTL has passed and which are still there.
    pub expired_resident_keys: u64,
    /// Their bytes: entry, key, value, expires entry [B].
    pub expired_resident_bytes: u64,
    /// Bytes that the policy could evict [B].
    pub evictable_bytes: u64,
    /// Old bucket arrays still alive while their tables rehash [B].
    pub rehashing_bytes: u64,
    /// The server's own estimate of stale keys, in thousandths of a percent (`expired_stale_perc` × 1000).
    pub expired_stale_millipercent: u64,
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

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A table began to rehash.
    RehashStarted {
        /// Which table.
        table: TableName,
        /// Buckets before.
        from_buckets: u64,
        /// Buckets after.
        to_buckets: u64,
    },
    /// A table finished rehashing and freed its old array.
    RehashEnded {
        /// Which table.
        table: TableName,
        /// Buckets now.
        buckets: u64,
    },
    /// A table wanted to grow and was refused, because it would pass `maxmemory`; noted once for each size.
    ResizeRefused {
        /// Which table.
        table: TableName,
        /// Buckets that it has.
        buckets: u64,
    },
    /// The first write was refused for want of memory (`oom_first`).
    OomFirst,
    /// Writes were accepted again after a time of refusals (`oom_last`: the last refusal).
    OomLast,
    /// The first key was evicted.
    EvictingFirst,
    /// An expire cycle was cut by its time limit for the first time in a run of such cycles.
    ExpireTimeCapReached,
    /// An event of the scenario took place; the text is its description.
    Scenario(String),
}

/// A table of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableName {
    /// Keys.
    Main,
    /// Keys with a TTL.
    Expires,
}

/// The peak and the ledger at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peak {
    /// `used_memory` at the peak [B].
    pub used_memory: u64,
    /// When it was first reached.
    pub at: SimTime,
    /// By part, indexed as `MemoryPart::ALL` [B].
    pub parts: [u64; PARTS],
    /// Keys present.
    pub keys: u64,
    /// Bytes of keys whose TTL had passed, as of the sample before the peak [B].
    pub expired_resident_bytes: u64,
    /// Old bucket arrays alive at the peak [B].
    pub rehashing_bytes: u64,
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
    /// Sampling intervals in which it happened, as time [µs].
    pub lasted_us: u64,
}

/// One keyspace at the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyspaceRecord {
    /// Its name.
    pub name: String,
    /// Keys present.
    pub keys: u64,
    /// Of them with a TTL.
    pub expires: u64,
    /// Their bytes: entries, keys, values, expires entries [B].
    pub bytes: u64,
    /// Bytes of those whose TTL has passed [B].
    pub expired_resident_bytes: u64,
    /// Reads that hit.
    pub hits: u64,
    /// Reads that missed.
    pub misses: u64,
    /// Writes refused.
    pub oom_errors: u64,
    /// Keys evicted.
    pub evicted_keys: u64,
    /// Keys expired.
    pub expired_keys: u64,
    /// Keys without a TTL that were evicted.
    pub evicted_untimed_keys: u64,
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
    /// The last sample, taken at the end.
    pub end: Sample,
    /// `used_memory_startup` [B].
    pub used_memory_startup: u64,
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
    /// Requests generated (a write that follows a miss is one of its own).
    pub simulated_ops: u64,
}
