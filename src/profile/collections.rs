//! What collections are made of, by release: struct sizes, thresholds, and which variant of each structure.
//!
//! One constant for each release; it states only what differs from its parent.  Sizes are bytes requested.
//! Source, unless a line says otherwise: the release's own `src/*.h` and `src/t_*.c`; every release but 8.2 *measured*
//! (`validation/layouts/collections.jsonl`).

/// How small collections are packed into one allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `ziplist.c`: an entry holds the length of the one before it.
    Ziplist,
    /// `listpack.c`: an entry holds its own length at its end.
    Listpack,
}

/// The hash table inside hashes, sets and sorted sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `dict.c`: an array of pointers to chained entries.
    Dict,
    /// Valkey's `hashtable.c`: buckets of 64 bytes that hold seven pointers; a full one gets a child bucket.
    Hashtable,
}

/// When a table shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrink {
    /// Fewer than a tenth as many elements as buckets, in whole percent (6.2 to 7.2).
    BelowTenth,
    /// An eighth as many elements as buckets, or fewer (7.4, Valkey 8.0).
    Eighth,
    /// At most 13 % of the places are taken (`hashtable.c`).
    Fill13,
}

/// Steps of incremental rehash that a command's dictionary calls make, by structure; conversions make one an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RehashSteps {
    /// HSET of a new field.
    pub hash_insert: u64,
    /// SADD of a new member.
    pub set_insert: u64,
    /// ZADD of a new member.
    pub zset_insert: u64,
    /// A deletion.
    pub remove: u64,
    /// A lookup, or an overwrite.
    pub lookup: u64,
}

/// How a hash in a table keeps a field and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashEntry {
    /// An entry, a string and a string.
    Separate,
    /// Both strings in one allocation of at most so many bytes; else the value apart.
    Embedded {
        /// Longest allocation that holds both (B).
        longest: u64,
    },
}

/// How the header of a hash's field in a table is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldString {
    /// `sds.c`.
    Sds,
    /// `mstr.c`: three bytes up to 65 535 (7.4 on).
    Mstr,
}

/// What TTLs of a hash's fields cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldTtl {
    /// The release has none.
    None,
    /// A packed hash has a third element for each field; a field in a table has room in front of its string (7.4).
    Ebuckets {
        /// Struct of a packed hash, `sizeof(listpackEx)` (B).
        packed: u64,
        /// What a table has more, `sizeof(dictExpireMetadata)` (B).
        metadata: u64,
        /// What a field with a TTL has more: `sizeof(ExpireMeta)` and the flags of its string (B).
        room: u64,
    },
    /// A hash becomes a table; the entry of a field with a TTL holds it (Valkey 9).
    VolatileSet {
        /// What an entry with a TTL has more (B).
        room: u64,
    },
}

/// How a sorted set keeps a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkiplistNode {
    /// A node, and a string that node and table share.
    Separate,
    /// The node holds the string (Valkey 9.1).
    EmbedsMember,
}

/// What `MEMORY USAGE` adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Bytes of a packed collection as it counts itself, without its class (6.2).
    pub packed_nominal: bool,
    /// Bytes of a list's nodes as they count themselves, without their class (6.2).
    pub list_nominal: bool,
    /// Nodes of a list come out as their mean times their number in floating point, which may lose a byte.
    pub list_mean: bool,
    /// What it counts for a key beside the value object.
    pub key: KeyUsage,
    /// A set's entry counts as 24 although it has none, or one of 16 (7.2 to 8.0).
    pub set_entry_nominal: bool,
    /// A radix tree's node counts as so many bytes, and a listpack's as 16 more; else by class.
    pub stream_node: Option<u64>,
}

/// What `MEMORY USAGE` counts for a key beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsage {
    /// The key string's class and an entry of 24.
    StringAndEntry,
    /// The entry's class (Valkey 8.0).
    Entry,
    /// Nothing, and 16 for the object (Valkey 8.1).
    ObjectNominal,
    /// The object's class (Valkey 9.1, 8.2).
    Object,
}

