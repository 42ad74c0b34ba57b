//! The simulated server: one database of strings and integers, its tables, and every byte of its `used_memory`.
//!
//! [`Node`] holds the state; each mechanism is one file: [`commands`](self) what a request does, `eviction`, `expiry`,
//! `tables` (growth and rehash of the two hash tables), `clients`, `cron`, `info`.  The caller moves the clock, sends
//! commands and runs cron; nothing here knows of scenarios, rates or samples.
//!
//! A server can be a replica: it takes the changes of a primary (`changes`) and does nothing by itself.
//!
//! A child that lives (`child`) freezes recency and rehash and makes tables avoid growth; what writes then copy is
//! followed in `cow`.
//!
//! Invariant: `used_memory` is the sum of the ledger's parts, checked at every cron in debug builds.

pub mod aof;
mod backlog;
mod by_size;
mod chained_entries;
mod changes;
pub mod child;
mod child_buckets;
mod clients;
mod collection;
mod collections;
mod commands;
pub mod config;
pub mod counters;
pub mod cow;
mod cron;
mod decay;
mod defrag;
mod dict;
mod eviction;
mod expiry;
mod extents;
mod field_expiry;
mod field_times;
mod hash_times;
pub mod host;
mod hyperloglog;
mod info;
pub(crate) mod keys;
mod keyspace;
mod lazyfree;
pub mod ledger;
pub mod link;
mod mean_field;
pub mod notice;
mod output;
mod output_buffer;
mod pending;
pub mod persistence;
mod pool;
mod private_buffers;
mod propagation;
mod regions;
pub mod replication;
pub mod rss;
mod runs;
mod slab_class;
mod slabs;
mod slot_tables;
mod starts;
mod stream_buffer;
mod stream_state;
mod tables;

use crate::layout::string::{self, StringValue};
use crate::profile::{Allocator, Profile, ShrinkRule, SizeClasses, TableLayout};
use crate::rng::Xoshiro256PlusPlus;
use crate::units::Micros;
pub use changes::Role;
pub(crate) use changes::{ChangeLog, SentKey, cut_log};
pub use clients::{ClientLoad, ClientSetup};
pub use collection::{CollectionKind, Elements, Touch};
pub use collections::{ElementWrite, KeyExample};
pub use commands::{KeyRef, Payload, Reply, Write};
use config::{Costs, MaxmemoryPolicy, ServerConfig, Setting};
use counters::{Counters, KeyspaceCounters};
use dict::Dict;
use eviction::EvictionState;
use expiry::ExpireCycle;
pub use field_expiry::ElementsOf;
pub use info::{KeyspaceState, NodeInfo, PeakRecord};
pub(crate) use keys::Slot;
use keys::{Keys, NIL, NO_ID};
pub use lazyfree::FreedBy;
use ledger::{Ledger, MemoryPart};
use notice::EventKind;
pub use output::OutputSetup;
use pending::PendingExpiry;
use regions::Regions;
use slot_tables::SlotTables;
use std::collections::BTreeSet;

/// The server's clock at the start of a run (s since 1970): a midnight, far enough from zero for what was loaded
/// before the run.  *assumed*: nothing depends on the date.
const EPOCH_SECONDS: u64 = 116 * 86_400;

/// Events kept for one run; further ones are counted.
const EVENT_LIMIT: usize = 10_000;

/// What a server is made from.
#[derive(Debug, Clone)]
pub struct NodeSetup<'a> {
    /// Release.
    pub profile: &'static Profile,
    /// Its allocator.
    pub allocator: Allocator,
    /// Directives in force at the start.
    pub config: ServerConfig,
    /// What work costs on its machine.
    pub costs: Costs,
    /// Size of the id space of each keyspace.
    pub ids: &'a [u32],
    /// Groups of connections, all open.
    pub clients: &'a [ClientSetup],
    /// How each of them reads.
    pub outputs: &'a [OutputSetup],
    /// Time of day at the start.
    pub start_of_day: Micros,
    /// How long the run lasts: bounds what is followed of expiry times.
    pub duration: Micros,
    /// Distance between samples.
    pub sample_interval: Micros,
    /// Replicas.
    pub replicas: &'a [replication::ReplicaSetup],
    /// Primary, or replica of one.
    pub role: Role,
    /// The machine.
    pub host: host::HostSetup,
    /// Random numbers of eviction and of LFU counters.
    pub rng: Xoshiro256PlusPlus,
}

