//! What each command does to the keys and to memory.
//!
//! Source: redis 7.0.15 `src/t_string.c`, `src/db.c`, `src/expire.c`, `src/server.c` (`processCommand`).

use super::eviction::Evicted;
use super::keys::{NIL, NO_ID, Slot};
use super::lazyfree::FreedBy;
use super::notice::{EventKind, TableName};
use super::{Node, string};
use crate::command::Command;

/// A key as a request names it.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyRef {
    /// Dense id over all keyspaces, or [`super::ANONYMOUS`] for a key that is never asked for again.
    pub id: u32,
    /// Hash of its name: the same for the same key, always.
    pub hash: u32,
    /// Index of its keyspace.
    pub keyspace: u8,
}

/// What a write stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// So many bytes that are no integer.
    Bytes(u64),
    /// An integer.
    Int(i64),
    /// A HyperLogLog that has seen so many distinct elements.
    Distinct(u64),
}

/// A write.
#[derive(Debug, Clone, Copy)]
pub struct Write {
    /// Length of the key (B); used when the key is new.
    pub key_length: u64,
    /// What is stored; for APPEND and SETRANGE what is added.
    pub payload: Payload,
    /// SETRANGE's offset (B).
    pub offset: u64,
    /// TTL that the command sets (ms).
    pub ttl_ms: Option<u64>,
}

/// The server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A read found its key; bytes of the value.
    Hit(u64),
    /// A read did not.
    Miss,
    /// A write took place.
    Done,
    /// A write had nothing to do: NX on a key that exists, XX or DEL on one that does not.
    Nothing,
    /// `OOM command not allowed when used memory > 'maxmemory'`.
    OutOfMemory,
    /// `MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. …`
    Misconf,
}

impl Reply {
    /// Bytes of the reply in RESP2 (B): `$5\r\nhello\r\n`, `$-1\r\n`, `+OK\r\n`, `:0\r\n`, the error's text.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Reply::Hit(length) => length + string::digits(length.cast_signed()) + 5,
            Reply::Miss | Reply::Done => 5,
            Reply::Nothing => 4,
            Reply::OutOfMemory => 58,
            Reply::Misconf => 315,
        }
    }
}

impl Node {
    /// Runs one command, as the server does: evicts first, refuses what would need memory when nothing can be evicted,
    /// then executes, then takes note of the peak.
    #[inline(always)]
    pub fn execute(&mut self, command: Command, key: KeyRef, write: &Write) -> Reply {
        if let Some(refused) = self.admit(command, key) {
            return refused;
        }
        let reply = match command {
            // What most requests are, without the way through the table of commands.
            Command::Get => self.read(key, true),
            _ => {
                let reply = self.dispatch(command, key, write);
                if command.writes() && matches!(reply, Reply::Done | Reply::Hit(_)) {
                    self.persistence.note_change();
                    if self.propagates() {
                        self.propagate_command(command, key, write);
                    }
                }
                reply
            }
        };
        self.count_hit(command, key, reply);
        self.note_peak();
        reply
    }

    /// What comes before every command: eviction, and the refusal of what would need memory or may not be written.
    #[inline(always)]
    pub(super) fn admit(&mut self, command: Command, key: KeyRef) -> Option<Reply> {
        let evicted = self.evict_before_command();
        let spec = command.spec();
        self.note_command_once(command);
        self.counters.total_commands_processed += 1;
        if evicted == Evicted::Failed && spec.deny_oom {
            return Some(self.refuse(key));
        }
        if self.refuses_after_failed_save() && command.writes() {
            self.counters.misconf_errors += 1;
            return Some(Reply::Misconf);
        }
        if spec.deny_oom && self.refusing {
            self.refusing = false;
            self.note_event(EventKind::OomLast);
        }
        None
    }

