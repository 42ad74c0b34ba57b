//! PFADD: HyperLogLogs, strings that grow by what an element changes in their registers.
//!
//! A key's state is the length of its string.  The hash of an element is not followed: an element never seen makes the
//! string longer by what is expected at its length, rounded by a draw that key and command decide.
//! Source: redis 7.0.15 `src/hyperloglog.c`.

use super::commands::{KeyRef, Payload, Reply, Write};
use super::{Node, StringValue, string};
use crate::layout::{hyperloglog, sds};
use crate::rng::mix;

impl Node {
    /// Length of the string after so many distinct elements (B).
    pub(super) fn hyperloglog_length(&self, distinct: u64) -> u64 {
        if hyperloglog::is_dense(distinct, self.config.limits.hll_sparse) {
            hyperloglog::DENSE
        } else {
            hyperloglog::sparse_length(distinct)
        }
    }

    /// A new one, to which so many elements were added one by one.
    pub(super) fn new_hyperloglog(&self, distinct: u64) -> (u64, StringValue) {
        let growth = self.profile.collections.hll_growth;
        let class = hyperloglog::class(distinct, self.config.limits.hll_sparse, growth, self.classes);
        (self.hyperloglog_length(distinct), string::raw(class, self.profile, self.classes))
    }

    /// PFADD of one element: never seen when the payload is of one.
    pub(super) fn pf_add(&mut self, key: KeyRef, write: &Write) -> Reply {
        let Some(slot) = self.lookup(key, true) else {
            self.create(key, write.key_length, write.payload);
            return Reply::Done;
        };
        if write.payload == Payload::Distinct(0) {
            return Reply::Nothing;
        }
        let sizes = self.keys.entries[slot as usize].sizes;
        let (length, before) = (sizes.payload, self.regions.value(sizes));
        let draw = mix(u64::from(key.hash) ^ mix(self.counters.total_commands_processed));
        let limit = self.config.limits.hll_sparse;
        let after = hyperloglog::length_after(length, limit, draw);
        // A string that a snapshot brought is no longer than what it holds.
        let fresh = (self.classes.class(sds::request(length)), length);
        let held = match before.encoding {
            string::Encoding::Raw => (before.bytes_class, sds::grown_capacity(before.bytes_class)),
            _ => fresh,
        };
        let growth = self.profile.collections.hll_growth;
        let class = hyperloglog::grown_class(after, held, limit, growth, self.classes);
        if class == before.bytes_class {
            self.replace_value(slot, after, before, true);
            return Reply::Done;
        }
        let value = string::raw(class, self.profile, self.classes);
        let value = match before.encoding.is_raw() {
            // The object stays where it is.
            true => StringValue {
                total: before.total - before.bytes_class + class,
                expire_room: before.expire_room,
                ..value
            },
            false => self.regions.replacing(sizes, value, after, self.keys.entries[slot as usize].has_ttl()),
        };
        self.replace_value(slot, after, value, true);
        Reply::Done
    }
}
