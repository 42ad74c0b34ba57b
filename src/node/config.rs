//! What the modelled server is told: redis.conf's directives that move memory, and what things cost on its machine.

use super::aof::Appendfsync;
use super::link::{ClientClass, MaxmemoryClients, OutputLimit, OutputLimits};
use super::persistence::SavePoint;
use crate::layout::Limits;
use crate::profile::Profile;
use crate::units::Bytes;

/// `maxmemory-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaxmemoryPolicy {
    /// Refuse writes.
    Noeviction,
    /// Any key, least recently used of a sample.
    AllkeysLru,
    /// Any key, least frequently used of a sample.
    AllkeysLfu,
    /// Any key, at random.
    AllkeysRandom,
    /// Keys with a TTL, least recently used of a sample.
    VolatileLru,
    /// Keys with a TTL, least frequently used of a sample.
    VolatileLfu,
    /// Keys with a TTL, at random.
    VolatileRandom,
    /// Keys with a TTL, soonest to expire of a sample.
    VolatileTtl,
}

/// Where a policy looks for victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvictionScope {
    /// Nowhere: writes are refused.
    Nothing,
    /// The main table.
    AllKeys,
    /// The expires table.
    Volatile,
}

/// How a policy ranks a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvictionRanking {
    /// Seconds since the last touch.
    Lru,
    /// Decayed logarithmic access counter.
    Lfu,
    /// No ranking.
    Random,
    /// Time of expiry.
    Ttl,
}

/// One eviction policy: its name in redis.conf, where it looks, how it ranks.
#[derive(Debug, Clone, Copy)]
pub struct PolicyEntry {
    /// The policy.
    pub policy: MaxmemoryPolicy,
    /// Its name in redis.conf.
    pub name: &'static str,
    /// Where it looks for victims.
    pub scope: EvictionScope,
    /// How it ranks them.
    pub ranking: EvictionRanking,
}

/// All policies, in the order of [`MaxmemoryPolicy`].
pub const POLICIES: &[PolicyEntry] = &[
    PolicyEntry {
        policy: MaxmemoryPolicy::Noeviction,
        name: "noeviction",
        scope: EvictionScope::Nothing,
        ranking: EvictionRanking::Random,
    },
    PolicyEntry {
        policy: MaxmemoryPolicy::AllkeysLru,
        name: "allkeys-lru",
        scope: EvictionScope::AllKeys,
        ranking: EvictionRanking::Lru,
    },
    PolicyEntry {
        policy: MaxmemoryPolicy::AllkeysLfu,
        name: "allkeys-lfu",
        scope: EvictionScope::AllKeys,
        ranking: EvictionRanking::Lfu,
    },
    PolicyEntry {
        policy: MaxmemoryPolicy::AllkeysRandom,
        name: "allkeys-random",
        scope: EvictionScope::AllKeys,
        ranking: EvictionRanking::Random,
    },
    PolicyEntry {
        policy: MaxmemoryPolicy::VolatileLru,
        name: "volatile-lru",
        scope: EvictionScope::Volatile,
        ranking: EvictionRanking::Lru,
    },
    PolicyEntry {
        policy: MaxmemoryPolicy::VolatileLfu,
        name: "volatile-lfu",
        scope: EvictionScope::Volatile,
        ranking: EvictionRanking::Lfu,
    },
    PolicyEntry {
        policy: MaxmemoryPolicy::VolatileRandom,
        name: "volatile-random",
        scope: EvictionScope::Volatile,
        ranking: EvictionRanking::Random,
    },
    PolicyEntry {
        policy: MaxmemoryPolicy::VolatileTtl,
        name: "volatile-ttl",
        scope: EvictionScope::Volatile,
        ranking: EvictionRanking::Ttl,
    },
];

impl MaxmemoryPolicy {
    /// The policy's entry in [`POLICIES`].
    #[must_use]
    pub fn entry(self) -> &'static PolicyEntry {
        &POLICIES[self as usize]
    }

    /// The policy that redis.conf calls `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<MaxmemoryPolicy> {
        POLICIES.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)).map(|entry| entry.policy)
    }

    /// Whether objects need a clock or counter of their own, so that small integers cannot be shared.
    #[must_use]
    pub fn forbids_shared_integers(self) -> bool {
        matches!(self.entry().ranking, EvictionRanking::Lru | EvictionRanking::Lfu)
    }
}

