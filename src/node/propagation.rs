//! What a write looks like to replicas: the command that is propagated for it, and its length.
//!
//! Commands with a relative TTL are rewritten to an absolute one, deletions of any cause to DEL.
//! Source: redis 7.0.15 `src/t_string.c`, `src/expire.c`, `src/db.c` (`propagateDeletion`).

use super::keys::{NIL, NO_ID, Sizes, Slot};
use super::{KeyRef, Node, Payload, Write, string};
use crate::command::Command;
use crate::layout::resp;

/// Digits of a Unix time in milliseconds.
const UNIX_MS: u64 = 13;
/// Lengths of command names and options.
const DEL: u64 = 3;
const SET: u64 = 3;
const PXAT: u64 = 4;
const PEXPIREAT: u64 = 9;

/// Length of a key (B), which the node knows only by its class: header and terminator are two bytes or more.
pub(super) fn key_length(sizes: Sizes) -> u64 {
    sizes.key_class().saturating_sub(2)
}

/// Length of a payload as it is sent (B).
pub(super) fn length(payload: Payload) -> u64 {
    match payload {
        Payload::Bytes(length) => length,
        Payload::Int(value) => string::digits(value),
    }
}

/// Bytes of the command that is propagated for a write to a key of `key` bytes (B).
fn propagated(command: Command, key: u64, write: &Write) -> u64 {
    let value = length(write.payload);
    let timed = write.ttl_ms.is_some();
    match command {
        Command::Set | Command::SetEx | Command::SetPx if timed => resp::command(&[SET, key, value, PXAT, UNIX_MS]),
        Command::Set | Command::SetEx | Command::SetPx => resp::command(&[SET, key, value]),
        Command::SetNx | Command::SetXx if timed => resp::command(&[SET, key, value, 2, PXAT, UNIX_MS]),
        Command::SetNx | Command::SetXx => resp::command(&[SET, key, value, 2]),
        Command::SetKeepTtl => resp::command(&[SET, key, value, 7]),
        Command::SetNxPlain => resp::command(&[5, key, value]),
        Command::GetEx | Command::Expire => resp::command(&[PEXPIREAT, key, UNIX_MS]),
        Command::GetExPersist | Command::Persist => resp::command(&[7, key]),
        Command::GetDel | Command::Del => resp::command(&[DEL, key]),
        Command::Unlink => resp::command(&[6, key]),
        Command::Incr => resp::command(&[4, key]),
        Command::Append => resp::command(&[6, key, value]),
        Command::SetRange => resp::command(&[8, key, string::digits(write.offset.cast_signed()), value]),
        Command::Get | Command::StrLen | Command::Exists | Command::Touch => 0,
    }
}

impl Node {
    /// A command that changed a key goes to replicas and to the append-only file.
    #[inline(never)]
    pub(super) fn propagate_command(&mut self, command: Command, key: KeyRef, write: &Write) {
        let slot = if key.id == NO_ID { NIL } else { self.keys.index[key.id as usize] };
        let known = if slot == NIL { 0 } else { key_length(self.keys.entries[slot as usize].sizes) };
        let length = if write.key_length > 0 { write.key_length } else { known };
        self.propagate(propagated(command, length, write));
    }

    /// A key that is deleted without a command of its own (evicted, expired) goes to replicas as DEL.
    #[inline]
    pub(super) fn propagate_deletion(&mut self, slot: Slot) {
        if self.propagates() {
            let key = key_length(self.keys.entries[slot as usize].sizes);
            self.propagate(resp::command(&[DEL, key]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_are_propagated_as_absolute_ones() {
        let write = Write { key_length: 1, payload: Payload::Bytes(1), offset: 0, ttl_ms: None };
        assert_eq!(propagated(Command::Set, 1, &write), resp::command(&[3, 1, 1]));
        let timed = Write { ttl_ms: Some(5), ..write };
        let text = "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nPXAT\r\n$13\r\n1700000000000\r\n";
        assert_eq!(propagated(Command::Set, 1, &timed), text.len() as u64);
        assert_eq!(propagated(Command::Get, 1, &write), 0);
    }
}
