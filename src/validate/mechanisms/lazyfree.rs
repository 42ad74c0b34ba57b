//! Kind `lazyfree`: one large key is deleted, at once or in the background.

use super::super::figure::Figure;
use super::super::measurement::{Case, Measurement};
use super::super::tolerance;
use super::super::translate::keyspace;
use super::{number, seen};
use crate::record::Run;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The command comes so long after the start (s).
const DELETED_AT: f64 = 1.0;
/// Length of a field's name.  Source: `run_lazyfree`.
const FIELD_LENGTH: u64 = 12;

/// The keyspace of one key: `size` is the length of its elements.
fn one_key(case: &Case) -> Option<Case> {
    let mut parameters: Map<String, Value> = case.parameters.clone();
    let size = parameters.get("size")?.clone();
    let elements = parameters.get("n")?.clone();
    let hash = case.text("type") == Some("hash");
    parameters.insert("elements".to_owned(), elements);
    parameters.insert("value_len".to_owned(), size.clone());
    parameters.insert("element_len".to_owned(), if hash { FIELD_LENGTH.into() } else { size });
    Some(Case { parameters, ..case.clone() })
}

/// The scenario of a measurement; none for FLUSHALL, whose own time is not modelled.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let command = case.text("command").filter(|command| matches!(*command, "DEL" | "UNLINK"))?;
    let _ = writeln!(
        toml,
        "duration = \"{:.0}ms\"\nsample-interval = \"10ms\"",
        (DELETED_AT + case.number("duration")?) * 1e3
    );
    keyspace(&one_key(case)?, 1.0, toml)?;
    let _ = writeln!(
        toml,
        "preload = {{ share = 1.0 }}\n\n[[event]]\nat = \"{:.0}ms\"\nkind = \"delete\"\nkeyspace = \"k\"\n\
         command = \"{command}\"",
        DELETED_AT * 1e3
    );
    Some(())
}

/// When memory had fallen by half of what it fell in all, since the command (s).
fn half_free(samples: impl Iterator<Item = (f64, f64)>, before: f64, after: f64) -> Option<f64> {
    let half = f64::midpoint(before, after);
    samples.into_iter().find(|&(_, used)| used < half).map(|(t, _)| t)
}

/// What the key took, how long the server was busy, and how memory fell.
pub(super) fn figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    let (before, after) = (seen(measurement, "before.used_memory")?, seen(measurement, "end.used_memory")?);
    let full = super::before(run, DELETED_AT).ok_or("the run is too short")?.used_memory as f64;
    let empty = run.end.used_memory as f64;
    let busy = seen(measurement, "usec")? / 1e6;
    let longest =
        run.keyspaces.iter().map(|keyspace| keyspace.counters.longest_free_us).max().unwrap_or(0) as f64 / 1e6;
    let measured =
        measurement.timeline().iter().filter_map(|row| Some((number(row, "t")?, number(row, "used_memory")?)));
    let predicted = run.timeline.iter().map(|sample| (sample.at.as_secs_f64() - DELETED_AT, sample.used_memory as f64));
    let predicted = predicted.filter(|&(t, _)| t >= 0.0);
    let objects = run.end.counters.lazyfreed_objects as f64;
    // Between the two readings the script's own commands and buffers come and go.
    let mut figures = vec![
        Figure::new("bytes freed", before - after, full - empty, tolerance::MECHANISM_USED_MEMORY),
        Figure::new("seconds of the command", busy, longest, tolerance::LAZYFREE_TIME),
        Figure::new("end.lazyfreed_objects", seen(measurement, "end.lazyfreed_objects")?, objects, tolerance::EQUAL),
    ];
    // A server that frees at once answers INFO when it has: its time is the command's.
    if objects > 0.0
        && let (Some(measured), Some(predicted)) =
            (half_free(measured, before, after), half_free(predicted, full, empty))
    {
        figures.push(Figure::new("seconds until half is free", measured, predicted, tolerance::LAZYFREE_TIME));
    }
    Ok(figures)
}
