//! Cluster mode, `cluster-enabled yes`: what a release keeps so as to know the keys of a slot.

use super::ByAllocator;

/// Slots of a cluster.  Source: `CLUSTER_SLOTS`.
pub const SLOTS: u64 = 16_384;

/// How the keys of a slot are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotIndex {
    /// A radix tree holds every key once more, its slot in front (6.2).
    RadixTree,
    /// Entries of the main table are linked by slot: so many bytes more in each (7.0, 7.2).
    EntryLinks {
        /// `sizeof(clusterDictEntryMetadata)` (B).
        metadata: u64,
    },
    /// Each slot has tables of its own, made with its first key and freed with its last (7.4, Valkey 8.0).
    TablePerSlot,
}

/// Cluster mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// How the keys of a slot are found.
    pub index: SlotIndex,
    /// Startup memory beyond that without cluster mode: the state of the cluster, arrays by slot (B).
    pub startup: ByAllocator,
    /// There is one database, whatever `databases` says (7.2, Valkey 8.0).
    pub single_database: bool,
    /// Measurements confirm what keys cost; else it is read from the source.
    pub measured: bool,
}

/// Redis 6.2.16; glibc's on 6.2.14.  *Measured*; *assumed* with the system allocator: as the bundled one.
pub(super) const REDIS_6_2: Cluster = Cluster {
    index: SlotIndex::RadixTree,
    startup: ByAllocator { bundled: 658_400, system: 658_400, libc: 531_080 },
    single_database: false,
    measured: false,
};

/// Redis 7.0.15.  *Measured* with both jemallocs; *assumed* with glibc, here and below: as with the system's.
pub(super) const REDIS_7_0: Cluster = Cluster {
    // source: src/server.h, clusterDictEntryMetadata: two pointers; measured: 16 bytes more a key
    index: SlotIndex::EntryLinks { metadata: 16 },
    startup: ByAllocator { bundled: 723_960, system: 723_710, libc: 723_710 },
    single_database: false,
    measured: true,
};

/// Redis 7.2.6.  *Measured*, bundled: 1 582 896, 858 808 of them with one database.
pub(super) const REDIS_7_2: Cluster = Cluster {
    startup: ByAllocator { bundled: 724_088, system: 724_088, libc: 724_088 },
    single_database: true,
    measured: false,
    ..REDIS_7_0
};

/// Redis 7.4.1.  *Measured*, bundled, as in the other releases of tables by slot less what one database has.
pub(super) const REDIS_7_4: Cluster = Cluster {
    index: SlotIndex::TablePerSlot,
    startup: ByAllocator { bundled: 1_346_584, system: 1_346_594, libc: 1_346_594 },
    single_database: true,
    measured: false,
};

/// Redis 8.0.2.  *Measured*, system.
pub(super) const REDIS_8_0: Cluster = Cluster { measured: true, ..REDIS_7_4 };

/// Redis 8.2, not measured.
pub(super) const REDIS_8_2: Cluster = Cluster { measured: false, ..REDIS_8_0 };

/// Valkey 8.0.1, with statistics by slot.  *Measured* with both jemallocs.
pub(super) const VALKEY_8_0: Cluster =
    Cluster { startup: ByAllocator { bundled: 1_805_504, system: 1_805_538, libc: 1_805_538 }, ..REDIS_8_0 };

/// Valkey 8.1.1.  *Measured*, system.
pub(super) const VALKEY_8_1: Cluster =
    Cluster { startup: ByAllocator { bundled: 1_805_446, system: 1_805_446, libc: 1_805_446 }, ..VALKEY_8_0 };

/// Valkey 9.1.2.  *Measured*, system: 1 334 652, and 262 416 with the first command, which makes the database.
pub(super) const VALKEY_9_1: Cluster =
    Cluster { startup: ByAllocator { bundled: 1_597_068, system: 1_597_068, libc: 1_597_068 }, ..VALKEY_8_1 };
