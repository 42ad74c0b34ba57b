//! `INFO`: what the server says of itself, by its own definitions.
//!
//! The split into overhead and dataset uses nominal struct sizes, as the server's does: it is derived from counts, beside
//! the ledger that charges size classes.  Source: redis 7.0.15 `src/object.c` (`getMemoryOverheadData`).

use super::Node;
use super::config::{EvictionScope, ServerConfig};
use super::counters::{Counters, KeyspaceCounters};
use super::host::{HostMemory, HostPeak};
use super::ledger::PARTS;
use super::link::ClientClass;
use super::notice::EventKind;
use super::persistence::PersistenceInfo;
use super::replication::ReplicationInfo;
use super::rss::AllocatorInfo;
use super::slot_tables::SlotTables;
use crate::layout::string::Encoding;
use crate::profile::{Allocator, EventLoop, Profile};

/// File descriptors beyond `maxclients`.  Source: `CONFIG_FDSET_INCR`.
const FDSET_INCREMENT: u64 = 128;
/// `maxclients` and `databases` of the servers whose startup memory was measured.
const MEASURED_MAXCLIENTS: u64 = 10_000;
const MEASURED_DATABASES: u64 = 16;

/// The peak of `used_memory` and the ledger at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeakRecord {
    /// `used_memory_peak` (B).
    pub used_memory: u64,
    /// When it was reached (µs of the server's clock).
    pub at_us: u64,
    /// By part (B).
    pub parts: [u64; PARTS],
    /// Keys present.
    pub keys: u64,
    /// Old bucket arrays alive (B).
    pub rehashing_bytes: u64,
}

/// What `INFO` and `DBSIZE` say at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeInfo {
    /// `used_memory` (B).
    pub used_memory: u64,
    /// `used_memory_peak` (B).
    pub used_memory_peak: u64,
    /// `used_memory` by part (B).
    pub parts: [u64; PARTS],
    /// `used_memory_overhead` (B).
    pub used_memory_overhead: u64,
    /// `mem_clients_normal` (B).
    pub mem_clients_normal: u64,
    /// `maxmemory` in force (B).
    pub maxmemory: u64,
    /// Keys.
    pub keys: u64,
    /// Keys with a TTL.
    pub expires: u64,
    /// Keys whose TTL has passed, still there.
    pub expired_resident_keys: u64,
    /// Their bytes (B).
    pub expired_resident_bytes: u64,
    /// Bytes that the policy could evict (B).
    pub evictable_bytes: u64,
    /// Old bucket arrays still alive (B).
    pub rehashing_bytes: u64,
    /// `expired_stale_perc` in thousandths of a percent.
    pub expired_stale_millipercent: u64,
    /// Replication.
    pub replication: ReplicationInfo,
    /// What the allocator holds.
    pub allocator: AllocatorInfo,
    /// What the kernel counts (B).
    pub host: HostMemory,
    /// Memory of the host; zero: not said (B).
    pub host_limit: u64,
    /// Persistence, and defragmentation.
    pub persistence: PersistenceInfo,
    /// `connected_clients`.
    pub connected_clients: u64,
    /// The largest output buffer of a connection of class normal, and of class pubsub (B).
    pub omem: [u64; 2],
    /// Bytes in kernel socket buffers (B).
    pub socket_bytes: u64,
    /// `lazyfree_pending_objects`.
    pub lazyfree_pending_objects: u64,
    /// Counters.
    pub counters: Counters,
}

/// A keyspace at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyspaceState {
    /// Counters and sizes.
    pub counters: KeyspaceCounters,
    /// Bytes of keys whose TTL has passed (B).
    pub expired_resident_bytes: u64,
}

/// `used_memory_startup` of a server with this configuration: the measured figure, moved by `maxclients` (the event
/// loop's arrays) and `databases` (B).
pub(super) fn startup_memory(profile: &Profile, allocator: Allocator, config: &ServerConfig) -> u64 {
    let (base, database) = (profile.startup.of(allocator), profile.database.of(allocator));
    let classes = profile.classes(allocator);
    // Registered events of 32 bytes, fired ones of 8, poll results of 12, one each for every descriptor; or the last of
    // them alone, where the others grow as descriptors come.
    let sizes: &[u64] = match profile.event_loop {
        EventLoop::ByMaxclients => &[32, 8, 12],
        EventLoop::OnDemand => &[12],
    };
    let event_loop = |maxclients: u64| -> u64 {
        let descriptors = maxclients + FDSET_INCREMENT;
        sizes.iter().map(|size| classes.class(size * descriptors)).sum()
    };
    let cluster = if config.cluster_enabled { profile.cluster.startup.of(allocator) } else { 0 };
    let single = config.cluster_enabled && profile.cluster.single_database;
    let databases = if single { 1 } else { u64::from(config.databases) };
    let moved = base + cluster + event_loop(u64::from(config.maxclients)) + databases * database;
    moved.saturating_sub(event_loop(MEASURED_MAXCLIENTS) + MEASURED_DATABASES * database)
}

