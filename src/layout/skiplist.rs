//! Skiplists: nodes of a random number of levels.
//!
//! Source: redis 7.0.15 `src/t_zset.c`, `src/server.h`; Valkey 9.1 for nodes that hold their member.  A node's level is
//! read off a draw that belongs to the member, so that it is the same when the member goes.

use super::allocation::{Allocation, Rules};
use super::sds;
use crate::profile::SkiplistNode;

/// Most levels.  Source: `ZSKIPLIST_MAXLEVEL`.
const MAX_LEVEL: u32 = 32;
/// A node without its levels: member, score, back pointer (B).
const NODE: u64 = 24;
/// A level: forward pointer and span (B).
const LEVEL: u64 = 16;
/// `sizeof(zskiplist)` (B).
const HEADER: u64 = 32;
/// `sizeof(zset)` (B).
pub(super) const ZSET: u64 = 16;

/// Levels of the node whose member has this draw: each further one with a quarter's chance.
/// Source: `zslRandomLevel`, `ZSKIPLIST_P`.
#[inline]
#[must_use]
pub fn level(draw: u64) -> u64 {
    u64::from((draw.trailing_zeros() / 2 + 1).min(MAX_LEVEL))
}

/// Bytes requested by a node of `level` levels, with its member where it holds it (B).
#[inline]
#[must_use]
pub(super) fn node_request(level: u64, member: u64, kind: SkiplistNode) -> u64 {
    match kind {
        SkiplistNode::Separate => NODE + LEVEL * level,
        // Score and back pointer; levels; one byte that tells where the string begins; the string.
        SkiplistNode::EmbedsMember => 16 + LEVEL * level + 1 + sds::header(member).max(EMBEDDED_HEADER) + member + 1,
    }
}

/// Shortest header of a member inside its node (B).
const EMBEDDED_HEADER: u64 = 1;

/// Blocks that every skiplist has: its header and the node that it begins with (B).
pub(super) fn fixed_requests(kind: SkiplistNode) -> [u64; 2] {
    let first = match kind {
        SkiplistNode::Separate => NODE + LEVEL * u64::from(MAX_LEVEL),
        SkiplistNode::EmbedsMember => 16 + LEVEL * u64::from(MAX_LEVEL),
    };
    [HEADER, first]
}

/// The blocks of the nodes of `members` equal members: an expectation for each level.
pub(super) fn allocations(members: u64, member: u64, rules: &Rules<'_>) -> Vec<Allocation> {
    let kind = rules.collections.skiplist_node;
    let mut all = Vec::new();
    let [header, first] = fixed_requests(kind);
    all.push(Allocation::new("zskiplist", header, 1.0, rules.classes));
    all.push(Allocation::new("skiplist node, first", first, 1.0, rules.classes));
    let mut share = 0.75;
    for level in 1..=u64::from(MAX_LEVEL) {
        let count = share * members as f64;
        // Rarer ones count with the last that is listed.
        let last = count < 0.01 || level == u64::from(MAX_LEVEL);
        let count = if last { count / 0.75 } else { count };
        let reason = format!("skiplist node, {level} level{} (expected)", if level == 1 { "" } else { "s" });
        all.push(Allocation::new(reason, node_request(level, member, kind), count, rules.classes));
        if last {
            break;
        }
        share /= 4.0;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_geometric() {
        let mut counts = [0_u64; 33];
        let mut x = 1_u64;
        for _ in 0..1_000_000 {
            // splitmix64.
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            counts[level(z ^ (z >> 31)) as usize] += 1;
        }
        assert!(counts[1].abs_diff(750_000) < 2_000 && counts[2].abs_diff(187_500) < 2_000, "{counts:?}");
        assert_eq!(level(0), 32);
    }
}
