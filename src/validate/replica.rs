//! Kind `replica`: a replica is in sync, then frozen; writes go on.

use super::figure::{Compared, Figure, Series, Unit};
use super::judge::{seen, simulate};
use super::measurement::Measurement;
use super::tolerance;
use super::translate::{Translation, keyspace};
use crate::layout::resp;
use crate::layout::string::MAX_LENGTH;
use crate::record::{EventKind, Run, Sample};
use serde_json::Value;
use std::fmt::Write as _;

/// The replica is frozen so long after the start (s), and how the scenario writes it.
const FROZEN_AT: f64 = 1.0;
const FROZEN: &str = "\"1000ms\"";
/// Soft limits count whole seconds of the clock; where in one the replica was frozen is no part of a record (ms).
const PHASES: [u32; 5] = [0, 200, 400, 600, 800];
/// Samples of a run for each reading of a record, which come every quarter of a second.
const SAMPLES_PER_READING: usize = 5;
/// Bytes of stream in a block, of those that `mem_total_replication_buffers` counts for it.  Source: `node::backlog`.
const BLOCK_FILL: f64 = 20_440.0 / 20_504.0;
/// A pause of the client between two bursts of writes (s).  Source: `measure.py`, `run_replica`.
const BURST_SECONDS: f64 = 0.003;

fn number(value: &Value, name: &str) -> Option<f64> {
    value.get(name).and_then(Value::as_f64)
}

/// Writes a second, as they were made.
fn rate(measurement: &Measurement) -> Option<f64> {
    Some(measurement.seen("writes")? / measurement.case.number("duration")?)
}

/// Bytes of stream a second.
fn stream_rate(measurement: &Measurement) -> Option<f64> {
    // Longer ones are refused with the scenario.
    let length = |given: f64| (given as u64).min(MAX_LENGTH);
    let (key, value) = (measurement.case.number("key_len")?, measurement.case.number("size")?);
    Some(rate(measurement)? * resp::command(&[3, length(key), length(value)]) as f64)
}

/// When the replica was dropped: the first reading without one (s).
fn dropped_at(measurement: &Measurement) -> Option<f64> {
    let gone = |sample: &&Value| number(sample, "connected_slaves") == Some(0.0);
    measurement.timeline().iter().find(gone).and_then(|sample| number(sample, "t"))
}

/// What the kernel's sockets took, which is an input: what was written by a reading in the middle of the growth, less
/// what the buffers then held (B).
fn socket_bytes(measurement: &Measurement) -> Option<f64> {
    let end = dropped_at(measurement).or_else(|| measurement.case.number("duration"))?;
    let half = measurement.timeline().iter().find(|s| number(s, "t").is_some_and(|t| t >= end / 2.0))?;
    let held = number(half, "mem_total_replication_buffers")? * BLOCK_FILL;
    Some((stream_rate(measurement)? * number(half, "t")? - held).max(0.0))
}

/// The scenario of a measurement.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let (duration, rate) = (case.number("duration")?, rate(measurement)?);
    let _ = writeln!(toml, "duration = \"{:.0}ms\"\nsample-interval = \"50ms\"", (duration + FROZEN_AT) * 1e3);
    keyspace(case, case.number("n")?, toml)?;
    let _ = writeln!(
        toml,
        "preload = {{ share = 1.0, by = \"commands\", load-rate = 100_000, order = \"sequential\" }}\n\n\
         [[traffic]]\nkeyspace = \"k\"\nrate = {rate}\narrivals = \"deterministic\"\npopularity = \"sequential\"\n\
         commands = {{ SET = 1 }}\nclients = \"load\"\nfrom = {FROZEN}\n\n\
         [[clients]]\nname = \"load\"\npipeline = {:.0}\n\n\
         [[replica]]\nname = \"r\"\nsocket-buffer = {:.0}\nstalls = [ {{ at = {FROZEN}, for = \"{:.0}s\" }} ]",
        (rate * BURST_SECONDS).max(1.0),
        socket_bytes(measurement)?,
        duration + 10.0
    );
    Some(())
}

/// What came of one phase of the clock.
struct Phase {
    /// `used_memory_peak` (B).
    peak: f64,
    /// The largest `mem_total_replication_buffers` among readings a quarter of a second apart, on average (B).
    largest: f64,
    /// When the replica was dropped, after it was frozen (s).
    dropped: Option<f64>,
}

/// The run in which the replica is frozen `begun` seconds after a whole one.
fn phase(run: &Run, begun: f64) -> Phase {
    let buffers = |sample: &Sample| sample.replication.mem_total_replication_buffers;
    let largest_from = |first| run.timeline.iter().skip(first).step_by(SAMPLES_PER_READING).map(buffers).max();
    let largest: u64 = (0..SAMPLES_PER_READING).filter_map(largest_from).sum();
    let dropped = run.events.iter().find_map(|event| match event.kind {
        EventKind::ReplicaDropped { .. } => Some(event.at.as_secs_f64() - FROZEN_AT - begun),
        _ => None,
    });
    Phase { peak: run.end.used_memory_peak as f64, largest: largest as f64 / SAMPLES_PER_READING as f64, dropped }
}

/// Peak, largest buffers, and when the replica was dropped: means over the phases of the clock.
pub(super) fn compare(measurement: &Measurement, translation: &Translation, first: &Run) -> Result<Compared, String> {
    const BUFFERS: &str = "mem_total_replication_buffers";
    let mut phases = vec![phase(first, 0.0)];
    for ms in PHASES.into_iter().skip(1) {
        let toml = translation.toml.replace(FROZEN, &format!("\"{}ms\"", FROZEN_AT * 1e3 + f64::from(ms)));
        let run = simulate(&measurement.case.name, &Translation { toml, offset_s: 0.0 })?;
        phases.push(phase(&run, f64::from(ms) / 1e3));
    }
    let mean = |of: &dyn Fn(&Phase) -> f64| phases.iter().map(of).sum::<f64>() / phases.len() as f64;
    let held = |sample: &Value| number(sample, BUFFERS);
    let record = measurement.timeline();
    let largest = record.iter().filter_map(held).fold(0.0, f64::max);
    let peak = seen(measurement, "end.used_memory_peak")?;
    let mut figures = vec![
        Figure::new("end.used_memory_peak", peak, mean(&|p| p.peak), tolerance::REPLICA_PEAK),
        Figure::new(format!("largest {BUFFERS}"), largest, mean(&|p| p.largest), tolerance::REPLICA_BUFFERS),
    ];
    figures.push(if let Some(measured) = dropped_at(measurement) {
        // Who is never dropped counts as dropped long after the end.
        let never = measurement.case.number("duration").unwrap_or(0.0) * 2.0;
        let predicted = mean(&|p| p.dropped.unwrap_or(never));
        Figure::new("time of the disconnect", measured, predicted, tolerance::REPLICA_TIME)
    } else {
        let disconnects = mean(&|p| f64::from(p.dropped.is_some())).round();
        Figure::new("disconnects", 0.0, disconnects, tolerance::EQUAL)
    });
    let predicted: &dyn Fn(&Sample) -> f64 = &|s| s.replication.mem_total_replication_buffers as f64;
    let series = Series::over_time(BUFFERS, Unit::Bytes, (record, &held), (&first.timeline, predicted), -FROZEN_AT);
    Ok(Compared { figures, series: vec![series] })
}
