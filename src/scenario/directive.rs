//! redis.conf's directives: which there are, how their values are written, and what the model does with them.
//!
//! The table of all directives is `directive_table`; here they are looked up, checked and collected.  Source of names,
//! ranges and defaults: redis 7.0.15 and 7.2 `src/config.c`; 7.0's `CONFIG GET *`.

use super::error::{did_you_mean, known_names, quoted};
use super::reader::Item;
use crate::node::config::{MaxmemoryPolicy, POLICIES, ServerConfig, Setting};
use crate::profile::Profile;
use crate::units::Bytes;

#[path = "directive_table.rs"]
mod directive_table;

pub(super) use directive_table::{DIRECTIVES, Directive, Kind, Status};

/// Old names that a server still understands: prefix or part, and what it is today.
const ALIASES: &[(&str, &str)] =
    &[("slave", "replica"), ("ziplist", "listpack"), ("lua-time-limit", "busy-reply-threshold")];

/// The directives that were given, the last one of a name in force.
#[derive(Debug, Default)]
pub(super) struct Directives {
    given: Vec<(&'static Directive, Vec<String>)>,
    settings: Vec<Setting>,
    defaults: ServerConfig,
}

/// The directive of this name, in lower case, old names included.
pub(super) fn find(name: &str) -> Option<&'static Directive> {
    let name = name.to_lowercase();
    let by_name = |name: &str| DIRECTIVES.iter().find(|directive| directive.name == name);
    by_name(&name).or_else(|| {
        let (old, new) = ALIASES.iter().find(|(old, _)| name.contains(old))?;
        by_name(&name.replace(old, new))
    })
}

/// What is wrong with an unknown directive's name, and help.
pub(super) fn unknown(name: &str) -> (String, Option<String>) {
    let names: Vec<&str> = DIRECTIVES.iter().map(|directive| directive.name).collect();
    let guess = did_you_mean(&name.to_lowercase(), &names);
    let expected = if guess.is_empty() { "; expected one of redis.conf's" } else { &guess };
    let message = format!("unknown directive {}{expected}", quoted(name));
    (message, if guess.is_empty() { None } else { known_names("known directives", &names).filter(|h| h.len() < 400) })
}

/// Names of the directives that the model follows.
pub(super) fn modelled_names() -> impl Iterator<Item = &'static str> {
    DIRECTIVES.iter().filter(|d| matches!(d.status, Status::Modelled(_))).map(|d| d.name)
}

impl Directives {
    /// Reads `[server.config]`.
    pub(super) fn read_table(&mut self, item: &Item<'_>) {
        for (name, place, value) in item.entries().unwrap_or_default() {
            if item.check.is_full() {
                return;
            }
            let Some(directive) = find(name) else {
                let (message, help) = unknown(name);
                item.check.problem_with_help(place, &value.path, message, help);
                continue;
            };
            let Some(words) = words_of(&value) else { continue };
            match self.give(directive, &words) {
                Ok(()) => {}
                Err(expected) => value.refuse(format!("is not valid; expected {expected}")),
            }
        }
    }

    /// Puts a directive in force: each word list is one line of it.
    pub(super) fn give(&mut self, directive: &'static Directive, lines: &[Vec<String>]) -> Result<(), String> {
        if lines.len() > 1 && !directive.repeats {
            return Err(format!("one value: {} does not repeat", directive.name));
        }
        for words in lines {
            directive.kind.check(words)?;
        }
        let value = lines.iter().map(|words| words.join(" ")).collect::<Vec<String>>();
        // An empty `save` takes back the points before it.
        let takes_back = directive.name == "save" && value.first().is_some_and(String::is_empty);
        match self.given.iter_mut().find(|(given, _)| given.name == directive.name) {
            Some((_, values)) if directive.repeats && !takes_back => values.extend(value),
            Some((_, values)) => *values = value,
            None => self.given.push((directive, value)),
        }
        if let Status::Modelled(setting) = directive.status {
            // All lines of a directive that repeats, the last line of one that does not.
            let given = self.given.iter().find(|(given, _)| given.name == directive.name);
            let text = given.map_or(String::new(), |(_, values)| values.join(" "));
            self.settings.push(setting(text.trim()).ok_or_else(|| directive.kind.expected())?);
        }
        Ok(())
    }

    /// What holds where nothing is given: the release's defaults.
    pub(super) fn set_defaults(&mut self, profile: &Profile) {
        self.defaults = ServerConfig::of(profile);
    }

    /// `maxclients` as given so far.
    pub(super) fn maxclients(&self) -> u32 {
        let given = self.settings.iter().rev().find_map(|setting| match setting {
            Setting::Maxclients(clients) => Some(*clients),
            _ => None,
        });
        given.unwrap_or(self.defaults.maxclients)
    }

    /// The configuration that they make.
    pub(super) fn into_config(self) -> ServerConfig {
        self.config()
    }

    /// The configuration that those given so far make.
    pub(super) fn config(&self) -> ServerConfig {
        let mut config = self.defaults.clone();
        self.settings.iter().for_each(|setting| config.apply(setting));
        config
    }

