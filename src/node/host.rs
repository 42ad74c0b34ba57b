//! The machine around the server: its memory, and the kernel's own count of who uses it.
//!
//! `maxmemory` counts what the server allocated; the kernel counts pages: the server's resident set, the pages that a
//! fork made it copy, page tables of both processes, socket buffers.  When they pass the host's memory the kernel kills.
//! Source: dynamics specification, sections 4.3, 4.10, 10.

use super::Node;
use super::child::{ChildEnd, ChildKind};
use super::cow::PageSize;
use super::notice::EventKind;
use crate::units::{Bytes, Micros};

/// Bytes of resident memory for each byte of page tables: eight bytes for a page of 4 KiB.
const BYTES_PER_PAGE_TABLE_BYTE: u64 = 512;
/// Share of RAM that `vm.overcommit_memory = 2` lends (%).  Source: `vm.overcommit_ratio`, default.
const OVERCOMMIT_RATIO: u64 = 50;

/// `vm.overcommit_memory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OvercommitMemory {
    /// 0: a fork is refused only when one mapping alone is larger than RAM.
    Heuristic,
    /// 1: a fork is never refused.
    #[default]
    Always,
    /// 2: a fork needs commit for a second copy of everything.
    Never,
}

/// The machine, or the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostSetup {
    /// RAM or the cgroup's limit; `None`: not said, nothing is killed.
    pub memory: Option<Bytes>,
    /// Pages under the server's heap.
    pub page_size: PageSize,
    /// What forks need.
    pub overcommit_memory: OvercommitMemory,
    /// What everything else on the machine takes (B).
    pub os_reserve: Bytes,
    /// Payload bytes that a child serialises a second; `None`: as `[costs]` say.
    pub snapshot_rate: Option<u64>,
    /// Bytes that its network carries a second, shared by the replicas that are sent something.
    pub network_rate: Option<u64>,
    /// Bytes that its disk takes a second.
    pub disk_rate: Option<u64>,
}

/// What the kernel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPart {
    /// The server's resident set.
    Rss,
    /// Pages that a fork's two processes no longer share.
    CopyOnWrite,
    /// Page tables of the server, and of its child.
    PageTables,
    /// What the kernel holds for connections.
    SocketBuffers,
    /// Everything else on the machine.
    OsReserve,
}

impl HostPart {
    /// Every part, in the order in which charts stack them.
    pub const ALL: [HostPart; 5] =
        [HostPart::OsReserve, HostPart::Rss, HostPart::PageTables, HostPart::SocketBuffers, HostPart::CopyOnWrite];

    /// The part's name in `summary.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HostPart::Rss => "rss",
            HostPart::CopyOnWrite => "copy_on_write",
            HostPart::PageTables => "page_tables",
            HostPart::SocketBuffers => "socket_buffers",
            HostPart::OsReserve => "os_reserve",
        }
    }

    /// The part in words, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            HostPart::Rss => "resident set (RSS)",
            HostPart::CopyOnWrite => "copy-on-write",
            HostPart::PageTables => "page tables",
            HostPart::SocketBuffers => "socket buffers",
            HostPart::OsReserve => "reserve for the rest",
        }
    }
}

/// How many parts there are.
pub const HOST_PARTS: usize = HostPart::ALL.len();

/// Bytes by part, indexed by `HostPart as usize` (B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostMemory(pub [u64; HOST_PARTS]);

impl HostMemory {
    /// All of it (B).
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// One part (B).
    #[must_use]
    pub fn part(&self, part: HostPart) -> u64 {
        self.0[part as usize]
    }
}

/// The largest use of the host's memory, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostPeak {
    /// By part (B).
    pub memory: HostMemory,
    /// When it was reached (µs of the server's clock).
    pub at_us: u64,
}

/// Which process the kernel's out-of-memory killer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The server itself: what is not on disk is lost.
    Server,
    /// The child: a snapshot or a sync fails.
    Child,
}

