//! Assemble: the release is put together under another name, made durable, and renamed.

use super::receive::{files, known, stop_if_asked};
use crate::host::action::Assembly;
use crate::host::release::{Release, ReleaseState, chain, disk, io};
use crate::host::site::Site;
use cutover_core::artifact::{Manifest, ManifestEntry, RelativePath};
use cutover_core::size;
use cutover_core::target::{Failure, Outcome, Progress};
use cutover_disk::{Blob, BlobStore, parallel, remove_tree, sync_dir, sync_file_system};
use std::collections::BTreeSet;
use std::path::Path;

/// Puts the release together.
pub(crate) fn apply(site: &Site<'_>, assembly: &Assembly, progress: &dyn Progress) -> Result<Outcome, Failure> {
    let (partial, directory) = (site.layout.partial(site.release), site.layout.release(site.release));
    let manifest = known(site, &assembly.artifact)?;
    let note = format!("{}, {}", files(manifest.entries.len()), size::bytes(manifest.unpacked_bytes()));
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
    let entries: Vec<_> = manifest.entries.iter().collect();
    let total = entries.len() as u64;
    place_all(&store, &entries, partial, &|begun| {
        progress.advance(begun as u64, total, "files");
        stop_if_asked(progress)
    })
}

/// Places every entry, by several threads where there are processors for them: a link costs little but the kernel's time.
fn place_all(
    store: &BlobStore,
    entries: &[(&RelativePath, &ManifestEntry)],
    partial: &Path,
    tell: &dyn Fn(usize) -> Result<(), Failure>,
) -> Result<(), Failure> {
    parallel::each(entries, tell, |(path, entry)| place(store, entry, &partial.join(path)))
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
        never_started: false,
        artifact: assembly.artifact,
        commit: manifest.commit.clone(),
        dirty: manifest.dirty,
        subject: site.subject.to_owned(),
        deployment: site.deployment.clone(),
        by: site.by.to_owned(),
        created_at: site.made_at,
        bytes: manifest.unpacked_bytes(),
        config: Some(assembly.config),
        config_keys: assembly.config_keys.clone(),
        project: Some(site.project.clone()),
        target: Some(site.target.clone()),
        service: assembly.service.clone(),
        verify: Some(assembly.verify.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::artifact::Digest;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// Ten directories' files, more than one thread takes at a time, and a store that has all of them.
    struct Scene {
        dir: tempfile::TempDir,
        entries: BTreeMap<RelativePath, ManifestEntry>,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = BlobStore::open(&dir.path().join("blobs")).unwrap();
            let entry = |number: usize| {
                let content = format!("file {number}");
                let blob =
                    Blob { digest: Digest::of(content.as_bytes()), bytes: content.len() as u64, executable: false };
                store.insert(&blob, &mut content.as_bytes()).unwrap();
                let path = RelativePath::new(format!("d{}/f{number}", number % 10)).unwrap();
                (path, ManifestEntry::File { digest: blob.digest, bytes: blob.bytes, executable: false })
            };
            let entries = (0..327).map(entry).collect();
            (0..10).for_each(|at| std::fs::create_dir_all(dir.path().join(format!("partial/d{at}"))).unwrap());
            Self { dir, entries }
        }

        fn fill(&self, tell: &dyn Fn(usize) -> Result<(), Failure>) -> Result<(), Failure> {
            let entries: Vec<_> = self.entries.iter().collect();
            let store = BlobStore::open(&self.dir.path().join("blobs")).unwrap();
            place_all(&store, &entries, &self.dir.path().join("partial"), tell)
        }

        fn placed_count(&self) -> usize {
            let directories = std::fs::read_dir(self.dir.path().join("partial")).unwrap();
            directories.map(|directory| std::fs::read_dir(directory.unwrap().path()).unwrap().count()).sum()
        }
    }

    #[test]
    fn every_entry_is_placed_once_by_whichever_thread_takes_it() {
        let scene = Scene::new();
        let told = Mutex::new(Vec::new());
        scene
            .fill(&|begun| {
                told.lock().unwrap().push(begun);
                Ok(())
            })
            .unwrap();
        assert_eq!(scene.placed_count(), scene.entries.len());
        let read = std::fs::read_to_string(scene.dir.path().join("partial/d7/f317")).unwrap();
        assert_eq!(read, "file 317");
        assert!(told.into_inner().unwrap().is_sorted(), "what is told never goes back");
    }

    #[test]
    fn one_entry_that_cannot_be_placed_fails_all_and_is_named() {
        let scene = Scene::new();
        std::fs::write(scene.dir.path().join("partial/d3/f203"), "in the way").unwrap();
        let failure = scene.fill(&|_| Ok(())).unwrap_err();
        assert!(failure.to_string().contains("d3/f203"), "{failure}");
    }

    #[test]
    fn a_wish_to_stop_ends_it_before_anything_is_placed() {
        let scene = Scene::new();
        let failure = scene.fill(&|_| Err(Failure::cancelled())).unwrap_err();
        assert_eq!(failure.to_string(), Failure::cancelled().to_string());
        assert_eq!(scene.placed_count(), 0);
    }
}
