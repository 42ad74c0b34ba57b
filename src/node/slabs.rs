//! The allocator's slabs: which pages hold what, and which are given back.
//!
//! A small class is cut from slabs of a few pages.  A freed region goes to the thread cache, from there to its slab; an
//! allocation takes the region freed last, else one of the current slab, else one of the lowest slab that has room.  A
//! slab whose last region is freed gives its pages back (see `extents`), from where they decay (see `decay`).  So a
//! heap that shrinks keeps every slab in which one region lives: that is fragmentation.
//!
//! This is the exact model: it knows the slab of each region.  The slabs of one class are in `slab_class`.  Source: jemalloc
//! 5.3 `src/arena.c`, `src/bin.c`, `src/tcache.c`; dynamics specification, sections 5.1 to 5.3.

use super::by_size::of_size;
use super::decay::Decay;
use super::extents::Extents;
use super::runs::{Placed, Runs};
use super::slab_class::{Class, bin_size};
pub(super) use super::slab_class::{Place, slab_shape};
use std::collections::VecDeque;

/// Bytes of a page (B).
pub(super) const PAGE: u64 = 4096;
/// Smallest class that is a run of pages of its own (B).  Source: `SC_LARGE_MINCLASS`.
pub(super) const LARGE: u64 = 16 << 10;
/// Bytes that describe a slab (B).  Source: `edata_t`.
const DESCRIPTOR: u64 = 128;
/// Calls into the arena, on the average, after which a thread looks at the clock.  Source: `ARENA_DECAY_NTICKS_PER_UPDATE`.
const LOOKS_EVERY: u64 = 1000;
/// The thread cache looks at one class after each so many bytes allocated, and freed (B).  Source: `opt_tcache_gc_incr_bytes`.
const LOOK_AFTER_BYTES: u64 = 64 << 10;
/// Classes that it looks at in turn: those of quantum 8, and large ones up to 32 KiB.  Source: `nhbins`.
const CACHED_CLASSES: usize = 44;
/// Classes that quantum 16 does not have (B).
const FINE: [u64; 3] = [24, 40, 56];
/// What a command that writes a key allocates and frees again (B): its arguments' array, its name and the key, as objects.
/// *assumed*: keys of up to 28 bytes, and one command for each key written or gone; others are not counted.
const COMMAND_BYTES: u64 = 96;

/// Everything that the allocator holds for the keys.
#[derive(Debug)]
pub(super) struct Slabs {
    /// By rising size.
    classes: Vec<Class>,
    /// Pages of large allocations.
    large_pages: u64,
    /// Pages of small slabs.
    slab_pages: u64,
    /// What buffers have of the same pool.
    placed: Placed,
    /// Bucket arrays of 16 KiB or more, the oldest first: bytes and place.
    arrays: VecDeque<(u64, Place)>,
    extents: Extents,
    decay: Decay,
    /// Pages that lie before everything else, counted elsewhere.
    reserved: u64,
    /// Bytes allocated, and freed, since the thread cache looked at a class (B).
    moved_bytes: [u64; 2],
    /// The class that it looks at next.
    next_look: usize,
    /// Calls into the arena since the thread looked at the clock.
    calls: u64,
    now_us: u64,
    /// The most slabs there were.
    most_slabs: u64,
    /// Large allocations take a page more each.
    cache_oblivious: bool,
    /// Classes are those of quantum 16.
    coarse: bool,
}

impl Slabs {
    pub(super) fn new(cache_oblivious: bool) -> Slabs {
        Slabs {
            classes: Vec::new(),
            large_pages: 0,
            slab_pages: 0,
            placed: Placed::default(),
            arrays: VecDeque::new(),
            extents: Extents::new(u64::from(cache_oblivious)),
            decay: Decay::default(),
            reserved: 0,
            moved_bytes: [0; 2],
            next_look: 0,
            calls: 0,
            now_us: 0,
            most_slabs: 0,
            cache_oblivious,
            coarse: false,
        }
    }

    /// The same with the classes of quantum 16.
    pub(super) fn coarse(self) -> Slabs {
        Slabs { coarse: true, ..self }
    }

