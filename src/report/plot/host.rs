//! `host`: what the kernel counts, stacked, against the host's memory.

use super::chart::COLORS;
use super::stacked::{Layer, Stacked};
use crate::record::{HostPart, Run, Sample};
use crate::report::format;

/// Colours of the parts, in the order of [`HostPart::ALL`].
const PART_COLORS: [usize; 5] = [0, 8, 5, 2, 4];

/// The picture; `share`: of the host's memory that policy allows.
pub(super) fn host<'a>(title: &'a str, run: &'a Run, share: f64) -> Stacked<'a> {
    let peak = &run.host_peak;
    let total = peak.memory.total();
    let layers = HostPart::ALL.into_iter().zip(PART_COLORS);
    let layers = layers.filter(|(part, _)| run.timeline.iter().any(|s| s.host.part(*part) > 0));
    Stacked {
        title,
        subtitle: format!("what the kernel counts; peak {} after {}", format::size(total), peak.at),
        axis: "host memory",
        run,
        layers: layers
            .map(|(part, color)| Layer {
                label: part.label().to_owned(),
                color: COLORS[color],
                bytes: Box::new(move |sample: &Sample| sample.host.part(part) as f64),
            })
            .collect(),
        limit: |sample| sample.host_limit,
        limit_label: "host memory",
        warned_share: Some(share),
        peak: (total, peak.at),
    }
}
