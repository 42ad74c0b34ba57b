//! Named random streams from one portable generator.
//!
//! Every component draws from a stream of its own, so that a new draw in one does not shift another.  The numbers in
//! [`Stream`] are for ever: changing one changes results.

use rand::SeedableRng;
pub use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};

/// A component's stream of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// When requests arrive and how streams interleave.
    Arrivals,
    /// Which key a request touches, and with which command; one for each traffic stream.
    Traffic(u32),
    /// Which start bucket eviction samples from, LFU increments.
    Eviction,
    /// Sizes drawn at each write, TTLs.
    Writes,
    /// Which keys an event visits.
    Events,
    /// TTLs and ages of preloaded keys.
    Preload,
    /// Sizes of published messages.
    Channels,
}

impl Stream {
    fn number(self) -> u64 {
        match self {
            Stream::Arrivals => 1,
            Stream::Eviction => 2,
            Stream::Writes => 3,
            Stream::Events => 4,
            Stream::Preload => 5,
            Stream::Channels => 6,
            Stream::Traffic(index) => 1000 + u64::from(index),
        }
    }
}

/// The generator of `stream` in the run with this seed.
#[must_use]
pub fn stream_rng(seed: u64, stream: Stream) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(mix(mix(seed) ^ stream.number()))
}

/// A small generator for what belongs to one key (its size, its length): the same key draws the same for ever.
#[inline]
#[must_use]
pub fn key_rng(seed: u64, purpose: u64, key: u64) -> SplitMix64 {
    SplitMix64::seed_from_u64(mix(seed ^ mix(purpose)).wrapping_add(key.wrapping_mul(0xd1b5_4a32_d192_ed03)))
}

/// The seed of repetition number `run` of a scenario: the first repetition runs with the scenario's own.
#[must_use]
pub fn run_seed(seed: u64, run: u32) -> u64 {
    if run == 0 { seed } else { mix(seed ^ mix(u64::from(run))) }
}

/// splitmix64's finaliser: a bijection of 64 bits that mixes well.  Source: Steele, Lea, Flood, OOPSLA 2014.
#[inline]
#[must_use]
pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_are_stable_and_differ() {
        let first = |stream| stream_rng(1, stream).next_u64();
        // Values that must never change: results depend on them.
        assert_eq!(first(Stream::Arrivals), first(Stream::Arrivals));
        let all = [
            first(Stream::Arrivals),
            first(Stream::Eviction),
            first(Stream::Writes),
            first(Stream::Events),
            first(Stream::Preload),
            first(Stream::Traffic(0)),
            first(Stream::Traffic(1)),
        ];
        for (i, a) in all.iter().enumerate() {
            assert_eq!(all.iter().filter(|b| *b == a).count(), 1, "stream {i} is not its own");
        }
        assert_eq!(run_seed(7, 0), 7);
        assert_ne!(run_seed(7, 1), run_seed(7, 2));
    }
}
