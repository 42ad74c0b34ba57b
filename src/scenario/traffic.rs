//! `[[traffic]]`: a stream of requests.

use super::document::Context;
use super::drawing::{self, VALUE_SIZE};
use super::elements;
use super::error::{did_you_mean, known_names, quoted};
use super::keys;
use super::reader::{Item, Table};
use super::{ClientGroup, KeyType, Traffic};
use crate::command::{COMMANDS, Command, Needs};
use crate::node::link::{ClientClass, LinkSetup};
use crate::profile::{FieldTtl, Profile};
use crate::units::SimTime;
use crate::workload::{ARRIVALS, Arrivals, Popularity, Ttl};

/// Name of the group of connections of streams that name none.
const DEFAULT_GROUP: &str = "default";

/// One connection without pipelining.
pub(super) fn default_clients() -> ClientGroup {
    ClientGroup {
        name: DEFAULT_GROUP.to_owned(),
        connections: 1,
        pipeline: 1,
        class: ClientClass::Normal,
        link: LinkSetup::default(),
        reconnect: None,
    }
}

/// Reads a stream of requests; adds the default group of connections when the stream needs it.
pub(super) fn traffic(item: &Item<'_>, context: &Context<'_>, groups: &mut Vec<ClientGroup>) -> Option<Traffic> {
    let table = item.table(&keys::TRAFFIC)?;
    let keyspace = table.require("keyspace", "the name of a keyspace").and_then(|item| named_keyspace(&item, context));
    let rate = table.require("rate", "requests a second").and_then(|item| drawing::rate(&item));
    let arrivals =
        table.get("arrivals").map_or(Some(Arrivals::Poisson), |i| i.choice("an arrival process", ARRIVALS, &[]));
    let popularity = table.get("popularity").map_or(Some(Popularity::uniform()), |item| drawing::popularity(&item));
    let kind = keyspace.map(|index| context.keyspaces[index].kind);
    let commands = table.require("commands", "like { GET = 80, SET = 20 }").and_then(|item| commands(&item, kind));
    let on_miss = match table.get("on-miss") {
        Some(item) => Some(on_miss(&item, kind, commands.as_deref())?),
        None => None,
    };
    let clients = match table.get("clients") {
        Some(item) => named_group(&item, groups, ClientClass::Normal),
        None => Some(default_group(groups)),
    };
    let end = SimTime(context.duration.0);
    let from = table.get("from").map_or(Some(SimTime::ZERO), |item| item.instant(context.duration));
    let until = table.get("until").map_or(Some(end), |item| item.instant(context.duration));
    let ttl = optional(&table, "ttl", drawing::ttl)?;
    let write_size = optional(&table, "write-size", |item| drawing::distribution(item, VALUE_SIZE))?;
    let offset = optional(&table, "offset", |item| drawing::distribution(item, VALUE_SIZE))?;
    if let (Some(from), Some(until), Some(item)) = (from, until, table.get("until").or_else(|| table.get("from")))
        && from >= until
    {
        item.refuse("leaves no time for traffic; expected from to be before until");
    }
    let sent: Vec<Command> = commands.iter().flatten().map(|(command, _)| *command).chain(on_miss).collect();
    let elements = elements::choice(&table, &sent, kind);
    if commands.is_some() {
        refuse_unused(&table, &sent);
        refuse_too_new(&table, &sent, context.profile);
        if let Some(index) = keyspace {
            refuse_without_ttl(&table, &sent, ttl.as_ref(), &context.keyspaces[index].ttl);
        }
    }
    table.finish();
    Some(Traffic {
        keyspace: keyspace?,
        rate: rate?,
        arrivals: arrivals?,
        popularity: popularity?,
        commands: commands?,
        on_miss,
        clients: clients?,
        ttl,
        write_size,
        offset,
        elements: elements?,
        from: from?,
        until: until?,
    })
}

