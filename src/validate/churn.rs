//! Kind `churn`: keys are filled in, deleted, overwritten; what the allocator keeps at each mark.

use super::draws::Draws;
use super::figure::{Along, Compared, Figure, Series, Unit};
use super::measurement::Measurement;
use super::tolerance;
use super::translate::inline;
use crate::layout::key::{self, Stored};
use crate::layout::{Limits, Rules};
use crate::node::ledger::MemoryPart;
use crate::profile::{Allocator, Profile};
use crate::record::{Run, Sample};
use serde_json::Value;
use std::fmt::Write as _;

/// After each step the client waits this long before it reads (s).  Source: `measure.py`, `settle` and `idle`.
const RESTS_SECONDS: f64 = 1.7;
/// One mark: when it was read (s), what was read.
struct Mark<'a> {
    at: f64,
    read: &'a Value,
}

fn marks(measurement: &Measurement) -> Vec<Mark<'_>> {
    let marks = measurement.result.as_ref().and_then(|r| r.get("marks")).and_then(Value::as_array);
    let mark = |read| Some(Mark { at: number(read, "t")?, read });
    marks.map_or_else(Vec::new, |marks| marks.iter().filter_map(mark).collect())
}

fn number(value: &Value, name: &str) -> Option<f64> {
    value.get(name).and_then(Value::as_f64)
}

/// The scenario of a measurement.  Each step takes the time that the record's marks leave it.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let steps = case.parameters.get("steps")?.as_array()?;
    let marks = marks(measurement);
    if marks.len() != steps.len() + 1 {
        return None;
    }
    let filled: f64 = steps.iter().filter_map(|step| number(step, "fill")).sum();
    let size = steps.iter().find_map(|step| step.get("size"))?;
    let _ = writeln!(
        toml,
        "duration = \"{:.0}ms\"\nsample-interval = \"100ms\"\n\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\n\
         keys = {filled}\nkey-length = {}\nvalue-size = {}",
        (marks.last()?.at + 0.2) * 1e3,
        case.number("key_len")?,
        inline(size)
    );
    let (mut made, mut alive) = (0.0, 0.0);
    for (step, pair) in steps.iter().zip(marks.windows(2)) {
        let (from, lasts) = (pair[0].at, (pair[1].at - pair[0].at - RESTS_SECONDS).max(0.1));
        let _ = writeln!(toml, "\n[[event]]\nat = \"{:.0}ms\"", from * 1e3);
        if let Some(keys) = number(step, "fill") {
            let size = inline(step.get("size")?);
            let rate = keys / lasts;
            let _ = writeln!(
                toml,
                "kind = \"fill\"\nkeyspace = \"k\"\nfrom = {made}\nkeys = {keys}\nrate = {rate:.0}\nvalue-size = {size}"
            );
            made += keys;
            alive += keys;
        } else if let Some(share) = number(step, "delete") {
            let order = step.get("order").and_then(Value::as_str).unwrap_or("random");
            let rate = alive * share / lasts;
            let _ = writeln!(
                toml,
                "kind = \"delete\"\nkeyspace = \"k\"\nshare = {share}\norder = \"{order}\"\nrate = {rate:.0}"
            );
            alive -= alive * share;
        } else if let Some(share) = number(step, "overwrite") {
            let size = inline(step.get("size")?);
            let rate = alive * share / lasts;
            let _ = writeln!(
                toml,
                "kind = \"overwrite\"\nkeyspace = \"k\"\nshare = {share}\nrate = {rate:.0}\nvalue-size = {size}"
            );
        } else if step.get("purge").is_some() {
            toml.push_str("kind = \"memory-purge\"\n");
        } else if step.get("wait").is_some() {
            // An event that changes nothing stands for a step in which nothing happens.
            toml.push_str("kind = \"traffic\"\nmultiply = 1.0\nfor = \"1s\"\n");
        } else {
            return None;
        }
    }
    Some(())
}

