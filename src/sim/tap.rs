//! The requests of a run as a client sends them, for whoever drives a real server with the same stream.
//!
//! A tap only listens: what it is told is drawn from copies of the random streams, so that a run is the same with one.

use crate::command::Command;
use crate::node::Write;
use crate::scenario::Action;
use crate::units::SimTime;

/// One command on one key.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// When it arrives.
    pub at: SimTime,
    /// The group of connections that sends it; `None`: an event's own work.
    pub group: Option<usize>,
    /// Index of the keyspace.
    pub keyspace: usize,
    /// Number of the key in it, which its name depends on.
    pub number: u64,
    /// Length of the key's name (B).
    pub key_length: u64,
    /// The command.
    pub command: Command,
    /// What it writes.
    pub write: Write,
    /// The write that follows when a read missed.
    pub on_miss: Option<(Command, Write)>,
}

/// Listens to a run.
pub trait Tap {
    /// Whether it listens at all.
    const LISTENS: bool;
    /// A key is loaded before t = 0; its TTL is what is left at t = 0.
    fn load(&mut self, sent: &Sent);
    /// The run begins.
    fn begin(&mut self);
    /// A command is sent.
    fn send(&mut self, sent: &Sent);
    /// The pipeline ends here: its answers are awaited before more is sent.
    fn end_pipeline(&mut self);
    /// An event of the scenario, by its index and what it does.
    fn event(&mut self, at: SimTime, index: usize, action: &Action);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NoTap;

impl Tap for NoTap {
    const LISTENS: bool = false;
    fn load(&mut self, _: &Sent) {}
    fn begin(&mut self) {}
    fn send(&mut self, _: &Sent) {}
    fn end_pipeline(&mut self) {}
    fn event(&mut self, _: SimTime, _: usize, _: &Action) {}
}
