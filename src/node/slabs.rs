//! The allocator's slabs: which pages hold what, and which are given back.
//!
//! A small class is cut from slabs of a few pages.  A freed region goes to the thread cache, from there to its slab; an
//! allocation takes the region freed last, else one of the current slab, else one of the oldest slab that has room.  A
//! slab whose last region is freed gives its pages to the dirty pool, from which they decay within ten seconds.  So a
//! heap that shrinks keeps every slab in which one region lives: that is fragmentation.
//!
//! This is the exact model: it knows the slab of each region.  Source: jemalloc 5.3 `src/arena.c`, `src/tcache.c`,
//! `src/decay.c`; dynamics specification, sections 5.1 to 5.3.

use super::by_size::{OfSize, of_size};
use std::collections::BTreeSet;

/// Bytes of a page (B).
const PAGE: u64 = 4096;
/// Smallest class that is a run of pages of its own (B).  Source: `SC_LARGE_MINCLASS`.
pub(super) const LARGE: u64 = 16 << 10;
/// Regions of a slab at most.  Source: `SLAB_MAXREGS`.
const MOST_REGIONS: u64 = 512;
/// Regions that a thread caches: twice those of a slab, within these.  Source: `opt_tcache_nslots_small_min` and `_max`.
const CACHE_LEAST: usize = 20;
const CACHE_MOST: usize = 200;
/// Bytes that describe a slab (B).  Source: `edata_t`.
const DESCRIPTOR: u64 = 128;
/// A slab is sparse up to this share of the mean filling, in thousandths.  Source: `defragRealloc` hint, 1.125.
const SPARSE_MILLI: u64 = 1125;
/// Dirty pages are given back within this time (µs).  Source: `dirty_decay_ms`, default 10 s.
const DECAY_US: u64 = 10_000_000;

/// Where a region lies: the number of its slab; 0 for a large allocation, or none.
pub(super) type Place = u32;

/// A slab.
#[derive(Debug, Clone, Copy)]
struct Slab {
    /// Regions given out, the thread cache's included.
    live: u16,
    serial: u32,
}

/// The slabs of one class.
#[derive(Debug)]
struct Class {
    size: u64,
    pages: u64,
    regions: u16,
    cache_limit: usize,
    /// By place, less one.
    slabs: Vec<Slab>,
    /// Places of slabs that are gone, to be used again.
    gone: Vec<Place>,
    /// Slabs with room besides the current one, the oldest first: serial and place.
    with_room: BTreeSet<(u32, Place)>,
    current: Option<Place>,
    /// Places of freed regions, the last freed last.
    cache: Vec<Place>,
    next_serial: u32,
}

