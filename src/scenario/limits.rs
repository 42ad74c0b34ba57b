//! Limits over the whole scenario, checked before anything is allocated.

use super::drawing;
use super::error::Check;
use super::reader::{RATE_LIMIT, Table};
use super::{Action, Keyspace, SIMULATOR_BYTES_PER_KEY, SIMULATOR_MEMORY_LIMIT, Scenario, ScheduledEvent, Traffic};
use crate::node::config::Setting;
use crate::units::{Micros, SimTime};

/// Keys of all families at most: what memory holds, and ids have 32 bits.
pub(super) const KEYS_LIMIT: u32 = (SIMULATOR_MEMORY_LIMIT / SIMULATOR_BYTES_PER_KEY) as u32;
const MEMORY_LIMIT: u128 = SIMULATOR_MEMORY_LIMIT as u128;
/// Requests of a run at most.  *Assumed*: weeks of simulation.
const REQUESTS_LIMIT: f64 = 1e13;
/// Memory of a collection beside its key (B).  Source: `node::collection::Collection`, with a few classes of blocks.
const BYTES_PER_COLLECTION: u128 = 320;
/// Elements that keys are loaded with at most, all together.  *Assumed*: a quarter of an hour of loading.
const ELEMENTS_LIMIT: f64 = 1e10;
/// Occurrences of all events at most.
pub(super) const OCCURRENCES_LIMIT: u64 = 100_000;
/// Memory of a sample of the timeline, and of an occurrence of an event in a run (B).  Source: `record::Sample`.
const BYTES_PER_SAMPLE: u128 = 640;
const BYTES_PER_OCCURRENCE: u128 = 256;
/// Memory of a key that an event is about to visit (B).  Source: `sim::jobs`.
const BYTES_PER_VISIT: u128 = 8;
/// The server's own bytes for a key at least (B): entry, object, bucket.
const SERVER_BYTES_PER_KEY: u64 = 48;

/// What takes memory while the scenario is simulated.
struct Part {
    /// The key of the scenario that asks for it.
    key: &'static str,
    what: String,
    bytes: u128,
}

/// Notes what is beyond the limits.
pub(super) fn limits(check: &Check, root: &Table<'_>, scenario: &Scenario) {
    let occurrences: u64 = scenario.events.iter().map(|event| event.at.len() as u64).sum();
    if occurrences > OCCURRENCES_LIMIT {
        let message = format!("the events occur {occurrences} times in all; expected at most {OCCURRENCES_LIMIT}");
        problem(check, root, "event", message);
        return;
    }
    memory(check, root, scenario, occurrences);
    elements(check, root, scenario);
    requests(check, root, scenario);
}

fn problem(check: &Check, root: &Table<'_>, key: &str, message: String) {
    check.problem(root.key_place(key).unwrap_or(root.place), key, message);
}

fn memory(check: &Check, root: &Table<'_>, scenario: &Scenario, occurrences: u64) {
    let keys: u64 = scenario.keyspaces.iter().map(|keyspace| u64::from(keyspace.keys)).sum();
    let collections = scenario.keyspaces.iter().filter(|keyspace| keyspace.elements.is_some());
    let collections: u64 = collections.map(|keyspace| u64::from(keyspace.keys)).sum();
    let parts = [
        keys_part(keys, collections),
        new_keys_part(scenario),
        visits_part(scenario),
        runs_part(scenario, occurrences),
    ];
    let total: u128 = parts.iter().map(|part| part.bytes).sum();
    let most = parts.iter().max_by_key(|part| part.bytes);
    if let Some(part) = most.filter(|_| total > MEMORY_LIMIT || keys > u64::from(KEYS_LIMIT)) {
        let message = format!(
            "{}: simulating this scenario would take {}; expected at most {}",
            part.what,
            memory_text(total),
            memory_text(MEMORY_LIMIT)
        );
        problem(check, root, part.key, message);
    }
}

/// Elements that keys have at the start.
fn elements(check: &Check, root: &Table<'_>, scenario: &Scenario) {
    let loaded = |keyspace: &Keyspace| {
        let (Some(shape), Some(preload)) = (&keyspace.elements, &keyspace.preload) else { return 0.0 };
        shape.count.mean() * f64::from(preload.keys)
    };
    let all: f64 = scenario.keyspaces.iter().map(loaded).sum();
    if all > ELEMENTS_LIMIT {
        let message = format!("{all:.0} elements are loaded in all; expected at most {ELEMENTS_LIMIT:.0}");
        problem(check, root, "keyspace", message);
    }
}

