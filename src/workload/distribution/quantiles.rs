//! A distribution by some of its quantiles, which is what people know: median, p99, maximum.
//!
//! Between two points the logarithm of the value is linear in the quantile; the value itself where it begins at zero.

use super::Shape;
use crate::workload::params::{Entry, ParamError, ParamKind, ParamSpec, Params};
use rand::{Rng, RngExt};

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "quantiles",
    summary: "between known quantiles, logarithmic between them",
    params: &[ParamSpec {
        name: "points",
        kind: ParamKind::QuantityPoints,
        required: true,
        help: "pairs of quantile and value, from quantile 0 to 1",
    }],
    build,
};

/// Rising quantiles with their values.
#[derive(Debug, Clone)]
pub struct Quantiles(Vec<(f64, f64)>);

fn build(params: &Params) -> Result<Shape, ParamError> {
    let points = params.points("points");
    let ends = points.first().is_some_and(|p| p.0 == 0.0 && p.1 >= 0.0) && points.last().is_some_and(|p| p.0 == 1.0);
    let rising = points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
    if points.len() < 2 || !ends || !rising {
        let expected = "pairs from quantile 0 to quantile 1, quantiles rising, values of at least 0 not falling";
        return Err(ParamError::new("points", expected));
    }
    Ok(Shape::Quantiles(Quantiles(points.to_vec())))
}

impl Quantiles {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let quantile: f64 = rng.random();
        let above = self.0.partition_point(|(q, _)| *q <= quantile).clamp(1, self.0.len() - 1);
        let ((q0, v0), (q1, v1)) = (self.0[above - 1], self.0[above]);
        let share = (quantile - q0) / (q1 - q0);
        if v0 > 0.0 { v0 * (v1 / v0).powf(share) } else { v1 * share }
    }

    pub(super) fn upper(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, value)| *value)
    }
}
