//! Attempts that pytest's plugin for repeating failed tests writes as cases of their own.
//!
//! All before the last are shown as passed, whatever they were; other cases may stand between them where tests run side by
//! side. Names of pytest are unique, so a second case of a name is another attempt.

use cutover_core::check::{CaseCounts, CaseFailure, CaseOutcome, FAILURES_MAX, Kept};
use std::collections::HashSet;

/// The most passed cases of pytest among which an attempt of the same case is looked for.
pub const PASSED_MAX: usize = 1_000_000;

/// What a case is in the light of those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Light {
    /// Nothing else.
    New,
    /// One more attempt of a case that is counted as passed, and stays so.
    Repeated,
    /// The last attempt of a case that is counted as passed, which is wrong.
    Corrects,
}

/// The cases that passed, and those of them that came again.
#[derive(Default)]
pub(super) struct Attempts {
    passed: HashSet<u64>,
    repeated: HashSet<u64>,
    /// The first of the repeated ones, in their order.
    told: Vec<(u64, CaseFailure)>,
}

impl Attempts {
    /// Takes a case by the hash of its names.
    pub(super) fn take(&mut self, key: u64, outcome: CaseOutcome, tell: impl FnOnce() -> CaseFailure) -> Light {
        let passed = matches!(outcome, CaseOutcome::Passed | CaseOutcome::Flaky);
        if passed && self.passed.contains(&key) {
            if self.repeated.insert(key) && self.told.len() < FAILURES_MAX {
                self.told.push((key, tell()));
            }
            return Light::Repeated;
        }
        if passed {
            if self.passed.len() < PASSED_MAX {
                self.passed.insert(key);
            }
            return Light::New;
        }
        self.repeated.remove(&key);
        if self.passed.remove(&key) { Light::Corrects } else { Light::New }
    }

    /// Counts those that passed only when they were repeated.
    pub(super) fn count(self, counts: &mut CaseCounts, flaky: &mut Kept<CaseFailure>) {
        let count = self.repeated.len() as u64;
        counts.flaky += count;
        let before = flaky.total();
        for (key, told) in self.told {
            if self.repeated.contains(&key) {
                flaky.push(told, FAILURES_MAX);
            }
        }
        flaky.left_out_count += before + count - flaky.total();
    }
}
