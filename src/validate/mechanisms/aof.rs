//! Kind `aof`: keys are written over while the append-only file is rewritten once.

use super::super::figure::Figure;
use super::super::measurement::Measurement;
use super::super::tolerance;
use super::super::translate::keyspace;
use super::{child_life, number, popularity, seen};
use crate::node::ledger::MemoryPart;
use crate::record::Run;
use std::fmt::Write as _;

/// Keys are loaded this fast, then the server rests (keys a second; s).
const LOAD_RATE: f64 = 100_000.0;
const RESTS_SECONDS: f64 = 1.5;
/// After the writes the script waits for this long before it reads (s).  Source: `run_aof`.
const READS_AFTER: f64 = 1.2;

/// When writing begins (s).
fn begin(measurement: &Measurement) -> Option<f64> {
    Some(measurement.case.number("n")? / LOAD_RATE + RESTS_SECONDS)
}

/// How long the child lived (s): until half way between the last reading that saw it and the next.
fn child_seconds(measurement: &Measurement) -> Option<f64> {
    let (timeline, begun) = (measurement.timeline(), measurement.seen("begun")?);
    let lives = |row| number(row, "aof_rewrite_in_progress") == Some(1.0);
    let last = timeline.iter().rposition(lives)?;
    let ended = timeline.get(last + 1).and_then(|row| number(row, "t")).or_else(|| measurement.seen("end.t"))?;
    Some(child_life(begun, (number(&timeline[last], "t")? + ended) / 2.0))
}

/// The scenario of a measurement.  Rate reached, and begin and length of the rewrite are inputs.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let (case, begin) = (&measurement.case, begin(measurement)?);
    let keys = case.number("n")?;
    let (writes, wall) = (measurement.seen("writes")?, measurement.seen("wall")?);
    let _ = writeln!(toml, "duration = \"{:.0}ms\"\nsample-interval = \"100ms\"", (begin + wall + READS_AFTER) * 1e3);
    keyspace(case, keys, toml)?;
    let _ = writeln!(
        toml,
        "\n[[event]]\nat = 0\nkind = \"fill\"\nkeyspace = \"k\"\nkeys = {keys}\nrate = {LOAD_RATE}\n\n\
         [[event]]\nat = \"{:.0}ms\"\nkind = \"aof-rewrite\"\nduration = \"{:.0}ms\"\n\n\
         [[traffic]]\nkeyspace = \"k\"\nrate = {}\narrivals = \"deterministic\"\npopularity = \"{}\"\n\
         commands = {{ SET = 1 }}\nclients = \"load\"\nfrom = \"{:.0}ms\"\nuntil = \"{:.0}ms\"\n\n\
         [[clients]]\nname = \"load\"\npipeline = {}",
        (begin + measurement.seen("begun")?) * 1e3,
        child_seconds(measurement)? * 1e3,
        writes / wall,
        popularity(case),
        begin * 1e3,
        (begin + wall) * 1e3,
        case.number("burst")?
    );
    Some(())
}

/// Sizes of the file, the buffer, copies, and memory.
pub(super) fn figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    let persistence = &run.end.persistence;
    // What the measuring client itself takes is no part of the prediction.
    let settled = begin(measurement).and_then(|at| super::before(run, at)).ok_or("the run is too short")?;
    let observed = seen(measurement, "before.used_memory")? - settled.used_memory as f64;
    let end = |name: &str, predicted: u64, tolerance| {
        let name = format!("end.{name}");
        let measured = seen(measurement, &name)?;
        Ok::<_, String>(Figure::new(name, measured, predicted as f64, tolerance))
    };
    // Behind a burst the buffer holds it; while the disk is busy with the last second's, more: the middle one is the rule.
    let mut buffers: Vec<f64> = measurement.timeline().iter().filter_map(|row| number(row, "mem_aof_buffer")).collect();
    buffers.sort_by(f64::total_cmp);
    let measured = *buffers.get(buffers.len() / 2).ok_or("the record has no timeline")?;
    let buffer = run.peak.parts[MemoryPart::AofBuffer as usize] as f64;
    Ok(vec![
        end("aof_current_size", persistence.aof_current_size, tolerance::AOF_FILE)?,
        end("aof_base_size", persistence.aof_base_size, tolerance::AOF_FILE)?,
        Figure::new("mem_aof_buffer behind a burst", measured, buffer, tolerance::AOF_BUFFER),
        end("aof_last_cow_size", persistence.aof_last_cow_size, tolerance::MECHANISM_COW)?,
        Figure::new(
            "end.used_memory",
            seen(measurement, "end.used_memory")?,
            run.end.used_memory as f64 + observed,
            tolerance::MECHANISM_USED_MEMORY,
        ),
        Figure::new(
            "end.used_memory_peak",
            seen(measurement, "end.used_memory_peak")?,
            run.end.used_memory_peak as f64 + observed,
            tolerance::MECHANISM_PEAK,
        ),
    ])
}
