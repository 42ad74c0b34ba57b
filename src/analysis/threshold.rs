//! Thresholds: a series condensed, compared with a number.
//!
//! Series are the samples after the warm-up.  A counter (`oom_errors`, `hits`, …) condensed by `count` or `rate` is its
//! increase over them.  `EXPR for D` is breached where EXPR is false at every sample for at least D: each sample is
//! compared by itself.

use super::series;
use crate::record::{HostPart, Run, Sample};
use crate::scenario::{Aggregation, Comparison, Scenario, Threshold};
use crate::units::{Micros, SimTime};
use serde::Serialize;

/// A threshold and whether it held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThresholdResult {
    /// The metric.
    pub metric: String,
    /// The expression.
    pub expression: String,
    /// The condensed value, in the run where it is worst.
    pub value: f64,
    /// Whether it held in every run.
    pub pass: bool,
}

/// Evaluates every threshold over all runs.
pub(super) fn evaluate(scenario: &Scenario, runs: &[Run]) -> Vec<ThresholdResult> {
    scenario
        .thresholds
        .iter()
        .map(|threshold| {
            let results = runs.iter().map(|run| one(threshold, run, scenario.warmup));
            let worst = results.min_by_key(|(_, pass)| *pass).unwrap_or((0.0, true));
            ThresholdResult {
                metric: threshold.metric.clone(),
                expression: threshold.expression.clone(),
                value: worst.0,
                pass: worst.1,
            }
        })
        .collect()
}

fn one(threshold: &Threshold, run: &Run, warmup: Micros) -> (f64, bool) {
    let start = run.timeline.partition_point(|s| s.at < SimTime::ZERO + warmup);
    let values: Vec<(SimTime, f64)> =
        (start..run.timeline.len()).map(|i| (run.timeline[i].at, value(&threshold.metric, &run.timeline, i))).collect();
    let condensed = condense(&values, threshold.aggregation);
    let pass = match threshold.lasting {
        None => compare(condensed, threshold.comparison, threshold.value),
        Some(lasting) => !false_for(&values, threshold, lasting),
    };
    (condensed, pass)
}

/// Whether the comparison is false at every sample of a stretch of at least `lasting`.
fn false_for(values: &[(SimTime, f64)], threshold: &Threshold, lasting: Micros) -> bool {
    let mut since = None;
    for (at, value) in values {
        if compare(*value, threshold.comparison, threshold.value) {
            since = None;
        } else if at.since(*since.get_or_insert(*at)) >= lasting {
            return true;
        }
    }
    false
}

fn compare(value: f64, comparison: Comparison, with: f64) -> bool {
    match comparison {
        Comparison::Less => value < with,
        Comparison::LessOrEqual => value <= with,
        Comparison::Greater => value > with,
        Comparison::GreaterOrEqual => value >= with,
        Comparison::Equal => value == with,
        Comparison::NotEqual => value != with,
    }
}

fn condense(values: &[(SimTime, f64)], aggregation: Aggregation) -> f64 {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return 0.0 };
    let numbers = values.iter().map(|(_, value)| *value);
    match aggregation {
        Aggregation::Min => numbers.fold(f64::INFINITY, f64::min),
        Aggregation::Max => numbers.fold(f64::NEG_INFINITY, f64::max),
        Aggregation::Avg => numbers.sum::<f64>() / values.len() as f64,
        Aggregation::Percentile(percent) => {
            let mut sorted: Vec<f64> = numbers.collect();
            sorted.sort_by(f64::total_cmp);
            let rank = (sorted.len() as f64 * percent / 100.0).ceil().max(1.0) as usize - 1;
            sorted[rank.min(sorted.len() - 1)]
        }
        Aggregation::Count => last.1 - first.1,
        Aggregation::Rate => {
            let span = last.0.since(first.0).as_secs_f64();
            if span > 0.0 { (last.1 - first.1) / span } else { 0.0 }
        }
        Aggregation::Last => last.1,
    }
}

