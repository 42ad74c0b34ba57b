//! From a scenario and a seed to a [`Run`]: the same bytes on any number of threads.
//!
//! Repetitions run in parallel, each with random streams of its own; inside one everything is sequential.

mod engine;
mod family;
mod jobs;
mod preload;
mod publish;
mod recorder;
mod replica_view;
mod stream;
mod tap;

use crate::record::Run;
use crate::rng::run_seed;
use crate::scenario::Scenario;
use crate::units::SimTime;
use rayon::prelude::*;
pub use tap::{Sent, Tap};

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

/// Commands of whoever watches the server, besides the scenario's own traffic: each keeps a histogram from its first
/// use on.
pub type Observer = &'static [&'static str];

/// Simulates every repetition of a scenario, in parallel, and returns them in order.
///
/// # Errors
/// [`Interrupted`] when `progress` says to stop.
pub fn run_all(scenario: &Scenario, progress: &dyn Progress) -> Result<Vec<Run>, Interrupted> {
    (0..scenario.runs).into_par_iter().map(|run| run_one(scenario, run, &[], progress)).collect()
}

/// Simulates one repetition, watched by `observer`.
///
/// # Errors
/// [`Interrupted`] when `progress` says to stop.
pub fn run_one(scenario: &Scenario, run: u32, observer: Observer, progress: &dyn Progress) -> Result<Run, Interrupted> {
    run_tapped(scenario, run, observer, &mut tap::NoTap, progress)
}

/// Simulates one repetition, watched by `observer`, whose connection, of the group `reader`, reads `INFO` with each sample.
///
/// # Errors
/// [`Interrupted`] when `progress` says to stop.
pub fn run_read(
    scenario: &Scenario,
    observer: Observer,
    reader: usize,
    progress: &dyn Progress,
) -> Result<Run, Interrupted> {
    let mut tap = tap::NoTap;
    engine::Engine::new(scenario, run_seed(scenario.seed, 0), observer, &mut tap).read_by(reader).run(0, progress)
}

/// Simulates one repetition while `tap` hears every request that a client would send.
///
/// # Errors
/// [`Interrupted`] when `progress` says to stop.
pub fn run_tapped<T: Tap>(
    scenario: &Scenario,
    run: u32,
    observer: Observer,
    tap: &mut T,
    progress: &dyn Progress,
) -> Result<Run, Interrupted> {
    engine::Engine::new(scenario, run_seed(scenario.seed, run), observer, tap).run(run, progress)
}