impl OfSize for Class {
    fn new(size: u64) -> Class {
        let (pages, regions) = slab_shape(size);
        Class {
            size,
            pages,
            regions: regions as u16,
            cache_limit: (2 * regions as usize).clamp(CACHE_LEAST, CACHE_MOST),
            slabs: Vec::new(),
            gone: Vec::new(),
            with_room: BTreeSet::new(),
            current: None,
            cache: Vec::new(),
            next_serial: 0,
        }
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl Class {
    fn slab(&mut self, place: Place) -> &mut Slab {
        &mut self.slabs[place as usize - 1]
    }

    /// Takes a region from the slabs; `true`: from a new one.
    fn take_region(&mut self) -> (Place, bool) {
        if let Some(place) = self.current
            && self.slab(place).live < self.regions
        {
            self.slab(place).live += 1;
            return (place, false);
        }
        if let Some((_, place)) = self.with_room.pop_first() {
            self.current = Some(place);
            self.slab(place).live += 1;
            return (place, false);
        }
        let slab = Slab { live: 1, serial: self.next_serial };
        self.next_serial += 1;
        let place = match self.gone.pop() {
            Some(place) => {
                *self.slab(place) = slab;
                place
            }
            None => {
                self.slabs.push(slab);
                self.slabs.len() as Place
            }
        };
        self.current = Some(place);
        (place, true)
    }

    /// Allocates; returns the place and how many slabs were made for it.
    fn allocate(&mut self) -> (Place, u64) {
        if let Some(place) = self.cache.pop() {
            return (place, 0);
        }
        let mut made = 0;
        for _ in 0..(self.cache_limit / 2).max(1) {
            let (place, new) = self.take_region();
            made += u64::from(new);
            self.cache.push(place);
        }
        // The first region of the refill is used first.
        self.cache.reverse();
        (self.cache.pop().unwrap_or(0), made)
    }

    /// Frees; returns how many slabs are gone by it.
    fn free(&mut self, place: Place) -> u64 {
        self.cache.push(place);
        if self.cache.len() <= self.cache_limit {
            return 0;
        }
        let oldest: Vec<Place> = self.cache.drain(..self.cache_limit / 2).collect();
        oldest.into_iter().map(|place| u64::from(self.give_back(place))).sum()
    }

    /// Gives a region back to its slab; `true`: the slab is gone.
    fn give_back(&mut self, place: Place) -> bool {
        let regions = self.regions;
        let slab = self.slab(place);
        let was_full = slab.live == regions;
        slab.live -= 1;
        let (empty, serial) = (slab.live == 0, slab.serial);
        if self.current == Some(place) {
            return false;
        }
        if empty {
            self.with_room.remove(&(serial, place));
            self.gone.push(place);
            return true;
        }
        if was_full {
            let current = self.current.map(|current| (current, *self.slab(current)));
            // A full slab that gets a hole and is older than the current one takes its part.
            match current.filter(|(_, slab)| serial < slab.serial) {
                Some((current, slab)) => {
                    if slab.live < regions {
                        self.with_room.insert((slab.serial, current));
                    }
                    self.current = Some(place);
                }
                None => {
                    self.with_room.insert((serial, place));
                }
            }
        }
        false
    }

    /// Regions given out and slabs, of the slabs that have room and are not current.
    fn filling(&self) -> (u64, u64) {
        let live = self.with_room.iter().map(|&(_, place)| u64::from(self.slabs[place as usize - 1].live));
        (live.sum(), self.with_room.len() as u64)
    }

    /// Whether a region is worth moving: its slab is not current, not full, and hardly fuller than the mean of its kind.
    fn is_sparse(&self, place: Place, (live, slabs): (u64, u64)) -> bool {
        let slab = self.slabs[place as usize - 1];
        let full = slab.live == self.regions;
        self.current != Some(place) && !full && u64::from(slab.live) * slabs * 1000 <= live * SPARSE_MILLI
    }

    /// Bytes of its free places: in the current slab and in those with room (B).
    fn free_bytes(&self) -> u64 {
        let open = self.with_room.iter().map(|&(_, place)| place).chain(self.current);
        open.map(|place| u64::from(self.regions - self.slabs[place as usize - 1].live)).sum::<u64>() * self.size
    }

    /// Slabs that hold something, or are current.
    fn alive(&self) -> u64 {
        (self.slabs.len() - self.gone.len()) as u64
    }
}

/// Pages of a slab of a class, and regions in it: the fewest pages that the class divides.
pub(super) fn slab_shape(size: u64) -> (u64, u64) {
    let fits = |pages: &u64| (pages * PAGE).is_multiple_of(size);
    let pages = (1..=7).find(fits).unwrap_or(1);
    (pages, (pages * PAGE / size).min(MOST_REGIONS))
}

/// Pages freed at one time.
#[derive(Debug, Clone, Copy)]
struct Freed {
    at_us: u64,
    pages: u64,
}

/// Large allocations beside the keys': blocks of buffers, each a run of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Runs {
    /// Bytes of their classes (B).
    pub(super) bytes: u64,
    /// How many.
    pub(super) count: u64,
}

impl Runs {
    /// Adds allocations of `bytes` in all; those of a small class are none.
    pub(super) fn add(&mut self, bytes: u64, count: u64) {
        if bytes >= LARGE * count {
            self.bytes += bytes;
            self.count += count;
        }
    }

    fn pages(self, cache_oblivious: bool) -> u64 {
        self.bytes / PAGE + if cache_oblivious { self.count } else { 0 }
    }
}

/// Everything that the allocator holds for the keys.
#[derive(Debug, Default)]
pub(super) struct Slabs {
    /// By rising size.
    classes: Vec<Class>,
    /// Pages of large allocations.
    large_pages: u64,
    /// Pages of small slabs.
    slab_pages: u64,
    /// What buffers have of the same pool.
    runs: Runs,
    /// Pages that hold nothing and are still resident.
    dirty: u64,
    freed: Vec<Freed>,
    now_us: u64,
    /// The most slabs there were.
    most_slabs: u64,
    /// Large allocations take a page more each.
    cache_oblivious: bool,
}

impl Slabs {
    pub(super) fn new(cache_oblivious: bool) -> Slabs {
        Slabs { cache_oblivious, ..Slabs::default() }
    }

