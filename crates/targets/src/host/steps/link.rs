//! Link: what releases share, the env file, and the links between files of the release.

use crate::host::action::Links;
use crate::host::release::{disk, io};
use crate::host::site::Site;
use cutover_core::target::{Failure, Outcome};
use cutover_disk::{remove_tree, replace_symlink};
use std::path::{Path, PathBuf};

/// Makes every link.
pub(crate) fn apply(site: &Site<'_>, links: &Links) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::changed(String::new());
    let mut count = 0;
    for dir in &links.dirs {
        let shared = site.layout.shared().join(dir);
        std::fs::create_dir_all(&shared).map_err(|e| io("create", &shared, &e))?;
        count += usize::from(share(site, dir, &mut outcome.warnings)?);
    }
    for file in links.files.iter().chain(&links.env_file) {
        count += usize::from(share(site, file, &mut outcome.warnings)?);
    }
    for (link, target) in &links.config {
        count += usize::from(inside(site, link, target)?);
    }
    outcome.note = format!("{count} links");
    outcome.changed = count > 0;
    Ok(outcome)
}

/// Links one path of `shared/` into the release. What the artifact has there is hidden, and said so.
fn share(site: &Site<'_>, path: &Path, warnings: &mut Vec<String>) -> Result<bool, Failure> {
    let link = site.layout.release(site.release).join(path);
    // Links are relative, so that the whole tree can be moved or looked at from a container.
    let up: PathBuf = std::iter::repeat_n("..", path.components().count() + 1).collect();
    let target = up.join("shared").join(path);
    if std::fs::read_link(&link).is_ok_and(|now| now == target) {
        return Ok(false);
    }
    if std::fs::symlink_metadata(&link).is_ok() {
        warnings.push(format!("{} of the artifact is hidden by the link to shared/", path.display()));
        remove_tree(&link).map_err(disk)?;
    }
    make(&link, &target)
}

/// Links one file of the release to another.
fn inside(site: &Site<'_>, link: &Path, target: &Path) -> Result<bool, Failure> {
    let root = site.layout.release(site.release);
    if !root.join(target).exists() {
        return Err(Failure::new(format!(
            "link {} to {}: the release has no {}",
            link.display(),
            target.display(),
            target.display()
        ))
        .hint("config_links name files of the release: is it excluded from the artifact?"));
    }
    let up: PathBuf = std::iter::repeat_n("..", link.components().count() - 1).collect();
    make(&root.join(link), &up.join(target))
}

fn make(link: &Path, target: &Path) -> Result<bool, Failure> {
    if std::fs::read_link(link).is_ok_and(|now| now == target) {
        return Ok(false);
    }
    if let Some(parent) = link.parent() {
        std::fs::create_dir_all(parent).map_err(|e| io("create", parent, &e))?;
    }
    replace_symlink(link, target).map_err(disk)?;
    Ok(true)
}
