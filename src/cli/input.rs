//! Reading files: bounded, since a device or a wrong file may have no end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The text of a file of at most `limit` bytes; `-` is standard input.
///
/// # Errors
/// What the system says, or that the file is too large or no text.
pub(super) fn text(path: &Path, limit: usize) -> io::Result<String> {
    if path == Path::new("-") { bounded(io::stdin().lock(), limit) } else { bounded(File::open(path)?, limit) }
}

fn bounded(reader: impl Read, limit: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::other(format!("it is too large; expected at most {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("byte {at} is no UTF-8; expected a text file"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_bounded_size_are_read() {
        assert_eq!(bounded("ab".as_bytes(), 2).expect("read"), "ab");
        assert!(bounded("abc".as_bytes(), 2).expect_err("refused").to_string().contains("at most 2 bytes"));
        assert!(bounded(io::repeat(b'x'), 1000).is_err());
        assert!(bounded([b'a', 0xff].as_slice(), 9).expect_err("refused").to_string().contains("byte 1 is no UTF-8"));
    }
}
