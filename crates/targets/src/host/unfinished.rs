//! Journals under a `deploy_to`: those of deployments that have ended, and those that have not. A deployment on several
//! targets has one journal, beside its first target; beside the others lie links to it.

use super::layout::Layout;
use cutover_core::journal::JournalError;
use std::io;
use std::path::{Path, PathBuf};

/// Journals that have not been filed yet.
pub fn open_journals(layout: &Layout) -> Vec<PathBuf> {
    journals(&layout.open_journals())
}

/// Journals of deployments that have ended, oldest name first.
pub fn done_journals(layout: &Layout) -> Vec<PathBuf> {
    journals(&layout.done_journals())
}

fn journals(directory: &Path) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = listing.filter_map(|entry| Some(entry.ok()?.path()));
    let mut journals: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "journal")).collect();
    journals.sort();
    journals
}

/// Every open journal of these places by its own path, each once. Links to journals that were filed are removed; fails with
/// the link whose journal is out of reach.
pub(super) fn in_all(layouts: &[Layout]) -> Result<Vec<PathBuf>, (PathBuf, JournalError)> {
    let mut found = Vec::new();
    for path in layouts.iter().flat_map(open_journals) {
        match path.canonicalize() {
            Ok(real) if found.contains(&real) => {}
            Ok(real) => found.push(real),
            Err(error) if error.kind() == io::ErrorKind::NotFound && was_filed(&path) => {
                // A link that stays is found again by the next contact.
                let _ = std::fs::remove_file(&path);
            }
            Err(error) => return Err(out_of_reach(path, error)),
        }
    }
    Ok(found)
}

/// Whether the journal that a link leads to lies among those that have ended. One that is nowhere may be out of reach only,
/// like a file system that is not mounted: its deployment must not be forgotten.
fn was_filed(link: &Path) -> bool {
    let Ok(journal) = std::fs::read_link(link) else { return false };
    journal.file_name().is_some_and(|name| done_beside(&journal).join(name).exists())
}

fn out_of_reach(link: PathBuf, source: io::Error) -> (PathBuf, JournalError) {
    let journal = std::fs::read_link(&link).unwrap_or_else(|_| link.clone());
    let error = JournalError::Io { operation: "open", path: journal.display().to_string(), source };
    (link, error)
}

/// The directory of journals that have ended, beside the one of this open journal.
pub(super) fn done_beside(journal: &Path) -> PathBuf {
    let open = journal.parent().unwrap_or(journal);
    open.with_file_name("done")
}
