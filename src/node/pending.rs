//! When keys expire, counted by time: how many have expired and are still there, at any instant, without a look at the
//! keys.
//!
//! Expiry times fall into cells as wide as the distance between samples, so that the figures at a sample are exact to
//! a cell; all times after the end of the run share the last cell.

use crate::units::Micros;

/// Most cells kept; wider cells for longer runs.
const MAX_CELLS: u64 = 1 << 20;

/// Narrowest cell (ms).
const MIN_CELL_MS: u64 = 10;

/// Keys and bytes by time of expiry.
#[derive(Debug, Default)]
pub(crate) struct PendingExpiry {
    start_ms: u64,
    cell_ms: u64,
    cells: Vec<(u64, u64)>,
    /// Cells before this one lie in the past.
    passed: usize,
    expired_keys: u64,
    expired_bytes: u64,
    total_bytes: u64,
}

impl PendingExpiry {
    /// Nothing pending, for a run of `duration` from `start_ms` on.
    pub(crate) fn new(start_ms: u64, duration: Micros, interval: Micros) -> PendingExpiry {
        let duration_ms = duration.as_millis() + 1;
        let cell_ms = interval.as_millis().max(MIN_CELL_MS).max(duration_ms / MAX_CELLS);
        // One cell more for the end of the run, and one for everything after it.
        let cells = (duration_ms / cell_ms + 2) as usize;
        PendingExpiry { start_ms, cell_ms, cells: vec![(0, 0); cells], ..PendingExpiry::default() }
    }

    #[inline]
    fn cell(&self, expire_at_ms: u64) -> usize {
        ((expire_at_ms.saturating_sub(self.start_ms) / self.cell_ms) as usize).min(self.cells.len() - 1)
    }

    /// Notes a key of `bytes` that expires at `expire_at_ms`.
    #[inline]
    pub(crate) fn add(&mut self, expire_at_ms: u64, bytes: u64) {
        let at = self.cell(expire_at_ms);
        self.cells[at].0 += 1;
        self.cells[at].1 += bytes;
        self.total_bytes += bytes;
        if at < self.passed {
            self.expired_keys += 1;
            self.expired_bytes += bytes;
        }
    }

    /// Forgets such a key.
    #[inline]
    pub(crate) fn remove(&mut self, expire_at_ms: u64, bytes: u64) {
        let at = self.cell(expire_at_ms);
        self.cells[at].0 -= 1;
        self.cells[at].1 -= bytes;
        self.total_bytes -= bytes;
        if at < self.passed {
            self.expired_keys -= 1;
            self.expired_bytes -= bytes;
        }
    }

    /// Moves on to `now_ms`: cells that ended by then count as expired.
    pub(crate) fn advance(&mut self, now_ms: u64) {
        let now = ((now_ms.saturating_sub(self.start_ms) / self.cell_ms) as usize).min(self.cells.len() - 1);
        while self.passed < now {
            self.expired_keys += self.cells[self.passed].0;
            self.expired_bytes += self.cells[self.passed].1;
            self.passed += 1;
        }
    }

    /// Keys expired and still there, and their bytes, as of the last [`PendingExpiry::advance`].
    pub(crate) fn expired(&self) -> (u64, u64) {
        (self.expired_keys, self.expired_bytes)
    }

    /// Whether some key may have expired: one in a cell that has passed, or in the present one.
    #[inline]
    pub(crate) fn any_due(&self) -> bool {
        self.expired_keys > 0 || self.cells[self.passed].0 > 0
    }

    /// No key is left.
    pub(crate) fn clear(&mut self) {
        self.cells.fill((0, 0));
        (self.expired_keys, self.expired_bytes, self.total_bytes) = (0, 0, 0);
    }

    /// Bytes of all keys with a TTL (B).
    pub(crate) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_count_as_expired_once_their_cell_has_passed() {
        let mut pending = PendingExpiry::new(1_000, Micros::from_secs(10), Micros::from_secs(1));
        pending.add(2_500, 100);
        pending.add(99_000_000, 7);
        pending.advance(2_400);
        assert_eq!(pending.expired(), (0, 0));
        assert!(pending.any_due(), "the second cell is the present one");
        pending.advance(3_000);
        assert_eq!(pending.expired(), (1, 100));
        pending.remove(2_500, 100);
        assert_eq!(pending.expired(), (0, 0));
        assert!(!pending.any_due());
        pending.add(1_500, 5);
        assert_eq!(pending.expired(), (1, 5), "an expiry in the past counts at once");
    }
}