/// Keys of a stream that only some commands follow.
const FOLLOWED: &[(&str, &[Command])] = &[
    (
        "ttl",
        &[
            Command::Set,
            Command::SetEx,
            Command::SetPx,
            Command::SetNx,
            Command::SetXx,
            Command::GetEx,
            Command::Expire,
            Command::HExpire,
        ],
    ),
    ("write-size", &[Command::Append, Command::SetRange]),
    ("offset", &[Command::SetRange, Command::SetBit]),
];

/// Refuses keys that no command of the stream follows.
fn refuse_unused(table: &Table<'_>, sent: &[Command]) {
    for (key, followers) in FOLLOWED {
        if let Some(item) = table.get(key).filter(|_| !followers.iter().any(|command| sent.contains(command))) {
            let names: Vec<&str> = followers.iter().map(|command| command.spec().name).collect();
            item.refuse(format!("is used by no command of the stream; expected one of {}", names.join(", ")));
        }
    }
}

/// Refuses commands that set a TTL where there is none.  The keyspace's is that of keys.
fn refuse_without_ttl(table: &Table<'_>, sent: &[Command], own: Option<&Ttl>, of_keys: &Ttl) {
    let ttl = |command: Command| match command {
        Command::HExpire => Some((own, "the stream")),
        Command::SetEx | Command::SetPx | Command::Expire => {
            Some((Some(own.unwrap_or(of_keys)), "the stream or its keyspace"))
        }
        _ => None,
    };
    for &command in sent {
        if let (Some((found, place)), Some(item)) = (ttl(command), table.get("commands"))
            && found.is_none_or(Ttl::is_none)
        {
            let name = command.spec().name;
            item.refuse(format!("holds {name}, which needs a ttl; expected one in {place}"));
            return;
        }
    }
}

/// Refuses what the release does not have.
fn refuse_too_new(table: &Table<'_>, sent: &[Command], profile: &Profile) {
    let name = sent.iter().find(|command| matches!(command, Command::HExpire | Command::HPersist));
    if let Some(command) = name
        && profile.collections.field_ttl == FieldTtl::None
        && let Some(item) = table.get("commands")
    {
        item.refuse(format!(
            "holds {}, which needs TTLs of hash fields, and {} has none; expected a profile of redis-7.4 or later, or \
             valkey-9.1",
            command.spec().name,
            profile.name
        ));
    }
}

/// A key that may be left out; the outer `None` says that it is there and wrong.
#[expect(clippy::option_option, reason = "outer: whether it could be read; inner: whether it was given")]
fn optional<'a, T>(table: &Table<'a>, key: &'static str, read: impl Fn(&Item<'a>) -> Option<T>) -> Option<Option<T>> {
    table.get(key).map_or(Some(None), |item| read(&item).map(Some))
}

/// The index of the keyspace that the value names.
pub(super) fn named_keyspace(item: &Item<'_>, context: &Context<'_>) -> Option<usize> {
    let name = item.text()?;
    let index = context.keyspaces.iter().position(|keyspace| keyspace.name == name);
    if index.is_none() {
        let names: Vec<&str> = context.keyspaces.iter().map(|keyspace| keyspace.name.as_str()).collect();
        item.unknown_name("the name of a keyspace", name, &names);
    }
    index
}

/// The index of the group of connections of this class that the value names.
pub(super) fn named_group(item: &Item<'_>, groups: &[ClientGroup], class: ClientClass) -> Option<usize> {
    let name = item.text()?;
    let index = groups.iter().position(|group| group.name == name);
    match index.map(|index| groups[index].class) {
        None => {
            let fitting = groups.iter().filter(|group| group.class == class);
            let names: Vec<&str> = fitting.map(|group| group.name.as_str()).collect();
            item.unknown_name("the name of a [[clients]] group", name, &names);
        }
        Some(other) if other != class => {
            item.refuse(format!("is a group of class {}; expected one of class {}", other.name(), class.name()));
            return None;
        }
        Some(_) => {}
    }
    index
}

