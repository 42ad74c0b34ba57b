//! What a write looks like to replicas: the command that is propagated for it, and its length.
//!
//! Commands with a relative TTL are rewritten to an absolute one (SET drops NX and XX with it), deletions of any cause to
//! DEL.  A write that met an expired key is sent with that key's DEL between MULTI and EXEC.  The length of a key that a
//! command does not bring is the mean of its keyspace: exact where all are alike.
//! *measured*: `master_repl_offset` of 7.0.15 after each command.
//! Source: redis 7.0.15 `src/t_string.c`, `src/expire.c`, `src/db.c` (`propagateDeletion`).

use super::keys::Slot;
use super::{ElementWrite, Elements, KeyRef, Node, Payload, Write, string};
use crate::command::{COMMANDS, Command, Needs};
use crate::layout::resp;

/// Digits of a Unix time in milliseconds.
const UNIX_MS: u64 = 13;
/// Lengths of command names and options.
const DEL: u64 = 3;
const SET: u64 = 3;
const PXAT: u64 = 4;
const PEXPIREAT: u64 = 9;
const HPEXPIREAT: u64 = 10;
/// Length of an element of PFADD.  *assumed*: short identifiers.
const PFADD_ELEMENT: u64 = 16;
/// Length of a stream's ID: milliseconds, a dash and a digit.
const STREAM_ID: u64 = 15;

/// `*1\r\n$5\r\nMULTI\r\n` and `*1\r\n$4\r\nEXEC\r\n` (B).
const TRANSACTION: u64 = 15 + 14;

/// Lengths of the names of a keyspace's keys, all that were ever made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Names {
    made: u64,
    bytes: u64,
}

impl Names {
    /// A key was made.
    #[inline]
    pub(super) fn note(&mut self, length: u64) {
        self.made += 1;
        self.bytes += length;
    }

    /// Mean length (B).
    pub(super) fn mean(self) -> u64 {
        (self.bytes + self.made / 2).checked_div(self.made).unwrap_or(0)
    }
}

/// Length of a payload as it is sent (B).
pub(super) fn length(payload: Payload) -> u64 {
    match payload {
        Payload::Bytes(length) => length,
        Payload::Int(value) => string::digits(value),
        Payload::Distinct(_) => PFADD_ELEMENT,
    }
}

/// Bytes of the command that is propagated for a write to a key of `key` bytes (B).
fn propagated(command: Command, key: u64, write: &Write) -> u64 {
    let value = length(write.payload);
    let timed = write.ttl_ms.is_some();
    match command {
        Command::Set | Command::SetEx | Command::SetPx | Command::SetNx | Command::SetXx if timed => {
            resp::command(&[SET, key, value, PXAT, UNIX_MS])
        }
        Command::Set | Command::SetEx | Command::SetPx => resp::command(&[SET, key, value]),
        Command::SetNx | Command::SetXx => resp::command(&[SET, key, value, 2]),
        Command::SetKeepTtl => resp::command(&[SET, key, value, 7]),
        Command::SetNxPlain => resp::command(&[5, key, value]),
        Command::GetEx | Command::Expire => resp::command(&[PEXPIREAT, key, UNIX_MS]),
        Command::GetExPersist | Command::Persist => resp::command(&[7, key]),
        Command::GetDel | Command::Del => resp::command(&[DEL, key]),
        Command::Unlink => resp::command(&[6, key]),
        Command::Incr => resp::command(&[4, key]),
        Command::Append => resp::command(&[6, key, value]),
        Command::PfAdd => resp::command(&[5, key, value]),
        Command::SetRange => resp::command(&[8, key, string::digits(write.offset.cast_signed()), value]),
        Command::SetBit => resp::command(&[6, key, string::digits((write.offset * 8).cast_signed()), 1]),
        // Reads; and what comes by `propagate_elements`.
        _ => 0,
    }
}

/// Name of the command that is propagated for one, without its subcommand.
fn propagated_name(command: Command) -> &'static str {
    match command {
        Command::GetEx | Command::Expire => "PEXPIREAT",
        Command::GetExPersist => "PERSIST",
        Command::GetDel => "DEL",
        Command::HExpire => "HPEXPIREAT",
        other => other.spec().base,
    }
}

impl Node {
    /// Notes that a command was propagated, by its number.
    #[inline]
    fn note_sent(&mut self, command: Command) {
        self.commands_sent |= 1 << command as u64;
    }

