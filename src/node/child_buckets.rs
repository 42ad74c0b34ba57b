//! Child buckets of a hash table whose buckets have seven places: how many there are.
//!
//! A bucket that is full gives its last place up for a pointer to a child bucket, and the child likewise.  Chains are kept
//! compact, so that a chain's length says how many buckets it has.  Left out: a deletion from a chain's last bucket moves
//! nothing, and can leave a child with one key, or none, until the next deletion in the chain.
//! Source: valkey 8.1 `src/hashtable.c` (`findBucketForInsert`, `fillBucketHole`, `pruneLastBucket`).

/// Places of a bucket.  Source: `ENTRIES_PER_BUCKET`.
pub(super) const PLACES: u64 = 7;

/// Lengths of the chains of both arrays, and the child buckets that they need.
#[derive(Debug, Default)]
pub(super) struct ChildBuckets {
    lengths: [Vec<u16>; 2],
    count: u64,
}

/// Child buckets of a chain of `length` keys.
fn children(length: u16) -> u64 {
    (u64::from(length).saturating_sub(PLACES)).div_ceil(PLACES - 1)
}

impl ChildBuckets {
    /// An array of so many buckets takes the place of one of the two.
    pub(super) fn set_array(&mut self, array: usize, buckets: u64) {
        self.lengths[array] = vec![0; buckets as usize];
    }

    /// The first array is gone, the second one takes its place.
    pub(super) fn end_rehash(&mut self) {
        self.lengths[0] = std::mem::take(&mut self.lengths[1]);
    }

    /// A key came into a bucket.
    pub(super) fn add(&mut self, array: usize, bucket: usize) {
        let length = &mut self.lengths[array][bucket];
        let before = children(*length);
        *length = length.saturating_add(1);
        self.count += children(*length) - before;
    }

    /// A key left a bucket.
    pub(super) fn remove(&mut self, array: usize, bucket: usize) {
        let length = &mut self.lengths[array][bucket];
        let before = children(*length);
        *length = length.saturating_sub(1);
        self.count -= before - children(*length);
    }

    /// Child buckets of both arrays.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_the_buckets_that_its_keys_need() {
        for (length, expected) in [(0, 0), (7, 0), (8, 1), (13, 1), (14, 2), (19, 2), (20, 3)] {
            // The last bucket has seven places, those before it six.
            assert_eq!(children(length), expected, "{length}");
        }
    }

    #[test]
    fn what_is_added_and_removed_leaves_nothing() {
        let mut buckets = ChildBuckets::default();
        buckets.set_array(0, 2);
        (0..20).for_each(|_| buckets.add(0, 1));
        assert_eq!(buckets.count(), 3);
        (0..20).for_each(|_| buckets.remove(0, 1));
        assert_eq!(buckets.count(), 0);
    }
}
