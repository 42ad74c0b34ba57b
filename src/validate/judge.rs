//! Measured against predicted, figure by figure, with the tolerance of each kind of figure.

use super::example::ExampleKey;
use super::measurement::Measurement;
use super::pubsub;
use super::translate::{self, Translation, translate};
use crate::profile::{Profile, QueryBuffer, TableLayout};
use crate::record::{Run, Sample};
use crate::scenario::{self, View};
use crate::sim;
use serde_json::Value;
use std::path::Path;

/// No tolerance for `used_memory` is below this (B).
pub(super) const USED_MEMORY_FLOOR: f64 = 65_536.0;
/// No tolerance for a count is below this.
const COUNT_FLOOR: f64 = 50.0;
/// A command's latency histogram (B): see `Node::note_command`.
pub(super) const HISTOGRAM: f64 = 24_688.0;
/// The measuring connection's reply buffer while it was new, and once fitted to its replies (B).  *measured*: 2048 of
/// `mem_clients_normal` 23 296 = 768 + 20 480 + 2048 in the `static` records.
pub(super) const OBSERVER_REPLY_NEW: f64 = 16_384.0;
pub(super) const OBSERVER_REPLY_SETTLED: f64 = 2_048.0;
/// A query buffer of a connection's own (B).
const QUERY_BUFFER: f64 = 20_480.0;
/// A reply buffer that was fitted to short replies (B).  Source: `PROTO_REPLY_MIN_BYTES`.
const REPLY_FITTED: f64 = 1_024.0;
/// Time between two looks of cron at a connection while there are few (s).  Source: `clientsCron`.
const CLIENTS_CRON_SECONDS: f64 = 0.1;
/// An argument beside its bytes: object, header, terminator, and what its class is larger (B).  *assumed*: 16 and 8.
const ARGUMENT: f64 = 24.0;
/// Commands of the measuring client besides those of the case.
const OBSERVER: sim::Observer = &["PING", "INFO", "DBSIZE"];

/// One figure of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What the server did.
    pub measured: f64,
    /// What the model says.
    pub predicted: f64,
    /// Largest difference accepted.
    pub tolerance: f64,
    /// One point of a curve: a document shows the worst point of a case alone.
    pub curve_point: bool,
}

impl Figure {
    /// Whether the prediction is within the tolerance.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.predicted - self.measured).abs() <= self.tolerance
    }

    /// Difference without its sign, as a share of the largest one accepted.
    #[must_use]
    pub fn by_tolerance(&self) -> f64 {
        (self.predicted - self.measured).abs() / self.tolerance
    }

    /// Difference as a share of the measured figure; the difference itself where that is zero.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        let difference = self.predicted - self.measured;
        if self.measured == 0.0 { difference } else { difference / self.measured }
    }
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was predicted.
    Judged(Vec<Figure>),
    /// Its kind, type or server is not modelled yet, or it failed when it was measured.
    Skipped(String),
}

/// A case and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseResult {
    /// Label of the server.
    pub server: String,
    /// Name of the case.
    pub case: String,
    /// Its kind.
    pub kind: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl CaseResult {
    /// Its figures; none when it was skipped.
    #[must_use]
    pub fn figures(&self) -> &[Figure] {
        match &self.outcome {
            Outcome::Judged(figures) => figures,
            Outcome::Skipped(_) => &[],
        }
    }

    /// Whether it was predicted.
    #[must_use]
    pub fn judged(&self) -> bool {
        matches!(self.outcome, Outcome::Judged(_))
    }

    /// Figures outside their tolerance.
    pub fn misses(&self) -> impl Iterator<Item = &Figure> {
        self.figures().iter().filter(|figure| !figure.holds())
    }
}

/// Predicts one measurement.
pub(super) fn judge(measurement: &Measurement) -> CaseResult {
    let outcome = match outcome(measurement) {
        Ok(figures) => Outcome::Judged(figures),
        Err(reason) => Outcome::Skipped(reason),
    };
    CaseResult {
        server: measurement.server.clone(),
        case: measurement.case.name.clone(),
        kind: measurement.case.kind.clone(),
        outcome,
    }
}

