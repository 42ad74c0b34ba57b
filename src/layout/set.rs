//! Sets: integers, a packed block (7.2 on), or a table of strings.
//!
//! Source: redis 7.0.15, 7.2.6 `src/t_set.c`.  A set never goes back to a smaller encoding.

use super::allocation::{Allocation, Held, Rules, Tally};
use super::dict::{self, Dict, Kind};
use super::hash::packed_name;
use super::intset::Intset;
use super::listpack::{Element, Packed};
use super::{Encoding, sds};
use crate::profile::Packing;

/// A packed block of a set stays below this (B).  Source: `src/listpack.c`, `LISTPACK_MAX_SAFETY_LIMIT`.
const PACKING: Packing = Packing::Listpack;

/// How the members are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Intset(Intset),
    Packed(Packed),
    Table(Box<Dict>),
}

/// A set without the key and the object that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    body: Body,
    bytes: u64,
    phase: u32,
}

impl Set {
    /// An empty set, for a command whose first member is `first` and which brings `members`.  `phase` is the key's
    /// own: see [`dict`].
    pub fn new<T: Tally>(first: Element, members: u64, phase: u32, rules: &Rules<'_>, tally: &mut T) -> Set {
        let mut bytes = 0;
        let mut held = Held::new(&mut bytes, rules.classes, tally);
        let hint = if rules.collections.size_hints { members } else { 0 };
        let body = if matches!(first, Element::Int(_)) && hint <= rules.limits.intset_entries {
            held.allocate(Intset::new().bytes());
            Body::Intset(Intset::new())
        } else if rules.collections.set_packed && hint <= rules.limits.set_entries {
            held.allocate(Packed::new().bytes(PACKING));
            Body::Packed(Packed::new())
        } else {
            Body::Table(Box::new(Dict::new(Kind::set(rules), hint, phase, &mut held)))
        };
        Set { body, bytes, phase }
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
            Body::Intset(set) => set.members,
            Body::Packed(packed) => packed.entries,
            Body::Table(dict) => dict.used(),
        }
    }

    /// Whether it has no member: the server then deletes the key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its encoding.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match &self.body {
            Body::Intset(_) => Encoding::Intset,
            Body::Packed(_) => Encoding::packed(PACKING),
            Body::Table(_) => Encoding::Hashtable,
        }
    }

    /// The table, when there is one.
    #[must_use]
    pub fn table(&self) -> Option<&Dict> {
        if let Body::Table(dict) = &self.body { Some(dict) } else { None }
    }

    /// What `MEMORY USAGE` with all samples counts for it beside the object (B).
    #[must_use]
    pub fn memory_usage(&self, rules: &Rules<'_>) -> u64 {
        let usage = rules.collections.memory_usage;
        match &self.body {
            Body::Intset(set) if usage.packed_nominal => set.bytes(),
            Body::Intset(_) | Body::Packed(_) => self.bytes,
            Body::Table(dict) => {
                let kind = Kind::set(rules);
                let (used, chained) = (dict.used(), dict.chained(kind) as f64);
                let imagined = if usage.set_entry_nominal { kind.imagined(used, chained, rules) as u64 } else { 0 };
                self.bytes - kind.rounding(used, rules) + imagined
            }
        }
    }

    /// A command with `members` members is about to be executed on it.
    pub fn size_hint<T: Tally>(
        &mut self,
        members: u64,
        existing: impl IntoIterator<Item = Element>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let most = match &self.body {
            Body::Intset(_) => rules.limits.intset_entries,
            Body::Packed(_) => rules.limits.set_entries,
            Body::Table(_) => return self.bytes,
        };
        if !rules.collections.size_hints || members <= most {
            return self.bytes;
        }
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        to_table(&mut self.body, members, existing, self.phase, rules, &mut held);
        held.peak()
    }

    /// SADD of a member that is new, among `existing` ones, which are asked for at a conversion alone.  The result is
    /// the most that was held while it ran (B).
    pub fn insert<T: Tally>(
        &mut self,
        member: Element,
        existing: impl IntoIterator<Item = Element>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match (&mut self.body, member) {
            (Body::Table(dict), _) => add(dict, member, rules.collections.rehash.set_insert, rules, &mut held),
            (Body::Intset(set), Element::Int(value)) => {
                let before = set.bytes();
                set.insert(value);
                held.resize(before, set.bytes());
                if set.members > rules.limits.intset_entries {
                    let with = existing.into_iter().chain([member]);
                    self.outgrow(with, rules, tally);
                    return self.bytes;
                }
            }
            (Body::Intset(_), Element::Bytes(_)) => return self.mix(member, existing, rules, tally),
            (Body::Packed(packed), _) => {
                if packed.entries < rules.limits.set_entries && member.length() <= rules.limits.set_value {
                    let before = packed.bytes(PACKING);
                    packed.push_back(member, PACKING);
                    held.resize(before, packed.bytes(PACKING));
                } else {
                    let expected = packed.entries + 1;
                    to_table(&mut self.body, expected, existing, self.phase, rules, &mut held);
                    if let Body::Table(dict) = &mut self.body {
                        add(dict, member, 1, rules, &mut held);
                    }
                }
            }
        }
        held.peak()
    }

    /// An intset has one member too many.  Source: `maybeConvertIntset`.
    fn outgrow<T: Tally>(&mut self, existing: impl IntoIterator<Item = Element>, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let expected = self.body.members();
        to_table(&mut self.body, expected, existing, self.phase, rules, &mut held);
    }

    /// An intset gets a string: it becomes packed where it fits, a table otherwise.
    fn mix<T: Tally>(
        &mut self,
        member: Element,
        existing: impl IntoIterator<Item = Element>,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        let (limits, Body::Intset(set)) = (rules.limits, &self.body) else { return held.peak() };
        let set = *set;
        let short = member.length() <= limits.set_value;
        if rules.collections.set_packed && set.members < limits.set_entries && short {
            let mut packed = Packed::new();
            existing.into_iter().take(set.members as usize).for_each(|old| packed.push_back(old, PACKING));
            packed.push_back(member, PACKING);
            held.allocate(packed.bytes(PACKING));
            held.free(set.bytes());
            self.body = Body::Packed(packed);
        } else {
            to_table(&mut self.body, set.members, existing, self.phase, rules, &mut held);
            if let Body::Table(dict) = &mut self.body {
                add(dict, member, rules.collections.rehash.set_insert, rules, &mut held);
            }
        }
        held.peak()
    }

    /// SREM of a member that is there.
    pub fn remove<T: Tally>(&mut self, member: Element, rules: &Rules<'_>, tally: &mut T) -> u64 {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Intset(set) => {
                let before = set.bytes();
                set.remove();
                held.resize(before, set.bytes());
            }
            Body::Packed(packed) => {
                let before = packed.bytes(PACKING);
                packed.remove(member, PACKING);
                held.resize(before, packed.bytes(PACKING));
            }
            Body::Table(dict) => {
                held.free(sds::request(member.length()));
                dict.remove(Kind::set(rules), rules.collections.rehash.remove, &mut held);
            }
        }
        held.peak()
    }

    /// SISMEMBER: a table makes a step of its rehash.
    pub fn lookup<T: Tally>(&mut self, rules: &Rules<'_>, tally: &mut T) {
        if let Body::Table(dict) = &mut self.body {
            let mut held = Held::new(&mut self.bytes, rules.classes, tally);
            dict.touch(Kind::set(rules), rules.collections.rehash.lookup, &mut held);
        }
    }

    /// Frees all of it, `existing` members included.
    pub fn release<T: Tally>(&mut self, existing: impl IntoIterator<Item = Element>, rules: &Rules<'_>, tally: &mut T) {
        let mut held = Held::new(&mut self.bytes, rules.classes, tally);
        match &mut self.body {
            Body::Intset(set) => held.free(set.bytes()),
            Body::Packed(packed) => held.free(packed.bytes(PACKING)),
            Body::Table(dict) => {
                existing.into_iter().for_each(|member| held.free(sds::request(member.length())));
                dict.release(Kind::set(rules), &mut held);
            }
        }
    }
}

