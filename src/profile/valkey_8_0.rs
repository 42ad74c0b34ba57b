//! Valkey 8.0: what differs from Redis 7.4.  Source: valkey 8.0.1 as restated in the memory-layout specification.

use super::{Allocator, ByAllocator, Defaults, KeyLayout, Kvstore, Profile, QueryBuffer};

/// Valkey 8.0.1.
pub(super) const PROFILE: Profile = Profile {
    name: "valkey-8.0",
    collections: &super::collections::VALKEY_8_0,
    cluster: &super::cluster::VALKEY_8_0,
    measured: &[Allocator::Bundled],
    // source: src/dict.c, embedded entries: value, next, offset; measured: a key of 20 bytes takes 48
    key_layout: KeyLayout::InEntry { entry: 17 },
    // source: src/kvstore.c; measured: overhead of a loaded server beyond entries and buckets, 280 bytes, 352 with TTLs
    kvstore: Some(Kvstore { header: 104, main_table: 72, expires_table: 72, rehashing_node: 24 }),
    // measured: valkey 8.0.1, default configuration
    startup: ByAllocator { bundled: 912_144, system: 929_448, libc: 987_576 },
    // measured
    database: ByAllocator { bundled: 684, system: 718, libc: 724 },
    // source: src/networking.c createClient; measured: 2354 bytes for an idle client, 2394 with the
    // system allocator
    client_allocations: &[896, 48, 48, 56, 56, 56, 56, 64, 24],
    client_struct: 896,
    overhead_caches: ByAllocator { bundled: 184, system: 200, libc: 184 },
    // measured: `CLIENT LIST` of a client that sends 256 commands at a time
    query_buffer: QueryBuffer::SharedUntilIncomplete,
    // measured: 41 400 non-empty buckets took 20 800 SETs over keys
    rehash_steps_overwrite: 2,
    // source: src/config.c
    defaults: Defaults { lazyfree: true, repl_backlog_size: 10 << 20, repl_diskless_sync: true },
    ..super::redis_7_4::PROFILE
};
