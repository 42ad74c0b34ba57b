//! Expiry: lazily when a command meets an expired key, actively by cron's sweep of the expires table.
//!
//! Source: redis 7.0.15 `src/expire.c` (`activeExpireCycle`), `src/db.c` (`expireIfNeeded`).

use super::Node;
use super::keys::{NIL, Slot};
use super::lazyfree::FreedBy;
use super::notice::EventKind;
use crate::hint::prefetch;

/// Keys looked at in one loop, at effort 1 and for each step of effort.  Source: `ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP`.
const KEYS_PER_LOOP: u64 = 20;
/// Budget of a fast cycle (µs).  Source: `ACTIVE_EXPIRE_CYCLE_FAST_DURATION`.
const FAST_DURATION_US: u64 = 1000;
/// Share of the CPU for slow cycles (%).  Source: `ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC`.
const SLOW_TIME_PERCENT: u64 = 25;
/// Stale keys that are tolerated (%).  Source: `ACTIVE_EXPIRE_CYCLE_ACCEPTABLE_STALE`.
const ACCEPTABLE_STALE_PERCENT: u64 = 10;
/// Buckets looked at for each key wanted.  Source: `activeExpireCycle`, `max_buckets`.
const BUCKETS_PER_KEY: u64 = 20;
/// Buckets of the sweep that are read ahead; a loop looks at some twenty.
const BUCKETS_AHEAD: usize = 16;
/// Loops between two looks at the time.  Source: `activeExpireCycle`, `(iteration & 0xf)`.
const LOOPS_PER_TIME_CHECK: u64 = 16;
/// Tables emptier than this are left alone until they shrink (%).
const MIN_FILL_PERCENT: u64 = 1;
/// CPU to look at a key that has not expired (ns).  *assumed*: dynamics specification, section 12.3.
const EXAMINE_KEY_NS: u64 = 200;
/// The stale estimate counts in parts of this.
const STALE_UNIT: u64 = 1_000_000_000;

/// Which of the two cycles runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cycle {
    /// From cron.
    Slow,
    /// Before the event loop sleeps.
    Fast,
}

/// What the cycle keeps from run to run.
#[derive(Debug, Default)]
pub(super) struct ExpireCycle {
    cursor: u64,
    /// The last cycle, of either kind, was cut by its time limit.
    cut_by_time: bool,
    last_fast_start_us: u64,
    /// Estimate of the stale share, in parts of [`STALE_UNIT`].
    stale: u64,
}

/// What the sweep of one loop saw.
#[derive(Debug, Clone, Copy, Default)]
struct Swept {
    sampled: u64,
    expired: u64,
    /// The sweep came to the end of the table, and the release ends its cycle there.
    through: bool,
}

/// The limits that `active-expire-effort` and `hz` set.
#[derive(Debug, Clone, Copy)]
struct Effort {
    keys_per_loop: u64,
    fast_duration_us: u64,
    slow_budget_us: u64,
    acceptable_stale_percent: u64,
}

impl Effort {
    fn new(effort: u32, hz: u32) -> Effort {
        let extra = u64::from(effort) - 1;
        let slow_percent = SLOW_TIME_PERCENT + 2 * extra;
        Effort {
            keys_per_loop: KEYS_PER_LOOP + KEYS_PER_LOOP / 4 * extra,
            fast_duration_us: FAST_DURATION_US + FAST_DURATION_US / 4 * extra,
            slow_budget_us: slow_percent * 1_000_000 / u64::from(hz) / 100,
            acceptable_stale_percent: ACCEPTABLE_STALE_PERCENT - extra,
        }
    }
}

impl Node {
    /// Deletes the key when its TTL has passed; true when it did.
    #[inline]
    pub(super) fn expire_if_needed(&mut self, slot: Slot) -> bool {
        let entry = self.keys.entries[slot as usize];
        if !entry.has_ttl() || self.now_ms <= self.keys.timed[slot as usize].expire_at() {
            return false;
        }
        self.delete_expired(slot);
        true
    }

    fn delete_expired(&mut self, slot: Slot) {
        self.counters.expired_keys += 1;
        self.keyspaces[self.keys.entries[slot as usize].sizes.keyspace as usize].expired_keys += 1;
        self.propagate_expired(slot);
        self.delete_key(slot, FreedBy::Expiry);
    }

