//! What is remembered of an artifact beside its manifest.

use cutover_core::artifact::{Digest, Manifest};
use cutover_core::check::CommitChecks;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest subject, author or branch in characters; longer ones are cut.
const TEXT_LENGTH_MAX: usize = 200;

/// Where an artifact comes from and when it was packed; not part of its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// The artifact's id.
    pub id: Digest,
    /// The project's name.
    pub project: String,
    /// Full commit hash.
    pub commit: String,
    /// First line of the commit's message.
    pub subject: String,
    /// The commit's author: `Name <mail>`.
    pub author: String,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// The branch that was packed, when it was named by one.
    pub branch: Option<String>,
    /// When it was packed, or packed again.
    pub packed_at: Timestamp,
    /// Whether uncommitted changes were packed.
    pub dirty: bool,
    /// The sum of all file sizes in bytes.
    pub bytes: u64,
    /// Number of files and symbolic links.
    pub file_count: u64,
    /// What checks said of the commit, as far as it was known where the artifact was.
    #[serde(default, skip_serializing_if = "CommitChecks::is_empty")]
    pub checks: CommitChecks,
}

/// An artifact of the local store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The digest of the manifest.
    pub id: Digest,
    /// What it holds.
    pub manifest: Manifest,
    /// Where it comes from.
    pub record: ArtifactRecord,
}

/// What is known of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitInfo {
    pub(crate) subject: String,
    pub(crate) author: String,
    pub(crate) committed_at: Timestamp,
    pub(crate) branch: Option<String>,
    pub(crate) checks: CommitChecks,
}

impl ArtifactRecord {
    /// The record of a manifest; whatever the manifest says is taken from there.
    pub(crate) fn new(id: Digest, manifest: &Manifest, commit: CommitInfo, packed_at: Timestamp) -> Self {
        Self {
            id,
            project: manifest.project.clone(),
            commit: manifest.commit.clone(),
            subject: printable(&commit.subject),
            author: printable(&commit.author),
            committed_at: commit.committed_at,
            branch: commit.branch.map(|branch| printable(&branch)),
            packed_at,
            dirty: manifest.dirty,
            bytes: manifest.unpacked_bytes(),
            file_count: manifest.entries.len() as u64,
            checks: commit.checks,
        }
    }
}

/// A text that can be shown on a terminal: one short line without control characters, which a
/// commit's author chooses freely.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_would_drive_a_terminal_is_made_harmless() {
        assert_eq!(printable("fix\x1b[2J it\r\n"), "fix [2J it  ");
        assert_eq!(printable(&"ü".repeat(1000)).chars().count(), TEXT_LENGTH_MAX);
    }
}