    fn class(&mut self, size: u64) -> &mut Class {
        of_size(&mut self.classes, size)
    }

    fn large(&self, size: u64) -> u64 {
        size / PAGE + u64::from(self.cache_oblivious)
    }

    /// Takes pages, those that are dirty first.
    fn take_pages(&mut self, pages: u64) {
        self.dirty -= pages.min(self.dirty);
    }

    fn give_pages(&mut self, pages: u64) {
        self.dirty += pages;
        match self.freed.last_mut() {
            Some(last) if last.at_us == self.now_us => last.pages += pages,
            _ => self.freed.push(Freed { at_us: self.now_us, pages }),
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
            self.take_pages(pages);
            return 0;
        }
        let class = self.class(size);
        let (place, made) = class.allocate();
        if made > 0 {
            let pages = made * class.pages;
            self.slab_pages += pages;
            self.take_pages(pages);
            self.most_slabs = self.most_slabs.max(self.classes.iter().map(Class::alive).sum());
        }
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
            self.give_pages(pages);
            return;
        }
        let class = self.class(size);
        let gone = class.free(place);
        if gone > 0 {
            let pages = gone * class.pages;
            self.slab_pages -= pages;
            self.give_pages(pages);
        }
    }

    /// Time passes: dirty pages decay along a smoothstep curve.
    pub(super) fn tick(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.freed.retain(|freed| now_us.saturating_sub(freed.at_us) < DECAY_US);
        let limit: f64 = self.freed.iter().map(|f| f.pages as f64 * still_held(now_us.saturating_sub(f.at_us))).sum();
        self.dirty = self.dirty.min(limit as u64);
    }

    /// Every region was freed, and every page given back; buffers stay.
    pub(super) fn clear(&mut self) {
        let (now_us, most_slabs, runs) = (self.now_us, self.most_slabs, self.runs);
        *self = Slabs { now_us, most_slabs, runs, ..Slabs::new(self.cache_oblivious) };
    }

    /// Buffers have so many runs now: what they have more comes from the pool, what they have less goes to it.
    pub(super) fn set_runs(&mut self, runs: Runs) {
        let (before, after) = (self.runs.pages(self.cache_oblivious), runs.pages(self.cache_oblivious));
        self.runs = runs;
        if after > before {
            self.take_pages(after - before);
        } else if before > after {
            self.give_pages(before - after);
        }
    }

    /// Bytes that buffers asked for in runs, and bytes of the pages of those runs (B).
    pub(super) fn runs(&self) -> (u64, u64) {
        (self.runs.bytes, self.runs.pages(self.cache_oblivious) * PAGE)
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
        let (to, new) = class.take_region();
        let gone = class.give_back(place);
        let pages = class.pages;
        if new {
            self.slab_pages += pages;
            self.take_pages(pages);
        }
        if gone {
            self.slab_pages -= pages;
            self.give_pages(pages);
        }
        Some(to)
    }

