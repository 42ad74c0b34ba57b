//! Layers of bytes over time, stacked, against a limit; events marked.

use super::PlotError;
use super::chart::{self, ALARM, Drawing, INK};
use crate::record::{Event, EventKind, Run, Sample};
use crate::report::format;
use crate::units::SimTime;
use plotters::coord::Shift;
use plotters::prelude::*;

/// Events in the key at most.
const EVENTS: usize = 9;
/// A rehash is marked when its new array is at least this share of the peak.
const SEEN: f64 = 0.02;
/// Pixels between two numbers above the chart.
const APART: f64 = 16.0;
/// Room above the highest point, as a share.
const AIR: f64 = 1.08;

/// A layer of the stack.
pub(super) struct Layer {
    pub(super) label: String,
    pub(super) color: RGBColor,
    /// Its bytes at a sample.
    pub(super) bytes: Box<dyn Fn(&Sample) -> f64>,
}

/// The picture.
pub(super) struct Stacked<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: String,
    /// What is stacked, on the axis.
    pub(super) axis: &'static str,
    pub(super) run: &'a Run,
    /// From the bottom up.
    pub(super) layers: Vec<Layer>,
    /// The limit at a sample; zero: none (B).
    pub(super) limit: fn(&Sample) -> u64,
    pub(super) limit_label: &'static str,
    /// A share of the limit that has a line of its own.
    pub(super) warned_share: Option<f64>,
    /// The highest point: bytes and time.
    pub(super) peak: (u64, SimTime),
}

/// The events worth a mark: those of the scenario and the firsts, then forks and the rehashes that the curve shows; and how
/// many there are in all.
fn marked(run: &Run) -> (Vec<&Event>, u64) {
    let important = |event: &&Event| {
        matches!(
            event.kind,
            EventKind::Scenario(_)
                | EventKind::OomFirst
                | EventKind::EvictingFirst
                | EventKind::ResizeRefused { .. }
                | EventKind::SlowFree { .. }
                | EventKind::ForkFailed { .. }
                | EventKind::OomKilled { .. }
                | EventKind::ClientDisconnected { .. }
                | EventKind::ReplicaDropped { .. }
                | EventKind::ResyncLoop { .. }
                | EventKind::NoEffect { .. }
        )
    };
    let mut events: Vec<&Event> = run.events.iter().filter(important).take(EVENTS).collect();
    let seen = |event: &&Event| event.kind.new_array_bytes() as f64 >= SEEN * run.peak.used_memory.max(1) as f64;
    let forks = |event: &&Event| matches!(event.kind, EventKind::ChildEnded { .. });
    let rest = run.events.iter().filter(|event| seen(event) || forks(event));
    let all = (run.events.iter().filter(important).count() + rest.clone().count()) as u64 + run.events_dropped;
    let room = EVENTS - events.len();
    events.extend(rest.take(room));
    events.sort_by_key(|event| event.at);
    (events, all)
}

