//! `capsim bytes`: what one key costs, block by block.

use super::exit::{Exit, Failure};
use super::output;
use crate::bytes::{self, Answer, Groups, Question, TimedFields, Value};
use crate::layout::Limits;
use crate::profile::{Allocator, PROFILES, Profile};
use crate::report;
use crate::units::Bytes;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};

/// Most keys of one database.
const KEYS_LIMIT: i64 = 1 << 40;
/// Most fields of a stream's entry.
const FIELDS_LIMIT: i64 = 1000;
/// Most groups of a stream, and consumers of a group.
const GROUPS_LIMIT: i64 = 1000;

/// Arguments of `capsim bytes`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    kind: Kind,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Length of the key.
    #[arg(long, value_name = "SIZE", value_parser = length, default_value = "16", global = true)]
    key: u64,
    /// The key has a time of expiry.
    #[arg(long, global = true)]
    ttl: bool,
    /// Keys like it in the database: for its share in the tables.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=KEYS_LIMIT.cast_unsigned()),
          default_value = "1000000", global = true)]
    keys: u64,
    /// Server release.
    #[arg(long, value_parser = PossibleValuesParser::new(PROFILES.iter().map(|profile| profile.name)),
          default_value = "redis-7.2", global = true)]
    profile: String,
    /// The release's own jemalloc, the distribution's, or glibc's malloc.
    #[arg(long, value_enum, default_value = "bundled", global = true)]
    allocator: Build,
    /// Every release and allocator, a row each.
    #[arg(long, conflicts_with_all = ["profile", "allocator"], global = true)]
    all_profiles: bool,
    /// A threshold of redis.conf: hash-max-listpack-entries=128, list-max-listpack-size=-1.
    #[arg(long = "config", value_name = "NAME=VALUE", allow_hyphen_values = true, global = true)]
    config: Vec<String>,
    /// Small integers are no shared objects: maxmemory is set, with an LRU or LFU policy.
    #[arg(long, global = true)]
    unshared_integers: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Build {
    Bundled,
    System,
    Libc,
}

impl From<Build> for Allocator {
    fn from(build: Build) -> Allocator {
        match build {
            Build::Bundled => Allocator::Bundled,
            Build::System => Allocator::System,
            Build::Libc => Allocator::Libc,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A string that is no integer.
    String {
        /// Length of the value.
        #[arg(long, value_name = "SIZE", value_parser = length)]
        value: u64,
        /// It was written with this length, and one APPEND or SETRANGE brought it to --value: it has room to grow then.
        #[arg(long, value_name = "SIZE", value_parser = length)]
        appended_from: Option<u64>,
    },
    /// An integer.
    Int {
        /// The value.
        #[arg(long, allow_hyphen_values = true, default_value = "1000000")]
        value: i64,
    },
    /// A bitmap, made by setting its highest bit first.
    Bitmap {
        /// Bits.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX) + 1))]
        bits: u64,
    },
    /// A HyperLogLog.
    Hyperloglog {
        /// Distinct elements it has seen.
        #[arg(long, value_parser = clap::value_parser!(u64).range(0..=1 << 50))]
        distinct: u64,
    },
    /// A hash.
    Hash {
        /// Fields.
        #[arg(long, value_parser = elements())]
        fields: u64,
        /// Length of each field.
        #[arg(long, value_name = "SIZE", value_parser = length, default_value = "8")]
        field: u64,
        /// Length of each value.
        #[arg(long, value_name = "SIZE", value_parser = length)]
        value: u64,
        /// Fields with a TTL, within an hour: a number, or all of them without one (redis-7.4 on, valkey-9.1).
        #[arg(long, value_name = "FIELDS", num_args = 0..=1, value_parser = elements())]
        field_ttl: Option<Option<u64>>,
    },
    /// A set of strings.
    Set {
        /// Members.
        #[arg(long, value_parser = elements())]
        members: u64,
        /// Length of each.
        #[arg(long, value_name = "SIZE", value_parser = length)]
        member: u64,
    },
    /// A set of integers.
    Intset {
        /// Members.
        #[arg(long, value_parser = elements())]
        members: u64,
        /// The largest of them: all are as wide.
        #[arg(long, allow_hyphen_values = true, default_value = "1000000")]
        largest: i64,
    },
    /// A sorted set.
    Zset {
        /// Members.
        #[arg(long, value_parser = elements())]
        members: u64,
        /// Length of each.
        #[arg(long, value_name = "SIZE", value_parser = length)]
        member: u64,
        /// A score like that of each: 1700000000, 0.25.
        #[arg(long, allow_hyphen_values = true, default_value = "1000000")]
        score: f64,
    },
    /// A list.
    List {
        /// Elements.
        #[arg(long, value_parser = elements())]
        elements: u64,
        /// Length of each.
        #[arg(long, value_name = "SIZE", value_parser = length)]
        element: u64,
    },
    /// A stream.
    Stream {
        /// Entries.
        #[arg(long, value_parser = elements())]
        entries: u64,
        /// Fields of each.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=FIELDS_LIMIT.cast_unsigned()), default_value = "1")]
        fields: u64,
        /// Length of a field's name.
        #[arg(long, value_name = "SIZE", value_parser = length, default_value = "8")]
        field: u64,
        /// Length of a field's value.
        #[arg(long, value_name = "SIZE", value_parser = length)]
        value: u64,
        /// Milliseconds between entries; 0: all in one.
        #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=86_400_000), default_value = "1")]
        id_step: u64,
        /// Consumer groups.
        #[arg(long, value_parser = clap::value_parser!(u64).range(0..=GROUPS_LIMIT.cast_unsigned()), default_value = "0")]
        groups: u64,
        /// Consumers of each group.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=GROUPS_LIMIT.cast_unsigned()), requires = "groups")]
        consumers: Option<u64>,
        /// Entries pending in each group: delivered to its consumers in turn, and not acknowledged.
        #[arg(long, value_parser = elements(), requires = "groups")]
        pending: Option<u64>,
    },
}

/// A count of elements.
fn elements() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=bytes::ELEMENTS_LIMIT)
}

