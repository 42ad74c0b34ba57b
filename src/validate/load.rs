//! Kind `static`: keys of one type are loaded, and the server is read before, on the way and after.

use super::example::ExampleKey;
use super::figure::{Along, Compared, Figure, Series, Unit};
use super::judge::{seen, simulate};
use super::measurement::Measurement;
use super::old_table::{self, Doubling, Point};
use super::tolerance;
use super::translate::{self, Translation};
use crate::node::ledger::MemoryPart;
use crate::profile::{Profile, QueryBuffer};
use crate::record::{Run, Sample};
use serde_json::Value;

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

/// Begin of a load after a look of cron (ms).
const PHASES: [u64; 10] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90];

/// What the measuring client's own connections and commands take on a server (B).
struct Observing {
    /// A command used for the first time.
    histogram: f64,
    /// A second connection that loads keys: what an idle one takes, its reply buffer new, and its query buffer.
    loading: f64,
    /// Reply buffers are fitted to use.
    reply_buffers: bool,
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
            reply_buffers,
        })
    }
}

/// Growth of `used_memory` from the empty server to the loaded one, its peak, and every point on the way.
pub(super) fn compare(measurement: &Measurement, run: &Run) -> Result<Compared, String> {
    let mut compared = curve_figures(measurement, run)?;
    let mut figures = static_figures(measurement, run)?;
    figures.append(&mut compared.figures);
    Ok(Compared { figures, ..compared })
}

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
    let mut figures = vec![Figure::new("delta of used_memory", delta, grown + observed + drawn, key.tolerance())];
    figures.push(peak_loading(measurement, run, drawn)?);
    figures.extend(key.figures("", measurement.text("encoding"), measurement.seen("memory_usage_sample")));
    Ok(figures)
}

/// The peak while keys are loaded, over a second connection; where with all keys loaded only the old table makes the
/// difference, the keys with which it goes instead.
fn peak_loading(measurement: &Measurement, run: &Run, drawn: f64) -> Result<Figure, String> {
    let loading = Loading::of(measurement, run)?;
    let client = loading.observing.loading + arguments(&measurement.case) + drawn;
    let at = |used: u64| loading.before + used as f64 - loading.empty + client;
    let (measured, predicted) = (seen(measurement, "peak_loading")?, at(run.peak.used_memory));
    let tolerance = tolerance::STATIC_PEAK_LOADING;
    let figure = Figure::new("peak_loading", measured, predicted, tolerance);
    let loaded = run.timeline.iter().find(|sample| sample.keys == run.end.keys);
    let (Some(loaded), Some(last)) = (loaded, old_table::doublings(&run.timeline).pop()) else { return Ok(figure) };
    let point = Point {
        keys: loaded.keys as f64,
        measured,
        predicted: at(loaded.used_memory),
        old_table_alive: loaded.rehashing_bytes > 0,
    };
    if figure.holds() || !last.is_all_that_differs(&point, tolerance.of(measured)) {
        return Ok(figure);
    }
    let goes = old_table_goes(measurement, &point)?;
    Ok(goes.map_or(figure, |goes| Figure { name: format!("peak_loading: {}", goes.name), curve_point: false, ..goes }))
}

/// With which key the old table goes that was there, or was not, when all keys were loaded: how long it lives is known from
/// runs that load more keys.  Cron looks after it ten times a second, and when a load began between two looks is not
/// recorded: the mean of ten phases.
fn old_table_goes(measurement: &Measurement, loaded: &Point) -> Result<Option<Figure>, String> {
    let longer = measurement.with_number("n", loaded.keys * 2.0);
    let (mut lived, mut until) = (Vec::new(), f64::INFINITY);
    for ms in PHASES {
        let translation = translate::translate(&longer).ok_or("not modelled yet")?;
        let toml = translation.toml.replace(translate::BEGIN, &format!("at = \"{ms}ms\""));
        let run = simulate(&measurement.case.name, &Translation { toml, ..translation })?;
        let doublings = old_table::doublings(&run.timeline);
        let Some(index) = doublings.iter().rposition(|doubling| doubling.at <= loaded.keys) else { continue };
        until = doublings.get(index + 1).map_or(until, |next| until.min(next.at));
        lived.push(doublings[index]);
    }
    Ok(Doubling::mean(&lived).map(|doubling| doubling.goes(&[*loaded], until)))
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
            let values = run.end.parts[MemoryPart::Values as usize] as f64;
            values * (sum / run.value_bytes as f64 - 1.0)
        }
        _ => 0.0,
    }
}

