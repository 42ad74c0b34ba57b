//! Things drawn at random: sizes, lengths, TTLs, popularities and rates, as scenarios write them.
//!
//! All are entries of workload's lists, and this file knows none of them: an entry declares its parameters, and here
//! they are converted from the unit in which they stand.  Every size and TTL gets an upper limit: where an entry has
//! a `max` that was not given, the limit of the place is put in, so that no draw exceeds it.

use crate::units::{Micros, SimTime};
use crate::workload::params::{Entry, ParamError, ParamKind, ParamSpec, Params, Value};
use crate::workload::{DISTRIBUTIONS, Distribution, POPULARITIES, Popularity, RATES, Rate, Ttl};

use super::MAX_VALUE;
use super::reader::{DURATION_LIMIT, Item, RATE_LIMIT, Table};

/// Components of a mix at most.
const MIX_LIMIT: usize = 1_000;

/// The longest key (B).  *Assumed*: far above any in use.
pub(super) const KEY_LENGTH_LIMIT: u64 = 65_535;

/// Elements of a key at most.  *Assumed*: an hour of loading them.
pub(super) const ELEMENTS_LIMIT: u64 = 1_000_000_000;

/// Unit and limits of the numbers of one place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    unit: Unit,
    least: u64,
    most: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Millis,
    Count,
}

/// Lengths of keys (B).
pub(super) const KEY_LENGTH: Bounds = Bounds { unit: Unit::Bytes, least: 1, most: KEY_LENGTH_LIMIT };

/// Sizes of values, and offsets in them (B).
pub(super) const VALUE_SIZE: Bounds = Bounds { unit: Unit::Bytes, least: 0, most: MAX_VALUE.0 };

/// Elements of a collection when it is loaded.
pub(super) const ELEMENTS: Bounds = Bounds { unit: Unit::Count, least: 0, most: ELEMENTS_LIMIT };

/// Elements of one command.
pub(super) const COUNT_OF_ELEMENTS: Bounds = Bounds { unit: Unit::Count, least: 1, most: 1_000_000 };

/// Scores of a sorted set's members.
pub(super) const SCORE: Bounds = Bounds { unit: Unit::Count, least: 0, most: 1 << 52 };

/// TTLs (ms).
const TTL: Bounds = Bounds { unit: Unit::Millis, least: 1, most: DURATION_LIMIT.0 / 1000 };

/// Numbers in the parameters of popularities and rates.
const COUNT: Bounds = Bounds { unit: Unit::Count, least: 0, most: u64::MAX };

impl Bounds {
    /// A number in the unit of the place.
    fn quantity(self, item: &Item<'_>) -> Option<f64> {
        if self.unit == Unit::Count || (self.unit == Unit::Bytes && item.as_text().is_none()) {
            return item.number();
        }
        match self.unit {
            Unit::Millis => item.duration().map(|span| span.0 as f64 / 1e3),
            Unit::Bytes | Unit::Count => item.size().map(|size| size.as_f64()),
        }
    }

    /// The largest number, for people.
    fn most_text(self) -> String {
        match self.unit {
            Unit::Bytes => format!("{} bytes", self.most),
            Unit::Millis => Micros::from_millis(self.most).to_string(),
            Unit::Count => self.most.to_string(),
        }
    }

    fn least_text(self) -> &'static str {
        match (self.unit, self.least) {
            (_, 0) => "0",
            (Unit::Millis, _) => "1ms",
            (Unit::Bytes | Unit::Count, _) => "1",
        }
    }
}

/// A distribution of sizes or lengths: a number, a table with `dist`, or a table with `mix`.
pub(super) fn distribution(item: &Item<'_>, bounds: Bounds) -> Option<Distribution> {
    if item.has("mix") {
        let mut parts = Vec::new();
        for (weight, part) in mix(item)? {
            parts.push((weight, distribution_part(&part, bounds, true)?));
        }
        return built(item, Distribution::mix(parts));
    }
    distribution_part(item, bounds, false)
}

/// A component of a mix, or a distribution that is none.
fn distribution_part(item: &Item<'_>, bounds: Bounds, weighted: bool) -> Option<Distribution> {
    if item.has("mix") {
        item.refuse("is a mix in a mix; expected its components in one list");
        return None;
    }
    if !item.is_table() {
        return fixed(item, bounds);
    }
    if dist_name(item) == Some("none") {
        item.refuse("has no size; expected a distribution, as \"none\" stands in a ttl only");
        return None;
    }
    let Shaped { entry, params } = shaped(item, "dist", "a distribution", DISTRIBUTIONS, bounds, weighted)?;
    let distribution = Distribution::from_shape(build(item, entry, &params)?);
    match distribution.upper_bound() {
        Some(bound) if bound > bounds.most => {
            item.refuse(format!("can draw {bound}; expected at most {}", bounds.most_text()));
            None
        }
        Some(bound) if bound < bounds.least => {
            item.refuse(format!("never draws a number above 0; expected at least {}", bounds.least_text()));
            None
        }
        // What has no end by itself ends where the place says.
        _ => Some(distribution.capped(bounds.most)),
    }
}

