//! Quantities whose unit the type carries: bytes, instants, spans, and how people write them.
//!
//! Two grammars meet here.  redis.conf's sizes (`1k` = 1000, `1kb` = 1024, case-insensitive) are also the scenario's,
//! which adds `KiB`, `MiB` and `GiB`.  Durations are `250ms`, `30s`, `5m`, `24h`, `7d`.  A parser returns `None` for
//! what it does not understand; the caller knows the key and writes the message.
//!
//! State is integers: [`SimTime`] and [`Micros`] count microseconds, [`Bytes`] counts bytes.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A number of bytes (B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Bytes(pub u64);

/// A span of simulated time (µs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Micros(pub u64);

/// An instant of simulated time: microseconds since the run began (µs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct SimTime(pub u64);

/// Microseconds in a second.
pub const MICROS_PER_SECOND: u64 = 1_000_000;

impl Bytes {
    /// Bytes in a KiB.
    pub const KIB: u64 = 1024;
    /// Bytes in a MiB.
    pub const MIB: u64 = 1024 * 1024;
    /// Bytes in a GiB.
    pub const GIB: u64 = 1024 * 1024 * 1024;

    /// Parses a size: `100`, `10k` (10 000), `10kb` or `10KiB` (10 240), `1.5gb`; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Bytes> {
        let (number, unit) = split_number(text)?;
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" => 1e3,
            "m" => 1e6,
            "g" => 1e9,
            "t" => 1e12,
            "kb" | "kib" => Self::KIB as f64,
            "mb" | "mib" => Self::MIB as f64,
            "gb" | "gib" => Self::GIB as f64,
            "tb" | "tib" => Self::GIB as f64 * 1024.0,
            _ => return None,
        };
        // Whole numbers are exact, however large.
        let text = text.trim();
        let digits = text[..text.len() - unit.len()].trim_end().replace('_', "");
        match digits.parse::<u64>() {
            Ok(whole) => whole.checked_mul(factor as u64).map(Bytes),
            Err(_) => to_u64(number * factor).map(Bytes),
        }
    }

    /// The count as a float, for ratios at the rim.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// `self - other`, or zero.
    #[must_use]
    pub fn saturating_sub(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(other.0))
    }
}

impl Micros {
    /// Nothing.
    pub const ZERO: Micros = Micros(0);

    /// A span of whole seconds; saturates.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Micros {
        Micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// A span of whole milliseconds; saturates.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Micros {
        Micros(millis.saturating_mul(1000))
    }

    /// Parses a duration: `250ms`, `30s`, `5m`, `24h`, `7d`, `2w`, `4us`, several of them from the largest unit to the
    /// smallest like `21m40s`, or a bare number of seconds; saturates.
    #[must_use]
    pub fn parse(text: &str) -> Option<Micros> {
        if let Some((number, "")) = split_number(text) {
            return Some(Micros((number * 1e6).round() as u64));
        }
        let (mut rest, mut sum, mut above) = (text.trim(), 0_u64, f64::INFINITY);
        while !rest.is_empty() {
            let letters = rest.find(|c: char| !is_of_number(c))?;
            let end = rest[letters..].find(is_of_number).map_or(rest.len(), |more| letters + more);
            let (number, unit) = split_number(&rest[..end])?;
            let factor = unit_us(unit).filter(|&factor| factor < above)?;
            // The cast saturates.
            sum = sum.saturating_add((number * factor).round() as u64);
            (rest, above) = (&rest[end..], factor);
        }
        (!text.trim().is_empty()).then_some(Micros(sum))
    }

    /// The span in seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// The span in whole milliseconds, rounded down.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0 / 1000
    }
}

impl SimTime {
    /// The start of the run.
    pub const ZERO: SimTime = SimTime(0);

    /// Seconds since the start.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// Whole milliseconds since the start, rounded down.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// Whole seconds since the start, rounded down.
    #[must_use]
    pub fn as_secs(self) -> u64 {
        self.0 / MICROS_PER_SECOND
    }

    /// The span since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: SimTime) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Micros> for SimTime {
    type Output = SimTime;
    fn add(self, span: Micros) -> SimTime {
        SimTime(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Micros> for SimTime {
    fn add_assign(&mut self, span: Micros) {
        *self = *self + span;
    }
}

impl Add for Micros {
    type Output = Micros;
    fn add(self, other: Micros) -> Micros {
        Micros(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Micros;
    fn sub(self, other: Micros) -> Micros {
        Micros(self.0.saturating_sub(other.0))
    }
}

impl Add for Bytes {
    type Output = Bytes;
    fn add(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }
}

/// Parses a rate in events per second: `25`, `25k/s`, `1.5M/s`, `90/min`, `10k/h`, `3M/day`; `None` otherwise.
#[must_use]
pub fn parse_rate(text: &str) -> Option<f64> {
    let (amount, per) = text.split_once('/').unwrap_or((text, "s"));
    let (number, unit) = split_number(amount)?;
    let factor = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" | "m" => 1e6,
        "G" | "g" => 1e9,
        _ => return None,
    };
    let seconds = match per.trim() {
        "s" | "sec" | "second" => 1.0,
        "min" | "minute" | "m" => 60.0,
        "h" | "hour" => 3_600.0,
        "d" | "day" => 86_400.0,
        _ => return None,
    };
    Some(number * factor / seconds)
}

/// A count with thousands separated: `1 234 567`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// So many of a thing, in words: `1 fork`, `2 forks`.
#[must_use]
pub fn counted(n: u64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{} {thing}s", grouped(n)) }
}

/// Splits `12.5kb` into 12.5 and `kb`; `None` without a leading, finite, non-negative number.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !is_of_number(c)).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.starts_with('_') || digits.ends_with('_') {
        return None;
    }
    let number: f64 = digits.replace('_', "").parse().ok()?;
    number.is_finite().then_some((number, unit.trim()))
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.' || c == '_'
}

/// A unit of time (µs).
fn unit_us(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" | "min" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        "w" => 7.0 * 86_400e6,
        _ => return None,
    })
}

