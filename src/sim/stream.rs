//! A stream of requests at run time: how many come, which key and which command each of them has.

use super::family::{Family, Named};
use crate::command::Command;
use crate::node::{Node, Touch};
use crate::rng::{Stream as RandomStream, Xoshiro256PlusPlus, stream_rng};
use crate::scenario::Traffic;
use crate::units::{Micros, SimTime};
use crate::workload::{Addressing, Counter, NEW_KEY, Sampler};
use rand::{Rng, RngExt};

/// Keys drawn at a time.
const BATCH: usize = 64;
/// Keys held: the batch being served and the next, which the server's index is asked for a batch before.
const RING: usize = 2 * BATCH;
/// Ranks of elements that popularity tells apart.
const ELEMENT_RANKS: u32 = 1_000_000;
/// Requests between asking for what the server knows of a key and the request for it.
const REQUESTS_AHEAD: usize = 16;

/// A stream of requests.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) traffic: Traffic,
    pub(super) pipeline: u32,
    sampler: Sampler,
    addressing: Addressing,
    counter: Counter,
    pub(super) rng: Xoshiro256PlusPlus,
    picks: [u32; RING],
    /// The keys of the picks, where they are known beforehand.
    names: [Named; RING],
    /// Keys served so far: the next one stands at this place of the ring.
    served: usize,
    commands: Vec<Weighted>,
    /// Which of the elements that a key has, as ranks among this many.
    element_sampler: Sampler,
    /// Requests still to serve in the present slice.
    pub(super) remaining: u64,
    /// Reads of the present pipeline that missed, for the writes that follow it.
    pub(super) missed: Vec<Named>,
}

/// A command, and the random numbers up to which it is the one drawn.
#[derive(Debug, Clone, Copy)]
struct Weighted {
    command: Command,
    up_to: u64,
}

impl Stream {
    pub(super) fn new(traffic: &Traffic, index: usize, keys: u32, pipeline: u32, seed: u64) -> Stream {
        let sampler = Sampler::new(&traffic.popularity, keys.max(1));
        Stream {
            addressing: sampler.addressing(),
            sampler,
            pipeline: pipeline.max(1),
            counter: Counter::new(traffic.arrivals),
            rng: stream_rng(seed, RandomStream::Traffic(index as u32)),
            picks: [0; RING],
            names: [Named::default(); RING],
            served: 0,
            commands: weighted(&traffic.commands),
            element_sampler: Sampler::new(&traffic.elements.popularity, ELEMENT_RANKS),
            traffic: traffic.clone(),
            remaining: 0,
            missed: Vec::new(),
        }
    }

    /// Draws how many requests arrive between two instants.
    pub(super) fn arrive(
        &mut self,
        from: SimTime,
        to: SimTime,
        multiply: f64,
        start_of_day: Micros,
        rng: &mut Xoshiro256PlusPlus,
    ) -> u64 {
        let (from, to) = (from.max(self.traffic.from), to.min(self.traffic.until));
        self.remaining = if from < to {
            let expected = self.traffic.rate.expected(from, to, start_of_day) * multiply;
            self.counter.draw(expected, rng)
        } else {
            0
        };
        self.remaining
    }

    /// Notes a read that missed; its write follows once, however often the pipeline asked for the key.
    pub(super) fn note_miss(&mut self, named: Named) {
        if !self.missed.iter().any(|missed| missed.number == named.number) {
            self.missed.push(named);
        }
    }

    /// The command of the next request.
    #[inline]
    pub(super) fn command(&mut self) -> Command {
        if let [only] = self.commands.as_slice() {
            return only.command;
        }
        let drawn = self.rng.next_u64();
        let at = self.commands.iter().position(|w| drawn <= w.up_to);
        self.commands[at.unwrap_or(self.commands.len() - 1)].command
    }

    /// Which element a command touches.
    pub(super) fn touch(&mut self, command: Command, node: &Node) -> Touch {
        let usual = if matches!(command, Command::HIncrBy | Command::ZIncrBy) { 0.0 } else { 1.0 };
        let choice = &self.traffic.elements;
        let share = choice.new.unwrap_or(usual);
        let new = share >= 1.0 || (share > 0.0 && self.rng.random::<f64>() < share);
        let trim = choice.trim;
        let count = choice.count.constant().unwrap_or_else(|| choice.count.sample(&mut self.rng));
        let group = choice.group;
        let mut pick = [0];
        self.element_sampler.fill(&mut self.rng, &mut pick);
        // A rank of a million stands for as many elements as the key has.
        let rank = u64::from(pick[0].min(ELEMENT_RANKS - 1));
        let (of, now_ms) = (u64::from(ELEMENT_RANKS), node.clock_ms());
        Touch { new, rank, of, count, group, trim, now_ms, field_ttl_ms: None }
    }

    /// Whether it sends HEXPIRE.
    pub(super) fn sets_field_ttls(&self) -> bool {
        self.commands.iter().any(|weighted| weighted.command == Command::HExpire)
    }

    /// Draws the batch at a place of the ring and asks for where the server's index has its keys.
    fn draw_batch(&mut self, place: usize, family: &Family, node: &Node) {
        let batch = place % RING..place % RING + BATCH;
        self.sampler.fill(&mut self.rng, &mut self.picks[batch.clone()]);
        let first = family.ranked(0);
        for (named, &pick) in self.names[batch.clone()].iter_mut().zip(&self.picks[batch]) {
            *named = match self.addressing {
                Addressing::Rank if pick != NEW_KEY => family.ranked(pick),
                Addressing::Order => family.ranked(family.order.apply(pick)),
                // Which key is new, or has which age, depends on the keys made until then.
                Addressing::Rank | Addressing::Age => first,
            };
            node.prefetch_index(named.key);
        }
    }

    /// The key of the next request; a new one takes its id from the oldest where traffic asks for the latest.
    #[inline]
    pub(super) fn key(&mut self, family: &mut Family, node: &mut Node) -> Named {
        if self.served.is_multiple_of(BATCH) {
            if self.served == 0 {
                self.draw_batch(0, family, node);
            }
            self.draw_batch(self.served + BATCH, family, node);
        }
        let at = self.served % RING;
        node.prefetch_key(self.names[(at + REQUESTS_AHEAD) % RING].key);
        self.served += 1;
        match (self.picks[at], self.addressing) {
            (NEW_KEY, _) => {
                let named = family.new_key();
                if family.is_ring() {
                    node.disown(named.key.id);
                }
                named
            }
            (_, Addressing::Rank | Addressing::Order) => self.names[at],
            (pick, Addressing::Age) => family.latest(pick),
        }
    }
}

/// Cumulative thresholds over the whole range of a random number.
fn weighted(commands: &[(Command, f64)]) -> Vec<Weighted> {
    let total: f64 = commands.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    commands
        .iter()
        .map(|&(command, weight)| {
            sum += weight;
            Weighted { command, up_to: (sum / total * u64::MAX as f64) as u64 }
        })
        .collect()
}
