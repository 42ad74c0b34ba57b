//! What work costs on this machine: the keys of a scenario's `[costs]`, each measured several times on a server of one's
//! own.

use super::LiveError;
use super::connection::Connection;
use super::resp::{self, Answer};
use super::server::Server;
use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Repetitions of a quick measurement, and of one that takes seconds.
const QUICK: usize = 5;
const SLOW: usize = 3;
/// Commands sent before their answers are read.
const TOGETHER: u64 = 512;
/// Tables whose rehash is measured, as powers of two: in the processor's cache, between, and far beyond it.
const CACHED: u32 = 14;
const BETWEEN: u32 = 18;
const FAR: u32 = 20;
/// Doublings beyond the cache until nearly every bucket waits for memory.  Source: `node::config::Costs::rehash_buckets`.
const FAR_DOUBLINGS: f64 = 4.0;
/// Keys that are expired, evicted, saved.
const KEYS: u64 = 200_000;
const SAVED_KEYS: u64 = 500_000;
/// Values that make a process worth forking: how many, and how long (B).
const LARGE_VALUES: u64 = 2_560;
const LARGE_VALUE: usize = 100_000;
/// Time between two looks at something that goes on.
const LOOK: Duration = Duration::from_millis(1);
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A key of `[costs]` and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The key.
    pub key: &'static str,
    /// What each repetition gave, in `unit`; empty: it could not be measured.
    pub values: Vec<f64>,
    /// How a value is written after its number: `us`, `ms`, `mb`, or nothing.
    pub unit: &'static str,
}

impl Measured {
    /// The middle one of the values.
    fn median(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }
}

/// Measures every key; `cancelled` is asked between repetitions.
///
/// # Errors
/// [`LiveError`] when the server cannot be started, refuses a command or goes away.
pub fn calibrate(binary: &Path, cancelled: &dyn Fn() -> bool) -> Result<Vec<Measured>, LiveError> {
    let directives = [("save", String::new()), ("rdbcompression", "no".to_owned()), ("dynamic-hz", "no".to_owned())];
    let server = Server::start(binary, &directives)?;
    let mut bench = Bench { connection: server.connect()?, cancelled };
    let far = bench.rehash(FAR, 100, SLOW)?;
    let between = bench.rehash(BETWEEN, 100, QUICK)?;
    let cached = bench.rehash(CACHED, 10, QUICK)?;
    let cpu_cache = cpu_cache(&cached, &between, &far);
    let rates = |all: &[Rehash]| all.iter().map(|rehash| rehash.buckets_per_slice).collect();
    let measured = |key, values, unit| Measured { key, values, unit };
    Ok(vec![
        measured("snapshot-key", bench.repeat(QUICK, Bench::snapshot_key)?, "us"),
        measured("fork-per-gb", bench.fork_per_gb()?, "ms"),
        measured("expire-key", bench.repeat(SLOW, Bench::expire_key)?, "us"),
        measured("evict-key", bench.repeat(QUICK, Bench::evict_key)?, "us"),
        measured("rehash-buckets-per-ms", rates(&far), ""),
        measured("rehash-buckets-per-ms-cached", rates(&cached), ""),
        measured("cpu-cache", cpu_cache, "mb"),
    ])
}

/// `[costs]` to paste into a scenario: the median of each, and its spread.
#[must_use]
pub fn toml(measured: &[Measured], server: &str) -> String {
    let mut text =
        format!("# measured on {server}: medians; in comments the lowest and highest of the repetitions\n[costs]\n");
    for measured in measured {
        let Some(median) = measured.median() else {
            let _ = writeln!(text, "# {}: could not be measured", measured.key);
            continue;
        };
        let unit = measured.unit;
        let value = if unit.is_empty() { format!("{median:.0}") } else { format!("\"{}{unit}\"", short(median)) };
        let low = measured.values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = measured.values.iter().copied().fold(0.0, f64::max);
        let count = measured.values.len();
        let _ = writeln!(text, "{} = {value}  # {} to {}{unit}, {count} times", measured.key, short(low), short(high));
    }
    text
}

