//! Watching a command until it and its kin have ended.

use crate::running::{Running, wait_for};
use crate::{Leftovers, make_nonblocking};
use rustix::event::{PollFd, PollFlags};
use std::io::{self, PipeReader, Read};
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
    running: Running,
    reader: Option<PipeReader>,
    take: &'a mut dyn FnMut(&[u8]),
    cancelled: &'a dyn Fn() -> bool,
}

impl<'a> Watch<'a> {
    /// Each chunk that the pipe gives is handed to `take`; `cancelled` is asked again and again.
    pub(crate) fn new(
        running: Running,
        reader: PipeReader,
        take: &'a mut dyn FnMut(&[u8]),
        cancelled: &'a dyn Fn() -> bool,
    ) -> io::Result<Self> {
        make_nonblocking(&reader)?;
        Ok(Self { running, reader: Some(reader), take, cancelled })
    }

    /// Passes on output until the command ended or had to be ended.
    pub(crate) fn until_the_end(mut self, limit: Duration, leftovers: Leftovers) -> Watched {
        match self.verdict(Instant::now() + limit) {
            Verdict::Exited => {
                self.settle(leftovers);
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

    /// Reads what is left, and ends whoever else still holds the pipe.
    fn settle(&mut self, leftovers: Leftovers) {
        self.pump_until(DRAIN_GRACE, |watch| watch.reader.is_none());
        if leftovers == Leftovers::Kill {
            self.running.kill();
            self.pump_until(DRAIN_GRACE, |watch| watch.reader.is_none());
        }
    }

    fn terminate(&mut self) {
        self.running.terminate();
        self.pump_until(TERM_GRACE, |watch| watch.reader.is_none() && watch.running.has_exited());
        self.running.kill();
        self.pump_until(KILL_GRACE, |watch| watch.running.has_exited());
        self.pump_until(DRAIN_GRACE, |watch| watch.reader.is_none());
    }

    fn pump_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + limit;
        while !done(self) && Instant::now() < until {
            self.pump(POLL_INTERVAL);
        }
    }

    /// Waits for output or the end, and takes at most one chunk.
    fn pump(&mut self, wait: Duration) {
        if self.reader.is_none() && self.running.end().is_none() {
            std::thread::sleep(END_INTERVAL);
            return;
        }
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(2);
        fds.extend(self.reader.as_ref().map(|reader| PollFd::new(reader, PollFlags::IN)));
        fds.extend(self.running.end().map(|end| PollFd::new(end, PollFlags::IN)));
        wait_for(&mut fds, wait);
        let Some(reader) = &mut self.reader else { return };
        let mut chunk = [0; 64 * 1024];
        match reader.read(&mut chunk) {
            Ok(0) => self.reader = None,
            Ok(count) => (self.take)(&chunk[..count]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.reader = None,
        }
    }
}
