//! The virtual-time loop: the only place where workload, node and record meet.
//!
//! Time passes in slices that end where something happens: a run of cron, an event, a sample, a stream that starts or
//! ends.  In a slice every stream's requests are counted first; then they are served in pipelines, streams taking turns
//! at random in proportion to what they still have, at instants spread evenly over the slice.  A read that missed is
//! followed by its write after its pipeline has been answered, as a client that sends pipelines does it.
//!
//! Left out: the server's own saturation.  Every request is served in its slice, however long the server works.

use super::family::{Family, Named};
use super::jobs::Job;
use super::preload;
use super::publish::Channels;
use super::recorder::Recorder;
use super::replica_view::ReplicaView;
use super::stream::Stream;
use super::{Interrupted, Progress};
use crate::command::Command;
use crate::node::{ClientSetup, ElementWrite, Node, NodeSetup, OutputSetup, Payload, Reply, Role, Write};
use crate::record::Run;
use crate::rng::{Stream as RandomStream, Xoshiro256PlusPlus, stream_rng};
use crate::scenario::{Action, ClientGroup, Scenario, View};
use crate::units::{Micros, SimTime};
use crate::workload::{Addressing, Popularity};
use rand::RngExt;
use std::collections::BTreeSet;

/// Requests between two reports to the watcher.
const OPS_PER_REPORT: u64 = 1 << 18;
/// Slices between two reports to the watcher.
const SLICES_PER_REPORT: u64 = 1 << 13;

/// For commands that write nothing.
const NO_WRITE: Write = Write { key_length: 0, payload: Payload::Bytes(0), offset: 0, ttl_ms: None };

/// A simulation under way.
pub(super) struct Engine<'a> {
    scenario: &'a Scenario,
    node: Node,
    /// The replica from which the run is seen.
    view: Option<Box<ReplicaView>>,
    families: Vec<Family>,
    streams: Vec<Stream>,
    jobs: Vec<Job>,
    channels: Channels,
    /// Times at which traffic is multiplied.
    surges: Vec<Surge>,
    /// Occurrences of events still to come, the next one last.
    agenda: Vec<(SimTime, usize)>,
    /// Instants at which a slice must end.
    boundaries: BTreeSet<SimTime>,
    recorder: Recorder,
    arrivals: Xoshiro256PlusPlus,
    writes: Xoshiro256PlusPlus,
    events: Xoshiro256PlusPlus,
}

/// Traffic to a family (`None`: to all) is multiplied until an instant.
#[derive(Debug, Clone, Copy)]
struct Surge {
    keyspace: Option<usize>,
    multiply: f64,
    until: SimTime,
}

