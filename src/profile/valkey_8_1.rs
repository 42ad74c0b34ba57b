//! Valkey 8.1: what differs from 8.0.  Source: valkey 8.1 as restated in the memory-layout specification, section 15.4;
//! *measured* on Debian's 8.1.1.

use super::{Allocator, ByAllocator, ChildRules, KeyLayout, Kvstore, ObjectLayout, Profile, ShrinkRule, TableLayout};

/// Valkey 8.1.1.
pub(super) const PROFILE: Profile = Profile {
    name: "valkey-8.1",
    collections: &super::collections::VALKEY_8_1,
    cluster: &super::cluster::VALKEY_8_1,
    measured: &[Allocator::System],
    // source: src/object.c, createEmbeddedStringObjectWithKeyAndExpire, KEY_SIZE_TO_INCLUDE_EXPIRE_THRESHOLD
    key_layout: KeyLayout::InObject(ObjectLayout { embed_max: 64, embedded_head: 16, long_key: 128 }),
    // source: src/hashtable.c
    table_layout: TableLayout::Buckets,
    // source: src/kvstore.c, kvstoreMemUsage: the object's 16 bytes for each key, nothing for an entry
    overhead_entry: 0,
    overhead_expires_entry: 0,
    // source: src/hashtable.c; measured: overhead of a loaded server beyond objects and buckets, 280 and 368 with TTLs
    kvstore: Some(Kvstore { header: 96, main_table: 88, expires_table: 88, rehashing_node: 24 }),
    shared_integers: false,
    // measured: Debian's 8.1.1, system jemalloc.  assumed: the bundled build has what 7.0's has less
    startup: ByAllocator { bundled: 874_600, system: 892_240, libc: 950_032 },
    // measured: Debian's 8.1.1, median of 55 idle servers
    process: ByAllocator { system: 10_666_000, ..super::redis_7_0::PROFILE.process },
    // measured, system; assumed for the bundled allocator (7.0's difference taken off)
    database: ByAllocator { bundled: 579, system: 634, libc: 619 },
    overhead_caches: ByAllocator { bundled: 208, system: 224, libc: 208 },
    // source: src/hashtable.c, MAX_FILL_PERCENT, MIN_FILL_PERCENT
    shrink: ShrinkRule::Deletion { at: 13_000, with_child: 3_000 },
    // source: src/hashtable.c, MAX_FILL_PERCENT_HARD; lookups make no step while a child lives
    child_rules: ChildRules { grow_load: 5, rehash_growth: u64::MAX, rehash_shrink: u64::MAX },
    // measured: 8192 buckets took 4096 SETs of new keys, 4096 over keys, 8192 GETs or DELs; as in 8.0
    // source: src/hashtable.c, hashtableSampleEntries
    rehash_one_step_per_sample: true,
    // source: src/networking.c createClient: lists and tables come when they are needed; measured: 1834 bytes for an
    // idle client, 640 of them the struct's class
    client_allocations: &[640, 48, 64, 24],
    client_struct: 640,
    ..super::valkey_8_0::PROFILE
};
