//! Packing files that lie in a directory: a work tree, or what a build command made.

use crate::entries::Entries;
use crate::error::ArtifactError;
use crate::filter::Filter;
use crate::git::utf8;
use crate::intake::{MEMORY_BYTES_MAX, file_entry};
use cutover_core::artifact::{ENTRY_COUNT_MAX, FILE_BYTES_MAX, InvalidManifest, ManifestEntry, PATH_DEPTH_MAX};
use cutover_disk::{BlobError, BlobStore, DiskError, parallel};
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Packs these paths of a directory; those that do not exist are left out.
pub(crate) fn pack_paths(dir: &Path, paths: &[String], blobs: &BlobStore) -> Result<Entries, ArtifactError> {
    let found = parallel::map(paths, |path| pack_path(&dir.join(path), path, blobs))?;
    let mut entries = Entries::default();
    for (path, entry) in paths.iter().zip(found) {
        if let Some(entry) = entry {
            entries.insert(path, entry)?;
        }
    }
    Ok(entries)
}

fn pack_path(file: &Path, path: &str, blobs: &BlobStore) -> Result<Option<ManifestEntry>, ArtifactError> {
    let metadata = match fs::symlink_metadata(file) {
        Err(error) if is_gone(&error) => return Ok(None),
        other => other.map_err(|error| DiskError::new("examine", file, error))?,
    };
    if metadata.is_symlink() {
        let target = fs::read_link(file).map_err(|error| DiskError::new("read link", file, error))?;
        let target = utf8(target.as_os_str().as_bytes())?.to_owned();
        return Ok(Some(ManifestEntry::Symlink { target }));
    }
    if metadata.is_dir() {
        return Err(ArtifactError::Submodule(path.to_owned()));
    }
    store_file(file, path, blobs).map(Some)
}

fn store_file(file: &Path, path: &str, blobs: &BlobStore) -> Result<ManifestEntry, ArtifactError> {
    let (mut opened, metadata) = open_file(file, path)?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(BlobError::TooLarge(FILE_BYTES_MAX).into());
    }
    if metadata.len() > MEMORY_BYTES_MAX {
        return Ok(file_entry(blobs.add_file(&opened, executable)?));
    }
    let mut content = Vec::with_capacity(metadata.len() as usize + 1);
    let read = opened.by_ref().take(MEMORY_BYTES_MAX + 1).read_to_end(&mut content);
    read.map_err(|error| DiskError::new("read", file, error))?;
    if content.len() as u64 > MEMORY_BYTES_MAX {
        // It grew while it was read.
        return Ok(file_entry(blobs.add_file(&opened, executable)?));
    }
    Ok(file_entry(blobs.add_bytes(&content, executable)?))
}

/// Opens a regular file: no link is followed, and a pipe is not waited for.
pub(crate) fn open_file(file: &Path, path: &str) -> Result<(File, Metadata), ArtifactError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let open = OpenOptions::new().read(true).custom_flags(flags).open(file);
    let special = || ArtifactError::SpecialFile(path.to_owned());
    // ENXIO: a socket.
    let no_such_device = |error: &io::Error| error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
    let opened = match open {
        Err(error) if no_such_device(&error) => return Err(special()),
        other => other.map_err(|error| DiskError::new("open", file, error))?,
    };
    let metadata = opened.metadata().map_err(|error| DiskError::new("examine", file, error))?;
    if metadata.is_file() { Ok((opened, metadata)) } else { Err(special()) }
}

/// Which of git's paths of a work tree the filter takes.
///
/// A path beneath something that is no longer a directory counts as deleted: following a link
/// there would pack files from outside of the work tree.
pub(crate) fn work_tree_paths(top: &Path, paths: &[Vec<u8>], filter: &Filter) -> Result<Vec<String>, ArtifactError> {
    let mut real_dirs = HashMap::new();
    let mut taken = Vec::new();
    for path in paths {
        match filter.taken(path)? {
            // git lists a nested repository as a directory.
            Some(path) if path.ends_with('/') => return Err(ArtifactError::Submodule(path.to_owned())),
            Some(path) if is_in_real_dir(top, path, &mut real_dirs) => taken.push(path.to_owned()),
            Some(_) | None => {}
        }
    }
    Ok(taken)
}

fn is_in_real_dir(top: &Path, path: &str, known: &mut HashMap<String, bool>) -> bool {
    let Some((parent, _)) = path.rsplit_once('/') else { return true };
    if let Some(real) = known.get(parent) {
        return *real;
    }
    let real = is_in_real_dir(top, parent, known)
        && fs::symlink_metadata(top.join(parent)).is_ok_and(|metadata| metadata.is_dir());
    known.insert(parent.to_owned(), real);
    real
}

/// Lists the files and links of a directory that the filter takes.
pub(crate) fn walk(dir: &Path, filter: &Filter) -> Result<Vec<String>, ArtifactError> {
    let mut walk = Walk { top: dir, filter, found: Vec::new() };
    walk.visit("", 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    top: &'a Path,
    filter: &'a Filter,
    found: Vec<String>,
}

impl Walk<'_> {
    fn visit(&mut self, dir: &str, depth: usize) -> Result<(), ArtifactError> {
        let path = self.top.join(dir);
        if depth > PATH_DEPTH_MAX {
            return Err(DiskError::new("walk", &path, io::Error::other("too deep")).into());
        }
        for entry in fs::read_dir(&path).map_err(|error| DiskError::new("read directory", &path, error))? {
            let entry = entry.map_err(|error| DiskError::new("read directory", &path, error))?;
            let kind = entry.file_type().map_err(|error| DiskError::new("examine", &entry.path(), error))?;
            let name = [dir.as_bytes(), entry.file_name().as_bytes()].concat();
            if kind.is_dir() {
                self.visit_directory(&name, depth)?;
            } else if let Some(name) = self.filter.taken(&name)? {
                self.take(name)?;
            }
        }
        Ok(())
    }

    fn visit_directory(&mut self, name: &[u8], depth: usize) -> Result<(), ArtifactError> {
        if self.filter.leaves_out_directory(&String::from_utf8_lossy(name)) {
            return Ok(());
        }
        self.visit(&format!("{}/", utf8(name)?), depth + 1)
    }

    fn take(&mut self, name: &str) -> Result<(), ArtifactError> {
        if self.found.len() == ENTRY_COUNT_MAX {
            return Err(InvalidManifest::TooMany(ENTRY_COUNT_MAX + 1).into());
        }
        self.found.push(name.to_owned());
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