/// What one release makes keys and collections of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collections {
    /// Small hashes, sorted sets and nodes of lists.
    pub packing: Packing,
    /// The table of large hashes, sets and sorted sets.
    pub table: Table,
    /// Its header (B).
    pub table_header: u64,
    /// What a hash's table has more (B).
    pub hash_metadata: u64,
    /// When it shrinks.
    pub shrink: Shrink,
    /// How fast it rehashes.
    pub rehash: RehashSteps,
    /// A step moves the bucket that the command looks at, where it has not moved yet (7.4, not `hashtable.c`).
    pub rehash_visited: bool,
    /// A hash that outgrows its packing sizes its table at once (7.0).
    pub hash_presized: bool,
    /// A sorted set does so too, and commands tell how many elements they bring (7.2).
    pub size_hints: bool,
    /// Fields and values of a hash in a table.
    pub hash_entry: HashEntry,
    /// Headers of a hash's fields.
    pub field_string: FieldString,
    /// TTLs of a hash's fields.
    pub field_ttl: FieldTtl,
    /// Small sets of strings are packed (7.2).
    pub set_packed: bool,
    /// A set's table has entries for chained members only (7.2).
    pub set_chained_only: bool,
    /// Members of sorted sets.
    pub skiplist_node: SkiplistNode,
    /// A sorted set's table has an entry of 24 for each member.
    pub zset_entry: bool,
    /// Scores with a fraction are printed as briefly as possible (7.2), not with 17 digits.
    pub score_shortest: bool,
    /// `sizeof(quicklistNode)` (B).
    pub quicklist_node: u64,
    /// Small lists are one listpack without a quicklist (7.2).
    pub list_packed: bool,
    /// Elements above a node's limit are stored without packing (7.4).
    pub list_plain_nodes: bool,
    /// `sizeof(stream)` (B).
    pub stream: u64,
    /// `sizeof(streamCG)` (B).
    pub stream_group: u64,
    /// `sizeof(streamConsumer)` (B).
    pub stream_consumer: u64,
    /// `sizeof(rax)` (B).
    pub rax: u64,
    /// A sparse HyperLogLog grows by what it has, but by so many bytes at most (B).
    pub hll_growth: u64,
    /// `MEMORY USAGE`.
    pub memory_usage: MemoryUsage,
}

/// Redis 6.2.16.
pub const REDIS_6_2: Collections = Collections {
    packing: Packing::Ziplist,
    table: Table::Dict,
    table_header: 96,
    hash_metadata: 0,
    shrink: Shrink::BelowTenth,
    // measured: 1024 elements in 1024 buckets take 327 HSETs, 654 SADDs and 327 ZADDs of new elements
    rehash: RehashSteps { hash_insert: 2, set_insert: 1, zset_insert: 2, remove: 1, lookup: 1 },
    rehash_visited: false,
    hash_presized: false,
    size_hints: false,
    hash_entry: HashEntry::Separate,
    field_string: FieldString::Sds,
    field_ttl: FieldTtl::None,
    set_packed: false,
    set_chained_only: false,
    skiplist_node: SkiplistNode::Separate,
    zset_entry: true,
    score_shortest: false,
    quicklist_node: 32,
    list_packed: false,
    list_plain_nodes: false,
    stream: 40,
    stream_group: 32,
    stream_consumer: 24,
    rax: 24,
    hll_growth: u64::MAX,
    memory_usage: MemoryUsage {
        packed_nominal: true,
        list_nominal: true,
        list_mean: true,
        key: KeyUsage::StringAndEntry,
        set_entry_nominal: false,
        stream_node: Some(244),
    },
};