fn keys_part(keys: u64, collections: u64) -> Part {
    let bytes = u128::from(keys) * u128::from(SIMULATOR_BYTES_PER_KEY) + u128::from(collections) * BYTES_PER_COLLECTION;
    Part { key: "keyspace", what: format!("{keys} keys in all"), bytes }
}

/// Keys that traffic makes beyond those of the families, at most.
fn new_keys_part(scenario: &Scenario) -> Part {
    let most = largest_maxmemory(scenario).map_or(f64::INFINITY, |bytes| bytes as f64 / SERVER_BYTES_PER_KEY as f64);
    let made: f64 = scenario.traffic.iter().map(|traffic| new_keys(scenario, traffic)).sum();
    let keys = made.min(most).round();
    let bytes = (keys * SIMULATOR_BYTES_PER_KEY as f64) as u128;
    Part { key: "traffic", what: format!("{keys} keys that never were before"), bytes }
}

/// The largest `maxmemory` there ever is (B); `None` when there is a time without limit.
fn largest_maxmemory(scenario: &Scenario) -> Option<u64> {
    let changes = scenario.events.iter().flat_map(|event| match &event.action {
        Action::ConfigSet(settings, _) => settings.as_slice(),
        _ => &[],
    });
    let changed = changes.filter_map(|setting| match setting {
        Setting::Maxmemory(bytes) => Some(bytes.0),
        _ => None,
    });
    let all: Vec<u64> = changed.chain([scenario.config.maxmemory.0]).collect();
    if all.contains(&0) { None } else { all.into_iter().max() }
}

/// New keys of a stream that live at once, at most: all it makes, or those of one TTL.
fn new_keys(scenario: &Scenario, traffic: &Traffic) -> f64 {
    let share = traffic.popularity.new_key_share();
    let creates = traffic.on_miss.is_some() || traffic.commands.iter().any(|(command, _)| command.spec().creates);
    if share == 0.0 || !creates {
        return 0.0;
    }
    let factor = surge_factor(&scenario.events, traffic.keyspace);
    let ttl = traffic.ttl.as_ref().unwrap_or(&scenario.keyspaces[traffic.keyspace].ttl);
    let all = expected(scenario, traffic);
    let forgets = |event: &ScheduledEvent| matches!(event.action, Action::TtlLost { keyspace, .. } if keyspace == traffic.keyspace);
    let bound = ttl.upper_bound().filter(|_| !scenario.events.iter().any(forgets));
    let alive = bound.map_or(all, |ms| traffic.rate.max() * ms as f64 / 1e3);
    share * factor * all.min(alive)
}

/// Lists of the keys that events are about to visit.
fn visits_part(scenario: &Scenario) -> Part {
    let lists = scenario.events.iter().map(|event| visits(event, &scenario.keyspaces));
    let visits = lists.fold(0_u128, u128::saturating_add);
    Part {
        key: "event",
        what: format!("{visits} keys that events visit"),
        bytes: visits.saturating_mul(BYTES_PER_VISIT),
    }
}

/// Keys that all the unfinished occurrences of an event have on their lists at once, at most.
fn visits(event: &ScheduledEvent, keyspaces: &[Keyspace]) -> u128 {
    let (keyspace, share, rate) = match &event.action {
        Action::Delete { keyspace, share, rate, .. } | Action::Overwrite { keyspace, share, rate, .. } => {
            (*keyspace, *share, *rate)
        }
        _ => return 0,
    };
    let keys = keyspaces[keyspace].keys;
    let period = event.at.windows(2).map(|pair| pair[1].since(pair[0])).next().unwrap_or(Micros::ZERO);
    let lasts = rate.map_or(0.0, |rate| f64::from(keys) * share / rate);
    let at_once = if period == Micros::ZERO { 1.0 } else { lasts / period.as_secs_f64() + 1.0 };
    (at_once.min(event.at.len() as f64) * f64::from(keys)) as u128
}

/// What all runs record.
fn runs_part(scenario: &Scenario, occurrences: u64) -> Part {
    let samples = scenario.duration.0.div_ceil(scenario.sample_interval.0.max(1)) + 1;
    let a_run = u128::from(samples) * BYTES_PER_SAMPLE + u128::from(occurrences) * BYTES_PER_OCCURRENCE;
    let runs = scenario.runs;
    Part { key: "runs", what: format!("{runs} runs of {samples} samples"), bytes: a_run * u128::from(runs) }
}

