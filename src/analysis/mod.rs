//! From runs to findings: verdict, what drove the peak, recommended `maxmemory`, thresholds.  Pure.

mod collections;
mod host;
mod recommend;
pub mod series;
mod stats;
mod threshold;
mod verdict;

use crate::record::Run;
use crate::scenario::Scenario;
pub use host::HostRecommendation;
pub use recommend::{BudgetLine, Recommendation};
pub use stats::Spread;
pub use threshold::ThresholdResult;
pub use verdict::{Status, Verdict};

/// Everything that a report needs.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Path of the scenario, as it was given.
    pub path: String,
    /// The scenario.
    pub scenario: Scenario,
    /// Its runs, at least one.
    pub runs: Vec<Run>,
    /// Pass, warn or fail, and why.
    pub verdict: Verdict,
    /// What `maxmemory` should be, and what to change.
    pub recommendation: Recommendation,
    /// What the host must have.
    pub host: HostRecommendation,
    /// What had to hold.
    pub thresholds: Vec<ThresholdResult>,
}

impl Findings {
    /// The run that reports show, so that figures and pictures show the worst: one that the kernel killed, else one with a
    /// resync loop, else the one with the largest peak.
    #[must_use]
    pub fn shown(&self) -> &Run {
        worst(&self.runs)
    }
}

/// The worst run; the first among equals.
fn worst(runs: &[Run]) -> &Run {
    let badness = |run: &&Run| {
        let counters = &run.end.counters;
        (counters.oom_kills > 0, counters.full_sync_loops > 0, run.peak.used_memory)
    };
    runs.iter().rev().max_by_key(badness).unwrap_or(&EMPTY)
}

/// Stands in for a run where there is none.
static EMPTY: std::sync::LazyLock<Run> = std::sync::LazyLock::new(Run::default);

/// Judges the runs of a scenario.
#[must_use]
pub fn analyse(scenario: Scenario, runs: Vec<Run>, path: &str) -> Findings {
    let thresholds = threshold::evaluate(&scenario, &runs);
    let recommendation = recommend::recommend(&scenario, worst(&runs));
    let host = host::recommend(&scenario, worst(&runs));
    let verdict = verdict::judge(&scenario, &runs, worst(&runs), &thresholds);
    Findings { path: path.to_owned(), scenario, runs, verdict, recommendation, host, thresholds }
}