fn default_group(groups: &mut Vec<ClientGroup>) -> usize {
    groups.iter().position(|group| group.name == DEFAULT_GROUP).unwrap_or_else(|| {
        groups.push(default_clients());
        groups.len() - 1
    })
}

fn commands(item: &Item<'_>, kind: Option<KeyType>) -> Option<Vec<(Command, f64)>> {
    let mut commands = Vec::new();
    let mut complete = true;
    for (name, place, value) in item.entries()? {
        if item.check.is_full() {
            return None;
        }
        match find(name) {
            Ok(command) => {
                complete &= fits(&value, command, kind);
                match drawing::weight(&value) {
                    Some(weight) if weight > 0.0 => commands.push((command, weight)),
                    Some(_) => {}
                    None => complete = false,
                }
            }
            Err((message, help)) => {
                item.check.problem_with_help(place, &value.path, message, help);
                complete = false;
            }
        }
    }
    if complete && commands.is_empty() {
        item.refuse("has no command with a weight above 0; expected like { GET = 80, SET = 20 }");
        complete = false;
    }
    complete.then_some(commands)
}

/// The command of this name, or what is wrong with it, and help.
fn find(name: &str) -> Result<Command, (String, Option<String>)> {
    if let Some(command) = Command::find(name) {
        return Ok(command);
    }
    let names: Vec<&str> = COMMANDS.iter().map(|spec| spec.name).collect();
    let guess = did_you_mean(name, &names);
    let expected = if guess.is_empty() { "; expected a command that the model knows" } else { &guess };
    Err((format!("unknown command {}{expected}", quoted(name)), known_names("known commands", &names)))
}

/// Whether a command can be sent to keys of this type; notes why not.
fn fits(item: &Item<'_>, command: Command, kind: Option<KeyType>) -> bool {
    let (Some(kind), Some(needs)) = (kind, command.needs()) else { return true };
    let name = command.spec().name;
    let wrong = match (needs, kind) {
        (Needs::String, KeyType::String | KeyType::Int)
        | (Needs::Bytes, KeyType::String)
        | (Needs::Int, KeyType::Int)
        | (Needs::HyperLogLog, KeyType::HyperLogLog)
        | (Needs::Hash, KeyType::Hash)
        | (Needs::List, KeyType::List)
        | (Needs::Set, KeyType::Set | KeyType::Intset)
        | (Needs::Zset, KeyType::Zset)
        | (Needs::Stream, KeyType::Stream) => return true,
        (Needs::Int, _) => "needs integers; expected a keyspace of type int",
        (Needs::HyperLogLog, _) => "needs HyperLogLogs; expected a keyspace of type hyperloglog",
        (Needs::Bytes, _) => "needs strings; expected a keyspace of type string",
        (Needs::String, _) => "needs strings; expected a keyspace of type string or int",
        (Needs::Hash, _) => "needs hashes; expected a keyspace of type hash",
        (Needs::List, _) => "needs lists; expected a keyspace of type list",
        (Needs::Set, _) => "needs sets; expected a keyspace of type set or intset",
        (Needs::Zset, _) => "needs sorted sets; expected a keyspace of type zset",
        (Needs::Stream, _) => "needs streams; expected a keyspace of type stream",
    };
    item.check.problem(item.node.place, &item.path, format!("{name} {wrong}"));
    false
}

fn on_miss(item: &Item<'_>, kind: Option<KeyType>, commands: Option<&[(Command, f64)]>) -> Option<Command> {
    let name = item.text()?;
    let command = match find(name) {
        Ok(command) => command,
        Err((message, help)) => {
            item.check.problem_with_help(item.node.place, &item.path, message, help);
            return None;
        }
    };
    if !command.spec().creates {
        item.refuse("makes no key; expected a write such as SET");
        return None;
    }
    if !fits(item, command, kind) {
        return None;
    }
    if commands.is_some_and(|commands| !commands.iter().any(|(command, _)| command.spec().read)) {
        item.refuse(
            "follows a read that misses, and the stream has none; expected one among its commands, such as GET",
        );
        return None;
    }
    Some(command)
}
