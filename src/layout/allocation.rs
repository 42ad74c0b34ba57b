//! Heap blocks: what an operation allocates and frees, and what a value is made of.

use super::limits::Limits;
use crate::profile::{Collections, Profile, SizeClasses};

/// What the layouts of values depend on.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The release.
    pub profile: &'a Profile,
    /// Its collections.
    pub collections: &'a Collections,
    /// The allocator.
    pub classes: SizeClasses,
    /// Thresholds of encodings, from redis.conf.
    pub limits: Limits,
}

impl<'a> Rules<'a> {
    /// The rules of a release built with an allocator of these size classes, under these thresholds.
    #[must_use]
    pub fn new(profile: &'a Profile, classes: SizeClasses, limits: Limits) -> Rules<'a> {
        Rules { profile, collections: profile.collections, classes, limits }
    }
}

/// Told of every heap block that is allocated or freed.
pub trait Tally {
    /// `count` blocks of `class` bytes are held from now on.
    fn allocated(&mut self, class: u64, count: u64);
    /// `count` blocks of `class` bytes are held no longer.
    fn freed(&mut self, class: u64, count: u64);
}

/// For whom the bytes are enough.
impl Tally for () {
    fn allocated(&mut self, _: u64, _: u64) {}
    fn freed(&mut self, _: u64, _: u64) {}
}

/// What a value holds while an operation changes it.  The bytes live in the value; this borrows them.
#[derive(Debug)]
pub(super) struct Held<'a, T> {
    bytes: &'a mut u64,
    peak: u64,
    classes: SizeClasses,
    tally: &'a mut T,
}

impl<'a, T: Tally> Held<'a, T> {
    pub(super) fn new(bytes: &'a mut u64, classes: SizeClasses, tally: &'a mut T) -> Self {
        Held { peak: *bytes, bytes, classes, tally }
    }

    /// Most bytes held since the operation began (B).
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// Allocates `count` blocks of `request` bytes.
    #[inline]
    pub(super) fn allocate_many(&mut self, request: u64, count: u64) {
        if count > 0 {
            let class = self.classes.class(request);
            *self.bytes += class * count;
            self.peak = self.peak.max(*self.bytes);
            self.tally.allocated(class, count);
        }
    }

    /// Frees `count` blocks of `request` bytes.
    #[inline]
    pub(super) fn free_many(&mut self, request: u64, count: u64) {
        if count > 0 {
            let class = self.classes.class(request);
            *self.bytes = self.bytes.saturating_sub(class * count);
            self.tally.freed(class, count);
        }
    }

    /// Allocates a block of `request` bytes.
    #[inline]
    pub(super) fn allocate(&mut self, request: u64) {
        self.allocate_many(request, 1);
    }

    /// Frees a block of `request` bytes.
    #[inline]
    pub(super) fn free(&mut self, request: u64) {
        self.free_many(request, 1);
    }

    /// Resizes a block: nothing happens where both requests cost the same class.
    #[inline]
    pub(super) fn resize(&mut self, old: u64, new: u64) {
        if old != new && self.classes.class(old) != self.classes.class(new) {
            self.free(old);
            self.allocate(new);
        }
    }
}

/// Blocks of one kind that a value is made of.  Counts of random structures are expectations, so that they may have a
/// fraction.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    /// What it is, in the server's words.
    pub reason: String,
    /// Bytes requested by each (B).
    pub request: u64,
    /// Bytes that each costs (B).
    pub class: u64,
    /// How many.
    pub count: f64,
}

impl Allocation {
    /// `count` blocks of `request` bytes.
    pub(super) fn new(reason: impl Into<String>, request: u64, count: f64, classes: SizeClasses) -> Allocation {
        Allocation { reason: reason.into(), request, class: classes.class(request), count }
    }

    /// What all of them cost (B).
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.class as f64 * self.count
    }
}

/// What allocations cost together (B).
#[must_use]
pub fn total(allocations: &[Allocation]) -> f64 {
    allocations.iter().map(Allocation::bytes).sum()
}