/// Redis 7.0.15.
pub const REDIS_7_0: Collections = Collections {
    packing: Packing::Listpack,
    table_header: 56,
    hash_presized: true,
    quicklist_node: 40,
    stream: 80,
    stream_group: 40,
    memory_usage: MemoryUsage { packed_nominal: false, list_nominal: false, ..REDIS_6_2.memory_usage },
    ..REDIS_6_2
};

/// Redis 7.2.6.
pub const REDIS_7_2: Collections = Collections {
    rehash: RehashSteps { hash_insert: 1, ..REDIS_7_0.rehash },
    size_hints: true,
    set_packed: true,
    set_chained_only: true,
    score_shortest: true,
    list_packed: true,
    stream_consumer: 32,
    // measured: Redis 8.0.2, Valkey 9.1.2; assumed for 7.2 and 7.4
    hll_growth: 300,
    memory_usage: MemoryUsage { set_entry_nominal: true, ..REDIS_7_0.memory_usage },
    ..REDIS_7_0
};

/// Redis 7.4.1.
pub const REDIS_7_4: Collections = Collections {
    shrink: Shrink::Eighth,
    // source: src/dict.c, dictBucketRehash; measured: a set of 20 000 while it moves has 900 more chained members
    rehash_visited: true,
    field_string: FieldString::Mstr,
    // source: src/t_hash.c, src/mstr.h; measured: redis 8.0.2, hashes of ten and of 600 fields
    field_ttl: FieldTtl::Ebuckets { packed: 32, metadata: 32, room: 18 },
    list_plain_nodes: true,
    ..REDIS_7_2
};

/// Redis 8.0.2.
pub const REDIS_8_0: Collections = Collections {
    // measured: 34 464 HSETs after 65 536 buckets began to move it is over, so that they make two steps each
    rehash: RehashSteps { hash_insert: 2, ..REDIS_7_4.rehash },
    // measured: the byte that other releases lose with 3798 nodes is there
    memory_usage: MemoryUsage { list_mean: false, ..REDIS_7_4.memory_usage },
    ..REDIS_7_4
};

/// Redis 8.2: read in its pull requests, not measured.
pub const REDIS_8_2: Collections =
    Collections { memory_usage: MemoryUsage { key: KeyUsage::Object, ..REDIS_8_0.memory_usage }, ..REDIS_8_0 };

/// Valkey 8.0.1.
pub const VALKEY_8_0: Collections = Collections {
    field_string: FieldString::Sds,
    field_ttl: FieldTtl::None,
    memory_usage: MemoryUsage { key: KeyUsage::Entry, set_entry_nominal: false, ..REDIS_7_2.memory_usage },
    ..REDIS_7_4
};

/// Valkey 8.1.1.
pub const VALKEY_8_1: Collections = Collections {
    table: Table::Hashtable,
    table_header: 72,
    // measured: 103 HSETs or SADDs after the table of 128 buckets began to move it is not yet over, 103 ZADDs after it is
    rehash: RehashSteps { hash_insert: 1, set_insert: 1, zset_insert: 2, remove: 1, lookup: 1 },
    shrink: Shrink::Fill13,
    rehash_visited: false,
    hash_entry: HashEntry::Embedded { longest: 128 },
    zset_entry: false,
    rax: 32,
    memory_usage: MemoryUsage { key: KeyUsage::ObjectNominal, stream_node: None, ..VALKEY_8_0.memory_usage },
    ..VALKEY_8_0
};

/// Valkey 9.1.2.
pub const VALKEY_9_1: Collections = Collections {
    // measured: a set of 129 members
    table_header: 80,
    // measured: a hash of 513 fields; source: src/t_hash.c, the set of fields with a TTL
    hash_metadata: 8,
    // measured: HEXPIRE of fields of a hash of 600
    field_ttl: FieldTtl::VolatileSet { room: 8 },
    skiplist_node: SkiplistNode::EmbedsMember,
    memory_usage: MemoryUsage { key: KeyUsage::Object, ..VALKEY_8_1.memory_usage },
    ..VALKEY_8_1
};
