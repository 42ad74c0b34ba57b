//! The document as a whole: the top level, the server, connections, costs, policy; then the limits over all of it.

use super::directive::Directives;
use super::drawing;
use super::error::{Check, ScenarioError};
use super::keys;
use super::reader::{Item, Table};
use super::tree;
use super::{
    ClientGroup, Keyspace, Policy, SIMULATOR_BYTES_PER_KEY, Scenario, Traffic, event, keyspace, threshold, traffic,
};
use crate::node::config::Costs;
use crate::profile::{Allocator, PROFILES, PROFILES_PLANNED, Profile};
use crate::units::{Bytes, Micros, SimTime};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;

/// Families of keys at most: a key remembers its family in a byte.
const KEYSPACES_LIMIT: usize = 255;
/// Streams, groups and events at most.  *Assumed*: above any scenario that a person reads.
const TABLES_LIMIT: usize = 10_000;
/// Keys of all families at most: ids have 32 bits.
const KEYS_LIMIT: u64 = 4_000_000_000;
/// Memory that simulating the keys may take.  *Assumed*: fits the machines that capsim runs on.
const MEMORY_LIMIT: Bytes = Bytes(16 * Bytes::GIB);
/// Requests of a run at most.  *Assumed*: weeks of simulation.
const REQUESTS_LIMIT: f64 = 1e13;
/// Samples of the timeline at most.
const SAMPLES_LIMIT: u64 = 100_000;
/// Samples of the timeline unless the scenario says otherwise.
const SAMPLES_DEFAULT: u64 = 1000;
/// Default distance between samples is at least cron's period.
const SAMPLE_INTERVAL_MIN: Micros = Micros::from_millis(100);
/// Shortest distance between samples.
const SAMPLE_INTERVAL_LIMIT: Micros = Micros::from_millis(1);
/// Commands in flight on a connection at most.
const PIPELINE_LIMIT: u32 = 1_000_000;
/// A day.
const DAY: Micros = Micros::from_secs(86_400);

/// What is parsed.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The file's name, for messages.
    pub name: &'a str,
    /// The scenario's text.
    pub text: &'a str,
    /// `--set`: dotted path and value.
    pub overrides: &'a [(String, String)],
    /// The folder that `include` paths are relative to.
    pub base: &'a Path,
}

/// What the tables share while they are read.
pub(super) struct Context<'a> {
    pub(super) duration: Micros,
    pub(super) start_of_day: Micros,
    pub(super) keyspaces: &'a [Keyspace],
}

/// Parses and checks a scenario.  `read` gives the text of an included file.
///
/// # Errors
/// [`ScenarioError`] lists everything that is wrong, each with its place.
pub fn parse(input: &Input<'_>, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<Scenario, ScenarioError> {
    let check = Check::default();
    let mut hash = Sha256::new();
    hash.update(input.text);
    for (path, value) in input.overrides {
        hash.update(format!("\n--set {path}={value}"));
    }
    let source = check.add_source(input.name, input.text);
    let scenario = tree::parse_document(&check, source, input.text).and_then(|mut node| {
        for (path, value) in input.overrides {
            tree::apply_override(&check, &mut node, path, value);
        }
        let includes = Includes { base: input.base, read };
        document(&check, &Item::root(&check, &node), &includes, &mut hash)
    });
    match (check.into_error(), scenario) {
        (Some(error), _) => Err(error),
        (None, Some(mut scenario)) => {
            scenario.sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(scenario)
        }
        // A reader that gives up notes why; should one forget, the scenario is refused all the same.
        (None, None) => Err(Check::unexplained(input.name, input.text)),
    }
}

/// How included files are read.
pub(super) struct Includes<'a> {
    pub(super) base: &'a Path,
    pub(super) read: &'a dyn Fn(&Path) -> io::Result<String>,
}

