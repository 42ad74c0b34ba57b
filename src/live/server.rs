//! A server of our own: started in a temporary folder, stopped by its process id.

use super::LiveError;
use super::conf;
use super::connection::Connection;
use super::info::Info;
use crate::profile::Allocator;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server that has not answered PING by then does not start.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// A server that is still there so long after SHUTDOWN is killed.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// Time between two looks at a server that starts or stops.
const LOOK: Duration = Duration::from_millis(20);

/// A running server, stopped when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    binary: PathBuf,
    directives: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Server {
    /// Starts a server with these directives.
    ///
    /// # Errors
    /// [`LiveError`] when the binary cannot be started or does not answer; what it logged last is part of it.
    pub fn start(binary: &Path, directives: &[(&'static str, String)]) -> Result<Server, LiveError> {
        let folder =
            tempfile::Builder::new().prefix("capsim-").tempdir().map_err(LiveError::io("a temporary folder"))?;
        let port = free_port().map_err(LiveError::io("a free port"))?;
        let child = spawn(binary, port, folder.path(), directives)?;
        let mut server = Server { child, port, binary: binary.to_owned(), directives: directives.to_vec(), folder };
        server.await_answer()?;
        Ok(server)
    }

    /// Saves, stops and starts again: the keys come from the file.
    pub(super) fn reload(&mut self) -> Result<(), LiveError> {
        self.connect()?.call(&["SAVE"])?;
        self.stop();
        self.child = spawn(&self.binary, self.port, self.folder.path(), &self.directives)?;
        self.await_answer()?;
        self.await_keys()
    }

    /// Until the keys are read: a server answers INFO while it reads them, and refuses what needs them.
    fn await_keys(&mut self) -> Result<(), LiveError> {
        while self.connect()?.info(Some("persistence"))?.text("loading") != Some("0") {
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// A new connection.
    pub(super) fn connect(&self) -> Result<Connection, LiveError> {
        Connection::open(self.port).map_err(LiveError::io("connecting to the server"))
    }

    /// `INFO`.
    ///
    /// # Errors
    /// [`LiveError`] when the server does not answer.
    pub fn info(&self) -> Result<Info, LiveError> {
        self.connect()?.info(None)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its allocator: a jemalloc with a quantum of 16 is a distribution's, the release's own has 8.
    ///
    /// # Errors
    /// [`LiveError`] when the server does not answer.
    pub fn allocator(&self) -> Result<Allocator, LiveError> {
        let mut connection = self.connect()?;
        if !connection.info(None)?.text("mem_allocator").is_some_and(|name| name.starts_with("jemalloc")) {
            return Ok(Allocator::Libc);
        }
        let stats = connection.call(&["MEMORY", "MALLOC-STATS"])?;
        Ok(allocator_of(&stats))
    }

    /// A connection to this very process, which answers: nothing else has the port.
    fn own_connection(&self) -> Option<Connection> {
        let mut connection = Connection::open(self.port).ok()?;
        let info = connection.info(Some("server")).ok()?;
        (info.text("process_id") == Some(self.pid().to_string().as_str())).then_some(connection)
    }

    fn await_answer(&mut self) -> Result<(), LiveError> {
        let began = now();
        loop {
            if self.own_connection().is_some() {
                return Ok(());
            }
            let gone = self.child.try_wait().map_err(LiveError::io("waiting for the server"))?.is_some();
            if gone || began.elapsed() > STARTS_WITHIN {
                return Err(LiveError::Server(format!(
                    "{} did not start: {}",
                    self.binary.display(),
                    last_words(self.folder.path())
                )));
            }
            thread::sleep(LOOK);
        }
    }

    /// SHUTDOWN NOSAVE, which ends a child that saves as well; killed when that does not help.
    fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if let Some(mut connection) = self.own_connection() {
            // It answers by going away.
            let _ = connection.call(&["SHUTDOWN", "NOSAVE"]);
        }
        let began = now();
        while began.elapsed() < STOPS_WITHIN {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

#[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
fn now() -> Instant {
    Instant::now()
}

fn spawn(binary: &Path, port: u16, folder: &Path, directives: &[(&'static str, String)]) -> Result<Child, LiveError> {
    let file = folder.join("redis.conf");
    fs::write(&file, conf::text(port, folder, directives)).map_err(LiveError::io("redis.conf"))?;
    let output = fs::File::create(folder.join("server.out")).map_err(LiveError::io("the server's output"))?;
    let errors = output.try_clone().map_err(LiveError::io("the server's output"))?;
    let mut command = Command::new(binary);
    command.arg(&file).stdin(Stdio::null()).stdout(output).stderr(errors);
    // Ctrl-C in a terminal is for capsim, which then stops the server.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(LiveError::io(&format!("cannot start {}", binary.display())))
}

/// A port that nobody listens on.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The last lines that a server wrote.
fn last_words(folder: &Path) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let text = read("server.out") + &read(conf::LOG);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" / ");
    if last.is_empty() { "it said nothing".to_owned() } else { last }
}

/// Which jemalloc says so of itself.
fn allocator_of(stats: &str) -> Allocator {
    let quantum = stats.lines().find_map(|line| line.trim().strip_prefix("Quantum size:"));
    match quantum.map(str::trim) {
        Some("8") => Allocator::Bundled,
        _ => Allocator::System,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantum_tells_which_jemalloc_it_is() {
        assert_eq!(allocator_of("Arenas: 8\nQuantum size: 8\nPage size: 4096\n"), Allocator::Bundled);
        assert_eq!(allocator_of("  Quantum size: 16\n"), Allocator::System);
    }

    #[test]
    fn a_binary_that_is_none_is_named() {
        let error = Server::start(Path::new("/no/such/server"), &[]).expect_err("no server");
        assert!(error.to_string().contains("cannot start /no/such/server"), "{error}");
    }
}
