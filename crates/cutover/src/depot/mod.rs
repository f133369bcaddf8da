//! The store of artifacts that machines share, as commands use it: what is taken from there, and what is put there.

mod open;
mod provenance;
mod revision;
mod shelf;

use open::open_briefly;
pub(crate) use open::{is_kept_out, needed, open};
pub(crate) use provenance::{
    STATEMENT_ENDING, builder, can_sign, file_of_builder, is_signed_here, is_spoken_of, judge, keep, read_beside,
    said_of, signers, signing_key, vouch, vouch_here, write_beside,
};
pub(crate) use revision::{Revision, of_revision, signed_instead, tagged_commits};

use provenance::counts;

use crate::commands::packing::{IMPORT_BYTES_MAX, remember};
use crate::commands::words;
use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use cutover_artifacts::depot::{Depot, DepotError, Kept, ObjectError, Provenance, Standing};
use cutover_artifacts::{Artifact, ArtifactError};
use cutover_core::artifact::Digest;
use cutover_core::check::CommitChecks;
use cutover_core::id::EnvironmentName;
use cutover_core::patience::Pace;
use cutover_reporters::github::RealPace;
use serde::Serialize;
use std::time::Duration;

/// How long is waited, in seconds, for whoever removes what a command is about.
const LEAVING_PAUSES: [u64; 5] = [1, 2, 4, 8, 15];

/// An artifact that is in the shared store now.
#[derive(Debug, Serialize)]
pub(crate) struct Shared {
    place: String,
    /// Whether it was there before.
    was_there: bool,
    sha256: String,
    file_bytes: u64,
    /// Whether somebody vouches for it in what was said of it there before.
    #[serde(skip)]
    pub(crate) was_signed: bool,
}

impl Shared {
    /// What people are told.
    pub(crate) fn told(&self) -> String {
        let Self { place, was_there, sha256, file_bytes, was_signed: _ } = self;
        if *was_there {
            return format!("{place} has it already\n");
        }
        let size = cutover_reporters::bytes(*file_bytes);
        format!("put into {place}: {size}, sha256 {sha256}\n")
    }
}

/// Puts an artifact into the shared store, unless it is there or there is no store. What is not committed stays here.
///
/// One that is there without a signature that counts is put there anew where one can be had. A signature that counts is never
/// replaced by none.
pub(crate) fn share(context: &Context, artifact: &Artifact, again: bool) -> Result<Option<Shared>, CommandError> {
    if artifact.record.dirty || is_kept_out(context) {
        return Ok(None);
    }
    let Some(depot) = open(context)? else { return Ok(None) };
    match put_unless_there(context, &depot, artifact, again) {
        Ok(shared) => Ok(Some(shared)),
        // Its token may only read, as that of a fork: it goes on as a file.
        Err(Unshared::Refused(_)) if open::is_of_pull_request() && open::is_job_of_store(context) => {
            let place = depot.place();
            context.output.warn(&format!("not shared: the token of this pull request's job may not write to {place}"));
            Ok(None)
        }
        Err(Unshared::Refused(error) | Unshared::Failed(error)) => Err(error),
    }
}

/// Why an artifact is not in the shared store.
enum Unshared {
    /// Whoever speaks to it may not put it there.
    Refused(CommandError),
    Failed(CommandError),
}

impl From<DepotError> for Unshared {
    fn from(error: DepotError) -> Self {
        let is_refused = matches!(error, DepotError::Object(ObjectError::Refused { .. }));
        let error = error.into();
        if is_refused { Self::Refused(error) } else { Self::Failed(error) }
    }
}

