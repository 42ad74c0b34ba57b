//! `[[clients]]` and `[[channel]]`: groups of connections, how they read, and what is published to them.

use super::directive::Directives;
use super::drawing::{self, VALUE_SIZE};
use super::keys;
use super::reader::{DURATION_LIMIT, Item, Table};
use super::traffic::named_group;
use super::{Channel, ClientGroup};
use crate::node::link::{ClientClass, LinkSetup, ReadRate, SOCKET_BUFFER_DEFAULT, Stall};
use crate::node::replication::ReplicaSetup;
use crate::units::{Bytes, Micros, SimTime};

/// Commands in flight on a connection at most.  *Assumed*: ten times what clients send.
const PIPELINE_LIMIT: u32 = 10_000;
/// Stalls of a group at most.  *Assumed*: more than a scenario tells a story with.
const STALLS_LIMIT: usize = 100;
/// The largest socket buffer, and the highest rate of bytes a second (B).  *Assumed*: beyond any kernel and network.
const LINK_LIMIT: u64 = 1 << 40;

/// A group of connections.
pub(super) fn group(item: &Item<'_>, directives: &Directives, duration: Option<Micros>) -> Option<ClientGroup> {
    let table = item.table(&keys::CLIENTS)?;
    let name = table.require("name", "a name for the group")?.name()?.to_owned();
    let classes = [ClientClass::Normal, ClientClass::Pubsub].map(|class| (class.name(), class));
    // What is wrong is noted; the group has its name all the same, so that streams find it.
    let class = table.get("class").and_then(|class| class.choice("a class of clients", &classes, &[]));
    let class = class.unwrap_or(ClientClass::Normal);
    let most = directives.maxclients();
    let connections = table.get("connections").and_then(|item| item.u32_in(1..=most)).unwrap_or(1);
    let pipeline = table.get("pipeline").and_then(|item| item.u32_in(1..=PIPELINE_LIMIT)).unwrap_or(1);
    let link = link(&table, duration.unwrap_or(DURATION_LIMIT));
    let reconnect = table.get("reconnect").and_then(|item| item.duration());
    refuse_of_other_class(&table, class);
    table.finish();
    Some(ClientGroup { name, connections, pipeline, class, link, reconnect })
}

/// Refuses keys that connections of this class do not follow.
fn refuse_of_other_class(table: &Table<'_>, class: ClientClass) {
    let (key, wrong) = match class {
        ClientClass::Pubsub => ("pipeline", "has no effect on subscribers; expected class = \"normal\""),
        _ => ("reconnect", "has no effect: normal clients reconnect at once; expected class = \"pubsub\""),
    };
    if let Some(item) = table.get(key) {
        item.refuse(wrong);
    }
}

/// `read-rate`, `socket-buffer` and `stalls`: how the far end of a connection reads.
pub(super) fn link(table: &Table<'_>, duration: Micros) -> LinkSetup {
    LinkSetup {
        read_rate: table.get("read-rate").and_then(|item| read_rate(&item)).unwrap_or(ReadRate::Unlimited),
        socket_buffer: table.get("socket-buffer").and_then(|i| buffer(&i)).unwrap_or(SOCKET_BUFFER_DEFAULT),
        stalls: table.get("stalls").and_then(|item| stalls(&item, duration)).unwrap_or_default(),
    }
}

fn buffer(item: &Item<'_>) -> Option<u64> {
    let size = item.size()?;
    if size.0 > LINK_LIMIT {
        item.refuse(format!("is out of range; expected at most {}", Bytes(LINK_LIMIT)));
        return None;
    }
    Some(size.0)
}

fn read_rate(item: &Item<'_>) -> Option<ReadRate> {
    if item.as_text() == Some("unlimited") {
        return Some(ReadRate::Unlimited);
    }
    byte_rate(item, "\"unlimited\", 0, or like \"2mb/s\"").map(ReadRate::PerSecond)
}

/// Bytes a second: a number, or a text like `120mb/s`; `expected` is for the message.
pub(super) fn byte_rate(item: &Item<'_>, expected: &str) -> Option<u64> {
    let bytes = match item.as_text() {
        Some(text) => text.strip_suffix("/s").and_then(Bytes::parse).map(|bytes| bytes.0),
        None => return buffer(item),
    };
    match bytes {
        Some(bytes) if bytes <= LINK_LIMIT => return bytes.into(),
        Some(_) => item.refuse(format!("is out of range; expected at most {} a second", Bytes(LINK_LIMIT))),
        None => item.refuse(format!("is not a rate of bytes; expected {expected}")),
    }
    None
}

