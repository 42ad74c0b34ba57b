//! A stream as the server holds it: the IDs that it gives, the groups that read it.

use crate::layout::hash::Pair;
use crate::layout::stream::{Id, Stream};
use crate::layout::{Rules, Tally};
use std::collections::VecDeque;

/// Length of the name of a stream's group, and of its consumer (B).  *assumed*: names like "workers".
const GROUP_NAME: u64 = 8;

/// A stream, and what its groups have still to be given.
#[derive(Debug)]
pub(super) struct StreamState {
    stream: Stream,
    last: Id,
    /// Groups of which something was read.
    readers: Vec<Reader>,
}

/// A group of a stream with its one consumer.
#[derive(Debug)]
struct Reader {
    /// Its number in the scenario.
    number: u8,
    group: usize,
    consumer: usize,
    /// IDs that were not given yet, kept from the first reading on.
    undelivered: VecDeque<Id>,
}

impl StreamState {
    /// An empty stream.
    pub(super) fn new<T: Tally>(rules: &Rules<'_>, tally: &mut T) -> StreamState {
        StreamState { stream: Stream::new(rules, tally), last: Id::default(), readers: Vec::new() }
    }

    /// What it holds beside its object (B).
    pub(super) fn bytes(&self) -> u64 {
        self.stream.bytes()
    }

    /// What it takes to free it, in allocations.
    pub(super) fn free_effort(&self) -> u64 {
        self.stream.free_effort()
    }

    /// What `MEMORY USAGE` counts beside the object (B).
    pub(super) fn memory_usage(&self, rules: &Rules<'_>) -> u64 {
        self.stream.memory_usage(rules)
    }

    /// XADD *: an entry with the server's next ID.
    pub(super) fn append<T: Tally>(&mut self, id_ms: u64, fields: &[Pair], rules: &Rules<'_>, tally: &mut T) {
        let next = Id { ms: self.last.ms, seq: self.last.seq + 1 };
        self.last = if id_ms > self.last.ms { Id { ms: id_ms, seq: 0 } } else { next };
        self.stream.append(self.last, fields, 0, rules, tally);
        for reader in &mut self.readers {
            reader.undelivered.push_back(self.last);
        }
    }

    /// XDEL of the oldest entry, which groups may still be given.
    pub(super) fn delete_oldest<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        self.stream.delete_oldest(rules, tally);
        self.forget_deleted();
    }

    /// XTRIM MAXLEN ~, which frees whole listpacks only, to at most `most` entries; returns how many went.
    pub(super) fn trim<T: Tally>(&mut self, most: u64, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let trimmed = self.stream.trim(most, true, rules, tally);
        self.forget_deleted();
        trimmed
    }

    /// What is no longer there is given to nobody; what is pending stays pending.
    fn forget_deleted(&mut self) {
        let left = usize::try_from(self.stream.len()).unwrap_or(usize::MAX);
        for reader in &mut self.readers {
            reader.undelivered.drain(..reader.undelivered.len().saturating_sub(left));
        }
    }

    /// XREADGROUP … > of one entry; the group is made by its first reading.  False when there is none to give.
    pub(super) fn read_group<T: Tally>(&mut self, number: u8, rules: &Rules<'_>, tally: &mut T) -> bool {
        let StreamState { stream, readers, .. } = self;
        let at = readers.iter().position(|reader| reader.number == number).unwrap_or_else(|| {
            let group = stream.add_group(GROUP_NAME, rules, tally);
            let consumer = stream.add_consumer(group, GROUP_NAME, rules, tally);
            readers.push(Reader { number, group, consumer, undelivered: VecDeque::new() });
            readers.len() - 1
        });
        let reader = &mut readers[at];
        let Some(id) = reader.undelivered.pop_front() else { return false };
        stream.deliver(reader.group, reader.consumer, id, rules, tally);
        true
    }

    /// XACK of the group's oldest entry; false when none is pending.
    pub(super) fn acknowledge<T: Tally>(&mut self, number: u8, rules: &Rules<'_>, tally: &mut T) -> bool {
        let reader = self.readers.iter().find(|reader| reader.number == number);
        reader.is_some_and(|reader| self.stream.acknowledge(reader.group, reader.consumer, rules, tally))
    }
}
