//! `[[event]]`: something that happens.

use super::directive;
use super::document::{Context, parse_time_of_day};
use super::drawing::{self, VALUE_SIZE};
use super::keyspace::ORDERS;
use super::limits::OCCURRENCES_LIMIT;
use super::reader::{Item, Table};
use super::traffic::named_keyspace;
use super::{Action, KeyType, Order, ScheduledEvent};
use crate::node::FreedBy;
use crate::units::{Micros, SimTime};
use crate::workload::Distribution;

/// A day (µs).
const DAY_US: u64 = 86_400_000_000;

/// A kind of event: its name, its keys besides `at`, `every` and `kind`, and how they are read.
pub(super) struct Kind {
    pub(super) name: &'static str,
    keys: &'static [&'static str],
    read: fn(&Table<'_>, &Context<'_>) -> Option<(Action, String)>,
}

/// Every kind that is modelled.
pub(super) const KINDS: &[Kind] = &[
    Kind { name: "config-set", keys: &["config"], read: config_set },
    Kind { name: "fill", keys: &["keyspace", "from", "keys", "value-size", "batch", "rate"], read: fill },
    Kind { name: "delete", keys: &["keyspace", "share", "order", "rate", "command"], read: delete },
    Kind { name: "overwrite", keys: &["keyspace", "share", "order", "value-size", "rate"], read: overwrite },
    Kind { name: "ttl-lost", keys: &["keyspace", "share", "for"], read: ttl_lost },
    Kind { name: "size-change", keys: &["keyspace", "value-size"], read: size_change },
    Kind { name: "traffic", keys: &["keyspace", "multiply", "for"], read: surge },
    Kind { name: "flushall", keys: &["async"], read: flushall },
    Kind { name: "failover", keys: &["replica"], read: failover },
    Kind { name: "replica-attach", keys: &["replica"], read: replica_attach },
    Kind { name: "memory-purge", keys: &[], read: memory_purge },
    Kind { name: "aof-rewrite", keys: &["duration"], read: aof_rewrite },
    Kind { name: "bgsave", keys: &["duration"], read: bgsave },
];

/// Kinds of the format that are not modelled yet.
const KINDS_PLANNED: &[&str] = &[];

/// Keys of every event.
const COMMON: &[&str] = &["kind", "at", "every"];

/// Every key of an event, once.
pub(super) fn known_keys() -> Vec<&'static str> {
    let mut keys: Vec<&str> = COMMON.iter().chain(KINDS.iter().flat_map(|kind| kind.keys)).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Reads an event.
pub(super) fn event(item: &Item<'_>, context: &Context<'_>) -> Option<ScheduledEvent> {
    let Some((_, _, kind_item)) = item.entries()?.into_iter().find(|(key, ..)| *key == "kind") else {
        let path = super::reader::join(&item.path, "kind");
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        item.check.problem(item.node.place, &path, format!("missing; expected one of {}", names.join(", ")));
        return None;
    };
    let kinds: Vec<(&str, usize)> = KINDS.iter().enumerate().map(|(index, kind)| (kind.name, index)).collect();
    let kind = &KINDS[kind_item.choice("a kind of event", &kinds, KINDS_PLANNED)?];
    let keys: Vec<&'static str> = COMMON.iter().chain(kind.keys).copied().collect();
    let table = item.table_of(&keys, &[])?;
    table.get("kind");
    let at = schedule(&table, context);
    let (action, detail) = (kind.read)(&table, context)?;
    let label = format!("{} {detail}", kind.name).trim_end().to_owned();
    Some(ScheduledEvent { at: at?, action, label })
}

fn schedule(table: &Table<'_>, context: &Context<'_>) -> Option<Vec<SimTime>> {
    let every = table.get("every");
    let at = table.get("at");
    if every.is_none() && at.is_none() {
        table.require("at", "when it happens, like \"45m\" or \"daily 03:00\"");
        return None;
    }
    let (first, period) = match (&at, &every) {
        (Some(at), None) if is_daily(at) => (daily(at, context)?, DAY_US),
        (Some(at), None) => (at.instant(context.duration)?, 0),
        (Some(at), Some(_)) if is_daily(at) => {
            at.refuse("stands beside every; expected a time of the run, like \"45m\", or no every");
            return None;
        }
        (at, Some(every)) => {
            let period = every.positive_duration()?;
            let first = at.as_ref().map_or(Some(SimTime(period.0)), |at| at.instant(context.duration))?;
            (first, period.0)
        }
        (None, None) => return None,
    };
    let item = at.or(every)?;
    if first.0 > context.duration.0 {
        item.refuse(format!("is after the end of the run; expected it within {}", context.duration));
        return None;
    }
    let count = (context.duration.0 - first.0).checked_div(period).unwrap_or(0) + 1;
    if count > OCCURRENCES_LIMIT {
        item.refuse(format!("makes {count} occurrences; expected at most {OCCURRENCES_LIMIT}"));
        return None;
    }
    Some((0..count).map(|n| SimTime(first.0 + n * period)).collect())
}

