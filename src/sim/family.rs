//! A family of keys at run time: names, sizes and TTLs of its keys.
//!
//! Ranks are the family's dense ids; [`Family::order`] says which rank stands where in id order, so that loading half
//! of the keys does not load the popular half.  What belongs to one key (length of its name, size of its value) is
//! drawn from a generator seeded by the key: the same key has the same size whenever it is written.

use crate::layout::Element;
use crate::layout::hash::Pair;
use crate::layout::zset::{self, Member};
use crate::node::{ANONYMOUS, CollectionKind, Elements, KeyRef, Payload};
use crate::profile::Profile;
use crate::rng::{key_rng, mix};
use crate::scenario::{ElementShape, KeyType, Keyspace, Score, SizeDrawn};
use crate::units::SimTime;
use crate::workload::{Distribution, Permutation, Ttl};
use rand::{Rng, RngExt};

/// Purposes of a key's own generator.
const KEY_LENGTH: u64 = 1;
const VALUE_SIZE: u64 = 2;
const TTL: u64 = 3;
const ELEMENTS: u64 = 4;
/// Purposes of an element's own generator.
const LENGTH: u64 = 5;
const VALUE: u64 = 6;
const SCORE: u64 = 7;
const COUNTER: u64 = 8;
/// Digits that every integer of 64 bits can have.
const COUNTER_DIGITS: u64 = 18;
/// Elements are counted from here: see `node`.
const FIRST_ELEMENT: u64 = 1 << 62;

/// A family of keys.
#[derive(Debug)]
pub(super) struct Family {
    keyspace: u8,
    first_id: u32,
    ids: u32,
    seed: u64,
    kind: KeyType,
    key_length: Distribution,
    /// The length when all names have the same.
    constant_key_length: Option<u64>,
    value_size: Distribution,
    constant_value_size: Option<u64>,
    size_drawn: SizeDrawn,
    base: i64,
    elements: Option<ElementShape>,
    /// HINCRBY is sent to its keys: values that fit are integers.
    counters: bool,
    /// The release prints scores with as few digits as will do.
    shortest_scores: bool,
    ttl: Ttl,
    ttl_drawn: SizeDrawn,
    /// Position in id order → rank.
    pub(super) order: Permutation,
    /// New keys made so far by traffic.
    made: u64,
    /// New keys take the ids of the family in a ring, since some traffic asks for the latest.
    ring: bool,
    ttl_lost: Option<TtlLost>,
}

/// A time in which a share of the writes forgets its TTL.
#[derive(Debug, Clone, Copy)]
struct TtlLost {
    until: SimTime,
    share: f64,
}

/// A key and the number that its own draws depend on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Named {
    pub(super) key: KeyRef,
    pub(super) number: u64,
}

impl Family {
    pub(super) fn new(
        keyspace: &Keyspace,
        index: usize,
        first_id: u32,
        seed: u64,
        ring: bool,
        counters: bool,
        profile: &Profile,
    ) -> Family {
        let seed = mix(seed ^ mix(index as u64));
        Family {
            keyspace: index as u8,
            first_id,
            ids: keyspace.keys,
            seed,
            kind: keyspace.kind,
            constant_key_length: keyspace.key_length.constant(),
            key_length: keyspace.key_length.clone(),
            constant_value_size: keyspace.value_size.constant(),
            value_size: keyspace.value_size.clone(),
            size_drawn: keyspace.size_drawn,
            base: keyspace.base,
            elements: keyspace.elements.clone(),
            counters,
            shortest_scores: profile.collections.score_shortest,
            ttl: keyspace.ttl.clone(),
            ttl_drawn: keyspace.ttl_drawn,
            order: Permutation::new(keyspace.keys.max(1), seed),
            made: 0,
            ring,
            ttl_lost: None,
        }
    }

    /// The key of a rank.
    #[inline]
    pub(super) fn ranked(&self, rank: u32) -> Named {
        self.named(self.first_id + rank, u64::from(rank))
    }

    #[inline]
    fn named(&self, id: u32, number: u64) -> Named {
        let hash = mix(self.seed.wrapping_add(number)) as u32;
        Named { key: KeyRef { id, hash, keyspace: self.keyspace }, number }
    }

