//! The text of an env file: what systemd's `EnvironmentFile`, shells and dotenv readers agree on.
//!
//! A value of harmless characters stands bare; one without quotes, backslashes, dollars and line
//! breaks in single quotes; anything else in double quotes with `\` before `"`, `\`, `$` and
//! a backquote, which systemd.exec(5) and POSIX shells read alike.

use cutover_core::secret::Secret;
use std::collections::BTreeMap;

/// Renders variables as an env file.
pub fn render(variables: &BTreeMap<String, Secret>) -> Secret {
    let mut text = String::from("# Written by Cutover; changes here are replaced by the next deployment.\n");
    for (name, value) in variables {
        text.push_str(name);
        text.push('=');
        push_value(&mut text, value.expose());
        text.push('\n');
    }
    Secret::new(text)
}

fn push_value(text: &mut String, value: &str) {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(bare) {
        text.push_str(value);
    } else if !value.contains(['\'', '\\', '\n', '\r', '$', '`']) {
        text.push('\'');
        text.push_str(value);
        text.push('\'');
    } else {
        text.push('"');
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
}

/// Reads an env file: bare, single-quoted and double-quoted values, comments, `export`. Lines that are none of
/// these are passed over, as dotenv readers do.
pub fn parse(text: &str) -> BTreeMap<String, Secret> {
    let mut variables = BTreeMap::new();
    let mut rest = text;
    while let Some(line) = rest.split_inclusive('\n').next() {
        let trimmed = line.trim_start();
        let assignment = trimmed.strip_prefix("export ").unwrap_or(trimmed);
        let Some((name, _)) = assignment.split_once('=').filter(|(name, _)| is_name(name)) else {
            rest = &rest[line.len()..];
            continue;
        };
        // The value may go on over several lines, so it is read from the whole rest.
        let start = line.len() - assignment.len() + name.len() + 1;
        let (value, read) = value(&rest[start..]);
        variables.insert(name.to_owned(), Secret::new(value));
        rest = &rest[start + read..];
    }
    variables
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A value and how many bytes it took, its line's end included.
fn value(text: &str) -> (String, usize) {
    let closing = |quote: char| text.strip_prefix(quote).and_then(|inner| quoted(inner, quote));
    if let Some((value, read)) = closing('"').or_else(|| closing('\'')) {
        let line_rest = text[1 + read..].split_inclusive('\n').next().map_or(0, str::len);
        return (value, 1 + read + line_rest);
    }
    let line = text.split_inclusive('\n').next().unwrap_or_default();
    let bare = line.split(" #").next().unwrap_or_default();
    (bare.trim().to_owned(), line.len())
}

/// The value up to its closing quote, and how many bytes that took with the quote; None when it is never closed.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, at + quote.len_utf8())),
            '\\' if quote == '"' => value.extend(unescaped(chars.next()?.1)),
            c => value.push(c),
        }
    }
    None
}

/// What stands behind a backslash in double quotes. Before other characters the backslash is one itself.
fn unescaped(c: char) -> impl Iterator<Item = char> {
    let backslash = (!matches!(c, '"' | '\\' | '$' | '`')).then_some('\\');
    backslash.into_iter().chain(std::iter::once(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exposed(variables: &BTreeMap<String, Secret>) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(values in proptest::collection::btree_map("[A-Z_][A-Z0-9_]{0,8}", "[^\0\r]*", 0..6)) {
            let variables: BTreeMap<String, Secret> = values.iter().map(|(k, v)| (k.clone(), Secret::new(v.clone()))).collect();
            prop_assert_eq!(exposed(&parse(render(&variables).expose())), values);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            parse(&text);
        }
    }

    #[test]
    fn a_shell_reads_the_same_values() {
        let values = ["plain", "two words", "it's", "a\"b", "$HOME `id` \\n", "line\nbreak", "", "#no comment", "ü"];
        let variables: BTreeMap<String, Secret> = values.iter().enumerate().map(|(i, v)| (format!("V{i}"), Secret::new(*v))).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), render(&variables).expose()).unwrap();
        for (i, value) in values.iter().enumerate() {
            let script = format!(". {}; printf %s \"$V{i}\"", file.path().display());
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), *value);
        }
    }

    #[test]
    fn a_hand_written_file_is_understood() {
        let text = "# comment\nexport A=1 # note\n  B = no\nC='x # y'\nnonsense\nD=\"a\\nb\"\n";
        let read = exposed(&parse(text));
        assert_eq!(read, [("A", "1"), ("C", "x # y"), ("D", "a\\nb")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }
}
