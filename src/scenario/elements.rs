//! Elements of collections: what they are, and which of them a stream of requests touches.

use super::drawing::{self, COUNT_OF_ELEMENTS, ELEMENTS, KEY_LENGTH, SCORE};
use super::keys;
use super::reader::{Item, Table};
use super::{ElementChoice, ElementShape, KeyType, Scenario, Score};
use crate::command::Command;
use crate::units::Micros;
use crate::workload::{Distribution, Popularity};

/// Fields of a stream's entry at most.  *Assumed*: above any in use.
const FIELDS_LIMIT: u32 = 1_000;
/// Elements that a collection can be trimmed to at most.
const TRIM_LIMIT: i128 = 1 << 40;
/// Length of the names of a stream's fields where the scenario does not say (B).  *assumed*: names like "payload".
const FIELD_LENGTH: u64 = 7;

impl Scenario {
    /// Whether fields of hashes get a TTL.
    #[must_use]
    pub fn has_field_ttls(&self) -> bool {
        let mut sent = self.traffic.iter().flat_map(|traffic| &traffic.commands);
        sent.any(|&(command, _)| command == Command::HExpire)
    }
}

/// Keys of a keyspace that only some types have, and those types.
const OF_TYPES: &[(&str, &[KeyType])] = &[
    (
        "elements",
        &[
            KeyType::HyperLogLog,
            KeyType::Hash,
            KeyType::Set,
            KeyType::Intset,
            KeyType::Zset,
            KeyType::List,
            KeyType::Stream,
        ],
    ),
    ("field-length", &[KeyType::Hash, KeyType::Stream]),
    ("member-length", &[KeyType::Set, KeyType::Zset]),
    ("fields", &[KeyType::Stream]),
    ("id-step", &[KeyType::Stream]),
    ("score", &[KeyType::Zset]),
    ("step", &[KeyType::Intset]),
];

/// What the elements of a family are; the outer `None` says that something is wrong.
#[expect(clippy::option_option, reason = "outer: whether it could be read; inner: whether the type has elements")]
pub(super) fn shape(table: &Table<'_>, kind: Option<KeyType>) -> Option<Option<ElementShape>> {
    let kind = kind?;
    let mut complete = true;
    for (key, types) in OF_TYPES {
        if let Some(item) = table.get(key).filter(|_| !types.contains(&kind)) {
            item.refuse("has no meaning for this type; expected it to be left out");
            complete = false;
        }
    }
    if kind.collection().is_none() && kind != KeyType::HyperLogLog {
        return complete.then_some(None);
    }
    let count = table.get("elements").map_or(Some(Distribution::fixed(0)), |i| drawing::distribution(&i, ELEMENTS));
    let length = length(table, kind);
    let fields = table.get("fields").map_or(Some(1), |item| item.u32_in(1..=FIELDS_LIMIT));
    let id_step = table.get("id-step").map_or(Some(Micros::from_millis(1)), |item| item.positive_duration());
    let score = table.get("score").map_or(Some(Score::Increasing(1.0)), |item| score(&item));
    let step = table.get("step").map_or(Some(1), |item| item.integer_in(1..=i128::from(u32::MAX)));
    complete.then_some(Some(ElementShape {
        count: count?,
        length: length?,
        fields: fields?,
        id_step: id_step?,
        score: score?,
        step: step? as i64,
    }))
}

/// Length of a field or a member.
fn length(table: &Table<'_>, kind: KeyType) -> Option<Distribution> {
    let of = |key, expected| table.require(key, expected).and_then(|item| drawing::distribution(&item, KEY_LENGTH));
    match kind {
        KeyType::Hash => of("field-length", "the length of a field in bytes"),
        KeyType::Set | KeyType::Zset => of("member-length", "the length of a member in bytes"),
        KeyType::Stream => match table.get("field-length") {
            Some(item) => drawing::distribution(&item, KEY_LENGTH),
            None => Some(Distribution::fixed(FIELD_LENGTH)),
        },
        _ => Some(Distribution::fixed(0)),
    }
}

