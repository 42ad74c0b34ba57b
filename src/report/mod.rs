//! Findings as text, JSON, CSV, Markdown and pictures.  Pure: the command line writes the files.
//!
//! A text format is one file and one line in [`EXPORTERS`]; a picture is one file and one line in [`plot::NAMES`].

pub mod format;
mod key_bytes;
mod markdown;
pub mod plot;
mod summary;
mod terminal;
mod timeline_csv;

use crate::analysis::Findings;
pub use key_bytes::{key_bytes_json, key_bytes_markdown, key_bytes_table, key_bytes_text};
pub use markdown::markdown;
pub use summary::summary_json;
pub use terminal::terminal;
pub use timeline_csv::timeline_csv;

/// What the simulation cost: the only figures that differ between two runs of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Commands simulated, all repetitions.
    pub simulated_ops: u64,
    /// Wall time (s).
    pub wall_s: f64,
    /// Largest resident size of capsim itself (B).
    pub peak_rss_bytes: u64,
}

impl Cost {
    /// Commands a second.
    #[must_use]
    pub fn ops_per_s(&self) -> f64 {
        if self.wall_s > 0.0 { self.simulated_ops as f64 / self.wall_s } else { 0.0 }
    }
}

/// A text format of the result folder.
#[derive(Debug, Clone, Copy)]
pub struct Exporter {
    /// Name of its file.
    pub file: &'static str,
    /// One line of meaning.
    pub summary: &'static str,
    /// Makes the text.
    pub render: fn(&Findings, &Cost) -> String,
}

/// Every text format of the result folder.
pub const EXPORTERS: &[Exporter] = &[
    Exporter { file: "summary.json", summary: "all figures, schema 1", render: summary_json },
    Exporter { file: "timeline.csv", summary: "a row for each sample", render: timeline_csv },
    Exporter { file: "report.md", summary: "the report, for a review", render: markdown },
];
