//! The verdict: pass, warn or fail; what drove the peak; one sentence that says so.

use super::collections;
use super::host;
use super::recommend::full_by_design;
use super::series;
use super::threshold::ThresholdResult;
use crate::node::config::EvictionScope;
use crate::node::ledger::MemoryPart;
use crate::node::link::ClientClass;
use crate::record::{EventKind, Run, Sample};
use crate::scenario::Scenario;
use crate::units::{Bytes, Micros, SimTime, counted, grouped};
use std::fmt::Write as _;

/// A part of the peak that is at least this share of it is named as what drives it.
const DRIVING_SHARE: f64 = 0.10;

/// The verdict's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Within policy.
    Pass,
    /// Outside `[policy]`.
    Warn,
    /// A failure occurred, or a threshold was breached.
    Fail,
}

impl Status {
    /// The word of the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// The verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Pass, warn or fail.
    pub status: Status,
    /// The contract's words for what occurred: `write_rejected`, `evicting`.
    pub failures: Vec<&'static str>,
    /// What drove what the verdict is about: the host's driver where its memory is short, else that of `used_memory`.
    pub driver: &'static str,
    /// What made the peak of `used_memory`.
    pub ledger_driver: &'static str,
    /// What the kernel counts beyond `used_memory`, where it is much.
    pub host_driver: Option<&'static str>,
    /// One sentence with the figures.
    pub sentence: String,
    /// What is outside policy, a line each.
    pub reasons: Vec<String>,
}

pub(super) fn judge(scenario: &Scenario, runs: &[Run], shown: &Run, thresholds: &[ThresholdResult]) -> Verdict {
    let rejected = runs.iter().any(|run| run.write_rejected.count > 0);
    let evicting = runs.iter().any(|run| run.evicting.count > 0);
    let mut failures = Vec::new();
    failures.extend(rejected.then_some("write_rejected"));
    failures.extend(evicting.then_some("evicting"));
    let killed = runs.iter().any(|run| run.end.counters.oom_kills > 0);
    let fork_failed = runs.iter().any(|run| run.end.counters.fork_failures > 0);
    failures.extend(killed.then_some("oom_killed"));
    let looped = runs.iter().any(|run| run.end.counters.full_sync_loops > 0);
    failures.extend(looped.then_some("resync_loop"));
    failures.extend(fork_failed.then_some("fork_failed"));
    let mut reasons: Vec<String> = thresholds
        .iter()
        .filter(|threshold| !threshold.pass)
        .map(|t| format!("threshold breached: {} {} (value {})", t.metric, t.expression, t.value))
        .collect();
    let failed = rejected || killed || looped || fork_failed || !reasons.is_empty();
    reasons.extend(outside_policy(scenario, shown));
    let status = match (failed, reasons.is_empty()) {
        (true, _) => Status::Fail,
        (false, false) => Status::Warn,
        (false, true) => Status::Pass,
    };
    let (ledger_driver, host_driver) = (ledger_driver(scenario, shown), host::driver(shown));
    let driver = host_driver.filter(|_| host_is_meant(scenario, shown)).unwrap_or(ledger_driver);
    Verdict { status, failures, driver, ledger_driver, host_driver, sentence: sentence(scenario, shown), reasons }
}

/// What is outside `[policy]`.  A cache that is full by design is not.
fn outside_policy(scenario: &Scenario, run: &Run) -> Vec<String> {
    let mut reasons = Vec::new();
    let policy = &scenario.policy;
    reasons.extend(host::outside_policy(scenario, run));
    if run.evicting.count > 0 && buffers_drive(run) {
        reasons.push(format!(
            "output buffers hold {} at the peak, {:.0} % of used_memory, and keys are evicted for them",
            Bytes(output_buffers(run)),
            100.0 * series::ratio(output_buffers(run), run.peak.used_memory)
        ));
    }
    if full_by_design(scenario, run) {
        return reasons;
    }
    if let Some(since) = above_for(&run.timeline, policy.alarm_ratio, policy.alarm_for) {
        reasons.push(format!(
            "used_memory / maxmemory stays above {} for {} and more from {since} on",
            policy.alarm_ratio, policy.alarm_for
        ));
    }
    let (peak, limit) = (run.peak.used_memory, run.end.maxmemory);
    let headroom = if peak == 0 { 0.0 } else { limit as f64 / peak as f64 - 1.0 };
    if limit > 0 && headroom < policy.headroom[0] {
        let [low, high] = policy.headroom.map(|share| share * 100.0);
        let left = if limit > peak { format!("{:.0} %", headroom * 100.0) } else { "nothing".to_owned() };
        reasons.push(format!(
            "maxmemory leaves {left} over used_memory_peak; fork and copy-on-write want {low:.0}–{high:.0} %"
        ));
    }
    if limit == 0 && series::still_growing(run) {
        reasons.push("memory is still growing at the end, and no maxmemory limits it".to_owned());
    }
    reasons
}

