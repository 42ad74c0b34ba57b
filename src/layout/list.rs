//! Lists: a quicklist of packed nodes; from 7.2 on one listpack while small.
//!
//! Source: redis 7.0.15 `src/quicklist.c`, `src/t_list.c`; 6.2.16 and 7.4.1 where the release says so.  Nodes are kept
//! as runs of equal ones.  Left out: compression (`list-compress-depth`), which needs the content; LINSERT, LSET and
//! LREM in the middle.

use super::Encoding;
use super::allocation::{Allocation, Held, Rules, Tally};
use super::hash::packed_name;
use super::listpack::{Element, Packed};
use crate::profile::Packing;
use std::collections::VecDeque;

/// `sizeof(quicklist)` (B).
const QUICKLIST: u64 = 40;
/// What a push is taken to add to a listpack beside the element's bytes (B).  Source: `SIZE_ESTIMATE_OVERHEAD`.
const ESTIMATE_OVERHEAD: u64 = 8;
/// Longest node where `list-max-listpack-size` counts elements (B).  Source: `SIZE_SAFETY_LIMIT`.
const SAFETY_LIMIT: u64 = 8192;
/// From this length on an element is a node of its own, in every release from 7.0 on (B).  Source: `packed_threshold`.
const PLAIN_FROM: u64 = 1 << 30;

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// LPUSH, LPOP.
    Front,
    /// RPUSH, RPOP.
    Back,
}

/// A node's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Packed(Packed),
    /// One element's bytes alone.
    Plain(u64),
}

impl Node {
    fn request(self, packing: Packing) -> u64 {
        match self {
            Node::Packed(packed) => packed.bytes(packing),
            Node::Plain(length) => length,
        }
    }

    fn entries(self) -> u64 {
        match self {
            Node::Packed(packed) => packed.entries,
            Node::Plain(_) => 1,
        }
    }
}

/// Equal nodes beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    node: Node,
    count: u64,
}

/// How the elements are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Packed(Packed),
    Quicklist { runs: VecDeque<Run>, nodes: u64 },
}

/// A list without the key and the object that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    body: Body,
    elements: u64,
    bytes: u64,
}

/// Most bytes and most elements of a node.
fn node_limit(size: i64) -> (u64, u64) {
    if size < 0 {
        // -1 is 4 KiB; each step down doubles, to 64 KiB.
        (4096 << ((-size).min(5) - 1), u64::MAX)
    } else {
        // 0 elements is one.
        (SAFETY_LIMIT, size.max(1).cast_unsigned())
    }
}

/// Whether a node with these figures is over the limit.
fn exceeds(size: i64, bytes: u64, entries: u64) -> bool {
    let (most_bytes, most_entries) = node_limit(size);
    bytes > most_bytes || entries > most_entries
}

/// Whether an element becomes a plain node.
fn is_plain(length: u64, rules: &Rules<'_>) -> bool {
    if rules.collections.packing == Packing::Ziplist {
        false
    } else if rules.collections.list_plain_nodes {
        length > node_limit(rules.limits.list_size).0
    } else {
        length >= PLAIN_FROM
    }
}

/// Whether a node takes one more element of `length` bytes.
fn takes(node: Node, length: u64, rules: &Rules<'_>) -> bool {
    let Node::Packed(packed) = node else { return false };
    let packing = rules.collections.packing;
    let overhead = match packing {
        Packing::Listpack => ESTIMATE_OVERHEAD,
        Packing::Ziplist => {
            (if length < 254 { 1 } else { 5 })
                + match length {
                    0..=63 => 1,
                    64..=16_383 => 2,
                    _ => 5,
                }
        }
    };
    !is_plain(length, rules)
        && !exceeds(rules.limits.list_size, packed.bytes(packing) + length + overhead, packed.entries + 1)
}

impl List {
    /// An empty list.
    pub fn new<T: Tally>(rules: &Rules<'_>, tally: &mut T) -> List {
        let mut bytes = 0;
        let mut held = Held::new(&mut bytes, rules.classes, tally);
        let body = if rules.collections.list_packed {
            held.allocate(Packed::new().bytes(rules.collections.packing));
            Body::Packed(Packed::new())
        } else {
            held.allocate(QUICKLIST);
            Body::Quicklist { runs: VecDeque::new(), nodes: 0 }
        };
        List { body, elements: 0, bytes }
    }

