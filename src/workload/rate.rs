//! Requests a second over time.
//!
//! A [`Rate`] is asked for the number of requests expected between two instants, the integral of the rate, which every
//! shape knows in closed form.

use super::params::{Entry, ParamError, ParamKind, ParamSpec, Params};
use crate::units::{Micros, SimTime};
use std::f64::consts::{LN_2, TAU};

/// Microseconds in a second.
const MICROS: f64 = 1e6;
/// The default period of a daily wave (µs).
const DAY: f64 = 86_400e6;

/// Requests a second over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate(Shape);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Constant(f64),
    /// Times in microseconds.
    Diurnal {
        mean: f64,
        amplitude: f64,
        period: f64,
        peak_at: f64,
    },
    /// Linear between points, constant outside.
    Ramp(Vec<(f64, f64)>),
    /// Each rate holds until the next point.
    Step(Vec<(f64, f64)>),
    Flash {
        base: f64,
        at: f64,
        excess: f64,
        rise: f64,
        half_life: f64,
    },
    OnOff {
        on: f64,
        off: f64,
        rate: f64,
        off_rate: f64,
    },
}

const fn param(name: &'static str, kind: ParamKind, required: bool, help: &'static str) -> ParamSpec {
    ParamSpec { name, kind, required, help }
}

const POINTS: &[ParamSpec] = &[param(
    "points",
    ParamKind::RatePoints,
    true,
    "pairs of time and rate, times rising: [[\"0s\", 0], [\"1h\", 5000]]",
)];

/// Every shape that a scenario can name; a constant rate is written as a bare number.
pub const RATES: &[Entry<Rate>] = &[
    Entry {
        name: "diurnal",
        summary: "a cosine wave over the day",
        params: &[
            param("mean", ParamKind::Rate, true, "mean rate"),
            param("amplitude", ParamKind::Plain, true, "share of the mean by which the peak is higher, 0 to 1"),
            param("period", ParamKind::Duration, false, "length of a wave; default: 24h"),
            param("peak-at", ParamKind::Duration, false, "time of day of the peak; default: 12h"),
        ],
        build: diurnal,
    },
    Entry { name: "ramp", summary: "straight lines between points", params: POINTS, build: ramp },
    Entry { name: "step", summary: "each rate holds until the next point", params: POINTS, build: step },
    Entry {
        name: "flash",
        summary: "a base rate, a rise to a multiple of it, and a decay",
        params: &[
            param("base", ParamKind::Rate, true, "rate before"),
            param("at", ParamKind::Duration, true, "when the rise begins"),
            param("multiplier", ParamKind::Plain, true, "peak as a multiple of the base, at least 1"),
            param("rise", ParamKind::Duration, true, "how long the rise takes"),
            param("half-life", ParamKind::Duration, true, "time in which half of the excess is gone"),
        ],
        build: flash,
    },
    Entry {
        name: "on-off",
        summary: "bursts: on for a time, off for a time, and again",
        params: &[
            param("on", ParamKind::Duration, true, "how long it is on; it starts on"),
            param("off", ParamKind::Duration, true, "how long it is off"),
            param("rate", ParamKind::Rate, true, "rate while on"),
            param("off-rate", ParamKind::Rate, false, "rate while off; default: 0"),
        ],
        build: on_off,
    },
];

fn at_least_zero(params: &Params, name: &'static str, default: Option<f64>) -> Result<f64, ParamError> {
    params.checked(name, default, "a number of at least 0", |x| x >= 0.0)
}

fn positive(params: &Params, name: &'static str, default: Option<f64>) -> Result<f64, ParamError> {
    params.checked(name, default, "more than 0", |x| x > 0.0)
}

fn diurnal(params: &Params) -> Result<Rate, ParamError> {
    Ok(Rate(Shape::Diurnal {
        mean: at_least_zero(params, "mean", None)?,
        amplitude: params.checked("amplitude", None, "a share between 0 and 1", |a| (0.0..=1.0).contains(&a))?,
        period: positive(params, "period", Some(DAY))?,
        peak_at: at_least_zero(params, "peak-at", Some(DAY / 2.0))?,
    }))
}

fn points(params: &Params) -> Result<Vec<(f64, f64)>, ParamError> {
    let points = params.points("points");
    let rising = points.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if points.is_empty() || !rising || points.iter().any(|(at, rate)| !(*at >= 0.0 && *rate >= 0.0)) {
        return Err(ParamError::new("points", "one or more pairs of time and rate, times rising"));
    }
    Ok(points.to_vec())
}

fn ramp(params: &Params) -> Result<Rate, ParamError> {
    Ok(Rate(Shape::Ramp(points(params)?)))
}

fn step(params: &Params) -> Result<Rate, ParamError> {
    Ok(Rate(Shape::Step(points(params)?)))
}

