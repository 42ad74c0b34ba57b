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
/// Bytes that an addition may need (B).
const ROOM: u64 = 3;

/// Length of the dense form (B).
pub const DENSE: u64 = HEADER + REGISTERS * 6 / 8;

/// Expected length of the sparse form after `distinct` elements (B).
#[must_use]
pub fn sparse_length(distinct: u64) -> u64 {
    let registers = REGISTERS as f64;
    let empty = (distinct as f64 * (-1.0 / registers).ln_1p()).exp();
    let set = registers * (1.0 - empty);
    // A byte for each register that is set; between two of them nothing, one byte, or two for a long run of zeros.
    let gaps = set * (empty + empty.powf(ZERO_RUN + 1.0));
    // The first run of zeros stands before the first register.
    HEADER + (set + gaps).round() as u64 + 2
}

/// Whether it is dense after `distinct` elements, when the sparse form ends at `limit` bytes.
#[must_use]
pub fn is_dense(distinct: u64, limit: u64) -> bool {
    sparse_length(distinct) > limit
}

/// Class of its string after `distinct` elements added one by one: it grows by three bytes of need, doubling (B).
#[must_use]
pub fn class(distinct: u64, limit: u64, classes: SizeClasses) -> u64 {
    if is_dense(distinct, limit) {
        return classes.class(sds::request(DENSE));
    }
    let length = sparse_length(distinct);
    let empty = HEADER + 2;
    let mut class = classes.class(sds::request(empty));
    let mut capacity = empty;
    while length + ROOM > capacity + 1 && distinct > 0 && capacity < length + ROOM {
        class = sds::grow(capacity.max(empty) + ROOM, classes);
        capacity = sds::grown_capacity(class);
    }
    class
}
