//! What is wrong with a scenario, and where: the sources that were read, and the problems found in them.
//!
//! A check never stops at the first problem.  Readers put each into the [`Check`] that they share and carry on with
//! what is left; whoever started the check turns it into one [`ScenarioError`] at the end.  Invariant: a problem
//! always stands in a source, so it always has a place to show.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

use super::excerpt::Excerpt;

/// Problems reported at most; the rest is counted.
pub(super) const PROBLEMS_LIMIT: usize = 20;

/// Problems kept until the first of them are known; a text with more is not read for each of them.
const KEPT_LIMIT: usize = 1_000;

/// Characters of a value that a message repeats at most.
const SHOWN_LIMIT: usize = 60;

/// Characters of a key's path that a message shows at most.
const KEY_LIMIT: usize = 100;

/// Columns of a problem as it is shown.
const WIDTH: usize = 100;

/// A range of bytes in one of the sources of a [`Check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which source.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// A text that was read: the scenario, a redis.conf, or a `--set`.
#[derive(Debug, Clone)]
struct Source {
    name: String,
    text: Arc<str>,
    /// Whether lines and columns mean something to its writer; they do not on a command line.
    has_lines: bool,
}

/// The sources of one check and the problems found in them so far.
#[derive(Debug, Default)]
pub(super) struct Check {
    sources: RefCell<Vec<Source>>,
    problems: RefCell<Vec<Noted>>,
}

/// A problem as it is noted; its excerpt is made when it is shown.
#[derive(Debug)]
struct Noted {
    place: Place,
    key: String,
    message: String,
    help: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    file: String,
    has_lines: bool,
    key: String,
    message: String,
    help: Option<String>,
    excerpt: Excerpt,
}

/// Everything that is wrong with a scenario, in the order of its text.
///
/// As text it is its first problem; [`ScenarioError::problems`] has them all, and as a [`Diagnostic`] it shows each
/// with an excerpt.
#[derive(Debug, Clone)]
pub struct ScenarioError {
    first: Box<Problem>,
    others: Vec<Problem>,
    omitted: usize,
}

impl Check {
    /// Registers a text by the name that messages give it.
    pub(super) fn add_source(&self, name: &str, text: &str) -> usize {
        self.push_source(name, text, true)
    }

    /// Registers a `--set` by its argument.
    pub(super) fn add_override(&self, path: &str, text: &str) -> usize {
        self.push_source(&format!("--set {}", cut_to(&escaped(path), KEY_LIMIT)), text, false)
    }

    fn push_source(&self, name: &str, text: &str, has_lines: bool) -> usize {
        let mut sources = self.sources.borrow_mut();
        sources.push(Source { name: name.to_owned(), text: text.into(), has_lines });
        sources.len() - 1
    }

    /// The text at `place` as it was written, on one line and cut to a readable length.
    pub(super) fn written(&self, place: Place) -> String {
        let sources = self.sources.borrow();
        let text = sources.get(place.source).and_then(|source| source.text.get(place.start..place.end));
        cut(&escaped(&text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")))
    }

    /// Notes that `key` at `place` is wrong in the way that `message` says.
    pub(super) fn problem(&self, place: Place, key: &str, message: impl Into<String>) {
        self.problem_with_help(place, key, message, None);
    }

    /// Notes a problem, with advice.
    pub(super) fn problem_with_help(&self, place: Place, key: &str, message: impl Into<String>, help: Option<String>) {
        if self.is_full() {
            return;
        }
        let key = cut_to(&escaped(key), KEY_LIMIT);
        self.problems.borrow_mut().push(Noted { place, key, message: message.into(), help });
    }

    /// Problems noted so far.
    pub(super) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// Whether so much is wrong that looking for more is no use.
    pub(super) fn is_full(&self) -> bool {
        self.count() >= KEPT_LIMIT
    }

    /// The error for a scenario that could not be read, should no reader have said why.
    pub(super) fn unexplained(name: &str, text: &str) -> ScenarioError {
        let problem = Problem {
            file: name.to_owned(),
            has_lines: true,
            key: String::new(),
            message: "not a scenario; expected tables as in scenarios/reference.toml".to_owned(),
            help: None,
            excerpt: Excerpt::new(name, text, 0, 0),
        };
        ScenarioError { first: Box::new(problem), others: Vec::new(), omitted: 0 }
    }

    /// The error that the problems make; `None` without any.
    pub(super) fn into_error(self) -> Option<ScenarioError> {
        let mut noted = self.problems.into_inner();
        noted.sort_by_key(|problem| problem.place);
        let omitted = noted.len().saturating_sub(PROBLEMS_LIMIT);
        let sources = self.sources.into_inner();
        let mut problems = noted
            .into_iter()
            .take(PROBLEMS_LIMIT)
            .filter_map(|noted| Some(noted.shown(sources.get(noted.place.source)?)));
        let first = Box::new(problems.next()?);
        Some(ScenarioError { first, others: problems.collect(), omitted })
    }
}

impl Noted {
    fn shown(&self, source: &Source) -> Problem {
        Problem {
            file: source.name.clone(),
            has_lines: source.has_lines,
            key: self.key.clone(),
            message: self.message.clone(),
            help: self.help.clone(),
            excerpt: Excerpt::new(&source.name, &source.text, self.place.start, self.place.end),
        }
    }
}

/// The start of a text, with `…` where it was cut.
fn cut(text: &str) -> String {
    cut_to(text, SHOWN_LIMIT)
}

fn cut_to(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A text without control characters.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if matches!(c, '\'' | '"') { vec![c] } else { c.escape_debug().collect() }).collect()
}

/// A text in double quotes, control characters escaped, cut to a readable length.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(&cut(text)).replace('"', "\\\""))
}

