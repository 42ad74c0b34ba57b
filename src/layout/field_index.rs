//! By what time the fields of a hash expire, and the hashes of a database: Redis's ebuckets, Valkey's volatile set.
//!
//! Up to a few items neither costs more than one block.  Beyond, both are a radix tree of times whose leaves hold several
//! items each: ebuckets split a segment of 16 in two when it is full, a volatile set has a bucket for each window of
//! time.  State is a few numbers; how many nodes the tree has is the expectation for times spread evenly over the span
//! that they cover.
//!
//! Source: redis 7.4 `src/ebuckets.c`; valkey 9.0 `src/vset.c`; *measured*: redis 8.0.2, valkey 9.1.2.

use super::allocation::{Allocation, Held, Rules, Tally};
use super::dict::{self, Dict, Kind};
use super::rax;
use crate::profile::FieldTtl;

/// Items in a list without an allocation, and in a segment.  Source: `EB_LIST_MAX_ITEMS`, `EB_SEG_MAX_ITEMS`.
const SEGMENT_ITEMS: u64 = 16;
/// A segment's header, and that of one more where all have the same time (B).  Source: `FirstSegHdr`, `NextSegHdr`.
const FIRST_SEGMENT: u64 = 16;
const NEXT_SEGMENT: u64 = 24;
/// Bytes of a time as a key of the tree.  Source: `EB_KEY_SIZE`; `vset.c`, a time in 64 bits.
const EBUCKETS_KEY: u32 = 6;
const VSET_KEY: u32 = 8;
/// Items of a volatile set's vector at most.  *measured*: the 128th field.
const VECTOR_ITEMS: u64 = 127;
/// A vector: its header, and each item (B).  *measured*: growth at every other field.
const VECTOR: u64 = 8;
const POINTER: u64 = 8;
/// Longest and shortest window of a bucket (ms).  Source: `VOLATILESET_BUCKET_INTERVAL_MAX`, `_MIN`.
const LONGEST_WINDOW: f64 = 8192.0;
const SHORTEST_WINDOW: f64 = 16.0;
/// Fixed point of the number of segments.
const ONE: u64 = 1 << 16;
/// What an item adds to the segments where items come in any order: they are then 16 ln 2 full on average.
const SPLIT_ANYWHERE: u64 = 5909;
/// The same where each comes after all others: a split leaves eight behind.
const SPLIT_AT_END: u64 = ONE / 8;

/// The first and the last time in an index (ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First.
    pub first: u64,
    /// Last.
    pub last: u64,
}

impl Span {
    /// Milliseconds that it covers.
    fn len(self) -> f64 {
        (self.last.saturating_sub(self.first) + 1) as f64
    }
}

/// An index of items by time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeIndex {
    items: u64,
    /// Segments in fixed point.
    segments: u64,
    /// It is a tree: from the first item too many on until none is left.
    tree: bool,
    /// Items for which nodes were last reckoned.
    reckoned: u64,
    /// The table of a volatile set whose items all fall into one window.
    table: Option<Dict>,
    /// Blocks held beside it: request (B) and number, by request.
    blocks: Vec<(u64, u64)>,
}

impl TimeIndex {
    /// Items in it.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Adds an item, after all others or among them.
    pub(super) fn insert<T: Tally>(&mut self, last: bool, span: Span, rules: &Rules<'_>, held: &mut Held<'_, T>) {
        self.items += 1;
        self.segments += if last { SPLIT_AT_END } else { SPLIT_ANYWHERE };
        if let Some(table) = &mut self.table {
            table.insert(Kind::zset(rules), 1, held);
        }
        self.settle(span, rules, held);
    }

    /// Takes an item out.
    pub(super) fn remove<T: Tally>(&mut self, span: Span, rules: &Rules<'_>, held: &mut Held<'_, T>) {
        self.segments -= self.segments.checked_div(self.items).unwrap_or(0);
        self.items = self.items.saturating_sub(1);
        if let Some(table) = &mut self.table {
            table.remove(Kind::zset(rules), 1, held);
        }
        self.settle(span, rules, held);
    }

    /// Frees it.
    pub(super) fn release<T: Tally>(&mut self, rules: &Rules<'_>, held: &mut Held<'_, T>) {
        if let Some(table) = &mut self.table {
            table.release(Kind::zset(rules), held);
        }
        for (request, count) in std::mem::take(&mut self.blocks) {
            held.free_many(request, count);
        }
        *self = TimeIndex::default();
    }

    /// What it holds (B).
    fn bytes(&self, rules: &Rules<'_>) -> u64 {
        self.blocks.iter().map(|&(request, count)| rules.classes.class(request) * count).sum()
    }

