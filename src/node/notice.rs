//! What the server does that is worth marking on the curve.

use super::child::ChildKind;
use super::host::Victim;
use super::lazyfree::FreedBy;
use super::link::ClientClass;
use super::replication::DropReason;
use crate::units::Micros;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A table began to rehash.
    RehashStarted {
        /// Which table.
        table: TableName,
        /// Buckets before.
        from_buckets: u64,
        /// Buckets after.
        to_buckets: u64,
        /// Bytes of the new array (B).
        new_array: u64,
    },
    /// A table finished rehashing and freed its old array.
    RehashEnded {
        /// Which table.
        table: TableName,
        /// Buckets now.
        buckets: u64,
    },
    /// A table wanted to grow and was refused, because it would pass `maxmemory`; noted once for each size.
    ResizeRefused {
        /// Which table.
        table: TableName,
        /// Buckets that it has.
        buckets: u64,
    },
    /// The first write was refused for want of memory (`oom_first`).
    OomFirst,
    /// Writes were accepted again after a time of refusals (`oom_last`: the last refusal).
    OomLast,
    /// The first key was evicted.
    EvictingFirst,
    /// An expire cycle was cut by its time limit for the first time in a run of such cycles.
    ExpireTimeCapReached,
    /// The main thread was busy for a time with freeing the value of one key.
    SlowFree {
        /// Why.
        by: FreedBy,
        /// Index of its keyspace.
        keyspace: usize,
        /// Elements of the value.
        elements: u64,
        /// Its bytes (B).
        bytes: u64,
        /// How long.
        lasts: Micros,
    },
    /// A child was forked.
    ChildStarted {
        /// What for.
        kind: ChildKind,
        /// How long it will live.
        lasts: Micros,
        /// How long the fork took (µs).
        fork_us: u64,
    },
    /// A child ended.
    ChildEnded {
        /// What it was forked for.
        kind: ChildKind,
        /// The largest of its reports (B).
        cow_size: u64,
        /// Whether its work was done.
        succeeded: bool,
    },
    /// The kernel refused a fork.
    ForkFailed {
        /// What for.
        kind: ChildKind,
    },
    /// The kernel's out-of-memory killer took a process.
    OomKilled {
        /// Which.
        victim: Victim,
        /// Changes since the last snapshot, which are lost.
        lost_changes: u64,
    },
    /// Connections were closed because of what waited for them.
    ClientDisconnected {
        /// Their class.
        class: ClientClass,
        /// Index of their group.
        group: usize,
        /// How many.
        connections: u64,
        /// Memory of the output buffer of each (`omem`) (B).
        omem: u64,
        /// Why.
        reason: DisconnectReason,
    },
    /// A replica was dropped.
    ReplicaDropped {
        /// Its index.
        replica: usize,
        /// What waited for it (B).
        usage: u64,
        /// Why.
        reason: DropReason,
    },
    /// A replica from which the run is seen began to load what it was sent.
    LoadingStarted {
        /// Keys that it was sent.
        keys: u64,
    },
    /// A replica follows the stream after a full synchronisation.
    ReplicaOnline {
        /// Its index.
        replica: usize,
    },
    /// A replica's full synchronisations end before it is online, again and again.
    ResyncLoop {
        /// Its index.
        replica: usize,
    },
    /// An event of the scenario changed nothing.
    NoEffect {
        /// Why.
        why: &'static str,
    },
    /// An event of the scenario took place; the text is its description.
    Scenario(String),
}

impl EventKind {
    /// Whether a verdict rests on it: it is kept however many events there are.  Each is rare by its nature.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(
            self,
            EventKind::OomFirst | EventKind::EvictingFirst | EventKind::OomKilled { .. } | EventKind::ResyncLoop { .. }
        )
    }

    /// Bytes of the array that a rehash fills; 0 for all else (B).
    #[must_use]
    pub fn new_array_bytes(&self) -> u64 {
        match self {
            EventKind::RehashStarted { new_array, .. } => *new_array,
            _ => 0,
        }
    }
}

/// A table of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableName {
    /// Keys.
    Main,
    /// Keys with a TTL.
    Expires,
}

/// Why connections were closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The hard limit of `client-output-buffer-limit`.
    HardLimit,
    /// Its soft limit, for longer than its seconds.
    SoftLimit,
    /// `maxmemory-clients`.
    MaxmemoryClients,
}

impl DisconnectReason {
    /// The reason's word in `summary.json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            DisconnectReason::HardLimit => "hard",
            DisconnectReason::SoftLimit => "soft",
            DisconnectReason::MaxmemoryClients => "maxmemory_clients",
        }
    }
}
