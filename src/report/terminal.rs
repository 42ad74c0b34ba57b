//! The report on a terminal: verdict, parts at the peak, what happened, recommended `maxmemory`.

use super::{Cost, format};
use crate::analysis::{Findings, Status, series};
use crate::record::{EventKind, HostPart, Run};
use crate::units::{Micros, counted};
use std::fmt::Write as _;

/// Less headroom than this reads as none (share of the peak).
const HEADROOM_SEEN: f64 = 0.005;
/// Fragmentation is worth a word above this ratio and this many bytes.  Source: common practice, dynamics specification,
/// section 10.
const FRAGMENTED_RATIO: f64 = 1.5;
const FRAGMENTED_BYTES: u64 = 100_000_000;
/// Columns of the box and of wrapped text.
const WIDTH: usize = 92;
/// Columns of the sparkline.
const SPARKS: usize = 64;
/// Columns of a part's bar at a share of one.
const BAR: f64 = 30.0;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The report as text; `results`: the folder of the files.
#[must_use]
pub fn terminal(findings: &Findings, cost: &Cost, results: &str, color: bool) -> String {
    let mut out = String::new();
    let run = findings.shown();
    verdict(findings, run, color, &mut out);
    parts(run, &mut out);
    keyspaces(findings, &mut out);
    happened(findings, run, &mut out);
    recommendation(findings, &mut out);
    for warning in &findings.scenario.warnings {
        wrap(&mut out, "  note     ", warning);
    }
    let rate = cost.ops_per_s() / 1e6;
    let _ = writeln!(
        out,
        "\n  {} commands simulated in {:.2} s ({rate:.1} M/s)\n  results  {results}/",
        format::count(cost.simulated_ops),
        cost.wall_s
    );
    out
}

fn verdict(findings: &Findings, run: &Run, color: bool, out: &mut String) {
    let verdict = &findings.verdict;
    let (word, code) = match verdict.status {
        Status::Pass => ("PASS", "32"),
        Status::Warn => ("WARN", "33"),
        Status::Fail => ("FAIL", "31"),
    };
    let word = if color { format!("\u{1b}[1;{code}m{word}\u{1b}[0m") } else { word.to_owned() };
    let scenario = &findings.scenario;
    let rule = "─".repeat(WIDTH);
    let _ = writeln!(out, "{rule}\n  {word}     {}", scenario.title);
    let seen = scenario.seen_from_replica().map_or(String::new(), |name| format!(", seen from the replica {name}"));
    let server = format!(
        "{} ({}), {} simulated, seed {}{seen}",
        scenario.profile.name,
        scenario.allocator.name(),
        scenario.duration,
        scenario.seed
    );
    let _ = writeln!(out, "           {server}\n{rule}");
    let peak = &run.peak;
    let _ = writeln!(
        out,
        "  peak     {} of used_memory after {}, driven by {}",
        format::size(peak.used_memory),
        peak.at,
        verdict.ledger_driver
    );
    let limit = run.end.maxmemory;
    if limit > 0 && scenario.seen_from_replica().is_some() {
        let _ =
            writeln!(out, "  limit    maxmemory {}, which a replica ignores until it is promoted", format::size(limit));
    } else if limit > 0 {
        let _ = writeln!(out, "  limit    maxmemory {}: {}", format::size(limit), headroom(findings));
    } else {
        out.push_str("  limit    no maxmemory\n");
    }
    wrap(out, "  host     ", &host(findings, run));
    let _ = writeln!(out, "  memory   {}", sparkline(run));
    wrap(out, "  verdict  ", &verdict.sentence);
    for reason in &verdict.reasons {
        wrap(out, "  reason   ", reason);
    }
    if findings.runs.len() > 1 {
        let peaks = crate::analysis::Spread::of(findings.runs.iter().map(|r| r.peak.used_memory as f64));
        let size = |bytes: f64| format::size(bytes as u64);
        let text = format!("peak p50 {}, p95 {}, max {}", size(peaks.p50), size(peaks.p95), size(peaks.max));
        let _ = writeln!(out, "  {} runs  {text}", findings.runs.len());
    }
}

/// What the kernel counted at most, beside the host's memory.
fn host(findings: &Findings, run: &Run) -> String {
    let peak = &run.host_peak;
    let total = peak.memory.total();
    let of = findings.scenario.host.memory.map_or(String::new(), |limit| {
        let share = series::ratio(total, limit.0);
        // A host that has no room for the server is named in the verdict.
        let share = if share < 10.0 { format!(" ({})", format::percent(share)) } else { String::new() };
        format!(" of {limit}{share}")
    });
    let copied = peak.memory.part(HostPart::CopyOnWrite);
    let with = if copied > 0 { format!(", {} of it copy-on-write", format::size(copied)) } else { String::new() };
    let driven = findings.verdict.host_driver.map_or(String::new(), |driver| format!(", driven by {driver}"));
    format!("{}{of} counted by the kernel after {}{with}{driven}", format::size(total), peak.at)
}