/// Three digits, none of them idle.
fn short(value: f64) -> String {
    let decimals = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// One rehash of a table by cron.
#[derive(Debug, Clone, Copy)]
struct Rehash {
    /// Buckets moved in a slice of a millisecond.
    buckets_per_slice: f64,
    /// Table, entries, keys and values (B).
    bytes: f64,
}

/// The size at which rehash begins to slow down, such that a table between is as fast as it was (MB of 2^20 B).
/// The time for a bucket grows evenly with each doubling: see `Costs::rehash_buckets`, whose inverse this is.
fn cpu_cache(cached: &[Rehash], between: &[Rehash], far: &[Rehash]) -> Vec<f64> {
    let median = |all: &[Rehash]| {
        let mut rates: Vec<f64> = all.iter().map(|rehash| rehash.buckets_per_slice).collect();
        rates.sort_unstable_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied()
    };
    let (Some(fast), Some(slow)) = (median(cached), median(far)) else { return Vec::new() };
    // Without a difference there is nothing to see.
    if fast < 1.1 * slow {
        return Vec::new();
    }
    let size = |rehash: &Rehash| {
        let share = (1.0 / rehash.buckets_per_slice - 1.0 / fast) / (1.0 / slow - 1.0 / fast);
        rehash.bytes / 2.0_f64.powf(FAR_DOUBLINGS * share.clamp(0.0, 1.0)) / f64::from(1 << 20)
    };
    between.iter().map(size).collect()
}

struct Bench<'a> {
    connection: Connection,
    cancelled: &'a dyn Fn() -> bool,
}

impl Bench<'_> {
    fn repeat(
        &mut self,
        times: usize,
        mut measure: impl FnMut(&mut Self) -> Result<f64, LiveError>,
    ) -> Result<Vec<f64>, LiveError> {
        let mut values = Vec::with_capacity(times);
        for _ in 0..times {
            if (self.cancelled)() {
                return Err(LiveError::Interrupted);
            }
            values.push(measure(self)?);
        }
        Ok(values)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), LiveError> {
        self.connection.call(&["CONFIG", "SET", name, value]).map(drop)
    }

    fn number(&mut self, section: &str, name: &str) -> Result<f64, LiveError> {
        Ok(self.connection.info(Some(section))?.number(name).unwrap_or(0.0))
    }

    /// An empty server with so many small keys, some words after each SET.
    fn fill(&mut self, keys: u64, value: &[u8], more: &[&[u8]]) -> Result<(), LiveError> {
        self.connection.call(&["FLUSHALL", "SYNC"])?;
        for first in (0..keys).step_by(TOGETHER as usize) {
            let last = (first + TOGETHER).min(keys);
            for number in first..last {
                let key = format!("key:{number:012}");
                let words: Vec<&[u8]> =
                    [b"SET".as_slice(), key.as_bytes(), value].into_iter().chain(more.iter().copied()).collect();
                resp::command(&mut self.connection.out, &words);
            }
            self.connection.flush().map_err(LiveError::io("SET"))?;
            for _ in first..last {
                if let Answer::Error(text) = self.connection.answer().map_err(LiveError::io("SET"))? {
                    return Err(LiveError::Server(format!("SET: {text}")));
                }
            }
        }
        Ok(())
    }

    /// Rehash of a table of 2^`power` buckets into one twice as large, by cron alone.
    fn rehash(&mut self, power: u32, hz: u64, times: usize) -> Result<Vec<Rehash>, LiveError> {
        self.set("hz", &hz.to_string())?;
        let empty = self.number("memory", "used_memory_startup")?;
        let mut all = Vec::new();
        for _ in 0..times {
            if (self.cancelled)() {
                return Err(LiveError::Interrupted);
            }
            let buckets = 1_u64 << power;
            self.fill(buckets, b"v", &[])?;
            let before = self.number("memory", "used_memory")?;
            self.connection.call(&["SET", "one more", "v"])?;
            let began = now();
            let doubled = self.number("memory", "used_memory")?;
            let table = 8.0 * buckets as f64;
            // Tables that do not double now are none of buckets and chains.
            if doubled - before < 1.9 * table {
                return Ok(Vec::new());
            }
            while self.number("memory", "used_memory")? > doubled - table / 2.0 {
                if began.elapsed() > PATIENCE {
                    return Ok(Vec::new());
                }
                thread::sleep(LOOK);
            }
            let slices = began.elapsed().as_secs_f64() * hz as f64;
            all.push(Rehash { buckets_per_slice: buckets as f64 / slices, bytes: doubled - empty });
        }
        self.set("hz", "10")?;
        Ok(all)
    }

    /// SAVE does what a child does (µs).
    fn snapshot_key(&mut self) -> Result<f64, LiveError> {
        if self.connection.call(&["DBSIZE"])? != SAVED_KEYS.to_string() {
            self.fill(SAVED_KEYS, b"v", &[])?;
        }
        let began = now();
        self.connection.call(&["SAVE"])?;
        Ok(began.elapsed().as_secs_f64() * 1e6 / SAVED_KEYS as f64)
    }

    /// `latest_fork_usec` by resident memory (ms).
    fn fork_per_gb(&mut self) -> Result<Vec<f64>, LiveError> {
        self.fill(LARGE_VALUES, &vec![b'v'; LARGE_VALUE], &[])?;
        // The child is seen to be gone by cron.
        self.set("hz", "100")?;
        let values = self.repeat(QUICK, |bench| {
            bench.connection.call(&["BGSAVE"])?;
            let began = now();
            while bench.number("persistence", "rdb_bgsave_in_progress")? > 0.0 && began.elapsed() < PATIENCE {
                thread::sleep(LOOK);
            }
            let gib = bench.number("memory", "used_memory_rss")? / f64::from(1 << 30);
            Ok(bench.number("stats", "latest_fork_usec")? / 1e3 / gib)
        });
        self.set("hz", "10")?;
        values
    }

    /// CPU of the active expire cycle for a key (µs).
    fn expire_key(&mut self) -> Result<f64, LiveError> {
        let before = self.number("stats", "expired_keys")?;
        let used_before = self.number("stats", "expire_cycle_cpu_milliseconds")?;
        // Loading ends before the first is due.
        self.fill(KEYS, b"v", &[b"PX", b"4000"])?;
        self.set("active-expire-effort", "10")?;
        let began = now();
        let wanted = before + 0.9 * KEYS as f64;
        while self.number("stats", "expired_keys")? < wanted && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        let expired = self.number("stats", "expired_keys")? - before;
        let used = self.number("stats", "expire_cycle_cpu_milliseconds")? - used_before;
        self.set("active-expire-effort", "1")?;
        Ok(used * 1e3 / expired.max(1.0))
    }

    /// Time to evict a key when nothing limits it (µs).
    fn evict_key(&mut self) -> Result<f64, LiveError> {
        self.set("maxmemory", "0")?;
        self.set("maxmemory-policy", "allkeys-lru")?;
        self.set("maxmemory-eviction-tenacity", "100")?;
        self.fill(KEYS, b"v", &[])?;
        let used = self.number("memory", "used_memory")?;
        let empty = self.number("memory", "used_memory_startup")?;
        let before = self.number("stats", "evicted_keys")?;
        let limit = (empty + (used - empty) * 0.75) as u64;
        // What reads this may itself be above the limit.
        let reached = limit as f64 + 0.01 * used;
        let began = now();
        self.set("maxmemory", &limit.to_string())?;
        while self.number("memory", "used_memory")? > reached && began.elapsed() < PATIENCE {}
        let seconds = began.elapsed().as_secs_f64();
        let evicted = self.number("stats", "evicted_keys")? - before;
        self.set("maxmemory", "0")?;
        self.set("maxmemory-policy", "noeviction")?;
        Ok(seconds * 1e6 / evicted.max(1.0))
    }
}

