//! Connections: client structs, query buffers, reply buffers.
//!
//! Connections are followed by group, not one by one: all of a group's connections send alike.  Once a second, as the
//! server's own cron does for each client, a group's buffers are fitted to what it sent and read.
//!
//! Left out: replies longer than the reply buffer (they queue in blocks that a client who reads drains at once) and
//! arguments of 32 KiB and more, whose query buffer lives for one command; and, where the query buffer is shared, the one
//! that a client gets by sending more than 16 KiB at a time.
//! Source: redis 7.0.15 `src/networking.c`, `src/server.c` (`clientsCronResizeQueryBuffer`,
//! `clientsCronResizeOutputBuffer`).

use super::Node;
use super::ledger::MemoryPart;
use crate::profile::{EventLoop, Profile, QueryBuffer, SizeClasses};

/// Smallest and largest reply buffer (B).  Source: `PROTO_REPLY_MIN_BYTES`, `PROTO_REPLY_CHUNK_BYTES`.
const REPLY_BUFFER_MIN: u64 = 1024;
const REPLY_BUFFER_MAX: u64 = 16 * 1024;
/// A query buffer once it was read into: header, 16 KiB, terminator (B).  Source: `PROTO_IOBUF_LEN`.
const QUERY_BUFFER_REQUEST: u64 = 5 + 16 * 1024 + 1;
/// The same where it grows greedily: twice as much is asked for (B).  Cron cuts it the next time it looks.
const QUERY_BUFFER_GREEDY_REQUEST: u64 = 5 + 2 * 16 * 1024 + 1;
/// An empty query buffer (B).
const QUERY_BUFFER_EMPTY_REQUEST: u64 = 4;
/// Descriptors that an event loop has room for at first, where it grows.  Source: `INITIAL_EVENT`.
const EVENTS_INITIAL: u64 = 1024;
/// Descriptors of a server that are no clients': log, pipes, poll, listeners.  *assumed*: a handful.
const DESCRIPTORS_BESIDE: u64 = 10;
/// Query buffers of connections idle for this long are freed (s).  Source: `clientsCronResizeQueryBuffer`.
const IDLE_SECONDS: usize = 2;
/// The peak use of reply buffers is forgotten after this long (s).  Source: `REPLY_BUFFER_DEFAULT_PEAK_RESET_TIME`.
const REPLY_PEAK_RESET_SECONDS: u64 = 5;

/// A group of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSetup {
    /// Connections, all open.
    pub connections: u32,
    /// Commands in flight on a connection.
    pub pipeline: u32,
}

/// What a group did in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientLoad {
    /// Commands sent.
    pub commands: u64,
    /// Bytes of replies.
    pub reply_bytes: u64,
}

#[derive(Debug)]
struct Group {
    setup: ClientSetup,
    /// Present second, and the ones before that still count as activity.
    load: [ClientLoad; IDLE_SECONDS],
    reply_buffer: u64,
    reply_peak: u64,
    active: u64,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Clients {
    groups: Vec<Group>,
    /// Structs and lists of one connection, in size classes (B).
    fixed: u64,
    /// Its client struct alone (B).
    client_struct: u64,
    query_buffer: u64,
    empty_query_buffer: u64,
    /// Reply buffers are allocations of their own.
    reply_buffers: bool,
    event_loop: EventLoop,
    classes: SizeClasses,
    seconds: u64,
    /// Replicas connected: each acknowledges once a second, so that its query buffer stays.
    replicas: u64,
}

impl Clients {
    /// Connections that have been idle for a while: their buffers are as small as they get.
    pub(super) fn new(setups: &[ClientSetup], profile: &Profile, classes: SizeClasses) -> Clients {
        let group = |&setup: &ClientSetup| Group {
            setup,
            load: [ClientLoad::default(); IDLE_SECONDS],
            reply_buffer: REPLY_BUFFER_MIN,
            reply_peak: 0,
            active: 0,
        };
        let (query_buffer, empty_query_buffer) = match profile.query_buffer {
            QueryBuffer::PrivateGreedy => (QUERY_BUFFER_GREEDY_REQUEST, QUERY_BUFFER_EMPTY_REQUEST),
            QueryBuffer::Private => (QUERY_BUFFER_REQUEST, QUERY_BUFFER_EMPTY_REQUEST),
            QueryBuffer::Shared | QueryBuffer::SharedUntilIncomplete => (0, 0),
        };
        let class = |request: u64| if request == 0 { 0 } else { classes.class(request) };
        let structs: u64 = profile.client_allocations.iter().map(|&request| classes.class(request)).sum();
        Clients {
            groups: setups.iter().map(group).collect(),
            fixed: structs + profile.client_index,
            client_struct: classes.class(profile.client_struct),
            query_buffer: class(query_buffer),
            empty_query_buffer: class(empty_query_buffer),
            reply_buffers: profile.reply_buffer_adaptive,
            event_loop: profile.event_loop,
            classes,
            seconds: 0,
            replicas: 0,
        }
    }

