//! What a server allocates for a value, built element by element as its source does it: slow, and independent of the
//! layouts that are tested against it.  Sizes of structs are of the releases' headers.

pub(crate) mod dict;
pub(crate) mod packed;
pub(crate) mod quicklist;
pub(crate) mod sds;
pub(crate) mod stream;

use capsim::profile::SizeClasses;

/// A release, as far as collections go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    /// `ziplist.c` in place of `listpack.c`.
    pub(crate) ziplist: bool,
    /// `sizeof(dict)`, or of Valkey's `hashtable` (B).
    pub(crate) table: u64,
    /// What a hash's has more (B).
    pub(crate) hash_metadata: u64,
    /// Valkey's `hashtable.c`: buckets of 64 bytes, fields and values in one block, nodes of sorted sets in the table.
    pub(crate) hashtable: bool,
    /// Small sets are listpacks, small lists too, sets' tables have no values, commands tell how much they bring.
    pub from_7_2: bool,
    /// Long elements of lists are plain nodes.
    pub(crate) plain_nodes: bool,
    /// A sorted set's node holds its member.
    pub(crate) node_holds_member: bool,
    /// `sizeof(quicklistNode)`, `stream`, `streamCG`, `streamConsumer`, `rax` (B).
    pub(crate) quicklist_node: u64,
    pub(crate) stream: u64,
    pub(crate) group: u64,
    pub(crate) consumer: u64,
    pub(crate) rax: u64,
}

impl Server {
    pub(crate) fn of(release: &str) -> Server {
        let redis_6_2 = Server {
            ziplist: true,
            table: 96,
            hash_metadata: 0,
            hashtable: false,
            from_7_2: false,
            plain_nodes: false,
            node_holds_member: false,
            quicklist_node: 32,
            stream: 40,
            group: 32,
            consumer: 24,
            rax: 24,
        };
        let redis_7_0 = Server { ziplist: false, table: 56, quicklist_node: 40, stream: 80, group: 40, ..redis_6_2 };
        let redis_7_2 = Server { from_7_2: true, consumer: 32, ..redis_7_0 };
        let redis_7_4 = Server { plain_nodes: true, ..redis_7_2 };
        let valkey_8_1 = Server { hashtable: true, table: 72, rax: 32, ..redis_7_4 };
        match release {
            "redis-6.2" => redis_6_2,
            "redis-7.0" => redis_7_0,
            "redis-7.2" => redis_7_2,
            "redis-7.4" | "redis-8.0" | "redis-8.2" | "valkey-8.0" => redis_7_4,
            "valkey-8.1" => valkey_8_1,
            "valkey-9.1" => Server { table: 80, hash_metadata: 8, node_holds_member: true, ..valkey_8_1 },
            other => panic!("{other}"),
        }
    }
}

/// What blocks of these requests cost (B).
pub(crate) fn cost(requests: impl IntoIterator<Item = u64>, classes: SizeClasses) -> u64 {
    requests.into_iter().map(|request| classes.class(request)).sum()
}
