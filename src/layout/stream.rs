//! Streams: listpacks of about a hundred entries in a radix tree; consumer groups and what is pending in them.
//!
//! Source: redis 7.0.15 `src/t_stream.c`, `src/stream.h`.  IDs come in rising order; acknowledgements and deletions
//! are taken to come in the order of the entries, oldest first.

use super::allocation::{Allocation, Held, Rules, Tally};
use super::hash::Pair;
use super::listpack::{Element, listpack_entry};
use super::rax::{IdTree, key};
use super::sds;
use std::collections::VecDeque;

/// A new listpack is made this long (B).  Source: `STREAM_LISTPACK_MAX_PRE_ALLOCATE`.
const PREALLOCATED: u64 = 4096;
/// `sizeof(streamNACK)` (B).
const NACK: u64 = 24;
/// Header and terminator of a listpack (B).
const LISTPACK: u64 = 7;

/// A stream ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Id {
    /// Milliseconds since the epoch (ms).
    pub ms: u64,
    /// Count within the millisecond.
    pub seq: u64,
}

/// A listpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    entries: u64,
    deleted: u64,
    bytes: u64,
}

/// Equal listpacks beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    node: Node,
    count: u64,
}

/// What the entries of the last listpack are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Master {
    id: Id,
    schema: u64,
}

/// A consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Consumer {
    name: u64,
    pending: IdTree,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    pending: IdTree,
    consumers: Vec<Consumer>,
    /// Longest name of a consumer (B).
    name: u64,
}

/// A stream without the key and the object that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Full listpacks, oldest first.
    runs: VecDeque<Run>,
    /// The last one.
    tail: Option<Node>,
    master: Master,
    index: IdTree,
    groups: Vec<Group>,
    /// Longest name of a group (B).
    group_name: u64,
    length: u64,
    bytes: u64,
}

/// Bytes of an integer in a listpack (B).
fn int(value: u64) -> u64 {
    listpack_entry(Element::Int(value.cast_signed()))
}

/// Bytes requested by the nodes of a tree of `names` names of `length` bytes that differ in their last byte alone: an
/// assumption, for their content is not known (B).
fn name_nodes(names: u64, length: u64) -> Vec<u64> {
    let pad = |size: u64| (4 + size).next_multiple_of(8);
    match names {
        0 => vec![8],
        1 => vec![pad(length) + 8, 16],
        _ => {
            let mut nodes = vec![16; names as usize];
            nodes.push(pad(names) + 8 * names);
            if length > 1 {
                nodes.push(pad(length - 1) + 8);
            }
            nodes
        }
    }
}

impl Node {
    /// Bytes of an empty listpack with its master entry: two counts, the fields, a terminator (B).
    fn opened(fields: &[Pair]) -> Node {
        let names: u64 = fields.iter().map(|pair| listpack_entry(pair.field)).sum();
        let bytes = LISTPACK + int(0) + int(0) + int(fields.len() as u64) + names + int(0);
        Node { entries: 0, deleted: 0, bytes }
    }

    /// Adds an entry; `same`: it has the master's fields.
    fn append(&mut self, id: Id, master: Id, fields: &[Pair], same: bool) {
        let count = fields.len() as u64;
        let values: u64 = fields.iter().map(|pair| listpack_entry(pair.value)).sum();
        let delta = Element::Int(id.seq.wrapping_sub(master.seq).cast_signed());
        let mut bytes = int(0) + int(id.ms - master.ms) + listpack_entry(delta) + values;
        if same {
            bytes += int(count + 3);
        } else {
            let names: u64 = fields.iter().map(|pair| listpack_entry(pair.field)).sum();
            bytes += int(count) + names + int(2 * count + 4);
        }
        self.bytes += bytes + int(self.entries + 1) - int(self.entries);
        self.entries += 1;
    }
}

impl Stream {
    /// An empty stream.
    pub fn new<T: Tally>(rules: &Rules<'_>, tally: &mut T) -> Stream {
        let mut bytes = 0;
        let mut held = Held::new(&mut bytes, rules.classes, tally);
        held.allocate(rules.collections.stream);
        let index = IdTree::new(rules.collections.rax, &mut held);
        let (runs, groups) = (VecDeque::new(), Vec::new());
        Stream { runs, tail: None, master: Master::default(), index, groups, group_name: 0, length: 0, bytes }
    }