    /// Query and reply buffers of a group (B).
    fn buffers(&self, group: &Group) -> u64 {
        let connections = u64::from(group.setup.connections);
        let reply = if self.reply_buffers { self.classes.class(group.reply_buffer) } else { 0 };
        connections * reply + group.active * self.query_buffer + (connections - group.active) * self.empty_query_buffer
    }

    /// Everything that connections cost (B).
    fn total(&self) -> u64 {
        let replica = self.fixed + self.classes.class(REPLY_BUFFER_MIN) + self.query_buffer;
        let groups = self.groups.iter().map(|g| u64::from(g.setup.connections) * self.fixed + self.buffers(g));
        groups.sum::<u64>() + self.event_loop_growth() + self.replicas * replica
    }

    /// What the event loop's arrays have grown by, where they grow as descriptors come (B): they double.
    /// Source: redis 8.0 `src/ae.c`, `aeCreateFileEvent`.
    fn event_loop_growth(&self) -> u64 {
        if self.event_loop == EventLoop::ByMaxclients {
            return 0;
        }
        let arrays = |descriptors: u64| self.classes.class(32 * descriptors) + self.classes.class(8 * descriptors);
        let descriptors = (self.connections() + DESCRIPTORS_BESIDE).next_power_of_two().max(EVENTS_INITIAL);
        arrays(descriptors) - arrays(EVENTS_INITIAL)
    }

    /// `mem_clients_normal`: structs and buffers, without the lists around them (B).
    pub(super) fn mem_clients_normal(&self) -> u64 {
        self.groups.iter().map(|g| u64::from(g.setup.connections) * self.client_struct + self.buffers(g)).sum()
    }

    /// Connections, all groups.
    pub(super) fn connections(&self) -> u64 {
        self.groups.iter().map(|g| u64::from(g.setup.connections)).sum()
    }

    /// Size of the reply buffers of a group (B).
    pub(super) fn reply_buffer(&self, group: usize) -> u64 {
        self.groups[group].reply_buffer
    }

    /// A reply buffer of a group held so many bytes.
    pub(super) fn note_reply_buffer(&mut self, group: usize, used: u64) {
        let group = &mut self.groups[group];
        group.reply_peak = group.reply_peak.max(used.min(group.reply_buffer));
    }

    /// So many connections of a group are open.
    pub(super) fn set_connections(&mut self, group: usize, connections: u64) {
        let group = &mut self.groups[group];
        group.setup.connections = u32::try_from(connections).unwrap_or(u32::MAX);
        group.active = group.active.min(connections);
    }

    /// So many replicas are connected.
    pub(super) fn set_replicas(&mut self, replicas: u64) {
        self.replicas = replicas;
    }

    /// What a connection of a group takes, without its output buffer (B).
    pub(super) fn connection_memory(&self, group: usize) -> u64 {
        let group = &self.groups[group];
        self.client_struct + self.buffers(group) / u64::from(group.setup.connections.max(1))
    }

