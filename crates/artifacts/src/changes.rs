//! What a work tree has that the branch which it shall be merged into has not.

use crate::error::ArtifactError;
use crate::git::{LINES_MAX, Lines, Repository, read_patch, utf8};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Where the branch that is merged into is looked for when nobody names it, in this order.
const BASES: [&str; 5] = ["origin/HEAD", "origin/main", "origin/master", "main", "master"];

/// How much of new files is read to count their lines, in bytes, and how much of each is looked at to see whether it is a text.
const NEW_BYTES_MAX: u64 = 256 << 20;
const BEGINNING_BYTES: usize = 8 << 10;

/// How a work tree differs from the merge base with another branch: by commits, by what is not committed yet, and by new
/// files that are not ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The branch, as it was named or found.
    pub base: String,
    /// The commit that is compared with.
    pub since: String,
    /// Whether nobody named the branch, and it has all of the commits already: the last one is compared with the one before it.
    pub is_merged: bool,
    /// Every path that differs, gone ones too, from the top. Such as are no text are written with `�`.
    pub paths: BTreeSet<String>,
    /// The lines that are added or altered, by path, from 1 as they are now; None where they are too many to be told apart.
    pub lines: Option<Lines>,
}

/// The top of the work tree that a directory lies in.
pub fn work_tree_top(directory: &Path) -> Result<PathBuf, ArtifactError> {
    Repository::at(directory).top()
}

/// Compares a work tree with this top. None where no base is named and none is found: there is nothing to compare with.
pub fn changes(top: &Path, named: Option<&str>) -> Result<Option<Changes>, ArtifactError> {
    let repository = Repository::at(top);
    let head = repository.resolve("HEAD")?;
    let Some((base, tip)) = find_base(&repository, named)? else { return Ok(None) };
    let since = repository.merge_base(&tip, &head)?.ok_or_else(|| ArtifactError::NothingInCommon(base.clone()))?;
    let is_merged = named.is_none() && since == head;
    let since = if is_merged { before(&repository, &head)? } else { since };
    let untracked = repository.untracked()?;
    let changed = repository.changed_paths(&since)?;
    let paths = changed.iter().chain(&untracked).map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    let lines = repository.changed_lines(&since, read_patch)?;
    let lines = lines.map(|lines| with_untracked(top, &untracked, lines));
    Ok(Some(Changes { base, since, is_merged, paths, lines }))
}

/// The commit before this one; nothing at all before the first one.
fn before(repository: &Repository, head: &str) -> Result<String, ArtifactError> {
    match repository.parent(head)? {
        Some(parent) => Ok(parent),
        None if repository.is_shallow()? => Err(ArtifactError::Shallow),
        None => repository.empty_tree(),
    }
}

/// The branch's name and its commit.
fn find_base(repository: &Repository, named: Option<&str>) -> Result<Option<(String, String)>, ArtifactError> {
    if let Some(name) = named {
        return Ok(Some((name.to_owned(), repository.resolve(name)?)));
    }
    for name in BASES {
        match repository.resolve(name) {
            Ok(tip) => return Ok(Some((name.to_owned(), tip))),
            Err(ArtifactError::UnknownRevision(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The same with all lines of new files. One that cannot be read, or is of no use to any report, has none.
fn with_untracked(top: &Path, untracked: &[Vec<u8>], mut lines: Lines) -> Lines {
    let (mut left, mut bytes_left) = (LINES_MAX, NEW_BYTES_MAX);
    for path in untracked.iter().filter_map(|path| utf8(path).ok()) {
        let count = line_count(&top.join(path), &mut bytes_left).unwrap_or_default().min(left);
        left -= count;
        if count > 0 {
            lines.entry(path.to_owned()).or_default().extend(1..=u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
    lines
}

/// How many lines a regular file has; none where it is no text, as git sees it: a zero byte in its beginning.
fn line_count(path: &Path, bytes_left: &mut u64) -> io::Result<usize> {
    if !path.symlink_metadata()?.is_file() {
        return Ok(0);
    }
    let mut reader = BufReader::with_capacity(BEGINNING_BYTES, File::open(path)?.take(*bytes_left));
    let (mut count, mut last) = (0, b'\n');
    if reader.fill_buf()?.contains(&0) {
        return Ok(0);
    }
    loop {
        let piece = reader.fill_buf()?;
        let Some(end) = piece.last().copied() else { break };
        count += piece.iter().filter(|byte| **byte == b'\n').count();
        (last, *bytes_left) = (end, bytes_left.saturating_sub(piece.len() as u64));
        let length = piece.len();
        reader.consume(length);
    }
    Ok(count + usize::from(last != b'\n'))
}
