//! Cases of kind `pubsub`: one subscriber that never reads, messages at a rate until it is disconnected.

use super::figure::{Compared, Figure, Series, Simulated, Unit};
use super::judge::{seen, simulate};
use super::measurement::{Case, Measurement};
use super::tolerance;
use super::translate::Translation;
use crate::record::{EventKind, Run};
use crate::units::SimTime;
use serde_json::Value;
use std::fmt::Write as _;

/// Name of the channel.  Source: `measure.py`, `run_pubsub`.
const CHANNEL: &str = "ch";
/// Bytes of a message besides the names and the digits of their lengths.  Source: `addReplyPubsubMessage`.
const MESSAGE_FRAME: f64 = 27.0;
/// The output buffer has grown when `used_memory` is this much above its lowest (B): three blocks.
const GROWN: f64 = 61_440.0;
/// A block of the reply list holds 20 464 of 20 512 bytes that it costs.  Source: `node::output_buffer`.
const BLOCK_FILL: f64 = 20_464.0 / 20_512.0;
/// Commands of the measuring client at each sample: INFO and DBSIZE.  Source: `measure.py`, `snap`.
const COMMANDS_PER_SAMPLE: f64 = 2.0;
/// Begin of the messages after a whole second of the server's clock (ms): what the clock said is not recorded, and a
/// soft limit counts whole seconds, so figures are the means of these.
const PHASES: [u64; 4] = [0, 250, 500, 750];
/// Where a translation says when messages begin.
const BEGIN: &str = "from = \"0ms\"";

/// The channel, its publisher and its subscriber.
pub(super) fn scenario(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let case = &measurement.case;
    let socket = socket_bytes(measurement)?;
    let (duration, rate) = (case.number("duration")?, rate(measurement)?);
    let _ = writeln!(
        toml,
        "duration = {}\nsample-interval = \"100ms\"\n\n[[clients]]\nname = \"publisher\"\n\n\
         [[clients]]\nname = \"subscriber\"\nclass = \"pubsub\"\nread-rate = 0\nsocket-buffer = {socket:.0}\n\n\
         [[channel]]\nname = \"{CHANNEL}\"\nsubscribers = \"subscriber\"\nrate = {rate}\nmessage-size = {}\n{BEGIN}",
        duration + 1.0,
        case.number("message")?
    );
    Some(())
}

/// Messages a second: as many as were sent, in the time that it took.
fn rate(measurement: &Measurement) -> Option<f64> {
    let asked = measurement.case.number("rate")?;
    let reached = measurement.seen("sent").zip(measurement.seen("end.t")).map(|(sent, seconds)| sent / seconds);
    Some(reached.filter(|rate| rate.is_finite() && *rate > 0.0).unwrap_or(asked))
}

/// Bytes of a message on the wire (B).
fn message_bytes(case: &Case) -> Option<f64> {
    let size = case.number("message")?;
    let digits = |n: f64| format!("{n:.0}").len() as f64;
    let name = CHANNEL.len() as f64;
    Some(MESSAGE_FRAME + digits(name) + digits(size) + name + size)
}

/// What the kernel held, an input: all that was written less what the server held, when its buffer first has grown (B).
fn socket_bytes(measurement: &Measurement) -> Option<f64> {
    let message = message_bytes(&measurement.case)?;
    let rate = rate(measurement)?;
    let number = |sample: &Value, name: &str| sample.get(name).and_then(Value::as_f64);
    // The first sample is taken before the first message.
    let samples = measurement.timeline();
    let start = number(samples.first()?, "total_commands_processed");
    let mut lowest = f64::INFINITY;
    for (index, sample) in samples.iter().enumerate().skip(1) {
        let used = number(sample, "used_memory")?;
        lowest = lowest.min(used);
        let grown = used - lowest;
        if grown <= GROWN {
            continue;
        }
        let commands = number(sample, "total_commands_processed").zip(start).map(|(now, start)| now - start);
        let counted = commands.map(|commands| commands - COMMANDS_PER_SAMPLE * index as f64);
        let messages = counted.or_else(|| number(sample, "t").map(|seconds| seconds * rate))?;
        return Some((messages * message - grown * BLOCK_FILL).max(0.0));
    }
    // It never grew: the kernel took everything.
    measurement.seen("sent").map(|sent| sent * message)
}

/// When the subscriber was disconnected, and why.
fn disconnected(run: &Run) -> Option<SimTime> {
    run.events.iter().find_map(|event| match event.kind {
        EventKind::ClientDisconnected { .. } => Some(event.at),
        _ => None,
    })
}

/// What came of one phase of the clock.
struct Phase {
    /// Time from the first message to the disconnect; without one to the last message of the record (s).
    seconds: f64,
    /// `used_memory_peak` (B).
    peak: f64,
    closed: bool,
}

/// The run with messages that begin `begun` seconds after a whole second, as the record would show it.
fn phase(run: &Run, begun: f64, end: f64) -> Phase {
    let Some(at) = disconnected(run) else {
        let last = run.timeline.iter().rfind(|sample| sample.at.as_secs_f64() - begun <= end);
        let peak = last.map_or(0, |sample| sample.used_memory_peak) as f64;
        return Phase { seconds: end, peak, closed: false };
    };
    Phase { seconds: at.as_secs_f64() - begun, peak: run.end.used_memory_peak as f64, closed: true }
}

/// Messages accepted until the disconnect, its time, and the peak: means over the phases of the clock.
pub(super) fn compare(measurement: &Measurement, translation: &Translation, first: &Run) -> Result<Compared, String> {
    let rate = rate(measurement).ok_or("the record has no rate")?;
    let end = seen(measurement, "end.t")?;
    let mut phases = Vec::new();
    for ms in PHASES {
        let toml = translation.toml.replace(BEGIN, &format!("from = \"{ms}ms\""));
        let run = match ms {
            0 => first,
            _ => &simulate(&measurement.case.name, &Translation { toml, offset_s: 0.0 })?,
        };
        phases.push(phase(run, ms as f64 / 1000.0, end));
    }
    let mean = |of: fn(&Phase) -> f64| phases.iter().map(of).sum::<f64>() / phases.len() as f64;
    let closed = phases.iter().any(|phase| phase.closed);
    let measured_peak = seen(measurement, "end.used_memory_peak")?;
    let mut figures =
        vec![Figure::new("end.used_memory_peak", measured_peak, mean(|p| p.peak), tolerance::PUBSUB_PEAK)];
    if let Some(at) = measurement.seen("dropped.t") {
        let messages = seen(measurement, "dropped.messages_accepted")?;
        // Who is never disconnected accepts everything.
        let all = measurement.case.number("duration").unwrap_or(end);
        let seconds = if closed { mean(|p| p.seconds) } else { all };
        let accepted = seconds * rate;
        figures.push(Figure::new("dropped.messages_accepted", messages, accepted, tolerance::PUBSUB_MESSAGES));
        figures.push(Figure::new("dropped.t", at, seconds, tolerance::PUBSUB_TIME));
    }
    let measured = f64::from(measurement.seen("dropped.t").is_some());
    let predicted = mean(|p| f64::from(p.closed)).round();
    figures.push(Figure::new("disconnections", measured, predicted, tolerance::EQUAL));
    let used = |sample: &Value| sample.get("used_memory").and_then(Value::as_f64);
    let run: Simulated<'_> = (&first.timeline, &|s| s.used_memory as f64);
    let series = Series::over_time("used_memory", Unit::Bytes, (measurement.timeline(), &used), run, 0.0);
    Ok(Compared { figures, series: vec![series] })
}
