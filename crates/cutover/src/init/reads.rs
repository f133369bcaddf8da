//! Variables that the sources read from their environment.

use super::surroundings::{is_secret, is_variable};
use super::tree::Tree;
use std::collections::BTreeSet;

/// Endings of sources in which variables are looked for.
const SOURCES: [&str; 7] = [".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rb"];
/// Parts of paths whose sources do not run in production.
const OTHERS: [&str; 8] = ["tests", "test", "spec", "__tests__", "examples", "docs", "scripts", "tools"];
/// The most sources that are read.
const SOURCE_COUNT_MAX: usize = 400;
/// How much is read of all of them, in bytes.
const READ_BYTES_MAX: usize = 8 << 20;
/// The most variables that are proposed.
const NAME_COUNT_MAX: usize = 40;
/// What stands before the quote of a variable's name: Python's `os.environ`, Python's and Go's `getenv`, Ruby's `ENV`.
const QUOTED_BEHIND: [&str; 6] = ["environ[", "environ.get(", "getenv(", "Getenv(", "ENV[", "ENV.fetch("];
/// What stands before a variable's bare name: Node's.
const BARE_BEHIND: &str = "process.env.";
/// What machines, shells and CIs set, and what says where things are on a person's machine.
const GIVEN: [&str; 16] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TEMP", "TMP", "TZ", "LANG", "TERM", "NO_COLOR", "CI",
    "HOSTNAME", "EDITOR",
];

/// What the sources read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reads {
    /// What does not look like a secret.
    pub(super) plain: BTreeSet<String>,
    /// What does.
    pub(super) secret: BTreeSet<String>,
}

/// Looks for names of variables, in a bounded part of the sources.
pub(super) fn reads(tree: &Tree) -> Reads {
    let (mut reads, mut left) = (Reads::default(), READ_BYTES_MAX);
    let is_own = |file: &&str| !file.split('/').any(|part| OTHERS.contains(&part) || part.starts_with("test_"));
    for file in tree.ending(&SOURCES).into_iter().filter(is_own).take(SOURCE_COUNT_MAX) {
        let Some(text) = tree.read(file) else { continue };
        let Some(rest) = left.checked_sub(text.len()) else { break };
        left = rest;
        for name in names(&text).into_iter().filter(|name| !is_given(name)) {
            if reads.plain.len() + reads.secret.len() == NAME_COUNT_MAX {
                return reads;
            }
            if is_secret(name) { &mut reads.secret } else { &mut reads.plain }.insert(name.to_owned());
        }
    }
    reads
}

fn is_given(name: &str) -> bool {
    GIVEN.contains(&name) || ["LC_", "GITHUB_", "CI_", "XDG_", "CUTOVER_"].iter().any(|begin| name.starts_with(begin))
}

/// The names of variables that a source reads.
fn names(text: &str) -> Vec<&str> {
    let quoted = QUOTED_BEHIND.iter().flat_map(|before| behind(text, before)).filter_map(|rest| {
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        rest[1..].split_once(quote).map(|(name, _)| name)
    });
    let bare = behind(text, BARE_BEHIND)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next());
    quoted.chain(bare).filter(|name| is_variable(name)).collect()
}

fn behind<'t>(text: &'t str, before: &str) -> impl Iterator<Item = &'t str> {
    let length = before.len();
    text.match_indices(before).map(move |(at, _)| &text[at + length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_ways_in_which_languages_read_them() {
        let text =
            "os.environ[\"A\"] os.environ.get('B', 1) getenv( \"C\") process.env.D_1?.x os.Getenv(\"E\") ENV['F']";
        assert_eq!(names(text), ["A", "B", "C", "E", "F", "D_1"]);
        assert_eq!(names("environ[name] getenv(\"\") process.env.x environ[\"UNENDED"), Vec::<&str>::new());
    }
}
