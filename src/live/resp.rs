//! RESP2, as much of it as is needed: commands are written; integers, statuses, errors and bulk strings are read.

/// An answer, its text where it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// `+OK`
    Status,
    /// `-ERR …`
    Error(&'a str),
    /// `:1`
    Integer(i64),
    /// `$5`
    Bulk(&'a [u8]),
    /// `$-1`
    Nil,
}

/// What cannot be an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Appends a command.
pub(super) fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    number(out, b'*', words.len());
    for word in words {
        number(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn number(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The first answer in `bytes` and how long it is; `None` while it is not all there.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<(Answer<'_>, usize)>, Malformed> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let (line, after) = (&bytes[..end], end + 2);
    let (&kind, rest) = line.split_first().ok_or(Malformed)?;
    let text = std::str::from_utf8(rest).map_err(|_| Malformed)?;
    let integer = || text.parse::<i64>().map_err(|_| Malformed);
    let short = match kind {
        b'+' => Answer::Status,
        b'-' => Answer::Error(text),
        b':' => Answer::Integer(integer()?),
        b'$' => match usize::try_from(integer()?) {
            Err(_) => Answer::Nil,
            Ok(length) => {
                let whole = after + length + 2;
                let bulk = bytes.get(after..after + length).filter(|_| bytes.len() >= whole);
                return Ok(bulk.map(|bulk| (Answer::Bulk(bulk), whole)));
            }
        },
        _ => return Err(Malformed),
    };
    Ok(Some((short, after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        command(&mut out, &[b"SET", b"k", b"a\r\nb"]);
        command(&mut out, &[b"GET", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    }

    #[test]
    fn answers_are_read_one_by_one_and_only_when_they_are_whole() {
        let bytes = b"+OK\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n$0\r\n\r\n-ERR no\r\n";
        let expected = [
            Answer::Status,
            Answer::Integer(-7),
            Answer::Bulk(b"a\r\nb"),
            Answer::Nil,
            Answer::Bulk(b""),
            Answer::Error("ERR no"),
        ];
        let mut at = 0;
        for wanted in expected {
            let (found, length) = answer(&bytes[at..]).expect("well formed").expect("whole");
            assert_eq!(found, wanted);
            for cut in 0..length {
                assert_eq!(answer(&bytes[at..at + cut]), Ok(None), "{wanted:?} cut to {cut}");
            }
            at += length;
        }
        assert_eq!(at, bytes.len());
        assert_eq!(answer(b"*1\r\n"), Err(Malformed), "no command that is sent answers with an array");
        assert_eq!(answer(b":x\r\n"), Err(Malformed));
    }
}
