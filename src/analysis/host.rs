//! The kernel's ledger: what it says of the host's memory, and what the host must have.

use super::recommend::BudgetLine;
use super::series;
use crate::record::{EventKind, HostPart, Run, Victim};
use crate::scenario::Scenario;
use crate::units::Bytes;

/// Copy-on-write that is at least this share of what the kernel counts is named as what drives it.
const DRIVING_SHARE: f64 = 0.10;

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
    let parts = [
        line("used_memory", used, "what the server had allocated at the host's peak"),
        line("fragmentation", rss - used, "resident pages beyond it, and the process itself"),
        line("copy-on-write", peak.memory.part(HostPart::CopyOnWrite), "pages that writes copied while a child lived"),
        line("page tables", peak.memory.part(HostPart::PageTables), "of the server, and of its child"),
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
    let (total, share) = (run.host_peak.memory.total(), scenario.policy.host_utilisation);
    (total as f64 > limit as f64 * share).then(|| {
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

/// What drove the host over its limit.
pub(super) fn driver(scenario: &Scenario, run: &Run) -> Option<&'static str> {
    let Bytes(limit) = scenario.host.memory?;
    let memory = &run.host_peak.memory;
    if (memory.total() as f64) <= limit as f64 * scenario.policy.host_utilisation {
        return None;
    }
    let share = |part: HostPart| series::ratio(memory.part(part), memory.total());
    if share(HostPart::CopyOnWrite) >= DRIVING_SHARE {
        return Some("copy-on-write");
    }
    (share(HostPart::SocketBuffers) >= DRIVING_SHARE).then_some("socket buffers")
}

/// One sentence when the kernel killed.
pub(super) fn sentence(scenario: &Scenario, run: &Run) -> Option<String> {
    let (at, victim, lost) = run.events.iter().find_map(|event| match event.kind {
        EventKind::OomKilled { victim, lost_changes } => Some((event.at, victim, lost_changes)),
        _ => None,
    })?;
    let Bytes(limit) = scenario.host.memory?;
    let memory = &run.host_peak.memory;
    let used = Bytes(run.host_peak.used_memory);
    let what = match victim {
        Victim::Server if lost == 0 => "the server; no change is lost".to_owned(),
        Victim::Server => {
            let since = if scenario.config.appendonly { "since the last fsync" } else { "since the last snapshot" };
            format!("the server; {lost} changes {since} are lost")
        }
        Victim::Child => "the child; its work is lost, the server goes on".to_owned(),
    };
    Some(format!(
        "The kernel's OOM killer takes {what}. At {at} it counts {} of {}, while used_memory is only {used}: \
         copy-on-write {}, page tables {}.",
        Bytes(memory.total()),
        Bytes(limit),
        Bytes(memory.part(HostPart::CopyOnWrite)),
        Bytes(memory.part(HostPart::PageTables)),
    ))
}
