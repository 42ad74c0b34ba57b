//! One collection as the server holds it: its layout, which of its elements there are, the blocks that it is made of.
//!
//! Elements are numbered in the order in which they were added; those from `first` to before `next` are there.  Lengths
//! are the caller's: [`Elements`] says what the element of a number is, always the same.  Elements are alike as far as the
//! scenario knows, so one that is taken out of a hash, a set or a sorted set is the last one, whatever its name.

use super::field_times::FieldTimes;
use super::keys::{NIL, Slot};
use super::stream_state::StreamState;
use crate::command::Command;
use crate::layout::hash::{Hash, Pair};
use crate::layout::list::{End, List};
use crate::layout::set::Set;
use crate::layout::zset::{Member, Zset};
use crate::layout::{Element, Encoding, Rules, Tally};

/// Number of the first element: there is room before it for LPUSH.
const MIDDLE: u64 = 1 << 62;
/// IDs of entries that are loaded begin here, those that traffic adds at the second instant and the server's clock
/// (ms).  *assumed*: dates of 2023 and 2027; what matters is that they have as many bytes as today's.
const LOADED_ID_MS: u64 = 1_700_000_000_000;
const CLOCK_ID_MS: u64 = 1_800_000_000_000;

/// What a collection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionKind {
    /// Fields and values.
    Hash,
    /// Members; integers too.
    Set,
    /// Members and scores.
    Zset,
    /// Values.
    List,
    /// Entries.
    Stream,
}

impl CollectionKind {
    /// The command that makes one.
    #[must_use]
    pub fn made_by(self) -> Command {
        match self {
            CollectionKind::Hash => Command::HSet,
            CollectionKind::Set => Command::SAdd,
            CollectionKind::Zset => Command::ZAdd,
            CollectionKind::List => Command::RPush,
            CollectionKind::Stream => Command::XAdd,
        }
    }
}

/// What the elements of one key are, by their numbers.
pub trait Elements: std::fmt::Debug {
    /// A field of a hash and its value.
    fn pair(&self, number: u64) -> Pair;
    /// A member of a set, a value of a list.
    fn element(&self, number: u64) -> Element;
    /// A member of a sorted set with its score.
    fn member(&self, number: u64) -> Member;
    /// The fields of a stream's entry.
    fn fields(&self, number: u64) -> Vec<Pair>;
    /// Milliseconds between two entries of a stream that was loaded.
    fn id_step_ms(&self) -> u64;
    /// Random bits of the key's own.
    fn phase(&self) -> u32;
    /// The number by which the scenario knows the key.
    fn number_of_key(&self) -> u64;
}

/// Blocks of one key, by size class.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks(Vec<(u64, u64)>);

impl Blocks {
    pub(super) fn change(&mut self, class: u64, count: u64, more: bool) {
        let at = match self.0.iter().position(|&(other, _)| other == class) {
            Some(at) => at,
            None => {
                self.0.push((class, 0));
                self.0.len() - 1
            }
        };
        let held = &mut self.0[at].1;
        *held = if more { *held + count } else { held.saturating_sub(count) };
        if *held == 0 {
            self.0.swap_remove(at);
        }
    }

    /// Class and number of each (B).
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

/// Keeps the blocks of a key and passes on what happens to them.
pub(super) struct Kept<'a, T> {
    pub(super) blocks: &'a mut Blocks,
    pub(super) next: &'a mut T,
}

impl<T: Tally> Tally for Kept<'_, T> {
    fn allocated(&mut self, class: u64, count: u64) {
        self.blocks.change(class, count, true);
        self.next.allocated(class, count);
    }

    fn freed(&mut self, class: u64, count: u64) {
        self.blocks.change(class, count, false);
        self.next.freed(class, count);
    }
}

#[derive(Debug)]
pub(super) enum Value {
    Hash(Hash),
    Set(Set),
    Zset(Zset),
    List(List),
    Stream(Box<StreamState>),
}

/// When fields of a hash expire, and what the server's index of such hashes knows of it.
#[derive(Debug, Default)]
pub(super) struct HashTimes {
    pub(super) fields: FieldTimes,
    /// By what time the index has the hash (ms).
    pub(super) indexed: Option<u64>,
    /// The key's number in the scenario.
    pub(super) key: u64,
}

