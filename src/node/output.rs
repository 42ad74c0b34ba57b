//! Output buffers: what waits for connections that do not read as fast as the server writes, and what is done about it.
//!
//! Connections of a group that are in one state are a [`Cohort`]: one of them is simulated and counted as many times as
//! there are.  A message to a group costs the same for one subscriber and for a million.  Subscribers get every message
//! of their channels; of the replies to a slow group of `n` connections every n-th goes to the one that stands for all.
//!
//! Left out: the 64 KiB that one event writes to a connection, since the event loop comes round faster than any
//! consumer reads.  Source: redis 7.0.15 `src/networking.c`, `src/server.c` (`clientsCron`).

use super::Node;
use super::ledger::MemoryPart;
use super::link::{ClientClass, Consumer, LimitWatch, LinkSetup, OutputLimit};
use super::notice::{DisconnectReason, EventKind};
use super::output_buffer::OutputBuffer;
use super::runs::Runs;
use crate::profile::SizeClasses;
use crate::units::{Micros, SimTime};

/// States in which connections of one group can be at once; who comes back later waits for one to end.
const COHORTS: usize = 8;
/// What output buffers hold at most (B): beyond it nothing is added.  *Assumed*: more than any machine has.
const OUTPUT_LIMIT: u64 = 1 << 60;
/// Connections that each run of cron looks at, at least.  Source: `CLIENTS_CRON_MIN_ITERATIONS`.
const CRON_CONNECTIONS_MIN: u64 = 5;
/// Buckets of client memory up to this size are one (B).  Source: `CLIENT_MEM_USAGE_BUCKET_MIN_LOG`.
const SMALLEST_BUCKET: u64 = 1 << 15;

/// How a group of connections reads.
#[derive(Debug, Clone)]
pub struct OutputSetup {
    /// Its class.
    pub class: ClientClass,
    /// Its far end.
    pub link: LinkSetup,
    /// After what time subscribers that were disconnected are back; `None`: never.  Others are back at once.
    pub reconnect: Option<Micros>,
}

/// Connections of a group that are in one state.
#[derive(Debug)]
struct Cohort {
    connections: u64,
    buffer: OutputBuffer,
    consumer: Consumer,
    watch: LimitWatch,
    /// A limit was passed: closed before the event loop sleeps.
    tripped: Option<DisconnectReason>,
    /// `omem` when cron last looked.
    reported: u64,
}

/// Connections that were closed and come back.
#[derive(Debug, Clone, Copy)]
struct Away {
    connections: u64,
    until: SimTime,
}

#[derive(Debug)]
struct Group {
    setup: OutputSetup,
    cohorts: Vec<Cohort>,
    away: Vec<Away>,
    /// Until when consumers have read.
    read_until: SimTime,
    /// Replies since the last one that went to the connection that stands for all.
    turn: u64,
}

/// All groups, in the order of the scenario's.
#[derive(Debug)]
pub(super) struct Outputs {
    groups: Vec<Group>,
    /// Groups whose buffers can grow: cron looks at them.
    followed: Vec<usize>,
    classes: SizeClasses,
    /// PUBLISH was used.
    published: bool,
    /// What the ledger is charged with (B).
    charged: u64,
}

impl Cohort {
    fn new(connections: u64, link: &LinkSetup) -> Cohort {
        Cohort {
            connections,
            buffer: OutputBuffer::default(),
            consumer: Consumer::new(link.clone()),
            watch: LimitWatch::default(),
            tripped: None,
            reported: 0,
        }
    }

    fn allocated(&self, classes: SizeClasses) -> u64 {
        self.connections * self.buffer.allocated(classes)
    }

    /// Nothing waits for it, here or in the kernel.
    fn is_fresh(&self) -> bool {
        self.buffer.pending() == 0 && self.consumer.in_kernel() == 0
    }

    fn check(&mut self, limit: OutputLimit, now: SimTime) {
        let omem = self.buffer.omem();
        if self.buffer.blocks() > 0 && self.tripped.is_none() && self.watch.trips(omem, limit, now) {
            let hard = limit.at_hard(omem);
            self.tripped = Some(if hard { DisconnectReason::HardLimit } else { DisconnectReason::SoftLimit });
        }
    }
}

impl Group {
    fn connections(&self) -> u64 {
        self.cohorts.iter().map(|cohort| cohort.connections).sum()
    }

