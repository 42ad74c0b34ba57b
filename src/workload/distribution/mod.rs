//! Distributions of sizes, lengths, counts and TTLs: one file each, listed in [`DISTRIBUTIONS`].
//!
//! A [`Shape`] is one law with checked parameters; a [`Distribution`] is a shape or a mixture, with draws rounded to
//! whole numbers and held between zero and a cap.  Quantities arrive in base units: bytes, milliseconds, counts.

mod choice;
mod exponential;
mod fixed;
mod gev;
mod gpd;
mod histogram;
mod lognormal;
mod normal;
mod pareto;
mod quantiles;
#[cfg(test)]
mod tests;
mod ttl;
mod uniform;
mod weibull;

use super::params::{Entry, ParamError, ParamKind, ParamSpec, Params};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
pub use ttl::Ttl;

/// Draws that estimate a mean without a closed form: relative error about cv / 300.
const MEAN_DRAWS: u64 = 100_000;

/// Every distribution, by the name that a scenario gives it.
pub const DISTRIBUTIONS: &[Entry<Shape>] = &[
    fixed::ENTRY,
    uniform::ENTRY,
    normal::ENTRY,
    lognormal::ENTRY,
    exponential::ENTRY,
    pareto::ENTRY,
    gpd::ENTRY,
    gev::ENTRY,
    weibull::ENTRY,
    choice::ENTRY,
    histogram::ENTRY,
    quantiles::ENTRY,
];

/// One law with checked parameters.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Always the same, or within a jitter of it.
    Fixed(fixed::Fixed),
    /// Whole numbers between two bounds.
    Uniform(uniform::Uniform),
    /// Normal, truncated.
    Normal(normal::Normal),
    /// Log-normal.
    LogNormal(lognormal::LogNormal),
    /// Exponential.
    Exponential(exponential::Exponential),
    /// Pareto, type I.
    Pareto(pareto::Pareto),
    /// Generalised Pareto.
    Gpd(gpd::Gpd),
    /// Generalised extreme value.
    Gev(gev::Gev),
    /// Weibull.
    Weibull(weibull::Weibull),
    /// One of a list.
    Choice(choice::Choice),
    /// Uniform within weighted bins.
    Histogram(histogram::Histogram),
    /// Between known quantiles.
    Quantiles(quantiles::Quantiles),
}

impl Shape {
    fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        match self {
            Shape::Fixed(law) => law.draw(rng),
            Shape::Uniform(law) => law.draw(rng),
            Shape::Normal(law) => law.draw(rng),
            Shape::LogNormal(law) => law.draw(rng),
            Shape::Exponential(law) => law.draw(rng),
            Shape::Pareto(law) => law.draw(rng),
            Shape::Gpd(law) => law.draw(rng),
            Shape::Gev(law) => law.draw(rng),
            Shape::Weibull(law) => law.draw(rng),
            Shape::Choice(law) => law.draw(rng),
            Shape::Histogram(law) => law.draw(rng),
            Shape::Quantiles(law) => law.draw(rng),
        }
    }

    /// The largest possible draw; infinite for an unbounded tail.
    fn upper(&self) -> f64 {
        match self {
            Shape::Fixed(law) => law.upper(),
            Shape::Uniform(law) => law.max,
            Shape::Normal(law) => law.max,
            Shape::LogNormal(law) => law.max,
            Shape::Exponential(law) => law.max,
            Shape::Pareto(law) => law.max,
            Shape::Gpd(law) => law.max,
            Shape::Gev(law) => law.max,
            Shape::Weibull(_) => f64::INFINITY,
            Shape::Choice(law) => law.upper(),
            Shape::Histogram(law) => law.upper(),
            Shape::Quantiles(law) => law.upper(),
        }
    }
}

/// A distribution of whole numbers.
#[derive(Debug, Clone)]
pub struct Distribution {
    law: Law,
    cap: u64,
}

#[derive(Debug, Clone)]
enum Law {
    Constant(u64),
    Shape(Shape),
    /// Cumulative weights, ending at 1, and what they choose.
    Mixture(Vec<(f64, Distribution)>),
}

impl Distribution {
    /// Always `value`.
    #[must_use]
    pub fn fixed(value: u64) -> Distribution {
        Distribution { law: Law::Constant(value), cap: u64::MAX }
    }

    /// One law.
    #[must_use]
    pub fn from_shape(shape: Shape) -> Distribution {
        let law = match &shape {
            Shape::Fixed(fixed) if fixed.is_constant() => Law::Constant(whole(fixed.value)),
            _ => Law::Shape(shape),
        };
        Distribution { law, cap: u64::MAX }
    }

