//! `capsim validate`: predict recorded measurements of real servers.

use super::exit::{Exit, Failure};
use super::{input, live, output, validate_plots};
use crate::validate::{self, Measurement, measurement};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

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
    /// Draw measured against predicted into this folder, a picture for each case that has a timeline, a curve or marks.
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    plots: Option<PathBuf>,
    #[command(flatten)]
    live: live::Options,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if let Some(server) = &arguments.live.server {
        let [scenario] = arguments.measurements.as_slice() else {
            return Err(Failure::Usage("--server: expected one scenario".to_owned()));
        };
        let measured = live::measure(server, scenario, &arguments.live)?;
        return judge(&[measured], arguments.format, Some(&live::folder(scenario, &arguments.live)));
    }
    let mut measurements = Vec::new();
    for path in &arguments.measurements {
        let text = input::text(path, TEXT_LIMIT).map_err(|error| Failure::read(path, error))?;
        let name = path.display().to_string();
        measurements.extend(measurement::parse(&name, &text).map_err(|error| Failure::Usage(error.to_string()))?);
    }
    if measurements.is_empty() {
        return Err(Failure::Usage("no measurements; expected a line of JSON each".to_owned()));
    }
    if let Some(only) = &arguments.only {
        measurements.retain(|m| m.case.name.contains(only.as_str()));
        if measurements.is_empty() {
            return Err(Failure::Usage(format!("--only {only}: no case has this in its name")));
        }
    }
    judge(&measurements, arguments.format, arguments.plots.as_deref())
}

/// Predicts the measurements, prints the errors, and draws into a folder where one is given.
fn judge(measurements: &[Measurement], format: Format, plots: Option<&Path>) -> Result<Exit, Failure> {
    let results = validate::validate(measurements);
    output::print(&match format {
        Format::Text => validate::text(&results),
        Format::Markdown => validate::markdown(&results),
        Format::Json => validate::json(&results),
    })?;
    if let Some(folder) = plots {
        validate_plots::write(&results, folder)?;
    }
    let missed = results.iter().any(|result| result.misses().next().is_some());
    Ok(if missed { Exit::Breached } else { Exit::Done })
}
