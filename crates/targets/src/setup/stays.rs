//! What a removal would leave where it is: known beforehand from what lies in the directories now.

use super::look::has_line;
use super::parts::Part;
use super::place::Place;
use super::plan::{Change, Made};
use super::users::unit_that_runs;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The parts that these changes would not take back after all, by their names, with the reason. It goes through them as a
/// removal does: what lies in a directory may go before it.
pub(super) fn stays(changes: &[Change], with_data: bool) -> BTreeMap<String, String> {
    let all: Vec<&Made> = changes.iter().filter_map(taken_back).collect();
    let mut walk = Walk { all: &all, with_data, gone: BTreeSet::new(), owners: BTreeSet::new() };
    let mut stays = BTreeMap::new();
    for &made in &all {
        stays.extend(walk.pass(made).map(|why| (made.part.name(), why)));
    }
    stays
}

fn taken_back(change: &Change) -> Option<&Made> {
    match change {
        Change::TakeBack(made) => Some(made),
        Change::Make(_) | Change::Share(_) | Change::Leave { .. } => None,
    }
}

/// A removal that is only thought through.
struct Walk<'c> {
    all: &'c [&'c Made],
    with_data: bool,
    /// What would not be there any more.
    gone: BTreeSet<PathBuf>,
    /// Who owns what stays.
    owners: BTreeSet<&'c str>,
}

impl<'c> Walk<'c> {
    /// Gives why a part would stay, when it would.
    fn pass(&mut self, made: &'c Made) -> Option<String> {
        match &made.part {
            Part::User { name, .. } if self.owners.contains(name.as_str()) => {
                return Some("they own what stays".to_owned());
            }
            Part::Directory { path, .. } if made.before.is_none() => {
                if let Some(content) = self.content(path) {
                    self.owners.insert(made.part.user());
                    return Some(format!("it is not empty: it has {content}"));
                }
                self.gone.insert(path.clone());
            }
            Part::Program { path } => {
                if let Some(unit) = unit_that_runs(path, &self.gone) {
                    return Some(format!("{} runs it", unit.display()));
                }
                if made.before.is_none() {
                    self.gone.insert(path.clone());
                }
            }
            Part::File { path, .. } | Part::Link { path, .. } if made.before.is_none() => {
                self.gone.insert(path.clone());
            }
            Part::Line { path, .. } if made.before.is_none() && self.is_only_ours(path) => {
                self.gone.insert(path.clone());
            }
            Part::User { .. }
            | Part::Member { .. }
            | Part::Directory { .. }
            | Part::File { .. }
            | Part::Line { .. }
            | Part::Link { .. }
            | Part::Linger { .. } => {}
        }
        None
    }

    /// Something in a directory that would not go before it; None where the directory goes.
    fn content(&self, path: &Path) -> Option<String> {
        let metadata = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir)?;
        if self.with_data && metadata.uid() != 0 {
            return None;
        }
        let mut names: Vec<PathBuf> = fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        names.sort();
        let left = names.into_iter().find(|path| !self.gone.contains(path))?;
        Some(left.file_name()?.to_string_lossy().into_owned())
    }

    /// Whether a file of keys has none but those that are taken back.
    fn is_only_ours(&self, path: &Path) -> bool {
        let ours = |line: &str| {
            self.all.iter().any(|made| matches!(&made.part, Part::Line { line: own, .. } if has_line(line, own)))
        };
        // They lie with who deploys, who may have put a link or a pipe there.
        let text = Place::of(path).and_then(|place| place.map(|place| place.text()).transpose());
        text.is_ok_and(|text| text.is_some_and(|text| text.lines().all(ours)))
    }
}
