//! Kind `live`: a server of one's own, driven with a scenario's stream of requests.
//!
//! The record holds the scenario itself.  Inputs, taken from the record: how fast keys were loaded, how long each save
//! lasted, and, where the machine could not hold the rate, which share of each interval's requests was sent.

use super::figure::{Compared, Figure, Series, Unit};
use super::judge::{run_at, seen};
use super::measurement::Measurement;
use super::tolerance;
use crate::node::link::{ClientClass, LinkSetup};
use crate::record::{Run, Sample};
use crate::scenario::{self, Action, ClientGroup, PreloadBy, Scenario, ScheduledEvent};
use crate::sim;
use crate::units::{Micros, SimTime};
use serde_json::Value;
use std::path::Path;

/// Keys that a run must expire or evict for that to be judged.
const HAPPENS: f64 = 50.0;
/// What the driving client sends besides the stream; a server that was started anew has forgotten which allocator it was
/// asked for.
const OBSERVER: sim::Observer = &["INFO", "MEMORY|MALLOC-STATS"];
const OBSERVER_ANEW: sim::Observer = &["INFO"];
const OBSERVER_OF_SAVES: sim::Observer = &["INFO", "MEMORY|MALLOC-STATS", "DBSIZE", "CONFIG|SET", "BGSAVE"];

/// The scenario as it was driven.
fn driven(measurement: &Measurement) -> Result<Scenario, String> {
    let case = &measurement.case;
    let overrides: Vec<(String, String)> = match case.parameters.get("set") {
        Some(given) => serde_json::from_value(given.clone()).map_err(|error| format!("set: {error}"))?,
        None => Vec::new(),
    };
    let files = case.parameters.get("files");
    let read = |path: &Path| {
        let text = files.and_then(|files| files.get(path.display().to_string())).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    let text = case.text("scenario").ok_or("the record has no scenario")?;
    let base = Path::new(case.text("base").unwrap_or("."));
    let input = scenario::Input { name: &case.name, text, overrides: &overrides, base };
    let mut scenario = scenario::parse(&input, &read).map_err(|error| format!("no scenario: {error}"))?;
    take_inputs(&mut scenario, measurement);
    Ok(scenario)
}

/// Puts what the record states as inputs into the scenario.
fn take_inputs(scenario: &mut Scenario, measurement: &Measurement) {
    if let Some(rate) = measurement.seen("load_rate") {
        for preload in scenario.keyspaces.iter_mut().filter_map(|keyspace| keyspace.preload.as_mut()) {
            if let PreloadBy::Commands { load_rate } = &mut preload.by {
                *load_rate = rate;
            }
        }
    }
    // The one that reads `INFO` comes last.
    for name in ["events", "reader"] {
        scenario.clients.push(ClientGroup {
            name: name.to_owned(),
            connections: 1,
            pipeline: 1,
            class: ClientClass::Normal,
            link: LinkSetup::default(),
            reconnect: None,
        });
    }
    take_saves(scenario, &pairs(measurement, "saves"));
    take_achieved(scenario, &numbers(measurement, "achieved"));
}

/// Each save lasts as long as it did, where as many were seen as the scenario has.
fn take_saves(scenario: &mut Scenario, saves: &[[f64; 2]]) {
    let is_save = |event: &ScheduledEvent| matches!(event.action, Action::Bgsave { .. });
    let times = scenario.events.iter().filter(|event| is_save(event)).flat_map(|event| event.at.iter());
    let mut times: Vec<SimTime> = times.copied().collect();
    times.sort_unstable();
    if times.len() != saves.len() {
        return;
    }
    scenario.events.retain(|event| !is_save(event));
    scenario.events.extend(times.into_iter().zip(saves).map(|(at, [_, seconds])| ScheduledEvent {
        at: vec![at],
        action: Action::Bgsave { duration: Some(Micros((seconds.max(0.001) * 1e6) as u64)) },
        label: "bgsave".to_owned(),
    }));
}

/// Traffic as it was sent.
fn take_achieved(scenario: &mut Scenario, achieved: &[f64]) {
    let interval = scenario.sample_interval;
    scenario.events.extend(achieved.iter().enumerate().map(|(index, &multiply)| ScheduledEvent {
        at: vec![SimTime(index as u64 * interval.0)],
        action: Action::Traffic { keyspace: None, multiply, lasts: interval },
        label: "achieved rate".to_owned(),
    }));
}

fn numbers(measurement: &Measurement, name: &str) -> Vec<f64> {
    let list = measurement.result.as_ref().and_then(|result| result.get(name)).and_then(Value::as_array);
    list.map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_f64).collect())
}

