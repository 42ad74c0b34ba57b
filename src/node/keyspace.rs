//! What happens to a key: added, deleted, its value replaced, its TTL set or removed; and all of them at once.
//!
//! The one place where tables, ledger, expiry times, slabs and the child's copies are told of it.

use super::changes::Change;
use super::child::{ChildEnd, ChildKind};
use super::keys::{ExpiresChain, MainChain, Sizes, Slot};
use super::lazyfree::FreedBy;
use super::ledger::{KEYSPACE_PARTS, MemoryPart};
use super::notice::TableName;
use super::{KeyRef, Node, StringValue};
use crate::layout::string::Encoding;

impl Node {
    /// Bytes of a key without its expires entry (B).
    #[inline]
    pub(super) fn key_bytes(&self, sizes: Sizes) -> u64 {
        self.regions.entry + self.regions.key(sizes) + sizes.value_total() + self.element_bytes(sizes)
    }

    /// Adds a key of `key_length` bytes.
    pub(super) fn add_key(&mut self, key: KeyRef, key_length: u64, payload: u64, value: StringValue) -> Slot {
        let (value, field) = self.regions.of_new(value, payload, key_length);
        self.names[key.keyspace as usize].note(key_length);
        self.insert_key(key, Sizes::new(key.keyspace, field, payload, value))
    }

    /// Adds a key to the main table and charges it.
    pub(super) fn insert_key(&mut self, key: KeyRef, sizes: Sizes) -> Slot {
        self.expand_if_needed(TableName::Main);
        self.rehash_step_of_write(TableName::Main);
        let clock = self.fresh_clock();
        let slot = self.keys.insert(key.id, key.hash, clock, sizes);
        self.main.insert(slot, &mut MainChain(&mut self.keys.entries));
        self.note_inserted_into(TableName::Main, slot);
        self.ledger.charge(MemoryPart::Entries, self.regions.entry);
        let key_class = self.regions.key(sizes);
        self.ledger.charge(MemoryPart::Keys, key_class);
        self.ledger.charge(MemoryPart::Values, sizes.value_total());
        let bytes = self.regions.entry + key_class + sizes.value_total();
        let keyspace = &mut self.keyspaces[key.keyspace as usize];
        keyspace.keys += 1;
        keyspace.bytes += bytes;
        self.note_added_to_heap(slot, sizes);
        if self.child_active {
            self.note_added_to_child(slot, sizes);
        }
        self.log_change(Change::Added { slot, hash: key.hash, sizes });
        slot
    }

    /// Deletes a key: both entries, the key string and the value.
    pub(super) fn delete_key(&mut self, slot: Slot, by: FreedBy) {
        if self.keys.entries[slot as usize].has_ttl() {
            self.remove_ttl(slot);
        } else if self.regions.object_layout().is_none() {
            self.rehash_step(TableName::Expires, 1);
        }
        self.rehash_step(TableName::Main, 1);
        let link = self.main.remove(slot, &mut MainChain(&mut self.keys.entries));
        self.note_deleted_from(TableName::Main, slot);
        self.note_deleted_from_heap(slot);
        if self.child_active {
            self.note_deleted_to_child(slot, link);
        }
        let sizes = self.keys.entries[slot as usize].sizes;
        let elements = if sizes.encoding == Encoding::Collection { self.release_elements(sizes, by) } else { 0 };
        self.ledger.release(MemoryPart::Entries, self.regions.entry);
        let key_class = self.regions.key(sizes);
        self.ledger.release(MemoryPart::Keys, key_class);
        let value_total = sizes.value_total();
        self.ledger.release(MemoryPart::Values, value_total);
        let bytes = self.regions.entry + key_class + value_total + elements;
        let keyspace = &mut self.keyspaces[sizes.keyspace as usize];
        keyspace.keys -= 1;
        keyspace.bytes -= bytes;
        self.keys.remove(slot);
        self.log_change(Change::Deleted { slot });
    }

    /// Replaces a key's value and moves the charges; `in_place`: by a command that changes the value it finds.
    pub(super) fn replace_value(&mut self, slot: Slot, payload: u64, value: StringValue, in_place: bool) {
        let before = self.keys.entries[slot as usize].sizes;
        let timed = self.keys.entries[slot as usize].has_ttl();
        self.log_change(Change::Replaced { slot, payload, value, in_place });
        let value = self.regions.replacing(before, value, payload, timed);
        self.move_value(slot, payload, value, in_place);
    }

    /// Gives the object of a key room for a time of expiry, in an allocation anew where it has none.
    #[inline(never)]
    fn make_expire_room(&mut self, slot: Slot) {
        let sizes = self.keys.entries[slot as usize].sizes;
        if !sizes.expire_room() {
            let value = self.regions.value(sizes);
            let value = self.regions.with_key(value, sizes.payload, u64::from(sizes.key()), true);
            self.move_value(slot, sizes.payload, value, true);
        }
    }