    /// A mixture of distributions by weight.
    ///
    /// # Errors
    /// [`ParamError`] when a weight is negative or not a number, or none is positive.
    pub fn mix(components: Vec<(f64, Distribution)>) -> Result<Distribution, ParamError> {
        let weights: Vec<f64> = components.iter().map(|(weight, _)| *weight).collect();
        let cumulative = cumulative(&weights, "mix")?;
        let components = components.into_iter().map(|(_, distribution)| distribution);
        Ok(Distribution { law: Law::Mixture(cumulative.into_iter().zip(components).collect()), cap: u64::MAX })
    }

    /// The same with every draw at most `max`.
    #[must_use]
    pub fn capped(self, max: u64) -> Distribution {
        Distribution { cap: self.cap.min(max), ..self }
    }

    /// Draws a whole number: rounded, not negative, at most the cap.
    #[inline]
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        let drawn = match &self.law {
            Law::Constant(value) => *value,
            Law::Shape(shape) => whole(shape.draw(rng)),
            Law::Mixture(components) => components[choose(components, rng)].1.sample(rng),
        };
        drawn.min(self.cap)
    }

    /// The value that every draw has, where all draws are the same.
    #[must_use]
    pub fn constant(&self) -> Option<u64> {
        match &self.law {
            Law::Constant(value) => Some((*value).min(self.cap)),
            Law::Shape(_) | Law::Mixture(_) => None,
        }
    }

    /// The largest possible draw, where there is one.
    #[must_use]
    pub fn upper_bound(&self) -> Option<u64> {
        let bound = match &self.law {
            Law::Constant(value) => Some(*value),
            Law::Shape(shape) => Some(shape.upper()).filter(|upper| upper.is_finite()).map(whole),
            Law::Mixture(components) => components
                .iter()
                .map(|(_, d)| d.upper_bound())
                .collect::<Option<Vec<u64>>>()
                .and_then(|bounds| bounds.into_iter().max()),
        };
        match bound {
            Some(bound) => Some(bound.min(self.cap)),
            None => (self.cap < u64::MAX).then_some(self.cap),
        }
    }

    /// Mean of the draws as they are rounded and capped; without a constant, the average of 100 000 draws from a
    /// fixed seed.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if let Some(value) = self.constant() {
            return value as f64;
        }
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        (0..MEAN_DRAWS).map(|_| self.sample(&mut rng) as f64).sum::<f64>() / MEAN_DRAWS as f64
    }
}

/// The nearest whole number, not below zero.
fn whole(value: f64) -> u64 {
    // The cast saturates, and makes zero of what is no number.
    value.round() as u64
}

/// Cumulative shares of weights, the last one exactly 1.
fn cumulative(weights: &[f64], param: &'static str) -> Result<Vec<f64>, ParamError> {
    let total: f64 = weights.iter().sum();
    let valid = weights.iter().all(|weight| *weight >= 0.0) && total > 0.0 && total.is_finite();
    if !valid {
        return Err(ParamError::new(param, "weights of at least 0 with a positive sum"));
    }
    let mut sum = 0.0;
    let mut shares: Vec<f64> = weights
        .iter()
        .map(|weight| {
            sum += weight;
            sum / total
        })
        .collect();
    if let Some(last) = shares.last_mut() {
        *last = 1.0;
    }
    Ok(shares)
}

/// The component that a random number chooses by cumulative share.
fn choose<T, R: Rng + ?Sized>(components: &[(f64, T)], rng: &mut R) -> usize {
    let drawn: f64 = rng.random();
    components.partition_point(|(share, _)| *share <= drawn).min(components.len() - 1)
}

/// A random number in (0, 1]: its logarithm is finite.
fn open_uniform<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    1.0 - rng.random::<f64>()
}

const fn quantity(name: &'static str, required: bool, help: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Quantity, required, help }
}

const fn plain(name: &'static str, required: bool, help: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Plain, required, help }
}

/// `max`, the largest value: no limit when not given.
const MAX: ParamSpec = quantity("max", false, "largest value; default: no limit");

fn positive(params: &Params, name: &'static str) -> Result<f64, ParamError> {
    params.checked(name, None, "a number above 0", |x| x > 0.0)
}

fn at_least_zero(params: &Params, name: &'static str, default: Option<f64>) -> Result<f64, ParamError> {
    params.checked(name, default, "a number of at least 0", |x| x >= 0.0)
}

/// The optional `max`, above `min`.
fn max_above(params: &Params, min: f64) -> Result<f64, ParamError> {
    params.checked("max", Some(f64::INFINITY), "a number of at least the smallest value", |max| max >= min)
}
