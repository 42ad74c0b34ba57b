//! A checked scenario: every value valid by construction of the parser in this module's siblings.

use crate::command::Command;
use crate::node::config::{Costs, ServerConfig, Setting};
use crate::node::host::HostSetup;
use crate::node::link::{ClientClass, LinkSetup};
use crate::node::replication::ReplicaSetup;
use crate::node::{CollectionKind, FreedBy};
use crate::profile::{Allocator, Profile};
use crate::units::{Bytes, Micros, SimTime};
use crate::workload::{Arrivals, Distribution, Popularity, Rate, Ttl};

/// Everything a run needs; made by [`super::parse`], never wrong.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Title for people.
    pub title: String,
    /// What the scenario shows.
    pub description: String,
    /// Simulated time.
    pub duration: Micros,
    /// Left out of steady-state figures, never out of peaks.
    pub warmup: Micros,
    /// Distance between samples of the timeline.
    pub sample_interval: Micros,
    /// Seed of every random stream.
    pub seed: u64,
    /// Time of day at t = 0.
    pub start_of_day: Micros,
    /// Repetitions, each with random streams of its own.
    pub runs: u32,
    /// Server release.
    pub profile: &'static Profile,
    /// Its allocator.
    pub allocator: Allocator,
    /// Directives in force at t = 0.
    pub config: ServerConfig,
    /// Families of keys.
    pub keyspaces: Vec<Keyspace>,
    /// Streams of requests.
    pub traffic: Vec<Traffic>,
    /// Groups of connections; never empty: without one in the file, one connection without pipelining.
    pub clients: Vec<ClientGroup>,
    /// Channels that are published to.
    pub channels: Vec<Channel>,
    /// Things that happen.
    pub events: Vec<ScheduledEvent>,
    /// What work costs on the server's machine.
    pub costs: Costs,
    /// Replicas.
    pub replicas: Vec<ReplicaSetup>,
    /// The machine.
    pub host: HostSetup,
    /// Which server the run is seen from.
    pub view: View,
    /// What is acceptable.
    pub policy: Policy,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
    /// What the reader must know before trusting the result: directives that matter and are not modelled.
    pub warnings: Vec<String>,
    /// SHA-256 of the text (with overrides applied), in hexadecimal.
    pub sha256: String,
}

/// Which server a run is seen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// The primary.
    #[default]
    Primary,
    /// The replica with this index.
    Replica(usize),
}

impl Scenario {
    /// Name of the replica from which the run is seen, if it is one.
    #[must_use]
    pub fn seen_from_replica(&self) -> Option<&str> {
        match self.view {
            View::Primary => None,
            View::Replica(index) => self.replicas.get(index).map(|replica| replica.name.as_str()),
        }
    }
}

/// The data types that are modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Byte strings that are not integers.
    String,
    /// Decimal integers.
    Int,
    /// HyperLogLogs.
    HyperLogLog,
    /// Hashes.
    Hash,
    /// Sets of strings that are not integers.
    Set,
    /// Sets of integers.
    Intset,
    /// Sorted sets.
    Zset,
    /// Lists.
    List,
    /// Streams.
    Stream,
}

impl KeyType {
    /// What a collection of this type is; `None` for strings.
    #[must_use]
    pub fn collection(self) -> Option<CollectionKind> {
        match self {
            KeyType::String | KeyType::Int | KeyType::HyperLogLog => None,
            KeyType::Hash => Some(CollectionKind::Hash),
            KeyType::Set | KeyType::Intset => Some(CollectionKind::Set),
            KeyType::Zset => Some(CollectionKind::Zset),
            KeyType::List => Some(CollectionKind::List),
            KeyType::Stream => Some(CollectionKind::Stream),
        }
    }
}

/// Scores of a sorted set's members.
#[derive(Debug, Clone)]
pub enum Score {
    /// The number of the member, times this.
    Increasing(f64),
    /// Drawn once for each member.
    Drawn(Distribution),
}

/// What the elements of a family of collections are.
#[derive(Debug, Clone)]
pub struct ElementShape {
    /// How many a key has when it is loaded.
    pub count: Distribution,
    /// Length of a field of a hash or a stream, of a member (B).
    pub length: Distribution,
    /// Fields of a stream's entry.
    pub fields: u32,
    /// Time between two entries of a stream that is loaded.
    pub id_step: Micros,
    /// Scores.
    pub score: Score,
    /// Distance between the members of a set of integers.
    pub step: i64,
}

/// Which elements of a collection a stream of requests touches.
#[derive(Debug, Clone)]
pub struct ElementChoice {
    /// Share of new ones; `None`: what the command usually does.
    pub new: Option<f64>,
    /// Which of those that are there.
    pub popularity: Popularity,
    /// How many a command takes at once, where it can take several.
    pub count: Distribution,
    /// The group that reads a stream, by its number in the keyspace.
    pub group: u8,
    /// To how many a collection is trimmed after each command.
    pub trim: Option<u64>,
}

