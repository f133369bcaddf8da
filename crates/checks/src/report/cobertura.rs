//! Cobertura's XML, as coverage.py, gcovr and cargo-llvm-cov write it.
//!
//! Facts from `coverage-04.dtd` and those tools: a `class` has a `filename`, relative to one of the `source`s; its
//! lines stand in `lines`, and those of methods a second time in `methods/method/lines`, where Istanbul also lists
//! lines that it does not count; one file may be in several classes. Branches are known by number only:
//! `condition-coverage="50% (1/2)"`. Rates are not looked at: each tool computes them its own way.

use super::bounded::Bounds;
use super::lines::{CoveredLines, FileLines, TooMuch, ran};
use super::xml::{Node, Tag, Xml};
use super::{Fault, Format};
use cutover_core::check::Counted;
use std::io::BufRead;

/// The most directories that file names may be relative to.
pub const SOURCES_MAX: usize = 100;

/// Reads a report: its directories, and its files relative to one of them.
///
/// Fails if it is no Cobertura XML, goes beyond a bound, or has no lines.
pub(super) fn read(input: impl BufRead, bounds: Bounds) -> Result<(Vec<String>, CoveredLines), Fault> {
    let mut xml = Xml::new(input, Format::Cobertura, bounds);
    let mut reading = Reading::default();
    loop {
        match xml.next()? {
            Node::Open(tag) => reading.open(&tag)?,
            Node::Text(text) => reading.text(&text),
            Node::Close => {
                let closed = reading.close();
                closed.map_err(|much| xml.refused(&much.to_string()))?;
            }
            Node::End => break,
        }
    }
    if reading.files.is_empty() {
        return Err(Fault::Empty { what: "lines of code" });
    }
    Ok((reading.sources, reading.files))
}

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Class,
    Source,
    Methods,
    Other,
}

#[derive(Default)]
struct Reading {
    open: Vec<Element>,
    sources: Vec<String>,
    /// The file of the class that is open.
    path: Option<String>,
    file: FileLines,
    files: CoveredLines,
}

impl Reading {
    fn open(&mut self, tag: &Tag<'_>) -> Result<(), Fault> {
        let element = match tag.name() {
            "coverage" if self.open.is_empty() => Element::Other,
            other if self.open.is_empty() => {
                return Err(tag.malformed(&format!("its root is `{other}`, not `coverage`")));
            }
            "source" if self.sources.len() < SOURCES_MAX => {
                self.sources.push(String::new());
                Element::Source
            }
            "class" if self.path.is_none() => {
                self.path = Some(file_name(tag)?);
                Element::Class
            }
            "methods" => Element::Methods,
            "line" if self.path.is_some() && !self.open.contains(&Element::Methods) => {
                self.line(tag)?;
                Element::Other
            }
            _ => Element::Other,
        };
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let (Some(Element::Source), Some(source)) = (self.open.last(), self.sources.last_mut()) {
            source.push_str(text.trim());
        }
    }

    fn close(&mut self) -> Result<(), TooMuch> {
        match (self.open.pop(), &mut self.path) {
            (Some(Element::Class), path) => match path.take() {
                Some(path) => self.files.add(path, std::mem::take(&mut self.file)),
                None => Ok(()),
            },
            (Some(Element::Source | Element::Methods | Element::Other) | None, _) => Ok(()),
        }
    }

    fn line(&mut self, tag: &Tag<'_>) -> Result<(), Fault> {
        let (mut number, mut hits, mut conditions) = (None, None, None);
        tag.attributes(|key, value| match key {
            "number" => number = value.trim().parse().ok(),
            "hits" => hits = ran(value),
            "condition-coverage" => conditions = counted(value),
            _ => (),
        })?;
        let (Some(number), Some(hits)) = (number, hits) else {
            return Err(tag.malformed("a `line` has no `number` or no `hits`"));
        };
        self.file.line(number, hits).map_err(|much| tag.refused(&much.to_string()))?;
        match conditions {
            Some(counted) => self.file.branches(number, counted).map_err(|much| tag.refused(&much.to_string())),
            None => Ok(()),
        }
    }
}

fn file_name(tag: &Tag<'_>) -> Result<String, Fault> {
    let mut path = String::new();
    tag.attributes(|key, value| {
        if key == "filename" {
            path = value.to_owned();
        }
    })?;
    if path.is_empty() { Err(tag.malformed("a `class` has no `filename`")) } else { Ok(path) }
}

/// The counts of `50% (1/2)`.
fn counted(conditions: &str) -> Option<Counted> {
    let (covered, total) = conditions.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
    Some(Counted { covered: covered.trim().parse().ok()?, total: total.trim().parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<(Vec<String>, CoveredLines), Fault> {
        read(text.as_bytes(), Bounds::default())
    }

    #[test]
    fn lines_of_methods_and_of_other_classes_of_a_file_are_not_counted_twice() {
        let text = r#"<!DOCTYPE coverage SYSTEM 'x.dtd'><coverage line-rate="1"><sources><source> /src </source><source>lib</source></sources>
            <packages><package><classes>
            <class filename="a.py"><methods><method><lines><line number="1" hits="1"/><line number="9" hits="1"/></lines></method></methods>
            <lines><line number="1" hits="1"/><line number="2" hits="0" branch="true" condition-coverage="50% (1/2)"/></lines></class>
            <class filename="a.py"><lines><line number="2" hits="3"/><line number="3" hits="0"/></lines></class>
            </classes></package></packages></coverage>"#;
        let (sources, lines) = read_text(text).unwrap();
        assert_eq!(sources, ["/src", "lib"]);
        assert_eq!(lines.coverage().lines, Counted { covered: 2, total: 3 });
        assert_eq!(lines.coverage().branches, Counted { covered: 1, total: 2 });
        assert_eq!(lines.coverage().files.total(), 1);
    }

    #[test]
    fn what_has_no_lines_or_lacks_what_a_line_needs_is_a_fault() {
        assert!(matches!(read_text("<coverage line-rate='0.9'/>"), Err(Fault::Empty { .. })));
        let lines = ["<line hits='1'/>", "<line number='1'/>", "<line number='1' hits='many'/>"];
        for line in lines {
            let read = read_text(&format!("<coverage><class filename='a'>{line}</class></coverage>"));
            assert!(matches!(read, Err(Fault::Malformed { .. })), "{line}");
        }
        let huge = "<coverage><class filename='a'><line number='1' hits='1' condition-coverage='0% (0/4000000000)'/></class></coverage>";
        assert!(matches!(read_text(huge), Err(Fault::Refused { .. })));
        assert!(matches!(read_text("<coverage><class/></coverage>"), Err(Fault::Malformed { .. })));
    }
}
