//! Replicas: what they have been sent, when they are dropped, how they come back.
//!
//! A replica that reads too slowly pins the replication buffer from its position on; past `client-output-buffer-limit` it
//! is dropped, reconnects at once (*measured*: within a millisecond; here with the next run of cron), and goes on where it
//! was if the backlog still holds that place, else synchronises in full: a fork, a transfer, a load, while what is written
//! meanwhile waits for it.  Where that is more than the limit allows the replica is dropped again before it is online, for
//! ever.
//!
//! Left out: the replica's own memory; replicas of replicas.
//! Source: redis 7.0.15 `src/replication.c`; dynamics specification, sections 1.7 and 6.

use super::Node;
use super::backlog::{Backlog, TRIM_BEFORE_SLEEP, TRIM_ON_FEED};
use super::child::ChildKind;
use super::ledger::MemoryPart;
use super::link::{ClientClass, Consumer, LimitWatch, LinkSetup, OutputLimit, ReadRate};
use super::notice::EventKind;
use crate::units::{Bytes, Micros};

/// A replica hears of a new primary after this (µs).  Source: Sentinel asks for `INFO` every second during a failover, and
/// then sends `REPLICAOF` (`sentinelSendPeriodicCommands`).
const TOLD_US: u64 = 1_000_000;
/// Time to load a key, and ten bytes of it (ns).  *measured*: `DEBUG RELOAD` of 7.0.15, values of 100 and 1000 bytes.
const LOAD_KEY_NS: u64 = 1_800;
const LOAD_TEN_BYTES_NS: u64 = 17;
/// `*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n`: once after each full synchronisation (B).
const SELECT: u64 = 23;
/// `*1\r\n$4\r\nPING\r\n` (B), and the seconds between two.  Source: `repl-ping-replica-period`.
const PING: u64 = 14;
const PING_SECONDS: u64 = 10;
/// Full synchronisations in a row that end before the replica is online and make a loop.
const LOOP: u32 = 3;

/// A replica as the scenario has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSetup {
    /// Its name.
    pub name: String,
    /// Its connection.
    pub link: LinkSetup,
    /// In sync at the start; else it attaches by an event.
    pub attached: bool,
}

/// Why a replica was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The limit's hard part.
    HardLimit,
    /// Its soft part.
    SoftLimit,
    /// No word from it for `repl-timeout`.
    Timeout,
    /// The primary it followed is gone.
    Failover,
}

impl DropReason {
    /// In words, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            DropReason::HardLimit => "the hard limit",
            DropReason::SoftLimit => "the soft limit",
            DropReason::Timeout => "repl-timeout",
            DropReason::Failover => "the failover",
        }
    }
}

/// Where a replica is.  Instants are µs of the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not there, and not about to come.
    Away,
    /// Dropped; it comes back then.
    Returns { at: u64 },
    /// Waits for a child of its own since then.
    WaitsForFork { since: u64 },
    /// The child sends it the data (diskless), or writes them to disk.
    Saves,
    /// The file is sent, or loaded, until then; it reads nothing of the stream.
    Loads { until: u64 },
    /// It follows the stream.
    Online,
}

#[derive(Debug)]
struct Replica {
    consumer: Consumer,
    link: LinkSetup,
    state: State,
    /// Stream sent to it, into the kernel.
    sent: u64,
    /// Where in the stream its data set began: its own backlog has nothing older.
    synced: u64,
    /// It has a place in the stream that this primary knows.
    resumes: bool,
    watch: LimitWatch,
    /// When it last read (µs).
    heard: u64,
    /// Full synchronisations in a row that failed.
    failed: u32,
}

impl Replica {
    /// Whether the primary keeps the stream for it.
    fn is_fed(&self) -> bool {
        matches!(self.state, State::Saves | State::Loads { .. } | State::Online)
    }
}

/// Replication at run time.
#[derive(Debug)]
pub(super) struct Replication {
    backlog: Backlog,
    replicas: Vec<Replica>,
    last_us: u64,
    /// A replica has ever attached: the backlog exists.
    begun: bool,
    /// A SELECT goes before the next write.
    select_due: bool,
    /// The second in which cron last ran.
    second: u64,
}

/// What `INFO` says of replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicationInfo {
    /// `mem_clients_slaves` (B).
    pub mem_clients_slaves: u64,
    /// `mem_replication_backlog` (B).
    pub mem_replication_backlog: u64,
    /// `mem_total_replication_buffers` (B).
    pub mem_total_replication_buffers: u64,
    /// `mem_not_counted_for_evict` (B).
    pub mem_not_counted_for_evict: u64,
    /// `connected_slaves`.
    pub connected_slaves: u64,
}

