//! The eviction pool: the sixteen best candidates seen so far, kept from command to command.
//!
//! Nothing is deduplicated, and a score is the one at insertion: a key touched since is evicted all the same, and a
//! key deleted since is a ghost that is dropped when its turn comes.  Source: redis 7.0.15 `src/evict.c`.

use super::keys::{Keys, NIL, NO_ID, Slot};

/// Source: `EVPOOL_SIZE`.
pub(crate) const POOL_SIZE: usize = 16;

/// A candidate, named as the server names it: by its key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Candidate {
    score: u64,
    /// Where it was when it was offered.
    pub(super) slot: Slot,
    pub(super) owner: u32,
    pub(super) hash: u32,
}

/// Candidates by rising score; the best victim last.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    candidates: [Candidate; POOL_SIZE],
    length: usize,
}

impl Pool {
    /// Offers a key.  Full, the pool takes it only when it is better than the worst, which it drops; among equals the
    /// new one stands to the left.
    #[inline]
    pub(crate) fn offer(&mut self, score: u64, slot: Slot, keys: &Keys) {
        let full = self.length == POOL_SIZE;
        if full && self.candidates[0].score >= score {
            return;
        }
        let entry = keys.entries[slot as usize];
        let candidate = Candidate { score, slot, owner: entry.owner, hash: entry.hash };
        let place = self.candidates[..self.length].iter().take_while(|c| c.score < score).count();
        if full {
            self.candidates.copy_within(1..place, 0);
            self.candidates[place - 1] = candidate;
        } else {
            self.candidates.copy_within(place..self.length, place + 1);
            self.candidates[place] = candidate;
            self.length += 1;
        }
    }

    /// The best candidate, which may be a ghost.
    #[inline]
    pub(super) fn best(&self) -> Option<&Candidate> {
        self.candidates[..self.length].last()
    }

    /// Takes the best candidate that still exists; ghosts before it are dropped.  A key deleted and written again is
    /// no ghost.  `wanted`: whether the key is in the table the policy looks at.
    #[inline(always)]
    pub(crate) fn pop(&mut self, keys: &Keys, wanted: impl Fn(Slot) -> bool) -> Option<Slot> {
        while self.length > 0 {
            self.length -= 1;
            let candidate = self.candidates[self.length];
            let entry = &keys.entries[candidate.slot as usize];
            let stayed = entry.present() && entry.owner == candidate.owner && entry.hash == candidate.hash;
            let slot = match candidate.owner {
                _ if stayed => candidate.slot,
                NO_ID => NIL,
                owner => keys.index[owner as usize],
            };
            // An id can have passed on to another key.
            if slot != NIL && keys.entries[slot as usize].hash == candidate.hash && wanted(slot) {
                return Some(slot);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::string::{Encoding, StringValue};
    use crate::node::keys::Sizes;

    fn keys(n: u32) -> Keys {
        let mut keys = Keys::new(n as usize);
        let value = StringValue { encoding: Encoding::Int, bytes_class: 0, total: 16, expire_room: false };
        for id in 0..n {
            keys.insert(id, id, 0, Sizes::new(0, 2, 0, value));
        }
        keys
    }

    #[test]
    fn the_best_comes_first_and_a_full_pool_drops_the_worst() {
        let keys = keys(20);
        let mut pool = Pool::default();
        for slot in 1..=20 {
            pool.offer(u64::from(slot), slot, &keys);
        }
        let order: Vec<Slot> = std::iter::from_fn(|| pool.pop(&keys, |_| true)).collect();
        assert_eq!(order, (5..=20).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_full_pool_refuses_what_is_no_better_than_its_worst() {
        let keys = keys(20);
        let mut pool = Pool::default();
        for slot in 1..=16 {
            pool.offer(100, slot, &keys);
        }
        pool.offer(100, 17, &keys);
        pool.offer(99, 18, &keys);
        assert!(std::iter::from_fn(|| pool.pop(&keys, |_| true)).all(|slot| slot <= 16));
    }

    #[test]
    fn deleted_keys_are_ghosts_and_rewritten_ones_are_not() {
        let mut keys = keys(3);
        let mut pool = Pool::default();
        for (score, slot) in [(1, 1), (2, 2), (3, 3)] {
            pool.offer(score, slot, &keys);
        }
        let sizes = keys.entries[3].sizes;
        keys.remove(3);
        keys.remove(2);
        let rewritten = keys.insert(2, 2, 0, sizes);
        assert_eq!(pool.pop(&keys, |_| true), Some(rewritten), "key 2 was written again");
        assert_eq!(pool.pop(&keys, |_| true), Some(1), "key 1 is a ghost");
        assert_eq!(pool.pop(&keys, |_| true), None);
    }
}
