//! Files below a directory, reached from descriptor to descriptor: no link in a path leads anywhere else.
//!
//! `openat2(2)` with `RESOLVE_BENEATH` would do the same in one call, where kernels and sandboxes have it; names have few
//! parts and no `..`, so opening each part with `O_NOFOLLOW` is as safe and works everywhere.

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, fsync, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// How deep directories are looked through: no name of ours has more parts.
const DEPTH_MAX: usize = 6;
/// What the names begin with of what is not whole yet; no sound name does.
const PARTIAL_PREFIX: &str = ".partial-";
/// How many hexadecimal characters a random token has. Host names and process ids are alike in containers.
const RANDOM_LENGTH: usize = 32;
/// The bits of a directory's mode that those in it get from it: its group's, and that what is made in it belongs to that group.
const GROUP_BITS: u32 = 0o2070;
/// How often a directory is made that others remove.
const MAKE_COUNT_MAX: usize = 10;

/// The directories from a root down to one, the root first.
pub(super) struct Chain(Vec<OwnedFd>);

impl Chain {
    /// Opens the directories that lead to one.
    pub(super) fn open(root: &Path, parts: &[&str]) -> io::Result<Self> {
        let mut chain = Self::root(root)?;
        for part in parts {
            let next = open_dir(chain.last(), part)?;
            chain.0.push(next);
        }
        Ok(chain)
    }