impl Drawing for Stacked<'_> {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), PlotError> {
        let run = self.run;
        let (plot, side) = chart::paper(area, self.title, &self.subtitle)?;
        let seconds = run.end.at.as_secs_f64();
        let limit = run.timeline.iter().map(self.limit).max().unwrap_or(0) as f64;
        let top = (self.peak.0 as f64).max(limit) * AIR;
        let (time, bytes) = (chart::time_unit(seconds), chart::byte_unit(top));
        let (width, height) = (seconds / time.factor, top / bytes.factor);
        let mut context = ChartBuilder::on(&plot)
            .margin_top(24)
            .margin_left(16)
            .margin_right(12)
            .margin_bottom(10)
            .x_label_area_size(52)
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..width, 0.0..height)
            .map_err(PlotError::new)?;
        chart::axes(&mut context, &time, &format!("{} [{}]", self.axis, bytes.name), width, height)?;
        let x = |sample: &Sample| sample.at.as_secs_f64() / time.factor;
        let mut floor = vec![0.0; run.timeline.len()];
        for layer in &self.layers {
            let ceiling: Vec<f64> =
                run.timeline.iter().zip(&floor).map(|(s, f)| f + (layer.bytes)(s) / bytes.factor).collect();
            let up = run.timeline.iter().zip(&ceiling).map(|(s, y)| (x(s), *y));
            let down = run.timeline.iter().zip(&floor).rev().map(|(s, y)| (x(s), *y));
            let outline: Vec<(f64, f64)> = up.chain(down).collect();
            context.draw_series([Polygon::new(outline, layer.color.filled())]).map_err(PlotError::new)?;
            floor = ceiling;
        }
        for (share, width) in std::iter::once((1.0, 2)).chain(self.warned_share.map(|share| (share, 1))) {
            for pair in run.timeline.windows(2).filter(|pair| (self.limit)(&pair[0]) > 0) {
                let [y, then] = [&pair[0], &pair[1]].map(|s| (self.limit)(s) as f64 * share / bytes.factor);
                let steps = [(x(&pair[0]), y), (x(&pair[1]), y), (x(&pair[1]), then)];
                context.draw_series(LineSeries::new(steps, ALARM.stroke_width(width))).map_err(PlotError::new)?;
            }
        }
        let peak = (self.peak.1.as_secs_f64() / time.factor, self.peak.0 as f64 / bytes.factor);
        context.draw_series([Circle::new(peak, 5, INK.filled())]).map_err(PlotError::new)?;
        let (events, all) = marked(run);
        let pixels = f64::from(super::SIZE.0 - chart::LEGEND - 112) / width.max(f64::MIN_POSITIVE);
        let mut last = f64::NEG_INFINITY;
        for (number, event) in events.iter().enumerate() {
            let at = event.at.as_secs_f64() / time.factor;
            let line = [(at, 0.0), (at, height)];
            context.draw_series([PathElement::new(line, INK.mix(0.45))]).map_err(PlotError::new)?;
            // Numbers too near to the one before give way to the right.
            let place = (at * pixels).max(last + APART);
            last = place;
            let style = ("sans-serif", 14).into_font().color(&INK);
            plot.draw_text(&(number + 1).to_string(), &style, (97 + place as i32, 8)).map_err(PlotError::new)?;
        }
        self.side(&side, limit, &events, all)
    }
}

impl Stacked<'_> {
    fn side<DB: DrawingBackend>(
        &self,
        side: &DrawingArea<DB, Shift>,
        limit: f64,
        events: &[&Event],
        all: u64,
    ) -> Result<(), PlotError> {
        let mut entries: Vec<(RGBColor, String)> = Vec::new();
        if limit > 0.0 {
            entries.push((ALARM, format!("{} {}", self.limit_label, format::size(limit as u64))));
            entries.extend(self.warned_share.map(|share| (ALARM, format!("{:.0} % of it (thin)", share * 100.0))));
        }
        entries.extend(self.layers.iter().rev().map(|layer| (layer.color, layer.label.clone())));
        entries.push((INK, "peak".to_owned()));
        let mut y = chart::legend(side, &entries, 26)? + 14;
        let mut shown = 0;
        for (number, event) in events.iter().enumerate() {
            if y > super::SIZE.1.cast_signed() - 90 {
                break;
            }
            shown += 1;
            let head = format!("{}  after {}", number + 1, event.at);
            chart::text(side, &head, (6, y), 14, INK)?;
            for line in wrapped(&format::event(&event.kind).replace('\u{202f}', "\u{a0}"), 32) {
                y += 18;
                chart::text(side, &line, (20, y), 13, RGBColor(110, 110, 110))?;
            }
            y += 26;
        }
        if all > shown {
            let more =
                format!("… and {} more in summary.json", format::count(all - shown).replace('\u{202f}', "\u{a0}"));
            chart::text(side, &more, (6, y), 14, INK)?;
        }
        Ok(())
    }
}

/// A text in lines of at most `width` characters, where words allow it.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.len() - 1;
        let used = lines[line].chars().count();
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if used > 0 {
                lines[line].push(' ');
            }
            lines[line].push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::DropReason;

    #[test]
    fn every_event_worth_a_mark_is_counted_and_a_few_are_shown() {
        let dropped = |second: u64| Event {
            at: SimTime(second * 1_000_000),
            kind: EventKind::ReplicaDropped { replica: 0, usage: 1, reason: DropReason::HardLimit },
        };
        let ended = Event {
            at: SimTime(1),
            kind: EventKind::RehashEnded { table: crate::record::TableName::Main, buckets: 4 },
        };
        let events: Vec<Event> = (0..44).map(dropped).chain([ended]).collect();
        let run = Run { events, events_dropped: 3, ..Run::default() };
        let (shown, all) = marked(&run);
        assert_eq!((shown.len(), all), (EVENTS, 47));
    }
}