    /// What `MEMORY USAGE` of the hash leaves out of it (B).  *measured*: redis 8.0.2 counts none of its index; valkey 9.1.2
    /// all of it, but a vector of two, which is the first, as it was asked for.
    pub(super) fn unseen(&self, rules: &Rules<'_>) -> u64 {
        match rules.collections.field_ttl {
            FieldTtl::VolatileSet { .. } if self.items == 2 && !self.tree => {
                let request = VECTOR + POINTER * self.items;
                rules.classes.class(request) - request
            }
            FieldTtl::VolatileSet { .. } | FieldTtl::None => 0,
            FieldTtl::Ebuckets { .. } => self.bytes(rules),
        }
    }

    /// Its blocks, named.
    pub(super) fn allocations(&self, rules: &Rules<'_>) -> Vec<Allocation> {
        let name = match (rules.collections.field_ttl, self.tree) {
            (FieldTtl::VolatileSet { .. }, false) => "volatile set: vector",
            (FieldTtl::VolatileSet { .. }, true) => "volatile set: node or vector (expected)",
            _ => "ebuckets: node or segment (expected)",
        };
        let block = |&(request, count): &(u64, u64)| Allocation::new(name, request, count as f64, rules.classes);
        let mut all: Vec<Allocation> = self.blocks.iter().filter(|block| block.1 > 0).map(block).collect();
        if let Some(table) = &self.table {
            for block in dict::allocations(Kind::zset(rules), table.used(), 0, rules) {
                all.push(Allocation { reason: format!("volatile set: {}", block.reason), ..block });
            }
        }
        all
    }

    /// Makes the table of a volatile set whose items fall into one window, and gives it up where they no longer do.
    fn settle_table<T: Tally>(&mut self, span: Span, rules: &Rules<'_>, held: &mut Held<'_, T>) {
        let kind = Kind::zset(rules);
        let one = self.items > 0 && span.len() <= SHORTEST_WINDOW;
        match &mut self.table {
            Some(table) if !one => {
                table.release(kind, held);
                self.table = None;
                self.reckoned = 0;
            }
            None if one && self.items > VECTOR_ITEMS => {
                let mut table = Dict::new(kind, self.items, 0, held);
                (0..self.items).for_each(|_| table.insert(kind, 1, held));
                self.table = Some(table);
                self.reckoned = 0;
            }
            _ => {}
        }
    }

    /// Brings its blocks in line with its numbers: exactly while it is small, else when a 64th of it has changed.
    fn settle<T: Tally>(&mut self, span: Span, rules: &Rules<'_>, held: &mut Held<'_, T>) {
        let volatile_set = matches!(rules.collections.field_ttl, FieldTtl::VolatileSet { .. });
        if volatile_set {
            self.settle_table(span, rules, held);
        }
        if self.tree && self.items > 0 && self.items.abs_diff(self.reckoned) * 64 < self.items {
            return;
        }
        let most = if volatile_set { VECTOR_ITEMS } else { SEGMENT_ITEMS };
        self.tree = self.items > most || (self.tree && self.items > 0);
        self.reckoned = self.items;
        let blocks = match (volatile_set, self.tree) {
            (false, false) => Vec::new(),
            (true, false) if self.items < 2 => Vec::new(),
            (true, false) => vec![(VECTOR + POINTER * self.items, 1)],
            (false, true) => self.ebuckets(span, rules),
            (true, true) if self.table.is_some() => one_window(span, rules),
            (true, true) => volatile_set_tree(self.items as f64, span, rules),
        };
        replace_blocks(&mut self.blocks, blocks, held);
    }

    /// Segments and tree of ebuckets.
    fn ebuckets(&self, span: Span, rules: &Rules<'_>) -> Vec<(u64, u64)> {
        let segments = (self.segments.div_ceil(ONE)).max(self.items.div_ceil(SEGMENT_ITEMS)).max(1);
        // Items of one time stay together, in as many segments as they need.
        let keys = (segments as f64).min(span.len()).floor() as u64;
        let next = self.items.div_ceil(SEGMENT_ITEMS).saturating_sub(keys);
        let mut blocks = vec![(rules.collections.rax, 1), (FIRST_SEGMENT, keys), (NEXT_SEGMENT, next)];
        blocks.extend(tree(keys as f64, span.len(), 1.0, EBUCKETS_KEY));
        blocks
    }
}

/// A database's index of hashes whose fields have a TTL: ebuckets, or Valkey's table of such keys.
#[derive(Debug, Clone, Default)]
pub struct HashIndex {
    by_time: TimeIndex,
    table: Option<Dict>,
    bytes: u64,
}

impl HashIndex {
    /// What it holds (B).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a hash, after all others or among them.
    pub fn insert<T: Tally>(&mut self, last: bool, span: Span, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        if let FieldTtl::VolatileSet { .. } = rules.collections.field_ttl {
            let table = self.table.get_or_insert_with(|| Dict::new(Kind::zset(rules), 0, 0, &mut held));
            table.insert(Kind::zset(rules), 1, &mut held);
        } else {
            self.by_time.insert(last, span, rules, &mut held);
        }
    }

