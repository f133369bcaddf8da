//! What is said of artifacts, and whether somebody whose word counts has signed it.

use super::open_briefly;
use crate::commands::packing::IMPORT_BYTES_MAX;
use crate::context::{Context, Project};
use crate::deployments::{asker, local_file};
use crate::error::{CommandError, ErrorKind};
use cutover_artifacts::depot::{Depot, DepotError, Exported, FileContent, Kept, ObjectError, Provenance};
use cutover_artifacts::{Artifact, SigningError, SigningKey, sign, verify, verify_anybody};
use cutover_core::artifact::Digest;
use cutover_core::provenance::{Builder, Packing, STATEMENT_BYTES_MAX, Told, about, statement};
use cutover_core::secret::{SIGNING_KEY_VARIABLE, Secret};
use cutover_disk::{read_bounded, write_atomic};
use std::path::{Path, PathBuf};

/// What the name of a file's statement ends with; its signature has `.sig` behind that.
pub(crate) const STATEMENT_ENDING: &str = ".intoto.json";

/// The key to sign with, where there is one.
pub(crate) fn signing_key(project: &Project) -> Option<SigningKey> {
    // A CI sets a variable and leaves it empty for a secret that it does not have.
    let given = std::env::var(SIGNING_KEY_VARIABLE).ok().filter(|key| !key.trim().is_empty());
    let file = || project.config.artifact.signing_key.as_ref().map(|file| local_file(&project.dir, file));
    given.map(|key| SigningKey::Key(Secret::new(key))).or_else(|| file().map(SigningKey::File))
}

/// Whether a signature by the key here would be one that counts: by one of these signers. A key that cannot sign is not judged, nor one
/// whose signature cannot be looked at here.
pub(super) fn would_count(key: &SigningKey, signers: &Path) -> bool {
    const TRIAL: &[u8] = b"whether this key is one of the signers'";
    let judged = sign(key, TRIAL).and_then(|signature| verify(signers, TRIAL, &signature));
    !matches!(judged, Err(SigningError::Unverified(_)))
}

/// Whether this machine may sign what it says of an artifact: it packed a commit itself, knows how, and has a key.
pub(crate) fn can_sign(context: &Context, artifact: &Artifact) -> Result<bool, CommandError> {
    let is_ours = !artifact.manifest.dirty && context.artifacts()?.packing(&artifact.id).is_some();
    Ok(is_ours && signing_key(context.project()?).is_some())
}

/// Says what an exported artifact is and who packed it, signs that where there is a key, and keeps it. Of one that was packed
/// elsewhere, what came with it is all that can be said: None where nothing did.
pub(crate) fn vouch(
    context: &Context,
    artifact: &Artifact,
    exported: &Exported,
) -> Result<Option<Provenance>, CommandError> {
    let artifacts = context.artifacts()?;
    let Some(packing) = artifacts.packing(&artifact.id) else { return Ok(artifacts.provenance(&artifact.id)) };
    let statement = told(artifact, &packing, exported);
    // Nobody can say what exactly uncommitted changes were.
    let key = signing_key(context.project()?).filter(|_| !artifact.manifest.dirty);
    let signature = key.map(|key| sign(&key, &statement)).transpose().map_err(|error| unsigned(&error))?;
    let provenance = Provenance { statement, signature };
    keep(context, &artifact.id, &provenance)?;
    Ok(Some(provenance))
}

/// Whether anything is said of an artifact here, or can be.
pub(crate) fn is_spoken_of(context: &Context, id: &Digest) -> Result<bool, CommandError> {
    let artifacts = context.artifacts()?;
    Ok(artifacts.packing(id).is_some() || artifacts.provenance(id).is_some())
}

/// What is said of this very file of an artifact: what is known and counts, else what can be said here.
pub(crate) fn said_of(
    context: &Context,
    artifact: &Artifact,
    exported: &Exported,
) -> Result<Option<Provenance>, CommandError> {
    let (project, id) = (context.project()?, &artifact.id);
    let is_of_file =
        |said: &Provenance| about(&said.statement).is_ok_and(|of| of.sha256.contains(&exported.file.sha256));
    let known = context.artifacts()?.provenance(id).filter(|known| is_of_file(known) && counts(project, id, known));
    Ok(known.map_or_else(|| vouch(context, artifact, exported), |known| Ok(Some(known)))?.filter(is_of_file))
}

