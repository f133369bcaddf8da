//! What lists say of a release.

use crate::id::{DeploymentId, ReleaseId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a release came. It is written down, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseState {
    /// On the host, never current.
    Staged,
    /// Current, not yet verified to the end.
    Live,
    /// Was verified to the end: safe to go back to.
    Good,
    /// Was taken back: never chosen by default again.
    Bad,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// One release as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// The release.
    pub id: ReleaseId,
    /// The artifact that it holds.
    pub artifact: String,
    /// Full commit hash; empty when there is none.
    pub commit: String,
    /// Whether uncommitted changes are in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
    /// How far it came.
    pub state: ReleaseState,
    /// Why it is in that state, when there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Its place in the order in which this target's releases were made.
    pub seq: u64,
    /// What it takes on disk, in bytes.
    pub size_bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The deployment that made it.
    pub deployment: Option<DeploymentId>,
    /// Whether it is what serves.
    #[serde(default)]
    pub current: bool,
    /// Whether it is what served before.
    #[serde(default)]
    pub previous: bool,
}