/// When a value's size, or a TTL, is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeDrawn {
    /// Once for each key.
    #[default]
    Key,
    /// At each write.
    Write,
}

/// A family of keys.
#[derive(Debug, Clone)]
pub struct Keyspace {
    /// Its name.
    pub name: String,
    /// Data type.
    pub kind: KeyType,
    /// Size of the id space that traffic draws from.
    pub keys: u32,
    /// Length of a key (B).
    pub key_length: Distribution,
    /// Size of a value (B); for integers unused.
    pub value_size: Distribution,
    /// When the size is drawn.
    pub size_drawn: SizeDrawn,
    /// First value of an integer key; key number i starts at `base` + i.
    pub base: i64,
    /// TTL given by writes that do not bring their own.
    pub ttl: Ttl,
    /// When the TTL is drawn.
    pub ttl_drawn: SizeDrawn,
    /// What the elements are, where the keys are collections.
    pub elements: Option<ElementShape>,
    /// Keys present at t = 0.
    pub preload: Option<Preload>,
}

/// Keys present at t = 0, and how they came to be there.
#[derive(Debug, Clone)]
pub struct Preload {
    /// How many, at most the keyspace's `keys`.
    pub keys: u32,
    /// How they were loaded.
    pub by: PreloadBy,
    /// In which order.
    pub order: Order,
    /// What is left of their TTLs.
    pub ttl: PreloadTtl,
}

/// How keys were loaded before t = 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PreloadBy {
    /// From an RDB file: tables presized, no rehash.
    Rdb,
    /// By commands that ended at t = 0: tables have grown, and may still be rehashing.
    Commands {
        /// Commands a second.
        load_rate: f64,
    },
}

/// What is left of preloaded keys' TTLs at t = 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PreloadTtl {
    /// Ages as in the steady state.
    #[default]
    Residual,
    /// As if just written.
    Full,
}

/// Order in which keys of a family are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By id.
    Sequential,
    /// Shuffled.
    #[default]
    Random,
}

/// A stream of requests.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// Index of the keyspace.
    pub keyspace: usize,
    /// Requests a second over time.
    pub rate: Rate,
    /// How they arrive.
    pub arrivals: Arrivals,
    /// Which key each of them draws.
    pub popularity: Popularity,
    /// Commands and their weights; never empty, weights positive.
    pub commands: Vec<(Command, f64)>,
    /// The write that follows a read that missed.
    pub on_miss: Option<Command>,
    /// Index of the group of connections that sends it.
    pub clients: usize,
    /// TTL of this stream's writes; `None`: the keyspace's.
    pub ttl: Option<Ttl>,
    /// Bytes written by APPEND and SETRANGE; `None`: the keyspace's `value_size`.
    pub write_size: Option<Distribution>,
    /// Offset of SETRANGE (B); `None`: 0.
    pub offset: Option<Distribution>,
    /// Start of the active interval.
    pub from: SimTime,
    /// End of the active interval.
    pub until: SimTime,
    /// Which elements of a collection it touches.
    pub elements: ElementChoice,
}

/// A group of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientGroup {
    /// Its name.
    pub name: String,
    /// Connections, all open for the whole run.
    pub connections: u32,
    /// Commands in flight on a connection.
    pub pipeline: u32,
    /// Its class: normal or pubsub.
    pub class: ClientClass,
    /// How it reads.
    pub link: LinkSetup,
    /// After what time subscribers that were disconnected are back; `None`: never.
    pub reconnect: Option<Micros>,
}

/// A channel that somebody publishes to.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name, whose length is part of every message.
    pub name: String,
    /// Indexes of the groups of connections that subscribe, of class pubsub.
    pub subscribers: Vec<usize>,
    /// Messages a second over time.
    pub rate: Rate,
    /// Size of a message (B).
    pub message_size: Distribution,
    /// Start of the active interval.
    pub from: SimTime,
    /// End of the active interval.
    pub until: SimTime,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub struct ScheduledEvent {
    /// When, each time in order; never empty.
    pub at: Vec<SimTime>,
    /// What.
    pub action: Action,
    /// A line for the report: kind and what it touches.
    pub label: String,
}

