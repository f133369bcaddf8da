//! Where a command's output goes, and where it is read from: a pipe, or a file that outlives both sides.

use crate::make_nonblocking;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where output goes that cannot be kept: whoever writes there never fails.
const NOWHERE: &str = "/dev/null";

/// What a command says, as it is read.
#[derive(Debug)]
pub(crate) enum Source {
    /// It ends when nobody holds its other end any more.
    Pipe(PipeReader),
    /// It has no end of its own: what is there when the command has ended is all.
    File(File),
}

impl Source {
    /// A pipe, which does not wait, and its other end.
    pub(crate) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        make_nonblocking(&reader)?;
        Ok((Self::Pipe(reader), writer.into()))
    }

    /// A file that is begun anew, and that only this user may read. Where there can be none, what is said is lost: a full disk
    /// must not keep a service from being started.
    pub(crate) fn file(path: &Path) -> io::Result<(Self, OwnedFd)> {
        both_ends(path).or_else(|_| both_ends(Path::new(NOWHERE)))
    }

    /// What tells that there is something to read; a file never does.
    pub(crate) fn waited_for(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Pipe(reader) => Some(reader.as_fd()),
            Self::File(_) => None,
        }
    }

    /// Whether there may be more behind what looks like the end, as long as the command runs.
    pub(crate) fn grows(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(reader) => reader.read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

/// Written at its end only, so that a file that is begun anew has no hole where an older writer goes on.
fn both_ends(path: &Path) -> io::Result<(Source, OwnedFd)> {
    let writer = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    writer.set_len(0).or_else(|error| if writer.metadata()?.is_file() { Err(error) } else { Ok(()) })?;
    Ok((Source::File(File::open(path)?), writer.into()))
}