/// When `used_memory` / `maxmemory` rises above a ratio and stays there for a time.
fn above_for(timeline: &[Sample], ratio: f64, lasting: Micros) -> Option<SimTime> {
    let mut since = None;
    for sample in timeline {
        if series::used_ratio(sample) <= ratio {
            since = None;
        } else if sample.at.since(*since.get_or_insert(sample.at)) >= lasting {
            return since;
        }
    }
    None
}

/// Whether two arrays were alive at the peak, and a large part of it.
fn rehash_drives(run: &Run) -> bool {
    series::ratio(run.peak.rehashing_bytes, run.peak.used_memory) >= DRIVING_SHARE / 2.0
}

/// One sentence when a replica synchronises for ever.
fn resync_loop(scenario: &Scenario, run: &Run) -> Option<String> {
    let index = run.events.iter().find_map(|event| match event.kind {
        EventKind::ResyncLoop { replica } => Some(replica),
        _ => None,
    })?;
    let name = scenario.replicas.get(index).map_or("", |replica| replica.name.as_str());
    let limit = scenario.config.client_output_buffer_limit.of(ClientClass::Replica);
    let most = series::most_replication_buffers(run);
    Some(format!(
        "The replica {name} never comes back: each of {} full synchronisations forks, what is written meanwhile waits for it, \
         and past client-output-buffer-limit ({} hard, {} soft for {} s) it is dropped again. Replication buffers reach \
         {}, beyond what maxmemory counts.",
        grouped(run.end.counters.sync_full),
        limit.hard,
        limit.soft,
        limit.soft_seconds,
        Bytes(most)
    ))
}

/// Whether what drives the host is the verdict's driver: its memory is short, or fragmentation is all there is to say.
fn host_is_meant(scenario: &Scenario, run: &Run) -> bool {
    let ledger_has_one = buffers_drive(run) || rehash_drives(run) || expired_drive(run);
    host::is_pressed(scenario, run) || host::is_fragmented(run) && !ledger_has_one && run.write_rejected.count == 0
}

/// Output buffers at the peak (B).
pub(super) fn output_buffers(run: &Run) -> u64 {
    run.peak.parts[MemoryPart::ClientOutputBuffers as usize]
}

/// Whether what clients have not read is a large part of the peak.
pub(super) fn buffers_drive(run: &Run) -> bool {
    series::ratio(output_buffers(run), run.peak.used_memory) >= DRIVING_SHARE
}

/// Whether expired keys are a large part of the peak.
fn expired_drive(run: &Run) -> bool {
    series::ratio(run.peak.expired_resident_bytes, run.peak.used_memory) >= DRIVING_SHARE
}

/// What made the peak, the first that applies: what clients have not read (a tenth of the peak and more); two tables alive
/// while one rehashes; expired keys still there (likewise); the cache full by design; collections that outgrew their
/// encoding, or a big one; keys without a TTL that pile up (growth at the end, most keys untimed); growth that has not
/// levelled off; else the largest part.
fn ledger_driver(scenario: &Scenario, run: &Run) -> &'static str {
    if buffers_drive(run) {
        return "client output buffers";
    }
    if rehash_drives(run) {
        return "hash table rehash";
    }
    if expired_drive(run) {
        return "expired keys not yet reclaimed";
    }
    if full_by_design(scenario, run) {
        return "a cache that is full by design";
    }
    if let Some(driver) = collections::driver(run) {
        return driver;
    }
    let pressed = run.write_rejected.count > 0 || series::still_growing(run);
    let untimed = run.end.keys.saturating_sub(run.end.expires);
    if pressed && 2 * untimed > run.end.keys {
        return "keys without a TTL";
    }
    if pressed {
        return "growth that has not levelled off";
    }
    let largest = MemoryPart::ALL.into_iter().max_by_key(|part| run.peak.parts[*part as usize]);
    largest.map_or("nothing", MemoryPart::label)
}

fn sentence(scenario: &Scenario, run: &Run) -> String {
    let mut sentence = sentence_of_run(scenario, run);
    for more in collections::sentences(scenario, run) {
        let _ = write!(sentence, " {more}");
    }
    sentence
}

