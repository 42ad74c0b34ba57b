//! `buffers`: the largest output buffer of a connection by class, against `client-output-buffer-limit`.

use super::chart::{self, ALARM, COLORS, INK};
use super::lines::{Line, Panel};
use crate::node::link::{ClientClass, OutputLimits};
use crate::record::{EventKind, Run};

/// The classes as samples know them.
const CLASSES: [ClientClass; 2] = [ClientClass::Normal, ClientClass::Pubsub];

/// The picture, when some connection had something waiting.
pub(super) fn panel<'a>(title: &'a str, run: &Run, limits: &OutputLimits) -> Option<Panel<'a>> {
    let seconds = run.end.at.as_secs_f64();
    let highest = |class: usize| run.timeline.iter().map(|sample| sample.omem[class]).max().unwrap_or(0);
    let marks: Vec<f64> = run
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::ClientDisconnected { .. }))
        .map(|event| event.at.as_secs_f64())
        .collect();
    let shown: Vec<usize> = (0..CLASSES.len()).filter(|&class| highest(class) > 0).collect();
    if shown.is_empty() && marks.is_empty() {
        return None;
    }
    let of_class = |class: &usize| limits.of(CLASSES[*class]);
    let top = shown.iter().map(|class| highest(*class).max(of_class(class).hard.0)).max().unwrap_or(0);
    let unit = chart::byte_unit(top as f64);
    let flat = |label, color, bytes: u64| Line {
        label,
        color,
        points: vec![(0.0, bytes as f64 / unit.factor), (seconds, bytes as f64 / unit.factor)],
    };
    let mut lines = Vec::new();
    for class in &shown {
        let pubsub = CLASSES[*class] == ClientClass::Pubsub;
        let points = run.timeline.iter().map(|s| (s.at.as_secs_f64(), s.omem[*class] as f64 / unit.factor));
        let (label, color) = if pubsub { ("pubsub, largest", COLORS[8]) } else { ("normal, largest", COLORS[6]) };
        lines.push(Line { label, color, points: points.collect() });
        let limit = of_class(class);
        if limit.hard.0 > 0 {
            lines.push(flat(if pubsub { "pubsub hard limit" } else { "normal hard limit" }, ALARM, limit.hard.0));
        }
        if limit.soft.0 > 0 {
            lines.push(flat(if pubsub { "pubsub soft limit" } else { "normal soft limit" }, COLORS[4], limit.soft.0));
        }
    }
    if !marks.is_empty() {
        lines.push(Line { label: "| disconnected", color: INK, points: Vec::new() });
    }
    let axis = match unit.name {
        "GiB" => "omem of a connection [GiB]",
        "MiB" => "omem of a connection [MiB]",
        _ => "omem of a connection [KiB]",
    };
    let subtitle = "output buffer of the connection for which most waits";
    Some(Panel { name: "buffers", title, subtitle, axis, seconds, lines, marks })
}
