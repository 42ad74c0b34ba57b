//! Kind `expiry`: new keys at a fixed rate, each with a TTL; nobody reads them.

use super::figure::{Compared, Figure, Series, Unit};
use super::judge::seen;
use super::measurement::Measurement;
use super::tolerance;
use crate::record::{Run, Sample};
use serde_json::Value;

/// Keys and `used_memory` over the timeline, what expired, what the server takes for stale.
pub(super) fn compare(measurement: &Measurement, run: &Run, offset_s: f64) -> Result<Compared, String> {
    let over_time = |name: &'static str, unit, predicted: &dyn Fn(&Sample) -> f64| {
        let measured = |sample: &Value| sample.get(name).and_then(Value::as_f64);
        Series::over_time(name, unit, (measurement.timeline(), &measured), (&run.timeline, predicted), offset_s)
    };
    let keys = over_time("keys", Unit::Count, &|s| s.keys as f64);
    let used = over_time("used_memory", Unit::Bytes, &|s| s.used_memory as f64);
    let stale = over_time("expired_stale_perc", Unit::Percent, &|s| s.expired_stale_millipercent as f64 / 1000.0);
    if keys.measured.is_empty() {
        return Err("the record has no timeline".to_owned());
    }
    let (keys_measured, keys_predicted) = keys.second_half();
    let (stale_measured, stale_predicted) = stale.second_half();
    let expired = run.end.counters.expired_keys as f64;
    let figures = vec![
        keys.mean_absolute_error(tolerance::EXPIRY_KEYS_ERROR),
        Figure::new("keys, mean of the second half", keys_measured, keys_predicted, tolerance::EXPIRY_KEYS),
        Figure::new("end.expired_keys", seen(measurement, "end.expired_keys")?, expired, tolerance::EXPIRY_EXPIRED),
        Figure::new(
            "expired_stale_perc, mean of the second half",
            stale_measured,
            stale_predicted,
            tolerance::EXPIRY_STALE_POINTS,
        ),
        used.mean_absolute_error(tolerance::EXPIRY_USED_ERROR),
    ];
    Ok(Compared { figures, series: vec![keys, used, stale] })
}
