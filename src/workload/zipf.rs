//! Zipf's law over any number of ranks, exactly, in a few nanoseconds a draw.
//!
//! Rank `i` of 1..=n has the chance i^-s / Σ j^-s.  The ranks are cut into strips that are a 64th of their first rank
//! wide; under the staircase over the strips, rejection ([`Strips`]) refuses about s/128 of the draws and computes a
//! power for twice as many.  There is no sum over the ranks and no case for s = 1; the tables take some 30 KiB for four
//! thousand million ranks, and are made in less than a millisecond.

use super::strips::{Strip, Strips};

/// A strip that begins at rank r holds r / 64 ranks: the finer, the fewer refusals and the larger the tables.
const STRIPS_PER_E: u32 = 64;

/// The strips of Zipf's law with `exponent` (finite, at least 0) over the ranks 0..`n` (at least 1), rank 0 the most
/// frequent.
pub(super) fn zipf(exponent: f64, n: u32) -> Strips {
    let mut strips = Vec::new();
    let mut start = 0;
    while start < n {
        let first = start + 1;
        let width = (first / STRIPS_PER_E).clamp(1, n - start);
        let weight = f64::from(width) * (-exponent * f64::from(first).ln()).exp();
        strips.push((Strip { start, width }, weight));
        start += width;
    }
    Strips::new(&strips, exponent)
}
