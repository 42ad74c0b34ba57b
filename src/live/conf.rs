//! redis.conf of a server that is driven.

use std::fmt::Write as _;
use std::path::Path;

/// Directives whose names before 7.0 every release still understands.
const RENAMED: &[(&str, &str)] = &[
    ("hash-max-listpack-entries", "hash-max-ziplist-entries"),
    ("hash-max-listpack-value", "hash-max-ziplist-value"),
    ("zset-max-listpack-entries", "zset-max-ziplist-entries"),
    ("zset-max-listpack-value", "zset-max-ziplist-value"),
    ("list-max-listpack-size", "list-max-ziplist-size"),
];

/// The file: where the server listens and works, then the scenario's own directives; everything else is the server's
/// default, as it is the model's.
pub(super) fn text(port: u16, folder: &Path, directives: &[(&str, String)]) -> String {
    let mut text = format!(
        "bind 127.0.0.1\nport {port}\nprotected-mode no\ndaemonize no\ndir {}\nlogfile {}\n",
        quoted(&folder.display().to_string()),
        quoted(&folder.join(LOG).display().to_string())
    );
    for (name, value) in directives {
        let name = RENAMED.iter().find(|(new, _)| new == name).map_or(*name, |(_, old)| old);
        let value = if value.is_empty() { "\"\"" } else { value };
        let _ = writeln!(text, "{name} {value}");
    }
    text
}

/// Name of the server's log in its folder.
pub(super) const LOG: &str = "server.log";

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenarios_directives_follow_the_servers_place() {
        let given = [
            ("save", String::new()),
            ("maxmemory", "20mb".to_owned()),
            ("client-output-buffer-limit", "normal 0 0 0".to_owned()),
            ("hash-max-listpack-value", "64".to_owned()),
        ];
        let text = text(7001, Path::new("/tmp/a \"b"), &given);
        let expected = "bind 127.0.0.1\nport 7001\nprotected-mode no\ndaemonize no\ndir \"/tmp/a \\\"b\"\n\
                        logfile \"/tmp/a \\\"b/server.log\"\nsave \"\"\nmaxmemory 20mb\n\
                        client-output-buffer-limit normal 0 0 0\nhash-max-ziplist-value 64\n";
        assert_eq!(text, expected);
    }
}
