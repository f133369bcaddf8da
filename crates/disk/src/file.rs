//! Writing a file and replacing a link so that a crash leaves the old or the new, never neither.

use crate::error::{Context, DiskError};
use crate::temporary::{TemporaryFile, with_fresh_name};
use rustix::fs::Mode;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;

/// Writes a whole file durably, replacing what was there in one step.
///
/// On return the content and the name are on disk. `mode` holds the permission bits and is not
/// narrowed by the umask. A symbolic link at `path` is replaced, not followed.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    let mut temporary = fill(path, bytes, mode)?;
    temporary.file.sync_all().on("sync", path)?;
    temporary.place(path).on("put in place", path)?;
    sync_dir(parent(path))
}

/// Writes a whole file in one step like [`write_atomic`], but not durably: after a crash it may be
/// the old one, the new one or empty. For what can be made again, or what a later
/// [`sync_file_system`] covers.
pub fn write_unsynced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    fill(path, bytes, mode)?.place(path).on("put in place", path)
}

/// Overwrites a file durably within the blocks that it has, for when a full disk leaves no room for
/// [`write_atomic`]. Fails with `StorageFull`, and changes nothing, when it does not fit.
///
/// Whoever reads at just this moment, or after a power cut in it, may find neither the old content nor the new one.
pub fn overwrite_in_place(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let file = File::options().write(true).open(path).on("open", path)?;
    // `st_blocks` counts units of 512 bytes, whatever the file system's own are (stat(2)).
    if file.metadata().on("examine", path)?.blocks() * 512 < bytes.len() as u64 {
        return Err(DiskError::new("overwrite", path, io::ErrorKind::StorageFull));
    }
    let overwritten = file.write_all_at(bytes, 0).and_then(|()| file.set_len(bytes.len() as u64));
    overwritten.and_then(|()| file.sync_data()).on("overwrite", path)
}

fn fill(path: &Path, bytes: &[u8], mode: u32) -> Result<TemporaryFile, DiskError> {
    let mut temporary = TemporaryFile::create(parent(path))?;
    temporary.file.write_all(bytes).on("write", path)?;
    rustix::fs::fchmod(&temporary.file, Mode::from_raw_mode(mode)).on("set the mode of", path)?;
    Ok(temporary)
}

/// Points the symbolic link at `link` to `target` durably.
///
/// A new link is made and renamed over the old one, so that there is never a moment without it.
/// Fails when a real directory lies at `link`.
pub fn replace_symlink(link: &Path, target: &Path) -> Result<(), DiskError> {
    let dir = parent(link);
    let (temporary, ()) = with_fresh_name(dir, |path| symlink(target, path)).on("make a link in", dir)?;
    if let Err(source) = fs::rename(&temporary, link) {
        // The rename's error is the one to tell; a leftover link is harmless.
        let _ = fs::remove_file(&temporary);
        return Err(DiskError::new("replace link", link, source));
    }
    sync_dir(dir)
}

/// Makes the names in a directory durable (`fsync` of the directory).
pub fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    let result = File::open(dir).and_then(|dir| dir.sync_all());
    match result {
        // Some file systems (FUSE, overlay layers) cannot sync a directory and keep names by themselves.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other.on("sync directory", dir),
    }
}

/// Makes everything written to the file system of `dir` durable (`syncfs`).
///
/// One call after thousands of new files costs far less than one `fsync` each. It waits for other
/// programs' writes to that file system too.
pub fn sync_file_system(dir: &Path) -> Result<(), DiskError> {
    let opened = File::open(dir).on("open directory", dir)?;
    rustix::fs::syncfs(opened).on("sync the file system of", dir)
}

/// The directory that holds `path`: `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_with_its_exact_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        fs::write(&path, "a much longer old content").unwrap();

        write_atomic(&path, b"new", 0o666).unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666, "the umask does not narrow it");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_write_through_a_link_leaves_what_it_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
        fs::write(&victim, "old").unwrap();
        symlink(&victim, &link).unwrap();

        write_atomic(&link, b"new", 0o600).unwrap();

        assert_eq!(fs::read(&victim).unwrap(), b"old");
        assert_eq!(fs::read(&link).unwrap(), b"new");
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind_and_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();

        let error = write_atomic(&path, b"x", 0o600).unwrap_err();

        assert_eq!((error.operation, error.path.as_path()), ("put in place", path.as_path()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_overwritten_within_its_blocks_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        fs::write(&path, "a longer old content").unwrap();
        // Before that, a file system that delays its allocation may not have given it any.
        File::open(&path).unwrap().sync_all().unwrap();
        let room = fs::metadata(&path).unwrap().blocks() * 512;

        overwrite_in_place(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");

        let more = vec![b'x'; usize::try_from(room).unwrap() + 1];
        assert!(overwrite_in_place(&path, &more).unwrap_err().is_no_space());
        assert_eq!(fs::read(&path).unwrap(), b"new", "what does not fit changes nothing");
        assert!(overwrite_in_place(&dir.path().join("missing"), b"new").unwrap_err().is_not_found());
    }

    #[test]
    fn a_link_is_never_missing_while_it_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        replace_symlink(&link, Path::new("releases/0")).unwrap();

        std::thread::scope(|scope| {
            let replacing = scope.spawn(|| {
                for release in 1..200 {
                    replace_symlink(&link, Path::new(&format!("releases/{release}"))).unwrap();
                }
            });
            while !replacing.is_finished() {
                assert!(fs::read_link(&link).is_ok(), "the link is gone");
            }
        });

        assert_eq!(fs::read_link(&link).unwrap(), Path::new("releases/199"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_does_not_replace_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        fs::create_dir(&link).unwrap();

        assert!(replace_symlink(&link, Path::new("releases/1")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
