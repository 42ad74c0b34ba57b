//! `timeline.csv`: a row for each sample, a column for each series.

use super::Cost;
use crate::analysis::{Findings, series};
use crate::node::ledger::MemoryPart;
use crate::record::{HostPart, Sample};
use std::fmt::Write as _;

/// A column: its name and its value, as text, of a sample and the one before it.
type Column = (&'static str, fn(&Sample, &Sample) -> String);

/// Every column besides the parts.
const COLUMNS: &[Column] = &[
    ("t_s", |s, _| format!("{:.3}", s.at.as_secs_f64())),
    ("used_memory", |s, _| s.used_memory.to_string()),
    ("used_memory_peak", |s, _| s.used_memory_peak.to_string()),
    ("used_memory_overhead", |s, _| s.used_memory_overhead.to_string()),
    ("used_memory_dataset", |s, _| s.used_memory.saturating_sub(s.used_memory_overhead).to_string()),
    ("mem_clients_normal", |s, _| s.mem_clients_normal.to_string()),
    ("maxmemory", |s, _| s.maxmemory.to_string()),
    ("keys", |s, _| s.keys.to_string()),
    ("expires", |s, _| s.expires.to_string()),
    ("evicted_keys", |s, _| s.counters.evicted_keys.to_string()),
    ("expired_keys", |s, _| s.counters.expired_keys.to_string()),
    ("expired_stale_perc", |s, _| format!("{:.3}", s.expired_stale_millipercent as f64 / 1000.0)),
    ("expired_time_cap_reached_count", |s, _| s.counters.expired_time_cap_reached_count.to_string()),
    ("copy_on_write_bytes", |s, _| s.host.part(HostPart::CopyOnWrite).to_string()),
    ("expired_resident_bytes", |s, _| s.expired_resident_bytes.to_string()),
    ("evictable_bytes", |s, _| s.evictable_bytes.to_string()),
    ("rehashing_bytes", |s, _| s.rehashing_bytes.to_string()),
    ("host_memory_bytes", |s, _| s.host.total().to_string()),
    ("ops_per_s", |s, before| {
        let more = s.counters.total_commands_processed - before.counters.total_commands_processed;
        format!("{:.1}", series::per_second(more, s.at.since(before.at)))
    }),
    ("hits", |s, _| s.counters.keyspace_hits.to_string()),
    ("misses", |s, _| s.counters.keyspace_misses.to_string()),
    ("oom_errors", |s, _| s.counters.oom_errors.to_string()),
    ("used_memory_high", |s, _| s.used_memory_high.to_string()),
    ("mem_clients_slaves", |s, _| s.replication.mem_clients_slaves.to_string()),
    ("mem_replication_backlog", |s, _| s.replication.mem_replication_backlog.to_string()),
    ("mem_total_replication_buffers", |s, _| s.replication.mem_total_replication_buffers.to_string()),
    ("mem_not_counted_for_evict", |s, _| s.replication.mem_not_counted_for_evict.to_string()),
    ("connected_slaves", |s, _| s.replication.connected_slaves.to_string()),
    ("replica_lag_bytes", |s, _| s.replication.lag.to_string()),
    ("used_memory_rss", |s, _| s.allocator.rss.to_string()),
    ("allocator_allocated", |s, _| s.allocator.allocated.to_string()),
    ("allocator_active", |s, _| s.allocator.active.to_string()),
    ("allocator_resident", |s, _| s.allocator.resident.to_string()),
    ("mem_fragmentation_ratio", |s, _| format!("{:.3}", series::ratio(s.allocator.rss, s.used_memory))),
    ("rdb_last_cow_size", |s, _| s.persistence.rdb_last_cow_size.to_string()),
    ("aof_current_size", |s, _| s.persistence.aof_current_size.to_string()),
    ("rdb_changes_since_last_save", |s, _| s.persistence.rdb_changes_since_last_save.to_string()),
    ("connected_clients", |s, _| s.connected_clients.to_string()),
    ("omem_normal", |s, _| s.omem[0].to_string()),
    ("omem_pubsub", |s, _| s.omem[1].to_string()),
    ("socket_bytes", |s, _| s.socket_bytes.to_string()),
    ("client_output_buffer_limit_disconnections", |s, _| {
        s.counters.client_output_buffer_limit_disconnections.to_string()
    }),
    ("evicted_clients", |s, _| s.counters.evicted_clients.to_string()),
    ("lazyfree_pending_objects", |s, _| s.lazyfree_pending_objects.to_string()),
];

/// Columns where hashes have fields with a TTL.
const FIELD_COLUMNS: &[Column] = &[("expired_subkeys", |s, _| s.counters.expired_subkeys.to_string())];

/// The timeline of the run that reports show.
#[must_use]
pub fn timeline_csv(findings: &Findings, _cost: &Cost) -> String {
    let timeline = &findings.shown().timeline;
    let more = if findings.scenario.has_field_ttls() { FIELD_COLUMNS } else { &[] };
    let names = COLUMNS.iter().chain(more).map(|(name, _)| (*name).to_owned());
    let parts = MemoryPart::ALL.into_iter().map(|part| format!("{}_bytes", part.name()));
    let mut text = names.chain(parts).collect::<Vec<String>>().join(",");
    text.push('\n');
    for (index, sample) in timeline.iter().enumerate() {
        let before = &timeline[index.saturating_sub(1)];
        for (column, (_, value)) in COLUMNS.iter().chain(more).enumerate() {
            let comma = if column == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{}", value(sample, before));
        }
        for bytes in sample.parts {
            let _ = write!(text, ",{bytes}");
        }
        text.push('\n');
    }
    text
}
