//! The simulated server.

pub mod config;
pub mod ledger;
