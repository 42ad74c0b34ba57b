//! A server release as data: struct sizes, thresholds, switches; and the allocator's size classes.
//!
//! Versions are data: code asks the profile for a figure or a switch, never for a version number.  A release is one
//! file beside this one and one line in [`PROFILES`]; it states only what differs from its parent.

mod allocator;
pub mod cluster;
pub mod collections;
mod redis_6_2;
mod redis_7_0;
mod redis_7_2;
mod redis_7_4;
mod redis_8_0;
mod redis_8_2;
mod valkey_8_0;
mod valkey_8_1;
mod valkey_9_1;

pub use allocator::{Allocator, ByAllocator, CHUNK_HEADER, Jemalloc, MMAP_THRESHOLD, SizeClasses};
pub use cluster::{Cluster, SlotIndex};
pub use collections::{Collections, FieldString, FieldTtl, HashEntry, KeyUsage, Packing, Shrink, SkiplistNode, Table};

/// How a key, the object of its value and its entry in the main table are allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLayout {
    /// The table's entry, the key string and the object are three allocations.
    Separate,
    /// The table's entry holds the key string behind `entry` bytes: value, next entry, offset of the string.  The string
    /// never has the one-byte header.
    InEntry {
        /// Bytes of the entry before the key string (B).
        entry: u64,
    },
    /// The object holds the key string, room for the time of expiry, and a short value.
    InObject(ObjectLayout),
}

/// An object that holds its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLayout {
    /// Objects up to this size hold a string value too (B).
    pub embed_max: u64,
    /// Bytes of the object before its key when it holds the value: `sizeof(robj)`, or less where the value's pointer is
    /// left out (B).
    pub embedded_head: u64,
    /// Whether a key of 128 bytes or more always has room for the time of expiry (B).
    pub long_key: u64,
}

/// How the two hash tables of the keyspace are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableLayout {
    /// Buckets of 8 bytes, and a chain of entries, each an allocation.
    Chained {
        /// `sizeof(dictEntry)` (B).
        entry: u64,
    },
    /// Buckets of 8 bytes that point to the key itself, or to entries where several keys share one.
    ChainedKeys {
        /// `sizeof(dictEntryNoValue)` (B).
        entry: u64,
    },
    /// Buckets of 64 bytes with up to seven keys, and child buckets where that is not enough.
    Buckets,
}

impl TableLayout {
    /// Bytes of a bucket: a pointer, or a line of the processor's cache (B).
    #[inline]
    #[must_use]
    pub fn bucket_bytes(self) -> u64 {
        if self == TableLayout::Buckets { 64 } else { 8 }
    }

    /// Keys that a bucket holds before the table is full.
    #[inline]
    #[must_use]
    pub fn places(self) -> u64 {
        if self == TableLayout::Buckets { 7 } else { 1 }
    }
}

/// When a table of the keyspace shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShrinkRule {
    /// Cron looks: keys take less than a tenth of the buckets.  While a child lives a table does not shrink.
    CronBelowTenth,
    /// Every deletion and cron look: keys take this share of the places, or less (thousandths of a percent).
    Deletion {
        /// Without a child.
        at: u64,
        /// While a child lives.
        with_child: u64,
    },
}

/// What a table may do while a child lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildRules {
    /// It grows at so many times its places in keys.
    pub grow_load: u64,
    /// Its rehash goes on when the new array is so many times the old one.
    pub rehash_growth: u64,
    /// Its rehash goes on when the old array is so many times the new one.
    pub rehash_shrink: u64,
}

/// The structures that hold a keyspace's tables, made on first use (7.4 on; Valkey).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kvstore {
    /// `sizeof(kvstore)` (B).
    pub header: u64,
    /// Struct of the main table, its metadata included (B).
    pub main_table: u64,
    /// Struct of the expires table, its metadata included (B).
    pub expires_table: u64,
    /// List node of a table that rehashes (B).
    pub rehashing_node: u64,
}

