//! Keys that are collections: commands on them, what they are charged, what a child sees of it.
//!
//! The entry of such a key holds its object alone; the payload is the number of its [`Collection`].  What elements are made
//! of is charged as the value's, and followed class by class for resident memory and copy-on-write.

use super::child::Child;
use super::collection::{Blocks, Collection, CollectionKind, Done, Elements, Touch};
use super::commands::{KeyRef, Reply};
use super::keys::{NIL, NO_ID, Sizes, Slot};
use super::lazyfree::FreedBy;
use super::ledger::MemoryPart;
use super::notice::TableName;
use super::rss::Rss;
use super::{Node, StringValue, string};
use crate::command::Command;
use crate::layout::key::{Stored, blocks};
use crate::layout::{Rules, Tally};
use crate::profile::FieldTtl;

/// A write to a collection.
#[derive(Debug, Clone, Copy)]
pub struct ElementWrite<'a> {
    /// What the key is; used when it is new.
    pub kind: CollectionKind,
    /// Length of the key (B); likewise.
    pub key_length: u64,
    /// TTL that an EXPIRE gives a key which the command made (ms).
    pub ttl_ms: Option<u64>,
    /// Which element.
    pub touch: Touch,
    /// What the elements of the key are.
    pub elements: &'a dyn Elements,
}

/// What the server says of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyExample {
    /// `OBJECT ENCODING`.
    pub encoding: &'static str,
    /// `MEMORY USAGE` with all samples (B).
    pub memory_usage: u64,
}

/// Every collection, by number.
#[derive(Debug, Default)]
pub(super) struct Collections {
    items: Vec<Option<Box<Collection>>>,
    free: Vec<u32>,
}

impl Collections {
    fn insert(&mut self, collection: Collection) -> u64 {
        let item = Some(Box::new(collection));
        match self.free.pop() {
            Some(number) => {
                self.items[number as usize] = item;
                u64::from(number)
            }
            None => {
                self.items.push(item);
                self.items.len() as u64 - 1
            }
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&Collection> {
        self.items.get(number as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Collection> {
        self.items.get_mut(number as usize)?.as_deref_mut()
    }

    fn remove(&mut self, number: u64) -> Option<Box<Collection>> {
        let item = self.items.get_mut(number as usize)?.take();
        self.free.push(number as u32);
        item
    }

    /// All of them are gone.
    pub(super) fn clear(&mut self) {
        *self = Collections::default();
    }

    /// Blocks of all of them.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Blocks> {
        self.items.iter().flatten().map(|collection| &collection.blocks)
    }
}

/// Passes on what is allocated to resident memory and to a child.
pub(super) struct Told<'a> {
    pub(super) rss: &'a mut Rss,
    pub(super) child: Option<&'a mut Child>,
}

impl Tally for Told<'_> {
    fn allocated(&mut self, class: u64, count: u64) {
        self.rss.note_blocks(class, count, true);
        if let Some(child) = &mut self.child {
            child.blocks_made(class, count);
        }
    }

    fn freed(&mut self, class: u64, count: u64) {
        self.rss.note_blocks(class, count, false);
        if let Some(child) = &mut self.child {
            child.blocks_freed(class, count);
        }
    }
}

impl Node {
    /// Bytes of a key's elements; 0 for a string (B).
    #[inline]
    pub(super) fn element_bytes(&self, sizes: Sizes) -> u64 {
        if sizes.encoding == string::Encoding::Collection { self.collection_bytes(sizes) } else { 0 }
    }

    #[inline(never)]
    fn collection_bytes(&self, sizes: Sizes) -> u64 {
        self.collections.get(sizes.payload).map_or(0, Collection::bytes)
    }

