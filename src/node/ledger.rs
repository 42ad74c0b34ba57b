//! The ledger of `used_memory`: every byte is charged to one part, and `used_memory` is their sum.
//!
//! On the hot path a charge is two integer additions.  `INFO`'s own split (overhead, dataset) uses nominal struct
//! sizes and is derived from counts when a sample is taken; see the module `info`.

/// What a byte of `used_memory` is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryPart {
    /// What the server allocates before it serves: `used_memory_startup`.
    Startup,
    /// Latency histograms, one for each command once used.
    CommandHistograms,
    /// Client structs, query buffers and reply buffers.
    Clients,
    /// Bucket arrays of the main hash table; both while rehashing.
    MainTable,
    /// Bucket arrays of the expires table; both while rehashing.
    ExpiresTable,
    /// Entries of the main table.
    Entries,
    /// Entries of the expires table, and the index of hashes whose fields have a TTL.
    ExpiresEntries,
    /// Key strings.
    Keys,
    /// Value objects and what they point to.
    Values,
    /// Reply lists: what connections have not read yet.
    ClientOutputBuffers,
    /// Blocks of the replication backlog and of what replicas have not been sent.
    ReplicationBuffers,
    /// `aof_buf`: what the present iteration of the event loop has written.
    AofBuffer,
}

impl MemoryPart {
    /// Every part, in the order in which charts stack them.
    pub const ALL: [MemoryPart; 12] = [
        MemoryPart::Startup,
        MemoryPart::CommandHistograms,
        MemoryPart::Clients,
        MemoryPart::MainTable,
        MemoryPart::ExpiresTable,
        MemoryPart::Entries,
        MemoryPart::ExpiresEntries,
        MemoryPart::Keys,
        MemoryPart::Values,
        MemoryPart::ClientOutputBuffers,
        MemoryPart::ReplicationBuffers,
        MemoryPart::AofBuffer,
    ];

    /// The part's name in `summary.json` and in `timeline.csv` (there with `_bytes`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MemoryPart::Startup => "startup",
            MemoryPart::CommandHistograms => "command_histograms",
            MemoryPart::Clients => "clients",
            MemoryPart::MainTable => "main_table",
            MemoryPart::ExpiresTable => "expires_table",
            MemoryPart::Entries => "entries",
            MemoryPart::ExpiresEntries => "expires_entries",
            MemoryPart::Keys => "keys",
            MemoryPart::Values => "values",
            MemoryPart::ClientOutputBuffers => "client_output_buffers",
            MemoryPart::ReplicationBuffers => "replication_buffers",
            MemoryPart::AofBuffer => "aof_buffer",
        }
    }

    /// The part in words, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            MemoryPart::Startup => "server at startup",
            MemoryPart::CommandHistograms => "command histograms",
            MemoryPart::Clients => "client buffers",
            MemoryPart::MainTable => "main hash table",
            MemoryPart::ExpiresTable => "expires hash table",
            MemoryPart::Entries => "hash table entries",
            MemoryPart::ExpiresEntries => "expires entries",
            MemoryPart::Keys => "key strings",
            MemoryPart::Values => "values",
            MemoryPart::ClientOutputBuffers => "output buffers",
            MemoryPart::ReplicationBuffers => "replication buffers",
            MemoryPart::AofBuffer => "AOF buffer",
        }
    }
}

/// The parts that keys and their tables take: what FLUSHALL frees, and what slabs are followed for.
pub const KEYSPACE_PARTS: [MemoryPart; 6] = [
    MemoryPart::MainTable,
    MemoryPart::ExpiresTable,
    MemoryPart::Entries,
    MemoryPart::ExpiresEntries,
    MemoryPart::Keys,
    MemoryPart::Values,
];

/// How many parts there are.
pub const PARTS: usize = MemoryPart::ALL.len();

/// Bytes by part, and their sum (B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    parts: [u64; PARTS],
    used: u64,
    peak: u64,
    high: u64,
}

impl Ledger {
    /// Charges `bytes` to `part`.
    #[inline]
    pub fn charge(&mut self, part: MemoryPart, bytes: u64) {
        self.parts[part as usize] += bytes;
        self.used += bytes;
    }

    /// Takes `bytes` back from `part`, which must hold them.
    #[inline]
    pub fn release(&mut self, part: MemoryPart, bytes: u64) {
        debug_assert!(self.parts[part as usize] >= bytes, "{part:?} releases more than it holds");
        self.parts[part as usize] -= bytes;
        self.used -= bytes;
    }

    /// Sets what `part` holds, for parts that are recomputed and not followed.
    pub fn set(&mut self, part: MemoryPart, bytes: u64) {
        self.used = self.used - self.parts[part as usize] + bytes;
        self.parts[part as usize] = bytes;
    }

    /// `used_memory` (B).
    #[inline]
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The largest `used_memory` seen by [`Ledger::note_peak`] (B).
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Takes note of the present use, as the server does after each command and in cron; true when it is a new peak.
    #[inline]
    pub fn note_peak(&mut self) -> bool {
        if self.used <= self.high {
            return false;
        }
        self.high = self.used;
        let higher = self.used > self.peak;
        if higher {
            self.peak = self.used;
        }
        higher
    }

    /// The largest use noted since the last call, which starts the next interval (B).
    pub fn take_high(&mut self) -> u64 {
        std::mem::replace(&mut self.high, self.used).max(self.used)
    }

    /// Forgets the peak.
    pub fn reset_peak(&mut self) {
        (self.peak, self.high) = (0, 0);
    }

    /// What `part` holds (B).
    #[must_use]
    pub fn part(&self, part: MemoryPart) -> u64 {
        self.parts[part as usize]
    }

    /// Every part, indexed as [`MemoryPart::ALL`] (B).
    #[must_use]
    pub fn parts(&self) -> [u64; PARTS] {
        self.parts
    }

    /// Checks the law of the ledger: `used_memory` is the sum of its parts.
    pub fn assert_balanced(&self) {
        debug_assert_eq!(self.parts.iter().sum::<u64>(), self.used, "the ledger's parts do not add up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_in_the_order_of_the_enum_with_unique_names() {
        for (i, part) in MemoryPart::ALL.into_iter().enumerate() {
            assert_eq!(part as usize, i);
            assert_eq!(MemoryPart::ALL.iter().filter(|p| p.name() == part.name()).count(), 1);
        }
    }

    #[test]
    fn a_charge_and_its_release_leave_nothing() {
        let mut ledger = Ledger::default();
        ledger.charge(MemoryPart::Values, 112);
        assert!(ledger.note_peak());
        ledger.release(MemoryPart::Values, 112);
        assert!(!ledger.note_peak());
        assert_eq!((ledger.used(), ledger.peak()), (0, 112));
        ledger.assert_balanced();
    }
}
