//! Watching a command until it and its kin have ended.

use crate::mark::Mark;
use crate::running::{Running, wait_for};
use crate::source::Source;
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How often a wish to stop is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How often the end of a command is looked for that can be seen by nothing else.
const END_INTERVAL: Duration = Duration::from_millis(5);
/// Time between telling the group to end and killing it.
const TERM_GRACE: Duration = Duration::from_secs(5);
/// How long a killed process is waited for: one that hangs in the kernel is given up.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How long output of processes that outlive the command is read.
const DRAIN_GRACE: Duration = Duration::from_millis(200);

/// How watching ended.
pub(crate) enum Watched {
    /// The command ended by itself; the status is missing when it could not be had.
    Ended(io::Result<ExitStatus>),
    TimedOut,
    Cancelled,
}

/// Why watching stops.
enum Verdict {
    Exited,
    TimedOut,
    Cancelled,
}

/// What is watched, and within which bounds.
pub(crate) struct Watch<'a> {
    pub(crate) running: Running,
    /// What it says; None at its end.
    pub(crate) source: Option<Source>,
    /// What its processes carry, when none of them may stay.
    pub(crate) mark: Option<Mark>,
    /// Is handed each chunk that the source gives.
    pub(crate) take: &'a mut dyn FnMut(&[u8]),
    /// Whether to stop; asked again and again.
    pub(crate) cancelled: &'a dyn Fn() -> bool,
}

impl Watch<'_> {
    /// Passes on output until the command ended or had to be ended.
    pub(crate) fn until_the_end(mut self, limit: Duration) -> Watched {
        match self.verdict(Instant::now() + limit) {
            Verdict::Exited => {
                self.settle();
                // Not reaped before now, so that its group's number could not be anyone else's.
                Watched::Ended(self.running.status())
            }
            Verdict::TimedOut => {
                self.terminate();
                Watched::TimedOut
            }
            Verdict::Cancelled => {
                self.terminate();
                Watched::Cancelled
            }
        }
    }

    fn verdict(&mut self, deadline: Instant) -> Verdict {
        loop {
            self.pump(POLL_INTERVAL);
            if self.running.has_exited() {
                return Verdict::Exited;
            }
            if Instant::now() >= deadline {
                return Verdict::TimedOut;
            }
            if (self.cancelled)() {
                return Verdict::Cancelled;
            }
        }
    }

    /// Reads what is left, and ends whoever may not stay.
    fn settle(&mut self) {
        self.pump_until(DRAIN_GRACE, |watch| watch.source.is_none());
        if self.mark.is_some() {
            self.kill();
            self.pump_until(DRAIN_GRACE, |watch| watch.source.is_none());
        }
    }

    fn terminate(&mut self) {
        self.running.terminate();
        self.mark.iter().for_each(Mark::terminate);
        self.pump_until(TERM_GRACE, |watch| {
            watch.source.is_none() && watch.running.has_exited() && watch.mark.as_ref().is_none_or(Mark::is_gone)
        });
        self.kill();
        self.pump_until(KILL_GRACE, |watch| watch.running.has_exited());
        self.pump_until(DRAIN_GRACE, |watch| watch.source.is_none());
    }

    /// Kills it and its kin, and whoever has left them.
    fn kill(&self) {
        self.running.kill();
        self.mark.iter().for_each(Mark::kill);
    }

    fn pump_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + limit;
        while !done(self) && Instant::now() < until {
            self.pump(POLL_INTERVAL);
        }
    }

    /// Waits for output or the end, and takes at most one chunk.
    fn pump(&mut self, wait: Duration) {
        // Seen before reading: what is said between the two is not lost.
        let has_ended = self.running.has_exited();
        self.wait(if has_ended && self.source.as_ref().is_some_and(Source::grows) { Duration::ZERO } else { wait });
        let Some(source) = &mut self.source else { return };
        let mut chunk = [0; 64 * 1024];
        match source.read(&mut chunk) {
            Ok(0) if source.grows() && !has_ended => {}
            Ok(0) => self.source = None,
            Ok(count) => (self.take)(&chunk[..count]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.source = None,
        }
    }

    fn wait(&self, limit: Duration) {
        if self.source.is_none() && self.running.end().is_none() {
            std::thread::sleep(END_INTERVAL);
            return;
        }
        let said = self.source.as_ref().and_then(Source::waited_for);
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(2);
        fds.extend(said.map(|said| PollFd::from_borrowed_fd(said, PollFlags::IN)));
        fds.extend(self.running.end().map(|end| PollFd::new(end, PollFlags::IN)));
        wait_for(&mut fds, limit);
    }
}
