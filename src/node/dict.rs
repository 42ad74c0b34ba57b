//! The hash table of the keyspace: bucket arrays, growth, incremental rehash, the ways of drawing keys from it.
//!
//! Each of the three layouts is a chain of keys for each bucket.  What differs: the places of a bucket, the rules of size,
//! what a step of rehash moves, how a sample is drawn; and what is allocated beside the arrays, which two components
//! count: `child_buckets` and `chained_entries`.
//!
//! The table is literal: bucket heads and chains, so that what depends on the place of a key in it (which keys
//! eviction samples together, where the expiry sweep is) comes out as on the server.  Chains run through a column of
//! [`super::keys::Keys`].  Hashes have 32 bits, so tables have at most 2^32 buckets.
//!
//! Source: redis 7.0.15 `src/dict.c`; valkey 8.1 `src/hashtable.c`.

use super::chained_entries::ChainedEntries;
use super::child_buckets::ChildBuckets;
use super::keys::{Chain, NIL, Slot};
use crate::hint::{huge_pages, prefetch};
use crate::profile::{Profile, ShrinkRule, TableLayout};

/// Buckets of the first array.  Source: `DICT_HT_INITIAL_SIZE`.
pub(crate) const INITIAL_BUCKETS: u64 = 4;

/// Buckets for entries where a bucket has seven places: a table that is resized is at most 91 % full.
/// Source: `BUCKET_FACTOR`, `BUCKET_DIVISOR`.
const BUCKET_FACTOR: u64 = 5;
const BUCKET_DIVISOR: u64 = 32;

/// Buckets of seven places that a table is made with for `entries` entries.
pub(crate) fn buckets_of_places(entries: u64) -> u64 {
    (entries * BUCKET_FACTOR).div_ceil(BUCKET_DIVISOR)
}

/// Empty buckets that one step of rehash may skip.  Source: `dictRehash`, `n*10`.
const EMPTY_VISITS_PER_STEP: usize = 10;

/// Buckets that cron's rehash passes over in the time that it takes to move an entry.  *assumed*: buckets are read one
/// after the other, entries and keys are not.
const BUCKETS_PER_ENTRY: u64 = 64;

/// Most keys drawn in one sample: `maxmemory-samples` is at most this.
pub(crate) const MAX_SAMPLES: usize = 64;

/// Thousandths of a percent.
const WHOLE: u64 = 100_000;

/// A hash table.
#[derive(Debug)]
pub(crate) struct Dict {
    /// The array in use, and the one that entries move to while rehashing.
    heads: [Vec<Slot>; 2],
    used: [u64; 2],
    /// The next bucket of the first array to move; `None` when not rehashing.
    rehash_at: Option<usize>,
    layout: TableLayout,
    /// Places of a bucket.
    places: u64,
    /// A sample takes whole chains.
    whole_chains: bool,
    children: ChildBuckets,
    chained: ChainedEntries,
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
    /// An empty table of a release.
    pub(crate) fn new(profile: &Profile) -> Dict {
        Dict {
            heads: [Vec::new(), Vec::new()],
            used: [0; 2],
            rehash_at: None,
            layout: profile.table_layout,
            places: profile.table_layout.places(),
            whole_chains: profile.sample_whole_chains,
            children: ChildBuckets::default(),
            chained: ChainedEntries::default(),
        }
    }

    /// Bytes of a bucket on the server (B).
    #[inline]
    pub(crate) fn bucket_bytes(&self) -> u64 {
        self.layout.bucket_bytes()
    }

    /// Whether something is allocated beside the arrays that is not a part of each key.
    #[inline]
    fn has_more(&self) -> bool {
        !matches!(self.layout, TableLayout::Chained { .. })
    }

    /// Allocations beside the arrays: how many, and of how many bytes each (B).
    #[inline]
    pub(crate) fn beside_arrays(&self) -> (u64, u64) {
        match self.layout {
            TableLayout::Chained { .. } => (0, 0),
            TableLayout::ChainedKeys { entry } => (self.chained.count(), entry),
            TableLayout::Buckets => (self.children.count(), self.layout.bucket_bytes()),
        }
    }

    /// Buckets that cannot be fewer.
    fn least_buckets(&self) -> u64 {
        if self.layout == TableLayout::Buckets { 1 } else { INITIAL_BUCKETS }
    }

