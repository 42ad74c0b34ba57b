//! The Redis commands that a scenario can send, and what the server's command table says of each.
//!
//! A command here includes its options where they change what happens to memory (`SET KEEPTTL`).  Adding one is one
//! line in [`COMMANDS`] and one arm in the node.  Source of the flags: redis 7.0.15, `src/commands/*.json`.

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// Read a string.
    Get,
    /// Length of a string; touches the key as GET does.
    StrLen,
    /// Whether a key exists; does not touch it.
    Exists,
    /// Write a string, with the stream's TTL when it has one.
    Set,
    /// SET … EX: the TTL in whole seconds, rounded up.
    SetEx,
    /// SET … PX: the TTL in milliseconds.
    SetPx,
    /// SET … KEEPTTL: keeps the key's own TTL.
    SetKeepTtl,
    /// SET … NX: only when the key is absent.
    SetNx,
    /// SET … XX: only when the key exists.
    SetXx,
    /// SETNX: only when the key is absent, never a TTL.
    SetNxPlain,
    /// Read and set the TTL.
    GetEx,
    /// Read and remove the TTL.
    GetExPersist,
    /// Read and delete.
    GetDel,
    /// Add one to an integer, creating it with 1.
    Incr,
    /// Append bytes to a string.
    Append,
    /// Overwrite bytes at an offset.
    SetRange,
    /// Delete.
    Del,
    /// Delete, value freed in the background when large.
    Unlink,
    /// Set the TTL.
    Expire,
    /// Remove the TTL.
    Persist,
    /// Refresh the key's clock.
    Touch,
    /// Set a hash field.
    HSet,
    /// Delete a hash field.
    HDel,
    /// Add to a hash field.
    HIncrBy,
    /// Set the TTL of a hash field.
    HExpire,
    /// Remove the TTL of a hash field.
    HPersist,
    /// Read a hash field.
    HGet,
    /// Read a whole hash.
    HGetAll,
    /// Push at a list's head.
    LPush,
    /// Push at a list's tail.
    RPush,
    /// Pop at a list's head.
    LPop,
    /// Pop at a list's tail.
    RPop,
    /// Read a list.
    LRange,
    /// Trim a list at its tail.
    LTrim,
    /// Add a member to a set.
    SAdd,
    /// Remove a member of a set.
    SRem,
    /// Look a member up in a set.
    SIsMember,
    /// Add a member to a sorted set, or give it a score.
    ZAdd,
    /// Remove a member of a sorted set.
    ZRem,
    /// Add to a member's score.
    ZIncrBy,
    /// Read a sorted set.
    ZRange,
    /// Append an entry to a stream; with trim, MAXLEN ~.
    XAdd,
    /// Delete a stream's oldest entry.
    XDel,
    /// Give a stream's next entry to a consumer.
    XReadGroup,
    /// Acknowledge a consumer's oldest entry.
    XAck,
    /// Set a bit, which makes the string long enough for it.
    SetBit,
    /// Add an element to a HyperLogLog.
    PfAdd,
}

/// A type of value that commands need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A string, integers included.
    String,
    /// A string of bytes.
    Bytes,
    /// An integer.
    Int,
    /// A string that is a HyperLogLog.
    HyperLogLog,
    /// A hash.
    Hash,
    /// A list.
    List,
    /// A set, of integers or of any strings.
    Set,
    /// A sorted set.
    Zset,
    /// A stream.
    Stream,
}

/// One row of the command table.
#[derive(Debug, Clone, Copy)]
pub struct CommandSpec {
    /// The command.
    pub command: Command,
    /// How a scenario spells it.
    pub name: &'static str,
    /// The command whose latency histogram it fills (`SET KEEPTTL` is SET).
    pub base: &'static str,
    /// Carries the deny-oom flag: refused when memory is over the limit and nothing can be evicted.
    pub deny_oom: bool,
    /// Counts in `keyspace_hits` / `keyspace_misses`.
    pub counts_hits: bool,
    /// Can be followed by `on-miss` (a read that can miss).
    pub read: bool,
    /// Can create a key, and so can stand in `on-miss`.
    pub creates: bool,
}

