//! A real server, driven with a scenario's own stream of requests, or measured: what `validate --server` and `calibrate`
//! do.
//!
//! The only part beside the command line that does I/O and reads a clock.  What is pure stands apart: RESP (`resp`), `INFO`
//! (`info`), redis.conf (`conf`), requests as commands (`words`), what can be driven (`limits`).  A server listens on
//! loopback, on a port of its own, in a temporary folder, and is gone when its [`Server`] is dropped.

mod calibrate;
mod conf;
mod connection;
mod drive;
mod info;
mod limits;
mod resp;
mod server;
mod words;

pub use calibrate::{Measured, calibrate, toml};
pub use drive::{Record, drive};
pub use info::Info;
pub use limits::{available_memory, check};
pub use server::Server;

use std::io;

/// Why a server could not be driven or measured.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The scenario or the machine does not allow it.
    #[error("{0}")]
    Refused(String),
    /// The server did not start, refused a command or went away.
    #[error("{0}")]
    Server(String),
    /// The system did.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever watches said to stop.
    #[error("interrupted")]
    Interrupted,
}

impl LiveError {
    fn io(what: &str) -> impl FnOnce(io::Error) -> LiveError {
        move |source| LiveError::Io { what: what.to_owned(), source }
    }
}
