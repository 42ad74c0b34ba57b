//! The chained hash table: bucket arrays, growth, incremental rehash, the two ways of drawing keys from it.
//!
//! The table is literal: bucket heads and chains, so that what depends on the place of a key in it (which keys
//! eviction samples together, where the expiry sweep is) comes out as on the server.  Chains run through a column of
//! [`super::keys::Keys`].  Hashes have 32 bits, so tables have at most 2^32 buckets.
//!
//! Source: redis 7.0.15 `src/dict.c`.

use super::keys::{Chain, NIL, Slot};
use crate::hint::{huge_pages, prefetch};
use rand::Rng;

/// Buckets of the first array.  Source: `DICT_HT_INITIAL_SIZE`.
pub(crate) const INITIAL_BUCKETS: u64 = 4;

/// Bytes of a bucket on the server (B).
pub(crate) const BUCKET_BYTES: u64 = 8;

/// Empty buckets that one step of rehash may skip.  Source: `dictRehash`, `n*10`.
const EMPTY_VISITS_PER_STEP: usize = 10;

/// Buckets that cron's rehash passes over in the time that it takes to move an entry.  *assumed*: buckets are read one
/// after the other, entries and keys are not.
const BUCKETS_PER_ENTRY: u64 = 64;

/// Buckets that sampling may look at for each key wanted.  Source: `dictGetSomeKeys`, `count*10`.
const SAMPLE_STEPS_PER_KEY: usize = 10;

/// Empty buckets in a row after which sampling starts elsewhere.  Source: `dictGetSomeKeys`.
const SAMPLE_EMPTY_RUN: usize = 5;

/// Most keys drawn in one sample: `maxmemory-samples` is at most this.
pub(crate) const MAX_SAMPLES: usize = 64;

/// A chained hash table.
#[derive(Debug, Default)]
pub(crate) struct Dict {
    /// The array in use, and the one that entries move to while rehashing.
    heads: [Vec<Slot>; 2],
    used: [u64; 2],
    /// The next bucket of the first array to move; `None` when not rehashing.
    rehash_at: Option<usize>,
}

/// What a change to a table did to its arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RehashEnded {
    /// Buckets of the array that was freed.
    pub(crate) freed_buckets: u64,
    /// Buckets now.
    pub(crate) buckets: u64,
}

