//! Istanbul's JSON, as jest, nyc, c8 and vitest write it: `coverage-final.json`, and `coverage-summary.json`.
//!
//! Facts from `istanbul-lib-coverage`: in the full map each file has `statementMap` with places and `s` with counts by
//! the same ids; a line is covered as often as the most executed statement that begins in it. `branchMap` and `b` are
//! alike, with a count for each of a branch's ways. The summary has counts only; its `total` repeats all files, and its
//! `pct` may be `"Unknown"`.

use super::bounded::Bounds;
use super::json::{self, Entries, Items, Pairs};
use super::lines::{CoveredLines, FileLines, TooMuch};
use super::{Fault, Format};
use cutover_core::check::Counted;
use serde::Deserialize;
use std::collections::HashMap;
use std::io::BufRead;

/// What the summary calls all files together.
const TOTAL: &str = "total";

/// Reads a report of either kind.
///
/// Fails if it is not Istanbul's, goes beyond a bound, or has no lines.
pub(super) fn read(input: impl BufRead, bounds: Bounds) -> Result<CoveredLines, Fault> {
    let mut files = CoveredLines::default();
    let entries = Entries::new(|path: String, measured: Measured| match measured.lines()? {
        // In the full map, a file may well have this name.
        lines if path == TOTAL && lines.is_summary() => Ok(()),
        lines => files.add(path, lines),
    });
    json::read(input, Format::Istanbul, bounds, entries)?;
    if files.is_empty() {
        return Err(Fault::Empty { what: "lines of code" });
    }
    Ok(files)
}

/// One file, of either kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Measured {
    statement_map: Pairs<Span>,
    s: Pairs<f64>,
    branch_map: Pairs<Branch>,
    b: Pairs<Items<f64>>,
    lines: Option<Summary>,
    branches: Option<Summary>,
}

#[derive(Deserialize)]
struct Span {
    start: Option<Position>,
}

#[derive(Deserialize)]
struct Position {
    line: Option<u32>,
}

#[derive(Deserialize)]
struct Branch {
    loc: Option<Span>,
    line: Option<u32>,
}

#[derive(Deserialize)]
struct Summary {
    total: u64,
    covered: u64,
}

impl Measured {
    fn lines(self) -> Result<FileLines, TooMuch> {
        if let Some(lines) = self.lines {
            let counted = |summary: Summary| Counted { covered: summary.covered, total: summary.total };
            return Ok(FileLines::summary(counted(lines), self.branches.map(counted).unwrap_or_default()));
        }
        let mut file = FileLines::default();
        let counts: HashMap<_, _> = self.s.0.into_iter().collect();
        for (id, span) in self.statement_map.0 {
            if let (Some(line), Some(count)) = (span.line(), counts.get(&id)) {
                file.line(line, *count > 0.0)?;
            }
        }
        let lines: HashMap<_, _> = self.branch_map.0.into_iter().map(|(id, branch)| (id, branch.line())).collect();
        for (id, ways) in self.b.0 {
            let line = lines.get(&id).copied().flatten().unwrap_or(0);
            for (way, count) in ways.0.into_iter().enumerate() {
                file.branch(line, (&id, way), count > 0.0)?;
            }
        }
        Ok(file)
    }
}

impl Span {
    fn line(&self) -> Option<u32> {
        self.start.as_ref()?.line
    }
}

impl Branch {
    fn line(&self) -> Option<u32> {
        self.line.or_else(|| self.loc.as_ref()?.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<CoveredLines, Fault> {
        read(text.as_bytes(), Bounds::default())
    }

    #[test]
    fn a_line_is_covered_if_a_statement_that_begins_in_it_is() {
        let text = r#"{"/a.js": {"path": "/a.js", "statementMap": {"0": {"start": {"line": 1, "column": 0}, "end": {"line": 9}},
            "1": {"start": {"line": 1}}, "2": {"start": {"line": 2}}}, "fnMap": {}, "f": {}, "s": {"0": 0, "1": 4, "2": 0},
            "branchMap": {"0": {"loc": {"start": {"line": 2}}, "type": "if", "locations": [{"start": {}}]}}, "b": {"0": [1, 0]}}}"#;
        let lines = read_text(text).unwrap();
        assert_eq!(lines.coverage().lines, Counted { covered: 1, total: 2 });
        assert_eq!(lines.coverage().branches, Counted { covered: 1, total: 2 });
        assert!(lines.has_lines());
    }

    #[test]
    fn a_summary_counts_files_and_not_their_total_again() {
        let text = r#"{"total": {"lines": {"total": 10, "covered": 7, "skipped": 0, "pct": 70}, "branches": {"total": 0, "covered": 0, "pct": "Unknown"}},
            "/a.js": {"lines": {"total": 10, "covered": 7, "skipped": 0, "pct": 70}, "branches": {"total": 2, "covered": 1, "pct": 50}}}"#;
        let lines = read_text(text).unwrap();
        assert_eq!(lines.coverage().lines, Counted { covered: 7, total: 10 });
        assert_eq!(lines.coverage().branches, Counted { covered: 1, total: 2 });
        assert!(!lines.has_lines());
    }

    #[test]
    fn a_report_of_no_lines_is_a_fault() {
        assert!(matches!(read_text("{}"), Err(Fault::Empty { .. })));
        let none = r#"{"total": {"lines": {"total": 0, "covered": 0, "pct": "Unknown"}}}"#;
        assert!(matches!(read_text(none), Err(Fault::Empty { .. })));
        assert!(matches!(read_text(r#"{"a": {"s": []}}"#), Err(Fault::Malformed { .. })));
    }
}