fn flash(params: &Params) -> Result<Rate, ParamError> {
    let base = at_least_zero(params, "base", None)?;
    let multiplier = params.checked("multiplier", None, "a number of at least 1", |m| m >= 1.0)?;
    Ok(Rate(Shape::Flash {
        base,
        at: at_least_zero(params, "at", None)?,
        excess: base * (multiplier - 1.0),
        rise: positive(params, "rise", None)?,
        half_life: positive(params, "half-life", None)?,
    }))
}

fn on_off(params: &Params) -> Result<Rate, ParamError> {
    Ok(Rate(Shape::OnOff {
        on: positive(params, "on", None)?,
        off: positive(params, "off", None)?,
        rate: at_least_zero(params, "rate", None)?,
        off_rate: at_least_zero(params, "off-rate", Some(0.0))?,
    }))
}

impl Rate {
    /// The same rate always (1/s).
    #[must_use]
    pub fn constant(rate: f64) -> Rate {
        Rate(Shape::Constant(rate))
    }

    /// The rate at an instant (1/s).
    #[must_use]
    pub fn at(&self, t: SimTime, start_of_day: Micros) -> f64 {
        let t = t.0 as f64;
        match &self.0 {
            Shape::Constant(rate) => *rate,
            Shape::Diurnal { mean, amplitude, period, peak_at } => {
                let phase = (t + start_of_day.0 as f64 - peak_at) / period * TAU;
                mean * (1.0 + amplitude * phase.cos())
            }
            Shape::Ramp(points) => ramp_at(points, t),
            Shape::Step(points) => points.iter().rev().find(|(at, _)| *at <= t).map_or(0.0, |(_, rate)| *rate),
            Shape::Flash { base, at, excess, rise, half_life } => {
                let since = t - at;
                let share = if since <= 0.0 {
                    0.0
                } else if since <= *rise {
                    since / rise
                } else {
                    (-LN_2 * (since - rise) / half_life).exp()
                };
                base + excess * share
            }
            Shape::OnOff { on, off, rate, off_rate } => {
                if t % (on + off) < *on {
                    *rate
                } else {
                    *off_rate
                }
            }
        }
    }

    /// Requests expected between two instants: the integral of the rate.
    #[must_use]
    pub fn expected(&self, from: SimTime, to: SimTime, start_of_day: Micros) -> f64 {
        let (a, b) = (from.0 as f64, to.0.max(from.0) as f64);
        let integral = match &self.0 {
            Shape::Constant(rate) => rate * (b - a),
            Shape::Diurnal { mean, amplitude, period, peak_at } => {
                let phase = |t: f64| (t + start_of_day.0 as f64 - peak_at) / period * TAU;
                let wave = (phase(b).sin() - phase(a).sin()) * period / TAU;
                mean * ((b - a) + amplitude * wave)
            }
            Shape::Ramp(points) => ramp_until(points, b) - ramp_until(points, a),
            Shape::Step(points) => step_until(points, b) - step_until(points, a),
            Shape::Flash { base, at, excess, rise, half_life } => {
                let until = |t: f64| flash_until(t - at, *rise, *half_life);
                base * (b - a) + excess * (until(b) - until(a))
            }
            Shape::OnOff { on, off, rate, off_rate } => {
                let until = |t: f64| {
                    let cycles = (t / (on + off)).floor();
                    let rest = t - cycles * (on + off);
                    let time_on = cycles * on + rest.min(*on);
                    rate * time_on + off_rate * (t - time_on)
                };
                until(b) - until(a)
            }
        };
        (integral / MICROS).max(0.0)
    }

    /// The highest rate there ever is (1/s).
    #[must_use]
    pub fn max(&self) -> f64 {
        match &self.0 {
            Shape::Constant(rate) => *rate,
            Shape::Diurnal { mean, amplitude, .. } => mean * (1.0 + amplitude),
            Shape::Ramp(points) | Shape::Step(points) => points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max),
            Shape::Flash { base, excess, .. } => base + excess,
            Shape::OnOff { rate, off_rate, .. } => rate.max(*off_rate),
        }
    }
}

fn ramp_at(points: &[(f64, f64)], t: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= t);
    match (after.checked_sub(1).map(|i| points[i]), points.get(after).copied()) {
        (None, Some((_, rate))) | (Some((_, rate)), None) => rate,
        (Some((t0, r0)), Some((t1, r1))) => r0 + (r1 - r0) * (t - t0) / (t1 - t0),
        (None, None) => 0.0,
    }
}

