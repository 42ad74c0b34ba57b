//! `capsim run`: simulate a scenario, print the verdict, write the result folder.

use super::exit::{Exit, Failure};
use super::{input, interrupt, output, progress};
use crate::analysis::{self, Findings, Status};
use crate::report::{self, Cost};
use crate::scenario::{self, SIMULATOR_BYTES_PER_KEY, SIMULATOR_MEMORY_LIMIT, Scenario, View};
use crate::sim;
use clap::{Args, ValueEnum};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Arguments of `capsim run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The scenario file; - for standard input.
    scenario: PathBuf,
    /// Override a value of the scenario: server.config.maxmemory=2gb, keyspace.session.keys=5000.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Seed of every random stream; default: the scenario's.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Repetitions with random streams of their own; default: the scenario's.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(scenario::RUNS_LIMIT)))]
    runs: Option<u32>,
    /// Share of the keys to simulate; only 1.0 is modelled yet.
    #[arg(long, value_parser = scale)]
    scale: Option<f64>,
    /// The server from which the run is seen: primary, replica (the first one), or a replica's name.
    #[arg(long, value_name = "SERVER", default_value = "primary")]
    view: String,
    /// Folder for the results; default: output/<scenario>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print nothing but errors; results are written all the same.
    #[arg(long)]
    quiet: bool,
    /// No colours (also: NO_COLOR, or output that is no terminal).
    #[arg(long)]
    no_color: bool,
    /// Threads for repetitions; default: one for each core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
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
        self.no_color
    }
}

/// `--scale`.
fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(1.0) => Ok(1.0),
        Ok(share) if share > 0.0 && share < 1.0 => Err("sampling is not modelled yet; expected 1.0".to_owned()),
        _ => Err("expected a share above 0 and at most 1".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let scenario = load(arguments)?;
    let folder = arguments.out.clone().unwrap_or_else(|| default_folder(&arguments.scenario));
    output::check_folder(&folder)?;
    let (findings, cost) = simulate(scenario, arguments)?;
    write(&findings, &cost, &folder)?;
    if !arguments.quiet {
        output::print(&printed(&findings, &cost, &folder, arguments))?;
    }
    Ok(exit(&findings, arguments.fail_on))
}

/// Reads and checks the scenario.
fn load(arguments: &Arguments) -> Result<Scenario, Failure> {
    let mut scenario = load_given(&arguments.scenario, overrides(arguments)?)?.scenario;
    scenario.view = view(&arguments.view, &scenario)?;
    Ok(scenario)
}

/// A scenario as it was read.
pub(super) struct Loaded {
    pub(super) scenario: Scenario,
    pub(super) text: String,
    pub(super) overrides: Vec<(String, String)>,
    /// The files that it includes.
    pub(super) files: Vec<(PathBuf, String)>,
}

impl Loaded {
    /// The same text once more, under the overrides as they are now.
    pub(super) fn again(self, path: &Path) -> Result<Loaded, Failure> {
        parse(path, self.text, self.overrides)
    }
}

/// Reads and checks a scenario with `--set` as it was given.
pub(super) fn load_file(path: &Path, set: &[String]) -> Result<Loaded, Failure> {
    load_given(path, set_overrides(set)?)
}

fn load_given(path: &Path, overrides: Vec<(String, String)>) -> Result<Loaded, Failure> {
    let text = input::text(path, scenario::TEXT_LIMIT).map_err(|error| Failure::read(path, error))?;
    parse(path, text, overrides)
}

fn parse(path: &Path, text: String, overrides: Vec<(String, String)>) -> Result<Loaded, Failure> {
    let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
    let base = path.parent().unwrap_or(Path::new("."));
    let given = scenario::Input { name: &name, text: &text, overrides: &overrides, base };
    let files = RefCell::new(Vec::new());
    let read = |file: &Path| {
        let text = input::text(file, scenario::TEXT_LIMIT)?;
        files.borrow_mut().push((file.to_owned(), text.clone()));
        Ok(text)
    };
    let scenario = scenario::parse(&given, &read).map_err(|error| Failure::Scenario(Box::new(error)))?;
    Ok(Loaded { scenario, text, overrides, files: files.into_inner() })
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
    let most = SIMULATOR_MEMORY_LIMIT / (VIEW_COPIES * SIMULATOR_BYTES_PER_KEY);
    if keys > most {
        let text = format!("--view {name}: {keys} keys are too many to simulate twice; expected at most {most}");
        return Err(Failure::Usage(text));
    }
    Ok(View::Replica(index))
}

/// A run seen from a replica takes so many times the memory of another.
const VIEW_COPIES: u64 = 3;

/// `--set`.
fn set_overrides(set: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut overrides = Vec::new();
    for given in set {
        let Some((path, value)) = given.split_once('=') else {
            return Err(Failure::Usage(format!("--set {given}: expected KEY=VALUE, like server.config.maxmemory=2gb")));
        };
        overrides.push((path.trim().to_owned(), value.to_owned()));
    }
    Ok(overrides)
}

fn overrides(arguments: &Arguments) -> Result<Vec<(String, String)>, Failure> {
    let mut overrides = set_overrides(&arguments.set)?;
    overrides.extend(arguments.seed.map(|seed| ("seed".to_owned(), seed.to_string())));
    overrides.extend(arguments.runs.map(|runs| ("runs".to_owned(), runs.to_string())));
    overrides.extend(arguments.scale.map(|scale| ("scale".to_owned(), format!("{scale:.1}"))));
    Ok(overrides)
}

#[expect(clippy::disallowed_methods, reason = "the command line tells how long the work took")]
fn simulate(scenario: Scenario, arguments: &Arguments) -> Result<(Findings, Cost), Failure> {
    let began = std::time::Instant::now();
    let bar = progress::Bar::new(scenario.runs, scenario.duration, arguments.quiet);
    let threads = threads(&scenario, arguments.threads.map_or_else(rayon::current_num_threads, usize::from));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Failure::Usage(format!("--threads {threads}: {error}")))?;
    let runs = pool.install(|| sim::run_all(&scenario, &bar));
    bar.finish();
    let runs = runs.map_err(|_| Failure::Interrupted)?;
    let simulated_ops = runs.iter().map(|run| run.simulated_ops).sum();
    let findings = analysis::analyse(scenario, runs, &arguments.scenario.display().to_string());
    let wall_s = began.elapsed().as_secs_f64();
    Ok((findings, Cost { simulated_ops, wall_s, peak_rss_bytes: peak_rss() }))
}

/// Threads for the repetitions: no more than there are, and no more than memory allows.
fn threads(scenario: &Scenario, most: usize) -> usize {
    let keys: u64 = scenario.keyspaces.iter().map(|keyspace| u64::from(keyspace.keys)).sum();
    let copies = if scenario.view == View::Primary { 1 } else { VIEW_COPIES };
    let fitting = SIMULATOR_MEMORY_LIMIT / (copies * keys * SIMULATOR_BYTES_PER_KEY).max(1);
    most.min(usize::try_from(fitting).unwrap_or(most)).min(scenario.runs as usize).max(1)
}

/// `output/<scenario's name>`.
fn default_folder(scenario: &Path) -> PathBuf {
    let stem = scenario.file_stem().filter(|_| scenario != Path::new("-"));
    Path::new("output").join(stem.unwrap_or_else(|| "stdin".as_ref()))
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
            let color = output::color(arguments.no_color, &std::io::stdout());
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
