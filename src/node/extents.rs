//! Where pages lie: which runs of pages are dirty, which only address space, and when they go back.
//!
//! A run of pages for a slab or a large allocation comes from the dirty extents, else from address space that is kept
//! (retained), else from a new mapping, each larger than the last.  The lowest extent that is large enough is cut at its
//! front.  What is freed is dirty; a run of 16 KiB or more is joined with its dirty neighbours at once, and given back when it
//! has grown to 8 MiB.  Decay takes the extents that are dirty longest, each joined with its neighbours before it goes.
//! Mappings are never joined.
//!
//! Addresses are numbers of pages, in the order of the mappings, since extents are chosen by the age of their mapping first.
//! Source: jemalloc 5.3 `src/extent.c`, `src/eset.c`, `src/pac.c`, `src/exp_grow.c`; 5.2 does the same.

use super::slabs::{LARGE, PAGE};
use std::collections::{BTreeMap, BTreeSet};

/// Address of a run: the number of its first page; 0 is none.
pub(super) type Page = u32;

/// Pages from which a run is joined with its neighbours at once.  Source: `extent_record`, `SC_LARGE_MINCLASS`.
const JOINED_PAGES: u64 = LARGE / PAGE;
/// Pages from which a run is given back at once, and an allocation has an arena of its own that keeps nothing dirty.  Source:
/// `oversize_threshold`, 8 MiB; `arena_choose_huge`.
pub(super) const OVERSIZE_PAGES: u64 = (8 << 20) / PAGE;
/// A dirty extent is cut for a request of at least this part of it.  Source: `opt_lg_extent_max_active_fit`, 6.
const MOST_FIT: u64 = 1 << 6;
/// Pages of the first mapping.  Source: `exp_grow_init`, 2 MiB.
const FIRST_MAPPING: u64 = (2 << 20) / PAGE;

/// Pages of a size class of extents: four to each doubling.  Source: `sz_pind2sz`.
fn class_pages(index: usize) -> u64 {
    let (group, step) = (index / 4, index as u64 % 4);
    if group == 0 { step + 1 } else { (4 << (group - 1)) + ((step + 1) << (group - 1)) }
}

/// The smallest class of at least so many pages.  Source: `sz_psz2ind`.
fn class_index(pages: u64) -> usize {
    if pages <= 4 {
        return pages.max(1) as usize - 1;
    }
    let group = (pages - 1).ilog2() as u64 - 1;
    let above = pages - (4 << (group - 1));
    (group * 4 + above.div_ceil(1 << (group - 1)) - 1) as usize
}

/// Free extents of one kind.
#[derive(Debug, Default)]
struct Pool {
    /// By first page: pages, and the turn in which it came.
    by_page: BTreeMap<Page, (Page, u64)>,
    /// First pages by class.
    bins: Vec<BTreeSet<Page>>,
    /// First pages by turn, the longest here first.
    by_turn: BTreeMap<u64, Page>,
    next_turn: u64,
    pages: u64,
    /// A large allocation has so many pages beside its class.
    pad: u64,
}

impl Pool {
    /// The class that an extent is kept in.  Source: `sz_psz_quantize_floor`.
    fn kept_class(&self, pages: u64) -> usize {
        if pages <= self.pad {
            return class_index(pages);
        }
        let above = class_index(pages - self.pad + 1);
        class_index(class_pages(above - 1) + self.pad)
    }

    /// The first class whose extents are all large enough.  Source: `sz_psz_quantize_ceil`.
    fn wanted_class(&self, pages: u64) -> usize {
        if pages <= self.pad {
            return class_index(pages);
        }
        let inner = pages - self.pad;
        let fitting = class_index(inner);
        class_index(class_pages(fitting) + self.pad)
    }

    fn insert(&mut self, first: Page, pages: Page) {
        let class = self.kept_class(pages.into());
        if self.bins.len() <= class {
            self.bins.resize_with(class + 1, BTreeSet::new);
        }
        self.bins[class].insert(first);
        self.by_page.insert(first, (pages, self.next_turn));
        self.by_turn.insert(self.next_turn, first);
        self.next_turn += 1;
        self.pages += u64::from(pages);
    }

