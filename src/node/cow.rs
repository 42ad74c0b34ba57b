//! Copy-on-write: how many pages parent and child no longer share.
//!
//! The heap is grouped by size class, since a slab holds regions of one class only.  Where in the class a written
//! region lies is as good as random, so of the pages of a class with N regions, r of them in a page, D distinct regions
//! written since the fork have copied the share 1 − (1 − D / N)^r, nearly 1 − e^(−D / pages).  Distinct is what counts: a
//! region written twice is copied once.
//!
//! What an allocation writes depends on what is free.  The region freed last is taken first; one that the child still
//! shares is copied, one that was copied or made since the fork is not, and memory that no slab held at the fork never
//! is.  Source: dynamics specification, section 4.8, there *measured* on redis 7.0.15.

use super::by_size::{OfSize, of_size};

/// Bytes of a page (B).
pub(crate) const PAGE: u64 = 4096;
/// Bytes of a huge page (B).
const HUGE_PAGE: u64 = 2 << 20;
/// Pages that a child writes for itself: stack, buffers, libraries' data.  *Measured*: `cow_size` of saves without
/// writes, 263 to 267 pages where nothing is purged meanwhile (redis 7.0.15, valkey 8.0.1).
const BASE_PAGES: u64 = 265;

/// How the kernel copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageSize {
    /// Pages of 4 KiB.
    #[default]
    Small,
    /// Transparent huge pages under the heap: the first write to one copies all 2 MiB of it (Linux before 5.8).
    Huge,
}

/// Regions of one class.
#[derive(Debug, Clone)]
struct Class {
    size: u64,
    /// Bytes of resident slabs at the fork (B).
    resident: u64,
    /// Distinct regions written since the fork that the child still shared.
    written: u64,
    /// Regions that were free inside slabs at the fork and still are.
    holes: u64,
    /// Regions freed since the fork: whether the child shares them, and how many in a row; the last freed last.
    freed: Vec<(bool, u64)>,
}

