//! The lock that keeps pruning and everything else apart.

use crate::error::ArtifactError;
use cutover_disk::DiskError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long is waited for a process that prunes.
const WAIT_MAX: Duration = Duration::from_secs(30);
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// A lock of the kernel: it ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Shares the store with everything but pruning.
    pub(crate) fn shared(path: &Path) -> Result<Self, ArtifactError> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some(lock) = Self::attempt(path, FlockOperation::NonBlockingLockShared, open_shared)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(ArtifactError::Locked { path: path.to_owned(), waited: WAIT_MAX });
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Has the store alone, or `None` when anybody uses it.
    pub(crate) fn exclusive(path: &Path) -> Result<Option<Self>, ArtifactError> {
        Self::attempt(path, FlockOperation::NonBlockingLockExclusive, open)
    }

    fn attempt(
        path: &Path,
        operation: FlockOperation,
        open: fn(&Path) -> io::Result<File>,
    ) -> Result<Option<Self>, ArtifactError> {
        let file = open(path).map_err(|error| DiskError::new("open", path, error))?;
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(Some(Self { file })),
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(DiskError::new("lock", path, error).into()),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// To share what lies where nobody writes now, a lock that somebody made once will do.
fn open_shared(path: &Path) -> io::Result<File> {
    open(path).or_else(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => File::open(path).map_err(|_| error),
        _ => Err(error),
    })
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting holds a copy of the
        // descriptor until it executes its program, and with it the lock.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}
