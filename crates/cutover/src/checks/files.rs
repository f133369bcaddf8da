//! The files that a check writes, as they lie in the work tree.

use cutover_artifacts::Filter;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many files and directories are looked at for one pattern, and how deep.
const ENTRY_COUNT_MAX: usize = 1_000_000;
const DEPTH_MAX: usize = 100;

/// What a file is until somebody writes to it: `ctime` cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    changed_at: (i64, i64),
}

/// How long a file system's clock may stand still.
pub(super) const TICK_MAX: Duration = Duration::from_millis(20);

impl Stamp {
    /// Whether it was written so lately that the next writing might leave the same stamp.
    pub(super) fn is_fresh(&self) -> bool {
        let (seconds, nanoseconds) = self.changed_at;
        let at =
            Duration::new(u64::try_from(seconds).unwrap_or_default(), u32::try_from(nanoseconds).unwrap_or_default());
        SystemTime::now().duration_since(UNIX_EPOCH).is_ok_and(|now| now.saturating_sub(at) < TICK_MAX)
    }
}

/// The regular files that a pattern matches, by their paths from the top. No link is followed.
pub(super) fn matching(top: &Path, pattern: &str) -> Result<BTreeMap<String, Stamp>, String> {
    let filter = Filter::new(&[pattern.to_owned()], &[]).map_err(|error| error.to_string())?;
    let mut walk = Walk { top, filter, found: BTreeMap::new(), left: ENTRY_COUNT_MAX };
    let prefix = literal_prefix(pattern);
    if !leads_through_link(top, &prefix) {
        walk.enter(&prefix, 0).map_err(|(path, error)| format!("cannot read {path}: {error}"))?;
    }
    Ok(walk.found)
}

/// The directories that a pattern names before its first wildcard, or the file itself.
fn literal_prefix(pattern: &str) -> String {
    let bare = pattern.strip_prefix("./").or(pattern.strip_prefix('/')).unwrap_or(pattern).trim_end_matches('/');
    let literal = bare.split('/').take_while(|part| !part.contains(['*', '?', '[', '{', '\\']));
    literal.collect::<Vec<_>>().join("/")
}

/// Whether a directory on the way is a link: what lies behind it is not of this work tree.
fn leads_through_link(top: &Path, path: &str) -> bool {
    let ends = path.match_indices('/').map(|(at, _)| &path[..at]);
    ends.into_iter().any(|part| top.join(part).symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()))
}

struct Walk<'a> {
    top: &'a Path,
    filter: Filter,
    found: BTreeMap<String, Stamp>,
    left: usize,
}

impl Walk<'_> {
    fn enter(&mut self, path: &str, depth: usize) -> Result<(), (String, io::Error)> {
        let told = |error| (path.to_owned(), error);
        let metadata = match self.top.join(path).symlink_metadata() {
            // What goes away meanwhile is not there.
            Err(error) if is_absent(&error) => return Ok(()),
            metadata => metadata.map_err(told)?,
        };
        self.left = self.left.checked_sub(1).ok_or_else(|| told(io::Error::other("there are too many files")))?;
        if metadata.is_file() && self.filter.takes(path) {
            let changed_at = (metadata.ctime(), metadata.ctime_nsec());
            self.found.insert(path.to_owned(), Stamp { inode: metadata.ino(), changed_at });
        }
        if !metadata.is_dir() {
            return Ok(());
        }
        if depth == DEPTH_MAX {
            return Err(told(io::Error::other("there are too many levels of directories")));
        }
        let entries = match fs::read_dir(self.top.join(path)) {
            Err(error) if is_absent(&error) => return Ok(()),
            entries => entries.map_err(told)?,
        };
        for entry in entries {
            let name = entry.map_err(told)?.file_name();
            // A name that is no text is named by no pattern.
            let Some(name) = name.to_str().filter(|name| *name != ".git") else { continue };
            let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            self.enter(&below, depth + 1)?;
        }
        Ok(())
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;

    fn names(top: &Path, pattern: &str) -> Vec<String> {
        matching(top, pattern).unwrap().into_keys().collect()
    }

    #[test]
    fn a_pattern_names_files_wherever_they_lie_and_nothing_behind_a_link() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for path in ["reports/a.xml", "reports/deep/b.xml", "c.xml", ".git/d.xml", "reports/e.txt"] {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), "x").unwrap();
        }
        fs::write(outside.path().join("f.xml"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("reports/link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("f.xml"), dir.path().join("reports/f.xml")).unwrap();

        assert_eq!(names(dir.path(), "reports/*.xml"), ["reports/a.xml"]);
        assert_eq!(names(dir.path(), "**/*.xml"), ["c.xml", "reports/a.xml", "reports/deep/b.xml"]);
        assert_eq!(names(dir.path(), "reports/"), ["reports/a.xml", "reports/deep/b.xml", "reports/e.txt"]);
        assert_eq!(names(dir.path(), "./c.xml"), ["c.xml"]);
        assert!(
            names(dir.path(), "reports/link/*.xml").is_empty() && names(dir.path(), "reports/link/f.xml").is_empty()
        );
        assert!(names(dir.path(), "c.xml/x").is_empty() && names(dir.path(), "gone/*.xml").is_empty());
    }

    #[test]
    fn a_file_that_is_written_again_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.xml");
        fs::write(&file, "x").unwrap();
        let before = matching(dir.path(), "a.xml").unwrap();
        assert_eq!(matching(dir.path(), "a.xml").unwrap(), before);
        while before["a.xml"].is_fresh() {
            std::thread::yield_now();
        }
        fs::write(&file, "x").unwrap();
        assert_ne!(matching(dir.path(), "a.xml").unwrap(), before);
    }
}