    /// Counts a hit or a miss, where the command has one.
    #[inline(always)]
    pub(super) fn count_hit(&mut self, command: Command, key: KeyRef, reply: Reply) {
        if command.spec().counts_hits {
            let hit = matches!(reply, Reply::Hit(_));
            self.counters.keyspace_hits += u64::from(hit);
            self.counters.keyspace_misses += u64::from(!hit);
            let keyspace = &mut self.keyspaces[key.keyspace as usize];
            keyspace.hits += u64::from(hit);
            keyspace.misses += u64::from(!hit);
        }
    }

    #[inline(never)]
    fn dispatch(&mut self, command: Command, key: KeyRef, write: &Write) -> Reply {
        match command {
            Command::Get => self.read(key, true),
            Command::Touch | Command::StrLen => without_value(self.read(key, true)),
            Command::Exists => without_value(self.read(key, false)),
            Command::GetEx => self.read_and(key, |node, slot| node.expire(slot, write)),
            Command::GetExPersist => self.read_and(key, Node::persist),
            Command::GetDel => self.read_and(key, |node, slot| node.delete_key(slot, FreedBy::Del)),
            Command::Set
            | Command::SetEx
            | Command::SetPx
            | Command::SetKeepTtl
            | Command::SetNx
            | Command::SetXx
            | Command::SetNxPlain => self.set(command, key, write),
            Command::Incr => self.incr(key, write),
            Command::Append => self.append(key, write),
            Command::SetRange | Command::SetBit => self.set_range(key, write),
            Command::PfAdd => self.pf_add(key, write),
            Command::Del => self.del(key, FreedBy::Del),
            Command::Unlink => self.del(key, FreedBy::Unlink),
            Command::Expire => self.write_existing(key, |node, slot| node.expire(slot, write)),
            Command::Persist => self.persist_existing(key),
            // These come by `execute_on_elements`.
            _ => Reply::Nothing,
        }
    }

    fn refuse(&mut self, key: KeyRef) -> Reply {
        if self.counters.oom_errors == 0 {
            self.note_event(EventKind::OomFirst);
        }
        self.refusing = true;
        self.counters.oom_errors += 1;
        self.keyspaces[key.keyspace as usize].oom_errors += 1;
        self.note_peak();
        Reply::OutOfMemory
    }

    #[inline]
    fn note_command_once(&mut self, command: Command) {
        let bit = 1 << command as u64;
        if self.commands_seen & bit == 0 {
            self.commands_seen |= bit;
            self.note_command(command.spec().base);
        }
    }

    /// Looks a key up: rehash steps, lazy expiry, and the clock when `touch`.
    #[inline(always)]
    pub(super) fn lookup(&mut self, key: KeyRef, touch: bool) -> Option<Slot> {
        if self.main.rehashing() {
            self.rehash_step(TableName::Main, self.profile.rehash_steps_lookup);
        }
        // The expiry check looks the key up in the expires table, but for objects that hold their time of expiry.
        if self.expires.rehashing() && self.regions.object_layout().is_none() {
            self.rehash_step(TableName::Expires, self.profile.rehash_steps_lookup);
        }
        if key.id == NO_ID {
            return None;
        }
        let slot = self.keys.index[key.id as usize];
        if slot == NIL || self.expire_if_needed(slot) {
            return None;
        }
        if touch {
            self.touch(slot);
        }
        Some(slot)
    }

    #[inline(always)]
    fn read(&mut self, key: KeyRef, touch: bool) -> Reply {
        match self.lookup(key, touch) {
            Some(slot) => Reply::Hit(self.value_length(slot)),
            None => Reply::Miss,
        }
    }

    fn read_and(&mut self, key: KeyRef, then: impl FnOnce(&mut Node, Slot)) -> Reply {
        let Some(slot) = self.lookup(key, true) else { return Reply::Miss };
        let length = self.value_length(slot);
        then(self, slot);
        Reply::Hit(length)
    }

    fn write_existing(&mut self, key: KeyRef, then: impl FnOnce(&mut Node, Slot)) -> Reply {
        let Some(slot) = self.lookup(key, true) else { return Reply::Nothing };
        then(self, slot);
        Reply::Done
    }