/// A non-negative float as an integer, rounded to nearest; `None` beyond `u64`.
fn to_u64(value: f64) -> Option<u64> {
    (value.is_finite() && value >= 0.0 && value < u64::MAX as f64).then(|| value.round() as u64)
}

impl fmt::Display for Bytes {
    /// Binary units as people read them: `0 B`, `512 B`, `3.2 KiB`, `1.50 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.as_f64();
        match self.0 {
            b if b < Self::KIB => write!(f, "{b} B"),
            b if b < Self::MIB => write!(f, "{:.1} KiB", n / Self::KIB as f64),
            b if b < Self::GIB => write!(f, "{:.1} MiB", n / Self::MIB as f64),
            _ => write!(f, "{:.2} GiB", n / Self::GIB as f64),
        }
    }
}

impl fmt::Display for Micros {
    /// The largest unit that keeps the figure readable: `4 µs`, `250 ms`, `30 s`, `5 min`, `2.5 h`, `7 d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.as_secs_f64();
        match self.0 {
            0..1_000 => write!(f, "{} µs", self.0),
            1_000..1_000_000 => write!(f, "{} ms", trim(s * 1e3)),
            _ if s < 120.0 => write!(f, "{} s", trim(s)),
            _ if s < 7_200.0 => write!(f, "{} min", trim(s / 60.0)),
            _ if s < 172_800.0 => write!(f, "{} h", trim(s / 3_600.0)),
            _ => write!(f, "{} d", trim(s / 86_400.0)),
        }
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Micros(self.0).fmt(f)
    }
}

/// One decimal, without a trailing `.0`.
fn trim(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_several_units_fall_from_the_largest_on() {
        let parsed = |text: &str| Micros::parse(text).map(|span| span.0);
        assert_eq!(parsed("21m40s"), Some(1_300_000_000));
        assert_eq!(parsed("1d 2h"), Some(26 * 3_600_000_000));
        assert_eq!(parsed("1.5h30m"), Some(2 * 3_600_000_000));
        assert_eq!(parsed("1s250ms"), Some(1_250_000));
        assert_eq!((parsed("90"), parsed(" 5m ")), (Some(90_000_000), Some(300_000_000)));
        for wrong in ["", " ", "40s21m", "5m5m", "21m40", "21m40x", "m40s", "-5m", "5m-3s", "1m_3s", "5 m 3"] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn sizes_follow_redis_conf() {
        for (text, bytes) in [
            ("100", 100),
            ("10k", 10_000),
            ("10kb", 10_240),
            ("10KB", 10_240),
            ("1KiB", 1024),
            ("1mb", 1_048_576),
            ("1m", 1_000_000),
            ("1.5gb", 1_610_612_736),
            ("1_000", 1000),
            ("0", 0),
            ("9007199254740993", 9_007_199_254_740_993),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
        }
        for text in ["", "mb", "-1", "1 parsec", "1e3", "nan", "99999999999999999999gb", "_1"] {
            assert_eq!(Bytes::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_and_rates_parse() {
        for (text, micros) in [
            ("250ms", 250_000),
            ("30s", 30_000_000),
            ("30", 30_000_000),
            ("5m", 300_000_000),
            ("24h", 86_400_000_000),
            ("7d", 604_800_000_000),
            ("4us", 4),
        ] {
            assert_eq!(Micros::parse(text), Some(Micros(micros)), "{text}");
        }
        assert_eq!(Micros::parse("15 parsecs"), None);
        assert_eq!(Micros::parse("99999999999999999999d"), Some(Micros(u64::MAX)));
        assert_eq!(parse_rate("25k/s"), Some(25_000.0));
        assert_eq!(parse_rate("86.4k/day"), Some(1.0));
        assert_eq!(parse_rate("3 per day"), None);
    }

    #[test]
    fn people_read_units() {
        assert_eq!(Bytes(1_610_612_736).to_string(), "1.50 GiB");
        assert_eq!(Bytes(1000).to_string(), "1000 B");
        assert_eq!(Micros::from_secs(300).to_string(), "5 min");
        assert_eq!(Micros::from_secs(90).to_string(), "90 s");
        assert_eq!(Micros::from_secs(7 * 86_400).to_string(), "7 d");
    }
}
