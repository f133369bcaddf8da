//! Whether this user can put releases into a `deploy_to`, and what to do where they cannot.

use super::layout::Layout;
use super::steps::preflight::private_directories;
use crate::doctor::ask::ask;
use cutover_core::target::Failure;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many entries of one directory are looked at.
const ENTRY_COUNT_MAX: usize = 200;

/// What keeps this user from deploying to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl Obstacle {
    /// Both in one sentence.
    pub fn advice(&self) -> String {
        format!("{}: {}", self.what, self.fix)
    }
}

/// What keeps this user from deploying there; None where nothing does. Changes nothing.
pub fn obstacle(layout: &Layout) -> Option<Obstacle> {
    let root = layout.root();
    let nearest = root.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(root);
    if !nearest.is_dir() {
        let what = if nearest == root {
            format!("{} is no directory", root.display())
        } else {
            format!("{} cannot be made: {} is no directory", root.display(), nearest.display())
        };
        let fix = format!("move {} out of the way, or choose another deploy_to", nearest.display());
        return Some(Obstacle { what, fix });
    }
    match access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        Err(Errno::ROFS) => {
            let what = format!("{} is on a file system that is mounted read-only", root.display());
            let fix = "make that writable again; `dmesg` says why, where it was writable once".to_owned();
            return Some(Obstacle { what, fix });
        }
        Err(_) => return Some(unwritable(layout, nearest)),
        Ok(()) => {}
    }
    let (path, owner) = foreign(layout, rustix::process::geteuid().as_raw())?;
    let owner = name_of(owner);
    let what = format!("{} belongs to {owner}, who may have deployed here once", path.display());
    Some(Obstacle { what, fix: give_back(root, Some(&owner)) })
}

/// The same for whichever place a path of Cutover's own is in.
pub fn obstacle_above(path: &Path) -> Option<Obstacle> {
    let is_own = |path: &&Path| path.file_name().is_some_and(|name| name == ".cutover" || name == "shared");
    path.ancestors().find(is_own)?.parent().and_then(|root| obstacle(&Layout::new(root)))
}

fn unwritable(layout: &Layout, nearest: &Path) -> Obstacle {
    let root = layout.root();
    if nearest == root {
        let what = format!("{} is no directory that this user can write in", root.display());
        let is_in_use = layout.own().symlink_metadata().is_ok();
        return Obstacle { what, fix: if is_in_use { give_back(root, None) } else { install(root) } };
    }
    let (shown, nearest) = (root.display(), nearest.display());
    Obstacle {
        what: format!("{shown} is not there, and this user may not make it: {nearest} is not theirs"),
        fix: install(root),
    }
}

fn install(root: &Path) -> String {
    let by_hand = format!("sudo install -d -o {} {}", own_name(), root.display());
    format!("`cutover setup ENV` sees to it; or by hand: `{by_hand}`")
}

fn give_back(root: &Path, owner: Option<&str>) -> String {
    let by_hand = format!("`sudo chown -R {} {}` gives all of it to who deploys now", own_name(), root.display());
    owner.map_or_else(|| by_hand.clone(), |owner| format!("{by_hand}; or go on as {owner}"))
}

/// The first that lies there and is not this user's though a deployment has to change it, and whose it is. Who is root may
/// change everything.
fn foreign(layout: &Layout, me: u32) -> Option<(PathBuf, u32)> {
    if me == 0 {
        return None;
    }
    let (own, journals) = (layout.own(), layout.own().join("journal"));
    // Their rights are set by each deployment, which only who owns them may.
    let private = private_directories(layout).into_iter().filter_map(|path| of_another(&path, me));
    let within = [own.clone(), journals, layout.releases()].into_iter().flat_map(|dir| entries(&dir));
    let changed = [own, layout.releases(), layout.shared()].into_iter().chain(within);
    let changed =
        changed.filter_map(|path| of_another(&path, me)).filter(|(path, _)| access(path, Access::WRITE_OK).is_err());
    private.chain(changed).next()
}

fn of_another(path: &Path, me: u32) -> Option<(PathBuf, u32)> {
    let about = path.symlink_metadata().ok().filter(|about| !about.is_symlink() && about.uid() != me)?;
    Some((path.to_owned(), about.uid()))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().take(ENTRY_COUNT_MAX);
    found.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// A step's failure with advice, where it was refused for want of rights and nobody has said more.
pub(super) fn explained(failure: Failure, layout: &Layout) -> Failure {
    // EPERM and EACCES as std shows them: a failure holds no other trace of them.
    let is_refused = ["(os error 1)", "(os error 13)"].iter().any(|code| failure.message.contains(code));
    let advice = (failure.hint.is_none() && is_refused).then(|| obstacle(layout)).flatten();
    advice.map_or(failure.clone(), |obstacle| failure.hint(obstacle.advice()))
}

/// Who this is, by name.
pub(crate) fn own_name() -> String {
    ask(&["id", "-un"]).map_or_else(|| "a user without a name".to_owned(), |name| name.trim().to_owned())
}

fn name_of(uid: u32) -> String {
    let uid = uid.to_string();
    ask(&["id", "-un", "--", &uid]).map_or(uid, |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_beneath_a_file_is_told_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();

        let beneath = obstacle(&Layout::new(file.join("a/b"))).unwrap();
        let itself = obstacle(&Layout::new(&file)).unwrap();

        assert!(beneath.what.ends_with(&format!("cannot be made: {} is no directory", file.display())), "{beneath:?}");
        assert_eq!(beneath.fix, format!("move {} out of the way, or choose another deploy_to", file.display()));
        assert_eq!(itself.what, format!("{} is no directory", file.display()));
        assert_eq!(obstacle(&Layout::new(dir.path().join("a/b"))), None);
    }

    #[test]
    fn what_belongs_to_another_user_is_found_wherever_a_deployment_would_stumble_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        fs::create_dir_all(layout.open_journals()).unwrap();
        let me = dir.path().metadata().unwrap().uid();

        assert_eq!(foreign(&layout, me), None);
        // Whoever this is, the directories are not another one's.
        let found =
            foreign(&layout, me + 1).map(|(path, owner)| (path.strip_prefix(dir.path()).unwrap().to_owned(), owner));
        assert_eq!(found, Some((".cutover/journal/open".into(), me)));
        assert_eq!(foreign(&layout, 0), None, "root may do everything");
    }
}
