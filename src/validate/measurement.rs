//! One recorded measurement, as the measuring script writes it: a line of JSON.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What was done on which server, and what was seen.
#[derive(Debug, Clone, Deserialize)]
pub struct Measurement {
    /// Label of the server: `redis-7.0.15-debian`.
    pub server: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// `mem_allocator`.
    #[serde(default)]
    pub allocator: String,
    /// What was done.
    pub case: Case,
    /// What was seen; absent where the case failed.
    #[serde(default)]
    pub result: Option<Map<String, Value>>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Case {
    /// Name.
    pub name: String,
    /// `static`, `cache`, `expiry`, …
    pub kind: String,
    /// The kind's own parameters.
    #[serde(flatten)]
    pub parameters: Map<String, Value>,
}

/// A line that is no measurement.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: not a measurement: {source}")]
pub struct MeasurementError {
    file: String,
    line: usize,
    source: serde_json::Error,
}

/// Reads a file of measurements; blank lines are skipped.
///
/// # Errors
/// [`MeasurementError`] names the first line that is no measurement.
pub fn parse(file: &str, text: &str) -> Result<Vec<Measurement>, MeasurementError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|source| MeasurementError {
                file: file.to_owned(),
                line: number + 1,
                source,
            })
        })
        .collect()
}

impl Case {
    /// A number of the case.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.parameters.get(name)?.as_f64()
    }

    /// A text of the case.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)?.as_str()
    }
}

/// What was seen of a key that grows.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Elements it has.
    pub elements: u64,
    /// Growth of `used_memory` since the server was empty (B).
    pub used_memory: f64,
    /// `MEMORY USAGE` (B).
    pub memory_usage: f64,
    /// `OBJECT ENCODING`.
    pub encoding: String,
}

impl Measurement {
    /// The same with another number in its case.
    pub(super) fn with_number(&self, name: &str, value: f64) -> Measurement {
        let mut other = self.clone();
        other.case.parameters.insert(name.to_owned(), value.into());
        other
    }

    /// A text that was seen.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.result.as_ref()?.get(name)?.as_str()
    }

    /// What was seen of a key that grows; marks that are no such thing are passed over.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let marks = self.result.as_ref().and_then(|result| result.get("marks")).and_then(Value::as_array);
        let mark = |value: &Value| {
            let [elements, used, usage, encoding] = value.as_array()?.as_slice() else { return None };
            Some(Mark {
                elements: elements.as_u64()?,
                used_memory: used.as_f64()?,
                memory_usage: usage.as_f64()?,
                encoding: encoding.as_str()?.to_owned(),
            })
        };
        marks.into_iter().flatten().filter_map(mark).collect()
    }

    /// The profile and allocator that stand for the server, by their names in a scenario.
    #[must_use]
    pub fn server_names(&self) -> (String, &'static str) {
        let allocator = if self.allocator == "libc" {
            "libc"
        } else if self.server.ends_with("-debian") {
            "system"
        } else {
            "bundled"
        };
        let name = self.server.trim_end_matches("-debian");
        let release = name.rsplit_once('.').map_or(name, |(release, _patch)| release);
        (release.to_owned(), allocator)
    }

    /// A number of the result, by path: `end.keys`.
    #[must_use]
    pub fn seen(&self, path: &str) -> Option<f64> {
        let mut parts = path.split('.');
        let mut at = self.result.as_ref()?.get(parts.next()?)?;
        for part in parts {
            at = at.get(part)?;
        }
        at.as_f64()
    }

    /// The samples of the timeline.
    #[must_use]
    pub fn timeline(&self) -> &[Value] {
        self.result.as_ref().and_then(|r| r.get("timeline")).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The curve while loading: keys, `used_memory` (B), time (s).
    #[must_use]
    pub fn curve(&self) -> Vec<[f64; 3]> {
        let points = self.result.as_ref().and_then(|r| r.get("curve")).and_then(Value::as_array);
        let point = |value: &Value| {
            let at = |i: usize| value.get(i).and_then(Value::as_f64);
            Some([at(0)?, at(1)?, at(2)?])
        };
        points.map_or_else(Vec::new, |points| points.iter().filter_map(point).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_profile_and_allocator() {
        let text = r#"{"server": "redis-7.0.15-debian", "case": {"name": "x", "kind": "static", "n": 5}}"#;
        let parsed = parse("m.jsonl", text).expect("a measurement");
        assert_eq!(parsed[0].server_names(), ("redis-7.0".to_owned(), "system"));
        assert_eq!(parsed[0].case.number("n"), Some(5.0));
        let error = parse("m.jsonl", "\n{}").expect_err("no measurement");
        assert!(error.to_string().starts_with("m.jsonl:2: "), "{error}");
    }
}