fn is_daily(at: &Item<'_>) -> bool {
    at.as_text().is_some_and(|text| text.trim_start().starts_with("daily"))
}

/// The first time of `daily HH:MM`.
fn daily(item: &Item<'_>, context: &Context<'_>) -> Option<SimTime> {
    let time = item.text()?.trim_start().strip_prefix("daily").and_then(|rest| parse_time_of_day(rest.trim()));
    let Some(time) = time else {
        item.refuse("is not a time of day; expected like \"daily 03:00\"");
        return None;
    };
    Some(SimTime((time.0 + DAY_US - context.start_of_day.0) % DAY_US))
}

/// The keyspace that an event touches: index and name.
fn keyspace(table: &Table<'_>, context: &Context<'_>) -> Option<(usize, String)> {
    let index = named_keyspace(&table.require("keyspace", "the name of a keyspace")?, context)?;
    Some((index, context.keyspaces[index].name.clone()))
}

fn share(table: &Table<'_>) -> Option<f64> {
    table.get("share").map_or(Some(1.0), |item| item.number_in(0.0..=1.0))
}

fn order(table: &Table<'_>) -> Option<Order> {
    table.get("order").map_or(Some(Order::Random), |item| item.choice("an order", &ORDERS, &[]))
}

#[expect(clippy::option_option, reason = "outer: whether it could be read; inner: whether it was given")]
fn rate(table: &Table<'_>) -> Option<Option<f64>> {
    table.get("rate").map_or(Some(None), |item| item.positive_rate().map(Some))
}

#[expect(clippy::option_option, reason = "outer: whether it could be read; inner: whether it was given")]
fn size(table: &Table<'_>, context: &Context<'_>, keyspace: usize) -> Option<Option<Distribution>> {
    table.get("value-size").map_or(Some(None), |item| sized(&item, context, keyspace).map(Some))
}

/// New sizes for the values of a family of strings.
fn sized(item: &Item<'_>, context: &Context<'_>, keyspace: usize) -> Option<Distribution> {
    match context.keyspaces[keyspace].kind {
        KeyType::String => {}
        KeyType::Int => {
            item.refuse("has no meaning for integers; expected a keyspace of type string");
            return None;
        }
        _ => {
            item.refuse("is not modelled for collections; expected a keyspace of type string");
            return None;
        }
    }
    drawing::distribution(item, VALUE_SIZE)
}

fn lasting(table: &Table<'_>) -> Option<Micros> {
    table.require("for", "how long it lasts, like \"5m\"")?.positive_duration()
}

fn config_set(table: &Table<'_>, _: &Context<'_>) -> Option<(Action, String)> {
    let item = table.require("config", "directives, like { maxmemory = \"2gb\" }")?;
    let (settings, detail) = directive::runtime_settings(&item)?;
    Some((Action::ConfigSet(settings), detail))
}

fn fill(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    let (keyspace, name) = keyspace(table, context)?;
    let all = context.keyspaces[keyspace].keys;
    let from = table.get("from").map_or(Some(0), |item| item.u32_in(0..=all.saturating_sub(1)))?;
    let keys = table.get("keys").map_or(Some(all - from), |item| item.u32_in(1..=all - from))?;
    let rate = table.require("rate", "keys a second")?.positive_rate()?;
    let batch = match table.get("batch") {
        None => None,
        Some(item) if context.keyspaces[keyspace].kind.collection().is_none() => {
            item.refuse("has no meaning for strings; expected a keyspace of collections");
            return None;
        }
        Some(item) => Some(item.u32_in(1..=u32::MAX)?),
    };
    let action = Action::Fill { keyspace, from, keys, value_size: size(table, context, keyspace)?, batch, rate };
    Some((action, format!("{name}: {keys} keys")))
}

