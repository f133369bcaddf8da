//! What several hosts say, line by line, each with its host's name.

use serde_json::Value;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// A line that is longer is cut in two.
const LINE_BYTES_MAX: usize = 1 << 20;
/// The most that is held of one host's answer; the rest is left out.
const HELD_BYTES_MAX: usize = 64 << 20;

/// Where all hosts' lines go as they come.
type Shared<'w> = Mutex<&'w mut (dyn Write + Send)>;

/// Takes what one host says, and gives each line its name.
pub(super) struct Lines<'a, 'w> {
    host: String,
    /// The name as it stands before each line.
    label: String,
    json: bool,
    begun: Vec<u8>,
    held: Vec<u8>,
    shared: Option<&'a Shared<'w>>,
}

impl<'a, 'w> Lines<'a, 'w> {
    /// For a host among others whose longest name has `width` characters. Without somewhere to go, lines are held.
    pub(super) fn new(host: &str, width: usize, json: bool, shared: Option<&'a Shared<'w>>) -> Self {
        Self { host: host.to_owned(), label: label(host, width), json, begun: Vec::new(), held: Vec::new(), shared }
    }

    /// What was held, with the last line even if it has no end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if !self.begun.is_empty() {
            self.begun.push(b'\n');
            // What cannot be told now was not told before either.
            let _told = self.end_line();
        }
        self.held
    }

    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.begun);
        let named = if self.json { self.with_host(&line) } else { None };
        let named = named.unwrap_or_else(|| [self.label.as_bytes(), &line].concat());
        match self.shared {
            Some(shared) => {
                let mut output = shared.lock().unwrap_or_else(PoisonError::into_inner);
                output.write_all(&named).and_then(|()| output.flush())
            }
            None => {
                if self.held.len() < HELD_BYTES_MAX {
                    self.held.extend(named);
                }
                Ok(())
            }
        }
    }

    /// An object with the host as one more key.
    fn with_host(&self, line: &[u8]) -> Option<Vec<u8>> {
        let Value::Object(mut object) = serde_json::from_slice(line).ok()? else { return None };
        object.insert("host".to_owned(), self.host.clone().into());
        let mut line = serde_json::to_vec(&object).ok()?;
        line.push(b'\n');
        Some(line)
    }
}

/// A host's name as it stands before each line.
pub(super) fn label(host: &str, width: usize) -> String {
    format!("{host:<width$} | ")
}

impl Write for Lines<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend(piece);
            if self.begun.len() > LINE_BYTES_MAX {
                self.begun.push(b'\n');
            }
            if self.begun.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_host_however_it_comes() {
        let mut lines = Lines::new("web1", 6, false, None);
        for piece in ["one\ntw", "o\n", "three"] {
            lines.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(lines.finish(), b"web1   | one\nweb1   | two\nweb1   | three\n");
    }

    #[test]
    fn an_object_gets_its_host_as_a_key_and_stays_one_line() {
        let mut lines = Lines::new("web1", 4, true, None);
        lines.write_all(b"{\"v\":1}\nno object\n").unwrap();
        assert_eq!(String::from_utf8(lines.finish()).unwrap(), "{\"host\":\"web1\",\"v\":1}\nweb1 | no object\n");
    }

    #[test]
    fn lines_go_where_they_are_wanted_as_they_come() {
        let mut told = Vec::new();
        {
            let shared: Mutex<&mut (dyn Write + Send)> = Mutex::new(&mut told);
            let mut lines = Lines::new("web1", 4, false, Some(&shared));
            lines.write_all(b"one\n").unwrap();
            assert!(lines.finish().is_empty());
        }
        assert_eq!(told, b"web1 | one\n");
    }
}
