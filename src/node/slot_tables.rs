//! The tables of cluster mode where each slot has its own: what they take, by slot.
//!
//! Keys stand in the literal table, which says what is sampled and swept; here is what the server's 16 384 small tables
//! cost instead of it.  A slot's table is its numbers: keys, buckets, an array that it moves out of.  Which keys share a
//! bucket is an expectation for keys that hash evenly.  A key's slot is drawn from its hash, so that slots fill as
//! evenly as with names that have nothing in common; CRC16 of names that count up fills them a little less evenly.
//!
//! Left out: steps of rehash that lookups make; one in 16 384 falls into the slot that a write began to move, and cron
//! moves it within a tick.  Source: redis 7.4 `src/kvstore.c`; *measured*: `docs/model.md`, cluster mode.

use crate::layout::dict::{chained, children, steps_of_move};
use crate::profile::cluster::SLOTS;
use crate::profile::{ChildRules, Profile, ShrinkRule, SizeClasses, TableLayout};
use std::collections::{BTreeMap, VecDeque};

/// Slots of a table that cron looks at in one tick.  Source: `CRON_DICTS_PER_DB`.
const SLOTS_PER_CRON: usize = 16;
/// Bits of a hash that say which slot a key belongs to: the upper ones; the lower ones choose buckets.
const SLOT_SHIFT: u32 = 32 - SLOTS.ilog2();
/// Above this load a table may grow past `maxmemory` (thousandths).  Source: `HASHTABLE_MAX_LOAD_FACTOR`.
const MAX_LOAD_MILLI: u64 = 1618;
/// Fixed point of expected blocks.
const ONE: f64 = 65_536.0;
/// Thousandths of a percent.
const WHOLE: u64 = 100_000;

/// One slot's table.
#[derive(Debug, Clone, Copy, Default)]
struct SlotTable {
    keys: u32,
    /// Buckets of the array that keys are added to; 0: there is no table.
    buckets: u32,
    /// Buckets of the array that keys move out of; 0: none.
    old: u32,
    /// Steps until that is over.
    left: u32,
}

/// What a change may do now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// A child lives.
    pub(super) child: bool,
    /// Bytes until `maxmemory` (B).
    pub(super) room: u64,
}

/// The tables of all slots, of keys or of times of expiry.
#[derive(Debug)]
pub(super) struct SlotTables {
    layout: TableLayout,
    shrink: ShrinkRule,
    child_rules: ChildRules,
    cron_expands: bool,
    classes: SizeClasses,
    /// Struct of a table, its list node while it rehashes (B).
    header: u64,
    node: u64,
    tables: Vec<SlotTable>,
    /// Tables that there are.
    count: u64,
    /// Bytes of structs, arrays and list nodes, by class (B).
    allocated: u64,
    /// Buckets of the arrays moved into, and out of.
    buckets: u64,
    old_buckets: u64,
    /// Blocks of buckets that hold too much, in fixed point.
    spill: u64,
    expected: BTreeMap<(u32, u32), u64>,
    /// Slots whose table rehashes, in the order in which they began.
    rehashing: VecDeque<u16>,
    /// Where cron looks next.
    cursor: usize,
}

impl SlotTables {
    /// Empty ones; `header`: struct of a table, `node`: list node of one that rehashes (B).
    pub(super) fn new(profile: &Profile, classes: SizeClasses, header: u64, node: u64) -> SlotTables {
        SlotTables {
            layout: profile.table_layout,
            shrink: profile.shrink,
            child_rules: profile.child_rules,
            cron_expands: profile.cron_expands,
            classes,
            header,
            node,
            tables: vec![SlotTable::default(); SLOTS as usize],
            count: 0,
            allocated: 0,
            buckets: 0,
            old_buckets: 0,
            spill: 0,
            expected: BTreeMap::new(),
            rehashing: VecDeque::new(),
            cursor: 0,
        }
    }

    /// Every table goes.
    pub(super) fn clear(&mut self) {
        self.tables.fill(SlotTable::default());
        (self.count, self.allocated, self.buckets, self.old_buckets, self.spill) = (0, 0, 0, 0, 0);
        self.rehashing.clear();
    }

