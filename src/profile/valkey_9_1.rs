//! Valkey 9.1: what differs from 8.1.  Source: valkey 9.1 as restated in the memory-layout specification, section 15.5;
//! *measured* on Debian's 9.1.2.

use super::{Allocator, ByAllocator, Jemalloc, KeyLayout, Kvstore, ObjectLayout, Profile, QueryBuffer};

/// Valkey 9.1.2.
pub(super) const PROFILE: Profile = Profile {
    name: "valkey-9.1",
    collections: &super::collections::VALKEY_9_1,
    cluster: &super::cluster::VALKEY_9_1,
    measured: &[Allocator::System],
    // source: src/object.c: an embedded value leaves the pointer out, objects of 128 bytes hold their value
    key_layout: KeyLayout::InObject(ObjectLayout { embed_max: 128, embedded_head: 8, long_key: 128 }),
    // measured: `CLIENT LIST` of a client that sends 256 commands at a time
    query_buffer: QueryBuffer::Shared,
    // source: src/object.c, 128 bytes less head, header and terminator
    embstr_max: 116,
    // measured: overhead of a loaded server beyond objects and buckets; the table has a list of iterators
    kvstore: Some(Kvstore { header: 96, main_table: 96, expires_table: 96, rehashing_node: 24 }),
    // measured: Debian's package runs with jemalloc 5.3.1: SETRANGE of 33 000 bytes costs 36 864, not 40 960
    jemalloc: Jemalloc { system_large_by_page: true, ..super::valkey_8_1::PROFILE.jemalloc },
    // measured: Debian's 9.1.2, system jemalloc.  assumed: the bundled build has what 7.0's has less
    startup: ByAllocator { bundled: 904_408, system: 922_048, libc: 979_840 },
    // measured: Debian's 9.1.2: a child that saves values of 100 kB keeps sharing all of them (7.0.15, 8.0.2: fewer and fewer)
    child_dismisses: false,
    // measured: Debian's 9.1.2, median of 55 idle servers
    process: ByAllocator { system: 10_097_000, ..super::redis_7_0::PROFILE.process },
    // measured: `databases 1` starts with no less; a database is made on first use
    database: ByAllocator { bundled: 0, system: 0, libc: 0 },
    overhead_caches: ByAllocator { bundled: 544, system: 560, libc: 544 },
    ..super::valkey_8_1::PROFILE
};
