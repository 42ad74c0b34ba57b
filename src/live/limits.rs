//! What can be driven, and what this machine holds.

use super::LiveError;
use super::words;
use crate::command::Command;
use crate::record::Run;
use crate::scenario::{Action, KeyType, Scenario, View};
use crate::units::{Bytes, Micros};
use std::fs;

/// Longest run without being asked for.
const DURATION_LIMIT: Micros = Micros::from_secs(600);
/// Requests a second that one thread sends, writes for misses included.  *measured*: 60 000 to 90 000 small ones in
/// pipelines, on two shared cores.
const RATE_LIMIT: f64 = 50_000.0;
/// Connections that one thread opens.
const CONNECTIONS_LIMIT: u32 = 500;
/// Share of the available memory that a server may take.
const MEMORY_SHARE: f64 = 0.8;

/// Refuses what cannot be driven, by the scenario and its predicted run; `force`: however long it takes and however fast.
///
/// # Errors
/// [`LiveError::Refused`] says what and why.
pub fn check(scenario: &Scenario, run: &Run, available: Option<u64>, force: bool) -> Result<(), LiveError> {
    let reason = undrivable(scenario)
        .or_else(|| if force { None } else { too_long_or_fast(scenario, run) })
        .or_else(|| too_large(run, available?));
    reason.map_or(Ok(()), |reason| Err(LiveError::Refused(reason)))
}

/// What no client can do, or what is not done yet.
fn undrivable(scenario: &Scenario) -> Option<String> {
    if scenario.view != View::Primary || !scenario.replicas.is_empty() {
        return Some("a server is driven alone; replicas are not started".to_owned());
    }
    if !scenario.channels.is_empty() {
        return Some("channels are not driven".to_owned());
    }
    if let Some(group) = scenario.clients.iter().find(|group| group.link.is_slow()) {
        return Some(format!("connections {} read slowly; they are not driven", group.name));
    }
    let connections: u32 = scenario.clients.iter().map(|group| group.connections).sum();
    if connections > CONNECTIONS_LIMIT {
        return Some(format!("{connections} connections are too many to drive; expected at most {CONNECTIONS_LIMIT}"));
    }
    let refused = ["replicaof", "cluster-enabled"];
    if let Some((name, _)) = scenario.directives.iter().find(|(name, _)| refused.contains(name)) {
        return Some(format!("a server with {name} is not driven"));
    }
    keyspaces(scenario).or_else(|| commands(scenario)).or_else(|| events(scenario))
}

fn keyspaces(scenario: &Scenario) -> Option<String> {
    scenario.keyspaces.iter().find_map(|keyspace| {
        if !matches!(keyspace.kind, KeyType::String | KeyType::Int) {
            return Some(format!("keyspace {}: only strings and integers are driven", keyspace.name));
        }
        let shortest = keyspace.key_length.constant().unwrap_or(u64::MAX);
        if words::names_of_length(shortest) < u64::from(keyspace.keys) {
            return Some(format!("keyspace {}: too few names of {shortest} B for its keys", keyspace.name));
        }
        None
    })
}

fn commands(scenario: &Scenario) -> Option<String> {
    let all = scenario.traffic.iter().flat_map(|t| t.commands.iter().map(|(command, _)| *command).chain(t.on_miss));
    let refused = all
        .into_iter()
        .find(|command| command.is_of_collection() || matches!(command, Command::SetBit | Command::PfAdd));
    refused.map(|command| format!("{} is not driven", command.spec().name))
}

fn events(scenario: &Scenario) -> Option<String> {
    scenario.events.iter().find_map(|event| match event.action {
        Action::Failover { .. } | Action::ReplicaAttach { .. } | Action::AofRewrite { duration: Some(_) } => {
            Some(format!("event {}: not driven", event.label))
        }
        _ => None,
    })
}

fn too_long_or_fast(scenario: &Scenario, run: &Run) -> Option<String> {
    if scenario.duration > DURATION_LIMIT {
        return Some(format!(
            "it takes {} of real time; expected at most {DURATION_LIMIT}, or --force",
            scenario.duration
        ));
    }
    let rate = run.timeline.windows(2).map(|pair| {
        let commands = pair[1].counters.total_commands_processed - pair[0].counters.total_commands_processed;
        commands as f64 / pair[1].at.since(pair[0].at).as_secs_f64().max(1e-6)
    });
    let rate = rate.fold(0.0, f64::max);
    (rate > RATE_LIMIT)
        .then(|| format!("{rate:.0} requests a second are too many; expected at most {RATE_LIMIT}, or --force"))
}

fn too_large(run: &Run, available: u64) -> Option<String> {
    let needed = run.host_peak.memory.total().saturating_sub(run.empty_host_memory);
    (needed as f64 > available as f64 * MEMORY_SHARE).then(|| {
        let (needed, available) = (Bytes(needed), Bytes(available));
        format!("it takes {needed} with copy-on-write, and {available} are available; expected at most four fifths")
    })
}

/// Memory that the machine can give; `None` where it does not say (B).
#[must_use]
pub fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
