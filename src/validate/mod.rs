//! Recorded measurements of real servers, predicted: the accuracy of the model as a table.
//!
//! A measurement is one line of a file made by the measuring script: what was done ([`measurement`]), on which server,
//! and what was seen.  Each case becomes a scenario in the format that users write (`translate`), is simulated, and
//! its figures are set beside the measured ones with a tolerance for each kind of figure (`judge`).  Nothing is fitted
//! to a case; what the record states as an input (speed of loading, sizes drawn) is taken from it.

mod churn;
mod cow;
mod draws;
mod example;
mod grow;
mod judge;
pub mod measurement;
mod mechanisms;
mod pubsub;
mod replica;
mod table;
mod translate;

pub use judge::{CaseResult, Figure, Outcome};
pub use measurement::Measurement;
use rayon::prelude::*;
pub use table::{markdown, text};

/// Predicts every measurement, in parallel, results in input order.
#[must_use]
pub fn validate(measurements: &[Measurement]) -> Vec<CaseResult> {
    measurements.par_iter().map(judge::judge).collect()
}
