//! What all pictures share: backends, axes, units, colours, legend.

use super::{Picture, PlotError, SIZE};
use crate::units::Bytes;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Columns of pixels that the legend takes.
pub(super) const LEGEND: u32 = 250;
/// Rows of pixels of the title.
const TITLE: u32 = 56;
/// Labels on an axis.
const TICKS: usize = 10;
/// Ink of text and of axes.
pub(super) const INK: RGBColor = RGBColor(51, 51, 51);
/// Ink of the grid.
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Colours that colour-blind readers can tell apart.  Source: Paul Tol, "Colour schemes", bright and light.
pub(super) const COLORS: [RGBColor; 12] = [
    RGBColor(187, 187, 187),
    RGBColor(221, 221, 221),
    RGBColor(170, 51, 119),
    RGBColor(238, 102, 119),
    RGBColor(238, 136, 102),
    RGBColor(204, 187, 68),
    RGBColor(34, 136, 51),
    RGBColor(102, 204, 238),
    RGBColor(68, 119, 170),
    RGBColor(68, 187, 153),
    RGBColor(68, 187, 153),
    RGBColor(170, 170, 0),
];
/// The colour of limits and alarms.
pub(super) const ALARM: RGBColor = RGBColor(204, 51, 17);

/// Something that can be drawn on any backend.
pub(super) trait Drawing {
    /// Draws it into an area of [`SIZE`].
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), PlotError>;
}

/// A chart over time.
pub(super) type Context<'a, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws grid and axes: time from 0 to `width` in its unit, `name` from 0 to `height`.
pub(super) fn axes<DB: DrawingBackend>(
    context: &mut Context<'_, DB>,
    time: &Unit,
    name: &str,
    width: f64,
    height: f64,
) -> Result<(), PlotError> {
    mesh(context, format!("simulated time [{}]", time.name), name, width, height)
}

/// Draws grid and axes: `along` from 0 to `width`, `name` from 0 to `height`.
pub(super) fn mesh<DB: DrawingBackend>(
    context: &mut Context<'_, DB>,
    along: String,
    name: &str,
    width: f64,
    height: f64,
) -> Result<(), PlotError> {
    context
        .configure_mesh()
        .x_labels(TICKS)
        .y_labels(TICKS)
        .x_desc(along)
        .y_desc(name)
        .x_label_formatter(&|x| tick(*x, width))
        .y_label_formatter(&|y| tick(*y, height))
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 16).into_font().color(&INK))
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(GRID)
        .axis_style(INK)
        .draw()
        .map_err(PlotError::new)
}

/// Draws in both formats.
pub(super) fn picture(name: &'static str, drawing: &impl Drawing) -> Result<Picture, PlotError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        drawing.draw(&area)?;
        area.present().map_err(PlotError::new)?;
    }
    let (width, height) = SIZE;
    let mut pixels = vec![0; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        drawing.draw(&area)?;
        area.present().map_err(PlotError::new)?;
    }
    Ok(Picture { name, svg, png: png(&pixels)? })
}

fn png(pixels: &[u8]) -> Result<Vec<u8>, PlotError> {
    use image::ImageEncoder;
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.write_image(pixels, SIZE.0, SIZE.1, image::ColorType::Rgb8).map_err(PlotError::new)?;
    Ok(bytes)
}

/// The areas of a chart and of its legend.
type Areas<DB> = (DrawingArea<DB, Shift>, DrawingArea<DB, Shift>);

/// White paper with a title; returns the areas of the chart and of the legend.
pub(super) fn paper<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    title: &str,
    subtitle: &str,
) -> Result<Areas<DB>, PlotError> {
    area.fill(&WHITE).map_err(PlotError::new)?;
    let (head, rest) = area.split_vertically(TITLE);
    text(&head, title, (24, 10), 22, INK)?;
    text(&head, subtitle, (24, 36), 15, RGBColor(110, 110, 110))?;
    Ok(rest.split_horizontally(SIZE.0 - LEGEND))
}

/// A line of text with its upper left corner at a point.
pub(super) fn text<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    text: &str,
    at: (i32, i32),
    size: u32,
    color: RGBColor,
) -> Result<(), PlotError> {
    let style = ("sans-serif", size).into_font().color(&color).pos(Pos::new(HPos::Left, VPos::Top));
    area.draw_text(text, &style, at).map_err(PlotError::new)
}

/// A list of colours and names.
pub(super) fn legend<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    entries: &[(RGBColor, String)],
    from: i32,
) -> Result<i32, PlotError> {
    let mut y = from;
    for (color, name) in entries {
        area.draw(&Rectangle::new([(6, y), (22, y + 14)], color.filled())).map_err(PlotError::new)?;
        text(area, name, (30, y - 1), 15, INK)?;
        y += 26;
    }
    Ok(y)
}

/// A unit of an axis: how many base units it has, and its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) factor: f64,
    pub(super) name: &'static str,
}

/// The unit in which a time of so many seconds reads best.
pub(super) fn time_unit(seconds: f64) -> Unit {
    match seconds {
        s if s <= 300.0 => Unit { factor: 1.0, name: "s" },
        s if s <= 3.0 * 3600.0 => Unit { factor: 60.0, name: "min" },
        s if s <= 4.0 * 86_400.0 => Unit { factor: 3600.0, name: "h" },
        _ => Unit { factor: 86_400.0, name: "d" },
    }
}

/// The unit in which so many bytes read best.
pub(super) fn byte_unit(bytes: f64) -> Unit {
    match bytes {
        b if b >= 2.0 * Bytes::GIB as f64 => Unit { factor: Bytes::GIB as f64, name: "GiB" },
        b if b >= 2.0 * Bytes::MIB as f64 => Unit { factor: Bytes::MIB as f64, name: "MiB" },
        _ => Unit { factor: Bytes::KIB as f64, name: "KiB" },
    }
}

/// A number on an axis: thousands apart, decimals only where the ticks need them.
pub(super) fn tick(value: f64, top: f64) -> String {
    let decimals = match top {
        t if t >= 20.0 => 0,
        t if t >= 2.0 => 1,
        t if t >= 0.2 => 2,
        _ => 4,
    };
    if decimals == 0 {
        return crate::report::format::count(value.round().max(0.0) as u64).replace('\u{202f}', " ");
    }
    format!("{value:.decimals$}")
}
