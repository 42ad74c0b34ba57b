//! What a server writes to and what drains it: the kernel's socket buffer, the consumer behind it, and the limits on what
//! the server itself holds back.
//!
//! A [`Consumer`] takes bytes as fast as it reads; what it has not read fills the kernel's socket buffers first, which
//! are no part of `used_memory`; the rest stays in the server's output buffer.  A [`LimitWatch`] follows one buffer
//! against `client-output-buffer-limit`.
//! Source: redis 7.0.15 `src/networking.c` (`checkClientOutputBufferLimits`); dynamics specification, sections 6.3, 7.1.

use crate::units::{Bytes, Micros, SimTime};

/// How fast a consumer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadRate {
    /// As fast as anything comes.
    Unlimited,
    /// So many bytes a second; 0: it never reads.
    PerSecond(u64),
}

/// A time in which a consumer reads nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// When it begins.
    pub at: SimTime,
    /// How long it lasts.
    pub lasts: Micros,
}

/// The far end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSetup {
    /// How fast it reads.
    pub read_rate: ReadRate,
    /// What the kernel holds for it before the server's own buffer grows (B).
    pub socket_buffer: u64,
    /// When it does not read.
    pub stalls: Vec<Stall>,
}

/// What the kernel holds for a connection unless the scenario says otherwise (B).  *measured*: 3.8 MB for a reader with
/// a receive buffer of 4 KiB on loopback; `tcp_wmem` ends at 4 MiB.
pub const SOCKET_BUFFER_DEFAULT: u64 = 4 * Bytes::MIB;

impl Default for LinkSetup {
    /// Reads whatever comes.
    fn default() -> LinkSetup {
        LinkSetup { read_rate: ReadRate::Unlimited, socket_buffer: SOCKET_BUFFER_DEFAULT, stalls: Vec::new() }
    }
}

impl LinkSetup {
    /// When work that takes `lasts` and begins at `from` is done: it rests while the consumer is stalled.
    #[must_use]
    pub fn done_at(&self, from: SimTime, lasts: Micros) -> SimTime {
        let mut stalls: Vec<Stall> = self.stalls.clone();
        stalls.sort_unstable_by_key(|stall| stall.at);
        let mut end = from + lasts;
        // Stalls that overlap count once: what is before `seen` has been waited for.
        let mut seen = from;
        for stall in stalls.iter().filter(|stall| stall.at + stall.lasts > from) {
            let begins = stall.at.max(seen);
            let ends = stall.at + stall.lasts;
            if begins < end && ends > begins {
                end += ends.since(begins);
                seen = ends;
            }
        }
        end
    }

    /// How long `bytes` take to be read, stalls aside; `share`: at most so many bytes a second.
    #[must_use]
    pub fn transfer(&self, bytes: u64, share: Option<u64>) -> Micros {
        let rate = match self.read_rate {
            ReadRate::Unlimited | ReadRate::PerSecond(0) => share,
            ReadRate::PerSecond(rate) => Some(share.map_or(rate, |share| share.min(rate))),
        };
        let micros = rate.map_or(0, |rate| u128::from(bytes) * 1_000_000 / u128::from(rate.max(1)));
        Micros(u64::try_from(micros).unwrap_or(u64::MAX >> 1))
    }

    /// Whether it ever leaves something unread.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.read_rate != ReadRate::Unlimited || !self.stalls.is_empty()
    }
}

/// A consumer at run time: what the kernel holds for it.
#[derive(Debug, Clone)]
pub struct Consumer {
    setup: LinkSetup,
    /// Bytes in the kernel's socket buffers (B).
    in_kernel: u64,
    /// Bytes read and not yet a whole one, in millionths.
    fraction: u64,
}

impl Consumer {
    /// A consumer that has read everything so far.
    #[must_use]
    pub fn new(setup: LinkSetup) -> Consumer {
        Consumer { setup, in_kernel: 0, fraction: 0 }
    }

    /// Bytes in the kernel's socket buffers (B).
    #[must_use]
    pub fn in_kernel(&self) -> u64 {
        self.in_kernel
    }

    /// Whether it reads nothing at this instant.
    #[must_use]
    pub fn stalled(&self, now: SimTime) -> bool {
        self.setup.stalls.iter().any(|stall| stall.at <= now && now < stall.at + stall.lasts)
    }

    /// Bytes that leave the server's buffer when `pending` bytes wait in it and `span` ends at `now`: the consumer reads
    /// from the kernel, and the kernel takes what it has room for.  A span in which a stall begins or ends counts as it
    /// ends.
    pub fn take(&mut self, pending: u64, span: Micros, now: SimTime) -> u64 {
        self.take_from(pending, span, now, None)
    }

