//! Kind `soft-limit`: one client that never reads, normal or a subscriber, until it is disconnected.

use super::super::figure::Figure;
use super::super::measurement::Measurement;
use super::super::tolerance;
use super::{in_kernel, message_bytes, number, seen};
use crate::record::{EventKind, Run};
use std::fmt::Write as _;

/// Name of the channel.  Source: `run_soft_limit`.
const CHANNEL: &str = "ch";
/// Length of the key's name.
const KEY_LENGTH: u64 = 1;

fn is_normal(measurement: &Measurement) -> bool {
    measurement.case.text("class") == Some("normal")
}

/// Commands a second: as many as were sent, in the time that it took.
fn rate(measurement: &Measurement) -> Option<f64> {
    Some(measurement.seen("sent")? / measurement.seen("wall")?)
}

/// Bytes of a reply to GET, `$n\r\n…\r\n`, or of a message.
fn reply_bytes(measurement: &Measurement) -> Option<f64> {
    let size = measurement.case.number("size")?;
    let get = size + format!("${size:.0}\r\n\r\n").len() as f64;
    Some(if is_normal(measurement) { get } else { message_bytes(CHANNEL, size) })
}

/// What the kernel held, an input: all that was written less what the server held, when its buffer first had grown (B).
fn socket_bytes(measurement: &Measurement) -> Option<f64> {
    let grown = measurement.result.as_ref()?.get("client")?.get("grown");
    let reply = reply_bytes(measurement)?;
    match grown {
        Some(grown) => Some(in_kernel(number(grown, "sent")? * reply, number(grown, "omem")?)),
        // It never grew: the kernel took everything.
        None => Some(measurement.seen("sent")? * reply),
    }
}

/// The scenario of a measurement, from the same phase of the server's whole seconds on.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let (rate, size, phase) = (rate(measurement)?, case.number("size")?, measurement.seen("phase")?);
    let (from, socket) = (phase * 1e3, socket_bytes(measurement)?);
    let _ = writeln!(
        toml,
        "duration = \"{:.0}ms\"\nsample-interval = \"50ms\"\n\n\
         [[clients]]\nname = \"reader\"\nclass = \"{}\"\nread-rate = 0\nsocket-buffer = {socket:.0}",
        (phase + case.number("duration")? + 1.0) * 1e3,
        case.text("class")?
    );
    let _ = if is_normal(measurement) {
        writeln!(
            toml,
            "\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\nkeys = 1\nkey-length = {KEY_LENGTH}\nvalue-size = {size}\n\
             preload = {{ share = 1.0 }}\n\n\
             [[traffic]]\nkeyspace = \"k\"\nrate = {rate}\narrivals = \"deterministic\"\ncommands = {{ GET = 1 }}\n\
             clients = \"reader\"\nfrom = \"{from:.0}ms\""
        )
    } else {
        writeln!(
            toml,
            "\n[[channel]]\nname = \"{CHANNEL}\"\nsubscribers = \"reader\"\nrate = {rate}\nmessage-size = {size}\n\
             from = \"{from:.0}ms\""
        )
    };
    Some(())
}

/// The peak, the largest buffer, and when the client was disconnected.
pub(super) fn figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    let phase = seen(measurement, "phase")?;
    let end = phase + seen(measurement, "wall")?;
    let closed = run.events.iter().find_map(|event| match event.kind {
        EventKind::ClientDisconnected { omem, .. } => Some((event.at.as_secs_f64(), omem)),
        _ => None,
    });
    let until = closed.map_or(end, |(at, _)| at + 0.2);
    let last = super::before(run, until).ok_or("the run is too short")?;
    let peak = seen(measurement, "end.used_memory_peak")?;
    let omem = closed.map_or(*last.omem.iter().max().unwrap_or(&0), |(_, omem)| omem);
    let mut figures = vec![
        Figure::new("end.used_memory_peak", peak, last.used_memory_peak as f64, tolerance::MECHANISM_PEAK),
        Figure::new("largest omem", seen(measurement, "client.last.omem")?, omem as f64, tolerance::MECHANISM_PEAK),
    ];
    if let Some(at) = measurement.seen("dropped") {
        let never = 2.0 * measurement.case.number("duration").unwrap_or(at);
        let predicted = closed.map_or(never, |(at, _)| at - phase);
        figures.push(Figure::new("time of the disconnect", at, predicted, tolerance::MECHANISM_TIME));
    }
    let measured = f64::from(measurement.seen("dropped").is_some());
    // A run that goes on longer than the record may see a later disconnect.
    let predicted = f64::from(closed.is_some_and(|(at, _)| measured > 0.0 || at < end));
    figures.push(Figure::new("disconnections", measured, predicted, tolerance::EQUAL));
    Ok(figures)
}
