//! Streams: listpacks entry by entry, radix trees node by node.

use super::packed::{Item, listpack};
use super::{Server, cost, sds};
use capsim::layout::hash::Pair;
use capsim::layout::stream::Id;
use capsim::profile::SizeClasses;
use std::collections::BTreeSet;

/// Nodes of the radix tree of these keys from byte `depth` on (B).  Source: `rax.c`, `raxNodeCurrentLength`.
fn rax_nodes(keys: &[&[u8]], depth: usize, requests: &mut Vec<u64>) {
    let node = |bytes: usize, pointers: usize| ((4 + bytes).next_multiple_of(8) + 8 * pointers) as u64;
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
        requests.push(node(0, 0));
        return;
    };
    let shared = (depth..first.len()).take_while(|&place| first[place] == last[place]).count();
    if shared > 0 {
        requests.push(node(shared, 1));
    }
    let depth = depth + shared;
    if depth == first.len() {
        // A key's end, with its value.
        requests.push(node(0, 1));
        return;
    }
    let children: Vec<_> = keys.chunk_by(|a, b| a[depth] == b[depth]).collect();
    requests.push(node(children.len(), children.len()));
    children.into_iter().for_each(|child| rax_nodes(child, depth + 1, requests));
}

/// A radix tree with its header (B).
fn rax<K: AsRef<[u8]>>(keys: &BTreeSet<K>, header: u64) -> Vec<u64> {
    let mut requests = vec![header];
    let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
    rax_nodes(&keys, 0, &mut requests);
    requests
}

fn key(id: Id) -> Vec<u8> {
    [id.ms.to_be_bytes(), id.seq.to_be_bytes()].concat()
}

#[derive(Debug)]
struct Node {
    master: Id,
    schema: u64,
    fields: Vec<Item>,
    entries: Vec<(bool, Vec<Item>)>,
    /// No later one has been opened.
    last: bool,
}

impl Node {
    fn alive(&self) -> usize {
        self.entries.iter().filter(|(deleted, _)| !deleted).count()
    }

    /// Source: `t_stream.c`, `streamAppendItem`: master entry, then entries.
    fn bytes(&self) -> u64 {
        let int = |value: usize| Item::Int(value as i64);
        let deleted = self.entries.len() - self.alive();
        let mut items = vec![int(self.alive()), int(deleted), int(self.fields.len())];
        items.extend(self.fields.clone());
        items.push(int(0));
        for (deleted, entry) in &self.entries {
            items.push(int(usize::from(*deleted)));
            items.extend(entry.clone());
        }
        listpack(&items).len() as u64
    }
}

#[derive(Debug, Default)]
struct Consumer {
    name: u64,
    pending: BTreeSet<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Group {
    name: u64,
    pending: BTreeSet<Vec<u8>>,
    consumers: Vec<Consumer>,
}

#[derive(Debug)]
pub(crate) struct Stream {
    server: Server,
    most_bytes: u64,
    most_entries: usize,
    nodes: Vec<Node>,
    groups: Vec<Group>,
}

/// Names of one length that differ in their last byte.
fn names(lengths: impl Iterator<Item = u64>) -> BTreeSet<Vec<u8>> {
    let name = |(index, length): (usize, u64)| [vec![b'n'; length as usize - 1], vec![index as u8]].concat();
    lengths.enumerate().map(name).collect()
}

impl Stream {
    pub(crate) fn new(server: Server, most_bytes: u64, most_entries: usize) -> Stream {
        Stream { server, most_bytes, most_entries, nodes: Vec::new(), groups: Vec::new() }
    }

    pub(crate) fn add(&mut self, id: Id, pairs: &[Pair], schema: u64) {
        let item = |element| Item::from(element);
        let raw: u64 = pairs.iter().map(|pair| item(pair.field).length() + item(pair.value).length()).sum();
        let full = self.nodes.last().is_some_and(|node| {
            (self.most_bytes > 0 && node.bytes() + raw >= self.most_bytes)
                || (self.most_entries > 0 && node.entries.len() >= self.most_entries)
        });
        if full || self.nodes.is_empty() {
            if let Some(node) = self.nodes.last_mut() {
                node.last = false;
            }
            let fields = pairs.iter().map(|pair| item(pair.field)).collect();
            self.nodes.push(Node { master: id, schema, fields, entries: Vec::new(), last: true });
        }
        let node = self.nodes.last_mut().expect("a node");
        let ms = id.ms - node.master.ms;
        let seq = id.seq.wrapping_sub(node.master.seq) as i64;
        let mut entry = vec![Item::Int(ms as i64), Item::Int(seq)];
        // Flags come first and are an integer of a byte whatever they say.
        let count = pairs.len() as i64;
        if schema == node.schema {
            entry.extend(pairs.iter().map(|pair| item(pair.value)));
            entry.push(Item::Int(count + 3));
        } else {
            entry.push(Item::Int(count));
            entry.extend(pairs.iter().flat_map(|pair| [item(pair.field), item(pair.value)]));
            entry.push(Item::Int(2 * count + 3 + 1));
        }
        node.entries.push((false, entry));
    }

    /// XDEL of the oldest.
    pub(crate) fn delete_oldest(&mut self) {
        let Some(node) = self.nodes.first_mut() else { return };
        if node.alive() == 1 {
            self.nodes.remove(0);
        } else if let Some(entry) = node.entries.iter_mut().find(|(deleted, _)| !deleted) {
            entry.0 = true;
        }
    }

    pub(crate) fn add_group(&mut self, name: u64) {
        self.groups.push(Group { name, ..Group::default() });
    }

    pub(crate) fn add_consumer(&mut self, group: usize, name: u64) {
        self.groups[group].consumers.push(Consumer { name, ..Consumer::default() });
    }

    pub(crate) fn deliver(&mut self, group: usize, consumer: usize, id: Id) {
        self.groups[group].pending.insert(key(id));
        self.groups[group].consumers[consumer].pending.insert(key(id));
    }

    /// XACK of a consumer's oldest.
    pub(crate) fn acknowledge(&mut self, group: usize, consumer: usize) {
        let group = &mut self.groups[group];
        if let Some(id) = group.consumers[consumer].pending.pop_first() {
            group.pending.remove(&id);
        }
    }

    pub(crate) fn bytes(&self, classes: SizeClasses) -> u64 {
        let server = self.server;
        let room = if self.most_bytes > 0 { self.most_bytes.min(4096) } else { 4096 };
        let mut requests = vec![server.stream];
        requests.extend(rax(&self.nodes.iter().map(|node| key(node.master)).collect(), server.rax));
        requests.extend(self.nodes.iter().map(|node| if node.last { node.bytes().max(room) } else { node.bytes() }));
        if !self.groups.is_empty() {
            requests.extend(rax(&names(self.groups.iter().map(|group| group.name)), server.rax));
        }
        for group in &self.groups {
            requests.push(server.group);
            requests.extend(rax(&group.pending, server.rax));
            requests.extend(group.pending.iter().map(|_| 24));
            requests.extend(rax(&names(group.consumers.iter().map(|consumer| consumer.name)), server.rax));
            for consumer in &group.consumers {
                requests.extend([server.consumer, sds::request(consumer.name)]);
                requests.extend(rax(&consumer.pending, server.rax));
            }
        }
        cost(requests, classes)
    }
}
