//! Pictures of lines over time: keys, hit ratio, evictions and expiry, refusals.

use super::PlotError;
use super::chart::{self, ALARM, COLORS, Drawing, INK};
use crate::analysis::series;
use crate::record::{Counters, Run, Sample};
use plotters::coord::Shift;
use plotters::prelude::*;

/// Points of a line at most: more than there are columns of pixels.
const POINTS: usize = 1200;

/// A picture of lines.
pub(super) struct Panel<'a> {
    pub(super) name: &'static str,
    pub(super) title: &'a str,
    pub(super) subtitle: &'static str,
    pub(super) axis: &'static str,
    pub(super) seconds: f64,
    pub(super) lines: Vec<Line>,
    /// Instants worth a mark (s).
    pub(super) marks: Vec<f64>,
}

pub(super) struct Line {
    pub(super) label: &'static str,
    pub(super) color: RGBColor,
    /// Time (s) and value.
    pub(super) points: Vec<(f64, f64)>,
}

/// The pictures that have something to show.
pub(super) fn panels<'a>(title: &'a str, run: &Run) -> Vec<Panel<'a>> {
    let seconds = run.end.at.as_secs_f64();
    let level = |label, color, of: fn(&Sample) -> u64| Line {
        label,
        color,
        points: run.timeline.iter().map(|s| (s.at.as_secs_f64(), of(s) as f64)).collect(),
    };
    let rate = |label, color, of: fn(&Counters) -> u64| Line {
        label,
        color,
        points: between(run, |a, b| Some(series::per_second(of(&b.counters) - of(&a.counters), b.at.since(a.at)))),
    };
    let hit_ratio = Line {
        label: "hit ratio",
        color: COLORS[8],
        points: between(run, |a, b| {
            let reads = |c: &Counters| c.keyspace_hits + c.keyspace_misses;
            (reads(&b.counters) > reads(&a.counters)).then(|| series::hit_ratio(&a.counters, &b.counters))
        }),
    };
    let end = &run.end.counters;
    let mut panels = vec![Panel {
        name: "keys",
        title,
        subtitle: "keys present",
        axis: "keys",
        seconds,
        lines: vec![
            level("keys", COLORS[8], |s| s.keys),
            level("with a TTL", COLORS[6], |s| s.expires),
            level("expired, still resident", ALARM, |s| s.expired_resident_keys),
        ],
        marks: Vec::new(),
    }];
    let mut add = |name, subtitle, axis, lines: Vec<Line>| {
        panels.push(Panel { name, title, subtitle, axis, seconds, lines, marks: Vec::new() });
    };
    if end.keyspace_hits + end.keyspace_misses > 0 {
        add("hit_ratio", "hits among reads, for each interval", "hit ratio", vec![hit_ratio]);
    }
    if end.evicted_keys + end.expired_keys > 0 {
        let lines = vec![rate("evicted", ALARM, |c| c.evicted_keys), rate("expired", COLORS[6], |c| c.expired_keys)];
        add("evictions", "keys evicted and expired a second", "keys a second", lines);
    }
    if end.oom_errors > 0 {
        let lines = vec![rate("refused", ALARM, |c| c.oom_errors)];
        add("rejections", "writes refused a second: OOM command not allowed", "writes a second", lines);
    }
    panels
}

/// A value for each interval between samples that has one, at its end.
fn between(run: &Run, of: impl Fn(&Sample, &Sample) -> Option<f64>) -> Vec<(f64, f64)> {
    let pairs = run.timeline.windows(2);
    pairs.filter_map(|pair| of(&pair[0], &pair[1]).map(|value| (pair[1].at.as_secs_f64(), value))).collect()
}

impl Drawing for Panel<'_> {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), PlotError> {
        let (plot, side) = chart::paper(area, self.title, self.subtitle)?;
        let values = self.lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
        let top = values.fold(0.0, f64::max).max(f64::MIN_POSITIVE) * 1.06;
        // A ratio has a scale of its own.
        let top = if self.name == "hit_ratio" { 1.0 } else { top };
        let time = chart::time_unit(self.seconds);
        let width = self.seconds / time.factor;
        let mut context = ChartBuilder::on(&plot)
            .margin_top(24)
            .margin_left(16)
            .margin_right(12)
            .margin_bottom(10)
            .x_label_area_size(52)
            .y_label_area_size(104)
            .build_cartesian_2d(0.0..width, 0.0..top)
            .map_err(PlotError::new)?;
        chart::axes(&mut context, &time, self.axis, width, top)?;
        for line in &self.lines {
            let step = line.points.len().div_ceil(POINTS).max(1);
            let points = line.points.iter().step_by(step).map(|(t, value)| (t / time.factor, *value));
            context.draw_series(LineSeries::new(points, line.color.stroke_width(2))).map_err(PlotError::new)?;
        }
        for at in self.marks.iter().take(POINTS).map(|at| at / time.factor) {
            let mark = PathElement::new([(at, 0.0), (at, top)], INK.mix(0.45));
            context.draw_series([mark]).map_err(PlotError::new)?;
        }
        let entries: Vec<(RGBColor, String)> =
            self.lines.iter().map(|line| (line.color, line.label.to_owned())).collect();
        chart::legend(&side, &entries, 26).map(|_| ())
    }
}
