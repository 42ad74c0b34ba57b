//! Typed access to the tree: tables that know their keys, and values that know their path.
//!
//! A [`Table`] is opened with the list of keys it may have; every other key is a problem at once, so nothing in a
//! scenario is silently ignored.  Reading a value either gives it, checked, or notes a problem and gives `None`.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use crate::units::{Bytes, Micros, SimTime, parse_rate};

use super::error::{Check, Place, did_you_mean, known_names, nearest, quoted};
use super::excerpt::steers;
use super::keys::TableKeys;
use super::tree::{Entry, Node, Value};

/// The longest duration (µs): a hundred years.  *Assumed*: longer than any plan, and far from overflow.
pub(super) const DURATION_LIMIT: Micros = Micros::from_secs(100 * 366 * 86_400);

/// The highest rate (1/s).  *Assumed*: a thousand times what a server answers.
pub(super) const RATE_LIMIT: f64 = 1e9;

/// Characters of a name at most.
const NAME_LIMIT: usize = 100;

/// Largest integer that a float holds without loss.
const EXACT_FLOAT_LIMIT: f64 = 9_007_199_254_740_992.0;

/// A value, its path and the check it is part of.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    pub check: &'a Check,
    pub path: String,
    pub node: &'a Node,
}

/// A table whose keys are known.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub check: &'a Check,
    pub path: String,
    pub place: Place,
    entries: &'a [Entry],
    taken: RefCell<Vec<&'static str>>,
    /// Keys that unknown ones were probably meant to be.
    misspelled: Vec<&'static str>,
}

