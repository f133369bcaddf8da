//! A shared store in a directory that several machines see.

use super::objects::{Content, Listed, ObjectError, Objects, checked, is_sound};
use cutover_disk::{DiskError, read_regular, sync_dir};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{Mode, OFlags, open};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How deep directories are looked through: no name of ours has more parts.
const DEPTH_MAX: usize = 6;
/// What the names of files begin with that are not whole yet; no sound name does.
const PARTIAL_PREFIX: &str = ".partial-";
/// How often a directory is made that others remove.
const MAKE_COUNT_MAX: usize = 10;
/// How old such a file is before it is taken for what a cut upload left.
const PARTIAL_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Named bytes as files in a directory.
///
/// A file is written beside its name, synced, and renamed: NFS does that in one step as well.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    place: String,
}

impl Directory {
    /// The store in a directory that exists: one that does not is probably a mount that is missing.
    pub fn open(root: &Path) -> Result<Self, ObjectError> {
        let place = format!("the directory {}", root.display());
        if fs::metadata(root).is_ok_and(|found| found.is_dir()) {
            return Ok(Self { root: root.to_owned(), place });
        }
        let hint = "mount it, or make it once, for all who share it: a store that is made by itself where a mount is missing \
                    would be one that nobody shares";
        let why = "there is no such directory".to_owned();
        Err(ObjectError::Refused { doing: "look for artifacts".to_owned(), place, why, hint })
    }

    fn failed(&self, doing: String, error: &io::Error) -> ObjectError {
        let (place, why) = (self.place.clone(), error.to_string());
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let hint = "all who share the store must be able to write to its directory: a group of their own and the \
                            set-group-ID bit (chmod g+ws) do that";
                ObjectError::Refused { doing, place, why, hint }
            }
            _ => ObjectError::Failed { doing, place, why },
        }
    }

    fn write(&self, path: &Path, content: &mut dyn Content) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let dir = path.parent().unwrap_or(&self.root);
        // Two machines may have processes of one number.
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let partial = dir.join(format!("{PARTIAL_PREFIX}{host}-{}-{count}", std::process::id()));
        // Whoever removes the last file of a directory removes it as well, at just this moment perhaps.
        let begun =
            (0..MAKE_COUNT_MAX).find_map(|_| match fs::create_dir_all(dir).and_then(|()| File::create_new(&partial)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                begun => Some(begun),
            });
        let file = begun.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))?;
        let written = write_whole(file, content).and_then(|()| fs::rename(&partial, path));
        if written.is_err() {
            // What matters is the error that is on its way.
            let _removed = fs::remove_file(&partial);
        }
        written.and_then(|()| sync_dir(dir).map_err(|error| error.source))
    }

    /// Walks through all files of a directory.
    fn walk(&self, dir: &Path, depth: usize, each: &mut dyn FnMut(&Path, &fs::DirEntry) -> bool) -> io::Result<()> {
        let entries = match fs::read_dir(dir) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            // Links are not followed: nothing of ours is one.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => self.walk(&entry.path(), depth + 1, each)?,
                Ok(kind) if kind.is_file() => {
                    if !each(&entry.path(), &entry) {
                        return Ok(());
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Objects for Directory {
    fn place(&self) -> &str {
        &self.place
    }

    fn put(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        let path = self.root.join(checked(name)?);
        self.write(&path, content).map_err(|error| self.failed(format!("write {name}"), &error))
    }

    fn fetch(&self, name: &str, bytes_max: u64, into: &mut File) -> Result<bool, ObjectError> {
        let path = self.root.join(checked(name)?);
        let doing = || format!("read {name}");
        let Some(file) = open_regular(&path).map_err(|error| self.failed(doing(), &error))? else { return Ok(false) };
        let mut limited = file.take(bytes_max.saturating_add(1));
        let copied = into.rewind().and_then(|()| into.set_len(0)).and_then(|()| io::copy(&mut limited, into));
        if copied.map_err(|error| self.failed(doing(), &error))? > bytes_max {
            let what_max = format!("{bytes_max} bytes");
            return Err(ObjectError::TooMuch { doing: doing(), place: self.place.clone(), what_max });
        }
        Ok(true)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ObjectError> {
        match read_regular(&self.root.join(checked(name)?), bytes_max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(format!("read {name}"), &error.source)),
        }
    }

    fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, ObjectError> {
        // A prefix may end in the middle of a name: what is above its last slash is a directory.
        let above = prefix.rsplit_once('/').map_or("", |(above, _)| above);
        let dir = if above.is_empty() { self.root.clone() } else { self.root.join(checked(above)?) };
        let mut found = Vec::new();
        let walked = self.walk(&dir, above.split('/').count(), &mut |path, entry| {
            let name = path.strip_prefix(&self.root).ok().and_then(Path::to_str).filter(|name| is_sound(name));
            let put_at = entry.metadata().ok().and_then(|about| Timestamp::try_from(about.modified().ok()?).ok());
            if let (Some(name), Some(put_at)) = (name.filter(|name| name.starts_with(prefix)), put_at) {
                found.push(Listed { name: name.to_owned(), put_at });
            }
            found.len() <= count_max
        });
        let doing = || format!("list {prefix}");
        walked.map_err(|error| self.failed(doing(), &error))?;
        if found.len() > count_max {
            let what_max = format!("{count_max} names");
            return Err(ObjectError::TooMuch { doing: doing(), place: self.place.clone(), what_max });
        }
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        let path = self.root.join(checked(name)?);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.failed(format!("remove {name}"), &error));
            }
            Ok(()) | Err(_) => {}
        }
        // Directories that are not empty stay.
        let above = path.ancestors().skip(1).take_while(|dir| *dir != self.root);
        let _emptied = above.map_while(|dir| fs::remove_dir(dir).ok()).count();
        Ok(())
    }

    fn tidy(&self, now: Timestamp) {
        let _walked = self.walk(&self.root, 0, &mut |path, entry| {
            let is_partial = entry.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX);
            let put_at = entry.metadata().ok().and_then(|about| Timestamp::try_from(about.modified().ok()?).ok());
            if is_partial && put_at.is_some_and(|at| now.duration_since(at) > PARTIAL_AGE_MAX) {
                // What cannot be removed costs space only.
                let _removed = fs::remove_file(path);
            }
            true
        });
    }
}

fn write_whole(mut file: File, content: &mut dyn Content) -> io::Result<()> {
    let bytes = content.bytes();
    let copied = io::copy(&mut content.reader()?, &mut file)?;
    if copied != bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{copied} bytes were read instead of {bytes}")));
    }
    file.flush().and_then(|()| file.sync_all())
}

/// Opens a file; None where there is none. A pipe is not waited for, and a link not followed.
fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = match open(path, flags, Mode::empty()).map_err(io::Error::from) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => File::from(opened?),
    };
    let is_file = file.metadata()?.is_file();
    if is_file { Ok(Some(file)) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file")) }
}

fn is_absent(error: &DiskError) -> bool {
    matches!(error.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
