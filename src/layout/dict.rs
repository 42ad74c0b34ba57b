//! The hash table inside a hash, a set or a sorted set: buckets, entries, incremental rehash.
//!
//! State is a few numbers, whatever the number of elements.  How many elements are chained, how many buckets have a
//! child and how many buckets of an old array hold something are expectations for elements that hash evenly; a phase
//! in [0, 1) that belongs to the key says which way they are rounded, so that sums over many keys are right.
//!
//! What a table is made of is in `dict/kind.rs`.
//!
//! Source: redis 7.0.15 `src/dict.c`; 7.2.6, for entries without values; Valkey 8.1 `src/hashtable.c`.

mod kind;

use super::allocation::{Held, Tally};
use crate::profile::{Shrink, Table};
use kind::{ENTRY, PLACES, SMALLEST};
pub use kind::{Entries, Kind, allocations, chained, children, non_empty, settled_buckets};

/// Empty buckets that a step passes over at most.  Source: `dictRehash`.
const EMPTY_VISITS: i32 = 10;
/// Share of the places below which a table shrinks (%).  Source: `MIN_FILL_PERCENT_SOFT`.
const MIN_FILL_PERCENT: u64 = 13;
/// Fixed point of the number of chained entries.
const ONE: u64 = 1 << 16;

/// The array that a table is moving out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Old {
    buckets: u64,
    /// Elements in it when the move began.
    elements: u64,
    /// Chained entries then, in fixed point.
    chained: u64,
    /// Steps of the whole move, and those not yet made.
    steps: u64,
    left: u64,
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dict {
    used: u64,
    buckets: u64,
    old: Option<Old>,
    /// Chained entries in fixed point, when no array is moved out of.
    chained: u64,
    /// Chained entries or child buckets that are held.
    spill: u64,
    /// Number of elements for which child buckets were last reckoned.
    reckoned: u64,
    /// Rounding, of 2^32.
    phase: u32,
}

impl Dict {
    /// An empty table with room for `expected` elements; without buckets when that is 0.
    pub(super) fn new<T: Tally>(kind: Kind, expected: u64, phase: u32, held: &mut Held<'_, T>) -> Dict {
        held.allocate(kind.header);
        let buckets = if expected == 0 { 0 } else { kind.buckets_for(expected) };
        held.allocate_many(buckets * kind.bucket(), u64::from(buckets > 0));
        Dict { used: 0, buckets, old: None, chained: 0, spill: 0, reckoned: 0, phase }
    }

    /// Elements in it.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Buckets of the array that grows.
    #[must_use]
    pub fn buckets(&self) -> u64 {
        self.buckets
    }

    /// Bytes of its arrays and of what overfull buckets need, as the server counts them (B).
    #[must_use]
    pub fn arrays(&self, kind: Kind) -> u64 {
        let children = if kind.table == Table::Hashtable { self.spill } else { 0 };
        (self.buckets + self.old.map_or(0, |old| old.buckets) + children) * kind.bucket()
    }

    /// Chained entries.
    #[must_use]
    pub fn chained(&self, kind: Kind) -> u64 {
        if kind.entries == Entries::Chained { self.spill } else { 0 }
    }

    /// Adds an element; the command makes `steps` steps of rehash.
    pub(super) fn insert<T: Tally>(&mut self, kind: Kind, steps: u64, held: &mut Held<'_, T>) {
        match kind.table {
            Table::Dict => {
                self.rehash(kind, steps, held);
                if self.old.is_none() && self.used >= self.buckets {
                    self.resize(kind, kind.buckets_for(self.used + 1), held);
                }
            }
            Table::Hashtable => {
                // One step is made in the search, before the table may grow.
                self.rehash(kind, steps.min(1), held);
                if self.used + 1 > self.buckets * PLACES {
                    self.rehash(kind, u64::MAX, held);
                    self.resize(kind, kind.buckets_for(self.used + 1), held);
                }
                self.rehash(kind, steps.saturating_sub(1), held);
            }
        }
        if kind.entries == Entries::Chained && self.old.is_none() {
            let taken = non_empty(self.used as f64, self.buckets as f64) / self.buckets as f64;
            self.chained += (taken * ONE as f64).round() as u64;
        }
        self.used += 1;
        held.allocate_many(ENTRY, u64::from(kind.entries == Entries::Each));
        self.reckon(kind, held);
    }

    /// Takes an element out.  Which one does not matter; a chained one gives its entry back with it, the one that lies
    /// in the bucket leaves the others' entries where they are.
    pub(super) fn remove<T: Tally>(&mut self, kind: Kind, steps: u64, held: &mut Held<'_, T>) {
        self.rehash(kind, steps, held);
        if self.used == 0 {
            return;
        }
        self.chained -= self.chained / self.used;
        self.used -= 1;
        held.free_many(ENTRY, u64::from(kind.entries == Entries::Each));
        if self.used == 0 {
            self.chained = 0;
        }
        if self.old.is_none() && self.is_sparse(kind) {
            self.resize(kind, kind.buckets_for(self.used), held);
        }
        self.reckon(kind, held);
    }

