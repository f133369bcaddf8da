//! Input that ends at its bounds, however it is read.

use std::io::{self, BufRead, Read};

/// The largest report that is read, in bytes.
pub const REPORT_BYTES_MAX: u64 = 2 << 30;

/// The longest piece of a report that must be held whole: a text, a tag, a string, in bytes. What a test printed is one
/// text.
pub const PIECE_BYTES_MAX: u64 = 16 << 20;

/// Bounds of one report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// All of it, in bytes.
    pub(super) report_bytes: u64,
    /// One piece of it, in bytes.
    pub(super) piece_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { report_bytes: REPORT_BYTES_MAX, piece_bytes: PIECE_BYTES_MAX }
    }
}

/// Counts what is read, and fails where a bound is passed.
pub(super) struct Bounded<R> {
    inner: R,
    bounds: Bounds,
    read_bytes: u64,
    piece_start: u64,
    passed: Option<String>,
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R, bounds: Bounds) -> Self {
        Self { inner, bounds, read_bytes: 0, piece_start: 0, passed: None }
    }

    /// Says that what comes next is another piece.
    pub(super) fn begin_piece(&mut self) {
        self.piece_start = self.read_bytes;
    }

    /// How much was read, in bytes.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The bound that was passed, in words.
    pub(super) fn passed(&self) -> Option<&str> {
        self.passed.as_deref()
    }

    fn check(&mut self) -> io::Result<()> {
        let Bounds { report_bytes, piece_bytes } = self.bounds;
        let why = if self.read_bytes > report_bytes {
            format!("it is larger than {report_bytes} bytes")
        } else if self.read_bytes - self.piece_start > piece_bytes {
            format!("one piece of it is longer than {piece_bytes} bytes")
        } else {
            return Ok(());
        };
        self.passed = Some(why.clone());
        Err(io::Error::other(why))
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.read_bytes += amount as u64;
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(into.len());
        into[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}
