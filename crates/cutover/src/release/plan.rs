//! Which version a commit gets, and what is new in it.

use super::file;
use super::git::{Repository, VersionTag};
use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::Digest;
use cutover_core::config::ReleaseConfig;
use cutover_core::release::{Changes, Version};
use std::path::Path;

/// What stands whenever this fails.
const STATE: &str = "nothing was tagged or released";

/// What is to be released.
pub(crate) struct Wanted<'a> {
    pub(crate) config: &'a ReleaseConfig,
    /// The commit that is live, as the hosts say.
    pub(crate) commit: &'a str,
    /// The artifact that is live.
    pub(crate) artifact: Digest,
}

/// A release as it shall be.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) version: Version,
    pub(crate) tag: String,
    pub(crate) commit: String,
    pub(crate) artifact: Digest,
    /// The tag of the release before.
    pub(crate) previous: Option<String>,
    pub(crate) changes: Changes,
    /// How many commits more there are, which were not read.
    pub(crate) unread_count: usize,
}

/// What comes of looking.
pub(crate) enum Decision {
    Release(Box<Planned>),
    /// Nothing is to be released, and why.
    Nothing(String),
}

/// Decides by the tags and commits that are known here.
pub(crate) fn plan(repository: &Repository, wanted: &Wanted<'_>) -> Result<Decision, CommandError> {
    let commit = known(repository, wanted)?;
    let tags = repository.versions(&commit, &wanted.config.tag_prefix)?;
    // The highest one comes first, and one that comes before a release itself is not asked where there is another.
    let here = tags.iter().filter(|tag| tag.commit == commit).min_by_key(|tag| tag.version.is_prerelease());
    let decision = match &wanted.config.version_file {
        Some(file) => by_file(repository, wanted, &commit, &tags, file),
        None => by_commits(repository, wanted, &commit, &tags, here),
    }?;
    match decision {
        Decision::Release(planned) => overtaken(repository, planned),
        Decision::Nothing(why) => Ok(Decision::Nothing(why)),
    }
}

/// Nothing is to be released after a rollback, where the version that would be made is one of what came later.
fn overtaken(repository: &Repository, planned: Box<Planned>) -> Result<Decision, CommandError> {
    let Some(later) = repository.tag(&planned.tag)?.filter(|at| *at != planned.commit) else {
        return Ok(Decision::Release(planned));
    };
    if !repository.has_in_history(&later, &planned.commit)? {
        return Ok(Decision::Release(planned));
    }
    let (tag, later, live) = (&planned.tag, &later[..7], &planned.commit[..7]);
    Ok(Decision::Nothing(format!("{tag} is at {later}, which came after {live}, and {live} is live")))
}

/// The commit, which must be here with all that came before it.
fn known(repository: &Repository, wanted: &Wanted<'_>) -> Result<String, CommandError> {
    let environment = &wanted.config.environment;
    let wrong = |what: String, hint: &str| Err(CommandError::new(ErrorKind::Failed, what).state(STATE).hint(hint));
    if wanted.commit.is_empty() {
        return wrong(format!("what is live in {environment} is of no commit"), "deploy a commit, then release it");
    }
    let Some(commit) = repository.commit(wanted.commit)? else {
        let what = format!("commit {}, live in {environment}, is not in this repository", wanted.commit);
        return wrong(what, "`git fetch` brings it here; in GitHub Actions: `fetch-depth: 0` of actions/checkout");
    };
    if repository.is_shallow()? {
        let what = "this repository is shallow: the commits since the last release may be missing".to_owned();
        return wrong(what, "`git fetch --unshallow --tags`; in GitHub Actions: `fetch-depth: 0` of actions/checkout");
    }
    Ok(commit)
}

