//! What a server says of one key: `OBJECT ENCODING` and `MEMORY USAGE`, beside the model's.

use super::figure::Figure;
use super::measurement::Measurement;
use super::tolerance::{self, Tolerance};
use crate::profile::{Profile, Table};
use crate::record::{KeyExample, Run};

/// Tolerance of memory for what is exact, for levels and chains that are drawn, and for buckets of seven places, which
/// fill at random.
const EXACT: f64 = 0.001;
const DRAWN: f64 = 0.003;
const BUCKETS: f64 = 0.005;

/// The first key of a run.
pub(super) struct ExampleKey {
    key: Option<KeyExample>,
    /// Its type has parts that are drawn at random.
    random: bool,
    /// Its tables have buckets of seven places.
    buckets: bool,
    /// Its size is drawn: the server's key is another one.
    drawn: bool,
}

impl ExampleKey {
    pub(super) fn of(measurement: &Measurement, run: &Run) -> ExampleKey {
        let key = run.keyspaces.first().and_then(|keyspace| keyspace.example);
        let (name, _) = measurement.server_names();
        let collections = Profile::find(&name).map(|profile| profile.collections);
        let buckets = collections.is_some_and(|c| c.table == Table::Hashtable);
        let chained = collections.is_some_and(|c| c.set_chained_only);
        let random = match key.map(|key| key.encoding) {
            Some("skiplist") => true,
            Some("hashtable") => {
                buckets || (chained && matches!(measurement.case.text("type"), Some("set" | "intset")))
            }
            _ => false,
        };
        let drawn = measurement.case.parameters.get("size").is_some_and(serde_json::Value::is_object);
        ExampleKey { key, random, buckets, drawn }
    }

    /// Tolerance of the growth of `used_memory`.
    pub(super) fn tolerance(&self) -> Tolerance {
        tolerance::STATIC_DELTA.with_share(self.share())
    }

    /// Share of memory that a prediction may be wrong by.
    fn share(&self) -> f64 {
        match (self.random, self.buckets) {
            (false, false) => EXACT,
            (true, false) => DRAWN,
            (_, true) => BUCKETS,
        }
    }

    /// The figures of the key: the encoding is 1 where it is the server's; `MEMORY USAGE` only where nothing is drawn.
    pub(super) fn figures(&self, at: &str, encoding: Option<&str>, memory_usage: Option<f64>) -> Vec<Figure> {
        let Some(key) = self.key else { return Vec::new() };
        let figure = |name: String, measured: f64, predicted: f64| Figure {
            curve_point: !at.is_empty(),
            ..Figure::new(name, measured, predicted, tolerance::EQUAL)
        };
        let mut figures = Vec::new();
        if let Some(encoding) = encoding {
            let equal = f64::from(u8::from(key.encoding == encoding));
            figures.push(figure(format!("encoding {encoding}{at}"), 1.0, equal));
        }
        if let Some(usage) = memory_usage.filter(|_| !self.random && !self.drawn) {
            figures.push(figure(format!("MEMORY USAGE{at}"), usage, key.memory_usage as f64));
        }
        figures
    }
}