fn pairs(measurement: &Measurement, name: &str) -> Vec<[f64; 2]> {
    let list = measurement.result.as_ref().and_then(|result| result.get(name)).and_then(Value::as_array);
    let pair = |value: &Value| serde_json::from_value(value.clone()).ok();
    list.map_or_else(Vec::new, |list| list.iter().filter_map(pair).collect())
}

/// The run that the record's inputs make.
///
/// # Errors
/// What is wrong with the record.
pub fn predict(measurement: &Measurement) -> Result<Run, String> {
    let scenario = driven(measurement)?;
    let saves = scenario.events.iter().any(|event| matches!(event.action, Action::Bgsave { .. }));
    let anew = scenario.keyspaces.iter().filter_map(|keyspace| keyspace.preload.as_ref());
    let anew = anew.into_iter().any(|preload| preload.by == PreloadBy::Rdb);
    let observer = match (saves, anew) {
        (true, _) => OBSERVER_OF_SAVES,
        (false, false) => OBSERVER,
        (false, true) => OBSERVER_ANEW,
    };
    let reader = scenario.clients.len() - 1;
    sim::run_read(&scenario, observer, reader, &sim::Unwatched).map_err(|_| "interrupted".to_owned())
}

/// A sample of the record and the model's at that time.
struct Pair<'a> {
    measured: &'a Value,
    predicted: &'a Sample,
}

impl Pair<'_> {
    fn number(&self, name: &str) -> f64 {
        self.measured.get(name).and_then(Value::as_f64).unwrap_or(0.0)
    }
}

/// Every figure of a driven run.
pub(super) fn compare(measurement: &Measurement) -> Result<Compared, String> {
    let run = predict(measurement)?;
    let pair = |measured| {
        let at = Value::get(measured, "t")?.as_f64()?;
        Some(Pair { measured, predicted: run_at(&run, at)? })
    };
    let pairs: Vec<Pair<'_>> = measurement.timeline().iter().filter_map(pair).collect();
    let at_end = |name: &str| seen(measurement, &format!("end.{name}"));
    let counted = |name: &str| Ok::<f64, String>(at_end(name)? - seen(measurement, &format!("start.{name}"))?);
    let (end, counters) = (&run.end, &run.end.counters);
    // A peak while keys were loaded is no part of the run.
    let peak = run.peak.used_memory.max(seen(measurement, "start.used_memory_peak")? as u64) as f64;
    let (evicted, expired) = (counted("evicted_keys")?, counted("expired_keys")?);
    let expires = expired.max(counters.expired_keys as f64) > HAPPENS;
    // The active expire cycle swings, and when it does so is chance: such a run is judged by its curves.
    let of_peak = if expires { tolerance::EXPIRY_USED_ERROR } else { tolerance::CACHE_USED_MEMORY };
    let (rss, refused) = (end.allocator.rss as f64, counters.oom_errors as f64);
    let mut figures = vec![
        Figure::new("used_memory_peak", at_end("used_memory_peak")?, peak, of_peak),
        Figure::new("end.used_memory_rss", at_end("used_memory_rss")?, rss, tolerance::CHURN_PAGES),
        Figure::new("oom_errors", seen(measurement, "oom_errors")?, refused, tolerance::CACHE_OOM),
    ];
    let series = series(measurement, &run);
    if expires {
        let predicted = counters.expired_keys as f64;
        figures.push(Figure::new("expired_keys", expired, predicted, tolerance::EXPIRY_EXPIRED));
        figures.extend(curves(&series));
    } else {
        let (used, keys) = (end.used_memory as f64, end.keys as f64);
        figures.push(Figure::new("end.used_memory", at_end("used_memory")?, used, tolerance::CACHE_USED_MEMORY));
        figures.push(Figure::new("end.keys", at_end("keys")?, keys, tolerance::CACHE_KEYS));
    }
    if evicted.max(counters.evicted_keys as f64) > HAPPENS {
        let predicted = counters.evicted_keys as f64;
        figures.push(Figure::new("evicted_keys", evicted, predicted, tolerance::CACHE_EVICTED));
    }
    figures.extend(miss_ratio(&pairs));
    let copied = at_end("rdb_last_cow_size")?;
    if copied > 0.0 {
        let predicted = end.persistence.rdb_last_cow_size as f64;
        figures.push(Figure::new("rdb_last_cow_size", copied, predicted, tolerance::COW_SIZE));
    }
    Ok(Compared { figures, series: series.into() })
}