    /// A second has passed: fits every group's buffers to what it did.
    fn second(&mut self) {
        self.seconds += 1;
        let forget = self.seconds.is_multiple_of(REPLY_PEAK_RESET_SECONDS);
        for group in &mut self.groups {
            group.fit_buffers(forget);
        }
    }
}

impl Group {
    fn fit_buffers(&mut self, forget_peak: bool) {
        let commands: u64 = self.load.iter().map(|load| load.commands).sum();
        let now = self.load[0];
        if now.commands > 0 {
            let in_flight = u64::from(self.setup.pipeline).min(now.commands);
            let reply = (now.reply_bytes * in_flight / now.commands).min(self.reply_buffer);
            self.reply_peak = self.reply_peak.max(reply);
        }
        self.reply_buffer = fitted_reply_buffer(self.reply_buffer, self.reply_peak);
        if forget_peak {
            self.reply_peak = 0;
        }
        self.active = active_connections(u64::from(self.setup.connections), u64::from(self.setup.pipeline), commands);
        self.load.rotate_right(1);
        self.load[0] = ClientLoad::default();
    }
}

/// The size that cron gives a reply buffer whose use peaked at `peak` (B).
fn fitted_reply_buffer(size: u64, peak: u64) -> u64 {
    if peak == size {
        (2 * size).min(REPLY_BUFFER_MAX)
    } else if size / 2 >= REPLY_BUFFER_MIN && peak < size / 2 {
        (peak + 1).max(REPLY_BUFFER_MIN)
    } else {
        size
    }
}

/// Connections among `connections` that sent something, when `commands` commands came in pipelines over connections
/// taken at random: expectation, rounded.
fn active_connections(connections: u64, pipeline: u64, commands: u64) -> u64 {
    if connections <= 1 {
        return connections.min(commands);
    }
    let batches = commands.div_ceil(pipeline.max(1)) as f64;
    let idle = (1.0 - 1.0 / connections as f64).powf(batches);
    (connections as f64 * (1.0 - idle)).round() as u64
}

impl Node {
    /// Notes a command of a group and the length of its reply.
    #[inline]
    pub fn note_reply(&mut self, group: usize, reply_bytes: u64) {
        let load = &mut self.clients.groups[group].load[0];
        load.commands += 1;
        load.reply_bytes += reply_bytes;
    }

    /// The clients' cron, once a second.
    pub(super) fn clients_cron(&mut self) {
        self.clients.second();
        self.charge_clients();
    }

    pub(super) fn charge_clients(&mut self) {
        self.ledger.set(MemoryPart::Clients, self.clients.total());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    fn clients(name: &str, allocator: Allocator) -> Clients {
        let profile = Profile::find(name).expect("a listed profile");
        Clients::new(&[ClientSetup { connections: 1, pipeline: 1 }], profile, allocator.classes())
    }

    #[test]
    fn a_connection_costs_what_was_measured() {
        // Idle and settled; then active, reply buffer at its smallest: bytes a client, memory-layout section 11.3.
        for (name, allocator, idle, active) in [
            ("redis-7.0", Allocator::Bundled, 2_226, 22_698),
            ("redis-7.0", Allocator::System, 2_258, 22_730),
            ("redis-7.2", Allocator::Bundled, 2_362, 22_834),
            ("redis-7.4", Allocator::Bundled, 2_362, 22_834),
            ("redis-8.0", Allocator::System, 2_410, 2_410),
            ("valkey-8.0", Allocator::Bundled, 2_354, 2_354),
            ("valkey-8.0", Allocator::System, 2_394, 2_394),
            ("valkey-8.1", Allocator::System, 1_834, 1_834),
            ("valkey-9.1", Allocator::System, 1_834, 1_834),
            ("redis-6.2", Allocator::Bundled, 20_954, 61_906),
        ] {
            let mut clients = clients(name, allocator);
            // The index of client ids and the list node differ by a few bytes between allocators.
            assert!(clients.total().abs_diff(idle) <= 8, "{name} {allocator:?} {}", clients.total());
            clients.groups[0].load[0] = ClientLoad { commands: 3, reply_bytes: 15 };
            clients.second();
            assert!(clients.total().abs_diff(active) <= 8, "{name} {allocator:?} {}", clients.total());
            clients.second();
            clients.second();
            assert!(clients.total().abs_diff(idle) <= 8, "idle again after two seconds");
        }
        assert_eq!(clients("redis-7.0", Allocator::Bundled).mem_clients_normal(), 1_800);
    }

    #[test]
    fn reply_buffers_double_when_full_and_shrink_when_half_empty() {
        assert_eq!(fitted_reply_buffer(1024, 1024), 2048);
        assert_eq!(fitted_reply_buffer(16_384, 16_384), 16_384);
        assert_eq!(fitted_reply_buffer(16_384, 3_000), 3_001);
        assert_eq!(fitted_reply_buffer(4_096, 3_000), 4_096);
        assert_eq!(fitted_reply_buffer(2_047, 500), 2_047, "half of it is below the smallest");
        assert_eq!(fitted_reply_buffer(1024, 0), 1024);
    }

    #[test]
    fn few_commands_leave_most_connections_idle() {
        assert_eq!(active_connections(200, 1, 0), 0);
        assert_eq!(active_connections(200, 1, 1), 1);
        assert_eq!(active_connections(200, 1, 100_000), 200);
        assert_eq!(active_connections(200, 100, 100), 1);
    }
}
