//! Pictures of a run and of the server that it predicts: the run's line, and points where the server was read.

use super::chart::{self, ALARM, COLORS, Drawing};
use super::{Picture, PlotError};
use plotters::coord::Shift;
use plotters::prelude::*;

/// A predicted line and measured points.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Name of the picture's files.
    pub name: &'static str,
    /// Title.
    pub title: String,
    /// What is compared.
    pub axis: &'static str,
    /// It is bytes.
    pub bytes: bool,
    /// Time (s) and value.
    pub predicted: Vec<(f64, f64)>,
    /// Time (s) and value.
    pub measured: Vec<(f64, f64)>,
}

/// Draws one comparison.
///
/// # Errors
/// [`PlotError`] when the drawing library refuses.
pub fn comparison(comparison: &Comparison) -> Result<Picture, PlotError> {
    super::register()?;
    chart::picture(comparison.name, comparison)
}

impl Drawing for Comparison {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), PlotError> {
        let (plot, side) = chart::paper(area, &self.title, "predicted, and what the server said")?;
        let both = || self.predicted.iter().chain(&self.measured);
        let highest = both().map(|(_, value)| *value).fold(0.0, f64::max).max(1.0);
        let seconds = both().map(|(time, _)| *time).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let unit = if self.bytes { chart::byte_unit(highest) } else { chart::Unit { factor: 1.0, name: "" } };
        let name = if self.bytes { format!("{} [{}]", self.axis, unit.name) } else { self.axis.to_owned() };
        let time = chart::time_unit(seconds);
        let (width, top) = (seconds / time.factor, highest / unit.factor * 1.06);
        let mut context = ChartBuilder::on(&plot)
            .margin_top(24)
            .margin_left(16)
            .margin_right(12)
            .margin_bottom(10)
            .x_label_area_size(52)
            .y_label_area_size(104)
            .build_cartesian_2d(0.0..width, 0.0..top)
            .map_err(PlotError::new)?;
        chart::axes(&mut context, &time, &name, width, top)?;
        let at = |&(seconds, value): &(f64, f64)| (seconds / time.factor, value / unit.factor);
        let line = LineSeries::new(self.predicted.iter().map(at), COLORS[8].stroke_width(2));
        context.draw_series(line).map_err(PlotError::new)?;
        let points = self.measured.iter().map(|point| Circle::new(at(point), 4, ALARM.filled()));
        context.draw_series(points).map_err(PlotError::new)?;
        let entries = [(COLORS[8], "predicted".to_owned()), (ALARM, "measured".to_owned())];
        chart::legend(&side, &entries, 26).map(|_| ())
    }
}
