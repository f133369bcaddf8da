//! Which lines and branches tests ran through, file by file: what readers of coverage fill, and numbers are counted
//! from.

use cutover_core::check::{COVERED_FILES_MAX, Counted, Coverage, FileCoverage, Kept};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The most files of all reports of coverage together.
pub const FILES_MAX: usize = 100_000;

/// The most lines and branches of all reports of coverage together.
pub const LINES_MAX: usize = 5_000_000;

/// The most branches of one line, where a report has their number only.
pub const BRANCHES_OF_LINE_MAX: u64 = 10_000;

/// The longest path, in bytes: Linux' `PATH_MAX`.
pub const PATH_BYTES_MAX: usize = 4096;

/// Coverage that goes beyond a bound, in words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct TooMuch(String);

/// One file's lines and branches. Adding what is there already unites: covered once is covered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FileLines {
    lines: BTreeMap<u32, bool>,
    /// By line, and by what tells the branches of a line apart.
    branches: BTreeMap<(u32, u64), bool>,
    /// Counts of lines and branches, where a report has nothing else.
    summary: Option<(Counted, Counted)>,
}

impl FileLines {
    pub(super) fn summary(lines: Counted, branches: Counted) -> Self {
        Self { summary: Some((lines, branches)), ..Self::default() }
    }

    pub(super) fn is_summary(&self) -> bool {
        self.summary.is_some()
    }

    /// Adds a line. Line 0 is none: gcov counts there what stands nowhere.
    pub(super) fn line(&mut self, line: u32, covered: bool) -> Result<(), TooMuch> {
        if line > 0 {
            *self.lines.entry(line).or_default() |= covered;
        }
        self.bounded()
    }

    /// Adds a branch of a line, told apart by its tool's names for it.
    pub(super) fn branch(&mut self, line: u32, names: impl Hash, covered: bool) -> Result<(), TooMuch> {
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        *self.branches.entry((line, hasher.finish())).or_default() |= covered;
        self.bounded()
    }

    /// Adds branches of a line of which only the number is known. Twice told, the larger numbers count: which branches
    /// they are of nobody knows.
    pub(super) fn branches(&mut self, line: u32, counted: Counted) -> Result<(), TooMuch> {
        if counted.total > BRANCHES_OF_LINE_MAX {
            return Err(TooMuch(format!("line {line} has more than {BRANCHES_OF_LINE_MAX} branches")));
        }
        for number in 0..counted.total {
            *self.branches.entry((line, number)).or_default() |= number < counted.covered;
        }
        self.bounded()
    }

    fn bounded(&self) -> Result<(), TooMuch> {
        if self.size() > LINES_MAX { Err(too_many_lines()) } else { Ok(()) }
    }

    fn size(&self) -> usize {
        self.lines.len() + self.branches.len()
    }

    fn merge(&mut self, other: Self) {
        for (line, covered) in other.lines {
            *self.lines.entry(line).or_default() |= covered;
        }
        for (branch, covered) in other.branches {
            *self.branches.entry(branch).or_default() |= covered;
        }
        // Of two summaries the better one: how much they overlap nobody knows.
        let better = |one: (Counted, Counted), other: (Counted, Counted)| {
            if other.0.covered > one.0.covered { other } else { one }
        };
        self.summary = match (self.summary, other.summary) {
            (Some(one), Some(other)) => Some(better(one, other)),
            (one, other) => one.or(other),
        };
    }

    /// Lines, then branches. A summary counts only where no line is known.
    fn counted(&self) -> (Counted, Counted) {
        match self.summary {
            Some(summary) if self.lines.is_empty() => summary,
            Some(_) | None => (count(self.lines.values()), count(self.branches.values())),
        }
    }
}

fn count<'a>(covered: impl Iterator<Item = &'a bool>) -> Counted {
    covered.fold(Counted::default(), |mut counted, covered| {
        counted.add(*covered);
        counted
    })
}

fn too_many_lines() -> TooMuch {
    TooMuch(format!("there are more than {LINES_MAX} lines and branches"))
}

/// All files' lines and branches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CoveredLines {
    files: BTreeMap<String, FileLines>,
    size: usize,
}