fn outcome(measurement: &Measurement) -> Result<Vec<Figure>, String> {
    if measurement.result.is_none() {
        return Err("failed when it was measured".to_owned());
    }
    if measurement.case.kind == "grow" {
        return super::grow::figures(measurement);
    }
    let Some(translation) = translate(measurement) else { return Err("not modelled yet".to_owned()) };
    let run = simulate(&measurement.case.name, &translation)?;
    match measurement.case.kind.as_str() {
        "static" if !measurement.curve().is_empty() => {
            let mut figures = static_figures(measurement, &run)?;
            figures.extend(curve_figures(measurement, &run)?);
            Ok(figures)
        }
        "static" => static_figures(measurement, &run),
        "cache" => cache_figures(measurement, &run),
        "cow" => super::cow::figures(measurement, &run),
        "expiry" => expiry_figures(measurement, &run, translation.offset_s),
        "replica" => super::replica::figures(measurement, &run),
        "churn" => super::churn::figures(measurement, &run),
        "pubsub" => pubsub::figures(measurement, &translation, &run),
        _ => super::mechanisms::figures(measurement, &translation, &run),
    }
}

pub(super) fn simulate(name: &str, translation: &Translation) -> Result<Run, String> {
    simulate_seen_from(name, translation, View::Primary)
}

pub(super) fn simulate_seen_from(name: &str, translation: &Translation, view: View) -> Result<Run, String> {
    let input = scenario::Input { name, text: &translation.toml, overrides: &[], base: Path::new(".") };
    let mut scenario = scenario::parse(&input, &|_| Err(std::io::ErrorKind::NotFound.into()))
        .map_err(|error| format!("no scenario: {error}"))?;
    scenario.view = view;
    sim::run_one(&scenario, 0, OBSERVER, &sim::Unwatched).map_err(|_| "interrupted".to_owned())
}

pub(super) fn seen(measurement: &Measurement, path: &str) -> Result<f64, String> {
    measurement.seen(path).ok_or_else(|| format!("the record has no {path}"))
}

pub(super) fn figure(name: &str, measured: f64, predicted: f64, share: f64, floor: f64) -> Figure {
    let tolerance = (measured.abs() * share).max(floor);
    Figure { name: name.to_owned(), measured, predicted, tolerance, curve_point: false }
}

/// What the measuring client's own connections and commands take on a server (B).
struct Observing {
    /// A command used for the first time.
    histogram: f64,
    /// A second connection that loads keys: what an idle one takes, its reply buffer new, and its query buffer.
    loading: f64,
    /// A query buffer that the loading connection may have of its own just then, where they are shared.
    incomplete: f64,
    /// Reply buffers are fitted to use.
    reply_buffers: bool,
    /// Tables have child buckets.
    child_buckets: bool,
}

impl Observing {
    /// By the release of the measured server; `idle`: what an idle connection takes (B).
    fn on(measurement: &Measurement, idle: f64) -> Result<Observing, String> {
        let (name, _) = measurement.server_names();
        let profile = Profile::find(&name).ok_or("not modelled yet")?;
        let query_buffer = match profile.query_buffer {
            QueryBuffer::PrivateGreedy => 40_960.0,
            // The loading client sends more than 16 KiB at a time.
            QueryBuffer::Private | QueryBuffer::SharedUntilIncomplete => QUERY_BUFFER,
            QueryBuffer::Shared => 0.0,
        };
        let reply_buffers = profile.reply_buffer_adaptive;
        Ok(Observing {
            histogram: if profile.latency_histograms { HISTOGRAM } else { 0.0 },
            loading: idle + query_buffer + if reply_buffers { OBSERVER_REPLY_NEW - REPLY_FITTED } else { 0.0 },
            incomplete: if profile.query_buffer == QueryBuffer::Shared { QUERY_BUFFER } else { 0.0 },
            reply_buffers,
            child_buckets: profile.table_layout == TableLayout::Buckets,
        })
    }
}

