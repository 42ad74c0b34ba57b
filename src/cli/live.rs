//! `capsim validate --server`: start a server, drive it with a scenario's own stream, compare.

use super::exit::Failure;
use super::given::{self, Included};
use super::{interrupt, output, progress};
use crate::live::{self, LiveError, Record, Server};
use crate::plan::Source;
use crate::profile::{Allocator, Profile};
use crate::record::Run;
use crate::scenario::Scenario;
use crate::sim::{self, Unwatched};
use crate::validate::{Measurement, measurement};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Options of `capsim validate --server`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A server's binary, redis-server or valkey-server, 6.2 or newer: it is started on loopback and driven with the
    /// stream of a scenario, which stands in place of the measurements.
    #[arg(long, value_name = "PATH")]
    pub(super) server: Option<PathBuf>,
    /// Override a value of the scenario, with --server.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "server")]
    set: Vec<String>,
    /// Save the measurement to a file that validate reads again, with --server.
    #[arg(long, value_name = "FILE", requires = "server")]
    save: Option<PathBuf>,
    /// Folder for the pictures of predicted and measured curves, with --server; default: output/<scenario>-live.
    #[arg(long, value_name = "DIR", requires = "server")]
    out: Option<PathBuf>,
    /// Drive even what takes long or is fast, with --server.
    #[arg(long, requires = "server")]
    force: bool,
}

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Failure {
        match error {
            LiveError::Interrupted => Failure::Interrupted,
            LiveError::Refused(reason) => Failure::Usage(format!("not driven: {reason}")),
            LiveError::Server(_) | LiveError::Io { .. } => Failure::Live(error.to_string()),
        }
    }
}

/// Drives the server; returns the measurement, told on standard error how it went.
pub(super) fn measure(binary: &Path, path: &Path, options: &Options) -> Result<Measurement, Failure> {
    let save = options.save.as_deref().map(folder_and_name).transpose()?;
    if let Some((folder, _)) = &save {
        output::check_folder(folder)?;
    }
    let (source, included) = given::source(path, given::set_overrides(&options.set)?)?;
    let scenario = given::parse(&source)?;
    let run = simulate(&scenario)?;
    live::check(&scenario, &run, live::available_memory(), options.force)?;
    let line = interrupt::to_the_end(|| drive(binary, source, &included))?;
    if let Some((folder, name)) = save {
        output::write_folder(folder, &[(name, format!("{line}\n").into_bytes())], &[])?;
    }
    let mut parsed = measurement::parse("the measurement", &line).map_err(|error| Failure::Live(error.to_string()))?;
    parsed.pop().ok_or_else(|| Failure::Live("nothing was measured".to_owned()))
}

/// The folder and the name of the file to save to.
fn folder_and_name(file: &Path) -> Result<(&Path, String), Failure> {
    let name = file.file_name().filter(|_| !file.is_dir());
    let name = name.ok_or_else(|| Failure::Usage(format!("--save {}: expected the name of a file", file.display())))?;
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    Ok((folder, name.to_string_lossy().into_owned()))
}

fn simulate(scenario: &Scenario) -> Result<Run, Failure> {
    sim::run_one(scenario, 0, &[], &Unwatched).map_err(|_| Failure::Interrupted)
}

/// The server from its start to its end; a line in the format of measurements.
fn drive(binary: &Path, mut source: Source, included: &Included) -> Result<String, Failure> {
    let scenario = given::parse(&source)?;
    let mut server = Server::start(binary, &scenario.directives)?;
    let info = server.info()?;
    let (release, version) =
        info.release().ok_or_else(|| Failure::Live("the server does not say its version".to_owned()))?;
    let allocator = server.allocator()?;
    let mut notes = String::new();
    match Profile::find(&release) {
        Some(profile) => {
            if profile.name != scenario.profile.name || allocator != scenario.allocator {
                notes += &format!(
                    "the scenario is for {}, allocator {}; the server's are used\n",
                    scenario.profile.name,
                    scenario.allocator.name()
                );
            }
            source.overrides.push(("server.profile".to_owned(), release.clone()));
        }
        None => {
            notes += &format!("{release} is not modelled; profile {} is used\n", scenario.profile.name);
        }
    }
    source.overrides.push(("server.allocator".to_owned(), allocator.name().to_owned()));
    let scenario = given::parse(&source)?;
    notes += &format!(
        "{} {version}, process {}: profile {}, allocator {}\n",
        binary.display(),
        server.pid(),
        scenario.profile.name,
        allocator.name()
    );
    output::complain(&notes);
    let bar = progress::Bar::new(1, scenario.duration, false);
    let record = live::drive(&scenario, &mut server, &bar);
    bar.finish();
    let record = record?;
    drop(server);
    output::complain(&told(&record));
    let names =
        [label(&release, &version, allocator), version, info.text("mem_allocator").unwrap_or_default().to_owned()];
    line(&names, &source, included, &record)
}

/// The label of a server: `redis-7.0.15-debian`.
fn label(release: &str, version: &str, allocator: Allocator) -> String {
    let fork = release.split_once('-').map_or(release, |(fork, _)| fork);
    let end = match allocator {
        Allocator::Bundled => "",
        Allocator::System => "-debian",
        Allocator::Libc => "-libc",
    };
    format!("{fork}-{version}{end}")
}

/// How the driving went.
fn told(record: &Record) -> String {
    let late = record.late_s * 1e3;
    if record.achieved.is_empty() {
        return format!("{} requests were sent in time, the latest {late:.0} ms late\n", record.requests);
    }
    let shares = record.achieved.iter().fold((f64::MAX, 0.0_f64), |(low, high), &s| (low.min(s), high.max(s)));
    format!(
        "this machine did not hold the scenario's rate: requests were up to {late:.0} ms late, between {:.0} % and {:.0} % of \
         an interval's were sent in it; the prediction takes the rate that was achieved\n",
        100.0 * shares.0,
        100.0 * shares.1
    )
}

/// A measurement; `names`: the label of the server, its version, `mem_allocator`.
fn line(names: &[String; 3], source: &Source, included: &Included, record: &Record) -> Result<String, Failure> {
    let [label, version, allocator] = names;
    let files = included.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let files: serde_json::Map<String, Value> =
        files.iter().map(|(path, text)| (path.display().to_string(), Value::from(text.as_str()))).collect();
    let case = json!({
        "name": source.path.file_stem().unwrap_or_default().to_string_lossy(),
        "kind": "live",
        "scenario": source.text,
        "base": source.path.parent().unwrap_or(Path::new(".")).display().to_string(),
        "set": source.overrides,
        "files": files,
    });
    let result = serde_json::to_value(record).map_err(|error| Failure::Live(error.to_string()))?;
    let line = json!({
        "server": label, "version": version, "allocator": allocator, "case": case, "result": result,
    });
    Ok(line.to_string())
}

/// Where the pictures go.
pub(super) fn folder(scenario: &Path, options: &Options) -> PathBuf {
    let stem = scenario.file_stem().unwrap_or_default().to_string_lossy();
    options.out.clone().unwrap_or_else(|| Path::new("output").join(format!("{stem}-live")))
}
