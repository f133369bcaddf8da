//! Room that is kept for the way back: a full disk must not keep a rollback, a start or a restart from being recorded.

use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How much is kept, in bytes, the most first: a journal, and the few small files that going back writes besides.
const SIZES: [u64; 4] = [384 << 10, 352 << 10, 320 << 10, 288 << 10];

/// The unit of `st_blocks`, in bytes (stat(3type)).
const BLOCK_BYTES: u64 = 512;

/// A file of zeros beside the journals, whose room is taken already.
pub(super) struct Spare(PathBuf);

impl Spare {
    /// The one of the place whose open or ended journals lie in this directory.
    pub(super) fn beside(journals: &Path) -> Option<Self> {
        Some(Self(journals.parent()?.join("spare")))
    }

    /// Sees that there is one. Where there is no room for it, there is none: what ended here has ended all the same.
    pub(super) fn lay_up(&self) {
        let Ok(file) = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.0) else {
            return;
        };
        // One that was made, and the room for it not taken any more, is none yet.
        if file.metadata().is_ok_and(|about| about.blocks() * BLOCK_BYTES >= SIZES[0]) {
            return;
        }
        // What a failed attempt has taken the next, smaller one needs not take again.
        if !SIZES.iter().any(|size| fallocate(&file, FallocateFlags::empty(), 0, *size).is_ok()) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// Becomes a journal that there is no other room for.
    pub(super) fn give(&self, journal: &Path) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).open(&self.0)?;
        std::fs::rename(&self.0, journal)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_whose_room_was_never_taken_takes_it_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let journals = dir.path().join("open");
        std::fs::create_dir(&journals).unwrap();
        std::fs::write(dir.path().join("spare"), "").unwrap();
        let spare = Spare::beside(&journals).unwrap();

        spare.lay_up();

        assert_eq!(spare.give(&journals.join("journal")).unwrap().metadata().unwrap().len(), SIZES[0]);
    }

    #[test]
    fn what_is_laid_up_once_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let [open, done] = ["open", "done"].map(|name| dir.path().join(name));
        std::fs::create_dir(&open).unwrap();
        Spare::beside(&done).unwrap().lay_up();
        Spare::beside(&done).unwrap().lay_up();

        let [first, second] = ["first", "second"].map(|name| open.join(name));
        let file = Spare::beside(&open).unwrap().give(&first).unwrap();

        assert_eq!(file.metadata().unwrap().len(), SIZES[0]);
        assert!(std::fs::read(&first).unwrap().iter().all(|byte| *byte == 0));
        assert!(Spare::beside(&open).unwrap().give(&second).is_err());
    }
}
