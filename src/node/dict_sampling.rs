//! How keys are drawn from a hash table: samples for eviction, and a random key.
//!
//! Source: redis 7.0.15 `src/dict.c` (`dictGetSomeKeys`, `dictGetRandomKey`); valkey 8.1 `src/hashtable.c`
//! (`hashtableSampleEntries`, `hashtableRandomEntry`).

use super::{Chain, Dict, MAX_SAMPLES, NIL, Slot};
use crate::profile::TableLayout;
use rand::Rng;

/// Buckets that sampling may look at for each key wanted.  Source: `dictGetSomeKeys`, `count*10`.
const SAMPLE_STEPS_PER_KEY: usize = 10;

/// Empty buckets in a row after which sampling starts elsewhere.  Source: `dictGetSomeKeys`.
const SAMPLE_EMPTY_RUN: usize = 5;

/// Keys among which a random key is chosen where a bucket has seven places.  Source: `WEAK_RANDOM_SAMPLE_SIZE`.
const RANDOM_SAMPLE: usize = 7;

impl Dict {
    /// Draws up to `wanted` entries that stand near each other: a run of buckets from one random start, a random word of
    /// which the lower bits are taken.  Returns how many were put into `sample`.
    pub(crate) fn sample(
        &self,
        wanted: usize,
        start: u64,
        chain: &impl Chain,
        rng: &mut impl Rng,
        sample: &mut [Slot; MAX_SAMPLES],
    ) -> usize {
        let count = wanted.min(self.len() as usize).min(MAX_SAMPLES);
        match self.layout {
            TableLayout::Buckets => self.sample_by_scans(count, start, chain, rng, sample),
            _ if self.whole_chains => self.sample_run::<true>(count, start, chain, rng, sample),
            _ => self.sample_run::<false>(count, start, chain, rng, sample),
        }
    }

    /// Draws keys from a run of buckets; `WHOLE`: whole chains.
    #[inline]
    fn sample_run<const WHOLE: bool>(
        &self,
        count: usize,
        start: u64,
        chain: &impl Chain,
        rng: &mut impl Rng,
        sample: &mut [Slot; MAX_SAMPLES],
    ) -> usize {
        let tables = if self.rehashing() { 2 } else { 1 };
        let mask = self.heads[0].len().max(self.heads[1].len()) - 1;
        let mut at = start as usize & mask;
        let (mut stored, mut empty, mut steps) = (0, 0, count * SAMPLE_STEPS_PER_KEY);
        while stored < count && steps > 0 {
            steps -= 1;
            for table in 0..tables {
                if let (0, Some(moved)) = (table, self.rehash_at)
                    && at < moved
                {
                    // Moved already; where the new array is smaller, jump to what is left of the old one.
                    if at < self.heads[1].len() {
                        continue;
                    }
                    at = moved;
                }
                let Some(&head) = self.heads[table].get(at) else { continue };
                if head == NIL {
                    empty += 1;
                    if empty >= SAMPLE_EMPTY_RUN && empty > count {
                        at = rng.next_u64() as usize & mask;
                        empty = 0;
                    }
                    continue;
                }
                empty = 0;
                stored = if WHOLE {
                    store_chain(head, stored, count, chain, rng, sample)
                } else {
                    store_first(head, stored, count, chain, sample)
                };
                if stored >= count {
                    return count;
                }
            }
            at = (at + 1) & mask;
        }
        stored.min(count)
    }

    /// Draws keys by scans from random places, a whole chain each, until `count` were seen.
    fn sample_by_scans(
        &self,
        count: usize,
        start: u64,
        chain: &impl Chain,
        rng: &mut impl Rng,
        sample: &mut [Slot; MAX_SAMPLES],
    ) -> usize {
        let (mut stored, mut cursor) = (0, start);
        while stored < count {
            self.scan(cursor, |head| stored = store_chain(head, stored, count, chain, rng, sample));
            cursor = rng.next_u64();
        }
        stored.min(count)
    }

    /// Draws one entry: a random non-empty bucket, then uniformly from its chain.  The table must not be empty.
    pub(crate) fn random_entry(&self, chain: &impl Chain, rng: &mut impl Rng) -> Slot {
        if self.layout == TableLayout::Buckets {
            let mut sample = [NIL; MAX_SAMPLES];
            let start = rng.next_u64();
            let drawn = self.sample(RANDOM_SAMPLE, start, chain, rng, &mut sample);
            return sample[(rng.next_u64() % drawn as u64) as usize];
        }
        let head = loop {
            let head = match self.rehash_at {
                None => self.heads[0][rng.next_u64() as usize & (self.heads[0].len() - 1)],
                Some(moved) => {
                    let old = self.heads[0].len();
                    let at = moved + (rng.next_u64() % (self.buckets() - moved as u64)) as usize;
                    if at < old { self.heads[0][at] } else { self.heads[1][at - old] }
                }
            };
            if head != NIL {
                break head;
            }
        };
        let length = std::iter::successors(Some(head), |&at| Some(chain.next(at)).filter(|&next| next != NIL)).count();
        let nth = (rng.next_u64() % length as u64) as usize;
        (0..nth).fold(head, |at, _| chain.next(at))
    }
}

/// Keeps the entries of one chain in the sample: the first `count` seen, then by reservoir.  Returns how many were
/// seen so far.
#[inline]
fn store_chain(
    head: Slot,
    mut stored: usize,
    count: usize,
    chain: &impl Chain,
    rng: &mut impl Rng,
    sample: &mut [Slot; MAX_SAMPLES],
) -> usize {
    let mut at = head;
    while at != NIL {
        if stored < count {
            sample[stored] = at;
        } else {
            let place = (rng.next_u64() % (stored as u64 + 1)) as usize;
            if place < count {
                sample[place] = at;
            }
        }
        at = chain.next(at);
        stored += 1;
    }
    stored
}

/// Keeps the first entries of one chain, up to `count` in all.  Returns how many are kept.
fn store_first(
    head: Slot,
    mut stored: usize,
    count: usize,
    chain: &impl Chain,
    sample: &mut [Slot; MAX_SAMPLES],
) -> usize {
    let mut at = head;
    while at != NIL && stored < count {
        sample[stored] = at;
        at = chain.next(at);
        stored += 1;
    }
    stored
}