    fn allocated(&self, classes: SizeClasses) -> u64 {
        self.cohorts.iter().map(|cohort| cohort.allocated(classes)).sum()
    }

    /// Consumers have read until `now`, and the kernel took what it had room for.
    fn drain(&mut self, now: SimTime) {
        let span = now.since(self.read_until);
        self.read_until = self.read_until.max(now);
        for cohort in &mut self.cohorts {
            let leaves = cohort.consumer.take(cohort.buffer.pending(), span, now);
            cohort.buffer.send(leaves);
        }
    }

    /// Adds the pieces of one reply for each connection; returns the most that a static buffer holds now.
    fn append(
        &mut self,
        pieces: &[u64],
        fixed_size: u64,
        classes: SizeClasses,
        limit: OutputLimit,
        now: SimTime,
    ) -> u64 {
        let mut most = 0;
        for cohort in &mut self.cohorts {
            for &piece in pieces {
                // Nothing is added to a connection that is about to be closed.
                if cohort.tripped.is_none() && cohort.buffer.append(piece, fixed_size, classes) {
                    cohort.check(limit, now);
                }
            }
            most = most.max(cohort.buffer.fixed());
        }
        most
    }

    /// When connections closed now are back.
    fn back_at(&self, now: SimTime) -> Option<SimTime> {
        match self.setup.class {
            ClientClass::Pubsub => self.setup.reconnect.map(|span| now + span),
            ClientClass::Normal | ClientClass::Replica => Some(now),
        }
    }

    /// Who is due comes back, with nothing waiting.
    fn reconnect(&mut self, now: SimTime) -> bool {
        let mut returned = false;
        while let Some(index) = self.away.iter().position(|away| away.until <= now) {
            match self.cohorts.iter().position(Cohort::is_fresh) {
                Some(fresh) => self.cohorts[fresh].connections += self.away[index].connections,
                None if self.cohorts.len() < COHORTS => {
                    self.cohorts.push(Cohort::new(self.away[index].connections, &self.setup.link));
                }
                None => break,
            }
            self.away.swap_remove(index);
            returned = true;
        }
        returned
    }

    /// Closes some connections of a cohort.
    fn close(&mut self, cohort: usize, connections: u64, now: SimTime) {
        self.cohorts[cohort].connections -= connections;
        if self.cohorts[cohort].connections == 0 {
            self.cohorts.remove(cohort);
        }
        if let Some(until) = self.back_at(now) {
            self.away.push(Away { connections, until });
        }
    }
}

impl Outputs {
    /// Every connection open, nothing waiting.
    pub(super) fn new(setups: &[OutputSetup], connections: &[u64], classes: SizeClasses) -> Outputs {
        let group = |(setup, &connections): (&OutputSetup, &u64)| Group {
            setup: setup.clone(),
            cohorts: vec![Cohort::new(connections, &setup.link)],
            away: Vec::new(),
            read_until: SimTime::ZERO,
            turn: 0,
        };
        let is_followed = |setup: &OutputSetup| setup.class == ClientClass::Pubsub || setup.link.is_slow();
        Outputs {
            groups: setups.iter().zip(connections).map(group).collect(),
            followed: (0..setups.len()).filter(|&i| is_followed(&setups[i])).collect(),
            classes,
            published: false,
            charged: 0,
        }
    }

    /// Nothing more is added.
    fn is_full(&self) -> bool {
        self.charged >= OUTPUT_LIMIT
    }

    /// The largest output buffer of a connection of a class (B).
    pub(super) fn largest(&self, class: ClientClass) -> u64 {
        let groups = self.groups.iter().filter(|group| group.setup.class == class);
        groups.flat_map(|group| &group.cohorts).map(|cohort| cohort.buffer.omem()).max().unwrap_or(0)
    }

    /// The share of output buffers in `mem_clients_normal`, as cron last saw them (B).
    fn reported(&self) -> u64 {
        let cohorts = self.groups.iter().flat_map(|group| &group.cohorts);
        cohorts.map(|cohort| cohort.connections * cohort.reported).sum()
    }

    /// Output buffers of all connections (B).
    fn omem(&self) -> u64 {
        let cohorts = self.groups.iter().flat_map(|group| &group.cohorts);
        cohorts.map(|cohort| cohort.connections * cohort.buffer.omem()).sum()
    }
}

