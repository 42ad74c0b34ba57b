//! All rounding and all units for people.

use crate::analysis::{Findings, series};
use crate::node::ledger::{MemoryPart, PARTS};
use crate::record::{ChildKind, DisconnectReason, EventKind, FreedBy, KeyspaceRecord, Run, TableName, Victim};
pub use crate::units::grouped as count;
use crate::units::{Bytes, Micros, SimTime};

/// A pace by the day is told of runs from this long on.
const PACE_FROM: Micros = Micros::from_secs(3600);

/// A share as a percentage: `12.3 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A size and its share of a whole.
#[must_use]
pub fn size(bytes: u64) -> String {
    Bytes(bytes).to_string()
}

/// A size as redis.conf takes it, in whole MiB where it is one: `512mb`.
#[must_use]
pub fn directive_size(bytes: u64) -> String {
    if bytes > 0 && bytes.is_multiple_of(Bytes::MIB) { format!("{}mb", bytes / Bytes::MIB) } else { bytes.to_string() }
}

/// The most `maxmemory` that the scenario's host has room for, and what that means for the one recommended.
#[must_use]
pub fn room(findings: &Findings) -> Option<(String, String)> {
    let (room, memory) = (findings.host.room_for_maxmemory?, findings.scenario.host.memory?);
    if room == 0 {
        return Some(("none".to_owned(), format!("is the maxmemory for which {memory} of host would do")));
    }
    let wanted = findings.recommendation.maxmemory;
    let wins = if room < wanted {
        format!(": it wins over the {} above, unless the host gets more memory", directive_size(wanted))
    } else {
        String::new()
    };
    Some((directive_size(room), format!("is the most maxmemory for which {memory} of host would do{wins}")))
}

/// Parts by size, largest first, with their labels; empty ones left out.
#[must_use]
pub fn parts_by_size(parts: &[u64; PARTS]) -> Vec<(MemoryPart, u64)> {
    let mut sorted: Vec<(MemoryPart, u64)> =
        MemoryPart::ALL.into_iter().map(|part| (part, parts[part as usize])).filter(|(_, bytes)| *bytes > 0).collect();
    sorted.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    sorted
}

/// A keyspace at the end, as a row.
#[derive(Debug, Clone)]
pub(super) struct KeyspaceRow {
    pub(super) name: String,
    pub(super) bytes: String,
    /// Since the start, and at that pace in a day.
    pub(super) growth: String,
    pub(super) keys: String,
    /// The largest collection that there was.
    pub(super) biggest: String,
}

/// Keyspaces at the end, the largest first; none where there are no collections.
pub(super) fn keyspaces(findings: &Findings) -> Vec<KeyspaceRow> {
    let run = findings.shown();
    if !findings.scenario.keyspaces.iter().any(|keyspace| keyspace.kind.collection().is_some()) {
        return Vec::new();
    }
    // What is refused does not grow.
    let grew = if run.write_rejected.count > 0 { run.write_rejected.first } else { run.end.at };
    let mut records: Vec<&KeyspaceRecord> = run.keyspaces.iter().collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.counters.bytes));
    let row = |record: &KeyspaceRecord| {
        let (counters, start) = (&record.counters, record.bytes_at_start);
        let more = counters.bytes.saturating_sub(start);
        let a_day = (u128::from(more) * 86_400_000_000 / u128::from(grew.0.max(1))) as u64;
        let growth = match start.checked_sub(counters.bytes) {
            Some(less) if less > 0 => format!("−{}", size(less)),
            Some(_) => "0 B".to_owned(),
            None if grew.0 < PACE_FROM.0 => format!("+{}", size(more)),
            None => format!("+{}, {} a day", size(more), size(a_day)),
        };
        let biggest = match counters.largest_bytes {
            0 => String::new(),
            bytes => format!("{} of {}", size(bytes), counted_elements(counters.largest_elements)),
        };
        KeyspaceRow {
            name: record.name.clone(),
            bytes: size(counters.bytes),
            growth,
            keys: count(counters.keys),
            biggest,
        }
    };
    records.into_iter().map(row).collect()
}

fn counted_elements(n: u64) -> String {
    format!("{} {}", count(n), if n == 1 { "element" } else { "elements" })
}

