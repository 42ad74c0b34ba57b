//! Commands on the wire: how many bytes a command of given arguments takes, as it is propagated to replicas.
//!
//! Source: the RESP protocol; redis 7.0.15 `src/replication.c` (`replicationFeedSlaves`).

use super::string::digits;

/// Bytes of a bulk string of `length` bytes (B): `$5\r\nhello\r\n`.
fn bulk(length: u64) -> u64 {
    1 + digits(length.cast_signed()) + 2 + length + 2
}

/// Bytes of a command whose arguments, its name first, have these lengths (B).
#[must_use]
pub fn command(lengths: &[u64]) -> u64 {
    1 + digits(lengths.len() as i64) + 2 + lengths.iter().map(|&length| bulk(length)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_take_what_they_are_written_with() {
        assert_eq!(command(&[4]), "*1\r\n$4\r\nPING\r\n".len() as u64);
        assert_eq!(command(&[3, 1, 5]), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n".len() as u64);
        // Measured: 138 bytes for a SET of a key of 10 and a value of 100.
        assert_eq!(command(&[3, 10, 100]), 138);
    }
}
