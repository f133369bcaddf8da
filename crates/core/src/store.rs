//! The memory: what every store can do. The journals stay the truth; a store can be rebuilt from them.

use crate::id::{DeploymentId, EnvironmentName, ProjectName, TargetName};
use crate::journal::Record;
use crate::next::DeploymentOutcome;
use crate::plan::Plan;
use crate::record::{ArtifactRecord, DeploymentRecord, DeploymentRow, Incident, ReleaseRecord};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The most rows of one page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// How many deployments of an environment are remembered: many years of them, and far more than a host keeps journals.
pub const KEPT_COUNT: usize = 10_000;
/// From how many of the last successful runs a step's usual time is taken.
pub const USUAL_RUN_COUNT: usize = 20;

/// Why something could not be remembered or recalled.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It was written by a newer version.
    #[error("history {path} has schema version {found}; this version knows up to {supported}")]
    TooNew {
        /// The store.
        path: String,
        /// Its schema version.
        found: i64,
        /// The newest that this version knows.
        supported: i64,
    },
    /// It is not what was written. Nothing is lost: it can be rebuilt from the journals.
    #[error("history {path} is damaged: {why}")]
    Damaged {
        /// The store.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing has this name.
    #[error("no {what} {name:?} in the history")]
    NotFound {
        /// What was looked for: `deployment`, `incident`.
        what: &'static str,
        /// The name that was looked for.
        name: String,
    },
    /// More than one deployment begins like this.
    #[error("deployment {prefix:?} is ambiguous: {}", candidates.join(", "))]
    Ambiguous {
        /// The prefix that was looked for.
        prefix: String,
        /// The first few that begin like it.
        candidates: Vec<String>,
    },
    /// It could not be read or written.
    #[error("{operation} history {path}")]
    Failed {
        /// What was tried: `open`, `read`, `write`.
        operation: &'static str,
        /// The store.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Whose deployments: None means everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// One project.
    pub project: Option<ProjectName>,
    /// One environment.
    pub environment: Option<EnvironmentName>,
}

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended.
    Unfinished,
    /// It ended like this.
    Ended(DeploymentOutcome),
}

/// Which deployments to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Whose.
    pub scope: Scope,
    /// Only those that stand like this.
    pub standing: Option<Standing>,
    /// Only those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that come after this one in the list: the cursor of [`Page::next`].
    pub before: Option<DeploymentId>,
    /// Only those that have this text in subject, error, reason, asker, commit, release or id.
    pub text: Option<String>,
}

/// One page of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The deployments, newest first.
    pub rows: Vec<DeploymentRow>,
    /// Where the next page begins ([`Filter::before`]); None when this is the last.
    pub next: Option<DeploymentId>,
}

/// A place that holds releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasePlace {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The target.
    pub target: TargetName,
    /// The host of the target.
    pub host: String,
}

/// What retention took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// How many deployments, each with its entries, probes and incident.
    pub deployment_count: u64,
    /// How many artifacts' records.
    pub artifact_count: u64,
}

/// What remembers.
pub trait Store {
    /// Takes a deployment as far as it went. Twice equals once; later entries are added to earlier ones.
    fn ingest(&self, plan: &Plan, records: &[Record]) -> Result<(), StoreError>;

    /// The deployment with this id, or the only one whose id begins like this.
    fn deployment(&self, id_or_prefix: &str) -> Result<DeploymentRecord, StoreError>;

    /// The plan of a deployment.
    fn plan(&self, id: &DeploymentId) -> Result<Plan, StoreError>;

    /// Everything that was journaled of a deployment, in order.
    fn entries(&self, id: &DeploymentId) -> Result<Vec<Record>, StoreError>;

    /// A page of the history, newest first, of at most `limit` rows and [`PAGE_ROWS_MAX`].
    fn history(&self, filter: &Filter, limit: usize) -> Result<Page, StoreError>;

    /// Shows every deployment that the filter lets through, newest first, one at a time, until told to stop.
    fn each(&self, filter: &Filter, show: &mut dyn FnMut(DeploymentRow) -> ControlFlow<()>) -> Result<(), StoreError>;

    /// Each step's usual time in milliseconds, by its name: the median of the last
    /// [`USUAL_RUN_COUNT`] deployments that ended well.
    fn usual_times(&self, scope: &Scope, target: Option<&TargetName>) -> Result<BTreeMap<String, u64>, StoreError>;

    /// The incidents that were opened since then, newest first, at most [`PAGE_ROWS_MAX`].
    fn incidents(&self, scope: &Scope, since: Option<Timestamp>) -> Result<Vec<Incident>, StoreError>;

    /// Takes what a place holds now; what it held before and does not hold any more is forgotten.
    fn put_releases(&self, place: &ReleasePlace, releases: &[ReleaseRecord]) -> Result<(), StoreError>;

    /// The releases of every place in this scope, newest first.
    fn releases(&self, scope: &Scope) -> Result<Vec<(ReleasePlace, ReleaseRecord)>, StoreError>;

    /// Takes an artifact's record. Twice equals once.
    fn put_artifact(&self, artifact: &ArtifactRecord) -> Result<(), StoreError>;

    /// The artifacts of a project, newest first, at most [`PAGE_ROWS_MAX`].
    fn artifacts(&self, project: &ProjectName) -> Result<Vec<ArtifactRecord>, StoreError>;

    /// Forgets what is older than the newest `keep` deployments of an environment, but never what is live, unfinished,
    /// stuck or behind an open incident.
    fn prune(&self, project: &ProjectName, environment: &EnvironmentName, keep: usize) -> Result<Pruned, StoreError>;
}
