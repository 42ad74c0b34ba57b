//! Thresholds: `used_ratio = ["max<0.85 for 5m"]`, the metrics they may name, and their grammar.

use crate::units::{Bytes, Micros};

use super::error::{did_you_mean, known_names, quoted};
use super::reader::{DURATION_LIMIT, Item};
use super::{Aggregation, Comparison, Threshold};

/// Something that a threshold can be set on.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is, with its unit.
    pub summary: &'static str,
    /// Whether it counts bytes, so that a threshold may be a size.
    pub is_bytes: bool,
}

const fn metric(name: &'static str, summary: &'static str) -> Metric {
    Metric { name, summary, is_bytes: false }
}

const fn bytes(name: &'static str, summary: &'static str) -> Metric {
    Metric { name, summary, is_bytes: true }
}

/// Every metric that a threshold can be set on.
pub const METRICS: &[Metric] = &[
    metric("used_ratio", "used_memory / maxmemory"),
    metric("hit_ratio", "hits / (hits + misses)"),
    metric("oom_errors", "commands refused for want of memory"),
    metric("host_ratio", "what the kernel counts / the host's memory"),
    metric("full_sync_loops", "replicas whose full synchronisations fail again and again"),
    bytes("mem_total_replication_buffers", "backlog and what replicas have not been sent [B]"),
    metric("oom_kills", "processes that the kernel killed for want of memory"),
    bytes("host_memory_bytes", "what the kernel counts [B]"),
    bytes("copy_on_write_bytes", "pages that a fork's processes no longer share [B]"),
    metric("evicted_keys", "keys evicted since the start"),
    metric("expired_keys", "keys expired since the start"),
    bytes("used_memory", "bytes that the allocator has given out"),
    bytes("used_memory_peak", "largest used_memory since the start [B]"),
    bytes("used_memory_overhead", "INFO's overhead [B]"),
    bytes("used_memory_dataset", "INFO's dataset [B]"),
    bytes("mem_clients_normal", "buffers and structures of connections [B]"),
    metric("keys", "keys present"),
    metric("expires", "keys with a TTL"),
    bytes("expired_resident_bytes", "keys past their TTL and not yet removed [B]"),
    bytes("evictable_bytes", "keys that the policy may evict [B]"),
    bytes("rehashing_bytes", "second tables of a rehash [B]"),
    metric("ops_per_s", "commands a second"),
    metric("hits", "reads that found their key"),
    metric("misses", "reads that found no key"),
    metric("connected_clients", "connections open"),
    metric("client_output_buffer_limit_disconnections", "connections closed by client-output-buffer-limit"),
    metric("evicted_clients", "connections closed by maxmemory-clients"),
    metric("expired_stale_perc", "the server's estimate of expired keys present [%]"),
];

/// Metrics that the format knows and the model does not give yet.
pub(super) const METRICS_PLANNED: &[&str] = &[];

