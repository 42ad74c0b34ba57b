//! What a key costs beside its value: its entry, its name, the object; and its share in the tables.
//!
//! Source: redis 7.0.15 `src/db.c`, `src/dict.c`; Valkey 8.0 `src/dict.c`; Valkey 8.1, 9.1 `src/object.c`; Redis 8.2's
//! pull requests.  Outside cluster mode.

use super::allocation::{Allocation, Rules};
use super::dict::{self, Entries, Kind};
use super::sds;
use super::string::{EMBEDDED_STRING, EXPIRE_BYTES, KeyedObject, SHARED_INTEGERS, keyed};
use crate::profile::{KeyLayout, KeyUsage, Shrink, Table, TableLayout};

/// `sizeof(dictEntry)` with a value (B).
const ENTRY: u64 = 24;
/// The same in the expires table (B).
const EXPIRES_ENTRY: u64 = 24;
/// An argument of at least this length keeps the query buffer it was read into, with its CR LF (B).
const BIG_ARGUMENT: u64 = 32 * 1024;

/// What a key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A collection: its own bytes come on top.
    Collection,
    /// A string that is no integer, of so many bytes, as SET stores it (B).
    String(u64),
    /// A string whose bytes lie apart whatever their number: their allocation comes on top.
    Raw,
    /// An integer; whether small ones may be shared.
    Int(i64, bool),
}

/// A key and its object: blocks by request (B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Key {
    /// The entry of the main table; 0 where there is none.
    pub entry: u64,
    /// The key string; 0 where it lies in another block.
    pub name: u64,
    /// The object, with what lies in it; 0 where it is shared.
    pub object: u64,
    /// The string's bytes, where they lie apart.
    pub value: u64,
    /// The entry of the expires table; 0 where there is none.
    pub expires_entry: u64,
    /// Whether the string lies in the object.
    pub embedded: bool,
}

/// What a string of `length` bytes that lies apart requests (B).
fn raw_request(length: u64) -> u64 {
    sds::request(if length >= BIG_ARGUMENT { length + 2 } else { length })
}

/// The blocks of a key of `length` bytes and of its object.  `expires`: it has a time of expiry.
#[must_use]
pub fn blocks(length: u64, stored: Stored, expires: bool, rules: &Rules<'_>) -> Key {
    let (profile, object) = (rules.profile, rules.profile.robj);
    let expires_entry = match profile.table_layout {
        TableLayout::Chained { .. } if expires => EXPIRES_ENTRY,
        _ => 0,
    };
    let apart = |entry: u64, name: u64| {
        let shared = |value: i64, may: bool| may && profile.shared_integers && (0..SHARED_INTEGERS).contains(&value);
        let (object, value, embedded) = match stored {
            Stored::String(text) if text <= profile.embstr_max => (object + EMBEDDED_STRING + text, 0, true),
            Stored::String(text) => (object, raw_request(text), false),
            Stored::Int(value, may) if shared(value, may) => (0, 0, false),
            Stored::Int(..) | Stored::Collection | Stored::Raw => (object, 0, false),
        };
        Key { entry, name, object, value, expires_entry, embedded }
    };
    match profile.key_layout {
        KeyLayout::Separate => apart(ENTRY, sds::request(length)),
        // *Measured*: the name's header has three bytes at least, for the command's string had.
        KeyLayout::InEntry { entry } => apart(entry + sds::header(length).max(3) + length + 1, 0),
        KeyLayout::InObject(layout) => {
            let short = match stored {
                Stored::String(text) if text <= profile.embstr_max => Some(text),
                _ => None,
            };
            let KeyedObject { request, embeds, given } = keyed(short, length, expires, layout, profile);
            let value = match stored {
                Stored::String(text) if !embeds => raw_request(text),
                _ => 0,
            };
            let object = request + if given { EXPIRE_BYTES } else { 0 };
            Key { object, value, expires_entry, embedded: embeds, ..Key::default() }
        }
    }
}

impl Key {
    /// What all blocks cost (B).
    #[must_use]
    pub fn bytes(&self, rules: &Rules<'_>) -> u64 {
        self.parts()
            .into_iter()
            .filter(|&(_, request)| request > 0)
            .map(|(_, request)| rules.classes.class(request))
            .sum()
    }

