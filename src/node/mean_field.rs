//! Pages held for each size class, where regions are too many to be followed one by one.
//!
//! A class keeps the slabs of its high-water mark, and gives back those in which nothing is left: after frees in random
//! order the share (1 − p)^r of slabs of r regions, p being the part of the high-water mark that lives.  Regions that are
//! allocated again fill holes first.
//!
//! Left out: frees in the order of allocation, which empty whole slabs; the thread cache; dirty pages.
//! Source: dynamics specification, section 5.5; the tests compare with the exact slabs.

use super::slabs::{LARGE, slab_shape};
use std::collections::BTreeMap;

/// One class.
#[derive(Debug, Clone, Copy, Default)]
struct Class {
    live: u64,
    /// Regions of the slabs at the high-water mark, and of those that are held now.
    high: u64,
    held: u64,
    /// What lived when it was fitted last: while that stays, so does the rest.
    fitted: u64,
}

impl Class {
    /// Fits what is held to what lives; `regions`: of a slab.
    fn fit(&mut self, regions: u64) {
        self.fitted = self.live;
        if self.live >= self.held {
            (self.high, self.held) = (self.live, self.live);
            return;
        }
        let filling = self.live as f64 / self.high as f64;
        let kept = 1.0 - (1.0 - filling).powf(regions as f64);
        self.held = self.held.min((self.high as f64 * kept) as u64).max(self.live);
    }
}

/// All classes: small ones by their number, large ones, which are pages of their own, by size.
#[derive(Debug, Default)]
pub(super) struct MeanField {
    classes: Vec<Class>,
    large: BTreeMap<u64, u64>,
}

impl MeanField {
    /// A region was allocated; none where the size is 0.
    #[inline]
    pub(super) fn allocate(&mut self, size: u64) {
        self.allocate_many(size, u64::from(size > 0));
    }

    /// A region was freed; none where the size is 0.
    #[inline]
    pub(super) fn free(&mut self, size: u64) {
        self.free_many(size, u64::from(size > 0));
    }

    /// Regions were allocated.
    #[inline]
    pub(super) fn allocate_many(&mut self, size: u64, count: u64) {
        if size >= LARGE {
            *self.large.entry(size).or_default() += count;
            return;
        }
        let number = number_of(size);
        if self.classes.len() <= number {
            self.classes.resize(number + 1, Class::default());
        }
        self.classes[number].live += count;
    }

    /// Regions were freed.
    #[inline]
    pub(super) fn free_many(&mut self, size: u64, count: u64) {
        if size >= LARGE {
            self.free_large(size, count);
            return;
        }
        if let Some(class) = self.classes.get_mut(number_of(size)) {
            class.live = class.live.saturating_sub(count);
        }
    }

    fn free_large(&mut self, size: u64, count: u64) {
        if let Some(live) = self.large.get_mut(&size) {
            *live = live.saturating_sub(count);
            if *live == 0 {
                self.large.remove(&size);
            }
        }
    }

    /// Gives back slabs in which nothing is left.
    pub(super) fn fit(&mut self) {
        for (number, class) in self.classes.iter_mut().enumerate().filter(|(_, class)| class.live != class.fitted) {
            class.fit(slab_shape(size_of(number)).1);
        }
    }

    /// Pages held for each class: size and bytes (B).
    pub(super) fn held_by_class(&self) -> impl Iterator<Item = (u64, u64)> {
        let held = |(number, class): (usize, &Class)| {
            let size = size_of(number);
            (size, class.held.max(class.live) * size)
        };
        let small = self.classes.iter().enumerate().map(held).filter(|&(_, bytes)| bytes > 0);
        small.chain(self.large.iter().map(|(size, live)| (*size, size * live)))
    }

    /// Free places in the slabs held (B).
    pub(super) fn free_places(&self) -> u64 {
        let free = |(number, class): (usize, &Class)| class.held.saturating_sub(class.live) * size_of(number);
        self.classes.iter().enumerate().map(free).sum()
    }

