//! Moving content and hashing it on the way.

use crate::copy::copy_content;
use crate::error::{BlobError, Context, DiskError};
use crate::temporary::TemporaryFile;
use cutover_core::artifact::Digest;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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

/// The digest of a file's content, which is never in memory as a whole.
pub fn digest_of_file(path: &Path) -> Result<Digest, DiskError> {
    let mut file = File::open(path).on("open", path)?;
    Ok(hash(&mut file).on("read", path)?.0)
}

/// A file's content, when it has at most `bytes_max` bytes.
pub fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
    read_opened(File::open(path).on("read", path)?, path, bytes_max)
}

/// The same for a path at which somebody may have put anything: a pipe is not waited for, and nothing but a file is read.
pub fn read_regular(path: &Path, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).on("read", path)?;
    if !file.metadata().on("read", path)?.is_file() {
        return Err(DiskError::new("read", path, io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    read_opened(file, path, bytes_max)
}

fn read_opened(file: File, path: &Path, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
    // One byte more than it has, so that its end is seen without growing.
    let bytes_now = file.metadata().on("read", path)?.len().min(bytes_max).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(bytes_now).unwrap_or(0));
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).on("read", path)?;
    if bytes.len() as u64 > bytes_max {
        let why = format!("it has more than {bytes_max} bytes");
        return Err(DiskError::new("read", path, io::Error::new(io::ErrorKind::FileTooLarge, why)));
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_only_when_it_is_as_small_as_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small");
        std::fs::write(&path, "12345").unwrap();

        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        let error = read_bounded(&path, 4).unwrap_err();
        assert_eq!(error.source.to_string(), "it has more than 4 bytes");
        assert!(read_bounded(&folder.path().join("none"), 4).unwrap_err().is_not_found());
        // A file that never ends is not read to its end.
        assert!(read_bounded(Path::new("/dev/zero"), 1 << 20).is_err());
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "12345").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();

        assert_eq!(read_regular(&path("link"), 5).unwrap(), b"12345");
        assert!(read_regular(&path("none"), 5).unwrap_err().is_not_found());
        assert_eq!(read_regular(&path("file"), 4).unwrap_err().source.to_string(), "it has more than 4 bytes");
        // The last one would wait for somebody who writes.
        for other in [folder.path(), Path::new("/dev/zero"), &path("pipe")] {
            assert_eq!(read_regular(other, 5).unwrap_err().source.to_string(), "it is no regular file");
        }
    }

    #[test]
    fn the_digest_of_a_file_is_that_of_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let content = vec![7; 3 * BUFFER_BYTES as usize + 1];
        std::fs::write(&path, &content).unwrap();
        assert_eq!(digest_of_file(&path).unwrap(), Digest::of(&content));
    }
}
