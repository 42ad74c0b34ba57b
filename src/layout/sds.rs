//! Simple dynamic strings: what a string of n bytes requests, and how it grows.
//!
//! Source: redis 7.0.15 `src/sds.c`, `src/sds.h`.

use crate::profile::SizeClasses;

/// Growth is doubling below this length, and by this much above (B).  Source: `SDS_MAX_PREALLOC`.
const MAX_PREALLOC: u64 = 1024 * 1024;

/// The header types and the longest string of each (B).  Source: `sdsReqType`, `sdsHdrSize`.
const TYPE_5_MAX: u64 = 31;
const TYPE_8_MAX: u64 = 255;
const TYPE_16_MAX: u64 = 65_535;
const TYPE_32_MAX: u64 = u32::MAX as u64;

/// Header of a string of `len` bytes made from bytes (B).  The one-byte header is not used for empty strings, which
/// are expected to grow.
#[inline]
#[must_use]
pub fn header(len: u64) -> u64 {
    match len {
        1..=TYPE_5_MAX => 1,
        _ => growing_header(len),
    }
}

/// Header of a string that may grow: never the one-byte header, which has no room for a capacity (B).
#[inline]
#[must_use]
fn growing_header(len: u64) -> u64 {
    match len {
        0..=TYPE_8_MAX => 3,
        256..=TYPE_16_MAX => 5,
        65_536..=TYPE_32_MAX => 9,
        _ => 17,
    }
}

/// Bytes requested by a fresh string of `len` bytes: header, bytes, terminator (B).
#[inline]
#[must_use]
pub fn request(len: u64) -> u64 {
    header(len) + len + 1
}

/// The same with the header of a string that may grow (B).
#[inline]
#[must_use]
pub fn growing_request(len: u64) -> u64 {
    growing_header(len) + len + 1
}

/// Bytes that a fresh string of `len` bytes can have in its allocation of `class` bytes: none more where its header has
/// no room for a capacity, and never more than its header can say (B).
#[must_use]
pub fn fresh_capacity(len: u64, class: u64) -> u64 {
    let longest = match header(len) {
        1 => return len,
        3 => TYPE_8_MAX,
        5 => TYPE_16_MAX,
        9 => TYPE_32_MAX,
        _ => u64::MAX,
    };
    class.saturating_sub(header(len) + 1).min(longest)
}

/// Bytes that a string which has grown into an allocation of `class` bytes can have (B).  The capacity is capped at
/// what its header can say.
#[must_use]
pub fn grown_capacity(class: u64) -> u64 {
    // The header is that of the length asked for, which is at most the room left beside the smallest header.
    for (header, longest) in [(3, TYPE_8_MAX), (5, TYPE_16_MAX), (9, TYPE_32_MAX)] {
        let room = class.saturating_sub(header + 1);
        if room <= longest {
            return room;
        }
    }
    class.saturating_sub(18)
}

/// The class that a string without room for `len` bytes grows into: that of a greedy request (B).
#[must_use]
pub fn grow(len: u64, classes: SizeClasses) -> u64 {
    grow_to(if len < MAX_PREALLOC { 2 * len } else { len + MAX_PREALLOC }, classes)
}

/// The class that a string grows into when it is to have room for `len` bytes (B).
#[must_use]
pub fn grow_to(len: u64, classes: SizeClasses) -> u64 {
    classes.class(growing_header(len) + len + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    #[test]
    fn headers_change_at_the_documented_lengths() {
        for (len, expected) in [(0, 3), (1, 1), (31, 1), (32, 3), (255, 3), (256, 5), (65_535, 5), (65_536, 9)] {
            assert_eq!(header(len), expected, "{len}");
        }
    }

    #[test]
    fn ten_appends_of_fifty_bytes_end_in_a_class_of_512() {
        // 50 is raw and exact (54 -> 56); 100 asks 200+3+1 = 204 -> 224; 250 asks 500+5+1 = 506 -> 512.
        let classes = Allocator::Bundled.classes();
        let class = classes.class(request(50));
        assert_eq!((class, fresh_capacity(50, class)), (56, 52));
        let mut class = grow(100, classes);
        let seen: Vec<u64> = (3..=10)
            .map(|n| {
                if n * 50 > grown_capacity(class) {
                    class = grow(n * 50, classes);
                }
                class
            })
            .collect();
        assert_eq!(seen, [224, 224, 512, 512, 512, 512, 512, 512]);
    }

    #[test]
    fn growth_above_a_mebibyte_adds_a_mebibyte() {
        let classes = Allocator::Bundled.classes();
        let len = 3 * MAX_PREALLOC;
        assert_eq!(grow(len, classes), classes.class(9 + len + MAX_PREALLOC + 1));
    }
}
