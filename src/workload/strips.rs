//! Runs of neighbouring ranks with a weight each: one draw costs two small table reads, whatever the number of ranks.
//!
//! A [`Strip`] is a run of ranks.  A draw picks a strip by its weight with Walker's alias method, then a rank of the
//! strip with equal chances, then accepts the rank `r` with the chance (r / first rank of the strip)^-exponent; a refused
//! draw starts again.  With the weight `width × first^-exponent` the accepted ranks follow the power law exactly
//! (von Neumann's rejection under a staircase), and with exponent 0 nothing is ever refused and the law is the
//! staircase itself.
//!
//! One multiplication of a 64-bit random number by the width gives the rank (high word) and what decides on acceptance
//! (low word).  Every probability is right to 2⁻³⁸ of itself, the width of a strip being at most 2²⁶ of 2⁶⁴ outcomes;
//! a strip wider than that (only staircases have them) to 2⁻³².
//!
//! Source: A. J. Walker, "An efficient method for generating discrete random variables with general distributions",
//! ACM TOMS 3 (1977); M. D. Vose, IEEE TSE 17 (1991) for the table's construction.

use rand::Rng;

/// Bits of an alias column that hold the alias; the others hold the threshold.
const ALIAS_BITS: u32 = 12;
/// The most strips that an alias table holds.
pub(super) const MAX_STRIPS: usize = 1 << ALIAS_BITS;
/// Bits of the threshold.
const THRESHOLD_BITS: u32 = 64 - ALIAS_BITS;
/// 2⁶⁴: one more than the largest random word.
const WORDS: f64 = 18_446_744_073_709_551_616.0;

/// A run of ranks, counted from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strip {
    /// First rank.
    pub(super) start: u32,
    /// Number of ranks, at least 1.
    pub(super) width: u32,
}

/// A run and the chance, in 2⁻³², below which each of its ranks is accepted without computing a power.
#[derive(Debug, Clone, Copy)]
struct Row {
    start: u32,
    width: u32,
    squeeze: u32,
}

/// A law over ranks, ready to be drawn from.
#[derive(Debug, Clone)]
pub(super) struct Strips {
    /// A power of two of columns: threshold in the upper bits, alias in the lower ones.
    columns: Box<[u64]>,
    /// log2 of the number of columns, at least 1.
    bits: u32,
    rows: Box<[Row]>,
    exponent: f64,
}

impl Strips {
    /// The law with these strips and weights (at least one, at most [`MAX_STRIPS`]; weights not negative, their sum
    /// positive), thinned inside each strip by the power law of `exponent`.
    pub(super) fn new(weighted: &[(Strip, f64)], exponent: f64) -> Strips {
        let bits = weighted.len().next_power_of_two().trailing_zeros().clamp(1, ALIAS_BITS);
        let weights: Vec<f64> = weighted.iter().map(|(_, weight)| *weight).collect();
        let rows = weighted.iter().map(|(strip, _)| {
            let last = power(*strip, f64::from(strip.width - 1), exponent);
            // Saturates where every rank is accepted.
            Row { start: strip.start, width: strip.width, squeeze: (last * 2f64.powi(32)) as u32 }
        });
        Strips { columns: alias_columns(&weights, bits), bits, rows: rows.collect(), exponent }
    }

    /// Draws a rank, counted from 0.
    #[inline(always)]
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> u32 {
        loop {
            let word = rng.next_u64();
            let column = (word >> (64 - self.bits)) as usize;
            let packed = self.columns[column];
            let own = ((word << self.bits) >> ALIAS_BITS) < (packed >> ALIAS_BITS);
            let alias = (packed & (MAX_STRIPS as u64 - 1)) as usize;
            let row = self.rows[if own { column } else { alias }];
            let product = u128::from(rng.next_u64()) * u128::from(row.width);
            let (offset, chance) = ((product >> 64) as u32, product as u64);
            if (chance >> 32) < u64::from(row.squeeze) || self.accepts(row, offset, chance) {
                return row.start + offset;
            }
        }
    }

    /// The decision on a rank that the squeeze did not accept.
    #[cold]
    #[inline(never)]
    fn accepts(&self, row: Row, offset: u32, chance: u64) -> bool {
        let strip = Strip { start: row.start, width: row.width };
        chance as f64 / WORDS <= power(strip, f64::from(offset), self.exponent)
    }

    /// Bytes of the tables (B).
    #[cfg(test)]
    pub(super) fn table_bytes(&self) -> usize {
        size_of_val(&*self.columns) + size_of_val(&*self.rows)
    }
}

/// ((first + offset) / first)^-exponent, ranks counted from 1.
fn power(strip: Strip, offset: f64, exponent: f64) -> f64 {
    let first = f64::from(strip.start) + 1.0;
    (-exponent * (offset / first).ln_1p()).exp()
}

/// Walker's table over 2^`bits` columns, at least as many as there are weights; the others weigh nothing.
fn alias_columns(weights: &[f64], bits: u32) -> Box<[u64]> {
    let count = 1usize << bits;
    let total: f64 = weights.iter().sum();
    let mut share: Vec<f64> = weights.iter().map(|weight| weight / total * count as f64).collect();
    share.resize(count, 0.0);
    // A column that is never filled from another keeps itself as alias, so that its threshold does not matter.
    let mut columns: Vec<u64> = (0..count as u64).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..count).partition(|&column| share[column] < 1.0);
    while let (Some(&under), Some(&over)) = (small.last(), large.last()) {
        small.pop();
        let threshold = (share[under] * 2f64.powi(THRESHOLD_BITS as i32)) as u64;
        let threshold = threshold.min((1 << THRESHOLD_BITS) - 1);
        columns[under] = (threshold << ALIAS_BITS) | over as u64;
        share[over] -= 1.0 - share[under];
        if share[over] < 1.0 {
            large.pop();
            small.push(over);
        }
    }
    columns.into_boxed_slice()
}
