//! Removing a directory with everything in it, and nothing else.

use crate::error::{Context, DiskError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, openat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The deepest tree that is removed: each level holds one file descriptor, of which a process
/// usually has 1024.
const DEPTH_MAX: usize = 500;
const OPEN_DIR: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a file, link or directory tree; a path that does not exist is fine.
///
/// Symbolic links are removed, never followed, even when another program swaps a directory for a
/// link meanwhile. Directories without write permission are made writable first.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    remove_tree_in(rustix::fs::CWD, path)
}

/// Removes what has a name in an open directory like [`remove_tree`], wherever that directory has been moved meanwhile.
pub fn remove_tree_in(dir: impl AsFd, path: &Path) -> Result<(), DiskError> {
    let name = CString::new(path.as_os_str().as_bytes()).on("remove", path)?;
    match statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(DiskError::new("examine", path, error)),
        Ok(stat) if !FileType::from_raw_mode(stat.st_mode).is_dir() => {
            return unlinkat(&dir, &name, AtFlags::empty()).on("remove", path);
        }
        Ok(_) => {}
    }
    let inner = open_dir(&dir, &name).on("open directory", path)?;
    empty(&inner, &mut path.to_owned(), 0)?;
    unlinkat(&dir, &name, AtFlags::REMOVEDIR).on("remove directory", path)
}

/// Removes everything in an open directory; `path` is only for messages.
fn empty(dir: &OwnedFd, path: &mut PathBuf, depth: usize) -> Result<(), DiskError> {
    if depth == DEPTH_MAX {
        return Err(DiskError::new("remove", path, Errno::NAMETOOLONG));
    }
    for name in names(dir).on("read directory", path)? {
        path.push(OsStr::from_bytes(name.to_bytes()));
        remove_entry(dir, &name, path, depth)?;
        path.pop();
    }
    Ok(())
}

fn remove_entry(dir: &OwnedFd, name: &CStr, path: &mut PathBuf, depth: usize) -> Result<(), DiskError> {
    match unlink(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // Linux says ISDIR for a directory, POSIX allows PERM.
        Err(Errno::ISDIR | Errno::PERM) => {
            let inner = open_dir(dir, name).on("remove", path)?;
            empty(&inner, path, depth + 1)?;
            unlink(dir, name, AtFlags::REMOVEDIR).on("remove directory", path)
        }
        Err(error) => Err(DiskError::new("remove", path, error)),
    }
}

/// Unlinks a name, making the directory around it writable when that is what is missing.
fn unlink(dir: &OwnedFd, name: &CStr, flags: AtFlags) -> rustix::io::Result<()> {
    match unlinkat(dir, name, flags) {
        Err(Errno::ACCESS) => {
            fchmod(dir, Mode::RWXU)?;
            unlinkat(dir, name, flags)
        }
        other => other,
    }
}

/// Opens a directory that is not a link, making it readable when that is what is missing.
fn open_dir(dir: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    match openat(&dir, name, OPEN_DIR | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // O_PATH needs no permission on the directory itself, and /proc names exactly what was opened.
            let handle = openat(&dir, name, OPEN_DIR | OFlags::PATH, Mode::empty())?;
            let proc = format!("/proc/self/fd/{}", handle.as_raw_fd());
            fs::set_permissions(proc, Permissions::from_mode(0o700)).map_err(|_| Errno::ACCESS)?;
            openat(&dir, name, OPEN_DIR | OFlags::RDONLY, Mode::empty())
        }
        other => other,
    }
}

fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Runs the check as a user whom permissions bind: root passes over them.
    fn as_ordinary_user(check: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    if rustix::process::geteuid().is_root() {
                        let nobody = rustix::process::Uid::from_raw(65_534);
                        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
                    }
                    check();
                })
                .join()
                .unwrap();
        });
    }

    #[test]
    fn links_are_removed_and_what_they_point_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        fs::write(tree.join("a/b/file"), "").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        symlink("nowhere", tree.join("dangling")).unwrap();

        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();

        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn a_link_to_a_tree_is_removed_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, link) = (dir.path().join("tree"), dir.path().join("link"));
        fs::create_dir(&tree).unwrap();
        symlink(&tree, &link).unwrap();

        remove_tree(&link).unwrap();

        assert!(tree.exists() && fs::symlink_metadata(&link).is_err());
    }

    #[test]
    fn directories_without_permissions_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let tree = dir.path().join("tree");
        as_ordinary_user(|| {
            fs::create_dir_all(tree.join("read-only/inner")).unwrap();
            fs::write(tree.join("read-only/inner/file"), "").unwrap();
            fs::create_dir(tree.join("closed")).unwrap();
            fs::write(tree.join("closed/file"), "").unwrap();
            for (name, mode) in [("read-only/inner", 0o555), ("read-only", 0o555), ("closed", 0o000)] {
                fs::set_permissions(tree.join(name), Permissions::from_mode(mode)).unwrap();
            }
            assert!(fs::remove_dir_all(&tree).is_err(), "the permissions bind this user");

            remove_tree(&tree).unwrap();
        });
        assert!(!tree.exists());
    }
}