/// The file of an artifact that was packed elsewhere, as the shared store has it and as its provenance is about it; None where that is
/// not to be had.
pub(crate) fn file_of_builder(context: &Context, artifact: &Artifact) -> Option<FileContent> {
    let artifacts = context.artifacts().ok()?;
    if artifacts.packing(&artifact.id).is_some() {
        return None;
    }
    let depot = open_briefly(context).ok()??;
    let kept = depot.kept(&artifact.id).ok()??;
    let mut file = depot.fetch(&kept, &artifacts).ok()?;
    // It may be another one than what was taken.
    depot.take_in(&kept, &mut file, &artifacts, IMPORT_BYTES_MAX, context.now()).ok()?;
    Some(file)
}

/// The statement of an artifact that was packed here: it says what was done then, whatever the config says, and whoever asks, now.
fn told(artifact: &Artifact, packing: &Packing, exported: &Exported) -> Vec<u8> {
    let Artifact { id, manifest, record } = artifact;
    statement(&Told {
        id,
        project: &manifest.project,
        sha256: &exported.file.sha256,
        commit: &manifest.commit,
        dirty: manifest.dirty,
        packing,
        checks: &record.checks,
    })
}

/// Keeps what is said of an artifact, instead of what was known of it; what counts is not given up for what does not.
pub(crate) fn keep(context: &Context, id: &Digest, provenance: &Provenance) -> Result<(), CommandError> {
    let (project, artifacts) = (context.project()?, context.artifacts()?);
    let is_better = artifacts.provenance(id).is_some_and(|known| counts(project, id, &known));
    if is_better && !counts(project, id, provenance) {
        return Ok(());
    }
    Ok(artifacts.keep_provenance(id, provenance)?)
}

/// Whether somebody vouches for an artifact in what is said of it: one of the signers, or anybody who has signed it where the config
/// names none.
pub(super) fn counts(project: &Project, id: &Digest, found: &Provenance) -> bool {
    match signers(project) {
        Some(signers) => signer(&signers, id, found).is_ok(),
        None => {
            let signature = found.signature.as_ref().filter(|_| fits(id, found).is_ok());
            signature.is_some_and(|signature| verify_anybody(&found.statement, signature).is_ok())
        }
    }
}

