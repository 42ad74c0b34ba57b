//! Where a value changes its encoding, on both sides of each threshold, in every release; and that more never costs less
//! within an encoding.

use capsim::layout::hash::{Hash, Pair};
use capsim::layout::list::{End, List};
use capsim::layout::set::Set;
use capsim::layout::stream::{Id, Stream};
use capsim::layout::zset::{Member, Zset};
use capsim::layout::{Element, Limits, Rules, hyperloglog, string};
use capsim::profile::{Allocator, PROFILES};
use capsim::rng::mix;
use proptest::prelude::*;

fn builds(limits: Limits) -> impl Iterator<Item = Rules<'static>> {
    PROFILES.iter().flat_map(move |profile| {
        Allocator::ALL.map(|allocator| Rules::new(profile, profile.classes(allocator), limits))
    })
}

/// A hash whose rehash is over; the same below.
fn hash(fields: u64, pair: Pair, rules: &Rules<'_>) -> Hash {
    let mut hash = Hash::new(0, rules, &mut ());
    for index in 0..fields {
        hash.insert(pair, (0..index).map(|_| pair), rules, &mut ());
    }
    (0..1000).for_each(|_| hash.lookup(rules, &mut ()));
    hash
}

fn set(members: u64, member: Element, rules: &Rules<'_>) -> Set {
    let mut set = Set::new(member, 1, 0, rules, &mut ());
    for index in 0..members {
        set.insert(member, (0..index).map(|_| member), rules, &mut ());
    }
    (0..1000).for_each(|_| set.lookup(rules, &mut ()));
    set
}

fn zset(members: u64, member: Element, rules: &Rules<'_>) -> Zset {
    let at = |index: u64| Member { member, score: Element::Int(7), draw: mix(index) };
    let mut zset = Zset::new(member.length(), 1, 0, rules, &mut ());
    for index in 0..members {
        zset.insert(at(index), (0..index).map(at), rules, &mut ());
    }
    (0..1000).for_each(|_| zset.lookup(rules, &mut ()));
    zset
}

fn list(elements: u64, element: Element, rules: &Rules<'_>) -> List {
    let mut list = List::new(rules, &mut ());
    for _ in 0..elements {
        list.size_hint(1, element.length(), rules, &mut ());
        list.push(End::Back, element, rules, &mut ());
    }
    list
}

