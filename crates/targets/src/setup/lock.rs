//! One setup at a time on a host.

use super::SetupError;
use cutover_core::target::Failure;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Held while a setup is at work. Nothing removes it: whoever opened it before would hold a lock that nobody else sees.
pub(super) const LOCK: &str = "/run/cutover-setup.lock";
/// For how long another setup is waited for, and how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Waits until no other setup is at work on this host, and sees that none begins.
pub(super) fn take(path: &Path) -> Result<File, SetupError> {
    take_within(path, PATIENCE)
}

fn take_within(path: &Path, patience: Duration) -> Result<File, SetupError> {
    // For root alone: anybody who may open it could hold it.
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let lock = opened.map_err(|error| Failure::new(format!("open {}: {error}", path.display())))?;
    let until = Instant::now() + patience;
    while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() >= until {
            let why = format!("another setup has been at work on this host for {} s", patience.as_secs());
            return Err(SetupError::Locked(
                Failure::new(why).hint(format!("wait for its end; `fuser {}` tells its process", path.display())),
            ));
        }
        std::thread::sleep(POLL);
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_setup_waits_for_the_first_and_has_the_very_same_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = take(&path).unwrap();

        let refused = take_within(&path, Duration::ZERO);
        assert!(matches!(refused, Err(SetupError::Locked(_))), "{refused:?}");

        let waiting = std::thread::spawn(move || take(&path).is_ok());
        drop(first);
        assert!(waiting.join().unwrap());
    }
}
