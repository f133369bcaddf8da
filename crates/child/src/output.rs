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
/// How much one command may append to its log, in bytes.
const LOG_BYTES_MAX: usize = 64 << 20;

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
    left_out_bytes: u64,
}

impl Log {
    fn open(path: &Path, room_bytes: usize) -> Option<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok()?;
        Some(Self { file, room_bytes, left_out_bytes: 0 })
    }

    fn append(&mut self, bytes: &[u8]) {
        let (bytes, left_out) = bytes.split_at(bytes.len().min(self.room_bytes));
        self.room_bytes -= bytes.len();
        self.left_out_bytes += left_out.len() as u64;
        // Tried again at the next chunk: there may be room by then.
        let _ = self.file.write_all(bytes);
    }

    /// Says how much was cut, so that nobody takes the log's end for the command's.
    fn finish(mut self) {
        if self.left_out_bytes > 0 {
            let _ = writeln!(self.file, "\n[{} bytes more are left out]", self.left_out_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_says_how_much_it_leaves_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&path, 8).unwrap();
        log.append(b"01234");
        log.append(b"56789");
        log.append(b"more");
        log.finish();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "01234567\n[6 bytes more are left out]\n");
    }

    #[test]
    fn a_log_with_room_has_what_was_said_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&path, 5).unwrap();
        log.append(b"01234");
        log.finish();
        assert_eq!(std::fs::read(&path).unwrap(), b"01234");
    }
}
