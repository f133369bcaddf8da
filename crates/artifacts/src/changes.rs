//! What a work tree has that the branch which it shall be merged into has not.

use crate::error::ArtifactError;
use crate::git::{LINES_MAX, Lines, Repository, read_patch, utf8};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Where the branch that is merged into is looked for when nobody names it, in this order.
const BASES: [&str; 5] = ["origin/HEAD", "origin/main", "origin/master", "main", "master"];

/// How a work tree differs from the merge base with another branch: by commits, by what is not committed yet, and by new
/// files that are not ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The work tree's top.
    pub top: PathBuf,
    /// The branch, as it was named or found.
    pub base: String,
    /// The commit that is compared with.
    pub since: String,
    /// Whether the branch has all of the commits already, so that the last one alone is compared with the one before it.
    pub is_merged: bool,
    /// Every path that differs, gone ones too, from the top. Such as are no text are written with `�`.
    pub paths: BTreeSet<String>,
    /// The lines that are added or altered, by path, from 1 as they are now.
    pub lines: Lines,
}

/// Compares the work tree of a directory. None where no base is named and none is found: there is nothing to compare with.
pub fn changes(directory: &Path, base: Option<&str>) -> Result<Option<Changes>, ArtifactError> {
    let top = Repository::at(directory).top()?;
    let repository = Repository::at(&top);
    let head = repository.resolve("HEAD")?;
    let Some((base, tip)) = find_base(&repository, base)? else { return Ok(None) };
    let since = repository.merge_base(&tip, &head)?.ok_or_else(|| ArtifactError::NothingInCommon(base.clone()))?;
    let is_merged = since == head;
    let since = match is_merged {
        true => repository.parent(&head)?.unwrap_or(head),
        false => since,
    };
    let untracked = repository.untracked()?;
    let changed = repository.changed_paths(&since)?;
    let paths = changed.iter().chain(&untracked).map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    let mut lines = repository.changed_lines(&since, read_patch)?;
    add_untracked(&top, &untracked, &mut lines);
    Ok(Some(Changes { top, base, since, is_merged, paths, lines }))
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

/// All lines of new files. One that cannot be read, or is of no use to any report, has none.
fn add_untracked(top: &Path, untracked: &[Vec<u8>], lines: &mut Lines) {
    let mut left = LINES_MAX;
    for path in untracked.iter().filter_map(|path| utf8(path).ok()) {
        let count = line_count(&top.join(path), left);
        left = left.saturating_sub(count);
        if count > 0 {
            lines.entry(path.to_owned()).or_default().extend(1..=u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
}

fn line_count(path: &Path, max: usize) -> usize {
    let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let Some(file) = is_file.then(|| File::open(path).ok()).flatten() else { return 0 };
    BufReader::new(file).split(b'\n').take(max).take_while(Result::is_ok).count()
}
