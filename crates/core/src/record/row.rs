//! One line of the history.

use super::deployment::{DeploymentRecord, FailureRecord};
use crate::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId};
use crate::next::DeploymentOutcome;
use crate::plan::PlanKind;
use crate::target::is_wish;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A deployment as the history lists it and the metrics count it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentRow {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Why its plan was made.
    pub kind: PlanKind,
    /// The project.
    pub project: ProjectName,
    /// Where it went.
    pub environment: EnvironmentName,
    /// The hosts that it acted on, as the config calls them.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The release that it was to make live.
    pub release: ReleaseId,
    /// The release that was live before.
    pub original: Option<ReleaseId>,
    /// Whether it is a rollback to a release that was made after that one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
    /// Whether a restart starts what did not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starts: bool,
    /// The artifact's id.
    pub artifact: String,
    /// Full commit hash; empty when there is none.
    pub commit: String,
    /// First line of the commit message.
    pub subject: String,
    /// When the commit was made.
    pub committed_at: Option<Timestamp>,
    /// Whether uncommitted changes are in it.
    pub dirty: bool,
    /// The environment that had verified the artifact, where it was promoted from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<EnvironmentName>,
    /// Who asked for it.
    pub by: String,
    /// Why, in the asker's words.
    pub reason: String,
    /// When its plan was made.
    pub began_at: Timestamp,
    /// When it ended; None while it is unfinished.
    pub ended_at: Option<Timestamp>,
    /// How it ended; None while it is unfinished.
    pub outcome: Option<DeploymentOutcome>,
    /// Whether the release stays on some of its hosts, though it was taken back on others or never went live there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub divided: bool,
    /// Whether traffic may have reached the release.
    pub switched: bool,
    /// Whether a cancellation stopped it.
    pub cancelled: bool,
    /// How long it was at work, in milliseconds.
    pub elapsed_ms: u64,
    /// The name of the step that failed.
    pub failed_step: Option<String>,
    /// Why it failed, in one line, on which of several hosts; without a step, why it was stopped, where that was nobody's wish.
    pub error: Option<String>,
}

impl DeploymentRow {
    /// Whether it was called off before anything was switched, because another host refused or could not be reached: nothing came of it.
    pub fn was_called_off(&self) -> bool {
        let is_cause_told = self.failed_step.is_none() && self.error.is_some();
        self.outcome == Some(DeploymentOutcome::Failed) && self.cancelled && !self.switched && is_cause_told
    }

    /// Whether it was to make another release live than the one that was.
    pub fn is_change(&self) -> bool {
        self.kind == PlanKind::Deploy && !finds_nothing_to_do(self.kind, &self.release, self.original.as_ref())
    }
}

/// Whether what was to be deployed is live already, unchanged: nothing is switched, restarted or verified then.
pub(super) fn finds_nothing_to_do(kind: PlanKind, release: &ReleaseId, original: Option<&ReleaseId>) -> bool {
    kind == PlanKind::Deploy && original == Some(release)
}

impl From<&DeploymentRecord> for DeploymentRow {
    fn from(record: &DeploymentRecord) -> Self {
        let failure = record.failure.as_ref().or(record.restore_failure.as_ref());
        Self {
            deployment: record.deployment.clone(),
            kind: record.kind,
            project: record.project.clone(),
            environment: record.environment.clone(),
            hosts: hosts(record),
            release: record.release.clone(),
            original: record.original.clone(),
            forward: record.forward,
            starts: record.starts,
            artifact: record.artifact.clone(),
            commit: record.commit.clone(),
            subject: record.subject.clone(),
            committed_at: record.committed_at,
            dirty: record.dirty,
            promoted_from: record.promoted_from.clone(),
            by: record.by.clone(),
            reason: record.reason.clone(),
            began_at: record.began_at,
            ended_at: record.ended_at,
            outcome: record.outcome,
            divided: !record.divided().is_empty(),
            switched: record.switched,
            cancelled: record.cancelled,
            elapsed_ms: record.elapsed_ms,
            failed_step: failure.map(|failure| failure.name.clone()),
            error: failure.map(|failure| error(record, failure)).or_else(|| cause(record)),
        }
    }
}

fn hosts(record: &DeploymentRecord) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for host in record.targets.iter().flat_map(|target| &target.hosts) {
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    hosts
}

fn error(record: &DeploymentRecord, failure: &FailureRecord) -> String {
    let message = first_line(&failure.failure.message);
    let is_alone = record.targets.iter().flat_map(|target| &target.hosts).all(|host| *host == failure.host);
    if is_alone { message } else { format!("{message} (on {})", failure.host) }
}

/// Why it was stopped, where that was nobody's wish.
fn cause(record: &DeploymentRecord) -> Option<String> {
    (record.cancelled && !is_wish(&record.cancel_reason)).then(|| first_line(&record.cancel_reason))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