/// The first of a shared store's artifacts that one of the config's signers vouches for.
pub(super) fn first_signed<'k>(
    context: &Context,
    depot: &Depot,
    all: &'k [Kept],
) -> Result<Option<&'k Kept>, DepotError> {
    let Some(signers) = context.project().ok().and_then(signers) else { return Ok(None) };
    for kept in all {
        match depot.provenance(kept) {
            Ok(Some(found)) if signer(&signers, &kept.record.id, &found).is_ok() => return Ok(Some(kept)),
            // What cannot be understood vouches for nothing.
            Ok(_) | Err(DepotError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The file that says whose signatures count, where the config names one.
pub(crate) fn signers(project: &Project) -> Option<PathBuf> {
    project.config.artifact.signers.as_ref().map(|file| local_file(&project.dir, file))
}

/// The same, which must be there to judge by.
pub(super) fn known_signers(project: &Project) -> Result<Option<PathBuf>, CommandError> {
    let Some(missing) = signers(project).filter(|file| !file.is_file()) else { return Ok(signers(project)) };
    let why = format!("nobody knows whose signatures count: there is no file {}", missing.display());
    let hint = "`signers` of [artifact] names it, beside cutover.toml: see docs/artifacts.md";
    Err(CommandError::new(ErrorKind::Config, why).state("nothing was deployed").hint(hint))
}

/// Whether somebody vouches for an artifact in what this machine knows of it.
pub(crate) fn is_signed_here(context: &Context, id: &Digest) -> Result<bool, CommandError> {
    let (project, artifacts) = (context.project()?, context.artifacts()?);
    Ok(artifacts.provenance(id).is_some_and(|known| counts(project, id, &known)))
}

/// Signs what is said of an artifact that leaves this machine by no store and in no file: it may be deployed from here.
pub(crate) fn vouch_here(context: &Context, artifact: &Artifact) -> Result<(), CommandError> {
    if can_sign(context, artifact)? && !is_signed_here(context, &artifact.id)? {
        vouch(context, artifact, &context.artifacts()?.export_file(artifact)?)?;
    }
    Ok(())
}

fn unsigned(error: &SigningError) -> CommandError {
    let hint = format!(
        "`signing_key` of [artifact] or {SIGNING_KEY_VARIABLE} must be a private key without a passphrase, or a public one whose \
         private half ssh-agent has"
    );
    let failed = CommandError::new(ErrorKind::Failed, "the artifact's provenance was not signed");
    failed.because(error).hint(hint)
}

/// Who packs here: a workflow of GitHub where this is its job.
pub(crate) fn builder() -> Builder {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty() && value.len() < 500);
    let (version, by) = (env!("CARGO_PKG_VERSION").to_owned(), asker());
    let job = || {
        let is_job = variable("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        let (workflow, run) = (variable("GITHUB_WORKFLOW_REF")?, variable("GITHUB_RUN_ID")?);
        let attempt = variable("GITHUB_RUN_ATTEMPT").unwrap_or_else(|| "1".to_owned());
        let run = format!("{server}/{repository}/actions/runs/{run}/attempts/{attempt}");
        is_job.then(|| (format!("{server}/{workflow}"), run, format!("git+{server}/{repository}")))
    };
    match job() {
        Some((id, run, repository)) => Builder { id, version, run: Some(run), repository: Some(repository), by },
        None => Builder { id: "urn:cutover:builder:local".to_owned(), version, run: None, repository: None, by },
    }
}

/// Writes what is said of a file beside it, and takes away what was said of an earlier one.
pub(crate) fn write_beside(file: &Path, provenance: Option<&Provenance>) -> Result<(), CommandError> {
    let statement = provenance.map(|said| &said.statement);
    let signature = provenance.and_then(|said| said.signature.as_ref());
    for (path, content) in beside(file).iter().zip([statement, signature]) {
        match content {
            Some(bytes) => write_atomic(path, bytes, 0o644)?,
            None => remove_outdated(path)?,
        }
    }
    Ok(())
}

fn remove_outdated(path: &Path) -> Result<(), CommandError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let why = format!("cannot remove {}, which is of another file", path.display());
            Err(CommandError::new(ErrorKind::Failed, why).because(&error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What is said of a file beside it, where anything is.
pub(crate) fn read_beside(file: &Path) -> Option<Provenance> {
    let [statement, signature] = beside(file).map(|path| read_bounded(&path, STATEMENT_BYTES_MAX as u64).ok());
    Some(Provenance { statement: statement?, signature })
}

fn beside(file: &Path) -> [PathBuf; 2] {
    [STATEMENT_ENDING.to_owned(), format!("{STATEMENT_ENDING}.sig")].map(|ending| {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        PathBuf::from(path)
    })
}

/// Refuses an artifact whose provenance is about something else; where the config names signers, also one whose provenance
/// none of them has signed. Says who has.
pub(crate) fn judge(context: &Context, artifact: &Artifact) -> Result<Option<String>, CommandError> {
    let why = match judge_here(context, artifact)? {
        Here::Fine(signer) => return Ok(signer),
        Here::Unsigned(signers, why) => match shared(context, &artifact.id) {
            // What was packed here may have been built, and signed, elsewhere as well.
            Ok(Some(found)) => match signer(&signers, &artifact.id, &found) {
                Ok(signer) => {
                    keep(context, &artifact.id, &found)?;
                    return Ok(Some(signer));
                }
                Err(why) => why,
            },
            Ok(None) => why,
            Err(silence) => format!("{why}; what the artifact store has of it is not known: {silence}"),
        },
    };
    Err(refusal(artifact, &why))
}

/// What this machine alone can say of an artifact that is not refused whatever others say.
enum Here {
    /// It may be deployed, and who has signed it.
    Fine(Option<String>),
    /// None of the signers in this file has signed what is known of it, and why that is so.
    Unsigned(PathBuf, String),
}

/// Whether an artifact may be deployed by what this machine has.
pub(super) fn is_fine_here(context: &Context, artifact: &Artifact) -> bool {
    judge_here(context, artifact).is_ok_and(|judged| matches!(judged, Here::Fine(_)))
}

fn judge_here(context: &Context, artifact: &Artifact) -> Result<Here, CommandError> {
    let project = context.project()?;
    let (ours, theirs) = (project.config.name.as_str(), &artifact.manifest.project);
    if theirs != ours {
        let why = format!("artifact {} is of project {theirs}, and this is {ours}", artifact.id.short());
        return Err(CommandError::new(ErrorKind::Usage, why).state("nothing was deployed"));
    }
    let local = context.artifacts()?.provenance(&artifact.id);
    let Some(signers) = known_signers(project)? else {
        let fits = local.map(|found| fits(&artifact.id, &found)).transpose();
        return fits.map(|_| Here::Fine(None)).map_err(|why| refusal(artifact, &why));
    };
    if artifact.manifest.dirty {
        return Err(refusal(artifact, "it has uncommitted changes, which nobody signs"));
    }
    Ok(match local.map(|found| signer(&signers, &artifact.id, &found)) {
        Some(Ok(signer)) => Here::Fine(Some(signer)),
        Some(Err(why)) => Here::Unsigned(signers, why),
        None => Here::Unsigned(signers, "it has no provenance".to_owned()),
    })
}

/// Which of the signers has signed what is said of an artifact, or why none has.
fn signer(signers: &Path, id: &Digest, found: &Provenance) -> Result<String, String> {
    fits(id, found)?;
    let signature = found.signature.as_ref().ok_or("its provenance is not signed")?;
    verify(signers, &found.statement, signature).map_err(|error| match &error {
        SigningError::Run(why) => format!("{error}: {why}"),
        SigningError::Unsigned(_) | SigningError::Unverified(_) => error.to_string(),
    })
}

/// What the shared store has that is said of an artifact, or why that is not known.
fn shared(context: &Context, id: &Digest) -> Result<Option<Provenance>, String> {
    ask(context, |depot| depot.kept(id)?.map_or(Ok(None), |kept| depot.provenance(&kept)))
}

/// Asks the shared store who vouches for what is here. It is refused else, which must not take minutes: a store that is silent is asked
/// briefly, and once by a command.
pub(super) fn ask<T: Default>(
    context: &Context,
    question: impl FnOnce(&Depot) -> Result<T, DepotError>,
) -> Result<T, String> {
    if let Some(silence) = context.store_silence.get() {
        return Err(silence.clone());
    }
    let silent = |error: CommandError| context.store_silence.get_or_init(|| error.message().to_owned()).clone();
    let Some(depot) = open_briefly(context).map_err(silent)? else { return Ok(T::default()) };
    question(&depot).map_err(|error| {
        let is_odd = !matches!(
            error,
            DepotError::Object(ObjectError::Unheard { .. } | ObjectError::Refused { .. } | ObjectError::Failed { .. })
        );
        // Of another artifact it may say something.
        if is_odd { error.to_string() } else { silent(error.into()) }
    })
}

/// Whether provenance is of this artifact, or why it is not.
fn fits(id: &Digest, found: &Provenance) -> Result<(), String> {
    let about = about(&found.statement).map_err(|why| format!("its provenance is none: {why}"))?;
    if about.artifacts.contains(id) { Ok(()) } else { Err("its provenance is of another artifact".to_owned()) }
}

fn refusal(artifact: &Artifact, why: &str) -> CommandError {
    let id = artifact.id.short();
    let commit = crate::commands::words::commit(&artifact.record.commit, artifact.record.dirty);
    let why = format!("nobody vouches for artifact {id} of {commit}: {why}");
    CommandError::new(ErrorKind::ChecksFailed, why).state("nothing was deployed").hint(
        "`cutover build`, where it is packed and the key of one of the config's `signers` is, signs and shares it: see docs/artifacts.md",
    )
}
