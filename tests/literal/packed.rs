//! Listpacks, ziplists and intsets, byte by byte.

use capsim::layout::Element;

/// What an element says.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Int(i64),
    Text(Vec<u8>),
}

impl From<Element> for Item {
    fn from(element: Element) -> Item {
        match element {
            Element::Int(value) => Item::Int(value),
            Element::Bytes(length) => Item::Text(vec![b'x'; length as usize]),
        }
    }
}

impl Item {
    /// As a string (B).
    pub(crate) fn length(&self) -> u64 {
        match self {
            Item::Int(value) => value.to_string().len() as u64,
            Item::Text(text) => text.len() as u64,
        }
    }
}

/// Source: `listpack.c`, `lpEncodeIntegerGetType`, `lpEncodeString`.
fn listpack_entry(item: &Item) -> Vec<u8> {
    let tagged = |tag: u8, value: i64, bytes: usize| [&[tag], &value.to_le_bytes()[..bytes]].concat();
    let mut entry = match item {
        Item::Int(value @ 0..=127) => vec![*value as u8],
        Item::Int(value) if (-4096..4096).contains(value) => {
            let low = (*value & 0x1fff) as u16;
            vec![0xc0 | (low >> 8) as u8, low as u8]
        }
        Item::Int(value) if i16::try_from(*value).is_ok() => tagged(0xf1, *value, 2),
        Item::Int(value) if (-(1 << 23)..1 << 23).contains(value) => tagged(0xf2, *value, 3),
        Item::Int(value) if i32::try_from(*value).is_ok() => tagged(0xf3, *value, 4),
        Item::Int(value) => tagged(0xf4, *value, 8),
        Item::Text(text) => {
            let length = text.len() as u32;
            let head = match length {
                0..64 => vec![0x80 | length as u8],
                64..4096 => vec![0xe0 | (length >> 8) as u8, length as u8],
                _ => [&[0xf0][..], &length.to_le_bytes()].concat(),
            };
            [head, text.clone()].concat()
        }
    };
    // `lpEncodeBacklen`: seven bits a byte, the highest first, all but the first marked.
    let length = entry.len();
    let bytes = match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        _ => 4,
    };
    for place in (0..bytes).rev() {
        let low = (length >> (7 * place)) as u8 & 0x7f;
        entry.push(if place + 1 == bytes { low } else { low | 0x80 });
    }
    entry
}

/// A listpack: bytes and number of elements, elements, end.
pub(crate) fn listpack<'a>(items: impl IntoIterator<Item = &'a Item>) -> Vec<u8> {
    let (mut body, mut count) = (Vec::new(), 0_u16);
    for item in items {
        body.extend(listpack_entry(item));
        count = count.saturating_add(1);
    }
    let total = (4 + 2 + body.len() + 1) as u32;
    [&total.to_le_bytes()[..], &count.to_le_bytes(), &body, &[0xff]].concat()
}

/// Source: `ziplist.c`, `zipStoreEntryEncoding`, `zipTryEncoding`; the length of the entry before in front.
fn ziplist_entry(item: &Item, previous: usize) -> Vec<u8> {
    let mut entry = match previous {
        0..254 => vec![previous as u8],
        _ => [&[254][..], &(previous as u32).to_le_bytes()].concat(),
    };
    match item {
        Item::Int(value @ 0..=12) => entry.push(0xf1 + *value as u8),
        Item::Int(value) => {
            let (tag, bytes) = match value {
                -128..=127 => (0xfe, 1),
                -32_768..=32_767 => (0xc0, 2),
                -8_388_608..=8_388_607 => (0xf0, 3),
                -2_147_483_648..=2_147_483_647 => (0xd0, 4),
                _ => (0xe0, 8),
            };
            entry.push(tag);
            entry.extend(&value.to_le_bytes()[..bytes]);
        }
        Item::Text(text) => {
            let length = text.len() as u32;
            match length {
                0..=63 => entry.push(length as u8),
                64..=16_383 => entry.extend([0x40 | (length >> 8) as u8, length as u8]),
                _ => {
                    entry.push(0x80);
                    entry.extend(length.to_be_bytes());
                }
            }
            entry.extend(text);
        }
    }
    entry
}

/// A ziplist: bytes, where the last entry is, number of entries; entries; end.
pub(crate) fn ziplist<'a>(items: impl IntoIterator<Item = &'a Item>) -> Vec<u8> {
    let (mut bytes, mut previous) = (vec![0; 10], 0);
    for item in items {
        let entry = ziplist_entry(item, previous);
        previous = entry.len();
        bytes.extend(entry);
    }
    bytes.push(0xff);
    bytes
}

/// A packed block of a release (B).
pub(crate) fn packed<'a>(items: impl IntoIterator<Item = &'a Item>, ziplist_release: bool) -> u64 {
    (if ziplist_release { ziplist(items) } else { listpack(items) }).len() as u64
}

/// Integers of one width, sorted.  Source: `intset.c`, `intsetAdd`, `intsetUpgradeAndAdd`.
#[derive(Debug, Default)]
pub(crate) struct Intset {
    width: usize,
    members: Vec<u8>,
}

impl Intset {
    pub(crate) fn len(&self) -> usize {
        self.members.len() / self.width.max(1)
    }

    /// Adds a member that is not there.
    pub(crate) fn add(&mut self, member: i64) {
        let needs = if i16::try_from(member).is_ok() {
            2
        } else if i32::try_from(member).is_ok() {
            4
        } else {
            8
        };
        let width = self.width.max(needs);
        let mut wide: Vec<i64> = self.values();
        let place = wide.partition_point(|&other| other < member);
        wide.insert(place, member);
        self.width = width;
        self.members = wide.iter().flat_map(|value| value.to_le_bytes()[..width].to_vec()).collect();
    }

    pub(crate) fn values(&self) -> Vec<i64> {
        let width = self.width.max(1);
        let widened = |bytes: &[u8]| {
            let sign = if bytes[width - 1] & 0x80 == 0 { 0 } else { 0xff };
            let mut whole = [sign; 8];
            whole[..width].copy_from_slice(bytes);
            i64::from_le_bytes(whole)
        };
        self.members.chunks(width).map(widened).collect()
    }

    pub(crate) fn remove(&mut self, member: i64) {
        let mut values = self.values();
        values.retain(|&other| other != member);
        let width = self.width;
        self.members = values.iter().flat_map(|value| value.to_le_bytes()[..width].to_vec()).collect();
    }

    /// Encoding, length, members (B).
    pub(crate) fn bytes(&self) -> u64 {
        4 + 4 + self.members.len() as u64
    }
}