impl OfSize for Class {
    fn new(size: u64) -> Class {
        Class { size, resident: 0, written: 0, holes: 0, freed: Vec::new() }
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl Class {
    fn allocate(&mut self) {
        let shared = match self.freed.last_mut() {
            Some((shared, count)) => {
                *count -= 1;
                let shared = *shared;
                if self.freed.last().is_some_and(|&(_, count)| count == 0) {
                    self.freed.pop();
                }
                shared
            }
            None if self.holes > 0 => {
                self.holes -= 1;
                true
            }
            // A page that did not exist at the fork.
            None => false,
        };
        self.written += u64::from(shared);
    }

    fn free(&mut self, shared: bool) {
        match self.freed.last_mut() {
            Some((last, count)) if *last == shared => *count += 1,
            _ => self.freed.push((shared, 1)),
        }
    }

    /// Bytes copied (B).
    fn copied(&self) -> f64 {
        if self.size >= PAGE {
            // No two of them share a page, but for the odd one at their ends.
            return (self.written * self.size).min(self.resident) as f64;
        }
        if self.resident == 0 {
            return 0.0;
        }
        // A page stays shared when none of the regions that lie in it was written; those of sizes that do not divide a
        // page straddle two.
        let straddling = if self.size.is_power_of_two() { 0 } else { self.size - 1 };
        let regions = (PAGE + straddling) as f64 / self.size as f64;
        let share = (self.written as f64 * self.size as f64 / self.resident as f64).min(1.0);
        self.resident as f64 * (1.0 - (1.0 - share).powf(regions))
    }

    /// Whether the child releases its view of such a value once it has saved it.
    fn dismissed(&self) -> bool {
        self.size >= PAGE
    }
}

/// Pages copied of `pages` when `written` distinct places in them were written.
fn copied_pages(pages: f64, written: f64) -> f64 {
    if pages > 0.0 { pages * (1.0 - (-written / pages).exp()) } else { 0.0 }
}

/// What a fork and the writes since have done.
#[derive(Debug, Clone, Default)]
pub(crate) struct CopyOnWrite {
    page_size: PageSize,
    /// By rising size.
    classes: Vec<Class>,
    /// Bytes of the bucket arrays at the fork, and buckets written since.
    tables: [(u64, u64); 2],
    /// The child keeps its view of large values that it has saved.
    keeps_saved: bool,
    /// Dirty pages at the fork, and those of them that are neither purged nor used since (B).
    dirty: [u64; 2],
    /// Bytes of the keys' pages at the fork, and the least since (B).
    heap: [u64; 2],
}

impl CopyOnWrite {
    /// Just after a fork.
    pub(crate) fn new(page_size: PageSize, table_bytes: [u64; 2]) -> CopyOnWrite {
        CopyOnWrite { page_size, tables: table_bytes.map(|bytes| (bytes, 0)), ..CopyOnWrite::default() }
    }

    /// Says that the child keeps its view of large values that it has saved.
    pub(crate) fn set_keeps_saved(&mut self, keeps: bool) {
        self.keeps_saved = keeps;
    }

    /// Says how many dirty pages there were at the fork (B).
    pub(crate) fn set_dirty(&mut self, bytes: u64) {
        self.dirty = [bytes; 2];
    }

    /// Says how many dirty pages there are now (B): the others were purged or used, and are shared no longer.
    pub(crate) fn dirty_left(&mut self, bytes: u64) {
        self.dirty[1] = self.dirty[1].min(bytes);
    }

    /// Says how many bytes the keys' pages took at the fork (B).
    pub(crate) fn set_heap(&mut self, bytes: u64) {
        self.heap = [bytes; 2];
    }

    /// Says how many they take now (B): what the parent has given back is the child's alone.
    pub(crate) fn heap_left(&mut self, bytes: u64) {
        self.heap[1] = self.heap[1].min(bytes);
    }

    /// Pages that the parent has purged or given back since the fork (B): the child alone holds them, so that they are out of
    /// the parent's RSS and in the child's report.  Of those that were copied before, the copy is counted already; the child
    /// has released those of large values that it has saved.
    fn given_back(&self, copied: f64, unsaved: f64) -> f64 {
        let dirty = self.dirty[0] - self.dirty[1];
        let others = (self.heap[0] - self.heap[1]).saturating_sub(dirty) as f64;
        let resident = self.heap[0].saturating_sub(self.dirty[0]) as f64;
        if resident <= 0.0 {
            return dirty as f64;
        }
        let large = self.classes.iter().filter(|c| c.dismissed() && !self.keeps_saved).map(|c| c.resident).sum::<u64>();
        let large = (large as f64 / resident).min(1.0);
        let shared = (1.0 - copied / resident).max(0.0);
        dirty as f64 + others * shared * (1.0 - large * (1.0 - unsaved))
    }

    fn class(&mut self, size: u64) -> &mut Class {
        of_size(&mut self.classes, size)
    }

    /// Counts `regions` live regions of a class at the fork.
    pub(crate) fn add_live(&mut self, size: u64, regions: u64) {
        if size > 0 {
            self.class(size).resident += size * regions;
        }
    }

    /// Says how many bytes the slabs of a class take, live regions and holes (B).
    pub(crate) fn set_resident(&mut self, size: u64, bytes: u64) {
        let class = self.class(size);
        let live = class.resident;
        class.resident = bytes.max(live);
        class.holes = (class.resident - live) / size;
    }

    /// A region of a class was allocated and written.
    pub(crate) fn allocate(&mut self, size: u64) {
        if size > 0 {
            self.class(size).allocate();
        }
    }

    /// A region was freed, which writes nothing.  `shared`: it was not written since the fork.
    pub(crate) fn free(&mut self, size: u64, shared: bool) {
        if size > 0 {
            self.class(size).free(shared);
        }
    }

    /// A region that was not written since the fork was written in place.
    pub(crate) fn write(&mut self, size: u64) {
        if size > 0 {
            self.class(size).written += 1;
        }
    }

    /// A bucket of a table (0: main, 1: expires) was written.
    pub(crate) fn write_bucket(&mut self, table: usize) {
        self.tables[table].1 += 1;
    }

    /// What the child would report as its private memory when it has saved `saved` of `keys` keys (B).
    pub(crate) fn bytes(&self, saved: u64, keys: u64) -> u64 {
        let unsaved = if keys == 0 { 0.0 } else { 1.0 - saved.min(keys) as f64 / keys as f64 };
        let tables = self.tables.iter().map(|&(bytes, written)| {
            let resident = bytes as f64 / PAGE as f64;
            copied_pages(resident, written as f64) * PAGE as f64
        });
        let copied = match self.page_size {
            PageSize::Small => {
                let classes = self.classes.iter();
                let copied =
                    classes.map(|c| if c.dismissed() && !self.keeps_saved { c.copied() * unsaved } else { c.copied() });
                copied.sum::<f64>() + tables.sum::<f64>()
            }
            PageSize::Huge => {
                let resident: u64 = self.classes.iter().map(|c| c.resident).sum::<u64>() + self.table_bytes();
                let written: u64 = self.classes.iter().map(|c| c.written).sum::<u64>() + self.buckets_written();
                copied_pages(resident as f64 / HUGE_PAGE as f64, written as f64) * HUGE_PAGE as f64
            }
        };
        BASE_PAGES * PAGE + (copied + self.given_back(copied, unsaved)) as u64
    }

    fn table_bytes(&self) -> u64 {
        self.tables.iter().map(|&(bytes, _)| bytes).sum()
    }

    fn buckets_written(&self) -> u64 {
        self.tables.iter().map(|&(_, written)| written).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};

    /// The measured dataset: a million keys of 12 bytes with values of 100, bundled allocator.
    fn million() -> CopyOnWrite {
        let mut cow = CopyOnWrite::new(PageSize::Small, [8 << 20, 0]);
        cow.add_live(32, 1_000_000);
        cow.add_live(16, 2_000_000);
        cow.add_live(112, 1_000_000);
        cow
    }

    fn pages(cow: &CopyOnWrite) -> u64 {
        (cow.bytes(1, 1)) / PAGE - BASE_PAGES
    }

    /// Distinct keys written by SET: entry in place; object and value go where the key before had them.
    fn set(cow: &mut CopyOnWrite, distinct: u64) {
        for _ in 0..distinct {
            cow.write(32);
            for size in [16, 112] {
                cow.allocate(size);
                cow.free(size, true);
            }
        }
    }

    #[test]
    fn overwrites_copy_what_was_measured() {
        // Distinct keys, pages measured (redis 7.0.15, section 4.8 of the dynamics specification).
        for (distinct, measured) in [(998, 3_034), (9_951, 20_026), (29_541, 33_922), (95_112, 42_524)] {
            let mut cow = million();
            set(&mut cow, distinct);
            let error = pages(&cow) as f64 / f64::from(measured) - 1.0;
            assert!(error.abs() < 0.08, "{distinct}: {} pages, measured {measured}", pages(&cow));
        }
    }

    #[test]
    fn new_keys_without_holes_copy_only_buckets() {
        let mut cow = million();
        for _ in 0..30_000 {
            cow.write_bucket(0);
            for size in [32, 16, 16, 112] {
                cow.allocate(size);
            }
        }
        // Measured 2 194 with a table of a million buckets.
        assert!(pages(&cow).abs_diff(2_048) < 10, "{}", pages(&cow));
    }

    #[test]
    fn new_keys_fill_holes_and_copy_their_pages() {
        let mut cow = million();
        cow.set_resident(112, 113_000_000);
        let holes = (113_000_000 - 112_000_000) / 112;
        for _ in 0..2 * holes {
            cow.allocate(112);
        }
        let share = holes as f64 * 112.0 / 113e6;
        let expected = 113e6 / 4096.0 * (1.0 - (1.0 - share).powf((4096.0 + 111.0) / 112.0));
        assert!((pages(&cow) as f64 - expected).abs() < 2.0, "the other half went to new pages");
    }

    #[test]
    fn a_region_freed_after_the_fork_is_copied_only_while_shared() {
        let mut cow = CopyOnWrite::new(PageSize::Small, [0, 0]);
        cow.add_live(4096, 100);
        cow.free(4096, false);
        cow.allocate(4096);
        assert_eq!(cow.bytes(0, 1), BASE_PAGES * PAGE, "a fresh region came back");
        cow.free(4096, true);
        cow.allocate(4096);
        assert!(cow.bytes(0, 1) > BASE_PAGES * PAGE);
        assert_eq!(cow.bytes(1, 1), BASE_PAGES * PAGE, "the child has saved and released it");
    }

    #[test]
    fn the_formula_agrees_with_a_literal_heap() {
        // The oracle: every page of a class, and which of them a write has copied.
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(5);
        for (size, live, writes) in [(64_u64, 200_000_u64, 3_000_u64), (224, 50_000, 20_000), (1024, 9_000, 9_000)] {
            let mut cow = CopyOnWrite::new(PageSize::Small, [0, 0]);
            cow.add_live(size, live);
            let mut written = vec![false; live as usize];
            let mut copied = vec![false; (live * size / PAGE + 1) as usize];
            for _ in 0..writes {
                let region = rng.random_range(0..live);
                if !std::mem::replace(&mut written[region as usize], true) {
                    cow.write(size);
                }
                let (first, last) = (region * size / PAGE, (region * size + size - 1) / PAGE);
                (first..=last).for_each(|page| copied[page as usize] = true);
            }
            let literal = copied.iter().filter(|&&page| page).count() as f64;
            let error = (pages(&cow) as f64 / literal - 1.0).abs();
            assert!(error < 0.03, "{size}: {} pages, literally {literal}", pages(&cow));
            let _ = rng.next_u64();
        }
    }

    #[test]
    fn what_the_parent_gives_back_is_the_child_s_alone() {
        // Measured: 7.0.15, every one of 200 000 keys deleted during a save; RSS of 223 MiB falls to 16, the child's private
        // memory rises to 217, rdb_last_cow_size 227 459 072, and both together take what they took.
        let mut cow = million();
        let heap = 150 << 20;
        cow.set_heap(heap);
        cow.set_dirty(10 << 20);
        let before = cow.bytes(0, 1);
        cow.heap_left(heap - (4 << 20));
        cow.dirty_left(6 << 20);
        assert_eq!(cow.bytes(0, 1) - before, 4 << 20, "dirty pages that were purged");
        cow.dirty_left(0);
        cow.heap_left(0);
        assert_eq!(cow.bytes(0, 1) - before, heap, "slabs that were emptied, too");
        cow.heap_left(heap);
        assert_eq!(cow.bytes(0, 1) - before, heap, "new pages are none of the child's");
    }

    #[test]
    fn a_copy_is_not_counted_again_when_its_page_goes() {
        let mut cow = CopyOnWrite::new(PageSize::Small, [0, 0]);
        cow.add_live(64, 64_000);
        cow.set_heap(64 * 64_000);
        (0..64_000).for_each(|_| cow.write(64));
        let copied = cow.bytes(0, 1);
        cow.heap_left(0);
        assert!(cow.bytes(0, 1).abs_diff(copied) < PAGE);
    }

    #[test]
    fn huge_pages_copy_nearly_everything() {
        let mut small = million();
        let mut huge = CopyOnWrite { page_size: PageSize::Huge, ..million() };
        set(&mut small, 1_000);
        set(&mut huge, 1_000);
        assert!(huge.bytes(1, 1) > 10 * small.bytes(1, 1));
    }
}