    /// What is not followed here, and lies before everything else (B).  *assumed*: one run, which stays.
    pub(super) fn reserve(&mut self, bytes: u64) {
        self.reserved = bytes.div_ceil(PAGE);
        self.extents.allocate(self.reserved);
    }

    fn large(&self, size: u64) -> u64 {
        size / PAGE + u64::from(self.cache_oblivious)
    }

    /// Counts calls into the arena.
    fn count_calls(&mut self, calls: u64) {
        self.calls += calls;
        if self.calls >= LOOKS_EVERY {
            self.calls %= LOOKS_EVERY;
            self.decay.look(self.now_us, self.extents.dirty_pages());
        }
    }

    /// Allocates a region of a class (B); 0 bytes are none.
    pub(super) fn allocate(&mut self, size: u64) -> Place {
        if size == 0 {
            return 0;
        }
        if size >= LARGE {
            let pages = self.large(size);
            self.large_pages += pages;
            self.count_calls(1);
            self.count_bytes(0, size);
            return self.extents.allocate(pages);
        }
        let class = of_size(&mut self.classes, size);
        let place = match class.pop() {
            Some(place) => place,
            None => {
                let (place, made) = class.refill(&mut self.extents);
                if made > 0 {
                    self.slab_pages += made * class.pages;
                    self.most_slabs = self.most_slabs.max(self.classes.iter().map(Class::alive).sum());
                }
                self.count_calls(1);
                place
            }
        };
        self.count_bytes(0, size);
        place
    }

    /// Frees a region.
    pub(super) fn free(&mut self, size: u64, place: Place) {
        if size == 0 {
            return;
        }
        if size >= LARGE {
            let pages = self.large(size);
            self.large_pages -= pages;
            self.extents.free(place, pages);
            self.count_calls(1);
            return self.count_bytes(1, size);
        }
        let class = of_size(&mut self.classes, size);
        if class.push(place) {
            let count = class.cache_limit / 2;
            self.flush(size, count);
        }
        self.count_bytes(1, size);
    }

    /// The oldest regions of a thread cache go back to their slabs.
    fn flush(&mut self, size: u64, count: usize) {
        let class = of_size(&mut self.classes, size);
        let (gone, pages) = (class.flush(count), class.pages);
        self.slab_pages -= gone.len() as u64 * pages;
        gone.into_iter().for_each(|first| self.extents.free(first, pages));
        self.count_calls(count as u64);
    }

    /// Counts bytes allocated (0) or freed (1).
    #[inline]
    fn count_bytes(&mut self, which: usize, bytes: u64) {
        self.moved_bytes[which] += bytes;
        if self.moved_bytes[which] >= LOOK_AFTER_BYTES {
            self.moved_bytes[which] %= LOOK_AFTER_BYTES;
            self.look_at_cache();
        }
    }

    /// A command wrote a key, or a key went.
    #[inline]
    pub(super) fn note_command(&mut self) {
        self.count_bytes(0, COMMAND_BYTES);
        self.count_bytes(1, COMMAND_BYTES);
    }

    /// The thread cache looks at the next class.  Source: `tcache_gc_event`.
    #[inline(never)]
    fn look_at_cache(&mut self) {
        let mut size = bin_size(self.next_look);
        self.next_look = (self.next_look + 1) % CACHED_CLASSES;
        while self.coarse && FINE.contains(&size) {
            size = bin_size(self.next_look);
            self.next_look += 1;
        }
        let Ok(at) = self.classes.binary_search_by_key(&size, |class| class.size) else { return };
        let unused = self.classes[at].unused();
        if unused > 0 {
            self.flush(size, unused);
        }
    }

    /// A bucket array of 16 KiB or more was made.
    pub(super) fn allocate_array(&mut self, bytes: u64) {
        let place = self.allocate(bytes);
        self.arrays.push_back((bytes, place));
    }

