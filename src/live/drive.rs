//! A server driven with a scenario's stream of requests, in real time.
//!
//! The simulation draws the stream; a thread hands it over a little ahead of time.  One thread sends: a pipeline when its
//! last request is due, to the millisecond, and the writes for its misses once it is answered, as the simulated clients
//! do.  When it is late it sends more at a time.  A third thread reads `INFO` over a connection of its own.

use super::LiveError;
use super::connection::Connection;
use super::info::Info;
use super::resp::Answer;
use super::server::Server;
use super::words::Words;
use crate::scenario::{Action, PreloadBy, Scenario};
use crate::sim::{self, Progress, Sent, Tap};
use crate::units::{Micros, SimTime};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Parts of the stream handed over at a time, and how many such chunks wait.
const CHUNK: usize = 512;
const CHUNKS: usize = 64;
/// Requests become due on this grid (µs).
const TICK_US: u64 = 1_000;
/// So late, pipelines are sent together (µs) …
const LATE_US: u64 = 20_000;
/// … up to so many requests.
const TOGETHER: usize = 256;
/// Keys loaded in one pipeline.
const LOADED_TOGETHER: usize = 256;
/// A rate counts as held while nothing is sent later than this (µs).
const HELD_US: u64 = 250_000;
/// Time between two looks at a save that may be going on, and at whether to stop.
const LOOK: Duration = Duration::from_millis(20);
/// One sleep of a child that `rdb-key-save-delay` slows (s).  *measured*: about 60 µs.
const SAVE_SLEEP: f64 = 60e-6;

/// Fields of `INFO` that are kept.
const FIELDS: &[&str] = &[
    "used_memory",
    "used_memory_peak",
    "used_memory_rss",
    "used_memory_overhead",
    "used_memory_startup",
    "used_memory_dataset",
    "allocator_allocated",
    "allocator_active",
    "allocator_resident",
    "mem_clients_normal",
    "mem_not_counted_for_evict",
    "evicted_keys",
    "expired_keys",
    "keyspace_hits",
    "keyspace_misses",
    "expired_stale_perc",
    "total_commands_processed",
    "rdb_last_cow_size",
    "rdb_bgsave_in_progress",
    "rdb_last_bgsave_time_sec",
    "aof_last_cow_size",
    "latest_fork_usec",
];

/// What a driven server showed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// `INFO` at t = 0.
    pub start: Map<String, Value>,
    /// `INFO` at the times of the timeline.
    pub timeline: Vec<Map<String, Value>>,
    /// `INFO` at the end.
    pub end: Map<String, Value>,
    /// Saves seen: when each began and how long it lasted (s).
    pub saves: Vec<[f64; 2]>,
    /// Keys loaded a second before t = 0; absent where none were.
    pub load_rate: Option<f64>,
    /// Requests sent, writes for misses aside.
    pub requests: u64,
    /// The most that a request was late (s).
    pub late_s: f64,
    /// Requests sent as a share of those due, for each sampling interval; empty where the rate was held.
    pub achieved: Vec<f64>,
    /// Writes refused with OOM, and with MISCONF.
    pub oom_errors: u64,
    /// See `oom_errors`.
    pub misconf_errors: u64,
}

/// A part of the stream.
#[derive(Debug)]
enum Item {
    Load(Sent),
    Begin,
    Send(Sent),
    EndPipeline,
    Event(SimTime, usize),
}

/// Hands the stream over.
struct Feeder<'a> {
    chunk: Vec<Item>,
    sender: SyncSender<Vec<Item>>,
    stop: &'a AtomicBool,
}

impl Feeder<'_> {
    fn push(&mut self, item: Item) {
        self.chunk.push(item);
        if self.chunk.len() >= CHUNK {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        // Nobody takes it any more when the run was given up.
        if self.sender.send(std::mem::take(&mut self.chunk)).is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Tap for Feeder<'_> {
    const LISTENS: bool = true;
    fn load(&mut self, sent: &Sent) {
        self.push(Item::Load(*sent));
    }
    fn begin(&mut self) {
        self.push(Item::Begin);
    }
    fn send(&mut self, sent: &Sent) {
        self.push(Item::Send(*sent));
    }
    fn end_pipeline(&mut self) {
        self.push(Item::EndPipeline);
    }
    fn event(&mut self, at: SimTime, index: usize, _: &Action) {
        self.push(Item::Event(at, index));
    }
}

/// Ends the drawing of the stream when nobody takes it.
struct Given<'a>(&'a AtomicBool);

impl Progress for Given<'_> {
    fn advance(&self, _: u32, _: SimTime, _: u64) {}
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The stream as it is handed over.
struct Items {
    receiver: Receiver<Vec<Item>>,
    chunk: std::vec::IntoIter<Item>,
}

