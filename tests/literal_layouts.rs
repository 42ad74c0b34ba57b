//! Layouts against literal constructions: each value built element by element as the server's source does it.

use capsim::layout::hash::{Hash, Pair};
use capsim::layout::list::{End, List};
use capsim::layout::set::Set;
use capsim::layout::stream::{Id, Stream};
use capsim::layout::zset::{Member, Zset};
use capsim::layout::{Element, Limits, Rules, sds, string};
use capsim::profile::{Allocator, PROFILES};
use capsim::rng::mix;
use literal::packed::{Intset, Item, packed};
use literal::{Server, cost, dict, quicklist, stream};
use proptest::prelude::*;

mod literal;

/// Every release with every allocator.
fn builds() -> impl Iterator<Item = (Server, Rules<'static>)> {
    PROFILES.iter().flat_map(|profile| {
        Allocator::ALL.map(|allocator| {
            (Server::of(profile.name), Rules::new(profile, profile.classes(allocator), Limits::default()))
        })
    })
}

/// Texts and integers of all sizes that have an encoding of their own.  A ziplist's entry of 250 to 253 bytes behind a
/// longer one grows beyond 253 and makes the next one longer too: left out in the layouts, and here.
fn element() -> impl Strategy<Value = Element> {
    prop_oneof![
        6 => (0_u64..64).prop_map(Element::Bytes),
        2 => (60_u64..240).prop_map(Element::Bytes),
        1 => (255_u64..9000).prop_map(Element::Bytes),
        4 => (0_u32..64, any::<i64>()).prop_map(|(bits, value)| Element::Int(value >> bits)),
    ]
}

fn short() -> impl Strategy<Value = Element> {
    prop_oneof![
        (0_u64..=64).prop_map(Element::Bytes),
        (0_u32..64, any::<i64>()).prop_map(|(b, v)| Element::Int(v >> b))
    ]
}

fn items(elements: impl IntoIterator<Item = Element>) -> Vec<Item> {
    elements.into_iter().map(Item::from).collect()
}

