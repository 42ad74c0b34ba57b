//! Entries of a chained table whose buckets point to keys: only keys that came into a bucket which was taken have one.
//!
//! Such a key keeps its entry when it is left alone in its bucket, until a rehash moves it.
//! Source: redis 7.2 `src/dict.c` (`dictInsertAtPosition`, `dictRehash`, dictionaries without values).

use super::keys::Slot;

/// Bits of a word.
const WORD: u32 = 64;

/// Which slots have an entry.
#[derive(Debug, Default)]
pub(super) struct ChainedEntries {
    bits: Vec<u64>,
    count: u64,
}

impl ChainedEntries {
    /// Says whether a slot's key has an entry.
    pub(super) fn set(&mut self, slot: Slot, has: bool) {
        let (word, bit) = ((slot / WORD) as usize, 1 << (slot % WORD));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let had = self.bits[word] & bit != 0;
        if has != had {
            self.bits[word] ^= bit;
            self.count = if has { self.count + 1 } else { self.count - 1 };
        }
    }

    /// Entries.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_once() {
        let mut entries = ChainedEntries::default();
        for (slot, has, count) in [(5, true, 1), (5, true, 1), (70, true, 2), (5, false, 1), (6, false, 1)] {
            entries.set(slot, has);
            assert_eq!(entries.count(), count);
        }
    }
}
