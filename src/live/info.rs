//! What `INFO` answered.

use std::collections::BTreeMap;

/// The fields of `INFO`, by name.
#[derive(Debug, Clone, Default)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// Reads the answer: lines of `name:value`, and titles of sections.
    #[must_use]
    pub fn parse(text: &str) -> Info {
        let fields = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'));
        Info(fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// A field as it is written.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// A field that is a count; zero where it is not there.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The sum over all databases of `keys` or `expires`.
    #[must_use]
    pub fn keyspace(&self, what: &str) -> u64 {
        let is_database = |name: &str| {
            name.strip_prefix("db").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        };
        let databases = self.0.iter().filter(|(name, _)| is_database(name));
        let fields = databases.flat_map(|(_, value)| value.split(',')).filter_map(|field| field.split_once('='));
        fields.filter(|(name, _)| *name == what).filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    }

    /// The release as profiles are called, and its version: `redis-7.0`, `7.0.15`.
    #[must_use]
    pub fn release(&self) -> Option<(String, String)> {
        let (fork, version) = match self.text("valkey_version") {
            Some(version) => ("valkey", version),
            None => ("redis", self.text("redis_version")?),
        };
        let mut numbers = version.splitn(3, '.');
        let release = format!("{fork}-{}.{}", numbers.next()?, numbers.next()?);
        Some((release, version.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\n\r\n# Stats\r\nexpired_stale_perc:0.25\r\n\
                        evicted_keys:7\r\n# Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n\
                        dbx:keys=9\r\n";

    #[test]
    fn fields_are_found_by_name_and_databases_are_added_up() {
        let info = Info::parse(TEXT);
        assert_eq!(info.number("expired_stale_perc"), Some(0.25));
        assert_eq!((info.count("evicted_keys"), info.count("oom")), (7, 0));
        assert_eq!((info.keyspace("keys"), info.keyspace("expires")), (6, 2));
        assert_eq!(info.text("# Server"), None);
    }

    #[test]
    fn a_valkey_says_which_one_it_is_beside_the_redis_that_it_stands_for() {
        let release = |text: &str| Info::parse(text).release();
        assert_eq!(release(TEXT), Some(("valkey-8.0".to_owned(), "8.0.1".to_owned())));
        assert_eq!(release("redis_version:7.0.15\n"), Some(("redis-7.0".to_owned(), "7.0.15".to_owned())));
        assert_eq!(release("redis_version:x\n"), None);
    }
}