    fn remove(&mut self, first: Page) -> Option<Page> {
        let (pages, turn) = self.by_page.remove(&first)?;
        self.by_turn.remove(&turn);
        let class = self.kept_class(pages.into());
        self.bins[class].remove(&first);
        self.pages -= u64::from(pages);
        Some(pages)
    }

    /// Cuts a run from the lowest extent that is large enough, and of at most `most` pages.  Source: `eset_first_fit`.
    fn take(&mut self, pages: Page, most: u64) -> Option<Page> {
        let from = self.wanted_class(pages.into()).min(self.bins.len());
        let fitting = self.bins[from..].iter().enumerate().take_while(|(more, _)| class_pages(from + more) <= most);
        let first = fitting.filter_map(|(_, bin)| bin.first().copied()).min()?;
        let found = self.remove(first)?;
        if found > pages {
            self.insert(first + pages, found - pages);
        }
        Some(first)
    }

    /// Joins a run with one neighbour, the following one first.  Source: `extent_try_coalesce_impl`.
    fn join(&mut self, first: &mut Page, pages: &mut Page) -> bool {
        if let Some(following) = self.remove(*first + *pages) {
            *pages += following;
            return true;
        }
        let before = self.by_page.range(..*first).next_back().map(|(&before, &(pages, _))| (before, pages));
        match before.filter(|(before, pages)| before + pages == *first) {
            Some((before, _)) => {
                *pages += self.remove(before).unwrap_or(0);
                *first = before;
                true
            }
            None => false,
        }
    }

    /// Takes the extent that is here longest; one that has a neighbour is joined with it and waits anew.  Source:
    /// `ecache_evict`.
    fn evict(&mut self) -> Option<(Page, Page)> {
        loop {
            let (_, &oldest) = self.by_turn.first_key_value()?;
            let (mut first, mut pages) = (oldest, self.remove(oldest)?);
            if !self.join(&mut first, &mut pages) {
                return Some((first, pages));
            }
            self.insert(first, pages);
        }
    }
}

/// The address space of an arena.
#[derive(Debug)]
pub(super) struct Extents {
    dirty: Pool,
    retained: Pool,
    /// Class of the next mapping.
    next_mapping: usize,
    /// First page behind the last mapping.
    end: u64,
}

impl Extents {
    /// `pad`: pages that a large allocation has beside its class.
    pub(super) fn new(pad: u64) -> Extents {
        let pool = || Pool { pad, ..Pool::default() };
        Extents { dirty: pool(), retained: pool(), next_mapping: class_index(FIRST_MAPPING), end: 0 }
    }

    /// Pages that are dirty.
    pub(super) fn dirty_pages(&self) -> u64 {
        self.dirty.pages
    }

    /// Allocates a run; 0 is one of the arena of huge allocations.
    pub(super) fn allocate(&mut self, pages: u64) -> Page {
        if pages >= OVERSIZE_PAGES {
            return 0;
        }
        let run = pages as Page;
        let found = self.dirty.take(run, pages * MOST_FIT).or_else(|| self.retained.take(run, u64::MAX));
        found.unwrap_or_else(|| self.map(run))
    }

    /// Makes a mapping, and cuts a run from its front.  Source: `extent_grow_retained`.
    fn map(&mut self, pages: Page) -> Page {
        let class = self.next_mapping.max(class_index(pages.into()));
        self.next_mapping = class + 1;
        // A page apart from the mapping before, so that they are never neighbours.
        let (first, mapped) = (self.end + 1, class_pages(class));
        let (Ok(first), Ok(_)) = (Page::try_from(first), Page::try_from(first + mapped)) else { return 0 };
        self.end = u64::from(first) + mapped;
        if mapped > u64::from(pages) {
            self.retained.insert(first + pages, mapped as Page - pages);
        }
        first
    }

    /// Frees a run.
    pub(super) fn free(&mut self, first: Page, pages: u64) {
        if first == 0 {
            return;
        }
        let (mut first, mut run) = (first, pages as Page);
        if pages >= JOINED_PAGES {
            while self.dirty.join(&mut first, &mut run) {}
            if u64::from(run) >= OVERSIZE_PAGES {
                return self.retain(first, run);
            }
        }
        self.dirty.insert(first, run);
    }