fn expected(scenario: &Scenario, traffic: &Traffic) -> f64 {
    let end = SimTime(scenario.duration.0);
    drawing::expected_requests(&traffic.rate, traffic.from, traffic.until.min(end), scenario.start_of_day)
}

fn requests(check: &Check, root: &Table<'_>, scenario: &Scenario) {
    let factors: Vec<f64> =
        (0..scenario.keyspaces.len()).map(|keyspace| surge_factor(&scenario.events, keyspace)).collect();
    for traffic in &scenario.traffic {
        let reached = traffic.rate.max() * factors[traffic.keyspace];
        if reached > RATE_LIMIT {
            let message = format!("traffic reaches {reached:.1e} requests a second; expected at most {RATE_LIMIT:e}");
            problem(check, root, "event", message);
            return;
        }
    }
    let streams: f64 = scenario.traffic.iter().map(|t| expected(scenario, t) * factors[t.keyspace]).sum();
    let jobs: f64 = scenario.events.iter().map(|event| steps(event, &scenario.keyspaces)).sum();
    let end = SimTime(scenario.duration.0);
    let messages: f64 = scenario
        .channels
        .iter()
        .map(|c| drawing::expected_requests(&c.rate, c.from, c.until.min(end), scenario.start_of_day))
        .sum();
    for (key, requests) in [("traffic", streams), ("event", jobs), ("channel", messages)] {
        if requests > REQUESTS_LIMIT {
            problem(check, root, key, format!("{requests:.1e} requests in all; expected at most {REQUESTS_LIMIT:e}"));
        }
    }
}

/// Requests that all occurrences of an event make.
fn steps(event: &ScheduledEvent, keyspaces: &[Keyspace]) -> f64 {
    let once = match &event.action {
        Action::Fill { keys, .. } => f64::from(*keys),
        Action::Delete { keyspace, share, .. } | Action::Overwrite { keyspace, share, .. } => {
            f64::from(keyspaces[*keyspace].keys) * share
        }
        _ => 0.0,
    };
    once * event.at.len() as f64
}

/// By how much events multiply the traffic to a family at most.
fn surge_factor(events: &[ScheduledEvent], keyspace: usize) -> f64 {
    let mut changes: Vec<(SimTime, f64)> = Vec::new();
    for event in events {
        let Action::Traffic { keyspace: of, multiply, lasts } = &event.action else { continue };
        if of.is_none_or(|of| of == keyspace) && *multiply > 1.0 {
            let both = |at: &SimTime| [(*at, multiply.ln()), (*at + *lasts, -multiply.ln())];
            changes.extend(event.at.iter().flat_map(both));
        }
    }
    // What ends at an instant ends before what begins there.
    changes.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (mut now, mut most) = (0.0_f64, 0.0_f64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    most.exp()
}

/// A size for people, however large.
fn memory_text(bytes: u128) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    for unit in UNITS {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    "over 1000 EiB".to_owned()
}

/// What simulating `keys` would take.
pub(super) fn memory_for(keys: i128) -> String {
    memory_text(u128::try_from(keys).unwrap_or(0).saturating_mul(u128::from(SIMULATOR_BYTES_PER_KEY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surge(at: &[u64], multiply: f64, seconds: u64) -> ScheduledEvent {
        let action = Action::Traffic { keyspace: None, multiply, lasts: Micros::from_secs(seconds) };
        ScheduledEvent { at: at.iter().map(|s| SimTime(s * 1_000_000)).collect(), action, label: String::new() }
    }

    #[test]
    fn surges_multiply_only_while_they_overlap() {
        let events = [surge(&[0, 10, 20], 2.0, 10), surge(&[5], 3.0, 1), surge(&[5], 0.1, 1)];
        assert!((surge_factor(&events, 0) - 6.0).abs() < 1e-9);
        assert!((surge_factor(&[], 0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn sizes_have_no_end() {
        assert_eq!(memory_text(16 << 30), "16.0 GiB");
        assert_eq!(memory_for(1_000_000_000_000_000_000), "72.9 EiB");
        assert_eq!(memory_for(-1), "0.0 B");
    }

    #[test]
    fn a_sample_is_as_large_as_assumed() {
        let event = std::mem::size_of::<crate::record::Event>() as u128;
        assert!(
            std::mem::size_of::<crate::record::Sample>() as u128 <= BYTES_PER_SAMPLE && event <= BYTES_PER_OCCURRENCE
        );
    }
}
