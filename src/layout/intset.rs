//! Intsets: sorted integers of one width.
//!
//! Source: redis 7.0.15 `src/intset.c`.  The width is that of the widest member ever added; each addition and removal
//! resizes the block to what it holds.

/// Header (B).  Source: `intset`: encoding and length, 4 bytes each.
const HEADER: u64 = 8;

/// Integers in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intset {
    /// Members.
    pub members: u64,
    /// Bytes of each (B).
    width: u64,
}

/// Bytes that a member needs (B).
fn width(member: i64) -> u64 {
    if i16::try_from(member).is_ok() {
        2
    } else if i32::try_from(member).is_ok() {
        4
    } else {
        8
    }
}

impl Intset {
    /// No member.
    #[must_use]
    pub fn new() -> Intset {
        Intset { members: 0, width: 2 }
    }

    /// Bytes of the block: what it requests (B).
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        HEADER + self.width * self.members
    }

    /// Adds a member.
    #[inline]
    pub fn insert(&mut self, member: i64) {
        self.width = self.width.max(width(member));
        self.members += 1;
    }

    /// Takes a member out; the others stay as wide as they are.
    #[inline]
    pub fn remove(&mut self) {
        self.members = self.members.saturating_sub(1);
    }
}

impl Default for Intset {
    fn default() -> Intset {
        Intset::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wide_member_widens_all_for_good() {
        let mut set = Intset::new();
        (0..100).for_each(|member| set.insert(member));
        assert_eq!(set.bytes(), 8 + 200);
        set.insert(40_000);
        assert_eq!(set.bytes(), 8 + 404);
        set.insert(1 << 40);
        assert_eq!(set.bytes(), 8 + 816);
        set.remove();
        assert_eq!(set.bytes(), 8 + 808);
    }
}
