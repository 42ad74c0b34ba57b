//! The keys that are present, as columns indexed by slot.
//!
//! A key of the scenario has a dense id; [`Keys::index`] says in which slot its entry stands, if it is present.  Slots
//! are handed out again after a delete.  All that a hit or a delete touches lies in one 32-byte [`Entry`], half a cache
//! line; the column for TTLs exists only once a key has one.  Memory: 4 bytes for each id, 32 for each slot, 12 more
//! with TTLs.
//!
//! Keys that are never asked for again (traffic that makes new keys) have no id: they are reached only through the
//! tables, as the server reaches them when it evicts or expires.

use crate::hint::{huge_pages, prefetch};
use crate::layout::string::{Encoding, StringValue};

/// A slot's number; [`NIL`] stands for none.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NIL: Slot = 0;

/// The owner of a key without id.
pub(crate) const NO_ID: u32 = u32::MAX;

/// The clock: 24 bits, LRU seconds or LFU minutes and counter.
const CLOCK_MASK: u32 = (1 << 24) - 1;
/// The key has a TTL.
const HAS_TTL: u32 = 1 << 24;
/// The slot holds a key.
const PRESENT: u32 = 1 << 25;
/// From here on a bit for each [`Region`] that was written since the fork.
const WRITTEN_SHIFT: u32 = 26;
const WRITTEN_MASK: u32 = 0b1_1111 << WRITTEN_SHIFT;

/// The parts of a key that are allocations of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    /// Entry of the main table.
    Entry,
    /// Key string.
    Key,
    /// Object, embedded string included.
    Object,
    /// Bytes of a raw string.
    Value,
    /// Entry of the expires table.
    Timed,
}

/// A key that is present, or an empty slot.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct Entry {
    /// Next entry of the chain in the main table; next free slot when empty.
    pub(crate) next: Slot,
    /// Clock and flags.
    meta: u32,
    /// Hash of the key's name.
    pub(crate) hash: u32,
    /// The key's id, or [`NO_ID`].
    pub(crate) owner: u32,
    /// Sizes.
    pub(crate) sizes: Sizes,
}

impl Entry {
    /// A slot without a key.
    const EMPTY: Entry = Entry { next: NIL, meta: 0, hash: 0, owner: 0, sizes: Sizes::EMPTY };

    /// The 24-bit clock field of the object.
    #[inline]
    pub(crate) fn clock(&self) -> u32 {
        self.meta & CLOCK_MASK
    }

    /// Writes the clock field.
    #[inline]
    pub(crate) fn set_clock(&mut self, clock: u32) {
        debug_assert!(clock <= CLOCK_MASK, "the clock has 24 bits");
        self.meta = (self.meta & !CLOCK_MASK) | clock;
    }

    /// Whether the key has a TTL.
    #[inline]
    pub(crate) fn has_ttl(&self) -> bool {
        self.meta & HAS_TTL != 0
    }

    /// Notes that the key has, or has not, a TTL.
    #[inline]
    pub(crate) fn set_has_ttl(&mut self, has: bool) {
        self.meta = if has { self.meta | HAS_TTL } else { self.meta & !HAS_TTL };
    }

    /// Whether the slot holds a key.
    #[inline]
    pub(crate) fn present(&self) -> bool {
        self.meta & PRESENT != 0
    }

    /// Whether a child no longer shares this part of the key, or never did.
    pub(crate) fn written(&self, region: Region) -> bool {
        self.meta & (1 << (WRITTEN_SHIFT + region as u32)) != 0
    }

    /// Notes that this part was written, or made, since the fork.
    pub(crate) fn set_written(&mut self, region: Region) {
        self.meta |= 1 << (WRITTEN_SHIFT + region as u32);
    }

    /// A fork: everything is shared.
    pub(crate) fn clear_written(&mut self) {
        self.meta &= !WRITTEN_MASK;
    }
}

/// A key's place in the expires table, in 12 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timed {
    /// Next entry of the chain in the expires table.
    pub(crate) next: Slot,
    /// Low and high half of the time of expiry: three words need no padding.
    halves: [u32; 2],
}

impl Timed {
    /// When the key expires (ms of the server's clock).
    #[inline]
    pub(crate) fn expire_at(self) -> u64 {
        u64::from(self.halves[0]) | (u64::from(self.halves[1]) << 32)
    }