/// One collection.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) value: Value,
    pub(super) first: u64,
    pub(super) next: u64,
    /// Where its key stands.
    pub(super) slot: Slot,
    /// When fields of a hash expire, from the first HEXPIRE on.
    pub(super) times: Option<Box<HashTimes>>,
    pub(super) blocks: Blocks,
    /// In-place writes since the fork of this number.
    pub(super) fork: u64,
    pub(super) written: u64,
}

/// What a command did to a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Done {
    /// The command found what it asked for, or changed something.
    pub(super) found: bool,
    /// Something changed.
    pub(super) changed: bool,
    /// Bytes of the reply's content (B).
    pub(super) reply: u64,
    /// An element was written where it is.
    pub(super) in_place: bool,
    /// How often that was in the commands before.
    pub(super) before: u64,
}

impl Done {
    /// Elements written where they are.
    pub(super) fn written(self) -> u64 {
        self.before + u64::from(self.in_place)
    }

    /// This and another.
    fn and(self, other: Done) -> Done {
        Done {
            found: self.found || other.found,
            changed: self.changed || other.changed,
            reply: self.reply + other.reply,
            in_place: other.in_place,
            before: self.written() + other.before,
        }
    }
}

/// Which element a command touches.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// A new element; else one that is there.
    pub new: bool,
    /// Its rank among those that are there, out of …
    pub rank: u64,
    /// … so many ranks.
    pub of: u64,
    /// How many elements at once, for commands that take several.
    pub count: u64,
    /// The group of a stream that XREADGROUP and XACK are for, by number.
    pub group: u8,
    /// To how many elements the collection is trimmed after the command.
    pub trim: Option<u64>,
    /// The server's clock (ms).
    pub now_ms: u64,
    /// HEXPIRE's time (ms).
    pub field_ttl_ms: Option<u64>,
}

impl Touch {
    /// The element among `all`, by its place.
    pub(super) fn place(&self, all: u64) -> u64 {
        (u128::from(self.rank) * u128::from(all) / u128::from(self.of.max(1))) as u64
    }
}

impl Collection {
    /// An empty collection of this kind, for a command that brings its first element.
    pub(super) fn new<T: Tally>(
        kind: CollectionKind,
        brings: u64,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) -> Collection {
        let mut blocks = Blocks::default();
        let tally = &mut Kept { blocks: &mut blocks, next };
        let value = match kind {
            CollectionKind::Hash => Value::Hash(Hash::new(elements.phase(), rules, tally)),
            CollectionKind::Set => {
                Value::Set(Set::new(elements.element(MIDDLE), brings, elements.phase(), rules, tally))
            }
            CollectionKind::Zset => {
                let length = elements.member(MIDDLE).member.length();
                Value::Zset(Zset::new(length, brings, elements.phase(), rules, tally))
            }
            CollectionKind::List => Value::List(List::new(rules, tally)),
            CollectionKind::Stream => Value::Stream(Box::new(StreamState::new(rules, tally))),
        };
        Collection { value, first: MIDDLE, next: MIDDLE, slot: NIL, times: None, blocks, fork: 0, written: 0 }
    }

    /// What it holds beside its object (B).
    pub(super) fn bytes(&self) -> u64 {
        match &self.value {
            Value::Hash(hash) => hash.bytes(),
            Value::Set(set) => set.bytes(),
            Value::Zset(zset) => zset.bytes(),
            Value::List(list) => list.bytes(),
            Value::Stream(state) => state.bytes(),
        }
    }

    /// How it is encoded.
    pub(super) fn encoding(&self, rules: &Rules<'_>) -> Encoding {
        match &self.value {
            Value::Hash(hash) => hash.encoding(rules),
            Value::Set(set) => set.encoding(),
            Value::Zset(zset) => zset.encoding(rules),
            Value::List(list) => list.encoding(rules),
            Value::Stream(_) => Encoding::Stream,
        }
    }

    /// What `MEMORY USAGE` counts beside the object (B).
    pub(super) fn memory_usage(&self, rules: &Rules<'_>) -> u64 {
        match &self.value {
            Value::Hash(hash) => hash.memory_usage(rules),
            Value::Set(set) => set.memory_usage(rules),
            Value::Zset(zset) => zset.memory_usage(rules),
            Value::List(list) => list.memory_usage(rules),
            Value::Stream(state) => state.memory_usage(rules),
        }
    }

    /// Its elements.
    pub(super) fn len(&self) -> u64 {
        self.next - self.first
    }

