//! A bounded look at a repository's files.

use cutover_core::artifact::RelativePath;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The most files that are looked at.
const FILE_COUNT_MAX: usize = 5_000;
/// The deepest directory that is looked into.
const DEPTH_MAX: usize = 5;
/// How much of a file is read, in bytes.
const READ_BYTES_MAX: u64 = 256 << 10;

/// Directories that hold what others wrote or what can be built again.
const SKIPPED: [&str; 10] =
    ["node_modules", "venv", "env", "target", "dist", "build", "vendor", "third_party", "site-packages", "__pycache__"];

/// The regular files of a repository, as paths from its root.
pub(super) struct Tree {
    root: PathBuf,
    files: BTreeSet<RelativePath>,
}

impl Tree {
    /// Lists the files; what cannot be read is not there. Symbolic links are not followed.
    pub(super) fn walk(root: &Path) -> Self {
        let mut tree = Self { root: root.to_owned(), files: BTreeSet::new() };
        let mut level = vec![String::new()];
        for _ in 0..DEPTH_MAX {
            level = level.iter().flat_map(|directory| tree.list(directory)).collect();
        }
        tree
    }

    /// Takes the files of one directory and returns the directories in it.
    fn list(&mut self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(directory)) else { return Vec::new() };
        let mut found: Vec<_> = entries.flatten().take(FILE_COUNT_MAX).collect();
        found.sort_by_key(fs::DirEntry::file_name);
        let mut directories = Vec::new();
        for entry in found {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            if kind.is_dir() && looked_into(&name) {
                directories.push(path);
            } else if kind.is_file() && !path.contains(char::is_control) && self.files.len() < FILE_COUNT_MAX {
                self.files.extend(RelativePath::new(path));
            }
        }
        directories
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files().any(|file| file == path)
    }

    /// The first of these files that is there.
    pub(super) fn first_of<'p>(&self, paths: &[&'p str]) -> Option<&'p str> {
        paths.iter().copied().find(|path| self.has(path))
    }

    /// Whether anything lies in this directory.
    pub(super) fn has_directory(&self, name: &str) -> bool {
        self.files().any(|file| file.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Every file, sorted by path.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(RelativePath::as_str)
    }

    /// The files with one of these endings, the shallow ones first.
    pub(super) fn ending<'t>(&'t self, endings: &[&str]) -> Vec<&'t str> {
        let mut files: Vec<_> = self.files().filter(|file| endings.iter().any(|end| file.ends_with(end))).collect();
        files.sort_by_key(|file| (file.matches('/').count(), *file));
        files
    }

    /// The beginning of a file as text; None when it is not there.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        if !self.has(path) {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(self.root.join(path)).ok()?.take(READ_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn looked_into(name: &str) -> bool {
    !SKIPPED.contains(&name) && (name == ".github" || !name.starts_with('.'))
}
