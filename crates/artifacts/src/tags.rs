//! What revisions and tags name, here and at the remote.

use crate::error::ArtifactError;
use crate::git::Repository;
use std::collections::BTreeMap;
use std::path::Path;

/// The full hash of the commit that a revision names in the repository that a directory lies in.
pub fn resolve_commit(directory: &Path, revision: &str) -> Result<String, ArtifactError> {
    Repository::at(directory).resolve(revision)
}

/// The commits of all tags that are here, by the tags' names.
pub fn tags_here(directory: &Path) -> Result<BTreeMap<String, String>, ArtifactError> {
    Repository::at(directory).tags()
}

/// The commits of all tags that the remote repository has, by their names; None where there is no remote.
///
/// A clone of a CI has no tags, and an old one not the newest.
pub fn tags_there(directory: &Path) -> Result<Option<BTreeMap<String, String>>, ArtifactError> {
    Repository::at(directory).remote_tags()
}
