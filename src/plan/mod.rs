//! The planner: a scenario simulated again and again under other values, and what that teaches.
//!
//! A [`Source`] is a scenario's text that can be parsed again under further overrides; [`simulate_all`] runs many scenarios
//! in parallel and keeps of each only what the caller condenses it to; [`FIGURES`] are what two runs are compared by.

mod batch;
mod figures;
mod source;

pub use batch::{Batch, Limits, VIEW_COPIES, simulate_all};
pub use figures::{Better, FIGURES, Figure, Outcome, Unit};
pub use source::{Override, Reader, Source};
