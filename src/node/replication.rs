//! Replicas: what they have been sent, when they are dropped, how they come back.
//!
//! A replica that reads too slowly pins the replication buffer from its position on; past `client-output-buffer-limit` it
//! is dropped, reconnects at once (*measured*: within a millisecond; here with the next run of cron), and goes on where it
//! was if the backlog still holds that place, else synchronises in full: a fork, a transfer, a load, while what is written
//! meanwhile waits for it.  Where that is more than the limit allows the replica is dropped again before it is online, for
//! ever.
//!
//! Left out: replicas of replicas.  The replica's own memory: see `changes`.
//! Source: redis 7.0.15 `src/replication.c`; dynamics specification, sections 1.7 and 6.

mod sync;

use super::backlog::{TRIM_BEFORE_SLEEP, TRIM_ON_FEED};
use super::child::{ChildEnd, ChildKind};
use super::ledger::MemoryPart;
use super::link::{ClientClass, Consumer, LimitWatch, LinkSetup, OutputLimit};
use super::notice::EventKind;
use super::runs::Runs;
use super::stream_buffer::StreamBuffer;
use super::{Node, Role};
use crate::profile::ReplicationBuffer;
use crate::units::{Bytes, Micros};

/// A replica hears of a new primary after this (µs).  Source: Sentinel asks for `INFO` every second during a failover, and
/// then sends `REPLICAOF` (`sentinelSendPeriodicCommands`).
const TOLD_US: u64 = 1_000_000;
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

    /// The reason's word in `summary.json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            DropReason::HardLimit => "hard",
            DropReason::SoftLimit => "soft",
            DropReason::Timeout => "timeout",
            DropReason::Failover => "failover",
        }
    }
}

/// Where a replica is.  Instants are µs of the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplicaState {
    /// Not there, and not about to come.
    Away,
    /// Dropped; it comes back then.
    Returns { at: u64 },
    /// Waits for a child of its own since then.
    WaitsForFork { since: u64 },
    /// The child sends it the data (diskless), or writes them to disk.
    Saves,
    /// The file is sent until the first instant, and loaded until the second; it reads nothing of the stream.
    Loads { from: u64, until: u64 },
    /// It follows the stream.
    Online,
}

#[derive(Debug)]
struct Replica {
    consumer: Consumer,
    link: LinkSetup,
    state: ReplicaState,
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
    /// Stream that it has read.
    fn read(&self) -> u64 {
        self.sent - self.consumer.in_kernel().min(self.sent)
    }

    /// Whether the primary keeps the stream for it.
    fn is_fed(&self) -> bool {
        matches!(self.state, ReplicaState::Saves | ReplicaState::Loads { .. } | ReplicaState::Online)
    }
}

/// Replication at run time.
#[derive(Debug)]
pub(super) struct Replication {
    backlog: StreamBuffer,
    replicas: Vec<Replica>,
    last_us: u64,
    /// A replica has ever attached: the backlog exists.
    begun: bool,
    /// A SELECT goes before the next write.
    select_due: bool,
    /// The second in which cron last ran.
    second: u64,
    /// When a replica was last there (µs).
    last_replica_us: u64,
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
    /// Stream that the replica which is furthest behind has not read: `master_repl_offset` less its `offset` (B).
    pub lag: u64,
}

impl Replication {
    pub(super) fn new(setups: &[ReplicaSetup], role: Role, backlog: StreamBuffer, now_us: u64) -> Replication {
        let replica = |setup: &ReplicaSetup| Replica {
            consumer: Consumer::new(setup.link.clone()),
            link: setup.link.clone(),
            state: if setup.attached { ReplicaState::Online } else { ReplicaState::Away },
            sent: 0,
            synced: 0,
            resumes: setup.attached,
            watch: LimitWatch::default(),
            heard: now_us,
            failed: 0,
        };
        Replication {
            backlog,
            replicas: setups.iter().map(replica).collect(),
            last_us: now_us,
            // A replica keeps a backlog too, for the day on which it is promoted.
            begun: role == Role::Replica || setups.iter().any(|setup| setup.attached),
            select_due: true,
            second: now_us / 1_000_000,
            last_replica_us: now_us,
        }
    }

    /// Whether writes are kept for replicas.
    #[inline]
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Frees what nobody needs.
    fn trim(&mut self, size: u64, most: u64) {
        let fed = self.replicas.iter().filter(|replica| replica.is_fed());
        self.backlog.trim(fed.map(|replica| replica.sent), size, most);
    }

