//! One measurement, predicted: each kind compares its own figures, with the tolerances of one table (`tolerance`).

use super::figure::{Compared, Figure, Series};
use super::measurement::Measurement;
use super::translate::{Translation, translate};
use super::{cache, churn, cow, expiry, grow, live, load, pubsub, replica};
use crate::record::{Run, Sample};
use crate::scenario::{self, View};
use crate::sim;
use std::path::Path;

/// Commands of the measuring client besides those of the case.
const OBSERVER: sim::Observer = &["PING", "INFO", "DBSIZE"];

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was predicted.
    Judged(Vec<Figure>),
    /// Its kind, type or server is not modelled yet, or it failed when it was measured.
    Skipped(String),
}

/// A case and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseResult {
    /// Label of the server.
    pub server: String,
    /// Name of the case.
    pub case: String,
    /// Its kind.
    pub kind: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What can be drawn over time, keys or elements.
    pub series: Vec<Series>,
}

impl CaseResult {
    /// Its figures; none when it was skipped.
    #[must_use]
    pub fn figures(&self) -> &[Figure] {
        match &self.outcome {
            Outcome::Judged(figures) => figures,
            Outcome::Skipped(_) => &[],
        }
    }

    pub(super) fn figures_mut(&mut self) -> &mut [Figure] {
        match &mut self.outcome {
            Outcome::Judged(figures) => figures,
            Outcome::Skipped(_) => &mut [],
        }
    }

    /// Whether it was predicted.
    #[must_use]
    pub fn judged(&self) -> bool {
        matches!(self.outcome, Outcome::Judged(_))
    }

    /// Figures outside their tolerance.
    pub fn misses(&self) -> impl Iterator<Item = &Figure> {
        self.figures().iter().filter(|figure| !figure.holds())
    }
}

/// Predicts one measurement.
pub(super) fn judge(measurement: &Measurement) -> CaseResult {
    let (outcome, series) = match compare(measurement) {
        Ok(Compared { figures, series }) => (Outcome::Judged(figures), series),
        Err(reason) => (Outcome::Skipped(reason), Vec::new()),
    };
    CaseResult {
        server: measurement.server.clone(),
        case: measurement.case.name.clone(),
        kind: measurement.case.kind.clone(),
        outcome,
        series,
    }
}

fn compare(measurement: &Measurement) -> Result<Compared, String> {
    if measurement.result.is_none() {
        return Err("failed when it was measured".to_owned());
    }
    if measurement.case.kind == "live" {
        return live::compare(measurement);
    }
    if measurement.case.kind == "grow" {
        return grow::compare(measurement);
    }
    let Some(translation) = translate(measurement) else { return Err("not modelled yet".to_owned()) };
    let run = simulate(&measurement.case.name, &translation)?;
    match measurement.case.kind.as_str() {
        "static" => load::compare(measurement, &run),
        "cache" => cache::compare(measurement, &translation, &run),
        "cow" => cow::compare(measurement, &run),
        "expiry" => expiry::compare(measurement, &run, translation.offset_s),
        "replica" => replica::compare(measurement, &translation, &run),
        "churn" => churn::compare(measurement, &run),
        "pubsub" => pubsub::compare(measurement, &translation, &run),
        _ => super::mechanisms::compare(measurement, &translation, &run),
    }
}

pub(super) fn simulate(name: &str, translation: &Translation) -> Result<Run, String> {
    simulate_seen_from(name, translation, View::Primary)
}

pub(super) fn simulate_seen_from(name: &str, translation: &Translation, view: View) -> Result<Run, String> {
    let input = scenario::Input { name, text: &translation.toml, overrides: &[], base: Path::new(".") };
    let mut scenario = scenario::parse(&input, &|_| Err(std::io::ErrorKind::NotFound.into()))
        .map_err(|error| format!("no scenario: {error}"))?;
    scenario.view = view;
    sim::run_one(&scenario, 0, OBSERVER, &sim::Unwatched).map_err(|_| "interrupted".to_owned())
}

pub(super) fn seen(measurement: &Measurement, path: &str) -> Result<f64, String> {
    measurement.seen(path).ok_or_else(|| format!("the record has no {path}"))
}

/// The sample nearest to a time of the run (s).
pub(super) fn run_at(run: &Run, seconds: f64) -> Option<&Sample> {
    let after = run.timeline.partition_point(|s| s.at.as_secs_f64() < seconds);
    let candidates = run.timeline[after.saturating_sub(1)..].iter().take(2);
    candidates.min_by(|a, b| {
        let distance = |s: &Sample| (s.at.as_secs_f64() - seconds).abs();
        distance(a).total_cmp(&distance(b))
    })
}
