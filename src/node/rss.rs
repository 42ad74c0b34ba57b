//! Resident memory: what the allocator holds for the keys and tables, and what the process holds besides.
//!
//! With up to two million ids every region's slab is known (see `slabs`).  Beyond, each size class is followed as a whole
//! (see `mean_field`).
//! glibc has no slabs: its heap keeps the most that it ever took, and serves any size from what was freed.
//! Source: dynamics specification, sections 5.3 to 5.5.

use super::Node;
use super::keys::{Region, Sizes, Slot};
use super::ledger::{KEYSPACE_PARTS, MemoryPart};
use super::mean_field::MeanField;
use super::runs::Runs;
use super::slabs::{Place, Slabs};
use crate::profile::{Allocator, CHUNK_HEADER, Fragmentation, TableLayout};

/// Ids up to which regions are followed one by one.
const EXACT_KEYS: usize = 2_000_000;
/// The largest object with its value in it (B).
const EMBEDDED_MOST: u64 = 128;
/// What the allocator's own structures take (B).  *measured*: `allocator_resident` less `allocator_active` of idle
/// servers, the same within 4 % on 7.0.15 (both allocators) and 7.2.6.
const METADATA: u64 = 2_600_000;

/// `allocator_active` of an idle server beyond `used_memory`: slabs begun, thread caches (B).  *measured*: medians of 55 idle
/// servers each, 7.0.15 and 7.2.6; an idle 6.2.14 built with glibc.
fn idle_active(allocator: Allocator) -> u64 {
    match allocator {
        Allocator::Bundled => 330_000,
        Allocator::System => 861_000,
        Allocator::Libc => 0,
    }
}

/// Memory of a process that is none of the keys'.
#[derive(Debug, Clone, Copy)]
struct ProcessMemory {
    /// `allocator_active` beyond `used_memory` (B).
    active: u64,
    /// `used_memory_rss` beyond `allocator_resident` (B).
    process: u64,
}

/// Where the regions of one key lie, indexed by [`Region`].
pub(super) type Places = [Place; 5];

/// How the keys' memory is followed.
#[derive(Debug)]
pub(super) enum Heap {
    /// Region by region; by slot.
    Exact { slabs: Box<Slabs>, places: Vec<Places> },
    /// Class by class.
    MeanField(MeanField),
    /// glibc's heap: the most that chunks ever took, since freed chunks are used again and only the heap's end is given
    /// back (B).  Bucket arrays are mappings, and come and go.
    HighWater(u64),
}

/// Resident memory at run time.
#[derive(Debug)]
pub(super) struct Rss {
    heap: Heap,
    /// Blocks of collections.
    blocks: MeanField,
    /// Keys whose classes have still to be told to a mean field.
    alike: Alike,
    process: ProcessMemory,
}

/// Keys of the same sizes that came and went one after the other.
#[derive(Debug, Clone, Copy, Default)]
struct Alike {
    sizes: Option<Sizes>,
    /// Added less deleted.
    more: i64,
}

impl Alike {
    #[inline]
    fn is_of(&self, sizes: Sizes) -> bool {
        self.sizes.is_some_and(|other| other.is_alike(sizes))
    }
}

impl Rss {
    /// A server with an id space of `ids`, and a process that takes `process` beside its allocator (B).
    pub(super) fn new(ids: usize, allocator: Allocator, cache_oblivious: bool, process: u64) -> Rss {
        let process = ProcessMemory { active: idle_active(allocator), process };
        let heap = if allocator == Allocator::Libc {
            Heap::HighWater(0)
        } else if ids <= EXACT_KEYS {
            let slabs = Slabs::new(cache_oblivious);
            let slabs = if allocator == Allocator::System { slabs.coarse() } else { slabs };
            Heap::Exact { slabs: Box::new(slabs), places: Vec::new() }
        } else {
            Heap::MeanField(MeanField::default())
        };
        Rss { heap, blocks: MeanField::default(), alike: Alike::default(), process }
    }

    /// What a server takes at its start lies before everything else (B).
    pub(super) fn reserve(&mut self, startup: u64) {
        if let Heap::Exact { slabs, .. } = &mut self.heap {
            slabs.reserve(startup + self.process.active);
        }
    }

    /// How the keys' memory is followed.
    pub(super) fn heap(&self) -> &Heap {
        &self.heap
    }

    /// The same, to be changed.
    pub(super) fn heap_mut(&mut self) -> &mut Heap {
        &mut self.heap
    }

    /// Blocks of a collection were allocated, or freed.
    #[inline]
    pub(super) fn note_blocks(&mut self, class: u64, count: u64, made: bool) {
        if made { self.blocks.allocate_many(class, count) } else { self.blocks.free_many(class, count) }
    }

