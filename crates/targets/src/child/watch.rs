//! Watching a command until it and its process group have ended.

use super::output::Output;
use super::{ChildCommand, ChildError, ChildExit, Leftovers, make_nonblocking};
use cutover_core::target::Progress;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid};
use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::{Duration, Instant};

/// How often a wish to stop is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Time between telling the group to end and killing it.
const TERM_GRACE: Duration = Duration::from_secs(5);
/// How long a killed process is waited for: one that hangs in the kernel is given up.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How long output of processes that outlive the command is read.
const DRAIN_GRACE: Duration = Duration::from_millis(200);

/// Why watching stopped.
enum Verdict {
    Exited,
    TimedOut,
    Cancelled,
}

struct Watch<'a> {
    child: Child,
    group: Pid,
    ended: Option<OwnedFd>,
    reader: Option<PipeReader>,
    output: Output<'a>,
    deadline: Instant,
    progress: &'a dyn Progress,
}

/// Passes on output until the command ended or had to be ended.
pub(super) fn to_the_end(
    child: Child,
    reader: PipeReader,
    command: &ChildCommand<'_>,
    progress: &dyn Progress,
) -> Result<ChildExit, ChildError> {
    make_nonblocking(&reader).map_err(ChildError::Pipe)?;
    let group = Pid::from_child(&child);
    let watch = Watch {
        ended: pidfd_open(group, PidfdFlags::empty()).ok(),
        output: Output::new(command.masker, command.log, progress),
        deadline: Instant::now() + command.timeout,
        reader: Some(reader),
        child,
        group,
        progress,
    };
    watch.run(command)
}

impl Watch<'_> {
    fn run(mut self, command: &ChildCommand<'_>) -> Result<ChildExit, ChildError> {
        let verdict = self.verdict();
        match verdict {
            Verdict::Exited => self.settle(command.leftovers),
            Verdict::TimedOut | Verdict::Cancelled => self.terminate(),
        }
        // Not reaped before now, so that its group's number could not be anyone else's.
        let status = if self.has_exited() { self.child.wait() } else { Err(io::ErrorKind::TimedOut.into()) };
        let excerpt = self.output.finish();
        match verdict {
            Verdict::TimedOut => return Err(ChildError::TimedOut { timeout: command.timeout, excerpt }),
            Verdict::Cancelled => return Err(ChildError::Cancelled),
            Verdict::Exited => {}
        }
        let status = status.map_err(ChildError::Wait)?;
        match status.code() {
            Some(code) => Ok(ChildExit { code, excerpt }),
            None => Err(ChildError::Signalled { signal: status.signal().unwrap_or(0), excerpt }),
        }
    }

    fn verdict(&mut self) -> Verdict {
        loop {
            self.pump(POLL_INTERVAL);
            if self.has_exited() {
                return Verdict::Exited;
            }
            if Instant::now() >= self.deadline {
                return Verdict::TimedOut;
            }
            if self.progress.cancelled() {
                return Verdict::Cancelled;
            }
        }
    }

    /// Reads what is left, and ends whoever else still holds the pipe.
    fn settle(&mut self, leftovers: Leftovers) {
        self.pump_until(DRAIN_GRACE, |watch| watch.reader.is_none());
        if leftovers == Leftovers::Kill {
            self.signal(Signal::KILL);
            self.pump_until(DRAIN_GRACE, |watch| watch.reader.is_none());
        }
    }

    fn terminate(&mut self) {
        self.signal(Signal::TERM);
        self.pump_until(TERM_GRACE, |watch| watch.reader.is_none() && watch.has_exited());
        self.signal(Signal::KILL);
        self.pump_until(KILL_GRACE, Self::has_exited);
        self.pump_until(DRAIN_GRACE, |watch| watch.reader.is_none());
    }

    /// The group's number stays ours while its leader is not reaped. Nobody left to signal is fine.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }

    fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.group), options), Ok(None))
    }

    fn pump_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + limit;
        while !done(self) && Instant::now() < until {
            self.pump(POLL_INTERVAL);
        }
    }

    /// Waits for output or the end, and takes at most one chunk.
    fn pump(&mut self, wait: Duration) {
        if self.reader.is_none() && (self.ended.is_none() || self.has_exited()) {
            std::thread::sleep(Duration::from_millis(5));
            return;
        }
        self.wait(wait);
        let Some(reader) = &mut self.reader else { return };
        let mut chunk = [0; 64 * 1024];
        match reader.read(&mut chunk) {
            Ok(0) => self.reader = None,
            Ok(count) => self.output.push(&chunk[..count]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.reader = None,
        }
    }

    fn wait(&self, limit: Duration) {
        // Once it ended, only output is waited for: its end would be seen again and again.
        let ended = self.ended.as_ref().filter(|_| !self.has_exited());
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(2);
        fds.extend(self.reader.as_ref().map(|reader| PollFd::new(reader, PollFlags::IN)));
        fds.extend(ended.map(|ended| PollFd::new(ended, PollFlags::IN)));
        let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
        // An interruption by a signal is just another look.
        let _ = poll(&mut fds, Some(&limit));
    }
}
