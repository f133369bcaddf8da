//! Files under a temporary name, which vanish unless they are given their real one.

use crate::error::{Context, DiskError};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// What every temporary name begins with, so that leftovers of a crash are recognised.
const PREFIX: &str = ".cutover-tmp-";
/// How many taken names are passed over: leftovers of a crashed process that had our id.
const ATTEMPT_COUNT_MAX: usize = 10_000;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A file that is removed when dropped, unless it was renamed to its place.
pub(crate) struct TemporaryFile {
    path: PathBuf,
    pub(crate) file: File,
    placed: bool,
}

impl TemporaryFile {
    /// Creates an empty file in `dir` that only this user may read and write.
    pub(crate) fn create(dir: &Path) -> Result<Self, DiskError> {
        let create = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        let (path, file) = with_fresh_name(dir, create).on("create a file in", dir)?;
        Ok(Self { path, file, placed: false })
    }

    /// Where the file lies for now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its real name, replacing what has it.
    pub(crate) fn place(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.placed {
            // A leftover costs space, never correctness, and the cause is being reported already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Calls `create` with temporary names in `dir` until one was free; returns the name with the result.
pub(crate) fn with_fresh_name<T>(
    dir: &Path,
    mut create: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    for _ in 0..ATTEMPT_COUNT_MAX {
        let path = dir.join(format!("{PREFIX}{}-{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
        match create(&path) {
            Ok(created) => return Ok((path, created)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "all temporary names are taken"))
}

/// Whether a file name is one of ours for temporary files.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}