fn sentence_of_run(scenario: &Scenario, run: &Run) -> String {
    if let Some(sentence) = host::sentence(scenario, run) {
        return sentence;
    }
    if let Some(sentence) = resync_loop(scenario, run) {
        return sentence;
    }
    let mut sentence = sentence_of_data(scenario, run);
    let full = run.end.counters.sync_full;
    if full > 0 {
        let most = series::most_replication_buffers(run);
        let forks = run.end.counters.total_forks;
        let _ = write!(
            sentence,
            " {} of replicas, {}: replication buffers reach {}",
            counted(full, "full synchronisation"),
            counted(forks, "fork"),
            Bytes(most)
        );
        // Where the kernel counts much more, a sentence of its own says so.
        if host::beyond_used_memory(run).is_none() {
            let _ = write!(sentence, ", and what the kernel counts {}", Bytes(run.host_peak.memory.total()));
        }
        sentence.push('.');
    }
    let over = run.peak.used_memory.saturating_sub(run.end.maxmemory);
    if scenario.seen_from_replica().is_some() && run.end.maxmemory > 0 && over > 0 {
        let _ = write!(
            sentence,
            " That is {} more than maxmemory, which a replica ignores: promoted then, it would evict them at once.",
            Bytes(over)
        );
    }
    if buffers_drive(run) {
        let _ = write!(
            sentence,
            " At the peak {} of {} are output buffers: what clients have not read, which maxmemory counts.",
            Bytes(output_buffers(run)),
            Bytes(run.peak.used_memory)
        );
    }
    if let Some(more) = host::beyond_used_memory(run) {
        let _ = write!(sentence, " {more}");
    }
    sentence
}

fn sentence_of_data(scenario: &Scenario, run: &Run) -> String {
    let peak = Bytes(run.peak.used_memory);
    let policy = scenario.config.maxmemory_policy.entry();
    if run.write_rejected.count > 0 {
        let limit = Bytes(run.end.maxmemory);
        let why = match policy.scope {
            EvictionScope::Nothing => "the policy noeviction refuses to evict".to_owned(),
            EvictionScope::Volatile => {
                format!("{} has no key with a TTL left to evict and behaves like noeviction", policy.name)
            }
            EvictionScope::AllKeys => "there is no key left to evict".to_owned(),
        };
        return format!(
            "Writes are refused from {} on: OOM command not allowed when used memory > 'maxmemory' ({limit}); {why}. \
             {} refused.",
            run.write_rejected.first,
            if run.write_rejected.count == 1 {
                "1 write was".to_owned()
            } else {
                counted(run.write_rejected.count, "write") + " were"
            }
        );
    }
    if run.evicting.count > 0 {
        return sentence_of_eviction(scenario, run);
    }
    if series::still_growing(run) {
        let a_day = Bytes((series::growth_at_end(run) * 86_400.0) as u64);
        return format!("Memory peaks at {peak}, at the end of the run, and still grows by {a_day} a day.");
    }
    if rehash_drives(run) {
        let arrays = Bytes(run.peak.rehashing_bytes);
        return format!(
            "Memory peaks at {peak} after {}, while a hash table rehashes: \
             {arrays} of it are old bucket arrays, which live until their last bucket has moved.",
            run.peak.at
        );
    }
    if !series::ends_at_peak(run) {
        return format!("Memory peaks at {peak} after {}; {} at the end.", run.peak.at, Bytes(run.end.used_memory));
    }
    format!("Memory peaks at {peak} after {} and has levelled off.", run.peak.at)
}

/// A cache that is full, or was for a time.
fn sentence_of_eviction(scenario: &Scenario, run: &Run) -> String {
    let steady = series::steady_state(run, scenario.warmup);
    let (limit, at_end) = (Bytes(run.end.maxmemory), Bytes(run.end.used_memory));
    let (first, policy) = (run.evicting.first, scenario.config.maxmemory_policy.entry().name);
    if series::full_at_end(run) && !buffers_drive(run) {
        let rate = grouped(steady.evicted_keys_per_s.round() as u64);
        return format!(
            "The cache is full at maxmemory ({limit}) from {first} on and evicts {rate} keys a second ({policy}); \
             hit ratio {:.3}; {at_end} of used_memory at the end.",
            steady.hit_ratio
        );
    }
    format!(
        "used_memory reaches maxmemory ({limit}) after {first}, and {policy} evicts {} for {} in all; hit ratio {:.3}; \
         {at_end} of used_memory at the end.",
        counted(run.evicting.count, "key"),
        Micros(run.evicting.lasted_us),
        steady.hit_ratio
    )
}