/// Integral of a ramp from 0 to `t` (rate × µs).
fn ramp_until(points: &[(f64, f64)], t: f64) -> f64 {
    let Some(&(first, rate)) = points.first() else { return 0.0 };
    let mut sum = rate * t.min(first);
    for pair in points.windows(2) {
        let ((t0, r0), (t1, _)) = (pair[0], pair[1]);
        if t > t0 {
            let end = t.min(t1);
            sum += (r0 + ramp_at(pair, end)) / 2.0 * (end - t0);
        }
    }
    let (last, rate) = points[points.len() - 1];
    sum + rate * (t - last).max(0.0)
}

/// Integral of steps from 0 to `t` (rate × µs).
fn step_until(points: &[(f64, f64)], t: f64) -> f64 {
    let ends = points.iter().skip(1).map(|(at, _)| *at).chain([f64::INFINITY]);
    points.iter().zip(ends).map(|((from, rate), to)| rate * (t.min(to) - from).max(0.0)).sum()
}

/// Integral of a flash's excess, as a share of it, from its start to `since` (µs).
fn flash_until(since: f64, rise: f64, half_life: f64) -> f64 {
    if since <= 0.0 {
        return 0.0;
    }
    if since <= rise {
        return since * since / (2.0 * rise);
    }
    rise / 2.0 + half_life / LN_2 * (1.0 - (-LN_2 * (since - rise) / half_life).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::params::Value;

    fn built(shape: &str, given: &[(&'static str, Value)]) -> Rate {
        let entry = RATES.iter().find(|entry| entry.name == shape).expect("a listed shape");
        let mut params = Params::default();
        given.iter().for_each(|(name, value)| params.push(name, value.clone()));
        (entry.build)(&params).expect("sensible parameters")
    }

    fn shapes() -> Vec<Rate> {
        let number = Value::Number;
        let points = Value::Points(vec![(1e6, 10.0), (3e6, 50.0), (4e6, 0.0), (9e6, 20.0)]);
        vec![
            Rate::constant(7.0),
            built(
                "diurnal",
                &[
                    ("mean", number(100.0)),
                    ("amplitude", number(0.5)),
                    ("period", number(5e6)),
                    ("peak-at", number(1e6)),
                ],
            ),
            built("ramp", &[("points", points.clone())]),
            built("step", &[("points", points)]),
            built(
                "flash",
                &[
                    ("base", number(10.0)),
                    ("at", number(2e6)),
                    ("multiplier", number(8.0)),
                    ("rise", number(1e6)),
                    ("half-life", number(2e6)),
                ],
            ),
            built(
                "on-off",
                &[("on", number(7e5)), ("off", number(3e5)), ("rate", number(40.0)), ("off-rate", number(2.0))],
            ),
        ]
    }

    #[test]
    fn what_is_expected_is_the_integral_of_the_rate() {
        for rate in shapes() {
            for (from, to) in [(0, 12_000_000), (500_000, 4_250_000), (3_000_000, 3_100_000), (8_000_000, 8_000_000)] {
                let steps = 200_000;
                let width = (to - from) as f64 / f64::from(steps);
                let sum: f64 = (0..steps)
                    .map(|i| rate.at(SimTime((from as f64 + (f64::from(i) + 0.5) * width) as u64), Micros::ZERO))
                    .sum();
                let numeric = sum * width / MICROS;
                let exact = rate.expected(SimTime(from), SimTime(to), Micros::ZERO);
                assert!((exact - numeric).abs() < 1e-3 * (1.0 + numeric), "{rate:?} {from}..{to}: {exact} {numeric}");
            }
        }
    }

    #[test]
    fn no_rate_is_above_its_maximum() {
        for rate in shapes() {
            for t in 0..1200 {
                let now = rate.at(SimTime(t * 10_000), Micros::from_secs(3));
                assert!((0.0..=rate.max() + 1e-9).contains(&now), "{rate:?}");
            }
        }
    }

    #[test]
    fn a_daily_wave_peaks_at_its_time_of_day() {
        let rate = built(
            "diurnal",
            &[
                ("mean", Value::Number(100.0)),
                ("amplitude", Value::Number(0.5)),
                ("peak-at", Value::Number(20.0 * 3600e6)),
            ],
        );
        let noon = Micros::from_secs(12 * 3600);
        assert!((rate.at(SimTime(8 * 3600 * 1_000_000), noon) - 150.0).abs() < 1e-6);
        assert!((rate.at(SimTime(20 * 3600 * 1_000_000), noon) - 50.0).abs() < 1e-6);
    }

    #[test]
    fn bad_parameters_are_named() {
        let flash = RATES.iter().find(|entry| entry.name == "flash").expect("listed");
        for bad in [0.5, f64::NAN] {
            let mut params = Params::default();
            for (name, value) in [("base", 1.0), ("at", 0.0), ("multiplier", bad), ("rise", 1.0), ("half-life", 1.0)] {
                params.push(name, Value::Number(value));
            }
            let error = (flash.build)(&params).expect_err("refused");
            assert_eq!(error.param, Some("multiplier"));
        }
    }
}
