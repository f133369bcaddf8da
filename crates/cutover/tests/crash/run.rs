//! A process that ended, and what it said.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; None when a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Whether SIGKILL ended it.
    pub(crate) fn was_killed(&self) -> bool {
        self.signal == Some(9)
    }

    /// Everything that it said.
    pub(crate) fn told(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The same, when it ended with this code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended with {:?}, signal {:?}\n{}--- stderr\n{}", self.code, self.signal, self.stdout, self.stderr)
    }
}
