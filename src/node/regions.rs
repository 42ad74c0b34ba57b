//! Which allocations a key is made of, by release: entry, key string, object, bytes of a raw value, expires entry.
//!
//! A region that a layout does not have takes 0 bytes.  [`Sizes::key`] is the class of the key string in units of 8 bytes,
//! or, where the object holds the key, its length: the object is sized by it.

use super::keys::Sizes;
use crate::layout::sds;
use crate::layout::string::{self, StringValue};
use crate::profile::{KeyLayout, ObjectLayout, Profile, SizeClasses, SlotIndex, TableLayout};

/// The layout of keys of one release with one allocator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regions {
    layout: KeyLayout,
    profile: &'static Profile,
    classes: SizeClasses,
    /// Class of an object of its own (B).
    object: u64,
    /// Class of an entry of the main table (B).
    pub(super) entry: u64,
    /// Class of an entry of the expires table (B).
    pub(super) timed: u64,
    /// What entries of the main table have more in cluster mode, to be found by slot (B).
    pub(super) slot_links: u64,
}

impl Regions {
    pub(super) fn new(profile: &'static Profile, classes: SizeClasses, cluster: bool) -> Regions {
        let slot_links = match profile.cluster.index {
            SlotIndex::EntryLinks { metadata } if cluster => metadata,
            _ => 0,
        };
        let (linked, timed) = match profile.table_layout {
            TableLayout::Chained { entry } => (classes.class(entry + slot_links), classes.class(entry)),
            TableLayout::ChainedKeys { .. } | TableLayout::Buckets => (0, 0),
        };
        let entry = if profile.key_layout == KeyLayout::Separate { linked } else { 0 };
        let object = classes.class(profile.robj);
        Regions { layout: profile.key_layout, profile, classes, object, entry, timed, slot_links }
    }

    /// How the object holds its key, where it does.
    #[inline]
    pub(super) fn object_layout(&self) -> Option<ObjectLayout> {
        match self.layout {
            KeyLayout::InObject(layout) => Some(layout),
            KeyLayout::Separate | KeyLayout::InEntry { .. } => None,
        }
    }

    /// Allocations of a key with a short value, its expires entry left out.
    pub(super) fn allocations(&self) -> u64 {
        match self.layout {
            KeyLayout::Separate => 3,
            KeyLayout::InEntry { .. } => 2,
            KeyLayout::InObject(_) => 1,
        }
    }

    /// Whether links between keys of the main table stand in the allocation of the key string.
    pub(super) fn key_is_entry(&self) -> bool {
        matches!(self.layout, KeyLayout::InEntry { .. })
    }

    /// A value as the object of a new key of `key_length` bytes holds it, and what [`Sizes::key`] is.
    #[inline]
    pub(super) fn of_new(&self, value: StringValue, payload: u64, key_length: u64) -> (StringValue, u16) {
        let request = match self.layout {
            KeyLayout::Separate => sds::request(key_length),
            KeyLayout::InEntry { entry } => entry + sds::growing_request(key_length),
            KeyLayout::InObject(_) => {
                let value = self.with_key(value, payload, key_length, false);
                return (value, u16::try_from(key_length).unwrap_or(u16::MAX));
            }
        };
        (value, (self.classes.class(request) / 8) as u16)
    }

    /// Class of the key string (B).
    #[inline]
    pub(super) fn key(&self, sizes: Sizes) -> u64 {
        if matches!(self.layout, KeyLayout::InObject(_)) { 0 } else { u64::from(sizes.key()) * 8 }
    }

    /// Class of the object of a raw value (B).
    fn raw_object(&self, sizes: Sizes) -> u64 {
        match self.layout {
            KeyLayout::Separate | KeyLayout::InEntry { .. } => self.object,
            KeyLayout::InObject(_) => {
                let room = if sizes.expire_room() { string::EXPIRE_BYTES } else { 0 };
                self.classes.class(string::keyed_object(u64::from(sizes.key()), self.profile) + room)
            }
        }
    }

    /// The value as it is allocated.
    pub(super) fn value(&self, sizes: Sizes) -> StringValue {
        let total = sizes.value_total();
        let bytes_class = if sizes.encoding.is_raw() { total - self.raw_object(sizes) } else { 0 };
        StringValue { encoding: sizes.encoding, bytes_class, total, expire_room: sizes.expire_room() }
    }

    /// Classes of the object and of the bytes of a raw string; 0 where there is none (B).
    pub(super) fn value_classes(&self, sizes: Sizes) -> [u64; 2] {
        let value = self.value(sizes);
        [value.total - value.bytes_class, value.bytes_class]
    }

    /// A value as the object of a new key of `key_length` bytes holds it.
    #[inline]
    pub(super) fn with_key(&self, value: StringValue, payload: u64, key_length: u64, timed: bool) -> StringValue {
        match self.object_layout() {
            None => value,
            Some(layout) => string::with_key(value, payload, key_length, timed, layout, self.profile, self.classes),
        }
    }

    /// A value as it replaces the one that a key has.  An object whose value is not in it keeps its place when neither is
    /// the new one.  Source: valkey 8.1 `src/db.c`, `dbSetValue`.
    #[inline]
    pub(super) fn replacing(&self, before: Sizes, value: StringValue, payload: u64, timed: bool) -> StringValue {
        if self.object_layout().is_none() {
            return value;
        }
        if before.encoding != string::Encoding::Embstr && value.encoding != string::Encoding::Embstr {
            let [object, _] = self.value_classes(before);
            return StringValue { total: object + value.bytes_class, expire_room: before.expire_room(), ..value };
        }
        self.with_key(value, payload, u64::from(before.key()), timed)
    }
}
