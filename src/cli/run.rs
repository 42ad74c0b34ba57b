//! `capsim run`: simulate a scenario, print the verdict, write the result folder.

use super::exit::{Exit, Failure};
use super::given::{self, Overrides, Work};
use super::{interrupt, output};
use crate::analysis::{Findings, Status};
use crate::plan::{self, Source};
use crate::report::{self, Cost};
use crate::scenario::{SIMULATOR_BYTES_PER_KEY, SIMULATOR_MEMORY_LIMIT, Scenario, View};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Arguments of `capsim run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The scenario file; - for standard input.
    scenario: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// The server from which the run is seen: primary, replica (the first one), or a replica's name.
    #[arg(long, value_name = "SERVER", default_value = "primary")]
    view: String,
    /// Folder for the results; default: output/<scenario>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    work: Work,
    /// Exit with 99 when the verdict is this bad or worse.
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<FailOn>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    Warn,
    Fail,
}

impl Arguments {
    /// Whether colours are unwanted.
    pub(super) fn no_color(&self) -> bool {
        self.work.no_color
    }
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (source, _) = given::source(&arguments.scenario, arguments.overrides.list()?)?;
    let mut scenario = given::parse(&source)?;
    scenario.view = view(&arguments.view, &scenario)?;
    let folder = arguments.out.clone().unwrap_or_else(|| output::default_folder(&arguments.scenario));
    output::check_folder(&folder)?;
    let (findings, cost) = simulate(scenario, &source, &arguments.work)?;
    write(&findings, &cost, &folder)?;
    if !arguments.work.quiet {
        output::print(&printed(&findings, &cost, &folder, arguments))?;
    }
    Ok(exit(&findings, arguments.fail_on))
}

/// `--view`.
fn view(name: &str, scenario: &Scenario) -> Result<View, Failure> {
    let replicas = &scenario.replicas;
    let found = match name {
        "primary" => return Ok(View::Primary),
        "replica" if !replicas.is_empty() => Some(0),
        _ => replicas.iter().position(|replica| replica.name == name),
    };
    let Some(index) = found else {
        let names: Vec<&str> = replicas.iter().map(|replica| replica.name.as_str()).collect();
        return Err(Failure::Usage(if names.is_empty() {
            format!("--view {name}: the scenario has no [[replica]]; expected primary")
        } else {
            format!("--view {name}: no such server; expected primary, replica, or one of {}", names.join(", "))
        }));
    };
    if let Some(keyspace) = scenario.keyspaces.iter().find(|keyspace| keyspace.elements.is_some()) {
        let text =
            format!("--view {name}: collections on a replica are not modelled yet, and {} holds some", keyspace.name);
        return Err(Failure::Usage(text));
    }
    // Two servers, and what a synchronisation sends.
    let keys: u64 = scenario.keyspaces.iter().map(|keyspace| u64::from(keyspace.keys)).sum();
    let most = SIMULATOR_MEMORY_LIMIT / (plan::VIEW_COPIES * SIMULATOR_BYTES_PER_KEY);
    if keys > most {
        let text = format!("--view {name}: {keys} keys are too many to simulate twice; expected at most {most}");
        return Err(Failure::Usage(text));
    }
    Ok(View::Replica(index))
}

#[expect(clippy::disallowed_methods, reason = "the command line tells how long the work took")]
fn simulate(scenario: Scenario, source: &Source, work: &Work) -> Result<(Findings, Cost), Failure> {
    let began = std::time::Instant::now();
    let findings = given::simulate_all(&[scenario], source, work, |_, findings| findings)?.swap_remove(0);
    let simulated_ops = findings.runs.iter().map(|run| run.simulated_ops).sum();
    let wall_s = began.elapsed().as_secs_f64();
    Ok((findings, Cost { simulated_ops, wall_s, peak_rss_bytes: peak_rss() }))
}

fn write(findings: &Findings, cost: &Cost, folder: &Path) -> Result<(), Failure> {
    let mut files: Vec<(String, Vec<u8>)> = report::EXPORTERS
        .iter()
        .map(|exporter| (exporter.file.to_owned(), (exporter.render)(findings, cost).into_bytes()))
        .collect();
    let pictures = report::plot::pictures(findings).map_err(|error| Failure::Picture(error.to_string()))?;
    for picture in pictures {
        files.push((format!("{}.svg", picture.name), picture.svg.into_bytes()));
        files.push((format!("{}.png", picture.name), picture.png));
    }
    let stale: Vec<String> =
        report::plot::NAMES.iter().flat_map(|name| [format!("{name}.svg"), format!("{name}.png")]).collect();
    interrupt::while_writing(|| output::write_folder(folder, &files, &stale))
}

fn printed(findings: &Findings, cost: &Cost, folder: &Path, arguments: &Arguments) -> String {
    match arguments.format {
        Format::Json => report::summary_json(findings, cost),
        Format::Markdown => report::markdown(findings, cost),
        Format::Text => {
            let color = output::color(arguments.work.no_color, &std::io::stdout());
            report::terminal(findings, cost, &folder.display().to_string(), color)
        }
    }
}

fn exit(findings: &Findings, fail_on: Option<FailOn>) -> Exit {
    let breached = findings.thresholds.iter().any(|threshold| !threshold.pass);
    let bad = match fail_on {
        None => false,
        Some(FailOn::Warn) => findings.verdict.status != Status::Pass,
        Some(FailOn::Fail) => findings.verdict.status == Status::Fail,
    };
    if breached || bad { Exit::Breached } else { Exit::Done }
}

/// The process's largest resident size (B); 0 where the system does not say.
fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