/// `"increasing"`, `{ step = 1.5 }`, or a distribution.
fn score(item: &Item<'_>) -> Option<Score> {
    if item.as_text() == Some("increasing") {
        return Some(Score::Increasing(1.0));
    }
    if item.has("step") {
        let table = item.table(&keys::SCORE)?;
        let step = table.get("step").and_then(|step| step.number_in(-1e15..=1e15));
        table.finish();
        return step.map(Score::Increasing);
    }
    if item.as_text().is_some() {
        item.refuse("is no kind of score; expected \"increasing\", { step = 1.5 } or a distribution");
        return None;
    }
    drawing::distribution(item, SCORE).map(Score::Drawn)
}

/// `elements`, `element-popularity`, `count`, `group` and `trim` of a stream of requests.
pub(super) fn choice(table: &Table<'_>, sent: &[Command], kind: Option<KeyType>) -> Option<ElementChoice> {
    let keys = ["elements", "element-popularity", "count", "group", "trim"];
    let distinct = kind == Some(KeyType::HyperLogLog);
    for item in keys.iter().filter(|&&key| key != "elements" || !distinct).filter_map(|key| table.get(key)) {
        if kind.is_some_and(|kind| kind.collection().is_none()) {
            let what = if distinct { "HyperLogLogs" } else { "strings" };
            item.refuse(format!("has no meaning for {what}; expected a keyspace of collections"));
            return None;
        }
    }
    let new = match table.get("elements") {
        None => None,
        Some(item) => match item.as_text() {
            Some("new") => Some(1.0),
            Some("existing") => Some(0.0),
            _ => Some(new_share(&item)?),
        },
    };
    let popularity = match table.get("element-popularity") {
        Some(item) => drawing::popularity(&item)?,
        None => Popularity::uniform(),
    };
    let trim = match table.get("trim") {
        Some(item) => Some(trim(&item, sent)?),
        None => None,
    };
    let count = match table.get("count") {
        Some(item) => count(&item, sent)?,
        None => Distribution::fixed(1),
    };
    let group = match table.get("group") {
        Some(item) => group(&item, sent)?,
        None => 0,
    };
    Some(ElementChoice { new, popularity, count, group, trim })
}

fn new_share(item: &Item<'_>) -> Option<f64> {
    if !item.is_table() {
        item.refuse("is no choice of elements; expected \"new\", \"existing\" or { new = 0.1 }");
        return None;
    }
    let table = item.table(&keys::ELEMENTS)?;
    let share = table.require("new", "the share of new elements").and_then(|share| share.number_in(0.0..=1.0));
    table.finish();
    share
}

fn count(item: &Item<'_>, sent: &[Command]) -> Option<Distribution> {
    if !sent.iter().any(|command| command.takes_several()) {
        item.refuse("is used by no command of the stream; expected one that takes several elements, such as HSET");
        return None;
    }
    drawing::distribution(item, COUNT_OF_ELEMENTS)
}

fn group(item: &Item<'_>, sent: &[Command]) -> Option<u8> {
    if !sent.iter().any(|command| matches!(command, Command::XReadGroup | Command::XAck)) {
        item.refuse("is used by no command of the stream; expected XREADGROUP or XACK");
        return None;
    }
    item.integer_in(0..=i128::from(u8::MAX)).and_then(|number| u8::try_from(number).ok())
}

fn trim(item: &Item<'_>, sent: &[Command]) -> Option<u64> {
    let trims = [Command::LPush, Command::RPush, Command::LTrim, Command::XAdd, Command::ZAdd, Command::ZIncrBy];
    if !sent.iter().any(|command| trims.contains(command)) {
        let names: Vec<&str> = trims.iter().map(|command| command.spec().name).collect();
        item.refuse(format!("is used by no command of the stream; expected one of {}", names.join(", ")));
        return None;
    }
    item.integer_in(0..=TRIM_LIMIT).and_then(|most| u64::try_from(most).ok())
}
