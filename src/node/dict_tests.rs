//! The table against a literal oracle: a map from key to hash, asked the same questions.

use super::*;
use crate::rng::mix;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;

/// Chains in plain vectors: slot s has hash mix(s).
struct Plain(Vec<Slot>);

impl Chain for Plain {
    fn next(&self, slot: Slot) -> Slot {
        self.0[slot as usize]
    }
    fn set_next(&mut self, slot: Slot, next: Slot) {
        self.0[slot as usize] = next;
    }
    fn hash(&self, slot: Slot) -> u32 {
        mix(u64::from(slot)) as u32
    }
}

fn dict_of(release: &str) -> Dict {
    Dict::new(Profile::find(release).expect("a listed profile"))
}

fn filled(n: u32) -> (Dict, Plain) {
    let (mut dict, mut chain) = (dict_of("redis-7.0"), Plain(vec![NIL; 1 + n as usize]));
    for slot in 1..=n {
        grow_as_needed(&mut dict);
        dict.insert(slot, &mut chain);
        dict.rehash(2, &mut chain);
    }
    (dict, chain)
}

fn grow_as_needed(dict: &mut Dict) {
    if dict.wants_growth(None) {
        dict.resize(dict.next_size());
    }
}

/// Every entry, by walking both arrays.
fn entries(dict: &Dict, chain: &Plain) -> BTreeSet<Slot> {
    let mut all = BTreeSet::new();
    for heads in &dict.heads {
        for &head in heads {
            let mut at = head;
            while at != NIL {
                assert!(all.insert(at), "an entry stands in one place");
                at = chain.next(at);
            }
        }
    }
    all
}

#[test]
fn a_table_doubles_when_it_is_full() {
    // With n keys inserted and none deleted: the next power of two at or above n.
    for (n, buckets) in [(1, 4), (4, 4), (5, 8), (131_072, 131_072), (131_073, 262_144)] {
        let (mut dict, mut chain) = filled(n);
        while dict.rehashing() {
            dict.rehash(1000, &mut chain);
        }
        assert_eq!(dict.buckets(), buckets, "{n}");
    }
}

#[test]
fn both_arrays_live_until_the_last_entry_has_moved() {
    let (mut dict, mut chain) = filled(8192);
    while dict.rehashing() {
        dict.rehash(100, &mut chain);
    }
    dict.resize(16_384);
    assert_eq!(dict.buckets(), 8192 + 16_384);
    // At load 1 about 63 % of the buckets hold something: measured, 5178 steps and a little.
    let steps = (1..).find(|_| dict.rehash(1, &mut chain).is_some()).expect("it ends");
    assert!((5_050..5_320).contains(&steps), "{steps}");
    assert_eq!(dict.buckets(), 16_384);
}

