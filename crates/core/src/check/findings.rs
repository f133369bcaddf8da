//! What scanners found.

use super::Kept;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most findings whose details are kept.
pub const FINDINGS_MAX: usize = 1000;

/// How bad a finding is, in this order. A linter's words are steps of the same ladder: `note` is low, `warning` medium,
/// `error` high. None of these is critical: only a score says that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth no action.
    None,
    /// Also `note`.
    Low,
    /// Also `warning`.
    Medium,
    /// Also `error`.
    High,
    /// The worst.
    Critical,
}

impl Severity {
    /// All severities, from the least.
    pub const ALL: [Self; 5] = [Self::None, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The severity as records and the config write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    /// Reads a severity's name or a linter's word for it. The error names what was wanted.
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self::None),
            "low" | "note" => Ok(Self::Low),
            "medium" | "warning" => Ok(Self::Medium),
            "high" | "error" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            _ => {
                Err(format!("severity {word:?} is none of none, low (note), medium (warning), high (error), critical"))
            }
        }
    }
}

/// How many findings are how bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeverityCounts {
    /// Findings of severity `none`.
    pub none: u64,
    /// Low ones.
    pub low: u64,
    /// Medium ones.
    pub medium: u64,
    /// High ones.
    pub high: u64,
    /// Critical ones.
    pub critical: u64,
}

impl SeverityCounts {
    /// Counts `count` more findings.
    pub fn add(&mut self, severity: Severity, count: u64) {
        let known = match severity {
            Severity::None => &mut self.none,
            Severity::Low => &mut self.low,
            Severity::Medium => &mut self.medium,
            Severity::High => &mut self.high,
            Severity::Critical => &mut self.critical,
        };
        // A record may claim any number.
        *known = known.saturating_add(count);
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: Self) {
        for severity in Severity::ALL {
            self.add(severity, other.of(severity));
        }
    }

    /// How many have this severity.
    pub fn of(&self, severity: Severity) -> u64 {
        match severity {
            Severity::None => self.none,
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        }
    }

    /// The worst severity that there is a finding of.
    pub fn worst(&self) -> Option<Severity> {
        Severity::ALL.into_iter().rev().find(|severity| self.of(*severity) > 0)
    }

    /// How many are worse than a severity.
    pub fn above(&self, severity: Severity) -> u64 {
        Severity::ALL
            .into_iter()
            .filter(|worse| *worse > severity)
            .fold(0, |sum, worse| sum.saturating_add(self.of(worse)))
    }

    /// All findings.
    pub fn total(&self) -> u64 {
        Severity::ALL.into_iter().fold(0, |sum, severity| sum.saturating_add(self.of(severity)))
    }
}

/// One finding of a scanner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The scanner.
    pub tool: String,
    /// The rule that was broken; may be empty.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The file; None where the finding has no place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What the scanner said, at most [`MESSAGE_BYTES_MAX`](super::MESSAGE_BYTES_MAX).
    pub message: String,
}

/// The findings of one or several reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Findings {
    /// How many are how bad, of all of them.
    pub counts: SeverityCounts,
    /// Results that were left out because somebody suppressed them.
    pub suppressed_count: u64,
    /// Runs of scanners that did not come to a good end, by their own words, or looked at nothing. What they would have
    /// found is unknown.
    pub failed_run_count: u64,
    /// The findings, at most [`FINDINGS_MAX`].
    pub list: Kept<Finding>,
}

impl Findings {
    /// Adds the findings of another report.
    pub fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
        self.suppressed_count += other.suppressed_count;
        self.failed_run_count += other.failed_run_count;
        self.list.append(other.list, FINDINGS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_ordered_and_know_the_words_of_linters() {
        assert!(Severity::ALL.is_sorted());
        let pairs = [("note", Severity::Low), ("warning", Severity::Medium), ("error", Severity::High)];
        assert!(pairs.iter().all(|(word, severity)| word.parse() == Ok(*severity)));
        assert!(Severity::ALL.iter().all(|severity| severity.as_str().parse() == Ok(*severity)));
        assert!("Error".parse::<Severity>().is_err());
    }

    #[test]
    fn counts_know_the_worst_and_what_is_above_a_limit() {
        let mut counts = SeverityCounts::default();
        assert_eq!(counts.worst(), None);
        counts.add(Severity::Low, 4);
        counts.add(Severity::High, 2);
        assert_eq!((counts.worst(), counts.total()), (Some(Severity::High), 6));
        assert_eq!(
            (counts.above(Severity::High), counts.above(Severity::Low), counts.above(Severity::None)),
            (0, 2, 6)
        );
    }
}
