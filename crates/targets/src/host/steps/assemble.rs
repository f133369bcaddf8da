//! Assemble: the release is put together under another name, made durable, and renamed.

use super::receive::{files, known, size, stop_if_asked};
use crate::host::action::Assembly;
use crate::host::release::{Release, ReleaseState, chain, disk, io};
use crate::host::site::Site;
use cutover_core::artifact::{Manifest, ManifestEntry, RelativePath};
use cutover_core::target::{Failure, Outcome, Progress};
use cutover_disk::{Blob, BlobStore, remove_tree, sync_dir, sync_file_system};
use std::collections::BTreeSet;
use std::path::Path;

const REPORT_EVERY: usize = 256;

/// Puts the release together.
pub(crate) fn apply(site: &Site<'_>, assembly: &Assembly, progress: &dyn Progress) -> Result<Outcome, Failure> {
    let (partial, directory) = (site.layout.partial(site.release), site.layout.release(site.release));
    let manifest = known(site, &assembly.artifact)?;
    let note = format!("{}, {}", files(manifest.entries.len()), size(manifest.unpacked_bytes()));
    if directory.exists() {
        return Ok(Outcome::unchanged(note));
    }
    remove_tree(&partial).map_err(disk)?;
    fill(site, &manifest, &partial, progress)?;
    describe(site, assembly, &manifest).write(&partial)?;
    sync_file_system(&partial).map_err(disk)?;
    std::fs::rename(&partial, &directory).map_err(|e| io("rename", &partial, &e))?;
    sync_dir(&site.layout.releases()).map_err(disk)?;
    Ok(Outcome::changed(note))
}

/// Removes the release, unless it was live and found bad: that one is kept to be looked at.
pub(crate) fn restore(site: &Site<'_>) -> Result<String, Failure> {
    remove_tree(&site.layout.partial(site.release)).map_err(disk)?;
    let directory = site.layout.release(site.release);
    if Release::read(site.layout, site.release).is_ok_and(|release| release.state == ReleaseState::Bad) {
        return Ok(format!("the bad release stays in {}, to be looked at", directory.display()));
    }
    // Under its partial name it is no candidate for anything, even when removing it is cut short.
    if directory.exists() {
        let partial = site.layout.partial(site.release);
        std::fs::rename(&directory, &partial).map_err(|e| io("rename", &directory, &e))?;
        remove_tree(&partial).map_err(disk)?;
    }
    Ok("release removed".to_owned())
}

fn fill(site: &Site<'_>, manifest: &Manifest, partial: &Path, progress: &dyn Progress) -> Result<(), Failure> {
    std::fs::create_dir_all(partial).map_err(|e| io("create", partial, &e))?;
    let parents: BTreeSet<&str> = manifest.entries.keys().flat_map(RelativePath::parents).collect();
    for parent in parents {
        let path = partial.join(parent);
        std::fs::create_dir(&path).map_err(|e| io("create", &path, &e))?;
    }
    let store = BlobStore::open(&site.layout.blobs()).map_err(disk)?;
    for (done, (path, entry)) in manifest.entries.iter().enumerate() {
        place(&store, entry, &partial.join(path))?;
        if done % REPORT_EVERY == 0 {
            progress.advance(done as u64, manifest.entries.len() as u64, "files");
            stop_if_asked(progress)?;
        }
    }
    Ok(())
}

fn place(store: &BlobStore, entry: &ManifestEntry, path: &Path) -> Result<(), Failure> {
    match (Blob::of_entry(entry), entry) {
        (Some(blob), _) => store.link(&blob, path).map(|_| ()).map_err(|error| match error {
            cutover_disk::BlobError::Disk(error) => disk(error),
            other => Failure::new(format!("assemble {}: {}", path.display(), chain(&other)))
                .hint("deploy again: what is damaged or missing is received anew"),
        }),
        (None, ManifestEntry::Symlink { target }) => {
            std::os::unix::fs::symlink(target, path).map_err(|e| io("link", path, &e))
        }
        (None, ManifestEntry::File { .. }) => {
            Err(Failure::new(format!("assemble {}: a file without a blob", path.display())))
        }
    }
}

fn describe(site: &Site<'_>, assembly: &Assembly, manifest: &Manifest) -> Release {
    Release {
        version: 1,
        id: site.release.clone(),
        seq: assembly.seq,
        state: ReleaseState::Staged,
        reason: String::new(),
        artifact: assembly.artifact,
        commit: manifest.commit.clone(),
        subject: site.subject.to_owned(),
        deployment: site.deployment.clone(),
        by: site.by.to_owned(),
        created_at: site.made_at,
        bytes: manifest.unpacked_bytes(),
        config: Some(assembly.config),
        project: Some(site.project.clone()),
        target: Some(site.target.clone()),
        service: assembly.service.clone(),
        verify: Some(assembly.verify.clone()),
    }
}
