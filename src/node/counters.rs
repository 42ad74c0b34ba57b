//! What the server counts, with `INFO`'s names.

/// Counters since the start, with `INFO`'s names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands processed.
    pub total_commands_processed: u64,
    /// Reads that found their key.
    pub keyspace_hits: u64,
    /// Reads that did not.
    pub keyspace_misses: u64,
    /// Keys evicted.
    pub evicted_keys: u64,
    /// Keys deleted because their TTL had passed.
    pub expired_keys: u64,
    /// Fields of hashes deleted because their TTL had passed (`expired_fields` on Valkey).
    pub expired_subkeys: u64,
    /// Values freed in the background.
    pub lazyfreed_objects: u64,
    /// Writes refused with `OOM command not allowed when used memory > 'maxmemory'`.
    pub oom_errors: u64,
    /// Expire cycles cut by their time limit.
    pub expired_time_cap_reached_count: u64,
    /// Time with memory over the limit after an eviction cycle (ms).
    pub total_eviction_exceeded_time: u64,
    /// `sync_full`.
    pub sync_full: u64,
    /// `sync_partial_ok`.
    pub sync_partial_ok: u64,
    /// Replicas whose full synchronisations failed again and again.
    pub full_sync_loops: u64,
    /// Forks.
    pub total_forks: u64,
    /// Forks that the kernel refused.
    pub fork_failures: u64,
    /// Writes refused with `MISCONF`, since the last snapshot failed.
    pub misconf_errors: u64,
    /// Flushes of the AOF that were made though the disk was still busy, after two seconds.
    pub aof_delayed_fsync: u64,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: u64,
    /// Connections closed by `client-output-buffer-limit`.
    pub client_output_buffer_limit_disconnections: u64,
    /// Connections closed by `maxmemory-clients`.
    pub evicted_clients: u64,
}

/// What the server counts for one keyspace of the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyspaceCounters {
    /// Keys present.
    pub keys: u64,
    /// Of them with a TTL.
    pub expires: u64,
    /// Their bytes: entries, keys, values, expires entries (B).
    pub bytes: u64,
    /// Reads that hit.
    pub hits: u64,
    /// Reads that missed.
    pub misses: u64,
    /// Writes refused.
    pub oom_errors: u64,
    /// Keys evicted.
    pub evicted_keys: u64,
    /// Keys without a TTL that were evicted.
    pub evicted_untimed_keys: u64,
    /// Keys expired.
    pub expired_keys: u64,
    /// Fields expired.
    pub expired_subkeys: u64,
    /// Collections that outgrew the encoding that they had.
    pub converted_keys: u64,
    /// What those held before (B).
    pub converted_bytes: u64,
    /// The longest that the main thread took to free the value of one key (µs).
    pub longest_free_us: u64,
    /// Elements of the largest collection that there ever was, and its bytes (B).
    pub largest_elements: u64,
    /// See above (B).
    pub largest_bytes: u64,
}
