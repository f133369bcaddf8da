//! The summary of one deployment.

use super::step::{StepRecord, StepState};
use crate::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use crate::next::DeploymentOutcome;
use crate::plan::{PlanKind, StepId};
use crate::probe::ProbeResult;
use crate::target::Failure;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the shapes in this module, as `--json` prints them.
pub const RECORD_VERSION: u32 = 1;

/// Where a deployment went: a target and its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// The target.
    pub name: TargetName,
    /// Its hosts, in the plan's order.
    pub hosts: Vec<String>,
}

/// A failure with its place and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The step that failed.
    pub step: StepId,
    /// The step's name.
    pub name: String,
    /// The target that it acted on.
    pub target: TargetName,
    /// The host of the target.
    pub host: String,
    /// When it failed.
    pub at: Timestamp,
    /// Why, without its probes: they stand with the others in [`DeploymentRecord::probes`].
    #[serde(flatten)]
    pub failure: Failure,
}

/// A probe with the step that made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeRecord {
    /// The step.
    pub step: StepId,
    /// The host of the step.
    pub host: String,
    /// What was seen.
    #[serde(flatten)]
    pub result: ProbeResult,
}

/// One deployment, as it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    /// The version of this shape, [`RECORD_VERSION`].
    pub version: u32,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Why its plan was made.
    pub kind: PlanKind,
    /// The project.
    pub project: ProjectName,
    /// Where it went.
    pub environment: EnvironmentName,
    /// Its targets and their hosts.
    pub targets: Vec<TargetRecord>,
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
    /// When the last entry of its journal was written; None while it is unfinished.
    pub ended_at: Option<Timestamp>,
    /// How it ended; None while it is unfinished.
    pub outcome: Option<DeploymentOutcome>,
    /// Whether a step that makes the release `current` was begun: traffic may have reached it.
    pub switched: bool,
    /// Whether a cancellation stopped it, rather than a failure.
    pub cancelled: bool,
    /// Who or what cancelled it; empty when nobody did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cancel_reason: String,
    /// When the cancellation took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    /// What stopped it.
    pub failure: Option<FailureRecord>,
    /// The last step that could not be restored, while it is not.
    pub restore_failure: Option<FailureRecord>,
    /// When it first needed a person, also if it was resumed and ended well since.
    pub stuck_at: Option<Timestamp>,
    /// How often it was taken up again after a crash or from `stuck`.
    pub resume_count: u32,
    /// What people should know though it stopped nothing, each with the name of its step.
    pub warnings: Vec<String>,
    /// How long it was at work by the journal's times, in milliseconds. Time that ran backwards counts as none.
    pub elapsed_ms: u64,
    /// Its steps in order.
    pub steps: Vec<StepRecord>,
    /// What its probes saw, in order.
    pub probes: Vec<ProbeRecord>,
}

impl DeploymentRecord {
    /// The hosts on which the release stays though it does not on others: what runs differs from host to host.
    pub fn divided(&self) -> Vec<&str> {
        let went_back = matches!(self.outcome, Some(DeploymentOutcome::RolledBack | DeploymentOutcome::Failed));
        let is_live = |step: &&StepRecord| step.switches && step.state == StepState::Applied && went_back;
        let mut hosts: Vec<&str> = self.steps.iter().filter(is_live).map(|step| step.host.as_str()).collect();
        hosts.dedup();
        hosts
    }
}
