//! Sorted sets: packed while small, a skiplist and a table beyond.
//!
//! Source: redis 7.0.15, 7.2.6 `src/t_zset.c`.  A sorted set goes back to the packed encoding only as the destination
//! of a command that stores one: not modelled.

use super::allocation::{Allocation, Held, Rules, Tally};
use super::dict::{self, Dict, Kind};
use super::hash::packed_name;
use super::listpack::{Element, Packed};
use super::{Encoding, sds, skiplist};
use crate::profile::SkiplistNode;

/// A member, its score as it is packed, and the draw that its level comes from: any 64 bits that belong to the member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The member.
    pub member: Element,
    /// Its score, as [`score`] makes it.
    pub score: Element,
    /// Random bits of its own.
    pub draw: u64,
}

/// Largest whole number that is packed as one.  Source: `double2ll`: within ±2^52.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// A score as it is packed: whole numbers as integers, others as text.  `shortest`: the release prints the fewest
/// digits that tell it from its neighbours; else seventeen.
#[must_use]
pub fn score(value: f64, shortest: bool) -> Element {
    if value.fract() == 0.0 && value.abs() <= WHOLE {
        return Element::Int(value as i64);
    }
    if !value.is_finite() {
        return Element::Bytes(if value < 0.0 { 4 } else { 3 });
    }
    // Digits and exponent as C's %.17g has them: trailing zeros go.
    let text = if shortest { format!("{value:e}") } else { format!("{value:.16e}") };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    let kept = digits.iter().rposition(|&digit| digit != b'0').map_or(1, |last| last + 1) as i64;
    let sign = i64::from(value < 0.0);
    let length = if (-4..17).contains(&exponent) {
        if exponent < 0 { 1 + 1 - exponent - 1 + kept } else { kept.max(exponent + 1) + i64::from(kept > exponent + 1) }
    } else {
        let exponent_digits = if exponent.abs() >= 100 { 3 } else { 2 };
        kept + i64::from(kept > 1) + 2 + exponent_digits
    };
    Element::Bytes((sign + length).cast_unsigned())
}

/// How the members are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Packed(Packed),
    Skiplist(Box<Dict>),
}

/// A sorted set without the key and the object that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zset {
    body: Body,
    bytes: u64,
    phase: u32,
}

impl Zset {
    /// An empty sorted set, for a command that brings `members` of which the first has `length` bytes.  `phase` is
    /// the key's own: see [`dict`].
    pub fn new<T: Tally>(length: u64, members: u64, phase: u32, rules: &Rules<'_>, tally: &mut T) -> Zset {
        let mut bytes = 0;
        let mut held = Held::new(&mut bytes, rules.classes, tally);
        let hint = if rules.collections.size_hints { members } else { 0 };
        let limits = rules.limits;
        let body = if limits.zset_entries == 0 || hint > limits.zset_entries || length > limits.zset_value {
            Body::Skiplist(Box::new(empty_skiplist(hint, phase, rules, &mut held)))
        } else {
            held.allocate(Packed::new().bytes(rules.collections.packing));
            Body::Packed(Packed::new())
        };
        Zset { body, bytes, phase }
    }

