//! Size classes against the allocators themselves: jemalloc's `nallocx`, glibc's `malloc_usable_size`.
//!
//! The linked jemalloc has one quantum: 8 bytes as `.cargo/config.toml` has it built, 16 with
//! `JEMALLOC_SYS_WITH_LG_QUANTUM=4` in the environment.  The other quantum's classes differ up to 64 bytes alone: there
//! they are multiples of the quantum (source: jemalloc 5.3.1 `src/sc.c`, `size_classes`: a quantum's first four classes
//! are its multiples, below it are powers of two from 8 on), everywhere else they must be the linked build's.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "allocators are C libraries")]

use capsim::profile::{Allocator, MMAP_THRESHOLD, SizeClasses};
use proptest::prelude::*;
use std::ffi::{CStr, c_int, c_void};
use std::process::Command;

/// Requests are checked up to here (B).
const LARGEST: u64 = 8 << 30;
/// Where a quantum of 16 and one of 8 no longer differ (B).
const QUANTA_MEET: u64 = 64;
/// jemalloc's options in the environment.
const OPTIONS: &str = "_RJEM_MALLOC_CONF";

/// What jemalloc gives for a request (B).
fn nallocx(request: u64) -> u64 {
    assert!(request > 0, "undefined for 0");
    let request = usize::try_from(request).expect("64 bits");
    // SAFETY: any size but 0 is allowed; nothing is allocated.
    unsafe { tikv_jemalloc_sys::nallocx(request, 0) as u64 }
}

/// A figure or a switch of the linked jemalloc.
fn mallctl<T: Default>(name: &CStr) -> T {
    let (mut value, mut length) = (T::default(), size_of::<T>());
    let place = (&raw mut value).cast::<c_void>();
    // SAFETY: `place` and `length` belong to `value`, and nothing is written to jemalloc.
    let error = unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), place, &raw mut length, std::ptr::null_mut(), 0) };
    assert_eq!((error, length), (0, size_of::<T>()), "{name:?}");
    value
}

/// How the linked jemalloc has been built and started.
#[derive(Debug, Clone, Copy)]
struct Linked {
    quantum: u64,
    large_by_page: bool,
}

impl Linked {
    fn get() -> Linked {
        let quantum = mallctl::<usize>(c"arenas.quantum") as u64;
        assert!(quantum == 8 || quantum == 16, "a quantum of {quantum}");
        Linked { quantum, large_by_page: mallctl(c"opt.disable_large_size_classes") }
    }

    /// What a build of this `quantum` gives (B).
    fn class(self, quantum: u64, request: u64) -> u64 {
        match request {
            _ if quantum == self.quantum => nallocx(request),
            0..=8 => 8,
            9..=QUANTA_MEET => request.next_multiple_of(quantum),
            _ => nallocx(request),
        }
    }

    fn check(self, request: u64) {
        for (allocator, quantum) in [(Allocator::Bundled, 8), (Allocator::System, 16)] {
            let classes = if self.large_by_page { allocator.classes().large_by_page() } else { allocator.classes() };
            let expected = self.class(quantum, request);
            assert_eq!(classes.class(request), expected, "{request} bytes with a quantum of {quantum}, {self:?}");
        }
    }
}

/// Run by the test below in processes of their own, since options are read at the start; by itself with those of the
/// release.
#[test]
fn classes_are_those_of_nallocx() {
    let linked = Linked::get();
    println!("{linked:?}");
    // All there are up to 128 KiB; then both sides of each class.
    (1..=128 << 10).for_each(|request| linked.check(request));
    let (mut request, mut classes) = (1, 0_u64);
    while request <= LARGEST {
        let class = nallocx(request);
        assert!(class >= request, "{request}");
        [request, class - 1, class, class + 1].into_iter().filter(|&request| request > 0).for_each(|r| linked.check(r));
        request = class + 1;
        classes += 1;
    }
    assert!(classes > if linked.large_by_page { LARGEST / 4096 } else { 100 }, "{classes}");
    proptest!(ProptestConfig::with_cases(20_000), |(bits in 0_u32..45, request: u64)| {
        linked.check((request & ((1 << bits) - 1)) | 1 << bits);
    });
}

#[test]
fn both_ways_to_lay_out_large_classes_are_checked() {
    for disabled in [true, false] {
        let test = std::env::current_exe().expect("this test");
        let output = Command::new(test)
            .args(["--exact", "classes_are_those_of_nallocx", "--nocapture"])
            .env(OPTIONS, format!("disable_large_size_classes:{disabled}"))
            .output()
            .expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let ran = text.contains("1 passed") && text.contains(&format!("large_by_page: {disabled}"));
        assert!(ran, "{text}");
    }
}

/// What glibc gives for a request: usable bytes of allocations that are held together (B).
fn usable(request: u64, count: usize) -> Vec<u64> {
    let size = usize::try_from(request).expect("64 bits");
    // SAFETY: each pointer is malloc's own, is measured before it is freed, and freed once.
    let held: Vec<_> = (0..count).map(|_| unsafe { libc::malloc(size) }).collect();
    assert!(held.iter().all(|pointer| !pointer.is_null()), "{request} bytes");
    let sizes = held.iter().map(|&pointer| unsafe { libc::malloc_usable_size(pointer) } as u64).collect();
    held.into_iter().for_each(|pointer| unsafe { libc::free(pointer) });
    sizes
}

/// A request costs the chunk that is made for it.  One that was freed before may be 16 bytes larger, and one above the
/// threshold may come from the end of the heap while that has room: of several held together, some are made.
fn check_glibc(classes: SizeClasses, request: u64) {
    let sizes = usable(request, 12);
    let made = if classes.class(request) < MMAP_THRESHOLD - 16 { sizes.iter().min() } else { sizes.iter().max() };
    assert_eq!(made, Some(&classes.class(request)), "{request} bytes: {sizes:?}");
}

#[cfg(target_env = "gnu")]
#[test]
fn chunks_are_those_of_malloc_usable_size() {
    // Set by hand, the threshold stays.
    // SAFETY: the value is in range.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD as c_int) };
    assert_eq!(set, 1, "mallopt");
    let classes = Allocator::Libc.classes();
    (0..=2100).for_each(|request| check_glibc(classes, request));
    let edges = (12..20).map(|bits| 1 << bits).chain((1..40).map(|pages| MMAP_THRESHOLD + pages * 4096));
    edges.for_each(|edge| (edge - 34..=edge + 34).for_each(|request| check_glibc(classes, request)));
    proptest!(ProptestConfig::with_cases(2000), |(bits in 0_u32..28, request: u64)| {
        check_glibc(classes, (request & ((1 << bits) - 1)) | 1 << bits);
    });
}
