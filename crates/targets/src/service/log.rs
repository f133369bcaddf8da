//! A place in a service's log, so that what it says after a restart can be told from before.

use crate::process::Clock;
use cutover_core::target::tail;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A moment, and the place that a log had reached then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    /// The moment by the wall.
    pub at: Timestamp,
    /// The moment by the clock that processes' beginnings are measured with.
    pub clock: Clock,
    /// The unit's run at that moment, by systemd's id. What it still said after the mark, while it was being
    /// stopped, says nothing about the run after it.
    #[serde(default)]
    pub run: Option<String>,
    /// The place in the log.
    pub place: LogPlace,
}

/// Where in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogPlace {
    /// After this entry of systemd's journal.
    Cursor(String),
    /// At the moment itself.
    Time,
    /// In a file that may be rotated to another name meanwhile.
    File {
        /// The file's number in its file system; 0 when there was no file.
        inode: u64,
        /// Bytes from its beginning.
        offset_bytes: u64,
    },
    /// There is no log.
    None,
}

impl LogMark {
    /// This moment, and a place.
    pub fn now(place: LogPlace) -> Self {
        Self { at: Timestamp::now(), clock: Clock::now(), run: None, place }
    }
}

/// The end of a file as it is now.
pub(crate) fn end_of(path: &Path) -> LogPlace {
    let metadata = std::fs::metadata(path);
    metadata.map_or(LogPlace::File { inode: 0, offset_bytes: 0 }, |file| LogPlace::File {
        inode: file.ino(),
        offset_bytes: file.len(),
    })
}

/// What was written since a place, the last `bytes_max` bytes of it.
///
/// When the file was rotated meanwhile, the rest of the rotated one comes first. When it was
/// rotated more than once, all that is left is given.
pub(super) fn read_since(path: &Path, inode: u64, offset_bytes: u64, bytes_max: usize) -> String {
    let rotated = rotated(path);
    let mut bytes = Vec::new();
    let is_marked = |path: &Path| inode != 0 && std::fs::metadata(path).is_ok_and(|file| file.ino() == inode);
    if is_marked(path) {
        append_from(path, offset_bytes, bytes_max, &mut bytes);
    } else {
        let from = if is_marked(&rotated) { offset_bytes } else { 0 };
        if inode != 0 {
            append_from(&rotated, from, bytes_max, &mut bytes);
        }
        append_from(path, 0, bytes_max, &mut bytes);
    }
    tail(&String::from_utf8_lossy(&bytes), bytes_max).to_owned()
}

/// Where the supervisor puts a log that has become too large.
pub(crate) fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// A log that cannot be read says nothing: the probe that needs it tells.
fn append_from(path: &Path, offset_bytes: u64, bytes_max: usize, bytes: &mut Vec<u8>) {
    let Ok(mut file) = File::open(path) else { return };
    let length = file.metadata().map_or(0, |file| file.len());
    let from = offset_bytes.max(length.saturating_sub(bytes_max as u64));
    if file.seek(SeekFrom::Start(from)).is_ok() {
        let _ = file.take(bytes_max as u64).read_to_end(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn since(path: &Path, place: &LogPlace, bytes_max: usize) -> String {
        match place {
            LogPlace::File { inode, offset_bytes } => read_since(path, *inode, *offset_bytes, bytes_max),
            LogPlace::Cursor(_) | LogPlace::Time | LogPlace::None => unreachable!("a file's end is a file's place"),
        }
    }

    #[test]
    fn only_what_came_after_the_mark_is_read_also_across_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.log");
        fs::write(&path, "old\n").unwrap();
        let mark = end_of(&path);

        fs::write(&path, "old\nnew 1\n").unwrap();
        assert_eq!(since(&path, &mark, 100), "new 1\n");

        fs::rename(&path, rotated(&path)).unwrap();
        fs::write(&path, "new 2\n").unwrap();
        assert_eq!(since(&path, &mark, 100), "new 1\nnew 2\n");
        assert_eq!(since(&path, &mark, 8), "new 2\n");
    }

    #[test]
    fn a_log_that_was_not_there_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.log");
        let mark = end_of(&path);
        assert_eq!(since(&path, &mark, 100), "");
        fs::write(&path, "first\n").unwrap();
        assert_eq!(since(&path, &mark, 100), "first\n");
    }
}