    /// Opens them, and makes those that are missing.
    pub(super) fn make(root: &Path, parts: &[&str]) -> io::Result<Self> {
        let mut chain = Self::root(root)?;
        for part in parts {
            let next = match open_dir(chain.last(), part) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => make_dir(chain.last(), part, &chain.mode()?)?,
                opened => opened?,
            };
            chain.0.push(next);
        }
        Ok(chain)
    }

    fn root(root: &Path) -> io::Result<Self> {
        // The root's own path is the config's, and may have links.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(vec![openat(CWD, root, flags, Mode::empty())?]))
    }

    /// The mode of the root.
    fn mode(&self) -> io::Result<Mode> {
        Ok(Mode::from_raw_mode(fstat(self.0[0].as_fd())?.st_mode))
    }

    /// The last of them.
    pub(super) fn last(&self) -> BorrowedFd<'_> {
        // There is the root at least.
        self.0[self.0.len() - 1].as_fd()
    }

    /// Writes a file under a name there, as a whole or not at all.
    pub(super) fn write(&self, name: &str, write: impl FnOnce(File) -> io::Result<()>) -> io::Result<()> {
        let partial = partial_name()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(self.last(), &partial, flags, Mode::from_raw_mode(0o666))?);
        let written = share(file.as_fd(), &self.mode()?, 0o060)
            .and_then(|()| write(file))
            .and_then(|()| Ok(renameat(self.last(), &partial, self.last(), name)?));
        if written.is_err() {
            // What matters is the error that is on its way.
            let _removed = unlinkat(self.last(), &partial, AtFlags::empty());
        }
        match written.map(|()| fsync(self.last()))? {
            // Some file systems cannot sync a directory and keep names by themselves.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file there, and the directories that are empty then.
    pub(super) fn remove(&self, name: &str, parts: &[&str]) -> io::Result<()> {
        match unlinkat(self.last(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let above = self.0.iter().zip(parts).rev();
        let _emptied = above.map_while(|(above, part)| unlinkat(above, *part, AtFlags::REMOVEDIR).ok()).count();
        Ok(())
    }
}

/// Does something in directories that are made; whoever removes the last file of one removes it as well, at just this moment perhaps.
pub(super) fn in_made(root: &Path, parts: &[&str], mut each: impl FnMut(&Chain) -> io::Result<()>) -> io::Result<()> {
    let done = (0..MAKE_COUNT_MAX).find_map(|_| match Chain::make(root, parts).and_then(|chain| each(&chain)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        done => Some(done),
    });
    done.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
}

/// Opens a file. A pipe is not waited for, and a link not followed.
pub(super) fn open_file(dir: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = File::from(openat(dir, name, flags, Mode::empty())?);
    // As opening a directory to write would say it.
    if file.metadata()?.is_file() { Ok(file) } else { Err(Errno::ISDIR.into()) }
}

/// What is found on a walk: a file, or a directory that was not made whole.
pub(super) struct Found<'a> {
    /// The directory that it is in.
    pub(super) dir: BorrowedFd<'a>,
    /// Its name there.
    pub(super) file_name: &'a str,
    /// Its name from where the walk began, with what that was called.
    pub(super) name: String,
    /// What is known of it.
    pub(super) about: Stat,
}

/// Walks through all files, and directories that were not made whole, below a directory until it is told to stop. Links are not followed: nothing of ours is one.
///
/// What can lead to no name that begins with `prefix` is not even looked at: that costs a round trip each where the directory
/// is on another machine.
pub(super) fn walk(
    dir: BorrowedFd<'_>,
    (above, prefix): (&str, &str),
    depth: usize,
    each: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let Ok(file_name) = entry.file_name().to_str() else { continue };
        let name = if above.is_empty() { file_name.to_owned() } else { format!("{above}/{file_name}") };
        let leads_there = prefix.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if !name.starts_with(prefix) && !leads_there {
            continue;
        }
        // It may be gone since.
        let Ok(about) = statat(dir, file_name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let flow = match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory if matches!(file_name, "." | "..") || depth >= DEPTH_MAX => continue,
            FileType::Directory if is_partial(file_name) => each(Found { dir, file_name, name, about }),
            FileType::Directory => match open_dir(dir, file_name) {
                Ok(below) => walk(below.as_fd(), (&name, prefix), depth + 1, each)?,
                Err(error) if is_absent(&error) || is_odd(&error) => continue,
                Err(error) => return Err(error),
            },
            FileType::RegularFile => each(Found { dir, file_name, name, about }),
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => continue,
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Whether there is nothing of a name.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether there is something that we never put there: a link, a directory in the place of a file, a pipe.
pub(super) fn is_odd(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO))
}

/// Whether something is called as what is not whole yet.
pub(super) fn is_partial(file_name: &str) -> bool {
    let random = file_name.strip_prefix(PARTIAL_PREFIX);
    random.is_some_and(|random| {
        random.len() == RANDOM_LENGTH && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn partial_name() -> io::Result<String> {
    Ok(format!("{PARTIAL_PREFIX}{}", random_token()?))
}

/// Hexadecimal characters that nobody else comes to.
pub(super) fn random_token() -> io::Result<String> {
    let mut random = [0; size_of::<u128>()];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("this system gives no random numbers"))?;
    Ok(format!("{:0RANDOM_LENGTH$x}", u128::from_ne_bytes(random)))
}

fn open_dir(dir: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty()).map_err(|error| {
        // With both flags, a link is told as no directory: open(2).
        let found = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|about| FileType::from_raw_mode(about.st_mode));
        if error == Errno::NOTDIR && found == Ok(FileType::Symlink) { Errno::LOOP.into() } else { error.into() }
    })
}

/// Makes a directory that is its group's as the root is from the moment on that others see it.
fn make_dir(above: BorrowedFd<'_>, name: &str, root: &Mode) -> io::Result<OwnedFd> {
    let partial = partial_name()?;
    mkdirat(above, &partial, Mode::from_raw_mode(0o777))?;
    let made = open_dir(above, &partial)
        .and_then(|dir| share(dir.as_fd(), root, GROUP_BITS))
        .and_then(|()| Ok(renameat(above, &partial, above, name)?));
    if let Err(error) = made {
        // What matters is that error, or the directory that somebody else has made meanwhile.
        let _removed = unlinkat(above, &partial, AtFlags::REMOVEDIR);
        return if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) {
            open_dir(above, name)
        } else {
            Err(error)
        };
    }
    open_dir(above, name)
}

/// Gives what was made these bits of the root's mode: what the umask has taken from it, others of the group would lack.
fn share(made: BorrowedFd<'_>, root: &Mode, bits: u32) -> io::Result<()> {
    let now = fstat(made)?.st_mode & 0o7777;
    let wanted = (now & !(bits & 0o070)) | (root.as_raw_mode() & bits);
    if wanted == now {
        return Ok(());
    }
    match fchmod(made, Mode::from_raw_mode(wanted)) {
        // Where modes cannot be changed, all is shared as it is mounted.
        Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