/// The simulated server.
#[derive(Debug)]
pub struct Node {
    profile: &'static Profile,
    classes: SizeClasses,
    config: ServerConfig,
    costs: Costs,
    ledger: Ledger,
    peak: PeakRecord,
    counters: Counters,
    keyspaces: Vec<KeyspaceCounters>,
    keys: Keys,
    main: Dict,
    expires: Dict,
    eviction: EvictionState,
    expire_cycle: ExpireCycle,
    pending: PendingExpiry,
    clients: clients::Clients,
    outputs: output::Outputs,
    commands_used: BTreeSet<&'static str>,
    /// One bit for each [`crate::command::Command`] that was run.
    commands_seen: u64,
    /// The same for each that was propagated.
    commands_sent: u64,
    rng: Xoshiro256PlusPlus,
    /// The server's clock (µs since 1970).
    now_us: u64,
    /// The same (ms), as commands see it.
    now_ms: u64,
    /// Clock at the start of the run (µs since 1970).
    epoch_us: u64,
    /// Seconds of the clock as cron last saw it, 24 bits.
    lru_clock: u32,
    /// Minutes of the clock as cron last saw it, 16 bits.
    lfu_minutes: u32,
    cron_loops: u64,
    /// A child process lives: recency and rehash are frozen, tables avoid growth.
    child_active: bool,
    child: Option<Box<child::Child>>,
    persistence: persistence::Persistence,
    host: host::Host,
    rss: rss::Rss,
    /// Lengths of names, by keyspace.
    names: Vec<propagation::Names>,
    collections: collections::Collections,
    lazyfree: lazyfree::LazyFree,
    field_expiry: field_expiry::FieldExpiry,
    /// The command, by its number, that last found an expired key.
    expired_in: u64,
    replication: replication::Replication,
    aof: aof::Aof,
    defrag: defrag::Defrag,
    role: Role,
    /// What a watched replica has still to be sent.
    changes: Option<Box<ChangeLog>>,
    allocator: Allocator,
    startup: u64,
    /// Script and function caches of an empty server (B).
    overhead_caches: u64,
    regions: Regions,
    /// Tables have nothing but arrays and an entry for each key, and deletions leave their size alone.
    plain_tables: bool,
    /// What is charged for each table beside its arrays: child buckets, entries of shared buckets (B).
    beside_arrays: [u64; 2],
    /// What tables by slot take, in cluster mode where a release has them.
    slot_tables: Option<Box<[SlotTables; 2]>>,
    /// The structs that hold the tables were made.
    structs_made: [bool; 2],
    events: Vec<(u64, EventKind)>,
    events_dropped: u64,
    refused_sizes: [u64; 2],
    /// The last command that could be refused was.
    refusing: bool,
    time_cap_streak: bool,
}

