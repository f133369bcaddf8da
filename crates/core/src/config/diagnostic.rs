//! What is wrong with a `cutover.toml`, and where.

use serde::Serialize;
use std::ops::Range;

/// How grave a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The text is no sound config.
    Error,
    /// The config is sound, but it probably does not say what was meant.
    Warning,
}

/// One finding about a `cutover.toml`, pointing at its exact place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong, naming the key by its path; never contains a value.
    pub message: String,
    /// Bytes of the text that are meant; inside the text and on character boundaries.
    pub span: Range<Offset>,
    /// A few words to stand at the caret.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in a text in bytes from its start.
pub type Offset = usize;

/// A place in a text as editors count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters (not bytes), from 1.
    pub column: usize,
}

impl Position {
    /// The position of a byte offset; an offset past the end or inside a character is moved back to its start.
    pub fn of(text: &str, offset: Offset) -> Self {
        let before = &text[..floor_boundary(text, offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self { line, column: before[line_start..].chars().count() + 1 }
    }
}

/// A diagnostic with lines and columns, as `--json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocatedDiagnostic {
    /// The diagnostic, its span in bytes.
    #[serde(flatten)]
    pub diagnostic: Diagnostic,
    /// Where the span starts.
    pub start: Position,
    /// Where the span ends (exclusive).
    pub end: Position,
}

impl Diagnostic {
    /// Adds the lines and columns of the text that this diagnostic is about.
    pub fn located(self, text: &str) -> LocatedDiagnostic {
        let (start, end) = (Position::of(text, self.span.start), Position::of(text, self.span.end));
        LocatedDiagnostic { diagnostic: self, start, end }
    }

    /// Moves the span into the text and onto character boundaries.
    pub(super) fn clamp(&mut self, text: &str) {
        let start = floor_boundary(text, self.span.start);
        let end = floor_boundary(text, self.span.end).max(start);
        self.span = start..end;
    }
}

/// The last character boundary at or before `offset`.
fn floor_boundary(text: &str, offset: Offset) -> Offset {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_and_lines_from_one() {
        let text = "a = 1\nä = \"ß\"\n";
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, 6), Position { line: 2, column: 1 });
        assert_eq!(Position::of(text, 8), Position { line: 2, column: 2 });
        assert_eq!(Position::of(text, 7), Position { line: 2, column: 1 }, "inside of a character");
        assert_eq!(Position::of(text, 10_000), Position { line: 3, column: 1 });
    }

    #[test]
    fn a_located_diagnostic_is_one_flat_json_object() {
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            message: "`name` is missing".to_owned(),
            span: 0..1,
            label: "here".to_owned(),
            hint: None,
        };
        let json = serde_json::to_value(diagnostic.located("x = 1")).unwrap();
        assert_eq!(json["severity"], "error");
        assert_eq!(json["span"]["end"], 1);
        assert_eq!(json["end"]["column"], 2);
    }
}