/// The directives that the model follows.  Defaults are redis 7's; [`ServerConfig::of`] has those of a release.
/// Source: redis 7.0.15 `src/config.c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// `maxmemory`; zero: no limit.
    pub maxmemory: Bytes,
    /// `maxmemory-policy`.
    pub maxmemory_policy: MaxmemoryPolicy,
    /// `maxmemory-samples`: keys looked at for each victim, 1..=64.
    pub maxmemory_samples: u32,
    /// `maxmemory-eviction-tenacity`, 0..=100.
    pub maxmemory_eviction_tenacity: u32,
    /// `lfu-log-factor`.
    pub lfu_log_factor: u32,
    /// `lfu-decay-time` (min); zero: no decay.
    pub lfu_decay_time: u32,
    /// `hz`, 1..=500.
    pub hz: u32,
    /// `dynamic-hz`.
    pub dynamic_hz: bool,
    /// `active-expire-effort`, 1..=10.
    pub active_expire_effort: u32,
    /// `activerehashing`.
    pub activerehashing: bool,
    /// `lazyfree-lazy-eviction`.
    pub lazyfree_lazy_eviction: bool,
    /// `cluster-enabled`.
    pub cluster_enabled: bool,
    /// `lazyfree-lazy-expire`.
    pub lazyfree_lazy_expire: bool,
    /// `lazyfree-lazy-server-del`.
    pub lazyfree_lazy_server_del: bool,
    /// `lazyfree-lazy-user-del`.
    pub lazyfree_lazy_user_del: bool,
    /// `databases`.
    pub databases: u32,
    /// `maxclients`.
    pub maxclients: u32,
    /// `latency-tracking`: a histogram for each command.
    pub latency_tracking: bool,
    /// `repl-backlog-size`.
    pub repl_backlog_size: Bytes,
    /// `repl-diskless-sync`.
    pub repl_diskless_sync: bool,
    /// `repl-diskless-sync-delay` (s).
    pub repl_diskless_sync_delay: u64,
    /// `repl-timeout` (s).
    pub repl_timeout: u64,
    /// `activedefrag`.
    pub activedefrag: bool,
    /// `active-defrag-ignore-bytes`.
    pub active_defrag_ignore_bytes: Bytes,
    /// `active-defrag-threshold-lower` (%).
    pub active_defrag_threshold_lower: u64,
    /// `active-defrag-threshold-upper` (%).
    pub active_defrag_threshold_upper: u64,
    /// `active-defrag-cycle-min` (%).
    pub active_defrag_cycle_min: u64,
    /// `active-defrag-cycle-max` (%).
    pub active_defrag_cycle_max: u64,
    /// `appendonly`.
    pub appendonly: bool,
    /// `appendfsync`.
    pub appendfsync: Appendfsync,
    /// `no-appendfsync-on-rewrite`.
    pub no_appendfsync_on_rewrite: bool,
    /// Thresholds of the encodings of collections.
    pub limits: Limits,
    /// `repl-backlog-ttl` (s); 0: never.
    pub repl_backlog_ttl: u64,
    /// `auto-aof-rewrite-percentage`; zero: no rewrite by itself.
    pub auto_aof_rewrite_percentage: u64,
    /// `auto-aof-rewrite-min-size`.
    pub auto_aof_rewrite_min_size: Bytes,
    /// `save`.
    pub save: Vec<SavePoint>,
    /// `rdbcompression`.
    pub rdbcompression: bool,
    /// `stop-writes-on-bgsave-error`.
    pub stop_writes_on_bgsave_error: bool,
    /// `oom-score-adj`: a child goes before the server when the kernel kills.
    pub oom_score_adj: bool,
    /// `disable-thp`: the server turns huge pages off for itself.
    pub disable_thp: bool,
    /// `client-output-buffer-limit`.
    pub client_output_buffer_limit: OutputLimits,
    /// `maxmemory-clients`.
    pub maxmemory_clients: MaxmemoryClients,
}