/// An event in a few words.
#[must_use]
pub fn event(kind: &EventKind) -> String {
    let table = |table: &TableName| match table {
        TableName::Main => "main table",
        TableName::Expires => "expires table",
    };
    match kind {
        EventKind::RehashStarted { table: t, from_buckets, to_buckets, .. } => {
            format!("{}: rehash {} → {} buckets", table(t), count(*from_buckets), count(*to_buckets))
        }
        EventKind::RehashEnded { table: t, buckets } => format!("{}: rehash to {} ends", table(t), count(*buckets)),
        EventKind::ResizeRefused { table: t, buckets } => {
            format!("{}: growth beyond {} buckets refused at maxmemory", table(t), count(*buckets))
        }
        EventKind::OomFirst => "first write refused".to_owned(),
        EventKind::OomLast => "writes accepted again".to_owned(),
        EventKind::EvictingFirst => "first key evicted".to_owned(),
        EventKind::ExpireTimeCapReached => "expire cycle cut by its time limit".to_owned(),
        EventKind::ChildStarted { kind, lasts, .. } => format!("{} begins, {lasts}", kind.label()),
        EventKind::ChildEnded { kind, cow_size, succeeded: true } => {
            format!("{} ends, copy-on-write {}", kind.label(), size(*cow_size))
        }
        EventKind::ChildEnded { kind, .. } => format!("{} fails", kind.label()),
        EventKind::SlowFree { by, elements, bytes, lasts, .. } => {
            let (elements, size) = (counted_elements(*elements), size(*bytes));
            format!("{} of {elements}, {size}, blocks the server for {lasts}", by.label())
        }
        EventKind::ForkFailed { kind } => format!("{}: fork refused, cannot allocate memory", kind.label()),
        EventKind::OomKilled { victim: Victim::Server, .. } => "OOM killer takes the server".to_owned(),
        EventKind::OomKilled { victim: Victim::Child, .. } => "OOM killer takes the child".to_owned(),
        EventKind::ReplicaDropped { replica, usage, reason } => {
            format!("replica {} dropped by {}, {} waiting", replica + 1, reason.label(), size(*usage))
        }
        EventKind::LoadingStarted { keys } => format!("loading begins, {} keys", count(*keys)),
        EventKind::ReplicaOnline { replica } => format!("replica {} is in sync again", replica + 1),
        EventKind::ResyncLoop { replica } => format!("replica {} synchronises in a loop", replica + 1),
        EventKind::Scenario(label) => label.clone(),
        EventKind::NoEffect { why } => format!("without effect: {why}"),
        EventKind::ClientDisconnected { class, connections, omem, reason, .. } => {
            let (class, count, each) = (class.name(), count(*connections), size(*omem));
            format!("{count} {class} disconnected at {each} each: {}", disconnect_reason(*reason))
        }
    }
}

/// Why connections were closed, as redis.conf names it.
#[must_use]
pub fn disconnect_reason(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::HardLimit => "hard limit of client-output-buffer-limit",
        DisconnectReason::SoftLimit => "soft limit of client-output-buffer-limit",
        DisconnectReason::MaxmemoryClients => "limit of maxmemory-clients",
    }
}