    /// What it holds (B).
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.elements
    }

    /// Whether it has no element: the server then deletes the key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// Nodes; 0 for a listpack alone.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        if let Body::Quicklist { nodes, .. } = &self.body { *nodes } else { 0 }
    }

    /// Its encoding.
    #[must_use]
    pub fn encoding(&self, rules: &Rules<'_>) -> Encoding {
        match &self.body {
            Body::Packed(_) => Encoding::packed(rules.collections.packing),
            Body::Quicklist { .. } => Encoding::Quicklist,
        }
    }

    /// What `MEMORY USAGE` with all samples counts for it beside the object (B).
    #[must_use]
    pub fn memory_usage(&self, rules: &Rules<'_>) -> u64 {
        let Body::Quicklist { runs, nodes } = &self.body else { return self.bytes };
        let collections = rules.collections;
        let blocks = if collections.memory_usage.list_nominal {
            runs.iter().map(|run| run.count * run.node.request(collections.packing)).sum()
        } else {
            self.bytes - rules.classes.class(QUICKLIST) - nodes * rules.classes.class(collections.quicklist_node)
        };
        let sampled = blocks + nodes * collections.quicklist_node;
        if !collections.memory_usage.list_mean || *nodes == 0 {
            return QUICKLIST + sampled;
        }
        let object = rules.profile.robj;
        ((object + QUICKLIST) as f64 + sampled as f64 / *nodes as f64 * *nodes as f64) as u64 - object
    }

    /// A command is about to push `count` elements of `length` bytes together: a listpack that would get too long
    /// becomes a quicklist first.
    pub fn size_hint<T: Tally>(&mut self, count: u64, length: u64, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let Body::Packed(packed) = self.body else { return self.bytes };
        let bytes = packed.bytes(rules.collections.packing) + length;
        if !exceeds(rules.limits.list_size, bytes, packed.entries + count) {
            return self.bytes;
        }
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        held.allocate(QUICKLIST);
        let mut runs = VecDeque::new();
        if packed.entries > 0 {
            held.allocate(rules.collections.quicklist_node);
            runs.push_back(Run { node: Node::Packed(packed), count: 1 });
        } else {
            held.free(packed.bytes(rules.collections.packing));
        }
        self.body = Body::Quicklist { nodes: runs.len() as u64, runs };
        held.peak()
    }

    /// Pushes one of a command's elements; [`List::size_hint`] comes before the first.
    pub fn push<T: Tally>(&mut self, end: End, element: Element, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let packing = rules.collections.packing;
        self.elements += 1;
        let (runs, nodes) = match &mut self.body {
            Body::Packed(packed) => {
                let before = packed.bytes(packing);
                add(packed, end, element, packing);
                held.resize(before, packed.bytes(packing));
                return;
            }
            Body::Quicklist { runs, nodes } => (runs, nodes),
        };
        let last = match end {
            End::Front => runs.front().copied(),
            End::Back => runs.back().copied(),
        };
        if let Some(Run { node: Node::Packed(mut packed), .. }) = last
            && takes(Node::Packed(packed), element.length(), rules)
        {
            let before = packed.bytes(packing);
            add(&mut packed, end, element, packing);
            held.resize(before, packed.bytes(packing));
            take_node(runs, end);
            put_node(runs, end, Node::Packed(packed));
            return;
        }
        let node = if is_plain(element.length(), rules) {
            Node::Plain(element.length())
        } else {
            let mut packed = Packed::new();
            packed.push_back(element, packing);
            Node::Packed(packed)
        };
        held.allocate(rules.collections.quicklist_node);
        held.allocate(node.request(packing));
        *nodes += 1;
        put_node(runs, end, node);
    }

    /// Pops the element at an end.
    pub fn pop<T: Tally>(&mut self, end: End, element: Element, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let packing = rules.collections.packing;
        self.elements = self.elements.saturating_sub(1);
        match &mut self.body {
            Body::Packed(packed) => {
                let before = packed.bytes(packing);
                packed.remove(element, packing);
                held.resize(before, packed.bytes(packing));
            }
            Body::Quicklist { runs, nodes } => {
                let Some(node) = take_node(runs, end) else { return held.peak() };
                match node {
                    Node::Packed(mut packed) if packed.entries > 1 => {
                        packed.remove(element, packing);
                        held.resize(node.request(packing), packed.bytes(packing));
                        put_node(runs, end, Node::Packed(packed));
                    }
                    _ => {
                        held.free(node.request(packing));
                        held.free(rules.collections.quicklist_node);
                        *nodes -= 1;
                    }
                }
            }
        }
        if rules.collections.list_packed {
            self.pack(rules, tally);
        }
        self.bytes
    }

    /// A quicklist of one node that is at most half full becomes a listpack; where elements are counted, its bytes do not
    /// matter.  Source: 7.2.6 `src/t_list.c`, `listTypeTryConvertQuicklist`.
    fn pack<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        let Body::Quicklist { runs, nodes: 1 } = &self.body else { return };
        let Some(Run { node: Node::Packed(packed), .. }) = runs.front() else { return };
        let size = rules.limits.list_size;
        let (most_bytes, most_entries) = node_limit(size);
        let few_bytes = size >= 0 || packed.bytes(rules.collections.packing) <= most_bytes / 2;
        let small = few_bytes && packed.entries <= most_entries / 2;
        if small {
            let mut held = Held::new(&mut self.bytes, rules.classes, tally);
            held.free(QUICKLIST);
            held.free(rules.collections.quicklist_node);
            self.body = Body::Packed(*packed);
        }
    }

    /// Frees all of it.
    pub fn release<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let packing = rules.collections.packing;
        match &self.body {
            Body::Packed(packed) => held.free(packed.bytes(packing)),
            Body::Quicklist { runs, nodes } => {
                runs.iter().for_each(|run| held.free_many(run.node.request(packing), run.count));
                held.free_many(rules.collections.quicklist_node, *nodes);
                held.free(QUICKLIST);
            }
        }
        self.elements = 0;
    }

    /// Its blocks.
    #[must_use]
    pub fn allocations(&self, rules: &Rules<'_>) -> Vec<Allocation> {
        let packing = rules.collections.packing;
        let name = packed_name(packing);
        let classes = rules.classes;
        match &self.body {
            Body::Packed(packed) => vec![Allocation::new(name, packed.bytes(packing), 1.0, classes)],
            Body::Quicklist { runs, nodes } => {
                let mut all = vec![
                    Allocation::new("quicklist", QUICKLIST, 1.0, classes),
                    Allocation::new("quicklistNode", rules.collections.quicklist_node, *nodes as f64, classes),
                ];
                for run in runs {
                    let reason = match run.node {
                        Node::Plain(_) => "element, plain".to_owned(),
                        node => format!("{name} of {} elements", node.entries()),
                    };
                    all.push(Allocation::new(reason, run.node.request(packing), run.count as f64, classes));
                }
                all
            }
        }
    }
}