    /// Dirty pages of the allocator (B).
    pub(super) fn dirty_bytes(&self) -> u64 {
        match &self.heap {
            Heap::Exact { slabs, .. } => slabs.dirty_bytes(),
            Heap::MeanField(_) | Heap::HighWater(_) => 0,
        }
    }

    /// Bytes of the keys' pages, dirty ones included (B).
    pub(super) fn heap_bytes(&self) -> u64 {
        let keys = match &self.heap {
            Heap::Exact { slabs, .. } => slabs.active_bytes() + slabs.dirty_bytes(),
            Heap::MeanField(field) => field.held(),
            Heap::HighWater(most) => *most,
        };
        keys + self.blocks.held()
    }

    /// Bytes of the slabs of each small class, where they are known: class and bytes (B).
    pub(super) fn resident_by_class(&self) -> Vec<(u64, u64)> {
        let mut resident = match &self.heap {
            Heap::Exact { slabs, .. } => slabs.resident_by_class().collect(),
            Heap::MeanField(field) => field.held_by_class().collect(),
            Heap::HighWater(_) => Vec::new(),
        };
        for (class, bytes) in self.blocks.held_by_class() {
            match resident.iter_mut().find(|(other, _)| *other == class) {
                Some((_, held)) => *held += bytes,
                None => resident.push((class, bytes)),
            }
        }
        resident
    }

    fn allocate(&mut self, slot: Slot, region: Region, class: u64) {
        match &mut self.heap {
            Heap::Exact { slabs, places } => {
                if places.len() <= slot as usize {
                    places.resize(slot as usize + 1, Places::default());
                }
                places[slot as usize][region as usize] = slabs.allocate(class);
            }
            Heap::MeanField(field) => field.allocate(class),
            Heap::HighWater(_) => {}
        }
    }

    fn free(&mut self, slot: Slot, region: Region, class: u64) {
        match &mut self.heap {
            Heap::Exact { slabs, places } => slabs.free(class, places[slot as usize][region as usize]),
            Heap::MeanField(field) => field.free(class),
            Heap::HighWater(_) => {}
        }
    }

    /// A region is allocated anew, then the old one freed.
    fn renew(&mut self, slot: Slot, region: Region, from: u64, to: u64) {
        match &mut self.heap {
            Heap::Exact { slabs, places } => {
                let place = &mut places[slot as usize][region as usize];
                let old = std::mem::replace(place, slabs.allocate(to));
                slabs.free(from, old);
            }
            Heap::MeanField(field) if from != to => {
                field.allocate(to);
                field.free(from);
            }
            Heap::MeanField(_) | Heap::HighWater(_) => {}
        }
    }
}

/// What `INFO memory` says of the allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllocatorInfo {
    /// `allocator_allocated` (B).
    pub allocated: u64,
    /// `allocator_active` (B).
    pub active: u64,
    /// `allocator_resident` (B).
    pub resident: u64,
    /// `used_memory_rss` (B).
    pub rss: u64,
    /// `allocator_frag_bytes`: by the release's definition pages in use beyond what is allocated, or free places in slabs
    /// (B).
    pub frag_bytes: u64,
}

impl AllocatorInfo {
    /// `allocator_frag_ratio`.
    #[must_use]
    pub fn frag_ratio(&self) -> f64 {
        1.0 + self.frag_bytes as f64 / self.allocated.max(1) as f64
    }
}

impl Node {
    /// What the allocator holds now.
    #[must_use]
    pub fn allocator_info(&self) -> AllocatorInfo {
        let followed: u64 = KEYSPACE_PARTS.iter().map(|&part| self.ledger.part(part)).sum();
        let others = self.ledger.used() - followed;
        // Child buckets, or entries of shared buckets, whose places are not followed.
        let beside: u64 = self.beside_arrays.iter().sum();
        let in_tables = self.profile.table_layout == TableLayout::Buckets || self.slot_tables.is_some();
        let beside_tables = if in_tables { 0 } else { beside };
        let (cached, held, dirty, metadata, free_places) = match &self.rss.heap {
            Heap::Exact { slabs, .. } => {
                let (in_runs, pages) = slabs.runs();
                let held = slabs.active_bytes() + self.rss.blocks.held() + beside + pages - in_runs.min(others);
                let free_places = slabs.free_places_bytes() + self.rss.blocks.free_places();
                (slabs.cached_bytes(), held, slabs.dirty_bytes(), slabs.metadata_bytes(), free_places)
            }
            Heap::MeanField(field) => {
                let held = field.held() + self.rss.blocks.held() + self.tables_bytes() + beside_tables;
                (0, held.max(followed), 0, 0, field.free_places() + self.rss.blocks.free_places())
            }
            Heap::HighWater(most) => return self.glibc_info(*most),
        };
        let allocated = self.ledger.used() + cached;
        let active = (others + held + self.rss.process.active).max(allocated);
        let resident = active + dirty + metadata + METADATA;
        let rss = resident + self.rss.process.process - self.untouched_bytes().min(held);
        let frag_bytes = match self.profile.fragmentation {
            Fragmentation::ActivePages => active - allocated,
            Fragmentation::SmallSlabs => free_places,
        };
        AllocatorInfo { allocated, active, resident, rss, frag_bytes }
    }