    /// What the replica that is furthest behind has not read (B).
    fn lag(&self) -> u64 {
        let fed = self.replicas.iter().filter(|replica| replica.is_fed());
        fed.map(|replica| self.backlog.offset().saturating_sub(replica.read())).max().unwrap_or(0)
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
        if self.replication.backlog.append(bytes, self.config.repl_backlog_size.0) {
            self.check_replicas(DropCheck::Append);
            self.replication.trim(self.config.repl_backlog_size.0, TRIM_ON_FEED);
            self.charge_replication();
        }
    }

    fn charge_replication(&mut self) {
        self.ledger.set(MemoryPart::ReplicationBuffers, self.replication.backlog.charged());
    }

    /// Adds the blocks, which are runs of pages of their own.
    pub(super) fn add_replication_runs(&self, runs: &mut Runs) {
        self.replication.backlog.add_runs(runs);
    }

    /// Before each sleep: replicas are sent what they take, and blocks that nobody needs are freed.
    pub(super) fn feed_replicas(&mut self) {
        self.end_loads();
        let (now_us, now) = (self.now_us, self.sim_time());
        let replication = &mut self.replication;
        let span = Micros(now_us.saturating_sub(replication.last_us));
        replication.last_us = now_us;
        let offset = replication.backlog.offset();
        let online = replication.replicas.iter().filter(|r| r.state == ReplicaState::Online).count() as u64;
        let share = self.host.setup.network_rate.map(|rate| rate / online.max(1));
        let disk = !self.config.repl_diskless_sync;
        for replica in &mut replication.replicas {
            // Once it has the file it is sent the stream again; while it loads it reads nothing, and only the kernel's buffer
            // fills.  Diskless it is sent nothing before it says that it has loaded.  Source: `sendBulkToSlave`,
            // `replicaPutOnline`.
            let read = match replica.state {
                ReplicaState::Online => Some(share),
                ReplicaState::Loads { from, .. } if disk && now_us >= from => Some(Some(0)),
                _ => None,
            };
            if let Some(share) = read {
                let pending = offset - replica.sent;
                replica.sent += replica.consumer.take_from(pending, span, now, share);
            }
            if replica.is_fed() && !replica.consumer.stalled(now) {
                replica.heard = now_us;
            }
        }
        replication.trim(self.config.repl_backlog_size.0, TRIM_BEFORE_SLEEP);
        self.charge_replication();
    }

    /// Replicas that have loaded follow the stream: they say so at once.  Source: `replconfCommand`, `REPLCONF ACK`.
    fn end_loads(&mut self) {
        for index in 0..self.replication.replicas.len() {
            let replica = &mut self.replication.replicas[index];
            if matches!(replica.state, ReplicaState::Loads { until, .. } if self.now_us >= until) {
                replica.state = ReplicaState::Online;
                (replica.heard, replica.failed) = (self.now_us, 0);
                self.note_event(EventKind::ReplicaOnline { replica: index });
            }
        }
    }

