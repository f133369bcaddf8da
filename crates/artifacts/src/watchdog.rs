//! Ending a child process that takes too long.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Kills a process after a time limit unless dropped before.
pub(crate) struct Watchdog {
    fired: Arc<AtomicBool>,
    /// Dropping it tells the waiting thread to end.
    _alive: Sender<()>,
}

impl Watchdog {
    /// Watches over a child that has not been waited for yet.
    ///
    /// The process is held by a descriptor, so that its id cannot be somebody else's by then.
    /// Where the kernel has none (before 5.3) there is no limit.
    pub(crate) fn over(child: &Child, limit: Duration) -> Self {
        let fired = Arc::new(AtomicBool::new(false));
        let (alive, ended) = channel();
        let process = Pid::from_raw(child.id().cast_signed()).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        if let Some(Ok(process)) = process {
            let fired = Arc::clone(&fired);
            std::thread::spawn(move || {
                if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                    fired.store(true, Ordering::SeqCst);
                    // It fails when the process has just ended by itself.
                    let _ = pidfd_send_signal(process, Signal::KILL);
                }
            });
        }
        Self { fired, _alive: alive }
    }

    /// Whether the limit was reached.
    pub(crate) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn a_process_that_takes_too_long_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let watchdog = Watchdog::over(&child, Duration::from_millis(1));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(watchdog.has_fired());
    }

    #[test]
    fn a_process_that_ends_in_time_is_left_alone() {
        let mut child = Command::new("true").spawn().unwrap();
        let watchdog = Watchdog::over(&child, Duration::from_secs(60));
        assert!(child.wait().unwrap().success());
        assert!(!watchdog.has_fired());
    }
}