fn document(check: &Check, root: &Item<'_>, includes: &Includes<'_>, hash: &mut Sha256) -> Option<Scenario> {
    let table = root.table(&keys::ROOT)?;
    let duration =
        table.require("duration", "how long the run lasts, like \"24h\"").and_then(|i| i.positive_duration());
    let times = times(&table, duration.unwrap_or(DAY));
    if let Some(scale) = table.get("scale")
        && scale.number().is_some_and(|scale| scale != 1.0)
    {
        scale.refuse("is not modelled yet; expected 1.0");
    }
    let (profile, allocator, directives) = server(&table, includes, hash);
    let keyspaces: Vec<Option<Keyspace>> =
        table.list("keyspace", KEYSPACES_LIMIT).iter().map(keyspace::keyspace).collect();
    refuse_same_names(&table.list("keyspace", KEYSPACES_LIMIT));
    let all_read = keyspaces.iter().all(Option::is_some);
    let keyspaces: Vec<Keyspace> = keyspaces.into_iter().flatten().collect();
    let mut clients: Vec<ClientGroup> =
        table.list("clients", TABLES_LIMIT).iter().filter_map(|item| client_group(item, &directives)).collect();
    refuse_same_names(&table.list("clients", TABLES_LIMIT));
    let context = Context { duration: duration?, start_of_day: times.start_of_day, keyspaces: &keyspaces };
    // With a family unread, names would be reported as unknown that are not.
    let (traffic, events) = if all_read {
        let traffic = table.list("traffic", TABLES_LIMIT);
        let traffic: Vec<Traffic> =
            traffic.iter().filter_map(|item| traffic::traffic(item, &context, &mut clients)).collect();
        let events = table.list("event", TABLES_LIMIT);
        (traffic, events.iter().filter_map(|item| event::event(item, &context)).collect())
    } else {
        (Vec::new(), Vec::new())
    };
    limits(check, &table, &context, &traffic);
    if clients.is_empty() {
        clients.push(traffic::default_clients());
    }
    Some(Scenario {
        title: text(&table, "title"),
        description: text(&table, "description"),
        duration: context.duration,
        warmup: times.warmup,
        sample_interval: times.sample_interval,
        seed: table.get("seed").and_then(|i| i.integer_in(0..=i128::from(i64::MAX))).unwrap_or(1) as u64,
        start_of_day: times.start_of_day,
        runs: table.get("runs").and_then(|item| item.u32_in(1..=10_000)).unwrap_or(1),
        profile,
        allocator,
        costs: costs(&table),
        policy: policy(&table),
        thresholds: table.get("thresholds").map(|item| threshold::thresholds(&item)).unwrap_or_default(),
        warnings: directives.warnings(),
        config: directives.into_config(),
        keyspaces,
        traffic,
        clients,
        events,
        sha256: String::new(),
    })
}

fn text(table: &Table<'_>, key: &'static str) -> String {
    table.get(key).and_then(|item| item.text()).unwrap_or_default().to_owned()
}

/// Times of the top level.
struct Times {
    warmup: Micros,
    sample_interval: Micros,
    start_of_day: Micros,
}

fn times(table: &Table<'_>, duration: Micros) -> Times {
    let warmup = table.get("warmup").and_then(|item| item.instant(duration)).unwrap_or_default();
    let default = Micros((duration.0 / SAMPLES_DEFAULT).max(SAMPLE_INTERVAL_MIN.0));
    let sample_interval = table.get("sample-interval").and_then(|item| {
        let interval = item.positive_duration()?;
        let least = Micros(duration.0.div_ceil(SAMPLES_LIMIT)).max(SAMPLE_INTERVAL_LIMIT);
        if interval < least {
            item.refuse(format!("is too short; expected at least {least}, for at most {SAMPLES_LIMIT} samples"));
        }
        Some(interval)
    });
    let start_of_day = table.get("start-of-day").and_then(|item| time_of_day(&item)).unwrap_or_default();
    Times { warmup: Micros(warmup.0), sample_interval: sample_interval.unwrap_or(default), start_of_day }
}

/// A time of day, `HH:MM`.
fn time_of_day(item: &Item<'_>) -> Option<Micros> {
    let parsed = parse_time_of_day(item.text()?);
    if parsed.is_none() {
        item.refuse("is not a time of day; expected like \"08:30\"");
    }
    parsed
}

/// `08:30` as the time since midnight.
pub(super) fn parse_time_of_day(text: &str) -> Option<Micros> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let all_digits = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        all_digits.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| Micros::from_secs(hours * 3600 + minutes * 60))
}