    /// What they take, by class (B).
    pub(super) fn bytes(&self) -> u64 {
        self.allocated + self.spilled() * self.classes.class(self.spill_request())
    }

    /// The same by nominal sizes, as `used_memory_overhead` counts it (B).
    pub(super) fn nominal(&self) -> u64 {
        let arrays = (self.buckets + self.old_buckets) * self.layout.bucket_bytes();
        self.count * self.header
            + arrays
            + self.spilled() * self.spill_request()
            + self.rehashing.len() as u64 * self.node
    }

    /// Arrays that are being emptied (B).
    pub(super) fn old_bytes(&self) -> u64 {
        self.old_buckets * self.layout.bucket_bytes()
    }

    fn spilled(&self) -> u64 {
        (self.spill as f64 / ONE) as u64
    }

    /// Bytes of what a bucket that holds too much needs (B).
    fn spill_request(&self) -> u64 {
        match self.layout {
            TableLayout::Chained { .. } => 0,
            TableLayout::ChainedKeys { entry } => entry,
            TableLayout::Buckets => self.layout.bucket_bytes(),
        }
    }

    /// Blocks expected in a table, in fixed point.
    fn expected(&mut self, table: SlotTable) -> u64 {
        if matches!(self.layout, TableLayout::Chained { .. }) || table.buckets == 0 {
            return 0;
        }
        let buckets_layout = self.layout == TableLayout::Buckets;
        *self.expected.entry((table.keys, table.buckets)).or_insert_with(|| {
            let (keys, buckets) = (f64::from(table.keys), f64::from(table.buckets));
            let blocks = if buckets_layout { children(keys, buckets) } else { chained(keys, buckets) };
            (blocks * ONE).round() as u64
        })
    }

    /// Buckets of a table for so many keys.
    fn buckets_for(&self, keys: u64) -> u32 {
        let wanted = match self.layout {
            TableLayout::Buckets => super::dict::buckets_of_places(keys),
            TableLayout::Chained { .. } | TableLayout::ChainedKeys { .. } => keys,
        };
        wanted.next_power_of_two().max(self.least()) as u32
    }

    fn least(&self) -> u64 {
        if self.layout == TableLayout::Buckets { 1 } else { super::dict::INITIAL_BUCKETS }
    }

    fn array(&self, buckets: u32) -> u64 {
        self.classes.class(u64::from(buckets) * self.layout.bucket_bytes())
    }

    /// A key with this hash comes; the command makes `steps` steps of rehash.
    pub(super) fn insert(&mut self, hash: u32, steps: u32, now: Now) {
        let slot = (hash >> SLOT_SHIFT) as usize;
        self.step(slot, steps, now);
        let table = self.tables[slot];
        if table.buckets == 0 {
            self.count += 1;
            self.allocated += self.classes.class(self.header);
            self.resize(slot, self.buckets_for(1));
        } else if self.is_full(table, now.child) {
            self.grow(slot, now);
        }
        self.set_keys(slot, 1);
    }

    /// A key with this hash goes.
    pub(super) fn remove(&mut self, hash: u32, now: Now) {
        let slot = (hash >> SLOT_SHIFT) as usize;
        self.step(slot, 1, now);
        self.set_keys(slot, -1);
        if self.tables[slot].keys == 0 {
            self.free(slot);
        } else {
            self.shrink_if_needed(slot, now);
        }
    }

    fn set_keys(&mut self, slot: usize, more: i32) {
        let before = self.tables[slot];
        let after = SlotTable { keys: before.keys.saturating_add_signed(more), ..before };
        self.set(slot, after);
    }

    /// Changes a slot's numbers, and what is expected by them.
    fn set(&mut self, slot: usize, after: SlotTable) {
        let before = self.expected(self.tables[slot]);
        self.spill = self.spill + self.expected(after) - before;
        self.tables[slot] = after;
    }

