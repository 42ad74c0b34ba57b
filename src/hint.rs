//! Hints to the machine: which place in memory will soon be read, and which memory wants huge pages.
//!
//! The state of ten million keys does not fit into any cache: a request that waits for two or three places of it, one
//! after the other, spends more time there than in all the rest.  The places of the next requests and of the next
//! evictions are known beforehand.  And with pages of 4 KiB the processor spends as long looking up where a place is.
//! A hint never changes a result.
//!
//! *Measured* (`cargo bench --bench engine`, 10 M keys, allkeys-lru): without prefetches half as fast; with huge pages
//! a fifth faster.

/// Starts to load `slice[index]` into the cache; outside the slice, and on processors other than x86-64, does nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(place) = slice.get(index) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "there is no safe prefetch; the place is a live reference")]
        // SAFETY: a prefetch reads nothing that the program sees and cannot fault; SSE is part of x86-64.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}

/// Asks the kernel for huge pages under a vector's whole capacity, where it gives them to those who ask
/// (`transparent_hugepage` `madvise` or `always`); too small a vector, and kernels other than Linux, are left alone.
pub(crate) fn huge_pages<T>(vector: &Vec<T>) {
    /// A huge page on x86-64 and most others (B).
    const HUGE: usize = 2 << 20;
    /// The start of an advised range lies on a page of any usual size (B).
    const PAGE: usize = 64 << 10;
    let start = vector.as_ptr() as usize;
    let end = start + vector.capacity() * size_of::<T>();
    let from = start.next_multiple_of(PAGE);
    if end < from + HUGE {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        let inside = vector.as_ptr().cast::<u8>().wrapping_add(from - start).cast_mut();
        let length = (end - from) / PAGE * PAGE;
        #[expect(unsafe_code, reason = "no safe function gives this advice")]
        // SAFETY: the range is whole pages inside one live allocation; this advice changes no byte of it.
        // That it may be refused does not matter.
        unsafe {
            libc::madvise(inside.cast(), length, libc::MADV_HUGEPAGE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_outside_the_slice_does_nothing() {
        prefetch(&[1, 2, 3], 2);
        prefetch(&[1, 2, 3], 3);
        prefetch::<u8>(&[], usize::MAX);
    }

    #[test]
    fn advice_on_pages_leaves_every_byte() {
        huge_pages::<u64>(&Vec::new());
        huge_pages(&vec![7_u8; 1000]);
        let vector = vec![7_u64; 1 << 20];
        huge_pages(&vector);
        assert!(vector.iter().all(|&word| word == 7));
    }
}
