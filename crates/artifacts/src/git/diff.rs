//! Reading which lines a patch adds or alters.

use super::read_part;
use super::tree::utf8;
use crate::error::ArtifactError;
use cutover_core::artifact::PATH_LENGTH_MAX;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, ErrorKind};

/// The most lines that are told apart. A change of more is no change that anybody covers line by line.
pub(crate) const LINES_MAX: usize = 2_000_000;
/// The longest line of a patch that is no content: a path, quoted.
const HEADER_LENGTH_MAX: u64 = 8 * PATH_LENGTH_MAX as u64;

/// Line numbers from 1 by path, as they are after the change.
pub(crate) type Lines = BTreeMap<String, BTreeSet<u32>>;

/// Reads a patch that was made without context (`-U0`) and with the prefixes `a/` and `b/`.
///
/// Its form is git-diff's: `+++ b/PATH` or `+++ "b/PATH"` for each file, `@@ -A,B +C,D @@` for each place. A path that is no
/// text is left out: no report names it. None where there are more than [`LINES_MAX`].
pub(crate) fn read_patch(reader: &mut dyn BufRead) -> io::Result<Option<Lines>> {
    let (mut lines, mut path, mut count) = (Lines::new(), None, 0);
    while let Some(line) = read_part(reader, b'\n', HEADER_LENGTH_MAX)? {
        if let Some(name) = line.strip_prefix(b"+++ ") {
            path = new_name(name);
        } else if let Some(place) = line.strip_prefix(b"@@ ") {
            let Place { old, start, new } = place_of(place).ok_or_else(|| invalid("a place that is none"))?;
            skip(reader, old, new)?;
            count += new as usize;
            if count > LINES_MAX {
                return Ok(None);
            }
            if let Some(path) = path.as_ref().filter(|_| new > 0) {
                lines.entry(String::clone(path)).or_default().extend(start..start.saturating_add(new));
            }
        }
    }
    Ok(Some(lines))
}

/// A place in a patch: so many lines of before, and so many of now from this one on.
struct Place {
    old: u32,
    start: u32,
    new: u32,
}

fn place_of(line: &[u8]) -> Option<Place> {
    let line = std::str::from_utf8(line.split(|byte| *byte == b'@').next()?).ok()?;
    let mut ranges = line.split_whitespace();
    let mut range = |sign| {
        let range = ranges.next()?.strip_prefix(sign)?;
        let (start, count) = range.split_once(',').unwrap_or((range, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    let ((_, old), (start, new)): ((u32, u32), (u32, u32)) = (range('-')?, range('+')?);
    Some(Place { old, start, new })
}

/// Passes over the content of a place, which may be anything and of any length.
fn skip(reader: &mut dyn BufRead, mut old: u32, mut new: u32) -> io::Result<()> {
    while old > 0 || new > 0 {
        match reader.fill_buf()?.first() {
            Some(b'-') => old = old.saturating_sub(1),
            Some(b'+') => new = new.saturating_sub(1),
            // "\ No newline at end of file"
            Some(b'\\') => {}
            Some(_) | None => return Err(invalid("a patch that is cut off")),
        }
        skip_line(reader)?;
    }
    Ok(())
}

fn skip_line(reader: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (length, is_over) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(length);
        if is_over {
            return Ok(());
        }
    }
}

/// The file's name now; None where it is gone.
fn new_name(name: &[u8]) -> Option<String> {
    // Behind a name with a space stands a tab.
    let name = name.strip_suffix(b"\t").unwrap_or(name);
    let name = match name.strip_prefix(b"\"") {
        Some(quoted) => unquoted(quoted.strip_suffix(b"\"")?)?,
        None => name.to_vec(),
    };
    let name: Result<&str, ArtifactError> = utf8(name.strip_prefix(b"b/")?);
    name.ok().map(str::to_owned)
}

/// A name as git quotes it: like a string of C, other bytes as three octal digits.
fn unquoted(quoted: &[u8]) -> Option<Vec<u8>> {
    let (mut name, mut rest) = (Vec::with_capacity(quoted.len()), quoted);
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            name.push(*first);
            continue;
        }
        let (escaped, after) = rest.split_first()?;
        rest = after;
        name.push(match escaped {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'0'..=b'3' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let digits = [&[*escaped], digits].concat();
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?
            }
            other => *other,
        });
    }
    Some(name)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(patch: &str) -> io::Result<Lines> {
        Ok(read_patch(&mut patch.as_bytes())?.unwrap_or_default())
    }

    fn lines(of: &[(&str, &[u32])]) -> Lines {
        of.iter().map(|(path, lines)| ((*path).to_owned(), lines.iter().copied().collect())).collect()
    }

    #[test]
    fn lines_are_counted_as_they_are_now_and_content_is_never_taken_for_a_header() {
        let patch = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -3 +3,2 @@ def f():\n-old\n+++ b/evil.py\n+@@ -1 +1 @@\n\
                     @@ -9,2 +10,0 @@\n---\n-x\n@@ -20,0 +20 @@\n+last\n\\ No newline at end of file\n\
                     diff --git a/gone b/gone\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
                     diff --git a/p b/p\nBinary files a/p and b/p differ\n";

        assert_eq!(read(patch).unwrap(), lines(&[("a.py", &[3, 4, 20])]));
    }

    #[test]
    fn names_are_read_as_git_writes_them() {
        let named = |name: &str| read(&format!("+++ {name}\n@@ -0,0 +1 @@\n+x\n")).unwrap().into_keys().next();
        assert_eq!(named("b/a b.py\t").as_deref(), Some("a b.py"));
        assert_eq!(named("\"b/\\303\\244 \\\"x\\\"\\t\\\\.py\"").as_deref(), Some("ä \"x\"\t\\.py"));
        assert_eq!(named("\"b/\\377\""), None, "no text");
        assert_eq!(named("\"b/\\3"), None);
    }

    #[test]
    fn what_is_cut_off_or_too_much_is_an_error() {
        assert!(read("+++ b/a\n@@ -1 +1 @@\n-x\n").is_err());
        assert!(read("+++ b/a\n@@ -1 +x @@\n").is_err());
        let many = format!("+++ b/a\n@@ -0,0 +1,{} @@\n{}", LINES_MAX + 1, "+\n".repeat(LINES_MAX + 1));
        assert_eq!(read_patch(&mut many.as_bytes()).unwrap(), None);
        // Content has no bound of its own.
        let long = format!("+++ b/a\n@@ -0,0 +1 @@\n+{}\n", "x".repeat(1 << 20));
        assert_eq!(read(&long).unwrap(), lines(&[("a", &[1])]));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(read_patch(&mut bytes.as_slice()));
            drop(unquoted(&bytes));
        }
    }
}
