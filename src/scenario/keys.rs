//! Every key that the scenario format knows, table by table: what the parser accepts, and what it knows as planned.
//!
//! The parser opens a table only with one of these lists, so the lists and the parser cannot drift apart.

use crate::command::COMMANDS;
use crate::workload::{ARRIVALS, DISTRIBUTIONS, POPULARITIES, RATES};

use super::{METRICS, directive, event};

/// The keys of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableKeys {
    /// Dotted path without names and indexes.
    pub path: &'static str,
    /// Keys that are read.
    pub keys: &'static [&'static str],
    /// Keys of the format that are not modelled yet.
    pub planned: &'static [&'static str],
}

/// Tables that come as lists: `[[keyspace]]`.
pub(super) const LISTS: &[&str] = &["keyspace", "traffic", "clients", "event", "channel", "replica", "trace"];

/// The top level.
pub(super) const ROOT: TableKeys = TableKeys {
    path: "",
    keys: &[
        "title",
        "description",
        "duration",
        "warmup",
        "sample-interval",
        "seed",
        "start-of-day",
        "runs",
        "scale",
        "server",
        "keyspace",
        "traffic",
        "clients",
        "event",
        "costs",
        "policy",
        "thresholds",
        "host",
        "channel",
        "replica",
    ],
    planned: &["trace"],
};

/// `[server]`; its `config` holds directives.
pub(super) const SERVER: TableKeys =
    TableKeys { path: "server", keys: &["profile", "allocator", "include", "config"], planned: &[] };

/// `[[keyspace]]`.
pub(super) const KEYSPACE: TableKeys = TableKeys {
    path: "keyspace",
    keys: &[
        "name",
        "type",
        "keys",
        "key-length",
        "value-size",
        "size-drawn",
        "base",
        "elements",
        "field-length",
        "member-length",
        "fields",
        "id-step",
        "score",
        "step",
        "ttl",
        "ttl-drawn",
        "preload",
    ],
    planned: &[],
};

/// `preload` of a keyspace.
pub(super) const PRELOAD: TableKeys =
    TableKeys { path: "keyspace.preload", keys: &["share", "keys", "by", "load-rate", "order", "ttl"], planned: &[] };

/// `[[traffic]]`.
pub(super) const TRAFFIC: TableKeys = TableKeys {
    path: "traffic",
    keys: &[
        "keyspace",
        "rate",
        "arrivals",
        "popularity",
        "commands",
        "on-miss",
        "clients",
        "ttl",
        "write-size",
        "offset",
        "elements",
        "element-popularity",
        "count",
        "group",
        "trim",
        "from",
        "until",
    ],
    planned: &[],
};

/// `score` of a keyspace that is no distribution.
pub(super) const SCORE: TableKeys = TableKeys { path: "keyspace.score", keys: &["step"], planned: &[] };

/// `elements` of a stream that is no word.
pub(super) const ELEMENTS: TableKeys = TableKeys { path: "traffic.elements", keys: &["new"], planned: &[] };

/// `[[clients]]`.
pub(super) const CLIENTS: TableKeys = TableKeys {
    path: "clients",
    keys: &["name", "class", "connections", "pipeline", "read-rate", "socket-buffer", "stalls", "reconnect"],
    planned: &[],
};

/// `stalls` of a group of connections.
pub(super) const STALL: TableKeys = TableKeys { path: "clients.stalls", keys: &["at", "for"], planned: &[] };

/// `[[channel]]`.
pub(super) const CHANNEL: TableKeys = TableKeys {
    path: "channel",
    keys: &["name", "subscribers", "rate", "message-size", "from", "until"],
    planned: &[],
};

/// `[[replica]]`.
pub(super) const REPLICA: TableKeys =
    TableKeys { path: "replica", keys: &["name", "link", "socket-buffer", "stalls"], planned: &[] };

/// `[host]`.
pub(super) const HOST: TableKeys = TableKeys {
    path: "host",
    keys: &[
        "memory",
        "transparent-hugepages",
        "overcommit-memory",
        "os-reserve",
        "snapshot-rate",
        "disk-rate",
        "network-rate",
    ],
    planned: &[],
};

/// `[costs]`.
pub(super) const COSTS: TableKeys = TableKeys {
    path: "costs",
    keys: &[
        "expire-key",
        "evict-key",
        "rehash-buckets-per-ms",
        "rehash-buckets-per-ms-cached",
        "free-block",
        "free-block-cached",
        "free-block-in-order",
        "cpu-cache",
        "snapshot-key",
        "fork-per-gb",
    ],
    planned: &[],
};

/// `[policy]`.
pub(super) const POLICY: TableKeys =
    TableKeys { path: "policy", keys: &["headroom", "alarm-ratio", "alarm-for", "host-utilisation"], planned: &[] };

const TABLES: &[TableKeys] =
    &[ROOT, SERVER, KEYSPACE, PRELOAD, TRAFFIC, CLIENTS, STALL, CHANNEL, REPLICA, HOST, COSTS, POLICY];

/// Whether some table has this key.
pub(super) fn is_known(key: &str) -> bool {
    TABLES.iter().any(|table| table.keys.contains(&key))
}

/// Everything that a scenario can name, for a test that the reference scenario shows it all.
///
/// Dotted keys (`keyspace.ttl`, `event.share`, `server.config.maxmemory`), then names with what they are:
/// `distribution:lognormal`, `popularity:zipf`, `rate:diurnal`, `arrivals:poisson`, `command:SET EX`, `event:fill`,
/// `metric:used_ratio`.
#[must_use]
pub fn known_keys() -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for table in TABLES {
        known.extend(table.keys.iter().map(|key| super::reader::join(table.path, key)));
    }
    known.extend(event::known_keys().into_iter().map(|key| format!("event.{key}")));
    known.extend(directive::modelled_names().map(|name| format!("server.config.{name}")));
    known.extend(DISTRIBUTIONS.iter().map(|entry| format!("distribution:{}", entry.name)));
    known.push("distribution:none".to_owned());
    known.push("distribution:mix".to_owned());
    known.extend(POPULARITIES.iter().map(|entry| format!("popularity:{}", entry.name)));
    known.extend(RATES.iter().map(|entry| format!("rate:{}", entry.name)));
    known.extend(ARRIVALS.iter().map(|(name, _)| format!("arrivals:{name}")));
    known.extend(COMMANDS.iter().map(|command| format!("command:{}", command.name)));
    known.extend(event::KINDS.iter().map(|kind| format!("event:{}", kind.name)));
    known.extend(METRICS.iter().map(|metric| format!("metric:{}", metric.name)));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names = known_keys();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        for expected in ["keyspace.ttl", "keyspace.preload.load-rate", "event.share", "event.for", "command:SET EX"] {
            assert!(names.iter().any(|name| name == expected), "{expected}");
        }
    }

    #[test]
    fn no_key_is_both_read_and_planned() {
        for table in TABLES {
            assert!(table.keys.iter().all(|key| !table.planned.contains(key)), "{}", table.path);
        }
    }
}
