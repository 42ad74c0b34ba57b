//! All rounding and all units for people.

use crate::node::ledger::{MemoryPart, PARTS};
use crate::record::{ChildKind, EventKind, TableName, Victim};
use crate::units::Bytes;

/// A count with thousands separated: `1 234 567`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

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

/// Parts by size, largest first, with their labels; empty ones left out.
#[must_use]
pub fn parts_by_size(parts: &[u64; PARTS]) -> Vec<(MemoryPart, u64)> {
    let mut sorted: Vec<(MemoryPart, u64)> =
        MemoryPart::ALL.into_iter().map(|part| (part, parts[part as usize])).filter(|(_, bytes)| *bytes > 0).collect();
    sorted.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    sorted
}

/// An event in a few words.
#[must_use]
pub fn event(kind: &EventKind) -> String {
    let table = |table: &TableName| match table {
        TableName::Main => "main table",
        TableName::Expires => "expires table",
    };
    match kind {
        EventKind::RehashStarted { table: t, from_buckets, to_buckets } => {
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
        EventKind::ForkFailed { kind } => format!("{}: fork refused, cannot allocate memory", kind.label()),
        EventKind::OomKilled { victim: Victim::Server, .. } => "OOM killer takes the server".to_owned(),
        EventKind::OomKilled { victim: Victim::Child, .. } => "OOM killer takes the child".to_owned(),
        EventKind::Scenario(label) => label.clone(),
    }
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
        EventKind::ForkFailed { .. } => "fork_failed",
        EventKind::OomKilled { .. } => "oom_killed",
        EventKind::Scenario(_) => "scenario",
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
