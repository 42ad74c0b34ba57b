//! Radix trees whose keys are stream IDs, 16 bytes each.
//!
//! Source: redis 7.0.15 `src/rax.c`.  The tree's shape follows from how many leading bytes neighbouring keys share: a
//! node branches at each depth where neighbours part, chains of bytes without a branch lie in one node.  Keys come at
//! the end and go at the front, as IDs do; one byte a key is kept.

use super::allocation::{Held, Tally};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of a key.
const KEY: i32 = 16;
/// The node of an empty tree (B).
const EMPTY: u64 = 8;
/// A key's end: header, padding, pointer to the value (B).
const LEAF: u64 = 16;

/// Bytes of a node of `size` bytes of the key and `pointers` pointers.  Source: `raxNodeCurrentLength`.
pub(super) fn node(size: u64, pointers: u64) -> u64 {
    (4 + size).next_multiple_of(8) + 8 * pointers
}

/// A stream ID as a key.
#[must_use]
pub fn key(ms: u64, seq: u64) -> u128 {
    (u128::from(ms) << 64) | u128::from(seq)
}

/// A radix tree of IDs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdTree {
    keys: u64,
    nodes: u64,
    last: u128,
    /// Leading bytes that each key shares with the next.
    shared: VecDeque<u8>,
    /// For each depth, the branching nodes there from left to right: children less one.
    branches: Vec<VecDeque<u32>>,
    /// Depths that have a branching node above the last key.
    open: u16,
}

impl IdTree {
    /// An empty tree, with a header of `header` bytes.
    pub(super) fn new<T: Tally>(header: u64, held: &mut Held<'_, T>) -> IdTree {
        held.allocate(header);
        held.allocate(EMPTY);
        IdTree { nodes: 1, ..IdTree::default() }
    }

    /// Keys in it.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Nodes in it.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// What `MEMORY USAGE` counts for it where it counts nodes (B).  Source: `streamRadixTreeMemoryUsage`.
    pub(super) fn nominal(&self, node: u64) -> u64 {
        self.keys * 16 + self.nodes * node
    }

    /// Adds or takes away a chain of bytes between depth `from` and a node at depth `to`.
    fn chain<T: Tally>(&mut self, from: i32, to: i32, add: bool, held: &mut Held<'_, T>) {
        let size = to - from - 1;
        if size <= 0 {
            return;
        }
        let request = node(u64::from(size.cast_unsigned()), 1);
        if add {
            self.nodes += 1;
            held.allocate(request);
        } else {
            self.nodes -= 1;
            held.free(request);
        }
    }

    /// Its nodes: what they are, the bytes that each requests (B), and how many there are.
    #[must_use]
    pub fn listing(&self) -> Vec<(&'static str, u64, u64)> {
        if self.keys == 0 {
            return vec![("raxNode, empty", EMPTY, 1)];
        }
        let mut nodes = BTreeMap::new();
        let mut count = |what: &'static str, request: u64| *nodes.entry((what, request)).or_insert(0) += 1;
        let chain = |from: i32, to: i32, count: &mut dyn FnMut(&'static str, u64)| {
            if to - from > 1 {
                count("raxNode, bytes of keys", node(u64::from((to - from - 1).cast_unsigned()), 1));
            }
        };
        // Branching nodes above the present key: depth and children.
        let mut open: Vec<(i32, u64)> = Vec::new();
        let mut before = -1;
        for next in self.shared.iter().map(|&shared| i32::from(shared)).chain([-1]) {
            count("raxNode, end of a key", LEAF);
            chain(before.max(next), KEY, &mut count);
            while let Some(&(depth, children)) = open.last().filter(|(depth, _)| *depth > next) {
                open.pop();
                count("raxNode, branch", node(children, children));
                let parent = open.last().map_or(-1, |above| above.0).max(next);
                chain(parent, depth, &mut count);
            }
            match open.last_mut() {
                Some((depth, children)) if *depth == next => *children += 1,
                _ if next >= 0 => open.push((next, 2)),
                _ => {}
            }
            before = next;
        }
        nodes.into_iter().map(|((what, request), count)| (what, request, count)).collect()
    }

    /// The deepest open branching node above depth `depth`, or -1.
    fn open_above(&self, depth: i32) -> i32 {
        let above = u32::from(self.open) & ((1 << depth) - 1);
        31 - above.leading_zeros().cast_signed()
    }

    fn at(&mut self, depth: i32) -> &mut VecDeque<u32> {
        if self.branches.is_empty() {
            self.branches = vec![VecDeque::new(); KEY as usize];
        }
        &mut self.branches[depth as usize]
    }

    /// Adds a key above all others; one that is not is taken to be the next after the last.
    pub(super) fn push_back<T: Tally>(&mut self, key: u128, held: &mut Held<'_, T>) {
        if self.keys == 0 {
            held.free(EMPTY);
            held.allocate(LEAF);
            self.chain(-1, KEY, true, held);
            (self.keys, self.last) = (1, key);
            return;
        }
        let key = if key > self.last { key } else { self.last.saturating_add(1) };
        let depth = ((key ^ self.last).leading_zeros() / 8).min(15).cast_signed();
        let before = self.shared.back().map_or(-1, |&shared| i32::from(shared));
        if depth > before {
            self.chain(before, KEY, false, held);
            self.chain(depth, KEY, true, held);
        }
        let parent = self.open_above(depth);
        // Branching nodes below this depth get no more children; the topmost hangs below the new branch.
        let deeper = u32::from(self.open) & !((2 << depth) - 1);
        if deeper != 0 && self.open & (1 << depth) == 0 {
            let top = deeper.trailing_zeros().cast_signed();
            self.chain(parent, top, false, held);
            self.chain(depth, top, true, held);
        }
        self.open &= !(deeper as u16);
        if self.open & (1 << depth) == 0 {
            self.open |= 1 << depth;
            self.at(depth).push_back(1);
            self.nodes += 1;
            held.allocate(node(2, 2));
            self.chain(parent, depth, true, held);
        } else if let Some(more) = self.at(depth).back_mut() {
            *more += 1;
            let children = u64::from(*more) + 1;
            held.resize(node(children - 1, children - 1), node(children, children));
        }
        held.allocate(LEAF);
        self.nodes += 1;
        self.chain(depth, KEY, true, held);
        self.shared.push_back(depth as u8);
        self.keys += 1;
        self.last = key;
    }