    /// `used_memory_rss` of an empty server (B).
    pub(super) fn empty_rss_bytes(&self) -> u64 {
        let allocator = if matches!(self.rss.heap, Heap::HighWater(_)) { 0 } else { METADATA };
        self.used_memory_startup() + self.rss.process.active + allocator + self.rss.process.process
    }

    /// What `INFO memory` says without jemalloc: `allocator_active` and `_resident` are the process's.
    /// Source: redis 7.0.15 `src/server.c`, `cronUpdateMemoryStats`.
    fn glibc_info(&self, most: u64) -> AllocatorInfo {
        let chunks = self.glibc_chunks();
        let unused = most.saturating_sub(chunks);
        let headers = chunks - self.glibc_chunk_bytes();
        let used = self.ledger.used();
        let rss = used + headers + unused + self.rss.process.process - self.untouched_bytes();
        // Without jemalloc's figures the server calls its resident size allocated too.
        AllocatorInfo { allocated: used, active: rss, resident: rss, rss, frag_bytes: rss.saturating_sub(used) }
    }

    /// Usable bytes of the keys' chunks, arrays left out (B).
    fn glibc_chunk_bytes(&self) -> u64 {
        let arrays = [MemoryPart::MainTable, MemoryPart::ExpiresTable];
        KEYSPACE_PARTS.iter().filter(|part| !arrays.contains(part)).map(|&part| self.ledger.part(part)).sum()
    }

    /// The same with their headers (B).
    fn glibc_chunks(&self) -> u64 {
        let (keys, values) = (self.main.len(), self.ledger.part(MemoryPart::Values));
        // Where the mean value is larger than what an object can hold, values have chunks of their own.
        let raw = if values > keys * EMBEDDED_MOST { keys } else { 0 };
        let chunks = keys * self.regions.allocations() + raw + self.expires.len();
        self.glibc_chunk_bytes() + CHUNK_HEADER * chunks
    }

    /// Pages of new bucket arrays that no entry has moved to yet: zeroed by the kernel, not resident (B).
    fn untouched_bytes(&self) -> u64 {
        // Small arrays are touched at once.
        let tables = [&self.main, &self.expires].into_iter().filter(|_| self.slot_tables.is_none());
        tables.map(super::dict::Dict::untouched_bytes).sum()
    }

    /// `used_memory_rss` (B).
    pub(super) fn rss_bytes(&self) -> u64 {
        self.allocator_info().rss
    }

    /// Cron's part: dirty pages decay; a heap that is followed as a whole is fitted to what lives.
    pub(super) fn rss_cron(&mut self) {
        let now_us = self.now_us;
        self.tell_alike();
        self.rss.blocks.fit();
        let (chunks, runs) = (self.glibc_chunks(), self.buffer_runs());
        match &mut self.rss.heap {
            Heap::HighWater(most) => *most = chunks.max(*most),
            Heap::Exact { slabs, .. } => {
                slabs.tick(now_us);
                slabs.set_runs(&runs);
            }
            Heap::MeanField(field) => field.fit(),
        }
    }

    /// Blocks of output buffers, of the replication buffer and of the AOF buffer.
    fn buffer_runs(&self) -> Runs {
        let mut runs = Runs::default();
        self.add_output_runs(&mut runs);
        self.add_replication_runs(&mut runs);
        self.add_aof_runs(&mut runs);
        runs
    }

    /// Bucket arrays (B).
    fn tables_bytes(&self) -> u64 {
        self.ledger.part(MemoryPart::MainTable) + self.ledger.part(MemoryPart::ExpiresTable)
    }

    /// `MEMORY PURGE`.
    pub fn memory_purge(&mut self) {
        if let Heap::Exact { slabs, .. } = &mut self.rss.heap {
            slabs.purge();
        }
    }

    /// A key was added.
    #[inline]
    pub(super) fn note_added_to_heap(&mut self, slot: Slot, sizes: Sizes) {
        match &self.rss.heap {
            Heap::MeanField(_) => self.count_alike(sizes, 1),
            Heap::Exact { .. } => self.place_key(slot, sizes),
            Heap::HighWater(_) => {}
        }
    }

