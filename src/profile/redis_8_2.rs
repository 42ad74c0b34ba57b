//! Redis 8.2: what differs from 8.0.  Source: redis 8.2 as restated in the memory-layout specification, section 15.2;
//! no measurement confirms it.

use super::{KeyLayout, ObjectLayout, Profile, TableLayout};

/// Redis 8.2.
pub(super) const PROFILE: Profile = Profile {
    name: "redis-8.2",
    collections: &super::collections::REDIS_8_2,
    cluster: &super::cluster::REDIS_8_2,
    measured: &[],
    // source: src/object.c, kvobjCreate, KVOBJ_EMBSTR limits
    key_layout: KeyLayout::InObject(ObjectLayout { embed_max: 64, embedded_head: 16, long_key: 128 }),
    // source: src/dict.c, dictEntryNoValue
    table_layout: TableLayout::ChainedKeys { entry: 16 },
    shared_integers: false,
    ..super::redis_8_0::PROFILE
};
