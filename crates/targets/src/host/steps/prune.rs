//! Prune: removes what is no longer needed. Never the live release, the previous one, or the last good one.

use crate::host::action::Retention;
use crate::host::layout::Layout;
use crate::host::release::{Release, ReleaseState, disk, io, linked, previous_release};
use crate::host::site::Site;
use crate::host::steps::env_file;
use cutover_core::id::ReleaseId;
use cutover_core::target::{Failure, Outcome};
use cutover_disk::{BlobStore, remove_tree};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How many releases that failed are kept to be looked at.
const BAD_COUNT_MAX: usize = 1;
/// How many ended journals are kept whatever their age.
const JOURNAL_COUNT_MIN: usize = 100;
/// How long journals and logs are kept.
const JOURNAL_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// A blob this young may belong to a deployment that was received and is yet to be assembled.
const BLOB_AGE_MIN: Duration = Duration::from_secs(3600);

/// Removes releases, and then whatever only they needed.
pub(crate) fn apply(site: &Site<'_>, retention: &Retention) -> Result<Outcome, Failure> {
    let releases = Release::list(site.layout);
    let doomed = doomed(&releases, &protected(site, &releases)?, retention.releases as usize);
    for release in &doomed {
        remove_release(site.layout, &release.id)?;
    }
    let kept: Vec<Release> = releases.iter().filter(|release| !doomed.contains(release)).cloned().collect();
    remove_partials(site.layout)?;
    remove_environments(site.layout)?;
    remove_manifests(site.layout, &kept)?;
    remove_env_copies(site.layout)?;
    remove_env_backups(site, retention)?;
    remove_old_records(site.layout)?;
    if !doomed.is_empty() {
        remove_blobs(site.layout)?;
    }
    Ok(Outcome {
        changed: !doomed.is_empty(),
        note: format!("{} kept, {} removed", kept.len(), doomed.len()),
        ..Outcome::default()
    })
}

/// Releases that are kept whatever the number says.
fn protected(site: &Site<'_>, releases: &[Release]) -> Result<HashSet<ReleaseId>, Failure> {
    let mut protected: HashSet<ReleaseId> =
        linked(&site.layout.current())?.into_iter().chain(previous_release(site.layout)?).collect();
    protected.insert(site.release.clone());
    let last_good =
        releases.iter().rev().find(|release| release.state == ReleaseState::Good && release.id != *site.release);
    protected.extend(last_good.map(|release| release.id.clone()));
    Ok(protected)
}

/// The releases that go: good ones beyond the number, failed ones beyond one, and all that never went live.
fn doomed(releases: &[Release], protected: &HashSet<ReleaseId>, keep: usize) -> Vec<Release> {
    let (mut good, mut bad) = (0, 0);
    let mut goes = |release: &&Release| match release.state {
        ReleaseState::Good | ReleaseState::Live => {
            good += 1;
            good > keep
        }
        ReleaseState::Bad => {
            bad += 1;
            bad > BAD_COUNT_MAX
        }
        ReleaseState::Staged => true,
        // What a newer version means by it is for a newer version to remove.
        ReleaseState::Unknown => false,
    };
    releases.iter().rev().filter(|release| goes(release) && !protected.contains(&release.id)).cloned().collect()
}

/// Under its partial name a release is no candidate for anything, even when removing it is cut short.
fn remove_release(layout: &Layout, id: &ReleaseId) -> Result<(), Failure> {
    let (directory, partial) = (layout.release(id), layout.partial(id));
    remove_tree(&partial).map_err(disk)?;
    std::fs::rename(&directory, &partial).map_err(|e| io("rename", &directory, &e))?;
    remove_tree(&partial).map_err(disk)
}

/// Removes env files of releases that are gone, also of those that an earlier attempt removed and then was cut short.
fn remove_env_copies(layout: &Layout) -> Result<(), Failure> {
    let is_of_a_release = |path: &PathBuf| path.file_name().is_some_and(|name| layout.releases().join(name).exists());
    let orphans = entries(&layout.own().join("env")).into_iter().filter(|path| !is_of_a_release(path));
    orphans.into_iter().try_for_each(|path| remove_tree(&path).map_err(disk))
}

