//! Speaking with a host that may fall silent or stop listening: it is not awaited for ever.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long is waited at once. Only such spans are counted: a process that was stopped itself has not waited meanwhile.
const SPAN: Duration = Duration::from_millis(500);
/// The slowest way that is believed in, in bytes a second, and how much may be under way on it: what pipes, `ssh` and both
/// kernels hold. An answer comes behind all of that.
const SLOWEST_BYTES: u64 = 4096;
const UNDER_WAY_BYTES_MAX: u64 = 8 << 20;

/// For how long a host may be silent or deaf; shared by who hears it and who speaks to it.
#[derive(Debug, Clone)]
pub struct Patience(Arc<State>);

#[derive(Debug, Default)]
struct State {
    limit_ms: AtomicU64,
    /// How many bytes were sent, and how many of them have arrived for certain.
    sent: AtomicU64,
    arrived: AtomicU64,
    /// Whether it takes nothing of what it is told, so that it need not be heard out either.
    is_deaf: AtomicBool,
    /// For how long who hears it has waited for a word by now.
    silent_ms: AtomicU64,
    /// Questions that are not answered yet, and what had been sent before each.
    asked: Mutex<VecDeque<(u64, u64)>>,
}

impl Patience {
    /// Waits for so long.
    pub fn new(limit: Duration) -> Self {
        let patience = Self(Arc::default());
        patience.set(limit);
        patience
    }

    /// From now on waits for so long.
    pub fn set(&self, limit: Duration) {
        self.0.limit_ms.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A question is about to be sent; questions have rising numbers.
    pub fn ask(&self, question: u64) {
        let sent = self.0.sent.load(Ordering::Relaxed);
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).push_back((question, sent));
    }

    /// A question was answered, so that all that was sent before it has arrived.
    pub fn answered(&self, question: u64) {
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = asked.partition_point(|(earlier, _)| *earlier <= question);
        if let Some((_, sent)) = asked.drain(..answered).next_back() {
            self.0.arrived.store(sent, Ordering::Relaxed);
        }
    }

    /// For how long the host has said nothing though it could have: an answer comes behind all that is under way.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.0.silent_ms.load(Ordering::Relaxed)).saturating_sub(self.behind())
    }

    fn limit(&self) -> Duration {
        Duration::from_millis(self.0.limit_ms.load(Ordering::Relaxed)).saturating_add(self.behind())
    }

    /// How much later an answer may come because of what is under way.
    fn behind(&self) -> Duration {
        let (sent, arrived) = (self.0.sent.load(Ordering::Relaxed), self.0.arrived.load(Ordering::Relaxed));
        let under_way = sent.saturating_sub(arrived).min(UNDER_WAY_BYTES_MAX);
        Duration::from_secs(under_way / SLOWEST_BYTES)
    }

    /// Waits until the host's end is ready; `what` says what it did not do. `waits` is told for how long that takes, again and again.
    fn ready(&self, end: BorrowedFd<'_>, flags: PollFlags, what: &str, waits: &dyn Fn(Duration)) -> io::Result<()> {
        let mut waited = Duration::ZERO;
        loop {
            let limit = self.limit();
            let span = SPAN.min(limit.saturating_sub(waited));
            if span.is_zero() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it has {what} for {} s", limit.as_secs()),
                ));
            }
            let mut fds = [PollFd::from_borrowed_fd(end, flags)];
            match poll(&mut fds, Timespec::try_from(span).ok().as_ref()) {
                Ok(0) => {
                    waited += span;
                    waits(waited);
                }
                // Also an end and an error are something to hear of.
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What a host says; a silence that lasts too long is an error.
#[derive(Debug)]
pub struct Patient<R> {
    pipe: R,
    patience: Patience,
}

impl<R> Patient<R> {
    /// Hears this.
    pub fn new(pipe: R, patience: Patience) -> Self {
        Self { pipe, patience }
    }
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.patience.0.is_deaf.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes nothing of what it is told"));
        }
        let silent = &self.patience.0.silent_ms;
        let waits =
            |time: Duration| silent.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.patience.ready(self.pipe.as_fd(), PollFlags::IN, "said nothing", &waits)?;
        waits(Duration::ZERO);
        self.pipe.read(buffer)
    }
}

/// What is said to a host, weighed: the more there is under way, the later it answers. A host that takes nothing of it for
/// too long is an error, and is told nothing any more: it would miss the middle.
#[derive(Debug)]
pub struct Weighed<W> {
    pipe: W,
    patience: Patience,
}

impl<W: AsFd> Weighed<W> {
    /// Speaks to this, which nobody else writes to.
    pub fn new(pipe: W, patience: Patience) -> io::Result<Self> {
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        Ok(Self { pipe, patience })
    }
}