const fn spec(command: Command, name: &'static str, base: &'static str, flags: [bool; 4]) -> CommandSpec {
    let [deny_oom, counts_hits, read, creates] = flags;
    CommandSpec { command, name, base, deny_oom, counts_hits, read, creates }
}

/// Every command, in the order of [`Command`].  Flags: deny-oom, counts hits, read, creates.
pub const COMMANDS: &[CommandSpec] = &[
    spec(Command::Get, "GET", "GET", [false, true, true, false]),
    spec(Command::StrLen, "STRLEN", "STRLEN", [false, true, true, false]),
    spec(Command::Exists, "EXISTS", "EXISTS", [false, true, true, false]),
    spec(Command::Set, "SET", "SET", [true, false, false, true]),
    spec(Command::SetEx, "SET EX", "SET", [true, false, false, true]),
    spec(Command::SetPx, "SET PX", "SET", [true, false, false, true]),
    spec(Command::SetKeepTtl, "SET KEEPTTL", "SET", [true, false, false, true]),
    spec(Command::SetNx, "SET NX", "SET", [true, false, false, true]),
    spec(Command::SetXx, "SET XX", "SET", [true, false, false, false]),
    spec(Command::SetNxPlain, "SETNX", "SETNX", [true, false, false, true]),
    spec(Command::GetEx, "GETEX", "GETEX", [false, true, true, false]),
    spec(Command::GetExPersist, "GETEX PERSIST", "GETEX", [false, true, true, false]),
    spec(Command::GetDel, "GETDEL", "GETDEL", [false, true, true, false]),
    spec(Command::Incr, "INCR", "INCR", [true, false, false, true]),
    spec(Command::Append, "APPEND", "APPEND", [true, false, false, true]),
    spec(Command::SetRange, "SETRANGE", "SETRANGE", [true, false, false, true]),
    spec(Command::Del, "DEL", "DEL", [false, false, false, false]),
    spec(Command::Unlink, "UNLINK", "UNLINK", [false, false, false, false]),
    spec(Command::Expire, "EXPIRE", "EXPIRE", [false, false, false, false]),
    spec(Command::Persist, "PERSIST", "PERSIST", [false, false, false, false]),
    spec(Command::Touch, "TOUCH", "TOUCH", [false, true, false, false]),
    spec(Command::HSet, "HSET", "HSET", [true, false, false, true]),
    spec(Command::HDel, "HDEL", "HDEL", [false, false, false, false]),
    spec(Command::HIncrBy, "HINCRBY", "HINCRBY", [true, false, false, true]),
    spec(Command::HExpire, "HEXPIRE", "HEXPIRE", [true, false, false, false]),
    spec(Command::HPersist, "HPERSIST", "HPERSIST", [false, false, false, false]),
    spec(Command::HGet, "HGET", "HGET", [false, true, true, false]),
    spec(Command::HGetAll, "HGETALL", "HGETALL", [false, true, true, false]),
    spec(Command::LPush, "LPUSH", "LPUSH", [true, false, false, true]),
    spec(Command::RPush, "RPUSH", "RPUSH", [true, false, false, true]),
    spec(Command::LPop, "LPOP", "LPOP", [false, false, false, false]),
    spec(Command::RPop, "RPOP", "RPOP", [false, false, false, false]),
    spec(Command::LRange, "LRANGE", "LRANGE", [false, true, true, false]),
    spec(Command::LTrim, "LTRIM", "LTRIM", [false, false, false, false]),
    spec(Command::SAdd, "SADD", "SADD", [true, false, false, true]),
    spec(Command::SRem, "SREM", "SREM", [false, false, false, false]),
    spec(Command::SIsMember, "SISMEMBER", "SISMEMBER", [false, true, true, false]),
    spec(Command::ZAdd, "ZADD", "ZADD", [true, false, false, true]),
    spec(Command::ZRem, "ZREM", "ZREM", [false, false, false, false]),
    spec(Command::ZIncrBy, "ZINCRBY", "ZINCRBY", [true, false, false, true]),
    spec(Command::ZRange, "ZRANGE", "ZRANGE", [false, true, true, false]),
    spec(Command::XAdd, "XADD", "XADD", [true, false, false, true]),
    spec(Command::XDel, "XDEL", "XDEL", [false, false, false, false]),
    spec(Command::XReadGroup, "XREADGROUP", "XREADGROUP", [false, true, true, false]),
    spec(Command::XAck, "XACK", "XACK", [false, false, false, false]),
    spec(Command::SetBit, "SETBIT", "SETBIT", [true, false, false, true]),
    spec(Command::PfAdd, "PFADD", "PFADD", [true, false, false, true]),
];

