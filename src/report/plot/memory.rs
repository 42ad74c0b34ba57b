//! `memory`: the parts of `used_memory`, stacked, against `maxmemory`.

use super::chart::COLORS;
use super::stacked::{Layer, Stacked};
use crate::node::ledger::{MemoryPart, PARTS};
use crate::record::Run;
use crate::report::format;

/// Parts below this share of the peak are drawn together.
const SMALL: f64 = 0.01;

/// The picture.
pub(super) fn memory<'a>(title: &'a str, run: &'a Run) -> Stacked<'a> {
    Stacked {
        title,
        subtitle: format!("used_memory by part; peak {} after {}", format::size(run.peak.used_memory), run.peak.at),
        axis: "used_memory",
        run,
        layers: layers(run),
        limit: |sample| sample.maxmemory,
        limit_label: "maxmemory",
        warned_share: None,
        peak: (run.peak.used_memory, run.peak.at),
    }
}

fn layer(parts: Vec<MemoryPart>, color: usize, label: &str) -> Layer {
    let bytes =
        move |sample: &crate::record::Sample| parts.iter().map(|part| sample.parts[*part as usize] as f64).sum();
    Layer { label: label.to_owned(), color: COLORS[color % COLORS.len()], bytes: Box::new(bytes) }
}

/// Layers from the bottom up: small parts together, then the others in their order.
fn layers(run: &Run) -> Vec<Layer> {
    let highest: [u64; PARTS] =
        std::array::from_fn(|i| run.timeline.iter().map(|sample| sample.parts[i]).max().unwrap_or(0));
    let small = |part: &MemoryPart| (highest[*part as usize] as f64) < SMALL * run.peak.used_memory as f64;
    let (others, large): (Vec<MemoryPart>, Vec<MemoryPart>) = MemoryPart::ALL.into_iter().partition(small);
    let mut layers = Vec::new();
    if others.iter().any(|part| highest[*part as usize] > 0) {
        layers.push(layer(others, 0, "other"));
    }
    layers.extend(large.into_iter().map(|part| layer(vec![part], part as usize, part.label())));
    layers
}