    /// Drops the replicas that are past a limit.
    fn check_replicas(&mut self, check: DropCheck) {
        let limit = self.config.client_output_buffer_limit.of(ClientClass::Replica);
        // Source: checkClientOutputBufferLimits: the backlog alone must not drop a replica.
        let shared = self.profile.replication_buffer == ReplicationBuffer::Shared;
        let least = if shared && limit.hard.0 > 0 { self.config.repl_backlog_size.0 } else { 0 };
        let hard = limit.hard.0.max(least);
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
                if self.is_timed(index) && silent > self.config.repl_timeout * 1_000_000 {
                    self.drop_replica(index, usage, DropReason::Timeout);
                }
            }
        }
    }

    /// Whether a silent replica is dropped: one that follows, that loads (it says so all the time), or that a child sends the
    /// data to.  One that a file is being written for, or sent to, is not.  Source: `replicationCron`.
    fn is_timed(&self, index: usize) -> bool {
        match self.replication.replicas[index].state {
            ReplicaState::Online => true,
            ReplicaState::Loads { from, .. } => self.now_us >= from,
            ReplicaState::Saves => self.config.repl_diskless_sync,
            _ => false,
        }
    }

    fn drop_replica(&mut self, index: usize, usage: u64, reason: DropReason) {
        let now = self.sim_time();
        let replica = &mut self.replication.replicas[index];
        let online = replica.state == ReplicaState::Online;
        // What the kernel holds still reaches it (measured: a frozen replica resumes after 4 MB more than it had read); what
        // a dead primary's kernel held does not.
        if reason == DropReason::Failover {
            replica.sent = replica.read();
        }
        replica.resumes = online;
        replica.consumer.close();
        replica.watch = LimitWatch::default();
        let stall = replica.link.stalls.iter().find(|stall| stall.at <= now && now < stall.at + stall.lasts);
        let free = stall.map_or(0, |stall| (stall.at + stall.lasts).0 + self.epoch_us);
        let told = if reason == DropReason::Failover { TOLD_US } else { 0 };
        replica.state = ReplicaState::Returns { at: free.max(self.now_us + told) };
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
        // Source: a child that sends to sockets is killed when its last replica is gone; one that writes a file too, unless
        // save points say that the file is wanted (`freeClient`).
        let unwanted = self.config.repl_diskless_sync || self.config.save.is_empty();
        let saving = self.replication.replicas.iter().any(|replica| replica.state == ReplicaState::Saves);
        if !online && !saving && unwanted && self.child_kind() == Some(ChildKind::Sync) {
            self.end_child(ChildEnd::Killed);
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
                ReplicaState::Returns { at } if now_us >= at => self.reconnect(index),
                _ => {}
            }
        }
        let away = |r: &Replica| matches!(r.state, ReplicaState::Away | ReplicaState::Returns { .. });
        let connected = self.replication.replicas.iter().filter(|r| !away(r)).count() as u64;
        self.clients.set_replicas(connected);
        self.charge_clients();
        let second = now_us / 1_000_000;
        if second != std::mem::replace(&mut self.replication.second, second) {
            let connected = self.replication.replicas.iter().any(Replica::is_fed);
            if second.is_multiple_of(PING_SECONDS) && connected {
                self.feed_stream(PING);
            }
            self.start_sync();
            self.forget_backlog();
        }
        if self.syncs_at_once() {
            self.start_sync();
        }
    }

    /// A backlog that no replica has needed for `repl-backlog-ttl` is freed, and with it what replicas could resume.
    /// Source: `replicationCron`, `freeReplicationBacklog`.
    fn forget_backlog(&mut self) {
        let replication = &mut self.replication;
        let there = |r: &Replica| r.is_fed() || matches!(r.state, ReplicaState::WaitsForFork { .. });
        if replication.replicas.iter().any(there) {
            replication.last_replica_us = self.now_us;
        }
        let (idle, ttl) = (
            self.now_us.saturating_sub(replication.last_replica_us),
            self.config.repl_backlog_ttl.saturating_mul(1_000_000),
        );
        if replication.begun && self.role == Role::Primary && ttl > 0 && idle > ttl {
            replication.begun = false;
            replication.replicas.iter_mut().for_each(|replica| replica.resumes = false);
            self.restart_backlog();
        }
    }

    /// The backlog begins anew, empty.
    pub(super) fn restart_backlog(&mut self) {
        self.replication.backlog.clear();
        self.charge_replication();
    }

    /// Where a replica is.
    pub(crate) fn replica_state(&self, index: usize) -> ReplicaState {
        self.replication.replicas[index].state
    }

    /// Stream that a replica has read.
    pub(crate) fn replica_read(&self, index: usize) -> u64 {
        self.replication.replicas[index].read()
    }

    /// Stream since the start.
    pub(crate) fn stream_offset(&self) -> u64 {
        self.replication.backlog.offset()
    }

    /// Where the backlog begins.
    pub(crate) fn stream_start(&self) -> u64 {
        self.replication.backlog.start()
    }

    /// What `INFO` says of replication.
    #[must_use]
    pub fn replication_info(&self) -> ReplicationInfo {
        let size = self.config.repl_backlog_size.0;
        let replication = &self.replication;
        let total = if replication.begun { replication.backlog.total() } else { 0 };
        let connected = replication.replicas.iter().filter(|replica| replica.is_fed()).count() as u64;
        let for_replicas = replication.backlog.for_replicas(size, connected).min(total);
        ReplicationInfo {
            mem_clients_slaves: for_replicas,
            mem_replication_backlog: total - for_replicas + replication.backlog.index_bytes(),
            mem_total_replication_buffers: total,
            mem_not_counted_for_evict: self.not_counted(),
            connected_slaves: connected,
            lag: replication.lag(),
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
