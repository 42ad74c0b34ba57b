//! Eviction: when it runs, how victims are found, when it gives up.
//!
//! Source: redis 7.0.15 `src/evict.c` (`performEvictions`, `evictionPoolPopulate`), `src/db.c` (LFU arithmetic).

use super::Node;
use super::config::{EvictionRanking, EvictionScope};
use super::dict::MAX_SAMPLES;
use super::keys::{ExpiresChain, MainChain, Slot};
use super::lazyfree::FreedBy;
use super::notice::{EventKind, TableName};
use super::pool::Pool;
use super::starts::Starts;
use crate::rng::Xoshiro256PlusPlus;
use rand::Rng;

/// Keys between two looks at the time.  Source: `performEvictions`, `keys_freed % 16`.
const KEYS_PER_TIME_CHECK: u64 = 16;

/// Bits of the LRU clock, and of LFU's minutes.  Source: `LRU_BITS`.
const LRU_CLOCK_MASK: u32 = (1 << 24) - 1;
/// Source: `LFUGetTimeInMinutes`.
const LFU_MINUTES_MASK: u32 = (1 << 16) - 1;
/// Counter of a new key under LFU.  Source: `LFU_INIT_VAL`.
const LFU_INITIAL: u32 = 5;
/// Largest counter.
const LFU_MAX: u32 = 255;

/// The result of an eviction run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evicted {
    /// Memory is under the limit.
    Enough,
    /// The time limit came first; the timer goes on.
    Running,
    /// Nothing can be evicted.
    Failed,
}

/// What eviction keeps from run to run.
#[derive(Debug)]
pub(super) struct EvictionState {
    pub(super) pool: Pool,
    pub(super) starts: Starts,
    /// The timer is on: memory was still over the limit when the last run's time was up.
    running: bool,
    /// When the last run ended (µs).
    last_run_us: u64,
    /// When memory last went over the limit for longer than one run (µs); 0: it is under.
    exceeded_since_us: u64,
}

impl EvictionState {
    /// Nothing was evicted yet.
    pub(super) fn new(rng: &mut Xoshiro256PlusPlus) -> EvictionState {
        EvictionState {
            pool: Pool::default(),
            starts: Starts::new(rng),
            running: false,
            last_run_us: 0,
            exceeded_since_us: 0,
        }
    }
}

impl Node {
    /// Evicts until memory is under the limit, as before every command.
    #[inline]
    pub(super) fn evict_before_command(&mut self) -> Evicted {
        if self.over_limit(0) { self.perform_evictions() } else { Evicted::Enough }
    }

    /// The eviction loop, once.
    pub(super) fn perform_evictions(&mut self) -> Evicted {
        self.lazyfree_for(0);
        if !self.over_limit(0) {
            self.end_exceeded();
            self.eviction.running = false;
            return Evicted::Enough;
        }
        let to_free = self.ledger.used() - self.not_counted() - self.config.maxmemory.0;
        let limit_ns = eviction_time_limit_ns(self.config.maxmemory_eviction_tenacity);
        let (mut freed, mut evicted, mut spent_ns, mut result) = (0, 0, 0, Evicted::Enough);
        self.lazyfree.take_spent_ns();
        while freed < to_free {
            let Some(victim) = self.pick_victim() else {
                result = Evicted::Failed;
                break;
            };
            let before = self.ledger.used();
            self.evict(victim);
            // A table that frees its old array in between counts too.
            freed += before.saturating_sub(self.ledger.used());
            evicted += 1;
            spent_ns += self.costs.evict_key_ns + self.lazyfree.take_spent_ns();
            if evicted % KEYS_PER_TIME_CHECK == 0 {
                if self.config.lazyfree_lazy_eviction && self.freed_meanwhile(spent_ns) {
                    break;
                }
                if spent_ns > limit_ns {
                    result = Evicted::Running;
                    break;
                }
            }
        }
        // With nothing left to evict, the server waits for what is being freed, until its time is over.
        // Source: `performEvictions`, `cant_free`.
        if result == Evicted::Failed && self.lazyfree.is_busy() && self.freed_meanwhile(spent_ns.max(limit_ns)) {
            result = Evicted::Enough;
        }
        self.eviction.running = result == Evicted::Running;
        self.eviction.last_run_us = self.now_us;
        match result {
            Evicted::Enough => self.end_exceeded(),
            Evicted::Running | Evicted::Failed if self.eviction.exceeded_since_us == 0 => {
                self.eviction.exceeded_since_us = self.now_us;
            }
            Evicted::Running | Evicted::Failed => {}
        }
        result
    }

