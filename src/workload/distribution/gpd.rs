//! The generalised Pareto distribution: x = location + scale · (U^-shape − 1) / shape.

use super::{MAX, Shape, at_least_zero, max_above, open_uniform, plain, positive, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::Rng;

/// From this shape on the tail is so heavy that a scenario must say where it ends.
const HEAVY_TAIL: f64 = 0.3;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "gpd",
    summary: "generalised Pareto; a shape of 0.3 or more needs a `max`",
    params: &[
        quantity("location", true, "smallest value"),
        quantity("scale", true, "scale, above 0"),
        plain("shape", true, "tail index; 0 is the exponential distribution"),
        MAX,
    ],
    build,
};

/// Parameters.
#[derive(Debug, Clone)]
pub struct Gpd {
    location: f64,
    scale: f64,
    shape: f64,
    pub(super) max: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    let location = at_least_zero(params, "location", None)?;
    let scale = positive(params, "scale")?;
    let shape = params.checked("shape", None, "a number", f64::is_finite)?;
    let max = max_above(params, location)?;
    if shape >= HEAVY_TAIL && max.is_infinite() {
        return Err(ParamError::new("max", "a largest value, since the tail of a shape of 0.3 or more is heavy"));
    }
    Ok(Shape::Gpd(Gpd { location, scale, shape, max }))
}

impl Gpd {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let exponential = -open_uniform(rng).ln();
        (self.location + self.scale * expm1_over(self.shape, exponential)).min(self.max)
    }
}

/// (e^(k·x) − 1) / k, which is x at k = 0.
pub(super) fn expm1_over(k: f64, x: f64) -> f64 {
    if k == 0.0 { x } else { (k * x).exp_m1() / k }
}
