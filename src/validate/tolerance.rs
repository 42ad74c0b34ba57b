//! How far a prediction may be from what was measured: one table for all kinds.
//!
//! *assumed*: what users of a capacity plan can bear; a share is of the measured figure.  Where a case was repeated, twice
//! the spread of its repetitions counts where that is more (`repeats`).

/// A share of the measured figure, and what no tolerance is below.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerance {
    share: f64,
    floor: f64,
}

impl Tolerance {
    const fn new(share: f64, floor: f64) -> Tolerance {
        Tolerance { share, floor }
    }

    /// The largest difference accepted, in the figure's unit.
    pub(super) fn of(self, measured: f64) -> f64 {
        (measured.abs() * self.share).max(self.floor)
    }

    /// The same floor with another share.
    pub(super) const fn with_share(self, share: f64) -> Tolerance {
        Tolerance { share, floor: self.floor }
    }
}

/// Floors: `used_memory`, pages of an allocator, `cow_size` (B); counts.
const USED_MEMORY: f64 = 65_536.0;
const PAGES: f64 = 2_097_152.0;
const COW: f64 = 4_194_304.0;
const COUNT: f64 = 50.0;

/// What has to be equal.
pub(super) const EQUAL: Tolerance = Tolerance::new(0.0, 0.5);

/// `static`: growth of `used_memory`; its share is the example key's (`example`).
pub(super) const STATIC_DELTA: Tolerance = Tolerance::new(0.001, USED_MEMORY);
pub(super) const STATIC_PEAK_LOADING: Tolerance = Tolerance::new(0.01, USED_MEMORY);
pub(super) const STATIC_CURVE: Tolerance = Tolerance::new(0.005, USED_MEMORY);
/// Keys when the old table goes: a share of the keys inserted since the doubling.
pub(super) const OLD_TABLE_GOES: Tolerance = Tolerance::new(0.15, 0.0);

pub(super) const GROW_MARK: Tolerance = Tolerance::new(0.005, USED_MEMORY);

pub(super) const CACHE_MISS_RATIO: Tolerance = Tolerance::new(0.0, 0.003);
pub(super) const CACHE_EVICTED: Tolerance = Tolerance::new(0.01, COUNT);
pub(super) const CACHE_EXPIRED: Tolerance = Tolerance::new(0.03, COUNT);
pub(super) const CACHE_KEYS: Tolerance = Tolerance::new(0.005, COUNT);
pub(super) const CACHE_USED_MEMORY: Tolerance = Tolerance::new(0.005, USED_MEMORY);
pub(super) const CACHE_OOM: Tolerance = Tolerance::new(0.02, COUNT);

pub(super) const EXPIRY_KEYS_ERROR: Tolerance = Tolerance::new(0.06, COUNT);
pub(super) const EXPIRY_KEYS: Tolerance = Tolerance::new(0.02, COUNT);
pub(super) const EXPIRY_EXPIRED: Tolerance = Tolerance::new(0.02, COUNT);
pub(super) const EXPIRY_STALE_POINTS: Tolerance = Tolerance::new(0.0, 3.0);
pub(super) const EXPIRY_USED_ERROR: Tolerance = Tolerance::new(0.06, USED_MEMORY);

pub(super) const COW_SIZE: Tolerance = Tolerance::new(0.05, COW);

pub(super) const PUBSUB_MESSAGES: Tolerance = Tolerance::new(0.03, COUNT);
pub(super) const PUBSUB_TIME: Tolerance = Tolerance::new(0.03, 0.0);
pub(super) const PUBSUB_PEAK: Tolerance = Tolerance::new(0.03, USED_MEMORY);

pub(super) const REPLICA_PEAK: Tolerance = Tolerance::new(0.03, USED_MEMORY);
pub(super) const REPLICA_BUFFERS: Tolerance = Tolerance::new(0.03, 0.0);
/// Of the time of the disconnect; the floor in seconds.
pub(super) const REPLICA_TIME: Tolerance = Tolerance::new(0.05, 1.0);

pub(super) const CHURN_USED_MEMORY: Tolerance = Tolerance::new(0.005, USED_MEMORY);
pub(super) const CHURN_PAGES: Tolerance = Tolerance::new(0.05, PAGES);

/// Kinds of `mechanisms`: `used_memory`, its peaks and largest buffers, pages, copies; times, the floor in seconds.
pub(super) const MECHANISM_USED_MEMORY: Tolerance = Tolerance::new(0.005, USED_MEMORY);
pub(super) const MECHANISM_PEAK: Tolerance = Tolerance::new(0.03, USED_MEMORY);
pub(super) const MECHANISM_PAGES: Tolerance = Tolerance::new(0.05, PAGES);
pub(super) const MECHANISM_COW: Tolerance = Tolerance::new(0.05, COW);
pub(super) const MECHANISM_TIME: Tolerance = Tolerance::new(0.05, 1.0);

pub(super) const AOF_FILE: Tolerance = Tolerance::new(0.01, 0.0);
pub(super) const AOF_BUFFER: Tolerance = Tolerance::new(0.03, 0.0);
pub(super) const CLIENTS_EVICTED: Tolerance = Tolerance::new(0.0, 1.0);
/// A busy machine frees up to a third more slowly; the floor is two looks of the script.
pub(super) const LAZYFREE_TIME: Tolerance = Tolerance::new(0.30, 0.02);
