//! Moving content and hashing it on the way.

use crate::copy::copy_content;
use crate::error::{BlobError, Context};
use crate::temporary::TemporaryFile;
use cutover_core::artifact::Digest;
use std::fs::File;
use std::io::{self, Read, Write};

/// How much is read, hashed and written at once.
const BUFFER_BYTES: u64 = 256 << 10;

/// Copies from a reader to a new file; stops one byte after `bytes_max`, so that more shows.
pub(crate) fn pour(reader: &mut dyn Read, bytes_max: u64, to: &mut TemporaryFile) -> Result<(Digest, u64), BlobError> {
    let limit = bytes_max.saturating_add(1);
    each_chunk(&mut reader.take(limit), limit.min(BUFFER_BYTES), |chunk| {
        to.file.write_all(chunk).on("write", to.path()).map_err(BlobError::from)
    })
}

/// Clones a file, then hashes the clone: what was stored, even if the original changes meanwhile.
pub(crate) fn clone_and_hash(file: &File, temporary: &TemporaryFile) -> Result<(Digest, u64), BlobError> {
    copy_content(file, &temporary.file).on("copy to", temporary.path())?;
    let mut stored = File::open(temporary.path()).on("open", temporary.path())?;
    Ok(hash(&mut stored).on("read", temporary.path())?)
}

/// The digest and size of all that a reader gives.
pub(crate) fn hash(reader: &mut dyn Read) -> io::Result<(Digest, u64)> {
    each_chunk(reader, BUFFER_BYTES, |_| Ok(()))
}

fn each_chunk<E: From<io::Error>>(
    reader: &mut dyn Read,
    buffer_bytes: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(Digest, u64), E> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; buffer_bytes as usize];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), bytes)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                take(&buffer[..count])?;
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
