//! Pictures of a run, as SVG and PNG, the same bytes every time.
//!
//! A picture is drawn by one function for any backend of `plotters`.  The font is part of the binary: nothing depends on
//! what the machine has installed.

mod buffers;
mod bytes;
mod chart;
mod comparison;
mod host;
mod lines;
mod memory;
mod stacked;

use crate::analysis::Findings;
pub use comparison::{Horizontal, Quantity, Vertical, comparison};
use plotters::style::{FontStyle, register_font};
use std::sync::OnceLock;

/// Pixels of a picture.
pub const SIZE: (u32, u32) = (1400, 800);

/// Names of all pictures that there can be.
pub const NAMES: &[&str] = &[
    "memory",
    "host",
    "copy_on_write",
    "fragmentation",
    "keys",
    "hit_ratio",
    "evictions",
    "rejections",
    "buffers",
    "replication",
];

/// The font's bytes: DejaVu Sans, cut down to Latin-1 and a few signs; its licence stands beside it.
const FONT: &[u8] = include_bytes!("../../../assets/DejaVuSans-subset.ttf");

/// A picture in both formats.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Name of its files, without extension.
    pub name: &'static str,
    /// As SVG.
    pub svg: String,
    /// As PNG.
    pub png: Vec<u8>,
}

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlotError(String);

impl PlotError {
    fn new(error: impl std::fmt::Display) -> PlotError {
        PlotError(error.to_string())
    }
}

/// Draws every picture that has something to show.
///
/// # Errors
/// [`PlotError`] when the drawing library refuses.
pub fn pictures(findings: &Findings) -> Result<Vec<Picture>, PlotError> {
    register()?;
    let run = findings.shown();
    if run.timeline.len() < 2 {
        return Ok(Vec::new());
    }
    let title = &findings.scenario.title;
    let share = findings.scenario.policy.host_utilisation;
    let mut pictures = vec![
        chart::picture("memory", &memory::memory(title, run))?,
        chart::picture("host", &host::host(title, run, share))?,
    ];
    let limits = &findings.scenario.config.client_output_buffer_limit;
    for panel in
        lines::panels(title, run).into_iter().chain(bytes::panels(title, run)).chain(buffers::panel(title, run, limits))
    {
        pictures.push(chart::picture(panel.name, &panel)?);
    }
    Ok(pictures)
}

/// Makes the font known to the drawing library, once.
fn register() -> Result<(), PlotError> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = *DONE.get_or_init(|| {
        [FontStyle::Normal, FontStyle::Bold].into_iter().all(|style| register_font("sans-serif", style, FONT).is_ok())
    });
    if done { Ok(()) } else { Err(PlotError("the font cannot be read".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_is_readable() {
        assert!(register().is_ok());
    }
}
