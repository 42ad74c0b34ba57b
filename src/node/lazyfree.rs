//! What it takes to free a collection: on the main thread, which serves nobody meanwhile, or in the background.
//!
//! The key leaves its tables at once.  Its value goes to a thread where the caller asks for that and the value is worth
//! it; `used_memory` then falls as the thread gets on.  The thread takes one value after the other, each for as long as
//! the main thread would need: *measured* on 7.0.15, a hash of 10^6 fields takes 356 ms by DEL and 315 ms by UNLINK.
//! Source: redis 7.0.15 `src/lazyfree.c` (`lazyfreeGetFreeEffort`, `freeObjAsync`), `src/bio.c`.
//!
//! Left out: which blocks go first; those of each class fall evenly.

use super::Node;
use super::collection::{Blocks, Collection, Value};
use super::collections::Told;
use super::config::{Costs, ServerConfig};
use super::ledger::MemoryPart;
use super::notice::EventKind;
use crate::layout::{Encoding, Rules, Tally};
use crate::units::Micros;
use std::collections::VecDeque;

/// Values of more effort than this are freed in the background.  Source: `LAZYFREE_THRESHOLD`.
const LAZYFREE_THRESHOLD: u64 = 64;
/// From this time on, a value freed on the main thread is an event of the run.  Source: the default of
/// `slowlog-log-slower-than`.
const SLOW: Micros = Micros(10_000);

/// Why a value is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreedBy {
    /// DEL and GETDEL.
    Del,
    /// UNLINK.
    Unlink,
    /// Eviction.
    Eviction,
    /// Expiry.
    Expiry,
    /// Another command, with the last element.
    Server,
}

impl FreedBy {
    /// The reason in a word.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            FreedBy::Del => "DEL",
            FreedBy::Unlink => "UNLINK",
            FreedBy::Eviction => "eviction",
            FreedBy::Expiry => "expiry",
            FreedBy::Server => "deletion",
        }
    }

    /// Whether the directives in force send it to the background.
    fn is_lazy(self, config: &ServerConfig) -> bool {
        match self {
            FreedBy::Del => config.lazyfree_lazy_user_del,
            FreedBy::Unlink => true,
            FreedBy::Eviction => config.lazyfree_lazy_eviction,
            FreedBy::Expiry => config.lazyfree_lazy_expire,
            FreedBy::Server => config.lazyfree_lazy_server_del,
        }
    }
}

/// A value that the thread has still to free, or is freeing.
#[derive(Debug)]
struct Leaving {
    /// Class and number of its blocks as it came.
    blocks: Vec<(u64, u64)>,
    /// What is left of them.
    left: Blocks,
    bytes_left: u64,
    takes_ns: u64,
    done_ns: u64,
}

impl Leaving {
    /// Goes on for `ns` at most; returns how long it took and the bytes that it freed (B).
    fn advance(&mut self, ns: u64, told: &mut Told<'_>) -> (u64, u64) {
        let worked = ns.min(self.takes_ns - self.done_ns);
        let freed = |done: u64, count: u64| (u128::from(count) * u128::from(done) / u128::from(self.takes_ns)) as u64;
        let (before, after) = (self.done_ns, self.done_ns + worked);
        let mut bytes = 0;
        for &(class, count) in &self.blocks {
            let more = freed(after, count) - freed(before, count);
            self.left.change(class, more, false);
            told.freed(class, more);
            bytes += class * more;
        }
        self.done_ns = after;
        if self.is_gone() {
            bytes = self.bytes_left;
        }
        self.bytes_left -= bytes;
        (worked, bytes)
    }

    fn is_gone(&self) -> bool {
        self.done_ns == self.takes_ns
    }
}

/// The thread that frees, and what the main thread frees itself.
#[derive(Debug, Default)]
pub(super) struct LazyFree {
    queue: VecDeque<Leaving>,
    /// By when the thread has done what was to do (ns of the server's clock).
    clock_ns: u64,
    /// Bytes that wait (B).
    bytes: u64,
    /// What the main thread has taken to free values, since it was last asked (ns).
    spent_ns: u64,
}

impl LazyFree {
    /// Whether the thread has something to do.
    #[inline]
    pub(super) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Bytes that wait (B).
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `lazyfree_pending_objects`.
    pub(super) fn pending(&self) -> u64 {
        self.queue.len() as u64
    }

