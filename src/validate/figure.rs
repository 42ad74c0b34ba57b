//! What is compared: single figures, and series over time, keys or elements.

use super::tolerance::Tolerance;
use crate::record::Sample;
use serde_json::Value;

/// One figure of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What the server did.
    pub measured: f64,
    /// What the model says.
    pub predicted: f64,
    /// Largest difference accepted.
    pub tolerance: f64,
    /// One point of a curve: a document shows the worst point of a case alone.
    pub curve_point: bool,
}

impl Figure {
    /// A figure with its tolerance from the table.
    pub(super) fn new(name: impl Into<String>, measured: f64, predicted: f64, tolerance: Tolerance) -> Figure {
        Figure { name: name.into(), measured, predicted, tolerance: tolerance.of(measured), curve_point: false }
    }

    /// The same figure as one point of a curve.
    pub(super) fn on_curve(self) -> Figure {
        Figure { curve_point: true, ..self }
    }

    /// Whether the prediction is within the tolerance.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.predicted - self.measured).abs() <= self.tolerance
    }

    /// Difference without its sign, as a share of the largest one accepted.
    #[must_use]
    pub fn by_tolerance(&self) -> f64 {
        let difference = (self.predicted - self.measured).abs();
        if difference == 0.0 { 0.0 } else { difference / self.tolerance }
    }

    /// Difference as a share of the measured figure; the difference itself where that is zero.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        let difference = self.predicted - self.measured;
        if self.measured == 0.0 { difference } else { difference / self.measured }
    }
}

/// What a series runs along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// Seconds.
    Time,
    /// Keys loaded.
    Keys,
    /// Elements of one key.
    Elements,
}

/// What a series counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// Percent.
    Percent,
}

/// A quantity over time, keys or elements, measured and predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name: the server's own.
    pub name: &'static str,
    /// What it runs along.
    pub along: Along,
    /// What it counts in.
    pub unit: Unit,
    /// What the server showed: place and value.
    pub measured: Vec<(f64, f64)>,
    /// What the model says, with points of its own.
    pub predicted: Vec<(f64, f64)>,
}

/// The samples of a record, and a number of each.
pub(super) type Recorded<'a> = (&'a [Value], &'a dyn Fn(&Value) -> Option<f64>);
/// The samples of a run, and a number of each.
pub(super) type Simulated<'a> = (&'a [Sample], &'a dyn Fn(&Sample) -> f64);

impl Series {
    /// A number of each sample of a record's timeline beside that of a run's; the record's times begin `offset_s` before
    /// the run's (s).
    pub(super) fn over_time(
        name: &'static str,
        unit: Unit,
        (record, measured): Recorded<'_>,
        (run, predicted): Simulated<'_>,
        offset_s: f64,
    ) -> Series {
        let point = |sample: &Value| Some((sample.get("t")?.as_f64()?, measured(sample)?));
        Series {
            name,
            along: Along::Time,
            unit,
            measured: record.iter().filter_map(point).collect(),
            predicted: run.iter().map(|s| (s.at.as_secs_f64() + offset_s, predicted(s))).collect(),
        }
    }

    /// Name of the figure for its mean absolute error.
    pub(super) fn error_name(&self) -> String {
        format!("{}, mean absolute error", self.name)
    }

    /// The mean absolute error as a figure: measured is the mean of what was measured, predicted as much more as the error.
    pub(super) fn mean_absolute_error(&self, tolerance: Tolerance) -> Figure {
        let mean = mean(self.measured.iter().map(|&(_, value)| value));
        Figure::new(self.error_name(), mean, mean + distance(&self.measured, &self.predicted), tolerance)
    }

    /// The mean of the second half of the measured points, and of the prediction at the same places.
    pub(super) fn second_half(&self) -> (f64, f64) {
        let half = &self.measured[self.measured.len() / 2..];
        let predicted = half.iter().filter_map(|&(at, _)| value_at(&self.predicted, at));
        (mean(half.iter().map(|&(_, value)| value)), mean(predicted))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Mean absolute difference between points and a line through others.
pub(super) fn distance(points: &[(f64, f64)], line: &[(f64, f64)]) -> f64 {
    mean(points.iter().filter_map(|&(at, value)| Some((value_at(line, at)? - value).abs())))
}

/// The value of a line at a place, between its points; outside them the nearest one's.
fn value_at(line: &[(f64, f64)], at: f64) -> Option<f64> {
    let after = line.partition_point(|&(place, _)| place < at);
    let (Some(&(x0, y0)), Some(&(x1, y1))) = (line.get(after.saturating_sub(1)), line.get(after)) else {
        return line.last().map(|&(_, value)| value);
    };
    if x1 <= x0 { Some(y1) } else { Some(y0 + (y1 - y0) * (at - x0) / (x1 - x0)) }
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Compared {
    pub(super) figures: Vec<Figure>,
    pub(super) series: Vec<Series>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tolerance::EXPIRY_KEYS_ERROR;

    #[test]
    fn a_mean_absolute_error_does_not_let_errors_cancel() {
        let series = Series {
            name: "keys",
            along: Along::Time,
            unit: Unit::Count,
            measured: vec![(1.0, 1000.0), (2.0, 1000.0), (3.0, 1000.0)],
            predicted: vec![(0.0, 1100.0), (1.0, 1100.0), (3.0, 900.0)],
        };
        let figure = series.mean_absolute_error(EXPIRY_KEYS_ERROR);
        // 100, 0 and 100 of 1000, where 60 are accepted.
        assert!((figure.predicted - figure.measured - 200.0 / 3.0).abs() < 1e-9 && !figure.holds(), "{figure:?}");
        assert_eq!(series.second_half(), (1000.0, 950.0));
        assert_eq!(value_at(&[], 1.0), None);
        assert_eq!(value_at(&series.predicted, 9.0), Some(900.0));
    }
}
