//! The document as a whole: the top level, the server, connections, costs, policy; then the limits over all of it.

use super::cluster;
use super::connections;
use super::directive::Directives;
use super::error::{Check, Place, ScenarioError};
use super::keys;
use super::limits;
use super::reader::{DURATION_LIMIT, Item, Table};
use super::tree;
use super::{
    Action, Channel, ClientGroup, Keyspace, Policy, Scenario, ScheduledEvent, Traffic, View, event, keyspace,
    threshold, traffic,
};
use crate::node::config::{Costs, ServerConfig};
use crate::node::cow::PageSize;
use crate::node::host::{HostSetup, OvercommitMemory};
use crate::node::replication::ReplicaSetup;
use crate::profile::{Allocator, PROFILES, Profile};
use crate::units::{Bytes, Micros};
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Families of keys at most: a key remembers its family in a byte.
const KEYSPACES_LIMIT: usize = 255;
/// Streams, groups and events at most.  *Assumed*: above any scenario that a person reads.
const TABLES_LIMIT: usize = 10_000;
/// Size of a scenario, and of each file it includes, at most (B).  *Assumed*: above any that a person writes.
pub const TEXT_LIMIT: usize = 4 << 20;
/// Memory of a machine at most (B).  *Assumed*: a PiB is above any.
const HOST_LIMIT: u64 = 1 << 50;
/// Replicas at most.  *Assumed*: above any in use.
const REPLICAS_LIMIT: usize = 1_000;
/// Samples of the timeline at most.
const SAMPLES_LIMIT: u64 = 100_000;
/// Samples of the timeline unless the scenario says otherwise.
const SAMPLES_DEFAULT: u64 = 1000;
/// Default distance between samples is at least cron's period.
const SAMPLE_INTERVAL_MIN: Micros = Micros::from_millis(100);
/// Shortest distance between samples.
const SAMPLE_INTERVAL_LIMIT: Micros = Micros::from_millis(1);
/// What one piece of work may cost (ns).
const COST_LIMIT_NS: f64 = 1e9;
/// Repetitions at most.
pub const RUNS_LIMIT: u32 = 10_000;

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
    pub(super) profile: &'static Profile,
    pub(super) keyspaces: &'a [Keyspace],
    /// Names of the replicas.
    pub(super) replicas: &'a [String],
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
    if input.text.len() > TEXT_LIMIT {
        let message = format!("the scenario is too large; expected at most {TEXT_LIMIT} bytes");
        check.problem(Place { source, start: 0, end: 0 }, "", message);
        return Err(check.into_error().unwrap_or_else(|| Check::unexplained(input.name, "")));
    }
    let scenario = tree::parse_document(&check, source, input.text).and_then(|mut node| {
        for (path, value) in input.overrides {
            tree::apply_override(&check, &mut node, path, value);
        }
        let includes = Includes { base: input.base, read, files: Cell::new(0) };
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
    /// Files read so far.
    pub(super) files: Cell<usize>,
}

/// What to say of the release, the allocator and the mode that no measurement confirms.
fn unconfirmed(profile: &Profile, allocator: Allocator, config: &ServerConfig) -> Vec<String> {
    let cluster = if config.cluster_enabled { profile.unconfirmed_cluster() } else { None };
    profile.unconfirmed(allocator).into_iter().chain(cluster).collect()
}

fn document(check: &Check, root: &Item<'_>, includes: &Includes<'_>, hash: &mut Sha256) -> Option<Scenario> {
    let table = root.table(&keys::ROOT)?;
    let duration =
        table.require("duration", "how long the run lasts, like \"24h\"").and_then(|i| i.positive_duration());
    let times = times(&table, duration);
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
        named(&table, "clients", TABLES_LIMIT, |item| connections::group(item, &directives, duration));
    let duration = duration?;
    let mut replicas = named(&table, "replica", REPLICAS_LIMIT, |item| connections::replica(item, duration));
    let names: Vec<String> = replicas.iter().map(|replica: &ReplicaSetup| replica.name.clone()).collect();
    let start_of_day = times.start_of_day;
    let context = Context { duration, start_of_day, profile, keyspaces: &keyspaces, replicas: &names };
    let (traffic, events) = requests(&table, &context, all_read, &mut clients);
    if clients.is_empty() {
        clients.push(traffic::default_clients());
    }
    // A replica that an event attaches is not there before.
    for event in &events {
        if let Action::ReplicaAttach { replica } = event.action {
            replicas[replica].attached = false;
        }
    }
    let channels: Vec<Channel> =
        named(&table, "channel", TABLES_LIMIT, |item| connections::channel(item, duration, &clients));
    let scenario = Scenario {
        title: table.get("title").and_then(|item| item.line()).unwrap_or_default().to_owned(),
        description: table.get("description").and_then(|item| item.text()).unwrap_or_default().to_owned(),
        duration,
        warmup: times.warmup,
        sample_interval: times.sample_interval,
        seed: table.get("seed").and_then(|i| i.integer_in(0..=i128::from(i64::MAX))).unwrap_or(1) as u64,
        start_of_day: times.start_of_day,
        runs: table.get("runs").and_then(|item| item.u32_in(1..=RUNS_LIMIT)).unwrap_or(1),
        profile,
        allocator,
        costs: costs(&table),
        host: host(&table, directives.config().disable_thp),
        policy: policy(&table),
        thresholds: table.get("thresholds").map(|item| threshold::thresholds(&item)).unwrap_or_default(),
        warnings: directives
            .warnings()
            .into_iter()
            .chain(unconfirmed(profile, allocator, &directives.config()))
            .collect(),
        directives: directives.written(),
        config: directives.into_config(),
        keyspaces,
        traffic,
        clients,
        channels,
        replicas,
        view: View::Primary,
        events,
        sha256: String::new(),
    };
    table.finish();
    // What is wrong already may well be what is beyond a limit.
    if check.count() == 0 {
        limits::limits(check, &table, &scenario);
        cluster::refuse_unmodelled(check, &table, &scenario);
    }
    Some(scenario)
}

/// Tables of a list, each under a name of its own; those that cannot be read are left out, their problems noted.
fn named<'a, T>(table: &Table<'a>, key: &'static str, most: usize, read: impl FnMut(&Item<'_>) -> Option<T>) -> Vec<T> {
    let items = table.list(key, most);
    refuse_same_names(&items);
    items.iter().filter_map(read).collect()
}

