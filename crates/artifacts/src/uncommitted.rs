//! What a work tree has that no commit has, and whose commit it is.

use crate::error::ArtifactError;
use crate::filter::Filter;
use crate::git::{NewFiles, Repository, State};
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

/// What lies in a work tree, seen from its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkTree {
    /// Just this commit's tree, and what is ignored.
    Commit(String),
    /// Something else, too: this path was changed or is new, and perhaps others.
    Differs(String),
    /// There is no commit yet.
    Unborn,
}

/// What lies in the work tree with this top. One file is not to count, perhaps, nor new files of these glob patterns, which are
/// seen from the top.
pub fn work_tree(top: &Path, beside: Option<&Path>, patterns: &[String]) -> Result<WorkTree, ArtifactError> {
    let repository = Repository::at(top);
    let beside = beside.and_then(|file| file.strip_prefix(top).ok());
    if patterns.is_empty() {
        let beside = beside.map(|file| format!(":(top,exclude,literal){}", file.display()));
        let pathspecs: Vec<&str> = [":/"].into_iter().chain(beside.as_deref()).collect();
        return Ok(seen(repository.state(&pathspecs, NewFiles::Seen)?));
    }
    let changed = seen(repository.state(&[], NewFiles::Unseen)?);
    let WorkTree::Commit(_) = &changed else { return Ok(changed) };
    let filter = Filter::new(patterns, &[])?;
    let counts = |path: &&Vec<u8>| {
        let path = String::from_utf8_lossy(path);
        beside != Some(Path::new(&*path)) && !filter.takes(&path)
    };
    let new = repository.untracked()?;
    Ok(new.iter().find(counts).map_or(changed, |path| WorkTree::Differs(lossy(path))))
}

fn seen(state: State) -> WorkTree {
    match (state.head, state.difference) {
        (None, _) => WorkTree::Unborn,
        (Some(_), Some(path)) => WorkTree::Differs(lossy(&path)),
        (Some(commit), None) => WorkTree::Commit(commit),
    }
}

/// The same for this commit, which lay there before: whether it is still checked out with no file of it changed. Files beside it
/// count for nothing.
pub fn work_tree_since(top: &Path, commit: &str) -> Result<WorkTree, ArtifactError> {
    let state = Repository::at(top).state(&[], NewFiles::Unseen)?;
    let is_there = state.head.as_deref() == Some(commit);
    Ok(if is_there { seen(state) } else { WorkTree::Differs("HEAD".to_owned()) })
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