impl<'a> Engine<'a> {
    /// A server as it is at t = 0, and its traffic.
    pub(super) fn new(scenario: &'a Scenario, seed: u64, observer: &[&'static str]) -> Engine<'a> {
        let families = families(scenario, seed);
        let ids: Vec<u32> = scenario.keyspaces.iter().map(|keyspace| keyspace.keys).collect();
        let client = |c: &ClientGroup| ClientSetup { connections: c.connections, pipeline: c.pipeline };
        let clients: Vec<ClientSetup> = scenario.clients.iter().map(client).collect();
        let setup = NodeSetup {
            profile: scenario.profile,
            allocator: scenario.allocator,
            config: scenario.config.clone(),
            costs: scenario.costs,
            ids: &ids,
            clients: &clients,
            outputs: &outputs(scenario),
            start_of_day: scenario.start_of_day,
            duration: scenario.duration,
            sample_interval: scenario.sample_interval,
            replicas: &scenario.replicas,
            role: Role::Primary,
            host: scenario.host,
            rng: stream_rng(seed, RandomStream::Eviction),
        };
        let mut node = Node::new(&setup);
        if !scenario.channels.is_empty() {
            node.note_command("SUBSCRIBE");
        }
        for command in observer {
            node.note_command(command);
        }
        let mut preload_rng = stream_rng(seed, RandomStream::Preload);
        preload::preload(&mut node, &scenario.keyspaces, &families, &mut preload_rng);
        let mut view = match scenario.view {
            View::Primary => None,
            View::Replica(index) => Some(Box::new(ReplicaView::new(&setup, index, &mut node))),
        };
        let streams = scenario.traffic.iter().enumerate().map(|(i, traffic)| {
            let pipeline = scenario.clients[traffic.clients].pipeline;
            Stream::new(traffic, i, scenario.keyspaces[traffic.keyspace].keys, pipeline, seed)
        });
        Engine {
            streams: streams.collect(),
            jobs: Vec::new(),
            channels: Channels::new(scenario, seed),
            surges: Vec::new(),
            agenda: agenda(scenario),
            boundaries: boundaries(scenario),
            recorder: Recorder::new(seed, seen(&mut view, &mut node)),
            arrivals: stream_rng(seed, RandomStream::Arrivals),
            writes: stream_rng(seed, RandomStream::Writes),
            events: stream_rng(seed, RandomStream::Events),
            scenario,
            node,
            view,
            families,
        }
    }

    /// Simulates to the end.
    ///
    /// # Errors
    /// [`Interrupted`] when the watcher says to stop.
    pub(super) fn run(mut self, run: u32, progress: &dyn Progress) -> Result<Run, Interrupted> {
        let end = SimTime::ZERO + self.scenario.duration;
        let mut now = SimTime::ZERO;
        let mut next_cron = now + self.node.cron_period();
        let mut next_sample = now + self.scenario.sample_interval;
        let (mut ops, mut slices) = (0, 0);
        self.recorder.sample(now, seen(&mut self.view, &mut self.node));
        while now < end && !self.is_killed() {
            let mut next = next_cron.min(next_sample).min(end);
            if let Some(&boundary) = self.boundaries.range(SimTime(now.0 + 1)..).next() {
                next = next.min(boundary);
            }
            self.start_events(now);
            ops += self.channels.publish(now, next, self.scenario.start_of_day, &mut self.node);
            ops += self.serve(now, next);
            ops += self.work(next.since(now), next);
            now = next;
            self.node.set_time(now.0.cast_signed());
            let at_cron = now == next_cron;
            if at_cron {
                self.node.cron();
                let families = &self.families;
                self.node.active_expire_fields(&|keyspace, key| Box::new(families[keyspace as usize].elements(key)));
                self.node.before_sleep();
                next_cron = now + self.node.cron_period();
            }
            if let Some(view) = &mut self.view {
                view.advance(now, &mut self.node);
                if at_cron {
                    view.cron();
                }
            }
            if now == SimTime::ZERO + self.scenario.warmup {
                self.recorder.end_warmup(seen(&mut self.view, &mut self.node));
            }
            if now == next_sample || now == end || self.is_killed() {
                self.recorder.sample(now, seen(&mut self.view, &mut self.node));
                next_sample = now + self.scenario.sample_interval;
            }
            slices += 1;
            if ops >= OPS_PER_REPORT || slices >= SLICES_PER_REPORT {
                progress.advance(run, now, ops);
                (ops, slices) = (0, 0);
                if progress.cancelled() {
                    return Err(Interrupted);
                }
            }
        }
        progress.advance(run, now, ops);
        Ok(self.recorder.finish(self.scenario, seen(&mut self.view, &mut self.node)))
    }

    /// Whether the kernel has killed the server that is seen.
    fn is_killed(&mut self) -> bool {
        seen(&mut self.view, &mut self.node).is_killed()
    }

    /// Serves the requests that arrive between two instants; returns how many commands that were.
    fn serve(&mut self, from: SimTime, to: SimTime) -> u64 {
        self.surges.retain(|surge| surge.until > from);
        let mut total = 0;
        for stream in &mut self.streams {
            let factor = multiplier(&self.surges, stream.traffic.keyspace);
            total += stream.arrive(from, to, factor, self.scenario.start_of_day, &mut self.arrivals);
        }
        let mut instants = Instants::new(from, to, total);
        if let [_] = self.streams.as_slice() {
            return self.serve_stream(0, total, &mut instants);
        }
        let (mut served, mut commands) = (0, 0);
        while served < total {
            let index = self.next_stream(total - served);
            let batch = u64::from(self.streams[index].pipeline).min(self.streams[index].remaining);
            self.streams[index].remaining -= batch;
            commands += self.serve_stream(index, batch, &mut instants);
            served += batch;
        }
        commands
    }

    /// The stream whose pipeline is served next: each in proportion to what it still has.
    fn next_stream(&mut self, remaining: u64) -> usize {
        let mut drawn = self.arrivals.random_range(0..remaining);
        for (index, stream) in self.streams.iter().enumerate() {
            match drawn.checked_sub(stream.remaining) {
                None => return index,
                Some(rest) => drawn = rest,
            }
        }
        unreachable!("the streams' remaining requests add up to the slice's")
    }

    /// Serves `count` requests of a stream in its pipelines, each followed by the writes for its misses.
    fn serve_stream(&mut self, index: usize, count: u64, instants: &mut Instants) -> u64 {
        let stream = &mut self.streams[index];
        let family = &mut self.families[stream.traffic.keyspace];
        let (node, writes) = (&mut self.node, &mut self.writes);
        let group = stream.traffic.clients;
        let slow = node.is_slow(group);
        let on_miss = stream.traffic.on_miss;
        let of_elements = family.collection().is_some();
        let pipeline = u64::from(stream.pipeline);
        let mut commands = count;
        let mut left = count;
        while left > 0 {
            let batch = pipeline.min(left);
            left -= batch;
            let mut now = SimTime::ZERO;
            for _ in 0..batch {
                now = instants.next();
                node.set_time(now.0.cast_signed());
                let named = stream.key(family, node);
                let command = stream.command();
                let reply = if of_elements && command.is_of_collection() {
                    request_elements(node, stream, family, command, named, now, writes)
                } else {
                    request(node, stream, family, command, named, now, writes)
                };
                node.note_reply(group, reply.bytes());
                if slow {
                    node.queue_reply(group, reply.bytes());
                }
                if reply == Reply::Miss && on_miss.is_some() {
                    stream.note_miss(named);
                }
            }
            if let Some(command) = on_miss {
                for i in 0..stream.missed.len() {
                    let named = stream.missed[i];
                    let reply = if of_elements && command.is_of_collection() {
                        request_elements(node, stream, family, command, named, now, writes)
                    } else {
                        request(node, stream, family, command, named, now, writes)
                    };
                    node.note_reply(group, reply.bytes());
                    if slow {
                        node.queue_reply(group, reply.bytes());
                    }
                }
                commands += stream.missed.len() as u64;
                stream.missed.clear();
            }
            node.before_sleep();
        }
        commands
    }

    /// Lets jobs go on for a span that ends at `now`.
    fn work(&mut self, span: Micros, now: SimTime) -> u64 {
        if self.jobs.is_empty() {
            return 0;
        }
        let mut steps = 0;
        self.node.set_time(now.0.cast_signed());
        let (node, families, events) = (&mut self.node, &self.families, &mut self.events);
        self.jobs.retain_mut(|job| {
            let family = &families[job.keyspace()];
            let (made, done) = job.advance(span, now, node, family, events);
            steps += made;
            !done
        });
        steps
    }

    /// Starts the events that are due.
    fn start_events(&mut self, now: SimTime) {
        while let Some(&(at, index)) = self.agenda.last()
            && at <= now
        {
            self.agenda.pop();
            let event = &self.scenario.events[index];
            self.recorder.scenario_event(now, &event.label);
            self.start_event(&event.action, now);
        }
    }

    fn start_event(&mut self, action: &Action, now: SimTime) {
        match action {
            Action::ConfigSet(settings) => settings.iter().for_each(|setting| self.node.config_set(setting)),
            Action::TtlLost { keyspace, share, lasts } => {
                self.families[*keyspace].lose_ttl(*share, now + *lasts);
            }
            Action::SizeChange { keyspace, value_size } => self.families[*keyspace].change_size(value_size),
            Action::Traffic { keyspace, multiply, lasts } => {
                let until = now + *lasts;
                self.boundaries.insert(until);
                self.surges.push(Surge { keyspace: *keyspace, multiply: *multiply, until });
            }
            Action::Flushall => self.node.flushall(),
            Action::AofRewrite { duration } => self.node.aof_rewrite(*duration),
            Action::Failover { to } => {
                if let (Some(end), Some(view)) = (self.node.failover(*to), &mut self.view) {
                    view.cut(end);
                }
            }
            Action::ReplicaAttach { replica } => self.node.replica_attach(*replica),
            Action::MemoryPurge => self.node.memory_purge(),
            Action::Bgsave { duration } => self.node.bgsave(*duration),
            Action::Fill { .. } | Action::Delete { .. } | Action::Overwrite { .. } => {
                self.jobs.extend(Job::start(action, &self.node, &self.families, &mut self.events));
            }
        }
    }
}