/// Streams and events.  With a family unread, names would be reported as unknown that are not.
fn requests(
    table: &Table<'_>,
    context: &Context<'_>,
    all_read: bool,
    clients: &mut Vec<ClientGroup>,
) -> (Vec<Traffic>, Vec<ScheduledEvent>) {
    let (traffic, events) = (table.list("traffic", TABLES_LIMIT), table.list("event", TABLES_LIMIT));
    if !all_read {
        return (Vec::new(), Vec::new());
    }
    let traffic = traffic.iter().filter_map(|item| traffic::traffic(item, context, clients)).collect();
    (traffic, events.iter().filter_map(|item| event::event(item, context)).collect())
}

/// Times of the top level.
struct Times {
    warmup: Micros,
    sample_interval: Micros,
    start_of_day: Micros,
}

fn times(table: &Table<'_>, duration: Option<Micros>) -> Times {
    // Without a duration nothing can be said of an interval.
    let known = duration.is_some();
    let duration = duration.unwrap_or(DURATION_LIMIT);
    let warmup = table.get("warmup").and_then(|item| item.instant(duration)).unwrap_or_default();
    let default = Micros((duration.0 / SAMPLES_DEFAULT).max(SAMPLE_INTERVAL_MIN.0));
    let sample_interval = table.get("sample-interval").and_then(|item| {
        let interval = item.positive_duration()?;
        let least = Micros(duration.0.div_ceil(SAMPLES_LIMIT)).max(SAMPLE_INTERVAL_LIMIT);
        if known && interval < least {
            item.refuse(format!("is too short; expected at least {least}, for at most {SAMPLES_LIMIT} samples"));
        }
        Some(interval)
    });
    let start_of_day = table.get("start-of-day").and_then(|item| time_of_day(&item)).unwrap_or_default();
    Times { warmup: Micros(warmup.0), sample_interval: sample_interval.unwrap_or(default), start_of_day }
}

