//! HyperLogLogs: strings whose length follows from how many distinct elements they have seen.
//!
//! Source: redis 7.0.15 `src/hyperloglog.c`.  The sparse form is a run-length code of the registers; its length is the
//! expectation for elements that hash evenly.

use super::sds;
use crate::profile::SizeClasses;

/// Header (B).  Source: `struct hllhdr`.
const HEADER: u64 = 16;
/// Registers, of six bits each in the dense form.
const REGISTERS: u64 = 16_384;
/// A run of zeros that one byte can say.
const ZERO_RUN: f64 = 64.0;
/// Length of the sparse form of none: header and one run of zeros (B).
const EMPTY: u64 = HEADER + 2;
/// Bytes that an addition may need (B).
const ROOM: u64 = 3;

/// Length of the dense form (B).
pub const DENSE: u64 = HEADER + REGISTERS * 6 / 8;

/// Expected length of the sparse form after `distinct` elements (B).
#[must_use]
pub fn sparse_length(distinct: u64) -> u64 {
    expected_length(distinct as f64).round() as u64
}

fn expected_length(distinct: f64) -> f64 {
    let registers = REGISTERS as f64;
    let empty = (distinct * (-1.0 / registers).ln_1p()).exp();
    let set = registers * (1.0 - empty);
    // A byte for each register that is set; between two of them nothing, one byte, or two for a long run of zeros.
    let gaps = set * (empty + empty.powf(ZERO_RUN + 1.0));
    // The first run of zeros stands before the first register.
    HEADER as f64 + set + gaps + 2.0
}

/// Length after one more distinct element (B).  It grows by whole bytes, of which `draw` says how many, so that the mean
/// is what is expected.
#[must_use]
pub fn length_after(length: u64, limit: u64, draw: u64) -> u64 {
    if length >= DENSE {
        return DENSE;
    }
    // How many elements make this length: the expectation rises with them.
    let (mut low, mut high) = (0.0, (4 * REGISTERS) as f64);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if expected_length(middle) < length as f64 { low = middle } else { high = middle }
    }
    let more = expected_length(low + 1.0) - expected_length(low);
    let part = (draw >> 11) as f64 / (1_u64 << 53) as f64;
    let more = more.floor() as u64 + u64::from(part < more.fract());
    let length = length + more;
    if length > limit { DENSE } else { length }
}

/// Class of its string when it has `length` bytes and its allocation, of `class` bytes, had room for `capacity` (B).
#[must_use]
pub fn grown_class(
    length: u64,
    (mut class, mut capacity): (u64, u64),
    limit: u64,
    growth: u64,
    classes: SizeClasses,
) -> u64 {
    if length >= DENSE {
        return classes.class(sds::request(DENSE));
    }
    while length + ROOM > capacity + 1 && length > EMPTY {
        let needed = capacity + 1;
        let wanted = needed + needed.min(growth);
        class = sds::grow_to(wanted.min(limit.max(needed)), classes);
        capacity = sds::grown_capacity(class);
    }
    class
}

/// Whether it is dense after `distinct` elements, when the sparse form ends at `limit` bytes.
#[must_use]
pub fn is_dense(distinct: u64, limit: u64) -> bool {
    sparse_length(distinct) > limit
}

/// Class of its string after `distinct` elements added one by one (B).  An addition needs three bytes of room; where
/// they are missing the string grows by what it has, by `growth` bytes at most.
#[must_use]
pub fn class(distinct: u64, limit: u64, growth: u64, classes: SizeClasses) -> u64 {
    if is_dense(distinct, limit) {
        return classes.class(sds::request(DENSE));
    }
    grown_class(sparse_length(distinct), (classes.class(sds::request(EMPTY)), EMPTY), limit, growth, classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    #[test]
    fn lengths_and_classes_are_those_of_servers() {
        // Measured: elements, STRLEN; classes of redis 7.0.15 and valkey 9.1.2, both with the system allocator.
        let measured = [
            (0, 18, 32, 32),
            (1, 21, 48, 48),
            (10, 48, 96, 96),
            (50, 157, 192, 192),
            (100, 285, 384, 384),
            (200, 513, 768, 768),
            (400, 893, 1536, 1280),
            (600, 1238, 1536, 1280),
            (800, 1566, 3072, 1792),
            (1000, 1906, 3072, 2560),
            (1400, 2561, 3072, 3072),
            (1600, 2869, 3072, 3072),
            (1800, DENSE, 14_336, 14_336),
        ];
        let classes = Allocator::System.classes();
        for (distinct, length, doubling, capped) in measured {
            if length < DENSE {
                let predicted = sparse_length(distinct);
                assert!(predicted.abs_diff(length) <= 3 + length / 50, "{distinct}: {predicted}, {length}");
            }
            assert_eq!(is_dense(distinct, 3000), length == DENSE, "{distinct}");
            assert_eq!(class(distinct, 3000, u64::MAX, classes), doubling, "{distinct}");
            assert_eq!(class(distinct, 3000, 300, classes), capped, "{distinct}");
        }
    }
}
