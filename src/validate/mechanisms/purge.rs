//! Kind `purge`: keys are loaded, a share of them is deleted, MEMORY PURGE: what the allocator keeps.

use super::super::figure::Figure;
use super::super::measurement::Measurement;
use super::super::tolerance;
use super::super::translate::keyspace;
use super::{before, number};
use crate::record::Run;
use serde_json::Value;
use std::fmt::Write as _;

/// After the last mark the run goes on for this long (s).
const TAIL_SECONDS: f64 = 0.2;

fn marks(measurement: &Measurement) -> &[Value] {
    let marks = measurement.result.as_ref().and_then(|result| result.get("marks")).and_then(Value::as_array);
    marks.map_or(&[], Vec::as_slice)
}

/// Begin and end of a step (s).
fn step(measurement: &Measurement, name: &str) -> Option<(f64, f64)> {
    let times = measurement.result.as_ref()?.get("times")?.get(name)?.as_array()?;
    Some((times.first()?.as_f64()?, times.get(1)?.as_f64()?))
}

/// The scenario of a measurement.  How long each step took is an input.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let (keys, share) = (case.number("n")?, case.number("share")?);
    let (load, delete) = (step(measurement, "load")?, step(measurement, "delete")?);
    let rate = |keys: f64, (from, to): (f64, f64)| keys / (to - from).max(0.001);
    let end = marks(measurement).last().and_then(|mark| number(mark, "t"))? + TAIL_SECONDS;
    let _ = writeln!(toml, "duration = \"{:.0}ms\"\nsample-interval = \"50ms\"", end * 1e3);
    keyspace(case, keys, toml)?;
    let _ = writeln!(
        toml,
        "\n[[event]]\nat = \"{:.0}ms\"\nkind = \"fill\"\nkeyspace = \"k\"\nkeys = {keys}\nrate = {:.0}\n\n\
         [[event]]\nat = \"{:.0}ms\"\nkind = \"delete\"\nkeyspace = \"k\"\nshare = {share}\norder = \"{}\"\nrate = {:.0}\n\n\
         [[event]]\nat = \"{:.0}ms\"\nkind = \"memory-purge\"",
        load.0 * 1e3,
        rate(keys, load),
        delete.0 * 1e3,
        case.text("order")?,
        rate(keys * share, delete),
        step(measurement, "purge")?.0 * 1e3,
    );
    Some(())
}

/// What every mark read, but for the empty server's.
pub(super) fn figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    let marks = marks(measurement);
    let read = |mark: &Value, name: &str| number(mark, name).ok_or_else(|| format!("a mark has no {name}"));
    let empty = marks.first().ok_or("the record has no marks")?;
    let first = before(run, read(empty, "t")?).ok_or("the run is too short")?;
    // What the measuring client itself takes is no part of the prediction.
    let observed = read(empty, "used_memory")? - first.used_memory as f64;
    let mut figures = Vec::new();
    for mark in &marks[1..] {
        let label = mark.get("label").and_then(Value::as_str).unwrap_or("mark");
        let sample = before(run, read(mark, "t")?).ok_or("the run is too short")?;
        let name = |what: &str| format!("{what}, {label}");
        let used = sample.used_memory as f64 + observed;
        figures.push(Figure::new(
            name("used_memory"),
            read(mark, "used_memory")?,
            used,
            tolerance::MECHANISM_USED_MEMORY,
        ));
        for (what, predicted) in [
            ("allocator_active", sample.allocator.active),
            ("allocator_resident", sample.allocator.resident),
            ("used_memory_rss", sample.allocator.rss),
        ] {
            figures.push(Figure::new(name(what), read(mark, what)?, predicted as f64, tolerance::MECHANISM_PAGES));
        }
    }
    Ok(figures)
}
