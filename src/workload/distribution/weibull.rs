//! The Weibull distribution: x = scale · (−ln U)^(1/shape).

use super::{Shape, open_uniform, plain, positive, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::Rng;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "weibull",
    summary: "Weibull with `scale` and `shape`",
    params: &[quantity("scale", true, "scale, above 0"), plain("shape", true, "shape, above 0")],
    build,
};

/// Parameters.
#[derive(Debug, Clone)]
pub struct Weibull {
    scale: f64,
    shape: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    Ok(Shape::Weibull(Weibull { scale: positive(params, "scale")?, shape: positive(params, "shape")? }))
}

impl Weibull {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        self.scale * (-open_uniform(rng).ln()).powf(1.0 / self.shape)
    }
}
