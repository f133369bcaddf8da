//! Putting a blob into a release.

use crate::blob::Blob;
use crate::copy::copy_content;
use crate::error::{BlobError, Context, DiskError};
use rustix::io::Errno;
use std::fs::{self, File};
use std::path::Path;

/// How a blob came to its place in a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// By a hard link: it takes no space.
    Hard,
    /// By a copy, where no hard link can be made.
    Copied,
}

/// How often a link is tried while other processes store the same blob again and again.
const ATTEMPT_COUNT_MAX: usize = 10;

/// Links `source`, which holds `blob`, to `destination`, or copies it where no link can be made.
pub(crate) fn link_or_copy(blob: &Blob, source: &Path, destination: &Path) -> Result<Linked, BlobError> {
    for _ in 0..ATTEMPT_COUNT_MAX {
        match rustix::fs::link(source, destination) {
            Ok(()) => return Ok(Linked::Hard),
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => {
                copy(blob, source, destination)?;
                return Ok(Linked::Copied);
            }
            // Another process removed the blob, or stored it anew at just this moment.
            Err(Errno::NOENT) if destination.parent().is_some_and(Path::exists) => {}
            Err(error) => return Err(DiskError::new("link", destination, error).into()),
        }
    }
    Err(BlobError::Missing(blob.digest))
}

fn copy(blob: &Blob, source: &Path, destination: &Path) -> Result<(), DiskError> {
    let from = File::open(source).on("open", source)?;
    let to = File::create_new(destination).on("create", destination)?;
    let copied = copy_content(&from, &to).and_then(|_| blob.stamp().put_on(&to));
    if copied.is_err() {
        // Half a file must not be taken for a whole one; the cause is reported below.
        let _ = fs::remove_file(destination);
    }
    copied.on("copy to", destination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlobStore;

    #[test]
    fn a_copy_looks_like_the_blob_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(&dir.path().join("blobs")).unwrap();
        let blob = store.add_bytes(b"#!/bin/sh", true).unwrap();
        let (source, destination) = (store.path(&blob.digest, true), dir.path().join("run"));

        copy(&blob, &source, &destination).unwrap();

        assert_eq!(fs::read(&destination).unwrap(), b"#!/bin/sh");
        assert!(blob.stamp().matches(&fs::metadata(&destination).unwrap()));
        assert!(copy(&blob, &source, &destination).is_err());
        assert!(destination.exists(), "the file that was there stays");
    }
}