impl Body {
    fn members(&self) -> u64 {
        match self {
            Body::Intset(set) => set.members,
            Body::Packed(packed) => packed.entries,
            Body::Table(dict) => dict.used(),
        }
    }
}

fn add<T: Tally>(dict: &mut Dict, member: Element, steps: u64, rules: &Rules<'_>, held: &mut Held<'_, T>) {
    dict.insert(Kind::set(rules), steps, held);
    held.allocate(sds::request(member.length()));
}

/// Makes a table of a smaller encoding: both are held while it is filled.
fn to_table<T: Tally>(
    body: &mut Body,
    expected: u64,
    existing: impl IntoIterator<Item = Element>,
    phase: u32,
    rules: &Rules<'_>,
    held: &mut Held<'_, T>,
) {
    let (members, block) = match body {
        Body::Intset(set) => (set.members, set.bytes()),
        Body::Packed(packed) => (packed.entries, packed.bytes(PACKING)),
        Body::Table(_) => return,
    };
    let mut dict = Dict::new(Kind::set(rules), expected, phase, held);
    for member in existing.into_iter().take(members as usize) {
        add(&mut dict, member, 1, rules, held);
    }
    held.free(block);
    *body = Body::Table(Box::new(dict));
}

/// The blocks of a set of `members` equal strings added one by one.
#[must_use]
pub fn allocations(members: u64, member: Element, rules: &Rules<'_>) -> Vec<Allocation> {
    let (limits, classes) = (rules.limits, rules.classes);
    if let (Element::Int(value), true) = (member, members <= limits.intset_entries) {
        let mut set = Intset::new();
        (0..members).for_each(|_| set.insert(value));
        return vec![Allocation::new("intset", set.bytes(), 1.0, classes)];
    }
    let packed = rules.collections.set_packed && !matches!(member, Element::Int(_));
    if packed && members <= limits.set_entries && member.length() <= limits.set_value {
        let mut packed = Packed::new();
        (0..members).for_each(|_| packed.push_back(member, PACKING));
        return vec![Allocation::new(packed_name(PACKING), packed.bytes(PACKING), 1.0, classes)];
    }
    let mut all = dict::allocations(Kind::set(rules), members, 0, rules);
    all.push(Allocation::new("member", sds::request(member.length()), members as f64, classes));
    all
}
