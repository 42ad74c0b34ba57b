//! A connection to a server.

use super::LiveError;
use super::info::Info;
use super::resp::{self, Answer};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer will not come.  *Assumed*: longer than any command here, a stuck disk included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes asked of the kernel at a time (B).
const CHUNK: usize = 64 << 10;

/// A connection: commands are gathered, sent together, and answered in order.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Commands not sent yet.
    pub(super) out: Vec<u8>,
    received: Vec<u8>,
    /// Where the next answer begins.
    at: usize,
}

impl Connection {
    pub(super) fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, out: Vec::new(), received: Vec::new(), at: 0 })
    }

    /// Sends what was gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let result = self.stream.write_all(&self.out);
        self.out.clear();
        result
    }

    /// The next answer.
    pub(super) fn answer(&mut self) -> io::Result<Answer<'_>> {
        let malformed = |_| io::Error::new(io::ErrorKind::InvalidData, "the answer is no RESP");
        loop {
            match resp::answer(&self.received[self.at..]).map_err(malformed)? {
                Some((_, length)) => {
                    let from = self.at;
                    self.at += length;
                    let whole = resp::answer(&self.received[from..self.at]).map_err(malformed)?;
                    return whole.map(|(answer, _)| answer).ok_or_else(|| io::ErrorKind::InvalidData.into());
                }
                None => self.receive()?,
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        self.received.drain(..self.at);
        self.at = 0;
        let had = self.received.len();
        self.received.resize(had + CHUNK, 0);
        let got = self.stream.read(&mut self.received[had..]);
        self.received.truncate(had + got.as_ref().map_or(0, |&got| got));
        match got {
            // A signal came: whoever waits looks at it.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Sends one command and returns its answer as a text; an error is an error.
    pub(super) fn call(&mut self, words: &[&str]) -> Result<String, LiveError> {
        let what = words.join(" ");
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        resp::command(&mut self.out, &bytes);
        self.flush().map_err(LiveError::io(&what))?;
        match self.answer().map_err(LiveError::io(&what))? {
            Answer::Error(text) => Err(LiveError::Server(format!("{what}: {text}"))),
            Answer::Bulk(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            Answer::Integer(number) => Ok(number.to_string()),
            Answer::Status | Answer::Nil => Ok(String::new()),
        }
    }

    /// `INFO`, all of it or a section.
    pub(super) fn info(&mut self, section: Option<&str>) -> Result<Info, LiveError> {
        let text = match section {
            Some(section) => self.call(&["INFO", section])?,
            None => self.call(&["INFO"])?,
        };
        Ok(Info::parse(&text))
    }
}