    /// Whether the server deletes the key now: a stream stays.
    pub(super) fn is_gone(&self) -> bool {
        self.len() == 0 && !matches!(self.value, Value::Stream(_))
    }

    /// Loads `count` elements, so many by each command.
    pub(super) fn load<T: Tally>(
        &mut self,
        count: u64,
        batch: u64,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        tally: &mut T,
    ) {
        for done in 0..count {
            if done.is_multiple_of(batch) {
                self.hint(batch.min(count - done), elements, rules, tally);
            }
            self.add(true, LOADED_ID_MS + done * elements.id_step_ms(), elements, rules, tally);
        }
    }

    fn hint<T: Tally>(&mut self, count: u64, elements: &dyn Elements, rules: &Rules<'_>, next: &mut T) {
        let (first, upto) = (self.first, self.next);
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        match &mut self.value {
            Value::Hash(hash) => {
                hash.size_hint(count, (first..upto).map(|n| elements.pair(n)), rules, tally);
            }
            Value::Set(set) => {
                set.size_hint(count, (first..upto).map(|n| elements.element(n)), rules, tally);
            }
            Value::Zset(zset) => {
                zset.size_hint(count, (first..upto).map(|n| elements.member(n)), rules, tally);
            }
            Value::List(list) => {
                let total = (upto..upto + count).map(|n| elements.element(n).length()).sum();
                list.size_hint(count, total, rules, tally);
            }
            Value::Stream(_) => {}
        }
    }

    /// Adds an element at the back, or at the front of a list.
    pub(super) fn add<T: Tally>(
        &mut self,
        back: bool,
        id_ms: u64,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) {
        let (first, number) = (self.first, if back { self.next } else { self.first - 1 });
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        match &mut self.value {
            Value::Hash(hash) => {
                hash.insert(elements.pair(number), (first..number).map(|n| elements.pair(n)), rules, tally);
            }
            Value::Set(set) => {
                set.insert(elements.element(number), (first..number).map(|n| elements.element(n)), rules, tally);
            }
            Value::Zset(zset) => {
                zset.insert(elements.member(number), (first..number).map(|n| elements.member(n)), rules, tally);
            }
            Value::List(list) => {
                let element = elements.element(number);
                list.size_hint(1, element.length(), rules, tally);
                list.push(if back { End::Back } else { End::Front }, element, rules, tally);
            }
            Value::Stream(state) => state.append(id_ms, &elements.fields(number), rules, tally),
        }
        if back {
            self.next += 1;
        } else {
            self.first -= 1;
        }
    }

    /// Takes an element out, at the back or at the front.
    pub(super) fn take<T: Tally>(&mut self, back: bool, elements: &dyn Elements, rules: &Rules<'_>, next: &mut T) {
        let number = if back { self.next - 1 } else { self.first };
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        match &mut self.value {
            Value::Hash(hash) => {
                hash.remove(elements.pair(number), rules, tally);
            }
            Value::Set(set) => {
                set.remove(elements.element(number), rules, tally);
            }
            Value::Zset(zset) => {
                zset.remove(elements.member(number), rules, tally);
            }
            Value::List(list) => {
                list.pop(if back { End::Back } else { End::Front }, elements.element(number), rules, tally);
            }
            Value::Stream(state) => state.delete_oldest(rules, tally),
        }
        if back && !matches!(self.value, Value::Stream(_)) {
            self.next -= 1;
        } else {
            self.first += 1;
        }
    }

    /// Trims to at most `most` elements, from the back or from the front.
    fn trim<T: Tally>(&mut self, most: u64, back: bool, elements: &dyn Elements, rules: &Rules<'_>, next: &mut T) {
        if let Value::Stream(state) = &mut self.value {
            let tally = &mut Kept { blocks: &mut self.blocks, next };
            self.first += state.trim(most, rules, tally);
            return;
        }
        while self.len() > most {
            self.take(back, elements, rules, next);
        }
    }