/// Growth of `used_memory` from the empty server to the loaded one.
fn static_figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    let delta = seen(measurement, "delta")?;
    let grown = run.end.used_memory as f64 - run.timeline.first().map_or(0.0, |s| s.used_memory as f64);
    // Between the two readings DBSIZE (and EXPIRE) were first used, and the reading connection's buffer was fitted; in
    // the run DBSIZE counts from the start.
    let observing = Observing::on(measurement, 0.0)?;
    let histograms = if measurement.case.parameters.contains_key("ttl") { 2.0 } else { 1.0 } * observing.histogram;
    let fitted = if observing.reply_buffers { OBSERVER_REPLY_NEW - OBSERVER_REPLY_SETTLED } else { 0.0 };
    let observed = histograms - fitted;
    let drawn = sizes_drawn(measurement, run);
    let key = ExampleKey::of(measurement, run);
    let mut figures =
        vec![figure("delta of used_memory", delta, grown + observed + drawn, key.share(), USED_MEMORY_FLOOR)];
    figures.push(peak_loading(measurement, run, drawn)?);
    figures.extend(key.figures("", measurement.text("encoding"), measurement.seen("memory_usage_sample")));
    Ok(figures)
}

/// The peak while keys are loaded, over a second connection.
fn peak_loading(measurement: &Measurement, run: &Run, drawn: f64) -> Result<Figure, String> {
    let before = seen(measurement, "before.used_memory")?;
    let first = run.timeline.first().ok_or("the run is too short")?;
    let idle = first.parts[crate::node::ledger::MemoryPart::Clients as usize] as f64;
    let observing = Observing::on(measurement, idle)?;
    let grown = run.peak.used_memory as f64 - first.used_memory as f64;
    let predicted = before + grown + observing.loading + arguments(&measurement.case) + drawn;
    let measured = seen(measurement, "peak_loading")?;
    // How fast keys were loaded is not recorded, nor whether the table that was there before the last doubling was still
    // alive at the peak: whichever is nearer.
    let old_table = 4.0 * (measurement.case.number("n").unwrap_or(0.0) as u64).next_power_of_two() as f64;
    let nearest = [predicted, predicted + old_table, predicted - old_table]
        .into_iter()
        .min_by(|a, b| (a - measured).abs().total_cmp(&(b - measured).abs()));
    Ok(figure("peak_loading", measured, nearest.unwrap_or(predicted), 0.01, USED_MEMORY_FLOOR))
}

/// Arguments of a command that brings elements: objects of their own until it has been executed (B).
fn arguments(case: &super::measurement::Case) -> f64 {
    let number = |name: &str| case.number(name).unwrap_or(8.0);
    let Some(elements) = case.number("elements").filter(|_| case.text("type") != Some("stream")) else { return 0.0 };
    let each = match case.text("type") {
        Some("hash") => number("element_len") + number("value_len") + 2.0 * ARGUMENT,
        Some("zset") => number("element_len") + 2.0 * ARGUMENT,
        Some("list") => number("value_len") + ARGUMENT,
        _ => number("element_len") + ARGUMENT,
    };
    each * elements.min(translate::BATCH as f64)
}

/// What the record's sizes weigh more than the run's, where they are drawn: the sizes are an input.
fn sizes_drawn(measurement: &Measurement, run: &Run) -> f64 {
    let drawn = measurement.case.parameters.get("size").is_some_and(Value::is_object);
    match (drawn, measurement.seen("sum_size")) {
        (true, Some(sum)) if run.value_bytes > 0 => {
            // Classes are proportional to sizes on the whole: values weigh more by the factor by which they are longer.
            let values = run.end.parts[crate::node::ledger::MemoryPart::Values as usize] as f64;
            values * (sum / run.value_bytes as f64 - 1.0)
        }
        _ => 0.0,
    }
}

/// `used_memory` at each point of the curve where the same tables are alive in both.
fn curve_figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    let before = seen(measurement, "before.used_memory")?;
    let first = run.timeline.first().ok_or("the run is too short")?;
    let idle = first.parts[crate::node::ledger::MemoryPart::Clients as usize] as f64;
    let observing = Observing::on(measurement, idle)?;
    let mut figures = Vec::new();
    for [keys, used, seconds] in measurement.curve() {
        let Some(sample) = run.timeline.iter().min_by_key(|s| s.keys.abs_diff(keys as u64)) else { continue };
        // How far a rehash has come depends on the speed of loading, and with it what child buckets are left.
        if observing.child_buckets && sample.rehashing_bytes > 0 {
            continue;
        }
        let table = |s: &Sample| s.parts[crate::node::ledger::MemoryPart::MainTable as usize] as f64;
        let per_key = (sample.used_memory as f64 - table(sample) - first.used_memory as f64) / sample.keys as f64;
        let given_back = if observing.reply_buffers { 2.0 * reply_buffer_given_back(seconds) } else { 0.0 };
        let rest = before + keys * per_key + observing.histogram + observing.loading - given_back;
        // Whether the loading connection had an incomplete command is not recorded: whichever is nearer.
        let above = used - rest - table(sample);
        let rest = if above > observing.incomplete / 2.0 { rest + observing.incomplete } else { rest };
        // Other tables differ by at least an eighth of a table; the rest is known far better.
        if (used - rest - table(sample)).abs() < table(sample) / 8.0 {
            let name = format!("used_memory at {keys} keys");
            figures.push(Figure { curve_point: true, ..figure(&name, used, rest + table(sample), 0.005, 0.0) });
        }
    }
    Ok(figures)
}

