//! What a host is asked to change, in a form that can travel.

use super::place::Place;
use cutover_core::artifact::Digest;
use cutover_core::config::HostConfig;
use cutover_core::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use cutover_targets::host::lock::Holder;
use cutover_targets::host::planner::FleetPart;
use cutover_targets::host::transaction::Recovery;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One change of an environment on one host: what the config says about the host, who asks, and what for.
///
/// Secrets are no part of it, only their names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The project.
    pub(crate) project: ProjectName,
    /// The environment.
    pub(crate) environment: EnvironmentName,
    /// The host, as the config calls it.
    pub(crate) host: String,
    /// Its targets on the host.
    pub(crate) targets: BTreeMap<TargetName, HostConfig>,
    /// Which of its variables are secret.
    pub(crate) secret_names: BTreeSet<String>,
    /// The attempt's name.
    pub(crate) deployment: DeploymentId,
    /// When it was given.
    pub(crate) made_at: Timestamp,
    /// Who asks.
    pub(crate) by: String,
    /// Why, in the asker's words.
    pub(crate) reason: String,
    /// The environment that had verified the artifact, where it is promoted from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) promoted_from: Option<EnvironmentName>,
    /// What the lock is held for: "deploy a1b2c3d Fix the door".
    pub(crate) purpose: String,
    /// How long to wait for the lock; None: not at all.
    pub(crate) wait: Option<Duration>,
    /// Whether older waiters give up for this one.
    pub(crate) supersede: bool,
    /// What is to be done.
    pub(crate) task: Task,
    /// The host's part where it is one of several that wait for each other.
    pub(crate) part: Option<Part>,
    /// The release at which a rollback leaves this host, should it be live: the one that the others go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stays_at: Option<ReleaseId>,
    /// Deployments that have settled on another host: what is resumed of them goes forward.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) settled: BTreeSet<DeploymentId>,
}

/// A host's part in a change of several.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    /// What the plan depends on.
    pub(crate) plan: FleetPart,
    /// For how long the host believes in a client that says nothing.
    pub(crate) lease: Duration,
}

/// What is to be done on a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// Bring an artifact live.
    Deploy {
        /// The artifact's id.
        artifact: Digest,
        /// First line of the commit message.
        subject: String,
        /// When the commit was made.
        committed_at: Timestamp,
        /// Restart the service even when nothing changed.
        restart: bool,
    },
    /// Bring an earlier release live again: the one whose id is this or begins with it, else the last good one.
    Rollback {
        /// As the asker named it.
        release: Option<String>,
    },
    /// Restart what is live.
    Restart,
    /// Start what of the live release does not run.
    Start,
    /// Go on with what is unfinished.
    Resume,
    /// Close what is unfinished or stuck as it stands.
    Abandon,
    /// Tell which deployments ended, but for these.
    Recall {
        /// What the asker knows already.
        known: BTreeSet<DeploymentId>,
    },
}

impl Task {
    /// Whether several hosts wait for each other over it.
    pub(crate) fn is_coordinated(&self) -> bool {
        matches!(self, Self::Deploy { .. } | Self::Rollback { .. } | Self::Restart | Self::Start)
    }

    /// The artifact that it brings live; None where a host has all that it is about.
    pub(crate) fn artifact(&self) -> Option<&Digest> {
        match self {
            Self::Deploy { artifact, .. } => Some(artifact),
            Self::Rollback { .. }
            | Self::Restart
            | Self::Start
            | Self::Resume
            | Self::Abandon
            | Self::Recall { .. } => None,
        }
    }

    /// Whether it says itself what is brought live, whatever a host has.
    pub(crate) fn names_what_it_brings(&self) -> bool {
        !matches!(self, Self::Rollback { .. })
    }

    /// Whether it may bring another release live.
    pub(crate) fn brings_release(&self) -> bool {
        matches!(self, Self::Deploy { .. } | Self::Rollback { .. } | Self::Resume)
    }

    /// What becomes of a deployment that died before.
    pub(crate) fn recovery(&self) -> Recovery {
        match self {
            Self::Resume => Recovery::GoOn,
            Self::Deploy { .. }
            | Self::Rollback { .. }
            | Self::Restart
            | Self::Start
            | Self::Abandon
            | Self::Recall { .. } => Recovery::TakeBack,
        }
    }
}

impl Order {
    /// Whether it runs the migrations for several hosts.
    pub(crate) fn migrates(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.plan.migrates)
    }

    /// The hosts that it is given to together; none where it is for this one alone.
    pub(crate) fn fleet(&self) -> &[String] {
        self.part.as_ref().map_or(&[], |part| &part.plan.hosts)
    }

    /// The environment's targets as commands see them.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            name: &self.environment,
            host: &self.host,
            targets: self.targets.iter().map(|(name, config)| (name.clone(), config)).collect(),
        }
    }

    /// Who holds the lock while it is carried out.
    pub(crate) fn holder(&self) -> Holder {
        let deployment = match self.task {
            Task::Abandon | Task::Recall { .. } => None,
            Task::Deploy { .. } | Task::Rollback { .. } | Task::Restart | Task::Start | Task::Resume => {
                Some(self.deployment.clone())
            }
        };
        Holder {
            by: self.by.clone(),
            reason: self.purpose.clone(),
            deployment,
            pid: std::process::id(),
            since: Some(self.made_at),
            until: None,
            supersedes: self.supersede,
        }
    }
}