    fn retain(&mut self, mut first: Page, mut pages: Page) {
        while self.retained.join(&mut first, &mut pages) {}
        self.retained.insert(first, pages);
    }

    /// Gives dirty extents back until so many pages are left, or fewer.  Source: `pac_decay_to_limit`.
    pub(super) fn decay_to(&mut self, limit: u64) {
        while self.dirty.pages > limit {
            let Some((first, pages)) = self.dirty.evict() else { return };
            self.retain(first, pages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn classes_are_four_to_a_doubling() {
        let pages: Vec<u64> = (0..16).map(class_pages).collect();
        assert_eq!(pages, [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32]);
        for pages in 1..5000 {
            let index = class_index(pages);
            assert!(class_pages(index) >= pages, "{pages}");
            assert!(index == 0 || class_pages(index - 1) < pages, "{pages}");
        }
    }

    /// What a page is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Kind {
        Gap,
        Used,
        Dirty,
        Retained,
    }

    /// The oracle: every page, scanned.
    struct Literal {
        kinds: Vec<Kind>,
        /// On the first page of a free extent: the turn in which it came.
        came: Vec<Option<u64>>,
        turn: u64,
        classes: Vec<usize>,
        mapping: usize,
        pad: usize,
    }

    impl Literal {
        fn new(pad: usize) -> Literal {
            let mut classes = vec![1, 2, 3, 4];
            for step in (0..12).map(|doubling| 1usize << doubling) {
                (0..4).for_each(|_| classes.push(classes[classes.len() - 1] + step));
            }
            let mapping = classes.iter().position(|&pages| pages == 512).expect("a class");
            Literal { kinds: vec![], came: vec![], turn: 0, classes, mapping, pad }
        }

        fn pages_of(&self, first: usize) -> usize {
            let same = |at: usize| self.kinds[at] == self.kinds[first] && (at == first || self.came[at].is_none());
            (first..self.kinds.len()).take_while(|&at| same(at)).count()
        }

        /// Every free extent of a kind: first page and pages.
        fn extents(&self, kind: Kind) -> Vec<(usize, usize)> {
            let firsts = (0..self.kinds.len()).filter(|&at| self.kinds[at] == kind && self.came[at].is_some());
            firsts.map(|first| (first, self.pages_of(first))).collect()
        }

        fn put(&mut self, first: usize, pages: usize, kind: Kind) {
            self.kinds[first..first + pages].fill(kind);
            self.came[first..first + pages].fill(None);
            if kind != Kind::Used {
                self.came[first] = Some(self.turn);
                self.turn += 1;
            }
        }

        /// Whether an extent is in a class that satisfies a request, and is not beyond the most.
        fn fits(&self, extent: usize, request: usize, most: usize) -> bool {
            let ceil = |pages: usize| self.classes.iter().copied().find(|&class| class >= pages).expect("a class");
            let floor = |pages: usize| self.classes.iter().copied().rfind(|&class| class <= pages);
            let kept = ceil(floor(extent.saturating_sub(self.pad)).map_or(extent, |class| class + self.pad));
            let wanted = if request > self.pad { ceil(ceil(request - self.pad) + self.pad) } else { request };
            kept >= wanted && kept <= most
        }

        fn allocate(&mut self, pages: usize) -> usize {
            for (kind, most) in [(Kind::Dirty, pages * 64), (Kind::Retained, usize::MAX)] {
                let found = self.extents(kind).into_iter().find(|&(_, extent)| self.fits(extent, pages, most));
                if let Some((first, extent)) = found {
                    if extent > pages {
                        self.put(first + pages, extent - pages, kind);
                    }
                    self.put(first, pages, Kind::Used);
                    return first;
                }
            }
            while self.classes[self.mapping] < pages {
                self.mapping += 1;
            }
            let (first, mapped) = (self.kinds.len() + 1, self.classes[self.mapping]);
            self.mapping += 1;
            self.kinds.resize(first + mapped, Kind::Retained);
            self.came.resize(first + mapped, None);
            self.kinds[first - 1] = Kind::Gap;
            if mapped > pages {
                self.put(first + pages, mapped - pages, Kind::Retained);
            }
            self.put(first, pages, Kind::Used);
            first
        }

        /// The run with one neighbour of a kind, the following one first.
        fn joined(&self, first: usize, pages: usize, kind: Kind) -> Option<(usize, usize)> {
            let extents = self.extents(kind);
            let following = extents.iter().find(|&&(other, _)| other == first + pages);
            let before = extents.iter().find(|&&(other, extent)| other + extent == first);
            following.map(|&(_, more)| (first, pages + more)).or(before.map(|&(other, more)| (other, pages + more)))
        }

        fn all_joined(&self, mut run: (usize, usize), kind: Kind) -> (usize, usize) {
            while let Some(joined) = self.joined(run.0, run.1, kind) {
                run = joined;
            }
            run
        }

        fn free(&mut self, first: usize, pages: usize) {
            self.put(first, pages, Kind::Used);
            if pages < 4 {
                return self.put(first, pages, Kind::Dirty);
            }
            let (first, pages) = self.all_joined((first, pages), Kind::Dirty);
            if pages >= 2048 { self.retain(first, pages) } else { self.put(first, pages, Kind::Dirty) }
        }

        fn retain(&mut self, first: usize, pages: usize) {
            self.put(first, pages, Kind::Used);
            let (first, pages) = self.all_joined((first, pages), Kind::Retained);
            self.put(first, pages, Kind::Retained);
        }

        fn dirty(&self) -> usize {
            self.kinds.iter().filter(|&&kind| kind == Kind::Dirty).count()
        }

        fn decay_to(&mut self, limit: usize) {
            while self.dirty() > limit {
                let oldest = self.extents(Kind::Dirty).into_iter().min_by_key(|&(first, _)| self.came[first]);
                let (first, pages) = oldest.expect("dirty");
                match self.joined(first, pages, Kind::Dirty) {
                    Some((first, pages)) => self.put(first, pages, Kind::Dirty),
                    None => self.retain(first, pages),
                }
            }
        }
    }

    #[test]
    fn extents_agree_with_a_literal_array_of_pages() {
        for pad in [0, 1] {
            let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(5 + pad);
            let (mut extents, mut literal) = (Extents::new(pad), Literal::new(pad as usize));
            let mut held: Vec<(Page, u64)> = Vec::new();
            for step in 0..3000 {
                // Grows, shrinks, grows again; frees what is side by side, and what is not.
                let grows = rng.random::<f64>() < if (1000..2000).contains(&step) { 0.2 } else { 0.6 };
                if grows || held.is_empty() {
                    let pages = [1, 1, 2, 3, 5, 6, 7, 9, 21, 65, 129][rng.random_range(0..11)];
                    let first = extents.allocate(pages);
                    assert_eq!(first as usize, literal.allocate(pages as usize), "step {step}");
                    held.push((first, pages));
                } else {
                    let at = if step % 3 == 0 { rng.random_range(0..held.len()) } else { 0 };
                    let (first, pages) = held.remove(at);
                    extents.free(first, pages);
                    literal.free(first as usize, pages as usize);
                }
                if step % 50 == 0 {
                    let limit = extents.dirty_pages() * 9 / 10;
                    extents.decay_to(limit);
                    literal.decay_to(limit as usize);
                }
                assert_eq!(extents.dirty_pages() as usize, literal.dirty(), "step {step}");
            }
        }
    }

    #[test]
    fn what_grows_together_to_eight_mebibytes_goes_back_at_once() {
        let mut extents = Extents::new(0);
        // Mappings of 2, 2.5 ... 8 MiB come first; the one of 10 MiB holds a run of 8 MiB and more.
        let held: Vec<Page> = (0..16_000).map(|_| extents.allocate(7)).collect();
        held.iter().for_each(|&first| extents.free(first, 7));
        let pages = 16_000 * 7;
        assert!((pages / 4..pages / 2).contains(&extents.dirty_pages()), "{}", extents.dirty_pages());
        // Slabs of a page are not joined before they decay, and then go in one piece.
        let mut extents = Extents::new(0);
        let held: Vec<Page> = (0..500).map(|_| extents.allocate(1)).collect();
        held.iter().for_each(|&first| extents.free(first, 1));
        assert_eq!(extents.dirty_pages(), 500);
        extents.decay_to(499);
        assert_eq!(extents.dirty_pages(), 0);
    }
}
