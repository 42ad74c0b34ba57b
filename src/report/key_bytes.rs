//! What a key costs, as text, JSON and Markdown.

use super::format::count;
use crate::bytes::{Answer, Cliff};
use crate::layout::Allocation;
use serde_json::{Value, json};
use std::fmt::Write;

/// Keys that a sum is given for.
const MILLION: f64 = 1e6;

/// A number that may have a fraction: whole where it is whole.
fn number(value: f64) -> String {
    let tenths = (value * 10.0).round() as u64;
    if tenths.is_multiple_of(10) { count(tenths / 10) } else { format!("{}.{}", count(tenths / 10), tenths % 10) }
}

/// A count of blocks: small expectations need more digits.
fn blocks(value: f64) -> String {
    if value > 0.0 && value < 10.0 && value.fract() != 0.0 { format!("{value:.3}") } else { number(value) }
}

fn rows(allocations: &[Allocation]) -> Vec<[String; 5]> {
    let row = |block: &Allocation| {
        let (request, class) = (count(block.request), count(block.class));
        [block.reason.clone(), request, class, blocks(block.count), number(block.bytes())]
    };
    allocations.iter().map(row).collect()
}

const HEAD: [&str; 5] = ["allocation", "request", "class", "count", "bytes"];

/// The first column to the left, the others to the right.
fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::from(" ");
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let _ = if column == 0 { write!(line, " {cell}{pad}") } else { write!(line, "  {pad}{cell}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn cliff_line(cliff: &Cliff) -> String {
    let change = (cliff.after / cliff.before - 1.0) * 100.0;
    let (at, from, to) = (&cliff.at, &cliff.from, &cliff.to);
    let (before, after) = (number(cliff.before), number(cliff.after));
    format!("{at}: {from} → {to}, {before} → {after} B ({change:+.1} %)")
}

/// Bytes of a million keys, as people read them.
fn million(answer: &Answer) -> String {
    super::format::size((answer.per_key() * MILLION).round() as u64)
}

/// One answer as text; `what` says what was asked.
#[must_use]
pub fn key_bytes_text(what: &str, answer: &Answer) -> String {
    let mut text = String::new();
    let (profile, allocator) = (answer.profile, answer.allocator.name());
    let _ = writeln!(text, "{what}\n{profile}, {allocator} allocator, encoding {}\n", answer.encoding);
    let rows: Vec<Vec<String>> = rows(&answer.allocations).into_iter().map(Vec::from).collect();
    text += &columns(&HEAD, &rows);
    if !answer.measured {
        let _ = writeln!(text, "\n  no measurement of a {profile} server confirms these figures");
    }
    let keys = count(answer.keys);
    let _ = writeln!(text, "\n  one key              {} B", number(answer.own_bytes()));
    for block in &answer.tables {
        let share = block.bytes() / answer.keys as f64;
        let _ = writeln!(text, "  + share in the table {} B   {}, {keys} keys", number(share), block.reason);
    }
    let _ = writeln!(text, "  together             {} B", number(answer.per_key()));
    let _ = writeln!(text, "  a million keys       {}", million(answer));
    let _ = writeln!(text, "  MEMORY USAGE says    {} B", count(answer.memory_usage));
    for cliff in &answer.cliffs {
        let _ = writeln!(text, "  next cliff           {}", cliff_line(cliff));
    }
    text
}

const TABLE_HEAD: [&str; 8] =
    ["profile", "allocator", "encoding", "one key", "table share", "together", "a million keys", "MEMORY USAGE"];

fn table_rows(answers: &[Answer]) -> Vec<Vec<String>> {
    let row = |answer: &Answer| {
        vec![
            if answer.measured { answer.profile.to_owned() } else { format!("{}, not measured", answer.profile) },
            answer.allocator.name().to_owned(),
            answer.encoding.to_owned(),
            number(answer.own_bytes()),
            number(answer.table_share()),
            number(answer.per_key()),
            million(answer),
            count(answer.memory_usage),
        ]
    };
    answers.iter().map(row).collect()
}

/// Several answers as a table of text.
#[must_use]
pub fn key_bytes_table(what: &str, answers: &[Answer]) -> String {
    format!("{what}\n\n{}", columns(&TABLE_HEAD, &table_rows(answers)))
}

fn markdown_table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// Answers as Markdown: one in full, several as a table.
#[must_use]
pub fn key_bytes_markdown(what: &str, answers: &[Answer]) -> String {
    let [answer] = answers else { return format!("{what}\n\n{}", markdown_table(&TABLE_HEAD, &table_rows(answers))) };
    let mut all: Vec<Vec<String>> = rows(&answer.allocations).into_iter().map(Vec::from).collect();
    let share = number(answer.table_share());
    let mut sum = |what: &str, bytes: String| {
        all.push(vec![what.to_owned(), String::new(), String::new(), String::new(), bytes]);
    };
    sum("one key", number(answer.own_bytes()));
    sum(&format!("share in the tables of {} keys", count(answer.keys)), share);
    sum("together", number(answer.per_key()));
    let (profile, allocator, encoding) = (answer.profile, answer.allocator.name(), answer.encoding);
    let mut text = format!("{what}: {profile}, {allocator} allocator, encoding {encoding}\n\n");
    text += &markdown_table(&HEAD, &all);
    if !answer.measured {
        let _ = writeln!(text, "\nNo measurement of a {profile} server confirms these figures.");
    }
    let usage = count(answer.memory_usage);
    let _ = writeln!(text, "\nA million keys: {}. `MEMORY USAGE` says {usage} B.", million(answer));
    for cliff in &answer.cliffs {
        let _ = writeln!(text, "\nNext cliff: {}", cliff_line(cliff));
    }
    text
}

fn allocation_json(block: &Allocation) -> Value {
    json!({
        "reason": block.reason,
        "request": block.request,
        "class": block.class,
        "count": block.count,
        "bytes": block.bytes(),
    })
}

/// Answers as JSON, schema 1: bytes, never rounded for people.
#[must_use]
pub fn key_bytes_json(what: &str, answers: &[Answer]) -> String {
    let one = |answer: &Answer| {
        let cliff = |cliff: &Cliff| json!({"at": cliff.at, "from": cliff.from, "to": cliff.to, "before": cliff.before, "after": cliff.after});
        json!({
            "profile": answer.profile,
            "allocator": answer.allocator.name(),
            "measured": answer.measured,
            "encoding": answer.encoding,
            "allocations": answer.allocations.iter().map(allocation_json).collect::<Vec<_>>(),
            "bytes_key": answer.own_bytes(),
            "keys": answer.keys,
            "tables": answer.tables.iter().map(allocation_json).collect::<Vec<_>>(),
            "bytes_table_share": answer.table_share(),
            "bytes_total": answer.per_key(),
            "bytes_million_keys": (answer.per_key() * MILLION).round() as u64,
            "memory_usage": answer.memory_usage,
            "cliffs": answer.cliffs.iter().map(cliff).collect::<Vec<_>>(),
        })
    };
    let all = json!({"schema": 1, "key": what, "answers": answers.iter().map(one).collect::<Vec<_>>()});
    format!("{all:#}\n")
}