impl From<CommandError> for Unshared {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

fn put_unless_there(context: &Context, depot: &Depot, artifact: &Artifact, again: bool) -> Result<Shared, Unshared> {
    let (place, project) = (depot.place().to_owned(), context.project()?);
    let standing = depot.standing(&artifact.id);
    // What is there may be damaged: that is what `again` is for.
    let standing = if again { standing.ok().flatten() } else { standing? };
    let said = standing.as_ref().and_then(|standing| depot.provenance(&standing.kept).ok().flatten());
    let said = said.filter(|said| counts(project, &artifact.id, said));
    let is_fine = said.is_some() || !can_vouch(context, artifact)?;
    let standing = standing.filter(|standing| !again && standing.has_file && is_fine);
    let renewed = match standing {
        Some(Standing { kept, .. }) if said.is_some() => {
            patiently(|| depot.renew_vouched(kept.clone(), context.now()))?
        }
        Some(Standing { kept, .. }) => patiently(|| depot.renew(kept.clone(), context.now()))?,
        None => None,
    };
    let was_there = renewed.is_some();
    // What was removed just now, as old, is here.
    let kept = renewed.map_or_else(|| put(context, depot, artifact, said.as_ref()), Ok)?;
    // The artifact is there, whatever becomes of this.
    if let Err(error) = depot.note_checks(&artifact.record.commit, &artifact.record.checks) {
        context.output.warn(&format!("{place} has the artifact, but not what checks said of its commit: {error}"));
    }
    let was_signed = said.is_some();
    Ok(Shared { place, was_there, sha256: kept.sha256, file_bytes: kept.file_bytes, was_signed })
}

/// Puts an artifact into the shared store with what this machine says of it, unless what is said there already counts for more.
fn put(context: &Context, depot: &Depot, artifact: &Artifact, said: Option<&Provenance>) -> Result<Kept, Unshared> {
    let mut exported = context.artifacts()?.export_file(artifact).map_err(CommandError::from)?;
    let (ours, project) = (vouch(context, artifact, &exported)?, context.project()?);
    let is_ours = said.is_none() || ours.as_ref().is_some_and(|ours| counts(project, &artifact.id, ours));
    let told = if is_ours { ours.as_ref() } else { said };
    // Else the next prune would remove it: whoever puts it there now wants it there.
    exported.renew(context.now());
    Ok(patiently(|| depot.put(&mut exported, told))?)
}

/// Does something again that somebody removes at this moment, which takes seconds.
fn patiently<T>(mut once: impl FnMut() -> Result<T, DepotError>) -> Result<T, DepotError> {
    for seconds in LEAVING_PAUSES {
        match once() {
            Err(DepotError::Leaving { .. }) => RealPace.sleep(Duration::from_secs(seconds)),
            done => return done,
        }
    }
    once()
}

/// Whether what is said of an artifact here would count more than what does not.
fn can_vouch(context: &Context, artifact: &Artifact) -> Result<bool, CommandError> {
    Ok(can_sign(context, artifact)? || is_signed_here(context, &artifact.id)?)
}

/// An artifact that this machine lacks, by its id or the beginning of it; None where the shared store does not have it
/// either, or there is none.
pub(crate) fn lacking(context: &Context, id: &str) -> Result<Option<Artifact>, CommandError> {
    let Some(depot) = open(context)? else { return Ok(None) };
    let of_depot = |error| CommandError::from(error).state("nothing was deployed");
    let Some(id) = depot.find(id).map_err(of_depot)? else { return Ok(None) };
    let Some(kept) = depot.kept(&id).map_err(of_depot)? else { return Ok(None) };
    take(context, &depot, &kept).map(Some)
}

/// Takes an artifact from the shared store, and remembers it here.
pub(crate) fn take(context: &Context, depot: &Depot, kept: &Kept) -> Result<Artifact, CommandError> {
    let artifacts = context.artifacts()?;
    let pulled = depot.pull(kept, &artifacts, IMPORT_BYTES_MAX, context.now());
    let artifact = pulled.map_err(|error| CommandError::from(error).state("nothing was deployed"))?;
    if let Some(provenance) = depot.provenance(kept)? {
        keep(context, &artifact.id, &provenance)?;
    }
    remember(context, &artifacts, &artifact);
    if !context.output.json {
        let (id, commit) = (artifact.id.short(), words::commit(&artifact.record.commit, artifact.record.dirty));
        let size = cutover_reporters::bytes(kept.file_bytes);
        context.output.error(&format!("took artifact {id} of {commit} from {} ({size})\n", depot.place()))?;
    }
    Ok(artifact)
}

/// The error of an artifact that is neither here nor in the shared store.
pub(crate) fn nowhere(context: &Context, id: &str) -> CommandError {
    match open(context) {
        Ok(Some(depot)) => {
            let why = format!("artifact {id} is neither on this machine nor in {}", depot.place());
            let hint = "`cutover artifact list` shows what is there; `cutover build` packs and shares one";
            CommandError::new(ErrorKind::Usage, why).state("nothing was deployed").hint(hint)
        }
        Ok(None) | Err(_) => ArtifactError::NotFound(id.to_owned()).into(),
    }
}

/// Where an artifact was looked for: "on this machine", or there and in the shared store.
pub(crate) fn here_or_there(context: &Context) -> Result<String, CommandError> {
    let there = open(context)?.map(|depot| format!(", nor in {}", depot.place()));
    Ok(format!("on this machine{}", there.unwrap_or_default()))
}

/// What all who share the store know of a commit. Where it does not say, what is known here must do.
pub(crate) fn checks(context: &Context, commit: &str) -> CommitChecks {
    if is_kept_out(context) {
        return CommitChecks::default();
    }
    let asked = open_briefly(context).and_then(|depot| Ok(depot.map(|depot| depot.checks(commit)).transpose()?));
    asked.map(Option::unwrap_or_default).unwrap_or_else(|error| {
        context.output.warn(&format!("only what is known here of the commit's checks counts: {}", error.message()));
        CommitChecks::default()
    })
}

/// Tells all who share the store what checks said of a commit. A job that was given no credentials, or may only read, hands it on
/// otherwise, as a file.
pub(crate) fn note_checks(context: &Context, commit: &str, said: &CommitChecks) {
    if open::is_without_credentials(context) {
        return;
    }
    let note = |depot: Depot| match depot.note_checks(commit, said) {
        Err(DepotError::Object(ObjectError::Refused { .. })) if open::is_job_of_store(context) => Ok(()),
        noted => noted,
    };
    let noted = open_briefly(context).and_then(|depot| Ok(depot.map(note).transpose()?));
    if let Err(error) = noted {
        let why = error.message();
        context.output.warn(&format!("what the checks said is known on this machine only: {why}"));
    }
}

/// What a note in the shared store says of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It is about to be brought live, so that it stays until that is decided.
    Deploying,
    /// It was brought live.
    Deployed,
}

