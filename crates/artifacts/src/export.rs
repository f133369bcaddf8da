//! An artifact as one file.
//!
//! ```text
//! "cutover-artifact"   16 bytes
//! version              u32, little-endian, now 1
//! one zstd frame of:
//!     length u64, the manifest's canonical JSON
//!     length u64, the record's JSON
//!     for each different content, in the order of the manifest's paths: length u64, content
//! ```
//! Nothing follows the frame.

use crate::error::ArtifactError;
use crate::record::Artifact;
use crate::store::ArtifactStore;
use cutover_core::artifact::{BlobSource, Digest, Manifest, ManifestEntry};
use std::collections::HashSet;
use std::io::{self, Read, Write};

pub(crate) const MAGIC: &[u8; 16] = b"cutover-artifact";
/// The version that is written and read.
pub(crate) const VERSION: u32 = 1;
/// zstd's own default: about as fast as a disk.
const LEVEL: i32 = 3;
const BUFFER_BYTES: usize = 128 << 10;

impl ArtifactStore {
    /// Writes an artifact as one stream; every content is verified on the way.
    pub fn export(&self, id: &Digest, writer: &mut dyn Write) -> Result<(), ArtifactError> {
        let blobs = self.blobs()?;
        let artifact = self.get(&id.to_string())?;
        write_artifact(&artifact, &blobs, writer).map_err(|source| ArtifactError::Export { id: *id, source })
    }
}

fn write_artifact(artifact: &Artifact, blobs: &dyn BlobSource, writer: &mut dyn Write) -> io::Result<()> {
    writer.write_all(MAGIC)?;
    writer.write_all(&VERSION.to_le_bytes())?;
    let mut frame = zstd::Encoder::new(writer, LEVEL)?;
    frame.include_checksum(true)?;
    write_part(&mut frame, &artifact.manifest.canonical())?;
    write_part(&mut frame, &serde_json::to_vec(&artifact.record)?)?;
    for (digest, bytes) in contents(&artifact.manifest) {
        frame.write_all(&bytes.to_le_bytes())?;
        copy_verified(&mut *blobs.open(&digest)?, &digest, bytes, &mut frame)?;
    }
    frame.finish()?.flush()
}

/// Every different content of a manifest once, with its size, in the order of the paths.
pub(crate) fn contents(manifest: &Manifest) -> impl Iterator<Item = (Digest, u64)> {
    let mut seen = HashSet::new();
    manifest.entries.values().filter_map(move |entry| match entry {
        ManifestEntry::File { digest, bytes, .. } => seen.insert(*digest).then_some((*digest, *bytes)),
        ManifestEntry::Symlink { .. } => None,
    })
}

fn write_part(writer: &mut dyn Write, part: &[u8]) -> io::Result<()> {
    writer.write_all(&(part.len() as u64).to_le_bytes())?;
    writer.write_all(part)
}

fn copy_verified(reader: &mut dyn Read, digest: &Digest, bytes: u64, writer: &mut dyn Write) -> io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match reader.read(&mut buffer[..wanted]) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                writer.write_all(&buffer[..count])?;
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if left > 0 || hasher.finalize().as_bytes() != digest.as_bytes() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("blob {} is damaged", digest.short())));
    }
    Ok(())
}
