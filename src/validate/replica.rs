//! Kind `replica`: a replica is in sync, then frozen; writes go on.

use super::figure::{Compared, Figure, Series, Unit};
use super::judge::seen;
use super::measurement::Measurement;
use super::tolerance;
use super::translate::keyspace;
use crate::layout::resp;
use crate::record::{EventKind, Run, Sample};
use serde_json::Value;
use std::fmt::Write as _;

/// The replica is frozen so long after the start (s).
const FROZEN_AT: f64 = 1.0;
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
    let (key, value) = (measurement.case.number("key_len")?, measurement.case.number("size")?);
    Some(rate(measurement)? * resp::command(&[3, key as u64, value as u64]) as f64)
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
    let _ = writeln!(toml, "duration = \"{:.0}ms\"\nsample-interval = \"250ms\"", (duration + FROZEN_AT) * 1e3);
    keyspace(case, case.number("n")?, toml)?;
    let _ = writeln!(
        toml,
        "preload = {{ share = 1.0, by = \"commands\", load-rate = 100_000, order = \"sequential\" }}\n\n\
         [[traffic]]\nkeyspace = \"k\"\nrate = {rate}\narrivals = \"deterministic\"\npopularity = \"sequential\"\n\
         commands = {{ SET = 1 }}\nclients = \"load\"\nfrom = \"{:.0}ms\"\n\n\
         [[clients]]\nname = \"load\"\npipeline = {:.0}\n\n\
         [[replica]]\nname = \"r\"\nsocket-buffer = {:.0}\nstalls = [ {{ at = \"{:.0}ms\", for = \"{:.0}s\" }} ]",
        FROZEN_AT * 1e3,
        (rate * BURST_SECONDS).max(1.0),
        socket_bytes(measurement)?,
        FROZEN_AT * 1e3,
        duration + 10.0
    );
    Some(())
}

/// Peak, largest buffers, and when the replica was dropped.
pub(super) fn compare(measurement: &Measurement, run: &Run) -> Result<Compared, String> {
    const BUFFERS: &str = "mem_total_replication_buffers";
    let held = |sample: &Value| number(sample, BUFFERS);
    let record = measurement.timeline();
    let largest = record.iter().filter_map(held).fold(0.0, f64::max);
    // A reading a quarter of a second before the disconnect is the largest that both have.
    let predicted = run.timeline.iter().map(|s| s.replication.mem_total_replication_buffers).max().unwrap_or(0);
    let peak = seen(measurement, "end.used_memory_peak")?;
    let mut figures = vec![
        Figure::new("end.used_memory_peak", peak, run.end.used_memory_peak as f64, tolerance::REPLICA_PEAK),
        Figure::new(format!("largest {BUFFERS}"), largest, predicted as f64, tolerance::REPLICA_BUFFERS),
    ];
    let dropped = run.events.iter().find_map(|event| match event.kind {
        EventKind::ReplicaDropped { .. } => Some(event.at.as_secs_f64() - FROZEN_AT),
        _ => None,
    });
    figures.push(match (dropped_at(measurement), dropped) {
        (Some(measured), at) => {
            let at = at.unwrap_or(measurement.case.number("duration").unwrap_or(0.0) * 2.0);
            Figure::new("time of the disconnect", measured, at, tolerance::REPLICA_TIME)
        }
        (None, at) => Figure::new("disconnects", 0.0, f64::from(at.is_some()), tolerance::EQUAL),
    });
    let predicted: &dyn Fn(&Sample) -> f64 = &|s| s.replication.mem_total_replication_buffers as f64;
    let series = Series::over_time(BUFFERS, Unit::Bytes, (record, &held), (&run.timeline, predicted), -FROZEN_AT);
    Ok(Compared { figures, series: vec![series] })
}