impl Node {
    /// Whether replies to a group can queue.
    #[must_use]
    pub fn is_slow(&self, group: usize) -> bool {
        self.outputs.groups[group].setup.link.is_slow()
    }

    /// Bytes that kernel socket buffers hold for connections; no part of `used_memory` (B).
    #[must_use]
    pub fn socket_bytes(&self) -> u64 {
        let cohorts = self.outputs.groups.iter().flat_map(|group| &group.cohorts);
        cohorts.map(|cohort| cohort.connections * cohort.consumer.in_kernel()).sum()
    }

    /// `mem_clients_normal` (B).
    pub(super) fn mem_clients_normal(&self) -> u64 {
        self.clients.mem_clients_normal() + self.outputs.reported()
    }

    /// PUBLISH: a message of `size` bytes to a channel with a name of `name_length` bytes, whose subscribers are groups.
    pub fn publish(&mut self, groups: &[usize], name_length: u64, size: u64) {
        self.evict_before_command();
        if !self.outputs.published {
            self.outputs.published = true;
            self.note_command("PUBLISH");
        }
        self.counters.total_commands_processed += 1;
        self.write_to(groups, &message_pieces(name_length, size));
        self.before_sleep();
    }

    /// The reply to a command of a slow group queues.  What a reader takes at once is not seen by the peak: the reply goes
    /// to one connection, and one stands here for all.
    #[cold]
    #[inline(never)]
    pub fn queue_reply(&mut self, group: usize, bytes: u64) {
        let output = &mut self.outputs.groups[group];
        output.turn += 1;
        if output.turn < output.connections() || self.outputs.is_full() {
            return;
        }
        self.outputs.groups[group].turn = 0;
        let now = self.sim_time();
        self.append_to(group, &[bytes], now);
        self.flush(group, now);
        self.note_peak();
        self.evict_clients(now);
    }

    /// A message in pieces for each connection of some groups: appended, seen by the peak, written as far as the kernel
    /// takes it, and whoever passed a limit is closed.
    fn write_to(&mut self, groups: &[usize], pieces: &[u64]) {
        if self.outputs.is_full() {
            return;
        }
        let now = self.sim_time();
        for &group in groups {
            self.append_to(group, pieces, now);
        }
        self.note_peak();
        for &group in groups {
            self.flush(group, now);
        }
        self.evict_clients(now);
    }

    fn flush(&mut self, group: usize, now: SimTime) {
        let before = self.outputs.groups[group].allocated(self.outputs.classes);
        self.outputs.groups[group].drain(now);
        self.charge_output(group, before);
        self.close_tripped(group, now);
    }

    fn append_to(&mut self, group: usize, pieces: &[u64], now: SimTime) {
        let (classes, fixed_size) = (self.outputs.classes, self.clients.reply_buffer(group));
        let output = &mut self.outputs.groups[group];
        let before = output.allocated(classes);
        output.drain(now);
        let limit = self.config.client_output_buffer_limit.of(output.setup.class);
        let used = output.append(pieces, fixed_size, classes, limit, now);
        self.clients.note_reply_buffer(group, used);
        self.charge_output(group, before);
    }

    /// Adds the blocks of reply lists, which are runs of pages of their own.
    pub(super) fn add_output_runs(&self, runs: &mut Runs) {
        for cohort in self.outputs.groups.iter().flat_map(|group| &group.cohorts) {
            cohort.buffer.add_runs(cohort.connections, runs);
        }
    }

    pub(super) fn sim_time(&self) -> SimTime {
        SimTime(self.since_start_us(self.now_us))
    }

    /// Charges what a group's buffers have grown by since they took `before`.
    fn charge_output(&mut self, group: usize, before: u64) {
        let after = self.outputs.groups[group].allocated(self.outputs.classes);
        self.outputs.charged = self.outputs.charged + after - before;
        self.ledger.set(MemoryPart::ClientOutputBuffers, self.outputs.charged);
    }

    fn close_tripped(&mut self, group: usize, now: SimTime) {
        while let Some(cohort) = self.outputs.groups[group].cohorts.iter().position(|c| c.tripped.is_some()) {
            let Cohort { connections, tripped, .. } = self.outputs.groups[group].cohorts[cohort];
            self.counters.client_output_buffer_limit_disconnections += connections;
            self.disconnect(group, cohort, connections, tripped.unwrap_or(DisconnectReason::HardLimit), now);
        }
    }

