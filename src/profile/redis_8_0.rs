//! Redis 8.0: what differs from 7.4.  Source: redis 8.0 as restated in the memory-layout specification; *measured* on
//! Debian's 8.0.2.

use super::{Allocator, ByAllocator, EventLoop, Kvstore, Profile, QueryBuffer};

/// Redis 8.0.2.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-8.0",
    collections: &super::collections::REDIS_8_0,
    cluster: &super::cluster::REDIS_8_0,
    measured: &[Allocator::System],
    // measured: Debian's 8.0.2, system jemalloc.  assumed: the bundled build has what 7.0's has less, and Lua's memory
    // besides, which its allocator counts (65 KB, 7.4)
    startup: ByAllocator { bundled: 718_568, system: 670_872, libc: 794_000 },
    // measured: Debian's 8.0.2, median of 55 idle servers
    process: ByAllocator { system: 10_371_000, ..super::redis_7_0::PROFILE.process },
    // measured, system: histograms of sizes in each; assumed for the bundled allocator (7.0's difference taken off)
    database: ByAllocator { bundled: 3_719, system: 3_774, libc: 3_759 },
    // measured: `maxclients` moves startup memory by one of the three arrays alone
    event_loop: EventLoop::OnDemand,
    // measured: overhead of a loaded server beyond entries and buckets, 2928 bytes, 2992 with TTLs; growth of an empty
    // server by 2560 with its first key.  The struct of the main table holds histograms of sizes
    kvstore: Some(Kvstore { header: 232, main_table: 2_464, expires_table: 64, rehashing_node: 24 }),
    // measured: as above, empty; Lua's memory is part of it
    overhead_caches: ByAllocator { bundled: 66_744, system: 66_760, libc: 66_744 },
    // measured: 2410 bytes for an idle client, 16 more than its parts make up
    client_allocations: &[784, 48, 48, 56, 56, 56, 56, 64, 24, 16],
    query_buffer: QueryBuffer::Shared,
    ..super::redis_7_4::PROFILE
};
