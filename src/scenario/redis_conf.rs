//! redis.conf files: one directive a line, comments, quotes, nested `include`.
//!
//! Source of the quoting rules: redis `src/sds.c`, `sdssplitargs`.

use super::directive::{self, Directives};
use super::document::{Includes, TEXT_LIMIT};
use super::error::{Check, Place, quoted};
use super::reader::Item;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Files inside each other at most: a file that includes itself is found out by it at the latest.
const DEPTH_LIMIT: usize = 16;
/// Files that a scenario includes at most, nested ones counted each time.
const FILES_LIMIT: usize = 100;

/// Reads an included file and puts its directives in force.
pub(super) fn include(item: &Item<'_>, includes: &Includes<'_>, directives: &mut Directives, hash: &mut Sha256) {
    let Some(name) = item.text() else { return };
    let path = includes.base.join(name);
    if !one_more(includes) {
        item.refuse(format!("is one file too many; expected at most {FILES_LIMIT} files"));
        return;
    }
    match (includes.read)(&path) {
        Ok(text) => {
            let mut reading = Reading { check: item.check, includes, directives, hash, open: vec![path.clone()] };
            reading.file(&path, &text);
        }
        Err(error) => item.refuse(format!("cannot be read: {error}; expected a redis.conf file")),
    }
}

/// Counts a file; false when there are too many.
fn one_more(includes: &Includes<'_>) -> bool {
    includes.files.set(includes.files.get() + 1);
    includes.files.get() <= FILES_LIMIT
}

struct Reading<'a> {
    check: &'a Check,
    includes: &'a Includes<'a>,
    directives: &'a mut Directives,
    hash: &'a mut Sha256,
    /// The files that are being read, outermost first.
    open: Vec<PathBuf>,
}

impl Reading<'_> {
    fn file(&mut self, path: &Path, text: &str) {
        self.hash.update(text);
        let source = self.check.add_source(&path.display().to_string(), text);
        if text.len() > TEXT_LIMIT {
            let place = Place { source, start: 0, end: 0 };
            self.check.problem(place, "", format!("the file is too large; expected at most {TEXT_LIMIT} bytes"));
            return;
        }
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let trimmed = line.trim();
            let indent = line.len() - line.trim_start().len();
            let place = Place { source, start: start + indent, end: start + indent + trimmed.len() };
            start += line.len();
            if self.check.is_full() {
                return;
            }
            if !trimmed.is_empty() && !trimmed.starts_with('#') {
                self.line(trimmed, place, path);
            }
        }
    }

    fn line(&mut self, line: &str, place: Place, path: &Path) {
        let words = match split_words(line) {
            Ok(words) => words,
            Err(expected) => {
                self.check.problem(place, "", format!("{} has unbalanced quotes; expected {expected}", quoted(line)));
                return;
            }
        };
        let Some((name, values)) = words.split_first() else { return };
        if name.eq_ignore_ascii_case("include") {
            self.include(values, place, path);
            return;
        }
        let Some(directive) = directive::find(name) else {
            let (message, help) = directive::unknown(name);
            self.check.problem_with_help(place, name, message, help);
            return;
        };
        if let Err(expected) = self.directives.give(directive, &[values.to_vec()]) {
            let value = values.join(" ");
            self.check.problem(place, name, format!("{} is not valid; expected {expected}", quoted(&value)));
        }
    }

    fn include(&mut self, values: &[String], place: Place, path: &Path) {
        let [name] = values else {
            self.check.problem(place, "include", "needs one file; expected like include /etc/redis/common.conf");
            return;
        };
        let folder = path.parent().unwrap_or(self.includes.base);
        let target = folder.join(name);
        if self.open.contains(&target) || self.open.len() >= DEPTH_LIMIT {
            let message = format!("{} includes itself; expected files that end", quoted(name));
            self.check.problem(place, "include", message);
            return;
        }
        if !one_more(self.includes) {
            let message = format!("{} is one file too many; expected at most {FILES_LIMIT} files", quoted(name));
            self.check.problem(place, "include", message);
            return;
        }
        match (self.includes.read)(&target) {
            Ok(text) => {
                self.open.push(target.clone());
                self.file(&target, &text);
                self.open.pop();
            }
            Err(error) => {
                let message = format!("{} cannot be read: {error}; expected a redis.conf file", quoted(name));
                self.check.problem(place, "include", message);
            }
        }
    }
}

/// Splits a line into words as the server does: blanks separate, double quotes with escapes, single quotes.
pub(super) fn split_words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut chars = line.trim().chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(&first) = chars.peek() else { return Ok(words) };
        let mut word = String::new();
        match first {
            '"' | '\'' => {
                chars.next();
                quoted_word(&mut chars, first, &mut word)?;
                if chars.peek().is_some_and(|c| !c.is_whitespace()) {
                    return Err("a blank after a closing quote");
                }
            }
            _ => {
                while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                    word.push(c);
                }
            }
        }
        words.push(word);
    }
}

fn quoted_word(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    quote: char,
    word: &mut String,
) -> Result<(), &'static str> {
    loop {
        match chars.next() {
            None => return Err("a closing quote"),
            Some(c) if c == quote => return Ok(()),
            Some('\\') if quote == '\'' => match chars.next_if_eq(&'\'') {
                Some(c) => word.push(c),
                None => word.push('\\'),
            },
            Some('\\') => match chars.next() {
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    let code = u8::from_str_radix(&digits, 16).map_err(|_| "two hexadecimal digits after \\x")?;
                    word.push(char::from(code));
                }
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('t') => word.push('\t'),
                Some('b') => word.push('\u{8}'),
                Some('a') => word.push('\u{7}'),
                Some(other) => word.push(other),
                None => return Err("a closing quote"),
            },
            Some(c) => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_the_server_does() {
        for (line, words) in [
            ("maxmemory 1gb", vec!["maxmemory", "1gb"]),
            ("save \"\"", vec!["save", ""]),
            (r#"requirepass "a b\x41\n\"" "#, vec!["requirepass", "a bA\n\""]),
            (r"dir '/tmp/it\'s'", vec!["dir", "/tmp/it's"]),
            ("  save 3600 1   300 100 ", vec!["save", "3600", "1", "300", "100"]),
        ] {
            assert_eq!(split_words(line).expect(line), words, "{line}");
        }
        for line in ["save \"", "dir 'x", "a \"b\"c", r#"a "\xZZ""#] {
            assert!(split_words(line).is_err(), "{line}");
        }
    }
}
