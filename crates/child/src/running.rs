//! A process that was started, held until it ended with all that belongs to it.

use crate::stat::descendants;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, pidfd_open, waitid,
};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How often an end is looked for where it cannot be waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long a killed process is waited for: one that hangs in the kernel is given up.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How often a family is looked through for members that were born meanwhile.
const FAMILY_LOOK_COUNT: usize = 10;

/// What belongs to a process, and is ended with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kin {
    /// Its process group, which is its own. It cannot ask at the terminal.
    Group,
    /// Whatever descends from it. It stays in Cutover's group: a person may answer it, and Ctrl-C reaches it too.
    Descendants,
}

/// A process that was not waited for yet, so that its number, and its group's, cannot be anybody else's.
///
/// Dropping it kills what is left of it and its kin.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: Pid,
    /// Readable once it ended; None where the kernel has no such descriptors (before 5.3).
    ended: Option<OwnedFd>,
    kin: Kin,
    is_reaped: bool,
}

impl Running {
    /// Starts a process.
    pub fn start(command: &mut Command, kin: Kin) -> io::Result<Self> {
        if kin == Kin::Group {
            command.process_group(0);
        }
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid, ended: pidfd_open(pid, PidfdFlags::empty()).ok(), kin, is_reaped: false })
    }

    /// The process, to take its pipes from. Who waits for it by this gives up what [`Running`] promises.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it ended. It is not reaped by looking.
    pub fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // When even waiting fails there is nothing to wait for: the status is found missing later.
        self.is_reaped || !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    /// Waits for its end, not longer than until `deadline`; whether it ended.
    pub fn wait_until(&self, deadline: Instant) -> bool {
        while !self.has_exited() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match &self.ended {
                Some(ended) => wait_for(&mut [PollFd::new(ended, PollFlags::IN)], left),
                None => std::thread::sleep(LOOK_INTERVAL.min(left)),
            }
        }
        true
    }

    /// How it ended; fails when it has not.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        if !self.has_exited() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.is_reaped = true;
        self.child.wait()
    }

    /// Tells it to end: its group first kindly, a family at once, since those whose parent is gone are not found again.
    pub(crate) fn terminate(&self) {
        match self.kin {
            Kin::Group => self.signal(Signal::TERM),
            Kin::Descendants => self.kill(),
        }
    }

    /// Tells it and its group. Nobody left to signal is fine.
    fn signal(&self, signal: Signal) {
        let _ = match self.kin {
            _ if self.is_reaped => Ok(()),
            Kin::Group => kill_process_group(self.pid, signal),
            Kin::Descendants => kill_process(self.pid, signal),
        };
    }

    /// Kills it and its kin.
    pub(crate) fn kill(&self) {
        if self.kin == Kin::Descendants && !self.has_exited() {
            self.kill_descendants();
        }
        self.signal(Signal::KILL);
    }

    /// Its children first, while it still is the parent by which they are found; stopped, so that it begins no others.
    fn kill_descendants(&self) {
        self.signal(Signal::STOP);
        for _ in 0..FAMILY_LOOK_COUNT {
            let family = descendants(self.pid.as_raw_nonzero().get().cast_unsigned());
            if family.is_empty() {
                return;
            }
            for pid in family.into_iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
                // It may have ended by itself meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// What says that it ended, while it has not: seen once, it would be seen again and again.
    pub(crate) fn end(&self) -> Option<&OwnedFd> {
        self.ended.as_ref().filter(|_| !self.has_exited())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            self.wait_until(Instant::now() + KILL_GRACE);
            let _ = self.status();
        }
    }
}

/// Waits for any of these, or until the time is over. An interruption by a signal is just another look.
pub(crate) fn wait_for(fds: &mut [PollFd<'_>], limit: Duration) {
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    let limit = Timespec { tv_sec: seconds, tv_nsec: i64::from(limit.subsec_nanos()) };
    let _ = poll(fds, Some(&limit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    /// Starts a shell that starts a sleeper and gives the sleeper's number.
    fn family(kin: Kin) -> (Running, u32) {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped());
        let mut running = Running::start(&mut shell, kin).unwrap();
        let mut line = String::new();
        BufReader::new(running.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        (running, line.trim().parse().unwrap())
    }

    fn is_alive(pid: u32) -> bool {
        crate::stat::stat_of(pid).is_some_and(|stat| !stat.is_dead())
    }

    #[test]
    fn whoever_is_left_ends_with_it() {
        for kin in [Kin::Group, Kin::Descendants] {
            let (running, sleeper) = family(kin);
            assert!(is_alive(sleeper) && !running.has_exited());

            drop(running);

            let deadline = Instant::now() + KILL_GRACE;
            while is_alive(sleeper) {
                assert!(Instant::now() < deadline, "{kin:?}: the sleeper is left");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn its_end_is_waited_for_only_so_long() {
        let mut running = Running::start(Command::new("sleep").arg("1000"), Kin::Group).unwrap();
        assert!(!running.wait_until(Instant::now() + Duration::from_millis(1)));
        assert!(running.status().is_err());

        running.kill();
        assert!(running.wait_until(Instant::now() + KILL_GRACE));
        assert!(!running.status().unwrap().success());
    }
}
