//! A suite that is open.

use super::super::Fault;
use super::super::xml::Tag;
use cutover_core::check::{CaseOutcome, NAME_BYTES_MAX, excerpt};

/// The names of the suites of a report of pytest. Configuration may change the inner one; newer versions name
/// the outer one, too.
const PYTEST: [&str; 2] = ["pytest", "pytest tests"];

/// What a suite says of itself, and what was counted in it.
pub(super) struct Suite {
    is_pytest: bool,
    name: String,
    file: String,
    declared_count: Option<u64>,
    declared_bad_count: u64,
    /// Cases that stand in the suite itself.
    own_count: u64,
    /// Cases with those of the suites in it.
    all_count: u64,
    bad_count: u64,
    errored_count: u64,
    /// Earlier attempts of its cases, with those of the suites in it.
    attempt_count: u64,
}

impl Suite {
    pub(super) fn of(tag: &Tag<'_>, above: Option<&Self>) -> Result<Self, Fault> {
        let mut suite = Self {
            is_pytest: above.is_some_and(|above| above.is_pytest),
            name: String::new(),
            file: String::new(),
            declared_count: None,
            declared_bad_count: 0,
            own_count: 0,
            all_count: 0,
            bad_count: 0,
            errored_count: 0,
            attempt_count: 0,
        };
        tag.attributes(|key, value| match key {
            "name" => suite.name = excerpt(value, NAME_BYTES_MAX),
            "file" | "filepath" => suite.file = excerpt(value, NAME_BYTES_MAX),
            "tests" => suite.declared_count = value.trim().parse().ok(),
            "failures" | "errors" => {
                suite.declared_bad_count = suite.declared_bad_count.saturating_add(value.trim().parse().unwrap_or(0));
            }
            _ => (),
        })?;
        suite.is_pytest |= PYTEST.contains(&suite.name.as_str());
        Ok(suite)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether pytest wrote it.
    pub(super) fn is_pytest(&self) -> bool {
        self.is_pytest
    }

    /// The file that its cases stand in; may be empty.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Counts a case, which tells of so many earlier attempts.
    pub(super) fn count(&mut self, outcome: CaseOutcome, attempt_count: u64) {
        self.attempt_count += attempt_count;
        self.own_count += 1;
        self.all_count += 1;
        self.bad_count += u64::from(matches!(outcome, CaseOutcome::Failed | CaseOutcome::Errored));
        self.errored_count += u64::from(outcome == CaseOutcome::Errored);
    }

    /// Takes back a case that had passed.
    pub(super) fn take_back(&mut self) {
        self.own_count = self.own_count.saturating_sub(1);
        self.all_count = self.all_count.saturating_sub(1);
    }

    /// Counts the cases of a suite in it.
    pub(super) fn take_in(&mut self, inner: &Self) {
        self.all_count += inner.all_count;
        self.bad_count += inner.bad_count;
        self.attempt_count += inner.attempt_count;
    }

    /// What no way of counting explains. Some tools count inner suites' cases in, some do not; some count every attempt.
    pub(super) fn odd(&self) -> Option<String> {
        let Self { name, own_count, all_count, attempt_count, declared_bad_count, .. } = self;
        // pytest counts a test twice that passed before its teardown erred; which these are the report does not tell.
        let again_count = attempt_count + if self.is_pytest { self.errored_count } else { 0 };
        let is_explained = |declared| {
            (*all_count..=all_count + attempt_count).contains(&declared)
                || (*own_count..=own_count + again_count).contains(&declared)
        };
        match self.declared_count {
            Some(declared) if !is_explained(declared) => {
                Some(format!("suite {name:?} says that it has {declared} tests, and has {all_count}"))
            }
            Some(_) | None if declared_bad_count > attempt_count && self.bad_count == 0 => Some(format!(
                "suite {name:?} says that {declared_bad_count} of its tests failed, and shows none of them"
            )),
            Some(_) | None => None,
        }
    }
}
