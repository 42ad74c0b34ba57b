//! The virtual-time loop.

use crate::record::Run;
use crate::scenario::Scenario;
use crate::units::SimTime;

/// The watcher of a run: hears how far it is and may stop it.
pub trait Progress: Sync {
    /// Repetition `run` has reached `at`, with `ops` requests simulated since the last call.
    fn advance(&self, run: u32, at: SimTime, ops: u64);
    /// Whether to stop.
    fn cancelled(&self) -> bool;
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn advance(&self, _run: u32, _at: SimTime, _ops: u64) {}
    fn cancelled(&self) -> bool {
        false
    }
}

/// The watcher stopped the run; nothing of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// Simulates every repetition of a scenario, in parallel, and returns them in order.
///
/// # Errors
/// [`Interrupted`] when `progress` says to stop.
pub fn run_all(scenario: &Scenario, progress: &dyn Progress) -> Result<Vec<Run>, Interrupted> {
    let _ = (scenario, progress);
    Err(Interrupted)
}
