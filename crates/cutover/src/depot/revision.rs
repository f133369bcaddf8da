//! Which artifact of the shared store a revision means.

use super::{open, take};
use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use cutover_artifacts::{Artifact, ArtifactError, resolve_commit, tags_here, tags_there};
use cutover_core::artifact::is_commit_hash;
use std::collections::HashSet;
use std::fmt;

/// A commit as it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revision<'a> {
    /// Whatever git takes for one.
    Any(&'a str),
    /// A tag.
    Tag(&'a str),
}

impl fmt::Display for Revision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(revision) => f.write_str(revision),
            Self::Tag(tag) => write!(f, "refs/tags/{tag}"),
        }
    }
}

/// The artifact that the shared store has of a revision. None where this machine has packed it itself, where the store has none, and
/// where there is no store.
pub(crate) fn of_revision(context: &Context, revision: &Revision<'_>) -> Result<Option<Artifact>, CommandError> {
    if let Revision::Tag(tag) = revision
        && tag.contains(|c: char| "~^:?*[\\@{".contains(c) || c.is_whitespace() || c.is_control())
    {
        let why = format!("{tag:?} is no name of a tag");
        return Err(CommandError::new(ErrorKind::Usage, why).state("nothing was deployed"));
    }
    let Some(depot) = open(context)? else { return Ok(None) };
    let commit = commit_of(context, revision)?;
    let project = context.project()?;
    let is_it = |record: &cutover_artifacts::ArtifactRecord| {
        record.commit == commit && !record.dirty && record.project == project.config.name.as_str()
    };
    if context.artifacts()?.list()?.iter().any(is_it) {
        return Ok(None);
    }
    let found = depot.of_commit(&commit).map_err(|error| CommandError::from(error).state("nothing was deployed"))?;
    let Some(newest) = found.first() else { return Ok(None) };
    if found.len() > 1 {
        let short = newest.record.id.short();
        context.output.warn(&format!(
            "{} has {} artifacts of this commit, and {short} is the newest: --artifact names another",
            depot.place(),
            found.len()
        ));
    }
    take(context, &depot, newest).map(Some)
}

/// The commit that is meant, also where the repository here does not have it.
fn commit_of(context: &Context, revision: &Revision<'_>) -> Result<String, CommandError> {
    let dir = &context.project()?.dir;
    let unknown = match resolve_commit(dir, &revision.to_string()) {
        Ok(commit) => return Ok(commit),
        Err(error @ (ArtifactError::UnknownRevision(_) | ArtifactError::Git { .. })) => error,
        Err(error) => return Err(error.into()),
    };
    match revision {
        // A full hash names a commit wherever it is; a clone of a CI may not have it.
        Revision::Any(hash) if is_commit_hash(hash) => Ok((*hash).to_owned()),
        Revision::Any(_) => Err(unknown.into()),
        Revision::Tag(tag) => match tags_there(dir) {
            Ok(Some(tags)) => tags.get(*tag).cloned().ok_or_else(|| {
                let why = format!("there is no tag {tag}, neither here nor at the remote repository");
                CommandError::new(ErrorKind::Usage, why).state("nothing was deployed")
            }),
            Ok(None) | Err(_) => Err(unknown.into()),
        },
    }
}

/// The commits of all tags, here and at the remote repository. An error is why nobody knows them.
pub(crate) fn tagged_commits(context: &Context) -> Result<HashSet<String>, CommandError> {
    let dir = &context.project()?.dir;
    let (here, there) = (tags_here(dir)?, tags_there(dir)?.unwrap_or_default());
    Ok(here.into_values().chain(there.into_values()).collect())
}
