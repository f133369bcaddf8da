//! Hearing a host that may fall silent: it is not awaited for ever.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long is waited at once. Only such spans are counted: a process that was stopped itself has not waited meanwhile.
const SPAN: Duration = Duration::from_millis(500);
/// The slowest way that is believed in, in bytes a second, and how much may be under way on it: what pipes, `ssh` and both
/// kernels hold. An answer comes behind all of that.
const SLOWEST_BYTES: u64 = 4096;
const UNDER_WAY_BYTES_MAX: u64 = 8 << 20;

/// For how long a host may be silent; shared by who hears it and who speaks to it.
#[derive(Debug, Clone)]
pub struct Patience(Arc<AtomicU64>, Arc<AtomicU64>);

impl Patience {
    /// Waits for so long.
    pub fn new(limit: Duration) -> Self {
        let patience = Self(Arc::default(), Arc::default());
        patience.set(limit);
        patience
    }

    /// From now on waits for so long.
    pub fn set(&self, limit: Duration) {
        self.0.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// So many bytes more are under way.
    pub fn sent(&self, bytes: usize) {
        self.1.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn limit(&self) -> Duration {
        let under_way = self.1.load(Ordering::Relaxed).min(UNDER_WAY_BYTES_MAX);
        Duration::from_millis(self.0.load(Ordering::Relaxed))
            .saturating_add(Duration::from_secs(under_way / SLOWEST_BYTES))
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
        let mut silent = Duration::ZERO;
        loop {
            let limit = self.patience.limit();
            let span = SPAN.min(limit.saturating_sub(silent));
            if span.is_zero() {
                let why = format!("it has said nothing for {} s", limit.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            let mut fds = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut fds, Timespec::try_from(span).ok().as_ref()) {
                Ok(0) => silent += span,
                // Also an end and an error are something to read.
                Ok(_) => return self.pipe.read(buffer),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What is said to a host, weighed: the more there is under way, the later it answers.
#[derive(Debug)]
pub struct Weighed<W> {
    to: W,
    patience: Patience,
}

impl<W> Weighed<W> {
    /// Speaks to this.
    pub fn new(to: W, patience: Patience) -> Self {
        Self { to, patience }
    }
}

impl<W: Write> Write for Weighed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.patience.sent(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_falls_silent_is_not_awaited_for_ever() {
        let (said, mut host) = io::pipe().unwrap();
        host.write_all(b"hi").unwrap();
        let mut heard = Patient::new(said, Patience::new(Duration::from_millis(50)));
        let mut words = [0; 8];

        assert_eq!(heard.read(&mut words).unwrap(), 2);
        assert_eq!(heard.read(&mut words).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(host);
        assert_eq!(heard.read(&mut words).unwrap(), 0, "an end is no silence");
    }

    #[test]
    fn an_answer_may_come_as_late_as_what_it_comes_behind_and_no_later() {
        let minute = Duration::from_secs(60);
        let patience = Patience::new(minute);
        let mut host = Weighed::new(io::sink(), patience.clone());
        assert_eq!(patience.limit(), minute);
        host.write_all(&[0; 40_960]).unwrap();
        assert_eq!(patience.limit(), minute + Duration::from_secs(10));
        host.write_all(&vec![0; 100 << 20]).unwrap();
        assert_eq!(patience.limit(), minute + Duration::from_secs(2048));
    }
}