/// What an event does.  `keyspace` is an index.
#[derive(Debug, Clone)]
pub enum Action {
    /// `CONFIG SET`.
    ConfigSet(Vec<Setting>),
    /// Writes `keys` keys of the family in id order, absent ones first created.
    Fill {
        /// Which family.
        keyspace: usize,
        /// The first of them, counted from 0.
        from: u32,
        /// How many keys.
        keys: u32,
        /// Size of their values; `None`: the keyspace's.
        value_size: Option<Distribution>,
        /// Elements that a command brings to a collection; `None`: all of a key's.
        batch: Option<u32>,
        /// Keys a second.
        rate: f64,
    },
    /// Deletes a share of the keys present.
    Delete {
        /// Which family.
        keyspace: usize,
        /// Which share of its keys, 0..=1.
        share: f64,
        /// In which order they are visited.
        order: Order,
        /// With which command.
        by: FreedBy,
        /// Deletes a second; `None`: at once.
        rate: Option<f64>,
    },
    /// Writes a share of the keys present again.
    Overwrite {
        /// Which family.
        keyspace: usize,
        /// Which share of its keys, 0..=1.
        share: f64,
        /// In which order they are visited.
        order: Order,
        /// Size of the new values; `None`: the keyspace's.
        value_size: Option<Distribution>,
        /// Writes a second; `None`: at once.
        rate: Option<f64>,
    },
    /// A share of the writes to a family forgets its TTL for a time.
    TtlLost {
        /// Which family.
        keyspace: usize,
        /// Share of the writes, 0..=1.
        share: f64,
        /// For how long.
        lasts: Micros,
    },
    /// New values of a family have another size from now on.
    SizeChange {
        /// Which family.
        keyspace: usize,
        /// The new size.
        value_size: Distribution,
    },
    /// Traffic to a family (`None`: to all) is multiplied for a time.
    Traffic {
        /// Which family.
        keyspace: Option<usize>,
        /// By how much.
        multiply: f64,
        /// For how long.
        lasts: Micros,
    },
    /// FLUSHALL: every key goes; tables are freed.
    Flushall,
    /// BGREWRITEAOF.
    AofRewrite {
        /// How long the child lives; `None`: as modelled.
        duration: Option<Micros>,
    },
    /// The primary is gone, a replica takes its place.
    Failover {
        /// Index of the replica that is promoted; `None`: the one that has read most.
        to: Option<usize>,
    },
    /// A replica attaches for the first time.
    ReplicaAttach {
        /// Its index.
        replica: usize,
    },
    /// MEMORY PURGE: the allocator gives its dirty pages back.
    MemoryPurge,
    /// BGSAVE.
    Bgsave {
        /// How long the child lives; `None`: as modelled.
        duration: Option<Micros>,
    },
}

/// What is acceptable: outside it the verdict is `warn`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Headroom wanted over `used_memory_peak`, smallest and largest share.
    pub headroom: [f64; 2],
    /// `used_memory` / `maxmemory` above which an operator wants to know …
    pub alarm_ratio: f64,
    /// … when it is held this long.
    pub alarm_for: Micros,
    /// Share of the host's memory that may be used, counting everything the kernel counts.
    pub host_utilisation: f64,
}

impl Default for Policy {
    /// The sizing guide's figures: 25–50 % over the peak; an alarm at 0.85 held for five minutes.
    fn default() -> Self {
        Policy { headroom: [0.25, 0.50], alarm_ratio: 0.85, alarm_for: Micros::from_secs(300), host_utilisation: 0.80 }
    }
}

/// How a threshold condenses a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    /// Smallest sample.
    Min,
    /// Largest sample.
    Max,
    /// Mean of the samples.
    Avg,
    /// Percentile of the samples, 0..=100.
    Percentile(f64),
    /// Increase of a counter over the run; of other series the last sample.
    Count,
    /// Increase of a counter a second.
    Rate,
    /// Last sample.
    Last,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// Something that must hold, as `max<0.85 for 5m` on a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Name of a timeline series, ratio or count; one of [`super::METRICS`].
    pub metric: String,
    /// The expression as written.
    pub expression: String,
    /// How the series is condensed.
    pub aggregation: Aggregation,
    /// Compared how.
    pub comparison: Comparison,
    /// With what.
    pub value: f64,
    /// Breached only where the comparison is false at every sample for at least this long.
    pub lasting: Option<Micros>,
}

/// Bytes of memory that simulating a key costs at most (B); the limit on keys is derived from it.
/// Source: the columns of `node::keys` with TTLs (48), two buckets of two tables (16), places of regions (20).
pub const SIMULATOR_BYTES_PER_KEY: u64 = 84;

/// Memory that simulating a scenario may take (B).  *Assumed*: fits the machines that capsim runs on.
pub const SIMULATOR_MEMORY_LIMIT: u64 = 16 * Bytes::GIB;

/// The largest value a scenario may ask for (B).  Source: redis `proto-max-bulk-len`, default 512 MiB.
pub const MAX_VALUE: Bytes = Bytes(512 * Bytes::MIB);