impl<'a> Item<'a> {
    /// The item for the whole document.
    pub(super) fn root(check: &'a Check, node: &'a Node) -> Item<'a> {
        Item { check, path: String::new(), node }
    }

    fn child(&self, name: &str, node: &'a Node) -> Item<'a> {
        Item { check: self.check, path: join(&self.path, name), node }
    }

    /// The value as its writer sees it.
    pub(super) fn shown(&self) -> String {
        match &self.node.value {
            Value::Text(text) => quoted(text),
            _ => self.check.written(self.node.place),
        }
    }

    /// Notes that the value is wrong: `is not a duration; expected …`.
    pub(super) fn refuse(&self, wrong: impl AsRef<str>) {
        self.refuse_with_help(wrong, None);
    }

    pub(super) fn refuse_with_help(&self, wrong: impl AsRef<str>, help: Option<String>) {
        let message = format!("{} {}", self.shown(), wrong.as_ref());
        self.check.problem_with_help(self.node.place, &self.path, message, help);
    }

    fn refuse_none<T>(&self, wrong: impl AsRef<str>) -> Option<T> {
        self.refuse(wrong);
        None
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => self.refuse_none("is not a text; expected one in quotes"),
        }
    }

    /// A text on one line, as it is shown in reports.
    pub(super) fn line(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.chars().any(steers) {
            return self.refuse_none("holds control characters; expected one line of text");
        }
        Some(text)
    }

    /// A name that other parts of the scenario, and reports, call the thing by.
    pub(super) fn name(&self) -> Option<&'a str> {
        let name = self.line()?;
        if name.is_empty() || name.chars().count() > NAME_LIMIT {
            return self.refuse_none(format!("is not a name; expected 1 to {NAME_LIMIT} characters"));
        }
        Some(name)
    }

    /// The text, without noting a problem when it is something else.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.node.value, Value::Table(_))
    }

    /// Whether the table has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(&self.node.value, Value::Table(entries) if entries.iter().any(|entry| entry.key == key))
    }

    /// One of the names in `known`; those in `planned` are not modelled yet.
    pub(super) fn choice<T>(&self, what: &str, known: &[(&'a str, T)], planned: &[&str]) -> Option<T>
    where
        T: Clone,
    {
        let text = self.text()?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
            return Some(value.clone());
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        if planned.contains(&text) {
            self.not_modelled(&names);
            return None;
        }
        self.unknown_name(what, text, &names);
        None
    }

    /// Notes that the value is none of the known names.
    pub(super) fn unknown_name(&self, what: &str, text: &str, names: &[&str]) {
        let guess = did_you_mean(text, names);
        let (expected, help) = match names.len() {
            0 => ("; there is none".to_owned(), None),
            1..=8 => (format!("; expected {}", names.join(", ")), None),
            _ => (String::new(), known_names("known names", names)),
        };
        self.refuse_with_help(format!("is not {what}{expected}{guess}"), help);
    }

    /// Notes that the scenario format knows the value and the model does not yet.
    pub(super) fn not_modelled(&self, names: &[&str]) {
        let expected = if names.is_empty() { String::new() } else { format!("; expected {}", names.join(", ")) };
        self.refuse(format!("is not modelled yet{expected}"));
    }

    /// `true` or `false`; also `"yes"` and `"no"`.
    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) if text == "yes" => Some(true),
            Value::Text(text) if text == "no" => Some(false),
            _ => self.refuse_none("is not a switch; expected true or false"),
        }
    }

    /// A finite number without unit.
    pub(super) fn number(&self) -> Option<f64> {
        match self.raw_number() {
            Some(number) if number.is_finite() => Some(number),
            Some(_) => self.refuse_none("is not a finite number; expected one like 0.5"),
            None => self.refuse_none("is not a number; expected one like 0.5, without quotes or unit"),
        }
    }

    fn raw_number(&self) -> Option<f64> {
        match self.node.value {
            Value::Integer(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// A finite number in a range.
    pub(super) fn number_in(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = self.number()?;
        if range.contains(&number) {
            return Some(number);
        }
        self.refuse_none(format!("is out of range; expected {} to {}", range.start(), range.end()))
    }

    /// A whole number in a range.
    pub(super) fn integer_in(&self, range: RangeInclusive<i128>) -> Option<i128> {
        let value = match self.node.value {
            Value::Integer(value) => value,
            Value::Float(value) if value.fract() == 0.0 => value as i128,
            _ => return self.refuse_none(format!("is not a whole number; expected {}", range_text(&range))),
        };
        if range.contains(&value) {
            return Some(value);
        }
        self.refuse_none(format!("is out of range; expected {}", range_text(&range)))
    }

    /// A whole number in a range of `u32`.
    pub(super) fn u32_in(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.integer_in(i128::from(*range.start())..=i128::from(*range.end()))?;
        u32::try_from(value).ok()
    }

    /// A size: a number of bytes, or a text with a unit.
    pub(super) fn size(&self) -> Option<Bytes> {
        let size = match &self.node.value {
            Value::Text(text) => Bytes::parse(text),
            Value::Integer(value) => u64::try_from(*value).ok().map(Bytes),
            _ => self.raw_number().filter(|n| (0.0..=EXACT_FLOAT_LIMIT).contains(n)).map(|n| Bytes(n.round() as u64)),
        };
        size.or_else(|| self.refuse_none("is not a size; expected like 300, \"10kb\" or \"1.5gb\""))
    }

    /// A duration of at most [`DURATION_LIMIT`]: a number of seconds, or a text with a unit.
    pub(super) fn duration(&self) -> Option<Micros> {
        let duration = match &self.node.value {
            Value::Text(text) => Micros::parse(text),
            _ => self
                .raw_number()
                .filter(|seconds| (0.0..=1e13).contains(seconds))
                .map(|seconds| Micros((seconds * 1e6).round() as u64)),
        };
        match duration {
            Some(duration) if duration <= DURATION_LIMIT => Some(duration),
            Some(_) => self.refuse_none("is too long; expected at most 100 years"),
            None if self.raw_number().is_some_and(|number| number > 1e13 && number.is_finite()) => {
                self.refuse_none("is too long; expected at most 100 years")
            }
            None => self.refuse_none("is not a duration; expected like \"15m\", \"21m40s\" or \"900s\""),
        }
    }

    /// A duration above zero.
    pub(super) fn positive_duration(&self) -> Option<Micros> {
        match self.duration()? {
            Micros::ZERO => self.refuse_none("is no time at all; expected a duration above 0"),
            duration => Some(duration),
        }
    }

    /// An instant of the run, at most `end`.
    pub(super) fn instant(&self, end: Micros) -> Option<SimTime> {
        let at = self.duration()?;
        if at <= end {
            return Some(SimTime(at.0));
        }
        self.refuse_none(format!("is after the end of the run; expected at most its duration, {end}"))
    }

    /// A rate a second of at most [`RATE_LIMIT`]: a number, or a text like `25k/s`.
    pub(super) fn rate(&self) -> Option<f64> {
        let rate = match &self.node.value {
            Value::Text(text) => parse_rate(text),
            _ => self.raw_number(),
        };
        match rate {
            Some(rate) if (0.0..=RATE_LIMIT).contains(&rate) => Some(rate),
            Some(rate) if rate > RATE_LIMIT => self.refuse_none("is out of range; expected at most 1e9 a second"),
            _ => self.refuse_none("is not a rate; expected like 20_000, \"25k/s\" or \"3M/day\""),
        }
    }

    /// A rate above zero.
    pub(super) fn positive_rate(&self) -> Option<f64> {
        let rate = self.rate()?;
        if rate > 0.0 { Some(rate) } else { self.refuse_none("is no rate at all; expected one above 0") }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Option<Vec<Item<'a>>> {
        match &self.node.value {
            Value::Array(nodes) => {
                let items = nodes.iter().enumerate().map(|(index, node)| self.child(&index.to_string(), node));
                Some(items.collect())
            }
            _ => self.refuse_none("is not a list; expected one in [ ]"),
        }
    }

    /// The items of a list, or the value itself as the only one.
    pub(super) fn one_or_more(&self) -> Option<Vec<Item<'a>>> {
        match &self.node.value {
            Value::Array(_) => self.items(),
            _ => Some(vec![self.clone()]),
        }
    }

    /// The entries of a table whose keys are data, not names of the format: key, its place, value.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Place, Item<'a>)>> {
        match &self.node.value {
            Value::Table(entries) => Some(
                entries
                    .iter()
                    .map(|entry| (entry.key.as_str(), entry.key_place, self.child(&entry.key, &entry.node)))
                    .collect(),
            ),
            _ => self.refuse_none("is not a table; expected one with keys and values"),
        }
    }

    /// The value as a table that may have these keys.
    pub(super) fn table(&self, keys: &TableKeys) -> Option<Table<'a>> {
        self.table_of(keys.keys, keys.planned)
    }

    /// The value as a table that may have these keys; the format also knows `planned`.
    pub(super) fn table_of(&self, keys: &[&'static str], planned: &[&'static str]) -> Option<Table<'a>> {
        let Value::Table(entries) = &self.node.value else {
            return self.refuse_none("is not a table; expected one with keys and values");
        };
        let mut misspelled = Vec::new();
        for entry in entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            if self.check.is_full() {
                break;
            }
            let path = join(&self.path, &entry.key);
            if planned.contains(&entry.key.as_str()) {
                self.check.problem(entry.key_place, &path, "not modelled yet; expected it to be left out");
                continue;
            }
            let guess = nearest(&entry.key, keys);
            misspelled.extend(keys.iter().filter(|key| guess == Some(**key)));
            let (expected, help) = match guess {
                None => (format!("; expected one of {}", keys.join(", ")), None),
                Some(guess) => (format!("; did you mean {}?", quoted(guess)), known_names("known keys", keys)),
            };
            let message = format!("unknown key {}{expected}", quoted(&entry.key));
            self.check.problem_with_help(entry.key_place, &path, message, help);
        }
        Some(Table {
            check: self.check,
            path: self.path.clone(),
            place: self.node.place,
            entries,
            taken: RefCell::default(),
            misspelled,
        })
    }
}

