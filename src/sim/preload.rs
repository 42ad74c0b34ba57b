//! What is in the server at t = 0: keys loaded from an RDB file, or written by commands that ended just then.

use super::family::{Family, Named};
use super::tap::{Sent, Tap};
use crate::command::Command;
use crate::node::{CollectionKind, ElementWrite, Node, Payload, Touch, Write};
use crate::rng::Xoshiro256PlusPlus;
use crate::scenario::{Keyspace, Order, Preload, PreloadBy, PreloadTtl};
use crate::units::SimTime;
use crate::workload::Permutation;
use rand::Rng;

/// Fills the node for every keyspace that has a `preload`, then forgets the counters.
pub(super) fn preload<T: Tap>(
    node: &mut Node,
    keyspaces: &[Keyspace],
    families: &[Family],
    rng: &mut Xoshiro256PlusPlus,
    tap: &mut T,
) {
    presize(node, keyspaces);
    for (index, (keyspace, family)) in keyspaces.iter().zip(families).enumerate() {
        let mut heard = |named: Named, payload, ttl_ms| {
            if T::LISTENS {
                tap.load(&loaded(index, family, named, payload, ttl_ms));
            }
        };
        let Some(preload) = &keyspace.preload else { continue };
        match preload.by {
            PreloadBy::Rdb => load(node, preload, family, rng, &mut heard),
            PreloadBy::Commands { load_rate } => write(node, preload, load_rate, family, rng, &mut heard),
        }
    }
    node.set_time(0);
    node.reset_stats();
}

/// Tables as large as the RDB file announces.
fn presize(node: &mut Node, keyspaces: &[Keyspace]) {
    let (mut keys, mut timed) = (0, 0.0);
    for keyspace in keyspaces {
        if let Some(Preload { keys: loaded, by: PreloadBy::Rdb, .. }) = &keyspace.preload {
            keys += u64::from(*loaded);
            timed += f64::from(*loaded) * (1.0 - keyspace.ttl.untimed_share());
        }
    }
    node.presize(keys, timed.round() as u64);
}

/// The order in which positions of id order are visited.
enum Shuffle {
    ById,
    Shuffled(Permutation),
}

impl Shuffle {
    fn new(order: Order, ids: u32, rng: &mut Xoshiro256PlusPlus) -> Shuffle {
        match order {
            Order::Sequential => Shuffle::ById,
            Order::Random => Shuffle::Shuffled(Permutation::new(ids.max(1), rng.next_u64())),
        }
    }

    fn position(&self, number: u32) -> u32 {
        match self {
            Shuffle::ById => number,
            Shuffle::Shuffled(permutation) => permutation.apply(number),
        }
    }
}

/// A key that is loaded, as a tap hears it.
fn loaded(keyspace: usize, family: &Family, named: Named, payload: Payload, ttl_ms: Option<u64>) -> Sent {
    let key_length = family.key_length(named.number);
    Sent {
        at: SimTime::ZERO,
        group: None,
        keyspace,
        number: named.number,
        key_length,
        command: Command::Set,
        write: Write { key_length, payload, offset: 0, ttl_ms },
        on_miss: None,
    }
}

fn load(
    node: &mut Node,
    preload: &Preload,
    family: &Family,
    rng: &mut Xoshiro256PlusPlus,
    heard: &mut impl FnMut(Named, Payload, Option<u64>),
) {
    let shuffle = Shuffle::new(preload.order, family.ids(), rng);
    for position in 0..preload.keys {
        let named = family.ranked(family.order.apply(shuffle.position(position)));
        let ttl = match preload.ttl {
            PreloadTtl::Residual => family.own_ttl().residual(rng),
            PreloadTtl::Full => family.ttl(None, named.number, SimTime::ZERO, rng),
        };
        if let Some(kind) = family.collection() {
            load_elements(node, kind, family, named, ttl, None);
            continue;
        }
        let payload = family.payload(named.number, rng);
        heard(named, payload, ttl);
        node.load(named.key, family.key_length(named.number), payload, ttl);
    }
}

/// Writes the keys at `load_rate`, the last one at t = 0, with cron in between.
fn write(
    node: &mut Node,
    preload: &Preload,
    load_rate: f64,
    family: &Family,
    rng: &mut Xoshiro256PlusPlus,
    heard: &mut impl FnMut(Named, Payload, Option<u64>),
) {
    let shuffle = Shuffle::new(preload.order, family.ids(), rng);
    let micros_per_key = 1e6 / load_rate;
    let start = -((f64::from(preload.keys) * micros_per_key) as i64);
    let period = node.cron_period().0.cast_signed();
    let mut next_cron = start + period;
    for number in 0..preload.keys {
        let at = (start + (f64::from(number) * micros_per_key) as i64).min(0);
        while next_cron <= at {
            node.set_time(next_cron);
            node.cron();
            node.before_sleep();
            next_cron += period;
        }
        node.set_time(at);
        let named = family.ranked(family.order.apply(shuffle.position(number)));
        let ttl_ms = match preload.ttl {
            PreloadTtl::Residual => {
                let age_ms = at.unsigned_abs() / 1000;
                family.own_ttl().residual(rng).map(|left| left + age_ms)
            }
            PreloadTtl::Full => family.ttl(None, named.number, SimTime::ZERO, rng),
        };
        if let Some(kind) = family.collection() {
            load_elements(node, kind, family, named, ttl_ms, Some((kind.made_by(), u64::MAX)));
            continue;
        }
        let payload = family.payload(named.number, rng);
        let write = Write { key_length: family.key_length(named.number), payload, offset: 0, ttl_ms };
        // Those written long ago have less left.
        heard(named, payload, ttl_ms.map(|ttl| ttl.saturating_sub(at.unsigned_abs() / 1000).max(1)));
        node.execute(Command::Set, named.key, &write);
    }
}

/// Loads a collection with the elements that it has, by commands that bring so many each, or from a snapshot.
pub(super) fn load_elements(
    node: &mut Node,
    kind: CollectionKind,
    family: &Family,
    named: Named,
    ttl_ms: Option<u64>,
    by: Option<(Command, u64)>,
) {
    let now_ms = node.clock_ms();
    let touch = Touch { new: true, rank: 0, of: 1, count: 1, group: 0, trim: None, now_ms, field_ttl_ms: None };
    let elements = &family.elements(named.number);
    let write = ElementWrite { kind, key_length: family.key_length(named.number), ttl_ms, touch, elements };
    node.load_elements(named.key, &write, family.element_count(named.number), by);
}