    /// The same over a network that carries `share` bytes a second for it.
    pub fn take_from(&mut self, pending: u64, span: Micros, now: SimTime, share: Option<u64>) -> u64 {
        let rate = match (self.setup.read_rate, share) {
            (ReadRate::PerSecond(rate), Some(share)) => ReadRate::PerSecond(rate.min(share)),
            (ReadRate::Unlimited, Some(share)) => ReadRate::PerSecond(share),
            (rate, None) => rate,
        };
        let readable = match rate {
            _ if self.stalled(now) => 0,
            ReadRate::Unlimited => u64::MAX,
            ReadRate::PerSecond(rate) => {
                let millionths = u128::from(rate) * u128::from(span.0) + u128::from(self.fraction);
                self.fraction = (millionths % 1_000_000) as u64;
                (millionths / 1_000_000) as u64
            }
        };
        let available = self.in_kernel.saturating_add(pending);
        let left = available - readable.min(available);
        let in_kernel = left.min(self.setup.socket_buffer);
        let leaves = pending - (left - in_kernel);
        self.in_kernel = in_kernel;
        leaves
    }

    /// The connection is closed: the kernel drops what it held.
    pub fn close(&mut self) {
        (self.in_kernel, self.fraction) = (0, 0);
    }
}

/// One class of `client-output-buffer-limit`; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// Closed at once from here on (B).
    pub hard: Bytes,
    /// Closed when it stays from here on up (B) …
    pub soft: Bytes,
    /// … for longer than this (s).
    pub soft_seconds: u64,
}

/// One buffer against its limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitWatch {
    /// The whole second since which it is at or above the soft limit.
    soft_since: Option<u64>,
}

impl LimitWatch {
    /// Whether a buffer that holds `usage` bytes is now to be closed; asked at every block appended and once a second.
    pub fn trips(&mut self, usage: u64, limit: OutputLimit, now: SimTime) -> bool {
        if limit.hard.0 > 0 && usage >= limit.hard.0 {
            return true;
        }
        if limit.soft.0 == 0 || usage < limit.soft.0 {
            self.soft_since = None;
            return false;
        }
        let second = now.0 / 1_000_000;
        let since = *self.soft_since.get_or_insert(second);
        second - since > limit.soft_seconds
    }
}

impl OutputLimit {
    /// A limit as redis.conf states it.
    #[must_use]
    pub const fn new(hard: u64, soft: u64, soft_seconds: u64) -> OutputLimit {
        OutputLimit { hard: Bytes(hard), soft: Bytes(soft), soft_seconds }
    }

    /// Whether a buffer of `usage` bytes is at the hard limit.
    #[must_use]
    pub fn at_hard(self, usage: u64) -> bool {
        self.hard.0 > 0 && usage >= self.hard.0
    }
}

/// A class of `client-output-buffer-limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientClass {
    /// Connections that send commands.
    Normal,
    /// Replicas.
    Replica,
    /// Subscribers.
    Pubsub,
}

impl ClientClass {
    /// The class's name in redis.conf.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClientClass::Normal => "normal",
            ClientClass::Replica => "replica",
            ClientClass::Pubsub => "pubsub",
        }
    }

    /// The class that redis.conf calls `name`, old names included.
    #[must_use]
    pub fn find(name: &str) -> Option<ClientClass> {
        match name.to_ascii_lowercase().as_str() {
            "normal" => Some(ClientClass::Normal),
            "replica" | "slave" => Some(ClientClass::Replica),
            "pubsub" => Some(ClientClass::Pubsub),
            _ => None,
        }
    }
}

/// `client-output-buffer-limit` of every class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Connections that send commands.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Subscribers.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    /// Source: redis 7.0.15 `src/config.c`, `clientBufferLimitsDefaults`.
    fn default() -> OutputLimits {
        OutputLimits {
            normal: OutputLimit::new(0, 0, 0),
            replica: OutputLimit::new(256 * Bytes::MIB, 64 * Bytes::MIB, 60),
            pubsub: OutputLimit::new(32 * Bytes::MIB, 8 * Bytes::MIB, 60),
        }
    }
}

impl OutputLimits {
    /// The limit of a class.
    #[must_use]
    pub fn of(&self, class: ClientClass) -> OutputLimit {
        match class {
            ClientClass::Normal => self.normal,
            ClientClass::Replica => self.replica,
            ClientClass::Pubsub => self.pubsub,
        }
    }

    /// Sets the limit of a class.
    pub fn set(&mut self, class: ClientClass, limit: OutputLimit) {
        match class {
            ClientClass::Normal => self.normal = limit,
            ClientClass::Replica => self.replica = limit,
            ClientClass::Pubsub => self.pubsub = limit,
        }
    }
}

