//! What a gate said.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One comparison of a number of a report with a limit. Serialized as the config's key, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// That no case failed. It has no key: whoever asks for a report of tests wants that, also of a command that ends with 0.
    TestsPass,
    /// How many cases must have run.
    TestsMin,
    /// Which share of the lines must be covered.
    CoverageMin,
    /// Which share of the lines should be covered; less is a warning.
    CoverageWanted,
    /// Which share of the changed lines must be covered.
    PatchCoverageMin,
    /// How bad a finding may be.
    SeverityMax,
    /// How many cases may be flaky.
    FlakyMax,
}

impl Gate {
    /// The config's key for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TestsPass => "tests_pass",
            Self::TestsMin => "tests_min",
            Self::CoverageMin => "coverage_min",
            Self::CoverageWanted => "coverage_wanted",
            Self::PatchCoverageMin => "patch_coverage_min",
            Self::SeverityMax => "severity_max",
            Self::FlakyMax => "flaky_max",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What follows from a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The number is within its limit.
    Passed,
    /// It is not, and that only ought to be known.
    Warned,
    /// It is not, or it is unknown.
    Failed,
}

/// One gate's verdict with both numbers in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The gate.
    pub gate: Gate,
    /// What follows.
    pub verdict: Verdict,
    /// The number, the limit, and where it failed what to look at: "3 tests ran, fewer than tests_min = 5".
    pub words: String,
}
