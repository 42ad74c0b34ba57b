//! Kind `clients`: groups of subscribers that never read, until `maxmemory-clients` evicts the largest.

use super::super::figure::Figure;
use super::super::measurement::Measurement;
use super::super::tolerance;
use super::{in_kernel, message_bytes, number, seen};
use crate::record::{EventKind, Run};
use serde_json::Value;
use std::fmt::Write as _;

fn groups(measurement: &Measurement) -> &[Value] {
    measurement.case.parameters.get("groups").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What was noted of the clients of a group.
fn clients(measurement: &Measurement, group: usize) -> Vec<&Value> {
    let all = measurement.result.as_ref().and_then(|result| result.get("clients")).and_then(Value::as_object);
    let of_group = |client: &&Value| number(client, "group") == Some(group as f64);
    all.map_or_else(Vec::new, |all| all.values().filter(of_group).collect())
}

/// What the kernel held for a client of a group, an input: the mean over those whose buffer grew (B).
fn socket_bytes(measurement: &Measurement, group: usize, message: f64) -> f64 {
    let grown: Vec<f64> = clients(measurement, group)
        .iter()
        .filter_map(|client| client.get("grown"))
        .filter_map(|grown| Some(in_kernel(number(grown, "sent")? * message, number(grown, "omem")?)))
        .collect();
    if grown.is_empty() {
        // It never grew: the kernel took everything.
        return measurement.result.as_ref().and_then(|r| r.get("sent")?.get(group)?.as_f64()).unwrap_or(0.0) * message;
    }
    grown.iter().sum::<f64>() / grown.len() as f64
}

/// The scenario of a measurement.
pub(super) fn translate(measurement: &Measurement, toml: &mut String) -> Option<()> {
    let wall = measurement.seen("wall")?;
    let sent = measurement.result.as_ref()?.get("sent")?.as_array()?;
    let _ = writeln!(toml, "duration = \"{:.0}ms\"\nsample-interval = \"50ms\"", wall * 1e3);
    for (index, group) in groups(measurement).iter().enumerate() {
        let (subscribers, size) = (number(group, "subscribers")?, number(group, "message")?);
        let channel = format!("ch{index}");
        let _ = writeln!(
            toml,
            "\n[[clients]]\nname = \"g{index}\"\nclass = \"pubsub\"\nconnections = {subscribers}\nread-rate = 0\n\
             socket-buffer = {:.0}",
            socket_bytes(measurement, index, message_bytes(&channel, size))
        );
    }
    for (index, group) in groups(measurement).iter().enumerate() {
        let _ = writeln!(
            toml,
            "\n[[channel]]\nname = \"ch{index}\"\nsubscribers = \"g{index}\"\nrate = {}\nmessage-size = {}",
            sent.get(index)?.as_f64()? / wall,
            number(group, "message")?
        );
    }
    Some(())
}

/// Who was evicted and when, the largest client memory, the peak.
pub(super) fn figures(measurement: &Measurement, run: &Run) -> Result<Vec<Figure>, String> {
    // An eviction each: its group, and when (s).
    let evicted: Vec<(usize, f64)> = run
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::ClientDisconnected { group, connections, .. } => {
                Some(std::iter::repeat_n((group, event.at.as_secs_f64()), connections as usize))
            }
            _ => None,
        })
        .flatten()
        .collect();
    let mut figures = Vec::new();
    let mut gone: Vec<f64> = Vec::new();
    for index in 0..groups(measurement).len() {
        let of_group = clients(measurement, index).into_iter().filter_map(|client| number(client, "gone"));
        let before = gone.len();
        gone.extend(of_group);
        let predicted = evicted.iter().filter(|(group, _)| *group == index).count() as f64;
        let name = format!("clients of group {index} evicted");
        figures.push(Figure::new(name, (gone.len() - before) as f64, predicted, tolerance::CLIENTS_EVICTED));
    }
    let count = run.end.counters.evicted_clients as f64;
    figures.push(Figure::new(
        "end.evicted_clients",
        seen(measurement, "end.evicted_clients")?,
        count,
        tolerance::CLIENTS_EVICTED,
    ));
    gone.sort_by(f64::total_cmp);
    for (index, (&measured, &(_, predicted))) in gone.iter().zip(&evicted).enumerate() {
        figures.push(Figure::new(
            format!("time of eviction {}", index + 1),
            measured,
            predicted,
            tolerance::MECHANISM_TIME,
        ));
    }
    let largest = run.timeline.iter().map(|sample| sample.mem_clients_normal).max().unwrap_or(0) as f64;
    let measured = seen(measurement, "largest_mem_clients_normal")?;
    figures.push(Figure::new("largest mem_clients_normal", measured, largest, tolerance::MECHANISM_PEAK));
    let peak = seen(measurement, "end.used_memory_peak")?;
    figures.push(Figure::new("end.used_memory_peak", peak, run.end.used_memory_peak as f64, tolerance::MECHANISM_PEAK));
    Ok(figures)
}
