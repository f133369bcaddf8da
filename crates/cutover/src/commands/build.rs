//! `cutover build`

use super::packing::{pack, with_checks};
use super::words;
use crate::checks::{KnownChecks, read_run};
use crate::context::Context;
use crate::depot::{self, Shared};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_artifacts::depot::{Content, FileContent};
use cutover_artifacts::{Artifact, PackSource};
use cutover_core::check::run::Run;
use cutover_core::secret::SIGNING_KEY_VARIABLE;
use cutover_reporters::{bytes, one_line};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Pack a commit into an artifact and print its id.
///
/// An artifact is what one commit builds to: the files that `include` and `exclude` of `[artifact]`
/// choose, after the `build` command ran in a clean checkout, when there is one. It is packed once
/// and deployed many times; packing the same commit again gives the same id. `cutover deploy` packs
/// by itself, so this is for CI jobs that build before they deploy, and to see what would go out.
///
/// With a store in `[artifact.store]` it is put there as well, unless it is there.
///
/// The id goes to the standard output, everything else to the standard error.
///
/// With --json: {"v":1,"artifact":{"id":…,"commit":…,"file_count":…,"bytes":…},"exported":…,"shared":…,"signed":…}.
///
/// Where cutover.toml names `signers` and there is no key to sign with, it says so: what is packed cannot be deployed then.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover build                         HEAD, whatever the work tree looks like
  cutover build --commit v1.4.2         a tag, a branch or a hash
  cutover build --dirty                 with uncommitted changes; marked as such
  cutover build --checks checks.json    with what `cutover check --json` said of it elsewhere
  cutover build --output shop.cutover   also as one file; on another machine:
  cutover deploy staging --artifact ./shop.cutover
  cutover deploy staging --artifact \"$(cutover build)\"")]
pub(crate) struct BuildArgs {
    /// The commit to pack: a branch, a tag or a hash
    #[arg(long, value_name = "REV", default_value = "HEAD", conflicts_with = "dirty")]
    commit: String,

    /// Pack the work tree with its uncommitted changes, without ignored files
    #[arg(long)]
    dirty: bool,

    /// Also write the artifact to this file, replacing it, and its provenance to FILE.intoto.json beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Also take in what checks said elsewhere: what `cutover check --json` printed for this very commit
    #[arg(long, value_name = "FILE", conflicts_with = "dirty")]
    checks: Option<PathBuf>,

    /// Pack and build even if this commit was packed before in the same way
    #[arg(long)]
    again: bool,
}

impl BuildArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let run = self.checks.as_deref().map(judged).transpose()?;
        // Before the build, which may take a while: whoever lacks credentials wants to know now.
        let _there = if depot::is_kept_out(context) { None } else { depot::open(context)? };
        let artifact = pack(context, &self.source(), self.again)?;
        let artifact = match run {
            Some((commit, run)) => with_run(context, artifact, &commit, &run)?,
            None => artifact,
        };
        if let Some(path) = &self.output {
            export(context, &artifact, path)?;
        }
        let shared = depot::share(context, &artifact, false).map_err(|error| {
            let id = artifact.id.short();
            error
                .state(format!("artifact {id} is packed, on this machine only"))
                .hint(format!("`cutover artifact push {id}` tries again"))
        })?;
        if shared.is_none() {
            depot::vouch_here(context, &artifact)?;
        }
        self.tell(context, &artifact, shared.as_ref())?;
        Ok(Exit::Done)
    }

    fn source(&self) -> PackSource {
        if self.dirty { PackSource::WorkTree } else { PackSource::Commit(self.commit.clone()) }
    }

    fn tell(&self, context: &Context, artifact: &Artifact, shared: Option<&Shared>) -> Result<(), CommandError> {
        let output = &context.output;
        let is_signed = shared.is_some_and(|shared| shared.was_signed) || depot::is_signed_here(context, &artifact.id)?;
        if output.json {
            let (record, exported) = (&artifact.record, &self.output);
            return output.json(
                &json!({ "v": 1, "artifact": record, "exported": exported, "shared": shared, "signed": is_signed }),
            );
        }
        let about = &artifact.record;
        let commit = words::commit(&about.commit, about.dirty);
        let size = bytes(about.bytes);
        let subject = one_line(&about.subject);
        output.error(&format!("packed {commit} {subject}: {} files, {size}\n", about.file_count))?;
        shared.map_or(Ok(()), |shared| output.error(&shared.told()))?;
        if !is_signed && depot::signers(context.project()?).is_some() {
            output.error(&unsigned(about.dirty))?;
        }
        output.text(&format!("{}\n", artifact.id))
    }
}

/// What is said of an artifact that is not signed where only what is signed is deployed.
fn unsigned(dirty: bool) -> String {
    let what = "note: it is not signed, and cutover.toml names `signers`: it cannot be deployed";
    match dirty {
        true => format!("{what}; nobody signs uncommitted changes\n"),
        false => format!("{what} until `cutover build` signs it, with the key in {SIGNING_KEY_VARIABLE}\n"),
    }
}

/// What checks said elsewhere, with the commit that they judged.
fn judged(path: &Path) -> Result<(String, Run), CommandError> {
    let run = read_run(path)?;
    match run.commit.clone() {
        Some(commit) => Ok((commit, run)),
        None => {
            let why =
                format!("{} is about no commit: the work tree had changes that were not committed", path.display());
            let hint = "run the checks where nothing but the commit is checked out";
            Err(CommandError::new(ErrorKind::Usage, why).hint(hint))
        }
    }
}

/// The artifact with what checks said of its commit elsewhere, which is kept here, too.
fn with_run(context: &Context, artifact: Artifact, commit: &str, run: &Run) -> Result<Artifact, CommandError> {
    if commit != artifact.record.commit {
        let [judged, packed] = [commit, &artifact.record.commit].map(|commit| words::commit(commit, false));
        let wrong = format!("the checks were run on commit {judged}, and this is {packed}");
        return Err(
            CommandError::new(ErrorKind::Usage, wrong).hint("`cutover check --json` writes them on that commit")
        );
    }
    let project = context.project()?;
    let noted = KnownChecks::of(&project.data_dir).note(run);
    noted.map_err(|error| CommandError::new(ErrorKind::Failed, "keep what the checks said").because(&error))?;
    with_checks(project, &context.artifacts()?, artifact)
}

/// Writes the artifact to a file, and what is said of it beside that.
pub(super) fn export(context: &Context, artifact: &Artifact, path: &Path) -> Result<(), CommandError> {
    let mut exported = context.artifacts()?.export_file(artifact)?;
    let provenance = depot::vouch(context, artifact, &exported)?;
    save(&mut exported.file, path)?;
    depot::write_beside(path, provenance.as_ref())
}

/// Writes an exported artifact beside the file first, so that the file is never half an artifact.
pub(super) fn save(exported: &mut FileContent, path: &Path) -> Result<(), CommandError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = PathBuf::from(partial);
    let failed = |error| {
        // It may not even have been made; the error that matters is on its way.
        let _removed = fs::remove_file(&partial);
        CommandError::new(ErrorKind::Failed, format!("cannot write {}", path.display())).because(&error)
    };
    write(exported, &partial, path).map_err(failed)
}

fn write(exported: &mut FileContent, partial: &Path, path: &Path) -> io::Result<()> {
    let mut file = File::create_new(partial)?;
    io::copy(&mut exported.reader()?, &mut file)?;
    file.flush()?;
    file.sync_all()?;
    fs::rename(partial, path)
}
