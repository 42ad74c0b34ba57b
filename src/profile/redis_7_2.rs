//! Redis 7.2: what differs from 7.0.  Source: redis 7.2.6 as restated in the memory-layout specification.

use super::{Allocator, ByAllocator, Jemalloc, Profile};

/// Redis 7.2.6.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-7.2",
    collections: &super::collections::REDIS_7_2,
    cluster: &super::cluster::REDIS_7_2,
    measured: &[Allocator::Bundled],
    // measured: redis 7.2.6, default configuration, maxclients 10000, 16 databases, bundled.  assumed: the system build
    // has what 7.0's has more; no Debian package of 7.2 exists to measure
    startup: ByAllocator { bundled: 865_920, system: 883_560, libc: 941_352 },
    // measured, bundled; assumed for the system allocator (7.0's difference added)
    database: ByAllocator { bundled: 474, system: 529, libc: 514 },
    // source: src/networking.c createClient: client, 2 lists, 4 dicts, connection, list node
    client_allocations: &[776, 48, 48, 56, 56, 56, 56, 64, 24],
    client_struct: 776,
    // measured: 5178 non-empty buckets took 2601 SETs of new keys
    rehash_steps_insert: 2,
    // source: src/db.c, dbSetValue is given the entry
    rehash_steps_overwrite: 1,
    // source: deps/Makefile, --disable-cache-oblivious
    jemalloc: Jemalloc { cache_oblivious: false, ..super::redis_7_0::PROFILE.jemalloc },
    lru_inherited_on_overwrite: true,
    expire_scan_reverse_binary: true,
    ..super::redis_7_0::PROFILE
};