/// A client's query buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryBuffer {
    /// Each client has its own; a first read makes it greedily: twice 16 KiB.
    PrivateGreedy,
    /// Each client has its own, of 16 KiB from the first read on.
    Private,
    /// One for all clients of a thread; a client has its own only while a command is incomplete.
    Shared,
    /// The same, but a client that once had a command incomplete keeps its own until it is idle.
    SharedUntilIncomplete,
}

/// How the event loop's arrays are sized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventLoop {
    /// For `maxclients` at the start.
    ByMaxclients,
    /// As descriptors come.
    OnDemand,
}

/// What the allocator's fragmentation is, as the server says it and as active defragmentation looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragmentation {
    /// Pages in use, `allocator_active`, against what is allocated (to 7.2).
    ActivePages,
    /// Free places in the slabs of small classes against what is allocated (7.4, Valkey 8.0).
    SmallSlabs,
}

/// Where commands wait for replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationBuffer {
    /// Each replica has its own output buffer, and the backlog is a ring: none of it counts for eviction.
    Private,
    /// One list of blocks for the backlog and all replicas.
    Shared,
}

/// Defaults of redis.conf that differ between releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// `lazyfree-lazy-eviction`, `-expire`, `-server-del`, `-user-del`, `-user-flush`.
    pub lazyfree: bool,
    /// `repl-backlog-size` (B).
    pub repl_backlog_size: u64,
    /// `repl-diskless-sync`.
    pub repl_diskless_sync: bool,
}

/// What one release allocates, and which variant of each algorithm it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Name in a scenario.
    pub name: &'static str,
    /// What collections are made of.
    pub collections: &'static Collections,
    /// Allocators with which measurements of a server confirm the model, strings and integers at least.
    pub measured: &'static [Allocator],
    /// `sizeof(robj)` (B).
    pub robj: u64,
    /// How keys are allocated.
    pub key_layout: KeyLayout,
    /// How the keyspace's tables are laid out, both of them.
    pub table_layout: TableLayout,
    /// `sizeof` of an entry of the main table, as `used_memory_overhead` counts it (B).
    pub overhead_entry: u64,
    /// The same of the expires table (B).
    pub overhead_expires_entry: u64,
    /// What holds the tables; `None`: part of the startup memory.
    pub kvstore: Option<Kvstore>,
    /// Cluster mode.
    pub cluster: &'static Cluster,
    /// Longest string that shares an allocation with its object (B).
    pub embstr_max: u64,
    /// Values from this length on are trimmed when their string has much room (B).
    pub trims_from: u64,
    /// Small integers are shared objects.
    pub shared_integers: bool,
    /// `used_memory_startup` with default configuration (B).
    pub startup: ByAllocator,
    /// `used_memory_rss` of an idle server beyond `allocator_resident`: binary, libraries, stacks (B).
    pub process: ByAllocator,
    /// Bytes of startup memory for each database beyond the first (B).
    pub database: ByAllocator,
    /// How the event loop's arrays are sized.
    pub event_loop: EventLoop,
    /// Requests that make up a client besides its query and reply buffer (B).
    pub client_allocations: &'static [u64],
    /// `sizeof(client)`: the part of them that `mem_clients_normal` counts (B).
    pub client_struct: u64,
    /// Bytes of a client's key in the index of client ids, on average (B).
    pub client_index: u64,
    /// A client's query buffer.
    pub query_buffer: QueryBuffer,
    /// Reply buffers are allocations of their own, fitted to use; else 16 KiB inside the client struct.
    pub reply_buffer_adaptive: bool,
    /// `maxmemory-clients` exists.
    pub client_eviction: bool,
    /// Each command keeps a latency histogram from its first use on.
    pub latency_histograms: bool,
    /// Script and function caches that `used_memory_overhead` counts on an empty server (B).
    pub overhead_caches: ByAllocator,
    /// How jemalloc is built.
    pub jemalloc: Jemalloc,
    /// What `allocator_frag_ratio` and `allocator_frag_bytes` compare.
    pub fragmentation: Fragmentation,
    /// Steps of incremental rehash made by a command that looks a key up.
    pub rehash_steps_lookup: u32,
    /// Steps made by a command that adds a key, its lookup included.
    pub rehash_steps_insert: u32,
    /// Steps made by a command that replaces a value, its lookup included.
    pub rehash_steps_overwrite: u32,
    /// A sample for eviction makes one step, not one for each key wanted.
    pub rehash_one_step_per_sample: bool,
    /// Cron doubles a table whose keys take every bucket.
    pub cron_expands: bool,
    /// When a table shrinks.
    pub shrink: ShrinkRule,
    /// What tables do while a child lives.
    pub child_rules: ChildRules,
    /// A child releases its view of large values that it has saved.
    pub child_dismisses: bool,
    /// Sampling looks at whole chains, by reservoir beyond the samples wanted; else it stops at the last one wanted.
    pub sample_whole_chains: bool,
    /// An overwrite hands the old object's LRU clock to the new object (7.2 on; LFU does so in every release).
    pub lru_inherited_on_overwrite: bool,
    /// The sweep of the expires table visits buckets in reverse binary order (7.2 on), not by rising index.
    pub expire_scan_reverse_binary: bool,
    /// The sweep ends when it has been through the table once (7.4 on).
    pub expire_one_sweep: bool,
    /// The stale estimate is a fraction compared with a percentage, so fast cycles run only after a cycle cut by time.
    pub expire_fast_percent_bug: bool,
    /// Where commands wait for replicas.
    pub replication_buffer: ReplicationBuffer,
    /// A rewrite of the append-only file keeps what is written meanwhile in memory.
    pub aof_diff_buffer: bool,
    /// Defaults of redis.conf.
    pub defaults: Defaults,
}

