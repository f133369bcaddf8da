//! Packing an artifact, for `build` and for whatever deploys a commit; taking one in that was packed elsewhere.

use crate::checks::KnownChecks;
use crate::context::{Context, Project};
use crate::deployments::{CANCEL, watch_signals};
use crate::depot;
use crate::error::{CommandError, ErrorKind};
use crate::github;
use crate::output::Output;
use cutover_artifacts::{Artifact, ArtifactError, ArtifactStore, PackObserver, PackRequest, PackSource, Retention};
use cutover_core::artifact::Digest;
use cutover_core::config::SecretSource;
use cutover_core::mask::Masker;
use cutover_core::record;
use cutover_core::secret::{GITHUB_TOKEN_VARIABLE, Secret};
use cutover_core::store::{Scope, Store};
use cutover_disk::read_regular;
use cutover_reporters::one_line;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::path::Path;

/// How many of the build command's last lines an error shows.
const EXCERPT_LINES_MAX: usize = 20;
/// How much an exported artifact may unpack to, in bytes.
pub(crate) const IMPORT_BYTES_MAX: u64 = 64 << 30;
/// The largest secret file whose content is masked, in bytes; no env file takes a larger value.
const SECRET_BYTES_MAX: u64 = 128 << 10;

/// Packs what is asked for, or finds that it was packed before; then remembers it and removes
/// artifacts that are too many or too old.
pub(super) fn pack(context: &Context, source: &PackSource, again: bool) -> Result<Artifact, CommandError> {
    let project = context.project()?;
    let artifacts = context.artifacts()?;
    let request = PackRequest {
        repository: &project.dir,
        project: &project.config.name,
        source,
        config: &project.config.artifact,
        builder: &depot::builder(),
        now: context.now(),
        again,
    };
    if project.config.artifact.build.is_some() {
        // Else a signal would end this process and leave the build running.
        watch_signals().map_err(|error| CommandError::new(ErrorKind::Failed, "watch for signals").because(&error))?;
    }
    let mut listener = Listener::new(&context.output, known_secrets(project));
    let artifact = artifacts
        .pack(&request, &mut listener)
        .map_err(|error| nothing_to_pack(&project.dir, &error).unwrap_or_else(|| listener.explain(error)))?;
    let artifact = with_checks(project, &artifacts, artifact)?;
    tell_untidy(context, tidy(context, &artifacts, &artifact));
    Ok(artifact)
}

/// The artifact with what checks said of its commit here, which it carries to wherever it is deployed from.
pub(super) fn with_checks(
    project: &Project,
    artifacts: &ArtifactStore,
    artifact: Artifact,
) -> Result<Artifact, CommandError> {
    if artifact.record.dirty {
        return Ok(artifact);
    }
    let checks = KnownChecks::of(&project.data_dir).get(&artifact.record.commit);
    if checks.is_empty() {
        return Ok(artifact);
    }
    Ok(artifacts.note_checks(artifact, &checks)?)
}

/// The error of whoever has no repository or no commit yet.
fn nothing_to_pack(dir: &Path, error: &ArtifactError) -> Option<CommandError> {
    let failed = |what: String| CommandError::new(ErrorKind::Failed, what).state("nothing was deployed");
    if matches!(error, ArtifactError::Git(_)) && !dir.ancestors().any(|above| above.join(".git").exists()) {
        let hint = "cutover.toml lies in the repository that is deployed: git init, git add and git commit make one";
        return Some(failed(format!("{} is in no git repository", dir.display())).hint(hint));
    }
    if matches!(error, ArtifactError::UnknownRevision(revision) if revision == "HEAD") {
        let hint = "git add and git commit come first: what is committed is what is deployed";
        return Some(failed(format!("the repository of {} has no commits yet", dir.display())).hint(hint));
    }
    None
}

/// The artifact of this name: its id, the beginning of it, or a file that `cutover build --output` wrote, here or on
/// another machine.
pub(super) fn named(context: &Context, name: &str) -> Result<Artifact, CommandError> {
    match context.artifacts()?.get(name) {
        // What can't be an id may be a file.
        Err(ArtifactError::InvalidId(_)) if Path::new(name).is_file() => take_in(context, Path::new(name)),
        Err(error @ ArtifactError::InvalidId(_)) => {
            Err(CommandError::from(error).hint("there is no file of that name either"))
        }
        Err(ArtifactError::NotFound(id)) => depot::lacking(context, &id)?.ok_or_else(|| depot::nowhere(context, &id)),
        found => Ok(found?),
    }
}

/// Remembers an artifact that was taken in, and removes others that are too many or too old.
pub(crate) fn remember(context: &Context, artifacts: &ArtifactStore, artifact: &Artifact) {
    tell_untidy(context, tidy(context, artifacts, artifact));
}

