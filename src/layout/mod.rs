//! What the server allocates for one value: pure functions, exact to the byte, one file for each data type.
//!
//! They take lengths and return requests or size classes; they keep no state.  The golden rule: every heap object
//! costs the class of what it requested.

pub mod resp;
pub mod sds;
pub mod string;
