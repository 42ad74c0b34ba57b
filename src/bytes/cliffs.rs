//! The next cliffs of a key: where its encoding changes, or the buckets of its table, and what crossing costs.

use super::{Cliff, Question, TimedFields, Value, priced};
use crate::layout::{Rules, hyperloglog, key, sds, total};
use crate::profile::FieldTtl;

/// Cliffs are looked for up to so many elements, and lengths up to so many bytes.
const SEARCH_LIMIT: u64 = 1 << 20;

/// A value with another count of elements; `None` where it has none.
fn with_count(value: Value, count: u64) -> Option<Value> {
    Some(match value {
        Value::Hash { field, value, timed, .. } => Value::Hash { count, field, value, timed },
        Value::Set { member, .. } => Value::Set { count, member },
        Value::Intset { largest, .. } => Value::Intset { count, largest },
        Value::Zset { member, score, .. } => Value::Zset { count, member, score },
        Value::List { element, .. } => Value::List { count, element },
        Value::HyperLogLog { .. } => Value::HyperLogLog { distinct: count },
        Value::String { .. }
        | Value::Appended { .. }
        | Value::Int { .. }
        | Value::Bitmap { .. }
        | Value::Stream { .. } => return None,
    })
}

/// A value whose longest elements have another length; `None` where it has none.
fn with_length(given: Value, length: u64) -> Option<Value> {
    Some(match given {
        Value::String { .. } => Value::String { length },
        Value::Hash { count, field, timed, .. } => Value::Hash { count, field, value: length, timed },
        Value::Set { count, .. } => Value::Set { count, member: length },
        Value::Zset { count, score, .. } => Value::Zset { count, member: length, score },
        _ => return None,
    })
}

/// A number that a value grows in, with the word for it.
type Dimension = Option<(u64, &'static str)>;

/// The count and the length of a value.
fn dimensions(value: Value) -> (Dimension, Dimension) {
    match value {
        Value::String { length } => (None, Some((length, "a value"))),
        Value::Hash { count, value, .. } => (Some((count, "fields")), Some((value, "a value"))),
        Value::Set { count, member } | Value::Zset { count, member, .. } => {
            (Some((count, "members")), Some((member, "a member")))
        }
        Value::Intset { count, .. } => (Some((count, "members")), None),
        Value::List { count, .. } => (Some((count, "elements")), None),
        Value::HyperLogLog { distinct } => (Some((distinct, "distinct elements")), None),
        Value::Appended { .. } | Value::Int { .. } | Value::Bitmap { .. } | Value::Stream { .. } => (None, None),
    }
}

/// What changes a key's structure, and tells where: its encoding, and the buckets of a table.
fn structure(question: &Question, value: Value, rules: &Rules<'_>) -> String {
    // How many fields have a TTL does not matter to it, only that there are any.
    let value = match value {
        Value::Hash { count, field, value, timed } if timed.of(count) > 1 => {
            Value::Hash { count, field, value, timed: TimedFields::Some(1) }
        }
        other => other,
    };
    let priced = priced(question, value, rules);
    let buckets = priced.allocations.iter().find(|block| block.reason.contains(" buckets ("));
    match (buckets, value) {
        (Some(block), _) => format!("{}, {}", priced.encoding, block.reason),
        (None, Value::HyperLogLog { distinct }) if hyperloglog::is_dense(distinct, rules.limits.hll_sparse) => {
            "dense".to_owned()
        }
        (None, Value::HyperLogLog { .. }) => "sparse".to_owned(),
        (None, _) => priced.encoding.to_owned(),
    }
}

/// The nearest larger number at which the structure is another, when there is one within the search.
fn next_change(from: u64, structure: impl Fn(u64) -> String) -> Option<u64> {
    let now = structure(from);
    let (mut low, mut step) = (from, 1);
    let mut high = loop {
        let high = from + step;
        if step > SEARCH_LIMIT.max(from + 1) {
            return None;
        }
        if structure(high) != now {
            break high;
        }
        (low, step) = (high, step * 2);
    };
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if structure(middle) == now { low = middle } else { high = middle }
    }
    Some(high)
}

/// The next steps: in elements, in length, and what the next command of another kind does.
pub(super) fn cliffs(question: &Question, rules: &Rules<'_>) -> Vec<Cliff> {
    let cost = |value: Value| {
        let priced = priced(question, value, rules);
        let key = key::blocks(question.key, priced.stored, question.ttl, rules);
        key.bytes(rules) as f64 + total(&priced.allocations)
    };
    let cliff = |from: u64, make: &dyn Fn(u64) -> Option<Value>, name: &dyn Fn(u64) -> String| {
        let of = |n: u64| make(n).map_or(String::new(), |value| structure(question, value, rules));
        let at = next_change(from, of)?;
        let (before, after) = (make(at - 1)?, make(at)?);
        let (from, to) = (of(at - 1), of(at));
        Some(Cliff { at: name(at), from, to, before: cost(before), after: cost(after) })
    };
    let (count, length) = dimensions(question.value);
    let by_count =
        count.and_then(|(count, what)| cliff(count, &|n| with_count(question.value, n), &|n| format!("{n} {what}")));
    let by_length = length
        .and_then(|(length, what)| cliff(length, &|n| with_length(question.value, n), &|n| format!("{what} of {n} B")));
    let by_ttl = first_ttl(question.value, rules).and_then(|timed| {
        let (from, to) = (structure(question, question.value, rules), structure(question, timed, rules));
        let (before, after) = (cost(question.value), cost(timed));
        (from != to).then(|| Cliff { at: "TTL of a field".to_owned(), from, to, before, after })
    });
    by_count.into_iter().chain(by_length).chain(by_ttl).chain(next_growth(question, rules)).collect()
}

/// A hash whose first field gets a TTL.
fn first_ttl(value: Value, rules: &Rules<'_>) -> Option<Value> {
    match value {
        Value::Hash { count, field, value, timed }
            if timed.of(count) == 0 && rules.collections.field_ttl != FieldTtl::None =>
        {
            Some(Value::Hash { count, field, value, timed: TimedFields::Some(1) })
        }
        _ => None,
    }
}

/// When a string that has grown is reallocated by an APPEND that goes on.
fn next_growth(question: &Question, rules: &Rules<'_>) -> Option<Cliff> {
    let Value::Appended { .. } = question.value else { return None };
    let priced = priced(question, question.value, rules);
    let class = total(&priced.allocations) as u64;
    let at = sds::grown_capacity(class) + 1;
    let own = key::blocks(question.key, priced.stored, question.ttl, rules).bytes(rules);
    let grown = sds::grow(at, rules.classes);
    let room = |class: u64| format!("{class} B allocated");
    let (from, to) = (room(class), room(grown));
    let (before, after) = ((own + class) as f64, (own + grown) as f64);
    Some(Cliff { at: format!("a value of {at} B"), from, to, before, after })
}