impl Replication {
    pub(super) fn new(setups: &[ReplicaSetup], classes: crate::profile::SizeClasses, now_us: u64) -> Replication {
        let replica = |setup: &ReplicaSetup| Replica {
            consumer: Consumer::new(setup.link.clone()),
            link: setup.link.clone(),
            state: if setup.attached { State::Online } else { State::Away },
            sent: 0,
            synced: 0,
            resumes: setup.attached,
            watch: LimitWatch::default(),
            heard: now_us,
            failed: 0,
        };
        Replication {
            backlog: Backlog::new(classes),
            replicas: setups.iter().map(replica).collect(),
            last_us: now_us,
            begun: setups.iter().any(|setup| setup.attached),
            select_due: true,
            second: now_us / 1_000_000,
        }
    }

    /// Whether writes are kept for replicas.
    #[inline]
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// The first offset that some replica still needs.
    fn unsent(&self) -> u64 {
        let fed = self.replicas.iter().filter(|replica| replica.is_fed());
        fed.map(|replica| replica.sent).min().unwrap_or(self.backlog.offset())
    }

    /// Bytes that the kernel holds for replicas (B).
    pub(super) fn socket_bytes(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.consumer.in_kernel()).sum()
    }

    /// What `maxmemory` does not count (B).
    #[inline]
    pub(super) fn not_counted(&self, backlog_size: u64) -> u64 {
        if self.begun { self.backlog.not_counted(backlog_size) } else { 0 }
    }
}

impl Node {
    /// A write, or a deletion, of `bytes` on the wire goes to replicas.
    pub(super) fn propagate(&mut self, bytes: u64) {
        if self.config.appendonly {
            self.append_to_aof(bytes);
        }
        if !self.replication.begun {
            return;
        }
        let select = if std::mem::take(&mut self.replication.select_due) { SELECT } else { 0 };
        self.feed_stream(bytes + select);
    }

    /// Adds bytes to the stream.
    fn feed_stream(&mut self, bytes: u64) {
        if self.replication.backlog.append(bytes) > 0 {
            self.check_replicas(DropCheck::Append);
            let unsent = self.replication.unsent();
            let size = self.config.repl_backlog_size.0;
            self.replication.backlog.trim(unsent, size, TRIM_ON_FEED);
            self.charge_replication();
        }
    }

    fn charge_replication(&mut self) {
        self.ledger.set(MemoryPart::ReplicationBuffers, self.replication.backlog.charged());
    }

    /// Before each sleep: replicas are sent what they take, and blocks that nobody needs are freed.
    pub(super) fn feed_replicas(&mut self) {
        let (now_us, now) = (self.now_us, self.sim_time());
        let replication = &mut self.replication;
        let span = Micros(now_us.saturating_sub(replication.last_us));
        replication.last_us = now_us;
        let offset = replication.backlog.offset();
        for replica in &mut replication.replicas {
            if replica.state == State::Online {
                let pending = offset - replica.sent;
                replica.sent += replica.consumer.take(pending, span, now);
                if !replica.consumer.stalled(now) {
                    replica.heard = now_us;
                }
            }
        }
        let unsent = replication.unsent();
        replication.backlog.trim(unsent, self.config.repl_backlog_size.0, TRIM_BEFORE_SLEEP);
        self.charge_replication();
    }

    /// Drops the replicas that are past a limit.
    fn check_replicas(&mut self, check: DropCheck) {
        let limit = self.config.client_output_buffer_limit.of(ClientClass::Replica);
        // Source: checkClientOutputBufferLimits: the backlog alone must not drop a replica.
        let hard = if limit.hard.0 > 0 { limit.hard.0.max(self.config.repl_backlog_size.0) } else { 0 };
        let limit = OutputLimit { hard: Bytes(hard), ..limit };
        let now = self.sim_time();
        for index in 0..self.replication.replicas.len() {
            let usage = self.replication.backlog.usage(self.replication.replicas[index].sent);
            let replica = &mut self.replication.replicas[index];
            if !replica.is_fed() {
                continue;
            }
            if replica.watch.trips(usage, limit, now) {
                let hard = limit.hard.0 > 0 && usage >= limit.hard.0;
                self.drop_replica(index, usage, if hard { DropReason::HardLimit } else { DropReason::SoftLimit });
            } else if check == DropCheck::Cron {
                let silent = self.now_us.saturating_sub(self.replication.replicas[index].heard);
                let follows = self.replication.replicas[index].state == State::Online;
                if follows && silent > self.config.repl_timeout * 1_000_000 {
                    self.drop_replica(index, usage, DropReason::Timeout);
                }
            }
        }
    }

