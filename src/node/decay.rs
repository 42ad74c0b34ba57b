//! When dirty pages are given back: epochs, and the thread that does it.
//!
//! Time is cut into epochs of 50 ms.  At the end of an epoch what became dirty in it joins a backlog of 200; the backlog,
//! weighted along a smoothstep curve by age, is how many pages may stay dirty.  Allocations end epochs, but only a background
//! thread gives pages back, and it sleeps until it expects to give back 4 MiB: up to ten seconds.
//! Source: jemalloc 5.3 `src/decay.c`, `src/background_thread.c`, `src/arena.c` (`arena_maybe_do_deferred_work`); 5.2 does
//! the same.  Servers switch the thread on: `jemalloc-bg-thread`, default yes.

/// Epochs until nothing stays dirty.  Source: `SMOOTHSTEP_NSTEPS`.
const EPOCHS: usize = 200;
/// An epoch (µs): `dirty_decay_ms`, default 10 s, by [`EPOCHS`].  *assumed*: without the random part of its deadline.
const EPOCH_US: u64 = 50_000;
/// Bits behind the point of the weights.  Source: `SMOOTHSTEP_BFP`.
const POINT: u32 = 24;
/// The thread wakes for so many pages.  Source: `ARENA_DEFERRED_PURGE_NPAGES_THRESHOLD`.
const WORTH_PAGES: u64 = 1024;
/// The shortest sleep (µs).  Source: `BACKGROUND_THREAD_MIN_INTERVAL_NS`.
const SHORTEST_SLEEP_US: u64 = 100_000;
/// Epochs that every sleep covers at least, so that one has ended.  Source: `decay_ns_until_purge`.
const FEWEST_EPOCHS: usize = 2;

/// Weight of what became dirty in each epoch, the oldest first: 6x⁵ − 15x⁴ + 10x³ at x = 1/200 ... 1.
const WEIGHTS: [u64; EPOCHS] = weights();

const fn weights() -> [u64; EPOCHS] {
    let (mut weights, mut index) = ([0; EPOCHS], 0);
    let n = EPOCHS as u128;
    while index < EPOCHS {
        let i = index as u128 + 1;
        // (6x⁵ − 15x⁴ + 10x³) · 2²⁴ with x = i / n.
        weights[index] = (((i * i * i * (6 * i * i + 10 * n * n - 15 * n * i)) << POINT) / (n * n * n * n * n)) as u64;
        index += 1;
    }
    weights
}

/// The decay of one arena.
#[derive(Debug)]
pub(super) struct Decay {
    epoch_us: u64,
    /// Pages that became dirty in each of the last epochs, the oldest first.
    backlog: Box<[u64; EPOCHS]>,
    /// The backlog holds nothing.
    quiet: bool,
    /// Pages that may stay dirty.
    limit: u64,
    /// Pages at the end of the last epoch.
    unpurged: u64,
    /// When the thread wakes (µs); it sleeps until it is woken when there is none.
    wakes_us: Option<u64>,
    /// Pages that have come since it fell asleep and would go before it wakes.
    due_before: u64,
    /// It was woken early.
    woken: bool,
}

impl Default for Decay {
    fn default() -> Decay {
        Decay {
            epoch_us: 0,
            backlog: Box::new([0; EPOCHS]),
            quiet: true,
            limit: 0,
            unpurged: 0,
            wakes_us: None,
            due_before: 0,
            woken: false,
        }
    }
}

impl Decay {
    /// Ends epochs that are over, with so many pages dirty; pages that became dirty in the last one.  Source:
    /// `decay_maybe_advance_epoch`.
    fn advance(&mut self, now_us: u64, dirty: u64) -> Option<u64> {
        let passed = now_us.saturating_sub(self.epoch_us) / EPOCH_US;
        if passed == 0 {
            return None;
        }
        self.epoch_us += passed * EPOCH_US;
        let more = dirty.saturating_sub(self.unpurged);
        if !self.quiet || more > 0 {
            let shift = (passed as usize).min(EPOCHS);
            self.backlog.copy_within(shift.., 0);
            self.backlog[EPOCHS - shift..].fill(0);
            self.backlog[EPOCHS - 1] = more;
            self.quiet = self.backlog.iter().all(|&pages| pages == 0);
        }
        self.limit = self.backlog.iter().zip(WEIGHTS).map(|(pages, weight)| pages * weight).sum::<u64>() >> POINT;
        self.unpurged = self.limit.max(dirty);
        Some(more)
    }

