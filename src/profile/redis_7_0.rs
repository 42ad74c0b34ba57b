//! Redis 7.0.  Source: redis 7.0.15 as restated in the memory-layout specification; startup figures *measured*.

use super::Profile;

/// Redis 7.0.15.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-7.0",
    collections: &super::collections::REDIS_7_0,
    // source: src/server.h, struct redisObject
    robj: 16,
    // source: src/dict.c, struct dictEntry
    dict_entry: 24,
    expires_entry: 24,
    // source: src/object.c, OBJ_ENCODING_EMBSTR_SIZE_LIMIT
    embstr_max: 44,
    // measured: redis 7.0.15, default configuration, maxclients 10000, 16 databases
    startup_bundled: 858_792,
    startup_system: 876_432,
    // measured: difference between `databases 16` and `databases 1`, a fifteenth
    database_bundled: 409,
    database_system: 464,
    // source: src/networking.c createClient, src/connection.c: client, 3 lists, 3 dicts, connection, list node
    client_allocations: &[744, 48, 48, 48, 56, 56, 56, 64, 24],
    client_struct: 744,
    // measured: radix tree of client ids, 26.3 bytes for each client
    client_index: 26,
    // measured: overhead of an empty server beyond startup memory and clients, every `static` record
    overhead_caches_bundled: 184,
    overhead_caches_system: 200,
    // source: deps/jemalloc built without --disable-cache-oblivious
    cache_oblivious: true,
    // measured: 5178 non-empty buckets took about 5200 GETs
    rehash_steps_lookup: 1,
    // measured: 5178 non-empty buckets took 1751 SETs of new keys
    rehash_steps_insert: 3,
    // source: src/dict.c, dict_force_resize_ratio
    dict_force_resize_ratio: 5,
    lru_inherited_on_overwrite: false,
    expire_scan_reverse_binary: false,
    expire_fast_percent_bug: true,
};
