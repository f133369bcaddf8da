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
        Self::with_mode(dir, 0o600)
    }

    /// Creates an empty file with a mode that the umask may narrow; it can be written whatever the mode says.
    pub(crate) fn with_mode(dir: &Path, mode: u32) -> Result<Self, DiskError> {
        let create = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path);
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

/// Removes what processes that died left under temporary names: in a directory, and with `below` in all those in it.
///
/// Links are not followed. `is_in_use` is asked with the process that a name was made by, for places that others may write
/// to at this moment. A leftover that can't be removed stays: it costs space, never correctness.
pub fn remove_temporaries(dir: &Path, below: bool, is_in_use: &dyn Fn(u32) -> bool) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.filter_map(Result::ok) {
        let is_left = maker(&entry.file_name()).is_some_and(|process| !is_in_use(process));
        if is_left {
            let _ = fs::remove_file(entry.path());
        } else if below && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_temporaries(&entry.path(), below, is_in_use);
        }
    }
}

/// The process that made a temporary name.
fn maker(name: &OsStr) -> Option<u32> {
    name.to_str()?.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Whether a file name is one of ours for temporary files.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_dead_process_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("inner")).unwrap();
        fs::create_dir_all(path("outside")).unwrap();
        symlink(path("outside"), path("inner/link")).unwrap();
        let left = [".cutover-tmp-7-0", "inner/.cutover-tmp-7-12"];
        let kept = [".cutover-tmp-8-0", "inner/.cutover-tmp-x", "inner/release.json", "outside/.cutover-tmp-7-1"];
        left.iter().chain(&kept).for_each(|name| fs::write(path(name), "").unwrap());
        symlink("nowhere", path(".cutover-tmp-7-2")).unwrap();

        remove_temporaries(&path(""), false, &|process| process == 8);
        assert!(path("inner/.cutover-tmp-7-12").exists() && !path(left[0]).exists());
        remove_temporaries(&path("inner"), true, &|_| false);

        assert!(
            left.iter().all(|name| !path(name).exists()) && fs::symlink_metadata(path(".cutover-tmp-7-2")).is_err()
        );
        assert!(kept.iter().all(|name| path(name).exists()));
    }

    #[test]
    fn a_temporary_name_says_who_made_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = TemporaryFile::create(dir.path()).unwrap();

        assert_eq!(maker(file.path().file_name().unwrap()), Some(process::id()));
    }
}