#[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::config::Costs;

    #[test]
    fn the_table_says_the_median_and_the_spread() {
        let measured = |key, values: &[f64], unit| Measured { key, values: values.to_vec(), unit };
        let text = toml(
            &[
                measured("expire-key", &[4.1, 3.904, 3.5], "us"),
                measured("rehash-buckets-per-ms", &[3400.2, 3300.0, 3500.0], ""),
                measured("cpu-cache", &[], "mb"),
            ],
            "redis 7.0.15",
        );
        let expected = "# measured on redis 7.0.15: medians; in comments the lowest and highest of the repetitions\n[costs]\n\
                        expire-key = \"3.9us\"  # 3.5 to 4.1us, 3 times\n\
                        rehash-buckets-per-ms = 3400  # 3300 to 3500, 3 times\n\
                        # cpu-cache: could not be measured\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_cache_is_found_from_a_table_between() {
        let costs = Costs { cpu_cache: 6 << 20, ..Costs::default() };
        let rehash = |bytes: u64| Rehash { buckets_per_slice: costs.rehash_buckets(bytes) as f64, bytes: bytes as f64 };
        let found = cpu_cache(&[rehash(1 << 20)], &[rehash(24 << 20)], &[rehash(1 << 30)]);
        assert!((found[0] - 6.0).abs() < 0.05, "{found:?}");
        assert_eq!(cpu_cache(&[rehash(1 << 20)], &[rehash(1 << 20)], &[rehash(1 << 20)]), Vec::<f64>::new());
    }
}