fn stalls(item: &Item<'_>, duration: Micros) -> Option<Vec<Stall>> {
    let items = item.items()?;
    if items.len() > STALLS_LIMIT {
        item.refuse(format!("has {} stalls; expected at most {STALLS_LIMIT}", items.len()));
        return None;
    }
    items.iter().map(|stall| read_stall(stall, duration)).collect()
}

fn read_stall(item: &Item<'_>, duration: Micros) -> Option<Stall> {
    let table = item.table(&keys::STALL)?;
    let at = table.require("at", "when it begins, like \"1h\"").and_then(|item| item.instant(duration));
    let lasts = table.require("for", "how long it lasts, like \"2m\"").and_then(|item| item.positive_duration());
    table.finish();
    Some(Stall { at: at?, lasts: lasts? })
}

/// The groups that a channel's `subscribers` name, each once.
fn subscribers(item: &Item<'_>, groups: &[ClientGroup]) -> Option<Vec<usize>> {
    let items = item.one_or_more()?;
    if items.is_empty() {
        item.refuse("names no group; expected the name of a [[clients]] group of class pubsub");
        return None;
    }
    let mut named = Vec::new();
    for item in items {
        let group = named_group(&item, groups, ClientClass::Pubsub)?;
        if named.contains(&group) {
            item.refuse("is named twice; expected each group once");
            return None;
        }
        named.push(group);
    }
    Some(named)
}

/// Bytes a second of a replica's link: a synchronisation over it has to end.
fn link_rate(item: &Item<'_>, expected: &str) -> Option<u64> {
    let rate = byte_rate(item, expected)?;
    if rate == 0 {
        item.refuse("never ends; expected a rate above 0, like \"60mb/s\", or stalls");
        return None;
    }
    Some(rate)
}

/// A replica; in sync at the start unless an event attaches it.
pub(super) fn replica(item: &Item<'_>, duration: Micros) -> Option<ReplicaSetup> {
    let table = item.table(&keys::REPLICA)?;
    let name = table.require("name", "a name for the replica").and_then(|item| item.name());
    let expected = "\"unlimited\", or like \"200mb/s\"";
    let read_rate = match table.get("link") {
        Some(item) if item.as_text() == Some("unlimited") => ReadRate::Unlimited,
        Some(item) => link_rate(&item, expected).map_or(ReadRate::Unlimited, ReadRate::PerSecond),
        None => ReadRate::Unlimited,
    };
    let link = LinkSetup {
        read_rate,
        socket_buffer: table.get("socket-buffer").and_then(|i| buffer(&i)).unwrap_or(SOCKET_BUFFER_DEFAULT),
        stalls: table.get("stalls").and_then(|item| stalls(&item, duration)).unwrap_or_default(),
    };
    table.finish();
    Some(ReplicaSetup { name: name?.to_owned(), link, attached: true })
}

/// A channel.
pub(super) fn channel(item: &Item<'_>, duration: Micros, groups: &[ClientGroup]) -> Option<Channel> {
    let table = item.table(&keys::CHANNEL)?;
    let name = table.require("name", "a name for the channel").and_then(|item| item.name());
    let subscribers = table
        .require("subscribers", "the name of a [[clients]] group of class pubsub")
        .and_then(|item| subscribers(&item, groups));
    let rate = table.require("rate", "messages a second").and_then(|item| drawing::rate(&item));
    let message_size = table
        .require("message-size", "bytes, a number or a distribution")
        .and_then(|item| drawing::distribution(&item, VALUE_SIZE));
    let end = SimTime(duration.0);
    let from = table.get("from").map_or(Some(SimTime::ZERO), |item| item.instant(duration));
    let until = table.get("until").map_or(Some(end), |item| item.instant(duration));
    if let (Some(from), Some(until), Some(item)) = (from, until, table.get("until").or_else(|| table.get("from")))
        && from >= until
    {
        item.refuse("leaves no time for messages; expected from to be before until");
    }
    table.finish();
    Some(Channel {
        name: name?.to_owned(),
        subscribers: subscribers?,
        rate: rate?,
        message_size: message_size?,
        from: from?,
        until: until?,
    })
}
