//! The kernel's ledger: what it says of the host's memory, and what the host must have.

use super::recommend::BudgetLine;
use super::series;
use crate::record::{EventKind, HostPart, Run, Victim};
use crate::scenario::Scenario;
use crate::units::{Bytes, counted};
use std::fmt::Write as _;

/// Copies and socket buffers that are at least this share of what the kernel counts are named as what drives it.
const DRIVING_SHARE: f64 = 0.10;
/// Free space in pages that is at least this share of the resident set, and so many bytes (more than any idle process has),
/// is named fragmentation.  *judgement*: `mem_fragmentation_ratio` of 1.33.
const FRAGMENTED_SHARE: f64 = 0.25;
const FRAGMENTED_LEAST: u64 = 16 << 20;
/// The driver's name.
pub(super) const FRAGMENTATION: &str = "fragmentation";

/// What the host must have, and how the figure comes about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostRecommendation {
    /// Memory of the host or container (B).
    pub memory: u64,
    /// Its lines add up to it.
    pub budget: Vec<BudgetLine>,
    /// The largest `maxmemory` that the scenario's own host has room for; `None` where it names none (B).
    pub room_for_maxmemory: Option<u64>,
}

/// What the host must have for its peak to be within policy.
pub(super) fn recommend(scenario: &Scenario, run: &Run) -> HostRecommendation {
    let peak = &run.host_peak;
    let rss = peak.memory.part(HostPart::Rss);
    let used = peak.used_memory.min(rss);
    let total = peak.memory.total();
    let share = scenario.policy.host_utilisation;
    let memory = ((total as f64 / share.max(0.01)) as u64).next_multiple_of(Bytes::MIB);
    let line = |part, bytes, why: &str| BudgetLine { part, bytes, why: why.to_owned() };
    let tables = if run.end.counters.total_forks > 0 { "of the server, and of its child" } else { "of the server" };
    let parts = [
        line("used_memory", used, "what the server had allocated at the host's peak"),
        line("fragmentation", rss - used, "resident pages beyond it, and the process itself"),
        line("copy-on-write", peak.memory.part(HostPart::CopyOnWrite), "pages that writes copied while a child lived"),
        line("page tables", peak.memory.part(HostPart::PageTables), tables),
        line("socket buffers", peak.memory.part(HostPart::SocketBuffers), "what the kernel holds for connections"),
        line("reserve", peak.memory.part(HostPart::OsReserve), "os-reserve: everything else on the machine"),
    ];
    let mut budget: Vec<BudgetLine> = parts.into_iter().filter(|line| line.bytes > 0).collect();
    let why = format!("used memory is to stay below {:.0} % of the host, in whole MiB", share * 100.0);
    budget.push(BudgetLine { part: "spare", bytes: memory - total, why });
    let room_for_maxmemory = scenario.host.memory.map(|Bytes(limit)| {
        let allowed = (limit as f64 * share) as u64;
        allowed.saturating_sub(total - used) / Bytes::MIB * Bytes::MIB
    });
    HostRecommendation { memory, budget, room_for_maxmemory }
}

/// What is outside `[policy]`.
pub(super) fn outside_policy(scenario: &Scenario, run: &Run) -> Option<String> {
    let Bytes(limit) = scenario.host.memory?;
    if let Some(too_small) = too_small(scenario, run) {
        return Some(too_small);
    }
    let (total, share) = (run.host_peak.memory.total(), scenario.policy.host_utilisation);
    is_pressed(scenario, run).then(|| {
        format!(
            "the host's memory is used to {:.0} % ({} of {}) at {}; policy allows {:.0} %",
            100.0 * series::ratio(total, limit),
            Bytes(total),
            Bytes(limit),
            run.host_peak.at,
            share * 100.0
        )
    })
}

/// What is wrong with a host that has no room for an empty server.
fn too_small(scenario: &Scenario, run: &Run) -> Option<String> {
    let Bytes(limit) = scenario.host.memory?;
    (limit < run.empty_host_memory).then(|| {
        format!(
            "host.memory is {}, and an empty server takes {} with os-reserve ({}): no server can run there.",
            Bytes(limit),
            Bytes(run.empty_host_memory),
            scenario.host.os_reserve
        )
    })
}

/// Whether the kernel counts more than policy allows of the host's memory.
pub(super) fn is_pressed(scenario: &Scenario, run: &Run) -> bool {
    let allowed = |Bytes(limit): Bytes| limit as f64 * scenario.policy.host_utilisation;
    scenario.host.memory.is_some_and(|limit| run.host_peak.memory.total() as f64 > allowed(limit))
}

