//! Reading env files as Cutover writes them.
//!
//! `NAME=value`, `NAME='literal'`, or `NAME="with \\ \" \$ \n escapes"`; a quoted value may go
//! over several lines. Blank lines, `#` comments and a leading `export` are passed over.

use cutover_core::secret::Secret;
use cutover_disk::{DiskError, read_regular};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::{Chars, from_utf8};

/// The largest env file that is written or read, in bytes.
pub const ENV_BYTES_MAX: u64 = 1 << 20;

/// An env file that cannot be read. It names the line and never shows it: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {why}")]
pub struct InvalidEnvFile {
    /// The line that the variable begins on, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Why the variables of an env file are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be read.
    #[error("read env file {}: {}", .0.path.display(), .0.source)]
    Unreadable(DiskError),
    /// It is not UTF-8.
    #[error("read env file {}: it is no text", .0.display())]
    NoText(PathBuf),
    /// It is no env file.
    #[error("read env file {}: {why}", path.display())]
    Invalid {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        why: InvalidEnvFile,
    },
}

impl EnvFileError {
    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.is_not_found())
    }
}

/// The variables of an env file of at most [`ENV_BYTES_MAX`]; whatever stands there instead of a file is not waited for.
pub fn read_env_file(path: &Path) -> Result<BTreeMap<String, Secret>, EnvFileError> {
    let bytes = read_regular(path, ENV_BYTES_MAX).map_err(EnvFileError::Unreadable)?;
    let text = from_utf8(&bytes).map_err(|_| EnvFileError::NoText(path.to_owned()))?;
    parse_env(text).map_err(|why| EnvFileError::Invalid { path: path.to_owned(), why })
}

/// Reads an env file's text. The last of several values of one name counts.
pub fn parse_env(text: &str) -> Result<BTreeMap<String, Secret>, InvalidEnvFile> {
    let mut reader = Reader { rest: text.chars().peekable(), line: 1 };
    let mut variables = BTreeMap::new();
    while reader.skip_to_name() {
        let line = reader.line;
        let (name, value) = reader.variable().map_err(|why| InvalidEnvFile { line, why })?;
        variables.insert(name, Secret::new(value));
    }
    Ok(variables)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// Passes over blanks and comments. False at the end.
    fn skip_to_name(&mut self) -> bool {
        while let Some(next) = self.rest.peek() {
            if *next == '#' {
                self.rest_of_line();
            } else if next.is_whitespace() {
                self.next();
            } else {
                return true;
            }
        }
        false
    }

    fn variable(&mut self) -> Result<(String, String), &'static str> {
        let name = self.name()?;
        let value = match self.rest.peek() {
            Some('\'') => self.quoted('\'')?,
            Some('"') => self.quoted('"')?,
            Some(_) | None => return Ok((name, self.rest_of_line().trim().to_owned())),
        };
        let behind = self.rest_of_line();
        let is_comment = behind.trim().is_empty() || behind.trim_start().starts_with('#');
        if is_comment { Ok((name, value)) } else { Err("has text behind a quoted value") }
    }

    fn name(&mut self) -> Result<String, &'static str> {
        let mut name = String::new();
        while let Some(next) = self.rest.next_if(|c| *c != '=' && *c != '\n') {
            name.push(next);
        }
        if self.rest.next_if_eq(&'=').is_none() {
            return Err("is not NAME=value");
        }
        let name = name.strip_prefix("export ").unwrap_or(&name).trim();
        let sound = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
        if sound { Ok(name.to_owned()) } else { Err("has no variable's name before its `=`") }
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        self.next();
        let mut value = String::new();
        loop {
            match self.next() {
                None => return Err("has a quote that is not closed"),
                Some('\0') => return Err("has a NUL character"),
                Some(c) if c == quote => return Ok(value),
                Some('\\') if quote == '"' => value.push_str(&self.escaped()),
                Some(c) => value.push(c),
            }
        }
    }

    fn escaped(&mut self) -> String {
        match self.next() {
            Some('n') => "\n".to_owned(),
            Some('r') => "\r".to_owned(),
            Some('t') => "\t".to_owned(),
            Some(c @ ('\\' | '"' | '$' | '`')) => c.to_string(),
            Some(other) => format!("\\{other}"),
            None => "\\".to_owned(),
        }
    }

    /// The rest of the line, without its end.
    fn rest_of_line(&mut self) -> String {
        let mut text = String::new();
        while let Some(next) = self.rest.next_if(|c| *c != '\n') {
            text.push(next);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_env(text).unwrap().into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
    }

    #[test]
    fn every_form_that_cutover_writes_is_read() {
        let text = "# by cutover\n\nA=plain value \nB='si\"n$gle\\n'\nC=\"a\\\\b \\\"q\\\" \\$x\\nnext\" # why\nexport D=\nE=\"two\nlines\"\nF=a#b\r\n";
        let expected = [
            ("A", "plain value"),
            ("B", "si\"n$gle\\n"),
            ("C", "a\\b \"q\" $x\nnext"),
            ("D", ""),
            ("E", "two\nlines"),
            ("F", "a#b"),
        ];
        assert_eq!(pairs(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_mistake_is_named_by_its_line_and_not_shown() {
        let of = |text: &str| parse_env(text).unwrap_err().to_string();
        assert_eq!(of("A=1\nhunter2\n"), "line 2 is not NAME=value");
        assert_eq!(of("A='open\n\n"), "line 1 has a quote that is not closed");
        assert_eq!(of("A=\"x\" y\n"), "line 1 has text behind a quoted value");
        assert_eq!(of("B=1\n=hunter2\n"), "line 2 has no variable's name before its `=`");
    }

    proptest! {
        #[test]
        fn any_value_survives_double_quotes(value in "[^\0]{0,40}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', "\\n");
            prop_assert_eq!(pairs(&format!("NAME=\"{escaped}\"\n")), [("NAME".to_owned(), value)]);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = parse_env(&text);
        }
    }
}
