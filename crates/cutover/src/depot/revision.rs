//! Which artifact of the shared store a revision means.

use super::provenance::{ask, first_signed, is_fine_here, judge, known_signers, signing_key, would_count};
use super::{needed, open, take};
use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use cutover_artifacts::depot::{Depot, Kept};
use cutover_artifacts::{Artifact, ArtifactError, ArtifactRecord, PackSource, resolve_commit, tags_here, tags_there};
use cutover_core::artifact::is_commit_hash;
use cutover_core::config::ArtifactStoreKind;
use cutover_core::secret::SIGNING_KEY_VARIABLE;
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

/// The artifact that is here already of a revision, or that the shared store has of it. None where nobody has packed it, and where
/// there is no store: then it is packed here, or found to have been.
pub(crate) fn of_revision(context: &Context, revision: &Revision<'_>) -> Result<Option<Artifact>, CommandError> {
    if let Revision::Tag(tag) = revision
        && tag.contains(|c: char| "~^:?*[\\@{".contains(c) || c.is_whitespace() || c.is_control())
    {
        let why = format!("{tag:?} is no name of a tag");
        return Err(CommandError::new(ErrorKind::Usage, why).state("nothing was deployed"));
    }
    if context.project()?.config.artifact.store.is_none() {
        return Ok(None);
    }
    let commit = commit_of(context, revision)?;
    let here = of_commit_here(context, &commit)?;
    // What is here and may be deployed needs no store, or no more of it than a signature.
    let fine = here.iter().find(|artifact| is_fine_here(context, artifact));
    if let Some(fit) = fine.or_else(|| here.iter().find(|artifact| judge(context, artifact).is_ok())) {
        return Ok(Some(fit.clone()));
    }
    // What is here and is refused gives way to what is signed only: the refusal's reason says more than that there is no other.
    let Some(refused) = here.into_iter().next() else { return of_commit_there(context, &commit) };
    Ok(Some(signed_there(context, &commit)?.unwrap_or(refused)))
}

/// What is deployed instead of what would be packed here, where `signers` are named and no key of one of them is here: an artifact of
/// the commit that one of them has signed. An error before anything is packed where there is none; None where packing is
/// of use.
pub(crate) fn signed_instead(context: &Context, source: &PackSource) -> Result<Option<Artifact>, CommandError> {
    let project = context.project()?;
    let Some(signers) = known_signers(project)? else { return Ok(None) };
    let revision = match source {
        PackSource::WorkTree => return Err(unsignable("it has uncommitted changes, which nobody signs")),
        PackSource::Commit(revision) => revision,
    };
    let why = match signing_key(project) {
        Some(key) if would_count(&key, &signers) => return Ok(None),
        Some(_) => "the key here is of none of the config's `signers`",
        None => "there is no key here that could sign it",
    };
    // What is wrong with the revision, packing says better.
    let Ok(commit) = commit_of(context, &Revision::Any(revision)) else { return Ok(None) };
    let here = of_commit_here(context, &commit)?.into_iter().find(|artifact| is_fine_here(context, artifact));
    if here.is_some() {
        return Ok(here);
    }
    match ask_for_signed(context, &commit) {
        Ok((found, Some(chosen))) => take_of_several(context, &needed(context)?, &found, &chosen).map(Some),
        Ok((_, None)) => Err(unsignable(why)),
        Err(silence) => {
            Err(unsignable(&format!("{why}; what the artifact store has of the commit is not known: {silence}")))
        }
    }
}

fn unsignable(why: &str) -> CommandError {
    let why = format!("nobody would vouch for what is packed here: {why}");
    CommandError::new(ErrorKind::ChecksFailed, why)
        .state("nothing was packed, nothing was deployed")
        .hint("`cutover build` where the key is, such as in a job of the CI, signs and shares it; then `cutover deploy ENV --commit REV`")
        .hint(format!("or give the key of one of the config's `signers` here, in {SIGNING_KEY_VARIABLE} or as `signing_key` of [artifact]"))
}