    /// A command on a collection, as [`Node::execute`] runs one on a string.
    pub fn execute_on_elements(&mut self, command: Command, key: KeyRef, write: &ElementWrite<'_>) -> Reply {
        if let Some(refused) = self.admit(command, key) {
            return refused;
        }
        let (reply, changed) = match self.lookup(key, true) {
            Some(slot) => self.run_on(slot, command, write),
            None if command.spec().creates => {
                let brings = if command.takes_several() { write.touch.count.max(1) } else { 1 };
                let slot = self.create_collection(key, write, brings);
                self.run_on(slot, command, write);
                if let Some(ttl) = write.ttl_ms {
                    self.set_ttl(slot, self.now_ms + ttl);
                }
                (Reply::Done, true)
            }
            None if command.spec().counts_hits => (Reply::Miss, false),
            None => (Reply::Nothing, false),
        };
        if changed {
            self.persistence.note_change();
            if self.propagates() {
                self.propagate_elements(command, write);
            }
        }
        self.count_hit(command, key, reply);
        self.note_peak();
        reply
    }

    /// Loads a collection of `count` elements, `by` commands that bring so many each, or from a snapshot; a key that is there stays
    /// as it is.
    pub fn load_elements(&mut self, key: KeyRef, write: &ElementWrite<'_>, count: u64, by: Option<(Command, u64)>) {
        if by.is_some_and(|(command, _)| self.admit(command, key).is_some()) {
            return;
        }
        // The server keeps no empty collection.
        let there = key.id != NO_ID && self.keys.index[key.id as usize] != NIL;
        if there || (count == 0 && write.kind != CollectionKind::Stream) {
            return;
        }
        let batch = by.map_or(u64::MAX, |(_, batch)| batch);
        let slot = self.create_collection(key, write, count.min(batch));
        self.change(slot, |collection, rules, told| {
            collection.load(count, batch, write.elements, rules, told);
            Done { changed: true, ..Done::default() }
        });
        if let Some(ttl) = write.ttl_ms {
            self.set_ttl(slot, self.now_ms + ttl);
        }
        self.note_peak();
    }

    /// What `OBJECT ENCODING` and `MEMORY USAGE` say of a keyspace's first key; `None` when it has none.
    #[must_use]
    pub fn example(&self, keyspace: usize) -> Option<KeyExample> {
        let (slot, _) = self.keys.of_keyspace(keyspace as u8).next()?;
        let entry = self.keys.entries[slot as usize];
        let rules = Rules::new(self.profile, self.classes, self.config.limits);
        let value = self.regions.value(entry.sizes);
        let (stored, more, encoding) = match value.encoding {
            string::Encoding::Int => (Stored::Int(entry.sizes.payload.cast_signed(), self.shares_integers()), 0, "int"),
            string::Encoding::Embstr => (Stored::String(entry.sizes.payload), 0, "embstr"),
            string::Encoding::Raw | string::Encoding::RawTrimmed => (Stored::Raw, value.bytes_class, "raw"),
            string::Encoding::Collection => {
                let collection = self.collections.get(entry.sizes.payload)?;
                (Stored::Collection, collection.memory_usage(&rules), collection.encoding(&rules).name())
            }
        };
        let length = self.names[keyspace].mean();
        let key = blocks(length, stored, entry.has_ttl(), &rules);
        Some(KeyExample { encoding, memory_usage: key.memory_usage(stored, more, &rules) })
    }

    fn create_collection(&mut self, key: KeyRef, write: &ElementWrite<'_>, brings: u64) -> Slot {
        let steps = self.profile.rehash_steps_insert - self.profile.rehash_steps_lookup;
        self.rehash_step(TableName::Main, steps);
        let rules = Rules::new(self.profile, self.classes, self.config.limits);
        let (rss, child) = (&mut self.rss, self.child.as_deref_mut());
        let mut told = Told { rss, child };
        let collection = Collection::new(write.kind, brings, write.elements, &rules, &mut told);
        let bytes = collection.bytes();
        let number = self.collections.insert(collection);
        let value = StringValue {
            encoding: string::Encoding::Collection,
            bytes_class: 0,
            total: self.classes.class(self.profile.robj),
            expire_room: false,
        };
        let slot = self.add_key(key, write.key_length, number, value);
        if let Some(collection) = self.collections.get_mut(number) {
            collection.slot = slot;
        }
        self.ledger.charge(MemoryPart::Values, bytes);
        self.keyspaces[key.keyspace as usize].bytes += bytes;
        slot
    }