impl Node {
    /// What the server says now.
    #[must_use]
    pub fn info(&mut self) -> NodeInfo {
        self.pending.advance(self.now_ms);
        self.lazyfree_for(0);
        let (expired_resident_keys, expired_resident_bytes) = self.pending.expired();
        NodeInfo {
            used_memory: self.ledger.used(),
            used_memory_peak: self.ledger.peak(),
            parts: self.ledger.parts(),
            used_memory_overhead: self.overhead(),
            mem_clients_normal: self.mem_clients_normal(),
            maxmemory: self.config.maxmemory.0,
            keys: self.main.len(),
            expires: self.expires.len(),
            expired_resident_keys,
            expired_resident_bytes,
            evictable_bytes: self.evictable_bytes(),
            rehashing_bytes: self.rehashing_bytes(),
            expired_stale_millipercent: self.stale_millipercent(),
            replication: self.replication_info(),
            allocator: self.allocator_info(),
            host: self.host_memory(),
            host_limit: self.host.setup.memory.map_or(0, |memory| memory.0),
            persistence: self.persistence_info(),
            connected_clients: self.clients.connections(),
            omem: [ClientClass::Normal, ClientClass::Pubsub].map(|class| self.outputs.largest(class)),
            socket_bytes: self.socket_bytes(),
            lazyfree_pending_objects: self.lazyfree.pending(),
            counters: self.counters,
        }
    }

    /// Old bucket arrays alive (B).
    pub(super) fn rehashing_bytes(&self) -> u64 {
        match &self.slot_tables {
            Some(tables) => tables.iter().map(SlotTables::old_bytes).sum(),
            None => self.main.bucket_bytes() * (self.main.old_buckets() + self.expires.old_buckets()),
        }
    }

    /// `used_memory_overhead` by nominal struct sizes (B).
    fn overhead(&self) -> u64 {
        let per_key = self.profile.overhead_entry + self.regions.slot_links + self.profile.robj;
        self.startup
            + self.overhead_caches
            + self.mem_clients_normal()
            + self.main.len() * per_key
            + self.expires.len() * self.profile.overhead_expires_entry
            + self.tables_overhead()
    }

    /// Bytes of the keys that the policy could evict (B).
    fn evictable_bytes(&self) -> u64 {
        match self.config.maxmemory_policy.entry().scope {
            EvictionScope::Nothing => 0,
            EvictionScope::AllKeys => self.keyspaces.iter().map(|k| k.bytes).sum(),
            EvictionScope::Volatile => self.pending.total_bytes(),
        }
    }

    /// `used_memory_startup` (B).
    #[must_use]
    pub fn used_memory_startup(&self) -> u64 {
        self.startup
    }

    /// The peak so far.
    #[must_use]
    pub fn peak(&self) -> PeakRecord {
        self.peak
    }

    /// Microseconds from the start of the run to an instant of the server's clock; zero before it.
    #[must_use]
    pub fn since_start_us(&self, clock_us: u64) -> u64 {
        clock_us.saturating_sub(self.epoch_us)
    }

    /// The server's clock (ms since 1970).
    pub(crate) fn clock_ms(&self) -> u64 {
        self.now_ms
    }

    /// Sum of the sizes of the string values present (B); a look at every key.
    #[must_use]
    pub fn value_bytes(&self) -> u64 {
        let sizes = self.keys.present().map(|slot| self.keys.entries[slot as usize].sizes);
        sizes.filter(|sizes| sizes.encoding != Encoding::Int).map(|sizes| sizes.payload).sum()
    }

    /// Every keyspace now; a look at every key with a TTL.
    #[must_use]
    pub fn keyspace_states(&self) -> Vec<KeyspaceState> {
        let expired = self.expired_resident_by_keyspace();
        let state = |(&counters, expired_resident_bytes)| KeyspaceState { counters, expired_resident_bytes };
        self.keyspaces.iter().zip(expired).map(state).collect()
    }

    /// Forgets what happened while the node was being filled before the run: counters, the peak and events start anew.
    pub fn reset_stats(&mut self) {
        self.counters = Counters::default();
        for keyspace in &mut self.keyspaces {
            *keyspace = KeyspaceCounters {
                keys: keyspace.keys,
                expires: keyspace.expires,
                bytes: keyspace.bytes,
                largest_elements: keyspace.largest_elements,
                largest_bytes: keyspace.largest_bytes,
                ..KeyspaceCounters::default()
            };
        }
        self.events.clear();
        self.persistence.reset(self.now_us / 1_000_000);
        self.restart_aof();
        self.host.peak = HostPeak::default();
        self.ledger.reset_peak();
        self.peak = super::PeakRecord::default();
        self.note_peak();
    }

    /// Takes the events noted since the last call, with their times (µs of the server's clock).
    pub fn take_events(&mut self) -> Vec<(u64, EventKind)> {
        std::mem::take(&mut self.events)
    }

    /// Events that were not kept because there were too many.
    #[must_use]
    pub fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    /// The largest `used_memory` since the last call (B).
    pub fn take_high(&mut self) -> u64 {
        self.ledger.take_high()
    }
}