impl ServerConfig {
    /// The defaults of a release.
    #[must_use]
    pub fn of(profile: &Profile) -> ServerConfig {
        let defaults = profile.defaults;
        ServerConfig {
            lazyfree_lazy_eviction: defaults.lazyfree,
            lazyfree_lazy_expire: defaults.lazyfree,
            lazyfree_lazy_server_del: defaults.lazyfree,
            lazyfree_lazy_user_del: defaults.lazyfree,
            repl_backlog_size: Bytes(defaults.repl_backlog_size),
            repl_diskless_sync: defaults.repl_diskless_sync,
            ..ServerConfig::default()
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            maxmemory: Bytes(0),
            maxmemory_policy: MaxmemoryPolicy::Noeviction,
            maxmemory_samples: 5,
            maxmemory_eviction_tenacity: 10,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            hz: 10,
            dynamic_hz: true,
            active_expire_effort: 1,
            activerehashing: true,
            lazyfree_lazy_eviction: false,
            cluster_enabled: false,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            lazyfree_lazy_user_del: false,
            databases: 16,
            maxclients: 10_000,
            latency_tracking: true,
            repl_backlog_size: Bytes(Bytes::MIB),
            repl_diskless_sync: true,
            repl_diskless_sync_delay: 5,
            repl_timeout: 60,
            activedefrag: false,
            active_defrag_ignore_bytes: Bytes(100 * Bytes::MIB),
            active_defrag_threshold_lower: 10,
            active_defrag_threshold_upper: 100,
            active_defrag_cycle_min: 1,
            active_defrag_cycle_max: 25,
            appendonly: false,
            appendfsync: Appendfsync::Everysec,
            no_appendfsync_on_rewrite: false,
            limits: Limits::default(),
            repl_backlog_ttl: 3600,
            auto_aof_rewrite_percentage: 100,
            auto_aof_rewrite_min_size: Bytes(64 * Bytes::MIB),
            save: [(3600, 1), (300, 100), (60, 10_000)]
                .map(|(seconds, changes)| SavePoint { seconds, changes })
                .to_vec(),
            rdbcompression: true,
            stop_writes_on_bgsave_error: true,
            oom_score_adj: false,
            disable_thp: true,
            client_output_buffer_limit: OutputLimits::default(),
            maxmemory_clients: MaxmemoryClients::Bytes(Bytes(0)),
        }
    }
}

