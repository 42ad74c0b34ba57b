//! Redis 6.2: what differs from 7.0.  Source: redis 6.2.16 as restated in the memory-layout specification.

use super::{Allocator, ByAllocator, Defaults, Profile, QueryBuffer, ReplicationBuffer};

/// Redis 6.2.16.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-6.2",
    collections: &super::collections::REDIS_6_2,
    cluster: &super::cluster::REDIS_6_2,
    measured: &[Allocator::Bundled, Allocator::Libc],
    // measured: redis 6.2.16, default configuration; 6.2.14 built with glibc.  assumed: the system build has what 7.0's
    // has more
    startup: ByAllocator { bundled: 812_088, system: 829_728, libc: 887_520 },
    // measured, bundled; assumed for the system allocator (7.0's difference added)
    database: ByAllocator { bundled: 604, system: 659, libc: 644 },
    // source: src/networking.c createClient: client with its reply buffer, 3 lists, 2 dicts of 96 bytes, connection, list
    // node; measured: 20 954 bytes for an idle client, 16 more than these make up
    client_allocations: &[16_992, 48, 48, 48, 96, 96, 64, 24, 16],
    client_struct: 16_992,
    // source: src/networking.c, readQueryFromClient
    query_buffer: QueryBuffer::PrivateGreedy,
    reply_buffer_adaptive: false,
    client_eviction: false,
    latency_histograms: false,
    // measured: overhead of an empty server is its startup memory, every `static` record
    overhead_caches: ByAllocator { bundled: 0, system: 0, libc: 0 },
    child_dismisses: false,
    // source: src/dict.c, dictGetSomeKeys of 6.2
    sample_whole_chains: false,
    replication_buffer: ReplicationBuffer::Private,
    aof_diff_buffer: true,
    defaults: Defaults { repl_diskless_sync: false, ..super::redis_7_0::PROFILE.defaults },
    ..super::redis_7_0::PROFILE
};
