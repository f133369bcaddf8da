//! Texts that are not TOML: what is told of them.

use super::decode;
use super::diagnostic::{Offset, Position};
use super::sink::{DIAGNOSTIC_COUNT_MAX, Sink, show};
use std::collections::BTreeSet;
use std::ops::Range;
use toml::de::{DeTable, Error};

/// Reports the syntax errors, the first of each line: what follows there is mostly caused by it.
pub(super) fn report(text: &str, faults: &[Error], sink: &mut Sink) {
    let mut sorted: Vec<_> = faults.iter().map(|fault| (place(text, fault), fault.message())).collect();
    sorted.sort_by_key(|(span, _)| (span.start, span.end));
    sorted.truncate(causes(&sorted));
    let mut line_told = 0;
    for (span, message) in sorted {
        let line = Position::of(text, span.start).line;
        if line != line_told {
            sink.error(span.clone(), told(text, span, message), "here", hint(message).map(str::to_owned));
            line_told = line;
        }
    }
}

fn place(text: &str, fault: &Error) -> Range<Offset> {
    fault.span().unwrap_or(text.len()..text.len())
}

fn told(text: &str, span: Range<Offset>, message: &str) -> String {
    if message == "duplicate key" {
        return format!("the key `{}` is there twice", show(text.get(span).unwrap_or_default().trim()));
    }
    format!("not TOML: {message}")
}

/// How many of the errors to tell: after a list that is not closed, every line looks wrong.
fn causes(faults: &[(Range<Offset>, &str)]) -> usize {
    let index = |start: &str| faults.iter().position(|(_, message)| message.starts_with(start));
    let count = match (index("unclosed array"), index("missing comma between array elements")) {
        (Some(unclosed), Some(comma)) if comma < unclosed => comma + 1,
        (Some(_), Some(_) | None) | (None, Some(_) | None) => faults.len(),
    };
    count.min(DIAGNOSTIC_COUNT_MAX)
}

fn hint(message: &str) -> Option<&'static str> {
    match message {
        message if message.starts_with("missing comma between array") => Some("or close the list above with ']'"),
        "duplicate key" => Some("keep one of them; a table's header may stand only once"),
        message if message.contains("string values must be quoted") => Some("put it in quotes"),
        _ => None,
    }
}

/// Adds what is wrong with the rest, so far as the syntax errors cannot have caused it: nothing on
/// their lines, nothing that is merely missing.
pub(super) fn add_unrelated(text: &str, faults: &[Error], table: DeTable<'_>, sink: &mut Sink) {
    let line = |offset: Offset| Position::of(text, offset).line;
    let places = faults.iter().take(DIAGNOSTIC_COUNT_MAX).map(|fault| place(text, fault));
    let broken: BTreeSet<usize> = places.map(|span| line(span.start)).collect();
    let mut rest = Sink::partial();
    // Only the diagnostics are of interest.
    drop(decode(table, &mut rest));
    for diagnostic in rest.finish(text).into_iter().filter(|found| !broken.contains(&line(found.span.start))) {
        sink.add(diagnostic);
    }
}
