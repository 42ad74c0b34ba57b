//! Which key a request touches: a law over the ranks of an id space.
//!
//! [`Popularity`] is what a scenario says; a [`Sampler`] is that law over an id space of a given size.  A law deals in
//! ranks (0 is the most popular key) and knows nothing of keys: the caller scatters ranks over ids with
//! [`super::Permutation`].  A new law is a variant here, an entry in [`POPULARITIES`] and an arm in [`Sampler::new`].

mod sampler;
#[cfg(test)]
mod tests;

pub use sampler::{Addressing, NEW_KEY, Sampler};

use super::params::{Entry, ParamError, ParamKind, ParamSpec, Params};
use super::strips::MAX_STRIPS;

/// Share of the ids that are hot, as in YCSB's `hotspot`.  Source: YCSB `hotspotdatafraction` = 0.2.
const HOT_KEYS: f64 = 0.2;
/// Share of the requests to them.  Source: YCSB `hotspotopnfraction` = 0.8.
const HOT_REQUESTS: f64 = 0.8;

/// A law over ranks, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Popularity(Law);

#[derive(Debug, Clone, PartialEq)]
enum Law {
    Uniform,
    Zipf { exponent: f64 },
    Hotspot { keys: f64, requests: f64 },
    Latest { exponent: f64 },
    Sequential,
    Buckets { counts: Vec<f64>, weights: Vec<f64> },
    ZipfPlusOnce { exponent: f64, once: f64 },
    New,
}

impl Popularity {
    /// Every key alike.
    #[must_use]
    pub fn uniform() -> Popularity {
        Popularity(Law::Uniform)
    }

    /// Zipf's law.
    ///
    /// # Errors
    /// [`ParamError`] unless `exponent` is a number of at least 0.
    pub fn zipf(exponent: f64) -> Result<Popularity, ParamError> {
        Ok(Popularity(Law::Zipf { exponent: checked_exponent(exponent)? }))
    }

    /// Share of the requests that touch brand-new keys ([`NEW_KEY`]).
    #[must_use]
    pub fn new_key_share(&self) -> f64 {
        match self.0 {
            Law::New => 1.0,
            Law::ZipfPlusOnce { once, .. } => once,
            _ => 0.0,
        }
    }
}

const EXPONENT: ParamSpec = ParamSpec {
    name: "exponent",
    kind: ParamKind::Plain,
    required: true,
    help: "exponent of the power law; 0 is uniform, caches see 0.6 to 1.2",
};

/// Every law that a scenario can name.
pub const POPULARITIES: &[Entry<Popularity>] = &[
    Entry {
        name: "uniform",
        summary: "every key is as likely as any other",
        params: &[],
        build: |_| Ok(Popularity::uniform()),
    },
    Entry {
        name: "zipf",
        summary: "the key of rank i has a chance in proportion to i^-exponent",
        params: &[EXPONENT],
        build: |params| Ok(Popularity(Law::Zipf { exponent: exponent(params)? })),
    },
    Entry {
        name: "hotspot",
        summary: "a share of the keys takes a share of the requests, evenly inside both parts",
        params: &[
            plain("hot-keys", false, "share of the keys that are hot, above 0 and below 1; default 0.2"),
            plain("hot-requests", false, "share of the requests to them, 0 to 1; default 0.8"),
        ],
        build: hotspot,
    },
    Entry {
        name: "latest",
        summary: "zipf over age: the newest key is the most likely",
        params: &[EXPONENT],
        build: |params| Ok(Popularity(Law::Latest { exponent: exponent(params)? })),
    },
    Entry {
        name: "sequential",
        summary: "one key after the other by id, then from the start",
        params: &[],
        build: |_| Ok(Popularity(Law::Sequential)),
    },
    Entry {
        name: "buckets",
        summary: "groups of keys, each with a share of the requests, evenly inside a group",
        params: &[
            list("counts", "keys in each group; scaled so that their sum is the number of keys"),
            list("weights", "share of the requests to each group, in any scale"),
        ],
        build: buckets,
    },
    Entry {
        name: "zipf-plus-once",
        summary: "zipf, and a share of the requests to brand-new keys that are never used again",
        params: &[EXPONENT, plain("once", true, "share of the requests to brand-new keys, 0 to 1")],
        build: |params| {
            let once = params.checked("once", None, "a share from 0 to 1", is_share)?;
            Ok(Popularity(Law::ZipfPlusOnce { exponent: exponent(params)?, once }))
        },
    },
    Entry {
        name: "new",
        summary: "every request touches a brand-new key",
        params: &[],
        build: |_| Ok(Popularity(Law::New)),
    },
];

const fn plain(name: &'static str, required: bool, help: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Plain, required, help }
}

const fn list(name: &'static str, help: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Plains, required: true, help }
}

fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn exponent(params: &Params) -> Result<f64, ParamError> {
    checked_exponent(params.number("exponent").unwrap_or(f64::NAN))
}

fn checked_exponent(exponent: f64) -> Result<f64, ParamError> {
    if exponent >= 0.0 && exponent.is_finite() {
        Ok(exponent)
    } else {
        Err(ParamError::new("exponent", "a number of at least 0"))
    }
}

fn hotspot(params: &Params) -> Result<Popularity, ParamError> {
    let keys =
        params.checked("hot-keys", Some(HOT_KEYS), "a share above 0 and below 1", |keys| keys > 0.0 && keys < 1.0)?;
    let requests = params.checked("hot-requests", Some(HOT_REQUESTS), "a share from 0 to 1", is_share)?;
    Ok(Popularity(Law::Hotspot { keys, requests }))
}

fn buckets(params: &Params) -> Result<Popularity, ParamError> {
    let (counts, weights) = (params.numbers("counts"), params.numbers("weights"));
    if counts.is_empty() || counts.len() > MAX_STRIPS || !counts.iter().all(|count| *count > 0.0 && count.is_finite()) {
        return Err(ParamError::new("counts", &format!("1 to {MAX_STRIPS} numbers above 0")));
    }
    let sum: f64 = weights.iter().sum();
    let sound = weights.iter().all(|weight| *weight >= 0.0) && sum > 0.0 && sum.is_finite();
    if weights.len() != counts.len() || !sound {
        let expected = format!("{} numbers of at least 0, one for each of `counts`, not all 0", counts.len());
        return Err(ParamError::new("weights", &expected));
    }
    Ok(Popularity(Law::Buckets { counts: counts.to_vec(), weights: weights.to_vec() }))
}