    /// Whether memory is under the limit once the background thread has had so long (ns).
    fn freed_meanwhile(&mut self, ns: u64) -> bool {
        self.lazyfree_for(ns);
        !self.over_limit(0)
    }

    fn end_exceeded(&mut self) {
        let since = std::mem::take(&mut self.eviction.exceeded_since_us);
        if since > 0 {
            self.counters.total_eviction_exceeded_time += (self.now_us.saturating_sub(since)) / 1000;
        }
    }

    /// The eviction timer: after an iteration of the event loop it goes on at once, as often as the time since the
    /// last run allows.
    pub(super) fn run_eviction_timer(&mut self) {
        if !self.eviction.running {
            return;
        }
        let limit_us = (eviction_time_limit_ns(self.config.maxmemory_eviction_tenacity) / 1000).max(1);
        let slices = (self.now_us.saturating_sub(self.eviction.last_run_us) / limit_us).max(1);
        for _ in 0..slices {
            if self.perform_evictions() != Evicted::Running {
                break;
            }
        }
    }

    fn evict(&mut self, victim: Slot) {
        let entry = self.keys.entries[victim as usize];
        let keyspace = &mut self.keyspaces[self.keys.entries[victim as usize].sizes.keyspace as usize];
        keyspace.evicted_keys += 1;
        keyspace.evicted_untimed_keys += u64::from(!entry.has_ttl());
        if self.counters.evicted_keys == 0 {
            self.note_event(EventKind::EvictingFirst);
        }
        self.counters.evicted_keys += 1;
        self.propagate_deletion(victim, self.config.lazyfree_lazy_eviction);
        self.delete_key(victim, FreedBy::Eviction);
    }

    fn pick_victim(&mut self) -> Option<Slot> {
        let policy = self.config.maxmemory_policy.entry();
        let table = match policy.scope {
            EvictionScope::Nothing => return None,
            EvictionScope::AllKeys => TableName::Main,
            EvictionScope::Volatile => TableName::Expires,
        };
        let candidates = if table == TableName::Main { self.main.len() } else { self.expires.len() };
        if candidates == 0 {
            return None;
        }
        if policy.ranking == EvictionRanking::Random {
            return Some(self.random_key(table));
        }
        loop {
            self.populate_pool(table, policy.ranking);
            // Taking a candidate from the pool looks it up in the policy's table.
            self.rehash_step(table, 1);
            let entries = &self.keys.entries;
            let wanted = |slot: Slot| table == TableName::Main || entries[slot as usize].has_ttl();
            if let Some(victim) = self.eviction.pool.pop(&self.keys, wanted) {
                self.prefetch_evictions(table);
                return Some(victim);
            }
        }
    }

    fn random_key(&mut self, table: TableName) -> Slot {
        self.rehash_step(table, 1);
        match table {
            TableName::Main => self.main.random_entry(&MainChain(&mut self.keys.entries), &mut self.rng),
            TableName::Expires => {
                let chain = ExpiresChain::of(&mut self.keys);
                self.expires.random_entry(&chain, &mut self.rng)
            }
        }
    }

    fn populate_pool(&mut self, table: TableName, ranking: EvictionRanking) {
        let samples = self.config.maxmemory_samples;
        let one = self.profile.rehash_one_step_per_sample;
        self.rehash_step(table, if one { 1 } else { samples });
        let start = self.eviction.starts.take(&mut self.rng);
        let mut sample = [0; MAX_SAMPLES];
        let drawn = match table {
            TableName::Main => {
                let chain = MainChain(&mut self.keys.entries);
                self.main.sample(samples as usize, start, &chain, &mut self.rng, &mut sample)
            }
            TableName::Expires => {
                let chain = ExpiresChain::of(&mut self.keys);
                self.expires.sample(samples as usize, start, &chain, &mut self.rng, &mut sample)
            }
        };
        if table == TableName::Expires && ranking != EvictionRanking::Ttl && self.regions.object_layout().is_none() {
            // The objects of keys sampled from the expires table are looked up in the main one.
            self.rehash_step(TableName::Main, drawn as u32);
        }
        for &slot in &sample[..drawn] {
            let clock = self.keys.entries[slot as usize].clock();
            let score = match ranking {
                EvictionRanking::Lru => idle_ms(self.lru_clock, clock),
                EvictionRanking::Lfu => {
                    u64::from(LFU_MAX - lfu_decayed(clock, self.lfu_minutes, self.config.lfu_decay_time))
                }
                EvictionRanking::Ttl => u64::MAX - self.keys.timed[slot as usize].expire_at(),
                EvictionRanking::Random => 0,
            };
            self.eviction.pool.offer(score, slot, &self.keys);
        }
    }

