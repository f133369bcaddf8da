//! The service's log: two files, each within a size.

use super::place::private;
use crate::service::rotated;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Takes what the service says. It may lose lines, when the disk is full, but never stops the service.
pub(super) struct RollingLog {
    path: PathBuf,
    file: Option<File>,
    written_bytes: u64,
    bytes_max: u64,
}

impl RollingLog {
    /// Goes on with the log at `path`. Each of its two files has at most `bytes_max`.
    pub(super) fn new(path: &Path, bytes_max: u64) -> Self {
        Self { path: path.to_owned(), file: None, written_bytes: 0, bytes_max }
    }

    pub(super) fn append(&mut self, chunk: &[u8]) {
        let limit = usize::try_from(self.bytes_max.max(1)).unwrap_or(usize::MAX);
        chunk.chunks(limit).for_each(|part| self.append_part(part));
    }

    fn append_part(&mut self, part: &[u8]) {
        let Some(mut file) = self.file.take().or_else(|| self.open()) else { return };
        if self.written_bytes > 0 && self.written_bytes + part.len() as u64 > self.bytes_max {
            drop(file);
            // Where it cannot be renamed it is begun anew: its size is promised, its age is not.
            let _ = fs::rename(&self.path, rotated(&self.path));
            let Some(fresh) = self.open_truncated() else { return };
            file = fresh;
        }
        if file.write_all(part).is_ok() {
            self.written_bytes += part.len() as u64;
            self.file = Some(file);
        }
    }

    /// Opened anew after each failure, with the size that it then really has.
    fn open(&mut self) -> Option<File> {
        let file = private().append(true).create(true).open(&self.path).ok()?;
        self.written_bytes = file.metadata().ok()?.len();
        Some(file)
    }

    fn open_truncated(&mut self) -> Option<File> {
        let file = self.open()?;
        file.set_len(0).ok()?;
        self.written_bytes = 0;
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn two_files_hold_the_end_within_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.log");
        let mut log = RollingLog::new(&path, 100);
        for number in 0..1000 {
            log.append(format!("line {number}\n").as_bytes());
        }
        let (new, old) = (fs::read_to_string(&path).unwrap(), fs::read_to_string(rotated(&path)).unwrap());
        assert!(new.len() <= 100 && old.len() <= 100);
        assert!(new.ends_with("line 999\n"));
        let lines: Vec<&str> = old.lines().chain(new.lines()).collect();
        assert_eq!(
            lines.len(),
            lines.last().unwrap()[5..].parse::<usize>().unwrap() - lines[0][5..].parse::<usize>().unwrap() + 1
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn one_chunk_larger_than_the_limit_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.log");
        let mut log = RollingLog::new(&path, 10);
        log.append(&[b'x'; 95]);
        assert!(fs::metadata(&path).unwrap().len() <= 10);
        assert_eq!(fs::metadata(rotated(&path)).unwrap().len(), 10);
    }

    #[test]
    fn a_log_goes_on_where_it_ended_and_survives_a_place_that_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later").join("service.log");
        let mut log = RollingLog::new(&path, 100);
        log.append(b"lost\n");
        fs::create_dir(path.parent().unwrap()).unwrap();
        log.append(b"kept\n");
        RollingLog::new(&path, 100).append(b"more\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept\nmore\n");
    }
}
