//! The command line: arguments, files, progress, exit statuses.  The only part of capsim that does I/O or reads a clock.
//!
//! Each command is one file with a `clap` struct and a `run`; adding one is one file, one variant and one arm.

mod bytes;
mod calibrate;
mod exit;
mod given;
mod input;
mod interrupt;
mod live;
mod output;
mod progress;
mod run;
mod validate;
mod validate_plots;

use clap::{Parser, Subcommand};
pub use exit::Exit;
use std::process::ExitCode;

/// Workload simulator and capacity planner for Redis and Valkey memory.
#[derive(Debug, Parser)]
#[command(name = "capsim", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate a scenario; print the verdict; write the result folder.
    Run(run::Arguments),
    /// What one key costs: each allocation, its size class and its reason.
    Bytes(bytes::Arguments),
    /// Measure this machine's [costs] on a server of your own; print the table to paste into a scenario.
    Calibrate(calibrate::Arguments),
    /// Predict recorded measurements of real servers, or drive one (--server), and print the error of each figure.
    Validate(validate::Arguments),
}

/// Parses the arguments, runs the command, and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; a closed pipe is no reason to complain.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    interrupt::listen();
    let no_color = matches!(&arguments.command, Command::Run(run) if run.no_color());
    let result = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Bytes(arguments) => bytes::run(&arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print(no_color);
            failure.exit().into()
        }
    }
}
