//! A scenario's text that can be parsed again under other values.

use crate::scenario::{self, Scenario, ScenarioError};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A dotted path and its value, as `--set` takes them.
pub type Override = (String, String);

/// Gives the text of an included file.
pub type Reader = Arc<dyn Fn(&Path) -> io::Result<String> + Send + Sync>;

/// The text of a scenario, what is set in it from outside, and how its included files are read.
#[derive(Clone)]
pub struct Source {
    /// Its file, as it was given.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What is set in it from outside, later ones over earlier ones.
    pub overrides: Vec<Override>,
    /// How included files are read.
    pub read: Reader,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).field("overrides", &self.overrides).finish_non_exhaustive()
    }
}

impl Source {
    /// The same text with further values set.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = Override>) -> Source {
        let mut source = self.clone();
        source.overrides.extend(more);
        source
    }

    /// Name for messages.
    #[must_use]
    pub fn name(&self) -> String {
        if self.path == Path::new("-") { "stdin".to_owned() } else { self.path.display().to_string() }
    }

    /// The checked scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] lists everything that is wrong, each with its place.
    pub fn parse(&self) -> Result<Scenario, ScenarioError> {
        let name = self.name();
        let base = self.path.parent().unwrap_or(Path::new("."));
        let given = scenario::Input { name: &name, text: &self.text, overrides: &self.overrides, base };
        scenario::parse(&given, &*self.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_set_later_win_and_included_files_are_read_again() {
        let text = "duration = \"1m\"\n[server]\ninclude = [\"redis.conf\"]\n[[keyspace]]\nname = \"k\"\nkeys = 10\ntype = \"string\"\nkey-length = 16\nvalue-size = 10\n";
        let read: Reader = Arc::new(|path| {
            assert_eq!(path, Path::new("given/redis.conf"));
            Ok("maxmemory 1gb\n".to_owned())
        });
        let source = Source { path: "given/s.toml".into(), text: text.to_owned(), overrides: Vec::new(), read };
        let limit = |source: &Source| source.parse().expect("valid").config.maxmemory.0;
        assert_eq!(limit(&source), 1 << 30);
        let set = |value: &str| ("server.config.maxmemory".to_owned(), value.to_owned());
        assert_eq!(limit(&source.with([set("2gb")])), 2 << 30);
        assert_eq!(limit(&source.with([set("2gb"), set("3gb")])), 3 << 30);
    }

    #[test]
    fn a_plus_adds_an_item_to_a_list_that_may_not_be_there_yet() {
        let text = "duration = \"1m\"\n[[keyspace]]\nname = \"k\"\nkeys = 10\ntype = \"string\"\nkey-length = 16\nvalue-size = 10\n".to_owned();
        let read: Reader = Arc::new(|_| Err(io::Error::other("nothing is included")));
        let source = Source { path: "s.toml".into(), text, overrides: Vec::new(), read };
        let event = |at: &str| ("event.+".to_owned(), format!("{{ kind = \"bgsave\", at = \"{at}\" }}"));
        let scenario = source.with([event("10s"), event("20s")]).parse().expect("valid");
        let at: Vec<u64> = scenario.events.iter().map(|event| event.at[0].0).collect();
        assert_eq!(at, [10_000_000, 20_000_000]);
    }
}
