//! The limits that gates compare with.

use super::{Counted, Severity};
use std::fmt;

/// A share in percent, as the config gives it; exact to a millionth of a percent, so that no comparison depends on
/// rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u64);

impl Percent {
    /// What one percent is here.
    const UNIT: u64 = 1_000_000;

    /// A share of 0 to 100; None for any other number.
    pub fn new(percent: f64) -> Option<Self> {
        // A number of this range, times a million, is exact in 64 bits.
        (0.0..=100.0).contains(&percent).then(|| Self((percent * Self::UNIT as f64).round() as u64))
    }

    /// Whether this share is reached, unrounded.
    pub fn is_reached_by(self, counted: Counted) -> bool {
        let share = u128::from(counted.covered) * 100 * u128::from(Self::UNIT);
        share >= u128::from(self.0) * u128::from(counted.total)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / Self::UNIT, self.0 % Self::UNIT);
        let part = format!("{part:06}");
        match part.trim_end_matches('0') {
            "" => write!(out, "{whole} %"),
            part => write!(out, "{whole}.{part} %"),
        }
    }
}

/// The limits that a config sets; None where it does not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// At least so many cases ran: passed, failed or errored, not skipped.
    pub tests_min: Option<u64>,
    /// At least this share of lines is covered.
    pub coverage_min: Option<Percent>,
    /// This share of lines should be covered; less is a warning. An unknown number fails here, too.
    pub coverage_wanted: Option<Percent>,
    /// At least this share of those lines is covered that a change touches and that are known as code.
    pub patch_coverage_min: Option<Percent>,
    /// No finding is worse than this.
    pub severity_max: Option<Severity>,
    /// At most so many cases are flaky.
    pub flaky_max: Option<u64>,
}