    /// Buckets for `entries` entries.
    pub(crate) fn buckets_for(&self, entries: u64) -> u64 {
        let wanted = match self.layout {
            TableLayout::Buckets => buckets_of_places(entries),
            TableLayout::Chained { .. } | TableLayout::ChainedKeys { .. } => entries,
        };
        wanted.next_power_of_two().max(self.least_buckets())
    }

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
        new * self.bucket_bytes() * (old - moved.min(old)) / old
    }

    /// Whether two arrays are alive.
    #[inline]
    pub(crate) fn rehashing(&self) -> bool {
        self.rehash_at.is_some()
    }

    /// Buckets that the table would grow to if it grew now.
    pub(crate) fn next_size(&self) -> u64 {
        self.buckets_for(self.len() + 1)
    }

    /// Whether an insertion now would want more buckets.  `avoid_load`: a child lives, so only from this load on.
    #[inline]
    pub(crate) fn wants_growth(&self, avoid_load: Option<u64>) -> bool {
        let places = self.heads[0].len() as u64 * self.places;
        if self.rehashing() {
            return false;
        }
        match avoid_load {
            None => self.used[0] >= places,
            Some(load) => places == 0 || self.used[0] >= load * places,
        }
    }

    /// Whether cron finds every place taken.
    pub(crate) fn is_full(&self) -> bool {
        !self.heads[0].is_empty() && self.wants_growth(None)
    }

    /// Entries for each place of the array in use.
    pub(crate) fn load_factor(&self) -> f64 {
        self.used[0] as f64 / ((self.heads[0].len() as u64 * self.places) as f64).max(1.0)
    }

    /// Whether the table is empty enough to shrink.  Source: `htNeedsResize`, `HASHTABLE_MIN_FILL` 10 %; redis 7.4
    /// `_dictShrinkIfNeeded`; valkey 8.1 `hashtableShrinkIfNeeded`.
    #[inline]
    pub(crate) fn wants_shrink(&self, rule: ShrinkRule, child: bool) -> bool {
        let (buckets, keys) = (self.heads[0].len() as u64, self.used[0]);
        if self.rehashing() || buckets <= self.least_buckets() {
            return false;
        }
        match rule {
            ShrinkRule::CronBelowTenth => !child && keys * 100 / buckets < 10,
            ShrinkRule::Deletion { at, with_child } => {
                let share = if child { with_child } else { at };
                keys * WHOLE <= buckets * self.places * share
            }
        }
    }

    /// Share of the places that is taken (%).
    pub(crate) fn fill_percent(&self) -> u64 {
        (self.len() * 100).checked_div(self.buckets() * self.places).unwrap_or(0)
    }

    /// Gives the table `buckets` buckets: at once when it has none, else by rehashing.  Returns whether it now rehashes.
    pub(crate) fn resize(&mut self, buckets: u64) -> bool {
        debug_assert!(buckets.is_power_of_two() && !self.rehashing(), "one resize at a time, to a power of two");
        let array = vec![NIL; buckets as usize];
        huge_pages(&array);
        let first = self.heads[0].is_empty();
        if self.layout == TableLayout::Buckets {
            self.children.set_array(usize::from(!first), buckets);
        }
        if first {
            self.heads[0] = array;
            return false;
        }
        self.heads[1] = array;
        self.rehash_at = Some(0);
        true
    }

    /// Frees both arrays; the entries are the caller's.
    pub(crate) fn clear(&mut self) {
        self.heads = [Vec::new(), Vec::new()];
        (self.used, self.rehash_at) = ([0; 2], None);
        (self.children, self.chained) = (ChildBuckets::default(), ChainedEntries::default());
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
        if self.has_more() {
            self.note_inserted(slot, table, bucket, chain);
        }
    }

    #[inline(never)]
    fn note_inserted(&mut self, slot: Slot, table: usize, bucket: usize, chain: &impl Chain) {
        match self.layout {
            TableLayout::Chained { .. } => {}
            TableLayout::ChainedKeys { .. } => self.chained.set(slot, chain.next(slot) != NIL),
            TableLayout::Buckets => self.children.add(table, bucket),
        }
    }

    #[inline(never)]
    fn note_removed(&mut self, slot: Slot, table: usize, bucket: usize) {
        match self.layout {
            TableLayout::Chained { .. } => {}
            TableLayout::ChainedKeys { .. } => self.chained.set(slot, false),
            TableLayout::Buckets => self.children.remove(table, bucket),
        }
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
                if self.has_more() {
                    self.note_removed(slot, table, bucket);
                }
                return None;
            }
            while at != NIL {
                let next = chain.next(at);
                if next == slot {
                    chain.set_next(at, chain.next(slot));
                    self.used[table] -= 1;
                    if self.has_more() {
                        self.note_removed(slot, table, bucket);
                    }
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
        if self.layout == TableLayout::Buckets {
            return self.rehash_every_bucket(steps, chain);
        }
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

    /// The same for a table that moves one bucket a step, empty or not, to the end of the old array.
    fn rehash_every_bucket(&mut self, steps: u64, chain: &mut impl Chain) -> Option<RehashEnded> {
        let at = self.rehash_at?;
        let end = (at + steps as usize).min(self.heads[0].len());
        (at..end).for_each(|bucket| self.move_bucket(bucket, chain));
        self.rehash_at = Some(end);
        (end == self.heads[0].len()).then(|| self.end_rehash())
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
        let more = self.has_more();
        let mut at = std::mem::replace(&mut self.heads[0][bucket], NIL);
        while at != NIL {
            let next = chain.next(at);
            let new = &mut self.heads[1];
            let target = chain.hash(at) as usize & (new.len() - 1);
            chain.set_next(at, new[target]);
            new[target] = at;
            self.used[0] -= 1;
            self.used[1] += 1;
            if more {
                self.note_removed(at, 0, bucket);
                self.note_inserted(at, 1, target, chain);
            }
            at = next;
        }
    }

    fn end_rehash(&mut self) -> RehashEnded {
        let freed_buckets = self.heads[0].len() as u64;
        self.heads[0] = std::mem::take(&mut self.heads[1]);
        self.used = [self.used[1], 0];
        self.rehash_at = None;
        self.children.end_rehash();
        RehashEnded { freed_buckets, buckets: self.heads[0].len() as u64 }
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

    /// Visits the first entry of every bucket in the order of an iterator.  Source: `dictNext`.
    pub(crate) fn visit_buckets(&self, visit: impl FnMut(Slot)) {
        self.heads.iter().flatten().copied().filter(|&head| head != NIL).for_each(visit);
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

/// The cursor after `cursor` in an order that survives resizes: incremented with its bits reversed.
fn next_reverse_binary(cursor: u64, mask: u64) -> u64 {
    (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

#[path = "dict_sampling.rs"]
mod sampling;

#[cfg(test)]
#[path = "dict_tests.rs"]
mod tests;
