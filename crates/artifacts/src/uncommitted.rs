//! What a work tree has that no commit has, and whose commit it is.

use crate::error::ArtifactError;
use crate::git::Repository;
use std::path::Path;

/// Where a work tree differs from `HEAD` in anything that is not ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncommitted {
    /// In the named file.
    pub file: bool,
    /// In anything else.
    pub others: bool,
}

/// Compares the work tree that a file lies in with its `HEAD`. Before the first commit there is nothing to compare with.
pub fn uncommitted(directory: &Path, file_name: &str) -> Result<Uncommitted, ArtifactError> {
    let repository = Repository::at(directory);
    // Mostly, one question is enough.
    if !repository.differs(&[":/"])? {
        return Ok(Uncommitted { file: false, others: false });
    }
    let others = format!(":(exclude,literal){file_name}");
    let found = Uncommitted {
        file: repository.differs(&[&format!(":(literal){file_name}")])?,
        others: repository.differs(&[":/", &others])?,
    };
    // Before the first commit, all differs from nothing.
    repository.resolve("HEAD")?;
    Ok(found)
}

/// The commit that is checked out where a directory lies, whatever was changed since.
pub fn head_commit(directory: &Path) -> Result<String, ArtifactError> {
    Repository::at(directory).resolve("HEAD")
}

/// The commit whose tree lies in the work tree with this top, with nothing beside it but what is ignored, and perhaps one
/// file that is not to count. None where anything differs, and before the first commit.
pub fn commit_in_work_tree(top: &Path, beside: Option<&Path>) -> Result<Option<String>, ArtifactError> {
    let repository = Repository::at(top);
    let head = match repository.resolve("HEAD") {
        Err(ArtifactError::UnknownRevision(_)) => return Ok(None),
        found => found?,
    };
    let beside = beside.and_then(|file| file.strip_prefix(top).ok());
    let beside = beside.map(|file| format!(":(top,exclude,literal){}", file.display()));
    let pathspecs: Vec<&str> = [":/"].into_iter().chain(beside.as_deref()).collect();
    Ok((!repository.differs(&pathspecs)?).then_some(head))
}

/// Whether this commit is checked out in the work tree with this top, and no file of it is changed. Files beside it count for nothing.
pub fn is_commit_unchanged(top: &Path, commit: &str) -> Result<bool, ArtifactError> {
    let repository = Repository::at(top);
    if repository.resolve("HEAD")? != commit {
        return Ok(false);
    }
    Ok(repository.changed_paths(commit)?.is_empty())
}