impl<'a> Table<'a> {
    /// The value of a key, when given.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.taken.borrow_mut().push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(Item { check: self.check, path: join(&self.path, key), node: &entry.node })
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &'static str, expected: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() && !self.misspells(key) {
            self.check.problem(self.place, &join(&self.path, key), format!("missing; expected {expected}"));
        }
        item
    }

    /// Whether an unknown key, already noted, was probably meant to be this one.
    pub(super) fn misspells(&self, key: &str) -> bool {
        self.misspelled.contains(&key)
    }

    /// Where a key stands, for a problem with its being there at all.
    pub(super) fn key_place(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_place)
    }

    /// The tables of an array of tables, each with its path: `keyspace.session`, or `traffic.0` without a name.
    pub(super) fn list(&self, key: &'static str, limit: usize) -> Vec<Item<'a>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        let Value::Array(nodes) = &item.node.value else {
            item.refuse(format!("is not a list of tables; expected [[{key}]]"));
            return Vec::new();
        };
        if nodes.len() > limit {
            item.check.problem(
                item.node.place,
                &item.path,
                format!("{} tables; expected at most {limit}", nodes.len()),
            );
            return Vec::new();
        }
        let named = |(index, node): (usize, &'a Node)| match super::tree::name_of(node) {
            Some(name) if !name.is_empty() && key != "traffic" => item.child(name, node),
            _ => item.child(&index.to_string(), node),
        };
        nodes.iter().enumerate().map(named).collect()
    }

    /// Ends the reading: every key of the table has been looked at, or the code above forgot one.
    pub(super) fn finish(&self) {
        let taken = self.taken.borrow();
        for entry in self.entries {
            let known = super::keys::is_known(&entry.key);
            debug_assert!(!known || taken.contains(&entry.key.as_str()) || self.check.count() > 0, "{}", entry.key);
        }
    }
}

/// `path.name`, or `name` at the top.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `1..=64` for people.
fn range_text(range: &RangeInclusive<i128>) -> String {
    match (*range.start(), *range.end()) {
        (i128::MIN, i128::MAX) => "one like 1000".to_owned(),
        (start, end) => format!("{start} to {end}"),
    }
}
