//! `capsim validate`: predict recorded measurements of real servers.

use super::exit::{Exit, Failure};
use super::{input, output, validate_plots};
use crate::validate::{self, measurement};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Size of a file of measurements at most (B).
const TEXT_LIMIT: usize = 256 << 20;

/// Arguments of `capsim validate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of measurements, a line of JSON each.
    #[arg(required = true)]
    measurements: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Draw measured against predicted into this folder, a picture for each case that has a timeline, a curve or marks.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Markdown,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut measurements = Vec::new();
    for path in &arguments.measurements {
        let text = input::text(path, TEXT_LIMIT).map_err(|error| Failure::read(path, error))?;
        let name = path.display().to_string();
        measurements.extend(measurement::parse(&name, &text).map_err(|error| Failure::Usage(error.to_string()))?);
    }
    if let Some(only) = &arguments.only {
        measurements.retain(|m| m.case.name.contains(only.as_str()));
    }
    let results = validate::validate(&measurements);
    output::print(&match arguments.format {
        Format::Text => validate::text(&results),
        Format::Markdown => validate::markdown(&results),
    })?;
    if let Some(folder) = &arguments.plots {
        validate_plots::write(&results, folder)?;
    }
    let missed = results.iter().any(|result| result.misses().next().is_some());
    Ok(if missed { Exit::Breached } else { Exit::Done })
}
