//! What clients send: how many requests, to which keys, of which sizes.
//!
//! Pure laws with checked parameters, drawn from generators that the caller owns; nothing here knows of a server.  What
//! a scenario can name stands in a list ([`DISTRIBUTIONS`], [`POPULARITIES`], [`RATES`], [`ARRIVALS`]) whose entries
//! declare their parameters; a new one is one file and one line.

mod arrival;
mod distribution;
pub mod params;
mod permutation;
mod popularity;
mod rate;
mod strips;
mod zipf;

pub use arrival::{ARRIVALS, Arrivals, Counter};
pub use distribution::{DISTRIBUTIONS, Distribution, Shape, Ttl};
pub use permutation::Permutation;
pub use popularity::{Addressing, NEW_KEY, POPULARITIES, Popularity, Sampler};
pub use rate::{RATES, Rate};