    /// Runs a command on a key that is there; its reply, and whether something changed.
    fn run_on(&mut self, slot: Slot, command: Command, write: &ElementWrite<'_>) -> (Reply, bool) {
        let done = self
            .change(slot, |collection, rules, told| collection.run(command, write.touch, write.elements, rules, told));
        if self.collections.get(self.keys.entries[slot as usize].sizes.payload).is_some_and(Collection::is_gone) {
            self.delete_key(slot, FreedBy::Server);
        } else if self.profile.collections.field_ttl != FieldTtl::None {
            self.index_fields(self.keys.entries[slot as usize].sizes.payload, false);
        }
        // Hits are counted by key, whether there is such an element or not.
        let reply = match command.spec().counts_hits {
            true => Reply::Hit(done.reply),
            false if done.changed => Reply::Done,
            false => Reply::Nothing,
        };
        (reply, done.changed)
    }

    /// Changes a collection and moves its charges.
    pub(super) fn change(
        &mut self,
        slot: Slot,
        work: impl FnOnce(&mut Collection, &Rules<'_>, &mut Told<'_>) -> Done,
    ) -> Done {
        let rules = Rules::new(self.profile, self.classes, self.config.limits);
        let entry = self.keys.entries[slot as usize];
        let Some(collection) = self.collections.get_mut(entry.sizes.payload) else { return Done::default() };
        let (before, elements, encoding) = (collection.bytes(), collection.len(), collection.encoding(&rules));
        let mut told = Told { rss: &mut self.rss, child: self.child.as_deref_mut() };
        let done = work(collection, &rules, &mut told);
        if let Some(child) = told.child {
            (0..done.written()).for_each(|_| child.write_element(collection, self.counters.total_forks));
        }
        let after = collection.bytes();
        let keyspace = &mut self.keyspaces[entry.sizes.keyspace as usize];
        if after > keyspace.largest_bytes {
            (keyspace.largest_bytes, keyspace.largest_elements) = (after, collection.len());
        }
        if elements > 0 && collection.encoding(&rules) != encoding {
            keyspace.converted_keys += 1;
            keyspace.converted_bytes += before;
        }
        if before != after {
            let key_bytes = self.regions.entry + self.regions.key(entry.sizes) + entry.sizes.value_total();
            self.move_element_bytes(slot, key_bytes, before, after);
        }
        done
    }

    fn move_element_bytes(&mut self, slot: Slot, key_bytes: u64, before: u64, after: u64) {
        let entry = self.keys.entries[slot as usize];
        self.ledger.release(MemoryPart::Values, before);
        self.ledger.charge(MemoryPart::Values, after);
        let keyspace = &mut self.keyspaces[entry.sizes.keyspace as usize];
        keyspace.bytes = keyspace.bytes + after - before;
        if entry.has_ttl() {
            let (at, own) = (self.keys.timed[slot as usize].expire_at(), key_bytes + self.regions.timed);
            self.pending.remove(at, own + before);
            self.pending.add(at, own + after);
        }
    }

    /// A key that is a collection is being deleted: its elements go; the result is what they took (B).
    #[inline(never)]
    pub(super) fn release_elements(&mut self, sizes: Sizes, by: FreedBy) -> u64 {
        let Some(collection) = self.collections.remove(sizes.payload) else { return 0 };
        self.forget_fields(sizes.payload, &collection);
        let bytes = collection.bytes();
        self.free_value(*collection, sizes.keyspace, by);
        bytes
    }
}