/// What is drawn, and the curves of a run that expires keys.
fn series(measurement: &Measurement, run: &Run) -> [Series; 6] {
    let over_time = |name: &'static str, unit, predicted: &dyn Fn(&Sample) -> f64| {
        let measured = |sample: &Value| sample.get(name).and_then(Value::as_f64);
        Series::over_time(name, unit, (measurement.timeline(), &measured), (&run.timeline, predicted), 0.0)
    };
    [
        over_time("keys", Unit::Count, &|s| s.keys as f64),
        over_time("used_memory", Unit::Bytes, &|s| s.used_memory as f64),
        over_time("expired_stale_perc", Unit::Percent, &|s| s.expired_stale_millipercent as f64 / 1000.0),
        over_time("used_memory_rss", Unit::Bytes, &|s| s.allocator.rss as f64),
        over_time("evicted_keys", Unit::Count, &|s| s.counters.evicted_keys as f64),
        over_time("expired_keys", Unit::Count, &|s| s.counters.expired_keys as f64),
    ]
}

/// Misses among the reads of the second half.
fn miss_ratio(pairs: &[Pair<'_>]) -> Option<Figure> {
    let (from, to) = (pairs.get(pairs.len() / 2)?, pairs.last()?);
    let more = |name: &str| to.number(name) - from.number(name);
    let measured = more("keyspace_misses") / (more("keyspace_hits") + more("keyspace_misses"));
    let (before, after) = (&from.predicted.counters, &to.predicted.counters);
    let hits = (after.keyspace_hits - before.keyspace_hits) as f64;
    let misses = (after.keyspace_misses - before.keyspace_misses) as f64;
    let predicted = misses / (hits + misses);
    let both = measured.is_finite() && predicted.is_finite();
    both.then(|| Figure::new("miss ratio of the second half", measured, predicted, tolerance::CACHE_MISS_RATIO))
}

/// How well the curves of a run that expires keys agree.
fn curves([keys, used, stale, ..]: &[Series; 6]) -> [Figure; 4] {
    let half = |series: &Series, tolerance| {
        let (measured, predicted) = series.second_half();
        Figure::new(format!("{}, mean of the second half", series.name), measured, predicted, tolerance)
    };
    [
        keys.mean_absolute_error(tolerance::EXPIRY_KEYS_ERROR),
        used.mean_absolute_error(tolerance::EXPIRY_USED_ERROR),
        half(keys, tolerance::EXPIRY_KEYS),
        half(stale, tolerance::EXPIRY_STALE_POINTS),
    ]
}
