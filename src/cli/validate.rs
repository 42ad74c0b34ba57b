//! `capsim validate`: predict recorded measurements of real servers.

use super::exit::{Exit, Failure};
use super::{input, live, output};
use crate::validate::{self, Measurement, measurement};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Size of a file of measurements at most (B).
const TEXT_LIMIT: usize = 256 << 20;

/// Arguments of `capsim validate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of measurements, a line of JSON each; with --server one scenario.
    #[arg(required = true)]
    measurements: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    live: live::Options,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Markdown,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if let Some(server) = &arguments.live.server {
        let [scenario] = arguments.measurements.as_slice() else {
            return Err(Failure::Usage("--server: expected one scenario".to_owned()));
        };
        return judge(&[live::measure(server, scenario, &arguments.live)?], arguments.format);
    }
    let mut measurements = Vec::new();
    for path in &arguments.measurements {
        let text = input::text(path, TEXT_LIMIT).map_err(|error| Failure::read(path, error))?;
        let name = path.display().to_string();
        measurements.extend(measurement::parse(&name, &text).map_err(|error| Failure::Usage(error.to_string()))?);
    }
    if let Some(only) = &arguments.only {
        measurements.retain(|m| m.case.name.contains(only.as_str()));
    }
    judge(&measurements, arguments.format)
}

/// Predicts the measurements and prints the errors.
fn judge(measurements: &[Measurement], format: Format) -> Result<Exit, Failure> {
    let results = validate::validate(measurements);
    output::print(&match format {
        Format::Text => validate::text(&results),
        Format::Markdown => validate::markdown(&results),
    })?;
    let missed = results.iter().any(|result| result.misses().next().is_some());
    Ok(if missed { Exit::Breached } else { Exit::Done })
}