/// A time of day, `HH:MM` or `HH:MM:SS`.
fn time_of_day(item: &Item<'_>) -> Option<Micros> {
    let parsed = parse_time_of_day(item.text()?);
    if parsed.is_none() {
        item.refuse("is not a time of day; expected like \"08:30\"");
    }
    parsed
}

/// `08:30` or `08:30:15` as the time since midnight.
pub(super) fn parse_time_of_day(text: &str) -> Option<Micros> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
    let number = |digits: &str| {
        let all_digits = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        all_digits.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (hours, minutes, seconds) = (number(hours)?, number(minutes)?, number(seconds)?);
    let exists = hours < 24 && minutes < 60 && seconds < 60;
    exists.then(|| Micros::from_secs(hours * 3600 + minutes * 60 + seconds))
}

fn server(root: &Table<'_>, includes: &Includes<'_>, hash: &mut Sha256) -> (&'static Profile, Allocator, Directives) {
    let default = PROFILES.iter().find(|profile| profile.name == "redis-7.2").unwrap_or(&PROFILES[0]);
    let mut directives = Directives::default();
    directives.set_defaults(default);
    let Some(table) = root.get("server").and_then(|item| item.table(&keys::SERVER)) else {
        return (default, Allocator::Bundled, directives);
    };
    let profiles: Vec<(&str, &'static Profile)> = PROFILES.iter().map(|profile| (profile.name, profile)).collect();
    let profile = table.get("profile").and_then(|item| item.choice("a profile", &profiles, &[]));
    let allocators = Allocator::ALL.map(|allocator| (allocator.name(), allocator));
    let allocator = table.get("allocator").and_then(|item| item.choice("an allocator", &allocators, &[]));
    directives.set_defaults(profile.unwrap_or(default));
    for file in table.get("include").and_then(|item| item.one_or_more()).unwrap_or_default() {
        super::redis_conf::include(&file, includes, &mut directives, hash);
    }
    if let Some(config) = table.get("config") {
        directives.read_table(&config);
    }
    table.finish();
    (profile.unwrap_or(default), allocator.unwrap_or(Allocator::Bundled), directives)
}

fn costs(root: &Table<'_>) -> Costs {
    let mut costs = Costs::default();
    let Some(table) = root.get("costs").and_then(|item| item.table(&keys::COSTS)) else { return costs };
    let nanos = |key: &'static str| table.get(key).and_then(|item| cost(&item));
    costs.expire_key_ns = nanos("expire-key").unwrap_or(costs.expire_key_ns);
    costs.evict_key_ns = nanos("evict-key").unwrap_or(costs.evict_key_ns);
    let buckets = |key: &'static str| table.get(key).and_then(|item| item.u32_in(1..=1_000_000)).map(u64::from);
    costs.rehash_buckets_per_ms = buckets("rehash-buckets-per-ms").unwrap_or(costs.rehash_buckets_per_ms);
    let cached = buckets("rehash-buckets-per-ms-cached").unwrap_or(costs.rehash_buckets_per_ms_cached);
    costs.rehash_buckets_per_ms_cached = cached.max(costs.rehash_buckets_per_ms);
    costs.cpu_cache = table.get("cpu-cache").and_then(|item| item.size()).map_or(costs.cpu_cache, |size| size.0);
    costs.free_block_far_ns = nanos("free-block").unwrap_or(costs.free_block_far_ns);
    costs.free_block_cached_ns = nanos("free-block-cached").unwrap_or(costs.free_block_cached_ns);
    costs.free_block_in_order_ns = nanos("free-block-in-order").unwrap_or(costs.free_block_in_order_ns);
    costs.snapshot_key_ns = nanos("snapshot-key").unwrap_or(costs.snapshot_key_ns);
    costs.fork_per_gib_us = nanos("fork-per-gb").map_or(costs.fork_per_gib_us, |nanos| nanos / 1000);
    table.finish();
    costs
}

/// A size of the machine.
fn host_size(item: &Item<'_>) -> Option<Bytes> {
    let size = item.size()?;
    if size.0 > HOST_LIMIT {
        item.refuse(format!("is out of range; expected at most {}", Bytes(HOST_LIMIT)));
        return None;
    }
    Some(size)
}

/// The machine; huge pages reach the server only where it does not turn them off itself.
fn host(root: &Table<'_>, disable_thp: bool) -> HostSetup {
    let mut host = HostSetup::default();
    let Some(table) = root.get("host").and_then(|item| item.table(&keys::HOST)) else { return host };
    host.memory = table.get("memory").and_then(|item| host_size(&item));
    if let Some(item) = table.get("transparent-hugepages") {
        let always =
            item.choice("a mode of huge pages", &[("always", true), ("madvise", false), ("never", false)], &[]);
        host.page_size = if always == Some(true) && !disable_thp { PageSize::Huge } else { PageSize::Small };
    }
    if let Some(mode) = table.get("overcommit-memory").and_then(|item| item.u32_in(0..=2)) {
        host.overcommit_memory =
            [OvercommitMemory::Heuristic, OvercommitMemory::Always, OvercommitMemory::Never][mode as usize];
    }
    host.os_reserve = table.get("os-reserve").and_then(|item| host_size(&item)).unwrap_or(host.os_reserve);
    host.snapshot_rate = host_rate(&table, "snapshot-rate");
    host.disk_rate = host_rate(&table, "disk-rate");
    host.network_rate = host_rate(&table, "network-rate");
    table.finish();
    host
}

/// A rate of the host: nothing would ever end at none.
fn host_rate(table: &Table<'_>, key: &'static str) -> Option<u64> {
    let item = table.get(key)?;
    let rate = connections::byte_rate(&item, "like \"60mb/s\"")?;
    if rate == 0 {
        item.refuse("never ends; expected a rate above 0, like \"60mb/s\"");
        return None;
    }
    Some(rate)
}

/// What one piece of work costs (ns): the one place where fractions of a microsecond count.
fn cost(item: &Item<'_>) -> Option<u64> {
    let text = item.as_text().map(str::trim).unwrap_or_default();
    let in_unit = |unit: &str| text.strip_suffix(unit).and_then(|number| number.trim().parse::<f64>().ok());
    let nanos = in_unit("us").map(|us| us * 1e3).or_else(|| in_unit("ns"));
    let nanos = nanos.or_else(|| Micros::parse(text).map(|span| span.0 as f64 * 1e3));
    let nanos = nanos.filter(|nanos: &f64| (0.0..=COST_LIMIT_NS).contains(nanos));
    if nanos.is_none() {
        item.refuse("is not a cost; expected a time like \"4us\" or \"850ns\", at most \"1s\"");
    }
    nanos.map(|nanos| nanos.round() as u64)
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
    if let Some(share) = table.get("host-utilisation").and_then(|item| item.number_in(0.01..=1.0)) {
        policy.host_utilisation = share;
    }
    if let Some(span) = table.get("alarm-for").and_then(|item| item.duration()) {
        policy.alarm_for = span;
    }
    table.finish();
    policy
}

fn refuse_same_names(items: &[Item<'_>]) {
    let mut seen = BTreeSet::new();
    for item in items {
        let Some(name) = tree::name_of(item.node) else { continue };
        if seen.insert(name) {
            continue;
        }
        let entries = item.entries().unwrap_or_default();
        if let Some((_, _, value)) = entries.iter().find(|(key, ..)| *key == "name") {
            value.refuse("is the name of another; expected names to differ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_have_minutes_and_may_have_seconds() {
        let seconds = |text| parse_time_of_day(text).map(|time| time.0 / 1_000_000);
        assert_eq!(seconds("08:30"), Some(30_600));
        assert_eq!(seconds("08:30:15"), Some(30_615));
        for wrong in ["8", "24:00", "08:60", "08:30:60", "08:30:1x", "08:30:15:00", ""] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
