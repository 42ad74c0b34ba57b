//! What `maxmemory` should be, with its arithmetic, and what to change first.

use super::collections;
use super::series;
use super::verdict::{buffers_drive, output_buffers};
use crate::node::config::{EvictionScope, MaxmemoryPolicy};
use crate::node::ledger::MemoryPart;
use crate::record::Run;
use crate::scenario::Scenario;
use crate::units::Bytes;

/// A table with this share of its buckets taken doubles soon: within the growth that headroom is for.
const NEAR_DOUBLING: f64 = 0.8;
/// Keys without a TTL are worth a word from this share on.
const UNTIMED_SHARE: f64 = 0.05;

/// A line of the budget.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetLine {
    /// What it is for.
    pub part: &'static str,
    /// How much (B).
    pub bytes: u64,
    /// Why.
    pub why: String,
}

/// The recommended `maxmemory` and what to change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recommendation {
    /// `maxmemory` with the lower headroom of the policy (B).
    pub maxmemory: u64,
    /// `maxmemory` with the upper one (B).
    pub maxmemory_high: u64,
    /// `maxmemory` / peak − 1 as configured; 0 without a limit.
    pub headroom_ratio: f64,
    /// How the figure comes about; its lines add up to `maxmemory`.
    pub budget: Vec<BudgetLine>,
    /// What to change, the likeliest first.
    pub fixes: Vec<String>,
}

/// Whether a cache is full by design: the policy may evict any key, and it is full to the end, and of data, not of output
/// buffers.
pub(super) fn full_by_design(scenario: &Scenario, run: &Run) -> bool {
    let policy = scenario.config.maxmemory_policy.entry();
    policy.scope == EvictionScope::AllKeys && series::full_at_end(run) && !buffers_drive(run)
}

pub(super) fn recommend(scenario: &Scenario, run: &Run) -> Recommendation {
    let peak = run.peak.used_memory;
    let limit = run.end.maxmemory;
    let headroom_ratio = if limit == 0 || peak == 0 { 0.0 } else { limit as f64 / peak as f64 - 1.0 };
    let mut budget = vec![BudgetLine { part: "peak", bytes: peak, why: peak_why(run) }];
    if full_by_design(scenario, run) {
        let why = "as configured at the end: the cache fills what it is given".to_owned();
        budget = vec![BudgetLine { part: "maxmemory", bytes: limit, why }];
        let fixes = fixes(scenario, run);
        return Recommendation { maxmemory: limit, maxmemory_high: limit, headroom_ratio, budget, fixes };
    }
    let doubling = next_doubling(scenario, run);
    if doubling > 0 {
        let why = "the next doubling of a hash table that is nearly full".to_owned();
        budget.push(BudgetLine { part: "rehash", bytes: doubling, why });
    }
    let [low, high] = scenario.policy.headroom;
    let base = peak + doubling;
    let with = |share: f64| ((base as f64 * (1.0 + share)) as u64).next_multiple_of(Bytes::MIB);
    let maxmemory = with(low);
    budget.push(BudgetLine {
        part: "headroom",
        bytes: maxmemory - base,
        why: format!("{:.0} % over the peak, for fork and copy-on-write, in whole MiB", low * 100.0),
    });
    Recommendation { maxmemory, maxmemory_high: with(high), headroom_ratio, budget, fixes: fixes(scenario, run) }
}

fn peak_why(run: &Run) -> String {
    if run.write_rejected.count > 0 {
        return "used_memory_peak; writes were refused, so the demand is higher than this".to_owned();
    }
    if series::still_growing(run) {
        let a_day = Bytes((series::growth_at_end(run) * 86_400.0).max(0.0) as u64);
        return format!("used_memory_peak; still growing by {a_day} a day when the run ended");
    }
    if buffers_drive(run) {
        return format!("used_memory_peak, {} of it output buffers", Bytes(output_buffers(run)));
    }
    "used_memory_peak".to_owned()
}

/// Bytes that the tables that are nearly full will take when they double (B).
fn next_doubling(scenario: &Scenario, run: &Run) -> u64 {
    let layout = scenario.profile.table_layout;
    let table = |part: MemoryPart, entries: u64| {
        // What stands beside the array is far less than it: the array is the largest power of two.
        let buckets = (run.end.parts[part as usize] / layout.bucket_bytes()).checked_ilog2().map_or(0, |n| 1_u64 << n);
        let places = buckets * layout.places();
        let near = places > 0 && run.end.rehashing_bytes == 0 && entries as f64 >= NEAR_DOUBLING * places as f64;
        if near { 2 * buckets * layout.bucket_bytes() } else { 0 }
    };
    table(MemoryPart::MainTable, run.end.keys) + table(MemoryPart::ExpiresTable, run.end.expires)
}

/// Changes in the order of the sizing guide: policy, TTLs, size.
fn fixes(scenario: &Scenario, run: &Run) -> Vec<String> {
    let mut fixes = Vec::new();
    let refused = run.write_rejected.count > 0;
    let policy = scenario.config.maxmemory_policy;
    let is_cache = scenario.traffic.iter().any(|traffic| traffic.on_miss.is_some());
    if refused && policy == MaxmemoryPolicy::Noeviction && is_cache {
        fixes.push(
            "maxmemory-policy allkeys-lru: reads are followed by writes on a miss, so this is a cache".to_owned(),
        );
    }
    if refused && policy.entry().scope == EvictionScope::Volatile {
        fixes.push(format!(
            "{}: keys with a TTL ran out, so it behaves like noeviction; allkeys-lru can evict the rest, \
             or give the other keys a TTL",
            policy.entry().name
        ));
    }
    if buffers_drive(run) {
        fixes.push(
            "lower client-output-buffer-limit of the class that does not read, or set maxmemory-clients: \
             slow consumers are then disconnected before data pays for them"
                .to_owned(),
        );
    }
    let of_collections = collections::fixes(scenario, run);
    let by_elements = !of_collections.is_empty();
    fixes.extend(of_collections);
    let untimed = series::ratio(run.end.keys - run.end.expires.min(run.end.keys), run.end.keys);
    let evicts_any = policy.entry().scope == EvictionScope::AllKeys;
    if untimed > UNTIMED_SHARE && !evicts_any && !by_elements && (refused || series::still_growing(run)) {
        fixes.push(format!(
            "set a TTL on every cache write: {:.0} % of the keys at the end have none, and live until eviction or DEL",
            untimed * 100.0
        ));
    }
    if refused {
        fixes.push(
            "raise maxmemory and the instance's memory together, and keep 25–50 % of headroom over the peak".to_owned(),
        );
    }
    if run.end.maxmemory == 0 {
        fixes.push("set maxmemory: without it nothing but the host's memory limits growth".to_owned());
    }
    fixes
}
