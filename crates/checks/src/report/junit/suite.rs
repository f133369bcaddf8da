//! A suite that is open.

use super::super::Fault;
use super::super::xml::Tag;
use cutover_core::check::{CaseOutcome, NAME_BYTES_MAX, excerpt};

/// What a suite says of itself, and what was counted in it.
pub(super) struct Suite {
    name: String,
    file: String,
    declared_count: Option<u64>,
    declared_bad_count: u64,
    /// Cases that stand in the suite itself.
    own_count: u64,
    /// Cases with those of the suites in it.
    all_count: u64,
    bad_count: u64,
}

impl Suite {
    pub(super) fn of(tag: &Tag<'_>) -> Result<Self, Fault> {
        let mut suite = Self {
            name: String::new(),
            file: String::new(),
            declared_count: None,
            declared_bad_count: 0,
            own_count: 0,
            all_count: 0,
            bad_count: 0,
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
        Ok(suite)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file that its cases stand in; may be empty.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn count(&mut self, outcome: CaseOutcome) {
        self.own_count += 1;
        self.all_count += 1;
        self.bad_count += u64::from(matches!(outcome, CaseOutcome::Failed | CaseOutcome::Errored));
    }

    /// Counts the cases of a suite in it.
    pub(super) fn take_in(&mut self, inner: &Self) {
        self.all_count += inner.all_count;
        self.bad_count += inner.bad_count;
    }

    /// What no way of counting explains. Some tools count inner suites' cases in, some do not.
    pub(super) fn odd(&self) -> Option<String> {
        let Self { name, own_count, all_count, declared_bad_count, .. } = self;
        match self.declared_count {
            Some(declared) if declared != *all_count && declared != *own_count => {
                Some(format!("suite {name:?} says that it has {declared} tests, and has {all_count}"))
            }
            Some(_) | None if *declared_bad_count > 0 && self.bad_count == 0 => Some(format!(
                "suite {name:?} says that {declared_bad_count} of its tests failed, and shows none of them"
            )),
            Some(_) | None => None,
        }
    }
}
