//! coverage.py's own JSON (`coverage json`).
//!
//! Facts from coverage.py's `jsonreport.py`: `files` has for each path `executed_lines`, `missing_lines` (lines left
//! out by `excluded_lines` are in neither), and with `--branch` also `executed_branches` and `missing_branches` as
//! pairs of lines, the second negative where a function is left. `percent_covered` counts branches in and is not looked
//! at.

use super::bounded::Bounds;
use super::json::{self, Entries, Items, Only};
use super::lines::{CoveredLines, FileLines, TooMuch};
use super::{Fault, Format, Place};
use serde::Deserialize;
use std::io::BufRead;

/// Reads a report.
///
/// Fails if it is not coverage.py's, goes beyond a bound, or has no lines.
pub(super) fn read(input: impl BufRead, bounds: Bounds) -> Result<CoveredLines, Fault> {
    let mut files = CoveredLines::default();
    let entries = Entries::new(|path, measured: Measured| files.add(path, measured.lines()?));
    let found = json::read(input, Format::CoveragePy, bounds, Only { key: "files", seed: entries })?;
    if found.is_none() {
        let why = "it has no `files`".to_owned();
        return Err(Fault::Malformed { format: Format::CoveragePy, place: Place::Line(1), why });
    }
    if files.is_empty() {
        return Err(Fault::Empty { what: "lines of code" });
    }
    Ok(files)
}

/// One file.
#[derive(Deserialize)]
struct Measured {
    executed_lines: Items<u32>,
    missing_lines: Items<u32>,
    #[serde(default)]
    executed_branches: Items<(i64, i64)>,
    #[serde(default)]
    missing_branches: Items<(i64, i64)>,
}

impl Measured {
    fn lines(self) -> Result<FileLines, TooMuch> {
        let mut file = FileLines::default();
        for (lines, covered) in [(self.executed_lines, true), (self.missing_lines, false)] {
            lines.0.into_iter().try_for_each(|line| file.line(line, covered))?;
        }
        for (branches, covered) in [(self.executed_branches, true), (self.missing_branches, false)] {
            // A branch may begin outside of lines, too; where, nobody asks.
            let mut pairs = branches.0.into_iter();
            pairs.try_for_each(|(from, to)| file.branch(u32::try_from(from).unwrap_or(0), (from, to), covered))?;
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::check::Counted;

    #[test]
    fn lines_and_branches_are_counted_and_percentages_are_not_believed() {
        let text = r#"{"meta": {"format": 3, "branch_coverage": true}, "files": {"a.py": {"executed_lines": [1, 2],
            "summary": {"percent_covered": 100.0}, "missing_lines": [4], "excluded_lines": [9],
            "executed_branches": [[2, 4]], "missing_branches": [[2, -1]], "functions": {"f": {"executed_lines": [1]}}},
            "b.py": {"executed_lines": [], "missing_lines": [1]}}, "totals": {"percent_covered": 100.0}}"#;
        let coverage = read(text.as_bytes(), Bounds::default()).unwrap().coverage();
        assert_eq!(coverage.lines, Counted { covered: 2, total: 4 });
        assert_eq!(coverage.branches, Counted { covered: 1, total: 2 });
        assert_eq!(coverage.files.total(), 2);
    }

    #[test]
    fn what_has_no_files_or_no_lines_is_a_fault() {
        let read = |text: &str| read(text.as_bytes(), Bounds::default());
        assert!(matches!(read(r#"{"files": {}}"#), Err(Fault::Empty { .. })));
        for text in [r#"{"meta": {}}"#, r#"{"files": []}"#, r#"{"files": {"a": {}}}"#, r#"{"files": {"a": 1}"#] {
            assert!(matches!(read(text), Err(Fault::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn strings_without_end_and_long_lists_are_refused() {
        use std::io::{BufReader, Read};
        let bounds = Bounds { report_bytes: 1 << 20, piece_bytes: 1 << 16 };
        let endless = r#"{"meta": ""#.as_bytes().chain(std::io::repeat(b'x'));
        assert!(matches!(read(BufReader::new(endless), bounds), Err(Fault::Refused { .. })));
        let list = r#"{"files": {"a": {"executed_lines": ["#.to_owned() + &"1,".repeat(json::ITEMS_MAX + 1);
        let fault = read(list.as_bytes(), Bounds::default()).unwrap_err();
        assert!(fault.to_string().contains("invalid length 1000001"), "{fault}");
    }
}