/// `maxmemory-clients`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxmemoryClients {
    /// So many bytes; 0: off.
    Bytes(Bytes),
    /// So many percent of `maxmemory`.
    Percent(u32),
}

/// `maxmemory-clients` is at least this (B).  Source: redis 7.0.15 `src/networking.c`, `getClientEvictionLimit`.
const MAXMEMORY_CLIENTS_MIN: u64 = 128 * Bytes::KIB;

impl MaxmemoryClients {
    /// Bytes from which on clients are evicted; `None`: never (B).
    #[must_use]
    pub fn limit(self, maxmemory: Bytes) -> Option<u64> {
        let bytes = match self {
            MaxmemoryClients::Bytes(Bytes(0)) | MaxmemoryClients::Percent(0) => return None,
            MaxmemoryClients::Percent(_) if maxmemory.0 == 0 => return None,
            MaxmemoryClients::Bytes(bytes) => bytes.0,
            MaxmemoryClients::Percent(percent) => (u128::from(maxmemory.0) * u128::from(percent) / 100) as u64,
        };
        Some(bytes.max(MAXMEMORY_CLIENTS_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(read_rate: ReadRate, stalls: Vec<Stall>) -> LinkSetup {
        LinkSetup { read_rate, socket_buffer: 100, stalls }
    }

    #[test]
    fn the_kernel_fills_before_the_server_does() {
        let mut consumer = Consumer::new(setup(ReadRate::PerSecond(0), vec![]));
        let second = Micros::from_secs(1);
        assert_eq!(consumer.take(60, second, SimTime(1)), 60);
        assert_eq!(consumer.take(60, second, SimTime(2)), 40, "room for 40 more");
        assert_eq!((consumer.take(20, second, SimTime(3)), consumer.in_kernel()), (0, 100));
    }

    #[test]
    fn a_slow_reader_loses_no_byte_to_rounding() {
        let mut consumer = Consumer::new(setup(ReadRate::PerSecond(3), vec![]));
        let left = (1..=1000).map(|tick| consumer.take(0, Micros::from_millis(1), SimTime(tick))).sum::<u64>();
        assert_eq!(left, 0);
        assert_eq!(
            consumer.take(103, Micros::from_secs(1), SimTime(2_000)),
            103,
            "three read, a hundred in the kernel"
        );
    }

    #[test]
    fn a_stalled_reader_reads_again_afterwards() {
        let stall = Stall { at: SimTime(10), lasts: Micros(10) };
        let mut consumer = Consumer::new(setup(ReadRate::Unlimited, vec![stall]));
        assert_eq!(consumer.take(500, Micros(5), SimTime(5)), 500);
        assert_eq!(consumer.take(500, Micros(5), SimTime(15)), 100);
        assert_eq!(consumer.take(400, Micros(5), SimTime(20)), 400);
        assert_eq!(consumer.in_kernel(), 0);
    }

    #[test]
    fn work_rests_while_the_consumer_is_stalled() {
        let stalls = vec![
            Stall { at: SimTime(10), lasts: Micros(10) },
            Stall { at: SimTime(15), lasts: Micros(10) },
            Stall { at: SimTime(100), lasts: Micros(5) },
        ];
        let link = setup(ReadRate::PerSecond(2), stalls);
        for (from, lasts, done) in [(0, 5, 5), (0, 10, 10), (0, 11, 26), (12, 4, 29), (30, 70, 100), (30, 71, 106)] {
            assert_eq!(link.done_at(SimTime(from), Micros(lasts)), SimTime(done), "{from} {lasts}");
        }
        assert_eq!(link.transfer(10, None), Micros::from_secs(5));
        assert_eq!(link.transfer(10, Some(1)), Micros::from_secs(10));
        assert_eq!(LinkSetup::default().transfer(10, None), Micros(0));
    }

    #[test]
    fn limits_trip_at_once_or_after_their_time() {
        let limit = OutputLimit { hard: Bytes(100), soft: Bytes(10), soft_seconds: 3 };
        let at = |seconds: u64| SimTime(seconds * 1_000_000);
        let mut watch = LimitWatch::default();
        assert!(watch.trips(100, limit, at(0)));
        assert!(!watch.trips(10, limit, at(1)));
        assert!(!watch.trips(10, limit, at(4)), "not longer than three seconds");
        assert!(!watch.trips(9, limit, at(5)), "below: the time starts anew");
        assert!(!watch.trips(50, limit, at(6)));
        assert!(watch.trips(50, limit, at(10)));
        let none = OutputLimit { hard: Bytes(0), soft: Bytes(0), soft_seconds: 0 };
        assert!(!LimitWatch::default().trips(u64::MAX, none, at(9)));
    }
}