impl Noted {
    fn word(self) -> &'static str {
        match self {
            Self::Deploying => "about to be live",
            Self::Deployed => "live",
        }
    }
}

/// What became of an artifact that was just noted.
enum Remains {
    /// It is there, or was not before either.
    AsBefore,
    /// It was removed from this place meanwhile.
    Gone(String),
    /// That was not seen.
    Unseen(DepotError),
}

/// Notes in the shared store what is brought live, so that it is kept there. What a pull request tries out is not there where its job
/// may not write.
pub(crate) fn note(context: &Context, environment: &EnvironmentName, id: &Digest, noted: Noted) {
    if is_kept_out(context) {
        return;
    }
    let write = |depot: Depot| note_in(context, &depot, environment, id, noted);
    let written = open_briefly(context).and_then(|depot| Ok(depot.map(write).transpose()?));
    let (short, live) = (id.short(), noted.word());
    match written {
        Ok(None | Some(Remains::AsBefore)) => {}
        Ok(Some(Remains::Gone(place))) => context.output.warn(&format!(
            "artifact {short} is {live}, and was removed from {place} as old at this moment: `cutover artifact push {short}` puts it \
             there again"
        )),
        Ok(Some(Remains::Unseen(error))) => context.output.warn(&format!(
            "that artifact {short} is {live} is noted in the artifact store, but it was not seen whether it is still there: {error}"
        )),
        Err(error) => context.output.warn(&format!(
            "the artifact store does not know that this is {live}, and may remove it when it is old: {}",
            error.message()
        )),
    }
}

fn note_in(
    context: &Context,
    depot: &Depot,
    environment: &EnvironmentName,
    id: &Digest,
    noted: Noted,
) -> Result<Remains, DepotError> {
    let was_there = match depot.kept(id) {
        Ok(kept) => kept.is_some(),
        Err(DepotError::Damaged { .. }) => false,
        Err(error) => return Err(error),
    };
    let is_borne = open::is_of_pull_request() && open::is_job_of_store(context);
    let is_there = patiently(|| match noted {
        Noted::Deploying => depot.note_deploying(environment, id, context.now()),
        Noted::Deployed => depot.note_deployed(environment, id, context.now()),
    });
    match is_there {
        Err(DepotError::Object(ObjectError::Refused { .. })) if is_borne => Ok(Remains::AsBefore),
        // It is noted, whatever came after that.
        Err(error @ (DepotError::Leaving { .. } | DepotError::Unseen(_))) if was_there => Ok(Remains::Unseen(error)),
        Err(DepotError::Leaving { .. } | DepotError::Unseen(_)) | Ok(true) => Ok(Remains::AsBefore),
        Ok(false) if was_there => Ok(Remains::Gone(depot.place().to_owned())),
        Ok(false) => Ok(Remains::AsBefore),
        Err(error) => Err(error),
    }
}

/// The error of a command that is about a shared store where there is none.
fn no_store() -> CommandError {
    CommandError::new(ErrorKind::Config, "no store of artifacts is shared: cutover.toml has no [artifact.store]")
        .hint("docs/artifacts.md says which there are")
}
