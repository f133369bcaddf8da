//! What a work tree has that no commit has.

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
