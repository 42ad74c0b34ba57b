//! The generalised extreme value distribution: x = location + scale · ((−ln U)^-shape − 1) / shape.  The sign of the
//! shape is that of the key-size model of Atikoglu et al. (SIGMETRICS 2012), the opposite of scipy's.

use super::gpd::expm1_over;
use super::{MAX, Shape, at_least_zero, max_above, open_uniform, plain, positive, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::Rng;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "gev",
    summary: "generalised extreme value, not below 0",
    params: &[
        quantity("location", true, "location"),
        quantity("scale", true, "scale, above 0"),
        plain("shape", true, "tail index; 0 is the Gumbel distribution"),
        MAX,
    ],
    build,
};

/// Parameters.
#[derive(Debug, Clone)]
pub struct Gev {
    location: f64,
    scale: f64,
    shape: f64,
    pub(super) max: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    let location = at_least_zero(params, "location", None)?;
    let scale = positive(params, "scale")?;
    let shape = params.checked("shape", None, "a number", f64::is_finite)?;
    Ok(Shape::Gev(Gev { location, scale, shape, max: max_above(params, 0.0)? }))
}

impl Gev {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let gumbel = -(-open_uniform(rng).ln()).ln();
        (self.location + self.scale * expm1_over(self.shape, gumbel)).clamp(0.0, self.max)
    }
}