impl<W: AsFd> AsFd for Weighed<W> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl<W: Write + AsFd> Write for Weighed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_deaf = &self.patience.0.is_deaf;
        if is_deaf.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        loop {
            match self.pipe.write(bytes) {
                Ok(count) => {
                    self.patience.0.sent.fetch_add(count as u64, Ordering::Relaxed);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = self.patience.ready(self.pipe.as_fd(), PollFlags::OUT, "taken nothing", &|_| ());
                    is_deaf.store(ready.is_err(), Ordering::Relaxed);
                    ready?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A host that takes all that it is told.
    fn greedy(patience: &Patience) -> Weighed<std::fs::File> {
        let sink = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
        Weighed::new(sink, patience.clone()).unwrap()
    }

    #[test]
    fn a_host_that_falls_silent_is_not_awaited_for_ever() {
        let (said, mut host) = io::pipe().unwrap();
        host.write_all(b"hi").unwrap();
        let patience = Patience::new(Duration::from_millis(50));
        let mut heard = Patient::new(said, patience.clone());
        let mut words = [0; 8];

        assert_eq!(heard.read(&mut words).unwrap(), 2);
        assert_eq!(patience.silence(), Duration::ZERO);
        assert_eq!(heard.read(&mut words).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(patience.silence(), Duration::from_millis(50));
        drop(host);
        assert_eq!(heard.read(&mut words).unwrap(), 0, "an end is no silence");
        assert_eq!(patience.silence(), Duration::ZERO);
    }

    #[test]
    fn a_host_that_does_not_listen_is_not_spoken_to_for_ever_nor_from_the_middle_on() {
        let (mut host, pipe) = io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&pipe, 4096).unwrap();
        let mut told = Weighed::new(pipe, Patience::new(Duration::from_millis(50))).unwrap();

        let error = told.write_all(&[7; 1 << 20]).unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().starts_with("it has taken nothing for"), "{error}");
        host.read_exact(&mut [0; 4096]).unwrap();
        assert_eq!(told.write(b"hi").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_host_that_does_not_listen_is_not_heard_out_however_much_it_says() {
        let (_host, pipe) = io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&pipe, 4096).unwrap();
        let (said, mut chatty) = io::pipe().unwrap();
        let patience = Patience::new(Duration::from_millis(50));
        let mut heard = Patient::new(said, patience.clone());
        chatty.write_all(b"hello").unwrap();
        assert_eq!(heard.read(&mut [0; 2]).unwrap(), 2);

        Weighed::new(pipe, patience).unwrap().write_all(&[7; 1 << 20]).unwrap_err();

        let error = heard.read(&mut [0; 2]).unwrap_err();
        assert_eq!(error.to_string(), "it takes nothing of what it is told");
    }

    #[test]
    fn a_host_that_listens_late_hears_all_of_it() {
        let (mut host, pipe) = io::pipe().unwrap();
        let mut told = Weighed::new(pipe, Patience::new(MINUTE)).unwrap();
        let listener = std::thread::spawn(move || {
            // Until the pipe is full and who speaks has to wait.
            while rustix::io::ioctl_fionread(&host).unwrap() < 4096 {
                std::thread::yield_now();
            }
            let mut heard = Vec::new();
            host.read_to_end(&mut heard).unwrap();
            heard
        });

        told.write_all(&[7; 1 << 20]).unwrap();
        drop(told);

        assert_eq!(listener.join().unwrap(), [7; 1 << 20]);
    }

    #[test]
    fn an_answer_may_come_as_late_as_what_it_comes_behind_and_no_later() {
        let patience = Patience::new(MINUTE);
        let mut host = greedy(&patience);
        assert_eq!(patience.limit(), MINUTE);
        host.write_all(&[0; 40_960]).unwrap();
        assert_eq!(patience.limit(), MINUTE + Duration::from_secs(10));
        patience.0.silent_ms.store(11_000, Ordering::Relaxed);
        assert_eq!(patience.silence(), Duration::from_secs(1), "for the rest it could not be heard yet");
        host.write_all(&vec![0; 100 << 20]).unwrap();
        assert_eq!(patience.limit(), MINUTE + Duration::from_secs(2048));
    }

    #[test]
    fn what_was_sent_before_a_question_that_is_answered_is_not_under_way_any_more() {
        let patience = Patience::new(MINUTE);
        let mut host = greedy(&patience);
        for question in [1, 2, 3] {
            host.write_all(&[0; 40_960]).unwrap();
            patience.ask(question);
        }
        host.write_all(&[0; 40_960]).unwrap();
        let awaited = |question: u64| {
            patience.answered(question);
            patience.limit() - MINUTE
        };

        assert_eq!(awaited(0), Duration::from_secs(40), "nobody asked that");
        assert_eq!(awaited(2), Duration::from_secs(20));
        assert_eq!(awaited(1), Duration::from_secs(20), "an old answer takes nothing back");
        assert_eq!(awaited(3), Duration::from_secs(10));
    }
}