pub(super) fn take_in(context: &Context, path: &Path) -> Result<Artifact, CommandError> {
    let failed = |error: &dyn std::error::Error| {
        let cannot = format!("cannot take in {}", path.display());
        CommandError::new(ErrorKind::Failed, cannot).because(error).state("nothing was deployed")
    };
    let mut file = File::open(path).map_err(|error| failed(&error))?;
    let artifacts = context.artifacts()?;
    let imported = artifacts.import(&mut file, IMPORT_BYTES_MAX, context.now());
    let artifact = imported.map_err(|error| failed(&error).advise_on_space(Some(&error)))?;
    let ours = context.project()?.config.name.as_str();
    if artifact.manifest.project != ours {
        let theirs = &artifact.manifest.project;
        let wrong = format!("{} holds an artifact of project {theirs}, and this is {ours}", path.display());
        return Err(CommandError::new(ErrorKind::Usage, wrong).state("nothing was deployed"));
    }
    if let Some(provenance) = depot::read_beside(path) {
        depot::keep(context, &artifact.id, &provenance)?;
    }
    remember(context, &artifacts, &artifact);
    Ok(artifact)
}

/// The artifact is there; what fails from there on costs order, not the build.
fn tell_untidy(context: &Context, tidied: Result<(), CommandError>) {
    if let Err(error) = tidied {
        context.output.warn(&format!("the artifact is stored, but not remembered: {}", error.message()));
    }
}

fn tidy(context: &Context, artifacts: &ArtifactStore, artifact: &Artifact) -> Result<(), CommandError> {
    let project = context.project()?;
    let remembered = remembered(project, artifact);
    context.memory()?.ask_file(|store| store.put_artifact(&remembered))?;
    // What this build made, too.
    let pinned: HashSet<Digest> = needed_here(context)?.into_iter().chain([artifact.id]).collect();
    let retention = Retention {
        project: &project.config.name,
        now: context.now(),
        keep: project.config.artifact.keep,
        keep_for: project.config.artifact.keep_for,
        pinned: &pinned,
    };
    artifacts.prune(&retention)?;
    Ok(())
}

/// The artifacts that any place still holds, as the history knows it and as hosts on this machine say: a rollback may want
/// them.
pub(super) fn needed_here(context: &Context) -> Result<HashSet<Digest>, CommandError> {
    let project = context.project()?;
    let releases = context
        .memory()?
        .ask_file(|store| store.releases(&Scope { project: Some(project.config.name.clone()), environment: None }))?;
    let listed = releases.into_iter().filter_map(|(_, release)| release.artifact.parse().ok());
    Ok(listed.chain(context.held_artifacts()?).collect())
}

fn remembered(project: &Project, artifact: &Artifact) -> record::ArtifactRecord {
    let about = &artifact.record;
    record::ArtifactRecord {
        id: artifact.id.to_string(),
        project: project.config.name.clone(),
        commit: about.commit.clone(),
        subject: about.subject.clone(),
        dirty: about.dirty,
        file_count: about.file_count,
        size_bytes: about.bytes,
        packed_at: about.packed_at,
    }
}

/// Masks the secrets that a build command may see: those in our own environment and in files. No
/// command is run for the others: a build does not need them.
pub(super) fn known_secrets(project: &Project) -> Masker {
    let sources = project.config.environments.values().flat_map(|environment| &environment.secrets);
    let known: Vec<(&str, Secret)> =
        sources.filter_map(|(name, source)| Some((name.as_str(), value(project, source)?))).collect();
    let token = github::token();
    let token = token.iter().map(|token| (GITHUB_TOKEN_VARIABLE, token));
    Masker::new(known.iter().map(|(name, secret)| (*name, secret)).chain(token))
}

fn value(project: &Project, source: &SecretSource) -> Option<Secret> {
    match source {
        SecretSource::Variable(name) => std::env::var(name).ok().map(Secret::new),
        SecretSource::File(path) => read(&project.dir.join(path)).map(Secret::new),
        SecretSource::Command(_) => None,
    }
}

/// A pipe is not waited for: what wants nothing but to mask is not kept by it.
fn read(path: &Path) -> Option<String> {
    String::from_utf8(read_regular(path, SECRET_BYTES_MAX).ok()?).ok()
}

/// Shows what the build command says when that is wanted, and keeps its end for an error.
struct Listener<'a> {
    output: &'a Output,
    masker: Masker,
    last: VecDeque<String>,
}

impl<'a> Listener<'a> {
    fn new(output: &'a Output, masker: Masker) -> Self {
        Self { output, masker, last: VecDeque::new() }
    }

    fn explain(&self, error: ArtifactError) -> CommandError {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        CommandError::from(error).excerpt(lines.join("\n"))
    }
}

impl PackObserver for Listener<'_> {
    fn is_cancelled(&self) -> bool {
        CANCEL.is_cancelled()
    }

    fn build_output(&mut self, line: &str) {
        let line = one_line(&self.masker.mask(line));
        if self.output.verbose {
            // Telling never fails a build.
            let _told =
                self.output.error(&format!("{}\n", self.output.paint_errors().dim(format!("  build | {line}"))));
        }
        if self.last.len() == EXCERPT_LINES_MAX {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_secret_s_file_that_is_a_pipe_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let [pipe, file] = ["pipe", "file"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::write(&file, "made up for this test").unwrap();
        let (tell, told) = channel();

        std::thread::spawn(move || tell.send([read(&pipe), read(&file)]));

        let read = told.recv_timeout(Duration::from_secs(30)).expect("it waits for the pipe");
        assert_eq!(read, [None, Some("made up for this test".to_owned())]);
    }
}