/// A length: 224, 10kb.
fn length(text: &str) -> Result<u64, String> {
    match Bytes::parse(text) {
        Some(Bytes(length)) if length <= bytes::LENGTH_LIMIT => Ok(length),
        Some(_) => Err("expected at most 512mb (proto-max-bulk-len)".to_owned()),
        None => Err("expected a size like 224 or 10kb".to_owned()),
    }
}

impl Kind {
    fn value(&self) -> Result<Value, Failure> {
        Ok(match *self {
            Kind::String { value, appended_from: None } => Value::String { length: value },
            Kind::String { value, appended_from: Some(from) } if (1..value).contains(&from) => {
                Value::Appended { length: value, from }
            }
            Kind::String { value, appended_from: Some(from) } => {
                let message = format!("--appended-from {from}: expected 1 or more, and less than --value {value}");
                return Err(Failure::Usage(message));
            }
            Kind::Int { value } => Value::Int { value },
            Kind::Bitmap { bits } => Value::Bitmap { bits },
            Kind::Hyperloglog { distinct } => Value::HyperLogLog { distinct },
            Kind::Hash { fields, field_ttl: Some(Some(timed)), .. } if timed > fields => {
                let message = format!("--field-ttl {timed}: expected at most --fields {fields}");
                return Err(Failure::Usage(message));
            }
            Kind::Hash { fields, field, value, field_ttl } => {
                let timed = field_ttl.map_or(TimedFields::None, |n| n.map_or(TimedFields::All, TimedFields::Some));
                Value::Hash { count: fields, field, value, timed }
            }
            Kind::Set { members, member } => Value::Set { count: members, member },
            Kind::Intset { members, largest } => Value::Intset { count: members, largest },
            Kind::Zset { score, .. } if score.is_nan() => {
                return Err(Failure::Usage("--score nan: expected a number".to_owned()));
            }
            Kind::Zset { members, member, score } => Value::Zset { count: members, member, score },
            Kind::List { elements, element } => Value::List { count: elements, element },
            Kind::Stream { entries, pending: Some(pending), .. } if pending > entries => {
                let message = format!("--pending {pending}: expected at most --entries {entries}");
                return Err(Failure::Usage(message));
            }
            Kind::Stream { entries, fields, field, value, id_step, groups, consumers, pending } => {
                let (consumers, pending) = (consumers.unwrap_or(1), pending.unwrap_or(0));
                let groups = Groups { groups, consumers, pending };
                Value::Stream { count: entries, fields, field, value, id_step, groups }
            }
        })
    }