    /// One active cycle.
    pub(super) fn active_expire_cycle(&mut self, cycle: Cycle) {
        let effort = Effort::new(self.config.active_expire_effort, self.effective_hz());
        let budget_us = match cycle {
            Cycle::Slow => effort.slow_budget_us,
            Cycle::Fast if !self.fast_cycle_is_due(effort) => return,
            Cycle::Fast => effort.fast_duration_us,
        };
        self.expire_cycle.cut_by_time = false;
        let swept = if self.pending.any_due() {
            self.sweep_until_clean(effort, budget_us)
        } else {
            self.pass_over_one_loop(effort)
        };
        // The estimate moves a twentieth of the way at every cycle.
        let now = (swept.expired * STALE_UNIT).checked_div(swept.sampled).unwrap_or(0);
        self.expire_cycle.stale = (now + 19 * self.expire_cycle.stale) / 20;
        if self.expire_cycle.cut_by_time && !self.time_cap_streak {
            self.note_event(EventKind::ExpireTimeCapReached);
        }
        self.time_cap_streak = self.expire_cycle.cut_by_time;
    }

    /// Whether the event loop need think of a fast cycle at all.
    #[inline]
    pub(super) fn fast_cycle_possible(&self) -> bool {
        self.expire_cycle.cut_by_time || !self.profile.expire_fast_percent_bug
    }

    /// A cycle of a database without TTLs: the estimate decays.
    pub(super) fn rest_expire_cycle(&mut self) {
        self.expire_cycle.cut_by_time = false;
        self.expire_cycle.stale = 19 * self.expire_cycle.stale / 20;
        self.time_cap_streak = false;
    }

    fn fast_cycle_is_due(&mut self, effort: Effort) -> bool {
        let below = if self.profile.expire_fast_percent_bug {
            // A fraction compared with a percentage: always below.
            true
        } else {
            self.expire_cycle.stale * 100 < effort.acceptable_stale_percent * STALE_UNIT
        };
        if !self.expire_cycle.cut_by_time && below {
            return false;
        }
        if self.now_us < self.expire_cycle.last_fast_start_us + 2 * effort.fast_duration_us {
            return false;
        }
        self.expire_cycle.last_fast_start_us = self.now_us;
        true
    }

    /// Loops over the table from the cursor on until a loop finds few enough expired keys, or time is up.
    fn sweep_until_clean(&mut self, effort: Effort, budget_us: u64) -> Swept {
        let mut total = Swept::default();
        let (mut loops, mut spent_ns) = (0, 0);
        self.lazyfree.take_spent_ns();
        loop {
            loops += 1;
            let keys = self.expires.len();
            let small = self.expires.buckets() <= super::dict::INITIAL_BUCKETS;
            if keys == 0 || (!small && self.expires.fill_percent() < MIN_FILL_PERCENT) {
                break;
            }
            let swept = self.sweep(keys.min(effort.keys_per_loop));
            total.sampled += swept.sampled;
            total.expired += swept.expired;
            spent_ns += swept.expired * self.costs.expire_key_ns + (swept.sampled - swept.expired) * EXAMINE_KEY_NS;
            spent_ns += self.lazyfree.take_spent_ns();
            if loops % LOOPS_PER_TIME_CHECK == 0 && spent_ns / 1000 > budget_us {
                self.expire_cycle.cut_by_time = true;
                self.counters.expired_time_cap_reached_count += 1;
                break;
            }
            if swept.through {
                break;
            }
            if swept.sampled > 0 && swept.expired * 100 / swept.sampled <= effort.acceptable_stale_percent {
                break;
            }
        }
        total
    }

    /// One loop's sweep: buckets from the cursor on until `wanted` keys were seen.
    fn sweep(&mut self, wanted: u64) -> Swept {
        let mut swept = Swept::default();
        let max_buckets = BUCKETS_PER_KEY * wanted;
        let mut checked = 0;
        // Where a deletion can shrink the table it moves other chains too; such releases also end at the table's end.
        let guarded = self.profile.expire_one_sweep;
        while swept.sampled < wanted && checked < max_buckets {
            if guarded && (swept.through || self.expires.len() == 0) {
                break;
            }
            if self.expires.rehashing() {
                checked += self.sweep_rehashing(&mut swept);
                continue;
            }
            // With one array a deletion moves no other chain: the next buckets can be read, and their keys asked for,
            // before the first of them is looked at.
            let mut ahead = [(NIL, 0); BUCKETS_AHEAD];
            let mut cursor = self.expire_cycle.cursor;
            for place in &mut ahead {
                let head;
                (head, cursor) = self.sweep_place(cursor);
                *place = (head, cursor);
                prefetch(&self.keys.timed, head as usize);
            }
            for (head, next) in ahead {
                if swept.sampled >= wanted || checked >= max_buckets {
                    break;
                }
                checked += 1;
                self.expire_cycle.cursor = next;
                self.sweep_chain(head, &mut swept);
                if guarded {
                    swept.through = next == 0;
                    if swept.through || self.expires.rehashing() {
                        break;
                    }
                }
            }
        }
        swept
    }

