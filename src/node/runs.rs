//! Large allocations beside the keys': blocks of buffers, each a run of pages.
//!
//! Buffers say how many blocks of each class they have.  Which of them goes first is not said: *assumed* the oldest, as in
//! reply lists, backlog and rings, which are read from their front.

use super::by_size::{OfSize, of_size};
use super::extents::Page;
use super::slabs::LARGE;
use std::collections::VecDeque;

/// How many blocks of one class there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blocks {
    class: u64,
    count: u64,
}

impl OfSize for Blocks {
    fn new(class: u64) -> Blocks {
        Blocks { class, count: 0 }
    }

    fn size(&self) -> u64 {
        self.class
    }
}

/// Blocks of buffers, by rising class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Runs {
    blocks: Vec<Blocks>,
}

impl Runs {
    /// Adds blocks of a class (B); those of a small class are none.
    pub(super) fn add(&mut self, class: u64, count: u64) {
        if class >= LARGE && count > 0 {
            of_size(&mut self.blocks, class).count += count;
        }
    }

    fn count(&self, class: u64) -> u64 {
        let found = self.blocks.binary_search_by_key(&class, |blocks| blocks.class);
        found.map_or(0, |at| self.blocks[at].count)
    }
}

/// First pages of the blocks of one class, the oldest first.
#[derive(Debug)]
struct Places {
    class: u64,
    first: VecDeque<Page>,
}

impl OfSize for Places {
    fn new(class: u64) -> Places {
        Places { class, first: VecDeque::new() }
    }

    fn size(&self) -> u64 {
        self.class
    }
}

/// Where the blocks of buffers lie.
#[derive(Debug, Default)]
pub(super) struct Placed {
    places: Vec<Places>,
}

impl Placed {
    /// What is placed.
    pub(super) fn runs(&self) -> Runs {
        let blocks = |places: &Places| Blocks { class: places.class, count: places.first.len() as u64 };
        Runs { blocks: self.places.iter().map(blocks).collect() }
    }

    /// Classes of which `runs` has fewer blocks, and how many.
    pub(super) fn fewer(&self, runs: &Runs) -> Vec<(u64, u64)> {
        let fewer = |places: &Places| {
            let count = (places.first.len() as u64).saturating_sub(runs.count(places.class));
            (count > 0).then_some((places.class, count))
        };
        self.places.iter().filter_map(fewer).collect()
    }

    /// Classes of which `runs` has more blocks, and how many.
    pub(super) fn more(&self, runs: &Runs) -> Vec<(u64, u64)> {
        let placed = self.runs();
        let more = |blocks: &Blocks| {
            let count = blocks.count.saturating_sub(placed.count(blocks.class));
            (count > 0).then_some((blocks.class, count))
        };
        runs.blocks.iter().filter_map(more).collect()
    }

    /// Places one more block.
    pub(super) fn push(&mut self, class: u64, first: Page) {
        of_size(&mut self.places, class).first.push_back(first);
    }

    /// Takes the oldest blocks of a class.
    pub(super) fn take_oldest(&mut self, class: u64, count: u64) -> Vec<Page> {
        let Ok(at) = self.places.binary_search_by_key(&class, |places| places.class) else { return Vec::new() };
        let first = &mut self.places[at].first;
        let taken = first.drain(..first.len().min(count as usize)).collect();
        if first.is_empty() {
            self.places.remove(at);
        }
        taken
    }

    /// Bytes of the classes of all blocks (B), and how many there are.
    pub(super) fn total(&self) -> (u64, u64) {
        let each = self.places.iter().map(|places| (places.class, places.first.len() as u64));
        each.fold((0, 0), |(bytes, blocks), (class, count)| (bytes + class * count, blocks + count))
    }
}