    /// Takes the first key out.
    pub(super) fn pop_front<T: Tally>(&mut self, held: &mut Held<'_, T>) {
        if self.keys == 0 {
            return;
        }
        self.keys -= 1;
        held.free(LEAF);
        let Some(depth) = self.shared.pop_front().map(i32::from) else {
            self.chain(-1, KEY, false, held);
            held.allocate(EMPTY);
            return;
        };
        self.nodes -= 1;
        self.chain(depth, KEY, false, held);
        let Some(more) = self.at(depth).front_mut() else { return };
        *more -= 1;
        let children = u64::from(*more) + 1;
        if children > 1 {
            held.resize(node(children + 1, children + 1), node(children, children));
            return;
        }
        // One child is left: the node goes, and its chain and the child's become one.
        let branches = self.at(depth);
        branches.pop_front();
        if branches.is_empty() {
            self.open &= !(1 << depth);
        }
        let mut child = KEY;
        let mut parent = -1;
        for &shared in &self.shared {
            if i32::from(shared) < depth {
                parent = i32::from(shared);
                break;
            }
            child = child.min(i32::from(shared));
        }
        held.free(node(2, 2));
        self.nodes -= 1;
        self.chain(parent, depth, false, held);
        self.chain(depth, child, false, held);
        self.chain(parent, child, true, held);
    }

    /// Frees the tree: `held` bytes of it at most are gone afterwards.
    pub(super) fn release<T: Tally>(&mut self, header: u64, held: &mut Held<'_, T>) {
        while self.keys > 0 {
            self.pop_front(held);
        }
        held.free(EMPTY);
        held.free(header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;
    use proptest::prelude::*;

    /// Bytes and nodes of the tree over sorted keys from `depth` on, built literally.
    fn literal(keys: &[[u8; 16]], depth: usize) -> (u64, u64) {
        let classes = Allocator::Bundled.classes();
        if keys.is_empty() {
            return (EMPTY, 1);
        }
        let (first, last) = (&keys[0], &keys[keys.len() - 1]);
        let shared = (depth..16).take_while(|&i| first[i] == last[i]).count();
        let mut sum = if shared > 0 { (classes.class(node(shared as u64, 1)), 1) } else { (0, 0) };
        let depth = depth + shared;
        if keys.len() == 1 {
            return (sum.0 + LEAF, sum.1 + 1);
        }
        let groups: Vec<_> = keys.chunk_by(|a, b| a[depth] == b[depth]).collect();
        sum = (sum.0 + classes.class(node(groups.len() as u64, groups.len() as u64)), sum.1 + 1);
        for group in groups {
            let below = literal(group, depth + 1);
            sum = (sum.0 + below.0, sum.1 + below.1);
        }
        sum
    }

    fn check(steps: &[u64], removals: usize) {
        let classes = Allocator::Bundled.classes();
        let (mut bytes, mut tally) = (0, ());
        let mut held = Held::new(&mut bytes, classes, &mut tally);
        let mut tree = IdTree::new(24, &mut held);
        let mut keys = Vec::new();
        let mut id = key(1_700_000_000_000, 0);
        for (index, step) in steps.iter().enumerate() {
            id += u128::from(*step) << if index % 3 == 0 { 64 } else { 0 };
            tree.push_back(id, &mut held);
            keys.push(id.to_be_bytes());
        }
        for _ in 0..removals.min(keys.len()) {
            tree.pop_front(&mut held);
            keys.remove(0);
        }
        // And more at the end.
        for step in steps {
            id += u128::from(*step);
            tree.push_back(id, &mut held);
            keys.push(id.to_be_bytes());
        }
        let (expected, nodes) = literal(&keys, 0);
        assert_eq!((bytes, tree.nodes()), (24 + expected, nodes), "{} keys", keys.len());
        let listed = |(bytes, nodes), (_, request, count)| (bytes + classes.class(request) * count, nodes + count);
        assert_eq!(tree.listing().into_iter().fold((0, 0), listed), (expected, nodes));
    }

    proptest! {
        #[test]
        fn the_tree_has_the_bytes_of_one_built_literally(
            steps in prop::collection::vec(prop_oneof![1_u64..4, 1_u64..600, 1_u64..100_000], 1..300),
            removals in 0_usize..320,
        ) {
            check(&steps, removals);
        }
    }

    #[test]
    fn everything_put_in_and_taken_out_leaves_the_empty_tree() {
        let (mut bytes, mut tally) = (0, ());
        let mut held = Held::new(&mut bytes, Allocator::Bundled.classes(), &mut tally);
        let mut tree = IdTree::new(24, &mut held);
        for ms in 0..10_000 {
            tree.push_back(key(ms * 7, 0), &mut held);
        }
        for _ in 0..10_000 {
            tree.pop_front(&mut held);
        }
        assert_eq!((bytes, tree.nodes()), (24 + 8, 1));
        tree.release(24, &mut Held::new(&mut bytes, Allocator::Bundled.classes(), &mut tally));
        assert_eq!(bytes, 0);
    }
}
