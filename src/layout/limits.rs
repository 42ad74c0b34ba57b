//! Thresholds of encodings: the directives of redis.conf that say when a collection changes its structure.
//!
//! Source: `src/config.c`; the defaults are the same from 6.2 to Valkey 9.1.  6.2 calls them `…-ziplist-…`, later
//! releases take the old names as aliases.  `list-compress-depth` has no part: see [`super::list`].

/// Thresholds in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `hash-max-listpack-entries`: most fields of a packed hash.
    pub hash_entries: u64,
    /// `hash-max-listpack-value`: longest field or value of one (B).
    pub hash_value: u64,
    /// `set-max-intset-entries`: most members of an intset.
    pub intset_entries: u64,
    /// `set-max-listpack-entries`: most members of a packed set (7.2).
    pub set_entries: u64,
    /// `set-max-listpack-value`: longest member of one (B).
    pub set_value: u64,
    /// `zset-max-listpack-entries`: most members of a packed sorted set.
    pub zset_entries: u64,
    /// `zset-max-listpack-value`: longest member of one (B).
    pub zset_value: u64,
    /// `list-max-listpack-size`: most elements of a list's node, or, negative, its size: −1 is 4 KiB, −5 is 64 KiB.
    pub list_size: i64,
    /// `stream-node-max-bytes`: size from which a stream's node is full; 0: no limit (B).
    pub stream_bytes: u64,
    /// `stream-node-max-entries`: most entries of one; 0: no limit.
    pub stream_entries: u64,
    /// `hll-sparse-max-bytes`: longest sparse HyperLogLog (B).
    pub hll_sparse: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            hash_entries: 512,
            hash_value: 64,
            intset_entries: 512,
            set_entries: 128,
            set_value: 64,
            zset_entries: 128,
            zset_value: 64,
            list_size: -2,
            stream_bytes: 4096,
            stream_entries: 100,
            hll_sparse: 3000,
        }
    }
}

impl Limits {
    /// The directives by their present names.
    pub const NAMES: &'static [&'static str] = &[
        "hash-max-listpack-entries",
        "hash-max-listpack-value",
        "set-max-intset-entries",
        "set-max-listpack-entries",
        "set-max-listpack-value",
        "zset-max-listpack-entries",
        "zset-max-listpack-value",
        "list-max-listpack-size",
        "stream-node-max-bytes",
        "stream-node-max-entries",
        "hll-sparse-max-bytes",
    ];

    /// Sets the directive `name`, in its present or its old form, to `value`; false when there is none of that name.
    pub fn set(&mut self, name: &str, value: i64) -> bool {
        let count = value.max(0).cast_unsigned();
        match name.replace("ziplist", "listpack").as_str() {
            "hash-max-listpack-entries" => self.hash_entries = count,
            "hash-max-listpack-value" => self.hash_value = count,
            "set-max-intset-entries" => self.intset_entries = count,
            "set-max-listpack-entries" => self.set_entries = count,
            "set-max-listpack-value" => self.set_value = count,
            "zset-max-listpack-entries" => self.zset_entries = count,
            "zset-max-listpack-value" => self.zset_value = count,
            "list-max-listpack-size" => self.list_size = value,
            "stream-node-max-bytes" => self.stream_bytes = count,
            "stream-node-max-entries" => self.stream_entries = count,
            "hll-sparse-max-bytes" => self.hll_sparse = count,
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_is_set_by_its_name() {
        let mut limits = Limits::default();
        for (index, name) in Limits::NAMES.iter().enumerate() {
            assert!(limits.set(name, 1000 + index as i64), "{name}");
        }
        assert_eq!((limits.hash_entries, limits.list_size, limits.hll_sparse), (1000, 1007, 1010));
        assert!(limits.set("zset-max-ziplist-entries", 3), "the name of 6.2");
        assert_eq!(limits.zset_entries, 3);
        assert!(!limits.set("maxmemory", 1));
    }
}
