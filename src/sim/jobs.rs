//! Work that an event starts and that goes on beside the traffic: fill, delete, overwrite.

use super::engine::NO_WRITE;
use super::family::Family;
use super::preload;
use super::tap::{Sent, Tap};
use crate::command::Command;
use crate::node::keys::Slot;
use crate::node::{FreedBy, Node, Write};
use crate::rng::Xoshiro256PlusPlus;
use crate::scenario::{Action, Order};
use crate::units::{Micros, SimTime};
use crate::workload::Distribution;
use rand::RngExt;

/// A job under way.
#[derive(Debug)]
pub(super) struct Job {
    keyspace: usize,
    work: Work,
    /// Steps a second; `None`: all at once.
    rate: Option<f64>,
    /// Steps due and not made, as a fraction.
    carried: f64,
    value_size: Option<Distribution>,
}

#[derive(Debug)]
enum Work {
    /// Positions in id order still to write, and the elements that a command brings.
    Fill(std::ops::Range<u32>, Option<u32>),
    /// Keys still to delete, the next one last.
    Delete(Vec<(Slot, u32)>, FreedBy),
    /// Keys still to write again, the next one last.
    Overwrite(Vec<(Slot, u32)>),
}

impl Job {
    /// The job that an action starts; `None` for actions that are no work.
    pub(super) fn start(
        action: &Action,
        node: &Node,
        families: &[Family],
        rng: &mut Xoshiro256PlusPlus,
    ) -> Option<Job> {
        match action {
            Action::Fill { keyspace, from, keys, value_size, batch, rate } => Some(Job {
                keyspace: *keyspace,
                work: Work::Fill(*from..(from + keys).min(families[*keyspace].ids()), *batch),
                rate: Some(*rate),
                carried: 0.0,
                value_size: value_size.clone(),
            }),
            Action::Delete { keyspace, share, order, rate, by } => Some(Job {
                keyspace: *keyspace,
                work: Work::Delete(share_of_keys(node, *keyspace, *share, *order, families, rng), *by),
                rate: *rate,
                carried: 0.0,
                value_size: None,
            }),
            Action::Overwrite { keyspace, share, order, value_size, rate } => Some(Job {
                keyspace: *keyspace,
                work: Work::Overwrite(share_of_keys(node, *keyspace, *share, *order, families, rng)),
                rate: *rate,
                carried: 0.0,
                value_size: value_size.clone(),
            }),
            Action::ConfigSet(..)
            | Action::TtlLost { .. }
            | Action::SizeChange { .. }
            | Action::Traffic { .. }
            | Action::Flushall
            | Action::MemoryPurge
            | Action::Failover { .. }
            | Action::AofRewrite { .. }
            | Action::ReplicaAttach { .. }
            | Action::Bgsave { .. } => None,
        }
    }

    /// Makes the steps that fall into `span`; returns how many, and whether the job is done.
    pub(super) fn advance<T: Tap>(
        &mut self,
        span: Micros,
        now: SimTime,
        node: &mut Node,
        family: &Family,
        rng: &mut Xoshiro256PlusPlus,
        tap: &mut T,
    ) -> (u64, bool) {
        let due = match self.rate {
            None => u64::MAX,
            Some(rate) => {
                self.carried += rate * span.as_secs_f64();
                self.carried as u64
            }
        };
        let mut made = 0;
        while made < due {
            if !self.step(now, node, family, rng, tap) {
                tap.end_pipeline();
                return (made, true);
            }
            // Whoever does this waits for the reply before the next command.
            node.flush_propagated();
            made += 1;
        }
        self.carried -= made as f64;
        tap.end_pipeline();
        (made, false)
    }

    /// One step; false when there is nothing left to do.
    fn step<T: Tap>(
        &mut self,
        now: SimTime,
        node: &mut Node,
        family: &Family,
        rng: &mut Xoshiro256PlusPlus,
        tap: &mut T,
    ) -> bool {
        let mut send = |number: u64, command: Command, write: Write| {
            if T::LISTENS {
                let (keyspace, key_length) = (self.keyspace, family.key_length(number));
                tap.send(&Sent { at: now, group: None, keyspace, number, key_length, command, write, on_miss: None });
            }
        };
        match &mut self.work {
            Work::Fill(positions, batch) => {
                let Some(position) = positions.next() else { return false };
                let named = family.ranked(family.order.apply(position));
                if let Some(kind) = family.collection() {
                    let ttl_ms = family.ttl(None, named.number, now, rng);
                    let by = Some((kind.made_by(), batch.map_or(u64::MAX, u64::from)));
                    preload::load_elements(node, kind, family, named, ttl_ms, by);
                    return true;
                }
                let write = Write {
                    key_length: family.key_length(named.number),
                    payload: family.sized_payload(self.value_size.as_ref(), named.number, rng),
                    offset: 0,
                    ttl_ms: family.ttl(None, named.number, now, rng),
                };
                send(named.number, Command::Set, write);
                node.execute(Command::Set, named.key, &write);
            }
            Work::Delete(keys, by) => {
                let Some((slot, hash)) = keys.pop() else { return false };
                if node.keys().holds(slot, hash) {
                    let number = family.number_of(node.keys().rank(slot, family.first_id()), hash);
                    send(number, Command::Del, NO_WRITE);
                    node.delete_slot(slot, *by);
                }
            }
            Work::Overwrite(keys) => {
                let Some((slot, hash)) = keys.pop() else { return false };
                if node.keys().holds(slot, hash) {
                    let number = family.number_of(node.keys().rank(slot, family.first_id()), hash);
                    let payload = family.sized_payload(self.value_size.as_ref(), number, rng);
                    send(number, Command::SetKeepTtl, Write { payload, ..NO_WRITE });
                    node.overwrite_slot(slot, payload);
                }
            }
        }
        true
    }

    /// The keyspace it works on.
    pub(super) fn keyspace(&self) -> usize {
        self.keyspace
    }
}

/// A share of the keys present, the first to be visited last.
fn share_of_keys(
    node: &Node,
    keyspace: usize,
    share: f64,
    order: Order,
    families: &[Family],
    rng: &mut Xoshiro256PlusPlus,
) -> Vec<(Slot, u32)> {
    let mut keys: Vec<(Slot, u32)> = node.keys().of_keyspace(keyspace as u8).collect();
    let wanted = (keys.len() as f64 * share).round() as usize;
    match order {
        Order::Random => {
            // The first `wanted` places of a Fisher–Yates shuffle.
            for place in 0..wanted.min(keys.len()) {
                let other = rng.random_range(place..keys.len());
                keys.swap(place, other);
            }
        }
        Order::Sequential => keys.sort_by_key(|&(slot, _)| {
            // Keys without id come after the others, in the order of their slots.
            node.keys()
                .rank(slot, families[keyspace].first_id())
                .map_or((1, slot), |rank| (0, families[keyspace].order.invert(rank)))
        }),
    }
    keys.truncate(wanted);
    keys.reverse();
    keys
}