    /// A command of the collection's own type; it has an element at least, or the command adds one.
    pub(super) fn run<T: Tally>(
        &mut self,
        command: Command,
        touch: Touch,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> Done {
        let new = touch.new || self.len() == 0;
        let several = if command.takes_several() { touch.count.max(1) } else { 1 };
        if new && several > 1 && command.spec().creates {
            self.hint(several, elements, rules, tally);
        }
        let mut done = self.run_untrimmed(command, Touch { new, ..touch }, elements, rules, tally);
        for _ in 1..several {
            done = done.and(self.run_untrimmed(command, Touch { new, ..touch }, elements, rules, tally));
        }
        if let Some(most) = touch.trim {
            // What is pushed at one end is trimmed at the other; of a sorted set the lowest ranks go.
            let back = matches!(command, Command::LPush | Command::LTrim);
            self.trim(most, back, elements, rules, tally);
        }
        done
    }

    fn run_untrimmed<T: Tally>(
        &mut self,
        command: Command,
        touch: Touch,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> Done {
        if (self.times.is_some() || command == Command::HExpire)
            && let Some(done) = self.run_on_timed(command, touch, elements, rules, tally)
        {
            return done;
        }
        let changed = Done { found: true, changed: true, ..Done::default() };
        match command {
            Command::LPush => {
                self.add(false, CLOCK_ID_MS + touch.now_ms, elements, rules, tally);
                changed
            }
            Command::RPush | Command::XAdd => {
                self.add(true, CLOCK_ID_MS + touch.now_ms, elements, rules, tally);
                changed
            }
            Command::HSet | Command::HIncrBy | Command::SAdd | Command::ZAdd | Command::ZIncrBy => {
                if touch.new {
                    self.add(true, CLOCK_ID_MS + touch.now_ms, elements, rules, tally);
                    changed
                } else {
                    self.overwrite(command, touch, elements, rules, tally)
                }
            }
            _ if self.len() == 0 && !matches!(command, Command::XAck) => Done::default(),
            Command::HDel | Command::SRem | Command::ZRem | Command::RPop => {
                self.take(true, elements, rules, tally);
                changed
            }
            Command::LPop | Command::XDel => {
                self.take(false, elements, rules, tally);
                changed
            }
            Command::LTrim => changed,
            // No field that it meets has a TTL.
            Command::HPersist => Done::default(),
            Command::XReadGroup | Command::XAck => self.of_group(command, touch.group, rules, tally),
            _ => self.read(command, touch, elements, rules, tally),
        }
    }

    /// An element that is there is written again.
    fn overwrite<T: Tally>(
        &mut self,
        command: Command,
        touch: Touch,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) -> Done {
        let number = self.first + touch.place(self.len());
        let (first, upto) = (self.first, self.next);
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        match &mut self.value {
            Value::Hash(hash) => {
                let pair = elements.pair(number);
                let roomy = number - first < hash.with_room();
                hash.replace(pair, pair, roomy, (first..upto).map(|n| elements.pair(n)), rules, tally);
            }
            Value::Zset(zset) => {
                let member = elements.member(number);
                zset.overwrite(member, member.score, rules, tally);
            }
            Value::Set(set) => set.lookup(rules, tally),
            Value::List(_) | Value::Stream(_) => {}
        }
        let writes = command != Command::SAdd;
        Done { found: true, changed: writes, in_place: writes, ..Done::default() }
    }

    fn read<T: Tally>(
        &mut self,
        command: Command,
        touch: Touch,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) -> Done {
        let number = self.first + touch.place(self.len());
        let all = self.len();
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        // A reply of several elements has this one's length each.
        let (one, many) = match &mut self.value {
            Value::Hash(hash) => {
                hash.lookup(rules, tally);
                let pair = elements.pair(number);
                (pair.value.length(), pair.field.length() + pair.value.length())
            }
            Value::Set(set) => {
                set.lookup(rules, tally);
                (1, elements.element(number).length())
            }
            Value::Zset(zset) => {
                zset.lookup(rules, tally);
                (1, elements.member(number).member.length())
            }
            Value::List(_) => {
                let length = elements.element(number).length();
                (length, length)
            }
            Value::Stream(_) => (0, 0),
        };
        let whole = matches!(command, Command::HGetAll | Command::LRange | Command::ZRange);
        Done { found: true, reply: if whole { many * all } else { one }, ..Done::default() }
    }

    /// XREADGROUP or XACK of one entry, by the group's one consumer.
    fn of_group<T: Tally>(&mut self, command: Command, group: u8, rules: &Rules<'_>, next: &mut T) -> Done {
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        let Value::Stream(state) = &mut self.value else { return Done::default() };
        let changed = match command {
            Command::XReadGroup => state.read_group(group, rules, tally),
            _ => state.acknowledge(group, rules, tally),
        };
        Done { found: changed, changed, ..Done::default() }
    }
}