    /// Names of the commands that were propagated so far.
    pub(crate) fn sent_commands(&self) -> impl Iterator<Item = &'static str> {
        let sent = self.commands_sent;
        let rows = COMMANDS.iter().map(|row| row.command);
        rows.filter(move |&command| sent & (1 << command as u64) != 0).map(propagated_name)
    }

    /// A command that changed a key goes to replicas and to the append-only file.
    #[inline(never)]
    pub(super) fn propagate_command(&mut self, command: Command, key: KeyRef, write: &Write) {
        self.note_sent(command);
        let known = self.names[key.keyspace as usize].mean();
        let length = if write.key_length > 0 { write.key_length } else { known };
        // The server opens a transaction when the command has deleted an expired key before.
        let expired = self.expired_in == self.counters.total_commands_processed;
        self.propagate(propagated(command, length, write) + if expired { TRANSACTION } else { 0 });
    }

    /// A command on a collection goes to replicas with all its elements, and the EXPIRE and the trim that follow it.
    #[inline(never)]
    pub(super) fn propagate_elements(&mut self, command: Command, write: &ElementWrite<'_>) {
        self.note_sent(command);
        let (key, elements, name) = (write.key_length, write.elements, command.spec().name.len() as u64);
        let (number, count) = (write.touch.rank, if command.takes_several() { write.touch.count.max(1) } else { 1 });
        let all = || (0..count).map(|more| number.wrapping_add(more));
        let stated: Vec<u64> = match command.needs() {
            Some(Needs::Hash) if command == Command::HExpire => {
                vec![UNIX_MS, 6, 1, elements.pair(number).field.length()]
            }
            Some(Needs::Hash) if command == Command::HPersist => {
                vec![6, 1, elements.pair(number).field.length()]
            }
            Some(Needs::Hash) if command == Command::HDel => all().map(|n| elements.pair(n).field.length()).collect(),
            Some(Needs::Hash) => {
                all().map(|n| elements.pair(n)).flat_map(|pair| [pair.field.length(), pair.value.length()]).collect()
            }
            Some(Needs::Zset) if command == Command::ZRem => {
                all().map(|n| elements.member(n).member.length()).collect()
            }
            Some(Needs::Zset) => {
                let members = all().map(|n| elements.member(n));
                members.flat_map(|member| [member.score.length(), member.member.length()]).collect()
            }
            Some(Needs::Stream) if command == Command::XAdd => {
                let pairs = elements.fields(number).into_iter();
                let lengths = pairs.flat_map(|pair| [pair.field.length(), pair.value.length()]);
                [STREAM_ID].into_iter().chain(lengths).collect()
            }
            Some(Needs::Stream) => vec![STREAM_ID; usize::try_from(count).unwrap_or(1)],
            // LPOP of several says how many.
            _ if matches!(command, Command::LPop | Command::RPop) && count == 1 => Vec::new(),
            _ if matches!(command, Command::LPop | Command::RPop) => vec![string::digits(count.cast_signed())],
            _ => all().map(|n| elements.element(n).length()).collect(),
        };
        let name = if command == Command::HExpire { HPEXPIREAT } else { name };
        let bytes = resp::command(&[name, key].into_iter().chain(stated).collect::<Vec<u64>>());
        let trim = match (write.touch.trim, command.needs()) {
            (Some(most), Some(Needs::List)) => resp::command(&[5, key, 1, string::digits(most.cast_signed())]),
            (Some(most), Some(Needs::Zset)) => resp::command(&[15, key, 1, string::digits(most.cast_signed())]),
            (Some(most), Some(Needs::Stream)) => 6 + 1 + 2 * 8 + string::digits(most.cast_signed()),
            _ => 0,
        };
        self.propagate(bytes + trim);
    }

    /// Fields that have expired go to replicas, each with an HDEL of its own.
    pub(super) fn propagate_expired_fields(&mut self, slot: Slot, fields: u64, elements: &dyn Elements) {
        self.note_sent(Command::HDel);
        let lengths = [4, self.mean_key_length(slot), elements.pair(0).field.length()];
        self.propagate(fields * resp::command(&lengths));
    }

    /// SET … KEEPTTL of a key named by its slot.
    pub(super) fn propagate_overwrite(&mut self, slot: Slot, payload: Payload) {
        self.note_sent(Command::Set);
        let key = self.mean_key_length(slot);
        self.propagate(resp::command(&[SET, key, length(payload), 7]));
    }

    pub(super) fn mean_key_length(&self, slot: Slot) -> u64 {
        self.names[self.keys.entries[slot as usize].sizes.keyspace as usize].mean()
    }

    /// A key that is deleted without a command of its own goes to replicas as DEL, or UNLINK.
    #[inline]
    pub(super) fn propagate_deletion(&mut self, slot: Slot, unlink: bool) {
        if self.propagates() {
            self.send_deletion(slot, unlink);
        }
    }

    /// Out of the way of a server that propagates nothing.
    #[inline(never)]
    fn send_deletion(&mut self, slot: Slot, unlink: bool) {
        self.note_sent(if unlink { Command::Unlink } else { Command::Del });
        let name = if unlink { 6 } else { DEL };
        self.propagate(resp::command(&[name, self.mean_key_length(slot)]));
    }

    /// A key that a command, or the sweep, found expired goes to replicas as DEL.
    #[inline]
    pub(super) fn propagate_expired(&mut self, slot: Slot) {
        self.propagate_deletion(slot, self.config.lazyfree_lazy_expire);
        self.expired_in = self.counters.total_commands_processed;
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

    #[test]
    fn commands_are_as_long_as_measured() {
        let plain = Write { key_length: 10, payload: Payload::Bytes(20), offset: 5, ttl_ms: None };
        let timed = Write { ttl_ms: Some(100), ..plain };
        for (command, write, bytes) in [
            (Command::Set, plain, 57),
            (Command::SetPx, timed, 87),
            (Command::SetNx, timed, 87),
            (Command::SetXx, timed, 87),
            (Command::SetNx, plain, 65),
            (Command::SetKeepTtl, timed, 70),
            (Command::SetNxPlain, plain, 59),
            (Command::GetEx, timed, 56),
            (Command::Persist, plain, 34),
            (Command::Append, plain, 60),
            (Command::SetRange, plain, 69),
            (Command::Incr, plain, 31),
            (Command::GetDel, plain, 30),
            (Command::Unlink, plain, 33),
        ] {
            assert_eq!(propagated(command, 10, &write), bytes, "{command:?}");
        }
    }
}
