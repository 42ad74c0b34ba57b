//! The slabs of one size class, and the thread cache before them.
//!
//! Source: jemalloc 5.3 `src/arena.c`, `src/bin.c`, `src/tcache.c`.

use super::by_size::OfSize;
use super::extents::{Extents, Page};
use super::slabs::PAGE;
use std::collections::BTreeSet;

/// Regions of a slab at most.  Source: `SLAB_MAXREGS`.
const MOST_REGIONS: u64 = 512;
/// Regions that a thread caches: twice those of a slab, within these.  Source: `opt_tcache_nslots_small_min` and `_max`.
const CACHE_LEAST: usize = 20;
const CACHE_MOST: usize = 200;
/// A slab is sparse up to this share of the mean filling, in thousandths.  Source: `defragRealloc` hint, 1.125.
const SPARSE_MILLI: u64 = 1125;

/// Where a region lies: the number of its slab; the first page of a large allocation; 0 for none.
pub(super) type Place = u32;

/// A slab.
#[derive(Debug, Clone, Copy)]
struct Slab {
    /// Regions given out, the thread cache's included.
    live: u16,
    first: Page,
}

/// The slabs of one class.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) size: u64,
    /// Pages of a slab.
    pub(super) pages: u64,
    regions: u16,
    pub(super) cache_limit: usize,
    /// By place, less one.
    slabs: Vec<Slab>,
    /// Places of slabs that are gone, to be used again.
    gone: Vec<Place>,
    /// Slabs with room besides the current one, the lowest first: first page and place.
    with_room: BTreeSet<(Page, Place)>,
    current: Option<Place>,
    /// Places of freed regions, the last freed last.
    pub(super) cache: Vec<Place>,
    /// The fewest that were cached since the cache was looked at.
    low_water: usize,
    /// It was refilled since.
    refilled: bool,
    /// A refill takes the limit, halved so often.  Source: `lg_fill_div`.
    fill_halvings: u32,
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
            low_water: 0,
            refilled: false,
            fill_halvings: 1,
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
    pub(super) fn take_region(&mut self, extents: &mut Extents) -> (Place, bool) {
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
        let slab = Slab { live: 1, first: extents.allocate(self.pages) };
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

    /// Fills the thread cache and takes the first region; returns the place and how many slabs were made for it.
    pub(super) fn refill(&mut self, extents: &mut Extents) -> (Place, u64) {
        let mut made = 0;
        (self.low_water, self.refilled) = (0, true);
        for _ in 0..(self.cache_limit >> self.fill_halvings).max(1) {
            let (place, new) = self.take_region(extents);
            made += u64::from(new);
            self.cache.push(place);
        }
        // The first region of the refill is used first.
        self.cache.reverse();
        (self.cache.pop().unwrap_or(0), made)
    }

    /// Takes a region from the thread cache.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Place> {
        let place = self.cache.pop();
        self.low_water = self.low_water.min(self.cache.len());
        place
    }

    /// Puts a region into the thread cache; `true`: it is over its limit.
    #[inline]
    pub(super) fn push(&mut self, place: Place) -> bool {
        self.cache.push(place);
        self.cache.len() > self.cache_limit
    }

    /// How many cached regions go because nobody wanted them since the cache was looked at: three quarters of those.  Refills
    /// are halved then, and doubled again when there was one since.  Source: `tcache_gc_event`, `tcache_gc_small`.
    pub(super) fn unused(&mut self) -> usize {
        let unused = self.low_water - (self.low_water >> 2);
        if unused > 0 {
            self.fill_halvings += u32::from(self.cache_limit >> (self.fill_halvings + 1) > 0);
        } else if self.refilled {
            self.fill_halvings = self.fill_halvings.saturating_sub(1).max(1);
            self.refilled = false;
        }
        self.low_water = self.cache.len() - unused;
        unused
    }

    /// The oldest regions leave the thread cache; returns the first pages of slabs that are gone by it.
    pub(super) fn flush(&mut self, count: usize) -> Vec<Page> {
        let oldest: Vec<Place> = self.cache.drain(..count).collect();
        self.low_water = self.low_water.min(self.cache.len());
        oldest.into_iter().filter_map(|place| self.give_back(place)).collect()
    }

    /// Gives a region back to its slab; the slab's first page when it is gone.  Source: `arena_dalloc_bin_locked_step`.
    pub(super) fn give_back(&mut self, place: Place) -> Option<Page> {
        let regions = self.regions;
        let slab = self.slab(place);
        let was_full = slab.live == regions;
        slab.live -= 1;
        let (empty, first) = (slab.live == 0, slab.first);
        let is_current = self.current == Some(place);
        if empty {
            if is_current {
                self.current = None;
            } else {
                self.with_room.remove(&(first, place));
            }
            self.gone.push(place);
            return Some(first);
        }
        if was_full && !is_current {
            let current = self.current.map(|current| (current, *self.slab(current)));
            // A full slab that gets a hole and lies before the current one takes its part.
            match current.filter(|(_, slab)| first < slab.first) {
                Some((current, slab)) => {
                    if slab.live < regions {
                        self.with_room.insert((slab.first, current));
                    }
                    self.current = Some(place);
                }
                None => {
                    self.with_room.insert((first, place));
                }
            }
        }
        None
    }

    /// Regions given out and slabs, of the slabs that have room and are not current.
    pub(super) fn filling(&self) -> (u64, u64) {
        let live = self.with_room.iter().map(|&(_, place)| u64::from(self.slabs[place as usize - 1].live));
        (live.sum(), self.with_room.len() as u64)
    }

    /// Whether a region is worth moving: its slab is not current, not full, and hardly fuller than the mean of its kind.
    pub(super) fn is_sparse(&self, place: Place, (live, slabs): (u64, u64)) -> bool {
        let slab = self.slabs[place as usize - 1];
        let full = slab.live == self.regions;
        self.current != Some(place) && !full && u64::from(slab.live) * slabs * 1000 <= live * SPARSE_MILLI
    }

    /// Bytes of its free places: in the current slab and in those with room (B).
    pub(super) fn free_bytes(&self) -> u64 {
        let open = self.with_room.iter().map(|&(_, place)| place).chain(self.current);
        open.map(|place| u64::from(self.regions - self.slabs[place as usize - 1].live)).sum::<u64>() * self.size
    }

    /// Slabs that hold something, or are current.
    pub(super) fn alive(&self) -> u64 {
        (self.slabs.len() - self.gone.len()) as u64
    }
}