/// One directive set to a checked value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the directive of the same name in ServerConfig")]
pub enum Setting {
    Maxmemory(Bytes),
    MaxmemoryPolicy(MaxmemoryPolicy),
    MaxmemorySamples(u32),
    MaxmemoryEvictionTenacity(u32),
    LfuLogFactor(u32),
    LfuDecayTime(u32),
    Hz(u32),
    DynamicHz(bool),
    ActiveExpireEffort(u32),
    Activerehashing(bool),
    LazyfreeLazyEviction(bool),
    ClusterEnabled(bool),
    LazyfreeLazyExpire(bool),
    LazyfreeLazyServerDel(bool),
    LazyfreeLazyUserDel(bool),
    Databases(u32),
    Maxclients(u32),
    LatencyTracking(bool),
    ReplBacklogSize(Bytes),
    ReplDisklessSync(bool),
    ReplDisklessSyncDelay(u64),
    ReplTimeout(u64),
    Activedefrag(bool),
    ActiveDefragIgnoreBytes(Bytes),
    ActiveDefragThresholdLower(u64),
    ActiveDefragThresholdUpper(u64),
    ActiveDefragCycleMin(u64),
    ActiveDefragCycleMax(u64),
    Appendonly(bool),
    Appendfsync(Appendfsync),
    NoAppendfsyncOnRewrite(bool),
    ReplBacklogTtl(u64),
    EncodingLimit(&'static str, i64),
    AutoAofRewritePercentage(u64),
    AutoAofRewriteMinSize(Bytes),
    Save(Vec<SavePoint>),
    Rdbcompression(bool),
    StopWritesOnBgsaveError(bool),
    OomScoreAdj(bool),
    DisableThp(bool),
    ClientOutputBufferLimit(Vec<(ClientClass, OutputLimit)>),
    MaxmemoryClients(MaxmemoryClients),
}

impl ServerConfig {
    /// Puts one directive in force.
    pub fn apply(&mut self, setting: &Setting) {
        match *setting {
            Setting::Maxmemory(value) => self.maxmemory = value,
            Setting::MaxmemoryPolicy(value) => self.maxmemory_policy = value,
            Setting::MaxmemorySamples(value) => self.maxmemory_samples = value,
            Setting::MaxmemoryEvictionTenacity(value) => self.maxmemory_eviction_tenacity = value,
            Setting::LfuLogFactor(value) => self.lfu_log_factor = value,
            Setting::LfuDecayTime(value) => self.lfu_decay_time = value,
            Setting::Hz(value) => self.hz = value,
            Setting::DynamicHz(value) => self.dynamic_hz = value,
            Setting::ActiveExpireEffort(value) => self.active_expire_effort = value,
            Setting::Activerehashing(value) => self.activerehashing = value,
            Setting::LazyfreeLazyEviction(value) => self.lazyfree_lazy_eviction = value,
            Setting::ClusterEnabled(value) => self.cluster_enabled = value,
            Setting::LazyfreeLazyExpire(value) => self.lazyfree_lazy_expire = value,
            Setting::LazyfreeLazyServerDel(value) => self.lazyfree_lazy_server_del = value,
            Setting::LazyfreeLazyUserDel(value) => self.lazyfree_lazy_user_del = value,
            Setting::Databases(value) => self.databases = value,
            Setting::Maxclients(value) => self.maxclients = value,
            Setting::LatencyTracking(value) => self.latency_tracking = value,
            Setting::ReplBacklogSize(value) => self.repl_backlog_size = value,
            Setting::ReplDisklessSync(value) => self.repl_diskless_sync = value,
            Setting::ReplDisklessSyncDelay(value) => self.repl_diskless_sync_delay = value,
            Setting::ReplTimeout(value) => self.repl_timeout = value,
            Setting::Activedefrag(value) => self.activedefrag = value,
            Setting::ActiveDefragIgnoreBytes(value) => self.active_defrag_ignore_bytes = value,
            Setting::ActiveDefragThresholdLower(value) => self.active_defrag_threshold_lower = value,
            Setting::ActiveDefragThresholdUpper(value) => self.active_defrag_threshold_upper = value,
            Setting::ActiveDefragCycleMin(value) => self.active_defrag_cycle_min = value,
            Setting::ActiveDefragCycleMax(value) => self.active_defrag_cycle_max = value,
            Setting::Appendonly(value) => self.appendonly = value,
            Setting::Appendfsync(value) => self.appendfsync = value,
            Setting::NoAppendfsyncOnRewrite(value) => self.no_appendfsync_on_rewrite = value,
            Setting::ReplBacklogTtl(value) => self.repl_backlog_ttl = value,
            Setting::EncodingLimit(name, value) => {
                self.limits.set(name, value);
            }
            Setting::AutoAofRewritePercentage(value) => self.auto_aof_rewrite_percentage = value,
            Setting::AutoAofRewriteMinSize(value) => self.auto_aof_rewrite_min_size = value,
            Setting::Save(ref points) => self.save.clone_from(points),
            Setting::Rdbcompression(value) => self.rdbcompression = value,
            Setting::StopWritesOnBgsaveError(value) => self.stop_writes_on_bgsave_error = value,
            Setting::OomScoreAdj(value) => self.oom_score_adj = value,
            Setting::DisableThp(value) => self.disable_thp = value,
            Setting::ClientOutputBufferLimit(ref limits) => {
                limits.iter().for_each(|&(class, limit)| self.client_output_buffer_limit.set(class, limit));
            }
            Setting::MaxmemoryClients(value) => self.maxmemory_clients = value,
        }
    }
}

/// What work costs on the server's machine: bounds what a time budget gets done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// CPU to expire one small key (ns).
    pub expire_key_ns: u64,
    /// CPU to evict one small key (ns).
    pub evict_key_ns: u64,
    /// Buckets that cron's rehash moves in one of its slices of a millisecond, keys and entries far from the processor.
    pub rehash_buckets_per_ms: u64,
    /// The same with keys and entries in the processor's cache.
    pub rehash_buckets_per_ms_cached: u64,
    /// CPU to free one block of a table far larger than the processor's cache (ns).
    pub free_block_far_ns: u64,
    /// The same of one that lies in the cache (ns).
    pub free_block_cached_ns: u64,
    /// CPU to free one block of a list or a stream, whose blocks follow each other (ns).
    pub free_block_in_order_ns: u64,
    /// CPU of a child to save one key (ns).
    pub snapshot_key_ns: u64,
    /// Time that a fork takes for a GiB of resident memory (µs).
    pub fork_per_gib_us: u64,
    /// The largest table that lies in the processor's cache, entries and keys included (B).
    pub cpu_cache: u64,
}

