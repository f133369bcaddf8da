//! Makes what is missing of a release: the tag, the release at GitHub, the artifact attached to it.
//!
//! With a token for GitHub the tag is made through its API, as a job of Actions can without credentials in git's hands. Without
//! one it is made here and pushed, as a person would.

use super::files::{Export, Files, attach};
use super::git::Repository;
use super::plan::Planned;
use crate::error::{CommandError, ErrorKind};
use crate::github::Account;
use cutover_reporters::github::release::{self, Published, Wish};
use cutover_reporters::github::tag::{self, Tagged};
use cutover_reporters::github::{Client, CommitId, Fault};
use serde::Serialize;

/// The remote that others see.
pub(crate) const REMOTE: &str = "origin";

/// Whether something was made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// It is new.
    Made,
    /// It was there.
    WasThere,
    /// It is not wanted, or cannot be.
    LeftOut,
}

/// What there is now.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    pub(crate) tag: Step,
    pub(crate) release: Step,
    pub(crate) artifact: Step,
    /// What is said of the artifact, and the signature of that.
    pub(crate) provenance: Step,
    /// The release's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Why something was left out that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<String>,
}

/// Words for a release, and where its artifact comes from.
pub(crate) struct Told<'a> {
    pub(crate) project: &'a str,
    pub(crate) title: &'a str,
    pub(crate) message: &'a str,
    pub(crate) notes: &'a str,
    /// Writes the artifact into a file; None where none is to be attached.
    pub(crate) export: Option<&'a Export<'a>>,
    /// Whether anything is said of it.
    pub(crate) has_provenance: bool,
}

/// Makes what is missing.
pub(crate) fn publish(
    repository: &Repository,
    account: Result<&Account, &String>,
    planned: &Planned,
    told: &Told<'_>,
) -> Result<Made, CommandError> {
    match account {
        Ok(account) => at_github(&account.client()?, planned, told),
        Err(why) => by_git(repository, planned, told.message, why),
    }
}

fn by_git(repository: &Repository, planned: &Planned, message: &str, why: &str) -> Result<Made, CommandError> {
    let Planned { tag, commit, .. } = planned;
    let state = "nothing was tagged";
    let there = |place: &str, found: Option<String>| match found {
        Some(other) if other != *commit => Err(elsewhere(planned, &format!("{other} {place}"))),
        found => Ok(found.is_some()),
    };
    let is_remote = there(
        "at origin",
        repository.remote_tag(REMOTE, tag).map_err(|error| CommandError::from(error).state(state))?,
    )?;
    let is_here = there("in this repository", repository.tag(tag)?)?;
    if !is_remote {
        if !is_here {
            repository.make_tag(tag, commit, message).map_err(|error| CommandError::from(error).state(state))?;
        }
        repository.push_tag(REMOTE, tag).map_err(|error| {
            let state = format!("the tag {tag} is in this repository only");
            CommandError::from(error).state(state).hint("run it again: it is pushed then")
        })?;
    }
    let left_out = format!("there is no release at GitHub: {why}");
    let tag = if is_remote { Step::WasThere } else { Step::Made };
    let [release, artifact, provenance] = [Step::LeftOut; 3];
    Ok(Made { tag, release, artifact, provenance, url: None, left_out: Some(left_out) })
}

fn at_github(client: &Client, planned: &Planned, told: &Told<'_>) -> Result<Made, CommandError> {
    let tag = tagged(client, planned, told.message)?;
    let wish = Wish {
        tag: &planned.tag,
        project: told.project,
        title: told.title,
        body: told.notes,
        is_prerelease: planned.version.is_prerelease(),
    };
    let half = |fault: Fault| {
        let state = format!("the tag {} is there, the release is not complete", planned.tag);
        of_fault(&fault, planned).state(state).hint("run it again: what is there is kept, and the rest is made")
    };
    let found = release::find(client, &wish).map_err(half)?;
    let found = match found {
        Some(found) => found,
        None => release::draft(client, &wish).map_err(half)?,
    };
    let mut files = attach(client, &found, planned, told, &half)?;
    let (release, shown) = match found {
        seen if !seen.is_draft => (Step::WasThere, seen),
        draft => match release::publish(client, &wish, &draft).map_err(half)? {
            Published::Ours(shown) => (Step::Made, shown),
            // Nobody has what was attached to our draft: it is the other run's release that must be whole.
            Published::Theirs(theirs) => {
                files = attach(client, &theirs, planned, told, &half)?;
                (Step::WasThere, theirs)
            }
        },
    };
    let Files { artifact, provenance, left_out } = files;
    Ok(Made { tag, release, artifact, provenance, url: Some(shown.url), left_out })
}

fn tagged(client: &Client, planned: &Planned, message: &str) -> Result<Step, CommandError> {
    let nothing = "nothing was tagged or released";
    let commit: CommitId = planned.commit.parse().map_err(|error| {
        CommandError::new(ErrorKind::Failed, "GitHub cannot tag this commit").because(&error).state(nothing)
    })?;
    match tag::make(client, &planned.tag, &commit, message) {
        Ok(Tagged::Made) => Ok(Step::Made),
        Ok(Tagged::WasThere) => Ok(Step::WasThere),
        Ok(Tagged::Elsewhere(other)) => Err(elsewhere(planned, &format!("{other} at GitHub"))),
        Err(fault) => {
            let unknown = || format!("whether the tag {} was made is not known, nothing was released", planned.tag);
            let state = match &fault {
                // It may have been the answer that was lost, or the last look at what was made.
                Fault::Unheard { .. } | Fault::Limited { .. } => unknown(),
                Fault::Rejected { .. } | Fault::Refused { .. } | Fault::Unknown { .. } | Fault::Here { .. } => {
                    nothing.to_owned()
                }
            };
            let error = of_fault(&fault, planned).state(state);
            Err(match &fault {
                Fault::Rejected { status: 422, .. } => error.hint("GitHub can tag only what was pushed: `git push`"),
                Fault::Refused { .. } => error.hint(
                    "a job's own token may not tag a commit whose files under .github/workflows are not those of the default \
                     branch: a token that may change workflows does",
                ),
                Fault::Limited { .. } | Fault::Unheard { .. } => error.hint("run it again: what is there is kept"),
                Fault::Unknown { .. } | Fault::Rejected { .. } | Fault::Here { .. } => error,
            })
        }
    }
}

/// A tag is never moved: whoever has it would have another version of the same name.
fn elsewhere(planned: &Planned, place: &str) -> CommandError {
    let Planned { tag, commit, .. } = planned;
    CommandError::new(ErrorKind::Failed, format!("the tag {tag} is on commit {place}, and {commit} is live"))
        .state("nothing was tagged or released, and the tag stays where it is")
        .hint("`git fetch --tags` shows tags that this repository does not know yet: then the next version is another one")
        .hint("where it is known here: a commit with a line `Release-As: VERSION` asks for a version that is free")
}

fn of_fault(fault: &Fault, planned: &Planned) -> CommandError {
    CommandError::new(ErrorKind::Failed, format!("cannot release {}", planned.tag)).because(fault)
}
