//! What lists say of an artifact.

use crate::id::ProjectName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One artifact as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// The artifact's id.
    pub id: String,
    /// The project that it was built from.
    pub project: ProjectName,
    /// Full commit hash; empty when there is none.
    pub commit: String,
    /// First line of the commit message.
    #[serde(default)]
    pub subject: String,
    /// Whether uncommitted changes are in it.
    #[serde(default)]
    pub dirty: bool,
    /// How many files it holds.
    pub file_count: u64,
    /// What its files take, in bytes.
    pub size_bytes: u64,
    /// When it was packed.
    pub packed_at: Timestamp,
}