/// What the measuring client adds to a server that is being loaded.
struct Loading {
    before: f64,
    empty: f64,
    observing: Observing,
}

impl Loading {
    fn of(measurement: &Measurement, run: &Run) -> Result<Loading, String> {
        let first = run.timeline.first().ok_or("the run is too short")?;
        let idle = first.parts[MemoryPart::Clients as usize] as f64;
        Ok(Loading {
            before: seen(measurement, "before.used_memory")?,
            empty: first.used_memory as f64,
            observing: Observing::on(measurement, idle)?,
        })
    }

    /// `used_memory` as the record would show it with so many keys at this sample, so many seconds after the first key.
    fn at(&self, sample: &Sample, keys: f64, seconds: f64) -> f64 {
        let table = sample.parts[MemoryPart::MainTable as usize] as f64;
        let per_key = (sample.used_memory as f64 - table - self.empty) / sample.keys.max(1) as f64;
        let given_back = if self.observing.reply_buffers { 2.0 * reply_buffer_given_back(seconds) } else { 0.0 };
        let client = self.observing.histogram + self.observing.loading - given_back;
        self.before + keys * per_key + table + client
    }
}

/// Every point of the curve; where only the old table makes the difference, the keys with which it goes instead.
fn curve_figures(measurement: &Measurement, run: &Run) -> Result<Compared, String> {
    let loading = Loading::of(measurement, run)?;
    let doublings = old_table::doublings(&run.timeline);
    let mut points = Vec::new();
    for [keys, measured, seconds] in measurement.curve() {
        let Some(sample) = run.timeline.iter().min_by_key(|s| s.keys.abs_diff(keys as u64)) else { continue };
        let predicted = loading.at(sample, keys, seconds);
        points.push(Point { keys, measured, predicted, old_table_alive: sample.rehashing_bytes > 0 });
    }
    let mut figures = Vec::new();
    let mut differ = vec![false; doublings.len()];
    for point in &points {
        let doubling = doublings.iter().rposition(|doubling| doubling.at <= point.keys);
        let tolerance = tolerance::STATIC_CURVE;
        match doubling.filter(|&i| doublings[i].is_all_that_differs(point, tolerance.of(point.measured))) {
            Some(index) => differ[index] = true,
            None => {
                let name = format!("used_memory at {} keys", point.keys);
                figures.push(Figure::new(name, point.measured, point.predicted, tolerance).on_curve());
            }
        }
    }
    for (index, _) in differ.iter().enumerate().filter(|(_, differ)| **differ) {
        let until = doublings.get(index + 1).map_or(f64::INFINITY, |next| next.at);
        figures.push(doublings[index].goes(&points, until));
    }
    let mut predicted: Vec<(f64, f64)> = run
        .timeline
        .iter()
        .map(|sample| (sample.keys as f64, loading.at(sample, sample.keys as f64, sample.at.as_secs_f64())))
        .collect();
    predicted.dedup_by_key(|point| point.0);
    let measured = points.iter().map(|point| (point.keys, point.measured)).collect();
    let series = Series { name: "used_memory", along: Along::Keys, unit: Unit::Bytes, measured, predicted };
    Ok(Compared { figures, series: vec![series] })
}

/// What cron has taken from a new connection's reply buffer by then (B), as an expectation: its second look fits the
/// buffer, and when the first one comes is not recorded.
fn reply_buffer_given_back(seconds: f64) -> f64 {
    let fitted = (seconds / CLIENTS_CRON_SECONDS - 1.0).clamp(0.0, 1.0);
    fitted * (OBSERVER_REPLY_NEW - REPLY_FITTED)
}
