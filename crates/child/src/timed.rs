//! Reading what another process writes, for no longer than until a moment.

use crate::running::wait_for;
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A pipe that is read until a deadline; then reading fails with [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub struct Timed<R> {
    pipe: R,
    limit: Duration,
    deadline: Instant,
}

impl<R> Timed<R> {
    /// Reads for at most `limit` from when `began`.
    pub fn new(pipe: R, began: Instant, limit: Duration) -> Self {
        Self { pipe, limit, deadline: began + limit }
    }
}

impl<R: Read + AsFd> Read for Timed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = format!("not done after {} s", self.limit.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            let mut fds = [PollFd::new(&self.pipe, PollFlags::IN)];
            wait_for(&mut fds, left);
            // Also an end and an error are something to read.
            if !fds[0].revents().is_empty() {
                return self.pipe.read(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_written_in_time_is_read_and_silence_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"said").unwrap();
        let mut timed = Timed::new(reader, Instant::now(), Duration::from_millis(50));
        let mut buffer = [0; 10];
        assert_eq!(timed.read(&mut buffer).unwrap(), 4);
        assert_eq!(timed.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(writer);
    }

    #[test]
    fn the_end_is_seen_at_once() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        let mut timed = Timed::new(reader, Instant::now(), Duration::from_secs(60));
        assert_eq!(timed.read(&mut [0; 10]).unwrap(), 0);
    }
}
