//! What is remembered of one step.

use crate::id::TargetName;
use crate::plan::{Phase, Reversal, StepId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Begun and not ended: at work, or interrupted.
    Started,
    /// Done.
    Applied,
    /// Failed, and what it replaced is not back.
    Failed,
    /// What it replaced is back.
    Restored,
    /// What it replaced could not be brought back.
    RestoreFailed,
}

/// One step of a deployment, as it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its place in the plan.
    pub id: StepId,
    /// Its name.
    pub name: String,
    /// The target that it acts on.
    pub target: TargetName,
    /// The host of the target.
    pub host: String,
    /// Where it stands.
    pub phase: Phase,
    /// Whether it makes the release `current`.
    pub switches: bool,
    /// What unwinding can do about it.
    pub reversal: Reversal,
    /// How far it came.
    pub state: StepState,
    /// Whether it changed anything; None until it was applied.
    pub changed: Option<bool>,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// When it was applied or failed.
    pub ended_at: Option<Timestamp>,
    /// When what it replaced was back.
    pub restored_at: Option<Timestamp>,
    /// How long it was at work, in milliseconds, from its start or the last resumption.
    pub elapsed_ms: Option<u64>,
    /// One line for people: what it did, or why it failed.
    pub note: String,
}
