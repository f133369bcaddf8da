//! A commit's message, read as conventionalcommits.org 1.0.0 says.

use super::changes::{Change, ChangeKind};
use super::version::Version;

/// The longest word before the colon in bytes: what is longer is a sentence.
const TYPE_LENGTH_MAX: usize = 30;
/// The longest text that is kept of a subject or a note, in characters.
const TEXT_LENGTH_MAX: usize = 300;

/// The largest number in a version that a commit may ask for: a tag must be read again, and the one after it as well.
const NUMBER_MAX: u64 = 999_999_999;

/// A commit as git has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full hash.
    pub id: String,
    /// How many parents it has; a merge has several.
    pub parent_count: usize,
    /// Its whole message.
    pub message: String,
    /// The full hashes of what a merge had brought that this commit takes back, the merge's own among them; none of any other.
    pub undone: Vec<String>,
}

impl Commit {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.trim_start().lines().next().unwrap_or_default().trim()
    }

    /// The change that it is; None of a merge that says nothing of its own.
    pub(super) fn change(&self) -> Option<Change> {
        let subject = self.subject();
        let Some(header) = Header::of(subject) else {
            let is_merge = self.parent_count > 1;
            return (!is_merge && !subject.is_empty()).then(|| Change {
                commit: self.id.clone(),
                kind: if self.is_revert() { ChangeKind::Revert } else { ChangeKind::Other },
                scope: None,
                text: cut(subject),
                breaking: self.breaking_note(subject),
            });
        };
        let breaking =
            self.breaking_note(header.description).or_else(|| header.is_breaking.then(|| cut(header.description)));
        Some(Change {
            commit: self.id.clone(),
            kind: ChangeKind::of(header.word),
            scope: header.scope.map(cut),
            text: cut(header.description),
            breaking,
        })
    }

    /// The commit that it takes back, as `git revert` writes it.
    pub fn reverted(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("This reverts commit ")?;
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        Some(&rest[..end]).filter(|hash| hash.len() >= 7)
    }

    /// The subject of what it takes back, as GitHub's button writes it where its pull request is squashed: a subject
    /// `Revert "feat: x (#7)" (#8)` above a line `Reverts owner/name#7`.
    pub(super) fn reverted_subject(&self) -> Option<&str> {
        let (quoted, _) = self.subject().strip_prefix("Revert \"")?.rsplit_once('"')?;
        let is_said = |line: &str| line.trim().strip_prefix("Reverts ").is_some_and(|what| what.contains('#'));
        self.message.lines().any(is_said).then_some(quoted)
    }

    fn is_revert(&self) -> bool {
        self.reverted().is_some() || self.subject().starts_with("Revert \"")
    }

    /// The version that a footer `Release-As: 2.0.0` asks for; none that would leave no room for the next one.
    pub(super) fn wanted(&self) -> Option<Version> {
        let is_name = |name: &str| name.eq_ignore_ascii_case("Release-As");
        let (_, value) = self.lines().find_map(|line| footer(line).filter(|(name, _)| is_name(name)))?;
        let version: Version = value.parse().ok()?;
        let parts = [version.major, version.minor, version.patch];
        parts.iter().all(|part| *part <= NUMBER_MAX).then_some(version)
    }

    /// What the footer `BREAKING CHANGE: …` says, up to a blank line or the next footer; this text where it says nothing. It must
    /// be in capitals, as the convention says, and may be an item of a list, as in the message of commits that were squashed.
    fn breaking_note(&self, otherwise: &str) -> Option<String> {
        let is_name = |name: &str| matches!(name, "BREAKING CHANGE" | "BREAKING-CHANGE");
        let mut lines = self.lines();
        let (is_item, first) = lines.find_map(|line| {
            let item = item(line);
            footer(item.unwrap_or(line)).filter(|(name, _)| is_name(name)).map(|(_, value)| (item.is_some(), value))
        })?;
        let is_of_it = |line: &&str| !line.is_empty() && footer(line).is_none() && !(is_item && item(line).is_some());
        let words = [first].into_iter().chain(lines.map(str::trim).take_while(is_of_it));
        let note = words.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        Some(cut(if note.is_empty() { otherwise } else { &note }))
    }

    /// The lines after the subject.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.message.trim_start().lines().skip(1)
    }
}

/// An item of a list.
fn item(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix(['*', '-'])?.strip_prefix(' ').map(str::trim_start)
}

/// A line `name: value` or `name #value`.
fn footer(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':').or_else(|| line.split_once(" #"))?;
    let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // A URL is none.
    let is_parted = value.is_empty() || value.starts_with(char::is_whitespace) || !line[name.len()..].starts_with(':');
    (is_word && is_parted || name == "BREAKING CHANGE").then(|| (name, value.trim()))
}

/// `type(scope)!: description`.
struct Header<'t> {
    word: &'t str,
    scope: Option<&'t str>,
    is_breaking: bool,
    description: &'t str,
}

