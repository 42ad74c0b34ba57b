//! TOML and redis.conf → a checked [`Scenario`], with the place of every error.

mod model;

pub use model::*;
