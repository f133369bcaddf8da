//! The typed list of what a deployment will do.

use crate::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most steps that a plan may have.
pub const STEP_COUNT_MAX: usize = 10_000;

/// A step's place in its plan, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where in a deployment a step stands; phases follow each other in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Touches nothing that runs.
    Prepare,
    /// Changes what runs, or what it reads; a failure takes everything back.
    Live,
    /// After the release was verified; a failure is reported and takes nothing back.
    Settle,
}

/// What unwinding can do about a step that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    /// `restore` brings back exactly what was there.
    Restorable,
    /// Nothing can be taken back: once started, unwinding ends `stuck`, and a person decides.
    Irreversible,
}

/// One step: what an adapter does, and what the law needs to know about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step<A> {
    /// Its place in the plan.
    pub id: StepId,
    /// Which target it acts on.
    pub target: TargetName,
    /// Which host of the target; `localhost` for this machine.
    pub host: String,
    /// Its name in reports and statistics: `assemble`, `switch`.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// Whether it makes the release `current`: from here on traffic can reach it.
    #[serde(default)]
    pub switches: bool,
    /// What unwinding can do.
    pub reversal: Reversal,
    /// What the adapter does.
    pub action: A,
}

/// Why a plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Brings an artifact live.
    Deploy,
    /// Brings an earlier release live.
    Rollback,
    /// Starts the service again and verifies it.
    Restart,
}

/// What a deployment will do, and for whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan<A = serde_json::Value> {
    /// This attempt.
    pub deployment: DeploymentId,
    /// Why it was made.
    pub kind: PlanKind,
    /// The project.
    pub project: ProjectName,
    /// Where it goes.
    pub environment: EnvironmentName,
    /// The artifact's id.
    pub artifact: String,
    /// Full commit hash; empty when there is none.
    pub commit: String,
    /// First line of the commit message, for people.
    #[serde(default)]
    pub subject: String,
    /// When the commit was made.
    #[serde(default)]
    pub committed_at: Option<Timestamp>,
    /// Whether uncommitted changes are in it.
    #[serde(default)]
    pub dirty: bool,
    /// The release that the plan makes live.
    pub release: ReleaseId,
    /// The release that is live before; None when there is none to go back to.
    pub original: Option<ReleaseId>,
    /// Whether a rollback goes to a release that was made after the live one: it takes nothing back, it undoes a rollback.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
    /// Whether a restart starts what did not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starts: bool,
    /// The environment that had verified the artifact, where it was promoted from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<EnvironmentName>,
    /// Who asked for it.
    pub by: String,
    /// Why, in the asker's words.
    #[serde(default)]
    pub reason: String,
    /// When the plan was made.
    pub made_at: Timestamp,
    /// The hosts that make it together, as their client calls them; none where one host makes it alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fleet: Vec<String>,
    /// What will be done, in order.
    pub steps: Vec<Step<A>>,
}

/// A plan that the law refuses to drive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// More than [`STEP_COUNT_MAX`] steps.
    #[error("plan has {0} steps; the most is {STEP_COUNT_MAX}")]
    TooManySteps(usize),
    /// A step's id is not its place.
    #[error("step {0} does not stand in its place")]
    Misplaced(StepId),
    /// A phase comes after a later one.
    #[error("step {0} belongs to an earlier phase than the step before it")]
    PhaseOrder(StepId),
}

impl<A> Plan<A> {
    /// Checks what the law relies on: every step in its place, phases in order.
    pub fn check(&self) -> Result<(), InvalidPlan> {
        if self.steps.len() > STEP_COUNT_MAX {
            return Err(InvalidPlan::TooManySteps(self.steps.len()));
        }
        let misplaced = self.steps.iter().enumerate().find(|(at, step)| step.id.0 as usize != *at);
        if let Some((_, step)) = misplaced {
            return Err(InvalidPlan::Misplaced(step.id));
        }
        match self.steps.windows(2).find(|pair| pair[1].phase < pair[0].phase) {
            Some(pair) => Err(InvalidPlan::PhaseOrder(pair[1].id)),
            None => Ok(()),
        }
    }

    /// The hosts that it acts on, in its order.
    pub fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<&str> = Vec::new();
        for step in &self.steps {
            if !hosts.contains(&step.host.as_str()) {
                hosts.push(&step.host);
            }
        }
        hosts
    }

    /// Whether what was to be deployed is live already, unchanged: nothing is switched, restarted or verified then.
    pub fn finds_nothing_to_do(&self) -> bool {
        self.kind == PlanKind::Deploy && self.original.as_ref() == Some(&self.release)
    }

    /// Whether it brings another release live.
    pub fn switches(&self) -> bool {
        self.steps.iter().any(|step| step.switches)
    }

    /// The step with this id.
    pub fn step(&self, id: StepId) -> Option<&Step<A>> {
        self.steps.get(id.0 as usize)
    }

    /// The same plan with each action as JSON: what readers that don't act need.
    pub fn erased(&self) -> Result<Plan, serde_json::Error>
    where
        A: Serialize,
    {
        serde_json::from_value(serde_json::to_value(self)?)
    }
}