    /// Makes the steps of a command that changes nothing in the table.
    pub(super) fn touch<T: Tally>(&mut self, kind: Kind, steps: u64, held: &mut Held<'_, T>) {
        if self.old.is_some() {
            self.rehash(kind, steps, held);
            self.reckon(kind, held);
        }
    }

    /// Frees the table.
    pub(super) fn release<T: Tally>(&mut self, kind: Kind, held: &mut Held<'_, T>) {
        held.free_many(kind.spill_request(), self.spill);
        held.free_many(ENTRY, if kind.entries == Entries::Each { self.used } else { 0 });
        for buckets in [self.buckets, self.old.map_or(0, |old| old.buckets)] {
            held.free_many(buckets * kind.bucket(), u64::from(buckets > 0));
        }
        held.free(kind.header);
    }

    fn is_sparse(&self, kind: Kind) -> bool {
        match kind.shrink {
            Shrink::BelowTenth => self.buckets > SMALLEST && self.used * 100 / self.buckets < 10,
            Shrink::Eighth => self.buckets > SMALLEST && self.used * 8 <= self.buckets,
            Shrink::Fill13 => self.buckets > 1 && self.used * 100 <= self.buckets * PLACES * MIN_FILL_PERCENT,
        }
    }

    fn resize<T: Tally>(&mut self, kind: Kind, buckets: u64, held: &mut Held<'_, T>) {
        if buckets == self.buckets {
            return;
        }
        held.allocate(buckets * kind.bucket());
        if self.buckets > 0 {
            let steps = match kind.table {
                Table::Dict => steps_of_move(self.used, self.buckets),
                Table::Hashtable => self.buckets,
            };
            let old = Old { buckets: self.buckets, elements: self.used, chained: self.chained, steps, left: steps };
            self.old = Some(old);
        }
        self.buckets = buckets;
    }

    fn rehash<T: Tally>(&mut self, kind: Kind, steps: u64, held: &mut Held<'_, T>) {
        let Some(old) = &mut self.old else { return };
        old.left = old.left.saturating_sub(steps);
        if old.left == 0 {
            held.free(old.buckets * kind.bucket());
            self.old = None;
            if kind.entries == Entries::Chained {
                self.chained = (kind.spill(self.used as f64, self.buckets as f64) * ONE as f64).round() as u64;
            }
        }
    }

    /// Brings the blocks of overfull buckets in line with the numbers.
    fn reckon<T: Tally>(&mut self, kind: Kind, held: &mut Held<'_, T>) {
        let expected = match (kind.table, kind.entries, &self.old) {
            (Table::Dict, Entries::Each | Entries::None, _) => return,
            (Table::Dict, Entries::Chained, None) => self.chained as f64 / ONE as f64,
            (_, _, Some(old)) => self.spill_while_moving(kind, old),
            (Table::Hashtable, _, None) => {
                // Child buckets are few: reckoned anew when a hundredth of the buckets has got an element.
                let quantum = (self.buckets / 128).max(1);
                let elements = self.used / quantum * quantum;
                if elements == self.reckoned {
                    return;
                }
                self.reckoned = elements;
                kind.spill(elements as f64, self.buckets as f64)
            }
        };
        let spill = (expected + f64::from(self.phase) / 4_294_967_296.0).floor() as u64;
        let spill = spill.min(self.used);
        held.allocate_many(kind.spill_request(), spill.saturating_sub(self.spill));
        held.free_many(kind.spill_request(), self.spill.saturating_sub(spill));
        self.spill = spill;
        if self.old.is_some() {
            self.reckoned = u64::MAX;
        }
    }

    /// The same while an array is moved out of: the part not yet moved, the buckets moved into, and those of the new
    /// array that only new elements reach.
    fn spill_while_moving(&self, kind: Kind, old: &Old) -> f64 {
        let left = old.left as f64 / old.steps as f64;
        if kind.visited {
            // New elements share buckets with all that were there: only buckets never looked at hold theirs as before.
            let (buckets, elements) = (self.buckets as f64, old.elements as f64);
            let parted = non_empty(elements, buckets) - non_empty(elements, old.buckets as f64);
            return kind.spill(self.used as f64, buckets) + left * parted;
        }
        let staying = (old.elements as f64 * left).min(self.used as f64);
        let moved = old.elements as f64 - old.elements as f64 * left;
        let fresh = (self.used as f64 - staying - moved).max(0.0);
        let buckets = self.buckets as f64;
        let behind = match kind.table {
            Table::Dict => old.chained as f64 / ONE as f64 * left,
            Table::Hashtable => kind.spill(staying, old.buckets as f64 * left),
        };
        let reached = kind.spill(moved.min(self.used as f64) + fresh * (1.0 - left), buckets * (1.0 - left));
        behind + reached + kind.spill(fresh * left, buckets * left)
    }
}

