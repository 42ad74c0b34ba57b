//! What runs are compared by: one list, from which sweeps, comparisons, advice and baselines take their columns.

use crate::analysis::{Findings, Spread, Status, series};
use crate::record::{HostPart, Run};
use crate::scenario::Scenario;

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// A share, 0 to 1.
    Ratio,
    /// Seconds.
    Seconds,
}

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The lower the better.
    Lower,
    /// The higher the better.
    Higher,
    /// Neither: it says what happens.
    Neither,
}

/// A figure of a run.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name: that of `summary.json` where it is there; `peak_` and `most_` say of what moment.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// Its value.
    pub of: fn(&Scenario, &Run) -> f64,
}

const fn figure(name: &'static str, unit: Unit, better: Better, of: fn(&Scenario, &Run) -> f64) -> Figure {
    Figure { name, unit, better, of }
}

/// Every figure, the most asked for first.
pub const FIGURES: &[Figure] = &[
    figure("peak_used_memory", Unit::Bytes, Better::Lower, |_, r| r.peak.used_memory as f64),
    figure("peak_host_memory", Unit::Bytes, Better::Lower, |_, r| r.host_peak.memory.total() as f64),
    figure("hit_ratio", Unit::Ratio, Better::Higher, |s, r| series::steady_state(r, s.warmup).hit_ratio),
    figure("oom_errors", Unit::Count, Better::Lower, |_, r| r.end.counters.oom_errors as f64),
    figure("evicted_keys", Unit::Count, Better::Neither, |_, r| r.end.counters.evicted_keys as f64),
    figure("evicted_untimed_keys", Unit::Count, Better::Lower, |_, r| {
        r.keyspaces.iter().map(|k| k.counters.evicted_untimed_keys as f64).sum()
    }),
    figure("expired_keys", Unit::Count, Better::Neither, |_, r| r.end.counters.expired_keys as f64),
    figure("oom_kills", Unit::Count, Better::Lower, |_, r| r.end.counters.oom_kills as f64),
    figure("full_sync_loops", Unit::Count, Better::Lower, |_, r| r.end.counters.full_sync_loops as f64),
    figure("client_output_buffer_limit_disconnections", Unit::Count, Better::Lower, |_, r| {
        r.end.counters.client_output_buffer_limit_disconnections as f64
    }),
    figure("most_copy_on_write_bytes", Unit::Bytes, Better::Lower, |_, r| {
        let sampled = r.timeline.iter().map(|sample| sample.host.part(HostPart::CopyOnWrite));
        sampled.chain([r.host_peak.memory.part(HostPart::CopyOnWrite)]).max().unwrap_or(0) as f64
    }),
    figure("most_mem_total_replication_buffers", Unit::Bytes, Better::Lower, |_, r| {
        series::most_replication_buffers(r) as f64
    }),
    figure("most_expired_resident_bytes", Unit::Bytes, Better::Lower, |_, r| {
        r.timeline.iter().map(|sample| sample.expired_resident_bytes).max().unwrap_or(0) as f64
    }),
    figure("write_rejected_s", Unit::Seconds, Better::Lower, |_, r| r.write_rejected.lasted_us as f64 / 1e6),
    figure("used_memory", Unit::Bytes, Better::Neither, |_, r| r.end.used_memory as f64),
    figure("used_memory_rss", Unit::Bytes, Better::Neither, |_, r| r.end.host.part(HostPart::Rss) as f64),
    figure("keys", Unit::Count, Better::Neither, |_, r| r.end.keys as f64),
    figure("expires", Unit::Count, Better::Neither, |_, r| r.end.expires as f64),
];

/// What is left of a simulated scenario when it is one of many.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Pass, warn or fail.
    pub status: Status,
    /// The contract's words for what occurred.
    pub failures: Vec<&'static str>,
    /// What drove it.
    pub driver: &'static str,
    /// The verdict in one sentence.
    pub sentence: String,
    /// What is outside policy, a line each.
    pub reasons: Vec<String>,
    /// For each of [`FIGURES`] its value in each run.
    values: Vec<Vec<f64>>,
}

impl Outcome {
    /// Of findings.
    #[must_use]
    pub fn of(findings: &Findings) -> Outcome {
        let verdict = &findings.verdict;
        let value = |figure: &Figure| findings.runs.iter().map(|run| (figure.of)(&findings.scenario, run)).collect();
        Outcome {
            status: verdict.status,
            failures: verdict.failures.clone(),
            driver: verdict.driver,
            sentence: verdict.sentence.clone(),
            reasons: verdict.reasons.clone(),
            values: FIGURES.iter().map(value).collect(),
        }
    }

    /// A figure in each run; none for a name that is not among [`FIGURES`].
    #[must_use]
    pub fn runs(&self, name: &str) -> &[f64] {
        let index = FIGURES.iter().position(|figure| figure.name == name);
        index.and_then(|index| self.values.get(index)).map_or(&[], Vec::as_slice)
    }

    /// A figure over the runs.
    #[must_use]
    pub fn spread(&self, name: &str) -> Spread {
        Spread::of(self.runs(name).iter().copied())
    }

    /// A figure in the middle run.
    #[must_use]
    pub fn value(&self, name: &str) -> f64 {
        self.spread(name).p50
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn figures_have_names_of_their_own() {
        let names: BTreeSet<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        assert_eq!(names.len(), FIGURES.len());
    }
}
