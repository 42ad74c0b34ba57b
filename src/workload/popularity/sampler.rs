//! A law of popularity over an id space of a given size, drawn in bulk.

use super::super::strips::{Strip, Strips};
use super::super::zipf::zipf;
use super::{Law, Popularity};
use rand::Rng;

/// The pick that stands for a brand-new key.
pub const NEW_KEY: u32 = u32::MAX;

/// What the picks of a law number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// Ranks by popularity, 0 the most popular; scattered over the ids by the caller.
    Rank,
    /// Ages, 0 the newest key.
    Age,
    /// Positions in the order of the ids.
    Order,
}

/// Draws picks in 0..n, or [`NEW_KEY`].
#[derive(Debug, Clone)]
pub struct Sampler {
    plan: Plan,
    addressing: Addressing,
}

#[derive(Debug, Clone)]
enum Plan {
    Uniform {
        n: u32,
    },
    Strips(Strips),
    /// A random word below `once` makes a new key.
    Once {
        once: u64,
        strips: Strips,
    },
    Sequential {
        next: u32,
        n: u32,
    },
    New,
}

impl Sampler {
    /// The law over `n` keys; no keys count as one.  Takes less than a millisecond.
    #[must_use]
    pub fn new(popularity: &Popularity, n: u32) -> Sampler {
        let n = n.max(1);
        let (plan, addressing) = match &popularity.0 {
            Law::Uniform => (Plan::Uniform { n }, Addressing::Rank),
            Law::Zipf { exponent } => (Plan::Strips(zipf(*exponent, n)), Addressing::Rank),
            Law::Hotspot { keys, requests } => (Plan::Strips(hotspot(*keys, *requests, n)), Addressing::Rank),
            Law::Latest { exponent } => (Plan::Strips(zipf(*exponent, n)), Addressing::Age),
            Law::Sequential => (Plan::Sequential { next: 0, n }, Addressing::Order),
            Law::Buckets { counts, weights } => (Plan::Strips(buckets(counts, weights, n)), Addressing::Rank),
            Law::ZipfPlusOnce { once, .. } if *once >= 1.0 => (Plan::New, Addressing::Rank),
            Law::ZipfPlusOnce { exponent, once } => {
                let once = (once * 2f64.powi(64)) as u64;
                (Plan::Once { once, strips: zipf(*exponent, n) }, Addressing::Rank)
            }
            Law::New => (Plan::New, Addressing::Rank),
        };
        Sampler { plan, addressing }
    }

    /// What the picks number.
    #[must_use]
    pub fn addressing(&self) -> Addressing {
        self.addressing
    }

    /// Fills `out` with picks.  Cutting a sequence of picks into calls differently does not change it.
    pub fn fill<R: Rng>(&mut self, rng: &mut R, out: &mut [u32]) {
        match &mut self.plan {
            Plan::Uniform { n } => {
                let n = u128::from(*n);
                out.fill_with(|| ((u128::from(rng.next_u64()) * n) >> 64) as u32);
            }
            Plan::Strips(strips) => out.fill_with(|| strips.draw(rng)),
            Plan::Once { once, strips } => {
                out.fill_with(|| if rng.next_u64() < *once { NEW_KEY } else { strips.draw(rng) });
            }
            Plan::Sequential { next, n } => out.fill_with(|| {
                let pick = *next;
                *next = if pick + 1 == *n { 0 } else { pick + 1 };
                pick
            }),
            Plan::New => out.fill(NEW_KEY),
        }
    }
}

/// Two strips: the hot keys, at least one, and the others.
fn hotspot(keys: f64, requests: f64, n: u32) -> Strips {
    let hot = ((f64::from(n) * keys).round() as u32).clamp(1, n);
    let mut strips = vec![(Strip { start: 0, width: hot }, requests)];
    if hot < n {
        strips.push((Strip { start: hot, width: n - hot }, 1.0 - requests));
    } else {
        strips[0].1 = 1.0;
    }
    Strips::new(&strips, 0.0)
}

/// A strip for each group, scaled to `n` keys.  A group that scales to nothing keeps one key, shared with its
/// neighbour, so that no requests are lost.
fn buckets(counts: &[f64], weights: &[f64], n: u32) -> Strips {
    let total: f64 = counts.iter().sum();
    let (mut keys, mut start) = (0.0, 0);
    let strips = counts.iter().zip(weights).map(|(count, weight)| {
        keys += count;
        let end = ((keys / total * f64::from(n)).round() as u32).clamp(start, n);
        let strip = Strip { start: start.min(n - 1), width: (end - start).max(1) };
        start = end;
        (strip, *weight)
    });
    Strips::new(&strips.collect::<Vec<_>>(), 0.0)
}
