//! A run seen from a replica: a second server that makes the primary's changes as far as its link has carried them.
//!
//! The primary is simulated as ever; after each slice and each run of cron the replica reads what has reached it.  A
//! synchronisation sends it every key in the order of the primary's table, so that it lays them out in memory in another
//! order than the one in which they were written.
//!
//! Left out: clients of the replica; once it is promoted, those of the primary.

use crate::node::link::{ClientClass, LinkSetup};
use crate::node::replication::ReplicaState;
use crate::node::{ChangeLog, ClientSetup, Node, NodeSetup, OutputSetup, Role, SentKey, Slot, cut_log};
use crate::units::SimTime;

/// The replica and what it has not read yet.
#[derive(Debug)]
pub(super) struct ReplicaView {
    node: Node,
    /// Its index among the primary's replicas.
    index: usize,
    /// Where it keeps the key of each of the primary's slots.
    slots: Vec<Slot>,
    log: ChangeLog,
    /// Stream that it has read.
    read: u64,
    phase: Phase,
}

/// What the replica is doing.
#[derive(Debug)]
enum Phase {
    /// Its data are of no synchronisation that goes on: it has none, or old ones.
    Apart,
    /// A child of the primary sends it these keys; the primary's forks so far.
    Receives { keys: Vec<SentKey>, forks: u64 },
    /// It loads them between two instants (µs of the server's clock); so many are done.
    Loads { keys: Vec<SentKey>, done: usize, from: u64, until: u64 },
    /// It follows the stream.
    Follows,
    /// It is the primary now.
    Promoted,
}

impl ReplicaView {
    /// A replica like its primary, in sync at t = 0 where it is attached then: as if it had just loaded.
    pub(super) fn new(setup: &NodeSetup<'_>, index: usize, primary: &mut Node) -> ReplicaView {
        // One connection: the primary's.
        let clients = [ClientSetup { connections: 1, pipeline: 1 }];
        let outputs = [OutputSetup { class: ClientClass::Normal, link: LinkSetup::default(), reconnect: None }];
        let setup =
            NodeSetup { role: Role::Replica, replicas: &[], clients: &clients, outputs: &outputs, ..setup.clone() };
        let mut node = Node::new(&setup);
        // What a primary sends besides the writes of its clients.
        ["REPLICAOF", "PING", "SELECT"].into_iter().for_each(|command| node.note_command(command));
        let mut slots = Vec::new();
        let in_sync = primary.replica_state(index) == ReplicaState::Online;
        if in_sync {
            let keys = primary.dataset();
            node.begin_load(&keys);
            node.load_sent(&keys, &mut slots);
            node.reset_stats();
            primary.keep_changes(true);
        }
        let phase = if in_sync { Phase::Follows } else { Phase::Apart };
        ReplicaView { node, index, slots, log: ChangeLog::new(), read: primary.stream_offset(), phase }
    }

    /// The replica.
    pub(super) fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Reads what has reached the replica by `now`.
    pub(super) fn advance(&mut self, now: SimTime, primary: &mut Node) {
        self.node.set_time(now.0.cast_signed());
        if !matches!(self.phase, Phase::Apart) {
            primary.sent_commands().for_each(|command| self.node.note_command(command));
        }
        primary.take_changes(&mut self.log);
        self.load(now);
        match primary.replica_state(self.index) {
            ReplicaState::Online => {
                self.load_rest();
                if !matches!(self.phase, Phase::Follows) {
                    self.node.end_load(self.index);
                    self.phase = Phase::Follows;
                }
                self.follow(primary.replica_read(self.index));
            }
            ReplicaState::Away if matches!(self.phase, Phase::Follows | Phase::Promoted) => {
                self.phase = Phase::Promoted;
                self.follow(u64::MAX);
            }
            ReplicaState::Saves => self.receive(primary),
            ReplicaState::Loads { from, until } => self.begin_load(now, from, until),
            ReplicaState::Returns { .. } => self.part(primary, false),
            ReplicaState::WaitsForFork { .. } => self.part(primary, true),
            ReplicaState::Away => {}
        }
        self.node.before_sleep();
    }

    /// The stream ends at an earlier offset: a replica has taken the primary's place.
    pub(super) fn cut(&mut self, end: u64) {
        cut_log(&mut self.log, end);
    }

    /// One run of cron.
    pub(super) fn cron(&mut self) {
        self.node.cron();
    }

    /// A child sends it what the primary holds now, unless it does so already.
    fn receive(&mut self, primary: &mut Node) {
        let now_forks = primary.total_forks();
        if matches!(self.phase, Phase::Receives { forks, .. } if forks == now_forks) {
            return;
        }
        self.load_rest();
        self.phase = Phase::Receives { keys: primary.dataset(), forks: now_forks };
        primary.keep_changes(true);
        self.log.clear();
        self.read = primary.replica_read(self.index);
    }

    /// The file is there: old data go before new ones are loaded.
    fn begin_load(&mut self, now: SimTime, from: u64, until: u64) {
        if self.node.since_start_us(from) > now.0 {
            return;
        }
        if let Phase::Receives { keys, .. } = &mut self.phase {
            let keys = std::mem::take(keys);
            self.slots.clear();
            self.node.begin_load(&keys);
            self.phase = Phase::Loads { keys, done: 0, from, until };
            self.load(now);
        }
    }

    /// Loads as much as is due.
    fn load(&mut self, now: SimTime) {
        if let Phase::Loads { keys, done, from, until } = &mut self.phase {
            let (past, all) = (now.since(SimTime(self.node.since_start_us(*from))).0, (*until - *from).max(1));
            let due = (keys.len() as u128 * u128::from(past.min(all)) / u128::from(all)) as usize;
            self.node.load_sent(&keys[*done..due], &mut self.slots);
            *done = due;
        }
    }

    /// Loads what is left, if it loads.
    fn load_rest(&mut self) {
        if let Phase::Loads { keys, done, .. } = &mut self.phase {
            let keys = std::mem::take(keys);
            self.node.load_sent(&keys[*done..], &mut self.slots);
            self.phase = Phase::Apart;
        }
    }

    /// The primary has dropped it; `anew`: it has to synchronise in full.  What it loads, it loads to the end.
    fn part(&mut self, primary: &mut Node, anew: bool) {
        if matches!(self.phase, Phase::Loads { .. }) {
            return;
        }
        let lost = self.log.front().is_some_and(|&(offset, _)| offset < primary.stream_start());
        if matches!(self.phase, Phase::Receives { .. }) || anew || lost {
            self.phase = Phase::Apart;
            primary.keep_changes(false);
            self.log.clear();
        }
    }

    /// Makes the changes of the stream up to an offset.
    fn follow(&mut self, read: u64) {
        let from = std::mem::replace(&mut self.read, read);
        while let Some(&(offset, change)) = self.log.front()
            && offset <= read
        {
            self.log.pop_front();
            self.node.follow(change, &mut self.slots);
        }
        if read > from && read != u64::MAX {
            // Its link to the primary is a client like any other.
            self.node.note_reply(0, 0);
            self.node.read_stream(read - from);
        }
    }
}