/// Resident pages beyond what the server has allocated, at the host's peak (B).
fn fragmentation(run: &Run) -> u64 {
    run.host_peak.memory.part(HostPart::Rss).saturating_sub(run.host_peak.used_memory)
}

/// Whether pages that hold free space are a large part of the resident set.
pub(super) fn is_fragmented(run: &Run) -> bool {
    let wasted = fragmentation(run);
    wasted >= FRAGMENTED_LEAST && series::ratio(wasted, run.host_peak.memory.part(HostPart::Rss)) >= FRAGMENTED_SHARE
}

/// Whether copies are a large part of what the kernel counts.
fn is_copied(run: &Run) -> bool {
    share(run, HostPart::CopyOnWrite) >= DRIVING_SHARE
}

/// A part of the host's peak as a share of it.
fn share(run: &Run, part: HostPart) -> f64 {
    series::ratio(run.host_peak.memory.part(part), run.host_peak.memory.total())
}

/// What the kernel counts beyond `used_memory`, where it is much: copies, free space in pages, socket buffers.
pub(super) fn driver(run: &Run) -> Option<&'static str> {
    if is_copied(run) {
        return Some("copy-on-write");
    }
    if is_fragmented(run) {
        return Some(FRAGMENTATION);
    }
    (share(run, HostPart::SocketBuffers) >= DRIVING_SHARE).then_some("socket buffers")
}

/// One sentence more where the kernel counts much that `used_memory` does not.
pub(super) fn beyond_used_memory(run: &Run) -> Option<String> {
    let memory = &run.host_peak.memory;
    if is_copied(run) {
        return Some(format!(
            "While a child lives the kernel counts {}, {} of it copy-on-write.",
            Bytes(memory.total()),
            Bytes(memory.part(HostPart::CopyOnWrite))
        ));
    }
    is_fragmented(run).then(|| {
        format!(
            "At {} the server holds {} of pages for {} of used_memory: {} are fragmentation.",
            run.host_peak.at,
            Bytes(memory.part(HostPart::Rss)),
            Bytes(run.host_peak.used_memory),
            Bytes(fragmentation(run))
        )
    })
}

/// One sentence when the kernel killed.
pub(super) fn sentence(scenario: &Scenario, run: &Run) -> Option<String> {
    let (at, victim, lost) = run.events.iter().find_map(|event| match event.kind {
        EventKind::OomKilled { victim, lost_changes } => Some((event.at, victim, lost_changes)),
        _ => None,
    })?;
    if let Some(too_small) = too_small(scenario, run) {
        return Some(too_small);
    }
    let Bytes(limit) = scenario.host.memory?;
    let memory = &run.host_peak.memory;
    let used = run.host_peak.used_memory;
    let what = match victim {
        Victim::Server if lost == 0 => "the server; no change is lost".to_owned(),
        Victim::Server => {
            let since = if scenario.config.appendonly { "since the last fsync" } else { "since the last snapshot" };
            format!("the server; {} {since} {} lost", counted(lost, "change"), if lost == 1 { "is" } else { "are" })
        }
        Victim::Child => "the child; its work is lost, the server goes on".to_owned(),
    };
    let beside = [
        ("copy-on-write", HostPart::CopyOnWrite),
        ("page tables", HostPart::PageTables),
        ("socket buffers", HostPart::SocketBuffers),
        ("os-reserve", HostPart::OsReserve),
    ];
    let beside = beside.map(|(name, part)| (name, memory.part(part))).into_iter().filter(|(_, bytes)| *bytes > 0);
    let beside: Vec<String> = beside.map(|(name, bytes)| format!("{name} {}", Bytes(bytes))).collect();
    let mut sentence = format!(
        "The kernel's OOM killer takes {what}. At {at} it counts {} of {}, while used_memory is {}{}: {}.",
        Bytes(memory.total()),
        Bytes(limit),
        if used < limit / 2 { "only " } else { "" },
        Bytes(used),
        beside.join(", ")
    );
    if run.write_rejected.count > 0 {
        let _ = write!(
            sentence,
            " Before that Redis itself refused {}, from {} on: OOM command not allowed when used memory > 'maxmemory'.",
            counted(run.write_rejected.count, "write"),
            run.write_rejected.first
        );
    }
    Some(sentence)
}
