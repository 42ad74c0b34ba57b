//! TOML and redis.conf → a checked [`Scenario`], with the place of every error.
//!
//! Read in this order: [`tree`](self) (text with places, `--set` spliced in), `reader` (typed access that notes what is
//! wrong and goes on), `document` and one file for each table, `directive` and `redis_conf` for the server's own
//! configuration.  The parser does no I/O: whoever calls it hands in a reader for included files.

mod cluster;
mod connections;
mod directive;
mod document;
mod drawing;
mod elements;
mod error;
mod event;
mod excerpt;
mod keys;
mod keyspace;
mod limits;
mod model;
mod reader;
mod redis_conf;
mod threshold;
mod traffic;
mod tree;

pub use document::{Input, RUNS_LIMIT, TEXT_LIMIT, parse};
pub use error::{Problem, ScenarioError};
pub use keys::known_keys;
pub use model::*;
pub use threshold::{METRICS, Metric};