    /// Pages held (B).
    pub(super) fn held(&self) -> u64 {
        self.held_by_class().map(|(_, bytes)| bytes).sum()
    }
}

/// Number of a size class: sizes up to 128 by eights, then four to each doubling.
#[inline]
fn number_of(size: u64) -> usize {
    if size <= 128 {
        return (size / 8) as usize;
    }
    let doubling = u64::from(63 - (size - 1).leading_zeros());
    let quarter = (size - 1 - (1 << doubling)) >> (doubling - 2);
    (17 + 4 * (doubling - 7) + quarter) as usize
}

/// Size of the class with a number (B).
fn size_of(number: usize) -> u64 {
    match number as u64 {
        small @ 0..=16 => 8 * small,
        large => {
            let (doubling, quarter) = ((large - 17) / 4 + 7, (large - 17) % 4);
            (1 << doubling) + ((quarter + 1) << (doubling - 2))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slabs::{Place, Slabs};
    use super::*;
    use rand::{RngExt, SeedableRng};

    const KEYS: usize = 200_000;

    /// Regions allocated in turn, and their places in random order.
    fn filled(slabs: &mut Slabs, field: &mut MeanField, size: u64) -> Vec<Place> {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(9);
        let mut places: Vec<Place> = (0..KEYS).map(|_| slabs.allocate(size)).collect();
        (0..KEYS).for_each(|_| field.allocate(size));
        field.fit();
        for i in 0..places.len() {
            let other = rng.random_range(i..places.len());
            places.swap(i, other);
        }
        places
    }

    fn assert_close(field: &MeanField, slabs: &Slabs, what: &str) {
        let (mean, exact) = (field.held(), slabs.active_bytes());
        assert!((mean as f64 / exact as f64 - 1.0).abs() < 0.03, "{what}: {mean} for {exact}");
    }

    #[test]
    fn numbers_and_sizes_of_classes_belong_to_each_other() {
        let classes = crate::profile::Allocator::Bundled.classes();
        let mut size = 8;
        let mut last = 0;
        while size < LARGE {
            assert_eq!(size_of(number_of(size)), size);
            assert!(number_of(size) > last);
            last = number_of(size);
            size = classes.class(size + 1);
        }
    }

    #[test]
    fn random_frees_leave_what_exact_slabs_leave() {
        for size in [32, 224, 1024, 4096] {
            let (mut slabs, mut field) = (Slabs::new(false), MeanField::default());
            let mut places = filled(&mut slabs, &mut field, size);
            // With fewer regions left the thread cache, 200 regions, weighs.
            while places.len() > KEYS / 20 {
                for place in places.drain(..KEYS / 50) {
                    slabs.free(size, place);
                    field.free(size);
                }
                field.fit();
                assert_close(&field, &slabs, &format!("{size}, {} left", places.len()));
            }
        }
    }

    #[test]
    fn a_shift_of_sizes_holds_the_old_class_beside_the_new_one() {
        let (mut slabs, mut field) = (Slabs::new(false), MeanField::default());
        let places = filled(&mut slabs, &mut field, 224);
        for (rewritten, place) in places.into_iter().enumerate() {
            slabs.allocate(320);
            field.allocate(320);
            slabs.free(224, place);
            field.free(224);
            if rewritten % 10_000 == 0 && rewritten < KEYS * 19 / 20 {
                field.fit();
                assert_close(&field, &slabs, &format!("{rewritten} rewritten"));
            }
        }
    }

    #[test]
    fn holes_are_filled_before_slabs_are_made() {
        let (mut slabs, mut field) = (Slabs::new(false), MeanField::default());
        let places = filled(&mut slabs, &mut field, 224);
        for &place in &places[..KEYS / 2] {
            slabs.free(224, place);
            field.free(224);
        }
        for _ in 0..KEYS * 3 / 4 {
            slabs.allocate(224);
            field.allocate(224);
            field.fit();
        }
        assert_close(&field, &slabs, "refilled and grown");
        let held = field.held();
        (0..1000).for_each(|_| field.fit());
        assert_eq!(field.held(), held, "what does not change stays");
    }
}