fn add(packed: &mut Packed, end: End, element: Element, packing: Packing) {
    match end {
        End::Front => packed.push_front(element, packing),
        End::Back => packed.push_back(element, packing),
    }
}

/// Takes the node at an end out of its run.
fn take_node(runs: &mut VecDeque<Run>, end: End) -> Option<Node> {
    let run = match end {
        End::Front => runs.front_mut(),
        End::Back => runs.back_mut(),
    }?;
    let node = run.node;
    run.count -= 1;
    if run.count == 0 {
        match end {
            End::Front => runs.pop_front(),
            End::Back => runs.pop_back(),
        };
    }
    Some(node)
}

/// Puts a node at an end, into the run there when it is one like it.
fn put_node(runs: &mut VecDeque<Run>, end: End, node: Node) {
    let run = match end {
        End::Front => runs.front_mut(),
        End::Back => runs.back_mut(),
    };
    match run {
        Some(run) if run.node == node => run.count += 1,
        _ => {
            let run = Run { node, count: 1 };
            match end {
                End::Front => runs.push_front(run),
                End::Back => runs.push_back(run),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::limits::Limits;
    use crate::profile::{Allocator, Profile};

    fn rules(release: &str, allocator: Allocator) -> Rules<'static> {
        Rules::new(Profile::find(release).expect("a release"), allocator.classes(), Limits::default())
    }

    fn pushed(count: u64, length: u64, rules: &Rules<'_>) -> List {
        let mut list = List::new(rules, &mut ());
        for _ in 0..count {
            list.size_hint(1, length, rules, &mut ());
            list.push(End::Back, length.into(), rules, &mut ());
        }
        list
    }

    #[test]
    fn ten_thousand_elements_of_64_bytes_lie_in_82_nodes() {
        // Measured: 20 such lists, keys of 8 bytes: 13,516,096 and 13,502,656.
        for (allocator, total) in [(Allocator::System, 675_792 - 48 - 16), (Allocator::Bundled, 675_120 - 40 - 16)] {
            let rules = rules("redis-7.0", allocator);
            let list = pushed(10_000, 64, &rules);
            assert_eq!((list.nodes(), list.bytes()), (82, total));
            let Body::Quicklist { runs, .. } = &list.body else { panic!("a quicklist") };
            assert_eq!(runs.len(), 2, "81 full nodes are one run");
        }
    }

    #[test]
    fn a_trimmed_list_becomes_a_listpack_again() {
        let rules = rules("redis-7.2", Allocator::Bundled);
        let mut list = pushed(10_000, 64, &rules);
        assert_eq!(list.encoding(&rules), Encoding::Quicklist);
        for _ in 0..9950 {
            list.pop(End::Front, 64.into(), &rules, &mut ());
        }
        // Measured: LTRIM to 50 elements leaves a listpack of 3357 bytes in its class.
        assert_eq!((list.encoding(&rules), list.bytes()), (Encoding::Listpack, 3584));
    }

    #[test]
    fn positive_sizes_count_elements() {
        let mut rules = rules("redis-7.0", Allocator::Bundled);
        rules.limits.list_size = 10;
        assert_eq!(pushed(100, 20, &rules).nodes(), 10);
        assert_eq!(pushed(100, 4000, &rules).nodes(), 50, "and end at 8 KiB all the same");
    }
}
