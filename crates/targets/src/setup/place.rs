//! Reading and writing as root where others may write too: no link that they made is followed.

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// The largest text that is read to be compared and kept.
pub(super) const TEXT_BYTES_MAX: u64 = 256 << 10;

/// Whom something belongs to, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) owner: Owner,
    pub(super) mode: u32,
    pub(super) is_dir: bool,
    pub(super) is_link: bool,
}

/// A name in a directory that is held open.
pub(super) struct Place {
    dir: OwnedFd,
    name: PathBuf,
}

impl Place {
    /// Opens the directory that holds `path`, which is absolute; None when it is not there.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        match open_dir(parent) {
            Ok(dir) => Ok(Some(Self { dir, name: name.into() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is there; None: nothing.
    pub(super) fn entry(&self) -> io::Result<Option<Entry>> {
        let stat = match statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        Ok(Some(Entry {
            owner: Owner { uid: stat.st_uid, gid: stat.st_gid },
            mode: stat.st_mode & 0o7777,
            is_dir: kind.is_dir(),
            is_link: kind.is_symlink(),
        }))
    }

    /// The file that is there.
    pub(super) fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(File::from(openat(&self.dir, &self.name, flags, Mode::empty())?))
    }

    /// The text that is there.
    pub(super) fn text(&self) -> io::Result<String> {
        let mut text = String::new();
        let read = self.open()?.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)?;
        if read as u64 > TEXT_BYTES_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
    }

    /// Where the link leads that is there.
    pub(super) fn link(&self) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.dir, &self.name, Vec::new())?;
        Ok(PathBuf::from(OsStr::new(&*target.to_string_lossy())))
    }

    /// Writes a whole file durably under another name, has it looked at, and puts it in place in one step.
    pub(super) fn write<E: From<io::Error>>(
        &self,
        content: &mut impl Read,
        owner: Owner,
        mode: u32,
        look: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        // A name with a dot: sudo reads no such file (sudoers(5)), and systemd takes it for no unit.
        let draft = PathBuf::from(format!(".{}.cutover", self.name.display()));
        let _left_by_an_earlier_attempt = unlinkat(&self.dir, &draft, AtFlags::empty());
        let written = self.fill(&draft, content, owner, mode).map_err(E::from).and_then(|()| look(&draft));
        let placed =
            written.and_then(|()| Ok(renameat(&self.dir, &draft, &self.dir, &self.name).map_err(io::Error::from)?));
        if placed.is_err() {
            let _ = unlinkat(&self.dir, &draft, AtFlags::empty());
        }
        placed.and_then(|()| Ok(self.sync()?))
    }

    fn fill(&self, name: &Path, content: &mut impl Read, owner: Owner, mode: u32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.dir, name, flags, Mode::from_raw_mode(0o600))?);
        io::copy(content, &mut file)?;
        own(&file, owner, mode)?;
        file.flush()?;
        file.sync_all()
    }

    /// Makes a directory, or gives the one that is there its owner and mode.
    pub(super) fn make_dir(&self, owner: Owner, mode: u32) -> io::Result<()> {
        match mkdirat(&self.dir, &self.name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        own(&openat(&self.dir, &self.name, flags, Mode::empty())?, owner, mode)?;
        self.sync()
    }

    /// Makes a link, or points the one that is there elsewhere.
    pub(super) fn make_link(&self, target: &Path, owner: Owner) -> io::Result<()> {
        let draft = PathBuf::from(format!(".{}.cutover", self.name.display()));
        let _left_by_an_earlier_attempt = unlinkat(&self.dir, &draft, AtFlags::empty());
        rustix::fs::symlinkat(target, &self.dir, &draft)?;
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::chownat(&self.dir, &draft, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        renameat(&self.dir, &draft, &self.dir, &self.name)?;
        self.sync()
    }

    /// Removes a file or a link; one that is not there is fine.
    pub(super) fn remove(&self) -> io::Result<()> {
        gone(unlinkat(&self.dir, &self.name, AtFlags::empty()))?;
        self.sync()
    }

    /// Removes an empty directory; gives whether it is gone.
    pub(super) fn remove_dir(&self) -> io::Result<bool> {
        match unlinkat(&self.dir, &self.name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => Ok(false),
            other => gone(other).map(|()| true),
        }
    }

    fn sync(&self) -> io::Result<()> {
        // Some file systems cannot sync a directory and keep names by themselves.
        let _ = rustix::fs::fsync(&self.dir);
        Ok(())
    }
}

fn gone(removed: Result<(), Errno>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn own(file: &impl std::os::fd::AsFd, owner: Owner, mode: u32) -> io::Result<()> {
    fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    Ok(fchmod(file, Mode::from_raw_mode(mode))?)
}

/// Opens a directory by all its names in turn. Only a link that root alone could have made is followed.
fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = rustix::fs::open("/", flags, Mode::empty())?;
    for name in path.components() {
        let Component::Normal(name) = name else { continue };
        dir = match openat(&dir, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) if is_roots(&dir)? => openat(&dir, name, flags, Mode::empty())?,
            Err(Errno::LOOP) => {
                let why = format!(
                    "{} in {} is a link that somebody else than root may have made",
                    name.display(),
                    path.display()
                );
                return Err(io::Error::other(why));
            }
            opened => opened?,
        };
    }
    Ok(dir)
}

fn is_roots(dir: &OwnedFd) -> io::Result<bool> {
    let stat = fstat(dir)?;
    Ok(stat.st_uid == 0 && stat.st_mode & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn me() -> Owner {
        Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    fn write(path: &Path, text: &str) -> io::Result<()> {
        Place::of(path)?.unwrap().write(&mut text.as_bytes(), me(), 0o640, |_| Ok::<(), io::Error>(()))
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("file"), dir.path().join("other"));
        fs::write(&other, "untouched").unwrap();
        symlink(&other, &file).unwrap();

        write(&file, "new").unwrap();

        assert_eq!(
            (fs::read_to_string(&file).unwrap(), fs::read_to_string(&other).unwrap()),
            ("new".into(), "untouched".into())
        );
        assert_eq!(fs::symlink_metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_directory_that_others_can_write_in_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, secret) = (dir.path().join("shared"), dir.path().join("secret"));
        fs::create_dir(&shared).unwrap();
        fs::create_dir(&secret).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        symlink(&secret, shared.join("ssh")).unwrap();

        assert!(write(&shared.join("ssh/authorized_keys"), "key").is_err());

        assert_eq!(fs::read_dir(&secret).unwrap().count(), 0);
    }

    #[test]
    fn what_is_refused_before_it_is_put_in_place_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rule");
        write(&file, "old").unwrap();

        let place = Place::of(&file).unwrap().unwrap();
        let refused = place.write(&mut &b"bad"[..], me(), 0o440, |_| Err::<(), _>(io::Error::other("not sound")));

        assert!(refused.is_err());
        assert_eq!((fs::read_to_string(&file).unwrap(), fs::read_dir(dir.path()).unwrap().count()), ("old".into(), 1));
    }
}
