//! Kind `cache`: reads at a fixed rate, a write for each miss, under `maxmemory`.

use super::figure::{Compared, Figure, Series, Unit};
use super::judge::{seen, simulate};
use super::measurement::Measurement;
use super::tolerance::{self, Tolerance};
use super::translate::Translation;
use crate::record::{Run, Sample};
use serde_json::Value;

/// Where the scenario says at what time of day it begins.
pub(super) const START: &str = "start-of-day = \"00:00:00\"";
/// Runs over which a case is averaged whose record leaves something open: each begins so many seconds into a minute, LFU's
/// unit of time, and draws sizes of its own.
const STARTS: [u64; 4] = [0, 15, 30, 45];

/// What one run says.
struct Counts {
    miss_ratio: f64,
    evicted: f64,
    expired: f64,
    keys: f64,
    oom_errors: f64,
    used_memory: f64,
}

impl Counts {
    fn of(run: &Run) -> Option<Counts> {
        let (from, to) = (run.timeline.get(run.timeline.len() / 2)?, run.timeline.last()?);
        Some(Counts {
            miss_ratio: miss_ratio(from, to).unwrap_or(0.0),
            evicted: to.counters.evicted_keys as f64,
            expired: to.counters.expired_keys as f64,
            keys: to.keys as f64,
            oom_errors: to.counters.oom_errors as f64,
            used_memory: to.used_memory as f64,
        })
    }
}

/// Whether the record leaves open what decides: where in a minute the run began, or which sizes the asked-for keys have.
fn leaves_open(measurement: &Measurement) -> bool {
    let parameters = &measurement.case.parameters;
    let policy = parameters.get("config").and_then(|config| config.get("maxmemory-policy")).and_then(Value::as_str);
    let drawn = |name: &str| parameters.get(name).is_some_and(Value::is_object);
    policy.is_some_and(|policy| policy.ends_with("-lfu")) || drawn("size") || drawn("ttl")
}

/// What was missed, evicted, expired and refused, and what is there at the end.
pub(super) fn compare(measurement: &Measurement, translation: &Translation, first: &Run) -> Result<Compared, String> {
    let counts = |run: &Run| Counts::of(run).ok_or_else(|| "the run is too short".to_owned());
    let mut runs = vec![counts(first)?];
    for (index, second) in STARTS.iter().enumerate().skip(1).filter(|_| leaves_open(measurement)) {
        let toml = translation.toml.replace(START, &format!("start-of-day = \"00:00:{second}\""));
        // Another digit makes another seed.
        let toml = toml.replacen("seed = ", &format!("seed = {index}"), 1);
        runs.push(counts(&simulate(&measurement.case.name, &Translation { toml, offset_s: 0.0 })?)?);
    }
    let mean = |of: fn(&Counts) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let of = |path: &str, predicted: f64, tolerance: Tolerance| {
        Ok::<Figure, String>(Figure::new(path, seen(measurement, path)?, predicted, tolerance))
    };
    let figures = vec![
        of("miss_ratio_2nd_half", mean(|c| c.miss_ratio), tolerance::CACHE_MISS_RATIO)?,
        of("end.evicted_keys", mean(|c| c.evicted), tolerance::CACHE_EVICTED)?,
        of("end.expired_keys", mean(|c| c.expired), tolerance::CACHE_EXPIRED)?,
        of("end.keys", mean(|c| c.keys), tolerance::CACHE_KEYS)?,
        of("oom_errors", mean(|c| c.oom_errors), tolerance::CACHE_OOM)?,
        of("end.used_memory", mean(|c| c.used_memory), tolerance::CACHE_USED_MEMORY)?,
    ];
    Ok(Compared { figures, series: series(measurement, first) })
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