    /// Length of a value as a string (B).
    #[inline]
    fn value_length(&self, slot: Slot) -> u64 {
        let sizes = self.keys.entries[slot as usize].sizes;
        match sizes.encoding {
            string::Encoding::Int => string::digits(sizes.payload.cast_signed()),
            string::Encoding::Collection => 0,
            _ => sizes.payload,
        }
    }

    fn set(&mut self, command: Command, key: KeyRef, write: &Write) -> Reply {
        let found = self.lookup(key, true);
        let refused = match command {
            Command::SetNx | Command::SetNxPlain => found.is_some(),
            Command::SetXx => found.is_none(),
            _ => false,
        };
        if refused {
            return Reply::Nothing;
        }
        let slot = match found {
            Some(slot) => {
                self.overwrite(slot, write.payload);
                slot
            }
            None => self.create(key, write.key_length, write.payload),
        };
        let timed = self.keys.entries[slot as usize].has_ttl();
        match (command, write.ttl_ms) {
            (Command::SetKeepTtl, _) | (Command::SetNxPlain, _) => {}
            (_, Some(ttl)) => self.set_ttl(slot, self.now_ms + ttl),
            (_, None) if timed => self.remove_ttl(slot),
            (_, None) => {}
        }
        Reply::Done
    }

    /// Adds a key that is absent.
    #[inline]
    pub(super) fn create(&mut self, key: KeyRef, key_length: u64, payload: Payload) -> Slot {
        // The lookup has made the first of the steps.
        let steps = self.profile.rehash_steps_insert - self.profile.rehash_steps_lookup;
        self.rehash_step(TableName::Main, steps);
        let (payload, value) = self.stored(payload);
        self.add_key(key, key_length, payload, value)
    }

    /// Replaces the value of a key that exists.
    fn overwrite(&mut self, slot: Slot, payload: Payload) {
        let steps = self.profile.rehash_steps_overwrite - self.profile.rehash_steps_lookup;
        self.rehash_step(TableName::Main, steps);
        let (payload, value) = self.stored(payload);
        self.replace_value(slot, payload, value, false);
        // The new object has a clock of its own, or inherits the old one's: they differ only while a child lives,
        // since the lookup has just touched the old object.
        if self.child_active && !self.counts_accesses() && !self.profile.lru_inherited_on_overwrite {
            let clock = self.lru_clock;
            self.keys.entries[slot as usize].set_clock(clock);
        }
    }

    fn incr(&mut self, key: KeyRef, write: &Write) -> Reply {
        match self.lookup(key, true) {
            None => {
                self.create(key, write.key_length, Payload::Int(1));
            }
            Some(slot) => {
                let old = self.keys.entries[slot as usize].sizes.payload.cast_signed();
                let (payload, value) = self.stored(Payload::Int(old.saturating_add(1)));
                self.replace_value(slot, payload, value, true);
            }
        }
        Reply::Done
    }

    fn append(&mut self, key: KeyRef, write: &Write) -> Reply {
        let Payload::Bytes(more) = write.payload else { return Reply::Nothing };
        match self.lookup(key, true) {
            None => {
                self.create(key, write.key_length, write.payload);
            }
            Some(slot) => self.grow_value(slot, self.value_length(slot) + more),
        }
        Reply::Done
    }

    fn set_range(&mut self, key: KeyRef, write: &Write) -> Reply {
        let Payload::Bytes(more) = write.payload else { return Reply::Nothing };
        let end = write.offset + more;
        match self.lookup(key, true) {
            None => {
                // A new value is made raw, with exactly the bytes it needs.
                let steps = self.profile.rehash_steps_insert - self.profile.rehash_steps_lookup;
                self.rehash_step(TableName::Main, steps);
                let value = string::padded(end, self.profile, self.classes);
                self.add_key(key, write.key_length, end, value);
            }
            Some(slot) => {
                let length = self.value_length(slot);
                self.grow_value(slot, length.max(end));
            }
        }
        Reply::Done
    }

