//! The exponential distribution, by its mean.

use super::{MAX, Shape, max_above, open_uniform, positive, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::Rng;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "exponential",
    summary: "exponential with `mean`, at most `max`",
    params: &[quantity("mean", true, "mean before the limit"), MAX],
    build,
};

/// Parameters.
#[derive(Debug, Clone)]
pub struct Exponential {
    mean: f64,
    pub(super) max: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    Ok(Shape::Exponential(Exponential { mean: positive(params, "mean")?, max: max_above(params, 0.0)? }))
}

impl Exponential {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        (-self.mean * open_uniform(rng).ln()).min(self.max)
    }
}