    /// A key that never was before.  Where traffic asks for the latest keys it takes the id of the oldest, which the
    /// caller must disown first.
    pub(super) fn new_key(&mut self) -> Named {
        let number = u64::from(self.ids) + self.made;
        self.made += 1;
        let id = if self.ring { self.first_id + (number % u64::from(self.ids)) as u32 } else { ANONYMOUS };
        self.named(id, number)
    }

    /// The key made `age` keys before the newest; the oldest ids count as made before the run, in order.
    pub(super) fn latest(&self, age: u32) -> Named {
        let newest = u64::from(self.ids) + self.made - 1;
        let number = newest - u64::from(age.min(self.ids - 1));
        let rank = (number % u64::from(self.ids)) as u32;
        let number = if number < u64::from(self.ids) { u64::from(rank) } else { number };
        self.named(self.first_id + rank, number)
    }

    /// Length of a key's name (B).
    #[inline]
    pub(super) fn key_length(&self, number: u64) -> u64 {
        match self.constant_key_length {
            Some(length) => length,
            None => self.key_length.sample(&mut key_rng(self.seed, KEY_LENGTH, number)),
        }
    }

    /// What a write of the key's whole value stores.
    #[inline]
    pub(super) fn payload(&self, number: u64, rng: &mut impl Rng) -> Payload {
        match (self.kind, self.constant_value_size, self.size_drawn) {
            (KeyType::Int, ..) => Payload::Int(self.base.saturating_add_unsigned(number)),
            (KeyType::HyperLogLog, ..) => Payload::Distinct(self.element_count(number)),
            (KeyType::String, Some(size), _) => Payload::Bytes(size),
            (KeyType::String, None, SizeDrawn::Key) => {
                Payload::Bytes(self.value_size.sample(&mut key_rng(self.seed, VALUE_SIZE, number)))
            }
            (KeyType::String, None, SizeDrawn::Write) => Payload::Bytes(self.value_size.sample(rng)),
            // Collections are written element by element.
            _ => Payload::Bytes(0),
        }
    }

    /// What a write stores when an event gives its own sizes.
    pub(super) fn sized_payload(&self, size: Option<&Distribution>, number: u64, rng: &mut impl Rng) -> Payload {
        match (self.kind, size) {
            (KeyType::String, Some(size)) => Payload::Bytes(size.sample(rng)),
            _ => self.payload(number, rng),
        }
    }

    /// TTL of a write at `now` (ms): the stream's, or the family's; forgotten where the scenario says so.
    #[inline]
    pub(super) fn ttl(&self, stream: Option<&Ttl>, number: u64, now: SimTime, rng: &mut impl Rng) -> Option<u64> {
        let ttl = stream.unwrap_or(&self.ttl);
        if ttl.is_none() {
            return None;
        }
        if let Some(lost) = self.ttl_lost
            && now < lost.until
            && rng.random::<f64>() < lost.share
        {
            return None;
        }
        match self.ttl_drawn {
            SizeDrawn::Key => ttl.sample(&mut key_rng(self.seed, TTL, number)),
            SizeDrawn::Write => ttl.sample(rng),
        }
    }

    /// The number of a key that is present, by its rank; its hash stands in for a key without id.
    pub(super) fn number_of(&self, rank: Option<u32>, hash: u32) -> u64 {
        let Some(rank) = rank else { return u64::from(hash) };
        if self.ranked(rank).key.hash == hash {
            return u64::from(rank);
        }
        // The id has passed on to the newest key that took it.
        let newest = u64::from(self.ids) + self.made - 1;
        newest - (newest - u64::from(rank)) % u64::from(self.ids)
    }

    /// The TTL that keys of the family are given.
    pub(super) fn own_ttl(&self) -> &Ttl {
        &self.ttl
    }

    /// From now on, until `until`, this share of the writes forgets its TTL.
    pub(super) fn lose_ttl(&mut self, share: f64, until: SimTime) {
        self.ttl_lost = Some(TtlLost { until, share });
    }

    /// New values have another size from now on.
    pub(super) fn change_size(&mut self, size: &Distribution) {
        self.constant_value_size = size.constant();
        self.value_size = size.clone();
    }

