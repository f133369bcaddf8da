//! How a command ended and what it said, for every test binary that asks.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};

/// How a process ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Ran {
    /// The exit code; -1 when a signal ended it.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Both outputs, and how it ended.
    pub(crate) fn told(&self) -> String {
        format!("exit {} ({:?})\n{}--- stderr\n{}", self.code(), self.status.signal(), self.stdout, self.stderr)
    }

    /// Fails the test unless it ended with this exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}", self.told());
        self
    }

    /// Fails the test unless it said all of this.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let told = self.told();
        let missing: Vec<&&str> = words.iter().filter(|word| !told.contains(**word)).collect();
        assert!(missing.is_empty(), "not said: {missing:?}\n{told}");
        self
    }

    /// The standard output as one JSON object.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.told()))
    }
}