impl Default for Costs {
    /// *measured* on redis 7.0.15: see `docs/model.md`, constants.
    fn default() -> Self {
        Costs {
            expire_key_ns: 1_000,
            evict_key_ns: 1_000,
            rehash_buckets_per_ms: 3_400,
            rehash_buckets_per_ms_cached: 8_300,
            free_block_far_ns: 110,
            free_block_cached_ns: 55,
            free_block_in_order_ns: 42,
            snapshot_key_ns: 1_000,
            fork_per_gib_us: 12_000,
            cpu_cache: 6 << 20,
        }
    }
}

/// Doublings beyond the processor's cache until nearly every bucket waits for memory.  *measured*: 2^16 buckets are
/// moved nearly as fast as 2^14, 2^20 three times as slowly, and the time for one grows evenly in between.
const FAR_DOUBLINGS: f64 = 4.0;

impl Costs {
    /// How far `bytes` lie from the processor's cache: 0 in it, 1 from sixteen times its size on.
    fn far(&self, bytes: u64) -> f64 {
        (bytes as f64 / self.cpu_cache.max(1) as f64).log2().clamp(0.0, FAR_DOUBLINGS) / FAR_DOUBLINGS
    }

    /// Buckets that a slice of cron's rehash moves when what it reads takes `bytes`.  The time for a bucket grows by the
    /// same amount with each doubling of `bytes`, from what the cache holds to sixteen times that.
    #[must_use]
    pub fn rehash_buckets(&self, bytes: u64) -> u64 {
        let far = self.far(bytes);
        let (slow, fast) = (self.rehash_buckets_per_ms as f64, self.rehash_buckets_per_ms_cached as f64);
        (1.0 / (far / slow + (1.0 - far) / fast)).round().max(1.0) as u64
    }

    /// CPU to free one block of a collection of `bytes` in hash order (ns); it grows in the same way.
    #[must_use]
    pub fn free_block_ns(&self, bytes: u64) -> u64 {
        let (slow, fast) = (self.free_block_far_ns as f64, self.free_block_cached_ns as f64);
        self.far(bytes).mul_add(slow - fast, fast).round().max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rehash_is_fast_in_the_cache_and_slow_beyond_it() {
        let costs = Costs::default();
        assert_eq!(costs.rehash_buckets(0), costs.rehash_buckets_per_ms_cached);
        assert_eq!(costs.rehash_buckets(costs.cpu_cache), costs.rehash_buckets_per_ms_cached);
        // Half way: the mean of the times (2 / (1 / 8300 + 1 / 3400)), not of the speeds.
        assert_eq!(costs.rehash_buckets(4 * costs.cpu_cache), 4_824);
        assert_eq!(costs.rehash_buckets(100 * costs.cpu_cache), 3_400);
    }

    #[test]
    fn policies_stand_in_the_order_of_the_enum() {
        for (i, entry) in POLICIES.iter().enumerate() {
            assert_eq!(entry.policy as usize, i);
            assert_eq!(MaxmemoryPolicy::find(entry.name), Some(entry.policy));
        }
        assert_eq!(POLICIES.len(), 8);
    }
}
