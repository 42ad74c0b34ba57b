//! Redis 7.0.  Source: redis 7.0.15 as restated in the memory-layout specification; startup figures *measured*.

use super::allocator::QUANTUM;
use super::{
    Allocator, ByAllocator, ChildRules, Defaults, EventLoop, Fragmentation, Jemalloc, KeyLayout, Profile, QueryBuffer,
    ReplicationBuffer, ShrinkRule, TableLayout,
};

/// Redis 7.0.15.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-7.0",
    collections: &super::collections::REDIS_7_0,
    cluster: &super::cluster::REDIS_7_0,
    measured: &[Allocator::Bundled, Allocator::System],
    // source: src/server.h, struct redisObject
    robj: 16,
    key_layout: KeyLayout::Separate,
    // source: src/dict.c, struct dictEntry
    table_layout: TableLayout::Chained { entry: 24 },
    overhead_entry: 24,
    overhead_expires_entry: 24,
    kvstore: None,
    // source: src/object.c, OBJ_ENCODING_EMBSTR_SIZE_LIMIT
    embstr_max: 44,
    // source: src/object.c, trimStringObjectIfNeeded
    trims_from: 0,
    shared_integers: true,
    // measured: redis 7.0.15, default configuration, maxclients 10000, 16 databases
    startup: ByAllocator { bundled: 858_792, system: 876_432, libc: 934_224 },
    // measured: medians of 55 idle servers each, 7.0.15; an idle 6.2.14 built with glibc.  7.2.6, 7.4.1 and valkey 8.0.1,
    // bundled: within 0.4 MB
    process: ByAllocator { bundled: 2_180_000, system: 7_627_000, libc: 3_400_000 },
    // assumed, here and in the other releases: glibc's takes what 6.2's takes more, 75 432 bytes, most of it the larger
    // objects of 10 000 shared integers, and 40 for each database
    // measured: difference between `databases 16` and `databases 1`, a fifteenth
    database: ByAllocator { bundled: 409, system: 464, libc: 449 },
    event_loop: EventLoop::ByMaxclients,
    // source: src/networking.c createClient, src/connection.c: client, 3 lists, 3 dicts, connection, list node
    client_allocations: &[744, 48, 48, 48, 56, 56, 56, 64, 24],
    client_struct: 744,
    // measured: radix tree of client ids, 26.3 bytes for each client
    client_index: 26,
    // source: src/networking.c, readQueryFromClient
    query_buffer: QueryBuffer::Private,
    reply_buffer_adaptive: true,
    client_eviction: true,
    latency_histograms: true,
    // measured: overhead of an empty server beyond startup memory and clients, every `static` record
    overhead_caches: ByAllocator { bundled: 184, system: 200, libc: 184 },
    // source: deps/jemalloc built without --disable-cache-oblivious
    jemalloc: Jemalloc { quantum: QUANTUM, cache_oblivious: true, system_large_by_page: false },
    // source: src/object.c, getMemoryOverheadData: allocator_active / allocator_allocated
    fragmentation: Fragmentation::ActivePages,
    // measured: 5178 non-empty buckets took about 5200 GETs
    rehash_steps_lookup: 1,
    // measured: 5178 non-empty buckets took 1751 SETs of new keys
    rehash_steps_insert: 3,
    rehash_steps_overwrite: 2,
    rehash_one_step_per_sample: false,
    cron_expands: false,
    // source: src/server.c, htNeedsResize
    shrink: ShrinkRule::CronBelowTenth,
    // source: src/dict.c, dict_force_resize_ratio: keys / buckets > 5, in integers
    child_rules: ChildRules { grow_load: 6, rehash_growth: 5, rehash_shrink: 5 },
    // source: src/object.c, dismissObject
    child_dismisses: true,
    // source: src/dict.c, dictGetSomeKeys
    sample_whole_chains: true,
    lru_inherited_on_overwrite: false,
    expire_scan_reverse_binary: false,
    expire_one_sweep: false,
    expire_fast_percent_bug: true,
    replication_buffer: ReplicationBuffer::Shared,
    aof_diff_buffer: false,
    // source: src/config.c
    defaults: Defaults { lazyfree: false, repl_backlog_size: 1 << 20, repl_diskless_sync: true },
};
