//! What git knows of versions: tags, the commits between them, and the remote that others see.

use cutover_child::{Git, GitError};
use cutover_core::artifact::is_commit_hash;
use cutover_core::release::{Commit, Version};
use std::path::Path;

/// How many commits are read.
const COMMIT_COUNT_MAX: usize = 10_000;
/// How many commits are asked for at once: what they say must be kept in memory.
const COMMIT_COUNT_AT_ONCE: usize = 500;
/// How many merges that were taken back are looked into.
const UNDONE_COUNT_MAX: usize = 100;
/// How many tags are read.
const TAG_COUNT_MAX: usize = 20_000;
/// The most that git may say, in bytes.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;
/// The largest file with a version, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The longest message of a commit that is looked at, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// A repository, as it is seen from the project's directory.
pub(crate) struct Repository {
    git: Git,
}

/// A tag that names a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionTag {
    pub(crate) version: Version,
    pub(crate) name: String,
    pub(crate) commit: String,
}

/// Commits, the newest first.
pub(crate) struct Commits {
    pub(crate) all: Vec<Commit>,
    /// How many more there are, which were not read.
    pub(crate) unread_count: usize,
}

impl Repository {
    pub(crate) fn at(directory: &Path) -> Self {
        Self { git: Git::in_dir(directory) }
    }

