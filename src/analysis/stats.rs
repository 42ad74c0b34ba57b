//! Figures over repetitions.

use serde::Serialize;

/// A figure over repetitions: the median, the 95th percentile, the largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half of the repetitions are at or below.
    pub p50: f64,
    /// 95 of 100 are at or below.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of some values; zeros without any.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        // Nearest rank: the smallest value with at least the share at or below it.
        let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).max(1) - 1;
        let at = |percent| sorted.get(rank(percent)).copied().unwrap_or(0.0);
        Spread { p50: at(50), p95: at(95), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let spread = Spread::of((1..=20).map(f64::from));
        assert_eq!((spread.p50, spread.p95, spread.max), (10.0, 19.0, 20.0));
        assert_eq!(Spread::of([7.0]), Spread { p50: 7.0, p95: 7.0, max: 7.0 });
        assert_eq!(Spread::of([]), Spread { p50: 0.0, p95: 0.0, max: 0.0 });
    }
}
