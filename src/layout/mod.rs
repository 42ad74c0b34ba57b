//! What the server allocates for one value: pure functions, exact to the byte, one file for each data type.
//!
//! Strings take lengths and return requests or size classes.  A collection is a small state ([`hash::Hash`],
//! [`set::Set`], [`zset::Zset`], [`list::List`], [`stream::Stream`]): operations take the lengths of the elements they
//! touch, tell a [`Tally`] which size classes they allocate and free, and leave the exact bytes behind.  The golden
//! rule: every heap object costs the class of what it requested.

mod allocation;
pub mod dict;
pub mod field_index;
pub mod field_ttl;
pub mod hash;
pub mod hyperloglog;
pub mod intset;
pub mod key;
mod limits;
pub mod list;
pub mod listpack;
pub mod rax;
pub mod rdb;
pub mod resp;
pub mod sds;
pub mod set;
pub mod skiplist;
pub mod stream;
pub mod string;
pub mod zset;

use crate::profile::Packing;
pub use allocation::{Allocation, Rules, Tally, total};
pub use limits::Limits;
pub use listpack::Element;

/// How a collection is kept, by the name that `OBJECT ENCODING` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One block, 6.2.
    Ziplist,
    /// One block.
    Listpack,
    /// One block, where a field has a TTL.
    ListpackEx,
    /// Integers in one block.
    Intset,
    /// A table.
    Hashtable,
    /// A skiplist and a table.
    Skiplist,
    /// Linked blocks.
    Quicklist,
    /// A radix tree of blocks.
    Stream,
}

impl Encoding {
    /// That of a packed block.
    #[must_use]
    pub fn packed(packing: Packing) -> Encoding {
        match packing {
            Packing::Ziplist => Encoding::Ziplist,
            Packing::Listpack => Encoding::Listpack,
        }
    }

    /// The server's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Ziplist => "ziplist",
            Encoding::Listpack => "listpack",
            Encoding::ListpackEx => "listpackex",
            Encoding::Intset => "intset",
            Encoding::Hashtable => "hashtable",
            Encoding::Skiplist => "skiplist",
            Encoding::Quicklist => "quicklist",
            Encoding::Stream => "stream",
        }
    }
}