    /// What was asked, in words.
    fn words(&self, common: &Common) -> String {
        let value = match self {
            Kind::String { value, appended_from: None } => format!("string of {value} B"),
            Kind::String { value, appended_from: Some(from) } => {
                format!("string written with {from} B and appended to until it has {value} B")
            }
            Kind::Int { value } => format!("integer {value}"),
            Kind::Bitmap { bits } => format!("bitmap of {bits} bits"),
            Kind::Hyperloglog { distinct } => format!("HyperLogLog of {distinct} distinct elements"),
            Kind::Hash { fields, field, value, field_ttl } => {
                let timed = field_ttl.map_or(String::new(), |timed| {
                    let timed = timed.map_or("all".to_owned(), |timed| timed.to_string());
                    format!(", {timed} with a TTL within an hour")
                });
                format!("hash of {fields} fields of {field} B, values of {value} B{timed}")
            }
            Kind::Set { members, member } => format!("set of {members} members of {member} B"),
            Kind::Intset { members, largest } => format!("set of {members} integers up to {largest}"),
            Kind::Zset { members, member, score } => {
                format!("sorted set of {members} members of {member} B, scores like {score}")
            }
            Kind::List { elements, element } => format!("list of {elements} elements of {element} B"),
            Kind::Stream { entries, fields, field, value, id_step, groups, consumers, pending } => {
                let of_groups = if *groups == 0 {
                    String::new()
                } else {
                    let (consumers, pending) = (consumers.unwrap_or(1), pending.unwrap_or(0));
                    format!(", groups: {groups} with {consumers} consumers and {pending} entries pending each")
                };
                format!(
                    "stream of {entries} entries {id_step} ms apart, {fields} fields of {field} B, values of {value} B{of_groups}"
                )
            }
        };
        format!("{value}, key of {} B{}", common.key, if common.ttl { ", with a TTL" } else { "" })
    }
}

/// Thresholds from `--config`.
fn limits(given: &[String]) -> Result<Limits, Failure> {
    let mut limits = Limits::default();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            let message = format!("--config {text}: expected NAME=VALUE, like hash-max-listpack-entries=128");
            return Err(Failure::Usage(message));
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let size = |text: &str| Bytes::parse(text).and_then(|Bytes(size)| i64::try_from(size).ok());
        let Some(number) = value.parse::<i64>().ok().or_else(|| size(value)) else {
            return Err(Failure::Usage(format!("--config {text}: expected a number after {name}=")));
        };
        if !limits.set(&name, number) {
            return Err(Failure::Usage(format!("--config {text}: no threshold is called {name}{}", similar(&name))));
        }
    }
    Ok(limits)
}

/// A hint at the name that was meant.
fn similar(name: &str) -> String {
    let near = Limits::NAMES.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min();
    match near {
        Some((distance, known)) if distance <= 1 + name.len() / 3 => format!("; did you mean {known}?"),
        _ => format!("; expected one of {}", Limits::NAMES.join(", ")),
    }
}

/// A release has no TTLs of fields; which ones do.
fn without_field_ttls(profile: &Profile) -> String {
    let others = PROFILES.iter().filter(|profile| bytes::has_field_ttls(profile));
    let names: Vec<&str> = others.map(|profile| profile.name).collect();
    let (name, names) = (profile.name, names.join(", "));
    format!("--field-ttl: {name} has no TTLs of hash fields; expected --profile with one of {names}")
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let common = &arguments.common;
    let (value, limits) = (arguments.kind.value()?, limits(&common.config)?);
    let (key, ttl, keys, shared_integers) = (common.key, common.ttl, common.keys, !common.unshared_integers);
    let question = Question { key, ttl, value, shared_integers, keys, limits };
    let what = arguments.kind.words(common);
    let field_ttls = matches!(arguments.kind, Kind::Hash { field_ttl: Some(_), .. });
    let has = |profile: &Profile| !field_ttls || bytes::has_field_ttls(profile);
    let answers: Vec<Answer> = if common.all_profiles {
        let price = |profile| Allocator::ALL.map(|build| bytes::price(&question, profile, build));
        PROFILES.iter().filter(|profile| has(profile)).flat_map(price).collect()
    } else {
        let named = Profile::find(&common.profile);
        if let Some(profile) = named.filter(|profile| !has(profile)) {
            return Err(Failure::Usage(without_field_ttls(profile)));
        }
        named.map(|profile| bytes::price(&question, profile, common.allocator.into())).into_iter().collect()
    };
    output::print(&match (common.format, &answers[..]) {
        (Format::Json, _) => report::key_bytes_json(&what, &answers),
        (Format::Markdown, _) => report::key_bytes_markdown(&what, &answers),
        (Format::Text, [answer]) => report::key_bytes_text(&what, answer),
        (Format::Text, _) => report::key_bytes_table(&what, &answers),
    })?;
    Ok(Exit::Done)
}