    /// The full hash of a commit; None where there is no such commit here.
    pub(crate) fn commit(&self, revision: &str) -> Result<Option<String>, GitError> {
        let wanted = format!("{revision}^{{commit}}");
        let answer =
            self.git.answer(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted], FILE_BYTES_MAX)?;
        let hash = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        Ok((answer.exit_code == Some(0) && is_commit_hash(&hash)).then_some(hash))
    }

    /// Whether a commit is this one, a branch's for instance, or came before it; not where one of them is not here.
    pub(crate) fn has_in_history(&self, tip: &str, commit: &str) -> Result<bool, GitError> {
        let (Some(tip), Some(commit)) = (self.commit(tip)?, self.commit(commit)?) else { return Ok(false) };
        Ok(self.git.answer(&["merge-base", "--is-ancestor", &commit, &tip], FILE_BYTES_MAX)?.exit_code == Some(0))
    }

    /// Whether commits are missing here.
    pub(crate) fn is_shallow(&self) -> Result<bool, GitError> {
        Ok(self.text(&["rev-parse", "--is-shallow-repository"])?.trim() == "true")
    }

    /// The tags of versions in the history of a commit, the highest version first.
    pub(crate) fn versions(&self, commit: &str, prefix: &str) -> Result<Vec<VersionTag>, GitError> {
        let format = "--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)";
        let text = self.text(&["for-each-ref", "--merged", commit, format, "refs/tags"])?;
        if text.lines().count() > TAG_COUNT_MAX {
            return Err(GitError::new("for-each-ref", format!("there are more than {TAG_COUNT_MAX} tags")));
        }
        let tag = |line: &str| {
            let [name, object, inner] = line.split('\0').collect::<Vec<_>>().try_into().ok()?;
            let version = str::strip_prefix(name, prefix)?.parse().ok()?;
            let commit = if inner.is_empty() { object } else { inner };
            Some(VersionTag { version, name: name.to_owned(), commit: commit.to_owned() })
        };
        let mut tags: Vec<VersionTag> = text.lines().filter_map(tag).collect();
        tags.sort_by(|one, other| other.version.cmp(&one.version));
        Ok(tags)
    }

    /// The commits that one has and the other has not. Of a project that is not the whole repository only those that touch it.
    pub(crate) fn commits(&self, previous: Option<&str>, commit: &str) -> Result<Commits, GitError> {
        let range = previous.map_or_else(|| commit.to_owned(), |previous| format!("{previous}..{commit}"));
        let is_part = !self.text(&["rev-parse", "--show-prefix"])?.trim().is_empty();
        let part: &[&str] = if is_part { &["--", "."] } else { &["--"] };
        let mut all = Vec::new();
        while all.len() < COMMIT_COUNT_MAX {
            let next = self.page(&range, part, all.len())?;
            let is_last = next.len() < COMMIT_COUNT_AT_ONCE;
            all.extend(next);
            if is_last {
                break;
            }
        }
        for commit in all.iter_mut().filter(|commit| commit.reverted().is_some()).take(UNDONE_COUNT_MAX) {
            commit.undone = self.undone(commit)?;
        }
        let unread_count = if all.len() < COMMIT_COUNT_MAX {
            0
        } else {
            let count = self.text(&[&["rev-list", "--count", &range], part].concat())?;
            count.trim().parse::<usize>().unwrap_or_default().saturating_sub(all.len())
        };
        Ok(Commits { all, unread_count })
    }

    fn page(&self, range: &str, part: &[&str], skipped: usize) -> Result<Vec<Commit>, GitError> {
        let (limit, skip) = (format!("--max-count={COMMIT_COUNT_AT_ONCE}"), format!("--skip={skipped}"));
        let log = ["log", "-z", "--encoding=UTF-8", "--no-show-signature", "--format=%H%n%P%n%B"];
        let text = self.text(&[&log, &[&*limit, &*skip, range][..], part].concat())?;
        Ok(text.split('\0').filter_map(commit_of).collect())
    }

    /// What a merge had brought that this commit takes back; nothing where it is no merge, or is not here.
    fn undone(&self, commit: &Commit) -> Result<Vec<String>, GitError> {
        let Some(merge) = commit.reverted() else { return Ok(Vec::new()) };
        if self.commit(&format!("{merge}^2"))?.is_none() {
            return Ok(Vec::new());
        }
        let limit = format!("--max-count={COMMIT_COUNT_MAX}");
        let text = self.text(&["rev-list", &limit, &format!("{merge}^1..{merge}"), "--"])?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// A text of a commit, by its path from the project's directory; None where there is none.
    pub(crate) fn file(&self, commit: &str, path: &Path) -> Result<Option<String>, GitError> {
        let object = format!("{commit}:./{}", path.display());
        let answer = self.git.answer(&["cat-file", "blob", &object], FILE_BYTES_MAX + 1)?;
        if answer.stdout.len() as u64 > FILE_BYTES_MAX {
            return Err(GitError::new("cat-file", format!("{} has more than 1 MiB", path.display())));
        }
        Ok((answer.exit_code == Some(0)).then(|| String::from_utf8_lossy(&answer.stdout).into_owned()))
    }

    /// The commit that a tag is at, here.
    pub(crate) fn tag(&self, name: &str) -> Result<Option<String>, GitError> {
        self.commit(&format!("refs/tags/{name}"))
    }

    /// The commit that a tag is at, where others see it.
    pub(crate) fn remote_tag(&self, remote: &str, name: &str) -> Result<Option<String>, GitError> {
        let (plain, peeled) = (format!("refs/tags/{name}"), format!("refs/tags/{name}^{{}}"));
        let text = self.text(&["ls-remote", "--tags", remote, &plain, &peeled])?;
        let at = |wanted: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('\t'));
            pairs.find(|(_, name)| *name == wanted).map(|(hash, _)| hash.to_owned())
        };
        // An annotated tag is told twice: itself, and what it is at.
        Ok(at(&peeled).or_else(|| at(&plain)))
    }

    /// Makes an annotated tag, here.
    pub(crate) fn make_tag(&self, name: &str, commit: &str, message: &str) -> Result<(), GitError> {
        let message = format!("--message={message}");
        self.text(&["tag", "--annotate", "--cleanup=verbatim", &message, name, commit]).map(drop)
    }

    /// Lets others have a tag, and nothing else, whatever the settings of git say. One that is there already is not moved.
    pub(crate) fn push_tag(&self, remote: &str, name: &str) -> Result<(), GitError> {
        let reference = format!("refs/tags/{name}:refs/tags/{name}");
        let alone = ["--no-follow-tags", "--recurse-submodules=no"];
        self.text(&[&["push", "--quiet", "--no-verify"], &alone[..], &[remote, &reference]].concat()).map(drop)
    }

    /// Where a remote is; None where there is none of this name.
    pub(crate) fn remote_url(&self, remote: &str) -> Result<Option<String>, GitError> {
        let answer = self.git.answer(&["remote", "get-url", remote], FILE_BYTES_MAX)?;
        let url = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        Ok((answer.exit_code == Some(0) && !url.is_empty()).then_some(url))
    }

    /// What git says, which must go well.
    fn text(&self, args: &[&str]) -> Result<String, GitError> {
        let answer = self.git.answer(args, OUTPUT_BYTES_MAX + 1)?;
        // It ends badly when nobody listens any more, so that comes first.
        if answer.stdout.len() as u64 > OUTPUT_BYTES_MAX {
            return Err(GitError::new(args[0], format!("it says more than {} MiB", OUTPUT_BYTES_MAX >> 20)));
        }
        answer.into_text(args[0])
    }
}

/// A commit as `git log` told it: hash, parents, message.
fn commit_of(text: &str) -> Option<Commit> {
    let text = text.trim_start_matches('\n');
    let (id, rest) = text.split_once('\n')?;
    let (parents, message) = rest.split_once('\n').unwrap_or((rest, ""));
    let message = &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)];
    let parent_count = parents.split_whitespace().count();
    is_commit_hash(id).then(|| Commit {
        id: id.to_owned(),
        parent_count,
        message: message.to_owned(),
        undone: Vec::new(),
    })
}
