//! The table from before a doubling, while keys are loaded: with which key it goes, in a record and in a run.
//!
//! It goes when cron and commands have moved all its buckets, which depends on how fast keys come in just then.  Where it is
//! all that a prediction differs by, the keys with which it goes are compared instead of bytes.

use super::figure::Figure;
use super::tolerance::OLD_TABLE_GOES;
use crate::record::Sample;

/// Exactly one table: what is left of a difference is no more than this share of the table.  *assumed*: what else moves
/// while keys are loaded are client buffers, tens of KB.
const EXACTLY: f64 = 0.25;

/// A reading while keys are loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// Keys loaded.
    pub(super) keys: f64,
    /// `used_memory`, measured and predicted (B).
    pub(super) measured: f64,
    pub(super) predicted: f64,
    /// The prediction counts an old table.
    pub(super) old_table_alive: bool,
}

/// A doubling of the main table in a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Doubling {
    /// Keys at the doubling.
    pub(super) at: f64,
    /// The old table (B).
    bytes: f64,
    /// Keys when it went; those at the end of the run where it did not.
    gone: f64,
}

/// The doublings of a run, in order.
pub(super) fn doublings(timeline: &[Sample]) -> Vec<Doubling> {
    let mut doublings: Vec<Doubling> = Vec::new();
    let (mut before, mut keys) = (0, 0.0);
    for sample in timeline {
        let bytes = sample.rehashing_bytes;
        if let Some(last) = doublings.last_mut().filter(|_| before > 0) {
            last.gone = sample.keys as f64;
        }
        if bytes > before {
            doublings.push(Doubling { at: keys, bytes: bytes as f64, gone: sample.keys as f64 });
        }
        (before, keys) = (bytes, sample.keys as f64);
    }
    doublings
}

impl Doubling {
    /// The same doubling, of several runs of one load: the old table goes with the mean of their keys.
    pub(super) fn mean(runs: &[Doubling]) -> Option<Doubling> {
        let gone = runs.iter().map(|run| run.gone).sum::<f64>() / runs.len() as f64;
        runs.first().map(|first| Doubling { gone, ..*first })
    }

    /// Whether prediction and measurement differ, and with this old table in the other one would not.
    pub(super) fn is_all_that_differs(&self, point: &Point, tolerance: f64) -> bool {
        let difference = point.measured - point.predicted;
        let rest = difference + if point.old_table_alive { self.bytes } else { -self.bytes };
        difference.abs() > tolerance && rest.abs() <= tolerance.min(self.bytes * EXACTLY)
    }

    /// Whether the old table was alive at a point of the record: which of the two states is nearer.
    fn was_alive(&self, point: &Point) -> bool {
        let without = point.predicted - if point.old_table_alive { self.bytes } else { 0.0 };
        point.measured - without > self.bytes / 2.0
    }

    /// Keys when the old table goes; points from `until` on belong to the next doubling.  The record says it only between two
    /// points: measured is what is nearest to the prediction between them.
    pub(super) fn goes(&self, points: &[Point], until: f64) -> Figure {
        let mine = || points.iter().filter(|point| point.keys >= self.at && point.keys < until);
        let last_alive = mine().filter(|point| self.was_alive(point)).map(|point| point.keys).fold(self.at, f64::max);
        let first_gone =
            mine().filter(|point| point.keys > last_alive && !self.was_alive(point)).map(|point| point.keys);
        let first_gone = first_gone.fold(until, f64::min).max(last_alive);
        let measured = self.gone.clamp(last_alive, first_gone);
        let name = format!("keys when the old table goes, doubled at {}", self.at);
        let tolerance = OLD_TABLE_GOES.of(measured - self.at);
        Figure { name, measured, predicted: self.gone, tolerance, curve_point: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBLING: Doubling = Doubling { at: 100.0, bytes: 800.0, gone: 190.0 };

    fn point(keys: f64, measured: f64, predicted: f64) -> Point {
        Point { keys, measured, predicted, old_table_alive: keys < 190.0 }
    }

    #[test]
    fn only_exactly_one_old_table_excuses_a_point() {
        assert!(DOUBLING.is_all_that_differs(&point(150.0, 1010.0, 1800.0), 50.0));
        assert!(DOUBLING.is_all_that_differs(&point(200.0, 2810.0, 2000.0), 50.0));
        assert!(!DOUBLING.is_all_that_differs(&point(150.0, 1810.0, 1800.0), 50.0), "they agree");
        assert!(!DOUBLING.is_all_that_differs(&point(150.0, 1400.0, 1800.0), 50.0), "half a table");
        assert!(!DOUBLING.is_all_that_differs(&point(150.0, 2600.0, 1800.0), 50.0), "the wrong way");
    }

    #[test]
    fn a_record_says_when_the_old_table_goes_between_two_points() {
        let goes = |points: &[Point]| DOUBLING.goes(points, 1000.0);
        // It went between 140 and 160: 30 keys too late, of 60 since the doubling.
        let early = goes(&[point(120.0, 1600.0, 1600.0), point(140.0, 1700.0, 1700.0), point(160.0, 1000.0, 1800.0)]);
        assert_eq!((early.measured, early.predicted, early.tolerance), (160.0, 190.0, 9.0));
        assert!(!early.holds());
        // It was there at 200 and not at 220.
        let late = goes(&[point(200.0, 2800.0, 2000.0), point(220.0, 2100.0, 2100.0)]);
        assert_eq!((late.measured, late.tolerance), (200.0, 15.0));
        assert!(late.holds());
        // The run's own count lies between the two points.
        let within = goes(&[point(180.0, 1800.0, 1800.0), point(220.0, 2100.0, 2100.0)]);
        assert_eq!(within.measured, 190.0);
    }
}
