//! Why a supervisor could not do what was asked.

use cutover_core::target::{Failure, FailureKind};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What went wrong with a supervisor.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// A file of its directory failed.
    #[error("{operation} {}: {source}", path.display())]
    File {
        /// What was attempted.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of its directory is not what was written.
    #[error("read {}: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another supervisor runs for this directory.
    #[error("another supervisor runs for {}", .0.display())]
    Running(PathBuf),
    /// Somebody else starts or stops the service, and does not end.
    #[error("another process has been starting or stopping the service for {0:?}")]
    Busy(Duration),
    /// The supervisor's program cannot be started.
    #[error("start the supervisor {}: {source}", program.display())]
    Launch {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The supervisor ended before the service was started.
    #[error("the supervisor ended at once ({status}){}", said(.log))]
    Ended {
        /// Its exit status.
        status: String,
        /// What it said.
        log: String,
    },
    /// The supervisor told nothing in time.
    #[error("the supervisor told nothing for {0:?}")]
    Silent(Duration),
    /// The service cannot be started; the supervisor keeps trying.
    #[error("{0}")]
    NotStarted(String),
    /// Processes that cannot be killed.
    #[error("processes {0:?} are left and cannot be killed")]
    Unkillable(Vec<u32>),
    /// The kernel refused something.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
}

fn said(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!(": {}", log.trim_end()) }
}

impl SupervisorError {
    pub(super) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { operation, path: path.to_owned(), source }
    }

    /// The failure of what was attempted.
    pub fn failure(&self, subject: &str) -> Failure {
        let failure = Failure::new(format!("{subject}: {self}"));
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                failure.kind(FailureKind::NoSpace)
            }
            Self::Busy(_) | Self::Silent(_) => failure.kind(FailureKind::TimedOut),
            Self::File { .. }
            | Self::Damaged { .. }
            | Self::Running(_)
            | Self::Launch { .. }
            | Self::Ended { .. }
            | Self::NotStarted(_)
            | Self::Unkillable(_)
            | Self::System(..) => failure,
        }
    }
}
