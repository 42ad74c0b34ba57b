//! How a replica gets back in sync: the rest of the stream, or a fork, a transfer and a load; and what a failover changes.
//!
//! Source: redis 7.0.15 `src/replication.c` (`masterTryPartialResync`, `syncCommand`, `replicationCron`).

use super::{DropReason, Replica, ReplicaState, TOLD_US};
use crate::node::Node;
use crate::node::child::ChildKind;
use crate::node::notice::EventKind;
use crate::units::{Micros, SimTime};

/// A replica whose synchronisation could not begin asks again after this (µs).  Source: `replicationCron`, once a second.
const RETRY_US: u64 = 1_000_000;

impl Node {
    /// What replicas send keeps histograms like any command's.  *measured*: 7.0.15, one replica: 117 448 bytes more, three
    /// histograms, a block and a connection.
    pub(in crate::node) fn note_replica_commands(&mut self) {
        ["PING", "REPLCONF", "PSYNC"].into_iter().for_each(|command| self.note_command(command));
    }

    /// A replica asks for the rest of the stream.
    pub(super) fn reconnect(&mut self, index: usize) {
        self.note_replica_commands();
        let backlog = &self.replication.backlog;
        let sent = self.replication.replicas[index].sent;
        let replica = &mut self.replication.replicas[index];
        replica.heard = self.now_us;
        if self.replication.begun && replica.resumes && sent >= backlog.start() && sent <= backlog.offset() {
            replica.state = ReplicaState::Online;
            self.counters.sync_partial_ok += 1;
            return;
        }
        self.counters.sync_full += 1;
        self.begin_replication();
        // A child that writes a file for another replica will do for this one too: it gets that one's place in the stream.
        let joins = !self.config.repl_diskless_sync && self.child_kind() == Some(ChildKind::Sync);
        let saving = self.replication.replicas.iter().find(|other| joins && other.state == ReplicaState::Saves);
        let place = saving.map(|other| (other.sent, other.synced));
        let replica = &mut self.replication.replicas[index];
        match place {
            Some((sent, synced)) => {
                replica.state = ReplicaState::Saves;
                (replica.sent, replica.synced) = (sent, synced);
            }
            None => replica.state = ReplicaState::WaitsForFork { since: self.now_us },
        }
        if self.syncs_at_once() {
            self.start_sync();
        }
    }

    /// Whether a synchronisation waits for no other replicas.  Source: `syncCommand`; *measured*: 7.0.15 and valkey 9.1.2 fork
    /// within 30 ms.
    pub(super) fn syncs_at_once(&self) -> bool {
        !self.config.repl_diskless_sync || self.config.repl_diskless_sync_delay == 0
    }

    /// The backlog is made, if there is none.
    pub(in crate::node) fn begin_replication(&mut self) {
        self.replication.begun = true;
        self.replication.backlog.create(self.config.repl_backlog_size.0);
        self.charge_replication();
    }

