//! A directory of blobs, each named by the digest of its content.

use crate::blob::Blob;
use crate::copy::copy_content;
use crate::error::{Context, DiskError};
use crate::file::sync_file_system;
use crate::temporary::{TemporaryFile, is_temporary};
use cutover_core::artifact::Digest;
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How much is read, hashed and written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A content-addressed store of files that releases are linked from.
///
/// A blob appears whole or not at all, so several processes may use one store at once. It is
/// durable only after [`BlobStore::sync`]: call that once after many inserts and before anything
/// durable refers to them. A blob that a crash left empty is found out by its size and time when
/// it is used, never linked, and reported as [`BlobState::Damaged`].
#[derive(Debug, Clone)]
pub struct BlobStore {
    root: PathBuf,
}

/// What a look at a blob found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobState {
    /// It is there and as it was stored.
    Sound,
    /// It is not there.
    Missing,
    /// Its content was changed by somebody; it has been removed.
    Damaged,
}

/// How a blob came to its place in a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// By a hard link: it takes no space.
    Hard,
    /// By a copy, where no hard link can be made.
    Copied,
}

/// What [`BlobStore::remove_unlinked`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Number of blobs.
    pub blob_count: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// A blob that could not be stored or linked.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not in the store.
    #[error("blob {} is missing", .0.short())]
    Missing(Digest),
    /// Somebody changed it; it has been removed and must be fetched anew.
    #[error("blob {} was damaged and has been removed", .0.short())]
    Damaged(Digest),
    /// The content that was offered is not what was announced.
    #[error("content offered for blob {} is not what was announced", .0.short())]
    Mismatch(Digest),
    /// The content that was offered is larger than allowed.
    #[error("content has more than {0} bytes")]
    TooLarge(u64),
    /// The content could not be read from where it comes from.
    #[error("read content")]
    Read(#[source] io::Error),
    /// The store's own files failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl BlobStore {
    /// Opens the store in a directory, which is made when it does not exist.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        fs::create_dir_all(root).on("make directory", root)?;
        Ok(Self { root: root.to_owned() })
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob lies or would lie.
    pub fn path(&self, digest: &Digest, executable: bool) -> PathBuf {
        self.root.join(Blob::relative_path(digest, executable))
    }

    /// Whether a sound blob is there. See [`BlobStore::state`].
    pub fn has(&self, blob: &Blob) -> Result<bool, DiskError> {
        Ok(self.state(blob)? == BlobState::Sound)
    }

    /// Looks at a blob: reads it only when its size, mode or time are not as they were stored.
    ///
    /// A good one with a wrong mode or time is set right; a damaged one is removed.
    pub fn state(&self, blob: &Blob) -> Result<BlobState, DiskError> {
        let path = self.path(&blob.digest, blob.executable);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if blob.stamp().matches(&metadata) => Ok(BlobState::Sound),
            Ok(metadata) => examine(&path, blob, &metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BlobState::Missing),
            Err(error) => Err(DiskError::new("examine", &path, error)),
        }
    }

    /// Stores content whose digest and size are announced; reads no more than the size.
    pub fn insert(&self, blob: &Blob, reader: &mut dyn Read) -> Result<(), BlobError> {
        let mut temporary = self.temporary(&blob.digest)?;
        let (digest, bytes) = pour(reader, blob.bytes, &mut temporary)?;
        if (digest, bytes) != (blob.digest, blob.bytes) {
            return Err(BlobError::Mismatch(blob.digest));
        }
        Ok(self.place(temporary, blob)?)
    }

    /// Stores a file's content whose digest and size are announced, sharing its blocks where the
    /// file system can.
    pub fn insert_file(&self, blob: &Blob, file: &File) -> Result<(), BlobError> {
        let temporary = self.temporary(&blob.digest)?;
        if clone_and_hash(file, &temporary)? != (blob.digest, blob.bytes) {
            return Err(BlobError::Mismatch(blob.digest));
        }
        Ok(self.place(temporary, blob)?)
    }

    /// Stores these bytes.
    pub fn add_bytes(&self, content: &[u8], executable: bool) -> Result<Blob, DiskError> {
        let blob = Blob { digest: Digest::of(content), bytes: content.len() as u64, executable };
        let mut temporary = self.temporary(&blob.digest)?;
        temporary.file.write_all(content).on("write", temporary.path())?;
        self.place(temporary, &blob)?;
        Ok(blob)
    }

    /// Stores content whose digest is not known yet, of at most `bytes_max` bytes.
    pub fn add(&self, reader: &mut dyn Read, bytes_max: u64, executable: bool) -> Result<Blob, BlobError> {
        let mut temporary = TemporaryFile::create(&self.root)?;
        let (digest, bytes) = pour(reader, bytes_max, &mut temporary)?;
        if bytes > bytes_max {
            return Err(BlobError::TooLarge(bytes_max));
        }
        let blob = Blob { digest, bytes, executable };
        self.place(temporary, &blob)?;
        Ok(blob)
    }

    /// Stores a file whose digest is not known yet, sharing its blocks where the file system can.
    ///
    /// The digest is that of what was stored, whatever happens to the file meanwhile.
    pub fn add_file(&self, file: &File, executable: bool) -> Result<Blob, BlobError> {
        let temporary = TemporaryFile::create(&self.root)?;
        let (digest, bytes) = clone_and_hash(file, &temporary)?;
        let blob = Blob { digest, bytes, executable };
        self.place(temporary, &blob)?;
        Ok(blob)
    }

    /// Puts a blob at `destination`, which must not exist: as a hard link, or as a copy where none
    /// can be made (another file system, too many links, not the owner).
    ///
    /// A damaged blob is never linked.
    pub fn link(&self, blob: &Blob, destination: &Path) -> Result<Linked, BlobError> {
        match self.state(blob)? {
            BlobState::Sound => {}
            BlobState::Missing => return Err(BlobError::Missing(blob.digest)),
            BlobState::Damaged => return Err(BlobError::Damaged(blob.digest)),
        }
        let source = self.path(&blob.digest, blob.executable);
        match rustix::fs::link(&source, destination) {
            Ok(()) => Ok(Linked::Hard),
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => {
                copy_to(&source, destination, blob).map(|()| Linked::Copied)
            }
            // Another process may have removed the blob between the look and the link.
            Err(Errno::NOENT) if !source.exists() => Err(BlobError::Missing(blob.digest)),
            Err(error) => Err(DiskError::new("link", destination, error).into()),
        }
    }

    /// Opens a blob for reading, whichever of its two names it has.
    pub fn open_blob(&self, digest: &Digest) -> io::Result<File> {
        match File::open(self.path(digest, false)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(self.path(digest, true)),
            other => other,
        }
    }

    /// Makes all that was stored durable, with one `syncfs`.
    pub fn sync(&self) -> Result<(), DiskError> {
        sync_file_system(&self.root)
    }

    /// Removes the blobs that no release links to and `keep` does not name, and what a crash left.
    ///
    /// Only those are removed whose inode has not changed since `changed_before` (storing, linking
    /// and unlinking change it), so that another process's fresh blobs stay.
    pub fn remove_unlinked(&self, keep: &HashSet<Digest>, changed_before: SystemTime) -> Result<Removed, DiskError> {
        let mut removed = Removed::default();
        for entry in list(&self.root)? {
            if is_fan_out(&entry.file_name()) {
                for blob in list(&entry.path())? {
                    remove_if_unneeded(&blob, keep, changed_before, &mut removed)?;
                }
            } else {
                remove_if_unneeded(&entry, keep, changed_before, &mut removed)?;
            }
        }
        Ok(removed)
    }

    /// A temporary file in the directory that the blob will lie in: renaming within one directory
    /// takes no lock on the whole file system.
    fn temporary(&self, digest: &Digest) -> Result<TemporaryFile, DiskError> {
        let dir = self.root.join(&digest.to_string()[..2]);
        match TemporaryFile::create(&dir) {
            Err(error) if error.is_not_found() => {
                fs::create_dir_all(&dir).on("make directory", &dir)?;
                TemporaryFile::create(&dir)
            }
            other => other,
        }
    }

    fn place(&self, temporary: TemporaryFile, blob: &Blob) -> Result<(), DiskError> {
        let path = self.path(&blob.digest, blob.executable);
        blob.stamp().put_on(&temporary.file).on("set the time and mode of", &path)?;
        if let Some(dir) = path.parent() {
            fs::create_dir(dir).or_else(already_there).on("make directory", dir)?;
        }
        temporary.place(&path).on("put in place", &path)?;
        Ok(())
    }
}