    /// Blocks that wait.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Blocks> {
        self.queue.iter().map(|value| &value.left)
    }

    /// What the main thread has taken to free values since the last call (ns).
    #[inline]
    pub(super) fn take_spent_ns(&mut self) -> u64 {
        std::mem::take(&mut self.spent_ns)
    }
}

impl Collection {
    /// What it takes to free it, in allocations.  Source: `lazyfreeGetFreeEffort`.
    fn free_effort(&self, rules: &Rules<'_>) -> u64 {
        match (&self.value, self.encoding(rules)) {
            (Value::List(list), Encoding::Quicklist) => list.nodes(),
            (Value::Stream(state), _) => state.free_effort(),
            (_, Encoding::Hashtable | Encoding::Skiplist) => self.len(),
            _ => 1,
        }
    }

    /// How long its blocks take to free (ns).  Lists and streams are walked from end to end; tables, and skiplists by
    /// scores that have nothing to do with the order in which members came, in no order that the processor can foresee.
    fn free_ns(&self, costs: &Costs) -> u64 {
        let blocks: u64 = self.blocks.iter().map(|(_, count)| count).sum();
        match &self.value {
            Value::List(_) | Value::Stream(_) => blocks * costs.free_block_in_order_ns,
            Value::Hash(_) | Value::Set(_) | Value::Zset(_) => blocks * costs.free_block_ns(self.bytes()),
        }
    }
}

impl Node {
    /// Frees the elements of a key that is out of the tables, or hands them on.
    pub(super) fn free_value(&mut self, collection: Collection, keyspace: u8, by: FreedBy) {
        let rules = Rules::new(self.profile, self.classes, self.config.limits);
        let takes_ns = collection.free_ns(&self.costs);
        if by.is_lazy(&self.config) && collection.free_effort(&rules) > LAZYFREE_THRESHOLD && takes_ns > 0 {
            self.free_in_background(collection, takes_ns);
            return;
        }
        self.ledger.release(MemoryPart::Values, collection.bytes());
        let mut told = Told { rss: &mut self.rss, child: self.child.as_deref_mut() };
        for (class, count) in collection.blocks.iter() {
            told.freed(class, count);
        }
        self.lazyfree.spent_ns += takes_ns;
        let lasts = Micros(takes_ns / 1000);
        let counters = &mut self.keyspaces[keyspace as usize];
        counters.longest_free_us = counters.longest_free_us.max(lasts.0);
        if lasts >= SLOW {
            let (elements, bytes) = (collection.len(), collection.bytes());
            self.note_event(EventKind::SlowFree { by, keyspace: usize::from(keyspace), elements, bytes, lasts });
        }
    }

    fn free_in_background(&mut self, collection: Collection, takes_ns: u64) {
        let lazyfree = &mut self.lazyfree;
        if !lazyfree.is_busy() {
            lazyfree.clock_ns = self.now_us * 1000;
        }
        let bytes_left = collection.bytes();
        let blocks = collection.blocks.iter().collect();
        lazyfree.bytes += bytes_left;
        lazyfree.queue.push_back(Leaving { blocks, left: collection.blocks, bytes_left, takes_ns, done_ns: 0 });
    }

    /// The thread goes on until `ahead_ns` from now.
    #[inline]
    pub(super) fn lazyfree_for(&mut self, ahead_ns: u64) {
        if self.lazyfree.is_busy() {
            self.lazyfree_until(self.now_us * 1000 + ahead_ns);
        }
    }

    #[inline(never)]
    fn lazyfree_until(&mut self, now_ns: u64) {
        let lazyfree = &mut self.lazyfree;
        let mut told = Told { rss: &mut self.rss, child: self.child.as_deref_mut() };
        while let Some(value) = lazyfree.queue.front_mut() {
            let (worked, bytes) = value.advance(now_ns.saturating_sub(lazyfree.clock_ns), &mut told);
            lazyfree.clock_ns += worked;
            lazyfree.bytes -= bytes;
            self.ledger.release(MemoryPart::Values, bytes);
            if !value.is_gone() {
                break;
            }
            lazyfree.queue.pop_front();
            self.counters.lazyfreed_objects += 1;
        }
    }
}