    /// First key of the bucket at a cursor, and the next cursor; the table must not be rehashing.
    #[inline]
    fn sweep_place(&self, cursor: u64) -> (Slot, u64) {
        if self.profile.expire_scan_reverse_binary {
            let mut head = NIL;
            let next = self.expires.scan(cursor, |found| head = found);
            (head, next)
        } else {
            (self.expires.sweep(cursor).0[0], cursor.wrapping_add(1))
        }
    }

    /// One place of the sweep while two arrays are alive; returns how many buckets were looked at.
    fn sweep_rehashing(&mut self, swept: &mut Swept) -> u64 {
        if self.profile.expire_scan_reverse_binary {
            let mut heads = Vec::new();
            self.expire_cycle.cursor = self.expires.scan(self.expire_cycle.cursor, |head| heads.push(head));
            for head in heads {
                // A deletion rehashes, and what it moved may have been met, and deleted, as a part of another chain.
                if head != NIL && self.keys.entries[head as usize].has_ttl() {
                    self.sweep_chain(head, swept);
                }
            }
            swept.through = self.profile.expire_one_sweep && self.expire_cycle.cursor == 0;
            1
        } else {
            let (heads, arrays) = self.expires.sweep(self.expire_cycle.cursor);
            self.expire_cycle.cursor = self.expire_cycle.cursor.wrapping_add(1);
            // A deletion rehashes and can move the second chain, which is then met again later in the sweep.
            heads.into_iter().for_each(|head| self.sweep_chain(head, swept));
            arrays
        }
    }

    fn sweep_chain(&mut self, head: Slot, swept: &mut Swept) {
        // Deleting an entry can move the chain by a rehash step: collect first.
        let mut expired = [NIL; 32];
        let mut found = 0;
        let mut at = head;
        while at != NIL {
            let timed = self.keys.timed[at as usize];
            swept.sampled += 1;
            if self.now_ms > timed.expire_at() && found < expired.len() {
                expired[found] = at;
                found += 1;
            }
            at = timed.next;
        }
        swept.expired += found as u64;
        for &slot in &expired[..found] {
            self.delete_expired(slot);
        }
    }

    /// The cycle when nothing can have expired: one loop that finds nothing.  The cursor moves by the buckets that hold
    /// its keys on average; where exactly it stands does not matter, since the order of keys in the table has nothing
    /// to do with their time of expiry.
    fn pass_over_one_loop(&mut self, effort: Effort) -> Swept {
        let keys = self.expires.len();
        if keys == 0 {
            return Swept::default();
        }
        let sampled = keys.min(effort.keys_per_loop);
        let buckets = (sampled * self.expires.buckets() / keys).clamp(1, BUCKETS_PER_KEY * sampled);
        self.expire_cycle.cursor = self.expire_cycle.cursor.wrapping_add(buckets);
        Swept { sampled, ..Swept::default() }
    }

    /// `expired_stale_perc` in thousandths of a percent.
    pub(super) fn stale_millipercent(&self) -> u64 {
        self.expire_cycle.stale / (STALE_UNIT / 100_000)
    }

    /// Bytes of each keyspace's keys whose TTL has passed; a look at every key with a TTL.
    pub(super) fn expired_resident_by_keyspace(&self) -> Vec<u64> {
        let mut bytes = vec![0; self.keyspaces.len()];
        if self.expires.len() > 0 {
            for slot in self.keys.present() {
                let timed = self.keys.entries[slot as usize].has_ttl();
                if timed && self.now_ms > self.keys.timed[slot as usize].expire_at() {
                    let sizes = self.keys.entries[slot as usize].sizes;
                    bytes[sizes.keyspace as usize] += self.key_bytes(sizes) + self.regions.timed;
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_sets_the_documented_limits() {
        let one = Effort::new(1, 10);
        assert_eq!(
            (one.keys_per_loop, one.fast_duration_us, one.slow_budget_us, one.acceptable_stale_percent),
            (20, 1000, 25_000, 10)
        );
        let ten = Effort::new(10, 10);
        assert_eq!(
            (ten.keys_per_loop, ten.fast_duration_us, ten.slow_budget_us, ten.acceptable_stale_percent),
            (65, 3250, 43_000, 1)
        );
        assert_eq!(Effort::new(1, 100).slow_budget_us, 2_500);
    }
}
