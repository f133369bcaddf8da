//! What a command says: masked, cut into lines, kept within bounds.

use cutover_core::mask::{Masker, Stream};
use cutover_core::target::{Progress, tail};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The longest line that is told in one piece, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How many lines are told; a command that says more is read on, but only its log and its excerpt have it.
const LINE_COUNT_MAX: usize = 100_000;
/// How much of what one command says its log has from the beginning, and how much from the end, in bytes.
const LOG_BYTES_MAX: (usize, usize) = (63 << 20, 1 << 20);

/// Takes output as it comes. Masking comes first, so that no cut can bare a part of a secret.
pub(super) struct Output<'a> {
    mask: Stream,
    masked: Vec<u8>,
    line: Vec<u8>,
    line_count: usize,
    excerpt: String,
    excerpt_bytes_max: usize,
    log: Option<Log>,
    progress: Option<&'a dyn Progress>,
}

impl<'a> Output<'a> {
    /// Lines are told to `progress` where there is one; of all that is said, the last `excerpt_bytes_max` are kept.
    pub(super) fn new(
        masker: &Masker,
        log: Option<&Path>,
        progress: Option<&'a dyn Progress>,
        excerpt_bytes_max: usize,
    ) -> Self {
        Self {
            mask: masker.stream(),
            masked: Vec::new(),
            line: Vec::new(),
            line_count: 0,
            excerpt: String::new(),
            excerpt_bytes_max,
            log: log.and_then(|path| Log::open(path, LOG_BYTES_MAX)),
            progress,
        }
    }

    /// Takes the next chunk.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let mut masked = std::mem::take(&mut self.masked);
        self.mask.push(chunk, &mut masked);
        self.take(&masked);
        masked.clear();
        self.masked = masked;
    }

    /// Tells what was held back and gives the end of all that was said.
    pub(super) fn finish(mut self) -> String {
        let mut masked = Vec::new();
        self.mask.finish(&mut masked);
        self.take(&masked);
        if !self.line.is_empty() {
            self.end_line();
        }
        self.log.take().into_iter().for_each(Log::finish);
        tail(&self.excerpt, self.excerpt_bytes_max).to_owned()
    }

    fn take(&mut self, masked: &[u8]) {
        if let Some(log) = &mut self.log {
            log.append(masked);
        }
        for part in masked.split_inclusive(|byte| *byte == b'\n') {
            let (mut text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            while self.line.len() + text.len() > LINE_BYTES_MAX {
                let (piece, rest) = text.split_at(LINE_BYTES_MAX - self.line.len());
                self.line.extend_from_slice(piece);
                self.end_line();
                text = rest;
            }
            self.line.extend_from_slice(text);
            if ends {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).trim_end_matches('\r').to_owned();
        self.line.clear();
        self.line_count += 1;
        if let Some(progress) = self.progress.filter(|_| self.line_count <= LINE_COUNT_MAX) {
            progress.output(&line);
        }
        self.excerpt.push_str(&line);
        self.excerpt.push('\n');
        if self.excerpt.len() > 4 * self.excerpt_bytes_max {
            self.excerpt = tail(&self.excerpt, self.excerpt_bytes_max).to_owned();
        }
    }
}

/// A log that may be lost: a full disk must not fail the command that fills it.
struct Log {
    file: File,
    room_bytes: usize,
    /// What was said last of all that came when there was no room for it, and some more before that.
    end: Vec<u8>,
    end_bytes_max: usize,
    left_out_bytes: u64,
}

impl Log {
    /// Has so many bytes of the beginning, and of the end.
    fn open(path: &Path, (room_bytes, end_bytes_max): (usize, usize)) -> Option<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok()?;
        Some(Self { file, room_bytes, end: Vec::new(), end_bytes_max, left_out_bytes: 0 })
    }

    fn append(&mut self, bytes: &[u8]) {
        let (bytes, rest) = bytes.split_at(bytes.len().min(self.room_bytes));
        self.room_bytes -= bytes.len();
        // Tried again at the next chunk: there may be room by then.
        let _ = self.file.write_all(bytes);
        self.end.extend_from_slice(rest);
        if self.end.len() > 2 * self.end_bytes_max {
            self.leave_out();
        }
    }

    /// Forgets what stands before the end that is kept.
    fn leave_out(&mut self) {
        let count = self.end.len().saturating_sub(self.end_bytes_max);
        self.end.drain(..count);
        self.left_out_bytes += count as u64;
    }

    /// Writes the end, where most people look first, and says how much is missing before it.
    fn finish(mut self) {
        self.leave_out();
        if self.left_out_bytes > 0 {
            let _ = write!(self.file, "\n[{} bytes are left out here]\n", self.left_out_bytes);
        }
        let _ = self.file.write_all(&self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_has_the_beginning_and_the_end_and_says_how_much_it_leaves_out_between() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&path, (8, 5)).unwrap();
        log.append(b"01234");
        log.append(b"56789");
        (0..100).for_each(|_| log.append(b"and so on "));
        assert!(log.end.len() <= 10, "no more is held than twice the end");
        log.append(b"the end");
        log.finish();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "01234567\n[1004 bytes are left out here]\ne end");
    }

    #[test]
    fn a_log_whose_end_follows_its_beginning_leaves_nothing_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&path, (3, 5)).unwrap();
        log.append(b"01234567");
        log.finish();
        assert_eq!(std::fs::read(&path).unwrap(), b"01234567");
    }

    #[test]
    fn a_log_with_room_has_what_was_said_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&path, (5, 0)).unwrap();
        log.append(b"01234");
        log.finish();
        assert_eq!(std::fs::read(&path).unwrap(), b"01234");
    }
}
