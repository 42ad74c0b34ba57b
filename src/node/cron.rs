//! The server's clockwork: cron, and what happens before each sleep of the event loop.
//!
//! Source: redis 7.0.15 `src/server.c` (`serverCron`, `databasesCron`, `beforeSleep`).

use super::expiry::Cycle;
use super::{Node, Role};
use crate::units::Micros;

/// With `dynamic-hz`, cron runs faster while it would serve more clients than this in one run.
/// Source: `MAX_CLIENTS_PER_CLOCK_TICK`.
const CLIENTS_PER_CRON: u64 = 200;
/// Source: `CONFIG_MAX_HZ`.
const MAX_HZ: u32 = 500;

impl Node {
    /// Runs of cron a second, raised for many clients.
    #[must_use]
    pub fn effective_hz(&self) -> u32 {
        let mut hz = self.config.hz;
        if self.config.dynamic_hz {
            while self.clients.connections() / u64::from(hz) > CLIENTS_PER_CRON && hz < MAX_HZ {
                hz = (2 * hz).min(MAX_HZ);
            }
        }
        hz
    }

    /// Time between two runs of cron.
    #[must_use]
    pub fn cron_period(&self) -> Micros {
        Micros::from_millis(1000 / u64::from(self.effective_hz()))
    }

    /// One run of cron.
    pub fn cron(&mut self) {
        self.update_cached_clock();
        self.pending.advance(self.now_ms);
        self.lazyfree_for(0);
        self.note_peak();
        self.cron_loops += 1;
        if self.cron_loops.is_multiple_of(u64::from(self.effective_hz())) {
            self.clients_cron();
        }
        self.outputs_cron();
        if self.role == Role::Replica {
            // TTLs are the primary's business.
        } else if self.expires.len() > 0 {
            self.active_expire_cycle(Cycle::Slow);
        } else {
            self.rest_expire_cycle();
        }
        self.resize_and_rehash_in_cron();
        self.rss_cron();
        self.defrag_cron();
        self.child_cron();
        self.replication_cron();
        self.save_points_cron();
        self.aof_cron();
        self.host_cron();
        self.note_peak();
        self.ledger.assert_balanced();
    }

    /// What follows each batch of commands that the event loop has served.
    #[inline]
    pub fn before_sleep(&mut self) {
        if self.fast_cycle_possible() {
            self.active_expire_cycle(Cycle::Fast);
        }
        self.lazyfree_for(0);
        self.run_eviction_timer();
        self.flush_propagated();
    }

    /// What was propagated goes to the append-only file, and to replicas.
    #[inline]
    pub fn flush_propagated(&mut self) {
        if self.propagates() {
            self.flush_aof();
            self.feed_replicas();
        }
    }
}
