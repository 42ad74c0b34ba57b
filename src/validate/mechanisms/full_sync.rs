//! Kind `full-sync`: a replica attaches to a primary that is written to.

use super::super::figure::Figure;
use super::super::measurement::Measurement;
use super::super::tolerance;
use super::super::translate::{Translation, keyspace};
use super::{child_life, number, popularity, seen, simulate_seen_from};
use crate::record::{EventKind, Run};
use crate::scenario::View;
use serde_json::Value;
use std::fmt::Write as _;

/// Writing begins so long after the load (s).
const BEGIN: f64 = 1.0;
/// A pause of the client between two bursts of writes (s).  Source: `run_full_sync`: sleeps 2 ms, and works.
const BURST_SECONDS: f64 = 0.003;
/// The script reads so long after the last write (s).
const READS_AFTER: f64 = 1.0;
/// A rate at which the bytes that a child writes take no time: `snapshot-key` alone says how long it lives (B/s).
const INSTANT: u64 = 1 << 40;

/// Half way between a reading and the one before (s).
fn half_way(timeline: &[Value], index: usize) -> Option<f64> {
    Some((number(timeline.get(index.checked_sub(1)?)?, "t")? + number(timeline.get(index)?, "t")?) / 2.0)
}

/// When the child was first seen, and first seen no more (s).
fn child(measurement: &Measurement) -> Option<(f64, f64)> {
    let timeline = measurement.timeline();
    let lives = |row: &Value| number(row, "rdb_bgsave_in_progress") == Some(1.0);
    let (first, last) = (timeline.iter().position(lives)?, timeline.iter().rposition(lives)?);
    Some((half_way(timeline, first)?, half_way(timeline, last + 1)?))
}

/// How long the file took to the replica, where it was seen on its way (s).
fn transfer_seconds(measurement: &Measurement) -> Option<f64> {
    let timeline = measurement.timeline();
    let sent = |row: &Value| row.get("state").and_then(Value::as_str) == Some("send_bulk");
    let (first, last) = (timeline.iter().position(sent)?, timeline.iter().rposition(sent)?);
    Some(half_way(timeline, last + 1)? - half_way(timeline, first)?)
}

/// The scenario of a measurement.  Rate reached, the child's life and the file's transfer are inputs.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let keys = case.number("n")?;
    let wall = measurement.seen("wall")?;
    let rate = measurement.seen("writes")? / wall;
    let (begun, ended) = child(measurement)?;
    let bytes = keys * (case.number("key_len")? + case.number("size")?);
    let link = transfer_seconds(measurement).map_or(INSTANT as f64, |seconds| bytes / seconds);
    let _ = writeln!(
        toml,
        "duration = \"{:.0}ms\"\nsample-interval = \"50ms\"\n\n[host]\nsnapshot-rate = {INSTANT}\n\n\
         [costs]\nsnapshot-key = \"{:.0}ns\"",
        (BEGIN + wall + READS_AFTER) * 1e3,
        child_life(begun, ended) * 1e9 / keys
    );
    keyspace(case, keys, toml)?;
    let _ = writeln!(
        toml,
        "preload = {{ share = 1.0, by = \"commands\", load-rate = 100_000, order = \"sequential\" }}\n\n\
         [[traffic]]\nkeyspace = \"k\"\nrate = {rate}\narrivals = \"deterministic\"\npopularity = \"{}\"\n\
         commands = {{ SET = 1 }}\nclients = \"load\"\nfrom = \"{:.0}ms\"\nuntil = \"{:.0}ms\"\n\n\
         [[clients]]\nname = \"load\"\npipeline = {:.0}\n\n[[replica]]\nname = \"r\"\nlink = {link:.0}\n\n\
         [[event]]\nat = \"{:.0}ms\"\nkind = \"replica-attach\"\nreplica = \"r\"",
        popularity(case),
        BEGIN * 1e3,
        (BEGIN + wall) * 1e3,
        (rate * BURST_SECONDS).max(1.0),
        (BEGIN + measurement.seen("attached")?) * 1e3
    );
    Some(())
}

/// What the primary held, what its child copied, when the replica was in sync, and what that one holds.
pub(super) fn figures(measurement: &Measurement, translation: &Translation, run: &Run) -> Result<Vec<Figure>, String> {
    let held = |row: &Value| number(row, "mem_total_replication_buffers").unwrap_or(0.0);
    let largest = measurement.timeline().iter().map(held).fold(0.0, f64::max);
    let predicted = run.timeline.iter().map(|s| s.replication.mem_total_replication_buffers).max().unwrap_or(0) as f64;
    // What the measuring client itself takes is no part of the prediction.
    let settled = super::before(run, BEGIN).ok_or("the run is too short")?;
    let observed = seen(measurement, "before.used_memory")? - settled.used_memory as f64;
    let peak = run.end.used_memory_peak as f64 + observed;
    let used = run.end.used_memory as f64 + observed;
    let cow = run.end.persistence.rdb_last_cow_size as f64;
    let read = |name: &str| seen(measurement, name);
    let mut figures = vec![
        Figure::new("end.used_memory_peak", read("end.used_memory_peak")?, peak, tolerance::MECHANISM_PEAK),
        Figure::new("end.used_memory", read("end.used_memory")?, used, tolerance::MECHANISM_USED_MEMORY),
        Figure::new("largest mem_total_replication_buffers", largest, predicted, tolerance::MECHANISM_PEAK),
        Figure::new("end.rdb_last_cow_size", read("end.rdb_last_cow_size")?, cow, tolerance::MECHANISM_COW),
        Figure::new("end.sync_full", read("end.sync_full")?, run.end.counters.sync_full as f64, tolerance::EQUAL),
    ];
    if let Some(online) = measurement.seen("online") {
        let never = 2.0 * measurement.case.number("duration").unwrap_or(online);
        let at = run.events.iter().find_map(|event| match event.kind {
            EventKind::ReplicaOnline { .. } => Some(event.at.as_secs_f64() - BEGIN),
            _ => None,
        });
        figures.push(Figure::new(
            "time of the replica in sync",
            online,
            at.unwrap_or(never),
            tolerance::MECHANISM_TIME,
        ));
    }
    let theirs = simulate_seen_from(&measurement.case.name, translation, View::Replica(0))?;
    let empty = theirs.timeline.first().ok_or("the run is too short")?.used_memory as f64;
    let used = theirs.end.used_memory as f64 - empty + read("replica_before.used_memory")?;
    figures.push(Figure::new(
        "replica_end.used_memory",
        read("replica_end.used_memory")?,
        used,
        tolerance::MECHANISM_USED_MEMORY,
    ));
    figures.push(Figure::new("replica_end.keys", read("replica_end.keys")?, theirs.end.keys as f64, tolerance::EQUAL));
    Ok(figures)
}
