//! Redis 7.4: what differs from 7.2.  Source: redis 7.4.1 as restated in the memory-layout specification.

use super::{Allocator, ByAllocator, ChildRules, Fragmentation, Kvstore, Profile, ShrinkRule};

/// Redis 7.4.1.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-7.4",
    collections: &super::collections::REDIS_7_4,
    cluster: &super::cluster::REDIS_7_4,
    measured: &[Allocator::Bundled],
    // measured: redis 7.4.1, default configuration, Lua included.  assumed: the system build has what 7.0's has more
    startup: ByAllocator { bundled: 946_336, system: 963_976, libc: 1_021_768 },
    // measured, bundled; assumed for the system allocator (7.0's difference added)
    database: ByAllocator { bundled: 914, system: 969, libc: 954 },
    client_allocations: &[784, 48, 48, 56, 56, 56, 56, 64, 24],
    client_struct: 784,
    // source: src/object.c, trimStringObjectIfNeeded
    trims_from: 32 * 1024,
    // source: src/kvstore.c; measured: overhead of a loaded server beyond entries and buckets, 496 bytes, 560 with TTLs
    kvstore: Some(Kvstore { header: 216, main_table: 64, expires_table: 64, rehashing_node: 24 }),
    // measured: as above, empty
    overhead_caches: ByAllocator { bundled: 192, system: 208, libc: 192 },
    // source: src/server.c, tryResizeHashTables; measured: a table at load 1.0 doubles without an insertion
    cron_expands: true,
    // source: src/dict.c, _dictShrinkIfNeeded, HASHTABLE_MIN_FILL 8
    shrink: ShrinkRule::Deletion { at: 12_500, with_child: 3_125 },
    // source: src/dict.c, dict_force_resize_ratio 4
    child_rules: ChildRules { grow_load: 4, rehash_growth: 4, rehash_shrink: 32 },
    // source: src/zmalloc.c, zmalloc_get_allocator_info: frag_smallbins_bytes
    fragmentation: Fragmentation::SmallSlabs,
    // source: src/expire.c, activeExpireCycle, db_done
    expire_one_sweep: true,
    ..super::redis_7_2::PROFILE
};
