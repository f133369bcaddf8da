//! LCOV's lines, as `geninfo`, c8, Istanbul, coverage.py and cargo-llvm-cov write them.
//!
//! Facts from `geninfo(1)`: a record begins with `SF:path` and ends with `end_of_record`; the same file may have
//! several, one for each test (`TN:`). `DA:line,count[,checksum]`; `BRDA:line,[e]block,branch,taken`, where `taken` is
//! `-` for what was never reached and `branch` may be an expression with commas. Functions (`FN:` has two fields, or
//! three since LCOV 2) and totals (`LF:`, `LH:`) are not looked at.

use super::bounded::{Bounded, Bounds};
use super::lines::{CoveredLines, FileLines, TooMuch, ran};
use super::{Fault, Format, Place};
use std::io::BufRead;

/// The longest line, in bytes. Names of functions may be very long.
pub const LINE_BYTES_MAX: u64 = 1 << 20;

/// Reads a report.
///
/// Fails if a line is not LCOV's, the last record has no end, a bound is passed, or there are no lines of code.
pub(super) fn read(input: impl BufRead, bounds: Bounds) -> Result<CoveredLines, Fault> {
    let bounds = Bounds { piece_bytes: bounds.piece_bytes.min(LINE_BYTES_MAX), ..bounds };
    let mut input = Bounded::new(input, bounds);
    let mut reading = Reading::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        input.begin_piece();
        let place = Place::Line(number);
        let length = input.read_until(b'\n', &mut line).map_err(|error| match input.passed() {
            Some(passed) => Fault::Refused { place, why: passed.to_owned() },
            None => Fault::Read(error),
        })?;
        if length == 0 {
            break;
        }
        reading.line(&String::from_utf8_lossy(&line)).map_err(|wrong| wrong.at(place))?;
        reading.place = place;
    }
    reading.end()
}

/// What is wrong with a line.
enum Wrong {
    Malformed(&'static str),
    TooMuch(TooMuch),
}

impl From<TooMuch> for Wrong {
    fn from(much: TooMuch) -> Self {
        Self::TooMuch(much)
    }
}

impl Wrong {
    fn at(self, place: Place) -> Fault {
        match self {
            Self::Malformed(why) => Fault::Malformed { format: Format::Lcov, place, why: why.to_owned() },
            Self::TooMuch(much) => Fault::Refused { place, why: much.to_string() },
        }
    }
}

struct Reading {
    record: Option<(String, FileLines)>,
    files: CoveredLines,
    place: Place,
}

impl Default for Reading {
    fn default() -> Self {
        Self { record: None, files: CoveredLines::default(), place: Place::Line(0) }
    }
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), Wrong> {
        let line = line.trim();
        if line == "end_of_record" {
            return self.end_record();
        }
        match line.split_once(':') {
            Some(("SF", path)) => {
                // Some writers leave ends of records out but for the last.
                self.end_record()?;
                self.record = Some((path.to_owned(), FileLines::default()));
                Ok(())
            }
            Some(("DA", fields)) => self.covered_line(fields),
            Some(("BRDA", fields)) => self.branch(fields),
            // Other kinds, and comments.
            Some(_) => Ok(()),
            None if line.is_empty() || line.starts_with('#') => Ok(()),
            None => Err(Wrong::Malformed("it has neither a `kind:` nor `end_of_record`")),
        }
    }

    fn end_record(&mut self) -> Result<(), Wrong> {
        match self.record.take() {
            Some((path, file)) => Ok(self.files.add(path, file)?),
            None => Ok(()),
        }
    }

    fn file(&mut self) -> Result<&mut FileLines, Wrong> {
        self.record.as_mut().map(|(_, file)| file).ok_or(Wrong::Malformed("it stands in no record: no `SF:` before it"))
    }

    fn covered_line(&mut self, fields: &str) -> Result<(), Wrong> {
        let wrong = Wrong::Malformed("`DA:` wants a line's number and a count");
        let mut fields = fields.split(',');
        let (line, count) = (fields.next().and_then(|line| line.trim().parse().ok()), fields.next().and_then(ran));
        let (Some(line), Some(covered)) = (line, count) else { return Err(wrong) };
        Ok(self.file()?.line(line, covered)?)
    }

    fn branch(&mut self, fields: &str) -> Result<(), Wrong> {
        let wrong = || Wrong::Malformed("`BRDA:` wants a line's number, a block, a branch and a count");
        let (line, rest) = fields.split_once(',').ok_or_else(wrong)?;
        let (names, taken) = rest.rsplit_once(',').filter(|(names, _)| names.contains(',')).ok_or_else(wrong)?;
        let (Ok(line), Some(covered)) = (line.trim().parse(), ran(taken)) else { return Err(wrong()) };
        Ok(self.file()?.branch(line, names, covered)?)
    }

    fn end(self) -> Result<CoveredLines, Fault> {
        if self.record.is_some() {
            return Err(Wrong::Malformed("the report ends before its last record does").at(self.place));
        }
        if self.files.is_empty() {
            return Err(Fault::Empty { what: "lines of code" });
        }
        Ok(self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::check::Counted;

    fn read_text(text: &str) -> Result<CoveredLines, Fault> {
        read(text.as_bytes(), Bounds::default())
    }

    #[test]
    fn records_of_one_file_are_united_and_odd_counts_understood() {
        let text = "# by hand\nTN:one\nSF:/a.c\nFN:1,main\nFN:1,3,main\nFNDA:1,main\nDA:1,1\nDA:2,0,checksum\nDA:3,1e+06\nDA:4,-5\n\
            BRDA:1,0,0,-\nBRDA:1,0,1,2\nBRDA:2,e0,f(a, b),0\nLF:9\nLH:9\nend_of_record\n\
            TN:two\r\nSF:/a.c\r\nDA:2,7\r\nBRDA:1,0,0,1\r\nend_of_record\r\n";
        let coverage = read_text(text).unwrap().coverage();
        assert_eq!(coverage.lines, Counted { covered: 3, total: 4 });
        assert_eq!(coverage.branches, Counted { covered: 2, total: 3 });
        assert_eq!(coverage.files.total(), 1);
    }

    #[test]
    fn a_record_ends_where_the_next_begins() {
        let coverage = read_text("SF:a\nDA:1,1\nSF:b\nDA:1,0\nend_of_record\n").unwrap().coverage();
        assert_eq!((coverage.lines, coverage.files.total()), (Counted { covered: 1, total: 2 }, 2));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let faults = [
            ("SF:a\nDA:1,1\n", "line 2"),
            ("DA:1,1\nend_of_record\n", "line 1"),
            ("SF:a\nDA:1\nend_of_record\n", "line 2"),
            ("SF:a\nDA:x,1\nend_of_record\n", "line 2"),
            ("SF:a\nBRDA:1,0,1\nend_of_record\n", "line 2"),
            ("SF:a\n\nnonsense\nend_of_record\n", "line 3"),
        ];
        for (text, place) in faults {
            let fault = read_text(text).unwrap_err();
            assert!(matches!(&fault, Fault::Malformed { .. }) && fault.to_string().contains(place), "{text}: {fault}");
        }
        assert!(matches!(read_text("SF:a\nend_of_record\n"), Err(Fault::Empty { .. })));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(matches!(read(endless, Bounds::default()), Err(Fault::Refused { .. })));
    }
}
