//! A server release as data: struct sizes, thresholds, switches; and the allocator's size classes.
//!
//! Versions are data: code asks the profile for a figure or a switch, never for a version number.  A release is one
//! file beside this one and one line in [`PROFILES`]; it states only what differs from its parent.

mod allocator;
pub mod collections;
mod redis_7_0;
mod redis_7_2;

pub use allocator::{Allocator, SizeClasses};
pub use collections::{
    Collections, FieldString, HashEntry, KeyLayout, KeyTable, KeyUsage, Packing, Shrink, SkiplistNode, Table,
};

/// What one release allocates, and which variant of each algorithm it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Name in a scenario.
    pub name: &'static str,
    /// What keys and collections are made of.
    pub collections: &'static Collections,
    /// `sizeof(robj)` (B).
    pub robj: u64,
    /// `sizeof(dictEntry)` of the main table, outside cluster mode (B).
    pub dict_entry: u64,
    /// `sizeof(dictEntry)` of the expires table (B).
    pub expires_entry: u64,
    /// Longest string that shares an allocation with its object (B).
    pub embstr_max: u64,
    /// `used_memory_startup` with default configuration, bundled jemalloc (B).
    pub startup_bundled: u64,
    /// The same with the distribution's jemalloc (B).
    pub startup_system: u64,
    /// Bytes of startup memory for each database beyond the first, bundled jemalloc (B).
    pub database_bundled: u64,
    /// The same with the distribution's jemalloc (B).
    pub database_system: u64,
    /// Requests that make up a client besides its query and reply buffer (B).
    pub client_allocations: &'static [u64],
    /// `sizeof(client)`: the part of them that `mem_clients_normal` counts (B).
    pub client_struct: u64,
    /// Bytes of a client's key in the index of client ids, on average (B).
    pub client_index: u64,
    /// Script and function caches that `used_memory_overhead` counts on an empty server, bundled jemalloc (B).
    pub overhead_caches_bundled: u64,
    /// The same with the distribution's jemalloc (B).
    pub overhead_caches_system: u64,
    /// The bundled jemalloc lays out large allocations with a page more each (7.0; off from 7.2 on).
    pub cache_oblivious: bool,
    /// Steps of incremental rehash made by a command that looks a key up.
    pub rehash_steps_lookup: u32,
    /// Steps made by a command that adds a key, its lookup included.
    pub rehash_steps_insert: u32,
    /// Rehash and growth are put off, while a child lives, below this ratio of keys to buckets.
    pub dict_force_resize_ratio: u64,
    /// An overwrite hands the old object's LRU clock to the new object (7.2 on; LFU does so in every release).
    pub lru_inherited_on_overwrite: bool,
    /// The sweep of the expires table visits buckets in reverse binary order (7.2 on), not by rising index.
    pub expire_scan_reverse_binary: bool,
    /// The stale estimate is a fraction compared with a percentage, so fast cycles run only after a cycle cut by time.
    pub expire_fast_percent_bug: bool,
}

/// Every release that is modelled.
pub const PROFILES: &[Profile] = &[redis_7_0::PROFILE, redis_7_2::PROFILE];

/// Releases that the scenario format knows and this version does not model yet.
pub const PROFILES_PLANNED: &[&str] =
    &["redis-6.2", "redis-7.4", "redis-8.0", "redis-8.2", "valkey-8.0", "valkey-8.1", "valkey-9.1"];

impl Profile {
    /// The release called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|profile| profile.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_not_planned() {
        for profile in PROFILES {
            assert_eq!(PROFILES.iter().filter(|p| p.name == profile.name).count(), 1);
            assert!(!PROFILES_PLANNED.contains(&profile.name));
            assert_eq!(Profile::find(profile.name), Some(profile));
        }
    }
}
