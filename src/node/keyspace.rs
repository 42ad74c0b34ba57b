//! What happens to a key: added, deleted, its value replaced, its TTL set or removed; and all of them at once.
//!
//! The one place where tables, ledger, expiry times, slabs and the child's copies are told of it.

use super::changes::Change;
use super::keys::{ExpiresChain, MainChain, Sizes, Slot};
use super::ledger::{KEYSPACE_PARTS, MemoryPart};
use super::notice::TableName;
use super::{KeyRef, Node, StringValue};

impl Node {
    /// Bytes of a key without its expires entry (B).
    #[inline]
    pub(super) fn key_bytes(&self, sizes: Sizes) -> u64 {
        self.entry_class + sizes.key_class() + u64::from(sizes.value_total)
    }

    /// Adds a key of `key_length` bytes.
    pub(super) fn add_key(&mut self, key: KeyRef, key_length: u64, payload: u64, value: StringValue) -> Slot {
        let key_class = self.classes.class(crate::layout::sds::request(key_length));
        self.names[key.keyspace as usize].note(key_length);
        self.insert_key(key, Sizes::new(key.keyspace, key_class, payload, value))
    }

    /// Adds a key to the main table and charges it.
    pub(super) fn insert_key(&mut self, key: KeyRef, sizes: Sizes) -> Slot {
        self.expand_if_needed(TableName::Main);
        let clock = self.fresh_clock();
        let slot = self.keys.insert(key.id, key.hash, clock, sizes);
        self.main.insert(slot, &mut MainChain(&mut self.keys.entries));
        self.ledger.charge(MemoryPart::Entries, self.entry_class);
        self.ledger.charge(MemoryPart::Keys, sizes.key_class());
        self.ledger.charge(MemoryPart::Values, u64::from(sizes.value_total));
        let bytes = self.key_bytes(sizes);
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
    pub(super) fn delete_key(&mut self, slot: Slot) {
        if self.keys.entries[slot as usize].has_ttl() {
            self.remove_ttl(slot);
        } else {
            self.rehash_step(TableName::Expires, 1);
        }
        self.rehash_step(TableName::Main, 1);
        let link = self.main.remove(slot, &mut MainChain(&mut self.keys.entries));
        self.note_deleted_from_heap(slot);
        if self.child_active {
            self.note_deleted_to_child(slot, link);
        }
        let sizes = self.keys.entries[slot as usize].sizes;
        self.ledger.release(MemoryPart::Entries, self.entry_class);
        self.ledger.release(MemoryPart::Keys, sizes.key_class());
        self.ledger.release(MemoryPart::Values, u64::from(sizes.value_total));
        let bytes = self.key_bytes(sizes);
        let keyspace = &mut self.keyspaces[sizes.keyspace as usize];
        keyspace.keys -= 1;
        keyspace.bytes -= bytes;
        self.keys.remove(slot);
        self.log_change(Change::Deleted { slot });
    }

    /// Replaces a key's value and moves the charges; `in_place`: by a command that changes the value it finds.
    pub(super) fn replace_value(&mut self, slot: Slot, payload: u64, value: StringValue, in_place: bool) {
        let before = self.keys.entries[slot as usize].sizes;
        self.ledger.release(MemoryPart::Values, u64::from(before.value_total));
        self.ledger.charge(MemoryPart::Values, value.total);
        let timed = self.keys.entries[slot as usize].has_ttl();
        if timed {
            let bytes = self.key_bytes(before) + self.expires_entry_class;
            self.pending.remove(self.keys.timed[slot as usize].expire_at(), bytes);
        }
        self.keys.entries[slot as usize].sizes.set_value(payload, value);
        let after = self.keys.entries[slot as usize].sizes;
        let keyspace = &mut self.keyspaces[after.keyspace as usize];
        keyspace.bytes = keyspace.bytes - u64::from(before.value_total) + value.total;
        if timed {
            let bytes = self.key_bytes(after) + self.expires_entry_class;
            self.pending.add(self.keys.timed[slot as usize].expire_at(), bytes);
        }
        self.note_replaced_in_heap(slot, before, in_place);
        if self.child_active {
            self.note_replaced_to_child(slot, before, in_place);
        }
        self.log_change(Change::Replaced { slot, payload, value, in_place });
    }

    /// Gives a key a TTL that ends at `expire_at` (ms of the server's clock), or moves the one it has.
    pub(super) fn set_ttl(&mut self, slot: Slot, expire_at: u64) {
        self.keys.ensure_timed();
        // The key is found in the main table once more.  Source: `setExpire`.
        self.rehash_step(TableName::Main, 1);
        let bytes = self.key_bytes(self.keys.entries[slot as usize].sizes) + self.expires_entry_class;
        let new = !self.keys.entries[slot as usize].has_ttl();
        if !new {
            self.rehash_step(TableName::Expires, 1);
            self.pending.remove(self.keys.timed[slot as usize].expire_at(), bytes);
        } else {
            self.rehash_step(TableName::Expires, 1);
            self.expand_if_needed(TableName::Expires);
            self.keys.entries[slot as usize].set_has_ttl(true);
            let chain = &mut ExpiresChain::of(&mut self.keys);
            self.expires.insert(slot, chain);
            self.ledger.charge(MemoryPart::ExpiresEntries, self.expires_entry_class);
            let keyspace = &mut self.keyspaces[self.keys.entries[slot as usize].sizes.keyspace as usize];
            keyspace.expires += 1;
            keyspace.bytes += self.expires_entry_class;
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
        self.note_ttl_removed_from_heap(slot);
        if self.child_active {
            self.note_ttl_removed_to_child(slot, link);
        }
        self.keys.entries[slot as usize].set_has_ttl(false);
        self.ledger.release(MemoryPart::ExpiresEntries, self.expires_entry_class);
        let sizes = self.keys.entries[slot as usize].sizes;
        let bytes = self.key_bytes(sizes) + self.expires_entry_class;
        self.pending.remove(self.keys.timed[slot as usize].expire_at(), bytes);
        let keyspace = &mut self.keyspaces[sizes.keyspace as usize];
        keyspace.expires -= 1;
        keyspace.bytes -= self.expires_entry_class;
        self.log_change(Change::Untimed { slot });
    }

    /// FLUSHALL: every key goes and both tables are freed.
    pub fn flushall(&mut self) {
        let slots: Vec<Slot> = self.keys.present().collect();
        for slot in slots {
            self.keys.remove(slot);
        }
        self.main.clear();
        self.expires.clear();
        self.pending.clear();
        for part in KEYSPACE_PARTS {
            self.ledger.set(part, 0);
        }
        self.note_flushed_heap();
        for keyspace in &mut self.keyspaces {
            (keyspace.keys, keyspace.expires, keyspace.bytes) = (0, 0, 0);
        }
        self.log_change(Change::Flushed);
    }
}
