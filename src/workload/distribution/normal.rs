//! The normal distribution, truncated by drawing again.

use super::{MAX, Shape, at_least_zero, max_above, positive, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// Draws outside the bounds before the last one is moved to the nearest bound.
const TRIES: u32 = 64;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "normal",
    summary: "normal with `mean` and `sd`, truncated to `min`..`max`",
    params: &[
        quantity("mean", true, "mean before truncation"),
        quantity("sd", true, "standard deviation before truncation"),
        quantity("min", false, "smallest value; default: 0"),
        MAX,
    ],
    build,
};

/// Parameters.
#[derive(Debug, Clone)]
pub struct Normal {
    mean: f64,
    sd: f64,
    min: f64,
    pub(super) max: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    let mean = at_least_zero(params, "mean", None)?;
    let sd = positive(params, "sd")?;
    let min = at_least_zero(params, "min", Some(0.0))?;
    Ok(Shape::Normal(Normal { mean, sd, min, max: max_above(params, min)? }))
}

impl Normal {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let mut value = 0.0;
        for _ in 0..TRIES {
            let standard: f64 = StandardNormal.sample(rng);
            value = self.mean + self.sd * standard;
            if (self.min..=self.max).contains(&value) {
                return value;
            }
        }
        value.clamp(self.min, self.max)
    }
}
