//! Uniform within bins that have weights.

use super::{Shape, choose, cumulative};
use crate::workload::params::{Entry, ParamError, ParamKind, ParamSpec, Params};
use rand::{Rng, RngExt};

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "histogram",
    summary: "uniform within the bins between `edges`, by `weights`",
    params: &[
        ParamSpec {
            name: "edges",
            kind: ParamKind::Quantities,
            required: true,
            help: "rising edges, one more than bins",
        },
        ParamSpec { name: "weights", kind: ParamKind::Plains, required: true, help: "one weight for each bin" },
    ],
    build,
};

/// Cumulative shares, and the bounds of the bins.
#[derive(Debug, Clone)]
pub struct Histogram(Vec<(f64, (f64, f64))>);

fn build(params: &Params) -> Result<Shape, ParamError> {
    let (edges, weights) = (params.numbers("edges"), params.numbers("weights"));
    let rising = edges.windows(2).all(|pair| pair[0] < pair[1]) && edges.first().is_some_and(|first| *first >= 0.0);
    if edges.len() < 2 || !rising {
        return Err(ParamError::new("edges", "two or more rising numbers of at least 0"));
    }
    if weights.len() + 1 != edges.len() {
        return Err(ParamError::new("weights", "one number fewer than `edges` has"));
    }
    let shares = cumulative(weights, "weights")?;
    let bins = edges.windows(2).map(|pair| (pair[0], pair[1]));
    Ok(Shape::Histogram(Histogram(shares.into_iter().zip(bins).collect())))
}

impl Histogram {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let (low, high) = self.0[choose(&self.0, rng)].1;
        low + (high - low) * rng.random::<f64>()
    }

    pub(super) fn upper(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, (_, high))| *high)
    }
}