fn stream(entries: u64, pair: Pair, rules: &Rules<'_>) -> Stream {
    let mut stream = Stream::new(rules, &mut ());
    for index in 0..entries {
        stream.append(Id { ms: 1_700_000_000_000 + index, seq: 0 }, &[pair], 0, rules, &mut ());
    }
    stream
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    /// At the limit a collection is packed, one element or one byte beyond it is not, whatever the limits are.
    #[test]
    fn limits_of_entries_and_of_lengths(entries in 1_u64..300, longest in 1_u64..200) {
        let limits = Limits {
            hash_entries: entries, hash_value: longest,
            set_entries: entries, set_value: longest, intset_entries: entries,
            zset_entries: entries, zset_value: longest,
            ..Limits::default()
        };
        for rules in builds(limits) {
            let packed = if rules.profile.name == "redis-6.2" { "ziplist" } else { "listpack" };
            let element = Element::Bytes(longest);
            let over = Element::Bytes(longest + 1);
            let both = |length: Element| Pair { field: Element::Int(3), value: length };
            let hashes = [hash(entries, both(element), &rules), hash(entries + 1, both(element), &rules), hash(1, both(over), &rules),
                hash(1, Pair { field: over, value: element }, &rules)];
            prop_assert_eq!(hashes.map(|hash| hash.encoding(&rules).name()), [packed, "hashtable", "hashtable", "hashtable"]);
            let zsets = [zset(entries, element, &rules), zset(entries + 1, element, &rules), zset(1, over, &rules)];
            prop_assert_eq!(zsets.map(|zset| zset.encoding(&rules).name()), [packed, "skiplist", "skiplist"]);
            let small = if ["redis-6.2", "redis-7.0"].contains(&rules.profile.name) { "hashtable" } else { "listpack" };
            let sets = [set(entries, element, &rules), set(entries + 1, element, &rules), set(1, over, &rules)];
            prop_assert_eq!(sets.map(|set| set.encoding().name()), [small, "hashtable", "hashtable"]);
            let intsets = [set(entries, Element::Int(5), &rules), set(entries + 1, Element::Int(5), &rules)];
            prop_assert_eq!(intsets.map(|set| set.encoding().name()), ["intset", "hashtable"]);
        }
    }

    /// Nodes of lists and of streams end at the number of elements that their limit says.
    #[test]
    fn limits_of_nodes(most in 1_u64..60, nodes in 1_u64..6) {
        let limits = Limits { list_size: most.cast_signed(), stream_entries: most, stream_bytes: 0, ..Limits::default() };
        for rules in builds(limits) {
            let element = Element::Bytes(20);
            let full = list(most * nodes, element, &rules);
            let alone = rules.collections.list_packed && nodes == 1;
            prop_assert_eq!(full.nodes(), if alone { 0 } else { nodes });
            prop_assert_eq!(list(most * nodes + 1, element, &rules).nodes(), nodes + 1);
            let pair = Pair::of(5, 5);
            prop_assert_eq!(stream(most * nodes, pair, &rules).nodes(), nodes);
            prop_assert_eq!(stream(most * nodes + 1, pair, &rules).nodes(), nodes + 1);
        }
    }

    /// The same by bytes: the last element that fits leaves the node within its limit, one more would not.
    #[test]
    fn limits_of_bytes(size in -5_i64..0, length in 1_u64..60, stream_bytes in 200_u64..4096) {
        let most = 4096 << (-size - 1);
        let limits = Limits { list_size: size, stream_bytes, stream_entries: 0, ..Limits::default() };
        for rules in builds(limits) {
            let (mut list, mut elements) = (List::new(&rules, &mut ()), 0_u64);
            let entry = if rules.profile.name == "redis-6.2" { 2 + length } else { 1 + length + 1 };
            while list.nodes() < 2 {
                list.size_hint(1, length, &rules, &mut ());
                list.push(End::Back, Element::Bytes(length), &rules, &mut ());
                elements += 1;
            }
            let held = elements - 1;
            let header = if rules.profile.name == "redis-6.2" { 11 } else { 7 };
            // A listpack alone counts the element, not what it has around it.
            let around = if rules.collections.list_packed { 2 } else { 0 };
            prop_assert!(header + held * entry <= most + around, "{}: {held}", rules.profile.name);
            // Up to eight bytes are taken to come with an element.
            prop_assert!(header + held * entry + length + 8 > most, "{}: {held}", rules.profile.name);
            let mut entries = 1;
            while stream(entries, Pair::of(length, length), &rules).nodes() < 2 {
                entries += 1;
            }
            // Field and value in the master entry; an entry has six bytes and more beside its value.
            let bytes = |entries: u64| 7 + 8 + entry + entries * (8 + length + 2);
            let raw = 2 * length;
            prop_assert!(bytes(entries - 1) + 3 * entries + raw >= stream_bytes, "{} {entries}", rules.profile.name);
            prop_assert!(entries == 2 || bytes(entries - 2) + raw < stream_bytes + 2 * entries + 16, "{} {entries}", rules.profile.name);
        }
    }

    /// One element more, or longer elements, never cost less while the encoding stays.  Longer elements of lists and
    /// streams may: nodes end earlier, and the last one is smaller.
    #[test]
    fn more_costs_no_less(count in 1_u64..400, length in 0_u64..200, int: i32) {
        for rules in builds(Limits::default()) {
            let (short, long) = (Element::Bytes(length), Element::Bytes(length + 1));
            let pair = |value: Element| Pair { field: Element::Int(int.into()), value };
            let of = |count: u64, element: Element| [
                (hash(count, pair(element), &rules).bytes(), hash(count, pair(element), &rules).encoding(&rules)),
                (set(count, element, &rules).bytes(), set(count, element, &rules).encoding()),
                (zset(count, element, &rules).bytes(), zset(count, element, &rules).encoding(&rules)),
                (list(count, element, &rules).bytes(), list(count, element, &rules).encoding(&rules)),
                (stream(count, pair(element), &rules).bytes(), capsim::layout::Encoding::Stream),
            ];
            let base = of(count, short);
            for (kind, more, types) in [("one more", of(count + 1, short), 5), ("one byte longer", of(count, long), 3)] {
                for ((bytes, encoding), (larger, same)) in base.into_iter().zip(more).take(types) {
                    prop_assert!(
                        larger >= bytes || encoding != same,
                        "{} {encoding:?}, {kind}: {bytes} {larger}", rules.profile.name
                    );
                }
            }
        }
    }
}