    /// Grows a value in place to `length` bytes, at most what the server allows a string.
    fn grow_value(&mut self, slot: Slot, length: u64) {
        let length = length.min(crate::layout::string::MAX_LENGTH);
        let old_length = self.value_length(slot);
        let before = self.regions.value(self.keys.entries[slot as usize].sizes);
        let after = string::grown(before, old_length, length, self.profile, self.classes);
        self.replace_value(slot, length, after, true);
    }

    fn del(&mut self, key: KeyRef, by: FreedBy) -> Reply {
        // A key that has expired is deleted by the check before, and not by DEL.
        if key.id == NO_ID || self.keys.index[key.id as usize] == NIL {
            self.rehash_step(TableName::Expires, 1);
            self.rehash_step(TableName::Main, 1);
            return Reply::Nothing;
        }
        let slot = self.keys.index[key.id as usize];
        if self.expire_if_needed(slot) {
            return Reply::Nothing;
        }
        self.delete_key(slot, by);
        Reply::Done
    }

    /// DEL or UNLINK of a key named by its slot, for a caller that visits every key.
    pub(crate) fn delete_slot(&mut self, slot: Slot, by: FreedBy) {
        let unlink = by == FreedBy::Unlink;
        self.note_command_once(if unlink { Command::Unlink } else { Command::Del });
        self.counters.total_commands_processed += 1;
        self.evict_before_command();
        // Eviction may have taken the key itself.
        if self.keys.entries[slot as usize].present() {
            self.propagate_deletion(slot, unlink);
            self.delete_key(slot, by);
            self.persistence.note_change();
        }
        self.note_peak();
    }

    /// SET … KEEPTTL of a key named by its slot.
    pub(crate) fn overwrite_slot(&mut self, slot: Slot, payload: Payload) -> Reply {
        let key = KeyRef { id: NO_ID, hash: 0, keyspace: self.keys.entries[slot as usize].sizes.keyspace };
        self.note_command_once(Command::Set);
        self.counters.total_commands_processed += 1;
        if self.evict_before_command() == Evicted::Failed {
            return self.refuse(key);
        }
        self.rehash_step(TableName::Main, self.profile.rehash_steps_lookup);
        if !self.keys.entries[slot as usize].present() || self.expire_if_needed(slot) {
            return Reply::Nothing;
        }
        self.touch(slot);
        self.overwrite(slot, payload);
        self.persistence.note_change();
        if self.propagates() {
            self.propagate_overwrite(slot, payload);
        }
        self.note_peak();
        Reply::Done
    }

    /// Adds a key without a command, as loading an RDB file does: no eviction, no refusal.
    pub fn load(&mut self, key: KeyRef, key_length: u64, payload: Payload, ttl_ms: Option<u64>) {
        // Without the room that a HyperLogLog has grown.
        let payload = match payload {
            Payload::Distinct(distinct) => Payload::Bytes(self.hyperloglog_length(distinct)),
            other => other,
        };
        let (payload, value) = self.stored(payload);
        let slot = self.add_key(key, key_length, payload, value);
        if let Some(ttl) = ttl_ms {
            self.set_ttl(slot, self.now_ms + ttl);
        }
        self.note_peak();
    }

    fn expire(&mut self, slot: Slot, write: &Write) {
        if let Some(ttl) = write.ttl_ms {
            self.set_ttl(slot, self.now_ms + ttl);
        }
    }

    /// PERSIST: nothing to do, and nothing to send, for a key without a TTL.
    fn persist_existing(&mut self, key: KeyRef) -> Reply {
        match self.lookup(key, true) {
            Some(slot) if self.keys.entries[slot as usize].has_ttl() => {
                self.remove_ttl(slot);
                Reply::Done
            }
            _ => Reply::Nothing,
        }
    }

    fn persist(&mut self, slot: Slot) {
        if self.keys.entries[slot as usize].has_ttl() {
            self.remove_ttl(slot);
        }
    }
}

/// A reply that is a number, not the value.
fn without_value(reply: Reply) -> Reply {
    match reply {
        Reply::Hit(_) => Reply::Hit(0),
        other => other,
    }
}