    /// Writes when the key expires (ms of the server's clock).
    #[inline]
    pub(crate) fn set_expire_at(&mut self, at: u64) {
        self.halves = [at as u32, (at >> 32) as u32];
    }
}

/// The object has room for a time of expiry: a bit of [`Sizes::total`] that no size needs.
const EXPIRE_ROOM: u32 = 1 << 31;

/// Sizes of one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Length of the value (B), or the integer itself.
    pub(crate) payload: u64,
    /// What the value costs: object and bytes, in size classes (B); and [`EXPIRE_ROOM`].
    total: u32,
    /// What the key takes, in the unit of [`super::regions::Regions`].
    key: u16,
    /// Index of the keyspace.
    pub(crate) keyspace: u8,
    /// How the value is stored.
    pub(crate) encoding: Encoding,
}

impl Sizes {
    /// The sizes of no key.
    const EMPTY: Sizes = Sizes { payload: 0, total: 0, key: 0, keyspace: 0, encoding: Encoding::Int };

    /// Sizes of a key that takes `key`, in the unit of [`super::regions::Regions`], and of its value.
    pub(crate) fn new(keyspace: u8, key: u16, payload: u64, value: StringValue) -> Sizes {
        let mut sizes = Sizes { keyspace, key, ..Sizes::EMPTY };
        sizes.set_value(payload, value);
        sizes
    }

    /// Writes another value's sizes.
    pub(crate) fn set_value(&mut self, payload: u64, value: StringValue) {
        debug_assert!(value.total < u64::from(EXPIRE_ROOM), "values are at most 512 MiB, their slack included");
        let room = if value.expire_room { EXPIRE_ROOM } else { 0 };
        (self.payload, self.total, self.encoding) = (payload, value.total as u32 | room, value.encoding);
    }

    /// What the value costs: object and bytes, in size classes (B).
    #[inline]
    pub(crate) fn value_total(self) -> u64 {
        u64::from(self.total & !EXPIRE_ROOM)
    }

    /// Whether both are made of the same allocations.
    #[inline]
    pub(crate) fn is_alike(self, other: Sizes) -> bool {
        (self.total, self.key, self.encoding) == (other.total, other.key, other.encoding)
    }

    /// Whether the object, which holds its key, has room for a time of expiry.
    #[inline]
    pub(crate) fn expire_room(self) -> bool {
        self.total & EXPIRE_ROOM != 0
    }

    /// What the key takes, in the unit of [`super::regions::Regions`].
    #[inline]
    pub(crate) fn key(self) -> u16 {
        self.key
    }
}

/// The columns.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Slot of each id, [`NIL`] when the key is absent.
    pub(crate) index: Vec<Slot>,
    /// Entries; slot 0 is never used.
    pub(crate) entries: Vec<Entry>,
    /// What is known of keys with a TTL; empty until a key has one.
    pub(crate) timed: Vec<Timed>,
    free: Slot,
}

impl Keys {
    /// Columns for `ids` ids, no key present.
    pub(crate) fn new(ids: usize) -> Keys {
        let keys = Keys { index: vec![NIL; ids], entries: vec![Entry::EMPTY], ..Keys::default() };
        huge_pages(&keys.index);
        keys
    }

    /// Puts a key into a slot of its own.  The key must be absent.
    pub(crate) fn insert(&mut self, owner: u32, hash: u32, clock: u32, sizes: Sizes) -> Slot {
        let entry = Entry { next: NIL, meta: PRESENT | clock, hash, owner, sizes };
        let slot = if self.free == NIL {
            push(&mut self.entries, entry);
            if !self.timed.is_empty() {
                push(&mut self.timed, Timed::default());
            }
            (self.entries.len() - 1) as Slot
        } else {
            let slot = self.free;
            self.free = self.entries[slot as usize].next;
            self.entries[slot as usize] = entry;
            slot
        };
        if owner != NO_ID {
            debug_assert_eq!(self.index[owner as usize], NIL, "the key is present already");
            self.index[owner as usize] = slot;
        }
        slot
    }

    /// Asks for where a key's entry stands.
    #[inline]
    pub(crate) fn prefetch_index(&self, id: u32) {
        prefetch(&self.index, id as usize);
    }

    /// Asks for a key's entry; false when the key is absent.
    #[inline]
    pub(crate) fn prefetch_entry(&self, id: u32) -> bool {
        let slot = self.index.get(id as usize).copied().unwrap_or(NIL);
        prefetch(&self.entries, slot as usize);
        prefetch(&self.timed, slot as usize);
        slot != NIL
    }