    /// Closes connections: what waited for them is freed at once.
    fn disconnect(&mut self, group: usize, cohort: usize, connections: u64, reason: DisconnectReason, now: SimTime) {
        let before = self.outputs.groups[group].allocated(self.outputs.classes);
        let output = &mut self.outputs.groups[group];
        let (class, omem) = (output.setup.class, output.cohorts[cohort].buffer.omem());
        output.close(cohort, connections, now);
        let left = output.connections();
        self.charge_output(group, before);
        self.clients.set_connections(group, left);
        self.charge_clients();
        self.note_event(EventKind::ClientDisconnected { class, group, connections, omem, reason });
    }

    /// Disconnects the largest clients while all together are at `maxmemory-clients`.
    /// Source: redis 7.0.15 `src/networking.c`, `evictClients`.
    fn evict_clients(&mut self, now: SimTime) {
        let limit = self.config.maxmemory_clients.limit(self.config.maxmemory);
        let Some(limit) = limit.filter(|_| self.profile.client_eviction) else { return };
        loop {
            let used = self.clients.mem_clients_normal() + self.outputs.omem();
            if used < limit {
                return;
            }
            let Some((group, cohort, each)) = self.largest_client() else { return };
            let enough = (used - limit + 1).div_ceil(each.max(1));
            let connections = enough.min(self.outputs.groups[group].cohorts[cohort].connections);
            self.counters.evicted_clients += connections;
            self.disconnect(group, cohort, connections, DisconnectReason::MaxmemoryClients, now);
        }
    }

    /// The cohort in the highest bucket of client memory, the first of them, and what each of its connections takes (B).
    fn largest_client(&self) -> Option<(usize, usize, u64)> {
        let mut largest: Option<(usize, usize, u64)> = None;
        for (group, output) in self.outputs.groups.iter().enumerate() {
            let base = self.clients.connection_memory(group);
            for (index, cohort) in output.cohorts.iter().enumerate().filter(|(_, cohort)| cohort.connections > 0) {
                let each = base + cohort.buffer.omem();
                let bucket = |bytes: u64| bytes.max(SMALLEST_BUCKET).ilog2();
                if largest.is_none_or(|(_, _, most)| bucket(each) > bucket(most)) {
                    largest = Some((group, index, each));
                }
            }
        }
        largest
    }

    /// Cron's part: consumers read on, who was closed comes back, limits are looked at as often as the server does.
    pub(super) fn outputs_cron(&mut self) {
        if self.outputs.followed.is_empty() && self.config.maxmemory_clients.limit(self.config.maxmemory).is_none() {
            return;
        }
        let now = self.sim_time();
        let looks = self.cron_loops.is_multiple_of(self.client_cron_period());
        for group in 0..self.outputs.groups.len() {
            let before = self.outputs.groups[group].allocated(self.outputs.classes);
            let output = &mut self.outputs.groups[group];
            output.drain(now);
            let returned = output.reconnect(now);
            if looks {
                let limit = self.config.client_output_buffer_limit.of(output.setup.class);
                for cohort in &mut output.cohorts {
                    cohort.check(limit, now);
                    cohort.reported = cohort.buffer.omem();
                }
            }
            let connections = output.connections();
            self.charge_output(group, before);
            if returned {
                self.clients.set_connections(group, connections);
                self.charge_clients();
            }
            self.close_tripped(group, now);
        }
        self.evict_clients(now);
    }

    /// Runs of cron in which it looks at every connection once.  Source: redis 7.0.15 `src/server.c`, `clientsCron`.
    fn client_cron_period(&self) -> u64 {
        let connections = self.clients.connections();
        let each_run = (connections / u64::from(self.effective_hz())).max(CRON_CONNECTIONS_MIN.min(connections));
        connections.div_ceil(each_run.max(1)).max(1)
    }
}

/// A message as the server adds it to a subscriber's buffer: what stands before the payload, the payload, the line's end.
/// `*3 $7 message $n channel $m payload`, 27 bytes besides the names and the digits of their lengths.
/// Source: redis 7.0.15 `src/pubsub.c`, `addReplyPubsubMessage`.
fn message_pieces(name_length: u64, size: u64) -> [u64; 3] {
    let digits = |n: u64| u64::from(n.checked_ilog10().unwrap_or(0)) + 1;
    [25 + digits(name_length) + name_length + digits(size), size, 2]
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod output_tests;
