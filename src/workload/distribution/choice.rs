//! One value of a list, by weight.

use super::{Shape, choose, cumulative};
use crate::workload::params::{Entry, ParamError, ParamKind, ParamSpec, Params};
use rand::Rng;

pub(super) const ENTRY: Entry<Shape> = Entry {
    name: "choice",
    summary: "one of `values`, by `weights`",
    params: &[
        ParamSpec { name: "values", kind: ParamKind::Quantities, required: true, help: "the values" },
        ParamSpec {
            name: "weights",
            kind: ParamKind::Plains,
            required: false,
            help: "as many weights; default: all the same",
        },
    ],
    build,
};

/// Cumulative shares and values.
#[derive(Debug, Clone)]
pub struct Choice(Vec<(f64, f64)>);

fn build(params: &Params) -> Result<Shape, ParamError> {
    let values = params.numbers("values");
    if values.is_empty() || !values.iter().all(|value| *value >= 0.0) {
        return Err(ParamError::new("values", "one or more numbers of at least 0"));
    }
    let weights = if params.has("weights") { params.numbers("weights").to_vec() } else { vec![1.0; values.len()] };
    if weights.len() != values.len() {
        return Err(ParamError::new("weights", "as many numbers as `values` has"));
    }
    let shares = cumulative(&weights, "weights")?;
    Ok(Shape::Choice(Choice(shares.into_iter().zip(values.iter().copied()).collect())))
}

impl Choice {
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        self.0[choose(&self.0, rng)].1
    }

    pub(super) fn upper(&self) -> f64 {
        self.0.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }
}
