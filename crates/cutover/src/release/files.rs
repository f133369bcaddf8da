//! The files of a release: the artifact, what is said of it, and the signature of that.
//!
//! The statement is attached last. Where it is there, the signature beside it is of it; a signature alone is what a run left that
//! broke off, and is made anew with its statement.

use super::plan::Planned;
use super::publish::{Step, Told};
use crate::depot::STATEMENT_ENDING;
use crate::error::{CommandError, ErrorKind};
use cutover_artifacts::depot::Provenance;
use cutover_reporters::github::release::{self, Attached, Attachment, FILE_BYTES_MAX, Release};
use cutover_reporters::github::{Client, Fault};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Writes the artifact into a file.
pub(crate) type Export<'a> = dyn Fn(&Path) -> Result<Saved, CommandError> + 'a;

/// The artifact in a file.
pub(crate) struct Saved {
    /// How large the file is.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal characters.
    pub(crate) sha256: String,
    /// What is said of this very file.
    pub(crate) provenance: Option<Provenance>,
}

/// What became of the files.
pub(super) struct Files {
    pub(super) artifact: Step,
    pub(super) provenance: Step,
    /// Why something was left out that was wanted.
    pub(super) left_out: Option<String>,
}

impl Files {
    fn without_provenance(artifact: Step, why: Option<&str>) -> Self {
        Self { artifact, provenance: Step::LeftOut, left_out: why.map(str::to_owned) }
    }
}

/// Attaches what is missing of the files. The artifact is exported only where something is.
pub(super) fn attach(
    client: &Client,
    found: &Release,
    planned: &Planned,
    told: &Told<'_>,
    half: &dyn Fn(Fault) -> CommandError,
) -> Result<Files, CommandError> {
    let Some(export) = told.export else { return Ok(Files::without_provenance(Step::LeftOut, None)) };
    let name = format!("{}-{}.cutover", told.project, planned.version);
    let statement = format!("{name}{STATEMENT_ENDING}");
    let there = release::whole(client, found, &name).map_err(half)?;
    if there.is_some() && !told.has_provenance {
        return Ok(Files::without_provenance(Step::WasThere, None));
    }
    if there.is_some() && release::whole(client, found, &statement).map_err(half)?.is_some() {
        return Ok(Files { artifact: Step::WasThere, provenance: Step::WasThere, left_out: None });
    }
    let work = Work::new(client, found)?;
    let state = format!("the tag {} is there, the release is not complete", planned.tag);
    let Saved { bytes, sha256, provenance } =
        export(&work.dir.path().join(&name)).map_err(|error| error.state(state))?;
    if bytes > FILE_BYTES_MAX {
        let why = format!("the artifact has {bytes} bytes, and GitHub takes {FILE_BYTES_MAX}");
        return Ok(Files::without_provenance(Step::LeftOut, Some(&why)));
    }
    let artifact = match &there {
        None => work.attach(&name, bytes).map_err(half)?,
        Some(_) => Step::WasThere,
    };
    let Some(provenance) = provenance.filter(|_| there.is_none_or(|there| there.may_be(&sha256, bytes))) else {
        let why = "what is said of the artifact is not about the file of the release, byte for byte, and is left out";
        return Ok(Files::without_provenance(artifact, told.has_provenance.then_some(why)));
    };
    match work.say(&statement, &provenance)? {
        Ok(provenance) => Ok(Files { artifact, provenance, left_out: None }),
        // What everybody sees may take no more files, and is whole without this one.
        Err(fault @ Fault::Rejected { status: 422, .. }) if !found.is_draft => {
            let why = format!("the release takes no provenance any more: {fault}");
            Ok(Files::without_provenance(artifact, Some(&why)))
        }
        Err(fault) => Err(half(fault)),
    }
}

/// Where files are kept until GitHub has them.
struct Work<'a> {
    client: &'a Client,
    release: &'a Release,
    dir: TempDir,
}

impl<'a> Work<'a> {
    fn new(client: &'a Client, release: &'a Release) -> Result<Self, CommandError> {
        let dir = tempfile::tempdir().map_err(|error| cannot_keep(&error))?;
        Ok(Self { client, release, dir })
    }

    fn attach(&self, name: &str, bytes: u64) -> Result<Step, Fault> {
        let file: PathBuf = self.dir.path().join(name);
        Ok(match release::attach(self.client, self.release, &Attachment { name, file: &file, bytes })? {
            Attached::New => Step::Made,
            Attached::WasThere => Step::WasThere,
        })
    }

    /// Attaches a statement, and its signature before it.
    fn say(&self, statement: &str, provenance: &Provenance) -> Result<Result<Step, Fault>, CommandError> {
        let signature = format!("{statement}.sig");
        let write = |name: &str, bytes: &[u8]| {
            fs::write(self.dir.path().join(name), bytes).map_err(|error| cannot_keep(&error))
        };
        write(statement, &provenance.statement)?;
        provenance.signature.as_ref().map_or(Ok(()), |bytes| write(&signature, bytes))?;
        let attach = || {
            if release::whole(self.client, self.release, statement)?.is_some() {
                return Ok(Step::WasThere);
            }
            release::detach(self.client, self.release, &signature)?;
            if let Some(bytes) = &provenance.signature {
                self.attach(&signature, bytes.len() as u64)?;
            }
            self.attach(statement, provenance.statement.len() as u64)
        };
        Ok(attach())
    }
}

fn cannot_keep(error: &std::io::Error) -> CommandError {
    CommandError::new(ErrorKind::Failed, "cannot keep the files of the release").because(error)
}
