//! `report.md`: fits a pull request's comment.

use super::{Cost, format};
use crate::analysis::{Findings, Status, series};
use crate::record::HostPart;
use crate::units::{Micros, counted};
use std::fmt::Write as _;

/// Events shown at most.
const EVENTS_SHOWN: usize = 12;

/// The report as Markdown.
#[must_use]
pub fn markdown(findings: &Findings, _cost: &Cost) -> String {
    let mut out = String::new();
    let scenario = &findings.scenario;
    let verdict = &findings.verdict;
    let mark = match verdict.status {
        Status::Pass => "✅ pass",
        Status::Warn => "⚠️ warn",
        Status::Fail => "❌ fail",
    };
    let title = if scenario.title.is_empty() { &findings.path } else { &scenario.title };
    let _ = writeln!(out, "## {title}: {mark}\n\n{}\n", verdict.sentence);
    for reason in &verdict.reasons {
        let _ = writeln!(out, "- {reason}");
    }
    if !verdict.reasons.is_empty() {
        out.push('\n');
    }
    figures(findings, &mut out);
    parts(findings, &mut out);
    keyspaces(findings, &mut out);
    recommendation(findings, &mut out);
    events(findings, &mut out);
    for warning in &scenario.warnings {
        let _ = writeln!(out, "> {warning}");
    }
    let _ = writeln!(
        out,
        "\n<sub>capsim {} · {} ({}) · {} simulated · seed {} · {} run(s) · scenario sha256 {}</sub>",
        env!("CARGO_PKG_VERSION"),
        scenario.profile.name,
        scenario.allocator.name(),
        scenario.duration,
        scenario.seed,
        scenario.runs,
        scenario.sha256.get(..12).unwrap_or_default()
    );
    out
}

fn figures(findings: &Findings, out: &mut String) {
    let run = findings.shown();
    let steady = series::steady_state(run, findings.scenario.warmup);
    let counters = &run.end.counters;
    out.push_str("| figure | value |\n| --- | ---: |\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "| {name} | {value} |");
    };
    row("peak of `used_memory`", format!("{} at {}", format::size(run.peak.used_memory), run.peak.at));
    let host = &run.host_peak;
    row("peak of host memory", format!("{} at {}", format::size(host.memory.total()), host.at));
    row("copy-on-write at that peak", format::size(host.memory.part(HostPart::CopyOnWrite)));
    row("`used_memory` driven by", findings.verdict.ledger_driver.to_owned());
    if let Some(driver) = findings.verdict.host_driver {
        row("host memory driven by", driver.to_owned());
    }
    let limit = run.end.maxmemory;
    row("`maxmemory`", if limit == 0 { "none".to_owned() } else { format::size(limit) });
    row("`used_memory` at the end", format::size(run.end.used_memory));
    row(
        "keys at the end (with a TTL)",
        format!("{} ({})", format::count(run.end.keys), format::count(run.end.expires)),
    );
    if counters.keyspace_hits + counters.keyspace_misses > 0 {
        row("hit ratio after warm-up", format!("{:.4}", steady.hit_ratio));
    }
    if run.evicting.count > 0 {
        row("`evicted_keys`", format::count(run.evicting.count));
    }
    if counters.expired_keys > 0 {
        row("`expired_keys`", format::count(counters.expired_keys));
    }
    if counters.expired_subkeys > 0 {
        row("`expired_subkeys`", format::count(counters.expired_subkeys));
    }
    if run.end.expired_resident_bytes > 0 {
        row("expired and still resident at the end", format::size(run.end.expired_resident_bytes));
    }
    if run.write_rejected.count > 0 {
        let spell = &run.write_rejected;
        let value = format!("{}, from {} on, for {}", format::count(spell.count), spell.first, Micros(spell.lasted_us));
        row("writes refused (OOM)", value);
    }
    if findings.runs.len() > 1 {
        let peaks = crate::analysis::Spread::of(findings.runs.iter().map(|r| r.peak.used_memory as f64));
        let size = |bytes: f64| format::size(bytes as u64);
        row(
            "peak over the runs, p50 / p95 / max",
            format!("{} / {} / {}", size(peaks.p50), size(peaks.p95), size(peaks.max)),
        );
    }
    for threshold in &findings.thresholds {
        let held = if threshold.pass { "held" } else { "**breached**" };
        row(
            &format!("threshold `{} {}`", threshold.metric, threshold.expression),
            format!("{held} ({:.4})", threshold.value),
        );
    }
    out.push('\n');
}

fn parts(findings: &Findings, out: &mut String) {
    let peak = &findings.shown().peak;
    out.push_str("| at the peak | bytes | share |\n| --- | ---: | ---: |\n");
    for (part, bytes) in format::parts_by_size(&peak.parts) {
        let share = format::percent(series::ratio(bytes, peak.used_memory));
        let _ = writeln!(out, "| {} | {} | {share} |", part.label(), format::size(bytes));
    }
    out.push('\n');
}

fn keyspaces(findings: &Findings, out: &mut String) {
    let rows = format::keyspaces(findings);
    if rows.is_empty() {
        return;
    }
    out.push_str("| keyspace at the end | bytes | growth | keys | biggest key |\n| --- | ---: | ---: | ---: | --- |\n");
    for row in rows {
        let _ = writeln!(out, "| {} | {} | {} | {} | {} |", row.name, row.bytes, row.growth, row.keys, row.biggest);
    }
    out.push('\n');
}

fn recommendation(findings: &Findings, out: &mut String) {
    let recommendation = &findings.recommendation;
    let _ = writeln!(out, "**Recommended `maxmemory`: {}**", format::directive_size(recommendation.maxmemory));
    for line in &recommendation.budget {
        let _ = writeln!(out, "- {} {}: {}", format::size(line.bytes), line.part, line.why);
    }
    if recommendation.maxmemory_high > recommendation.maxmemory {
        let high = format::directive_size(recommendation.maxmemory_high);
        let _ = writeln!(out, "- with the upper headroom of the policy: {high}");
    }
    let _ = writeln!(out, "\n**Recommended host memory: {}**", format::directive_size(findings.host.memory));
    for line in &findings.host.budget {
        let _ = writeln!(out, "- {} {}: {}", format::size(line.bytes), line.part, line.why);
    }
    if let Some((room, text)) = format::room(findings) {
        let _ = writeln!(out, "- {room} {text}");
    }
    if !recommendation.fixes.is_empty() {
        out.push_str("\n**What to change, the likeliest first**\n\n");
        for (index, fix) in recommendation.fixes.iter().enumerate() {
            let _ = writeln!(out, "{}. {fix}", index + 1);
        }
    }
    out.push('\n');
}

fn events(findings: &Findings, out: &mut String) {
    let events = &findings.shown().events;
    if events.is_empty() {
        return;
    }
    out.push_str("<details><summary>Events</summary>\n\n");
    for event in events.iter().take(EVENTS_SHOWN) {
        let _ = writeln!(out, "- {}: {}", event.at, format::event(&event.kind));
    }
    if events.len() > EVENTS_SHOWN {
        let _ = writeln!(out, "- … and {} more in summary.json", events.len() - EVENTS_SHOWN);
    }
    let dropped = findings.shown().events_dropped;
    if dropped > 0 {
        let _ = writeln!(out, "- {} were not kept: too many", counted(dropped, "further event"));
    }
    out.push_str("\n</details>\n\n");
}
