//! Strings that know their length and capacity.

use capsim::profile::SizeClasses;

/// Header and longest string of each type (B).
const TYPES: [(u64, u64); 5] = [(1, 31), (3, 255), (5, 65_535), (9, u32::MAX as u64), (17, u64::MAX)];

/// Source: `sdsReqType`; empty strings, and those that grow, have no header of type 5.
fn header(length: u64, grows: bool) -> (u64, u64) {
    let from = usize::from(grows || length == 0);
    TYPES.into_iter().skip(from).find(|&(_, longest)| length <= longest).expect("a type")
}

/// `sdsnewlen` (B).
pub(crate) fn request(length: u64) -> u64 {
    header(length, false).0 + length + 1
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sds {
    pub(crate) length: u64,
    /// What fits, as its header says (B).
    pub(crate) capacity: u64,
    /// Its block (B).
    pub(crate) class: u64,
    /// The header cannot say how much fits.
    pub(crate) capped: bool,
}

impl Sds {
    pub(crate) fn new(length: u64, classes: SizeClasses) -> Sds {
        let (header, longest) = header(length, false);
        let class = classes.class(header + length + 1);
        // The header of type 5 has no capacity.
        let room = if header == 1 { length } else { class - header - 1 };
        Sds { length, capacity: room.min(longest), class, capped: room > longest }
    }

    /// `sdsResize` to what it holds, as `trimStringObjectIfNeeded` asks.
    pub(crate) fn trim(&mut self) {
        if self.capacity - self.length > self.length / 10 {
            self.capacity = self.length;
        }
    }

    /// `sdscatlen`, `sdsgrowzero`: `sdsMakeRoomFor`, greedy.
    pub(crate) fn grow(&mut self, length: u64, classes: SizeClasses) {
        if length > self.capacity {
            let wanted = if length < 1024 * 1024 { 2 * length } else { length + 1024 * 1024 };
            let (header, longest) = header(wanted, true);
            self.class = classes.class(header + wanted + 1);
            let room = self.class - header - 1;
            self.capacity = room.min(longest);
            self.capped = room > longest;
        }
        self.length = self.length.max(length);
    }
}
