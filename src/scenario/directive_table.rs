//! The table of redis.conf's directives, by name.

use crate::node::aof::Appendfsync;
use crate::node::config::{MaxmemoryPolicy, Setting};
use crate::node::link::{ClientClass, MaxmemoryClients, OutputLimit};
use crate::node::persistence::SavePoint;
use crate::units::Bytes;

/// One directive.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct Directive {
    /// Its name today.
    pub(in crate::scenario) name: &'static str,
    /// How its value is written.
    pub(in crate::scenario) kind: Kind,
    /// What the model does with it.
    pub(in crate::scenario) status: Status,
    /// Several lines of it add up.
    pub(in crate::scenario) repeats: bool,
    /// `CONFIG SET` cannot change it.
    pub(in crate::scenario) fixed: bool,
}

/// How a directive's value is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) enum Kind {
    /// A size.
    Memory,
    /// A size, or a share of `maxmemory`.
    MemoryOrPercent,
    /// A whole number between two bounds.
    Integer(i64, i64),
    /// yes or no.
    Switch,
    /// One of some names.
    Choice(&'static [&'static str]),
    /// An eviction policy.
    Policy,
    /// Anything.
    Text,
    /// Pairs of seconds and changes.
    SavePoints,
    /// Class, hard limit, soft limit, seconds.
    BufferLimit,
}

/// What the model does with a directive.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) enum Status {
    /// Follows it.
    Modelled(fn(&str) -> Option<Setting>),
    /// It moves memory, and is not modelled: warned of unless its value is harmless.
    Matters {
        /// Values that change nothing.
        harmless: &'static [&'static str],
        /// How it moves memory.
        why: &'static str,
    },
    /// It does not move memory.
    Irrelevant,
}

const fn directive(name: &'static str, kind: Kind, status: Status) -> Directive {
    Directive { name, kind, status, repeats: false, fixed: false }
}

const fn modelled(name: &'static str, kind: Kind, setting: fn(&str) -> Option<Setting>) -> Directive {
    directive(name, kind, Status::Modelled(setting))
}

const fn matters(name: &'static str, kind: Kind, harmless: &'static [&'static str], why: &'static str) -> Directive {
    directive(name, kind, Status::Matters { harmless, why })
}

const fn irrelevant(name: &'static str, kind: Kind) -> Directive {
    directive(name, kind, Status::Irrelevant)
}

impl Directive {
    const fn repeats(self) -> Directive {
        Directive { repeats: true, ..self }
    }

    const fn fixed(self) -> Directive {
        Directive { fixed: true, ..self }
    }
}

/// A threshold of an encoding.
fn encoding_limit(name: &'static str, text: &str) -> Option<Setting> {
    text.parse().ok().map(|value| Setting::EncodingLimit(name, value))
}

fn switch(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// The smallest backlog (B).  Source: `CONFIG_REPL_BACKLOG_MIN_SIZE`.
const BACKLOG_LEAST: u64 = 16 << 10;

/// Pairs of seconds and changes, which `Kind::SavePoints` has checked.
fn save_points(text: &str) -> Option<Setting> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    let points = numbers?.chunks_exact(2).map(|pair| SavePoint { seconds: pair[0], changes: pair[1] }).collect();
    Some(Setting::Save(points))
}

/// `pubsub 32mb 8mb 60`, once or more.
fn buffer_limits(text: &str) -> Option<Vec<(ClientClass, OutputLimit)>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let limit = |words: &[&str]| {
        let (hard, soft) = (Bytes::parse(words[1])?, Bytes::parse(words[2])?);
        Some((ClientClass::find(words[0])?, OutputLimit { hard, soft, soft_seconds: words[3].parse().ok()? }))
    };
    let whole = words.len().is_multiple_of(4);
    if whole { words.chunks_exact(4).map(limit).collect() } else { None }
}

fn maxmemory_clients(text: &str) -> Option<MaxmemoryClients> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().map(MaxmemoryClients::Percent),
        None => Bytes::parse(text).map(MaxmemoryClients::Bytes),
    }
}