/// What cron has taken from a new connection's reply buffer by then (B), as an expectation: its second look fits the
/// buffer, and when the first one comes is not recorded.
fn reply_buffer_given_back(seconds: f64) -> f64 {
    let fitted = (seconds / CLIENTS_CRON_SECONDS - 1.0).clamp(0.0, 1.0);
    fitted * (OBSERVER_REPLY_NEW - REPLY_FITTED)
}

fn cache_figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    let half = run.timeline.len() / 2;
    let (Some(from), Some(to)) = (run.timeline.get(half), run.timeline.last()) else {
        return Err("the run is too short".to_owned());
    };
    let hits = to.counters.keyspace_hits - from.counters.keyspace_hits;
    let misses = to.counters.keyspace_misses - from.counters.keyspace_misses;
    let ratio = misses as f64 / (hits + misses).max(1) as f64;
    Ok(vec![
        Figure {
            name: "miss_ratio_2nd_half".to_owned(),
            measured: seen(measurement, "miss_ratio_2nd_half")?,
            predicted: ratio,
            tolerance: 0.006,
            curve_point: false,
        },
        count(measurement, "end.evicted_keys", to.counters.evicted_keys, 0.02)?,
        count(measurement, "end.expired_keys", to.counters.expired_keys, 0.03)?,
        count(measurement, "end.keys", to.keys, 0.01)?,
        count(measurement, "oom_errors", to.counters.oom_errors, 0.02)?,
        figure(
            "end.used_memory",
            seen(measurement, "end.used_memory")?,
            to.used_memory as f64,
            0.005,
            USED_MEMORY_FLOOR,
        ),
    ])
}

fn count(measurement: &Measurement, path: &str, predicted: u64, share: f64) -> Result<Figure, String> {
    Ok(figure(path, seen(measurement, path)?, predicted as f64, share, COUNT_FLOOR))
}

fn expiry_figures(measurement: &Measurement, run: &Run, offset_s: f64) -> Result<Vec<Figure>, String> {
    let timeline = measurement.timeline();
    let half = &timeline[timeline.len() / 2..];
    let number = |s: &Value, name: &str| s.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let mean = |of: &dyn Fn(&Value) -> f64| half.iter().map(of).sum::<f64>() / half.len().max(1) as f64;
    let at = |s: &Value| run_at(run, number(s, "t") - offset_s);
    Ok(vec![
        figure(
            "keys, mean of the second half",
            mean(&|s| number(s, "keys")),
            mean(&|s| at(s).map_or(0.0, |sample| sample.keys as f64)),
            0.04,
            COUNT_FLOOR,
        ),
        count(measurement, "end.expired_keys", run.end.counters.expired_keys, 0.02)?,
        Figure {
            name: "expired_stale_perc, mean of the second half".to_owned(),
            measured: mean(&|s| number(s, "expired_stale_perc")),
            predicted: mean(&|s| at(s).map_or(0.0, |sample| sample.expired_stale_millipercent as f64 / 1000.0)),
            tolerance: 3.0,
            curve_point: false,
        },
    ])
}

/// The sample nearest to a time of the run (s).
fn run_at(run: &Run, seconds: f64) -> Option<&Sample> {
    let after = run.timeline.partition_point(|s| s.at.as_secs_f64() < seconds);
    let candidates = run.timeline[after.saturating_sub(1)..].iter().take(2);
    candidates.min_by(|a, b| {
        let distance = |s: &Sample| (s.at.as_secs_f64() - seconds).abs();
        distance(a).total_cmp(&distance(b))
    })
}
