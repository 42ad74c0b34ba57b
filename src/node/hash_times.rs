//! Commands on a hash some of whose fields have a TTL.
//!
//! Fields with a TTL are the first ones by number.  Which of the times is that of the field at hand is drawn from the
//! command's own rank and instant.  HSET takes the TTL of the field it writes away, HINCRBY leaves it.
//! Source: redis 7.4 `src/t_hash.c` (`hashTypeSet`, `hashTypeGetValue`, `hexpireGenericCommand`).

use super::collection::{Collection, Done, Elements, HashTimes, Kept, Touch, Value};
use crate::command::Command;
use crate::layout::{Rules, Tally};
use crate::profile::FieldTtl;
use crate::rng::mix;

impl Collection {
    /// A command that touches one field; `None` where TTLs make no difference to it.
    pub(super) fn run_on_timed<T: Tally>(
        &mut self,
        command: Command,
        touch: Touch,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) -> Option<Done> {
        let touches =
            matches!(command, Command::HSet | Command::HIncrBy | Command::HDel | Command::HPersist | Command::HGet);
        let adds = touch.new && matches!(command, Command::HSet | Command::HIncrBy);
        if command == Command::HExpire {
            return Some(self.expire_field(touch, elements, rules, next));
        }
        let at = if touches && !adds { self.time_of_field(touch) } else { None }?;
        if at <= touch.now_ms {
            return self.run_on_expired(command, at, touch, elements, rules, next);
        }
        match command {
            Command::HDel => {
                self.remove_timed(at, elements, rules, next);
                Some(Done { found: true, changed: true, ..Done::default() })
            }
            Command::HSet | Command::HPersist => {
                let (number, roomy) = self.persist_field(at, elements, rules, next)?;
                if command == Command::HSet {
                    let tally = &mut Kept { blocks: &mut self.blocks, next };
                    let Value::Hash(hash) = &mut self.value else { return None };
                    let pair = elements.pair(number);
                    hash.replace(pair, pair, roomy, (self.first..self.next).map(|n| elements.pair(n)), rules, tally);
                }
                Some(Done { found: true, changed: true, in_place: true, ..Done::default() })
            }
            _ => None,
        }
    }

    /// The last field with a TTL loses one that is at `at`; its number, and whether it keeps room for a TTL.
    fn persist_field<T: Tally>(
        &mut self,
        at: u64,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) -> Option<(u64, bool)> {
        let times = self.times.as_mut()?;
        times.fields.remove(at);
        let (span, number) = (times.fields.span(), self.first + times.fields.len());
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        let Value::Hash(hash) = &mut self.value else { return None };
        hash.persist(elements.pair(number), span, rules, tally);
        Some((number, number - self.first < hash.with_room()))
    }

    /// A command meets a field whose time has passed: a release with ebuckets deletes it there and then.
    fn run_on_expired<T: Tally>(
        &mut self,
        command: Command,
        at: u64,
        touch: Touch,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) -> Option<Done> {
        let writes = matches!(command, Command::HSet | Command::HIncrBy);
        if writes || matches!(rules.collections.field_ttl, FieldTtl::Ebuckets { .. }) {
            self.remove_timed(at, elements, rules, next);
        }
        if writes {
            self.add(true, touch.now_ms, elements, rules, next);
        }
        Some(Done { found: writes, changed: writes, ..Done::default() })
    }

    /// When the field that a command touches expires, if it does (ms).
    fn time_of_field(&self, touch: Touch) -> Option<u64> {
        let fields = &self.times.as_ref()?.fields;
        if touch.place(self.len()) >= fields.len() {
            return None;
        }
        fields.at(mix(touch.rank ^ mix(touch.now_ms)) % fields.len())
    }

    fn expire_field<T: Tally>(
        &mut self,
        touch: Touch,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        next: &mut T,
    ) -> Done {
        let Some(ttl) = touch.field_ttl_ms.filter(|_| self.len() > 0) else { return Done::default() };
        let all = self.len();
        let timed = self.times.as_ref().map_or(0, |times| times.fields.len());
        let other = if touch.new && timed < all { None } else { self.time_of_field(touch) };
        if let Some(at) = other
            && at <= touch.now_ms
        {
            return self.run_on_expired(Command::HExpire, at, touch, elements, rules, next).unwrap_or_default();
        }
        let times = self
            .times
            .get_or_insert_with(|| Box::new(HashTimes { key: elements.number_of_key(), ..HashTimes::default() }));
        if let Some(at) = other {
            times.fields.remove(at);
        }
        let last = times.fields.add(touch.now_ms + ttl, touch.now_ms);
        if other.is_none() {
            let order = (last, times.fields.span());
            let tally = &mut Kept { blocks: &mut self.blocks, next };
            let Value::Hash(hash) = &mut self.value else { return Done::default() };
            let existing = (self.first..self.next).map(|n| elements.pair(n));
            hash.expire(elements.pair(self.first + timed), order, existing, rules, tally);
        }
        Done { found: true, changed: true, in_place: true, ..Done::default() }
    }

    /// A field with a TTL goes.
    fn remove_timed<T: Tally>(&mut self, at: u64, elements: &dyn Elements, rules: &Rules<'_>, next: &mut T) {
        let (Some(times), Value::Hash(hash)) = (&mut self.times, &mut self.value) else { return };
        times.fields.remove(at);
        let tally = &mut Kept { blocks: &mut self.blocks, next };
        hash.remove_first(elements.pair(self.first), times.fields.span(), rules, tally);
        self.first += 1;
    }

    /// Deletes fields whose time has passed, `most` of them at most; the result is how many.
    pub(super) fn expire_due<T: Tally>(
        &mut self,
        now_ms: u64,
        most: u64,
        elements: &dyn Elements,
        rules: &Rules<'_>,
        tally: &mut T,
    ) -> u64 {
        let mut deleted = 0;
        while deleted < most
            && let Some(at) = self.times.as_ref().and_then(|times| times.fields.first())
            && at <= now_ms
        {
            self.remove_timed(at, elements, rules, tally);
            deleted += 1;
        }
        deleted
    }
}