    /// Counts keys added and deleted that are alike, to tell the classes of all of them at once.
    #[inline]
    fn count_alike(&mut self, sizes: Sizes, more: i64) {
        if !self.rss.alike.is_of(sizes) {
            self.tell_alike();
            self.rss.alike = Alike { sizes: Some(sizes), more: 0 };
        }
        self.rss.alike.more += more;
    }

    /// Tells the classes of the keys that were counted.
    #[inline(never)]
    fn tell_alike(&mut self) {
        let Alike { sizes: Some(sizes), more } = std::mem::take(&mut self.rss.alike) else { return };
        let Heap::MeanField(field) = &mut self.rss.heap else { return };
        let [object, value] = self.regions.value_classes(sizes);
        for class in [object, value, self.regions.key(sizes), self.regions.entry].into_iter().filter(|&class| class > 0)
        {
            let count = more.unsigned_abs();
            if more > 0 { field.allocate_many(class, count) } else { field.free_many(class, count) }
        }
    }

    /// A command wrote a key, or a key went.
    #[inline]
    fn note_command_in_heap(&mut self) {
        if let Heap::Exact { slabs, .. } = &mut self.rss.heap {
            slabs.note_command();
        }
    }

    fn place_key(&mut self, slot: Slot, sizes: Sizes) {
        self.note_command_in_heap();
        let [object, value] = self.regions.value_classes(sizes);
        // Bytes before their object: they are its constructor's argument.  Source: `createRawStringObject`.
        for (region, class) in [
            (Region::Value, value),
            (Region::Object, object),
            (Region::Key, self.regions.key(sizes)),
            (Region::Entry, self.regions.entry),
        ] {
            self.rss.allocate(slot, region, class);
        }
    }

    /// A key is being deleted; its TTL is gone already.
    #[inline]
    pub(super) fn note_deleted_from_heap(&mut self, slot: Slot) {
        match &self.rss.heap {
            Heap::MeanField(_) => self.count_alike(self.keys.entries[slot as usize].sizes, -1),
            Heap::Exact { .. } => self.displace_key(slot),
            Heap::HighWater(_) => {}
        }
    }

    fn displace_key(&mut self, slot: Slot) {
        self.note_command_in_heap();
        let sizes = self.keys.entries[slot as usize].sizes;
        let [object, value] = self.regions.value_classes(sizes);
        for (region, class) in [
            (Region::Key, self.regions.key(sizes)),
            (Region::Value, value),
            (Region::Object, object),
            (Region::Entry, self.regions.entry),
        ] {
            self.rss.free(slot, region, class);
        }
    }

    /// A value was replaced; `in_place`: what keeps its class stays where it is.
    pub(super) fn note_replaced_in_heap(&mut self, slot: Slot, before: Sizes, in_place: bool) {
        self.note_command_in_heap();
        let after = self.keys.entries[slot as usize].sizes;
        let (old, new) = (self.regions.value_classes(before), self.regions.value_classes(after));
        for ((region, from), to) in [Region::Object, Region::Value].into_iter().zip(old).zip(new) {
            if !(in_place && from == to) {
                self.rss.renew(slot, region, from, to);
            }
        }
    }

    /// A key got its first TTL.
    pub(super) fn note_ttl_added_to_heap(&mut self, slot: Slot) {
        self.rss.allocate(slot, Region::Timed, self.regions.timed);
    }

    /// A key lost its TTL.
    pub(super) fn note_ttl_removed_from_heap(&mut self, slot: Slot) {
        self.rss.free(slot, Region::Timed, self.regions.timed);
    }

    /// A bucket array was made, or freed.
    pub(super) fn note_array_in_heap(&mut self, bytes: u64, made: bool) {
        if let Heap::Exact { slabs, .. } = &mut self.rss.heap {
            // Small arrays lie in slabs; which one does not matter, they are few.
            if made && bytes >= super::slabs::LARGE {
                slabs.allocate_array(bytes);
            } else if bytes >= super::slabs::LARGE {
                slabs.free_array(bytes);
            }
        }
    }

    /// Every key is gone, and a synchronous FLUSHALL has purged.
    pub(super) fn note_flushed_heap(&mut self) {
        self.rss.blocks = MeanField::default();
        self.rss.alike = Alike::default();
        match &mut self.rss.heap {
            Heap::Exact { slabs, places } => {
                slabs.clear();
                places.clear();
            }
            Heap::MeanField(field) => *field = MeanField::default(),
            Heap::HighWater(most) => *most = 0,
        }
    }
}
