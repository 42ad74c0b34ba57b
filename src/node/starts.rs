//! Where the next evictions sample: random words drawn a few evictions ahead, so that what they will look at can be
//! asked for before it is needed.

use super::Node;
use super::keys::{NIL, Slot};
use super::notice::TableName;
use crate::hint::prefetch;
use crate::rng::Xoshiro256PlusPlus;
use rand::Rng;

/// Words drawn ahead: buckets are asked for that many evictions before they are sampled, then their first entries, then
/// the second and the third ones.
const AHEAD: usize = 4;

/// Random words for the next samples, in order.
#[derive(Debug)]
pub(super) struct Starts {
    next: [u64; AHEAD],
}

impl Starts {
    pub(super) fn new(rng: &mut Xoshiro256PlusPlus) -> Starts {
        Starts { next: std::array::from_fn(|_| rng.next_u64()) }
    }

    /// The word for this sample; another is drawn.
    #[inline]
    pub(super) fn take(&mut self, rng: &mut Xoshiro256PlusPlus) -> u64 {
        let start = self.next[0];
        self.next.copy_within(1.., 0);
        self.next[AHEAD - 1] = rng.next_u64();
        start
    }
}

impl Node {
    /// Asks for what the next evictions will look at, and the removal of the best candidate.
    #[inline]
    pub(super) fn prefetch_evictions(&self, table: TableName) {
        let dict = self.dict(table);
        let samples = self.config.maxmemory_samples as usize + BUCKETS_MORE;
        let [soon, second, first, last] = self.eviction.starts.next;
        for bucket in 0..samples.div_ceil(BUCKETS_PER_LINE) {
            if let Some(head) = dict.run(last.wrapping_add((bucket * BUCKETS_PER_LINE) as u64), 1).first() {
                prefetch(std::slice::from_ref(head), 0);
            }
        }
        for &head in dict.run(first, samples) {
            prefetch(&self.keys.entries, head as usize);
            if table == TableName::Expires {
                prefetch(&self.keys.timed, head as usize);
            }
        }
        let next = |slot: Slot| match table {
            TableName::Main => self.keys.entries[slot as usize].next,
            TableName::Expires => self.keys.timed.get(slot as usize).map_or(NIL, |timed| timed.next),
        };
        dict.run(second, samples).iter().for_each(|&head| prefetch(&self.keys.entries, next(head) as usize));
        dict.run(soon, samples).iter().for_each(|&head| prefetch(&self.keys.entries, next(next(head)) as usize));
        if let Some(best) = self.eviction.pool.best() {
            prefetch(&self.keys.entries, best.slot as usize);
            prefetch(&self.keys.index, best.owner as usize);
            self.main.prefetch_bucket(best.hash);
        }
    }
}

/// Buckets asked for beyond one for each key wanted, since some are empty.
const BUCKETS_MORE: usize = 3;

/// Buckets on one cache line of 64 bytes.
const BUCKETS_PER_LINE: usize = 16;