    /// Empties a slot, whose key must already be out of the tables.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let entry = &mut self.entries[slot as usize];
        debug_assert!(entry.present(), "the slot is empty already");
        if entry.owner != NO_ID {
            self.index[entry.owner as usize] = NIL;
        }
        *entry = Entry { next: self.free, ..Entry::EMPTY };
        self.free = slot;
    }

    /// Takes a key's id away: it stays, and is never asked for again.
    pub(crate) fn disown(&mut self, id: u32) {
        let slot = self.index[id as usize];
        if slot != NIL {
            self.index[id as usize] = NIL;
            self.entries[slot as usize].owner = NO_ID;
        }
    }

    /// Gives the columns for TTLs their room, before the first key gets one.
    pub(crate) fn ensure_timed(&mut self) {
        if self.timed.is_empty() {
            self.timed = vec![Timed::default(); self.entries.len()];
            huge_pages(&self.timed);
        }
    }

    /// Whether a slot still holds the key with this hash.
    pub(crate) fn holds(&self, slot: Slot, hash: u32) -> bool {
        let entry = self.entries[slot as usize];
        entry.present() && entry.hash == hash
    }

    /// The rank of a slot's key in a family whose ids begin at `first_id`; `None` for a key without id.
    pub(crate) fn rank(&self, slot: Slot, first_id: u32) -> Option<u32> {
        let owner = self.entries[slot as usize].owner;
        (owner != NO_ID).then(|| owner - first_id)
    }

    /// The keys of a keyspace: slot and hash.
    pub(crate) fn of_keyspace(&self, keyspace: u8) -> impl Iterator<Item = (Slot, u32)> + '_ {
        let of_it = move |&slot: &Slot| self.entries[slot as usize].sizes.keyspace == keyspace;
        self.present().filter(of_it).map(|slot| (slot, self.entries[slot as usize].hash))
    }

    /// Slots that hold a key, in order.
    pub(crate) fn present(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.entries.len() as Slot).filter(|&slot| self.entries[slot as usize].present())
    }
}

/// Adds to a column.
#[inline]
fn push<T: Copy>(column: &mut Vec<T>, value: T) {
    if column.len() == column.capacity() {
        grow(column);
    }
    column.push(value);
}

/// Doubles a column's room by a copy into new memory: memory that the kernel moves loses its huge pages.
#[cold]
fn grow<T: Copy>(column: &mut Vec<T>) {
    let mut larger = Vec::with_capacity((2 * column.len()).max(1024));
    huge_pages(&larger);
    larger.extend_from_slice(column);
    *column = larger;
}

/// How a table walks its chains: the main table through [`Entry`], the expires table through its own column.
pub(crate) trait Chain {
    /// The entry after `slot`.
    fn next(&self, slot: Slot) -> Slot;
    /// Writes the entry after `slot`.
    fn set_next(&mut self, slot: Slot, next: Slot);
    /// The hash of `slot`'s key.
    fn hash(&self, slot: Slot) -> u32;
}

/// Chains of the main table.
pub(crate) struct MainChain<'a>(pub(crate) &'a mut [Entry]);

impl Chain for MainChain<'_> {
    #[inline]
    fn next(&self, slot: Slot) -> Slot {
        self.0[slot as usize].next
    }
    #[inline]
    fn set_next(&mut self, slot: Slot, next: Slot) {
        self.0[slot as usize].next = next;
    }
    #[inline]
    fn hash(&self, slot: Slot) -> u32 {
        self.0[slot as usize].hash
    }
}

/// Chains of the expires table.
pub(crate) struct ExpiresChain<'a> {
    entries: &'a [Entry],
    timed: &'a mut [Timed],
}

impl ExpiresChain<'_> {
    /// The chains through these keys.
    #[inline]
    pub(crate) fn of(keys: &mut Keys) -> ExpiresChain<'_> {
        ExpiresChain { entries: &keys.entries, timed: &mut keys.timed }
    }
}

impl Chain for ExpiresChain<'_> {
    #[inline]
    fn next(&self, slot: Slot) -> Slot {
        self.timed[slot as usize].next
    }
    #[inline]
    fn set_next(&mut self, slot: Slot, next: Slot) {
        self.timed[slot as usize].next = next;
    }
    #[inline]
    fn hash(&self, slot: Slot) -> u32 {
        self.entries[slot as usize].hash
    }
}