    fn drop_replica(&mut self, index: usize, usage: u64, reason: DropReason) {
        let now = self.sim_time();
        let replica = &mut self.replication.replicas[index];
        let online = replica.state == State::Online;
        // What the kernel holds still reaches it (measured: a frozen replica resumes after 4 MB more than it had read); what
        // a dead primary's kernel held does not.
        if reason == DropReason::Failover {
            replica.sent -= replica.consumer.in_kernel().min(replica.sent);
        }
        replica.resumes = online;
        replica.consumer.close();
        replica.watch = LimitWatch::default();
        let stall = replica.link.stalls.iter().find(|stall| stall.at <= now && now < stall.at + stall.lasts);
        let free = stall.map_or(0, |stall| (stall.at + stall.lasts).0 + self.epoch_us);
        let told = if reason == DropReason::Failover { TOLD_US } else { 0 };
        replica.state = State::Returns { at: free.max(self.now_us + told) };
        let failed = !online && reason != DropReason::Failover;
        replica.failed = if online { 0 } else { replica.failed + u32::from(failed) };
        let looped = failed && replica.failed == LOOP;
        if matches!(reason, DropReason::HardLimit | DropReason::SoftLimit) {
            self.counters.client_output_buffer_limit_disconnections += 1;
        }
        self.note_event(EventKind::ReplicaDropped { replica: index, usage, reason });
        if looped {
            self.counters.full_sync_loops += 1;
            self.note_event(EventKind::ResyncLoop { replica: index });
        }
        // Source: a child that sends to sockets is killed when its last replica is gone.
        let saving = self.replication.replicas.iter().any(|replica| replica.state == State::Saves);
        if !online && !saving && self.config.repl_diskless_sync && self.child_kind() == Some(ChildKind::Sync) {
            self.end_child(false);
        }
    }

    /// Once a second and at every run of cron: limits, reconnects, synchronisations.
    pub(super) fn replication_cron(&mut self) {
        if self.replication.replicas.is_empty() {
            return;
        }
        self.feed_replicas();
        self.check_replicas(DropCheck::Cron);
        let now_us = self.now_us;
        for index in 0..self.replication.replicas.len() {
            match self.replication.replicas[index].state {
                State::Returns { at } if now_us >= at => self.reconnect(index),
                State::Loads { until } if now_us >= until => {
                    let replica = &mut self.replication.replicas[index];
                    replica.state = State::Online;
                    (replica.heard, replica.failed) = (now_us, 0);
                    self.note_event(EventKind::ReplicaOnline { replica: index });
                }
                _ => {}
            }
        }
        let second = now_us / 1_000_000;
        if second != std::mem::replace(&mut self.replication.second, second) {
            let connected = self.replication.replicas.iter().any(Replica::is_fed);
            if second.is_multiple_of(PING_SECONDS) && connected {
                self.feed_stream(PING);
            }
            self.start_sync();
        }
        if !self.config.repl_diskless_sync {
            self.start_sync();
        }
    }

    /// A replica asks for the rest of the stream.
    fn reconnect(&mut self, index: usize) {
        let backlog = &self.replication.backlog;
        let sent = self.replication.replicas[index].sent;
        let replica = &mut self.replication.replicas[index];
        replica.heard = self.now_us;
        if self.replication.begun && replica.resumes && sent >= backlog.start() && sent <= backlog.offset() {
            replica.state = State::Online;
            self.counters.sync_partial_ok += 1;
        } else {
            replica.state = State::WaitsForFork { since: self.now_us };
            self.counters.sync_full += 1;
            self.replication.begun = true;
        }
    }