/// Instants spread evenly over a slice: request k of n at (k + 1/2) / n of it, rounded down, without a division each.
#[derive(Debug)]
pub(super) struct Instants {
    at: u64,
    /// What rounding cut off, in parts of `parts`.
    rest: u64,
    step: u64,
    step_rest: u64,
    parts: u64,
}

impl Instants {
    pub(super) fn new(from: SimTime, to: SimTime, count: u64) -> Instants {
        let (span, parts) = (to.since(from).0, (2 * count).max(1));
        // Half a step before the first.
        Instants {
            at: from.0 + span / parts,
            rest: span % parts,
            step: 2 * span / parts,
            step_rest: 2 * span % parts,
            parts,
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> SimTime {
        let at = SimTime(self.at);
        self.at += self.step;
        self.rest += self.step_rest;
        if self.rest >= self.parts {
            self.rest -= self.parts;
            self.at += 1;
        }
        at
    }
}

/// The server from which the run is seen.
fn seen<'a>(view: &'a mut Option<Box<ReplicaView>>, primary: &'a mut Node) -> &'a mut Node {
    match view {
        Some(view) => view.node(),
        None => primary,
    }
}

/// By how much traffic to a family is multiplied now.
fn multiplier(surges: &[Surge], keyspace: usize) -> f64 {
    surges.iter().filter(|s| s.keyspace.is_none_or(|k| k == keyspace)).map(|s| s.multiply).product()
}

/// Sends one command of a stream for a key.
#[inline]
fn request(
    node: &mut Node,
    stream: &Stream,
    family: &Family,
    command: Command,
    named: Named,
    now: SimTime,
    rng: &mut Xoshiro256PlusPlus,
) -> Reply {
    match command {
        // What most requests are writes nothing.
        Command::Get => node.execute(Command::Get, named.key, &NO_WRITE),
        _ => node.execute(command, named.key, &write_of(stream, family, command, named, now, rng)),
    }
}

/// Sends one command of a stream for an element of a key.
#[inline(never)]
fn request_elements(
    node: &mut Node,
    stream: &mut Stream,
    family: &Family,
    command: Command,
    named: Named,
    now: SimTime,
    rng: &mut Xoshiro256PlusPlus,
) -> Reply {
    let mut touch = stream.touch(command, node);
    // The stream's TTL is that of fields where it sets one, and of keys else.
    let of_fields = stream.sets_field_ttls();
    if command == Command::HExpire {
        touch.field_ttl_ms = family.ttl(stream.traffic.ttl.as_ref(), named.number, now, rng).map(whole_seconds);
    }
    let key_ttl = if of_fields { None } else { stream.traffic.ttl.as_ref() };
    let Some(kind) = family.collection() else { return Reply::Nothing };
    let write = ElementWrite {
        kind,
        key_length: family.key_length(named.number),
        ttl_ms: family.ttl(key_ttl, named.number, now, rng).map(whole_seconds),
        touch,
        elements: &family.elements(named.number),
    };
    node.execute_on_elements(command, named.key, &write)
}

/// What a command of a stream writes to a key.
fn write_of(
    stream: &Stream,
    family: &Family,
    command: Command,
    named: Named,
    now: SimTime,
    rng: &mut Xoshiro256PlusPlus,
) -> Write {
    let traffic = &stream.traffic;
    let ttl = |rng: &mut Xoshiro256PlusPlus| family.ttl(traffic.ttl.as_ref(), named.number, now, rng);
    match command {
        Command::Get
        | Command::StrLen
        | Command::Exists
        | Command::GetExPersist
        | Command::GetDel
        | Command::Del
        | Command::Unlink
        | Command::Persist
        | Command::Touch => NO_WRITE,
        Command::GetEx | Command::Expire => Write { ttl_ms: ttl(rng).map(whole_seconds), ..NO_WRITE },
        Command::SetBit => {
            let offset = traffic.offset.as_ref().map_or(0, |offset| offset.sample(rng)) / 8;
            Write { key_length: family.key_length(named.number), payload: Payload::Bytes(1), offset, ttl_ms: None }
        }
        Command::PfAdd => {
            let share = traffic.elements.new.unwrap_or(1.0);
            let new = share >= 1.0 || (share > 0.0 && rng.random::<f64>() < share);
            let payload = Payload::Distinct(u64::from(new));
            Write { key_length: family.key_length(named.number), payload, offset: 0, ttl_ms: None }
        }
        Command::Append | Command::SetRange => Write {
            key_length: family.key_length(named.number),
            payload: match &traffic.write_size {
                Some(size) => Payload::Bytes(size.sample(rng)),
                None => family.payload(named.number, rng),
            },
            offset: traffic.offset.as_ref().map_or(0, |offset| offset.sample(rng)),
            ttl_ms: None,
        },
        Command::Set
        | Command::SetEx
        | Command::SetPx
        | Command::SetKeepTtl
        | Command::SetNx
        | Command::SetXx
        | Command::SetNxPlain
        | Command::Incr => Write {
            key_length: family.key_length(named.number),
            payload: family.payload(named.number, rng),
            offset: 0,
            ttl_ms: match command {
                Command::SetEx => ttl(rng).map(whole_seconds),
                Command::SetKeepTtl | Command::SetNxPlain | Command::Incr => None,
                _ => ttl(rng),
            },
        },
        // These go to `request_elements`.
        _ => NO_WRITE,
    }
}

/// A TTL as EX and EXPIRE take it: whole seconds, rounded up (ms).
fn whole_seconds(ms: u64) -> u64 {
    ms.div_ceil(1000) * 1000
}

fn families(scenario: &Scenario, seed: u64) -> Vec<Family> {
    let mut first_id = 0;
    let family = |(index, keyspace): (usize, &crate::scenario::Keyspace)| {
        let ring = scenario
            .traffic
            .iter()
            .any(|t| t.keyspace == index && matches!(addressing(&t.popularity), Addressing::Age));
        let counters = scenario.traffic.iter().any(|t| t.keyspace == index && sends(t, Command::HIncrBy));
        let family =
            Family::new(keyspace, index, first_id, seed, ring && keyspace.keys > 0, counters, scenario.profile);
        first_id += keyspace.keys;
        family
    };
    scenario.keyspaces.iter().enumerate().map(family).collect()
}

/// Whether a stream sends a command.
fn sends(traffic: &crate::scenario::Traffic, command: Command) -> bool {
    traffic.commands.iter().any(|&(sent, _)| sent == command)
}

fn addressing(popularity: &Popularity) -> Addressing {
    crate::workload::Sampler::new(popularity, 1).addressing()
}

/// Occurrences of the scenario's events, the next one last; at one instant in the order of the file.
fn agenda(scenario: &Scenario) -> Vec<(SimTime, usize)> {
    let mut agenda: Vec<(SimTime, usize)> =
        scenario.events.iter().enumerate().flat_map(|(i, event)| event.at.iter().map(move |&at| (at, i))).collect();
    agenda.sort_unstable();
    agenda.reverse();
    agenda
}

/// Instants known beforehand at which a slice must end.
fn boundaries(scenario: &Scenario) -> BTreeSet<SimTime> {
    let events = scenario.events.iter().flat_map(|event| event.at.iter().copied());
    let streams = scenario.traffic.iter().flat_map(|traffic| [traffic.from, traffic.until]);
    let warmup = [SimTime::ZERO + scenario.warmup];
    let channels = scenario.channels.iter().flat_map(|channel| [channel.from, channel.until]);
    let stalls = scenario.clients.iter().flat_map(|group| &group.link.stalls);
    let stalls = stalls.flat_map(|stall| [stall.at, stall.at + stall.lasts]);
    events.chain(streams).chain(warmup).chain(channels).chain(stalls).collect()
}

/// How each group of connections reads.
fn outputs(scenario: &Scenario) -> Vec<OutputSetup> {
    let output =
        |group: &ClientGroup| OutputSetup { class: group.class, link: group.link.clone(), reconnect: group.reconnect };
    scenario.clients.iter().map(output).collect()
}
