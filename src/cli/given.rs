//! What every command that takes a scenario takes: the file, `--set`, `--seed`, `--runs`, threads; and how it is simulated.

use super::exit::Failure;
use super::{input, interrupt, progress};
use crate::analysis::Findings;
use crate::plan::{self, Batch, Limits, Override, Source};
use crate::scenario::{self, Scenario};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How a scenario is changed from the command line.
#[derive(Debug, Clone, Args)]
pub(super) struct Overrides {
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
}

/// How the work is done.
#[derive(Debug, Clone, Args)]
pub(super) struct Work {
    /// Threads for runs; default: one for each core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print nothing but errors; results are written all the same.
    #[arg(long)]
    pub(super) quiet: bool,
    /// No colours (also: NO_COLOR, or output that is no terminal).
    #[arg(long)]
    pub(super) no_color: bool,
}

/// `--scale`.
fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(1.0) => Ok(1.0),
        Ok(share) if share > 0.0 && share < 1.0 => Err("sampling is not modelled yet; expected 1.0".to_owned()),
        _ => Err("expected a share above 0 and at most 1".to_owned()),
    }
}

impl Overrides {
    /// As dotted paths and values.
    pub(super) fn list(&self) -> Result<Vec<Override>, Failure> {
        let mut overrides = set_overrides(&self.set)?;
        overrides.extend(self.seed.map(|seed| ("seed".to_owned(), seed.to_string())));
        overrides.extend(self.runs.map(|runs| ("runs".to_owned(), runs.to_string())));
        overrides.extend(self.scale.map(|scale| ("scale".to_owned(), format!("{scale:.1}"))));
        Ok(overrides)
    }
}

/// `--set`.
pub(super) fn set_overrides(set: &[String]) -> Result<Vec<Override>, Failure> {
    let mut overrides = Vec::new();
    for given in set {
        let Some((path, value)) = given.split_once('=') else {
            return Err(Failure::Usage(format!("--set {given}: expected KEY=VALUE, like server.config.maxmemory=2gb")));
        };
        overrides.push((path.trim().to_owned(), value.to_owned()));
    }
    Ok(overrides)
}

/// The files that a scenario includes: path and text, each once, in the order in which they were first read.
pub(super) type Included = Arc<Mutex<Vec<(PathBuf, String)>>>;

/// A scenario's text from its file, and the files that it will turn out to include.
pub(super) fn source(path: &Path, overrides: Vec<Override>) -> Result<(Source, Included), Failure> {
    let text = input::text(path, scenario::TEXT_LIMIT).map_err(|error| Failure::read(path, error))?;
    let included = Included::default();
    let files = Arc::clone(&included);
    let read = Arc::new(move |file: &Path| {
        let mut files = files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, text)) = files.iter().find(|(path, _)| path == file) {
            return Ok(text.clone());
        }
        let text = input::text(file, scenario::TEXT_LIMIT)?;
        files.push((file.to_owned(), text.clone()));
        Ok(text)
    });
    Ok((Source { path: path.to_owned(), text, overrides, read }, included))
}

/// Checks a scenario.
pub(super) fn parse(source: &Source) -> Result<Scenario, Failure> {
    source.parse().map_err(|error| Failure::Scenario(Box::new(error)))
}

/// Simulates scenarios in parallel behind one progress bar; returns what `condense` makes of each, in their order.
pub(super) fn simulate_all<T: Send>(
    scenarios: &[Scenario],
    source: &Source,
    work: &Work,
    condense: impl Fn(usize, Findings) -> T + Sync + Send,
) -> Result<Vec<T>, Failure> {
    let mut limits = Limits::default();
    limits.threads = work.threads.map_or(limits.threads, usize::from);
    let batch = Batch::of(scenarios, limits);
    let bar = progress::Bar::new(batch.runs, batch.duration, work.quiet);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(batch.threads).build();
    let pool = pool.map_err(|error| Failure::Usage(format!("--threads {}: {error}", batch.threads)))?;
    let results = pool.install(|| plan::simulate_all(scenarios, &source.path.display().to_string(), &bar, condense));
    bar.finish();
    let results = results.map_err(|_| Failure::Interrupted)?;
    // Whoever interrupts at the last moment wants no results either.
    if interrupt::interrupted() { Err(Failure::Interrupted) } else { Ok(results) }
}
