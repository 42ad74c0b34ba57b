//! Exit statuses, and the failures that lead to them.

use super::output;
use crate::scenario::ScenarioError;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ran.
    Done,
    /// An internal error, or one of the file system.
    Internal,
    /// Wrong usage or an invalid scenario.
    Usage,
    /// A threshold or a tolerance was breached.
    Breached,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The status that the process ends with.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Internal => 1,
            Exit::Usage => 2,
            Exit::Breached => 99,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.status())
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Scenario(Box<ScenarioError>),
    #[error("{0}")]
    Usage(String),
    #[error("cannot draw a picture: {0}")]
    Picture(String),
    #[error("{0}")]
    Live(String),
    #[error("interrupted; nothing was written")]
    Interrupted,
}

impl Failure {
    pub(super) fn read(path: &Path, source: io::Error) -> Failure {
        Failure::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Failure {
        Failure::Write { path: path.to_owned(), source }
    }

    /// The status it leads to.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Failure::Scenario(_) | Failure::Usage(_) | Failure::Read { .. } => Exit::Usage,
            Failure::Write { .. } | Failure::Picture(_) | Failure::Live(_) => Exit::Internal,
            Failure::Interrupted => Exit::Interrupted,
        }
    }

    /// Says it on standard error.
    pub(super) fn print(&self, no_color: bool) {
        match self {
            Failure::Scenario(error) => {
                output::complain(&error.render(output::color(no_color, &io::stderr())));
            }
            other => output::complain(&format!("capsim: {other}\n")),
        }
    }
}
