//! What shows without reading it that a stored file is as it was stored.

use cutover_core::artifact::Digest;
use rustix::fs::{Mode, Timespec, Timestamps};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

/// The first modification time that is given out: 2001-09-09.
const SECONDS_MIN: i64 = 1_000_000_000;
/// How many seconds they spread over, 17 years: all of them lie in the past.
const SECONDS_SPREAD: u32 = 1 << 29;

/// Size, mode and modification time of an untouched blob.
///
/// The time follows from the digest: any write changes it to the present. Were it the same for
/// all, a web server's `ETag` (time and size) and Python's `.pyc` check would take a changed file
/// of equal size for the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    mode: u32,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    pub(crate) fn of(digest: &Digest, bytes: u64, mode: u32) -> Self {
        let [a, b, c, d, e, f, ..] = *digest.as_bytes();
        Self {
            bytes,
            mode,
            seconds: SECONDS_MIN + i64::from(u32::from_be_bytes([a, b, c, d]) % SECONDS_SPREAD),
            // Whole milliseconds: some file systems keep no finer time.
            nanoseconds: i64::from(u16::from_be_bytes([e, f]) % 1000) * 1_000_000,
        }
    }

    /// Whether a file still looks like this.
    pub(crate) fn matches(&self, metadata: &Metadata) -> bool {
        metadata.is_file()
            && metadata.len() == self.bytes
            && metadata.mode() & 0o7777 == self.mode
            && metadata.mtime() == self.seconds
            && metadata.mtime_nsec() == self.nanoseconds
    }

    /// Gives a file the time and the mode; its content must be written already.
    pub(crate) fn put_on(&self, file: &File) -> io::Result<()> {
        let time = Timespec { tv_sec: self.seconds, tv_nsec: self.nanoseconds };
        rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })?;
        // Mostly it was made with it: a look costs less than setting it again.
        if rustix::fs::fstat(file)?.st_mode & 0o7777 != self.mode {
            rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))?;
        }
        Ok(())
    }
}
