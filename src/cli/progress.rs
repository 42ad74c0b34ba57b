//! The progress bar: simulated time, requests a second.

use super::interrupt;
use crate::sim::Progress;
use crate::units::{Micros, SimTime};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time between two drawings of the bar, however long a step of the work takes.
const TICK: Duration = Duration::from_millis(250);

/// A watcher that draws a bar on a terminal's standard error, and stops the run when the user interrupts it.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    /// How far each repetition is (µs).
    reached: Vec<AtomicU64>,
    ops: AtomicU64,
}

impl Bar {
    /// A bar for some runs that take `total` of simulated time together; hidden when `quiet` and where standard error is
    /// no terminal.
    pub(super) fn new(runs: u32, total: Micros, quiet: bool) -> Bar {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total.0), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left") {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.set_message("loading");
            bar.enable_steady_tick(TICK);
        }
        Bar { bar, reached: (0..runs).map(|_| AtomicU64::new(0)).collect(), ops: AtomicU64::new(0) }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn advance(&self, run: u32, at: SimTime, ops: u64) {
        if let Some(reached) = self.reached.get(run as usize) {
            reached.store(at.0, Ordering::Relaxed);
        }
        let ops = self.ops.fetch_add(ops, Ordering::Relaxed) + ops;
        let seconds = self.bar.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 { ops as f64 / seconds / 1e6 } else { 0.0 };
        self.bar.set_position(self.reached.iter().map(|reached| reached.load(Ordering::Relaxed)).sum());
        self.bar.set_message(format!("{at} simulated, {rate:.1} M requests/s"));
    }

    fn cancelled(&self) -> bool {
        interrupt::interrupted()
    }
}
