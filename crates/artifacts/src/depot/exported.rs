//! An artifact as the file that a shared store keeps of it.

use super::count_as_packed;
use super::objects::FileContent;
use super::sha256::Digesting;
use crate::error::ArtifactError;
use crate::record::{Artifact, ArtifactRecord};
use crate::store::ArtifactStore;
use cutover_disk::DiskError;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

/// An artifact's file, and what is remembered of the artifact.
#[derive(Debug)]
pub struct Exported {
    /// Where the artifact comes from.
    pub record: ArtifactRecord,
    /// The file, which has no name and is gone when this is.
    pub file: FileContent,
}

impl Exported {
    /// Counts it as packed now, when that was long ago, so that it is not removed as old from where it is put.
    pub fn renew(&mut self, now: Timestamp) {
        count_as_packed(&mut self.record, now);
    }
}

impl ArtifactStore {
    /// Exports an artifact into a file without a name, beside the store.
    pub fn export_file(&self, artifact: &Artifact) -> Result<Exported, ArtifactError> {
        let file = self.temporary()?;
        let failed = |source| self.temporary_failed("write", source);
        let mut writer = Digesting::new(BufWriter::new(file.try_clone().map_err(failed)?));
        self.export(&artifact.id, &mut writer)?;
        writer.flush().map_err(failed)?;
        let (bytes, sha256) = writer.finish();
        Ok(Exported { record: artifact.record.clone(), file: FileContent { file, bytes, sha256 } })
    }

    /// A file without a name, on the file system that the store is on: where artifacts have room, this has.
    pub(super) fn temporary(&self) -> Result<File, ArtifactError> {
        tempfile::tempfile_in(self.dir()).map_err(|source| self.temporary_failed("make a temporary file in", source))
    }

    pub(super) fn temporary_failed(&self, doing: &'static str, source: io::Error) -> ArtifactError {
        ArtifactError::Disk(DiskError::new(doing, self.dir(), source))
    }
}

impl FileContent {
    /// A whole file that is there already.
    pub fn of(mut file: File) -> io::Result<Self> {
        let (bytes, sha256) = digest(&mut file)?;
        Ok(Self { file, bytes, sha256 })
    }
}

/// The size and the SHA-256 of a file, which is at its beginning afterwards.
pub(super) fn digest(file: &mut File) -> io::Result<(u64, String)> {
    file.rewind()?;
    let mut digesting = Digesting::new(io::sink());
    io::copy(file, &mut digesting)?;
    file.rewind()?;
    Ok(digesting.finish())
}
