//! What checks said of a commit: an artifact carries it along, and an environment may require it.

use super::run::{Conclusion, Run};
use crate::id::CheckName;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The most checks that are kept of one commit: as many as a config may have.
pub const COMMIT_CHECKS_MAX: usize = 1000;

/// What one check said of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What became of the check.
    pub conclusion: Conclusion,
    /// When its run ended.
    pub at: Timestamp,
}

/// The last word of each check about one commit, by the check's name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitChecks(BTreeMap<CheckName, Checked>);

/// A check that a commit should have passed, and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The check.
    pub check: CheckName,
    /// What became of it; None where it never ran.
    pub found: Option<Conclusion>,
}

impl CommitChecks {
    /// What a run said. Checks whose names could not stand in a config are left out.
    pub fn of(run: &Run) -> Self {
        let took = SignedDuration::try_from_secs_f64(run.seconds).unwrap_or_default();
        let at = run.started_at.checked_add(took).unwrap_or(run.started_at);
        let said = run.checks.iter().filter_map(|check| {
            Some((CheckName::new(&check.name).ok()?, Checked { conclusion: check.conclusion?, at }))
        });
        Self(said.take(COMMIT_CHECKS_MAX).collect())
    }

    /// Takes in what was said elsewhere or at another time. The later word counts; but a check that did not run says nothing
    /// against one that did.
    pub fn merge(&mut self, other: Self) {
        for (name, said) in other.0 {
            let counts = match self.0.get(&name) {
                Some(known) => (said.ran(), said.at) > (known.ran(), known.at),
                None => self.0.len() < COMMIT_CHECKS_MAX,
            };
            if counts {
                self.0.insert(name, said);
            }
        }
    }

    /// Forgets what was said later than this, and says whether anything was.
    pub fn forget_after(&mut self, until: Timestamp) -> bool {
        let count = self.0.len();
        self.0.retain(|_, said| said.at <= until);
        self.0.len() < count
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of the required checks that did not pass, in the given order.
    pub fn lacking<'c>(&self, required: impl IntoIterator<Item = &'c CheckName>) -> Vec<Lacking> {
        let found = |check: &CheckName| self.0.get(check).map(|checked| checked.conclusion);
        let required = required.into_iter().map(|check| Lacking { check: check.clone(), found: found(check) });
        required.filter(|lacking| lacking.found != Some(Conclusion::Success)).collect()
    }
}

impl Checked {
    fn ran(self) -> bool {
        matches!(self.conclusion, Conclusion::Success | Conclusion::Failure)
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let became = match self.found {
            Some(Conclusion::Success) => "passed",
            Some(Conclusion::Failure) => "failed",
            Some(Conclusion::Cancelled) => "was cancelled",
            Some(Conclusion::Skipped) => "was left out",
            None => "did not run",
        };
        write!(out, "`{}` {became}", self.check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::run::{CheckRun, Status, Why};

    fn name(text: &str) -> CheckName {
        CheckName::new(text).unwrap()
    }

    /// What is known after a run that ended at this second, with one check of this conclusion.
    fn said(check: &str, second: i64, conclusion: Conclusion) -> CommitChecks {
        let at = Timestamp::from_second(second - 5).unwrap();
        let mut ran = CheckRun::queued(check).ended(conclusion, Why::Gates);
        ran.status = Status::Completed;
        CommitChecks::of(&Run::new(at, 5.0, vec![ran]))
    }

    fn words(known: &CommitChecks, required: &[&str]) -> Vec<String> {
        let required: Vec<CheckName> = required.iter().map(|check| name(check)).collect();
        known.lacking(&required).iter().map(Lacking::to_string).collect()
    }

    #[test]
    fn a_required_check_has_passed_or_is_named_with_what_became_of_it() {
        let mut known = said("lint", 10, Conclusion::Success);
        known.merge(said("unit", 10, Conclusion::Failure));
        known.merge(said("e2e", 10, Conclusion::Skipped));
        assert_eq!(words(&known, &["lint"]), [""; 0]);
        assert_eq!(
            words(&known, &["unit", "lint", "e2e", "types"]),
            ["`unit` failed", "`e2e` was left out", "`types` did not run"]
        );
    }

    #[test]
    fn what_was_said_after_a_time_is_forgotten_and_the_rest_is_not() {
        let mut known = said("unit", 10, Conclusion::Failure);
        known.merge(said("lint", 20, Conclusion::Success));
        assert!(known.forget_after(Timestamp::from_second(15).unwrap()));
        assert_eq!(known, said("unit", 10, Conclusion::Failure));
        assert!(!known.forget_after(Timestamp::from_second(10).unwrap()));
    }

    #[test]
    fn the_later_word_counts_whichever_is_heard_first() {
        let (failed, passed) = (said("unit", 10, Conclusion::Failure), said("unit", 11, Conclusion::Success));
        for (mut one, other) in [(failed.clone(), passed.clone()), (passed, failed)] {
            one.merge(other);
            assert_eq!(words(&one, &["unit"]), [""; 0]);
        }
    }

    #[test]
    fn a_check_that_did_not_run_again_has_still_passed_or_failed() {
        let mut known = said("unit", 10, Conclusion::Success);
        known.merge(said("unit", 20, Conclusion::Skipped));
        known.merge(said("unit", 20, Conclusion::Cancelled));
        assert_eq!(words(&known, &["unit"]), [""; 0]);
        let mut known = said("unit", 20, Conclusion::Cancelled);
        known.merge(said("unit", 10, Conclusion::Failure));
        assert_eq!(words(&known, &["unit"]), ["`unit` failed"]);
    }

    #[test]
    fn a_run_counts_from_its_end_on() {
        let known = said("unit", 10, Conclusion::Success);
        assert_eq!(known.0[&name("unit")].at, Timestamp::from_second(10).unwrap());
    }
}