/// The artifacts of a commit that this machine has, packed here or not, newest first.
fn of_commit_here(context: &Context, commit: &str) -> Result<Vec<Artifact>, CommandError> {
    let (artifacts, ours) = (context.artifacts()?, context.project()?.config.name.as_str());
    let is_it = |record: &ArtifactRecord| record.commit == commit && !record.dirty && record.project == ours;
    let found =
        artifacts.list()?.into_iter().filter(is_it).filter_map(|record| artifacts.get(&record.id.to_string()).ok());
    // A record here can be read without its manifest, which alone is sure.
    Ok(found.filter(|artifact| artifact.manifest.commit == commit && !artifact.manifest.dirty).collect())
}

/// The newest artifact of a commit that the shared store has; where signatures are asked for, the newest that has one.
fn of_commit_there(context: &Context, commit: &str) -> Result<Option<Artifact>, CommandError> {
    let unchanged = |error| CommandError::from(error).state("nothing was deployed");
    let Some(depot) = open(context)? else { return Ok(None) };
    let found = depot.of_commit(commit).map_err(unchanged)?;
    let signed = first_signed(context, &depot, &found).map_err(unchanged)?;
    let Some(chosen) = signed.or(found.first()) else { return Ok(None) };
    take_of_several(context, &depot, &found, chosen).map(Some)
}

/// The newest artifact of a commit that the shared store has with a signature that counts; None also where it does not answer.
fn signed_there(context: &Context, commit: &str) -> Result<Option<Artifact>, CommandError> {
    let Ok((found, Some(chosen))) = ask_for_signed(context, commit) else { return Ok(None) };
    // Now it is known to be worth waiting for.
    take_of_several(context, &needed(context)?, &found, &chosen).map(Some)
}

/// What the shared store has of a commit, and the newest of that with a signature that counts; or why that is not known.
fn ask_for_signed(context: &Context, commit: &str) -> Result<(Vec<Kept>, Option<Kept>), String> {
    ask(context, |depot| {
        let found = depot.of_commit(commit)?;
        let signed = first_signed(context, depot, &found)?.cloned();
        Ok((found, signed))
    })
}

fn take_of_several(context: &Context, depot: &Depot, found: &[Kept], chosen: &Kept) -> Result<Artifact, CommandError> {
    if found.len() > 1 {
        let (short, count) = (chosen.record.id.short(), found.len());
        let which = if found.first() == Some(chosen) { "the newest" } else { "the newest that is signed" };
        context.output.warn(&format!(
            "{} has {count} artifacts of this commit, and {short} is {which}: --artifact names another",
            depot.place()
        ));
    }
    take(context, depot, chosen)
}

/// The commit that is meant, also where the repository here does not have it.
fn commit_of(context: &Context, revision: &Revision<'_>) -> Result<String, CommandError> {
    let dir = &context.project()?.dir;
    let unknown = match resolve_commit(dir, &revision.to_string()) {
        Ok(commit) => return Ok(commit),
        Err(error @ (ArtifactError::UnknownRevision(_) | ArtifactError::Git(_))) => error,
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

/// The commits of all tags, here and at the remote repository, but for the tag that the store itself is at. An error is why nobody
/// knows them.
pub(crate) fn tagged_commits(context: &Context) -> Result<HashSet<String>, CommandError> {
    let project = context.project()?;
    let store = match project.config.artifact.store.as_ref().map(|store| &store.kind) {
        Some(ArtifactStoreKind::GitHub(config)) => Some(&config.tag),
        Some(ArtifactStoreKind::Directory(_) | ArtifactStoreKind::S3(_)) | None => None,
    };
    let (here, there) = (tags_here(&project.dir)?, tags_there(&project.dir)?.unwrap_or_default());
    let versions = here.into_iter().chain(there).filter(|(name, _)| Some(name) != store);
    Ok(versions.map(|(_, commit)| commit).collect())
}
