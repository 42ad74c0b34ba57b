//! The allocator's size classes: what a request costs.

/// Which allocator the server was built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    /// The release's own jemalloc, quantum 8.
    Bundled,
    /// The distribution's jemalloc, quantum 16.
    System,
    /// The C library's malloc: glibc.
    Libc,
}

impl Allocator {
    /// Name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Allocator::Bundled => "bundled",
            Allocator::System => "system",
            Allocator::Libc => "libc",
        }
    }

    /// Every allocator.
    pub const ALL: [Allocator; 3] = [Allocator::Bundled, Allocator::System, Allocator::Libc];

    /// The allocator's size classes.
    #[must_use]
    pub fn classes(self) -> SizeClasses {
        SizeClasses::of(QUANTUM.of(self)).glibc(self == Allocator::Libc)
    }
}

/// How a release's jemalloc is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jemalloc {
    /// Distance of the smallest size classes (B).
    pub quantum: ByAllocator,
    /// The bundled one lays out large allocations with a page more each (7.0; off from 7.2 on).  The distribution's does
    /// so always.
    pub cache_oblivious: bool,
    /// The distribution's is 5.3.1, where a large allocation is a multiple of the page.
    pub system_large_by_page: bool,
}

/// Quantum of each build (B).  Source: Redis `deps/Makefile`, `--with-lg-quantum=3`; Debian's package, jemalloc's own 16;
/// *measured*: `MEMORY MALLOC-STATS`.
pub(super) const QUANTUM: ByAllocator = ByAllocator { bundled: 8, system: 16, libc: 16 };

/// A figure that differs between builds (B).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByAllocator {
    /// With the release's own jemalloc.
    pub bundled: u64,
    /// With the distribution's jemalloc.
    pub system: u64,
    /// With glibc.
    pub libc: u64,
}

impl ByAllocator {
    /// The figure of one build (B).
    #[must_use]
    pub fn of(self, allocator: Allocator) -> u64 {
        match allocator {
            Allocator::Bundled => self.bundled,
            Allocator::System => self.system,
            Allocator::Libc => self.libc,
        }
    }
}

/// Chunks of this size and more are mappings of their own (B).  Source: glibc `M_MMAP_THRESHOLD`.  *assumed*: it stays
/// what it is at the start; the real one rises to the size of the largest mapping that was freed, up to 32 MiB, after which
/// a large request takes up to a page less.
pub const MMAP_THRESHOLD: u64 = 128 * 1024;
/// A chunk's header (B).
pub const CHUNK_HEADER: u64 = 8;
/// Smallest usable chunk (B).
const CHUNK_MIN: u64 = 24;
/// Bytes of a page (B).
const PAGE: u64 = 4096;

/// What a request costs.  jemalloc 5: multiples of the quantum up to 128, then four classes to each doubling.  glibc: chunks
/// in steps of 16 bytes less their header, whole pages from [`MMAP_THRESHOLD`] on.
/// Source: jemalloc 5.3.0 `size_classes.h`, *measured* against the bins of servers of both quanta and 5.3.1's `nallocx`;
/// glibc `malloc.c`, *measured* with `malloc_usable_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeClasses {
    quantum_mask: u64,
    glibc: bool,
    large_by_page: bool,
}

/// Up to here classes lie a page apart or less (B).
const LARGE: u64 = 8 * PAGE;

impl SizeClasses {
    /// jemalloc's with this quantum (B), a power of two.
    pub(super) fn of(quantum: u64) -> SizeClasses {
        SizeClasses { quantum_mask: quantum - 1, glibc: false, large_by_page: false }
    }

    /// glibc's, or as they are.
    pub(super) fn glibc(self, glibc: bool) -> SizeClasses {
        SizeClasses { glibc, ..self }
    }

    /// The same, with large classes a page apart.  *Measured*: jemalloc 5.3.1 of Debian sid, 33 000 to 300 000 bytes.
    #[must_use]
    pub fn large_by_page(self) -> SizeClasses {
        SizeClasses { large_by_page: true, ..self }
    }

    /// Bytes by which `used_memory` grows when `request` bytes are asked for (B).  A request of 0 is one of 8.
    #[inline]
    #[must_use]
    pub fn class(self, request: u64) -> u64 {
        if self.glibc {
            return glibc_class(request);
        }
        match request {
            0..=8 => 8,
            // From 64 up a class lies 16 apart even with a quantum of 8.
            9..=64 => (request + self.quantum_mask) & !self.quantum_mask,
            65..=128 => request.next_multiple_of(16),
            LARGE.. if self.large_by_page => request.next_multiple_of(PAGE),
            _ => {
                // 2^k < request <= 2^(k+1); four classes between.
                let k = 63 - (request - 1).leading_zeros();
                request.next_multiple_of(1 << (k - 2))
            }
        }
    }
}

/// Usable bytes of what glibc gives for a request (B).
#[inline(never)]
fn glibc_class(request: u64) -> u64 {
    let chunk = (request.max(8) + CHUNK_HEADER).next_multiple_of(16);
    if chunk >= MMAP_THRESHOLD {
        // A mapping has a header of two words.
        (chunk + CHUNK_HEADER).next_multiple_of(PAGE) - 2 * CHUNK_HEADER
    } else {
        (chunk - CHUNK_HEADER).max(CHUNK_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_gives_what_malloc_usable_size_said() {
        // Measured: memory-layout specification, section 1.5.  131 049, of the same chunk as 131 064, was once served from
        // the end of the heap, which had room.
        let classes = Allocator::Libc.classes();
        for (request, usable) in [
            (0, 24),
            (24, 24),
            (25, 40),
            (100, 104),
            (105, 120),
            (1033, 1048),
            (8181, 8184),
            (131_048, 131_048),
            (131_064, 135_152),
            (200_000, 200_688),
            (1_048_576, 1_052_656),
        ] {
            assert_eq!(classes.class(request), usable, "{request}");
        }
    }

    /// The classes printed by `MEMORY MALLOC-STATS` up to 14336 and the first large ones.
    const Q8: &[u64] = &[
        8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
        1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336, 16384, 20480,
        24576, 28672, 32768, 40960,
    ];

    #[test]
    fn every_request_costs_the_smallest_class_that_holds_it() {
        for (allocator, missing) in [(Allocator::Bundled, &[][..]), (Allocator::System, &[24, 40, 56][..])] {
            let classes = allocator.classes();
            for request in 0..=40_960 {
                let expected = *Q8.iter().find(|&&c| c >= request && !missing.contains(&c)).expect("within the table");
                assert_eq!(classes.class(request), expected, "{allocator:?} {request}");
            }
        }
    }

    #[test]
    fn large_classes_may_lie_a_page_apart() {
        let classes = Allocator::System.classes().large_by_page();
        for (request, class) in [
            (20_481, 24_576),
            (32_768, 32_768),
            (33_006, 36_864),
            (60_006, 61_440),
            (70_010, 73_728),
            (300_010, 303_104),
        ] {
            assert_eq!(classes.class(request), class, "{request}");
        }
    }

    #[test]
    fn powers_of_two_cost_themselves() {
        for exponent in 3..40 {
            assert_eq!(Allocator::System.classes().class(1 << exponent), 1 << exponent);
        }
    }
}