#[test]
fn strings_are_embedded_up_to_44_bytes() {
    for rules in builds(Limits::default()) {
        // Valkey 9.1 leaves out a pointer and fills 128 bytes.
        let longest = if rules.profile.name == "valkey-9.1" { 116 } else { 44 };
        let of = |length| string::written(length, rules.profile, rules.classes).encoding;
        assert_eq!(of(longest), string::Encoding::Embstr);
        assert!(of(longest + 1).is_raw(), "{}", rules.profile.name);
        // An integer is one object of 16 bytes whatever it says, and none where it is shared.
        for (value, shared, bytes) in [(9999, true, 0), (10_000, true, 16), (-1, true, 16), (9999, false, 16)] {
            let expected = if bytes == 0 { 0 } else { rules.classes.class(bytes) };
            assert_eq!(string::integer(value, shared, rules.profile, rules.classes).total, expected, "{value}");
        }
    }
}

/// Registers of a HyperLogLog after so many elements, and the bytes of its sparse form: runs of up to 64 or 16 384 zeros,
/// runs of up to four equal values.  Source: `hyperloglog.c`.
fn sparse(distinct: u64, seed: u64) -> u64 {
    let mut registers = vec![0_u32; 16_384];
    for index in 0..distinct {
        let bits = mix(mix(seed) ^ index);
        let register = &mut registers[bits as usize % 16_384];
        *register = (*register).max(((bits >> 14) | 1 << 50).trailing_zeros() + 1);
    }
    let mut bytes = 16;
    for run in registers.chunk_by(|a, b| a == b) {
        let length = run.len() as u64;
        bytes += match run[0] {
            0 if length <= 64 => 1,
            0 => 2,
            _ => length.div_ceil(4),
        };
    }
    bytes
}

#[test]
fn hyperloglogs_are_as_long_as_their_runs() {
    assert_eq!((sparse(0, 1), hyperloglog::sparse_length(0)), (18, 18));
    for distinct in [1, 10, 50, 200, 500, 1000, 1500] {
        let mean = (0..60).map(|seed| sparse(distinct, seed)).sum::<u64>() as f64 / 60.0;
        let predicted = hyperloglog::sparse_length(distinct) as f64;
        // Equal neighbours share a byte, which the layout leaves out.
        let merged = distinct as f64 * distinct as f64 / 16_384.0 * 0.4;
        assert!((predicted - mean).abs() <= 2.0 + mean / 100.0 + merged, "{distinct}: {predicted}, {mean} built");
    }
    // The first length beyond the limit is dense.
    for limit in [100, 1000, 3000] {
        let last = (0..4000).rfind(|&distinct| !hyperloglog::is_dense(distinct, limit)).expect("a sparse one");
        assert!(hyperloglog::sparse_length(last) <= limit && hyperloglog::sparse_length(last + 1) > limit);
        for rules in builds(Limits { hll_sparse: limit, ..Limits::default() }) {
            let class = |distinct| hyperloglog::class(distinct, limit, rules.collections.hll_growth, rules.classes);
            assert!(class(last) <= rules.classes.class(2 * limit + 16));
            assert_eq!(class(last + 1), rules.classes.class(3 + 12_304 + 5 - 3 + 1), "{limit}");
        }
    }
}
