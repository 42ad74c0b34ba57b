//! capsim: a workload simulator and capacity planner for Redis and Valkey memory.
//!
//! Data flows one way; read the modules in this order:
//!
//! ```text
//! TOML text ─► scenario ─► workload ─► node ─► record ─► analysis ─► report ─► files
//!              (checked)   (requests)  (state)  (series)  (findings)  (strings)  (cli)
//! ```
//!
//! [`sim`] is the one place where [`workload`], [`node`] and [`record`] meet; they do not know each other.  The model
//! does no I/O, reads no clock and cannot fail: a checked [`scenario::Scenario`] and a seed go in, a [`record::Run`]
//! comes out, the same bytes on any number of threads.

pub mod analysis;
pub mod bytes;
pub mod cli;
pub mod command;
mod hint;
pub mod layout;
pub mod live;
pub mod node;
pub mod plan;
pub mod profile;
pub mod record;
pub mod report;
pub mod rng;
pub mod scenario;
pub mod sim;
pub mod units;
pub mod validate;
pub mod workload;
