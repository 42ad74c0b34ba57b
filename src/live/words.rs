//! A request of the simulated stream as a command of a real client: names of keys, values, options.

use super::resp;
use crate::command::Command;
use crate::node::{Payload, Write};
use crate::sim::Sent;

/// Signs of key names, in the order of their values as digits.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
/// Bytes that values are cut from (B); longer values repeat them.
const NOISE: usize = 1 << 20;

/// Writes commands.
#[derive(Debug)]
pub(super) struct Words {
    noise: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What SET says besides its TTL.
enum SetOption {
    Nothing,
    KeepTtl,
    Nx,
    Xx,
}

impl Words {
    pub(super) fn new() -> Words {
        // Printable bytes that do not compress: xorshift64.  Source: Marsaglia, "Xorshift RNGs", 2003.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'!' + (state >> 32) as u8 % 94
        };
        Words { noise: std::iter::repeat_with(byte).take(NOISE).collect(), key: Vec::new(), value: Vec::new() }
    }

    /// Appends the command of a request, or the write that follows its miss.
    pub(super) fn command(&mut self, out: &mut Vec<u8>, sent: &Sent, command: Command, write: &Write) {
        name(&mut self.key, sent.keyspace, sent.number, sent.key_length);
        self.value(write.payload, sent.number);
        let (key, value) = (self.key.as_slice(), self.value.as_slice());
        let seconds = write.ttl_ms.map(|ms| ms.div_ceil(1000).max(1).to_string());
        let offset = write.offset.to_string();
        let offset = offset.as_bytes();
        let mut set = |option| set(out, key, value, write.ttl_ms, &option);
        let words: &[&[u8]] = match command {
            Command::Set | Command::SetEx | Command::SetPx => return set(SetOption::Nothing),
            Command::SetKeepTtl => return set(SetOption::KeepTtl),
            Command::SetNx => return set(SetOption::Nx),
            Command::SetXx => return set(SetOption::Xx),
            Command::SetNxPlain => &[b"SETNX", key, value],
            Command::GetEx => match &seconds {
                Some(seconds) => &[b"GETEX", key, b"EX", seconds.as_bytes()],
                None => &[b"GETEX", key],
            },
            Command::GetExPersist => &[b"GETEX", key, b"PERSIST"],
            Command::Expire => match &seconds {
                Some(seconds) => &[b"EXPIRE", key, seconds.as_bytes()],
                // Without a TTL nothing changes but the key's clock.
                None => &[b"TOUCH", key],
            },
            Command::Append => &[b"APPEND", key, value],
            Command::SetRange => &[b"SETRANGE", key, offset, value],
            // Get, StrLen, Exists, GetDel, Incr, Del, Unlink, Persist, Touch; others are refused beforehand.
            other => &[other.spec().base.as_bytes(), key],
        };
        resp::command(out, words);
    }

    /// What is stored: never an integer unless it is to be one.
    fn value(&mut self, payload: Payload, number: u64) {
        self.value.clear();
        match payload {
            Payload::Int(value) => self.value.extend_from_slice(value.to_string().as_bytes()),
            Payload::Bytes(length) => {
                let mut left = length as usize;
                let mut from = (number.wrapping_mul(7919) % NOISE as u64) as usize;
                while left > 0 {
                    let part = left.min(NOISE - from);
                    self.value.extend_from_slice(&self.noise[from..from + part]);
                    (left, from) = (left - part, 0);
                }
                if let Some(first) = self.value.first_mut() {
                    *first = b'v';
                }
            }
            Payload::Distinct(_) => {}
        }
    }
}

fn set(out: &mut Vec<u8>, key: &[u8], value: &[u8], ttl_ms: Option<u64>, option: &SetOption) {
    let millis = ttl_ms.map(|ms| ms.max(1).to_string());
    let mut words: Vec<&[u8]> = vec![b"SET", key, value];
    match option {
        SetOption::Nothing => {}
        SetOption::KeepTtl => words.push(b"KEEPTTL"),
        SetOption::Nx => words.push(b"NX"),
        SetOption::Xx => words.push(b"XX"),
    }
    if let (Some(millis), false) = (&millis, matches!(option, SetOption::KeepTtl)) {
        words.extend_from_slice(&[b"PX", millis.as_bytes()]);
    }
    resp::command(out, &words);
}

/// The name of a key: a sign of its keyspace, and its number in so many digits to base 64 as make the length.
fn name(name: &mut Vec<u8>, keyspace: usize, number: u64, length: u64) {
    name.clear();
    name.resize(length.max(1) as usize, DIGITS[0]);
    let mut rest = number;
    for sign in name[1..].iter_mut().rev() {
        *sign = DIGITS[(rest % 64) as usize];
        rest /= 64;
    }
    name[0] = DIGITS[63 - keyspace % 64];
}

/// How many keys have names of their own at a length.
pub(super) fn names_of_length(length: u64) -> u64 {
    64_u64.checked_pow(u32::try_from(length.saturating_sub(1)).unwrap_or(u32::MAX)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimTime;

    fn text(command: Command, payload: Payload, ttl_ms: Option<u64>) -> String {
        let write = Write { key_length: 4, payload, offset: 7, ttl_ms };
        let sent = Sent {
            at: SimTime::ZERO,
            group: None,
            keyspace: 0,
            number: 65,
            key_length: 4,
            command,
            write,
            on_miss: None,
        };
        let mut out = Vec::new();
        Words::new().command(&mut out, &sent, command, &write);
        let text = String::from_utf8(out).expect("printable");
        let words: Vec<&str> = text.split("\r\n").filter(|line| !line.starts_with(['*', '$'])).collect();
        words.join(" ").trim_end().to_owned()
    }

    #[test]
    fn commands_carry_the_options_that_the_model_follows() {
        let int = Payload::Int(5);
        assert_eq!(text(Command::Get, int, None), "GET _011");
        assert_eq!(text(Command::Set, int, Some(1500)), "SET _011 5 PX 1500");
        assert_eq!(text(Command::SetEx, int, Some(2000)), "SET _011 5 PX 2000");
        assert_eq!(text(Command::SetKeepTtl, int, Some(9)), "SET _011 5 KEEPTTL");
        assert_eq!(text(Command::SetNx, int, None), "SET _011 5 NX");
        assert_eq!(text(Command::GetEx, int, Some(1500)), "GETEX _011 EX 2");
        assert_eq!(text(Command::Expire, int, Some(2000)), "EXPIRE _011 2");
        assert_eq!(text(Command::SetRange, Payload::Bytes(1), None), "SETRANGE _011 7 v");
        assert_eq!(text(Command::Incr, int, None), "INCR _011");
        assert_eq!(text(Command::Unlink, int, None), "UNLINK _011");
    }

    #[test]
    fn values_have_their_length_and_are_no_integers() {
        let mut words = Words::new();
        for length in [0, 1, 20, 3 << 20] {
            words.value(Payload::Bytes(length), u64::MAX);
            assert_eq!(words.value.len() as u64, length);
            assert!(words.value.first().is_none_or(|&first| first == b'v'));
        }
    }

    #[test]
    fn names_differ_by_keyspace_and_number() {
        let of = |keyspace, number, length| {
            let mut text = Vec::new();
            name(&mut text, keyspace, number, length);
            String::from_utf8(text).expect("printable")
        };
        assert_eq!(of(0, 64, 5), "_0010");
        assert_eq!(of(1, 64, 5), "-0010");
        assert_ne!(of(0, 63, 5), of(0, 64, 5));
        assert_eq!((names_of_length(1), names_of_length(3), names_of_length(100)), (1, 4096, u64::MAX));
    }
}
