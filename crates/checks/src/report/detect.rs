//! Which format a report has, seen from its beginning.

use super::Format;

/// How much of a report is looked at, in bytes.
pub const BEGINNING_BYTES: usize = 64 << 10;

/// The format of a report that begins with these bytes; None if it looks like none of them.
pub fn detect(beginning: &[u8]) -> Option<Format> {
    let text = String::from_utf8_lossy(beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning));
    let text = text.trim_start();
    match text.chars().next()? {
        '<' => root(text).and_then(|root| match root {
            "testsuites" | "testsuite" => Some(Format::Junit),
            "coverage" => Some(Format::Cobertura),
            _ => None,
        }),
        '{' => Keys::of(text).find_map(format_of_key),
        _ => text.lines().find_map(format_of_line),
    }
}

/// LCOV has no head; a record has `SF:`, and before it at most the test's name, a version or comments.
fn format_of_line(line: &str) -> Option<Format> {
    line.starts_with("SF:").then_some(Format::Lcov)
}

/// The name of a document's root element, without its prefix.
fn root(mut text: &str) -> Option<&str> {
    loop {
        text = text.trim_start().strip_prefix('<')?;
        let end = match text {
            _ if text.starts_with("!--") => "-->",
            _ if text.starts_with('?') => "?>",
            _ if text.starts_with('!') => ">",
            _ => break,
        };
        text = text.split_once(end)?.1;
    }
    let name = text.split(|next: char| next.is_whitespace() || matches!(next, '>' | '/')).next()?;
    Some(name.rsplit(':').next().unwrap_or(name))
}

/// A key of an object, with the key that it lies beneath.
#[derive(Clone, Copy)]
struct Key<'t> {
    above: Option<&'t str>,
    name: &'t str,
}

/// What a key tells of the format.
fn format_of_key(key: Key<'_>) -> Option<Format> {
    match (key.above, key.name) {
        (None, "runs") => Some(Format::Sarif),
        (None, "files" | "totals") | (Some("meta"), "branch_coverage" | "show_contexts") => Some(Format::CoveragePy),
        (Some(_), "statementMap" | "statements") => Some(Format::Istanbul),
        _ => None,
    }
}

/// The keys of a JSON object and of the objects in it, in their order; deeper ones are passed over.
struct Keys<'t> {
    rest: &'t str,
    depth: usize,
    above: Option<&'t str>,
    /// The string that was read last, which is a key if a colon follows.
    last: Option<&'t str>,
}

impl<'t> Keys<'t> {
    fn of(text: &'t str) -> Self {
        Self { rest: text, depth: 0, above: None, last: None }
    }
}

impl<'t> Iterator for Keys<'t> {
    type Item = Key<'t>;

    fn next(&mut self) -> Option<Key<'t>> {
        loop {
            let at = self.rest.find(['{', '}', '[', ']', '"', ':'])?;
            let (found, rest) = (self.rest.as_bytes()[at], &self.rest[at + 1..]);
            self.rest = rest;
            match found {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b'"' => {
                    let end = end_of_string(rest)?;
                    self.last = Some(&rest[..end]);
                    self.rest = &rest[end + 1..];
                }
                _ => match (self.last.take(), self.depth) {
                    (Some(name), 1) => {
                        self.above = Some(name);
                        return Some(Key { above: None, name });
                    }
                    (Some(name), 2) => return Some(Key { above: self.above, name }),
                    (Some(_) | None, _) => (),
                },
            }
        }
    }
}

fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_known_by_its_beginning() {
        let cases: [(&str, Option<Format>); 14] = [
            ("<?xml version='1.0'?>\n<!-- a > b --><testsuites/>", Some(Format::Junit)),
            ("\u{feff}\n<testsuite name='a'>", Some(Format::Junit)),
            ("<!DOCTYPE coverage SYSTEM 'x.dtd'>\n<coverage line-rate='1'>", Some(Format::Cobertura)),
            ("<checkstyle version='1'>", None),
            ("TN:\nSF:/a.c\nDA:1,1", Some(Format::Lcov)),
            ("# made by hand\nSF:a.c", Some(Format::Lcov)),
            ("DA:1,1", None),
            (r#"{"meta": {"format": 3, "version": "7", "branch_coverage": true}, "f"#, Some(Format::CoveragePy)),
            (r#"{"version": "2.1.0", "$schema": "{\"files\":", "runs": ["#, Some(Format::Sarif)),
            (r#"{"/a/b.js": {"path":"/a/b.js","statementMap":{"0""#, Some(Format::Istanbul)),
            (r#"{"total": {"lines":{"total":1},"statements":{"total""#, Some(Format::Istanbul)),
            (r#"{"a": [{"runs": 1}], "b": {"c": {"statements": 1}}}"#, None),
            ("", None),
            ("<", None),
        ];
        for (text, format) in cases {
            assert_eq!(detect(text.as_bytes()), format, "{text}");
        }
    }
}