    /// `MEMORY PURGE`: dirty pages go back at once.
    pub(super) fn purge(&mut self) {
        self.dirty = 0;
        self.freed.clear();
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
        self.dirty * PAGE
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

/// Share of dirty pages that is still held after a time.  Source: `smoothstep`, 1 − (6x⁵ − 15x⁴ + 10x³).
fn still_held(age_us: u64) -> f64 {
    let x = (age_us as f64 / DECAY_US as f64).clamp(0.0, 1.0);
    1.0 - x * x * x * (x * (6.0 * x - 15.0) + 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn slabs_have_the_documented_shapes() {
        for (size, pages, regions) in
            [(8, 1, 512), (16, 1, 256), (24, 3, 512), (32, 1, 128), (48, 3, 256), (224, 7, 128), (14336, 7, 2)]
        {
            assert_eq!(slab_shape(size), (pages, regions), "{size}");
        }
    }

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

    #[test]
    fn dirty_pages_decay_within_ten_seconds_or_are_purged() {
        let mut slabs = Slabs::new(true);
        slabs.allocate(1 << 20);
        slabs.free(1 << 20, 0);
        assert_eq!(slabs.dirty_bytes(), (256 + 1) * PAGE);
        slabs.tick(5_000_000);
        assert_eq!(slabs.dirty_bytes(), 257 / 2 * PAGE);
        slabs.tick(10_000_000);
        assert_eq!(slabs.dirty_bytes(), 0);
        slabs.allocate(1 << 20);
        slabs.free(1 << 20, 0);
        slabs.purge();
        assert_eq!(slabs.dirty_bytes(), 0);
    }

    #[test]
    fn runs_of_buffers_take_a_page_more_each_and_are_dirty_when_they_are_freed() {
        for (cache_oblivious, more) in [(true, 100 * PAGE), (false, 0)] {
            let mut slabs = Slabs::new(cache_oblivious);
            let mut runs = Runs::default();
            runs.add(100 * 20_480, 100);
            // A small class has slabs, not runs.
            runs.add(4096, 1);
            slabs.set_runs(runs);
            assert_eq!(slabs.runs(), (100 * 20_480, 100 * 20_480 + more));
            slabs.tick(1_000_000);
            slabs.set_runs(Runs::default());
            assert_eq!((slabs.runs(), slabs.dirty_bytes()), ((0, 0), 100 * 20_480 + more));
            // The keys take these pages first.
            slabs.allocate(1 << 20);
            assert_eq!(slabs.dirty_bytes(), 100 * 20_480 + more - slabs.active_bytes());
            slabs.tick(11_000_000);
            assert_eq!(slabs.dirty_bytes(), 0);
        }
    }

    /// The oracle: every slab as a list of regions, scanned.
    #[derive(Default)]
    struct Literal {
        /// Serial and free regions, by age.
        slabs: Vec<(u32, u16)>,
        current: Option<u32>,
        cache: Vec<u32>,
        serial: u32,
    }

    impl Literal {
        const REGIONS: u16 = 128;

        fn allocate(&mut self) -> u32 {
            if let Some(serial) = self.cache.pop() {
                return serial;
            }
            let mut taken = Vec::new();
            for _ in 0..100 {
                let has_room = |s: &(u32, u16)| s.1 > 0;
                let found = self.slabs.iter().position(|s| Some(s.0) == self.current && s.1 > 0);
                let found = found.or_else(|| self.slabs.iter().position(|s| Some(s.0) != self.current && has_room(s)));
                let at = found.unwrap_or_else(|| {
                    self.slabs.push((self.serial, Self::REGIONS));
                    self.serial += 1;
                    self.slabs.len() - 1
                });
                self.slabs[at].1 -= 1;
                self.current = Some(self.slabs[at].0);
                taken.push(self.slabs[at].0);
            }
            self.cache.extend(taken.into_iter().rev());
            self.cache.pop().expect("refilled")
        }

        fn free(&mut self, serial: u32) {
            self.cache.push(serial);
            if self.cache.len() <= 200 {
                return;
            }
            for serial in self.cache.drain(..100) {
                let at = self.slabs.iter().position(|s| s.0 == serial).expect("alive");
                self.slabs[at].1 += 1;
                if self.current == Some(serial) {
                    continue;
                }
                if self.slabs[at].1 == Self::REGIONS {
                    self.slabs.remove(at);
                } else if self.slabs[at].1 == 1 && self.current.is_some_and(|current| serial < current) {
                    self.current = Some(serial);
                }
            }
        }
    }

    #[test]
    fn places_agree_with_a_literal_list_of_slabs() {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(3);
        let (mut slabs, mut literal) = (Slabs::new(false), Literal::default());
        let mut held: Vec<(Place, u32)> = Vec::new();
        for step in 0..60_000 {
            // Grows, shrinks, grows again.
            let grows = rng.random::<f64>() < if (20_000..40_000).contains(&step) { 0.3 } else { 0.7 };
            if grows || held.is_empty() {
                held.push((slabs.allocate(32), literal.allocate()));
            } else {
                let (place, serial) = held.swap_remove(rng.random_range(0..held.len()));
                slabs.free(32, place);
                literal.free(serial);
            }
            assert_eq!(slabs.slab_pages, literal.slabs.len() as u64, "step {step}");
        }
    }
}
