//! How many requests arrive when so many are expected.

use rand::{Rng, RngExt};
use rand_distr::{Distribution as _, Poisson};

/// Below this mean a draw is almost always zero: one comparison decides.
const TINY_MEAN: f64 = 0.05;

/// How requests arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Independently of each other: counts follow the Poisson distribution.
    Poisson,
    /// Evenly: counts are what is expected, fractions carried over.
    Deterministic,
}

/// Every arrival process, by its name in a scenario.
pub const ARRIVALS: &[(&str, Arrivals)] = &[("poisson", Arrivals::Poisson), ("deterministic", Arrivals::Deterministic)];

/// Turns expected counts into whole ones.
#[derive(Debug, Clone)]
pub struct Counter {
    arrivals: Arrivals,
    carried: f64,
}

impl Counter {
    /// A counter that has carried nothing over yet.
    #[must_use]
    pub fn new(arrivals: Arrivals) -> Counter {
        Counter { arrivals, carried: 0.0 }
    }

    /// How many requests arrive where `expected` are expected.
    #[inline]
    pub fn draw<R: Rng + ?Sized>(&mut self, expected: f64, rng: &mut R) -> u64 {
        match self.arrivals {
            Arrivals::Deterministic => {
                self.carried += expected;
                let whole = self.carried.floor();
                self.carried -= whole;
                whole as u64
            }
            Arrivals::Poisson => poisson(expected, rng),
        }
    }
}

fn poisson<R: Rng + ?Sized>(mean: f64, rng: &mut R) -> u64 {
    if mean <= 0.0 {
        return 0;
    }
    if mean < TINY_MEAN {
        // Inversion from zero on; almost always it ends at once.
        let drawn: f64 = rng.random();
        let (mut count, mut chance) = (0_u32, (-mean).exp());
        let mut sum = chance;
        while drawn >= sum && chance > f64::MIN_POSITIVE {
            count += 1;
            chance *= mean / f64::from(count);
            sum += chance;
        }
        return u64::from(count);
    }
    Poisson::new(mean).map_or(mean as u64, |law| law.sample(rng) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    #[test]
    fn poisson_counts_have_their_mean_and_variance() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for mean in [0.001, 0.04, 0.06, 3.0, 400.0, 1e6] {
            let mut counter = Counter::new(Arrivals::Poisson);
            let draws: Vec<f64> = (0..100_000).map(|_| counter.draw(mean, &mut rng) as f64).collect();
            let average = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|d| (d - average).powi(2)).sum::<f64>() / draws.len() as f64;
            let sigma = (mean / draws.len() as f64).sqrt();
            assert!((average - mean).abs() < 5.0 * sigma, "{mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.1 + 5.0 * (1.0 / (mean * 1e5)).sqrt(), "{mean}: {variance}");
        }
    }

    #[test]
    fn even_arrivals_lose_nothing() {
        let mut counter = Counter::new(Arrivals::Deterministic);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let total: u64 = (0..1000).map(|_| counter.draw(0.3, &mut rng)).sum();
        assert!((299..=300).contains(&total), "{total}");
    }
}
