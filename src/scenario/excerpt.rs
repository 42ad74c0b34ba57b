//! The lines around a problem, made fit for a terminal: one line before, the line itself, one line after.
//!
//! Long lines are cut around the problem, and characters that control or turn text are replaced, so that no scenario floods or steers
//! the terminal that shows it.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// Characters of a line shown before the problem at most, and in all.
const BEFORE_LIMIT: usize = 60;
const LINE_LIMIT: usize = 120;
/// Stands for a control character.
const REPLACEMENT: char = '\u{fffd}';

/// An excerpt of a source, and what is marked in it.
#[derive(Debug, Clone)]
pub(super) struct Excerpt {
    name: String,
    text: String,
    /// Line of the problem and of the excerpt's first line, from 0.
    line: usize,
    first_line: usize,
    /// Column of the problem in characters, from 0.
    column: usize,
    /// Where the mark stands in the excerpt.
    start: usize,
    length: usize,
}

impl Excerpt {
    /// The excerpt of `text` around the bytes from `start` to `end`, of which the first line is marked.
    pub(super) fn new(name: &str, text: &str, start: usize, end: usize) -> Excerpt {
        let start = floor_boundary(text, start);
        let end = floor_boundary(text, end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[..line_start].bytes().filter(|byte| *byte == b'\n').count();
        let mut excerpt = Excerpt {
            name: name.to_owned(),
            text: String::new(),
            line,
            first_line: line,
            column: text[line_start..start].chars().count(),
            start: 0,
            length: 0,
        };
        if let Some(before) = text[..line_start].strip_suffix('\n') {
            excerpt.first_line -= 1;
            excerpt.push(before.rsplit('\n').next().unwrap_or_default(), 0);
            excerpt.text.push('\n');
        }
        let skipped = excerpt.column.saturating_sub(BEFORE_LIMIT);
        let cut = text[line_start..start].char_indices().nth(skipped).map_or(start, |(at, _)| line_start + at);
        excerpt.push(&text[cut..line_end], skipped);
        excerpt.mark(&text[cut..start], &text[start..end.min(line_end)], skipped > 0);
        if let Some(after) = text[line_end..].strip_prefix('\n') {
            excerpt.text.push('\n');
            excerpt.push(after.split('\n').next().unwrap_or_default(), 0);
        }
        excerpt
    }

    /// Adds a line, of which `skipped` characters have been left out.
    fn push(&mut self, line: &str, skipped: usize) {
        if skipped > 0 {
            self.text.push('…');
        }
        let mut chars = line.trim_end_matches('\r').chars().map(printable);
        self.text.extend(chars.by_ref().take(LINE_LIMIT));
        if chars.next().is_some() {
            self.text.push('…');
        }
    }

    /// Marks what follows `before` in the last line.
    fn mark(&mut self, before: &str, marked: &str, cut: bool) {
        let width = |text: &str| text.chars().map(|c| printable(c).len_utf8()).sum::<usize>();
        let line = self.text.rfind('\n').map_or(0, |at| at + 1);
        self.start = (line + if cut { '…'.len_utf8() } else { 0 } + width(before)).min(self.text.len());
        self.length = width(marked).min(self.text.len() - self.start);
    }

    /// Line of the problem, from 1.
    pub(super) fn line(&self) -> usize {
        self.line + 1
    }

    /// Column of the problem in characters, from 1.
    pub(super) fn column(&self) -> usize {
        self.column + 1
    }

    /// First byte of the mark in the excerpt, and its length.
    pub(super) fn mark_span(&self) -> (usize, usize) {
        (self.start, self.length)
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.text.read_span(span, before, after)?;
        // A span read without its surroundings is read for its place.
        let column = if before + after == 0 { self.column } else { contents.column() };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            self.first_line + contents.line(),
            column,
            contents.line_count(),
        )))
    }
}

/// The character, or what stands for it on a terminal.
fn printable(c: char) -> char {
    if steers(c) && c != '\t' { REPLACEMENT } else { c }
}

/// Whether a character controls a terminal or turns the direction of text.
pub(super) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The largest boundary of a character that is not after `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_text_is_the_problem() {
        let text = "a = 1\nµµ = \"\u{1b}[31m\" # x\nc = 3\nd = 4";
        let excerpt = Excerpt::new("s.toml", text, text.find('"').unwrap(), text.find(" #").unwrap());
        assert_eq!((excerpt.line(), excerpt.column()), (2, 6));
        assert_eq!(excerpt.text, "a = 1\nµµ = \"\u{fffd}[31m\" # x\nc = 3");
        let (start, length) = excerpt.mark_span();
        assert_eq!(&excerpt.text[start..start + length], "\"\u{fffd}[31m\"");
    }

    #[test]
    fn long_lines_are_cut_around_the_problem() {
        let text = format!("{}WRONG{}", "x".repeat(100_000), "y".repeat(100_000));
        let excerpt = Excerpt::new("s.toml", &text, 100_000, 100_005);
        let (start, length) = excerpt.mark_span();
        assert_eq!(&excerpt.text[start..start + length], "WRONG");
        assert_eq!(excerpt.column(), 100_001);
        assert!(excerpt.text.chars().count() <= LINE_LIMIT + 2, "{}", excerpt.text);
    }

    #[test]
    fn any_place_makes_an_excerpt() {
        let text = "ä\r\n\n€ = 1\n";
        for start in 0..text.len() + 3 {
            for end in start..text.len() + 3 {
                let excerpt = Excerpt::new("s.toml", text, start, end);
                let (start, length) = excerpt.mark_span();
                assert!(excerpt.text.get(start..start + length).is_some());
            }
        }
    }
}