fn fixed(item: &Item<'_>, bounds: Bounds) -> Option<Distribution> {
    let value = match bounds.unit {
        Unit::Millis => item.duration()?.as_millis(),
        Unit::Bytes | Unit::Count => item.size()?.0,
    };
    if (bounds.least..=bounds.most).contains(&value) {
        return Some(Distribution::fixed(value));
    }
    item.refuse(format!("is out of range; expected {} to {}", bounds.least_text(), bounds.most_text()));
    None
}

/// A TTL: a duration, `"none"`, a distribution, or a mix of them.
pub(super) fn ttl(item: &Item<'_>) -> Option<Ttl> {
    if item.as_text() == Some("none") {
        return Some(Ttl::none());
    }
    let mut parts = Vec::new();
    if item.has("mix") {
        for (weight, part) in mix(item)? {
            parts.push((weight, ttl_part(&part, true)?));
        }
    } else {
        parts.push((1.0, ttl_part(item, false)?));
    }
    built(item, Ttl::new(parts))
}

/// A distribution of TTLs, or the absence of one.
#[expect(clippy::option_option, reason = "outer: whether it could be read; inner: whether keys get a TTL")]
fn ttl_part(item: &Item<'_>, weighted: bool) -> Option<Option<Distribution>> {
    if dist_name(item) != Some("none") {
        return distribution_part(item, TTL, weighted).map(Some);
    }
    let keys: &[&'static str] = if weighted { &["dist", "weight"] } else { &["dist"] };
    item.table_of(keys, &[])?;
    Some(None)
}

fn dist_name<'a>(item: &Item<'a>) -> Option<&'a str> {
    let entries = if item.is_table() { item.entries()? } else { return None };
    entries.into_iter().find(|(key, _, _)| *key == "dist").and_then(|(_, _, value)| value.as_text())
}

/// The weighted components of `{ mix = [ … ] }`.
fn mix<'a>(item: &Item<'a>) -> Option<Vec<(f64, Item<'a>)>> {
    let list = item.table_of(&["mix"], &[])?.get("mix")?;
    let parts = list.items()?;
    if parts.is_empty() || parts.len() > MIX_LIMIT {
        list.refuse(format!("has {} components; expected 1 to {MIX_LIMIT}", parts.len()));
        return None;
    }
    let mut weighted = Vec::with_capacity(parts.len());
    for part in parts {
        weighted.push((weight_of(&part)?, part));
    }
    if weighted.iter().all(|(weight, _)| *weight == 0.0) {
        list.refuse("has no weight above 0; expected at least one");
        return None;
    }
    Some(weighted)
}

fn weight_of(part: &Item<'_>) -> Option<f64> {
    let Some((_, _, item)) = part.entries()?.into_iter().find(|(key, _, _)| *key == "weight") else {
        part.refuse("has no weight; expected like { weight = 0.9, dist = \"fixed\", value = 300 }");
        return None;
    };
    weight(&item)
}

/// A weight: a number from 0 to 1e12.
pub(super) fn weight(item: &Item<'_>) -> Option<f64> {
    item.number_in(0.0..=1e12)
}

/// A popularity: a table with `dist`, or the name of one that needs no parameters.
pub(super) fn popularity(item: &Item<'_>) -> Option<Popularity> {
    let Shaped { entry, params } = shaped(item, "dist", "a popularity", POPULARITIES, COUNT, false)?;
    build(item, entry, &params)
}

/// A rate over time: a number, a text like `25k/s`, or a table with `shape`.
pub(super) fn rate(item: &Item<'_>) -> Option<Rate> {
    if !item.is_table() {
        return item.rate().map(Rate::constant);
    }
    let Shaped { entry, params } = shaped(item, "shape", "a shape of a rate", RATES, COUNT, false)?;
    let rate: Rate = build(item, entry, &params)?;
    if rate.max() <= RATE_LIMIT {
        return Some(rate);
    }
    item.refuse(format!("reaches {} a second; expected at most {RATE_LIMIT:e}", rate.max()));
    None
}

/// Requests that a rate is expected to make between two instants.
pub(super) fn expected_requests(rate: &Rate, from: SimTime, until: SimTime, start_of_day: Micros) -> f64 {
    rate.expected(from, until, start_of_day)
}

/// An entry of a list and the parameters given to it.
struct Shaped<T: 'static> {
    entry: &'static Entry<T>,
    params: Params,
}

