//! Kind `grow`: one key grows element by element, and is looked at on the way.

use super::example::ExampleKey;
use super::figure::{Along, Compared, Figure, Series, Unit};
use super::judge;
use super::load::{HISTOGRAM, OBSERVER_REPLY_NEW, OBSERVER_REPLY_SETTLED};
use super::measurement::Measurement;
use super::tolerance;
use super::translate;
use crate::profile::Profile;

/// `used_memory`, encoding and `MEMORY USAGE` at each mark: a run for each.
pub(super) fn compare(measurement: &Measurement) -> Result<Compared, String> {
    let (name, _) = measurement.server_names();
    let profile = Profile::find(&name).ok_or("not modelled yet")?;
    let histogram = if profile.latency_histograms { HISTOGRAM } else { 0.0 };
    let fitted = if profile.reply_buffer_adaptive { OBSERVER_REPLY_NEW - OBSERVER_REPLY_SETTLED } else { 0.0 };
    let marks = measurement.marks();
    if marks.is_empty() {
        return Err("the record has no marks".to_owned());
    }
    let (mut figures, mut points) = (Vec::new(), Vec::new());
    for (index, mark) in marks.iter().enumerate() {
        let translation = translate::grow(measurement, mark.elements).ok_or("its type is not modelled")?;
        let run = judge::simulate(&measurement.case.name, &translation)?;
        let grown = run.end.used_memory as f64 - run.timeline.first().map_or(0.0, |s| s.used_memory as f64);
        // From the second mark on MEMORY USAGE and OBJECT ENCODING have been used; the reading connection's reply buffer
        // was fitted before the first.
        let looked = if index > 0 { 2.0 * histogram } else { 0.0 };
        let key = ExampleKey::of(measurement, &run);
        let at = format!(" at {} elements", mark.elements);
        let predicted = grown + looked - fitted;
        let name = format!("used_memory{at}");
        figures.push(Figure::new(name, mark.used_memory, predicted, tolerance::GROW_MARK).on_curve());
        points.push((mark.elements as f64, mark.used_memory, predicted));
        figures.extend(key.figures(&at, Some(&mark.encoding), Some(mark.memory_usage)));
    }
    let series = Series {
        name: "used_memory",
        along: Along::Elements,
        unit: Unit::Bytes,
        measured: points.iter().map(|&(at, measured, _)| (at, measured)).collect(),
        predicted: points.iter().map(|&(at, _, predicted)| (at, predicted)).collect(),
    };
    Ok(Compared { figures, series: vec![series] })
}
