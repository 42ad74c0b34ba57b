//! Packed collections: entries one after another in one allocation, integers in as few bytes as they need.
//!
//! Source: redis 7.0.15 `src/listpack.c`; redis 6.2.16 `src/ziplist.c`.  A block is resized to what it holds at every
//! change, so that its class is that of its bytes; tails of streams are the exception.

use super::string::digits;
use crate::profile::Packing;

/// An element of a collection: what it says, as far as its size goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// A decimal integer as people write it (no plus sign, no leading zeros): packed as a number.
    Int(i64),
    /// Any other string of so many bytes (B).
    Bytes(u64),
}

impl From<u64> for Element {
    fn from(len: u64) -> Element {
        Element::Bytes(len)
    }
}

impl Element {
    /// Bytes of it as a string (B).
    #[inline]
    #[must_use]
    pub fn length(self) -> u64 {
        match self {
            Element::Int(value) => digits(value),
            Element::Bytes(length) => length,
        }
    }
}

/// Bytes of an integer in a listpack: its encoding and its payload (B).
fn listpack_int(value: i64) -> u64 {
    match value {
        0..=127 => 1,
        -4096..=4095 => 2,
        -32_768..=32_767 => 3,
        -8_388_608..=8_388_607 => 4,
        -2_147_483_648..=2_147_483_647 => 5,
        _ => 9,
    }
}

/// Bytes of an entry of a listpack: encoding, payload, and its length for those who come from behind (B).
#[inline]
#[must_use]
pub fn listpack_entry(element: Element) -> u64 {
    let body = match element {
        Element::Int(value) => listpack_int(value),
        Element::Bytes(length @ 0..=63) => 1 + length,
        Element::Bytes(length @ 64..=4095) => 2 + length,
        Element::Bytes(length) => 5 + length,
    };
    let back = match body {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    };
    body + back
}

/// Bytes of an entry of a ziplist that follows a short one (B).
#[inline]
#[must_use]
pub fn ziplist_entry(element: Element) -> u64 {
    1 + match element {
        Element::Int(0..=12) => 1,
        Element::Int(-128..=127) => 2,
        Element::Int(-32_768..=32_767) => 3,
        Element::Int(-8_388_608..=8_388_607) => 4,
        Element::Int(-2_147_483_648..=2_147_483_647) => 5,
        Element::Int(_) => 9,
        Element::Bytes(length @ 0..=63) => 1 + length,
        Element::Bytes(length @ 64..=16_383) => 2 + length,
        Element::Bytes(length) => 5 + length,
    }
}

/// From this length on an entry of a ziplist makes the next one four bytes longer (B).  Source: `ZIP_BIG_PREVLEN`.
const ZIPLIST_BIG: u64 = 254;

/// Header and terminator (B).
#[must_use]
pub fn empty(packing: Packing) -> u64 {
    match packing {
        Packing::Ziplist => 11,
        Packing::Listpack => 7,
    }
}

/// Entries in one block.  Where a ziplist's entry is long, the next one is four bytes longer; those four count with
/// the long one, and the last entry has none behind it.
/// Left out: an entry of 250 to 253 bytes behind a long one is long too, and makes the next one longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Entries.
    pub entries: u64,
    /// What they take, each as if another followed it (B).
    body: u64,
    /// Whether the last one is long (ziplists).
    big_tail: bool,
}

impl Packed {
    /// No entry.
    #[must_use]
    pub fn new() -> Packed {
        Packed { entries: 0, body: 0, big_tail: false }
    }

    /// Bytes of one entry, with what it costs the next (B).
    #[inline]
    fn entry(element: Element, packing: Packing) -> u64 {
        match packing {
            Packing::Listpack => listpack_entry(element),
            Packing::Ziplist => {
                let own = ziplist_entry(element);
                if own >= ZIPLIST_BIG { own + 4 } else { own }
            }
        }
    }

    /// Bytes of the block: what it requests (B).
    #[inline]
    #[must_use]
    pub fn bytes(&self, packing: Packing) -> u64 {
        empty(packing) + self.body - if self.big_tail { 4 } else { 0 }
    }

    fn is_big(element: Element, packing: Packing) -> bool {
        packing == Packing::Ziplist && ziplist_entry(element) >= ZIPLIST_BIG
    }

    /// Adds an entry at the end.
    #[inline]
    pub fn push_back(&mut self, element: Element, packing: Packing) {
        self.body += Packed::entry(element, packing);
        self.entries += 1;
        self.big_tail = Packed::is_big(element, packing);
    }

    /// Adds an entry that is not the last, unless it is the only one.
    #[inline]
    pub fn push_front(&mut self, element: Element, packing: Packing) {
        self.body += Packed::entry(element, packing);
        if self.entries == 0 {
            self.big_tail = Packed::is_big(element, packing);
        }
        self.entries += 1;
    }

    /// Takes an entry out.  Of which entry is the last after it only this much is known: that it is like the one that
    /// was.
    #[inline]
    pub fn remove(&mut self, element: Element, packing: Packing) {
        self.body = self.body.saturating_sub(Packed::entry(element, packing));
        self.entries = self.entries.saturating_sub(1);
        if self.entries == 0 {
            self.body = 0;
            self.big_tail = false;
        }
    }

    /// Puts an entry in the place of another.
    #[inline]
    pub fn replace(&mut self, old: Element, new: Element, packing: Packing) {
        let grown = self.body + Packed::entry(new, packing);
        self.body = grown.saturating_sub(Packed::entry(old, packing));
    }
}

impl Default for Packed {
    fn default() -> Packed {
        Packed::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_packed_by_their_range() {
        let edges = [
            (0, 2, 2),
            (12, 2, 2),
            (13, 2, 3),
            (127, 2, 3),
            (128, 3, 4),
            (4095, 3, 4),
            (4096, 4, 4),
            (-1, 3, 3),
            (32_767, 4, 4),
            (32_768, 5, 5),
            (8_388_608, 6, 6),
            (2_147_483_648, 10, 10),
        ];
        for (value, listpack, ziplist) in edges {
            assert_eq!(listpack_entry(Element::Int(value)), listpack, "{value}");
            assert_eq!(ziplist_entry(Element::Int(value)), ziplist, "{value}");
        }
    }

    #[test]
    fn lengths_grow_with_the_string() {
        for (length, expected) in [(0, 2), (63, 65), (64, 67), (125, 128), (126, 130), (4095, 4099), (4096, 4103)] {
            assert_eq!(listpack_entry(Element::Bytes(length)), expected, "{length}");
        }
    }

    #[test]
    fn a_long_entry_of_a_ziplist_costs_the_next_four_bytes() {
        let mut packed = Packed::new();
        packed.push_back(Element::Bytes(300), Packing::Ziplist);
        assert_eq!(packed.bytes(Packing::Ziplist), 11 + 303);
        packed.push_back(Element::Bytes(1), Packing::Ziplist);
        assert_eq!(packed.bytes(Packing::Ziplist), 11 + 303 + 4 + 3);
    }

    #[test]
    fn the_worked_examples_of_small_hashes() {
        let mut packed = [Packed::new(); 2];
        for (packed, packing) in packed.iter_mut().zip([Packing::Listpack, Packing::Ziplist]) {
            for _ in 0..10 {
                packed.push_back(Element::Bytes(7), packing);
                packed.push_back(Element::Bytes(10), packing);
            }
        }
        assert_eq!(packed[0].bytes(Packing::Listpack), 217);
        assert_eq!(packed[1].bytes(Packing::Ziplist), 221);
    }
}
