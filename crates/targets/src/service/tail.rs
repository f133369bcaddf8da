//! The end of a log that is still written to, as it comes.

use super::log::rotated;
use std::fs::{File, metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is looked whether something was written.
const INTERVAL: Duration = Duration::from_millis(100);
/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// How much of what was written before is looked at for its last lines, in bytes.
const BEFORE_BYTES_MAX: u64 = 16 << 20;

/// Takes what a log says.
pub(super) type Tell<'t> = dyn FnMut(&[u8]) -> io::Result<()> + 't;

/// A log that is read to its end, and on from there when more is written. It may be rotated to another name meanwhile.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
}

impl Tail {
    /// The log at this path, which need not be there yet.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: File::open(path).ok() }
    }

    /// Tells its last lines, and then what comes, for as long as it is taken.
    pub(super) fn follow(mut self, lines: usize, tell: &mut Tell<'_>) -> io::Result<()> {
        tell(last_lines(&self.before()?, lines))?;
        loop {
            self.tell_new(tell)?;
            if !self.turn() {
                std::thread::sleep(INTERVAL);
            }
        }
    }

    /// What was written until now; reading goes on behind it.
    fn before(&mut self) -> io::Result<Vec<u8>> {
        let mut before = Vec::new();
        let Some(file) = &mut self.file else { return Ok(before) };
        let is = file.metadata()?;
        let older = File::open(rotated(&self.path)).ok();
        if let Some(older) = older.filter(|older| older.metadata().is_ok_and(|older| older.ino() != is.ino())) {
            read_end(&older, BEFORE_BYTES_MAX.saturating_sub(is.len()), &mut before)?;
        }
        read_end(file, BEFORE_BYTES_MAX, &mut before)?;
        Ok(before)
    }

    fn tell_new(&mut self, tell: &mut Tell<'_>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.metadata()?.len() < file.stream_position()? {
            // It was begun anew under the same name.
            file.rewind()?;
        }
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(()),
                count => tell(&piece[..count])?,
            }
        }
    }

    /// Turns to the log's next file where there is one; whether it did.
    fn turn(&mut self) -> bool {
        let own = self.file.as_ref().and_then(|file| file.metadata().ok()).map(|is| is.ino());
        let now = metadata(&self.path).ok().map(|is| is.ino());
        if now.is_none() || now == own {
            return false;
        }
        // What was still written between the last look and the rotation is in the file that is open.
        let is_read = self.file.as_mut().is_none_or(|file| {
            let at = file.stream_position().unwrap_or(0);
            file.metadata().is_ok_and(|is| is.len() <= at)
        });
        if is_read {
            self.file = File::open(&self.path).ok();
        }
        true
    }
}

/// Reads the last `bytes_max` bytes of what is there now.
fn read_end(mut file: &File, bytes_max: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
    file.take(length.min(bytes_max)).read_to_end(into).map(drop)
}

/// The last lines of a text; one that has no end yet counts as one.
fn last_lines(text: &[u8], count: usize) -> &[u8] {
    let whole = text.strip_suffix(b"\n").unwrap_or(text);
    let mut ends = whole.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    match count.checked_sub(1) {
        None => &[],
        Some(skipped) => &text[ends.nth(skipped).unwrap_or(0)..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    /// What is told until it has been taken so often.
    fn told(path: &Path, lines: usize, meanwhile: &mut dyn FnMut(usize) -> bool) -> String {
        let (mut told, mut count) = (Vec::new(), 0);
        let ended = Tail::new(path).follow(lines, &mut |piece| {
            told.extend(piece);
            count += 1;
            if meanwhile(count) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        String::from_utf8(told).unwrap()
    }

    #[test]
    fn the_last_lines_and_what_comes_are_told_across_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.log");
        fs::write(rotated(&path), "1\n2\n").unwrap();
        fs::write(&path, "3\n4\n").unwrap();

        let told = told(&path, 3, &mut |count| {
            match count {
                1 => File::options().append(true).open(&path).unwrap().write_all(b"5\n").unwrap(),
                2 => {
                    File::options().append(true).open(&path).unwrap().write_all(b"6\n").unwrap();
                    fs::rename(&path, rotated(&path)).unwrap();
                    fs::write(&path, "7\n").unwrap();
                }
                _ => {}
            }
            count < 4
        });

        assert_eq!(told, "2\n3\n4\n5\n6\n7\n");
    }

    #[test]
    fn what_was_written_last_before_a_rotation_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.log");
        fs::write(&path, "1\n").unwrap();
        let (mut tail, mut told) = (Tail::new(&path), Vec::<u8>::new());
        let mut look = |tail: &mut Tail| {
            tail.tell_new(&mut |piece| {
                told.extend(piece);
                Ok(())
            })
            .unwrap()
        };
        look(&mut tail);

        // Given that it is written to and rotated between two looks.
        File::options().append(true).open(&path).unwrap().write_all(b"2\n").unwrap();
        fs::rename(&path, rotated(&path)).unwrap();
        fs::write(&path, "3\n").unwrap();
        for _ in 0..2 {
            assert!(tail.turn());
            look(&mut tail);
        }

        assert_eq!(told, b"1\n2\n3\n");
    }

    #[test]
    fn a_log_that_comes_later_or_is_begun_anew_is_told_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.log");
        let told = told(&path, 3, &mut |count| {
            fs::write(&path, if count == 1 { "first run\n" } else { "next\n" }).unwrap();
            count < 3
        });
        assert_eq!(told, "first run\nnext\n");
    }

    #[test]
    fn the_last_lines_are_as_many_as_are_wanted() {
        for (text, count, last) in
            [("a\nb\nc\n", 2, "b\nc\n"), ("a\nb", 1, "b"), ("a\n", 5, "a\n"), ("a\n", 0, ""), ("", 2, "")]
        {
            assert_eq!(last_lines(text.as_bytes(), count), last.as_bytes(), "{text:?} {count}");
        }
    }
}