impl Node {
    /// A server that has just started, with its connections open and no keys.
    #[must_use]
    pub fn new(setup: &NodeSetup<'_>) -> Node {
        let classes = setup.profile.classes(setup.allocator);
        let profile = setup.profile;
        let epoch_us = (EPOCH_SECONDS * 1_000_000) + setup.start_of_day.0;
        let mut rng = setup.rng.clone();
        let mut node = Node {
            profile,
            classes,
            config: setup.config.clone(),
            costs: setup.costs,
            ledger: Ledger::default(),
            peak: PeakRecord::default(),
            counters: Counters::default(),
            keyspaces: vec![KeyspaceCounters::default(); setup.ids.len()],
            keys: Keys::new(setup.ids.iter().map(|&ids| ids as usize).sum()),
            main: Dict::new(profile),
            expires: Dict::new(profile),
            eviction: EvictionState::new(&mut rng),
            expire_cycle: ExpireCycle::default(),
            pending: PendingExpiry::new(epoch_us / 1000, setup.duration, setup.sample_interval),
            clients: clients::Clients::new(setup.clients, profile, classes),
            outputs: output::Outputs::new(
                setup.outputs,
                &setup.clients.iter().map(|group| u64::from(group.connections)).collect::<Vec<_>>(),
                classes,
            ),
            commands_used: BTreeSet::new(),
            commands_seen: 0,
            commands_sent: 0,
            rng,
            now_us: epoch_us,
            now_ms: epoch_us / 1000,
            epoch_us,
            lru_clock: 0,
            lfu_minutes: 0,
            cron_loops: 0,
            child_active: false,
            child: None,
            persistence: persistence::Persistence::new(epoch_us / 1_000_000),
            aof: aof::Aof::default(),
            defrag: defrag::Defrag::default(),
            role: setup.role,
            changes: None,
            allocator: setup.allocator,
            collections: collections::Collections::default(),
            lazyfree: lazyfree::LazyFree::default(),
            field_expiry: field_expiry::FieldExpiry::default(),
            names: vec![propagation::Names::default(); setup.ids.len()],
            expired_in: u64::MAX,
            replication: replication::Replication::new(
                setup.replicas,
                setup.role,
                stream_buffer::StreamBuffer::new(profile.replication_buffer, classes),
                epoch_us,
            ),
            rss: rss::Rss::new(
                setup.ids.iter().map(|&ids| ids as usize).sum(),
                setup.allocator,
                profile.cache_oblivious(setup.allocator),
                profile.process.of(setup.allocator),
            ),
            host: host::Host { setup: setup.host, ..host::Host::default() },
            startup: info::startup_memory(profile, setup.allocator, &setup.config),
            overhead_caches: profile.overhead_caches.of(setup.allocator),
            regions: Regions::new(profile, classes, setup.config.cluster_enabled),
            plain_tables: matches!(
                (profile.table_layout, profile.shrink),
                (TableLayout::Chained { .. }, ShrinkRule::CronBelowTenth)
            ),
            beside_arrays: [0; 2],
            slot_tables: tables::slot_tables(profile, classes, &setup.config),
            structs_made: [false; 2],
            events: Vec::new(),
            events_dropped: 0,
            refused_sizes: [0; 2],
            refusing: false,
            time_cap_streak: false,
        };
        node.update_cached_clock();
        node.ledger.set(MemoryPart::Startup, node.startup);
        node.rss.reserve(node.startup);
        if setup.replicas.iter().any(|replica| replica.attached) {
            node.note_replica_commands();
            node.begin_replication();
        }
        node.charge_clients();
        node.note_peak();
        node
    }

    /// Moves the clock to `at` microseconds after the start; negative times are before it.
    #[inline]
    pub fn set_time(&mut self, at: i64) {
        self.now_us = self.epoch_us.wrapping_add_signed(at);
        self.now_ms = self.now_us / 1000;
    }

    /// Puts a directive in force, as `CONFIG SET` does.
    pub fn config_set(&mut self, setting: &Setting) {
        self.config.apply(setting);
        if matches!(setting, Setting::Maxmemory(_)) {
            // 7.0 starts the eviction timer; the next iteration of the event loop evicts.
            self.perform_evictions();
        }
    }

    /// The directives in force.
    #[must_use]
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// `used_memory` (B).
    #[inline]
    #[must_use]
    pub fn used_memory(&self) -> u64 {
        self.ledger.used()
    }

