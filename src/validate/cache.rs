//! Kind `cache`: reads at a fixed rate, a write for each miss, under `maxmemory`.

use super::figure::{Compared, Figure, Series, Unit};
use super::judge::seen;
use super::measurement::Measurement;
use super::tolerance::{self, Tolerance};
use crate::record::{Run, Sample};
use serde_json::Value;

/// What was missed, evicted, expired and refused, and what is there at the end.
pub(super) fn compare(measurement: &Measurement, run: &Run) -> Result<Compared, String> {
    let half = run.timeline.len() / 2;
    let (Some(from), Some(to)) = (run.timeline.get(half), run.timeline.last()) else {
        return Err("the run is too short".to_owned());
    };
    let ratio = miss_ratio(from, to).unwrap_or(0.0);
    let of = |path: &str, predicted: f64, tolerance: Tolerance| {
        Ok::<Figure, String>(Figure::new(path, seen(measurement, path)?, predicted, tolerance))
    };
    let counters = &to.counters;
    let figures = vec![
        of("miss_ratio_2nd_half", ratio, tolerance::CACHE_MISS_RATIO)?,
        of("end.evicted_keys", counters.evicted_keys as f64, tolerance::CACHE_EVICTED)?,
        of("end.expired_keys", counters.expired_keys as f64, tolerance::CACHE_EXPIRED)?,
        of("end.keys", to.keys as f64, tolerance::CACHE_KEYS)?,
        of("oom_errors", counters.oom_errors as f64, tolerance::CACHE_OOM)?,
        of("end.used_memory", to.used_memory as f64, tolerance::CACHE_USED_MEMORY)?,
    ];
    Ok(Compared { figures, series: series(measurement, run) })
}

/// Misses among the reads between two samples.
fn miss_ratio(from: &Sample, to: &Sample) -> Option<f64> {
    let hits = to.counters.keyspace_hits - from.counters.keyspace_hits;
    let misses = to.counters.keyspace_misses - from.counters.keyspace_misses;
    (hits + misses > 0).then(|| misses as f64 / (hits + misses) as f64)
}

fn series(measurement: &Measurement, run: &Run) -> Vec<Series> {
    let number = |sample: &Value, name: &str| sample.get(name).and_then(Value::as_f64);
    let record = measurement.timeline();
    let over_time = |name: &'static str, unit, predicted: &dyn Fn(&Sample) -> f64| {
        Series::over_time(name, unit, (record, &|s| number(s, name)), (&run.timeline, predicted), 0.0)
    };
    let missed = |sample: &Value| {
        let (hits, misses) = (number(sample, "window_hits")?, number(sample, "window_misses")?);
        (hits + misses > 0.0).then(|| 100.0 * misses / (hits + misses))
    };
    let pairs = run.timeline.windows(2);
    let misses = Series {
        predicted: pairs
            .filter_map(|pair| Some((pair[1].at.as_secs_f64(), 100.0 * miss_ratio(&pair[0], &pair[1])?)))
            .collect(),
        ..Series::over_time("misses among reads", Unit::Percent, (record, &missed), (&[], &|_| 0.0), 0.0)
    };
    vec![
        over_time("used_memory", Unit::Bytes, &|s| s.used_memory as f64),
        over_time("evicted_keys", Unit::Count, &|s| s.counters.evicted_keys as f64),
        misses,
    ]
}