    /// What it holds (B).
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Members.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.body {
            Body::Packed(packed) => packed.entries / 2,
            Body::Skiplist(dict) => dict.used(),
        }
    }

    /// Whether it has no member: the server then deletes the key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its encoding.
    #[must_use]
    pub fn encoding(&self, rules: &Rules<'_>) -> Encoding {
        match &self.body {
            Body::Packed(_) => Encoding::packed(rules.collections.packing),
            Body::Skiplist(_) => Encoding::Skiplist,
        }
    }

    /// What `MEMORY USAGE` with all samples counts for it beside the object (B).
    #[must_use]
    pub fn memory_usage(&self, rules: &Rules<'_>) -> u64 {
        match &self.body {
            Body::Packed(packed) if rules.collections.memory_usage.packed_nominal => {
                packed.bytes(rules.collections.packing)
            }
            Body::Packed(_) => self.bytes,
            Body::Skiplist(dict) => self.bytes - kind(rules).rounding(dict.used(), rules),
        }
    }

    /// A command with `members` members is about to be executed on it.
    pub fn size_hint<T: Tally>(
        &mut self,
        members: u64,
        existing: impl IntoIterator<Item = Member>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let &Body::Packed(packed) = &self.body else { return self.bytes };
        if !rules.collections.size_hints || members <= rules.limits.zset_entries {
            return self.bytes;
        }
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        self.body = Body::Skiplist(Box::new(convert(&packed, members, existing, self.phase, rules, &mut held)));
        held.peak()
    }

    /// ZADD of a member that is new, among `existing` ones, which are asked for at a conversion alone.  The result is
    /// the most that was held while it ran (B).
    pub fn insert<T: Tally>(
        &mut self,
        member: Member,
        existing: impl IntoIterator<Item = Member>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let (limits, packing) = (rules.limits, rules.collections.packing);
        let steps = rules.collections.rehash.zset_insert;
        match &mut self.body {
            Body::Skiplist(dict) => add(dict, member, steps, rules, &mut held),
            Body::Packed(packed) => {
                let one_more = packed.entries / 2 + 1;
                if one_more > limits.zset_entries || member.member.length() > limits.zset_value {
                    let expected = if rules.collections.size_hints { one_more } else { 0 };
                    let mut dict = convert(packed, expected, existing, self.phase, rules, &mut held);
                    add(&mut dict, member, steps, rules, &mut held);
                    self.body = Body::Skiplist(Box::new(dict));
                } else {
                    let before = packed.bytes(packing);
                    packed.push_back(member.member, packing);
                    packed.push_back(member.score, packing);
                    held.resize(before, packed.bytes(packing));
                }
            }
        }
        held.peak()
    }

    /// ZADD or ZINCRBY of a member that is there: its score changes, its node keeps its level.
    pub fn overwrite<T: Tally>(&mut self, old: Member, score: Element, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Skiplist(dict) => dict.touch(kind(rules), rules.collections.rehash.lookup, &mut held),
            Body::Packed(packed) => {
                let packing = rules.collections.packing;
                let before = packed.bytes(packing);
                packed.replace(old.score, score, packing);
                held.resize(before, packed.bytes(packing));
            }
        }
    }

    /// ZREM of a member that is there.
    pub fn remove<T: Tally>(&mut self, member: Member, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Skiplist(dict) => {
                free_member(member, rules, &mut held);
                dict.remove(kind(rules), rules.collections.rehash.remove, &mut held);
            }
            Body::Packed(packed) => {
                let packing = rules.collections.packing;
                let before = packed.bytes(packing);
                packed.remove(member.member, packing);
                packed.remove(member.score, packing);
                held.resize(before, packed.bytes(packing));
            }
        }
        held.peak()
    }

    /// ZSCORE: a table makes a step of its rehash.
    pub fn lookup<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        if let Body::Skiplist(dict) = &mut self.body {
            let mut held = Held::new(&mut self.bytes, rules.classes, tally);
            dict.touch(kind(rules), rules.collections.rehash.lookup, &mut held);
        }
    }

    /// Frees all of it, `existing` members included.
    pub fn release<T: Tally>(&mut self, existing: impl IntoIterator<Item = Member>, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Packed(packed) => held.free(packed.bytes(rules.collections.packing)),
            Body::Skiplist(dict) => {
                existing.into_iter().for_each(|member| free_member(member, rules, &mut held));
                dict.release(kind(rules), &mut held);
                fixed(rules).into_iter().for_each(|request| held.free(request));
            }
        }
    }
}