    /// The clock field of a new object.
    #[inline]
    pub(super) fn fresh_clock(&self) -> u32 {
        if self.counts_accesses() { (self.lfu_minutes << 8) | LFU_INITIAL } else { self.lru_clock }
    }

    /// What a lookup does to the clock field, unless a child lives.
    #[inline(always)]
    pub(super) fn touch(&mut self, slot: Slot) {
        if self.child_active {
            return;
        }
        let clock = if self.counts_accesses() {
            self.lfu_touched(self.keys.entries[slot as usize].clock())
        } else {
            self.lru_clock
        };
        self.keys.entries[slot as usize].set_clock(clock);
    }

    #[inline(never)]
    fn lfu_touched(&mut self, clock: u32) -> u32 {
        let counter = lfu_decayed(clock, self.lfu_minutes, self.config.lfu_decay_time);
        let base = u64::from(counter.saturating_sub(LFU_INITIAL));
        // One more with probability 1 / (base * factor + 1).
        let odds = base * u64::from(self.config.lfu_log_factor) + 1;
        let more = counter < LFU_MAX && (odds == 1 || self.rng.next_u64() < u64::MAX / odds);
        (self.lfu_minutes << 8) | (counter + u32::from(more))
    }

    /// The cached clocks, which cron refreshes.
    pub(super) fn update_cached_clock(&mut self) {
        let seconds = self.now_us / 1_000_000;
        self.lru_clock = (seconds & u64::from(LRU_CLOCK_MASK)) as u32;
        self.lfu_minutes = ((seconds / 60) & u64::from(LFU_MINUTES_MASK)) as u32;
    }
}

/// How long a key has been idle, by clocks that wrap (ms).  Source: `estimateObjectIdleTime`.
fn idle_ms(now: u32, clock: u32) -> u64 {
    u64::from(now.wrapping_sub(clock) & LRU_CLOCK_MASK) * 1000
}

/// The access counter after its decay: one less for each period.  Source: `LFUDecrAndReturn`.
fn lfu_decayed(clock: u32, minutes: u32, decay_time: u32) -> u32 {
    let counter = clock & LFU_MAX;
    let elapsed = minutes.wrapping_sub(clock >> 8) & LFU_MINUTES_MASK;
    let periods = elapsed.checked_div(decay_time).unwrap_or(0);
    counter.saturating_sub(periods)
}

/// How long one run of the loop may take (ns).  Source: `evictionTimeLimitUs`.
fn eviction_time_limit_ns(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => 50_000 * u64::from(tenacity),
        11..=99 => (500_000.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_wrap_of_the_clock() {
        assert_eq!(idle_ms(10, 3), 7_000);
        assert_eq!(idle_ms(2, LRU_CLOCK_MASK), 3_000);
    }

    #[test]
    fn counters_decay_by_one_a_period() {
        let clock = (100 << 8) | 20;
        assert_eq!(lfu_decayed(clock, 100, 1), 20);
        assert_eq!(lfu_decayed(clock, 107, 1), 13);
        assert_eq!(lfu_decayed(clock, 107, 0), 20, "no decay");
        assert_eq!(lfu_decayed(clock, 107, 5), 19);
        assert_eq!(lfu_decayed(clock, 500, 1), 0);
        assert_eq!(lfu_decayed((0xffff << 8) | 9, 1, 1), 7, "minutes wrap");
    }

    #[test]
    fn the_time_limit_follows_tenacity() {
        assert_eq!(eviction_time_limit_ns(0), 0);
        assert_eq!(eviction_time_limit_ns(10), 500_000);
        // The longest limited run is a little over two minutes.
        assert!((120..150).contains(&(eviction_time_limit_ns(99) / 1_000_000_000)));
        assert_eq!(eviction_time_limit_ns(100), u64::MAX);
    }
}