fn already_there(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

/// Reads a blob that does not look untouched: sets right or removes it.
fn examine(path: &Path, blob: &Blob, metadata: &Metadata) -> Result<BlobState, DiskError> {
    if metadata.is_file() && metadata.len() == blob.bytes {
        let mut file = File::open(path).on("open", path)?;
        let (digest, _) = hash(&mut file, io::sink()).on("read", path)?;
        if digest == blob.digest {
            blob.stamp().put_on(&file).on("set the time and mode of", path)?;
            return Ok(BlobState::Sound);
        }
    }
    fs::remove_file(path).on("remove damaged", path)?;
    Ok(BlobState::Damaged)
}

/// Copies from a reader to a new file; stops one byte after `bytes_max`, so that more shows.
fn pour(reader: &mut dyn Read, bytes_max: u64, to: &mut TemporaryFile) -> Result<(Digest, u64), BlobError> {
    let mut reader = reader.take(bytes_max.saturating_add(1));
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(bytes_max).unwrap_or(BUFFER_BYTES).saturating_add(1))];
    let mut bytes = 0;
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(BlobError::Read(error)),
        };
        hasher.update(&buffer[..count]);
        to.file.write_all(&buffer[..count]).on("write", to.path())?;
        bytes += count as u64;
    }
    Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), bytes))
}

/// Clones a file, then hashes the clone: what was stored, even if the original changes meanwhile.
fn clone_and_hash(file: &File, temporary: &TemporaryFile) -> Result<(Digest, u64), BlobError> {
    copy_content(file, &temporary.file).on("copy to", temporary.path())?;
    let mut stored = File::open(temporary.path()).on("open", temporary.path())?;
    Ok(hash(&mut stored, io::sink()).on("read", temporary.path())?)
}

fn hash(reader: &mut dyn Read, mut copy: impl Write) -> io::Result<(Digest, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), bytes)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                copy.write_all(&buffer[..count])?;
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