    /// The keys' columns, for a caller that visits every key.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether the key with this id is present (its TTL may have passed).
    #[inline]
    #[must_use]
    pub fn holds(&self, id: u32) -> bool {
        self.keys.index[id as usize] != NIL
    }

    /// Takes away the id of a key that will never be asked for again.
    pub fn disown(&mut self, id: u32) {
        self.keys.disown(id);
    }

    /// Asks for where the key stands; a request for it will follow.
    #[inline]
    pub fn prefetch_index(&self, key: KeyRef) {
        self.keys.prefetch_index(key.id);
    }

    /// Asks for what a request for the key reads, or a write of it when it is absent.
    #[inline]
    pub fn prefetch_key(&self, key: KeyRef) {
        if !self.keys.prefetch_entry(key.id) {
            self.main.prefetch_bucket(key.hash);
        }
    }

    /// What `maxmemory` does not count (B): replication buffers beyond the backlog, and the AOF buffer.
    #[inline]
    fn not_counted(&self) -> u64 {
        self.replication.not_counted(self.config.repl_backlog_size.0) + self.aof_not_counted()
    }

    /// Whether memory is over `maxmemory`, were `more` bytes allocated.
    #[inline]
    fn over_limit(&self, more: u64) -> bool {
        let max = self.config.maxmemory.0;
        // A replica ignores it.  Source: `replica-ignore-maxmemory`.
        max > 0 && self.role == Role::Primary && self.ledger.used() + more - self.not_counted() > max
    }

    /// Bytes that a snapshot has to write: keys and values (B).
    fn payload_bytes(&self) -> u64 {
        self.ledger.part(MemoryPart::Keys) + self.ledger.part(MemoryPart::Values) - self.lazyfree.bytes()
    }

    #[inline]
    fn note_peak(&mut self) {
        if self.ledger.note_peak() {
            self.peak.used_memory = self.ledger.used();
            self.peak.at_us = self.now_us;
            self.peak.parts = self.ledger.parts();
            self.peak.keys = self.main.len();
            self.peak.rehashing_bytes = self.rehashing_bytes();
        }
    }

    fn note_event(&mut self, kind: EventKind) {
        if self.events.len() < EVENT_LIMIT || kind.is_kept() {
            self.events.push((self.now_us, kind));
        } else {
            self.events_dropped += 1;
        }
    }

    /// Charges the histogram that a command keeps from its first use on.  Source: redis 7.0 `src/server.c`
    /// `updateCommandLatencyHistogram`; *measured*: 24 688 bytes each, from a request of 112 and one of 24 576.
    #[inline]
    pub fn note_command(&mut self, base: &'static str) {
        if self.profile.latency_histograms && self.config.latency_tracking && self.commands_used.insert(base) {
            let bytes = self.classes.class(112) + self.classes.class(24_576);
            self.ledger.charge(MemoryPart::CommandHistograms, bytes);
        }
    }

    /// Whether small integers may be shared: not where each needs a clock of its own.
    fn shares_integers(&self) -> bool {
        let needs_clocks = self.config.maxmemory.0 > 0 && self.config.maxmemory_policy.forbids_shared_integers();
        self.profile.shared_integers && !needs_clocks
    }

    /// The value that a write stores, with its payload.
    #[inline]
    fn stored(&self, payload: Payload) -> (u64, StringValue) {
        match payload {
            Payload::Bytes(length) => (length, string::written(length, self.profile, self.classes)),
            Payload::Int(value) => {
                let shared = self.shares_integers();
                (value.cast_unsigned(), string::integer(value, shared, self.profile, self.classes))
            }
            Payload::Distinct(distinct) => self.new_hyperloglog(distinct),
        }
    }

    /// Whether the policy in force ranks by access counts.
    #[inline]
    fn counts_accesses(&self) -> bool {
        matches!(self.config.maxmemory_policy, MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu)
    }
}

/// The id of a key that has none.
pub const ANONYMOUS: u32 = NO_ID;