    /// What it holds (B).
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Entries, without deleted ones.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether it has no entry; the key stays.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Listpacks.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.index.keys()
    }

    /// What it takes to free it, in allocations: nodes of the index, and what is pending in the first group for each group.
    /// Source: `lazyfreeGetFreeEffort`.
    #[must_use]
    pub fn free_effort(&self) -> u64 {
        let groups = self.groups.len() as u64;
        self.index.nodes() + self.groups.first().map_or(0, |first| groups * (1 + first.pending.keys()))
    }

    /// What `MEMORY USAGE` with all samples counts for it beside the object (B).
    #[must_use]
    pub fn memory_usage(&self, rules: &Rules<'_>) -> u64 {
        let collections = rules.collections;
        let Some(node) = collections.memory_usage.stream_node else { return self.bytes - self.unseen(rules) };
        let class = |request: u64| rules.classes.class(request);
        let full: u64 = self.runs.iter().map(|run| run.count * class(run.node.bytes)).sum();
        let tail = self.tail.map_or(0, |tail| class(tail_request(tail, rules)));
        let groups: u64 = self.groups.iter().map(|group| group.memory_usage(node, rules)).sum();
        collections.stream + self.index.nominal(node) + full + tail + groups
    }

    /// What `MEMORY USAGE` leaves out where it counts trees by their class: the trees of names, and what structures cost
    /// beyond their own sizes (B).  *measured*: valkey 9.1.2, two groups of three consumers; source: `src/object.c`.
    fn unseen(&self, rules: &Rules<'_>) -> u64 {
        let (collections, classes) = (rules.collections, rules.classes);
        let rounding = |size: u64| classes.class(size) - size;
        let names = |count: usize, length: u64| -> u64 {
            let nodes = name_nodes(count as u64, length);
            classes.class(collections.rax) + nodes.into_iter().map(|node| classes.class(node)).sum::<u64>()
        };
        let of_consumer = |consumer: &Consumer| {
            rounding(collections.stream_consumer) + classes.class(sds::request(consumer.name)) - consumer.name
        };
        let of_group = |group: &Group| {
            rounding(collections.stream_group)
                + rounding(NACK) * group.pending.keys()
                + names(group.consumers.len(), group.name)
                + group.consumers.iter().map(of_consumer).sum::<u64>()
        };
        let groups = if self.groups.is_empty() { 0 } else { names(self.groups.len(), self.group_name) };
        groups + self.groups.iter().map(of_group).sum::<u64>()
    }

    /// XADD of an entry with these fields and values.  Entries of one `schema` have the same field names in the same
    /// order.
    pub fn append<T: Tally>(&mut self, id: Id, fields: &[Pair], schema: u64, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let limits = rules.limits;
        let raw: u64 = fields.iter().map(|pair| pair.field.length() + pair.value.length()).sum();
        let is_full = |tail: &Node| {
            (limits.stream_bytes > 0 && tail.bytes + raw >= limits.stream_bytes)
                || (limits.stream_entries > 0 && tail.entries + tail.deleted >= limits.stream_entries)
        };
        if let Some(tail) = self.tail
            && is_full(&tail)
        {
            held.resize(tail_request(tail, rules), tail.bytes);
            put_node(&mut self.runs, tail);
            self.tail = None;
        }
        let mut tail = match self.tail {
            Some(tail) => tail,
            None => {
                let tail = Node::opened(fields);
                held.allocate(tail_request(tail, rules));
                self.index.push_back(key(id.ms, id.seq), &mut held);
                self.master = Master { id, schema };
                tail
            }
        };
        let before = tail_request(tail, rules);
        tail.append(id, self.master.id, fields, schema == self.master.schema);
        held.resize(before, tail_request(tail, rules));
        self.tail = Some(tail);
        self.length += 1;
    }

    /// Trims to `most` entries: `approximate` frees whole listpacks only, else the rest is marked deleted.  The result
    /// is how many entries went.
    pub fn trim<T: Tally>(&mut self, most: u64, approximate: bool, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let before = self.length;
        while self.length > most {
            let Some(first) = self.runs.front().map(|run| run.node).or(self.tail) else { break };
            if self.length - first.entries >= most {
                self.drop_first(rules, tally);
            } else if approximate {
                break;
            } else {
                let excess = self.length - most;
                (0..excess).for_each(|_| self.delete_oldest(rules, tally));
            }
        }
        before - self.length
    }

    /// XDEL of the oldest entry: it is marked, and its listpack goes with its last.
    pub fn delete_oldest<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        let Some(mut first) = self.runs.front().map(|run| run.node).or(self.tail) else { return };
        if first.entries <= 1 {
            self.drop_first(rules, tally);
            return;
        }
        let old = first;
        first.bytes =
            first.bytes + int(first.deleted + 1) + int(first.entries - 1) - int(first.deleted) - int(first.entries);
        first.deleted += 1;
        first.entries -= 1;
        self.length -= 1;
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        if let Some(run) = self.runs.front_mut() {
            held.resize(old.bytes, first.bytes);
            run.count -= 1;
            if run.count == 0 {
                self.runs.pop_front();
            }
            self.runs.push_front(Run { node: first, count: 1 });
        } else {
            held.resize(tail_request(old, rules), tail_request(first, rules));
            self.tail = Some(first);
        }
    }

    /// Frees the first listpack.
    fn drop_first<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        if let Some(run) = self.runs.front_mut() {
            held.free(run.node.bytes);
            self.length -= run.node.entries;
            run.count -= 1;
            if run.count == 0 {
                self.runs.pop_front();
            }
        } else if let Some(tail) = self.tail.take() {
            held.free(tail_request(tail, rules));
            self.length -= tail.entries;
        }
        self.index.pop_front(&mut held);
    }

    /// XGROUP CREATE of a group whose name has `name` bytes.  The result is its number.
    pub fn add_group<T: Tally>(&mut self, name: u64, rules: &Rules<'_>, tally: &mut T) -> usize {
        let collections = rules.collections;
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        if self.groups.is_empty() {
            held.allocate(collections.rax);
            held.allocate(8);
        }
        let longest = self.group_name.max(name);
        let count = self.groups.len() as u64;
        rename(count, self.group_name, count + 1, longest, &mut held);
        self.group_name = longest;
        held.allocate(collections.stream_group);
        let pending = IdTree::new(collections.rax, &mut held);
        held.allocate(collections.rax);
        held.allocate(8);
        self.groups.push(Group { pending, consumers: Vec::new(), name: 0 });
        self.groups.len() - 1
    }

    /// A consumer whose name has `name` bytes joins a group.  The result is its number.
    pub fn add_consumer<T: Tally>(&mut self, group: usize, name: u64, rules: &Rules<'_>, tally: &mut T) -> usize {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let Some(group) = self.groups.get_mut(group) else { return 0 };
        held.allocate(rules.collections.stream_consumer);
        held.allocate(sds::request(name));
        let longest = group.name.max(name);
        let count = group.consumers.len() as u64;
        rename(count, group.name, count + 1, longest, &mut held);
        group.name = longest;
        let pending = IdTree::new(rules.collections.rax, &mut held);
        group.consumers.push(Consumer { name, pending });
        group.consumers.len() - 1
    }

    /// XREADGROUP hands an entry to a consumer: it is pending until it is acknowledged.
    pub fn deliver<T: Tally>(&mut self, group: usize, consumer: usize, id: Id, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let Some(group) = self.groups.get_mut(group) else { return };
        let Some(consumer) = group.consumers.get_mut(consumer) else { return };
        held.allocate(NACK);
        group.pending.push_back(key(id.ms, id.seq), &mut held);
        consumer.pending.push_back(key(id.ms, id.seq), &mut held);
    }

    /// XACK of a consumer's oldest pending entry; true when there was one.
    pub fn acknowledge<T: Tally>(&mut self, group: usize, consumer: usize, rules: &Rules<'_>, tally: &mut T) -> bool {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let Some(group) = self.groups.get_mut(group) else { return false };
        let Some(consumer) = group.consumers.get_mut(consumer) else { return false };
        if consumer.pending.keys() == 0 {
            return false;
        }
        held.free(NACK);
        group.pending.pop_front(&mut held);
        consumer.pending.pop_front(&mut held);
        true
    }

    /// Entries pending in a group.
    #[must_use]
    pub fn pending(&self, group: usize) -> u64 {
        self.groups.get(group).map_or(0, |group| group.pending.keys())
    }

    /// Frees all of it.
    pub fn release<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        while self.index.keys() > 0 {
            self.drop_first(rules, tally);
        }
        let collections = rules.collections;
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let any = !self.groups.is_empty();
        rename(self.groups.len() as u64, self.group_name, 0, 0, &mut held);
        for group in &mut self.groups {
            held.free_many(NACK, group.pending.keys());
            group.pending.release(collections.rax, &mut held);
            rename(group.consumers.len() as u64, group.name, 0, 0, &mut held);
            for consumer in &mut group.consumers {
                consumer.pending.release(collections.rax, &mut held);
                held.free(sds::request(consumer.name));
                held.free(collections.stream_consumer);
            }
            held.free(8);
            held.free(collections.rax);
            held.free(collections.stream_group);
        }
        if any {
            held.free(8);
            held.free(collections.rax);
        }
        self.groups.clear();
        self.index.release(collections.rax, &mut held);
        held.free(collections.stream);
    }

    /// Its blocks.
    #[must_use]
    pub fn allocations(&self, rules: &Rules<'_>) -> Vec<Allocation> {
        let (collections, classes) = (rules.collections, rules.classes);
        let mut all = vec![
            Allocation::new("stream", collections.stream, 1.0, classes),
            Allocation::new("rax of listpacks", collections.rax, 1.0, classes),
        ];
        for (what, request, count) in self.index.listing() {
            all.push(Allocation::new(what, request, count as f64, classes));
        }
        for run in &self.runs {
            let reason = format!("listpack of {} entries", run.node.entries);
            all.push(Allocation::new(reason, run.node.bytes, run.count as f64, classes));
        }
        if let Some(tail) = self.tail {
            let reason = format!("listpack of {} entries, last: room for more", tail.entries);
            all.push(Allocation::new(reason, tail_request(tail, rules), 1.0, classes));
        }
        all.extend(self.group_allocations(rules));
        all
    }

    /// The blocks of its groups: those alike are one.
    fn group_allocations(&self, rules: &Rules<'_>) -> Vec<Allocation> {
        let collections = rules.collections;
        let mut found: Vec<(&'static str, u64, u64)> = Vec::new();
        let mut add = |what: &'static str, request: u64, count: u64| match found
            .iter_mut()
            .find(|(other, size, _)| (*other, *size) == (what, request))
        {
            Some((_, _, sum)) => *sum += count,
            None if count > 0 => found.push((what, request, count)),
            None => {}
        };
        if self.groups.is_empty() {
            return Vec::new();
        }
        add("rax of groups", collections.rax, 1);
        let names = self.groups.len() as u64;
        name_nodes(names, self.group_name).into_iter().for_each(|node| add("raxNode, names of groups", node, 1));
        for group in &self.groups {
            add("streamCG", collections.stream_group, 1);
            add("rax of pending entries", collections.rax, 1);
            for (_, node, count) in group.pending.listing() {
                add("raxNode, pending entries", node, count);
            }
            add("streamNACK", NACK, group.pending.keys());
            add("rax of consumers", collections.rax, 1);
            let consumers = group.consumers.len() as u64;
            name_nodes(consumers, group.name).into_iter().for_each(|node| add("raxNode, names of consumers", node, 1));
            for consumer in &group.consumers {
                add("streamConsumer", collections.stream_consumer, 1);
                add("consumer's name", sds::request(consumer.name), 1);
                add("rax of pending entries, of a consumer", collections.rax, 1);
                for (_, node, count) in consumer.pending.listing() {
                    add("raxNode, pending entries of a consumer", node, count);
                }
            }
        }
        let blocks = found.into_iter();
        blocks.map(|(what, request, count)| Allocation::new(what, request, count as f64, rules.classes)).collect()
    }
}

