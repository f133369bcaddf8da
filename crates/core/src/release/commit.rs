//! A commit's message, read as conventionalcommits.org 1.0.0 says.

use super::changes::{Change, ChangeKind};
use super::version::Version;

/// The longest word before the colon in bytes: what is longer is a sentence.
const TYPE_LENGTH_MAX: usize = 30;
/// The longest text that is kept of a subject or a note, in characters.
const TEXT_LENGTH_MAX: usize = 300;

/// A commit as git has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full hash.
    pub id: String,
    /// How many parents it has; a merge has several.
    pub parent_count: usize,
    /// Its whole message.
    pub message: String,
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
                kind: if self.reverted().is_some() { ChangeKind::Revert } else { ChangeKind::Other },
                scope: None,
                text: cut(subject),
                breaking: self.breaking_note(),
            });
        };
        let breaking = self.breaking_note().or_else(|| header.is_breaking.then(|| cut(header.description)));
        Some(Change {
            commit: self.id.clone(),
            kind: ChangeKind::of(header.word),
            scope: header.scope.map(cut),
            text: cut(header.description),
            breaking,
        })
    }

    /// The commit that it takes back, as `git revert` writes it.
    pub(super) fn reverted(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("This reverts commit ")?;
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        Some(&rest[..end]).filter(|hash| hash.len() >= 7)
    }

    /// The version that a footer `Release-As: 2.0.0` asks for.
    pub(super) fn wanted(&self) -> Option<Version> {
        self.footer(&["Release-As"], true)?.parse().ok()
    }

    /// What the footer `BREAKING CHANGE: …` says. It must be in capitals, as the convention says.
    fn breaking_note(&self) -> Option<String> {
        self.footer(&["BREAKING CHANGE", "BREAKING-CHANGE"], false).map(cut)
    }

    /// The value of a line `name: value` after the subject.
    fn footer(&self, names: &[&str], any_case: bool) -> Option<&str> {
        let is_name =
            |text: &str| names.iter().any(|name| text == *name || any_case && text.eq_ignore_ascii_case(name));
        let lines = self.message.trim_start().lines().skip(1);
        let mut values = lines.filter_map(|line| line.split_once(':').or_else(|| line.split_once(" #")));
        values.find(|(name, _)| is_name(name)).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }
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
        Commit { id: "a".repeat(40), parent_count: 1, message: message.to_owned() }.change()
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
        let merge =
            |message: &str| Commit { id: "a".repeat(40), parent_count: 2, message: message.to_owned() }.change();
        assert_eq!(merge("Merge pull request #1 from x/y"), None);
        assert_eq!(merge("feat: sell tea").unwrap().kind, ChangeKind::Feature);
        assert_eq!(change(&"x".repeat(1_000)).unwrap().text.chars().count(), TEXT_LENGTH_MAX + 1);
    }

    #[test]
    fn footers_name_a_version_and_what_is_taken_back() {
        let commit = |message: &str| Commit { id: String::new(), parent_count: 1, message: message.to_owned() };
        assert_eq!(commit("chore: x\n\nrelease-as: 2.0.0").wanted(), Some(Version::new(2, 0, 0)));
        assert_eq!(commit("Release-As: 2.0.0").wanted(), None, "a subject is no footer");
        assert_eq!(commit("x\n\nRelease-As: two").wanted(), None);
        let revert = commit("Revert \"x\"\n\nThis reverts commit abcdef1234.");
        assert_eq!(revert.reverted(), Some("abcdef1234"));
        assert_eq!(commit("This reverts commit ab").reverted(), None);
    }
}