    /// Whether a key more wants more buckets.  Source: `_dictExpandIfNeeded`.
    fn is_full(&self, table: SlotTable, child: bool) -> bool {
        let load = if child { self.child_rules.grow_load } else { 1 };
        table.old == 0 && u64::from(table.keys) >= u64::from(table.buckets) * self.layout.places() * load
    }

    fn grow(&mut self, slot: usize, now: Now) {
        let table = self.tables[slot];
        let buckets = self.buckets_for(u64::from(table.keys) + 1);
        let places = u64::from(table.buckets) * self.layout.places();
        let refusable = u64::from(table.keys) * 1000 <= places * MAX_LOAD_MILLI;
        if buckets > table.buckets && !(refusable && self.array(buckets) > now.room) {
            self.resize(slot, buckets);
        }
    }

    fn shrink_if_needed(&mut self, slot: usize, now: Now) {
        let table = self.tables[slot];
        let ShrinkRule::Deletion { at, with_child } = self.shrink else { return };
        let share = if now.child { with_child } else { at };
        let places = u64::from(table.buckets) * self.layout.places();
        if table.old > 0 || u64::from(table.buckets) <= self.least() || u64::from(table.keys) * WHOLE > places * share {
            return;
        }
        let buckets = self.buckets_for(u64::from(table.keys));
        if buckets < table.buckets {
            self.resize(slot, buckets);
        }
    }

    fn resize(&mut self, slot: usize, buckets: u32) {
        let table = self.tables[slot];
        self.allocated += self.array(buckets);
        self.buckets = self.buckets + u64::from(buckets) - u64::from(table.buckets);
        let mut after = SlotTable { buckets, ..table };
        if table.buckets > 0 {
            let steps = match self.layout {
                TableLayout::Buckets => u64::from(table.buckets),
                TableLayout::Chained { .. } | TableLayout::ChainedKeys { .. } => {
                    steps_of_move(u64::from(table.keys), u64::from(table.buckets))
                }
            };
            (after.old, after.left) = (table.buckets, steps as u32);
            self.old_buckets += u64::from(table.buckets);
            self.allocated += self.classes.class(self.node);
            self.rehashing.push_back(slot as u16);
        }
        self.set(slot, after);
    }

    /// Steps of rehash in a slot, unless a child freezes it.
    fn step(&mut self, slot: usize, steps: u32, now: Now) {
        let table = self.tables[slot];
        if table.old == 0 || (now.child && self.is_frozen(table)) {
            return;
        }
        self.tables[slot].left = table.left.saturating_sub(steps);
        if self.tables[slot].left == 0 {
            self.end_rehash(slot);
        }
    }

    fn is_frozen(&self, table: SlotTable) -> bool {
        let (old, new) = (u64::from(table.old), u64::from(table.buckets));
        if new >= old { new / old < self.child_rules.rehash_growth } else { old / new < self.child_rules.rehash_shrink }
    }

    fn end_rehash(&mut self, slot: usize) {
        let table = self.tables[slot];
        self.allocated -= self.array(table.old) + self.classes.class(self.node);
        self.old_buckets -= u64::from(table.old);
        (self.tables[slot].old, self.tables[slot].left) = (0, 0);
        if let Some(at) = self.rehashing.iter().position(|&other| usize::from(other) == slot) {
            self.rehashing.remove(at);
        }
    }

    /// The last key is gone.  Source: `freeDictIfNeeded`.
    fn free(&mut self, slot: usize) {
        if self.tables[slot].old > 0 {
            self.end_rehash(slot);
        }
        let table = self.tables[slot];
        self.allocated -= self.array(table.buckets) + self.classes.class(self.header);
        self.buckets -= u64::from(table.buckets);
        self.count -= 1;
        self.set(slot, SlotTable::default());
    }