impl Iterator for Items {
    type Item = Item;
    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.chunk.next() {
                return Some(item);
            }
            self.chunk = self.receiver.recv().ok()?.into_iter();
        }
    }
}

/// Drives a server with a scenario's stream; `watch` hears how far it is.
///
/// # Errors
/// [`LiveError`] when the server refuses a command or goes away, or when `watch` says to stop.
pub fn drive(scenario: &Scenario, server: &mut Server, watch: &dyn Progress) -> Result<Record, LiveError> {
    let stop = AtomicBool::new(false);
    let (sender, receiver) = sync_channel(CHUNKS);
    thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            let mut feeder = Feeder { chunk: Vec::new(), sender, stop };
            // It ends early only when nobody takes what it draws.
            let _ = sim::run_tapped(scenario, 0, &[], &mut feeder, &Given(stop));
            feeder.hand_over();
        });
        let mut items = Items { receiver, chunk: Vec::new().into_iter() };
        let load_rate = load(scenario, server, &mut items, watch)?;
        let result = run(scenario, server, &mut items, watch, stop);
        stop.store(true, Ordering::Relaxed);
        result.map(|record| Record { load_rate, ..record })
    })
}

/// Loads the keys that are there at t = 0, as fast as it goes; returns how many a second.
fn load(
    scenario: &Scenario,
    server: &mut Server,
    items: &mut Items,
    watch: &dyn Progress,
) -> Result<Option<f64>, LiveError> {
    let mut connection = server.connect()?;
    let (mut words, mut waiting, mut keys) = (Words::new(), 0, 0_u64);
    let began = now();
    loop {
        let item = items.next();
        if let Some(Item::Load(sent)) = &item {
            words.command(&mut connection.out, sent, sent.command, &sent.write);
            waiting += 1;
            keys += 1;
        }
        let more = matches!(item, Some(Item::Load(_)));
        if waiting == LOADED_TOGETHER || !more {
            answers(&mut connection, waiting, &mut Refused::default(), |_, _| {})?;
            waiting = 0;
            if watch.cancelled() {
                return Err(LiveError::Interrupted);
            }
        }
        if !more {
            break;
        }
    }
    if keys == 0 {
        return Ok(None);
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(connection);
    let from_file = |keyspace: &crate::scenario::Keyspace| {
        keyspace.preload.as_ref().is_some_and(|preload| preload.by == PreloadBy::Rdb)
    };
    if scenario.keyspaces.iter().any(from_file) {
        server.reload()?;
    }
    Ok(Some(keys as f64 / seconds.max(1e-6)))
}

/// Writes that the server refused.
#[derive(Debug, Clone, Copy, Default)]
struct Refused {
    oom: u64,
    misconf: u64,
}

/// Sends what was gathered and reads so many answers; `each` hears their places and those that found nothing.
fn answers(
    connection: &mut Connection,
    count: usize,
    refused: &mut Refused,
    mut each: impl FnMut(usize, bool),
) -> Result<(), LiveError> {
    connection.flush().map_err(LiveError::io("sending to the server"))?;
    for place in 0..count {
        match connection.answer().map_err(LiveError::io("reading from the server"))? {
            Answer::Error(text) if text.starts_with("OOM ") => refused.oom += 1,
            Answer::Error(text) if text.starts_with("MISCONF ") => refused.misconf += 1,
            Answer::Error(text) => return Err(LiveError::Server(format!("the server refuses a command: {text}"))),
            answer => each(place, matches!(answer, Answer::Nil | Answer::Integer(0))),
        }
    }
    Ok(())
}

/// The run itself, and beside it the reading of `INFO`.
fn run(
    scenario: &Scenario,
    server: &Server,
    items: &mut Items,
    watch: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Record, LiveError> {
    let groups = scenario.clients.iter().map(|group| {
        let connections = (0..group.connections).map(|_| server.connect()).collect::<Result<Vec<_>, _>>()?;
        Ok(Group { connections, next: 0 })
    });
    let groups = groups.collect::<Result<Vec<Group>, LiveError>>()?;
    let (work, mut reader) = (server.connect()?, server.connect()?);
    let start = reading(&reader.info(None)?, 0.0);
    let began = now();
    let mut driver = Driver {
        scenario,
        groups,
        work,
        words: Words::new(),
        began,
        pending: Vec::new(),
        missed: Vec::new(),
        due: vec![0; intervals(scenario)],
        sent: vec![0; intervals(scenario)],
        late_us: 0,
        refused: Refused::default(),
    };
    thread::scope(|scope| {
        let sampler = scope.spawn(move || sample(&mut reader, scenario, began, stop));
        let driven = driver.drive(items, watch);
        if driven.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        let sampled = sampler.join().map_err(|_| LiveError::Server("INFO could not be read".to_owned()))?;
        driven?;
        let (timeline, saves) = sampled?;
        let achieved = if driver.late_us > HELD_US { driver.achieved() } else { Vec::new() };
        Ok(Record {
            start,
            end: timeline.last().cloned().unwrap_or_default(),
            timeline,
            saves,
            load_rate: None,
            requests: driver.sent.iter().sum(),
            late_s: driver.late_us as f64 / 1e6,
            achieved,
            oom_errors: driver.refused.oom,
            misconf_errors: driver.refused.misconf,
        })
    })
}

fn intervals(scenario: &Scenario) -> usize {
    scenario.duration.0.div_ceil(scenario.sample_interval.0.max(1)) as usize
}

/// Connections that share their requests.
struct Group {
    connections: Vec<Connection>,
    next: usize,
}

struct Driver<'a> {
    scenario: &'a Scenario,
    groups: Vec<Group>,
    /// For events and their work.
    work: Connection,
    words: Words,
    began: Instant,
    /// Requests of the pipelines that are sent next.
    pending: Vec<Sent>,
    /// Those of them that missed.
    missed: Vec<Sent>,
    /// Requests due and sent, for each sampling interval.
    due: Vec<u64>,
    sent: Vec<u64>,
    late_us: u64,
    refused: Refused,
}

impl Driver<'_> {
    fn elapsed_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn drive(&mut self, items: &mut Items, watch: &dyn Progress) -> Result<(), LiveError> {
        for (items_seen, item) in items.enumerate() {
            match item {
                Item::Load(_) | Item::Begin => {}
                Item::Send(sent) => {
                    count(&mut self.due, sent.at.0, self.scenario.sample_interval);
                    self.pending.push(sent);
                }
                Item::EndPipeline => self.end_pipeline()?,
                Item::Event(at, index) => {
                    self.send()?;
                    self.wait(at.0);
                    self.event(index)?;
                }
            }
            if self.elapsed_us() > self.scenario.duration.0 {
                // What is left is too late.
                break;
            }
            if watch.cancelled() {
                return Err(LiveError::Interrupted);
            }
            if items_seen.is_multiple_of(CHUNK) {
                watch.advance(0, SimTime(self.elapsed_us().min(self.scenario.duration.0)), CHUNK as u64);
            }
        }
        self.send()
    }

    /// Sleeps until an instant of the run, rounded up to the grid (µs).
    fn wait(&self, at_us: u64) {
        let due = at_us.div_ceil(TICK_US) * TICK_US;
        if let Some(left) = due.checked_sub(self.elapsed_us()) {
            thread::sleep(Duration::from_micros(left));
        }
    }

    fn end_pipeline(&mut self) -> Result<(), LiveError> {
        let Some(last) = self.pending.last() else { return Ok(()) };
        let at = last.at.0;
        self.wait(at);
        let late = self.elapsed_us().saturating_sub(at);
        self.late_us = self.late_us.max(late);
        if late > LATE_US && self.pending.len() < TOGETHER {
            return Ok(());
        }
        self.send()
    }

    /// Sends what is pending over the connection whose turn it is, and the writes for what missed.
    fn send(&mut self) -> Result<(), LiveError> {
        let Some(first) = self.pending.first() else { return Ok(()) };
        let connection = match first.group.and_then(|group| self.groups.get_mut(group)) {
            Some(group) => {
                group.next = (group.next + 1) % group.connections.len().max(1);
                group.connections.get_mut(group.next)
            }
            None => None,
        };
        let connection = connection.unwrap_or(&mut self.work);
        for sent in &self.pending {
            self.words.command(&mut connection.out, sent, sent.command, &sent.write);
        }
        let elapsed = self.began.elapsed().as_micros() as u64;
        let interval = self.scenario.sample_interval;
        self.pending.iter().for_each(|_| count(&mut self.sent, elapsed, interval));
        let (pending, missed) = (&self.pending, &mut self.missed);
        answers(connection, pending.len(), &mut self.refused, |place, nothing| {
            let sent = &pending[place];
            let same = |other: &Sent| (other.keyspace, other.number) == (sent.keyspace, sent.number);
            if nothing && sent.on_miss.is_some() && !missed.iter().any(same) {
                missed.push(*sent);
            }
        })?;
        if !self.missed.is_empty() {
            for sent in &self.missed {
                if let Some((command, write)) = &sent.on_miss {
                    self.words.command(&mut connection.out, sent, *command, write);
                }
            }
            answers(connection, self.missed.len(), &mut self.refused, |_, _| {})?;
        }
        self.pending.clear();
        self.missed.clear();
        Ok(())
    }

    /// Does what a client can do of an event; the stream does the rest.
    fn event(&mut self, index: usize) -> Result<(), LiveError> {
        let words: &[&str] = match &self.scenario.events[index].action {
            Action::ConfigSet(_, written) => {
                for (name, value) in written {
                    self.work.call(&["CONFIG", "SET", name, value])?;
                }
                return Ok(());
            }
            Action::Flushall => &["FLUSHALL", "SYNC"],
            Action::AofRewrite { .. } => &["BGREWRITEAOF"],
            Action::MemoryPurge => &["MEMORY", "PURGE"],
            Action::Bgsave { duration } => {
                if let Some(duration) = duration {
                    self.slow_saves(*duration)?;
                }
                &["BGSAVE"]
            }
            _ => return Ok(()),
        };
        self.work.call(words).map(drop)
    }

    /// A positive delay sleeps so many microseconds a key; a negative one sleeps once in so many keys.
    /// Source: redis 7.0.15 `src/rdb.c`, `rdbSaveDb`.
    fn slow_saves(&mut self, lasts: Micros) -> Result<(), LiveError> {
        let keys = self.work.call(&["DBSIZE"])?.parse::<f64>().unwrap_or(0.0).max(1.0);
        let every = keys * SAVE_SLEEP / lasts.as_secs_f64();
        let each = lasts.as_secs_f64() / keys;
        let delay = if every >= 1.0 { -every.round() } else { ((each - SAVE_SLEEP) * 1e6).round().max(1.0) };
        self.work.call(&["CONFIG", "SET", "rdb-key-save-delay", &format!("{delay:.0}")]).map(drop)
    }

    /// Requests sent as a share of those due, interval by interval.
    fn achieved(&self) -> Vec<f64> {
        self.due.iter().zip(&self.sent).map(|(&due, &sent)| sent as f64 / due.max(1) as f64).collect()
    }
}