impl Dict {
    /// Entries.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.used[0] + self.used[1]
    }

    /// Buckets of both arrays.
    #[inline]
    pub(crate) fn buckets(&self) -> u64 {
        (self.heads[0].len() + self.heads[1].len()) as u64
    }

    /// Buckets of the array that is being emptied; 0 when not rehashing.
    pub(crate) fn old_buckets(&self) -> u64 {
        if self.rehashing() { self.heads[0].len() as u64 } else { 0 }
    }

    /// Buckets of the array in use, and of the one that is being filled.
    pub(crate) fn array_sizes(&self) -> [u64; 2] {
        [self.heads[0].len() as u64, self.heads[1].len() as u64]
    }

    /// Bytes of the array being filled in whose pages nothing stands yet (B).
    pub(crate) fn untouched_bytes(&self) -> u64 {
        let moved = self.rehash_at.unwrap_or(0) as u64;
        let [old, new] = self.array_sizes();
        if !self.rehashing() || old == 0 {
            return 0;
        }
        new * BUCKET_BYTES * (old - moved.min(old)) / old
    }

    /// Whether two arrays are alive.
    #[inline]
    pub(crate) fn rehashing(&self) -> bool {
        self.rehash_at.is_some()
    }

    /// Buckets that the table would grow to if it grew now.
    pub(crate) fn next_size(&self) -> u64 {
        buckets_for(self.len() + 1)
    }

    /// Whether an insertion now would want more buckets.  `avoid_load`: a child lives, so only from this load on.
    #[inline]
    pub(crate) fn wants_growth(&self, avoid_load: Option<u64>) -> bool {
        let size = self.heads[0].len() as u64;
        if self.rehashing() {
            return false;
        }
        match avoid_load {
            None => self.used[0] >= size,
            Some(load) => size == 0 || self.used[0] >= load * size,
        }
    }

    /// Entries for each bucket of the array in use.
    pub(crate) fn load_factor(&self) -> f64 {
        self.used[0] as f64 / (self.heads[0].len() as f64).max(1.0)
    }

    /// Whether the table is empty enough for cron to shrink it.  Source: `htNeedsResize`, `HASHTABLE_MIN_FILL` 10 %.
    pub(crate) fn wants_shrink(&self) -> bool {
        let buckets = self.buckets();
        buckets > INITIAL_BUCKETS && self.len() * 100 / buckets < 10 && !self.rehashing()
    }

    /// Gives the table `buckets` buckets: at once when it has none, else by rehashing.  Returns whether it now rehashes.
    pub(crate) fn resize(&mut self, buckets: u64) -> bool {
        debug_assert!(buckets.is_power_of_two() && !self.rehashing(), "one resize at a time, to a power of two");
        let array = vec![NIL; buckets as usize];
        huge_pages(&array);
        if self.heads[0].is_empty() {
            self.heads[0] = array;
            return false;
        }
        self.heads[1] = array;
        self.rehash_at = Some(0);
        true
    }

    /// Frees both arrays; the entries are the caller's.
    pub(crate) fn clear(&mut self) {
        *self = Dict::default();
    }

    /// Adds an entry, in front of its chain; while rehashing into the new array.
    #[inline]
    pub(crate) fn insert(&mut self, slot: Slot, chain: &mut impl Chain) {
        let table = usize::from(self.rehashing());
        let heads = &mut self.heads[table];
        let bucket = chain.hash(slot) as usize & (heads.len() - 1);
        chain.set_next(slot, heads[bucket]);
        heads[bucket] = slot;
        self.used[table] += 1;
    }

    /// Removes an entry, which must be there; returns the entry whose link to it was changed, if not its bucket's.
    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot, chain: &mut impl Chain) -> Option<Slot> {
        let hash = chain.hash(slot) as usize;
        for table in 0..2 {
            let heads = &mut self.heads[table];
            if heads.is_empty() {
                break;
            }
            let bucket = hash & (heads.len() - 1);
            let mut at = heads[bucket];
            if at == slot {
                heads[bucket] = chain.next(slot);
                self.used[table] -= 1;
                return None;
            }
            while at != NIL {
                let next = chain.next(at);
                if next == slot {
                    chain.set_next(at, chain.next(slot));
                    self.used[table] -= 1;
                    return Some(at);
                }
                at = next;
            }
        }
        debug_assert!(false, "an entry to remove is in the table");
        None
    }

    /// Moves up to `steps` non-empty buckets to the new array; says so when the old one is empty and freed.
    pub(crate) fn rehash(&mut self, steps: u64, chain: &mut impl Chain) -> Option<RehashEnded> {
        let mut at = self.rehash_at?;
        for _ in 0..steps {
            if self.used[0] == 0 {
                break;
            }
            let ahead = self.heads[0][at..].iter().take(EMPTY_VISITS_PER_STEP).take_while(|&&head| head == NIL).count();
            at += ahead;
            if ahead < EMPTY_VISITS_PER_STEP {
                self.move_bucket(at, chain);
                at += 1;
            }
        }
        self.rehash_at = Some(at);
        (self.used[0] == 0).then(|| self.end_rehash())
    }

    /// Moves what cron's slice of a millisecond gets done: as many entries as there are `buckets` in a slice of a table
    /// with one for each bucket; a bucket that is passed over costs little.
    pub(crate) fn rehash_buckets(&mut self, buckets: u64, chain: &mut impl Chain) -> Option<RehashEnded> {
        let mut at = self.rehash_at?;
        let mut left = buckets * BUCKETS_PER_ENTRY;
        while self.used[0] > 0 && left > 0 {
            let before = self.used[0];
            self.move_bucket(at, chain);
            left = left.saturating_sub(1 + (before - self.used[0]) * BUCKETS_PER_ENTRY);
            at += 1;
        }
        self.rehash_at = Some(at);
        (self.used[0] == 0).then(|| self.end_rehash())
    }

    fn move_bucket(&mut self, bucket: usize, chain: &mut impl Chain) {
        let [old, new] = &mut self.heads;
        let mut at = std::mem::replace(&mut old[bucket], NIL);
        while at != NIL {
            let next = chain.next(at);
            let target = chain.hash(at) as usize & (new.len() - 1);
            chain.set_next(at, new[target]);
            new[target] = at;
            self.used[0] -= 1;
            self.used[1] += 1;
            at = next;
        }
    }

    fn end_rehash(&mut self) -> RehashEnded {
        let freed_buckets = self.heads[0].len() as u64;
        self.heads[0] = std::mem::take(&mut self.heads[1]);
        self.used = [self.used[1], 0];
        self.rehash_at = None;
        RehashEnded { freed_buckets, buckets: self.heads[0].len() as u64 }
    }

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
                stored = store_chain(head, stored, count, chain, rng, sample);
                if stored >= count {
                    return count;
                }
            }
            at = (at + 1) & mask;
        }
        stored.min(count)
    }

    /// First entries of `length` buckets from where a sample with this start begins; fewer at the table's end, and while
    /// rehashing only those of the new array.
    pub(crate) fn run(&self, start: u64, length: usize) -> &[Slot] {
        let heads = &self.heads[usize::from(self.rehashing())];
        let at = start as usize & heads.len().wrapping_sub(1);
        let end = (at + length).min(heads.len());
        heads.get(at..end).unwrap_or(&[])
    }

    /// Asks for the bucket of a key with this hash.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: u32) {
        let heads = &self.heads[usize::from(self.rehashing())];
        prefetch(heads, hash as usize & heads.len().wrapping_sub(1));
    }

    /// Draws one entry: a random non-empty bucket, then uniformly from its chain.  The table must not be empty.
    pub(crate) fn random_entry(&self, chain: &impl Chain, rng: &mut impl Rng) -> Slot {
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

    /// First entry of bucket `cursor` (masked) in each array, and how many arrays there are: one place of a sweep by
    /// rising index.
    pub(crate) fn sweep(&self, cursor: u64) -> ([Slot; 2], u64) {
        let head =
            |heads: &Vec<Slot>| heads.get(cursor as usize & (heads.len().wrapping_sub(1))).copied().unwrap_or(NIL);
        if self.rehashing() {
            ([head(&self.heads[0]), head(&self.heads[1])], 2)
        } else {
            ([head(&self.heads[0]), NIL], 1)
        }
    }

    /// Visits the buckets of one place of a scan in reverse binary order, and returns the next cursor.
    /// Source: `dictScan`.
    pub(crate) fn scan(&self, cursor: u64, mut visit: impl FnMut(Slot)) -> u64 {
        let (small, large) = match self.rehashing() {
            false => (&self.heads[0], None),
            true if self.heads[0].len() <= self.heads[1].len() => (&self.heads[0], Some(&self.heads[1])),
            true => (&self.heads[1], Some(&self.heads[0])),
        };
        let small_mask = small.len() as u64 - 1;
        visit(small[(cursor & small_mask) as usize]);
        let Some(large) = large else { return next_reverse_binary(cursor, small_mask) };
        let large_mask = large.len() as u64 - 1;
        let mut at = cursor;
        loop {
            visit(large[(at & large_mask) as usize]);
            at = next_reverse_binary(at, large_mask);
            // Until every bucket of the larger array that the smaller one's bucket expands to was visited.
            if at & (small_mask ^ large_mask) == 0 {
                return at;
            }
        }
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

/// Buckets for `entries` entries: the next power of two, at least the first array's.
pub(crate) fn buckets_for(entries: u64) -> u64 {
    entries.next_power_of_two().max(INITIAL_BUCKETS)
}

/// The cursor after `cursor` in an order that survives resizes: incremented with its bits reversed.
fn next_reverse_binary(cursor: u64, mask: u64) -> u64 {
    (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

#[cfg(test)]
#[path = "dict_tests.rs"]
mod tests;
