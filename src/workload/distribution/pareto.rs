//! The Pareto distribution, type I.

use super::{MAX, Shape, max_above, open_uniform, plain, positive, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::Rng;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "pareto",
    summary: "Pareto from `min` on with tail exponent `alpha`, at most `max`",
    params: &[quantity("min", true, "smallest value"), plain("alpha", true, "tail exponent, above 0"), MAX],
    build,
};

/// Parameters.
#[derive(Debug, Clone)]
pub struct Pareto {
    min: f64,
    alpha: f64,
    pub(super) max: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    let min = positive(params, "min")?;
    Ok(Shape::Pareto(Pareto { min, alpha: positive(params, "alpha")?, max: max_above(params, min)? }))
}

impl Pareto {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        (self.min * open_uniform(rng).powf(-1.0 / self.alpha)).min(self.max)
    }
}