/// What maxmemory leaves over the peak, beside what the guide wants.
fn headroom(findings: &Findings) -> String {
    let [low, high] = findings.scenario.policy.headroom.map(|share| share * 100.0);
    let ratio = findings.recommendation.headroom_ratio;
    if ratio >= HEADROOM_SEEN {
        format!("{} over the peak (the guide wants {low:.0}–{high:.0} %)", format::percent(ratio))
    } else if findings.verdict.status == Status::Pass {
        "the cache fills it".to_owned()
    } else {
        format!("reached, no headroom is left (the guide wants {low:.0}–{high:.0} %)")
    }
}

/// `used_memory` over the run in one line.
fn sparkline(run: &Run) -> String {
    let highest = run.timeline.iter().map(|s| s.used_memory_high).max().unwrap_or(0).max(1);
    let columns = SPARKS.min(run.timeline.len());
    (0..columns)
        .map(|column| {
            let (from, to) = (column * run.timeline.len() / columns, (column + 1) * run.timeline.len() / columns);
            let high = run.timeline[from..to].iter().map(|s| s.used_memory_high).max().unwrap_or(0);
            let level = (high as f64 / highest as f64 * (BLOCKS.len() - 1) as f64).round() as usize;
            BLOCKS[level.min(BLOCKS.len() - 1)]
        })
        .collect()
}

