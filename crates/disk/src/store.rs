//! A directory of blobs, each named by the digest of its content.

use crate::blob::{Blob, FAN_OUT_LENGTH};
use crate::content::{clone_and_hash, hash, pour};
use crate::error::{BlobError, Context, DiskError};
use crate::file::sync_file_system;
use crate::link::{Linked, link_or_copy};
use crate::sweep::{Removed, sweep};
use crate::temporary::TemporaryFile;
use cutover_core::artifact::Digest;
use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

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
        let mut temporary = self.temporary(blob)?;
        let (digest, bytes) = pour(reader, blob.bytes, &mut temporary)?;
        if (digest, bytes) != (blob.digest, blob.bytes) {
            return Err(BlobError::Mismatch(blob.digest));
        }
        Ok(self.place(temporary, blob)?)
    }

    /// Stores a file's content whose digest and size are announced, sharing its blocks where the
    /// file system can.
    pub fn insert_file(&self, blob: &Blob, file: &File) -> Result<(), BlobError> {
        let temporary = self.temporary(blob)?;
        if clone_and_hash(file, &temporary)? != (blob.digest, blob.bytes) {
            return Err(BlobError::Mismatch(blob.digest));
        }
        Ok(self.place(temporary, blob)?)
    }

    /// Stores these bytes, unless the store has them.
    pub fn add_bytes(&self, content: &[u8], executable: bool) -> Result<Blob, DiskError> {
        let blob = Blob { digest: Digest::of(content), bytes: content.len() as u64, executable };
        if self.has(&blob)? {
            return Ok(blob);
        }
        let mut temporary = self.temporary(&blob)?;
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
        link_or_copy(blob, &self.path(&blob.digest, blob.executable), destination)
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
    /// and unlinking change it), so that another process's fresh blobs stay; unfinished files stay an
    /// hour longer.
    pub fn remove_unlinked(&self, keep: &HashSet<Digest>, changed_before: SystemTime) -> Result<Removed, DiskError> {
        sweep(&self.root, keep, changed_before)
    }

    /// A temporary file in the directory that the blob will lie in: renaming within one directory
    /// takes no lock on the whole file system.
    fn temporary(&self, blob: &Blob) -> Result<TemporaryFile, DiskError> {
        let dir = self.root.join(&blob.digest.to_string()[..FAN_OUT_LENGTH]);
        match TemporaryFile::with_mode(&dir, blob.mode()) {
            Err(error) if error.is_not_found() => {
                fs::create_dir_all(&dir).on("make directory", &dir)?;
                TemporaryFile::with_mode(&dir, blob.mode())
            }
            other => other,
        }
    }

    fn place(&self, mut temporary: TemporaryFile, blob: &Blob) -> Result<(), DiskError> {
        let path = self.path(&blob.digest, blob.executable);
        blob.stamp().put_on(&temporary.file).on("set the time and mode of", &path)?;
        match temporary.place(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_parent(&path)?;
                temporary.place(&path).on("put in place", &path)
            }
            other => other.on("put in place", &path),
        }
    }
}

fn make_parent(path: &Path) -> Result<(), DiskError> {
    path.parent().map_or(Ok(()), |dir| fs::create_dir_all(dir).on("make directory", dir))
}

/// Reads a blob that does not look untouched: sets it right or removes it.
fn examine(path: &Path, blob: &Blob, metadata: &Metadata) -> Result<BlobState, DiskError> {
    if metadata.is_file() && metadata.len() == blob.bytes {
        let mut file = File::open(path).on("open", path)?;
        let (digest, _) = hash(&mut file).on("read", path)?;
        if digest == blob.digest {
            blob.stamp().put_on(&file).on("set the time and mode of", path)?;
            return Ok(BlobState::Sound);
        }
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove damaged", path, error)),
        Ok(()) | Err(_) => Ok(BlobState::Damaged),
    }
}
