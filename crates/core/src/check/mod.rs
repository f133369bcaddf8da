//! What checks found: counts of test cases, coverage and findings, united in one [`Report`].
//!
//! These are words only. Reports are read, and judged by their numbers, in the crate `cutover-checks`.
//! All lists are bounded, and say how much they leave out: counts are always of everything.

mod cases;
mod commit;
mod coverage;
mod findings;
mod gate;
mod kept;
mod limits;
pub mod run;
mod words;

pub use cases::{CaseCounts, CaseFailure, CaseOutcome, Cases, FAILURES_MAX};
pub use commit::{COMMIT_CHECKS_MAX, Checked, CommitChecks, Lacking};
pub use coverage::{COVERED_FILES_MAX, Counted, Coverage, FileCoverage, PatchCoverage};
pub use findings::{FINDINGS_MAX, Finding, Findings, Severity, SeverityCounts};
pub use gate::{Gate, Judgement, Verdict};
pub use kept::Kept;
pub use limits::{Limits, Percent};
pub use words::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, excerpt};

use serde::{Deserialize, Serialize};

/// The most warnings of reports that are kept.
pub const WARNINGS_MAX: usize = 100;

/// The united record of what reports said.
///
/// A part is None where no report of its kind was read: not the same as a part with zeros in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Test cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<Cases>,
    /// Lines and branches that tests ran through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Coverage of the lines that a change touches; None also where nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchCoverage>,
    /// What scanners found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// What is odd about the reports, without making them unreadable.
    #[serde(default, skip_serializing_if = "Kept::is_empty")]
    pub warnings: Kept<String>,
}