/// Counts a request in its interval; those after the end belong to the last.
fn count(counts: &mut [u64], at_us: u64, interval: Micros) {
    let last = counts.len().saturating_sub(1);
    if let Some(count) = counts.get_mut(((at_us / interval.0.max(1)) as usize).min(last)) {
        *count += 1;
    }
}

/// The timeline, and the saves seen.
type Sampled = (Vec<Map<String, Value>>, Vec<[f64; 2]>);

/// Reads `INFO` at the times of the timeline, and between them whether a child saves.
fn sample(
    reader: &mut Connection,
    scenario: &Scenario,
    began: Instant,
    stop: &AtomicBool,
) -> Result<Sampled, LiveError> {
    let watches_saves = scenario.events.iter().any(|event| matches!(event.action, Action::Bgsave { .. }));
    let (interval, end) = (scenario.sample_interval.0.max(1), scenario.duration.0);
    let (mut timeline, mut saves) = (Vec::new(), Vec::new());
    let mut saving: Option<f64> = None;
    let mut next = interval.min(end);
    // A save is seen to begin and to end half a look before it is seen.
    let half_look = LOOK.as_secs_f64() / 2.0;
    loop {
        if stop.load(Ordering::Relaxed) && began.elapsed().as_micros() < u128::from(end) {
            return Ok((timeline, saves));
        }
        let now_us = began.elapsed().as_micros() as u64;
        if now_us >= next {
            let info = reader.info(None)?;
            timeline.push(reading(&info, began.elapsed().as_secs_f64()));
            if next == end {
                saves.extend(saving.map(|from| [from, end as f64 / 1e6 - from]));
                return Ok((timeline, saves));
            }
            next = (next + interval).min(end);
            continue;
        }
        if watches_saves {
            let is_saving = reader.info(Some("persistence"))?.count("rdb_bgsave_in_progress") == 1;
            let seen = began.elapsed().as_secs_f64() - half_look;
            match (saving, is_saving) {
                (None, true) => saving = Some(seen),
                (Some(from), false) => {
                    saves.push([from, seen - from]);
                    saving = None;
                }
                _ => {}
            }
        }
        thread::sleep(LOOK.min(Duration::from_micros(next - now_us)));
    }
}

/// What is kept of `INFO`.
fn reading(info: &Info, seconds: f64) -> Map<String, Value> {
    let number = |value: f64| if value.fract() == 0.0 { Value::from(value as i64) } else { Value::from(value) };
    let mut reading = Map::new();
    reading.insert("t".to_owned(), Value::from((seconds * 1e3).round() / 1e3));
    let fields = FIELDS.iter().filter_map(|name| Some((*name, info.number(name)?)));
    reading.extend(fields.map(|(name, value)| (name.to_owned(), number(value))));
    for what in ["keys", "expires"] {
        reading.insert(what.to_owned(), Value::from(info.keyspace(what)));
    }
    reading
}

#[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
fn now() -> Instant {
    Instant::now()
}
