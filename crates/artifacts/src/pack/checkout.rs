//! Laying out what is packed in a fresh directory, for a build command to work in.

use crate::error::ArtifactError;
use crate::git::{Repository, TreeEntry, TreeKind, read_objects, utf8};
use cutover_core::artifact::RelativePath;
use cutover_disk::{DiskError, copy_content, remove_tree};
use jiff::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most directories that are left by builds that were killed.
const LEFTOVER_COUNT_MAX: usize = 1000;

/// A directory of its own that is removed in the end.
pub(crate) struct Checkout {
    dir: PathBuf,
    modified: SystemTime,
    /// Made last, so that no file is ever written through one.
    links: Vec<(PathBuf, String)>,
}

impl Checkout {
    /// Makes an empty directory in `parent`. It has the same name for the same `name` each time, as
    /// far as possible, since build tools write it into what they make.
    pub(crate) fn create(parent: &Path, name: &str, committed_at: Timestamp) -> Result<Self, ArtifactError> {
        fs::create_dir_all(parent).map_err(|error| DiskError::new("make directory", parent, error))?;
        let candidates = (1..LEFTOVER_COUNT_MAX).map(|number| parent.join(format!("{name}-{number}")));
        for dir in std::iter::once(parent.join(name)).chain(candidates) {
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Self { dir, modified: committed_at.into(), links: Vec::new() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(DiskError::new("make directory", &dir, error).into()),
            }
        }
        Err(DiskError::new("make directory", &parent.join(name), io::Error::from(io::ErrorKind::AlreadyExists)).into())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Lays out all of a commit's files.
    pub(crate) fn fill_from_commit(
        &mut self,
        repository: &Repository,
        tree: &[TreeEntry],
    ) -> Result<(), ArtifactError> {
        let (directories, contents): (Vec<_>, Vec<_>) =
            tree.iter().partition(|entry| entry.kind == TreeKind::Submodule);
        for entry in directories {
            self.directory(utf8(&entry.path)?)?;
        }
        let oids: Vec<_> = contents.iter().map(|entry| entry.oid).collect();
        let mut expected = contents.iter();
        read_objects(repository, &oids, |mut object| {
            let Some(entry) = expected.next() else { return Ok(()) };
            let path = utf8(&entry.path)?;
            match entry.kind {
                TreeKind::File { executable } => {
                    self.file(path, executable, |mut file| io::copy(object.content, &mut file))
                }
                TreeKind::Symlink => self.link(path, super::commit::link_target(entry, &mut object)?),
                TreeKind::Submodule => Ok(()),
            }
        })?;
        self.make_links()
    }

    /// Lays out copies of these files of a work tree.
    pub(crate) fn fill_from_work_tree(&mut self, top: &Path, paths: &[String]) -> Result<(), ArtifactError> {
        for path in paths {
            let source = top.join(path);
            let metadata = match fs::symlink_metadata(&source) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(|error| DiskError::new("examine", &source, error))?,
            };
            if metadata.is_symlink() {
                let target = fs::read_link(&source).map_err(|error| DiskError::new("read link", &source, error))?;
                self.link(path, target.to_string_lossy().into_owned())?;
            } else {
                let (opened, metadata) = super::directory::open_file(&source, path)?;
                let executable = metadata.permissions().mode() & 0o111 != 0;
                self.file(path, executable, |file| copy_content(&opened, file))?;
            }
        }
        self.make_links()
    }

    fn file(
        &self,
        path: &str,
        executable: bool,
        fill: impl FnOnce(&File) -> io::Result<u64>,
    ) -> Result<(), ArtifactError> {
        let path = self.place(path)?;
        let mode = if executable { 0o777 } else { 0o666 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = file.and_then(|file| {
            fill(&file)?;
            // Build tools that write times into what they make shall make the same each time.
            file.set_modified(self.modified)
        });
        Ok(written.map_err(|error| DiskError::new("write", &path, error))?)
    }

    fn link(&mut self, path: &str, target: String) -> Result<(), ArtifactError> {
        let path = self.place(path)?;
        self.links.push((path, target));
        Ok(())
    }

    fn make_links(&mut self) -> Result<(), ArtifactError> {
        for (path, target) in self.links.drain(..) {
            symlink(target, &path).map_err(|error| DiskError::new("make link", &path, error))?;
        }
        Ok(())
    }

    fn directory(&self, path: &str) -> Result<(), ArtifactError> {
        let path = self.place(path)?;
        Ok(fs::create_dir_all(&path).map_err(|error| DiskError::new("make directory", &path, error))?)
    }

    /// Where a path lies, its directories made.
    fn place(&self, path: &str) -> Result<PathBuf, ArtifactError> {
        let path = self.dir.join(RelativePath::new(path)?);
        let parent = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(parent).map_err(|error| DiskError::new("make directory", parent, error))?;
        Ok(path)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // A leftover costs space only; pruning removes it.
        let _ = remove_tree(&self.dir);
    }
}