    /// Forks for the replicas that wait, when no child lives and, diskless, the first has waited for the delay.
    fn start_sync(&mut self) {
        let delay = if self.config.repl_diskless_sync { self.config.repl_diskless_sync_delay * 1_000_000 } else { 0 };
        let waits = self.replication.replicas.iter().filter_map(|replica| match replica.state {
            State::WaitsForFork { since } => Some(since),
            _ => None,
        });
        let Some(first) = waits.min() else { return };
        if self.now_us < first + delay || self.child_kind().is_some() {
            return;
        }
        let mut lasts = self.snapshot_duration();
        if self.config.repl_diskless_sync {
            lasts = lasts.max(self.slowest_transfer());
        }
        if !self.start_child(ChildKind::Sync, Some(lasts)) {
            return;
        }
        self.replication.select_due = true;
        let (offset, now_us) = (self.replication.backlog.offset(), self.now_us);
        for replica in &mut self.replication.replicas {
            if matches!(replica.state, State::WaitsForFork { .. }) {
                replica.state = State::Saves;
                (replica.sent, replica.synced, replica.heard) = (offset, offset, now_us);
            }
        }
    }

    /// How long the slowest of the replicas that wait takes to be sent everything.
    fn slowest_transfer(&self) -> Micros {
        let payload = u128::from(self.payload_bytes());
        let spans =
            self.replication.replicas.iter().filter(|r| matches!(r.state, State::WaitsForFork { .. } | State::Saves));
        let spans = spans.map(|replica| match replica.link.read_rate {
            ReadRate::Unlimited | ReadRate::PerSecond(0) => 0,
            ReadRate::PerSecond(rate) => payload * 1_000_000 / u128::from(rate),
        });
        Micros(spans.max().unwrap_or(0) as u64)
    }

    /// The child of a synchronisation has ended.
    pub(super) fn sync_child_ended(&mut self, succeeded: bool) {
        let load = (self.main.len() * LOAD_KEY_NS + self.payload_bytes() * LOAD_TEN_BYTES_NS / 10) / 1000;
        let transfer = if self.config.repl_diskless_sync { Micros(0) } else { self.slowest_transfer() };
        let until = self.now_us + transfer.0 + load;
        for replica in &mut self.replication.replicas {
            if replica.state == State::Saves {
                replica.state = if succeeded { State::Loads { until } } else { State::Returns { at: self.now_us } };
            }
        }
    }

    /// A replica attaches for the first time.
    pub fn replica_attach(&mut self, index: usize) {
        if self.replication.replicas[index].state == State::Away {
            self.replication.replicas[index].resumes = false;
            self.reconnect(index);
        }
    }

    /// The primary is gone and the first replica that is in sync takes its place, with the same data and the part of the
    /// stream that it has received since its own synchronisation, at most a backlog's size.  Every other replica has to
    /// find its place in that; one that is ahead of it has a history that the new primary does not know.
    /// Source: `shiftReplicationId`, `masterTryPartialResync`.
    pub fn failover(&mut self) {
        let Some(promoted) = self.replication.replicas.iter().position(|r| r.state == State::Online) else { return };
        let new = &self.replication.replicas[promoted];
        let end = new.sent - new.consumer.in_kernel().min(new.sent);
        let start = new.synced.max(end.saturating_sub(self.config.repl_backlog_size.0));
        for index in 0..self.replication.replicas.len() {
            if index != promoted && self.replication.replicas[index].is_fed() {
                let usage = self.replication.backlog.usage(self.replication.replicas[index].sent);
                self.drop_replica(index, usage, DropReason::Failover);
            }
            let replica = &mut self.replication.replicas[index];
            replica.resumes &= replica.sent <= end;
            if matches!(replica.state, State::WaitsForFork { .. }) {
                replica.state = State::Returns { at: self.now_us + TOLD_US };
            }
        }
        let replica = &mut self.replication.replicas[promoted];
        replica.consumer.close();
        (replica.state, replica.resumes) = (State::Away, false);
        self.replication.backlog.go_back(start, end);
        self.replication.select_due = true;
        self.charge_replication();
        // A replica does not evict; a primary does, at once.
        self.perform_evictions();
    }

    /// What `INFO` says of replication.
    #[must_use]
    pub fn replication_info(&self) -> ReplicationInfo {
        let size = self.config.repl_backlog_size.0;
        let replication = &self.replication;
        let total = if replication.begun { replication.backlog.total() } else { 0 };
        let connected = replication.replicas.iter().filter(|replica| replica.is_fed()).count() as u64;
        ReplicationInfo {
            mem_clients_slaves: if connected > 0 { total.saturating_sub(size) } else { 0 },
            mem_replication_backlog: total - if connected > 0 { total.saturating_sub(size) } else { 0 },
            mem_total_replication_buffers: total,
            mem_not_counted_for_evict: replication.not_counted(size),
            connected_slaves: connected,
        }
    }
}

/// When limits are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DropCheck {
    /// A block was appended.
    Append,
    /// Cron.
    Cron,
}