    /// A thread that allocates looks at the clock, with so many pages dirty; it wakes the background thread when that would
    /// come too late.  Source: `arena_decay_impl`, `arena_should_decay_early`.
    pub(super) fn look(&mut self, now_us: u64, dirty: u64) {
        let Some(more) = self.advance(now_us, dirty) else { return };
        let Some(wakes_us) = self.wakes_us else { return };
        let left = wakes_us.saturating_sub(self.epoch_us);
        let epochs = (left / EPOCH_US) as usize;
        let gone = if epochs >= EPOCHS { 1 << POINT } else { WEIGHTS[EPOCHS - 1] - WEIGHTS[EPOCHS - 1 - epochs] };
        self.due_before += (more * gone) >> POINT;
        if left > 0 && self.due_before > WORTH_PAGES {
            self.due_before = 0;
            self.woken |= left >= SHORTEST_SLEEP_US;
        }
    }

    /// The background thread's part: pages that may stay dirty when it works now.  It sleeps again by [`Decay::sleep`].
    pub(super) fn work(&mut self, now_us: u64, dirty: u64) -> Option<u64> {
        let due = self.woken || self.wakes_us.is_some_and(|at| at <= now_us);
        if !due {
            // Asleep without end, it is woken by the first pages, and only decides when to work.
            if self.wakes_us.is_none() && (dirty > 0 || !self.quiet) {
                self.sleep(now_us, dirty);
            }
            return None;
        }
        self.advance(now_us, dirty);
        Some(self.limit)
    }

    /// The background thread falls asleep, with so many pages dirty.  Source: `background_work_sleep_once`.
    pub(super) fn sleep(&mut self, now_us: u64, dirty: u64) {
        self.woken = false;
        let epochs = self.epochs_until_worth(dirty);
        self.wakes_us = epochs.map(|epochs| now_us + (epochs * EPOCH_US).max(SHORTEST_SLEEP_US));
    }

    /// Epochs until enough would go, in halves rounded down.  Source: `decay_ns_until_purge`.
    fn epochs_until_worth(&self, dirty: u64) -> Option<u64> {
        if dirty == 0 && self.quiet {
            return None;
        }
        let (mut least, mut most) = (FEWEST_EPOCHS, EPOCHS);
        if dirty <= WORTH_PAGES {
            return Some(most as u64);
        }
        let (mut goes_least, mut goes_most) = (self.goes_within(least), self.goes_within(most));
        if goes_least > WORTH_PAGES {
            return Some(least as u64);
        }
        if goes_most < WORTH_PAGES {
            return Some(most as u64);
        }
        while goes_least + WORTH_PAGES < goes_most && least + 2 < most {
            let middle = (least + most) / 2;
            let goes = self.goes_within(middle);
            if goes > WORTH_PAGES {
                (most, goes_most) = (middle, goes);
            } else {
                (least, goes_least) = (middle, goes);
            }
        }
        Some((least + most) as u64 / 2)
    }

    /// Pages that the limit falls by within so many epochs.  Source: `decay_npurge_after_interval`.
    fn goes_within(&self, epochs: usize) -> u64 {
        let weight = |index: usize| WEIGHTS[index] - if index < epochs { 0 } else { WEIGHTS[index - epochs] };
        self.backlog.iter().enumerate().map(|(index, pages)| pages * weight(index)).sum::<u64>() >> POINT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_source() {
        for (step, weight) in [(1, 0x14), (2, 0xa5), (10, 0x4be6), (20, 0x230fc), (30, 0x6d009), (200, 1 << POINT)] {
            assert_eq!(WEIGHTS[step - 1], weight, "step {step}");
        }
    }

    /// Pages left of so many that became dirty at once, each an extent of its own.
    fn held_after(pages: u64, until_us: u64, busy: bool) -> u64 {
        let (mut decay, mut dirty) = (Decay::default(), pages);
        for now_us in (0..=until_us).step_by(100_000) {
            if busy {
                decay.look(now_us, dirty);
            }
            if let Some(limit) = decay.work(now_us, dirty) {
                dirty = dirty.min(limit);
                decay.sleep(now_us, dirty);
            }
        }
        dirty
    }

    #[test]
    fn a_busy_server_follows_the_curve_and_an_idle_one_sleeps_through_it() {
        let pages = 100_000;
        let half = held_after(pages, 5_000_000, true);
        assert!((45_000..60_000).contains(&half), "{half}");
        let last = held_after(pages, 11_000_000, true);
        assert!(last <= 2 * WORTH_PAGES, "{last}");
        assert_eq!(held_after(pages, 9_000_000, false), pages);
        let last = held_after(pages, 31_000_000, false);
        assert!(last <= 2 * WORTH_PAGES, "{last}");
    }
}
