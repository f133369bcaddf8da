//! Reading a repository with the user's own `git`.

mod diff;
mod loose;
mod objects;
mod records;
mod state;
mod tree;

pub(crate) use diff::{LINES_MAX, Lines, read_patch};
pub(crate) use loose::read_loose;
pub(crate) use objects::{Object, read_objects};
pub(crate) use state::{NewFiles, State};
pub(crate) use tree::{Oid, TreeEntry, TreeKind, utf8};

use crate::error::ArtifactError;
use crate::record::CommitInfo;
use cutover_child::{Git, GitError};
use cutover_core::artifact::is_commit_hash;
use cutover_core::check::CommitChecks;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The longest revision in bytes.
const REVISION_LENGTH_MAX: usize = 500;
/// The most output of a command that answers in a few lines.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// The most that is read of tags: some 100,000 of them.
const TAGS_BYTES_MAX: u64 = 16 << 20;

/// What is read from git at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What the user's own configuration must not change about a comparison.
const DIFF: &[&str] = &["--no-renames", "--no-ext-diff", "--no-relative", "--ignore-submodules=none"];

/// A git repository, bare or with a work tree.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    git: Git,
}

impl Repository {
    /// The repository that a directory belongs to; fails at the first command when there is none.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { git: Git::in_dir(dir) }
    }

    /// The full hash of the commit that a revision names.
    pub(crate) fn resolve(&self, revision: &str) -> Result<String, ArtifactError> {
        if revision.is_empty() || revision.len() > REVISION_LENGTH_MAX || revision.contains(['\0', '\n']) {
            return Err(ArtifactError::UnknownRevision(revision.chars().take(100).collect()));
        }
        let object = format!("{revision}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &object];
        let answer = self.git.answer(&args, ANSWER_BYTES_MAX)?;
        match (answer.exit_code, last_line(&answer.stdout)) {
            (Some(0), Some(hash)) if is_commit_hash(hash) => Ok(hash.to_owned()),
            // 128 is git's code for "not a repository", "not yours" and the like.
            (Some(128) | None, _) => Err(answer.failure("rev-parse").into()),
            (Some(_), _) => Err(ArtifactError::UnknownRevision(revision.to_owned())),
        }
    }

    /// What is remembered of a commit; `revision` is how the user named it.
    pub(crate) fn describe(&self, hash: &str, revision: &str) -> Result<CommitInfo, ArtifactError> {
        let format = "--format=%an <%ae>%x00%ct%x00%s";
        let log = ["log", "-1", "--no-show-signature", "--no-color", "--encoding=UTF-8", format, hash, "--"];
        let text = self.git.answer(&log, ANSWER_BYTES_MAX)?.into_text("log")?;
        let malformed = || failed("log", "unexpected output");
        let mut fields = text.trim_end_matches('\n').splitn(3, '\0');
        let mut field = || fields.next().ok_or_else(malformed);
        let (author, seconds, subject) = (field()?.to_owned(), field()?, field()?.to_owned());
        let seconds = seconds.parse().map_err(|_| malformed())?;
        let committed_at = Timestamp::from_second(seconds).map_err(|_| malformed())?;
        Ok(CommitInfo {
            subject,
            author,
            committed_at,
            branch: self.branch(revision)?,
            checks: CommitChecks::default(),
        })
    }

    /// The branch that a revision names directly or, as `HEAD`, stands for.
    fn branch(&self, revision: &str) -> Result<Option<String>, ArtifactError> {
        let args = ["rev-parse", "--symbolic-full-name", "--end-of-options", revision];
        let answer = self.git.answer(&args, ANSWER_BYTES_MAX)?;
        if answer.exit_code.is_none() {
            // Killed, it said nothing; that is not the same as "no branch".
            return Err(answer.failure("rev-parse").into());
        }
        Ok(last_line(&answer.stdout).and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned))
    }

    /// Every file, link and submodule of a commit, in the order of their paths.
    pub(crate) fn tree(&self, hash: &str) -> Result<Vec<TreeEntry>, ArtifactError> {
        records::records(&self.git, &["ls-tree", "-r", "-z", "--full-tree", hash], tree::parse)
    }

    /// The newest commit that both have; None where they share none that is here.
    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, ArtifactError> {
        let answer = self.git.answer(&["merge-base", one, other], ANSWER_BYTES_MAX)?;
        match (answer.exit_code, last_line(&answer.stdout)) {
            (Some(0), Some(hash)) if is_commit_hash(hash) => Ok(Some(hash.to_owned())),
            (Some(1), None) => Ok(None),
            (Some(_) | None, _) => Err(answer.failure("merge-base").into()),
        }
    }

    /// The commit before this one, the first where there are several.
    pub(crate) fn parent(&self, hash: &str) -> Result<Option<String>, ArtifactError> {
        match self.resolve(&format!("{hash}^1")) {
            Ok(parent) => Ok(Some(parent)),
            Err(ArtifactError::UnknownRevision(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether older commits were not fetched.
    pub(crate) fn is_shallow(&self) -> Result<bool, ArtifactError> {
        let answer = self.git.answer(&["rev-parse", "--is-shallow-repository"], ANSWER_BYTES_MAX)?;
        Ok(answer.into_text("rev-parse")?.trim() == "true")
    }

    /// The tree without anything in it.
    pub(crate) fn empty_tree(&self) -> Result<String, ArtifactError> {
        let answer = self.git.answer(&["hash-object", "-t", "tree", "/dev/null"], ANSWER_BYTES_MAX)?;
        Ok(answer.into_text("hash-object")?.trim().to_owned())
    }

    /// The paths in which the work tree differs from a commit, without new files; to be called on the top directory.
    pub(crate) fn changed_paths(&self, hash: &str) -> Result<Vec<Vec<u8>>, ArtifactError> {
        records::records(&self.git, &[&["diff", "--name-only", "-z"], DIFF, &[hash, "--"]].concat(), |path| {
            Ok(path.to_vec())
        })
    }

    /// The lines in which it does; `read` takes them from the patch. None where they are too many.
    pub(crate) fn changed_lines(
        &self,
        hash: &str,
        read: fn(&mut dyn BufRead) -> std::io::Result<Option<Lines>>,
    ) -> Result<Option<Lines>, ArtifactError> {
        let form = [
            "diff",
            "-U0",
            "--inter-hunk-context=0",
            "--no-color",
            "--no-textconv",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        ];
        let mut running = self.git.start(&[&form, DIFF, &[hash, "--"]].concat(), std::process::Stdio::null())?;
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, running.stdout()?);
        let lines = read(&mut reader).map_err(|error| failed("diff", error.to_string()))?;
        if lines.is_some() {
            running.succeed()?;
        }
        Ok(lines)
    }

    /// The files that are neither tracked nor ignored; to be called on the top directory.
    pub(crate) fn untracked(&self) -> Result<Vec<Vec<u8>>, ArtifactError> {
        records::records(&self.git, &["ls-files", "-z", "--others", "--exclude-standard"], |path| Ok(path.to_vec()))
    }

    /// The top directory of the work tree.
    pub(crate) fn top(&self) -> Result<PathBuf, ArtifactError> {
        self.directory(&["rev-parse", "--show-toplevel"])?
            .ok_or_else(|| failed("rev-parse", "there is no work tree here"))
    }

    /// Where git keeps the objects, packed and loose.
    pub(crate) fn objects(&self) -> Result<PathBuf, ArtifactError> {
        let dir = self.directory(&["rev-parse", "--git-path", "objects"])?;
        // Git names it as seen from where it runs.
        dir.map(|dir| self.git.dir().join(dir)).ok_or_else(|| failed("rev-parse", "it does not say where objects lie"))
    }

    /// The directory that a command prints; `None` when it prints nothing.
    fn directory(&self, args: &[&str]) -> Result<Option<PathBuf>, ArtifactError> {
        let mut path = self.git.answer(args, ANSWER_BYTES_MAX)?.into_bytes(args[0])?;
        let is_named = path.pop() == Some(b'\n') && !path.is_empty();
        Ok(is_named.then(|| std::ffi::OsString::from_vec(path).into()))
    }

    /// Whether the work tree or the index differs from `HEAD` in anything that is not ignored.
    pub(crate) fn is_dirty(&self) -> Result<bool, ArtifactError> {
        self.differs(&[])
    }

    /// The same for what these pathspecs choose; all of it when there are none.
    pub(crate) fn differs(&self, pathspecs: &[&str]) -> Result<bool, ArtifactError> {
        Ok(self.first_difference(pathspecs)?.is_some())
    }

    /// The first path of these pathspecs in which it does; a new directory stands for what is in it.
    pub(crate) fn first_difference(&self, pathspecs: &[&str]) -> Result<Option<Vec<u8>>, ArtifactError> {
        Ok(self.state(pathspecs, NewFiles::Seen)?.difference)
    }

    /// What is checked out, and the first path of these pathspecs in which the work tree or the index differs from it.
    pub(crate) fn state(&self, pathspecs: &[&str], new_files: NewFiles) -> Result<State, ArtifactError> {
        let form = ["status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--no-renames", "-z"];
        let seen = ["--ignore-submodules=none", new_files.argument(), "--"];
        // The first says it all: no need to read a million.
        records::until(&self.git, &[&form[..], &seen, pathspecs].concat(), State::default(), State::read)
    }

    /// The paths of a work tree that are tracked, or neither tracked nor ignored; to be called on
    /// the top directory. Some may be deleted.
    pub(crate) fn work_tree_paths(&self) -> Result<Vec<Vec<u8>>, ArtifactError> {
        let args = ["ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard"];
        let mut paths = records::records(&self.git, &args, tree::parse_tagged)?;
        // A file with conflicts comes once per side.
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }
}

impl Repository {
    /// The commits of all tags, by the tags' names.
    pub(crate) fn tags(&self) -> Result<BTreeMap<String, String>, ArtifactError> {
        self.listed_tags(&["show-ref", "--tags", "--dereference"])
    }

    /// The same at the remote, `origin` where there are several; None where there is none.
    pub(crate) fn remote_tags(&self) -> Result<Option<BTreeMap<String, String>>, ArtifactError> {
        let remotes = self.git.answer(&["remote"], ANSWER_BYTES_MAX)?.into_text("remote")?;
        let remote = remotes.lines().find(|name| *name == "origin").or(remotes.lines().next());
        remote.map(|remote| self.listed_tags(&["ls-remote", "--tags", "--", remote])).transpose()
    }

    /// Reads `<hash> refs/tags/<name>`, and `<hash> refs/tags/<name>^{}` for what an annotated tag leads to.
    fn listed_tags(&self, args: &[&str]) -> Result<BTreeMap<String, String>, ArtifactError> {
        let answer = self.git.answer(args, TAGS_BYTES_MAX + 1)?;
        // Where there are none, `show-ref` has 1 as its exit code.
        if args[0] == "show-ref" && answer.exit_code == Some(1) && answer.stdout.is_empty() {
            return Ok(BTreeMap::new());
        }
        let text = answer.into_text(args[0])?;
        if text.len() as u64 > TAGS_BYTES_MAX {
            return Err(failed(args[0], "there are too many tags"));
        }
        let lines = text.lines().filter_map(|line| line.split_once([' ', '\t']));
        // What a tag leads to comes after the tag itself, and takes its place.
        let tag = |(hash, name): (&str, &str)| {
            let name = name.strip_prefix("refs/tags/")?;
            is_commit_hash(hash).then(|| (name.trim_end_matches("^{}").to_owned(), hash.to_owned()))
        };
        Ok(lines.filter_map(tag).collect())
    }
}

fn failed(command: &str, detail: impl Into<String>) -> ArtifactError {
    GitError::new(command, detail).into()
}

/// The last line: old versions of git print `--end-of-options` as a line of its own first.
fn last_line(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()?.lines().next_back()
}

/// Reads the next part up to a delimiter, without it; `None` at the end. A part may have `max` bytes.
fn read_part(reader: &mut dyn BufRead, delimiter: u8, max: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut part = Vec::new();
    std::io::Read::take(reader, max + 1).read_until(delimiter, &mut part)?;
    match part.pop() {
        None => Ok(None),
        Some(last) if last == delimiter => Ok(Some(part)),
        Some(_) => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a part is too long or cut off")),
    }
}
