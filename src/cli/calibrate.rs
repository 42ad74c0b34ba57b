//! `capsim calibrate`: measure this machine's `[costs]` on a server of one's own.

use super::exit::{Exit, Failure};
use super::{interrupt, output};
use crate::live;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `capsim calibrate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The server's binary: redis-server or valkey-server, 6.2 or newer; it is started on loopback.
    #[arg(long, value_name = "PATH")]
    server: PathBuf,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    output::complain("measuring; this takes one to two minutes, and wants an idle machine\n");
    let server = &arguments.server;
    let measured = interrupt::to_the_end(|| live::calibrate(server, &interrupt::interrupted))?;
    output::print(&live::toml(&measured, &server.display().to_string()))?;
    Ok(Exit::Done)
}
