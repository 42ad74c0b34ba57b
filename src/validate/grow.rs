//! Kind `grow`: one key grows element by element, and is looked at on the way.

use super::example::ExampleKey;
use super::judge::{self, Figure, HISTOGRAM, OBSERVER_REPLY_NEW, OBSERVER_REPLY_SETTLED, USED_MEMORY_FLOOR};
use super::measurement::Measurement;
use super::translate;
use crate::profile::Profile;

/// `used_memory`, encoding and `MEMORY USAGE` at each mark: a run for each.
pub(super) fn figures(measurement: &Measurement) -> Result<Vec<Figure>, String> {
    let (name, _) = measurement.server_names();
    let profile = Profile::find(&name).ok_or("not modelled yet")?;
    let histogram = if profile.latency_histograms { HISTOGRAM } else { 0.0 };
    let fitted = if profile.reply_buffer_adaptive { OBSERVER_REPLY_NEW - OBSERVER_REPLY_SETTLED } else { 0.0 };
    let marks = measurement.marks();
    if marks.is_empty() {
        return Err("the record has no marks".to_owned());
    }
    let mut figures = Vec::new();
    for (index, mark) in marks.iter().enumerate() {
        let translation = translate::grow(measurement, mark.elements).ok_or("its type is not modelled")?;
        let run = judge::simulate(&measurement.case.name, &translation)?;
        let grown = run.end.used_memory as f64 - run.timeline.first().map_or(0.0, |s| s.used_memory as f64);
        // From the second mark on MEMORY USAGE and OBJECT ENCODING have been used; the reading connection's reply buffer
        // was fitted before the first.
        let looked = if index > 0 { 2.0 * histogram } else { 0.0 };
        let key = ExampleKey::of(measurement, &run);
        let at = format!(" at {} elements", mark.elements);
        let share = key.share().max(0.005);
        figures.push(Figure {
            curve_point: true,
            ..judge::figure(
                &format!("used_memory{at}"),
                mark.used_memory,
                grown + looked - fitted,
                share,
                USED_MEMORY_FLOOR,
            )
        });
        figures.extend(key.figures(&at, Some(&mark.encoding), Some(mark.memory_usage)));
    }
    Ok(figures)
}