    /// Moves the charges of a value that is replaced.
    #[inline]
    fn move_value(&mut self, slot: Slot, payload: u64, value: StringValue, in_place: bool) {
        let before = self.keys.entries[slot as usize].sizes;
        let timed = self.keys.entries[slot as usize].has_ttl();
        self.ledger.release(MemoryPart::Values, before.value_total());
        self.ledger.charge(MemoryPart::Values, value.total);
        if timed {
            let bytes = self.key_bytes(before) + self.regions.timed;
            self.pending.remove(self.keys.timed[slot as usize].expire_at(), bytes);
        }
        self.keys.entries[slot as usize].sizes.set_value(payload, value);
        let after = self.keys.entries[slot as usize].sizes;
        let keyspace = &mut self.keyspaces[after.keyspace as usize];
        keyspace.bytes = keyspace.bytes - before.value_total() + value.total;
        if timed {
            let bytes = self.key_bytes(after) + self.regions.timed;
            self.pending.add(self.keys.timed[slot as usize].expire_at(), bytes);
        }
        self.note_replaced_in_heap(slot, before, in_place);
        if self.child_active {
            self.note_replaced_to_child(slot, before, in_place);
        }
    }

    /// Gives a key a TTL that ends at `expire_at` (ms of the server's clock), or moves the one it has.
    pub(super) fn set_ttl(&mut self, slot: Slot, expire_at: u64) {
        self.keys.ensure_timed();
        // The key is found in the main table once more.  Source: `setExpire`.
        self.rehash_step(TableName::Main, 1);
        let new = !self.keys.entries[slot as usize].has_ttl();
        if new && self.regions.object_layout().is_some() {
            self.make_expire_room(slot);
        }
        let bytes = self.key_bytes(self.keys.entries[slot as usize].sizes) + self.regions.timed;
        if !new {
            self.rehash_step(TableName::Expires, 1);
            self.pending.remove(self.keys.timed[slot as usize].expire_at(), bytes);
        } else {
            self.rehash_step(TableName::Expires, 1);
            self.expand_if_needed(TableName::Expires);
            self.rehash_step_of_write(TableName::Expires);
            self.keys.entries[slot as usize].set_has_ttl(true);
            let chain = &mut ExpiresChain::of(&mut self.keys);
            self.expires.insert(slot, chain);
            self.note_inserted_into(TableName::Expires, slot);
            self.ledger.charge(MemoryPart::ExpiresEntries, self.regions.timed);
            let keyspace = &mut self.keyspaces[self.keys.entries[slot as usize].sizes.keyspace as usize];
            keyspace.expires += 1;
            keyspace.bytes += self.regions.timed;
        }
        self.keys.timed[slot as usize].set_expire_at(expire_at);
        self.pending.add(expire_at, bytes);
        if new {
            self.note_ttl_added_to_heap(slot);
        }
        if self.child_active {
            self.note_ttl_set_to_child(slot, new);
        }
        self.log_change(Change::Timed { slot, expire_at });
    }

    /// Takes a key's TTL away; the key must have one.
    pub(super) fn remove_ttl(&mut self, slot: Slot) {
        self.rehash_step(TableName::Expires, 1);
        let chain = &mut ExpiresChain::of(&mut self.keys);
        let link = self.expires.remove(slot, chain);
        self.note_deleted_from(TableName::Expires, slot);
        self.note_ttl_removed_from_heap(slot);
        if self.child_active {
            self.note_ttl_removed_to_child(slot, link);
        }
        self.keys.entries[slot as usize].set_has_ttl(false);
        self.ledger.release(MemoryPart::ExpiresEntries, self.regions.timed);
        let sizes = self.keys.entries[slot as usize].sizes;
        let bytes = self.key_bytes(sizes) + self.regions.timed;
        self.pending.remove(self.keys.timed[slot as usize].expire_at(), bytes);
        let keyspace = &mut self.keyspaces[sizes.keyspace as usize];
        keyspace.expires -= 1;
        keyspace.bytes -= self.regions.timed;
        self.log_change(Change::Untimed { slot });
    }

    /// FLUSHALL: a child that saves what is gone is killed, and where there are save points the empty data set is saved at
    /// once.  Source: `flushAllDataAndResetRDB`; *measured*: `rdb_changes_since_last_save` is 0 after it, no save failed.
    pub fn flushall(&mut self) {
        if matches!(self.child_kind(), Some(ChildKind::Bgsave | ChildKind::Sync)) {
            self.end_child(ChildEnd::Killed);
        }
        self.flush_data();
        if !self.config.save.is_empty() {
            self.persistence.saved(self.now_us / 1_000_000);
        }
    }

    /// Every key goes and both tables are freed.
    pub(super) fn flush_data(&mut self) {
        let slots: Vec<Slot> = self.keys.present().collect();
        for slot in slots {
            self.keys.remove(slot);
        }
        self.collections.clear();
        self.lazyfree = super::lazyfree::LazyFree::default();
        self.field_expiry = super::field_expiry::FieldExpiry::default();
        self.main.clear();
        self.expires.clear();
        self.pending.clear();
        for part in KEYSPACE_PARTS {
            self.ledger.set(part, 0);
        }
        self.charge_structs_after_flush();
        self.note_flushed_heap();
        for keyspace in &mut self.keyspaces {
            (keyspace.keys, keyspace.expires, keyspace.bytes) = (0, 0, 0);
        }
        self.log_change(Change::Flushed);
    }
}
