//! The queue of those who wait for the lock: numbered tickets, first come first served.

use super::lock::{Holder, LockError, read_holder, unknown, write_holder};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A place in the queue: a numbered file that its waiter keeps locked, so that a dead waiter is recognised.
pub(super) struct Ticket {
    pub(super) number: u64,
    path: PathBuf,
    _file: File,
}

/// Somebody who waits, and their place in the queue.
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) holder: Holder,
}

impl Ticket {
    /// Takes the place behind everybody who waits already.
    pub(super) fn draw(queue: &Path, me: &Holder) -> Result<Self, LockError> {
        loop {
            let number = numbers(queue).last().map_or(1, |(number, _)| number + 1);
            let path = queue.join(format!("{number:020}.json"));
            let io = |source| LockError::Io { operation: "queue in", path: path.clone(), source };
            // Locked and filled under another name first: nobody may see it unlocked and take it for dead.
            let draft = queue.join(format!(".{}-{}", me.pid, number));
            let mut file = OpenOptions::new()
                .write(true)
                .read(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)
                .map_err(io)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| io(e.into()))?;
            write_holder(&mut file, me).map_err(io)?;
            let linked = std::fs::hard_link(&draft, &path);
            std::fs::remove_file(&draft).map_err(io)?;
            match linked {
                Ok(()) => return Ok(Self { number, path, _file: file }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(error)),
            }
        }
    }

    /// Fails when somebody newer takes the places of those who wait.
    pub(super) fn give_way(&self) -> Result<(), LockError> {
        let queue = self.path.parent().map(waiters).unwrap_or_default();
        match queue.into_iter().find(|waiter| waiter.number > self.number && waiter.holder.supersedes) {
            Some(newer) => Err(LockError::Superseded(Box::new(newer.holder))),
            None => Ok(()),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // A ticket that stays is recognised as dead by its lock being free.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Every ticket by its number, also of the dead.
pub(super) fn numbers(queue: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(directory) = std::fs::read_dir(queue) else { return Vec::new() };
    let paths = directory.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<_> = paths.filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path))).collect();
    found.sort();
    found
}

/// Those who wait, in order; tickets of the dead are removed.
pub(super) fn waiters(queue: &Path) -> Vec<Waiter> {
    let living = |(number, path): (u64, PathBuf)| {
        let mut file = File::open(&path).ok()?;
        if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            // Nobody holds it, so nobody waits behind it. Someone else may have removed it already.
            let _ = std::fs::remove_file(&path);
            return None;
        }
        Some(Waiter { number, holder: read_holder(&mut file).unwrap_or_else(unknown) })
    };
    numbers(queue).into_iter().filter_map(living).collect()
}