fn remove_partials(layout: &Layout) -> Result<(), Failure> {
    entries(&layout.releases())
        .into_iter()
        .filter(|path| extension_is(path, "partial"))
        .try_for_each(|path| remove_tree(&path).map_err(disk))
}

/// Removes dependency environments that no release links to, whether it can be read or not.
fn remove_environments(layout: &Layout) -> Result<(), Failure> {
    let used: HashSet<_> = entries(&layout.releases())
        .iter()
        .filter_map(|release| std::fs::read_link(release.join(super::dependencies::LINK)).ok())
        .filter_map(|target| target.file_name().map(ToOwned::to_owned))
        .collect();
    let unused = entries(&layout.own().join("envs"))
        .into_iter()
        .filter(|path| path.file_name().is_none_or(|name| !used.contains(name)));
    unused.into_iter().try_for_each(|path| remove_tree(&path).map_err(disk))
}

fn remove_manifests(layout: &Layout, kept: &[Release]) -> Result<(), Failure> {
    let used: HashSet<PathBuf> = kept.iter().map(|release| layout.manifest(&release.artifact)).collect();
    let unused = entries(&layout.own().join("manifests")).into_iter().filter(|path| !used.contains(path));
    unused.into_iter().try_for_each(|path| remove_tree(&path).map_err(disk))
}

/// Removes the oldest backups of the env file; those that are kept are for nobody else's eyes.
fn remove_env_backups(site: &Site<'_>, retention: &Retention) -> Result<(), Failure> {
    let Some(path) = &retention.env.path else { return Ok(()) };
    let live = site.layout.shared().join(path);
    let (Some(directory), Some(live_name)) = (live.parent(), live.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let place = |path: &PathBuf| env_file::backup_place(live_name, path.file_name()?.to_str()?);
    let mut backups: Vec<_> = entries(directory).into_iter().filter_map(|path| Some((place(&path)?, path))).collect();
    backups.sort();
    let surplus = backups.len().saturating_sub(retention.env.backups as usize);
    let kept = backups.split_off(surplus);
    backups.into_iter().try_for_each(|(_, path)| remove_tree(&path).map_err(disk))?;
    kept.iter().try_for_each(|(_, path)| protect(path))
}

/// A backup is the file that was live before, with the mode that it had then.
fn protect(backup: &Path) -> Result<(), Failure> {
    let metadata = std::fs::symlink_metadata(backup).map_err(|e| io("read", backup, &e))?;
    if !metadata.is_file() || metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    match rustix::fs::chmod(backup, Mode::from_raw_mode(0o600)) {
        // It belongs to somebody else, who decides about it.
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(io("protect", backup, &errno.into())),
    }
}

fn remove_old_records(layout: &Layout) -> Result<(), Failure> {
    let oldest = SystemTime::now().checked_sub(JOURNAL_AGE_MAX).unwrap_or(SystemTime::UNIX_EPOCH);
    let is_old = |path: &PathBuf| {
        std::fs::symlink_metadata(path).and_then(|data| data.modified()).is_ok_and(|time| time < oldest)
    };
    for directory in [layout.done_journals(), layout.own().join("logs")] {
        let mut paths = entries(&directory);
        paths.sort();
        let surplus = paths.len().saturating_sub(JOURNAL_COUNT_MIN);
        paths.into_iter().take(surplus).filter(is_old).try_for_each(|path| remove_tree(&path).map_err(disk))?;
    }
    Ok(())
}

fn remove_blobs(layout: &Layout) -> Result<(), Failure> {
    let before = SystemTime::now().checked_sub(BLOB_AGE_MIN).unwrap_or(SystemTime::UNIX_EPOCH);
    let store = BlobStore::open(&layout.blobs()).map_err(disk)?;
    store.remove_unlinked(&HashSet::new(), before).map(|_| ()).map_err(disk)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(directory) else { return Vec::new() };
    listing.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn extension_is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