fn by_file(
    repository: &Repository,
    wanted: &Wanted<'_>,
    commit: &str,
    tags: &[VersionTag],
    path: &Path,
) -> Result<Decision, CommandError> {
    let wrong = |why: String| {
        let what = format!("{} of commit {} names no version: {why}", path.display(), &commit[..7]);
        CommandError::new(ErrorKind::Failed, what).state(STATE).hint("`release.version_file` names the file")
    };
    let text = repository.file(commit, path)?.ok_or_else(|| wrong("there is no such file".to_owned()))?;
    let version = file::version(path, &text).map_err(wrong)?;
    if let Some(tag) = tags.iter().find(|tag| tag.version == version && tag.commit != commit) {
        let at = &tag.commit[..7];
        let why = format!("{} is at {at}, and {} still says {version}", tag.name, path.display());
        return Ok(Decision::Nothing(why));
    }
    let is_higher =
        |tag: &&VersionTag| tag.version > version && (version.is_prerelease() || !tag.version.is_prerelease());
    if let Some(higher) = tags.iter().find(is_higher) {
        let what =
            format!("{} of commit {} says {version}, and {} came before it", path.display(), &commit[..7], higher.name);
        let hint = format!("let the file say a version after {}", higher.version);
        return Err(CommandError::new(ErrorKind::Failed, what).state(STATE).hint(hint));
    }
    let previous = tags.iter().find(|tag| is_before(tag, commit, &version));
    planned(repository, wanted, commit, version, previous).map(|planned| Decision::Release(Box::new(planned)))
}

fn by_commits(
    repository: &Repository,
    wanted: &Wanted<'_>,
    commit: &str,
    tags: &[VersionTag],
    here: Option<&VersionTag>,
) -> Result<Decision, CommandError> {
    if let Some(here) = here {
        let version = here.version.clone();
        let previous = tags.iter().find(|tag| is_before(tag, commit, &version));
        let planned = planned(repository, wanted, commit, version, previous)?;
        return Ok(Decision::Release(Box::new(planned)));
    }
    let previous = tags.iter().find(|tag| !tag.version.is_prerelease());
    // The version is put in once it is known.
    let mut planned = planned(repository, wanted, commit, Version::FIRST, previous)?;
    if let (Some(previous), 1..) = (previous, planned.unread_count) {
        let what = format!(
            "there are too many commits since {}: {} of them were not read",
            previous.name, planned.unread_count
        );
        let hint = "a tag on a later commit, or `release.version_file`, says what they lead to";
        return Err(CommandError::new(ErrorKind::Failed, what).state(STATE).hint(hint));
    }
    let known: Vec<&Version> = tags.iter().map(|tag| &tag.version).collect();
    let Some(version) = planned.changes.next(previous.map(|tag| &tag.version), &known) else {
        let since = previous.map(|tag| format!(" since {}", tag.name)).unwrap_or_default();
        let why = format!(
            "no commit{since} is a feat, fix, perf or revert, or says that something breaks ({} read)",
            planned.changes.all.len()
        );
        return Ok(Decision::Nothing(why));
    };
    planned.tag = format!("{}{version}", wanted.config.tag_prefix);
    planned.version = version;
    Ok(Decision::Release(Box::new(planned)))
}

/// Whether a tag is of the release before this version. Those that come before a release themselves count for their like only.
fn is_before(tag: &VersionTag, commit: &str, version: &Version) -> bool {
    tag.commit != commit && tag.version < *version && (version.is_prerelease() || !tag.version.is_prerelease())
}

fn planned(
    repository: &Repository,
    wanted: &Wanted<'_>,
    commit: &str,
    version: Version,
    previous: Option<&VersionTag>,
) -> Result<Planned, CommandError> {
    let commits = repository.commits(previous.map(|tag| tag.commit.as_str()), commit)?;
    Ok(Planned {
        tag: format!("{}{version}", wanted.config.tag_prefix),
        version,
        commit: commit.to_owned(),
        artifact: wanted.artifact,
        previous: previous.map(|tag| tag.name.clone()),
        changes: Changes::of(&commits.all),
        unread_count: commits.unread_count,
    })
}