    /// Takes a hash out.
    pub fn remove<T: Tally>(&mut self, span: Span, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.table {
            Some(table) => table.remove(Kind::zset(rules), 1, &mut held),
            None => self.by_time.remove(span, rules, &mut held),
        }
        if let Some(table) = self.table.filter(|table| table.used() == 0) {
            let mut table = table;
            table.release(Kind::zset(rules), &mut held);
            self.table = None;
        }
    }
}

/// Frees what is no longer there and allocates what is new.
fn replace_blocks<T: Tally>(old: &mut Vec<(u64, u64)>, new: Vec<(u64, u64)>, held: &mut Held<'_, T>) {
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(new.len());
    for (request, count) in new {
        match merged.iter_mut().find(|(other, _)| *other == request) {
            Some((_, sum)) => *sum += count,
            None => merged.push((request, count)),
        }
    }
    for &(request, count) in old.iter() {
        let now = merged.iter().find(|(other, _)| *other == request).map_or(0, |&(_, now)| now);
        held.free_many(request, count.saturating_sub(now));
    }
    for &(request, count) in &merged {
        let before = old.iter().find(|(other, _)| *other == request).map_or(0, |&(_, before)| before);
        held.allocate_many(request, count.saturating_sub(before));
    }
    *old = merged;
}

/// The tree of a volatile set with a single bucket.
fn one_window(span: Span, rules: &Rules<'_>) -> Vec<(u64, u64)> {
    let mut blocks = vec![(rules.collections.rax, 1)];
    blocks.extend(tree(1.0, span.len(), SHORTEST_WINDOW, VSET_KEY));
    blocks
}

/// Buckets of a volatile set and the tree of their times.
fn volatile_set_tree(items: f64, span: Span, rules: &Rules<'_>) -> Vec<(u64, u64)> {
    let mut window = LONGEST_WINDOW;
    while window > SHORTEST_WINDOW && items * window / span.len().max(window) > VECTOR_ITEMS as f64 {
        window /= 2.0;
    }
    let windows = (span.len() / window).ceil();
    let load = items / windows;
    let taken = (windows * (1.0 - (-load).exp())).round().max(1.0);
    let mut blocks = vec![(rules.collections.rax, 1)];
    blocks.extend(tree(taken, span.len(), window, VSET_KEY));
    if load > VECTOR_ITEMS as f64 {
        let kind = Kind::zset(rules);
        for block in dict::allocations(kind, load as u64, 0, rules) {
            blocks.push((block.request, (block.count * windows).round() as u64));
        }
        return blocks;
    }
    // Vectors of each length; fractions carry over to the next, so that their number is right where it is small.
    let (mut probability, mut seen, mut expected) = ((-load).exp(), 0, 0.0);
    for inside in 1..=VECTOR_ITEMS {
        probability *= load / inside as f64;
        expected += windows * probability;
        let count = (expected.round() as u64).saturating_sub(seen);
        seen += count;
        if inside > 1 && count > 0 {
            blocks.push((VECTOR + POINTER * inside, count));
        }
    }
    blocks
}

/// Nodes of a radix tree of `keys` times of `bytes` bytes, spread evenly over `span` ms at multiples of `step`: request (B)
/// and number.
fn tree(keys: f64, span: f64, step: f64, bytes: u32) -> Vec<(u64, u64)> {
    let mut blocks = vec![(rax::node(0, 1), keys.round() as u64)];
    let width = |depth: u32| 256_f64.powi((bytes - depth).cast_signed());
    let places = |depth| (span.min(width(depth)) / width(depth + 1).max(step)).ceil().clamp(1.0, 256.0);
    // The bytes that all have in common.
    let first = (0..bytes).find(|&depth| keys >= 2.0 && places(depth) >= 2.0).unwrap_or(bytes);
    if first > 0 {
        blocks.push((rax::node(u64::from(first), 1), 1));
    }
    let mut reached = 1.0;
    for depth in first..bytes {
        let (places, all) = (places(depth), (span / width(depth)).max(1.0));
        let load = keys / all;
        // Children of a node that are there, and nodes that have a single one.
        let taken = places * (1.0 - (-load / places).exp());
        let single = taken * (-load * (1.0 - 1.0 / places)).exp();
        let (branches, children) = if places < 2.0 {
            (0.0, 0.0)
        } else {
            (all * (1.0 - (-load).exp() - single).max(0.0), all * (taken - single).max(0.0))
        };
        // What is reached and does not branch is a chain down to the end.
        let chains = if depth > first { (reached - branches).max(0.0).round() as u64 } else { 0 };
        blocks.push((rax::node(u64::from(bytes - depth), 1), chains));
        if branches >= 0.5 {
            let each = (children / branches).round().max(2.0) as u64;
            blocks.push((rax::node(each, each), branches.round() as u64));
        }
        reached = children;
    }
    blocks.retain(|&(_, count)| count > 0);
    blocks
}