#[test]
fn a_scan_by_reverse_binary_cursor_meets_every_entry_even_while_rehashing() {
    for rehashed in [None, Some(0), Some(1500)] {
        let (mut dict, mut chain) = filled(3000);
        while dict.rehashing() {
            dict.rehash(1000, &mut chain);
        }
        if let Some(buckets) = rehashed {
            dict.resize(2 * dict.buckets());
            dict.rehash_buckets(buckets, &mut chain);
        }
        let (mut cursor, mut met) = (0, BTreeSet::new());
        loop {
            cursor = dict.scan(cursor, |head| {
                let mut at = head;
                while at != NIL {
                    met.insert(at);
                    at = chain.next(at);
                }
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(met, entries(&dict, &chain));
    }
}

#[test]
fn samples_are_neighbours_and_their_number_is_what_was_asked_for() {
    let (dict, chain) = filled(60_000);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut sample = [NIL; MAX_SAMPLES];
    for wanted in [1, 5, 10, 64] {
        for _ in 0..2_000 {
            assert_eq!(dict.sample(wanted, rng.next_u64(), &chain, &mut rng, &mut sample), wanted);
            let mask = dict.heads[0].len() as u32 - 1;
            let first = chain.hash(sample[0]) & mask;
            // Neighbours unless a run of empty buckets made it start again: look at the first two only.
            let distance = sample[..wanted.min(2)].iter().map(|&s| (chain.hash(s) & mask).wrapping_sub(first) & mask);
            assert!(distance.max() < Some(64) || wanted > 1);
        }
    }
}

#[test]
fn random_entries_follow_buckets_then_chains() {
    let (dict, chain) = filled(1000);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut drawn = vec![0_u32; 1001];
    for _ in 0..400_000 {
        drawn[dict.random_entry(&chain, &mut rng) as usize] += 1;
    }
    let full = dict.heads[0].iter().filter(|&&head| head != NIL).count() as f64;
    for slot in 1..=1000_u32 {
        let mask = dict.heads[0].len() as u32 - 1;
        let chain_length = (1..=1000).filter(|&s| chain.hash(s) & mask == chain.hash(slot) & mask).count() as f64;
        let expected = 400_000.0 / (full * chain_length);
        let sigma = expected.sqrt();
        assert!((f64::from(drawn[slot as usize]) - expected).abs() < 6.0 * sigma, "{slot}");
    }
}

/// What stands beside the arrays, counted by walking every chain.
fn beside_arrays(dict: &Dict, chain: &Plain) -> u64 {
    let mut count = 0;
    for &head in dict.heads.iter().flatten() {
        let length = std::iter::successors(Some(head).filter(|&head| head != NIL), |&at| {
            Some(chain.next(at)).filter(|&next| next != NIL)
        })
        .count() as u64;
        // A bucket has seven places; the last one of a full bucket points to the next bucket.
        let mut left = length;
        while left > 7 {
            left -= 6;
            count += 1;
        }
    }
    count
}

#[test]
fn buckets_of_seven_places_grow_and_shrink_as_measured() {
    // Measured on valkey 8.1.1 and 9.1.2: 57 344 keys fill 8192 buckets, the next one doubles them.
    let mut dict = dict_of("valkey-8.1");
    let mut chain = Plain(vec![NIL; 60_001]);
    let mut sizes = Vec::new();
    for slot in 1..=57_345 {
        if dict.wants_growth(None) {
            dict.resize(dict.next_size());
            sizes.push((slot, dict.heads[usize::from(dict.rehashing())].len()));
        }
        dict.insert(slot, &mut chain);
        dict.rehash(2, &mut chain);
    }
    assert_eq!(sizes[..3], [(1, 1), (8, 2), (15, 4)]);
    assert_eq!(sizes.last(), Some(&(57_345, 16_384)));
    assert_eq!(dict.beside_arrays().0, beside_arrays(&dict, &chain));
    while dict.rehashing() {
        dict.rehash(1, &mut chain);
    }
    let rule = Profile::find("valkey-8.1").expect("a listed profile").shrink;
    let mut left = 57_345_u64;
    while !dict.wants_shrink(rule, false) {
        dict.remove(left as Slot, &mut chain);
        left -= 1;
    }
    // 13 % of 7 * 16 384 places.
    assert_eq!((left, dict.buckets_for(left)), (14_909, 4_096));
    assert!(!dict.wants_shrink(rule, true), "3 % while a child lives");
}

#[test]
fn sampling_by_scans_takes_whole_chains_evenly() {
    let mut dict = dict_of("valkey-8.1");
    let mut chain = Plain(vec![NIL; 1001]);
    for slot in 1..=1000 {
        if dict.wants_growth(None) {
            dict.resize(dict.next_size());
        }
        dict.insert(slot, &mut chain);
        dict.rehash(8, &mut chain);
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut sample = [NIL; MAX_SAMPLES];
    let mut drawn = vec![0_u32; 1001];
    for _ in 0..20_000 {
        let start = rng.next_u64();
        assert_eq!(dict.sample(5, start, &chain, &mut rng, &mut sample), 5);
        sample[..5].iter().for_each(|&slot| drawn[slot as usize] += 1);
        drawn[dict.random_entry(&chain, &mut rng) as usize] += 1;
    }
    // Keys of long chains share the places of a sample: no key is drawn more than a few times as often as another.
    let (least, most) = (drawn[1..].iter().min(), drawn[1..].iter().max());
    assert!(least.is_some_and(|&n| n > 40) && most.is_some_and(|&n| n < 500), "{least:?} {most:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_order_of_operations_keeps_every_entry(
        release in prop::sample::select(vec!["redis-7.0", "redis-8.2", "valkey-8.1"]),
        operations in prop::collection::vec((0..4_u8, 1..400_u32), 1..800)
    ) {
        let (mut dict, mut chain) = (dict_of(release), Plain(vec![NIL; 401]));
        let mut oracle = BTreeSet::new();
        for (operation, slot) in operations {
            match operation {
                0 | 1 if oracle.insert(slot) => {
                    grow_as_needed(&mut dict);
                    dict.insert(slot, &mut chain);
                }
                2 if oracle.remove(&slot) => {
                    dict.remove(slot, &mut chain);
                }
                3 => {
                    if dict.wants_shrink(ShrinkRule::CronBelowTenth, false) {
                        dict.resize(dict.buckets_for(dict.len()));
                    }
                    dict.rehash(u64::from(slot % 7), &mut chain);
                }
                _ => {}
            }
            prop_assert_eq!(dict.len(), oracle.len() as u64);
            match release {
                "valkey-8.1" => prop_assert_eq!(dict.beside_arrays().0, beside_arrays(&dict, &chain)),
                "redis-7.0" => prop_assert_eq!(dict.beside_arrays().0, 0),
                // Each key beyond the first of its bucket has an entry; one left alone keeps it.
                _ => {
                    let taken = dict.heads.iter().flatten().filter(|&&head| head != NIL).count() as u64;
                    prop_assert!((dict.len() - taken..=dict.len()).contains(&dict.beside_arrays().0));
                }
            }
        }
        prop_assert_eq!(entries(&dict, &chain), oracle);
    }
}