fn delete(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    let (keyspace, name) = keyspace(table, context)?;
    let share = share(table)?;
    let commands = [("DEL", FreedBy::Del), ("UNLINK", FreedBy::Unlink)];
    let by = table.get("command").map_or(Some(FreedBy::Del), |item| item.choice("a command", &commands, &[]))?;
    let action = Action::Delete { keyspace, share, order: order(table)?, rate: rate(table)?, by };
    Some((action, format!("{name}: {} %", share * 100.0)))
}

fn overwrite(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    let item = table.require("keyspace", "the name of a keyspace")?;
    let (keyspace, name) = keyspace(table, context)?;
    if context.keyspaces[keyspace].kind.collection().is_some() {
        item.refuse("is a family of collections, whose elements are not written again; expected one of strings");
        return None;
    }
    let share = share(table)?;
    let value_size = size(table, context, keyspace)?;
    let action = Action::Overwrite { keyspace, share, order: order(table)?, value_size, rate: rate(table)? };
    Some((action, format!("{name}: {} %", share * 100.0)))
}

fn ttl_lost(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    let (keyspace, name) = keyspace(table, context)?;
    let share = share(table)?;
    let lasts = lasting(table)?;
    Some((Action::TtlLost { keyspace, share, lasts }, format!("{name}: {} % of writes for {lasts}", share * 100.0)))
}

fn size_change(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    let (keyspace, name) = keyspace(table, context)?;
    let value_size = sized(&table.require("value-size", "the new size")?, context, keyspace)?;
    Some((Action::SizeChange { keyspace, value_size }, name))
}

fn surge(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    let keyspace = match table.get("keyspace") {
        Some(item) => Some(named_keyspace(&item, context)?),
        None => None,
    };
    let multiply = table.require("multiply", "a factor")?.number_in(0.0..=1e6)?;
    let lasts = lasting(table)?;
    let name = keyspace.map_or("all", |index| context.keyspaces[index].name.as_str());
    Some((Action::Traffic { keyspace, multiply, lasts }, format!("{name} × {multiply} for {lasts}")))
}

fn failover(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    if context.replicas.is_empty() {
        if let Some(item) = table.get("kind") {
            item.refuse("has no replica to turn to; expected a [[replica]]");
        }
        return None;
    }
    let Some(item) = table.get("replica") else { return Some((Action::Failover { to: None }, String::new())) };
    let replica = named_replica(&item, context)?;
    Some((Action::Failover { to: Some(replica) }, context.replicas[replica].clone()))
}

fn replica_attach(table: &Table<'_>, context: &Context<'_>) -> Option<(Action, String)> {
    let replica = named_replica(&table.require("replica", "the name of a replica")?, context)?;
    Some((Action::ReplicaAttach { replica }, context.replicas[replica].clone()))
}

fn named_replica(item: &Item<'_>, context: &Context<'_>) -> Option<usize> {
    let name = item.text()?;
    let found = context.replicas.iter().position(|replica| replica == name);
    if found.is_none() {
        let names: Vec<&str> = context.replicas.iter().map(String::as_str).collect();
        item.unknown_name("a replica", name, &names);
    }
    found
}

fn memory_purge(_: &Table<'_>, _: &Context<'_>) -> Option<(Action, String)> {
    Some((Action::MemoryPurge, String::new()))
}

fn bgsave(table: &Table<'_>, _: &Context<'_>) -> Option<(Action, String)> {
    let (duration, label) = child_duration(table)?;
    Some((Action::Bgsave { duration }, label))
}

fn aof_rewrite(table: &Table<'_>, _: &Context<'_>) -> Option<(Action, String)> {
    let (duration, label) = child_duration(table)?;
    Some((Action::AofRewrite { duration }, label))
}

/// How long a child lives, where the event says so.
fn child_duration(table: &Table<'_>) -> Option<(Option<Micros>, String)> {
    let duration = match table.get("duration") {
        Some(item) => Some(item.positive_duration()?),
        None => None,
    };
    Some((duration, duration.map_or(String::new(), |span| format!("of {span}"))))
}

fn flushall(table: &Table<'_>, _: &Context<'_>) -> Option<(Action, String)> {
    if let Some(item) = table.get("async")
        && item.boolean()?
    {
        item.refuse("is not modelled yet; expected false");
        return None;
    }
    Some((Action::Flushall, String::new()))
}
