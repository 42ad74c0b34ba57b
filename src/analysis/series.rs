//! Ratios and rates of a run that are not samples of their own.

use crate::node::ledger::MemoryPart;
use crate::record::{Counters, EventKind, Run, Sample};
use crate::units::Micros;

/// Memory is at its peak from this share of it on.
const AT_PEAK: f64 = 0.98;

/// `used_memory` / `maxmemory`; 0 without a limit.
#[must_use]
pub fn used_ratio(sample: &Sample) -> f64 {
    ratio(sample.used_memory, sample.maxmemory)
}

/// Hits among reads between two readings of the counters; 0 without reads.
#[must_use]
pub fn hit_ratio(from: &Counters, to: &Counters) -> f64 {
    let hits = to.keyspace_hits - from.keyspace_hits;
    ratio(hits, hits + to.keyspace_misses - from.keyspace_misses)
}

/// One number as a share of another; 0 when the other is.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The most that replication buffers took: of a sample, at the peak, or when a replica was dropped (B).
#[must_use]
pub fn most_replication_buffers(run: &Run) -> u64 {
    let sampled = run.timeline.iter().map(|sample| sample.replication.mem_total_replication_buffers);
    let dropped = run.events.iter().filter_map(|event| match event.kind {
        EventKind::ReplicaDropped { usage, .. } => Some(usage),
        _ => None,
    });
    let peak = run.peak.parts[MemoryPart::ReplicationBuffers as usize];
    sampled.chain(dropped).chain([peak]).max().unwrap_or(0)
}

/// Increase a second.
#[must_use]
pub fn per_second(increase: u64, span: Micros) -> f64 {
    if span.0 == 0 { 0.0 } else { increase as f64 / span.as_secs_f64() }
}

/// The steady state: after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SteadyState {
    /// Hits among reads.
    pub hit_ratio: f64,
    /// Evictions a second.
    pub evicted_keys_per_s: f64,
    /// Expiries a second.
    pub expired_keys_per_s: f64,
}

/// Figures of a run after its warm-up.
#[must_use]
pub fn steady_state(run: &Run, warmup: Micros) -> SteadyState {
    let (from, to) = (&run.warmup, &run.end.counters);
    let span = Micros(run.end.at.0) - warmup;
    SteadyState {
        hit_ratio: hit_ratio(from, to),
        evicted_keys_per_s: per_second(to.evicted_keys - from.evicted_keys, span),
        expired_keys_per_s: per_second(to.expired_keys - from.expired_keys, span),
    }
}

/// Bytes a second by which `used_memory` grows over the last fifth of a run, by least squares; 0 for a short run.
#[must_use]
pub fn growth_at_end(run: &Run) -> f64 {
    let tail = &run.timeline[run.timeline.len() * 4 / 5..];
    let n = tail.len() as f64;
    if tail.len() < 3 {
        return 0.0;
    }
    let mean = |of: &dyn Fn(&Sample) -> f64| tail.iter().map(of).sum::<f64>() / n;
    let (t, used) = (mean(&|s| s.at.as_secs_f64()), mean(&|s| s.used_memory as f64));
    let covariance = mean(&|s| (s.at.as_secs_f64() - t) * (s.used_memory as f64 - used));
    let variance = mean(&|s| (s.at.as_secs_f64() - t).powi(2));
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

/// Whether memory was still growing when the run ended: over the last fifth by more than a fiftieth of what is used, and
/// to a peak at the end.
#[must_use]
pub fn still_growing(run: &Run) -> bool {
    let fifth = run.end.at.as_secs_f64() / 5.0;
    ends_at_peak(run) && growth_at_end(run) * fifth > run.end.used_memory as f64 / 50.0
}

/// Whether memory at the end is what it was at the peak, or nearly.
#[must_use]
pub fn ends_at_peak(run: &Run) -> bool {
    run.end.used_memory as f64 >= AT_PEAK * run.peak.used_memory as f64
}

/// Whether a cache that evicted is full at the end: it still evicted in the last tenth of the run, or nothing has made room
/// since.
#[must_use]
pub fn full_at_end(run: &Run) -> bool {
    let evicts = run.evicting.last.0 >= run.end.at.0 - run.end.at.0 / 10;
    run.evicting.count > 0 && (evicts || used_ratio(&run.end) >= AT_PEAK)
}
