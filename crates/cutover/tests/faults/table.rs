//! The table for people, `docs/faults.md`: what it says of a fault is what is asserted.

use crate::ran::Ran;
use std::fs;
use std::path::Path;

/// Stands in a line for what differs from case to case.
const ANYTHING: char = '…';
const COLUMN_COUNT: usize = 5;
/// Outcomes with the exit codes that they may have; of an unfinished one somebody else may tell, whose code is 0.
const OUTCOMES: [(&str, &[i32]); 6] = [
    ("deployed", &[0]),
    ("not begun", &[1, 6]),
    ("failed", &[1]),
    ("rolled back", &[3]),
    ("stuck", &[4]),
    ("unfinished", &[0, 4]),
];

/// A fault and what is promised of it.
struct Row {
    fault: String,
    outcome: String,
    exit_code: i32,
    lines: Vec<String>,
}

impl Row {
    fn parse(line: &str) -> Self {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [fault, outcome, code, says, state] = cells[..] else { panic!("not {COLUMN_COUNT} cells: {line}") };
        assert!(!state.is_empty(), "{fault} does not say what things are in");
        let lines = says.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Self { fault: fault.to_owned(), outcome: outcome.to_owned(), exit_code: code.parse().unwrap(), lines }
    }
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md")).unwrap();
    page.lines().filter(|line| line.starts_with('|')).skip(2).map(Row::parse).collect()
}

impl Ran {
    /// Fails the test unless it ended and said what the table says of this fault, each line once.
    #[track_caller]
    pub(crate) fn tells_of(self, fault: &str) -> Self {
        let row = rows().into_iter().find(|row| row.fault == fault);
        let row = row.unwrap_or_else(|| panic!("docs/faults.md does not tell of: {fault}"));
        let told = self.told();
        for wanted in &row.lines {
            let count = told.lines().filter(|line| matches(line.trim(), wanted)).count();
            assert_eq!(count, 1, "{fault}: {wanted}\n{told}");
        }
        self.expect(row.exit_code)
    }
}

/// Whether a line is this one, with anything in the places of the dots.
fn matches(line: &str, wanted: &str) -> bool {
    let mut parts = wanted.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn a_line_matches_with_anything_in_the_places_of_the_dots() {
    for (line, wanted, is_match) in [
        ("✗ smoke 0.1s — import shop", "✗ smoke … — import shop", true),
        ("✗ smoke 0.1s — import shop", "✗ smoke …", true),
        ("✗ smoke 0.1s — import shop", "✗ smoke", false),
        ("✗ smoke 0.1s — import shop: no", "✗ smoke … — import shop", false),
        ("read it: aa", "…aa…a", false),
    ] {
        assert_eq!(matches(line, wanted), is_match, "{line} as {wanted}");
    }
}

#[test]
fn every_row_of_the_table_is_asserted_and_has_the_exit_code_of_its_outcome() {
    let sources = crate::eyes::entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults"));
    let sources: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let rows = rows();
    assert!(rows.len() > 20, "only {} rows were found", rows.len());
    for row in rows {
        let name = &row.fault;
        assert!(sources.contains(&format!("\"{name}\"")), "no test asserts what the table says of: {name}");
        assert!(!row.lines.is_empty(), "{name} has no message");
        let codes = OUTCOMES.iter().find(|(outcome, _)| *outcome == row.outcome);
        let (_, codes) = codes.unwrap_or_else(|| panic!("{name}: there is no outcome {}", row.outcome));
        assert!(codes.contains(&row.exit_code), "{name}: {} with exit code {}", row.outcome, row.exit_code);
    }
}