/// Finds the entry that `{ dist = "name", … }` or `"name"` means, and reads its parameters.
fn shaped<T>(
    item: &Item<'_>,
    key: &'static str,
    what: &str,
    list: &'static [Entry<T>],
    bounds: Bounds,
    weighted: bool,
) -> Option<Shaped<T>> {
    let names: Vec<&str> = list.iter().map(|entry| entry.name).collect();
    let find = |name_item: &Item<'_>| {
        let name = name_item.text()?;
        let entry = list.iter().find(|entry| entry.name == name);
        if entry.is_none() {
            name_item.unknown_name(what, name, &names);
        }
        entry
    };
    if !item.is_table() {
        if item.as_text().is_none() {
            item.refuse(format!("is not {what}; expected a name or a table like {{ {key} = \"{}\", … }}", names[0]));
            return None;
        }
        let entry = find(item)?;
        if let Some(missing) = entry.params.iter().find(|spec| spec.required) {
            item.refuse(format!("needs {}; expected {}", missing.name, example(key, entry)));
            return None;
        }
        return Some(Shaped { entry, params: Params::default() });
    }
    let Some((_, _, name_item)) = item.entries()?.into_iter().find(|(name, _, _)| *name == key) else {
        item.refuse(format!("does not say which; expected like {{ {key} = \"{}\", … }}", names[0]));
        return None;
    };
    let entry = find(&name_item)?;
    let mut keys = vec![key];
    keys.extend(weighted.then_some("weight"));
    keys.extend(entry.params.iter().map(|spec| spec.name));
    let table = item.table_of(&keys, &[])?;
    let params = read_params(&table, entry, bounds, key)?;
    Some(Shaped { entry, params })
}

/// `{ dist = "zipf", exponent }`: how an entry is written.
fn example<T>(key: &str, entry: &Entry<T>) -> String {
    let names: Vec<&str> = entry.params.iter().map(|spec| spec.name).collect();
    format!("{{ {key} = \"{}\", {} }}", entry.name, names.join(", "))
}

fn read_params<T>(table: &Table<'_>, entry: &'static Entry<T>, bounds: Bounds, key: &str) -> Option<Params> {
    let mut params = Params::default();
    let mut complete = true;
    for spec in entry.params {
        match table.get(spec.name) {
            Some(item) => match read_param(&item, spec, bounds) {
                Some(value) => params.push(spec.name, value),
                None => complete = false,
            },
            None if table.misspells(spec.name) => complete = false,
            None if spec.required => {
                let path = super::reader::join(&table.path, spec.name);
                let message = format!("missing; expected {}, in {}", spec.help, example(key, entry));
                table.check.problem(table.place, &path, message);
                complete = false;
            }
            None if spec.name == "max" && spec.kind == ParamKind::Quantity && bounds.unit != Unit::Count => {
                params.push(spec.name, Value::Number(bounds.most as f64));
            }
            None => {}
        }
    }
    complete.then_some(params)
}

fn read_param(item: &Item<'_>, spec: &ParamSpec, bounds: Bounds) -> Option<Value> {
    match spec.kind {
        ParamKind::Quantity => {
            let number = bounds.quantity(item)?;
            if matches!(spec.name, "min" | "value") && number < bounds.least as f64 {
                item.refuse(format!("is too small; expected at least {}", bounds.least_text()));
                return None;
            }
            Some(Value::Number(number))
        }
        ParamKind::Quantities => list(item, |item| {
            let number = bounds.quantity(item)?;
            if spec.name == "values" && number < bounds.least as f64 {
                item.refuse(format!("is too small; expected at least {}", bounds.least_text()));
                return None;
            }
            Some(number)
        })
        .map(Value::Numbers),
        ParamKind::Plain => item.number().map(Value::Number),
        ParamKind::Plains => list(item, Item::number).map(Value::Numbers),
        ParamKind::QuantityPoints => {
            list(item, |pair| point(pair, Item::number, |item| bounds.quantity(item))).map(Value::Points)
        }
        ParamKind::Duration => micros(item).map(Value::Number),
        ParamKind::Rate => item.rate().map(Value::Number),
        ParamKind::RatePoints => list(item, |pair| point(pair, micros, Item::rate)).map(Value::Points),
    }
}

fn micros(item: &Item<'_>) -> Option<f64> {
    item.duration().map(|span| span.0 as f64)
}

fn list<'a, T>(item: &Item<'a>, read: impl Fn(&Item<'a>) -> Option<T>) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = item.items()?.iter().map(read).collect();
    values.into_iter().collect()
}

fn point<'a>(
    pair: &Item<'a>,
    first: impl Fn(&Item<'a>) -> Option<f64>,
    second: impl Fn(&Item<'a>) -> Option<f64>,
) -> Option<(f64, f64)> {
    let items = pair.items()?;
    let [left, right] = items.as_slice() else {
        pair.refuse("is not a pair; expected like [0.5, 200]");
        return None;
    };
    first(left).zip(second(right))
}

fn build<T>(item: &Item<'_>, entry: &Entry<T>, params: &Params) -> Option<T> {
    built(item, (entry.build)(params))
}

/// What was built, or a problem at the parameter that the error names.
fn built<T>(item: &Item<'_>, result: Result<T, ParamError>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let entries = if item.is_table() { item.entries().unwrap_or_default() } else { Vec::new() };
    let at_fault = error.param.and_then(|name| entries.into_iter().find(|(key, _, _)| *key == name));
    match (at_fault, error.param) {
        (Some((_, _, value)), _) => value.refuse(format!("is not valid; expected {}", error.expected)),
        (None, Some(name)) => item.refuse(format!("is not valid: {name}; expected {}", error.expected)),
        (None, None) => item.refuse(format!("is not valid; expected {}", error.expected)),
    }
    None
}