/// How far chance may take the blocks of overfull buckets from what is expected (B): six standard deviations.
/// Chained members: 0.31 of the square root of the buckets.  Child buckets: as many as their own square root.
fn chance(server: Server, table: &dict::Dict, entry: dict::Entry, rules: &Rules<'_>) -> u64 {
    let buckets = table.buckets() as f64;
    match (server.hashtable, entry) {
        (true, _) => (6.0 * 64.0 * (0.41 * buckets).sqrt().max(1.0)) as u64,
        (_, dict::Entry::Chained) => (6.0 * 0.31 * buckets.sqrt() * rules.classes.class(16) as f64) as u64 + 16,
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(14) })]

    #[test]
    fn hashes(seed: u64, count in 1_usize..1500, pairs in prop::collection::vec((short(), short()), 1..40), long: bool) {
        let pairs: Vec<Pair> = pairs.into_iter().map(|(field, value)| Pair { field, value }).collect();
        // A long value first makes a table of any number of fields.
        let last = Pair::of(5, if long { 300 } else { 60 });
        let all: Vec<Pair> = pairs.iter().cycle().take(count).copied().chain([last]).collect();
        for (server, rules) in builds() {
            let mut hash = Hash::new(1 << 31, &rules, &mut ());
            for (index, pair) in all.iter().enumerate() {
                hash.insert(*pair, all[..index].iter().copied(), &rules, &mut ());
            }
            (0..3000).for_each(|_| hash.lookup(&rules, &mut ()));
            let flat = items(all.iter().flat_map(|pair| [pair.field, pair.value]));
            if all.len() <= 512 && !long {
                prop_assert_eq!(hash.bytes(), cost([packed(&flat, server.ziplist)], rules.classes));
                continue;
            }
            let mut table = dict::Dict::new(server.table + server.hash_metadata, server.hashtable);
            if !server.ziplist {
                // `hashTypeConvertListpack` makes the table for the fields that there are.
                table.expand((all.len() as u64 - u64::from(long)).min(513));
            }
            (0..all.len() as u64).for_each(|index| table.add(mix(seed ^ index)));
            table.settle();
            let mut bytes = table.bytes(dict::Entry::Each, rules.classes);
            for pair in &all {
                let (field, value) = (Item::from(pair.field).length(), Item::from(pair.value).length());
                // Valkey: both in one block of 128 bytes at most; else a pointer in front of the field.
                let header = if field > 0 && field < 32 { 1 } else { 3 };
                let both = header + field + 1 + 3 + value + 1;
                bytes += match server.hashtable {
                    true if both <= 128 => cost([both], rules.classes),
                    true => cost([8 + 3 + field + 1, literal::sds::request(value)], rules.classes),
                    // `mstr.c` gives an empty field the one-byte header; no class tells.
                    false => cost([literal::sds::request(field), literal::sds::request(value)], rules.classes),
                };
            }
            let off = chance(server, &table, dict::Entry::Each, &rules);
            prop_assert!(hash.bytes().abs_diff(bytes) <= off, "{}: {} {bytes}", rules.profile.name, hash.bytes());
        }
    }

    #[test]
    fn sets(seed: u64, count in 1_usize..1500, members in prop::collection::vec(short(), 1..40)) {
        let all: Vec<Element> = members.iter().cycle().take(count).copied().chain([Element::Bytes(3)]).collect();
        for (server, rules) in builds() {
            let mut set = Set::new(all[0], 1, 1 << 31, &rules, &mut ());
            for (index, member) in all.iter().enumerate() {
                set.insert(*member, all[..index].iter().copied(), &rules, &mut ());
            }
            (0..3000).for_each(|_| set.lookup(&rules, &mut ()));
            if server.from_7_2 && all.len() <= 128 {
                prop_assert_eq!(set.bytes(), cost([packed(&items(all.clone()), false)], rules.classes));
                continue;
            }
            let mut table = dict::Dict::new(server.table, server.hashtable);
            (0..all.len() as u64).for_each(|index| table.add(mix(seed ^ index)));
            table.settle();
            let entry = if server.from_7_2 { dict::Entry::Chained } else { dict::Entry::Each };
            let strings = items(all.clone()).into_iter().map(|item| literal::sds::request(item.length()));
            let bytes = table.bytes(entry, rules.classes) + cost(strings, rules.classes);
            let off = chance(server, &table, entry, &rules);
            prop_assert!(set.bytes().abs_diff(bytes) <= off, "{}: {} {bytes}", rules.profile.name, set.bytes());
        }
    }

    #[test]
    fn intsets(members in prop::collection::btree_set((0_u32..64, any::<i64>()).prop_map(|(b, v)| v >> b), 1..300)) {
        for (_, rules) in builds() {
            let (mut literal, mut set) = (Intset::default(), Set::new(Element::Int(0), 1, 0, &rules, &mut ()));
            // The widest come last.
            let mut members: Vec<i64> = members.iter().copied().collect();
            members.sort_by_key(|member| member.unsigned_abs());
            for member in &members {
                literal.add(*member);
                set.insert(Element::Int(*member), [], &rules, &mut ());
                prop_assert_eq!(set.bytes(), cost([literal.bytes()], rules.classes));
            }
            prop_assert_eq!(literal.len(), members.len());
            for member in members.iter().rev() {
                literal.remove(*member);
                set.remove(Element::Int(*member), &rules, &mut ());
                prop_assert_eq!(set.bytes(), cost([literal.bytes()], rules.classes));
            }
        }
    }

    #[test]
    fn sorted_sets(seed: u64, count in 1_u64..700, members in prop::collection::vec((short(), any::<i32>()), 1..40)) {
        let all: Vec<Member> = (0..count).map(|index| {
            let (member, score) = members[index as usize % members.len()];
            Member { member, score: Element::Int(score.into()), draw: mix(seed ^ mix(index)) }
        }).collect();
        for (server, rules) in builds() {
            let mut zset = Zset::new(0, 1, 1 << 31, &rules, &mut ());
            for (index, member) in all.iter().enumerate() {
                zset.insert(*member, all[..index].iter().copied(), &rules, &mut ());
            }
            (0..3000).for_each(|_| zset.lookup(&rules, &mut ()));
            if count <= 128 {
                let flat = items(all.iter().flat_map(|member| [member.member, member.score]));
                prop_assert_eq!(zset.bytes(), cost([packed(&flat, server.ziplist)], rules.classes));
                continue;
            }
            let mut table = dict::Dict::new(server.table, server.hashtable);
            (0..count).for_each(|index| table.add(mix(seed ^ !index)));
            table.settle();
            // zset; zskiplist; its first node, of 32 levels.
            let node = |levels: u64, own: u64| own + 16 * levels;
            let first = if server.node_holds_member { 16 } else { 24 };
            let mut bytes = table.bytes(dict::Entry::Each, rules.classes) + cost([16, 32, node(32, first)], rules.classes);
            for member in &all {
                // One level, and one more for each time that both of two bits are zero.
                let levels = 1 + (0..31).take_while(|level| member.draw >> (2 * level) & 3 == 0).count() as u64;
                let length = Item::from(member.member).length();
                let string = literal::sds::request(length);
                bytes += if server.node_holds_member {
                    cost([node(levels, 16) + 1 + string], rules.classes)
                } else {
                    cost([node(levels, 24), string], rules.classes)
                };
            }
            let off = chance(server, &table, dict::Entry::Each, &rules);
            prop_assert!(zset.bytes().abs_diff(bytes) <= off, "{}: {} {bytes}", rules.profile.name, zset.bytes());
        }
    }

    #[test]
    fn lists(
        fill in prop_oneof![Just(-2_i64), -7_i64..200],
        steps in prop::collection::vec((element(), any::<bool>(), 0_u8..3), 1..300),
        drains: bool,
    ) {
        for (server, mut rules) in builds() {
            rules.limits.list_size = fill;
            let mut list = List::new(&rules, &mut ());
            let mut literal = quicklist::Quicklist::new(server, fill);
            let mut held = std::collections::VecDeque::new();
            // What is last in a ziplist after a pop is not known to the layout: with pops, elements are short there.
            let pops = !server.ziplist || drains;
            for &(element, front, kind) in &steps {
                let element = match element {
                    Element::Bytes(length) if server.ziplist && pops => Element::Bytes(length % 240),
                    _ => element,
                };
                let end = if front { End::Front } else { End::Back };
                if kind == 0 && pops && !held.is_empty() {
                    let popped = if front { held.pop_front() } else { held.pop_back() };
                    list.pop(end, popped.expect("an element"), &rules, &mut ());
                    literal.pop(front);
                } else {
                    if front { held.push_front(element) } else { held.push_back(element) }
                    list.size_hint(1, element.length(), &rules, &mut ());
                    list.push(end, element, &rules, &mut ());
                    literal.push(front, element.into());
                }
                prop_assert_eq!(list.bytes(), literal.bytes(rules.classes), "{} {}", rules.profile.name, fill);
                prop_assert_eq!(list.encoding(&rules).name() == "quicklist", literal.is_quicklist());
            }
            while let (true, Some(popped)) = (drains && held.len() > 1, held.pop_front()) {
                list.pop(End::Front, popped, &rules, &mut ());
                literal.pop(true);
                prop_assert_eq!(list.bytes(), literal.bytes(rules.classes), "{} {}", rules.profile.name, fill);
            }
        }
    }

    #[test]
    fn streams(
        limits in prop_oneof![Just((4096_u64, 100_u64)), (0_u64..9000, 1_u64..120)],
        steps in prop::collection::vec((0_u64..2000, 0_u64..300, 0_usize..3), 1..200),
        schemas in prop::array::uniform3(prop::collection::vec((element(), short()), 1..5)),
        deleted in 0_usize..220,
        (names, consumers) in (1_u64..30, 0_usize..5),
    ) {
        let schemas = schemas.map(|pairs| -> Vec<Pair> {
            pairs.into_iter().map(|(field, value)| Pair { field, value }).collect()
        });
        for (server, mut rules) in builds() {
            (rules.limits.stream_bytes, rules.limits.stream_entries) = limits;
            let mut stream = Stream::new(&rules, &mut ());
            let mut literal = stream::Stream::new(server, limits.0, limits.1 as usize);
            for group in 0..2 {
                stream.add_group(names, &rules, &mut ());
                literal.add_group(names);
                for _ in 0..consumers {
                    stream.add_consumer(group, names, &rules, &mut ());
                    literal.add_consumer(group, names);
                }
            }
            let mut id = Id { ms: 1_700_000_000_000, seq: 0 };
            for (index, &(ms, seq, schema)) in steps.iter().enumerate() {
                id = if ms == 0 { Id { seq: id.seq + seq + 1, ..id } } else { Id { ms: id.ms + ms, seq } };
                stream.append(id, &schemas[schema], schema as u64, &rules, &mut ());
                literal.add(id, &schemas[schema], schema as u64);
                prop_assert_eq!(stream.bytes(), literal.bytes(rules.classes), "{} {}", rules.profile.name, index);
                // The first group delivers each, the second some.
                for group in (0..2).filter(|group| consumers > 0 && (group * index).is_multiple_of(3)) {
                    stream.deliver(group, 0, id, &rules, &mut ());
                    literal.deliver(group, 0, id);
                }
            }
            prop_assert_eq!(stream.bytes(), literal.bytes(rules.classes));
            for index in 0..deleted.min(steps.len()) {
                stream.delete_oldest(&rules, &mut ());
                literal.delete_oldest();
                if consumers > 0 && index % 2 == 0 {
                    stream.acknowledge(0, 0, &rules, &mut ());
                    literal.acknowledge(0, 0);
                }
                prop_assert_eq!(stream.bytes(), literal.bytes(rules.classes), "{} {}", rules.profile.name, index);
            }
        }
    }

    /// SET or SETRANGE, then APPEND or SETBIT beyond the end.  Where a header cannot say how much fits, the layout takes
    /// it to fit (docs/model.md): the construction ends there.
    #[test]
    fn strings(first in 0_u64..30_000, short in 0_u64..300, is_short: bool, by_set: bool,
               growth in prop::collection::vec(prop_oneof![1_u64..40, 1_u64..5000, Just(700_000)], 0..40)) {
        let first = if is_short { short } else { first };
        for (_, rules) in builds() {
            let (profile, classes) = (rules.profile, rules.classes);
            let mut literal = literal::sds::Sds::new(first, classes);
            let mut value = if by_set { string::written(first, profile, classes) } else { string::padded(first, profile, classes) };
            let embedded = by_set && first <= profile.embstr_max;
            if embedded {
                prop_assert_eq!(value.total, classes.class(16 + 3 + first + 1));
            } else {
                if by_set && first >= profile.trims_from {
                    literal.trim();
                }
                prop_assert_eq!(value.total, classes.class(16) + literal.class);
            }
            let mut length = first;
            for &more in &growth {
                if literal.capped {
                    break;
                }
                value = string::grown(value, length, length + more, profile, classes);
                length += more;
                literal.grow(length, classes);
                prop_assert_eq!(value.total, classes.class(16) + literal.class, "{} {} {}", profile.name, first, length);
            }
        }
    }
}

#[test]
fn strings_request_what_sds_does() {
    for length in (0..70_000).chain([u64::from(u32::MAX), u64::from(u32::MAX) + 1]) {
        assert_eq!(sds::request(length), literal::sds::request(length), "{length}");
    }
}
