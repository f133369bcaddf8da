//! Why a command did not end by itself, or not well.

use crate::ChildExit;
use cutover_core::target::{Failure, FailureKind};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A command that did not end with an exit code.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The directory that it should run in is not there.
    #[error("directory {} does not exist", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// Its program cannot be started.
    #[error("start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Its output cannot be read.
    #[error("read the output: {0}")]
    Pipe(#[source] io::Error),
    /// Its end cannot be observed.
    #[error("wait for the end: {0}")]
    Wait(#[source] io::Error),
    /// A signal ended it.
    #[error("killed by {}", signal_name(*signal))]
    Signalled {
        /// The signal's number.
        signal: i32,
        /// The end of what it said, masked.
        excerpt: String,
    },
    /// It was asked for something and ended with another exit code than 0.
    #[error("exit code {code}")]
    Refused {
        /// The exit code.
        code: i32,
    },
    /// It ran longer than allowed and was ended.
    #[error("timed out after {timeout:?}")]
    TimedOut {
        /// How long it was allowed to run.
        timeout: Duration,
        /// The end of what it said, masked.
        excerpt: String,
    },
    /// Stopping was asked for, and it was ended.
    #[error("cancelled")]
    Cancelled,
}

impl ChildError {
    /// The failure of what the command was run for: "install dependencies: timed out after 10m".
    pub fn failure(self, subject: &str) -> Failure {
        let failure = Failure::new(format!("{subject}: {self}"));
        match self {
            Self::Directory { .. } | Self::Pipe(_) | Self::Wait(_) | Self::Refused { .. } => failure,
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                failure.hint("the program is not installed, or not in PATH")
            }
            Self::Start { .. } => failure,
            Self::Signalled { signal: 9, excerpt } => {
                failure.excerpt(&excerpt).hint("SIGKILL often means that memory ran out: see `dmesg`")
            }
            Self::Signalled { excerpt, .. } => failure.excerpt(&excerpt),
            Self::TimedOut { excerpt, .. } => failure.kind(FailureKind::TimedOut).excerpt(&excerpt),
            Self::Cancelled => failure.kind(FailureKind::Cancelled),
        }
    }
}

impl ChildExit {
    /// Ok when the exit code is 0; else the failure of what the command was run for.
    pub fn success(self, subject: &str) -> Result<(), Failure> {
        match self.code {
            0 => Ok(()),
            code => Err(Failure::new(format!("{subject}: exit code {code}")).excerpt(&self.excerpt)),
        }
    }
}

/// A signal's name: `SIGKILL`; `signal 42` for the unusual ones.
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
