//! Redis 7.2: what differs from 7.0.  Source: redis 7.2.6 as restated in the memory-layout specification.

use super::Profile;

/// Redis 7.2.6.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-7.2",
    collections: &super::collections::REDIS_7_2,
    // measured: redis 7.2.6, default configuration, maxclients 10000, 16 databases
    startup_bundled: 865_920,
    // assumed: bundled plus what 7.0's system build has more; no Debian package of 7.2 exists to measure
    startup_system: 883_560,
    // measured, bundled; assumed for the system allocator (7.0's difference added)
    database_bundled: 474,
    database_system: 529,
    // source: src/networking.c createClient: client, 2 lists, 4 dicts, connection, list node
    client_allocations: &[776, 48, 48, 56, 56, 56, 56, 64, 24],
    client_struct: 776,
    // measured: 5178 non-empty buckets took 2601 SETs of new keys
    rehash_steps_insert: 2,
    // source: deps/Makefile, --disable-cache-oblivious
    cache_oblivious: false,
    lru_inherited_on_overwrite: true,
    expire_scan_reverse_binary: true,
    ..super::redis_7_0::PROFILE
};