impl Group {
    fn memory_usage(&self, node: u64, rules: &Rules<'_>) -> u64 {
        let consumer =
            |consumer: &Consumer| rules.collections.stream_consumer + consumer.name + consumer.pending.nominal(node);
        rules.collections.stream_group
            + self.pending.nominal(node)
            + NACK * self.pending.keys()
            + self.consumers.iter().map(consumer).sum::<u64>()
    }
}

/// Bytes requested for the last listpack: it is made with room (B).
fn tail_request(tail: Node, rules: &Rules<'_>) -> u64 {
    let limit = rules.limits.stream_bytes;
    let room = if limit > 0 { limit.min(PREALLOCATED) } else { PREALLOCATED };
    tail.bytes.max(room)
}

/// Puts the nodes of a tree of names in the place of those it had.
fn rename<T: Tally>(names: u64, length: u64, new_names: u64, new_length: u64, held: &mut Held<'_, T>) {
    name_nodes(names, length).into_iter().for_each(|request| held.free(request));
    name_nodes(new_names, new_length).into_iter().for_each(|request| held.allocate(request));
}

fn put_node(runs: &mut VecDeque<Run>, node: Node) {
    match runs.back_mut() {
        Some(run) if run.node == node => run.count += 1,
        _ => runs.push_back(Run { node, count: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::limits::Limits;
    use crate::profile::{Allocator, Profile};

    fn rules(allocator: Allocator) -> Rules<'static> {
        let profile = Profile::find("redis-7.0").expect("a release");
        Rules::new(profile, allocator.classes(), Limits::default())
    }

    const START: u64 = 1_700_000_000_000;

    #[test]
    fn the_worked_example_of_a_thousand_entries() {
        // Measured: 50 such streams, keys of 8 bytes: 1,396,512 and 1,391,312.
        for (allocator, expected) in [(Allocator::System, 27_872 - 16), (Allocator::Bundled, 27_776 - 16)] {
            let rules = rules(allocator);
            let mut stream = Stream::new(&rules, &mut ());
            for i in 0..1000 {
                let fields = [Pair::of(4, 5), Pair::of(3, 5)];
                stream.append(Id { ms: START + 10 * i, seq: 0 }, &fields, 0, &rules, &mut ());
            }
            assert_eq!((stream.nodes(), stream.bytes()), (10, expected));
            // The object, the entry of 24 and the key's string come to it.
            let string = rules.classes.class(10);
            assert_eq!(stream.memory_usage(&rules) + 16 + 24 + string, 32_800);
        }
    }

    #[test]
    fn pending_entries_cost_what_was_measured() {
        // 1000 pending, IDs 10 ms apart: 124.8 and 148.9 bytes each.
        for (allocator, expected) in [(Allocator::Bundled, 124.8), (Allocator::System, 148.9)] {
            let rules = rules(allocator);
            let mut stream = Stream::new(&rules, &mut ());
            let group = stream.add_group(5, &rules, &mut ());
            let consumer = stream.add_consumer(group, 5, &rules, &mut ());
            let before = stream.bytes();
            for i in 0..1000 {
                stream.deliver(group, consumer, Id { ms: START + 10 * i, seq: 0 }, &rules, &mut ());
            }
            let each = (stream.bytes() - before) as f64 / 1000.0;
            assert!((each - expected).abs() < 0.3, "{allocator:?}: {each}");
            while stream.acknowledge(group, consumer, &rules, &mut ()) {}
            assert_eq!(stream.bytes(), before);
        }
    }

    #[test]
    fn trimming_frees_listpacks_and_marks_entries() {
        let rules = rules(Allocator::Bundled);
        let mut stream = Stream::new(&rules, &mut ());
        let empty = stream.bytes();
        for i in 0..1000 {
            stream.append(Id { ms: START + i, seq: 0 }, &[Pair::of(5, 20)], 0, &rules, &mut ());
        }
        let whole = stream.bytes();
        assert_eq!(stream.trim(950, true, &rules, &mut ()), 0, "no whole listpack");
        assert_eq!(stream.trim(850, true, &rules, &mut ()), 100);
        assert!(stream.bytes() < whole);
        let before = stream.bytes();
        assert_eq!(stream.trim(840, false, &rules, &mut ()), 60);
        assert_eq!(stream.bytes(), before, "marked entries stay");
        assert_eq!(stream.trim(0, false, &rules, &mut ()), 840);
        assert_eq!(stream.bytes(), empty);
        stream.add_group(3, &rules, &mut ());
        stream.add_consumer(0, 9, &rules, &mut ());
        stream.release(&rules, &mut ());
        assert_eq!(stream.bytes(), 0);
    }
}