/// What every mark read, but for the empty server's.
pub(super) fn compare(measurement: &Measurement, run: &Run) -> Result<Compared, String> {
    let marks = marks(measurement);
    let read = |mark: &Mark<'_>, name: &str| number(mark.read, name).ok_or_else(|| format!("a mark has no {name}"));
    let begun = marks.first().ok_or("the record has no marks")?;
    // The next step begins at the mark: what was read is what was there before.
    let sample = |at: f64| run.timeline.iter().rev().find(|s: &&Sample| s.at.as_secs_f64() < at);
    let drawn = strings_drawn(measurement).ok_or("the case has steps or sizes that are not known")?;
    // What the measuring client's own commands and buffers take is no part of the prediction.
    let client = read(begun, "used_memory")? - sample(begun.at).map_or(0.0, |s| s.used_memory as f64);
    let predicted = |name: &str, sample: &Sample| match name {
        "used_memory" => sample.used_memory as f64 + client,
        "allocator_active" => sample.allocator.active as f64,
        _ => sample.allocator.rss as f64,
    };
    let quantities = [
        ("used_memory", tolerance::CHURN_USED_MEMORY),
        ("allocator_active", tolerance::CHURN_PAGES),
        ("used_memory_rss", tolerance::CHURN_PAGES),
    ];
    let mut figures = Vec::new();
    for (index, (mark, drawn)) in marks.iter().zip(drawn).enumerate().skip(1) {
        let Some(sample) = sample(mark.at) else { continue };
        let label = mark.read.get("label").and_then(Value::as_str).unwrap_or("mark");
        let strings = sample.parts[MemoryPart::Keys as usize] + sample.parts[MemoryPart::Values as usize];
        for (name, tolerance) in quantities {
            let more = if name == "used_memory" { drawn as f64 - strings as f64 } else { 0.0 };
            let (measured, predicted) = (read(mark, name)?, predicted(name, sample) + more);
            figures.push(Figure::new(format!("{name} at mark {index}, {label}"), measured, predicted, tolerance));
        }
    }
    let series = |(name, _)| Series {
        name,
        along: Along::Time,
        unit: Unit::Bytes,
        measured: marks.iter().filter_map(|mark| Some((mark.at, number(mark.read, name)?))).collect(),
        predicted: run.timeline.iter().map(|s| (s.at.as_secs_f64(), predicted(name, s))).collect(),
    };
    Ok(Compared { figures, series: quantities.into_iter().map(series).collect() })
}

/// What keys and values take at every mark (B), of the sizes that the script drew: they are an input of the case.
fn strings_drawn(measurement: &Measurement) -> Option<Vec<u64>> {
    let case = &measurement.case;
    let (release, allocator) = measurement.server_names();
    let allocator = Allocator::ALL.into_iter().find(|known| known.name() == allocator)?;
    let rules = Rules::new(Profile::find(&release)?, allocator.classes(), Limits::default());
    let name = case.number("key_len")? as u64;
    let bytes = |size: u64| {
        let blocks = key::blocks(name, Stored::String(size), false, &rules);
        // An entry that is a block of its own is no part of keys and values.
        blocks.bytes(&rules) - if blocks.name > 0 { rules.classes.class(blocks.entry) } else { 0 }
    };
    let seed = case.parameters.get("seed").map_or(Some(1), Value::as_u64)?;
    let mut draws = Draws::new(u32::try_from(seed).ok()?);
    let mut alive: Vec<u64> = Vec::new();
    let mut marks = vec![0];
    for step in case.parameters.get("steps")?.as_array()? {
        let count = |share: f64| (alive.len() as f64 * share) as usize;
        if let Some(keys) = number(step, "fill") {
            alive.extend(draws.sizes(step.get("size")?, keys as u32)?);
        } else if let Some(share) = number(step, "delete") {
            let gone = count(share);
            if step.get("order").and_then(Value::as_str).unwrap_or("random") == "random" {
                let mut kept = draws.permutation(alive.len() as u32).split_off(gone);
                kept.sort_unstable();
                alive = kept.into_iter().map(|index| alive[index as usize]).collect();
            } else {
                alive.drain(..gone);
            }
        } else if let Some(share) = number(step, "overwrite") {
            let mut written = draws.permutation(alive.len() as u32);
            written.truncate(count(share));
            let sizes = draws.sizes(step.get("size")?, written.len() as u32)?;
            written.into_iter().zip(sizes).for_each(|(index, size)| alive[index as usize] = size);
        }
        marks.push(alive.iter().map(|&size| bytes(size)).sum());
    }
    Some(marks)
}