fn parts(run: &Run, out: &mut String) {
    out.push_str("\n  At the peak\n");
    for (part, bytes) in format::parts_by_size(&run.peak.parts) {
        let share = series::ratio(bytes, run.peak.used_memory);
        let bar = "█".repeat((share * BAR).round() as usize);
        let line = format!("    {:<20} {:>11} {:>7}  {bar}", part.label(), format::size(bytes), format::percent(share));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Keyspaces at the end, where there are collections: what they grew by, and their biggest key.
fn keyspaces(findings: &Findings, out: &mut String) {
    let rows = format::keyspaces(findings);
    if rows.is_empty() {
        return;
    }
    out.push_str("\n  Keyspaces at the end\n");
    for row in rows {
        let biggest = if row.biggest.is_empty() { String::new() } else { format!("; biggest {}", row.biggest) };
        let keys = if row.keys == "1" { "key" } else { "keys" };
        let text = format!("{} ({}), {} {keys}{biggest}", row.bytes, row.growth, row.keys);
        wrap(out, &format!("    {:<20} ", row.name), &text);
    }
}

fn happened(findings: &Findings, run: &Run, out: &mut String) {
    let steady = series::steady_state(run, findings.scenario.warmup);
    let counters = &run.end.counters;
    let mut lines = Vec::new();
    if counters.keyspace_hits + counters.keyspace_misses > 0 {
        lines.push(format!("hit ratio {:.4} after warm-up", steady.hit_ratio));
    }
    if run.write_rejected.count > 0 {
        let spell = &run.write_rejected;
        lines.push(format!(
            "write_rejected: {} writes answered OOM, first after {}, for {} in all{}",
            format::count(spell.count),
            spell.first,
            Micros(spell.lasted_us),
            by_keyspace(run, |k| k.oom_errors)
        ));
    }
    if run.evicting.count > 0 {
        let spell = &run.evicting;
        lines.push(format!(
            "evicting: {} keys, first after {}, for {} in all{}",
            format::count(spell.count),
            spell.first,
            Micros(spell.lasted_us),
            by_keyspace(run, |k| k.evicted_keys)
        ));
        let untimed: u64 = run.keyspaces.iter().map(|k| k.counters.evicted_untimed_keys).sum();
        if untimed > 0 && untimed < spell.count {
            lines.push(format!("  of them {} without a TTL", format::count(untimed)));
        }
    }
    lines.extend(of_the_kernel(run));
    if counters.expired_keys > 0 {
        let high = run.timeline.iter().map(|s| s.expired_resident_bytes).max().unwrap_or(0);
        let count = format::count(counters.expired_keys);
        lines.push(format!("{count} keys expired; at most {} of expired keys were still resident", format::size(high)));
    }
    if counters.expired_subkeys > 0 {
        let count = format::count(counters.expired_subkeys);
        lines.push(format!("{count} fields of hashes expired (expired_subkeys)"));
    }
    if counters.expired_time_cap_reached_count > 0 {
        let count = format::count(counters.expired_time_cap_reached_count);
        lines.push(format!("expiry could not keep up: {count} cycles were cut by their time limit"));
    }
    lines.extend(format::disconnections(findings));
    lines.extend(format::slow_frees(findings));
    lines.extend(format::without_effect(run));
    if run.events_dropped > 0 {
        lines.push(format!("{} were not kept: too many", counted(run.events_dropped, "event")));
    }
    for threshold in findings.thresholds.iter().filter(|threshold| !threshold.pass) {
        lines.push(format!("threshold breached: {} {}", threshold.metric, threshold.expression));
    }
    if !lines.is_empty() {
        out.push_str("\n  What happened\n");
        for line in lines {
            wrap(out, "    ", &line);
        }
    }
}

/// What forks, pages and replicas did, a line each.
fn of_the_kernel(run: &Run) -> Vec<String> {
    let counters = &run.end.counters;
    let mut lines = Vec::new();
    if counters.total_forks > 0 {
        let forks = run.events.iter().filter_map(|event| match event.kind {
            EventKind::ChildEnded { cow_size, .. } => Some(cow_size),
            _ => None,
        });
        // A child that the run's end, or the OOM killer, overtook has made no last report.
        let alive = run.timeline.iter().map(|sample| sample.host).chain([run.host_peak.memory]);
        let alive = alive.map(|host| host.part(HostPart::CopyOnWrite));
        let most = format::size(forks.chain(alive).max().unwrap_or(0));
        let forks = counted(counters.total_forks, "fork");
        lines.push(format!("{forks}; copy-on-write at most {most}"));
    }
    let wasted = run.end.allocator.rss.saturating_sub(run.end.used_memory);
    let ratio = series::ratio(run.end.allocator.rss, run.end.used_memory);
    if ratio > FRAGMENTED_RATIO && wasted > FRAGMENTED_BYTES {
        let rss = format::size(run.end.allocator.rss);
        lines.push(format!("fragmentation: {rss} resident at the end, mem_fragmentation_ratio {ratio:.2}"));
    }
    lines.extend(format::replication(run));
    if counters.fork_failures > 0 {
        lines.push(format!("fork_failed: {}", format::times(counters.fork_failures)));
    }
    if counters.misconf_errors > 0 {
        let count = format::count(counters.misconf_errors);
        lines.push(format!("{count} writes answered MISCONF, since the last snapshot failed"));
    }
    lines
}

/// ` (session 12, cart 3)`, where there are several families.
fn by_keyspace(run: &Run, of: fn(&crate::record::KeyspaceCounters) -> u64) -> String {
    if run.keyspaces.len() < 2 {
        return String::new();
    }
    let each: Vec<String> =
        run.keyspaces.iter().map(|k| format!("{} {}", k.name, format::count(of(&k.counters)))).collect();
    format!(" ({})", each.join(", "))
}

fn recommendation(findings: &Findings, out: &mut String) {
    let recommendation = &findings.recommendation;
    let _ = writeln!(out, "\n  Recommended maxmemory {}", format::directive_size(recommendation.maxmemory));
    for line in &recommendation.budget {
        wrap(out, &format!("    {:>11}  ", format::size(line.bytes)), &format!("{}: {}", line.part, line.why));
    }
    if recommendation.maxmemory_high > recommendation.maxmemory {
        let high = format::directive_size(recommendation.maxmemory_high);
        let _ = writeln!(out, "    {high:>11}  with the upper headroom of the policy");
    }
    let _ = writeln!(out, "\n  Recommended host memory {}", format::directive_size(findings.host.memory));
    for line in &findings.host.budget {
        wrap(out, &format!("    {:>11}  ", format::size(line.bytes)), &format!("{}: {}", line.part, line.why));
    }
    if let Some((room, text)) = format::room(findings) {
        wrap(out, &format!("    {room:>11}  "), &text);
    }
    for (index, fix) in recommendation.fixes.iter().enumerate() {
        wrap(out, &format!("  fix {}    ", index + 1), fix);
    }
}

/// A text in lines of [`WIDTH`] columns, the first after `head`, the others indented as far.
fn wrap(out: &mut String, head: &str, text: &str) {
    let indent = head.chars().count();
    let mut line = head.to_owned();
    let mut length = indent;
    for word in text.split(' ') {
        let width = word.chars().count();
        if length + width > WIDTH && length > indent {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent);
            length = indent;
        }
        line.push_str(word);
        line.push(' ');
        length += width + 1;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}