    /// The oldest bucket array of a size was freed.  *assumed*: of two tables' arrays of one size the older goes first.
    pub(super) fn free_array(&mut self, bytes: u64) {
        if let Some(at) = self.arrays.iter().position(|&(other, _)| other == bytes)
            && let Some((_, place)) = self.arrays.remove(at)
        {
            self.free(bytes, place);
        }
    }

    /// Time passes: dirty pages decay.
    pub(super) fn tick(&mut self, now_us: u64) {
        self.now_us = now_us;
        if let Some(limit) = self.decay.work(now_us, self.extents.dirty_pages()) {
            self.extents.decay_to(limit);
            self.decay.sleep(now_us, self.extents.dirty_pages());
        }
    }

    /// Every region was freed, and every page given back; buffers stay, in new places.
    pub(super) fn clear(&mut self) {
        let (now_us, most_slabs, reserved, runs) = (self.now_us, self.most_slabs, self.reserved, self.placed.runs());
        *self = Slabs { now_us, most_slabs, coarse: self.coarse, ..Slabs::new(self.cache_oblivious) };
        self.reserve(reserved * PAGE);
        self.set_runs(&runs);
    }

    /// Buffers have so many runs now: what they have less is freed, the oldest first, what they have more is allocated.
    pub(super) fn set_runs(&mut self, runs: &Runs) {
        let pad = u64::from(self.cache_oblivious);
        for (class, count) in self.placed.fewer(runs) {
            for first in self.placed.take_oldest(class, count) {
                self.extents.free(first, class / PAGE + pad);
                self.count_calls(1);
            }
        }
        for (class, count) in self.placed.more(runs) {
            for _ in 0..count {
                self.placed.push(class, self.extents.allocate(class / PAGE + pad));
                self.count_calls(1);
            }
        }
    }

    /// Bytes that buffers asked for in runs, and bytes of the pages of those runs (B).
    pub(super) fn runs(&self) -> (u64, u64) {
        let (bytes, count) = self.placed.total();
        (bytes, bytes + if self.cache_oblivious { count * PAGE } else { 0 })
    }

    /// How full the slabs of each class are, for [`Slabs::defrag`].
    pub(super) fn fillings(&self) -> Vec<(u64, u64)> {
        self.classes.iter().map(Class::filling).collect()
    }

    /// Moves a region out of a sparse slab, past the thread cache; `None` where it may stay.
    pub(super) fn defrag(&mut self, size: u64, place: Place, fillings: &[(u64, u64)]) -> Option<Place> {
        let at = self.classes.binary_search_by_key(&size, |class| class.size).ok()?;
        let filling = fillings.get(at).copied()?;
        let class = &mut self.classes[at];
        if place == 0 || !class.is_sparse(place, filling) {
            return None;
        }
        let (to, new) = class.take_region(&mut self.extents);
        let gone = class.give_back(place);
        let pages = class.pages;
        if new {
            self.slab_pages += pages;
        }
        if let Some(first) = gone {
            self.slab_pages -= pages;
            self.extents.free(first, pages);
        }
        self.count_calls(2);
        Some(to)
    }

    /// `MEMORY PURGE`: dirty pages go back at once.
    pub(super) fn purge(&mut self) {
        self.extents.decay_to(0);
    }

    /// Bytes that thread caches hold (B).
    pub(super) fn cached_bytes(&self) -> u64 {
        self.classes.iter().map(|class| class.cache.len() as u64 * class.size).sum()
    }

    /// Bytes of free places in slabs; what a thread cache holds is not free (B).
    pub(super) fn free_places_bytes(&self) -> u64 {
        self.classes.iter().map(Class::free_bytes).sum()
    }

    /// Bytes of pages in use (B).
    pub(super) fn active_bytes(&self) -> u64 {
        (self.slab_pages + self.large_pages) * PAGE
    }

    /// Bytes of dirty pages (B).
    pub(super) fn dirty_bytes(&self) -> u64 {
        self.extents.dirty_pages() * PAGE
    }

    /// Bytes that describe slabs (B).
    pub(super) fn metadata_bytes(&self) -> u64 {
        self.most_slabs * DESCRIPTOR
    }