    /// Cron's share while no child lives: sixteen slots are looked at, then rehash goes on for `buckets` buckets.
    pub(super) fn cron(&mut self, buckets: u64, now: Now) {
        for _ in 0..SLOTS_PER_CRON {
            let slot = self.cursor;
            self.cursor = (self.cursor + 1) % self.tables.len();
            if self.tables[slot].buckets > 0 {
                self.shrink_if_needed(slot, now);
                if self.cron_expands && self.is_full(self.tables[slot], false) {
                    self.grow(slot, now);
                }
            }
        }
        let mut left = buckets;
        while let Some(&slot) = self.rehashing.front().filter(|_| left > 0) {
            let slot = usize::from(slot);
            let steps = u64::from(self.tables[slot].left).min(left);
            left -= steps;
            self.step(slot, steps as u32, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Allocator, PROFILES};

    const FREELY: Now = Now { child: false, room: u64::MAX };

    fn tables(name: &str) -> SlotTables {
        let profile = Profile::find(name).expect("a release");
        let kvstore = profile.kvstore.expect("tables by slot");
        SlotTables::new(profile, profile.classes(Allocator::System), kvstore.main_table, kvstore.rehashing_node)
    }

    fn hash(slot: u32) -> u32 {
        slot << SLOT_SHIFT
    }

    #[test]
    fn a_key_in_each_of_a_thousand_slots_takes_what_was_measured() {
        // Measured: 1000 keys, each in a slot of its own, cost so much each beyond entry, key, object and value.
        for (name, each) in [("redis-8.0", 2592), ("valkey-8.1", 160), ("valkey-9.1", 160)] {
            let mut tables = tables(name);
            (0..1000).for_each(|slot| tables.insert(hash(slot), 2, FREELY));
            assert_eq!(tables.bytes(), 1000 * each, "{name}");
            (0..1000).for_each(|slot| tables.remove(hash(slot), FREELY));
            assert_eq!((tables.bytes(), tables.nominal()), (0, 0), "{name}: an empty slot has no table");
        }
    }

    #[test]
    fn a_slot_doubles_by_itself_and_cron_ends_its_rehash() {
        let mut tables = tables("redis-8.0");
        (0..4).for_each(|_| tables.insert(hash(7), 2, FREELY));
        assert_eq!(tables.bytes(), 2560 + 32);
        tables.insert(hash(7), 2, FREELY);
        assert_eq!(tables.bytes(), 2560 + 32 + 64 + 32, "both arrays, and a list node of 24 bytes in 32");
        assert_eq!(tables.old_bytes(), 32);
        tables.cron(1000, FREELY);
        assert_eq!((tables.bytes(), tables.old_bytes()), (2560 + 64, 0));
    }

    #[test]
    fn a_child_makes_slots_avoid_growth() {
        let mut tables = tables("redis-8.0");
        let child = Now { child: true, room: u64::MAX };
        (0..16).for_each(|_| tables.insert(hash(7), 2, child));
        assert_eq!(tables.bytes(), 2560 + 32, "four times as many keys as buckets");
        tables.insert(hash(7), 2, child);
        assert!(tables.old_bytes() > 0, "the seventeenth makes it grow");
    }

    #[test]
    fn no_growth_passes_maxmemory_at_a_small_load() {
        let mut tables = tables("redis-8.0");
        let full = Now { child: false, room: 0 };
        (0..6).for_each(|_| tables.insert(hash(7), 2, full));
        assert_eq!(tables.old_bytes(), 0);
        (0..2).for_each(|_| tables.insert(hash(7), 2, full));
        assert!(tables.old_bytes() > 0, "load 1.75");
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        for profile in PROFILES.iter().filter(|profile| profile.kvstore.is_some()) {
            let mut tables = tables(profile.name);
            for round in 0..2 {
                let hashes = || (0..40_000_u32).map(|key| key.wrapping_mul(2_654_435_761));
                hashes().for_each(|hash| tables.insert(hash, 2, FREELY));
                assert!(tables.bytes() >= tables.nominal(), "{} {round}", profile.name);
                tables.cron(5000, FREELY);
                hashes().for_each(|hash| tables.remove(hash, FREELY));
                assert_eq!((tables.bytes(), tables.nominal(), tables.spill), (0, 0, 0), "{}", profile.name);
            }
        }
    }
}