    /// Forks for the replicas that wait, when no child lives and, diskless, the first has waited for the delay.
    pub(super) fn start_sync(&mut self) {
        let delay = if self.config.repl_diskless_sync { self.config.repl_diskless_sync_delay * 1_000_000 } else { 0 };
        let waits = self.replication.replicas.iter().filter_map(|replica| match replica.state {
            ReplicaState::WaitsForFork { since } => Some(since),
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
            // Source: `startBgsaveForReplication`, "BGSAVE failed, replication can't continue": they are closed, and come back
            // with their next `replicationCron`.
            let at = self.now_us + RETRY_US;
            for replica in &mut self.replication.replicas {
                if matches!(replica.state, ReplicaState::WaitsForFork { .. }) {
                    replica.state = ReplicaState::Returns { at };
                }
            }
            return;
        }
        self.replication.select_due = true;
        let (offset, now_us) = (self.replication.backlog.offset(), self.now_us);
        for replica in &mut self.replication.replicas {
            if matches!(replica.state, ReplicaState::WaitsForFork { .. }) {
                replica.state = ReplicaState::Saves;
                (replica.sent, replica.synced, replica.heard) = (offset, offset, now_us);
            }
        }
    }

    /// What the network carries for each of `replicas` (B/s).
    fn network_share(&self, replicas: u64) -> Option<u64> {
        self.host.setup.network_rate.map(|rate| rate / replicas.max(1))
    }

    /// When the file has reached a replica that takes part in a synchronisation with `others` besides.
    fn transferred_at(&self, replica: &Replica, replicas: u64) -> SimTime {
        let lasts = replica.link.transfer(self.payload_bytes(), self.network_share(replicas));
        replica.link.done_at(self.sim_time(), lasts)
    }

    /// How long the slowest of the replicas that wait takes to be sent everything.
    fn slowest_transfer(&self) -> Micros {
        let waits = |r: &&Replica| matches!(r.state, ReplicaState::WaitsForFork { .. } | ReplicaState::Saves);
        let replicas = self.replication.replicas.iter().filter(waits).count() as u64;
        let ends = self.replication.replicas.iter().filter(waits).map(|replica| self.transferred_at(replica, replicas));
        ends.max().map_or(Micros(0), |end| end.since(self.sim_time()))
    }

    /// The child of a synchronisation has ended: the file is sent where it was on disk, then loaded.
    pub(in crate::node) fn sync_child_ended(&mut self, succeeded: bool) {
        let (now, load) = (self.sim_time(), self.load_duration());
        let saves = |r: &Replica| r.state == ReplicaState::Saves;
        let replicas = self.replication.replicas.iter().filter(|r| saves(r)).count() as u64;
        for index in 0..self.replication.replicas.len() {
            let replica = &self.replication.replicas[index];
            if !saves(replica) {
                continue;
            }
            let from = if self.config.repl_diskless_sync { now } else { self.transferred_at(replica, replicas) };
            let until = replica.link.done_at(from, load);
            let clock = |at: SimTime| at.0 + self.epoch_us;
            let loads = ReplicaState::Loads { from: clock(from), until: clock(until) };
            let state = if succeeded { loads } else { ReplicaState::Returns { at: self.now_us } };
            self.replication.replicas[index].state = state;
        }
    }

    /// A replica attaches for the first time.
    pub fn replica_attach(&mut self, index: usize) {
        if self.replication.replicas[index].state == ReplicaState::Away {
            self.replication.replicas[index].resumes = false;
            self.reconnect(index);
        } else {
            self.note_event(EventKind::NoEffect { why: "the replica has attached already" });
        }
    }

    /// The primary is gone and a replica takes its place: the one that is named, else the one in sync that has read most
    /// (the first among equals), as Sentinel chooses.  It has the same data and the part of the stream that it has received
    /// since its own synchronisation, at most a backlog's size.  Every other replica has to find its place in that; one
    /// that is ahead of it has a history that the new primary does not know.
    /// Source: `sentinelSelectSlave`, `shiftReplicationId`, `masterTryPartialResync`.
    ///
    /// Returns where the old primary's stream ends for it; `None` where nothing changed.
    pub fn failover(&mut self, named: Option<usize>) -> Option<u64> {
        let in_sync = |&index: &usize| self.replication.replicas[index].state == ReplicaState::Online;
        let choice = (0..self.replication.replicas.len()).filter(in_sync).filter(|&i| named.is_none_or(|n| n == i));
        let Some(promoted) = choice.rev().max_by_key(|&index| self.replication.replicas[index].read()) else {
            let why = if named.is_some() { "that replica is not in sync" } else { "no replica is in sync" };
            self.note_event(EventKind::NoEffect { why });
            return None;
        };
        let new = &self.replication.replicas[promoted];
        let end = new.read();
        let start = new.synced.max(end.saturating_sub(self.config.repl_backlog_size.0));
        for index in 0..self.replication.replicas.len() {
            if index != promoted && self.replication.replicas[index].is_fed() {
                let usage = self.replication.backlog.usage(self.replication.replicas[index].sent);
                self.drop_replica(index, usage, DropReason::Failover);
            }
            let replica = &mut self.replication.replicas[index];
            replica.resumes &= replica.sent <= end;
            if matches!(replica.state, ReplicaState::WaitsForFork { .. }) {
                replica.state = ReplicaState::Returns { at: self.now_us + TOLD_US };
            }
        }
        let replica = &mut self.replication.replicas[promoted];
        replica.consumer.close();
        (replica.state, replica.resumes) = (ReplicaState::Away, false);
        self.replication.backlog.go_back(start, end);
        self.cut_changes(end);
        self.replication.select_due = true;
        self.charge_replication();
        // A replica does not evict; a primary does, at once.
        self.perform_evictions();
        Some(end)
    }
}