impl<'t> Header<'t> {
    fn of(subject: &'t str) -> Option<Self> {
        let (before, description) = subject.split_once(": ")?;
        let (before, is_breaking) = before.strip_suffix('!').map_or((before, false), |before| (before, true));
        let (word, scope) = match before.split_once('(') {
            Some((word, scope)) => (word, Some(scope.strip_suffix(')')?.trim()).filter(|scope| !scope.is_empty())),
            None => (before, None),
        };
        let is_word = !word.is_empty()
            && word.len() <= TYPE_LENGTH_MAX
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let description = description.trim();
        (is_word && !description.is_empty()).then_some(Self { word, scope, is_breaking, description })
    }
}

fn cut(text: &str) -> String {
    let mut characters = text.chars();
    let kept: String = characters.by_ref().take(TEXT_LENGTH_MAX).collect();
    if characters.next().is_none() { kept } else { kept + "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(message: &str) -> Option<Change> {
        Commit { id: "a".repeat(40), parent_count: 1, message: message.to_owned(), undone: Vec::new() }.change()
    }

    #[test]
    fn a_conventional_subject_is_taken_apart() {
        let told = |message: &str| {
            let change = change(message).unwrap();
            (change.kind, change.scope, change.text, change.breaking)
        };
        let text = |text: &str| text.to_owned();
        assert_eq!(told("feat: sell tea"), (ChangeKind::Feature, None, text("sell tea"), None));
        assert_eq!(told("Fix(api): count once"), (ChangeKind::Fix, Some(text("api")), text("count once"), None));
        assert_eq!(
            told("refactor(api)!: drop v1"),
            (ChangeKind::Other, Some(text("api")), text("drop v1"), Some(text("drop v1")))
        );
        assert_eq!(
            told("fix: x\n\nWhy.\n\nBREAKING CHANGE: the port is another"),
            (ChangeKind::Fix, None, text("x"), Some(text("the port is another")))
        );
        // What was squashed is a list; a note goes on until a blank line, or until what comes next.
        let note = |body: &str| told(&format!("fix: x\n\n{body}")).3.unwrap();
        assert_eq!(note("BREAKING CHANGE:\nthe port\nis another\n\nMore."), "the port is another");
        assert_eq!(note("BREAKING CHANGE: the port\n  is another\nRefs: 7"), "the port is another");
        assert_eq!(note("BREAKING-CHANGE: see http://x\nSigned-off-by: Ada"), "see http://x");
        assert_eq!(note("* feat: a\n* BREAKING CHANGE: the port\n  is another\n* fix: b"), "the port is another");
        assert_eq!(note("- BREAKING CHANGE: the port"), "the port");
        assert_eq!(note("BREAKING CHANGE:\n- the port\n- the host"), "- the port - the host");
        assert_eq!(note("BREAKING CHANGE:"), "x");
        assert_eq!(told("perf(): faster").0, ChangeKind::Performance);
        // Small letters are a sentence, not the footer.
        assert_eq!(told("fix: x\n\nbreaking change: no").3, None);
    }

    #[test]
    fn anything_else_is_a_change_of_no_kind() {
        for message in [
            "Sell tea",
            "feat sell",
            "feat:sell",
            "see http://x",
            "feat(api: x",
            "a sentence: with a colon",
            ": x",
            "feat: ",
        ] {
            let change = change(message).unwrap();
            assert_eq!((change.kind, change.text), (ChangeKind::Other, message.trim().to_owned()));
        }
        assert_eq!(change(""), None);
        assert_eq!(change("\n \n"), None);
        let merge = |message: &str| {
            Commit { id: "a".repeat(40), parent_count: 2, message: message.to_owned(), undone: Vec::new() }.change()
        };
        assert_eq!(merge("Merge pull request #1 from x/y"), None);
        assert_eq!(merge("feat: sell tea").unwrap().kind, ChangeKind::Feature);
        assert_eq!(change(&"x".repeat(1_000)).unwrap().text.chars().count(), TEXT_LENGTH_MAX + 1);
    }

    #[test]
    fn footers_name_a_version_and_what_is_taken_back() {
        let commit = |message: &str| Commit {
            id: "a".repeat(40),
            parent_count: 1,
            message: message.to_owned(),
            undone: Vec::new(),
        };
        assert_eq!(commit("chore: x\n\nrelease-as: 2.0.0").wanted(), Some(Version::new(2, 0, 0)));
        assert_eq!(commit("Release-As: 2.0.0").wanted(), None, "a subject is no footer");
        assert_eq!(commit("x\n\nRelease-As: two").wanted(), None);
        let revert = commit("Revert \"x\"\n\nThis reverts commit abcdef1234.");
        assert_eq!(revert.reverted(), Some("abcdef1234"));
        assert_eq!(commit("This reverts commit ab").reverted(), None);
        // A number that is too large for the one after it is none.
        assert_eq!(commit("x\n\nRelease-As: 4294967294.0.0").wanted(), None);
        assert_eq!(commit("x\n\nRelease-As: 999999999.0.0").wanted(), Some(Version::new(999_999_999, 0, 0)));
        let squashed = commit("Revert \"feat: a (#7)\" (#8)\n\nReverts shop/app#7");
        assert_eq!(squashed.reverted_subject(), Some("feat: a (#7)"));
        assert_eq!(squashed.change().unwrap().kind, ChangeKind::Revert);
        assert_eq!(commit("Revert \"feat: a (#7)\" (#8)").reverted_subject(), None);
    }
}