/// Every release that is modelled.
pub const PROFILES: &[Profile] = &[
    redis_6_2::PROFILE,
    redis_7_0::PROFILE,
    redis_7_2::PROFILE,
    redis_7_4::PROFILE,
    redis_8_0::PROFILE,
    redis_8_2::PROFILE,
    valkey_8_0::PROFILE,
    valkey_8_1::PROFILE,
    valkey_9_1::PROFILE,
];

impl Profile {
    /// Size classes of a build of the release with this allocator.
    #[must_use]
    pub fn classes(&self, allocator: Allocator) -> SizeClasses {
        let classes = SizeClasses::of(self.jemalloc.quantum.of(allocator)).glibc(allocator == Allocator::Libc);
        let by_page = allocator == Allocator::System && self.jemalloc.system_large_by_page;
        if by_page { classes.large_by_page() } else { classes }
    }

    /// Whether jemalloc takes a page more for each large allocation.
    #[must_use]
    pub fn cache_oblivious(&self, allocator: Allocator) -> bool {
        allocator == Allocator::System || self.jemalloc.cache_oblivious
    }

    /// The release called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// What to say of cluster mode where no measurement confirms what keys cost in it.
    #[must_use]
    pub fn unconfirmed_cluster(&self) -> Option<String> {
        let text =
            || format!("cluster mode of {}: read from the server's source, not confirmed by measurements", self.name);
        (!self.cluster.measured).then(text)
    }

    /// What to say of a release with an allocator that no measurement confirms.
    #[must_use]
    pub fn unconfirmed(&self, allocator: Allocator) -> Option<String> {
        let name = self.name;
        if self.measured.is_empty() {
            return Some(format!("profile {name}: read from the server's source, not confirmed by measurements"));
        }
        let other = match allocator {
            _ if self.measured.contains(&allocator) => return None,
            Allocator::Libc => "strings are confirmed with glibc on redis-6.2",
            Allocator::Bundled | Allocator::System => "the release is confirmed with its other jemalloc",
        };
        Some(format!("allocator {} of {name}: not confirmed by measurements; {other}", allocator.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for profile in PROFILES {
            assert_eq!(PROFILES.iter().filter(|p| p.name == profile.name).count(), 1);
            assert_eq!(Profile::find(profile.name), Some(profile));
        }
    }
}
