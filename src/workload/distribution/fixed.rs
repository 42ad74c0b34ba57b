//! Always the same value, or within a jitter of it.

use super::{Shape, at_least_zero, plain, quantity};
use crate::workload::params::{Entry, ParamError, Params};
use rand::{Rng, RngExt};

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "fixed",
    summary: "always `value`, or uniform within a share `jitter` of it",
    params: &[
        quantity("value", true, "the value"),
        plain("jitter", false, "share by which draws differ at most, 0 to 1; default: 0"),
    ],
    build,
};

/// A value and the share by which draws differ from it.
#[derive(Debug, Clone)]
pub struct Fixed {
    pub(super) value: f64,
    jitter: f64,
}

fn build(params: &Params) -> Result<Shape, ParamError> {
    let value = at_least_zero(params, "value", None)?;
    let jitter = params.checked("jitter", Some(0.0), "a share between 0 and 1", |j| (0.0..=1.0).contains(&j))?;
    Ok(Shape::Fixed(Fixed { value, jitter }))
}

impl Fixed {
    pub(super) fn is_constant(&self) -> bool {
        self.jitter == 0.0
    }

    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        self.value * (1.0 + self.jitter * (2.0 * rng.random::<f64>() - 1.0))
    }

    pub(super) fn upper(&self) -> f64 {
        self.value * (1.0 + self.jitter)
    }
}
