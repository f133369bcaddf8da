//! Which commit a run of checks judges.

use cutover_artifacts::{ArtifactError, WorkTree, work_tree, work_tree_since};
use cutover_core::config::CheckConfig;
use cutover_core::id::CheckName;
use std::collections::BTreeMap;
use std::path::Path;

/// Which commit a run judges: one whose tree is all that lies there, from the beginning to the end.
pub(crate) enum Judged {
    /// This one.
    Commit(String),
    /// None, for this reason.
    Nothing(String),
}

impl Judged {
    /// What lies in the work tree with this top before the run. New files that are the checks' own reports, of a run before this one,
    /// do not count, nor perhaps one file more.
    pub(crate) fn now(top: &Path, beside: Option<&Path>, checks: &BTreeMap<CheckName, CheckConfig>) -> Self {
        let reports = checks.values().map(|check| &check.reports);
        let patterns = reports.flat_map(|reports| [&reports.junit, &reports.coverage, &reports.sarif]).flatten();
        let patterns: Vec<String> = patterns.cloned().collect();
        Self::of(work_tree(top, beside, &patterns), "is not committed")
    }

    /// Whether that is still what lies there: somebody may have gone on working, and a check may mend what it finds. New files are
    /// reports.
    pub(crate) fn after(self, top: &Path) -> Self {
        match self {
            Self::Commit(commit) => Self::of(work_tree_since(top, &commit), "was changed while the checks ran"),
            Self::Nothing(why) => Self::Nothing(why),
        }
    }

    /// Outside of any repository no commit is judged either.
    fn of(lies_there: Result<WorkTree, ArtifactError>, differs: &str) -> Self {
        match lies_there {
            Ok(WorkTree::Commit(commit)) => Self::Commit(commit),
            Ok(WorkTree::Differs(path)) => Self::Nothing(format!("{path:?} {differs}")),
            Ok(WorkTree::Unborn) => Self::Nothing("there is no commit yet".to_owned()),
            Err(error) => Self::Nothing(error.to_string()),
        }
    }
}
