//! Whole numbers between two bounds, both included.

use super::{Shape, at_least_zero, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::{Rng, RngExt};

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "uniform",
    summary: "whole numbers from `min` to `max`, both included",
    params: &[quantity("min", true, "smallest value"), quantity("max", true, "largest value")],
    build,
};

/// Two bounds.
#[derive(Debug, Clone)]
pub struct Uniform {
    min: f64,
    pub(super) max: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    let min = at_least_zero(params, "min", None)?.round();
    let max = params.checked("max", None, "a number of at least `min`", |max| max.round() >= min)?.round();
    Ok(Shape::Uniform(Uniform { min, max }))
}

impl Uniform {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        (self.min + (rng.random::<f64>() * (self.max - self.min + 1.0)).floor()).min(self.max)
    }
}
