//! YAML as it is written: a few kinds of values, and one safe way to write each.
//!
//! Readers differ in what they take a bare word for (`on`, `no`, `1e3`, `2026-11-27`), so whatever is not a plain word is
//! quoted. Written for YAML 1.2, and read the same under 1.1, except for the key `on`, which GitHub wants to see bare.

use std::fmt::Write as _;

/// How deep each level stands.
const INDENT: usize = 2;

/// Words that YAML 1.1 or 1.2 takes for something else than a text (<https://yaml.org/type/bool.html>, `null`, core schema).
const RESERVED: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan"];

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    /// Nothing: the key alone.
    Nothing,
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Number(u64),
    /// A text, whatever is in it.
    Text(String),
    /// A text with a comment behind it, which has no line breaks.
    Noted(String, String),
    /// A list.
    List(Vec<Yaml>),
    /// A table, in this order.
    Table(Vec<(String, Yaml)>),
}

impl Yaml {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// A table of texts.
    pub fn table<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Table(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    fn is_nested(&self) -> bool {
        match self {
            Self::List(items) => !items.is_empty(),
            Self::Table(entries) => !entries.is_empty(),
            Self::Nothing | Self::Switch(_) | Self::Number(_) | Self::Text(_) | Self::Noted(..) => false,
        }
    }
}

/// A whole document, ending with a line break.
pub fn document(value: &Yaml) -> String {
    let mut out = String::new();
    match value {
        nested if nested.is_nested() => write_nested(&mut out, nested, 0),
        single => {
            write_single(&mut out, single, 0);
            out.push('\n');
        }
    }
    out
}

/// A list or a table that is not empty, from the beginning of a line on.
fn write_nested(out: &mut String, value: &Yaml, depth: usize) {
    match value {
        Yaml::List(items) => items.iter().for_each(|item| {
            let _infallible = write!(out, "{:depth$}-", "");
            write_item(out, item, depth);
        }),
        Yaml::Table(entries) => entries.iter().for_each(|(key, value)| {
            let _infallible = write!(out, "{:depth$}{}:", "", key_text(key));
            write_value(out, value, depth);
        }),
        Yaml::Nothing | Yaml::Switch(_) | Yaml::Number(_) | Yaml::Text(_) | Yaml::Noted(..) => {}
    }
}

/// What stands behind a dash. A table begins on the dash's own line.
fn write_item(out: &mut String, item: &Yaml, depth: usize) {
    if item.is_nested() {
        let start = out.len();
        write_nested(out, item, depth + INDENT);
        // The dash and a space stand where the first line's indentation was.
        out.replace_range(start..start + depth + INDENT, " ");
    } else {
        write_value(out, item, depth);
    }
}

/// What stands behind a key's colon.
fn write_value(out: &mut String, value: &Yaml, depth: usize) {
    if value.is_nested() {
        out.push('\n');
        write_nested(out, value, depth + INDENT);
    } else {
        if *value != Yaml::Nothing {
            out.push(' ');
        }
        write_single(out, value, depth + INDENT);
        out.push('\n');
    }
}

/// What needs no lines of its own, or brings them along; without its last line break.
fn write_single(out: &mut String, value: &Yaml, depth: usize) {
    match value {
        Yaml::Nothing => {}
        Yaml::Switch(switch) => out.push_str(if *switch { "true" } else { "false" }),
        Yaml::Number(number) => out.push_str(&number.to_string()),
        Yaml::Text(text) if is_block(text) => write_block(out, text, "", depth),
        Yaml::Text(text) => out.push_str(&in_one_line(text)),
        Yaml::Noted(text, note) if is_block(text) => write_block(out, text, &format!(" # {note}"), depth),
        Yaml::Noted(text, note) => out.push_str(&format!("{} # {note}", in_one_line(text))),
        Yaml::List(_) => out.push_str("[]"),
        Yaml::Table(_) => out.push_str("{}"),
    }
}

/// A key; GitHub's `on` is no boolean in YAML 1.2.
fn key_text(key: &str) -> String {
    if key == "on" { key.to_owned() } else { in_one_line(key) }
}

fn in_one_line(text: &str) -> String {
    if is_plain(text) || is_expression(text) {
        return text.to_owned();
    }
    // Double quotes need nothing escaped then, and a condition in single ones could hardly be read.
    let is_quoting = text.contains('\'') && !text.contains(['"', '\\']);
    if text.chars().all(is_printable) && !is_quoting {
        return format!("'{}'", text.replace('\'', "''"));
    }
    escaped(text)
}

/// Whether every reader takes it for a text as it stands.
fn is_plain(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_./@ -".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/') || text.starts_with("$/");
    begins
        && !text.ends_with(' ')
        && text.trim_start_matches('$').chars().all(inside)
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// Whether it is an expression of GitHub's that may stand bare: it begins with `$`, which means nothing in YAML.
fn is_expression(text: &str) -> bool {
    text.starts_with("${{")
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        && !text.ends_with([' ', ':'])
        && ![": ", " #"].iter().any(|mark| text.contains(mark))
}

/// Whether a character is itself within quotes, in one line, for every reader.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fefe}')
}

/// Whether it can stand as lines, and should: none that a reader would strip, fold or take for its indentation.
///
/// An expression with both kinds of quotes stands on a line of its own as it is, since there are readers that look for expressions
/// before they undo what a quoted text needs.
fn is_block(text: &str) -> bool {
    let lines = text.strip_suffix('\n').unwrap_or(text);
    let is_bare = text.contains("${{") && text.contains('\'') && text.contains(['"', '\\']);
    (lines.contains('\n') || is_bare)
        && !lines.ends_with('\n')
        && !lines.starts_with([' ', '\n'])
        && lines.chars().all(|c| is_printable(c) || c == '\n')
}

fn write_block(out: &mut String, text: &str, note: &str, depth: usize) {
    out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
    out.push_str(note);
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        let depth = if line.is_empty() { 0 } else { depth };
        let _infallible = write!(out, "\n{:depth$}{line}", "");
    }
}

/// In double quotes, where everything can be said.
fn escaped(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c => {
                let _infallible = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out + "\""
}
