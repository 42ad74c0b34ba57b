//! The scenario's text as a tree in which every key and every value knows its place, overrides spliced in.
//!
//! The toml crate parses; this tree adds which source a value came from, so that a wrong `--set` is reported as
//! such.  Depth is bounded by [`DEPTH_LIMIT`], so whoever walks the tree may recurse.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Check, Place, did_you_mean, known_names, quoted};

/// Tables and arrays inside each other at most.
pub(super) const DEPTH_LIMIT: usize = 32;

/// Syntax errors reported at most: after the first few they follow from one another.
const SYNTAX_ERRORS_LIMIT: usize = 3;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    /// Saturates beyond `i128`.
    Integer(i128),
    Float(f64),
    Bool(bool),
    /// A date or a time, which no key of a scenario wants.
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub node: Node,
}

/// Parses a document; notes syntax errors and returns `None` when there are any.
pub(super) fn parse_document(check: &Check, source: usize, text: &str) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors.iter().take(SYNTAX_ERRORS_LIMIT) {
        let span = error.span().unwrap_or(text.len()..text.len());
        let place = Place { source, start: span.start, end: span.end };
        check.problem(place, "", format!("not TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return None;
    }
    let span = table.span();
    let place = Place { source, start: span.start, end: span.end };
    let mut converter = Converter { check, source, offset: 0 };
    Some(Node { place, value: Value::Table(converter.entries(table.get_ref(), 0)?) })
}

/// Splices the value of `--set path=text` into the document.
pub(super) fn apply_override(check: &Check, document: &mut Node, path: &str, text: &str) {
    let source = check.add_override(path, &format!("{path}={text}"));
    let path_place = Place { source, start: 0, end: path.len() };
    let Some(mut node) = override_value(check, source, path.len() + 1, text) else { return };
    node.place = Place { source, start: path.len() + 1, end: path.len() + 1 + text.len() };
    let segments: Vec<&str> = path.split('.').map(str::trim).collect();
    if segments.iter().any(|segment| segment.is_empty()) || segments.len() > DEPTH_LIMIT {
        let message = format!("{} is not a path; expected like \"server.config.maxmemory\"", quoted(path));
        check.problem(path_place, path, message);
        return;
    }
    splice(check, document, &segments, path_place, node);
}

/// The value as TOML, else as text; a time such as 08:00 is text here.
fn override_value(check: &Check, source: usize, offset: usize, text: &str) -> Option<Node> {
    let place = Place { source, start: offset, end: offset + text.len() };
    let as_text = Node { place, value: Value::Text(text.to_owned()) };
    match DeValue::parse(text) {
        Err(_) => Some(as_text),
        Ok(value) if matches!(value.get_ref(), DeValue::Datetime(_)) => Some(as_text),
        Ok(value) => Converter { check, source, offset }.node(&value, 0),
    }
}

/// The segment of a path that adds an item to a list: `event.+={ kind = "bgsave", at = "1h" }`.
const APPENDED: &str = "+";

/// Walks `segments` down from `node`, making tables that are not there, and puts `value` at the end.
fn splice(check: &Check, mut node: &mut Node, segments: &[&str], place: Place, value: Node) {
    let mut walked: Vec<&str> = Vec::new();
    for (depth, segment) in segments.iter().enumerate() {
        let last = depth + 1 == segments.len();
        match &mut node.value {
            Value::Table(entries) => {
                let index = match entries.iter().position(|entry| entry.key == *segment) {
                    Some(index) => index,
                    None if depth == 0
                        && segments.get(1) == Some(&APPENDED)
                        && super::keys::LISTS.contains(segment) =>
                    {
                        let empty = Node { place, value: Value::Array(Vec::new()) };
                        entries.push(Entry { key: (*segment).to_owned(), key_place: place, node: empty });
                        entries.len() - 1
                    }
                    None if depth == 0 && !last && super::keys::LISTS.contains(segment) => {
                        check.problem(
                            place,
                            segment,
                            format!("the scenario has no [[{segment}]] to set something in; expected one in its file"),
                        );
                        return;
                    }
                    None => {
                        let empty = Node { place, value: Value::Table(Vec::new()) };
                        entries.push(Entry { key: (*segment).to_owned(), key_place: place, node: empty });
                        entries.len() - 1
                    }
                };
                if last {
                    entries[index].key_place = place;
                }
                node = &mut entries[index].node;
            }
            Value::Array(items) => {
                if *segment == APPENDED {
                    items.push(Node { place, value: Value::Table(Vec::new()) });
                }
                let Some(index) = find_item(items, segment) else {
                    report_no_item(check, place, &walked.join("."), items, segment);
                    return;
                };
                node = &mut items[index];
            }
            _ => {
                let message = format!(
                    "is a single value: nothing in it is called {}; expected the path to end there",
                    quoted(segment)
                );
                check.problem(place, &walked.join("."), message);
                return;
            }
        }
        walked.push(segment);
    }
    *node = value;
}

/// The name of a table of an array of tables.
pub(super) fn name_of(node: &Node) -> Option<&str> {
    let Value::Table(entries) = &node.value else { return None };
    let entry = entries.iter().find(|entry| entry.key == "name")?;
    match &entry.node.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

/// The item that has this name, or else this index; the last one where it was just added.
fn find_item(items: &[Node], segment: &str) -> Option<usize> {
    if segment == APPENDED {
        return items.len().checked_sub(1);
    }
    items
        .iter()
        .position(|item| name_of(item) == Some(segment))
        .or_else(|| segment.parse().ok().filter(|&index: &usize| index < items.len()))
}

fn report_no_item(check: &Check, place: Place, path: &str, items: &[Node], segment: &str) {
    let names: Vec<&str> = items.iter().filter_map(name_of).collect();
    let guess = did_you_mean(segment, &names);
    let range = format!("expected a name, or an index below {}", items.len());
    let message = format!("nothing in it is called {}; {range}{guess}", quoted(segment));
    check.problem_with_help(place, path, message, known_names("known names", &names));
}

struct Converter<'a> {
    check: &'a Check,
    source: usize,
    offset: usize,
}

impl Converter<'_> {
    fn place<T>(&self, spanned: &Spanned<T>) -> Place {
        let span = spanned.span();
        Place { source: self.source, start: span.start + self.offset, end: span.end + self.offset }
    }

    fn entries(&mut self, table: &DeTable<'_>, depth: usize) -> Option<Vec<Entry>> {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let key_place = self.place(key);
            entries.push(Entry { key: key.get_ref().to_string(), key_place, node: self.node(value, depth + 1)? });
        }
        entries.sort_by_key(|entry: &Entry| entry.key_place);
        Some(entries)
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Option<Node> {
        let place = self.place(value);
        if depth > DEPTH_LIMIT {
            self.check.problem(place, "", format!("nested too deeply; expected at most {DEPTH_LIMIT} levels"));
            return None;
        }
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => Value::Integer(saturating_integer(integer.as_str(), integer.radix())),
            DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(items) => {
                let mut nodes = Vec::with_capacity(items.len());
                for item in items {
                    nodes.push(self.node(item, depth + 1)?);
                }
                Value::Array(nodes)
            }
            DeValue::Table(table) => Value::Table(self.entries(table, depth)?),
        };
        Some(Node { place, value })
    }
}

fn saturating_integer(digits: &str, radix: u32) -> i128 {
    let limit = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
    i128::from_str_radix(digits, radix).unwrap_or(limit)
}
