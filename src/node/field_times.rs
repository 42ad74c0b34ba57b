//! When the fields of one hash expire: times, and how many fields each has.
//!
//! Which field has which time is not kept: fields with a TTL are alike as far as the scenario knows.  Times are exact up to
//! [`EXACT`] different ones; a further time is rounded up by a 64th of what is left until then, so that a hash of any
//! number of fields needs a few thousand entries at most.

use crate::layout::field_index::Span;
use std::collections::BTreeMap;

/// Different times that are kept exactly.
const EXACT: usize = 1024;
/// Parts of the time left to which further ones are rounded.
const PARTS: u64 = 64;

/// Times of expiry with their numbers of fields.
#[derive(Debug, Clone, Default)]
pub(super) struct FieldTimes {
    counts: BTreeMap<u64, u64>,
    fields: u64,
}

impl FieldTimes {
    /// Fields with a TTL.
    pub(super) fn len(&self) -> u64 {
        self.fields
    }

    /// The first time (ms).
    pub(super) fn first(&self) -> Option<u64> {
        self.counts.first_key_value().map(|(&at, _)| at)
    }

    /// From the first to the last (ms).
    pub(super) fn span(&self) -> Span {
        let last = self.counts.last_key_value().map_or(0, |(&at, _)| at);
        Span { first: self.first().unwrap_or(0), last }
    }

    /// A field expires at `at` (ms); whether it is the last to do so.
    pub(super) fn add(&mut self, at: u64, now_ms: u64) -> bool {
        let at = if self.counts.len() < EXACT || self.counts.contains_key(&at) {
            at
        } else {
            let part = (at.saturating_sub(now_ms) / PARTS).max(1);
            at.next_multiple_of(1 << part.ilog2())
        };
        let last = self.counts.last_key_value().is_none_or(|(&latest, _)| at >= latest);
        *self.counts.entry(at).or_insert(0) += 1;
        self.fields += 1;
        last
    }

    /// The time of the field at `place` in the order of times (ms).
    pub(super) fn at(&self, place: u64) -> Option<u64> {
        let mut before = 0;
        self.counts.iter().find_map(|(&at, count)| {
            before += count;
            (place < before).then_some(at)
        })
    }

    /// A field no longer expires at `at` (ms).
    pub(super) fn remove(&mut self, at: u64) {
        let Some(count) = self.counts.get_mut(&at) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&at);
        }
        self.fields -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_fields_need_few_entries_and_expire_a_64th_late_at_most() {
        let (mut times, now) = (FieldTimes::default(), 1_700_000_000_000);
        let mut late: f64 = 0.0;
        for field in 0..1_000_000_u64 {
            let left = 1000 + field * 2_654_435_761 % 1_000_000_000;
            if field % 10_007 == 0 {
                let known = times.counts.clone();
                times.add(now + left, now);
                let got = times.counts.iter().find(|(at, count)| known.get(at) != Some(count)).expect("added").0;
                late = late.max((got - now - left) as f64 / left as f64);
                assert!(*got >= now + left);
            } else {
                times.add(now + left, now);
            }
        }
        assert_eq!(times.len(), 1_000_000);
        assert!(times.counts.len() < 4000, "{}", times.counts.len());
        assert!(late <= 1.0 / 64.0, "{late}");
        let first = times.first().expect("a time");
        assert_eq!(times.at(0), Some(first));
        while times.len() > 0 {
            times.remove(times.at(times.len() / 2).expect("a time"));
        }
        assert!(times.counts.is_empty());
    }
}