    fn parts(&self) -> [(&'static str, u64); 5] {
        let object = match (self.entry > 0, self.embedded) {
            (true, true) => "object and value (embstr)",
            (true, false) => "object",
            (false, true) => "object, key and value",
            (false, false) => "object and key",
        };
        let entry = if self.name > 0 { "dictEntry" } else { "dictEntry and key" };
        [
            (entry, self.entry),
            ("key", self.name),
            (object, self.object),
            ("value", self.value),
            ("dictEntry in expires", self.expires_entry),
        ]
    }

    /// The blocks, named.
    #[must_use]
    pub fn allocations(&self, rules: &Rules<'_>) -> Vec<Allocation> {
        let parts = self.parts().into_iter().filter(|&(_, request)| request > 0);
        parts.map(|(reason, request)| Allocation::new(reason, request, 1.0, rules.classes)).collect()
    }

    /// What `MEMORY USAGE` counts for key, object and string: structures by their size, strings by their class.
    /// `value`: what it counts for a collection, or for a string's bytes that came on top (B).
    #[must_use]
    pub fn memory_usage(&self, stored: Stored, value: u64, rules: &Rules<'_>) -> u64 {
        let class = |request: u64| if request > 0 { rules.classes.class(request) } else { 0 };
        let usage = rules.collections.memory_usage;
        let key = match usage.key {
            KeyUsage::StringAndEntry => class(self.name) + ENTRY,
            KeyUsage::Entry => class(self.entry),
            KeyUsage::ObjectNominal | KeyUsage::Object => 0,
        };
        let object = match (usage.key, stored) {
            (KeyUsage::Object, _) => class(self.object),
            // 6.2 counts the string's length and its header of type 5.
            (_, Stored::String(text)) if self.embedded && usage.packed_nominal => text + 2 + rules.profile.robj,
            (_, Stored::String(_)) if self.embedded => class(self.object),
            _ => rules.profile.robj,
        };
        key + object + class(self.value) + value
    }
}

/// The buckets of one table of keys, and what overfull ones need, when `keys` were added one by one.
fn table(name: &str, keys: u64, rules: &Rules<'_>) -> Vec<Allocation> {
    let (table, entries, shrink) = match rules.profile.table_layout {
        TableLayout::Chained { .. } => (Table::Dict, Entries::Each, Shrink::BelowTenth),
        TableLayout::ChainedKeys { .. } => (Table::Dict, Entries::Chained, Shrink::Eighth),
        TableLayout::Buckets => (Table::Hashtable, Entries::None, Shrink::Fill13),
    };
    let blocks = dict::allocations(Kind { table, header: 0, entries, shrink, visited: false }, keys, 0, rules);
    // The header was there before any key; entries are counted with the keys.
    let own = blocks.into_iter().skip(1).filter(|block| block.reason != "dictEntry");
    own.map(|block| Allocation { reason: format!("{name}: {}", block.reason), ..block }).collect()
}

/// The tables' blocks for `keys` keys, of which `expiring` have a time of expiry.
#[must_use]
pub fn tables(keys: u64, expiring: u64, rules: &Rules<'_>) -> Vec<Allocation> {
    let mut all = table("main", keys, rules);
    if expiring > 0 {
        all.extend(table("expires", expiring, rules));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::limits::Limits;
    use crate::profile::{Allocator, Profile};

    fn bytes(release: &str, allocator: Allocator, length: u64, stored: Stored, expires: bool) -> u64 {
        let profile = Profile::find(release).expect("a release");
        let rules = Rules::new(profile, allocator.classes(), Limits::default());
        blocks(length, stored, expires, &rules).bytes(&rules)
    }

    #[test]
    fn keys_cost_what_the_specification_lists() {
        let lists = [(8, 40, 48, 32, 32), (16, 48, 64, 40, 48), (32, 64, 80, 56, 64), (64, 104, 112, 96, 96)];
        for (length, redis8, redis16, valkey8, valkey16) in lists {
            for (release, allocator, expected) in [
                ("redis-7.4", Allocator::Bundled, redis8),
                ("redis-7.4", Allocator::System, redis16),
                ("valkey-8.0", Allocator::Bundled, valkey8),
                ("valkey-8.0", Allocator::System, valkey16),
            ] {
                assert_eq!(bytes(release, allocator, length, Stored::Collection, false) - 16, expected, "{length}");
            }
        }
    }

    #[test]
    fn an_object_of_8_2_embeds_up_to_25_bytes_beside_a_key_of_16() {
        for (length, expected) in [(25, 64), (26, 40 + 32)] {
            let stored = Stored::String(length);
            assert_eq!(bytes("redis-8.2", Allocator::Bundled, 16, stored, false), expected, "{length}");
        }
        let stored = Stored::String(100);
        assert_eq!(bytes("redis-8.2", Allocator::Bundled, 16, stored, false), 40 + 112);
    }
}