/// The machine at run time.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) setup: HostSetup,
    pub(super) peak: HostPeak,
    /// The kernel has killed the server.
    pub(super) killed: bool,
}

impl Host {
    /// How long the disk takes to write `bytes`; `shared`: with a child that writes too.
    pub(super) fn disk_time(&self, bytes: u64, shared: bool) -> Micros {
        let rate = self.setup.disk_rate.map(|rate| if shared { rate / 2 } else { rate });
        let micros = rate.map_or(0, |rate| u128::from(bytes) * 1_000_000 / u128::from(rate.max(1)));
        Micros(u64::try_from(micros).unwrap_or(u64::MAX >> 1))
    }
}

impl Node {
    /// Whether the kernel refuses a fork now.
    pub(super) fn fork_is_refused(&self) -> bool {
        let Some(Bytes(memory)) = self.host.setup.memory else { return false };
        let rss = self.rss_bytes();
        match self.host.setup.overcommit_memory {
            OvercommitMemory::Heuristic => rss > memory,
            OvercommitMemory::Always => false,
            OvercommitMemory::Never => 2 * rss > memory * OVERCOMMIT_RATIO / 100,
        }
    }

    /// What the kernel counts now.
    #[must_use]
    pub fn host_memory(&self) -> HostMemory {
        let rss = self.rss_bytes();
        let processes = if self.child.is_some() { 2 } else { 1 };
        let mut memory = HostMemory::default();
        memory.0[HostPart::Rss as usize] = rss;
        memory.0[HostPart::CopyOnWrite as usize] = self.copy_on_write_bytes();
        memory.0[HostPart::PageTables as usize] = processes * rss / BYTES_PER_PAGE_TABLE_BYTE;
        memory.0[HostPart::SocketBuffers as usize] = self.socket_bytes() + self.replication.socket_bytes();
        memory.0[HostPart::OsReserve as usize] = self.host.setup.os_reserve.0;
        memory
    }

    /// What the kernel counts beside an empty server of this configuration (B).
    #[must_use]
    pub fn empty_host_memory(&self) -> u64 {
        self.empty_rss_bytes() + self.host.setup.os_reserve.0
    }

    /// Takes note of the host's memory, and lets the kernel kill when it is used up.
    pub(super) fn host_cron(&mut self) {
        let memory = self.host_memory();
        if memory.total() > self.host.peak.memory.total() {
            self.host.peak = HostPeak { memory, at_us: self.now_us };
        }
        let Some(Bytes(limit)) = self.host.setup.memory else { return };
        if memory.total() <= limit || self.host.killed {
            return;
        }
        let lost_changes = self.changes_at_risk();
        self.counters.oom_kills += 1;
        // With oom-score-adj the child's score is raised, so that it goes first; without, the server is the larger.
        if self.child.is_some() && self.config.oom_score_adj {
            self.note_event(EventKind::OomKilled { victim: Victim::Child, lost_changes: 0 });
            self.end_child(ChildEnd::Failed);
        } else {
            self.note_event(EventKind::OomKilled { victim: Victim::Server, lost_changes });
            self.host.killed = true;
        }
    }

    /// Whether the kernel has killed the server.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.host.killed
    }

    /// The largest use of the host's memory so far.
    #[must_use]
    pub fn host_peak(&self) -> HostPeak {
        self.host.peak
    }

    /// The kind of child that lives, if one does.
    #[must_use]
    pub fn child_kind(&self) -> Option<ChildKind> {
        self.child.as_ref().map(|child| child.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_names_of_their_own() {
        for part in HostPart::ALL {
            assert_eq!(HostPart::ALL.iter().filter(|p| p.name() == part.name()).count(), 1);
        }
        let mut memory = HostMemory::default();
        memory.0[HostPart::Rss as usize] = 5;
        memory.0[HostPart::OsReserve as usize] = 2;
        assert_eq!((memory.total(), memory.part(HostPart::Rss)), (7, 5));
    }
}