/// Every directive of redis 7.0 and 7.2.
pub(in crate::scenario) const DIRECTIVES: &[Directive] = &[
    irrelevant("acl-pubsub-default", Kind::Text),
    irrelevant("aclfile", Kind::Text),
    irrelevant("acllog-max-len", Kind::Text),
    modelled("active-defrag-cycle-max", Kind::Integer(1, 99), |text| {
        text.parse().ok().map(Setting::ActiveDefragCycleMax)
    }),
    modelled("active-defrag-cycle-min", Kind::Integer(1, 99), |text| {
        text.parse().ok().map(Setting::ActiveDefragCycleMin)
    }),
    modelled("active-defrag-ignore-bytes", Kind::Memory, |text| {
        Bytes::parse(text).map(Setting::ActiveDefragIgnoreBytes)
    }),
    irrelevant("active-defrag-max-scan-fields", Kind::Text),
    modelled("active-defrag-threshold-lower", Kind::Integer(0, 1000), |text| {
        text.parse().ok().map(Setting::ActiveDefragThresholdLower)
    }),
    modelled("active-defrag-threshold-upper", Kind::Integer(0, 1000), |text| {
        text.parse().ok().map(Setting::ActiveDefragThresholdUpper)
    }),
    modelled("active-expire-effort", Kind::Integer(1, 10), |text| text.parse().ok().map(Setting::ActiveExpireEffort)),
    modelled("activedefrag", Kind::Switch, |text| switch(text).map(Setting::Activedefrag)),
    modelled("activerehashing", Kind::Switch, |text| switch(text).map(Setting::Activerehashing)),
    irrelevant("always-show-logo", Kind::Switch),
    irrelevant("aof-disable-auto-gc", Kind::Switch),
    irrelevant("aof-load-truncated", Kind::Switch),
    irrelevant("aof-rewrite-incremental-fsync", Kind::Switch),
    irrelevant("aof-timestamp-enabled", Kind::Switch),
    irrelevant("aof-use-rdb-preamble", Kind::Switch),
    irrelevant("aof_rewrite_cpulist", Kind::Text),
    irrelevant("appenddirname", Kind::Text),
    irrelevant("appendfilename", Kind::Text),
    modelled("appendfsync", Kind::Choice(&["always", "everysec", "no"]), |text| {
        let modes = [("always", Appendfsync::Always), ("everysec", Appendfsync::Everysec), ("no", Appendfsync::No)];
        let mode = modes.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        mode.map(|&(_, mode)| Setting::Appendfsync(mode))
    }),
    modelled("appendonly", Kind::Switch, |text| switch(text).map(Setting::Appendonly)),
    modelled("auto-aof-rewrite-min-size", Kind::Memory, |text| Bytes::parse(text).map(Setting::AutoAofRewriteMinSize)),
    modelled("auto-aof-rewrite-percentage", Kind::Integer(0, i32::MAX as i64), |text| {
        text.parse().ok().map(Setting::AutoAofRewritePercentage)
    }),
    irrelevant("bgsave_cpulist", Kind::Text),
    irrelevant("bind", Kind::Text),
    irrelevant("bind-source-addr", Kind::Text),
    irrelevant("bio_cpulist", Kind::Text),
    irrelevant("busy-reply-threshold", Kind::Text),
    modelled("client-output-buffer-limit", Kind::BufferLimit, |text| {
        buffer_limits(text).map(Setting::ClientOutputBufferLimit)
    })
    .repeats(),
    matters("client-query-buffer-limit", Kind::Memory, &["1gb"], "query buffers of large arguments"),
    irrelevant("close-on-replica-write", Kind::Text),
    irrelevant("cluster-allow-pubsubshard-when-down", Kind::Switch),
    irrelevant("cluster-allow-reads-when-down", Kind::Switch),
    irrelevant("cluster-allow-replica-migration", Kind::Switch),
    irrelevant("cluster-announce-bus-port", Kind::Text),
    irrelevant("cluster-announce-hostname", Kind::Text),
    irrelevant("cluster-announce-human-nodename", Kind::Text),
    irrelevant("cluster-announce-ip", Kind::Text),
    irrelevant("cluster-announce-port", Kind::Text),
    irrelevant("cluster-announce-tls-port", Kind::Text),
    irrelevant("cluster-config-file", Kind::Text),
    modelled("cluster-enabled", Kind::Switch, |text| switch(text).map(Setting::ClusterEnabled)).fixed(),
    irrelevant("cluster-link-sendbuf-limit", Kind::Text),
    irrelevant("cluster-migration-barrier", Kind::Text),
    irrelevant("cluster-node-timeout", Kind::Text),
    irrelevant("cluster-port", Kind::Text),
    irrelevant("cluster-preferred-endpoint-type", Kind::Text),
    irrelevant("cluster-replica-no-failover", Kind::Switch),
    irrelevant("cluster-replica-validity-factor", Kind::Text),
    irrelevant("cluster-require-full-coverage", Kind::Switch),
    irrelevant("crash-log-enabled", Kind::Switch),
    irrelevant("crash-memcheck-enabled", Kind::Switch),
    irrelevant("daemonize", Kind::Switch),
    modelled("databases", Kind::Integer(1, 16_384), |text| text.parse().ok().map(Setting::Databases)).fixed(),
    irrelevant("dbfilename", Kind::Text),
    irrelevant("dir", Kind::Text),
    modelled("disable-thp", Kind::Switch, |text| switch(text).map(Setting::DisableThp)),
    modelled("dynamic-hz", Kind::Switch, |text| switch(text).map(Setting::DynamicHz)),
    irrelevant("enable-debug-command", Kind::Text),
    irrelevant("enable-module-command", Kind::Text),
    irrelevant("enable-protected-configs", Kind::Switch),
    modelled("hash-max-listpack-entries", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("hash-max-listpack-entries", text)
    }),
    modelled("hash-max-listpack-value", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("hash-max-listpack-value", text)
    }),
    modelled("hll-sparse-max-bytes", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("hll-sparse-max-bytes", text)
    }),
    modelled("hz", Kind::Integer(1, 500), |text| text.parse().ok().map(Setting::Hz)),
    irrelevant("ignore-warnings", Kind::Text),
    matters("io-threads", Kind::Integer(1, 128), &["1"], "threads share the reading and writing of buffers"),
    irrelevant("io-threads-do-reads", Kind::Switch),
    matters("jemalloc-bg-thread", Kind::Switch, &["yes"], "freed pages return later, which changes RSS"),
    matters("latency-monitor-threshold", Kind::Integer(i64::MIN, i64::MAX), &["0"], "series of latency events"),
    modelled("latency-tracking", Kind::Switch, |text| switch(text).map(Setting::LatencyTracking)),
    irrelevant("latency-tracking-info-percentiles", Kind::Text),
    modelled("lazyfree-lazy-eviction", Kind::Switch, |text| switch(text).map(Setting::LazyfreeLazyEviction)),
    modelled("lazyfree-lazy-expire", Kind::Switch, |text| switch(text).map(Setting::LazyfreeLazyExpire)),
    modelled("lazyfree-lazy-server-del", Kind::Switch, |text| switch(text).map(Setting::LazyfreeLazyServerDel)),
    modelled("lazyfree-lazy-user-del", Kind::Switch, |text| switch(text).map(Setting::LazyfreeLazyUserDel)),
    matters("lazyfree-lazy-user-flush", Kind::Switch, &["no"], "FLUSHALL frees later"),
    modelled("lfu-decay-time", Kind::Integer(0, i32::MAX as i64), |text| text.parse().ok().map(Setting::LfuDecayTime)),
    modelled("lfu-log-factor", Kind::Integer(0, i32::MAX as i64), |text| text.parse().ok().map(Setting::LfuLogFactor)),
    matters("list-compress-depth", Kind::Integer(i64::MIN, i64::MAX), &["0"], "compressed list nodes"),
    modelled("list-max-listpack-size", Kind::Integer(-5, i32::MAX as i64), |text| {
        encoding_limit("list-max-listpack-size", text)
    }),
    irrelevant("loadmodule", Kind::Text),
    irrelevant("locale-collate", Kind::Text),
    irrelevant("logfile", Kind::Text),
    irrelevant("loglevel", Kind::Text),
    irrelevant("masterauth", Kind::Text),
    irrelevant("masteruser", Kind::Text),
    modelled("maxclients", Kind::Integer(1, 1_000_000), |text| text.parse().ok().map(Setting::Maxclients)),
    modelled("maxmemory", Kind::Memory, |text| Bytes::parse(text).map(Setting::Maxmemory)),
    modelled("maxmemory-clients", Kind::MemoryOrPercent, |text| maxmemory_clients(text).map(Setting::MaxmemoryClients)),
    modelled("maxmemory-eviction-tenacity", Kind::Integer(0, 100), |text| {
        text.parse().ok().map(Setting::MaxmemoryEvictionTenacity)
    }),
    modelled("maxmemory-policy", Kind::Policy, |text| MaxmemoryPolicy::find(text).map(Setting::MaxmemoryPolicy)),
    modelled("maxmemory-samples", Kind::Integer(1, 64), |text| text.parse().ok().map(Setting::MaxmemorySamples)),
    irrelevant("min-replicas-max-lag", Kind::Text),
    irrelevant("min-replicas-to-write", Kind::Text),
    modelled("no-appendfsync-on-rewrite", Kind::Switch, |text| switch(text).map(Setting::NoAppendfsyncOnRewrite)),
    irrelevant("notify-keyspace-events", Kind::Text),
    modelled("oom-score-adj", Kind::Choice(&["no", "yes", "relative", "absolute"]), |text| {
        Some(Setting::OomScoreAdj(!text.eq_ignore_ascii_case("no")))
    }),
    irrelevant("oom-score-adj-values", Kind::Text),
    irrelevant("pidfile", Kind::Text),
    irrelevant("port", Kind::Text),
    irrelevant("proc-title-template", Kind::Text),
    irrelevant("propagation-error-behavior", Kind::Text),
    irrelevant("protected-mode", Kind::Switch),
    matters("proto-max-bulk-len", Kind::Memory, &["512mb"], "larger strings than the model allows"),
    irrelevant("rdb-del-sync-files", Kind::Switch),
    irrelevant("rdb-save-incremental-fsync", Kind::Switch),
    irrelevant("rdbchecksum", Kind::Switch),
    modelled("rdbcompression", Kind::Switch, |text| switch(text).map(Setting::Rdbcompression)),
    irrelevant("rename-command", Kind::Text),
    modelled("repl-backlog-size", Kind::Memory, |text| {
        Bytes::parse(text).map(|Bytes(size)| Setting::ReplBacklogSize(Bytes(size.max(BACKLOG_LEAST))))
    }),
    modelled("repl-backlog-ttl", Kind::Integer(0, i64::MAX), |text| text.parse().ok().map(Setting::ReplBacklogTtl)),
    irrelevant("repl-disable-tcp-nodelay", Kind::Switch),
    irrelevant("repl-diskless-load", Kind::Text),
    modelled("repl-diskless-sync", Kind::Switch, |text| switch(text).map(Setting::ReplDisklessSync)),
    modelled("repl-diskless-sync-delay", Kind::Integer(0, i32::MAX as i64), |text| {
        text.parse().ok().map(Setting::ReplDisklessSyncDelay)
    }),
    irrelevant("repl-diskless-sync-max-replicas", Kind::Text),
    irrelevant("repl-ping-replica-period", Kind::Text),
    modelled("repl-timeout", Kind::Integer(1, i32::MAX as i64), |text| text.parse().ok().map(Setting::ReplTimeout)),
    irrelevant("replica-announce-ip", Kind::Text),
    irrelevant("replica-announce-port", Kind::Text),
    irrelevant("replica-announced", Kind::Switch),
    irrelevant("replica-ignore-disk-write-errors", Kind::Switch),
    matters("replica-ignore-maxmemory", Kind::Switch, &["yes"], "replicas would evict by themselves"),
    matters("replica-lazy-flush", Kind::Switch, &["no"], "a replica frees its old data later"),
    irrelevant("replica-priority", Kind::Text),
    irrelevant("replica-read-only", Kind::Switch),
    irrelevant("replica-serve-stale-data", Kind::Switch),
    matters(
        "replicaof",
        Kind::Text,
        &["", "no one"],
        "a replica ignores maxmemory and keeps expired keys until its primary deletes them",
    ),
    irrelevant("requirepass", Kind::Text),
    irrelevant("sanitize-dump-payload", Kind::Switch),
    modelled("save", Kind::SavePoints, save_points).repeats(),
    irrelevant("server_cpulist", Kind::Text),
    modelled("set-max-intset-entries", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("set-max-intset-entries", text)
    }),
    modelled("set-max-listpack-entries", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("set-max-listpack-entries", text)
    }),
    modelled("set-max-listpack-value", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("set-max-listpack-value", text)
    }),
    irrelevant("set-proc-title", Kind::Switch),
    irrelevant("shutdown-on-sigint", Kind::Text),
    irrelevant("shutdown-on-sigterm", Kind::Text),
    irrelevant("shutdown-timeout", Kind::Text),
    irrelevant("slowlog-log-slower-than", Kind::Text),
    matters(
        "slowlog-max-len",
        Kind::Integer(i64::MIN, i64::MAX),
        &["128"],
        "entries of the slow log keep their arguments",
    ),
    irrelevant("socket-mark-id", Kind::Text),
    modelled("stop-writes-on-bgsave-error", Kind::Switch, |text| switch(text).map(Setting::StopWritesOnBgsaveError)),
    modelled("stream-node-max-bytes", Kind::Memory, |text| {
        let bytes = Bytes::parse(text)?.0.min(u64::from(u32::MAX));
        Some(Setting::EncodingLimit("stream-node-max-bytes", bytes as i64))
    }),
    modelled("stream-node-max-entries", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("stream-node-max-entries", text)
    }),
    irrelevant("supervised", Kind::Text),
    irrelevant("syslog-enabled", Kind::Switch),
    irrelevant("syslog-facility", Kind::Text),
    irrelevant("syslog-ident", Kind::Text),
    irrelevant("tcp-backlog", Kind::Text),
    irrelevant("tcp-keepalive", Kind::Text),
    irrelevant("timeout", Kind::Text),
    irrelevant("tls-auth-clients", Kind::Switch),
    irrelevant("tls-ca-cert-dir", Kind::Text),
    irrelevant("tls-ca-cert-file", Kind::Text),
    irrelevant("tls-cert-file", Kind::Text),
    irrelevant("tls-ciphers", Kind::Text),
    irrelevant("tls-ciphersuites", Kind::Text),
    irrelevant("tls-client-cert-file", Kind::Text),
    irrelevant("tls-client-key-file", Kind::Text),
    irrelevant("tls-client-key-file-pass", Kind::Text),
    irrelevant("tls-cluster", Kind::Switch),
    irrelevant("tls-dh-params-file", Kind::Text),
    irrelevant("tls-key-file", Kind::Text),
    irrelevant("tls-key-file-pass", Kind::Text),
    irrelevant("tls-port", Kind::Text),
    irrelevant("tls-prefer-server-ciphers", Kind::Switch),
    irrelevant("tls-protocols", Kind::Text),
    irrelevant("tls-replication", Kind::Switch),
    irrelevant("tls-session-cache-size", Kind::Text),
    irrelevant("tls-session-cache-timeout", Kind::Text),
    irrelevant("tls-session-caching", Kind::Switch),
    matters(
        "tracking-table-max-keys",
        Kind::Integer(i64::MIN, i64::MAX),
        &["1000000"],
        "the table of client-side caching",
    ),
    irrelevant("unixsocket", Kind::Text),
    irrelevant("unixsocketperm", Kind::Text),
    irrelevant("user", Kind::Text),
    modelled("zset-max-listpack-entries", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("zset-max-listpack-entries", text)
    }),
    modelled("zset-max-listpack-value", Kind::Integer(0, i32::MAX as i64), |text| {
        encoding_limit("zset-max-listpack-value", text)
    }),
];
