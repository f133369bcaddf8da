//! A shared store in a directory that several machines see.

use super::beneath::{Chain, Found, in_made, is_absent, is_odd, is_partial, open_file, walk};
use super::objects::{Content, Listed, ObjectError, Objects, Side, checked, copy, is_sound};
use super::spare;
use cutover_disk::is_no_space;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{AtFlags, FileType, Stat, unlinkat};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How old a file is that is not whole before it is taken for what a cut upload left.
const PARTIAL_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

const NO_MARK_HINT: &str = "`cutover artifact prune` itself makes a file there: remove any one by hand that is not needed, of the store or \
                            beside it, and give that command again";

/// Named bytes as files in a directory.
///
/// A file is written beside its name, synced, and renamed: NFS does that in one step as well. Whoever may write there could
/// put links there; none is followed, whatever is done.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    place: String,
}

impl Directory {
    /// The store in a directory that exists: one that does not is probably a mount that is missing.
    pub fn open(root: &Path) -> Result<Self, ObjectError> {
        let place = format!("the directory {}", root.display());
        let (why, hint) = match fs::metadata(root) {
            Ok(found) if found.is_dir() => return Ok(Self { root: root.to_owned(), place }),
            Ok(_) => {
                let hint = "`directory` of [artifact.store] must name a directory: name another, or move what is there out of the way";
                ("it is there, and is no directory".to_owned(), hint)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let hint = "mount it, or make it once, for all who share it: a store that is made by itself where a mount is missing \
                            would be one that nobody shares";
                ("there is no such directory".to_owned(), hint)
            }
            Err(error) => {
                (error.to_string(), "all who share the store must be let into its directory, and what lies above it")
            }
        };
        Err(ObjectError::Refused { doing: "look for artifacts".to_owned(), place, why, hint })
    }

    fn failed(&self, doing: String, error: &io::Error) -> ObjectError {
        let place = self.place.clone();
        if is_odd(error) {
            let why = "a link, a directory or something else stands where a store has none".to_owned();
            return ObjectError::Odd { doing, place, why };
        }
        let why = error.to_string();
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let hint = "all who share the store must be able to write to its directory: a group of their own and the \
                            set-group-ID bit (chmod g+ws) do that";
                ObjectError::Refused { doing, place, why, hint }
            }
            _ => ObjectError::Failed { doing, place, why },
        }
    }

    fn too_much(&self, doing: String, what_max: String) -> ObjectError {
        ObjectError::TooMuch { doing, place: self.place.clone(), what_max }
    }

    /// Opens what has a name; None where there is nothing.
    fn opened(&self, name: &str) -> Result<Option<File>, ObjectError> {
        let (parts, file_name) = split(checked(name)?);
        match Chain::open(&self.root, &parts).and_then(|chain| open_file(chain.last(), file_name)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(format!("read {name}"), &error)),
        }
    }

    /// Walks through all files whose names begin like this; there are none where their directory is missing. A prefix may end in the
    /// middle of a name: what is above its last slash is a directory.
    fn walk(&self, prefix: &str, each: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> io::Result<()> {
        let above = prefix.rsplit_once('/').map_or("", |(above, _)| above);
        let parts: Vec<&str> = above.split('/').filter(|part| !part.is_empty()).collect();
        match Chain::open(&self.root, &parts) {
            Ok(chain) => walk(chain.last(), (above, prefix), parts.len(), each).map(|_| ()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Objects for Directory {
    fn place(&self) -> &str {
        &self.place
    }

    fn put(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        let (parts, file_name) = split(checked(name)?);
        let put = in_made(&self.root, &parts, |chain| chain.write(file_name, |file| write_whole(file, content)));
        put.map_err(|error| self.failed(format!("write {name}"), &error))?;
        spare::keep(&self.root);
        Ok(())
    }

    fn mark(&self, name: &str) -> Result<(), ObjectError> {
        let (parts, file_name) = split(checked(name)?);
        // What is empty has room on a disk that is full, as far as that can have more files at all.
        let mark = || in_made(&self.root, &parts, |chain| chain.write(file_name, |file| file.sync_all()));
        spare::within(&self.root, mark).map_err(|error| match self.failed(format!("write {name}"), &error) {
            ObjectError::Failed { doing, place, why } if is_no_space(&error) => {
                ObjectError::Refused { doing, place, why, hint: NO_MARK_HINT }
            }
            failed => failed,
        })
    }

    fn fetch(&self, name: &str, bytes_max: u64, into: &mut File) -> Result<bool, ObjectError> {
        let Some(file) = self.opened(name)? else { return Ok(false) };
        let doing = || format!("read {name}");
        let copied = copy(&mut &file, bytes_max, into).map_err(|side| match side {
            Side::There(error) => self.failed(doing(), &error),
            Side::Here(source) => ObjectError::Here { doing: doing(), place: self.place.clone(), source },
        });
        if copied? > bytes_max {
            return Err(self.too_much(doing(), format!("{bytes_max} bytes")));
        }
        Ok(true)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ObjectError> {
        let Some(file) = self.opened(name)? else { return Ok(None) };
        let (doing, mut bytes) = (|| format!("read {name}"), Vec::new());
        let read = file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(doing(), &error))?;
        if bytes.len() as u64 > bytes_max {
            return Err(self.too_much(doing(), format!("{bytes_max} bytes")));
        }
        Ok(Some(bytes))
    }

    fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, ObjectError> {
        if let Some((above, _)) = prefix.rsplit_once('/') {
            checked(above)?;
        }
        let mut found = Vec::new();
        let walked = self.walk(prefix, &mut |Found { name, about, .. }| {
            if let Some(put_at) = put_at(&about).filter(|_| is_sound(&name)) {
                found.push(Listed { name, put_at });
            }
            if found.len() > count_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let doing = || format!("list {prefix}");
        walked.map_err(|error| self.failed(doing(), &error))?;
        if found.len() > count_max {
            return Err(ObjectError::too_many_names(doing(), &self.place, count_max));
        }
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        let (parts, file_name) = split(checked(name)?);
        match Chain::open(&self.root, &parts).and_then(|chain| chain.remove(file_name, &parts)) {
            Err(error) if !is_absent(&error) => Err(self.failed(format!("remove {name}"), &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn tidy(&self, prefix: &str, now: Timestamp) {
        let _walked = self.walk(prefix, &mut |Found { dir, file_name, about, .. }| {
            let is_old = put_at(&about).is_some_and(|at| now.duration_since(at) > PARTIAL_AGE_MAX);
            if is_old && is_partial(file_name) {
                // What cannot be removed costs space only.
                let is_dir = FileType::from_raw_mode(about.st_mode) == FileType::Directory;
                let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
                let _removed = unlinkat(dir, file_name, flags);
            }
            ControlFlow::Continue(())
        });
    }
}

/// The directories of a name, and what it is called in the last of them.
fn split(name: &str) -> (Vec<&str>, &str) {
    let mut parts: Vec<&str> = name.split('/').collect();
    let file_name = parts.pop().unwrap_or_default();
    (parts, file_name)
}

fn put_at(about: &Stat) -> Option<Timestamp> {
    Timestamp::new(about.st_mtime, i32::try_from(about.st_mtime_nsec).ok()?).ok()
}

fn write_whole(mut file: File, content: &mut dyn Content) -> io::Result<()> {
    let bytes = content.bytes();
    let copied = io::copy(&mut content.reader()?, &mut file)?;
    if copied != bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{copied} bytes were read instead of {bytes}")));
    }
    file.flush().and_then(|()| file.sync_all())
}
