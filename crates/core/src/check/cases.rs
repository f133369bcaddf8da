//! Test cases.

use super::Kept;
use serde::{Deserialize, Serialize};

/// The most failed cases whose details are kept.
pub const FAILURES_MAX: usize = 1000;

/// How one case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseOutcome {
    /// It ran, and all was as wanted.
    Passed,
    /// It passed, but only after it had failed.
    Flaky,
    /// It ran, and something was not as wanted.
    Failed,
    /// It could not run, or not to its end.
    Errored,
    /// It was left out on purpose.
    Skipped,
}

/// How many cases ended how. Each case is in one number, but flaky ones, which are among the passed, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CaseCounts {
    /// Passed, flaky ones with them.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Errored.
    pub errored: u64,
    /// Skipped.
    pub skipped: u64,
    /// Passed only after they had failed.
    pub flaky: u64,
}

impl CaseCounts {
    /// Counts one case.
    pub fn add(&mut self, outcome: CaseOutcome) {
        match outcome {
            CaseOutcome::Passed => self.passed += 1,
            CaseOutcome::Flaky => {
                self.passed += 1;
                self.flaky += 1;
            }
            CaseOutcome::Failed => self.failed += 1,
            CaseOutcome::Errored => self.errored += 1,
            CaseOutcome::Skipped => self.skipped += 1,
        }
    }

    /// Adds the counts of another report.
    pub fn merge(&mut self, other: Self) {
        // A record may claim any number.
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.errored = self.errored.saturating_add(other.errored);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.flaky = self.flaky.saturating_add(other.flaky);
    }

    /// All cases.
    pub fn total(&self) -> u64 {
        self.ran().saturating_add(self.skipped)
    }

    /// Cases that were not skipped.
    pub fn ran(&self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.errored)
    }
}

/// A case that did not pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseFailure {
    /// The suite or the class that the case belongs to; may be empty.
    pub suite: String,
    /// The case's name.
    pub name: String,
    /// Where it stands, as the tool wrote it; None where the report does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How it ended: failed or errored.
    pub outcome: CaseOutcome,
    /// What the tool said, at most [`MESSAGE_BYTES_MAX`](super::MESSAGE_BYTES_MAX).
    pub message: String,
    /// How long it took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// The test cases of one or several reports.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Cases {
    /// How many ended how.
    pub counts: CaseCounts,
    /// What all cases took together, in seconds: more than the wall time where they ran side by side.
    pub seconds: f64,
    /// Those that failed or errored, at most [`FAILURES_MAX`].
    pub failures: Kept<CaseFailure>,
    /// Those that are flaky, with what they said when they failed, at most [`FAILURES_MAX`].
    pub flaky: Kept<CaseFailure>,
}

impl Cases {
    /// Adds the cases of another report.
    pub fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
        self.seconds += other.seconds;
        self.failures.append(other.failures, FAILURES_MAX);
        self.flaky.append(other.flaky, FAILURES_MAX);
    }
}