impl CoveredLines {
    /// Adds a file, or adds to it.
    pub(super) fn add(&mut self, path: String, file: FileLines) -> Result<(), TooMuch> {
        if path.len() > PATH_BYTES_MAX {
            return Err(TooMuch(format!("a path is longer than {PATH_BYTES_MAX} bytes")));
        }
        let file_count = self.files.len();
        match self.files.entry(path) {
            Entry::Vacant(_) if file_count == FILES_MAX => {
                return Err(TooMuch(format!("there are more than {FILES_MAX} files")));
            }
            Entry::Vacant(free) => {
                self.size += file.size();
                free.insert(file);
            }
            Entry::Occupied(mut there) => {
                let before = there.get().size();
                there.get_mut().merge(file);
                self.size += there.get().size() - before;
            }
        }
        if self.size > LINES_MAX { Err(too_many_lines()) } else { Ok(()) }
    }

    /// Takes over all files, under the names that a function gives them.
    pub(super) fn absorb(&mut self, other: Self, mut rename: impl FnMut(String) -> String) -> Result<(), TooMuch> {
        other.files.into_iter().try_for_each(|(path, file)| self.add(rename(path), file))
    }

    /// Whether no line is known, not even as a number.
    pub(super) fn is_empty(&self) -> bool {
        self.files.values().all(|file| file.counted().0.total == 0)
    }

    /// Whether a file is known, and if so, which of its lines are code, and covered. A summary knows no lines.
    pub(super) fn lines(&self, path: &str) -> Option<&BTreeMap<u32, bool>> {
        self.files.get(path).map(|file| &file.lines)
    }

    /// Whether lines themselves are known of any file.
    pub(super) fn has_lines(&self) -> bool {
        self.files.values().any(|file| !file.lines.is_empty())
    }

    /// The counts.
    pub(super) fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        let mut files = Kept::default();
        for (path, file) in &self.files {
            let (lines, branches) = file.counted();
            coverage.lines.merge(lines);
            coverage.branches.merge(branches);
            files.push(FileCoverage { path: path.clone(), lines, branches }, COVERED_FILES_MAX);
        }
        Coverage { files, ..coverage }
    }
}

/// Whether a count as tools write it says that something ran: gcov wraps counts to negative numbers, LCOV has `-` for a
/// branch that was never reached and counts in scientific notation. None if it is no count.
pub(super) fn ran(count: &str) -> Option<bool> {
    let count = count.trim();
    if count == "-" {
        return Some(false);
    }
    count.parse().ok().filter(|count: &f64| !count.is_nan()).map(|count| count > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_covered_once_is_covered_in_the_union() {
        let mut one = FileLines::default();
        one.line(1, true).unwrap();
        one.line(1, false).unwrap();
        one.line(2, false).unwrap();
        one.branches(2, Counted { covered: 1, total: 2 }).unwrap();
        let mut other = FileLines::default();
        other.line(2, true).unwrap();
        other.line(3, false).unwrap();
        other.line(0, true).unwrap();
        other.branches(2, Counted { covered: 0, total: 3 }).unwrap();
        let mut all = CoveredLines::default();
        all.add("a".to_owned(), one).unwrap();
        all.add("a".to_owned(), other).unwrap();
        let coverage = all.coverage();
        assert_eq!(coverage.lines, Counted { covered: 2, total: 3 });
        assert_eq!(coverage.branches, Counted { covered: 1, total: 3 });
        assert_eq!(all.size, 6);
    }

    #[test]
    fn lines_go_before_summaries_and_of_summaries_the_better_counts() {
        let counted = |covered| Counted { covered, total: 10 };
        let mut all = CoveredLines::default();
        for covered in [3, 7, 5] {
            all.add("a".to_owned(), FileLines::summary(counted(covered), Counted::default())).unwrap();
        }
        assert_eq!((all.coverage().lines, all.has_lines()), (counted(7), false));
        let mut file = FileLines::default();
        file.line(1, true).unwrap();
        all.add("a".to_owned(), file).unwrap();
        assert_eq!((all.coverage().lines, all.has_lines()), (Counted { covered: 1, total: 1 }, true));
    }

    #[test]
    fn what_is_beyond_a_bound_is_refused() {
        let mut file = FileLines::default();
        assert!(file.branches(1, Counted { covered: 0, total: BRANCHES_OF_LINE_MAX + 1 }).is_err());
        assert!(CoveredLines::default().add("a".repeat(PATH_BYTES_MAX + 1), file).is_err());
    }

    #[test]
    fn counts_are_read_as_tools_write_them() {
        let read = ["0", "7", "-", "-3", "1e+09", " 2 ", "18446744073709551616", "x", "NaN", ""].map(ran);
        let t = Some(true);
        let f = Some(false);
        assert_eq!(read, [f, t, f, f, t, t, t, None, None, None]);
    }
}
