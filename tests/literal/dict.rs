//! Hash tables, bucket by bucket.

use super::cost;
use capsim::profile::SizeClasses;

/// `dict.c`, or Valkey's `hashtable.c`: elements by their hash, in one array or in two while a rehash goes on.
#[derive(Debug)]
pub(crate) struct Dict {
    header: u64,
    hashtable: bool,
    arrays: [Vec<Vec<u64>>; 2],
    next: Option<usize>,
    used: u64,
}

/// What an element has in a table beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// 24 bytes.
    Each,
    /// 16 bytes, where another element is in the bucket already.
    Chained,
}

impl Dict {
    pub(crate) fn new(header: u64, hashtable: bool) -> Dict {
        Dict { header, hashtable, arrays: [Vec::new(), Vec::new()], next: None, used: 0 }
    }

    /// Makes the array for so many elements.
    pub(crate) fn expand(&mut self, elements: u64) {
        let size = if self.hashtable { (elements * 5).div_ceil(32).next_power_of_two() } else { power(elements) };
        let array = vec![Vec::new(); size as usize];
        if self.arrays[0].is_empty() {
            self.arrays[0] = array;
        } else if size as usize != self.arrays[0].len() {
            self.arrays[1] = array;
            self.next = Some(0);
        }
    }

    /// One step: the next bucket moves, and at most ten empty ones are passed (`dictRehash`); or one bucket, empty or
    /// not (`rehashStep`).
    pub(crate) fn step(&mut self) {
        let Some(mut place) = self.next else { return };
        let mut empty = 10;
        while !self.hashtable && self.arrays[0].get(place).is_some_and(Vec::is_empty) {
            place += 1;
            empty -= 1;
            if empty == 0 {
                break;
            }
        }
        if let Some(bucket) = self.arrays[0].get_mut(place).filter(|_| empty > 0) {
            let moving = std::mem::take(bucket);
            let mask = self.arrays[1].len() - 1;
            for hash in moving {
                self.arrays[1][hash as usize & mask].push(hash);
            }
            place += 1;
        }
        self.next = Some(place);
        if place >= self.arrays[0].len() {
            self.arrays[0] = std::mem::take(&mut self.arrays[1]);
            self.next = None;
        }
    }

    pub(crate) fn add(&mut self, hash: u64) {
        self.step();
        let size = self.arrays[0].len() as u64;
        if self.hashtable {
            let newest = if self.next.is_some() { self.arrays[1].len() as u64 } else { size };
            if self.used + 1 > 7 * newest {
                self.settle();
                self.expand(self.used + 1);
            }
        } else if self.next.is_none() && self.used >= size {
            self.expand(self.used + 1);
        }
        let array = &mut self.arrays[usize::from(self.next.is_some())];
        let mask = array.len() - 1;
        array[hash as usize & mask].push(hash);
        self.used += 1;
    }

    /// Makes steps until no rehash goes on.
    pub(crate) fn settle(&mut self) {
        while self.next.is_some() {
            self.step();
        }
    }

    /// Buckets of all arrays.
    pub(crate) fn buckets(&self) -> usize {
        self.arrays.iter().map(Vec::len).sum()
    }

    /// Header, arrays, entries (B).
    pub(crate) fn bytes(&self, entry: Entry, classes: SizeClasses) -> u64 {
        let bucket = if self.hashtable { 64 } else { 8 };
        let arrays = self.arrays.iter().filter(|array| !array.is_empty()).map(|array| bucket * array.len() as u64);
        let mut bytes = cost([self.header].into_iter().chain(arrays), classes);
        for held in self.arrays.iter().flatten() {
            let held = held.len() as u64;
            bytes += match entry {
                _ if self.hashtable => classes.class(64) * held.saturating_sub(7).div_ceil(6),
                Entry::Each => classes.class(24) * held,
                Entry::Chained => classes.class(16) * held.saturating_sub(1),
            };
        }
        bytes
    }
}

/// `_dictNextPower`.
fn power(elements: u64) -> u64 {
    let mut size = 4;
    while size < elements {
        size *= 2;
    }
    size
}
