//! Kind `live`: a server of one's own, driven with a scenario's stream of requests.
//!
//! The record holds the scenario itself.  Inputs, taken from the record: how fast keys were loaded, how long each save
//! lasted, and, where the machine could not hold the rate, which share of each interval's requests was sent.

use super::judge::{Figure, USED_MEMORY_FLOOR, figure, run_at};
use super::measurement::Measurement;
use crate::node::link::{ClientClass, LinkSetup};
use crate::record::{Run, Sample};
use crate::scenario::{self, Action, ClientGroup, PreloadBy, Scenario, ScheduledEvent};
use crate::sim;
use crate::units::{Micros, SimTime};
use serde_json::Value;
use std::path::Path;

/// No tolerance for a count is below this.
const COUNT_FLOOR: f64 = 50.0;
/// No tolerance for pages, and for copy-on-write, is below this (B).
const PAGES_FLOOR: f64 = 2_097_152.0;
const COW_FLOOR: f64 = 4_194_304.0;
/// Largest errors, as shares of the measured figure.
const USED_SHARE: f64 = 0.005;
const KEYS_SHARE: f64 = 0.005;
const EVICTED_SHARE: f64 = 0.01;
const EXPIRED_SHARE: f64 = 0.02;
const MEAN_SHARE: f64 = 0.02;
const CURVE_SHARE: f64 = 0.06;
const COW_SHARE: f64 = 0.05;
const PAGES_SHARE: f64 = 0.08;
/// Largest error of a miss ratio.
const MISS_RATIO: f64 = 0.003;
/// Largest error of `expired_stale_perc` (points).
const STALE_POINTS: f64 = 3.0;
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
pub(super) fn figures(measurement: &Measurement) -> Result<Vec<Figure>, String> {
    let run = predict(measurement)?;
    let pair = |measured| {
        let at = Value::get(measured, "t")?.as_f64()?;
        Some(Pair { measured, predicted: run_at(&run, at)? })
    };
    let pairs: Vec<Pair<'_>> = measurement.timeline().iter().filter_map(pair).collect();
    let seen = |path: &str| measurement.seen(path).ok_or_else(|| format!("the record has no {path}"));
    let counted = |name: &str| Ok::<f64, String>(seen(&format!("end.{name}"))? - seen(&format!("start.{name}"))?);
    let (end, counters) = (&run.end, &run.end.counters);
    // A peak while keys were loaded is no part of the run.
    let peak = run.peak.used_memory.max(seen("start.used_memory_peak")? as u64);
    let (evicted, expired) = (counted("evicted_keys")?, counted("expired_keys")?);
    let expires = expired.max(counters.expired_keys as f64) > HAPPENS;
    // The active expire cycle swings, and when it does so is chance: such a run is judged by its curves.
    let peak_share = if expires { CURVE_SHARE } else { USED_SHARE };
    let rss =
        figure("end.used_memory_rss", seen("end.used_memory_rss")?, end.allocator.rss as f64, PAGES_SHARE, PAGES_FLOOR);
    let mut figures = vec![
        figure("used_memory_peak", seen("end.used_memory_peak")?, peak as f64, peak_share, USED_MEMORY_FLOOR),
        rss,
        figure("oom_errors", seen("oom_errors")?, counters.oom_errors as f64, MEAN_SHARE, COUNT_FLOOR),
    ];
    if expires {
        figures.push(figure("expired_keys", expired, counters.expired_keys as f64, EXPIRED_SHARE, COUNT_FLOOR));
        figures.extend(curves(&pairs));
    } else {
        let used = seen("end.used_memory")?;
        figures.push(figure("end.used_memory", used, end.used_memory as f64, USED_SHARE, USED_MEMORY_FLOOR));
        figures.push(figure("end.keys", seen("end.keys")?, end.keys as f64, KEYS_SHARE, COUNT_FLOOR));
    }
    if evicted.max(counters.evicted_keys as f64) > HAPPENS {
        figures.push(figure("evicted_keys", evicted, counters.evicted_keys as f64, EVICTED_SHARE, COUNT_FLOOR));
    }
    figures.extend(miss_ratio(&pairs));
    if seen("end.rdb_last_cow_size")? > 0.0 {
        let predicted = end.persistence.rdb_last_cow_size as f64;
        figures.push(figure("rdb_last_cow_size", seen("end.rdb_last_cow_size")?, predicted, COW_SHARE, COW_FLOOR));
    }
    Ok(figures)
}

/// Misses among the reads of the second half.
fn miss_ratio(pairs: &[Pair<'_>]) -> Option<Figure> {
    let (from, to) = (pairs.get(pairs.len() / 2)?, pairs.last()?);
    let more = |name: &str| to.number(name) - from.number(name);
    let measured = more("keyspace_misses") / (more("keyspace_hits") + more("keyspace_misses"));
    let (before, after) = (&from.predicted.counters, &to.predicted.counters);
    let hits = (after.keyspace_hits - before.keyspace_hits) as f64;
    let misses = (after.keyspace_misses - before.keyspace_misses) as f64;
    let name = "miss ratio of the second half".to_owned();
    let figure =
        Figure { name, measured, predicted: misses / (hits + misses), tolerance: MISS_RATIO, curve_point: false };
    (measured.is_finite() && figure.predicted.is_finite()).then_some(figure)
}

/// How well the curves of a run that expires keys agree.
fn curves(pairs: &[Pair<'_>]) -> Vec<Figure> {
    let half = &pairs[pairs.len() / 2..];
    let mean = |pairs: &[Pair<'_>], of: &dyn Fn(&Pair<'_>) -> f64| {
        pairs.iter().map(of).sum::<f64>() / pairs.len().max(1) as f64
    };
    let error = |name: &str, measured: &str, of: &dyn Fn(&Sample) -> f64, floor: f64| {
        let predicted = mean(pairs, &|pair| (pair.number(measured) - of(pair.predicted)).abs());
        let tolerance = (CURVE_SHARE * mean(pairs, &|pair| pair.number(measured))).max(floor);
        Figure { name: name.to_owned(), measured: 0.0, predicted, tolerance, curve_point: false }
    };
    let keys = |sample: &Sample| sample.keys as f64;
    let used = |sample: &Sample| sample.used_memory as f64;
    let stale = |pair: &Pair<'_>| pair.predicted.expired_stale_millipercent as f64 / 1000.0;
    vec![
        error("keys, mean absolute error", "keys", &keys, COUNT_FLOOR),
        error("used_memory, mean absolute error", "used_memory", &used, USED_MEMORY_FLOOR),
        figure(
            "keys, mean of the second half",
            mean(half, &|pair| pair.number("keys")),
            mean(half, &|pair| keys(pair.predicted)),
            MEAN_SHARE,
            COUNT_FLOOR,
        ),
        Figure {
            name: "expired_stale_perc, mean of the second half".to_owned(),
            measured: mean(half, &|pair| pair.number("expired_stale_perc")),
            predicted: mean(half, &stale),
            tolerance: STALE_POINTS,
            curve_point: false,
        },
    ]
}