/// Who was disconnected, a line for each group and reason: `500 pubsub connections of news closed …`.
#[must_use]
pub fn disconnections(findings: &Findings) -> Vec<String> {
    let mut sums: Vec<(usize, DisconnectReason, &'static str, u64, u64, SimTime)> = Vec::new();
    for event in &findings.shown().events {
        let EventKind::ClientDisconnected { class, group, connections, omem, reason } = event.kind else { continue };
        match sums.iter_mut().find(|sum| (sum.0, sum.1) == (group, reason)) {
            Some(sum) => (sum.3, sum.4) = (sum.3 + connections, sum.4.max(omem)),
            None => sums.push((group, reason, class.name(), connections, omem, event.at)),
        }
    }
    let clients = &findings.scenario.clients;
    let line = |(group, reason, class, connections, omem, at): (usize, DisconnectReason, &str, u64, u64, SimTime)| {
        let name = clients.get(group).map_or("", |group| group.name.as_str());
        let plural = if connections == 1 { "" } else { "s" };
        format!(
            "client_disconnected: {} {class} connection{plural} of {name} closed by the {}, first after {at}, with up to {} waiting for each",
            count(connections),
            disconnect_reason(reason),
            size(omem)
        )
    };
    sums.into_iter().map(line).collect()
}

/// The longest times for which the freeing of one value kept the server busy, a line for each keyspace and reason.
#[must_use]
pub fn slow_frees(findings: &Findings) -> Vec<String> {
    let mut longest: Vec<(usize, FreedBy, u64, SimTime, &EventKind)> = Vec::new();
    for event in &findings.shown().events {
        let EventKind::SlowFree { by, keyspace, lasts, .. } = event.kind else { continue };
        match longest.iter_mut().find(|free| (free.0, free.1) == (keyspace, by)) {
            Some(free) if lasts.0 > free.2 => (free.2, free.3, free.4) = (lasts.0, event.at, &event.kind),
            Some(_) => {}
            None => longest.push((keyspace, by, lasts.0, event.at, &event.kind)),
        }
    }
    let line = |(keyspace, _, _, at, kind): (usize, FreedBy, u64, SimTime, &EventKind)| {
        let name = findings.scenario.keyspaces.get(keyspace).map_or("", |keyspace| keyspace.name.as_str());
        format!("slow_free: a key of {name} after {at}: {}", event(kind))
    };
    longest.into_iter().map(line).collect()
}

/// Events of the scenario that changed nothing, a line for each reason.
#[must_use]
pub fn without_effect(run: &Run) -> Vec<String> {
    let mut sums: Vec<(&'static str, u64, SimTime)> = Vec::new();
    for event in &run.events {
        let EventKind::NoEffect { why } = event.kind else { continue };
        match sums.iter_mut().find(|sum| sum.0 == why) {
            Some(sum) => sum.1 += 1,
            None => sums.push((why, 1, event.at)),
        }
    }
    let line = |(why, n, at)| format!("{} an event had no effect, first after {at}: {why}", times(n));
    sums.into_iter().map(line).collect()
}

/// `1 time`, `1 870 times`.
#[must_use]
pub fn times(n: u64) -> String {
    format!("{} {}", count(n), if n == 1 { "time" } else { "times" })
}

/// What became of replicas, in a few lines.
#[must_use]
pub fn replication(run: &Run) -> Vec<String> {
    let dropped = run.events.iter().filter(|event| matches!(event.kind, EventKind::ReplicaDropped { .. }));
    let (drops, counters) = (dropped.clone().count() as u64, &run.end.counters);
    let mut lines = Vec::new();
    if let Some(first) = dropped.clone().next() {
        let most = series::most_replication_buffers(run);
        lines.push(format!(
            "{} a replica was dropped, first after {}; replication buffers up to {}",
            times(drops),
            first.at,
            size(most)
        ));
    }
    if counters.sync_full + counters.sync_partial_ok > 0 {
        let (full, partial) = (count(counters.sync_full), count(counters.sync_partial_ok));
        lines.push(format!("{full} full and {partial} partial synchronisations"));
    }
    if counters.full_sync_loops > 0 {
        lines.push("resync_loop: full synchronisations end before the replica is online, again and again".to_owned());
    }
    lines
}

/// An event's word in `summary.json`.
#[must_use]
pub fn event_word(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::RehashStarted { .. } => "rehash_started",
        EventKind::RehashEnded { .. } => "rehash_ended",
        EventKind::ResizeRefused { .. } => "resize_refused",
        EventKind::OomFirst => "oom_first",
        EventKind::OomLast => "oom_last",
        EventKind::EvictingFirst => "evicting_first",
        EventKind::ExpireTimeCapReached => "expire_time_cap_reached",
        EventKind::ChildStarted { kind: ChildKind::Bgsave, .. } => "bgsave_started",
        EventKind::ChildStarted { kind: ChildKind::AofRewrite, .. } => "aof_rewrite_started",
        EventKind::ChildStarted { kind: ChildKind::Sync, .. } => "sync_child_started",
        EventKind::ChildEnded { kind: ChildKind::Bgsave, .. } => "bgsave_ended",
        EventKind::ChildEnded { kind: ChildKind::AofRewrite, .. } => "aof_rewrite_ended",
        EventKind::ChildEnded { kind: ChildKind::Sync, .. } => "sync_child_ended",
        EventKind::SlowFree { .. } => "slow_free",
        EventKind::ForkFailed { .. } => "fork_failed",
        EventKind::OomKilled { .. } => "oom_killed",
        EventKind::ReplicaDropped { .. } => "replica_dropped",
        EventKind::LoadingStarted { .. } => "loading_started",
        EventKind::ReplicaOnline { .. } => "replica_online",
        EventKind::ResyncLoop { .. } => "resync_loop",
        EventKind::Scenario(_) => "scenario",
        EventKind::NoEffect { .. } => "no_effect",
        EventKind::ClientDisconnected { .. } => "client_disconnected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(percent(0.1234), "12.3 %");
        assert_eq!((directive_size(512 << 20).as_str(), directive_size(1000).as_str()), ("512mb", "1000"));
    }
}