/// The known name nearest to a wrong one, when it is near enough to be meant.
pub(super) fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    if wrong.chars().count() > SHOWN_LIMIT {
        return None;
    }
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong, &name.to_lowercase());
    let near = known.iter().copied().min_by_key(|name| distance(name))?;
    let allowed = (near.chars().count().max(wrong.chars().count()) / 3).max(1);
    (distance(near) <= allowed).then_some(near)
}

/// `; did you mean "ttl"?`, or nothing.
pub(super) fn did_you_mean(wrong: &str, known: &[&str]) -> String {
    nearest(wrong, known).map_or_else(String::new, |name| format!("; did you mean {}?", quoted(name)))
}

/// `known names: a, b, c`, cut where a terminal would drown in them.
pub(super) fn known_names(what: &str, known: &[&str]) -> Option<String> {
    /// Names that a line of help lists at most.
    const NAMES_LIMIT: usize = 40;
    let more = if known.len() > NAMES_LIMIT { ", …" } else { "" };
    let names = known.iter().take(NAMES_LIMIT).copied().collect::<Vec<_>>().join(", ");
    (!known.is_empty()).then(|| format!("{what}: {names}{more}"))
}

impl Problem {
    /// Name of the file, or the `--set` at fault.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.excerpt.line()
    }

    /// Column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.excerpt.column()
    }

    /// The key at fault: `keyspace.session.ttl`; empty for a text that is no TOML.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, and what was expected.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    /// `scenario.toml:12:9: keyspace.session.ttl: "15 parsecs" is not a duration; expected like "15m" or "900s"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file_and_place())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl Problem {
    fn file_and_place(&self) -> String {
        if self.has_lines { format!("{}:{}:{}", self.file, self.line(), self.column()) } else { self.file.clone() }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = if self.key.is_empty() { "here".to_owned() } else { self.key.clone() };
        let (start, length) = self.excerpt.mark_span();
        Some(Box::new(std::iter::once(LabeledSpan::new(Some(label), start, length))))
    }
}

impl ScenarioError {
    /// Every problem, at most 20, in the order of the text.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        std::iter::once(self.first.as_ref()).chain(&self.others)
    }

    /// Problems found beyond those that [`ScenarioError::problems`] has.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Every problem with its excerpt, as a terminal shows it.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH);
        let mut text = String::new();
        for problem in self.problems() {
            if handler.render_report(&mut text, problem).is_err() {
                text.push_str(&problem.to_string());
            }
            text.push('\n');
        }
        if self.omitted > 0 {
            text.push_str(&format!("… and {} more\n", self.omitted));
        }
        text
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        match self.others.len() + self.omitted {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl Diagnostic for ScenarioError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.first.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.first.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.first.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.others.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("tll", &["ttl", "type"]), Some("ttl"));
        assert_eq!(nearest("value_size", &["value-size", "keys"]), Some("value-size"));
        assert_eq!(nearest("colour", &["ttl", "type"]), None);
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn places_count_characters_and_lines_from_one() {
        let check = Check::default();
        let source = check.add_source("s.toml", "a = 1\nµµ = 2\n");
        check.problem(Place { source, start: 11, end: 12 }, "µµ", "bad");
        let error = check.into_error().unwrap();
        assert_eq!(error.to_string(), "s.toml:2:4: µµ: bad");
    }

    #[test]
    fn problems_beyond_the_limit_are_counted() {
        let check = Check::default();
        let source = check.add_source("s.toml", "x");
        for _ in 0..PROBLEMS_LIMIT + 3 {
            check.problem(Place { source, start: 0, end: 99 }, "x", "bad");
        }
        let error = check.into_error().unwrap();
        assert_eq!((error.problems().count(), error.omitted()), (PROBLEMS_LIMIT, 3));
    }
}
