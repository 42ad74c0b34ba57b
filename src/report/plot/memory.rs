//! `memory`: the parts of `used_memory`, stacked, against `maxmemory`.

use super::PlotError;
use super::chart::{self, ALARM, COLORS, Drawing, GRID, INK, TICKS};
use crate::node::ledger::{MemoryPart, PARTS};
use crate::record::{Event, EventKind, Run, Sample};
use crate::report::format;
use plotters::coord::Shift;
use plotters::prelude::*;

/// Parts below this share of the peak are drawn together.
const SMALL: f64 = 0.01;
/// Events in the key at most.
const EVENTS: usize = 9;
/// A rehash is marked when its new array is at least this share of the peak.
const SEEN: f64 = 0.02;
/// Pixels between two numbers above the chart.
const APART: f64 = 16.0;
/// Room above the highest point, as a share.
const AIR: f64 = 1.08;

/// The picture.
pub(super) struct Memory<'a> {
    pub(super) title: &'a str,
    pub(super) run: &'a Run,
}

/// A layer of the stack: what it sums.
struct Layer {
    parts: Vec<MemoryPart>,
    color: RGBColor,
    label: String,
}

impl Layer {
    fn bytes(&self, sample: &Sample) -> f64 {
        self.parts.iter().map(|part| sample.parts[*part as usize] as f64).sum()
    }
}

/// Layers from the bottom up: small parts together, then the others in their order.
fn layers(run: &Run) -> Vec<Layer> {
    let highest: [u64; PARTS] =
        std::array::from_fn(|i| run.timeline.iter().map(|sample| sample.parts[i]).max().unwrap_or(0));
    let small = |part: &MemoryPart| (highest[*part as usize] as f64) < SMALL * run.peak.used_memory as f64;
    let (others, large): (Vec<MemoryPart>, Vec<MemoryPart>) = MemoryPart::ALL.into_iter().partition(small);
    let mut layers = Vec::new();
    if others.iter().any(|part| highest[*part as usize] > 0) {
        layers.push(Layer { parts: others, color: COLORS[0], label: "other".to_owned() });
    }
    layers.extend(large.into_iter().map(|part| Layer {
        parts: vec![part],
        color: COLORS[part as usize],
        label: part.label().to_owned(),
    }));
    layers
}

/// The events worth a mark: those of the scenario and the firsts, then the rehashes that the curve shows.
fn marked(run: &Run) -> Vec<&Event> {
    let important = |event: &&Event| {
        matches!(
            event.kind,
            EventKind::Scenario(_) | EventKind::OomFirst | EventKind::EvictingFirst | EventKind::ResizeRefused { .. }
        )
    };
    let mut events: Vec<&Event> = run.events.iter().filter(important).take(EVENTS).collect();
    let seen = |event: &&Event| event.kind.new_array_bytes() as f64 >= SEEN * run.peak.used_memory.max(1) as f64;
    let rest = run.events.iter().filter(seen);
    let room = EVENTS - events.len();
    events.extend(rest.take(room));
    events.sort_by_key(|event| event.at);
    events
}

impl Drawing for Memory<'_> {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), PlotError> {
        let run = self.run;
        let subtitle =
            format!("used_memory by part; peak {} after {}", format::size(run.peak.used_memory), run.peak.at);
        let (plot, side) = chart::paper(area, self.title, &subtitle)?;
        let seconds = run.end.at.as_secs_f64();
        let limit = run.timeline.iter().map(|s| s.maxmemory).max().unwrap_or(0) as f64;
        let top = (run.peak.used_memory as f64).max(limit) * AIR;
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
        context
            .configure_mesh()
            .x_labels(TICKS)
            .y_labels(TICKS)
            .x_desc(format!("simulated time [{}]", time.name))
            .y_desc(format!("used_memory [{}]", bytes.name))
            .x_label_formatter(&|x| chart::tick(*x, width))
            .y_label_formatter(&|y| chart::tick(*y, height))
            .label_style(("sans-serif", 15).into_font().color(&INK))
            .axis_desc_style(("sans-serif", 16).into_font().color(&INK))
            .light_line_style(WHITE.mix(0.0))
            .bold_line_style(GRID)
            .axis_style(INK)
            .draw()
            .map_err(PlotError::new)?;
        let layers = layers(run);
        let x = |sample: &Sample| sample.at.as_secs_f64() / time.factor;
        let mut floor = vec![0.0; run.timeline.len()];
        for layer in &layers {
            let ceiling: Vec<f64> =
                run.timeline.iter().zip(&floor).map(|(s, f)| f + layer.bytes(s) / bytes.factor).collect();
            let up = run.timeline.iter().zip(&ceiling).map(|(s, y)| (x(s), *y));
            let down = run.timeline.iter().zip(&floor).rev().map(|(s, y)| (x(s), *y));
            let outline: Vec<(f64, f64)> = up.chain(down).collect();
            context.draw_series([Polygon::new(outline, layer.color.filled())]).map_err(PlotError::new)?;
            floor = ceiling;
        }
        if limit > 0.0 {
            for pair in run.timeline.windows(2).filter(|pair| pair[0].maxmemory > 0) {
                let y = pair[0].maxmemory as f64 / bytes.factor;
                let steps =
                    [(x(&pair[0]), y), (x(&pair[1]), y), (x(&pair[1]), pair[1].maxmemory as f64 / bytes.factor)];
                context.draw_series(LineSeries::new(steps, ALARM.stroke_width(2))).map_err(PlotError::new)?;
            }
        }
        let peak = (run.peak.at.as_secs_f64() / time.factor, run.peak.used_memory as f64 / bytes.factor);
        context.draw_series([Circle::new(peak, 5, INK.filled())]).map_err(PlotError::new)?;
        let events = marked(run);
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
        self.side(&side, &layers, limit, &events)
    }
}

impl Memory<'_> {
    fn side<DB: DrawingBackend>(
        &self,
        side: &DrawingArea<DB, Shift>,
        layers: &[Layer],
        limit: f64,
        events: &[&Event],
    ) -> Result<(), PlotError> {
        let mut entries: Vec<(RGBColor, String)> = Vec::new();
        if limit > 0.0 {
            entries.push((ALARM, format!("maxmemory {}", format::size(limit as u64))));
        }
        entries.extend(layers.iter().rev().map(|layer| (layer.color, layer.label.clone())));
        entries.push((INK, "peak".to_owned()));
        let mut y = chart::legend(side, &entries, 26)? + 14;
        for (number, event) in events.iter().enumerate() {
            if y > super::SIZE.1.cast_signed() - 60 {
                let more = format!("… and {} more in report.md", events.len() - number);
                chart::text(side, &more, (6, y), 14, INK)?;
                break;
            }
            let head = format!("{}  after {}", number + 1, event.at);
            chart::text(side, &head, (6, y), 14, INK)?;
            for line in wrapped(&format::event(&event.kind).replace('\u{202f}', "\u{a0}"), 32) {
                y += 18;
                chart::text(side, &line, (20, y), 13, RGBColor(110, 110, 110))?;
            }
            y += 26;
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