    /// Bytes of the slabs of each small class: class and bytes (B).
    pub(super) fn resident_by_class(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.classes.iter().map(|class| (class.size, class.alive() * class.pages * PAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn a_random_half_deleted_keeps_every_slab_and_a_sequential_one_frees_half() {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        for random in [true, false] {
            let mut slabs = Slabs::new(false);
            let mut places: Vec<Place> = (0..100_000).map(|_| slabs.allocate(224)).collect();
            let full = slabs.active_bytes();
            if random {
                for i in 0..places.len() {
                    let other = rng.random_range(i..places.len());
                    places.swap(i, other);
                }
            }
            places.drain(..50_000).for_each(|place| slabs.free(224, place));
            let share = slabs.active_bytes() as f64 / full as f64;
            assert!(if random { share > 0.99 } else { (0.49..0.52).contains(&share) }, "{random}: {share}");
            // What is allocated next fills the holes.
            (0..49_000).for_each(|_| {
                slabs.allocate(224);
            });
            assert!(slabs.active_bytes() <= full + 8 * PAGE, "{random}");
        }
    }

    /// Lets time pass in steps of cron.
    fn pass(slabs: &mut Slabs, from_us: u64, to_us: u64) {
        (from_us..=to_us).step_by(100_000).for_each(|now_us| slabs.tick(now_us));
    }

    #[test]
    fn dirty_pages_decay_or_are_purged_and_huge_ones_go_at_once() {
        let mut slabs = Slabs::new(true);
        let place = slabs.allocate(1 << 20);
        slabs.free(1 << 20, place);
        assert_eq!(slabs.dirty_bytes(), (256 + 1) * PAGE);
        // A few pages wait for the thread that sleeps for ten seconds, and then decay.
        pass(&mut slabs, 0, 9_000_000);
        assert_eq!(slabs.dirty_bytes(), 257 * PAGE);
        pass(&mut slabs, 9_000_000, 31_000_000);
        assert_eq!(slabs.dirty_bytes(), 0);
        let place = slabs.allocate(1 << 20);
        slabs.free(1 << 20, place);
        slabs.purge();
        assert_eq!(slabs.dirty_bytes(), 0);
        let place = slabs.allocate(8 << 20);
        assert_eq!((place, slabs.active_bytes()), (0, (8 << 20) + PAGE));
        slabs.free(8 << 20, place);
        assert_eq!((slabs.dirty_bytes(), slabs.active_bytes()), (0, 0));
    }

    #[test]
    fn runs_of_buffers_take_a_page_more_each_and_are_dirty_when_they_are_freed() {
        for (cache_oblivious, more) in [(true, 100 * PAGE), (false, 0)] {
            let mut slabs = Slabs::new(cache_oblivious);
            let mut runs = Runs::default();
            runs.add(20_480, 100);
            // A small class has slabs, not runs.
            runs.add(4096, 1);
            slabs.set_runs(&runs);
            assert_eq!(slabs.runs(), (100 * 20_480, 100 * 20_480 + more));
            slabs.tick(1_000_000);
            slabs.set_runs(&Runs::default());
            assert_eq!((slabs.runs(), slabs.dirty_bytes()), ((0, 0), 100 * 20_480 + more));
            // The keys take these pages first.
            slabs.allocate(1 << 20);
            assert_eq!(slabs.dirty_bytes(), 100 * 20_480 + more - slabs.active_bytes());
            pass(&mut slabs, 1_000_000, 31_000_000);
            assert_eq!(slabs.dirty_bytes(), 0);
        }
    }

    #[test]
    fn arrays_are_freed_by_size() {
        let mut slabs = Slabs::new(false);
        slabs.allocate_array(1 << 20);
        slabs.allocate_array(2 << 20);
        slabs.free_array(1 << 20);
        assert_eq!((slabs.active_bytes(), slabs.dirty_bytes()), (2 << 20, 1 << 20));
    }

    /// The oracle: every slab of one page as its number and free regions, in a list that is scanned.
    #[derive(Default)]
    struct Literal {
        /// By rising number.
        slabs: Vec<(u32, u16)>,
        current: Option<u32>,
        cache: Vec<u32>,
        /// Pages that slabs left.
        left: Vec<u32>,
        pages: u32,
        /// Bytes allocated, and freed.
        bytes: [u64; 2],
        looks: u64,
        low_water: usize,
        refilled: bool,
        halvings: u32,
    }

    impl Literal {
        const REGIONS: u16 = 128;

        /// A new slab takes the lowest page that was left, else one more.
        fn make(&mut self) -> usize {
            let lowest = (0..self.left.len()).min_by_key(|&at| self.left[at]);
            let page = lowest.map(|at| self.left.remove(at)).unwrap_or_else(|| {
                self.pages += 1;
                self.pages
            });
            let at = self.slabs.iter().take_while(|slab| slab.0 < page).count();
            self.slabs.insert(at, (page, Self::REGIONS));
            at
        }

        /// Each 64 KiB one of 44 classes is looked at; this one is the fourth.
        fn count(&mut self, which: usize) {
            self.bytes[which] += 32;
            if !self.bytes[which].is_multiple_of(65_536) {
                return;
            }
            self.looks += 1;
            if self.looks % 44 != 4 {
                return;
            }
            let unused = self.low_water - self.low_water / 4;
            if unused > 0 {
                self.halvings = (self.halvings + 1).min(7);
                self.give_back(unused);
            } else if std::mem::take(&mut self.refilled) {
                self.halvings = (self.halvings - 1).max(1);
            }
            self.low_water = self.cache.len();
        }

        fn allocate(&mut self) -> u32 {
            let page = self.take();
            self.low_water = self.low_water.min(self.cache.len());
            self.count(0);
            page
        }

        fn take(&mut self) -> u32 {
            if let Some(page) = self.cache.pop() {
                return page;
            }
            (self.refilled, self.low_water) = (true, 0);
            let mut taken = Vec::new();
            for _ in 0..200 >> self.halvings {
                let found = self.slabs.iter().position(|s| Some(s.0) == self.current && s.1 > 0);
                let found = found.or_else(|| self.slabs.iter().position(|s| s.1 > 0));
                let at = found.unwrap_or_else(|| self.make());
                self.slabs[at].1 -= 1;
                self.current = Some(self.slabs[at].0);
                taken.push(self.slabs[at].0);
            }
            self.cache.extend(taken.into_iter().rev());
            self.cache.pop().expect("refilled")
        }

        fn free(&mut self, page: u32) {
            self.cache.push(page);
            if self.cache.len() > 200 {
                self.give_back(100);
            }
            self.count(1);
        }

        fn give_back(&mut self, count: usize) {
            let oldest: Vec<u32> = self.cache.drain(..count).collect();
            self.low_water = self.low_water.min(self.cache.len());
            let mut left = Vec::new();
            for page in oldest {
                let at = self.slabs.iter().position(|s| s.0 == page).expect("alive");
                self.slabs[at].1 += 1;
                if self.slabs[at].1 == Self::REGIONS {
                    self.slabs.remove(at);
                    self.current = self.current.filter(|&current| current != page);
                    left.push(page);
                } else if self.slabs[at].1 == 1 && self.current.is_some_and(|current| page < current) {
                    self.current = Some(page);
                }
            }
            self.left.extend(left);
        }
    }

    #[test]
    fn places_agree_with_a_literal_list_of_slabs() {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(3);
        let (mut slabs, mut literal) = (Slabs::new(false), Literal { halvings: 1, ..Literal::default() });
        let mut held: Vec<(Place, u32)> = Vec::new();
        for step in 0..300_000 {
            // Grows, shrinks, grows again.
            let grows = rng.random::<f64>() < if (100_000..200_000).contains(&step) { 0.3 } else { 0.7 };
            if grows || held.is_empty() {
                held.push((slabs.allocate(32), literal.allocate()));
            } else {
                let (place, page) = held.swap_remove(rng.random_range(0..held.len()));
                slabs.free(32, place);
                literal.free(page);
            }
            assert_eq!(slabs.slab_pages, literal.slabs.len() as u64, "step {step}");
        }
    }
}
