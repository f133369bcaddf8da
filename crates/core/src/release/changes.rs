//! What is new since the release before, and which version that leads to.

use super::commit::Commit;
use super::version::Version;
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};

/// What sort of change it is, as far as users care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Something new: `feat`.
    Feature,
    /// Something mended: `fix`.
    Fix,
    /// Something faster: `perf`.
    Performance,
    /// Something taken back: `revert`.
    Revert,
    /// Anything else; alone it makes no release.
    Other,
}

impl ChangeKind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Feature, Self::Fix, Self::Performance, Self::Revert, Self::Other];

    /// The kind that a word before the colon names.
    pub(super) fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "feat" | "feature" => Self::Feature,
            "fix" => Self::Fix,
            "perf" => Self::Performance,
            "revert" => Self::Revert,
            _ => Self::Other,
        }
    }
}

/// One commit's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The commit's full hash.
    pub commit: String,
    /// What sort of change it is.
    pub kind: ChangeKind,
    /// The part that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What it is, in somebody's words.
    pub text: String,
    /// What users must know before they take it, where something of theirs may break.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaking: Option<String>,
}

/// What is new, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The changes.
    pub all: Vec<Change>,
    /// The versions that commits ask for.
    pub wanted: Vec<Version>,
}

impl Changes {
    /// Reads commits, the newest first. What was made and taken back again among them is none.
    pub fn of(commits: &[Commit]) -> Self {
        let gone = taken_back(commits);
        let left = || commits.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, commit)| commit);
        Self { all: left().filter_map(Commit::change).collect(), wanted: left().filter_map(Commit::wanted).collect() }
    }

    /// The version after this one; None where nothing in them makes one. After 0.x.y what breaks is a new x, since semver.org
    /// promises nothing of these: 1.0.0 comes when a commit asks for it. What is among `known` has been given already.
    pub fn next(&self, previous: Option<&Version>, known: &[&Version]) -> Option<Version> {
        let mut wanted = self.wanted.iter().filter(|wanted| !known.contains(wanted));
        let Some(previous) = previous else { return Some(wanted.next().cloned().unwrap_or(Version::FIRST)) };
        if let Some(wanted) = wanted.next().filter(|wanted| *wanted > previous) {
            return Some(wanted.clone());
        }
        let Version { major, minor, patch, .. } = *previous;
        let has = |kind| self.all.iter().any(|change| change.kind == kind);
        let breaks = self.all.iter().any(|change| change.breaking.is_some());
        let mends = [ChangeKind::Fix, ChangeKind::Performance, ChangeKind::Revert].into_iter().any(has);
        match (major, breaks, has(ChangeKind::Feature)) {
            (1.., true, _) => Some(Version::new(major + 1, 0, 0)),
            (0, true, _) | (_, false, true) => Some(Version::new(major, minor + 1, 0)),
            (_, false, false) => mends.then(|| Version::new(major, minor, patch + 1)),
        }
    }
}

/// The places of commits that were taken back by a later one, and of those that did it. One that was itself taken back took
/// nothing back. One that takes back a merge stays: what the merge had brought is many commits, of which some may be elsewhere.
fn taken_back(commits: &[Commit]) -> BTreeSet<usize> {
    let mut gone = BTreeSet::new();
    for (at, commit) in commits.iter().enumerate().filter(|(_, commit)| commit.is_taking_back()) {
        if gone.contains(&at) {
            continue;
        }
        let mut older = commits.iter().enumerate().skip(at + 1);
        if !commit.undone.is_empty() {
            let undone: HashSet<&str> = commit.undone.iter().map(String::as_str).collect();
            gone.extend(older.filter(|(_, other)| undone.contains(other.id.as_str())).map(|(at, _)| at));
        } else if let Some((other, _)) = older.find(|(at, other)| !gone.contains(at) && commit.takes_back(other)) {
            gone.extend([at, other]);
        }
    }
    gone
}

impl Commit {
    /// Whether it may take something back.
    fn is_taking_back(&self) -> bool {
        self.reverted().is_some() || self.reverted_subject().is_some()
    }

