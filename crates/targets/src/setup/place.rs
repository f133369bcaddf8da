//! Reading and writing as root where others may write too: no link that they made is followed.

use cutover_disk::remove_tree_in;
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
    pub(super) is_file: bool,
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
            is_file: kind.is_file(),
            is_dir: kind.is_dir(),
            is_link: kind.is_symlink(),
        }))
    }

    /// The file that is there, and nothing but a file: a pipe or a device is neither waited for nor read.
    fn open(&self) -> io::Result<File> {
        // Opening a device can do something by itself.
        if self.entry()?.is_some_and(|entry| !entry.is_file && !entry.is_link) {
            return Err(no_file());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(openat(&self.dir, &self.name, flags, Mode::empty())?);
        // Whoever may write in the directory may have put something else there meanwhile.
        if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
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
        let draft = self.draft();
        self.remove_draft();
        let written = self.fill(&draft, content, owner, mode).map_err(E::from).and_then(|()| look(&draft));
        let placed =
            written.and_then(|()| Ok(renameat(&self.dir, &draft, &self.dir, &self.name).map_err(io::Error::from)?));
        if placed.is_err() {
            let _ = unlinkat(&self.dir, &draft, AtFlags::empty());
        }
        placed.and_then(|()| Ok(self.sync()?))
    }

    /// Where a thing is made before it gets its name. With a dot: sudo reads no such file (sudoers(5)), and systemd takes it
    /// for no unit.
    fn draft(&self) -> PathBuf {
        PathBuf::from(format!(".{}.cutover", self.name.display()))
    }

    /// Removes what an attempt that was killed may have left.
    fn remove_draft(&self) {
        let _not_there = unlinkat(&self.dir, self.draft(), AtFlags::empty());
    }

    fn fill(&self, name: &Path, content: &mut impl Read, owner: Owner, mode: u32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.dir, name, flags, Mode::from_raw_mode(0o600))?);
        io::copy(content, &mut file)?;
        own(&file, owner, mode)?;
        file.flush()?;
        file.sync_all()
    }

    /// Makes a directory. One that is there gets this owner and keeps its mode, as far as [`kept_mode`] lets it.
    pub(super) fn make_dir(&self, owner: Owner, mode: u32) -> io::Result<()> {
        if self.entry()?.is_some() {
            let dir = self.open_dir()?;
            let mode = kept_mode(fstat(&dir)?.st_mode & 0o7777, mode);
            return own(&dir, owner, mode);
        }
        // Under another name first: half-made it could not be told from one that somebody wants so.
        let draft = self.draft();
        gone(unlinkat(&self.dir, &draft, AtFlags::REMOVEDIR))?;
        mkdirat(&self.dir, &draft, Mode::from_raw_mode(0o700))?;
        own(&open_dir_at(&self.dir, &draft)?, owner, mode)?;
        renameat(&self.dir, &draft, &self.dir, &self.name)?;
        self.sync()
    }

    /// Gives the directory that is there this owner and mode.
    pub(super) fn own_dir(&self, owner: Owner, mode: u32) -> io::Result<()> {
        own(&self.open_dir()?, owner, mode)
    }

    fn open_dir(&self) -> io::Result<OwnedFd> {
        open_dir_at(&self.dir, &self.name)
    }

    /// Makes a link, or points the one that is there elsewhere.
    pub(super) fn make_link(&self, target: &Path, owner: Owner) -> io::Result<()> {
        let draft = self.draft();
        self.remove_draft();
        rustix::fs::symlinkat(target, &self.dir, &draft)?;
        // Whoever may write in the directory may have put something else there: only the link that was just made changes hands.
        let link = openat(&self.dir, &draft, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        if !rustix::fs::FileType::from_raw_mode(fstat(&link)?.st_mode).is_symlink() {
            return Err(io::Error::other("somebody puts other things in its place"));
        }
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::chownat(&link, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        renameat(&self.dir, &draft, &self.dir, &self.name)?;
        self.sync()
    }

    /// Removes a file or a link; one that is not there is fine.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.remove_draft();
        gone(unlinkat(&self.dir, &self.name, AtFlags::empty()))?;
        self.sync()
    }

    /// Removes an empty directory; gives whether it is gone.
    pub(super) fn remove_dir(&self) -> io::Result<bool> {
        let _not_there = unlinkat(&self.dir, self.draft(), AtFlags::REMOVEDIR);
        match unlinkat(&self.dir, &self.name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => Ok(false),
            other => gone(other).map(|()| true),
        }
    }

    /// Removes a directory with everything in it, here and nowhere else: no path is gone through again.
    pub(super) fn remove_tree(&self) -> io::Result<()> {
        let removed = remove_tree_in(&self.dir, &self.name);
        removed.map_err(|error| io::Error::new(error.source.kind(), format!("{error}: {}", error.source)))
    }

    fn sync(&self) -> io::Result<()> {
        // Some file systems cannot sync a directory and keep names by themselves.
        let _ = rustix::fs::fsync(&self.dir);
        Ok(())
    }
}