/// The table of a sorted set.
#[must_use]
pub fn kind(rules: &Rules<'_>) -> Kind {
    let kind = Kind::zset(rules);
    let entries = if rules.collections.zset_entry { kind.entries } else { dict::Entries::None };
    Kind { entries, ..kind }
}

fn fixed(rules: &Rules<'_>) -> [u64; 3] {
    let [header, first] = skiplist::fixed_requests(rules.collections.skiplist_node);
    [skiplist::ZSET, header, first]
}

fn empty_skiplist<T: Tally>(expected: u64, phase: u32, rules: &Rules<'_>, held: &mut Held<'_, T>) -> Dict {
    fixed(rules).into_iter().for_each(|request| held.allocate(request));
    Dict::new(kind(rules), expected, phase, held)
}

/// The string and the node of a member, by request; no string where the node holds it (B).
fn requests(member: Member, rules: &Rules<'_>) -> (u64, Option<u64>) {
    let (node, length) = (rules.collections.skiplist_node, member.member.length());
    let string = (node == SkiplistNode::Separate).then(|| sds::request(length));
    (skiplist::node_request(skiplist::level(member.draw), length, node), string)
}

fn add<T: Tally>(dict: &mut Dict, member: Member, steps: u64, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    dict.insert(kind(rules), steps, held);
    let (node, string) = requests(member, rules);
    held.allocate(node);
    string.into_iter().for_each(|request| held.allocate(request));
}

fn free_member<T: Tally>(member: Member, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    let (node, string) = requests(member, rules);
    held.free(node);
    string.into_iter().for_each(|request| held.free(request));
}

/// Makes a skiplist of a packed sorted set: both are held while it is filled.
fn convert<T: Tally>(
    packed: &Packed,
    expected: u64,
    existing: impl IntoIterator<Item = Member>,
    phase: u32,
    rules: &Rules<'_>,
    held: &mut Held<'_, T>,
) -> Dict {
    let mut dict = empty_skiplist(expected, phase, rules, held);
    for member in existing.into_iter().take((packed.entries / 2) as usize) {
        add(&mut dict, member, 1, rules, held);
    }
    held.free(packed.bytes(rules.collections.packing));
    dict
}

/// The blocks of a sorted set of `members` equal members added one by one.
#[must_use]
pub fn allocations(members: u64, member: Element, score: Element, rules: &Rules<'_>) -> Vec<Allocation> {
    let limits = rules.limits;
    if members <= limits.zset_entries && member.length() <= limits.zset_value {
        let mut packed = Packed::new();
        for _ in 0..members {
            packed.push_back(member, rules.collections.packing);
            packed.push_back(score, rules.collections.packing);
        }
        let bytes = packed.bytes(rules.collections.packing);
        return vec![Allocation::new(packed_name(rules.collections.packing), bytes, 1.0, rules.classes)];
    }
    let mut all = vec![Allocation::new("zset", skiplist::ZSET, 1.0, rules.classes)];
    all.extend(skiplist::allocations(members, member.length(), rules));
    all.extend(dict::allocations(kind(rules), members, 0, rules));
    if rules.collections.skiplist_node == SkiplistNode::Separate {
        all.push(Allocation::new("member", sds::request(member.length()), members as f64, rules.classes));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_as_long_as_printed() {
        for (value, long, short) in [
            (0.1, "0.10000000000000001", "0.1"),
            (1.5, "1.5", "1.5"),
            (-2.25, "-2.25", "-2.25"),
            (1e-7, "9.9999999999999995e-08", "1e-07"),
            (1234.5678, "1234.5678", "1234.5678"),
            (0.001_25, "0.00125", "0.00125"),
        ] {
            assert_eq!(score(value, false).length(), long.len() as u64, "{value}");
            if value > 1e-5 {
                assert_eq!(score(value, true).length(), short.len() as u64, "{value}");
            }
        }
        assert_eq!(score(3.0, false), Element::Int(3));
        assert_eq!(score(1.7e12, true), Element::Int(1_700_000_000_000));
    }
}