/// Pages of a slab of a class, and regions in it: the fewest pages that the class divides.
pub(super) fn slab_shape(size: u64) -> (u64, u64) {
    let fits = |pages: &u64| (pages * PAGE).is_multiple_of(size);
    let pages = (1..=7).find(fits).unwrap_or(1);
    (pages, (pages * PAGE / size).min(MOST_REGIONS))
}

/// Size of the class of an index (B), quantum 8.  Source: `sz_index2size`.
pub(super) fn bin_size(index: usize) -> u64 {
    let index = index as u64;
    if index < 8 {
        return 8 * (index + 1);
    }
    let (doubling, step) = ((index - 8) / 4, (index - 8) % 4 + 1);
    (64 << doubling) + step * (16 << doubling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_have_the_documented_shapes() {
        for (size, pages, regions) in
            [(8, 1, 512), (16, 1, 256), (24, 3, 512), (32, 1, 128), (48, 3, 256), (224, 7, 128), (14336, 7, 2)]
        {
            assert_eq!(slab_shape(size), (pages, regions), "{size}");
        }
    }

    #[test]
    fn classes_stand_in_their_order() {
        let sizes: Vec<u64> = (0..14).map(bin_size).collect();
        assert_eq!(sizes, [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192]);
        assert_eq!((bin_size(38), bin_size(43)), (14_336, 32_768));
    }

    #[test]
    fn three_quarters_of_what_nobody_wanted_leave_the_cache() {
        let (mut class, mut extents) = (Class::new(32), Extents::new(0));
        let mut places = vec![class.refill(&mut extents).0];
        places.extend((0..299).map(|_| class.pop().unwrap_or_else(|| class.refill(&mut extents).0)));
        places.drain(..150).for_each(|place| assert!(!class.push(place)));
        // The first look only notes how many there are.
        assert_eq!(class.unused(), 0);
        (0..50).for_each(|_| assert!(class.pop().is_some()));
        assert_eq!(class.unused(), 75);
        // Nothing left: the slab of the first 128 regions is whole again but for the 22 that were not freed so early.
        assert!(class.flush(75).is_empty());
        assert_eq!(class.fill_halvings, 2);
    }
}
