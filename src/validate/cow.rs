//! Kind `cow`: keys are loaded, a snapshot begins, and keys are written while its child lives.

use super::figure::{Compared, Figure};
use super::judge::seen;
use super::measurement::Measurement;
use super::tolerance;
use super::translate::{inline, keyspace};
use crate::record::Run;
use serde_json::Value;
use std::fmt::Write as _;

/// The snapshot begins so long after the load (s): the measuring client waits until `used_memory` stands still.
const SETTLED_SECONDS: f64 = 1.0;

/// The scenario of a measurement.  The child's life and the number of writes are inputs, taken from the record.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let lives = child_seconds(measurement)?;
    let writes = measurement.seen("writes_during_save")?;
    let _ =
        writeln!(toml, "duration = \"{:.0}ms\"\nsample-interval = \"500ms\"", (SETTLED_SECONDS + lives + 1.0) * 1e3);
    keyspace(case, case.number("n")?, toml)?;
    let shuffled = case.parameters.get("shuffle_load").and_then(Value::as_bool) == Some(true);
    let order = if shuffled { "random" } else { "sequential" };
    let _ = writeln!(
        toml,
        "preload = {{ share = 1.0, by = \"commands\", load-rate = 200_000, order = \"{order}\" }}\n\n\
         [[event]]\nat = \"{:.0}ms\"\nkind = \"bgsave\"\nduration = \"{:.0}ms\"",
        SETTLED_SECONDS * 1e3,
        lives * 1e3
    );
    if writes > 0.0 {
        let (command, more) = match case.text("op").unwrap_or("set") {
            "set" => ("SET", ""),
            "get" => ("STRLEN", ""),
            "expire" => ("EXPIRE", "ttl = 100_000\n"),
            "setrange" => ("SETRANGE", "write-size = 1\n"),
            _ => return None,
        };
        let _ = writeln!(
            toml,
            "\n[[traffic]]\nkeyspace = \"k\"\nrate = {}\narrivals = \"deterministic\"\npopularity = {}\n\
             commands = {{ {command} = 1 }}\n{more}from = \"{:.0}ms\"\nuntil = \"{:.0}ms\"",
            writes / lives,
            inline(case.parameters.get("popularity")?),
            SETTLED_SECONDS * 1e3,
            (SETTLED_SECONDS + lives) * 1e3
        );
    }
    Some(())
}

/// How long the child lived (s): until half way between the last reading that saw it and the next.
fn child_seconds(measurement: &Measurement) -> Option<f64> {
    let timeline = measurement.timeline();
    let number = |sample: &Value, name: &str| sample.get(name).and_then(Value::as_f64);
    let ended = timeline.iter().position(|sample| number(sample, "rdb_bgsave_in_progress") == Some(0.0))?;
    let before = number(timeline.get(ended.checked_sub(1)?)?, "t")?;
    Some((before + number(&timeline[ended], "t")?) / 2.0)
}

/// The largest report of the child.
pub(super) fn compare(measurement: &Measurement, run: &Run) -> Result<Compared, String> {
    let predicted = run.end.persistence.rdb_last_cow_size as f64;
    let figure = Figure::new("cow_size", seen(measurement, "cow_size")?, predicted, tolerance::COW_SIZE);
    Ok(Compared { figures: vec![figure], series: Vec::new() })
}