fn server(root: &Table<'_>, includes: &Includes<'_>, hash: &mut Sha256) -> (&'static Profile, Allocator, Directives) {
    let default = PROFILES.iter().find(|profile| profile.name == "redis-7.2").unwrap_or(&PROFILES[0]);
    let mut directives = Directives::default();
    let Some(table) = root.get("server").and_then(|item| item.table(&keys::SERVER)) else {
        return (default, Allocator::Bundled, directives);
    };
    let profiles: Vec<(&str, &'static Profile)> = PROFILES.iter().map(|profile| (profile.name, profile)).collect();
    let profile = table.get("profile").and_then(|item| item.choice("a profile", &profiles, PROFILES_PLANNED));
    let allocators = [Allocator::Bundled, Allocator::System].map(|allocator| (allocator.name(), allocator));
    let allocator = table.get("allocator").and_then(|item| item.choice("an allocator", &allocators, &["libc"]));
    for file in table.get("include").and_then(|item| item.one_or_more()).unwrap_or_default() {
        super::redis_conf::include(&file, includes, &mut directives, hash);
    }
    if let Some(config) = table.get("config") {
        directives.read_table(&config);
    }
    (profile.unwrap_or(default), allocator.unwrap_or(Allocator::Bundled), directives)
}

fn client_group(item: &Item<'_>, directives: &Directives) -> Option<ClientGroup> {
    let table = item.table(&keys::CLIENTS)?;
    let name = table.require("name", "a name for the group")?.text()?.to_owned();
    if let Some(class) = table.get("class") {
        class.choice("a class of clients", &[("normal", ())], &["pubsub"])?;
    }
    let most = directives.maxclients();
    let connections = table.get("connections").map_or(Some(1), |item| item.u32_in(1..=most))?;
    let pipeline = table.get("pipeline").map_or(Some(1), |item| item.u32_in(1..=PIPELINE_LIMIT))?;
    table.finish();
    Some(ClientGroup { name, connections, pipeline })
}

fn costs(root: &Table<'_>) -> Costs {
    let mut costs = Costs::default();
    let Some(table) = root.get("costs").and_then(|item| item.table(&keys::COSTS)) else { return costs };
    let nanos = |key: &'static str| {
        let item = table.get(key)?;
        let nanos = match item.as_text() {
            // Costs are the one place where fractions of a microsecond count.
            Some(text) if text.trim().ends_with("us") => {
                text.trim().trim_end_matches("us").trim().parse::<f64>().ok().map(|us| us * 1e3)
            }
            Some(text) if text.trim().ends_with("ns") => text.trim().trim_end_matches("ns").trim().parse().ok(),
            _ => item.duration().map(|span| span.0 as f64 * 1e3),
        };
        let nanos = nanos.filter(|nanos: &f64| (0.0..=1e12).contains(nanos));
        if nanos.is_none() {
            item.refuse("is not a cost; expected a time like \"4us\" or \"850ns\"");
        }
        nanos.map(|nanos| nanos.round() as u64)
    };
    costs.expire_key_ns = nanos("expire-key").unwrap_or(costs.expire_key_ns);
    costs.evict_key_ns = nanos("evict-key").unwrap_or(costs.evict_key_ns);
    if let Some(item) = table.get("rehash-buckets-per-ms") {
        costs.rehash_buckets_per_ms = item.u32_in(1..=1_000_000).map_or(costs.rehash_buckets_per_ms, u64::from);
    }
    table.finish();
    costs
}

fn policy(root: &Table<'_>) -> Policy {
    let mut policy = Policy::default();
    let Some(table) = root.get("policy").and_then(|item| item.table(&keys::POLICY)) else { return policy };
    if let Some(item) = table.get("headroom") {
        let shares: Option<Vec<f64>> =
            item.items().and_then(|items| items.iter().map(|share| share.number_in(0.0..=100.0)).collect());
        match shares.as_deref() {
            Some([low, high]) if low <= high => policy.headroom = [*low, *high],
            Some(_) => item.refuse("is not a band; expected two shares, the smaller first, like [0.25, 0.50]"),
            None => {}
        }
    }
    if let Some(ratio) = table.get("alarm-ratio").and_then(|item| item.number_in(0.0..=1.0)) {
        policy.alarm_ratio = ratio;
    }
    if let Some(span) = table.get("alarm-for").and_then(|item| item.duration()) {
        policy.alarm_for = span;
    }
    table.finish();
    policy
}

fn refuse_same_names(items: &[Item<'_>]) {
    for (index, item) in items.iter().enumerate() {
        let name = tree::name_of(item.node);
        if name.is_some() && items[..index].iter().any(|earlier| tree::name_of(earlier.node) == name) {
            item.check.problem(item.node.place, &item.path, "this name is taken; expected names to differ");
        }
    }
}

/// Limits over the whole scenario, checked before anything is allocated.
fn limits(check: &Check, root: &Table<'_>, context: &Context<'_>, traffic: &[Traffic]) {
    let keys: u64 = context.keyspaces.iter().map(|keyspace| u64::from(keyspace.keys)).sum();
    let memory = Bytes(keys.saturating_mul(SIMULATOR_BYTES_PER_KEY));
    if keys > KEYS_LIMIT || memory > MEMORY_LIMIT {
        let place = root.key_place("keyspace").unwrap_or(root.place);
        let message = format!(
            "{keys} keys in all: simulating them would take {memory}; expected at most {MEMORY_LIMIT}, \
             {} keys",
            (MEMORY_LIMIT.0 / SIMULATOR_BYTES_PER_KEY).min(KEYS_LIMIT)
        );
        check.problem(place, "keyspace", message);
    }
    let requests: f64 = traffic
        .iter()
        .map(|t| {
            drawing::expected_requests(&t.rate, t.from, t.until.min(SimTime(context.duration.0)), context.start_of_day)
        })
        .sum();
    if requests > REQUESTS_LIMIT {
        let place = root.key_place("traffic").unwrap_or(root.place);
        check.problem(place, "traffic", format!("{requests:.1e} requests in all; expected at most {REQUESTS_LIMIT:e}"));
    }
}

/// What `keys` would take, for a number too large to be one.
pub(super) fn memory_for(keys: i128) -> String {
    let bytes = u64::try_from(keys.saturating_mul(i128::from(SIMULATOR_BYTES_PER_KEY))).unwrap_or(u64::MAX);
    Bytes(bytes).to_string()
}
