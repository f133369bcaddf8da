//! Removing blobs that nothing needs any more.

use crate::blob::FAN_OUT_LENGTH;
use crate::error::{Context, DiskError};
use crate::temporary::is_temporary;
use cutover_core::artifact::Digest;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What [`crate::BlobStore::remove_unlinked`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Number of blobs.
    pub blob_count: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// How much longer than a blob a temporary file must have lain still: one that is being filled by
/// a slow sender must not be taken away.
const TEMPORARY_GRACE: Duration = Duration::from_secs(3600);

/// Walks a store's directory. See `BlobStore::remove_unlinked` for the promise.
pub(crate) fn sweep(root: &Path, keep: &HashSet<Digest>, changed_before: SystemTime) -> Result<Removed, DiskError> {
    let mut sweep = Sweep { keep, changed_before, removed: Removed::default() };
    for entry in list(root)? {
        if is_fan_out(&entry.file_name()) {
            let fan_out = entry.file_name();
            list(&entry.path())?.iter().try_for_each(|blob| sweep.visit(fan_out.to_str(), blob))?;
        } else {
            sweep.visit(None, &entry)?;
        }
    }
    Ok(sweep.removed)
}

struct Sweep<'a> {
    keep: &'a HashSet<Digest>,
    changed_before: SystemTime,
    removed: Removed,
}

impl Sweep<'_> {
    /// Removes a blob or a temporary file when nothing needs it; other files are not ours.
    fn visit(&mut self, fan_out: Option<&str>, entry: &DirEntry) -> Result<(), DiskError> {
        let name = entry.file_name();
        let digest = fan_out.and_then(|fan_out| digest_of(fan_out, &name));
        let kept = digest.is_some_and(|digest| self.keep.contains(&digest));
        if kept || (digest.is_none() && !is_temporary(&name)) {
            return Ok(());
        }
        let path = entry.path();
        match entry.metadata() {
            Ok(metadata) if self.is_idle(&metadata, digest.is_none()) => self.remove(&path, &metadata),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new("examine", &path, error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn is_idle(&self, metadata: &Metadata, temporary: bool) -> bool {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(metadata.ctime().try_into().unwrap_or(0));
        let grace = if temporary { TEMPORARY_GRACE } else { Duration::ZERO };
        metadata.nlink() == 1 && changed + grace < self.changed_before
    }

    fn remove(&mut self, path: &Path, metadata: &Metadata) -> Result<(), DiskError> {
        match fs::remove_file(path) {
            // Another process sweeps too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DiskError::new("remove", path, error)),
            Ok(()) => {
                self.removed.blob_count += 1;
                self.removed.bytes += metadata.len();
                Ok(())
            }
        }
    }
}

fn list(dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
    fs::read_dir(dir).and_then(Iterator::collect).on("read directory", dir)
}

fn is_fan_out(name: &OsStr) -> bool {
    name.len() == FAN_OUT_LENGTH && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit)
}

fn digest_of(fan_out: &str, name: &OsStr) -> Option<Digest> {
    let name = name.to_str()?;
    format!("{fan_out}{}", name.strip_suffix(".x").unwrap_or(name)).parse().ok()
}
