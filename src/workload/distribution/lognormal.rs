//! The log-normal distribution, by its median and either its 99th percentile or its sigma.

use super::{MAX, Shape, at_least_zero, max_above, plain, positive, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// The 99th percentile of the standard normal distribution.
const Z_99: f64 = 2.326_347_874_040_841;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "lognormal",
    summary: "log-normal by `median` and either `p99` or `sigma`, held between `min` and `max`",
    params: &[
        quantity("median", true, "half of the values are below"),
        quantity("p99", false, "99 of 100 values are below; this or `sigma`"),
        plain("sigma", false, "standard deviation of the logarithm; this or `p99`"),
        quantity("min", false, "smallest value; default: 0"),
        MAX,
    ],
    build,
};

/// Parameters.
#[derive(Debug, Clone)]
pub struct LogNormal {
    median: f64,
    sigma: f64,
    min: f64,
    pub(super) max: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    let median = positive(params, "median")?;
    let sigma = match (params.has("p99"), params.has("sigma")) {
        (true, false) => {
            let p99 = params.checked("p99", None, "a number above `median`", |p99| p99 > median)?;
            (p99 / median).ln() / Z_99
        }
        (false, true) => at_least_zero(params, "sigma", None)?,
        _ => return Err(ParamError { param: None, expected: "exactly one of `p99` and `sigma`".to_owned() }),
    };
    let min = at_least_zero(params, "min", Some(0.0))?;
    Ok(Shape::LogNormal(LogNormal { median, sigma, min, max: max_above(params, min)? }))
}

impl LogNormal {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let standard: f64 = StandardNormal.sample(rng);
        (self.median * (self.sigma * standard).exp()).clamp(self.min, self.max)
    }
}
