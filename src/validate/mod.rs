//! Recorded measurements of real servers, predicted: the accuracy of the model as a table.
//!
//! A measurement is one line of a file made by the measuring script: what was done ([`measurement`]), on which server,
//! and what was seen.  Each case becomes a scenario in the format that users write (`translate`), is simulated, and
//! its figures are set beside the measured ones (a file for each kind) with a tolerance for each kind of figure
//! (`tolerance`), wider where the same case was measured more than once (`repeats`).  Nothing is fitted
//! to a case; what the record states as an input (speed of loading, sizes drawn) is taken from it.

mod cache;
mod churn;
mod cow;
mod draws;
mod example;
mod expiry;
mod figure;
mod grow;
mod judge;
pub mod live;
mod load;
pub mod measurement;
mod mechanisms;
mod old_table;
mod pubsub;
mod repeats;
mod replica;
mod table;
mod tolerance;
mod translate;

pub use figure::{Along, Figure, Series, Unit};
pub use judge::{CaseResult, Outcome};
pub use measurement::Measurement;
use rayon::prelude::*;
pub use table::{json, markdown, text};

/// Predicts every measurement, in parallel, results in input order.  Measurements of one case on one server are taken for
/// repetitions: their spread widens the tolerances.
#[must_use]
pub fn validate(measurements: &[Measurement]) -> Vec<CaseResult> {
    let mut results: Vec<CaseResult> = measurements.par_iter().map(judge::judge).collect();
    repeats::widen(measurements, &mut results);
    results
}
