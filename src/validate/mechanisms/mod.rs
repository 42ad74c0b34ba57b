//! Kinds that the project's own script measures (`validation/measure_mechanisms.py`), a file each.

mod aof;
mod clients;
mod full_sync;
mod lazyfree;
mod purge;
mod soft_limit;

use super::figure::Compared;
use super::judge::{seen, simulate_seen_from};
use super::measurement::{Case, Measurement};
use super::translate::Translation;
use crate::record::{Run, Sample};
use serde_json::Value;

/// Bytes of a message besides the names and the digits of their lengths.  Source: `addReplyPubsubMessage`.
const MESSAGE_FRAME: f64 = 27.0;
/// Bytes that a block of the reply list holds, of those that `omem` counts for it.  Source: `node::output_buffer`.
const BLOCK_FILL: f64 = 20_464.0 / 20_504.0;

/// Between two runs of cron (s).  Source: `hz 10`.
const CRON_SECONDS: f64 = 0.1;

/// The scenario of a measurement.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    match measurement.case.kind.as_str() {
        "aof" => aof::translate(measurement, toml),
        "clients" => clients::translate(measurement, toml),
        "full-sync" => full_sync::translate(measurement, toml),
        "lazyfree" => lazyfree::translate(measurement, toml),
        "purge" => purge::translate(measurement, toml),
        "soft-limit" => soft_limit::translate(measurement, toml),
        _ => None,
    }
}

/// What is compared.
pub(super) fn compare(measurement: &Measurement, translation: &Translation, run: &Run) -> Result<Compared, String> {
    let figures = match measurement.case.kind.as_str() {
        "aof" => aof::figures(measurement, run),
        "clients" => clients::figures(measurement, run),
        "full-sync" => full_sync::figures(measurement, translation, run),
        "lazyfree" => lazyfree::figures(measurement, run),
        "purge" => purge::figures(measurement, run),
        "soft-limit" => soft_limit::figures(measurement, run),
        _ => Err("not modelled yet".to_owned()),
    }?;
    Ok(Compared { figures, series: Vec::new() })
}

/// Bytes of a message to a subscriber of a channel.  Source: `node::output`, `message_pieces`.
fn message_bytes(channel: &str, size: f64) -> f64 {
    let digits = |n: f64| format!("{n:.0}").len() as f64;
    let name = channel.len() as f64;
    MESSAGE_FRAME + digits(name) + digits(size) + name + size
}

/// What the kernel held of what was written when a buffer of `omem` bytes first had grown: an input (B).
fn in_kernel(written: f64, omem: f64) -> f64 {
    (written - omem * BLOCK_FILL).max(0.0)
}

/// How long a child lived of which readings say that it was there from `begun` to `ended`: the server notices its end with
/// the next run of cron, half a period later on average (s).
fn child_life(begun: f64, ended: f64) -> f64 {
    (ended - begun - CRON_SECONDS / 2.0).max(CRON_SECONDS / 2.0)
}

/// In which order keys are written over, as `popularity`.
fn popularity(case: &Case) -> &'static str {
    if case.text("order") == Some("random") { "uniform" } else { "sequential" }
}

fn number(value: &Value, name: &str) -> Option<f64> {
    value.get(name).and_then(Value::as_f64)
}

/// The last sample of a run before a time (s).
fn before(run: &Run, seconds: f64) -> Option<&Sample> {
    run.timeline.iter().rev().find(|sample| sample.at.as_secs_f64() < seconds)
}