/// A metric at a sample.  Rates and the hit ratio are those of the interval that ends there.
fn value(metric: &str, timeline: &[Sample], index: usize) -> f64 {
    let sample = &timeline[index];
    let before = &timeline[index.saturating_sub(1)];
    let counters = &sample.counters;
    match metric {
        "used_ratio" => series::used_ratio(sample),
        "hit_ratio" => series::hit_ratio(&before.counters, counters),
        "oom_errors" => counters.oom_errors as f64,
        "host_ratio" => series::ratio(sample.host.total(), sample.host_limit),
        "full_sync_loops" => counters.full_sync_loops as f64,
        "mem_total_replication_buffers" => sample.replication.mem_total_replication_buffers as f64,
        "oom_kills" => counters.oom_kills as f64,
        "host_memory_bytes" => sample.host.total() as f64,
        "copy_on_write_bytes" => sample.host.part(HostPart::CopyOnWrite) as f64,
        "evicted_keys" => counters.evicted_keys as f64,
        "expired_keys" => counters.expired_keys as f64,
        "used_memory" => sample.used_memory as f64,
        "used_memory_peak" => sample.used_memory_peak as f64,
        "used_memory_overhead" => sample.used_memory_overhead as f64,
        "used_memory_dataset" => sample.used_memory.saturating_sub(sample.used_memory_overhead) as f64,
        "mem_clients_normal" => sample.mem_clients_normal as f64,
        "keys" => sample.keys as f64,
        "expires" => sample.expires as f64,
        "expired_resident_bytes" => sample.expired_resident_bytes as f64,
        "evictable_bytes" => sample.evictable_bytes as f64,
        "rehashing_bytes" => sample.rehashing_bytes as f64,
        "ops_per_s" => {
            let more = counters.total_commands_processed - before.counters.total_commands_processed;
            series::per_second(more, sample.at.since(before.at))
        }
        "hits" => counters.keyspace_hits as f64,
        "misses" => counters.keyspace_misses as f64,
        "connected_clients" => sample.connected_clients as f64,
        "client_output_buffer_limit_disconnections" => counters.client_output_buffer_limit_disconnections as f64,
        "evicted_clients" => counters.evicted_clients as f64,
        "expired_stale_perc" => sample.expired_stale_millipercent as f64 / 1000.0,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_a_scenario_can_name_has_a_value() {
        let timeline = [Sample::default(), Sample::default()];
        for metric in crate::scenario::METRICS {
            assert!(!value(metric.name, &timeline, 1).is_nan(), "{}", metric.name);
        }
    }

    #[test]
    fn series_are_condensed_as_documented() {
        let at = |s: u64| SimTime(s * 1_000_000);
        let values = [(at(0), 1.0), (at(1), 5.0), (at(2), 3.0), (at(4), 9.0)];
        for (aggregation, expected) in [
            (Aggregation::Min, 1.0),
            (Aggregation::Max, 9.0),
            (Aggregation::Avg, 4.5),
            (Aggregation::Percentile(50.0), 3.0),
            (Aggregation::Percentile(100.0), 9.0),
            (Aggregation::Count, 8.0),
            (Aggregation::Rate, 2.0),
            (Aggregation::Last, 9.0),
        ] {
            assert_eq!(condense(&values, aggregation), expected, "{aggregation:?}");
        }
    }

    #[test]
    fn a_lasting_breach_needs_every_sample_of_the_time() {
        let at = |s: u64| SimTime(s * 1_000_000);
        let threshold = |value| Threshold {
            metric: "used_ratio".to_owned(),
            expression: String::new(),
            aggregation: Aggregation::Max,
            comparison: Comparison::Less,
            value,
            lasting: Some(Micros::from_secs(3)),
        };
        let values: Vec<_> =
            [0.9, 0.9, 0.9, 0.5, 0.9, 0.9, 0.9, 0.9].iter().enumerate().map(|(i, v)| (at(i as u64), *v)).collect();
        assert!(false_for(&values, &threshold(0.85), Micros::from_secs(3)));
        assert!(!false_for(&values[..7], &threshold(0.85), Micros::from_secs(3)));
    }
}
