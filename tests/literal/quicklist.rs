//! Lists, node by node.

use super::packed::{Item, packed};
use super::{Server, cost};
use capsim::profile::SizeClasses;
use std::collections::VecDeque;

#[derive(Debug)]
enum Node {
    Packed(VecDeque<Item>),
    Plain(u64),
}

/// A quicklist; or, where the release has it, a listpack alone.
#[derive(Debug)]
pub(crate) struct Quicklist {
    server: Server,
    /// `list-max-listpack-size`.
    fill: i64,
    nodes: VecDeque<Node>,
    alone: bool,
}

impl Quicklist {
    pub(crate) fn new(server: Server, fill: i64) -> Quicklist {
        let nodes = if server.from_7_2 { VecDeque::from([Node::Packed(VecDeque::new())]) } else { VecDeque::new() };
        Quicklist { server, fill, nodes, alone: server.from_7_2 }
    }

    /// `optimization_level`; none where elements are counted.
    fn most_bytes(&self) -> Option<u64> {
        [4096, 8192, 16_384, 32_768, 65_536].get((-self.fill - 1).clamp(-1, 4) as usize).copied()
    }

    /// Whether a node may have these bytes and so many elements.  Source: `quicklistNodeExceedsLimit`.
    fn fits(&self, bytes: u64, elements: u64) -> bool {
        match self.most_bytes() {
            Some(most) => bytes <= most,
            None => bytes <= 8192 && elements <= self.fill.max(1) as u64,
        }
    }

    /// Source: `isLargeElement`.
    fn is_large(&self, length: u64) -> bool {
        self.server.plain_nodes && length > self.most_bytes().unwrap_or(8192)
    }

    fn bytes_of(&self, items: &VecDeque<Item>) -> u64 {
        packed(items, self.server.ziplist)
    }

    pub(crate) fn is_quicklist(&self) -> bool {
        !self.alone
    }

    pub(crate) fn push(&mut self, front: bool, item: Item) {
        let length = item.length();
        if let (true, Some(Node::Packed(items))) = (self.alone, self.nodes.front()) {
            // `listTypeTryConvertListpack`.
            if self.fits(self.bytes_of(items) + length, items.len() as u64 + 1) {
                self.put(front, item);
                return;
            }
            self.alone = false;
            if items.is_empty() {
                self.nodes.clear();
            }
        }
        // `SIZE_ESTIMATE_OVERHEAD`; 6.2: the lengths that an entry would have.
        let overhead = match (self.server.ziplist, length) {
            (false, _) => 8,
            (true, 0..64) => 1 + 1,
            (true, 64..254) => 1 + 2,
            (true, 254..16_384) => 5 + 2,
            (true, _) => 5 + 5,
        };
        let end = if front { self.nodes.front() } else { self.nodes.back() };
        let takes = match end {
            Some(Node::Packed(items)) => {
                !self.is_large(length) && self.fits(self.bytes_of(items) + length + overhead, items.len() as u64 + 1)
            }
            _ => false,
        };
        if takes {
            self.put(front, item);
            return;
        }
        let node = if self.is_large(length) { Node::Plain(length) } else { Node::Packed(VecDeque::from([item])) };
        if front { self.nodes.push_front(node) } else { self.nodes.push_back(node) }
    }

    fn put(&mut self, front: bool, item: Item) {
        let end = if front { self.nodes.front_mut() } else { self.nodes.back_mut() };
        if let Some(Node::Packed(items)) = end {
            if front { items.push_front(item) } else { items.push_back(item) }
        }
    }

    pub(crate) fn pop(&mut self, front: bool) {
        let end = if front { self.nodes.front_mut() } else { self.nodes.back_mut() };
        let gone = match end.expect("an element") {
            Node::Packed(items) => {
                if front {
                    items.pop_front()
                } else {
                    items.pop_back()
                };
                items.is_empty()
            }
            Node::Plain(_) => true,
        };
        if gone && !self.alone {
            if front {
                self.nodes.pop_front()
            } else {
                self.nodes.pop_back()
            };
        }
        // `listTypeTryConvertQuicklist`, shrinking.
        if let (true, false, 1, Some(Node::Packed(items))) =
            (self.server.from_7_2, self.alone, self.nodes.len(), self.nodes.front())
        {
            self.alone = match self.most_bytes() {
                Some(most) => self.bytes_of(items) <= most / 2,
                None => items.len() as u64 <= self.fill.max(1) as u64 / 2,
            };
        }
    }

    pub(crate) fn bytes(&self, classes: SizeClasses) -> u64 {
        let mut requests = Vec::new();
        if !self.alone {
            requests.push(40);
        }
        for node in &self.nodes {
            requests.extend((!self.alone).then_some(self.server.quicklist_node));
            requests.push(match node {
                Node::Packed(items) => self.bytes_of(items),
                Node::Plain(length) => *length,
            });
        }
        cost(requests, classes)
    }
}