/// Comparisons, longer spellings first.
const COMPARISONS: &[(&str, Comparison)] = &[
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

const AGGREGATIONS: &[(&str, Aggregation)] = &[
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("avg", Aggregation::Avg),
    ("count", Aggregation::Count),
    ("rate", Aggregation::Rate),
    ("last", Aggregation::Last),
];

/// Reads the table of thresholds.
pub(super) fn thresholds(item: &Item<'_>) -> Vec<Threshold> {
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let mut thresholds = Vec::new();
    for (name, place, value) in item.entries().unwrap_or_default() {
        if item.check.is_full() {
            break;
        }
        let Some(metric) = METRICS.iter().find(|metric| metric.name == name) else {
            if METRICS_PLANNED.contains(&name) {
                item.check.problem(place, &value.path, "not modelled yet; expected it to be left out");
                continue;
            }
            let guess = did_you_mean(name, &names);
            let expected = if guess.is_empty() { "; expected a metric that the model gives" } else { &guess };
            let message = format!("unknown metric {}{expected}", quoted(name));
            item.check.problem_with_help(place, &value.path, message, known_names("known metrics", &names));
            continue;
        };
        for expression in value.one_or_more().unwrap_or_default() {
            thresholds.extend(threshold(&expression, metric));
        }
    }
    thresholds
}

fn threshold(item: &Item<'_>, metric: &Metric) -> Option<Threshold> {
    let expression = item.text()?;
    match parse(expression, metric) {
        Ok((aggregation, comparison, value, lasting)) => Some(Threshold {
            metric: metric.name.to_owned(),
            expression: expression.to_owned(),
            aggregation,
            comparison,
            value,
            lasting,
        }),
        Err(expected) => {
            item.refuse(format!("is not a threshold; expected {expected}"));
            None
        }
    }
}

type Parts = (Aggregation, Comparison, f64, Option<Micros>);

/// Parses `max<0.85 for 5m`; the error says what was expected.
fn parse(expression: &str, metric: &Metric) -> Result<Parts, String> {
    let found = COMPARISONS.iter().filter_map(|(sign, comparison)| Some((expression.find(sign)?, *sign, *comparison)));
    let Some((at, sign, comparison)) = found.min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len())) else {
        return Err("a comparison (< <= > >= == !=), like \"max<0.85 for 5m\"".to_owned());
    };
    let aggregation = aggregation(expression[..at].trim())?;
    let rest = expression[at + sign.len()..].trim();
    let (number, lasting) = match rest.split_once(" for ") {
        Some((number, lasting)) => (number.trim(), Some(lasting.trim())),
        None => (rest, None),
    };
    let value = value(number, metric)?;
    let lasting = match lasting {
        Some(text) => Some(
            Micros::parse(text)
                .filter(|span| *span > Micros::ZERO && *span <= DURATION_LIMIT)
                .ok_or_else(|| format!("a duration after \"for\", like \"5m\", not {}", quoted(text)))?,
        ),
        None => None,
    };
    Ok((aggregation, comparison, value, lasting))
}

fn aggregation(text: &str) -> Result<Aggregation, String> {
    if let Some((_, aggregation)) = AGGREGATIONS.iter().find(|(name, _)| *name == text) {
        return Ok(*aggregation);
    }
    let rank = text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
    let rank = rank.and_then(|rank| rank.trim().parse::<f64>().ok());
    rank.filter(|rank| (0.0..=100.0).contains(rank)).map(Aggregation::Percentile).ok_or_else(|| {
        format!("min, max, avg, p(0 to 100), count, rate or last before the comparison, not {}", quoted(text))
    })
}

fn value(text: &str, metric: &Metric) -> Result<f64, String> {
    let number = text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
    let size = || if metric.is_bytes { Bytes::parse(text).map(Bytes::as_f64) } else { None };
    let expected = if metric.is_bytes { "a number or a size" } else { "a number" };
    number.or_else(size).ok_or_else(|| format!("{expected} after the comparison, not {}", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> &'static Metric {
        METRICS.iter().find(|metric| metric.name == name).unwrap()
    }

    #[test]
    fn expressions_parse() {
        let ratio = named("used_ratio");
        for (text, expected) in [
            ("max<0.85 for 5m", (Aggregation::Max, Comparison::Less, 0.85, Some(Micros::from_secs(300)))),
            (" p(99.9) >= 1 ", (Aggregation::Percentile(99.9), Comparison::GreaterOrEqual, 1.0, None)),
            ("count==0", (Aggregation::Count, Comparison::Equal, 0.0, None)),
            ("last != 1e3", (Aggregation::Last, Comparison::NotEqual, 1000.0, None)),
            ("min<=-1", (Aggregation::Min, Comparison::LessOrEqual, -1.0, None)),
        ] {
            assert_eq!(parse(text, ratio), Ok(expected), "{text}");
        }
        let size = parse("max<2gb", named("used_memory")).unwrap();
        assert_eq!(size.2, 2_147_483_648.0);
    }

    #[test]
    fn other_expressions_are_refused() {
        for text in [
            "",
            "max",
            "max<",
            "maximum<1",
            "p(101)<1",
            "p(x)<1",
            "max<2gb",
            "max<1 for",
            "max<1 for ever",
            "<1",
            "max<nan",
        ] {
            assert!(parse(text, named("used_ratio")).is_err(), "{text}");
        }
    }
}
