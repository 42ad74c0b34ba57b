//! Measured against predicted: measured as points, predicted as a line, a panel for each quantity.

use super::chart::{self, ALARM, COLORS, Drawing, INK};
use super::{Picture, PlotError};
use plotters::coord::Shift;
use plotters::prelude::*;

/// Points of a line, or of a cloud, at most: more than there are columns of pixels.
const POINTS: usize = 1200;
/// Radius of a measured point (pixels).
const RADIUS: i32 = 3;

/// What the horizontal axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizontal {
    /// Seconds.
    Time,
    /// Things of this name.
    Count(&'static str),
}

/// What the vertical axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vertical {
    /// Bytes, in the unit that reads best.
    Bytes,
    /// Things, or percent: as they are, under this name.
    Plain(&'static str),
}

/// One quantity.
#[derive(Debug, Clone, Copy)]
pub struct Quantity<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it runs along.
    pub along: Horizontal,
    /// What it counts in.
    pub unit: Vertical,
    /// Place and value.
    pub measured: &'a [(f64, f64)],
    /// Place and value.
    pub predicted: &'a [(f64, f64)],
}

struct Comparison<'a> {
    title: &'a str,
    quantities: &'a [Quantity<'a>],
}

/// Draws the quantities of one case below each other, under one title.
///
/// # Errors
/// [`PlotError`] when the drawing library refuses.
pub fn comparison(title: &str, quantities: &[Quantity<'_>]) -> Result<Picture, PlotError> {
    super::register()?;
    chart::picture("comparison", &Comparison { title, quantities })
}

impl Drawing for Comparison<'_> {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), PlotError> {
        let (plot, side) = chart::paper(area, self.title, "measured on the server, predicted by capsim")?;
        for (panel, quantity) in plot.split_evenly((self.quantities.len().max(1), 1)).iter().zip(self.quantities) {
            draw(panel, quantity)?;
        }
        side.draw(&Circle::new((14, 33), RADIUS + 1, ALARM.filled())).map_err(PlotError::new)?;
        chart::text(&side, "measured", (30, 25), 15, INK)?;
        side.draw(&PathElement::new([(4, 59), (24, 59)], COLORS[8].stroke_width(3))).map_err(PlotError::new)?;
        chart::text(&side, "predicted", (30, 51), 15, INK)
    }
}

fn draw<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, quantity: &Quantity<'_>) -> Result<(), PlotError> {
    let all = || quantity.measured.iter().chain(quantity.predicted);
    let highest = all().map(|&(_, value)| value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let (factor, unit) = match quantity.unit {
        Vertical::Bytes => {
            let unit = chart::byte_unit(highest);
            (unit.factor, unit.name)
        }
        Vertical::Plain(name) => (1.0, name),
    };
    let top = highest / factor * 1.06;
    // What was measured says how far the axis goes.
    let last = quantity.measured.iter().map(|&(at, _)| at).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let (scale, along) = match quantity.along {
        Horizontal::Time => {
            let unit = chart::time_unit(last);
            (unit.factor, format!("time [{}]", unit.name))
        }
        Horizontal::Count(name) => (1.0, name.to_owned()),
    };
    let width = last / scale * 1.01;
    let mut context = ChartBuilder::on(area)
        .margin_top(14)
        .margin_left(16)
        .margin_right(12)
        .margin_bottom(6)
        .x_label_area_size(48)
        .y_label_area_size(104)
        .build_cartesian_2d(0.0..width, 0.0..top)
        .map_err(PlotError::new)?;
    chart::mesh(&mut context, along, &format!("{} [{unit}]", quantity.name), width, top)?;
    let shown = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        let step = points.len().div_ceil(POINTS).max(1);
        let scaled = points.iter().step_by(step).map(|&(at, value)| (at / scale, value / factor));
        scaled.filter(|&(at, _)| (0.0..=width).contains(&at)).collect()
    };
    let line = LineSeries::new(shown(quantity.predicted), COLORS[8].stroke_width(2));
    context.draw_series(line).map_err(PlotError::new)?;
    let points = shown(quantity.measured).into_iter().map(|point| Circle::new(point, RADIUS, ALARM.filled()));
    context.draw_series(points).map(|_| ()).map_err(PlotError::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_title_unit_and_both_names() {
        let measured = [(0.0, 1e6), (1.0, 9e6)];
        let quantity = Quantity {
            name: "used_memory",
            along: Horizontal::Time,
            unit: Vertical::Bytes,
            measured: &measured,
            predicted: &measured,
        };
        let picture =
            comparison("case on server", &[quantity, Quantity { along: Horizontal::Count("keys"), ..quantity }])
                .expect("a picture");
        for word in ["case on server", "used_memory [MiB]", "time [s]", "keys", "measured", "predicted"] {
            assert!(picture.svg.contains(word), "{word}");
        }
        assert!(comparison("nothing", &[]).is_ok());
    }
}