    /// The directives given that move memory, a name and a value for each line of redis.conf.
    pub(super) fn written(&self) -> Vec<Written> {
        let mut written = Vec::new();
        for (directive, values) in self.given.iter().filter(|(given, _)| !matches!(given.status, Status::Irrelevant)) {
            // No points after those that were taken back.
            written.extend(values.iter().map(|value| (directive.name, value.clone())));
        }
        written
    }

    /// A line for each directive that moves memory in a way that is not modelled.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (directive, values) in &self.given {
            if let Status::Matters { harmless, why } = directive.status
                && values.iter().any(|value| !harmless.iter().any(|h| h.eq_ignore_ascii_case(value)))
            {
                let shown = values.join("; ");
                warnings.push(format!("{} {}: {why}; not modelled yet", directive.name, quoted(&shown)));
            }
        }
        warnings
    }
}

/// A directive as redis.conf or `CONFIG SET` has it: name and value.
type Written = (&'static str, String);

/// The settings of a `config-set` event, and the directives as they are written.
pub(super) fn runtime_settings(item: &Item<'_>) -> Option<(Vec<Setting>, Vec<Written>)> {
    let (mut settings, mut shown, mut complete) = (Vec::new(), Vec::new(), true);
    for (name, place, value) in item.entries()? {
        if item.check.is_full() {
            return None;
        }
        let Some(directive) = find(name) else {
            let (message, help) = unknown(name);
            item.check.problem_with_help(place, &value.path, message, help);
            complete = false;
            continue;
        };
        let Status::Modelled(setting) = directive.status else {
            item.check.problem(place, &value.path, "not modelled yet; expected a directive that the model follows");
            complete = false;
            continue;
        };
        if directive.fixed {
            item.check.problem(
                place,
                &value.path,
                "cannot be changed while the server runs; expected another directive",
            );
            complete = false;
            continue;
        }
        let Some(lines) = words_of(&value) else {
            complete = false;
            continue;
        };
        let single = directive.repeats || lines.len() == 1;
        let words = if single { lines.concat() } else { Vec::new() };
        let text = words.join(" ");
        let checked = directive.kind.check(&words);
        match checked.and_then(|()| setting(&text).ok_or_else(|| directive.kind.expected())) {
            Ok(setting) => {
                settings.push(setting);
                shown.push((directive.name, text));
            }
            Err(expected) => {
                value.refuse(format!("is not valid; expected {expected}"));
                complete = false;
            }
        }
    }
    complete.then_some((settings, shown))
}

/// A TOML value as the lines of a directive, each in words.
fn words_of(item: &Item<'_>) -> Option<Vec<Vec<String>>> {
    use super::tree::Value;
    let words = |text: &str| super::redis_conf::split_words(text).unwrap_or_else(|_| vec![text.to_owned()]);
    match &item.node.value {
        Value::Text(text) if text.is_empty() => Some(vec![vec![String::new()]]),
        Value::Text(text) => Some(vec![words(text)]),
        Value::Integer(number) => Some(vec![vec![number.to_string()]]),
        Value::Bool(value) => Some(vec![vec![if *value { "yes" } else { "no" }.to_owned()]]),
        Value::Array(_) => {
            let items = item.items()?;
            if items.is_empty() {
                item.refuse("has no value; expected at least one");
                return None;
            }
            items.iter().map(|line| line.text().map(words)).collect()
        }
        Value::Float(_) | Value::Datetime | Value::Table(_) => {
            item.refuse("is not a directive's value; expected a text, a whole number or a switch");
            None
        }
    }
}

impl Kind {
    /// Checks the words of one line.
    pub(super) fn check(self, words: &[String]) -> Result<(), String> {
        let one = match words {
            [one] => Some(one.as_str()),
            _ => None,
        };
        let holds = match self {
            Kind::Memory => one.is_some_and(is_size),
            Kind::MemoryOrPercent => one.is_some_and(|word| {
                let percent = word.strip_suffix('%').and_then(|n| n.parse::<u32>().ok());
                percent.is_some_and(|p| p <= 100) || is_size(word)
            }),
            Kind::Integer(least, most) => {
                one.and_then(|word| word.parse::<i64>().ok()).is_some_and(|n| (least..=most).contains(&n))
            }
            Kind::Switch => one.is_some_and(|word| ["yes", "no"].iter().any(|s| s.eq_ignore_ascii_case(word))),
            Kind::Choice(names) => one.is_some_and(|word| names.iter().any(|name| name.eq_ignore_ascii_case(word))),
            Kind::Policy => one.is_some_and(|word| MaxmemoryPolicy::find(word).is_some()),
            Kind::Text => true,
            Kind::SavePoints => save_points_hold(words),
            Kind::BufferLimit => buffer_limits_hold(words),
        };
        if holds { Ok(()) } else { Err(self.expected() + &self.guess(one.unwrap_or_default())) }
    }

    /// The name that was probably meant, for a message.
    fn guess(self, word: &str) -> String {
        match self {
            Kind::Choice(names) => did_you_mean(word, names),
            Kind::Policy => did_you_mean(word, &POLICIES.iter().map(|entry| entry.name).collect::<Vec<&str>>()),
            _ => String::new(),
        }
    }

    /// What a value must be, for a message.
    pub(super) fn expected(self) -> String {
        match self {
            Kind::Memory => {
                "a size as redis.conf takes it, like 100mb: a whole number and k, kb, m, mb, g or gb".to_owned()
            }
            Kind::MemoryOrPercent => "a size like 100mb, or a share like 5%".to_owned(),
            Kind::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Switch => "yes or no".to_owned(),
            Kind::Choice(names) => format!("one of {}", names.join(", ")),
            Kind::Policy => {
                format!("one of {}", POLICIES.iter().map(|entry| entry.name).collect::<Vec<&str>>().join(", "))
            }
            Kind::Text => "a text".to_owned(),
            Kind::SavePoints => "pairs of seconds and changes like \"3600 1 300 100\", or \"\"".to_owned(),
            Kind::BufferLimit => {
                "a class (normal, replica, pubsub), a hard limit, a soft limit and seconds, like \"pubsub 32mb 8mb 60\""
                    .to_owned()
            }
        }
    }
}

/// Whether the server takes the word as a size.  Source: redis `src/util.c`, `memtoull`.
fn is_size(word: &str) -> bool {
    let (_, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
    let known = ["", "b", "k", "kb", "m", "mb", "g", "gb"].contains(&unit.to_ascii_lowercase().as_str());
    known && Bytes::parse(word).is_some()
}

fn save_points_hold(words: &[String]) -> bool {
    if let [word] = words
        && word.is_empty()
    {
        return true;
    }
    let number = |word: &str| word.parse::<u32>().ok();
    let pair = |pair: &[String]| number(&pair[0]).is_some_and(|seconds| seconds > 0) && number(&pair[1]).is_some();
    !words.is_empty() && words.len().is_multiple_of(2) && words.chunks(2).all(pair)
}

fn buffer_limits_hold(words: &[String]) -> bool {
    let class = |word: &str| ["normal", "replica", "slave", "pubsub"].contains(&word.to_lowercase().as_str());
    !words.is_empty()
        && words.len().is_multiple_of(4)
        && words.chunks(4).all(|l| class(&l[0]) && is_size(&l[1]) && is_size(&l[2]) && l[3].parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_listed_once_and_keep_what_they_promise() {
        for directive in DIRECTIVES {
            assert_eq!(DIRECTIVES.iter().filter(|d| d.name == directive.name).count(), 1, "{}", directive.name);
            if let Status::Matters { harmless, .. } = directive.status {
                for value in harmless {
                    let words: Vec<String> = super::super::redis_conf::split_words(value).expect("words");
                    let words = if words.is_empty() { vec![String::new()] } else { words };
                    assert_eq!(directive.kind.check(&words), Ok(()), "{} {value}", directive.name);
                }
            }
        }
    }

    #[test]
    fn old_names_are_understood() {
        for (old, new) in [
            ("slave-lazy-flush", "replica-lazy-flush"),
            ("slaveof", "replicaof"),
            ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
            ("MAXMEMORY", "maxmemory"),
        ] {
            assert_eq!(find(old).map(|d| d.name), Some(new), "{old}");
        }
        assert!(find("maxmemroy").is_none());
        assert!(unknown("maxmemroy").0.contains("did you mean \"maxmemory\""));
    }

    #[test]
    fn an_empty_save_takes_back_the_points_before_it() {
        let save = find("save").expect("listed");
        let points = |lines: &[&str]| {
            let mut directives = Directives::default();
            for line in lines {
                let words = super::super::redis_conf::split_words(line).expect("words");
                directives.give(save, &[words]).expect("valid");
            }
            directives.into_config().save.len()
        };
        assert_eq!(points(&[]), 3, "the server's own");
        assert_eq!(points(&["3600 1", "60 10000"]), 2);
        assert_eq!(points(&["3600 1", "\"\""]), 0);
        assert_eq!(points(&["\"\"", "3600 1"]), 1);
    }

    #[test]
    fn values_are_checked_by_kind() {
        let words = |text: &str| super::super::redis_conf::split_words(text).expect("words");
        assert!(Kind::BufferLimit.check(&words("slave 256mb 64mb 60")).is_ok());
        assert!(Kind::BufferLimit.check(&words("replicas 256mb 64mb 60")).is_err());
        assert!(Kind::SavePoints.check(&words("3600 1 300")).is_err());
        for size in ["10 parsecs", "1.5gb", "1_000", "1KiB", "-1", "1tb", "mb", "0x10"] {
            assert!(Kind::Memory.check(&words(size)).is_err(), "{size}");
        }
        for size in ["0", "100", "10K", "64mb", "1GB", "12b"] {
            assert!(Kind::Memory.check(&words(size)).is_ok(), "{size}");
        }
        assert!(Kind::SavePoints.check(&words("0 1")).is_err());
        assert!(Kind::MemoryOrPercent.check(&words("5%")).is_ok());
    }
}
