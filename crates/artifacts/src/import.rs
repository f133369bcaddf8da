//! Taking in an artifact that somebody exported. Nothing in it is believed.

use crate::error::{ArtifactError, ImportError};
use crate::export::{MAGIC, VERSION, contents};
use crate::record::{Artifact, ArtifactRecord, CommitInfo};
use crate::store::{ArtifactStore, RECORD_BYTES_MAX};
use cutover_core::artifact::{Digest, MANIFEST_BYTES_MAX, Manifest};
use cutover_disk::{Blob, BlobError};
use jiff::Timestamp;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

/// The largest window that a frame may ask for: 8 MiB, four times what is written.
const WINDOW_LOG_MAX: u32 = 23;

impl ArtifactStore {
    /// Takes in an artifact that unpacks to at most `bytes_max` bytes.
    ///
    /// Nothing of it is visible until all of it is verified and durable; what a refused one leaves
    /// are blobs that the next pruning removes. No more is read or written than the manifest
    /// announces. `now` becomes its time of packing.
    pub fn import(&self, reader: &mut dyn Read, bytes_max: u64, now: Timestamp) -> Result<Artifact, ArtifactError> {
        self.take_in(None, reader, bytes_max, now)
    }

    /// The same for an artifact that is known: another one is refused before anything of it is stored.
    pub fn import_as(
        &self,
        id: &Digest,
        reader: &mut dyn Read,
        bytes_max: u64,
        now: Timestamp,
    ) -> Result<Artifact, ArtifactError> {
        self.take_in(Some(id), reader, bytes_max, now)
    }

    fn take_in(
        &self,
        expected: Option<&Digest>,
        reader: &mut dyn Read,
        bytes_max: u64,
        now: Timestamp,
    ) -> Result<Artifact, ArtifactError> {
        let _lock = self.lock_shared()?;
        let mut reader = BufReader::new(reader);
        read_preamble(&mut reader)?;
        let mut frame = zstd::Decoder::with_buffer(reader).map_err(ImportError::Read)?.single_frame();
        frame.window_log_max(WINDOW_LOG_MAX).map_err(ImportError::Read)?;
        let mut budget = Budget { bytes_max, left: bytes_max };
        let manifest = read_manifest(&mut frame, &mut budget)?;
        if let Some(other) = expected.map(|_| manifest.id()).filter(|id| Some(id) != expected) {
            return Err(ImportError::Another(other).into());
        }
        let commit = read_commit(&mut frame, &mut budget)?;
        self.take_contents(&mut frame, &manifest, &mut budget)?;
        expect_end(frame)?;
        self.save(manifest, commit, now)
    }

    /// Stores every content under all the names that the manifest needs.
    fn take_contents(
        &self,
        frame: &mut dyn Read,
        manifest: &Manifest,
        budget: &mut Budget,
    ) -> Result<(), ArtifactError> {
        let mut needed: HashMap<Digest, Vec<Blob>> = HashMap::new();
        for blob in manifest.entries.values().filter_map(Blob::of_entry) {
            let blobs = needed.entry(blob.digest).or_default();
            if !blobs.contains(&blob) {
                blobs.push(blob);
            }
        }
        for (digest, bytes) in contents(manifest) {
            if read_length(frame)? != bytes {
                return Err(BlobError::Mismatch(digest).into());
            }
            budget.spend(bytes)?;
            self.take_content(frame, needed.get(&digest).map_or(&[], Vec::as_slice))?;
        }
        Ok(())
    }

    fn take_content(&self, frame: &mut dyn Read, blobs: &[Blob]) -> Result<(), ArtifactError> {
        let [first, others @ ..] = blobs else { return Ok(()) };
        // The limit lies here, not in the frame: the store would read one byte more to see an end.
        self.blob_store().insert(first, &mut frame.take(first.bytes))?;
        let path = self.blob_store().path(&first.digest, first.executable);
        for other in others {
            let stored = std::fs::File::open(&path).map_err(ImportError::Read)?;
            self.blob_store().insert_file(other, &stored)?;
        }
        Ok(())
    }
}

/// How many bytes may still be unpacked.
struct Budget {
    bytes_max: u64,
    left: u64,
}

impl Budget {
    fn spend(&mut self, bytes: u64) -> Result<(), ImportError> {
        self.left = self.left.checked_sub(bytes).ok_or(ImportError::TooLarge(self.bytes_max))?;
        Ok(())
    }
}

fn read_preamble(reader: &mut dyn Read) -> Result<(), ImportError> {
    let mut magic = [0; MAGIC.len()];
    let mut version = [0; 4];
    let read = reader.read_exact(&mut magic).and_then(|()| reader.read_exact(&mut version));
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ImportError::NotAnArtifact),
        other => other.map_err(ImportError::Read)?,
    }
    if magic != *MAGIC {
        return Err(ImportError::NotAnArtifact);
    }
    match u32::from_le_bytes(version) {
        VERSION => Ok(()),
        other => Err(ImportError::Version(other)),
    }
}

fn read_manifest(frame: &mut dyn Read, budget: &mut Budget) -> Result<Manifest, ArtifactError> {
    let bytes = read_part(frame, "manifest", MANIFEST_BYTES_MAX, budget)?;
    let malformed = |detail: String| ImportError::Malformed("manifest", detail);
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    if manifest.canonical() != bytes {
        return Err(malformed("not in canonical form".into()).into());
    }
    manifest.check()?;
    Ok(manifest)
}

/// Reads the record; only what the manifest does not say itself is taken from it.
fn read_commit(frame: &mut dyn Read, budget: &mut Budget) -> Result<CommitInfo, ArtifactError> {
    let bytes = read_part(frame, "record", RECORD_BYTES_MAX, budget)?;
    let record: ArtifactRecord =
        serde_json::from_slice(&bytes).map_err(|error| ImportError::Malformed("record", error.to_string()))?;
    Ok(CommitInfo {
        subject: record.subject,
        author: record.author,
        committed_at: record.committed_at,
        branch: record.branch,
        checks: record.checks,
    })
}

/// Reads a part of announced length; memory grows with what really comes.
fn read_part(
    frame: &mut dyn Read,
    name: &'static str,
    bytes_max: u64,
    budget: &mut Budget,
) -> Result<Vec<u8>, ImportError> {
    let length = read_length(frame)?;
    if length > bytes_max {
        return Err(ImportError::Malformed(name, format!("{length} bytes; the most is {bytes_max}")));
    }
    budget.spend(length)?;
    let mut part = Vec::new();
    frame.take(length).read_to_end(&mut part).map_err(ImportError::Read)?;
    if part.len() as u64 == length { Ok(part) } else { Err(ImportError::Read(io::ErrorKind::UnexpectedEof.into())) }
}

fn read_length(frame: &mut dyn Read) -> Result<u64, ImportError> {
    let mut length = [0; 8];
    frame.read_exact(&mut length).map_err(ImportError::Read)?;
    Ok(u64::from_le_bytes(length))
}

/// The frame must end here, which also verifies its checksum, and the file with it.
fn expect_end<R: BufRead>(mut frame: zstd::Decoder<'_, R>) -> Result<(), ImportError> {
    let mut byte = [0];
    if frame.read(&mut byte).map_err(ImportError::Read)? != 0 {
        return Err(ImportError::TrailingBytes);
    }
    if frame.finish().read(&mut byte).map_err(ImportError::Read)? != 0 {
        return Err(ImportError::TrailingBytes);
    }
    Ok(())
}
