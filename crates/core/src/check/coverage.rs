//! Coverage, as counts. Rates are computed where they are shown or judged, and never stored.

use super::Kept;
use serde::{Deserialize, Serialize};

/// The most files whose coverage is kept one by one.
pub const COVERED_FILES_MAX: usize = 10_000;

/// How many of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Those that tests ran through.
    pub covered: u64,
    /// All that are code.
    pub total: u64,
}

impl Counted {
    /// Counts one more.
    pub fn add(&mut self, covered: bool) {
        self.total += 1;
        self.covered += u64::from(covered);
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: Self) {
        // A summary may claim any number.
        self.covered = self.covered.saturating_add(other.covered);
        self.total = self.total.saturating_add(other.total);
    }

    /// The share in hundredths of a percent, rounded down, so that what is below a limit never looks as if it reached
    /// it; None where there is nothing to be covered.
    pub fn basis_points(&self) -> Option<u64> {
        let share = (u128::from(self.covered) * 10_000).checked_div(u128::from(self.total))?;
        u64::try_from(share).ok()
    }
}

/// The coverage of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCoverage {
    /// The file, as the tool wrote it or from the repository's top.
    pub path: String,
    /// Its lines.
    pub lines: Counted,
    /// Its branches; zeros where the tool did not look at them.
    pub branches: Counted,
}

/// The coverage of one or several reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// The lines of all files.
    pub lines: Counted,
    /// The branches of all files.
    pub branches: Counted,
    /// Each file, sorted by path, at most [`COVERED_FILES_MAX`].
    pub files: Kept<FileCoverage>,
}

/// The coverage of those lines that a change touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchCoverage {
    /// Changed lines that the report knows as code.
    pub lines: Counted,
    /// Changed files that the report knows nothing of: no code, or not looked at.
    pub unknown_file_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_is_none_of_nothing() {
        assert_eq!(Counted { covered: 69_999, total: 100_000 }.basis_points(), Some(6_999));
        assert_eq!(Counted { covered: u64::MAX, total: u64::MAX }.basis_points(), Some(10_000));
        assert_eq!(Counted::default().basis_points(), None);
    }
}