    /// What the keys are, if they are collections.
    pub(super) fn collection(&self) -> Option<CollectionKind> {
        self.kind.collection()
    }

    /// What the elements of a key are.
    pub(super) fn elements(&self, number: u64) -> KeyElements<'_> {
        KeyElements { family: self, number, key: mix(self.seed ^ mix(number)) }
    }

    /// How many elements a key is loaded with.
    pub(super) fn element_count(&self, number: u64) -> u64 {
        let Some(shape) = &self.elements else { return 0 };
        shape.count.constant().unwrap_or_else(|| shape.count.sample(&mut key_rng(self.seed, ELEMENTS, number)))
    }

    /// Whether new keys take ids.
    pub(super) fn is_ring(&self) -> bool {
        self.ring
    }

    /// The id of rank 0.
    pub(super) fn first_id(&self) -> u32 {
        self.first_id
    }

    /// Size of the id space.
    pub(super) fn ids(&self) -> u32 {
        self.ids
    }
}

/// The elements of one key: each is drawn from a generator seeded by key and element.
#[derive(Debug)]
pub(super) struct KeyElements<'a> {
    family: &'a Family,
    number: u64,
    key: u64,
}

impl KeyElements<'_> {
    fn draw(&self, law: &Distribution, purpose: u64, number: u64) -> u64 {
        law.constant().unwrap_or_else(|| law.sample(&mut key_rng(self.key, purpose, number)))
    }

    fn length(&self, number: u64) -> u64 {
        self.family.elements.as_ref().map_or(0, |shape| self.draw(&shape.length, LENGTH, number))
    }

    fn value(&self, number: u64) -> u64 {
        self.draw(&self.family.value_size, VALUE, number)
    }

    /// A field's integer of so many digits.
    fn counter(&self, digits: u32, number: u64) -> i64 {
        let least = if digits == 1 { 0 } else { 10_i64.pow(digits - 1) };
        key_rng(self.key, COUNTER, number).random_range(least..10_i64.pow(digits))
    }

    /// Rank of an element among all that were added at the back.
    fn index(number: u64) -> i64 {
        number.wrapping_sub(FIRST_ELEMENT).cast_signed()
    }
}

impl Elements for KeyElements<'_> {
    fn pair(&self, number: u64) -> Pair {
        let (field, length) = (self.length(number), self.value(number));
        if self.family.counters && (1..=COUNTER_DIGITS).contains(&length) {
            return Pair { field: Element::Bytes(field), value: Element::Int(self.counter(length as u32, number)) };
        }
        Pair::of(field, length)
    }

    fn element(&self, number: u64) -> Element {
        match self.family.kind {
            KeyType::Intset => {
                let step = self.family.elements.as_ref().map_or(1, |shape| shape.step);
                Element::Int(self.family.base.saturating_add(Self::index(number).saturating_mul(step)))
            }
            KeyType::List => Element::Bytes(self.value(number)),
            _ => Element::Bytes(self.length(number)),
        }
    }

    fn member(&self, number: u64) -> Member {
        let value = match self.family.elements.as_ref().map(|shape| &shape.score) {
            Some(Score::Drawn(law)) => self.draw(law, SCORE, number) as f64,
            Some(Score::Increasing(step)) => step * Self::index(number) as f64,
            None => 0.0,
        };
        Member {
            member: Element::Bytes(self.length(number)),
            score: zset::score(value, self.family.shortest_scores),
            draw: mix(self.key ^ mix(number)),
        }
    }

    fn fields(&self, number: u64) -> Vec<Pair> {
        let fields = self.family.elements.as_ref().map_or(0, |shape| shape.fields);
        (0..u64::from(fields))
            .map(|field| Pair::of(self.length(field), self.value(number.wrapping_add(field << 40))))
            .collect()
    }

    fn id_step_ms(&self) -> u64 {
        self.family.elements.as_ref().map_or(1, |shape| shape.id_step.as_millis().max(1))
    }

    fn phase(&self) -> u32 {
        mix(self.key) as u32
    }

    fn number_of_key(&self) -> u64 {
        self.number
    }
}