    fn takes_back(&self, other: &Self) -> bool {
        match self.reverted() {
            Some(hash) => other.id.starts_with(hash),
            None => self.reverted_subject() == Some(other.subject()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits(messages: &[&str]) -> Vec<Commit> {
        let commit = |(at, message): (usize, &&str)| Commit {
            id: format!("{at:x}").repeat(40),
            parent_count: 1,
            message: (*message).to_owned(),
            undone: Vec::new(),
        };
        messages.iter().enumerate().map(commit).collect()
    }

    fn next(previous: &str, messages: &[&str]) -> Option<String> {
        let previous = (!previous.is_empty()).then(|| previous.parse().unwrap());
        Changes::of(&commits(messages)).next(previous.as_ref(), &[]).map(|version| version.to_string())
    }

    #[test]
    fn the_greatest_change_decides() {
        let told = [
            next("1.2.3", &["fix: a", "docs: b"]),
            next("1.2.3", &["fix: a", "feat: b"]),
            next("1.2.3", &["feat: a", "fix!: b"]),
            next("1.2.3", &["chore: a\n\nBREAKING CHANGE: b"]),
            next("1.2.3", &["perf: a"]),
            next("1.2.3", &["docs: a", "Sell more tea"]),
            next("1.2.3", &[]),
            next("0.2.3", &["fix: a"]),
            next("0.2.3", &["feat: a"]),
            next("0.2.3", &["feat!: a"]),
            next("", &["docs: a"]),
            next("1.2.3", &["docs: a\n\nRelease-As: 3.0.0"]),
            next("1.2.3", &["fix: a\n\nRelease-As: 1.0.0"]),
            next("0.9.0", &["chore: stable\n\nRelease-As: 1.0.0"]),
            next("", &["chore: early\n\nRelease-As: 0.1.0"]),
        ];
        let told: Vec<&str> = told.iter().map(|version| version.as_deref().unwrap_or("none")).collect();
        assert_eq!(
            told,
            [
                "1.2.4", "1.3.0", "2.0.0", "2.0.0", "1.2.4", "none", "none", "0.2.4", "0.3.0", "0.3.0", "1.0.0",
                "3.0.0", "1.2.4", "1.0.0", "0.1.0"
            ]
        );
    }

    #[test]
    fn what_was_made_and_taken_back_is_no_change() {
        let revert = |hash: &str| format!("Revert \"x\"\n\nThis reverts commit {}.", hash.repeat(40));
        // The newest first: 0 takes back 2.
        assert_eq!(next("1.2.3", &[&revert("2"), "fix: a", "feat: b"]).as_deref(), Some("1.2.4"));
        // 0 takes back 1, which took back 2: the feature is there.
        assert_eq!(next("1.2.3", &[&revert("1"), &revert("2"), "feat: b"]).as_deref(), Some("1.3.0"));
        // Squashed by GitHub, the subject tells.
        let squashed = "Revert \"feat: b (#7)\" (#8)\n\nReverts shop/app#7";
        assert_eq!(next("1.2.3", &[squashed, "feat: b (#7)"]), None);
        assert_eq!(next("1.2.3", &[squashed, "feat: c (#6)"]).as_deref(), Some("1.3.0"));
        assert_eq!(next("1.2.3", &[squashed]).as_deref(), Some("1.2.4"));
        // What an older release has is mended by taking it back.
        assert_eq!(next("1.2.3", &[&revert("f")]).as_deref(), Some("1.2.4"));
    }

    #[test]
    fn taking_a_merge_back_takes_back_what_it_had_brought() {
        let mut all = commits(&["Revert \"Merge b\"", "Merge b", "feat: b", "fix: a"]);
        let merge = all[1].id.clone();
        all[0].message += &format!("\n\nThis reverts commit {merge}, reversing\nchanges made to …");
        all[0].undone = [&all[1], &all[2]].map(|commit| commit.id.clone()).to_vec();
        all[1].parent_count = 2;

        let changes = Changes::of(&all);

        let kinds: Vec<ChangeKind> = changes.all.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Revert, ChangeKind::Fix]);
        assert_eq!(changes.next(Some(&Version::new(1, 2, 3)), &[]), Some(Version::new(1, 2, 4)));
    }

    #[test]
    fn a_version_that_was_wanted_and_given_is_not_given_again() {
        let changes = Changes::of(&commits(&["fix: b", "fix: a\n\nRelease-As: 2.0.0-rc.1"]));
        let (previous, candidate) = (Version::new(1, 2, 3), "2.0.0-rc.1".parse().unwrap());
        assert_eq!(changes.next(Some(&previous), &[&previous]).as_ref(), Some(&candidate));
        assert_eq!(changes.next(Some(&previous), &[&previous, &candidate]), Some(Version::new(1, 2, 4)));
    }
}