impl Command {
    /// The command's row in the table.
    #[must_use]
    pub fn spec(self) -> &'static CommandSpec {
        &COMMANDS[self as usize]
    }

    /// Whether it can change a key (the server's `write` flag).
    #[inline]
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(
            self,
            Command::Get
                | Command::StrLen
                | Command::Exists
                | Command::Touch
                | Command::HGet
                | Command::HGetAll
                | Command::LRange
                | Command::SIsMember
                | Command::ZRange
        )
    }

    /// Which type of value it needs; `None`: any.
    #[must_use]
    pub fn needs(self) -> Option<Needs> {
        match self {
            Command::Exists | Command::Del | Command::Unlink | Command::Expire | Command::Persist | Command::Touch => {
                None
            }
            Command::Incr => Some(Needs::Int),
            Command::Append | Command::SetRange | Command::SetBit => Some(Needs::Bytes),
            Command::PfAdd => Some(Needs::HyperLogLog),
            Command::Get
            | Command::StrLen
            | Command::Set
            | Command::SetEx
            | Command::SetPx
            | Command::SetKeepTtl
            | Command::SetNx
            | Command::SetXx
            | Command::SetNxPlain
            | Command::GetEx
            | Command::GetExPersist
            | Command::GetDel => Some(Needs::String),
            Command::HSet
            | Command::HDel
            | Command::HIncrBy
            | Command::HExpire
            | Command::HPersist
            | Command::HGet
            | Command::HGetAll => Some(Needs::Hash),
            Command::LPush | Command::RPush | Command::LPop | Command::RPop | Command::LRange | Command::LTrim => {
                Some(Needs::List)
            }
            Command::SAdd | Command::SRem | Command::SIsMember => Some(Needs::Set),
            Command::ZAdd | Command::ZRem | Command::ZIncrBy | Command::ZRange => Some(Needs::Zset),
            Command::XAdd | Command::XDel | Command::XReadGroup | Command::XAck => Some(Needs::Stream),
        }
    }

    /// Whether it can name several elements at once.
    #[must_use]
    pub fn takes_several(self) -> bool {
        matches!(
            self,
            Command::HSet
                | Command::HDel
                | Command::LPush
                | Command::RPush
                | Command::LPop
                | Command::RPop
                | Command::SAdd
                | Command::SRem
                | Command::ZAdd
                | Command::ZRem
                | Command::XReadGroup
                | Command::XAck
                | Command::XDel
        )
    }

    /// Whether it touches elements of a collection.
    #[must_use]
    pub fn is_of_collection(self) -> bool {
        matches!(self.needs(), Some(Needs::Hash | Needs::List | Needs::Set | Needs::Zset | Needs::Stream))
    }

    /// The command that a scenario calls `name` (upper or lower case).
    #[must_use]
    pub fn find(name: &str) -> Option<Command> {
        COMMANDS.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_enum_and_names_are_unique() {
        for (i, row) in COMMANDS.iter().enumerate() {
            assert_eq!(row.command as usize, i, "{}", row.name);
            assert_eq!(Command::find(row.name), Some(row.command));
            assert_eq!(Command::find(&row.name.to_lowercase()), Some(row.command));
        }
        assert_eq!(Command::find("FLUSHALL"), None);
    }
}