/// Steps in which all of `elements` leave `buckets`: each moves one bucket that holds something, and passes over ten
/// empty ones at most.
#[must_use]
pub fn steps_of_move(elements: u64, buckets: u64) -> u64 {
    let full = (non_empty(elements as f64, buckets as f64) / buckets as f64).max(1e-9);
    let visited = (1.0 - (1.0 - full).powi(EMPTY_VISITS)) / full;
    ((buckets as f64 / visited).round() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::allocation::Rules;
    use crate::layout::limits::Limits;
    use crate::profile::{Allocator, PROFILES, Profile};

    fn rules(profile: &Profile) -> Rules<'_> {
        Rules::new(profile, Allocator::Bundled.classes(), Limits::default())
    }

    fn find(name: &str) -> Rules<'static> {
        rules(Profile::find(name).expect("a release"))
    }

    /// Bytes after `insert` insertions from nothing, each with `steps` steps.
    fn grown(kind: Kind, insertions: u64, steps: u64, rules: &Rules<'_>) -> (Dict, u64) {
        let mut bytes = 0;
        let mut tally = ();
        let mut held = Held::new(&mut bytes, rules.classes, &mut tally);
        let mut dict = Dict::new(kind, 0, 0, &mut held);
        for _ in 0..insertions {
            dict.insert(kind, steps, &mut held);
        }
        (dict, bytes)
    }

    #[test]
    fn the_old_array_goes_after_the_measured_number_of_insertions() {
        let rules = find("redis-7.0");
        let kind = Kind::zset(&rules);
        // Measured, 1024 -> 2048: about 327 insertions with two steps, about 654 with one.
        for (steps, expected) in [(2, 324), (1, 648)] {
            let (mut dict, mut bytes) = grown(kind, 1024, steps, &rules);
            let mut tally = ();
            let mut held = Held::new(&mut bytes, rules.classes, &mut tally);
            let mut insertions = 0;
            while insertions == 0 || dict.old.is_some() {
                dict.insert(kind, steps, &mut held);
                insertions += 1;
            }
            assert!(u64::abs_diff(insertions, expected) <= 5, "{steps} steps: {insertions}");
        }
    }

    #[test]
    fn chained_entries_are_those_of_balls_in_bins() {
        let rules = find("redis-7.2");
        let kind = Kind::set(&rules);
        let (dict, bytes) = grown(kind, 1000, 1, &rules);
        assert_eq!(dict.buckets(), 1024);
        // The old array of 512 went long ago; 16 bytes for each of about 362 chained members.
        assert!(dict.chained(kind).abs_diff(362) <= 6, "{}", dict.chained(kind));
        assert_eq!(bytes, 56 + 8192 + 16 * dict.chained(kind));
    }

    #[test]
    fn replaced_members_leave_entries_behind() {
        // Measured (redis 8.0.2): 30 000 members in 32 768 buckets, random ones replaced; entries more than at first.
        let measured = [3626.0, 5531.0, 6454.0, 6903.0, 7250.0, 7353.0];
        let rules = find("redis-8.0");
        let kind = Kind::set(&rules);
        let (mut dict, mut bytes) = grown(kind, 30_000, 1, &rules);
        let mut tally = ();
        let mut held = Held::new(&mut bytes, rules.classes, &mut tally);
        dict.touch(kind, 100_000, &mut held);
        let first = dict.chained(kind);
        for seen in measured {
            for _ in 0..20 {
                (0..1000).for_each(|_| dict.remove(kind, 1, &mut held));
                (0..1000).for_each(|_| dict.insert(kind, 1, &mut held));
            }
            let more = (dict.chained(kind) - first) as f64;
            assert!((more / seen - 1.0).abs() < 0.04, "{more}, {seen} measured");
        }
    }

    #[test]
    fn everything_put_in_and_taken_out_leaves_the_smallest_table() {
        for release in PROFILES {
            let rules = rules(release);
            for kind in [Kind::hash(&rules), Kind::set(&rules), Kind::zset(&rules)] {
                let (mut dict, mut bytes) = grown(kind, 5000, 1, &rules);
                let mut tally = ();
                let mut held = Held::new(&mut bytes, rules.classes, &mut tally);
                for _ in 0..5000 {
                    dict.remove(kind, 1, &mut held);
                }
                for _ in 0..100_000 {
                    dict.touch(kind, 1, &mut held);
                }
                assert_eq!(dict.used(), 0);
                assert_eq!(bytes, rules.classes.class(kind.header) + dict.arrays(kind));
                dict.release(kind, &mut Held::new(&mut bytes, rules.classes, &mut tally));
                assert_eq!(bytes, 0);
            }
        }
    }
}
