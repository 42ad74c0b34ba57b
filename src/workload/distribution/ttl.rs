//! Times to live: a mixture in which some keys may have none.

use super::{Distribution, choose, cumulative};
use crate::workload::params::ParamError;
use rand::{Rng, RngExt};

/// Draws of which one is taken in proportion to its length, for a length-biased draw.
const LENGTH_BIASED_DRAWS: usize = 16;

/// TTLs in milliseconds; a component without distribution gives none.
#[derive(Debug, Clone)]
pub struct Ttl {
    /// Cumulative shares of writes.
    written: Vec<(f64, Option<Distribution>)>,
    /// Cumulative shares of the keys found in the steady state.
    stored: Vec<(f64, usize)>,
    untimed: f64,
}

impl Ttl {
    /// Never a TTL.
    #[must_use]
    pub fn none() -> Ttl {
        Ttl { written: vec![(1.0, None)], stored: vec![(1.0, 0)], untimed: 1.0 }
    }

    /// A mixture by weight.
    ///
    /// # Errors
    /// [`ParamError`] when a weight is negative or not a number, or none is positive.
    pub fn new(components: Vec<(f64, Option<Distribution>)>) -> Result<Ttl, ParamError> {
        let weights: Vec<f64> = components.iter().map(|(weight, _)| *weight).collect();
        let shares = cumulative(&weights, "mix")?;
        let total: f64 = weights.iter().sum();
        let untimed: f64 = components.iter().filter(|(_, ttl)| ttl.is_none()).map(|(w, _)| w / total).sum();
        // Of the keys found in the steady state a component holds a share by weight and mean TTL; components without a
        // TTL keep their weight, since their keys accumulate without end.
        let held: Vec<f64> = components.iter().map(|(w, ttl)| ttl.as_ref().map_or(0.0, |ttl| w * ttl.mean())).collect();
        let held_total: f64 = held.iter().sum();
        let stored_weights: Vec<f64> = components
            .iter()
            .zip(&held)
            .map(|((weight, ttl), held)| match ttl {
                None => weight / total,
                Some(_) if held_total > 0.0 => (1.0 - untimed) * held / held_total,
                Some(_) => weight / total,
            })
            .collect();
        let stored = cumulative(&stored_weights, "mix")?.into_iter().zip(0..).collect();
        let written = shares.into_iter().zip(components.into_iter().map(|(_, ttl)| ttl)).collect();
        Ok(Ttl { written, stored, untimed })
    }

    /// Whether no key ever gets a TTL.
    #[inline]
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.untimed >= 1.0
    }

    /// The longest TTL (ms); `None` when some write has none, or any length.
    #[must_use]
    pub fn upper_bound(&self) -> Option<u64> {
        let bounds = self.written.iter().map(|(_, ttl)| ttl.as_ref().and_then(Distribution::upper_bound));
        bounds.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }

    /// Share of the writes without a TTL.
    #[must_use]
    pub fn untimed_share(&self) -> f64 {
        self.untimed
    }

    /// The TTL of a write (ms), at least 1.
    #[inline]
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<u64> {
        let component = match self.written.as_slice() {
            [(_, only)] => only,
            components => &components[choose(components, rng)].1,
        };
        component.as_ref().map(|ttl| ttl.sample(rng).max(1))
    }

    /// What is left of the TTL of a key found in the steady state (ms): long TTLs are found in proportion to their
    /// length, at a uniform age.
    pub fn residual<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<u64> {
        let component = self.stored[choose(&self.stored, rng)].1;
        let ttl = self.written[component].1.as_ref()?;
        let draws: [u64; LENGTH_BIASED_DRAWS] = std::array::from_fn(|_| ttl.sample(rng));
        let total: u64 = draws.iter().fold(0, |sum, draw| sum.saturating_add(*draw));
        let mut at = (rng.random::<f64>() * total as f64) as u64;
        let length = draws.into_iter().find(|draw| {
            let chosen = at < *draw;
            at = at.saturating_sub(*draw);
            chosen
        });
        Some(((rng.random::<f64>() * length.unwrap_or(draws[0]) as f64) as u64).max(1))
    }
}
