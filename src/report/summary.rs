//! `summary.json`: all figures, in bytes and seconds, with `INFO`'s names where it has one.
//!
//! Keys stand in the order of the contract.  With several runs the figures of `peak`, `end` and `steady_state` are `{"p50", "p95", "max"}`.

use super::{Cost, format};
use crate::analysis::series::{self, SteadyState};
use crate::analysis::{Findings, Spread};
use crate::node::ledger::MemoryPart;
use crate::record::{EventKind, HostPart, Run};
use serde_json::{Map, Value, json};

/// Version of the schema.
const SCHEMA: u32 = 1;

/// A named figure of a run.
type Figure = (&'static str, fn(&Run) -> f64);

/// Whole figures of `end`, in the contract's order, then those beyond it.
const END: &[Figure] = &[
    ("used_memory", |r| r.end.used_memory as f64),
    ("used_memory_rss", |r| r.end.host.part(HostPart::Rss) as f64),
    ("used_memory_peak", |r| r.end.used_memory_peak as f64),
    ("used_memory_overhead", |r| r.end.used_memory_overhead as f64),
    ("used_memory_dataset", |r| r.end.used_memory.saturating_sub(r.end.used_memory_overhead) as f64),
    ("used_memory_startup", |r| r.used_memory_startup as f64),
    ("allocator_allocated", |r| r.end.allocator.allocated as f64),
    ("allocator_active", |r| r.end.allocator.active as f64),
    ("allocator_resident", |r| r.end.allocator.resident as f64),
    ("allocator_frag_ratio", |r| r.end.allocator.frag_ratio()),
    ("mem_fragmentation_ratio", |r| series::ratio(r.end.allocator.rss, r.end.used_memory)),
    ("mem_clients_normal", |r| r.end.mem_clients_normal as f64),
    ("mem_clients_slaves", |r| r.end.replication.mem_clients_slaves as f64),
    ("mem_replication_backlog", |r| r.end.replication.mem_replication_backlog as f64),
    ("mem_total_replication_buffers", |r| r.end.replication.mem_total_replication_buffers as f64),
    ("mem_not_counted_for_evict", |r| r.end.replication.mem_not_counted_for_evict as f64),
    ("mem_aof_buffer", |r| r.end.parts[MemoryPart::AofBuffer as usize] as f64),
    ("keys", |r| r.end.keys as f64),
    ("expires", |r| r.end.expires as f64),
    ("evicted_keys", |r| r.end.counters.evicted_keys as f64),
    ("expired_keys", |r| r.end.counters.expired_keys as f64),
    ("expired_stale_perc", |r| r.end.expired_stale_millipercent as f64 / 1000.0),
    ("keyspace_hits", |r| r.end.counters.keyspace_hits as f64),
    ("keyspace_misses", |r| r.end.counters.keyspace_misses as f64),
    ("oom_errors", |r| r.end.counters.oom_errors as f64),
    ("rdb_last_cow_size", |r| r.end.persistence.rdb_last_cow_size as f64),
    ("rdb_last_bgsave_time_sec", |r| r.end.persistence.rdb_last_bgsave_time_sec as f64),
    ("sync_full", |r| r.end.counters.sync_full as f64),
    ("sync_partial_ok", |r| r.end.counters.sync_partial_ok as f64),
    ("client_output_buffer_limit_disconnections", |r| r.end.counters.client_output_buffer_limit_disconnections as f64),
    ("evicted_clients", |r| r.end.counters.evicted_clients as f64),
    ("rdb_changes_since_last_save", |r| r.end.persistence.rdb_changes_since_last_save as f64),
    ("latest_fork_usec", |r| r.end.persistence.latest_fork_usec as f64),
    ("total_forks", |r| r.end.counters.total_forks as f64),
    ("aof_current_size", |r| r.end.persistence.aof_current_size as f64),
    ("aof_last_cow_size", |r| r.end.persistence.aof_last_cow_size as f64),
    ("aof_delayed_fsync", |r| r.end.counters.aof_delayed_fsync as f64),
    ("active_defrag_hits", |r| r.end.persistence.active_defrag_hits as f64),
    ("oom_kills", |r| r.end.counters.oom_kills as f64),
    ("lazyfreed_objects", |r| r.end.counters.lazyfreed_objects as f64),
    ("events_dropped", |r| r.events_dropped as f64),
];

/// Figures of `end` where hashes have fields with a TTL.
const END_FIELDS: &[Figure] = &[("expired_subkeys", |r| r.end.counters.expired_subkeys as f64)];

/// The summary as text.
#[must_use]
pub fn summary_json(findings: &Findings, cost: &Cost) -> String {
    let run = findings.shown();
    let scenario = &findings.scenario;
    let verdict = &findings.verdict;
    let recommendation = &findings.recommendation;
    let fields = if findings.scenario.has_field_ttls() { END_FIELDS } else { &[] };
    let value = json!({
        "schema": SCHEMA,
        "capsim": env!("CARGO_PKG_VERSION"),
        "scenario": {
            "path": findings.path, "sha256": scenario.sha256, "title": scenario.title, "seed": scenario.seed,
            "runs": scenario.runs, "scale": 1.0, "profile": scenario.profile.name,
            "allocator": scenario.allocator.name(), "view": scenario.seen_from_replica().unwrap_or("primary"),
        },
        "verdict": {
            "status": verdict.status.name(), "failures": verdict.failures, "driver": verdict.driver,
            "sentence": verdict.sentence,
        },
        "peak": {
            "used_memory": {
                "bytes": figure(findings, |r| r.peak.used_memory as f64),
                "at_s": figure(findings, |r| r.peak.at.as_secs_f64()),
                "parts": parts(run),
            },
            "host_memory": {
                "bytes": figure(findings, |r| r.host_peak.memory.total() as f64),
                "at_s": figure(findings, |r| r.host_peak.at.as_secs_f64()),
                "parts": host_parts(run),
            },
        },
        "end": Value::Object(END.iter().chain(fields).map(|(name, of)| ((*name).to_owned(), figure(findings, of))).collect()),
        "steady_state": steady(findings),
        "events": run.events.iter().map(|event| json!({
            "at_s": event.at.as_secs_f64(), "kind": format::event_word(&event.kind), "detail": detail(&event.kind),
        })).collect::<Vec<Value>>(),
        "keyspaces": run.keyspaces.iter().map(|k| json!({
            "name": k.name, "keys": k.counters.keys, "bytes": k.counters.bytes,
            "expired_resident_bytes": k.expired_resident_bytes, "expires": k.counters.expires,
            "hits": k.counters.hits, "misses": k.counters.misses, "oom_errors": k.counters.oom_errors,
            "evicted_keys": k.counters.evicted_keys, "evicted_untimed_keys": k.counters.evicted_untimed_keys,
            "expired_keys": k.counters.expired_keys,
            "example": k.example.map(|key| json!({"encoding": key.encoding, "memory_usage": key.memory_usage})),
            "bytes_at_start": k.bytes_at_start,
            "longest_free_s": rounded(k.counters.longest_free_us as f64 / 1e6),
            "converted_keys": k.counters.converted_keys, "converted_bytes": k.counters.converted_bytes,
            "largest": { "elements": k.counters.largest_elements, "bytes": k.counters.largest_bytes },
        })).collect::<Vec<Value>>(),
        "recommendation": {
            "maxmemory": recommendation.maxmemory, "host_memory": findings.host.memory,
            "headroom_ratio": rounded(recommendation.headroom_ratio),
            "budget": recommendation.budget.iter()
                .map(|line| json!({"part": line.part, "bytes": line.bytes, "why": line.why})).collect::<Vec<Value>>(),
            "host_budget": findings.host.budget.iter()
                .map(|line| json!({"part": line.part, "bytes": line.bytes, "why": line.why})).collect::<Vec<Value>>(),
            "room_for_maxmemory": findings.host.room_for_maxmemory,
            "fixes": recommendation.fixes,
        },
        "thresholds": findings.thresholds,
        "cost": {
            "simulated_ops": cost.simulated_ops, "wall_s": rounded(cost.wall_s),
            "ops_per_s": cost.ops_per_s().round(), "peak_rss_bytes": cost.peak_rss_bytes,
        },
    });
    // A value of texts and finite numbers can always be written.
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// A figure of the only run, or its spread over several.
fn figure(findings: &Findings, of: impl Fn(&Run) -> f64) -> Value {
    match findings.runs.as_slice() {
        [only] => number(of(only)),
        runs => {
            let Spread { p50, p95, max } = Spread::of(runs.iter().map(of));
            json!({"p50": number(p50), "p95": number(p95), "max": number(max)})
        }
    }
}

/// A whole number where it is one, else to six decimals.
fn number(value: f64) -> Value {
    let whole = value.fract() == 0.0 && (0.0..9e15).contains(&value);
    if whole { json!(value as u64) } else { json!(rounded(value)) }
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn parts(run: &Run) -> Map<String, Value> {
    let parts = MemoryPart::ALL.into_iter();
    parts.map(|part| (part.name().to_owned(), json!(run.peak.parts[part as usize]))).collect()
}

fn host_parts(run: &Run) -> Map<String, Value> {
    let parts = HostPart::ALL.into_iter();
    parts.map(|part| (part.name().to_owned(), json!(run.host_peak.memory.part(part)))).collect()
}

fn steady(findings: &Findings) -> Value {
    let of = |pick: fn(&SteadyState) -> f64| {
        figure(findings, |run| pick(&series::steady_state(run, findings.scenario.warmup)))
    };
    json!({
        "hit_ratio": of(|s| s.hit_ratio),
        "evicted_keys_per_s": of(|s| s.evicted_keys_per_s),
        "expired_keys_per_s": of(|s| s.expired_keys_per_s),
    })
}

fn detail(kind: &EventKind) -> Value {
    match kind {
        EventKind::RehashStarted { table, from_buckets, to_buckets, .. } => {
            json!({"table": format!("{table:?}").to_lowercase(), "from_buckets": from_buckets, "to_buckets": to_buckets})
        }
        EventKind::RehashEnded { table, buckets } | EventKind::ResizeRefused { table, buckets } => {
            json!({"table": format!("{table:?}").to_lowercase(), "buckets": buckets})
        }
        EventKind::ChildStarted { lasts, fork_us, .. } => {
            json!({"lasts_s": rounded(lasts.as_secs_f64()), "latest_fork_usec": fork_us})
        }
        EventKind::ChildEnded { cow_size, succeeded, .. } => json!({"cow_size": cow_size, "succeeded": succeeded}),
        EventKind::SlowFree { by, keyspace, elements, bytes, lasts } => json!({
            "by": by.label(), "keyspace": keyspace, "elements": elements, "bytes": bytes,
            "lasts_s": rounded(lasts.as_secs_f64()),
        }),
        EventKind::ForkFailed { kind } => json!({"child": kind.label()}),
        EventKind::OomKilled { victim, lost_changes } => {
            json!({"victim": format!("{victim:?}").to_lowercase(), "lost_changes": lost_changes})
        }
        EventKind::ReplicaDropped { replica, usage, reason } => {
            json!({"replica": replica, "usage": usage, "reason": reason.word()})
        }
        EventKind::LoadingStarted { keys } => json!({"keys": keys}),
        EventKind::ReplicaOnline { replica } | EventKind::ResyncLoop { replica } => json!({"replica": replica}),
        EventKind::Scenario(label) => json!({"event": label}),
        EventKind::NoEffect { why } => json!({"why": why}),
        EventKind::ClientDisconnected { class, connections, omem, reason, .. } => json!({
            "class": class.name(), "reason": reason.word(), "connections": connections, "omem": omem,
        }),
        EventKind::OomFirst | EventKind::OomLast | EventKind::EvictingFirst | EventKind::ExpireTimeCapReached => {
            json!({})
        }
    }
}