fn no_file() -> io::Error {
    io::Error::other("there is a pipe, a socket, a device or a directory where a file shall be")
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

/// The mode of a directory that is there and shall be like this: its own, which somebody chose. Only what is to be private
/// must not be written by others: sshd believes no keys there (`StrictModes` in sshd_config(5)).
pub(super) fn kept_mode(there: u32, wanted: u32) -> u32 {
    if wanted & 0o077 == 0 { there & !0o022 } else { there }
}

fn open_dir_at(dir: &OwnedFd, name: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::empty())?)
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
    fn a_tree_is_removed_where_it_was_found_though_its_path_leads_elsewhere_by_then() {
        let dir = tempfile::tempdir().unwrap();
        let (home, moved, secret) = (dir.path().join("home"), dir.path().join("moved"), dir.path().join("secret"));
        for tree in [&home, &secret] {
            fs::create_dir_all(tree.join("app/releases")).unwrap();
            fs::write(tree.join("app/releases/file"), "").unwrap();
        }
        let place = Place::of(&home.join("app")).unwrap().unwrap();
        fs::rename(&home, &moved).unwrap();
        symlink(&secret, &home).unwrap();

        place.remove_tree().unwrap();

        assert!(secret.join("app/releases/file").exists() && !moved.join("app").exists());
    }

    #[test]
    fn a_directory_that_is_there_keeps_its_mode_unless_others_may_write_where_keys_lie() {
        let dir = tempfile::tempdir().unwrap();
        let made = |there: Option<u32>, wanted: u32| {
            let path = dir.path().join(format!("{there:?}-{wanted}"));
            if let Some(mode) = there {
                fs::create_dir(&path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            Place::of(&path).unwrap().unwrap().make_dir(me(), wanted).unwrap();
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777
        };
        assert_eq!((made(None, 0o755), made(None, 0o700)), (0o755, 0o700));
        assert_eq!((made(Some(0o700), 0o755), made(Some(0o2775), 0o755)), (0o700, 0o2775));
        assert_eq!((made(Some(0o755), 0o700), made(Some(0o775), 0o700)), (0o755, 0o755));
    }

    #[test]
    fn what_an_attempt_left_that_was_killed_is_in_nobodys_way_and_goes_with_the_thing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thing");
        let place = Place::of(&path).unwrap().unwrap();
        let left = dir.path().join(".thing.cutover");

        fs::create_dir(&left).unwrap();
        place.make_dir(me(), 0o755).unwrap();
        assert!(place.remove_dir().unwrap());
        fs::write(&left, "half").unwrap();
        write(&path, "whole").unwrap();
        place.remove().unwrap();
        fs::write(&left, "half").unwrap();
        place.make_link(Path::new("there"), me()).unwrap();
        fs::write(&left, "half").unwrap();
        place.remove().unwrap();

        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
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
