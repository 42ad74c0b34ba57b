//! Watches a node and writes the [`Run`].

use crate::node::{Node, NodeInfo};
use crate::record::{Counters, Event, EventKind, HostPeak, KeyspaceRecord, Peak, Run, Sample, Spell};
use crate::scenario::Scenario;
use crate::units::{Micros, SimTime};

/// Events kept of one run; further ones are counted.  *Assumed*: more than anybody reads.
const EVENTS_LIMIT: usize = 100_000;

/// The run so far.
#[derive(Debug)]
pub(super) struct Recorder {
    run: Run,
    previous: Counters,
    dropped: u64,
    /// Bytes of each keyspace at t = 0 (B).
    bytes_at_start: Vec<u64>,
}

impl Recorder {
    pub(super) fn new(seed: u64, node: &Node) -> Recorder {
        let run = Run {
            seed,
            used_memory_startup: node.used_memory_startup(),
            empty_host_memory: node.empty_host_memory(),
            ..Run::default()
        };
        let bytes_at_start = node.keyspace_states().iter().map(|state| state.counters.bytes).collect();
        Recorder { run, previous: Counters::default(), dropped: 0, bytes_at_start }
    }

    /// Takes a sample.
    pub(super) fn sample(&mut self, at: SimTime, node: &mut Node) {
        let sample = sample_of(at, node.info(), node.take_high());
        self.note_server_events(node);
        let since = at.since(self.run.timeline.last().map_or(at, |last| last.at));
        let before = self.previous;
        let now = sample.counters;
        extend(&mut self.run.write_rejected, now.oom_errors - before.oom_errors, now.oom_errors, at, since);
        extend(&mut self.run.evicting, now.evicted_keys - before.evicted_keys, now.evicted_keys, at, since);
        self.previous = now;
        self.run.timeline.push(sample);
    }

    fn note_server_events(&mut self, node: &mut Node) {
        for (clock_us, kind) in node.take_events() {
            let at = SimTime(node.since_start_us(clock_us));
            match kind {
                EventKind::OomFirst => self.run.write_rejected.first = at,
                EventKind::EvictingFirst => self.run.evicting.first = at,
                _ => {}
            }
            if self.run.events.len() < EVENTS_LIMIT || kind.is_kept() && self.run.events.len() < 2 * EVENTS_LIMIT {
                self.run.events.push(Event { at, kind });
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Notes an event of the scenario.
    pub(super) fn scenario_event(&mut self, at: SimTime, label: &str) {
        self.run.events.push(Event { at, kind: EventKind::Scenario(label.to_owned()) });
    }

    /// The warm-up is over.
    pub(super) fn end_warmup(&mut self, node: &mut Node) {
        self.run.warmup = node.info().counters;
    }

    /// Closes the run.
    pub(super) fn finish(mut self, scenario: &Scenario, node: &mut Node) -> Run {
        self.note_server_events(node);
        self.run.events_dropped = node.events_dropped() + self.dropped;
        self.run.events.sort_by_key(|event| event.at);
        self.run.end = self.run.timeline.last().copied().unwrap_or_default();
        self.run.simulated_ops = self.run.end.counters.total_commands_processed;
        let peak = node.peak();
        let at = SimTime(node.since_start_us(peak.at_us));
        let before = self.run.timeline.iter().rev().find(|sample| sample.at <= at);
        self.run.peak = Peak {
            used_memory: peak.used_memory,
            at,
            parts: peak.parts,
            keys: peak.keys,
            expired_resident_bytes: before.map_or(0, |sample| sample.expired_resident_bytes),
            rehashing_bytes: peak.rehashing_bytes,
        };
        self.run.host_peak = self.host_peak(node);
        self.run.value_bytes = node.value_bytes();
        let states = node.keyspace_states();
        self.run.keyspaces = scenario
            .keyspaces
            .iter()
            .zip(states)
            .zip(self.bytes_at_start)
            .enumerate()
            .map(|(index, ((keyspace, state), bytes_at_start))| KeyspaceRecord {
                name: keyspace.name.clone(),
                counters: state.counters,
                bytes_at_start,
                expired_resident_bytes: state.expired_resident_bytes,
                example: node.example(index),
            })
            .collect();
        self.run
    }
}

impl Recorder {
    /// The host's peak: cron's, or a sample's where that is higher.
    fn host_peak(&self, node: &Node) -> HostPeak {
        let peak = node.host_peak();
        let at = SimTime(node.since_start_us(peak.at_us));
        let used = |at: SimTime| self.run.timeline.iter().rev().find(|s| s.at <= at).map_or(0, |s| s.used_memory);
        match self.run.timeline.iter().max_by_key(|sample| sample.host.total()) {
            Some(sample) if sample.host.total() > peak.memory.total() => {
                HostPeak { memory: sample.host, at: sample.at, used_memory: sample.used_memory }
            }
            _ => HostPeak { memory: peak.memory, at, used_memory: used(at) },
        }
    }
}

/// Lengthens a spell in which something happened `more` times by the end of a sampling interval.
fn extend(spell: &mut Spell, more: u64, count: u64, at: SimTime, interval: Micros) {
    spell.count = count;
    if more > 0 {
        spell.last = at;
        spell.lasted_us += interval.0;
    }
}

fn sample_of(at: SimTime, info: NodeInfo, high: u64) -> Sample {
    Sample {
        at,
        used_memory: info.used_memory,
        used_memory_peak: info.used_memory_peak,
        used_memory_high: high,
        parts: info.parts,
        used_memory_overhead: info.used_memory_overhead,
        mem_clients_normal: info.mem_clients_normal,
        maxmemory: info.maxmemory,
        keys: info.keys,
        expires: info.expires,
        expired_resident_keys: info.expired_resident_keys,
        expired_resident_bytes: info.expired_resident_bytes,
        evictable_bytes: info.evictable_bytes,
        rehashing_bytes: info.rehashing_bytes,
        expired_stale_millipercent: info.expired_stale_millipercent,
        replication: info.replication,
        allocator: info.allocator,
        host: info.host,
        host_limit: info.host_limit,
        persistence: info.persistence,
        connected_clients: info.connected_clients,
        omem: info.omem,
        socket_bytes: info.socket_bytes,
        lazyfree_pending_objects: info.lazyfree_pending_objects,
        counters: info.counters,
    }
}
