//! Packing what a commit holds, straight from git's objects.

use crate::cache::OidCache;
use crate::entries::Entries;
use crate::error::ArtifactError;
use crate::filter::Filter;
use crate::git::{Object, Oid, Repository, TreeEntry, TreeKind, read_loose, read_objects, utf8};
use crate::intake::{Intake, MEMORY_BYTES_MAX, file_entry, take_in};
use cutover_child::GitError;
use cutover_core::artifact::{ManifestEntry, PATH_LENGTH_MAX};
use cutover_disk::{Blob, BlobStore, parallel};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// How a Git LFS pointer begins; its specification allows at most 1024 bytes.
const LFS_PREFIX: &[u8] = b"version https://git-lfs.github.com/spec/";
const LFS_BYTES_MAX: u64 = 1024;

/// What an object of a given kind became.
type Stored = HashMap<(Oid, TreeKind), ManifestEntry>;

/// Packs the paths of a commit that the filter takes; `cache` is the file of known objects.
pub(crate) fn pack_commit(
    repository: &Repository,
    hash: &str,
    filter: &Filter,
    blobs: &BlobStore,
    cache: &Path,
) -> Result<Entries, ArtifactError> {
    let (mut known, objects, tree) = std::thread::scope(|scope| {
        let known = scope.spawn(|| OidCache::load(cache));
        let objects = scope.spawn(|| repository.objects());
        let tree = repository.tree(hash).and_then(|tree| taken(tree, filter));
        let objects = objects.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (known.join().unwrap_or_default(), objects, tree)
    });
    let (tree, objects) = (tree?, objects?);
    let mut stored = look_up(&tree, &known, blobs)?;
    let missing = missing(&tree, &stored);
    let packed = fetch_loose(&objects, &missing, blobs, &mut stored)?;
    fetch_packed(repository, &packed, blobs, &mut stored)?;
    learn(&mut known, &missing, &stored);
    let used = tree.iter().map(|entry| entry.oid).collect();
    known.save(cache, &used)?;
    let mut entries = Entries::default();
    for entry in &tree {
        let content = stored.get(&(entry.oid, entry.kind)).cloned();
        let lost = || GitError::new("cat-file", format!("no object {}", entry.oid));
        entries.insert(utf8(&entry.path)?, content.ok_or_else(lost)?)?;
    }
    Ok(entries)
}

/// The entries that the filter takes; a submodule among them is an error.
pub(crate) fn taken(tree: Vec<TreeEntry>, filter: &Filter) -> Result<Vec<TreeEntry>, ArtifactError> {
    let mut taken = Vec::with_capacity(tree.len());
    for entry in tree {
        if let Some(path) = filter.taken(&entry.path)? {
            if entry.kind == TreeKind::Submodule {
                return Err(ArtifactError::Submodule(path.to_owned()));
            }
            taken.push(entry);
        }
    }
    Ok(taken)
}

/// Finds the files whose content was packed before and is still in the store.
fn look_up(tree: &[TreeEntry], known: &OidCache, blobs: &BlobStore) -> Result<Stored, ArtifactError> {
    let found = parallel::map(tree, |entry| -> Result<_, ArtifactError> {
        let (TreeKind::File { executable }, Some((digest, bytes))) = (entry.kind, known.get(&entry.oid)) else {
            return Ok(None);
        };
        let blob = Blob { digest, bytes, executable };
        Ok(blobs.has(&blob)?.then(|| ((entry.oid, entry.kind), file_entry(blob))))
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// One entry for each object that must be read.
fn missing<'a>(tree: &'a [TreeEntry], stored: &Stored) -> Vec<&'a TreeEntry> {
    let mut asked = HashSet::new();
    let is_missing = |entry: &&TreeEntry| {
        let key = (entry.oid, entry.kind);
        !stored.contains_key(&key) && asked.insert(key)
    };
    tree.iter().filter(is_missing).collect()
}

/// Remembers what the objects that were read became.
fn learn(known: &mut OidCache, read: &[&TreeEntry], stored: &Stored) {
    for entry in read {
        if let Some(ManifestEntry::File { digest, bytes, .. }) = stored.get(&(entry.oid, entry.kind)) {
            known.put(entry.oid, *digest, *bytes);
        }
    }
}

/// Stores the files whose objects lie loose; returns the other entries.
fn fetch_loose<'a>(
    objects: &Path,
    missing: &[&'a TreeEntry],
    blobs: &BlobStore,
    stored: &mut Stored,
) -> Result<Vec<&'a TreeEntry>, ArtifactError> {
    let taken = parallel::map(missing, |entry| take_loose(entry, objects, blobs))?;
    let mut others = Vec::new();
    for (entry, blob) in missing.iter().zip(taken) {
        match blob {
            Some(blob) => drop(stored.insert((entry.oid, entry.kind), file_entry(blob))),
            None => others.push(*entry),
        }
    }
    Ok(others)
}

fn take_loose(entry: &TreeEntry, objects: &Path, blobs: &BlobStore) -> Result<Option<Blob>, ArtifactError> {
    let TreeKind::File { executable } = entry.kind else { return Ok(None) };
    let Some(content) = read_loose(objects, &entry.oid, MEMORY_BYTES_MAX) else { return Ok(None) };
    refuse_lfs_pointer(entry, &content)?;
    Ok(Some(blobs.add_bytes(&content, executable)?))
}

fn fetch_packed(
    repository: &Repository,
    missing: &[&TreeEntry],
    blobs: &BlobStore,
    stored: &mut Stored,
) -> Result<(), ArtifactError> {
    let oids: Vec<Oid> = missing.iter().map(|entry| entry.oid).collect();
    let mut expected = missing.iter();
    let fetched = take_in(blobs, missing.len(), |intake| {
        read_objects(repository, &oids, |object| match expected.next() {
            Some(entry) => take_object(entry, object, blobs, intake, stored),
            None => Ok(()),
        })
    })?;
    stored.extend(fetched.into_iter().map(|(key, blob)| (key, file_entry(blob))));
    Ok(())
}

fn take_object(
    entry: &TreeEntry,
    mut object: Object<'_>,
    blobs: &BlobStore,
    intake: &mut Intake<'_, (Oid, TreeKind)>,
    stored: &mut Stored,
) -> Result<(), ArtifactError> {
    let key = (object.oid, entry.kind);
    match entry.kind {
        TreeKind::Symlink => {
            stored.insert(key, ManifestEntry::Symlink { target: link_target(entry, &mut object)? });
        }
        TreeKind::File { executable } if object.bytes > MEMORY_BYTES_MAX => {
            let blob = blobs.add(object.content, object.bytes, executable)?;
            stored.insert(key, file_entry(blob));
        }
        TreeKind::File { executable } => {
            let content = object.read()?;
            refuse_lfs_pointer(entry, &content)?;
            intake.push(key, content, executable)?;
        }
        TreeKind::Submodule => return Err(ArtifactError::Submodule(utf8(&entry.path)?.to_owned())),
    }
    Ok(())
}

/// Reads a symbolic link's target, which git keeps as the object's content.
pub(crate) fn link_target(entry: &TreeEntry, object: &mut Object<'_>) -> Result<String, ArtifactError> {
    let path = utf8(&entry.path)?;
    if object.bytes > PATH_LENGTH_MAX as u64 {
        let detail = format!("{path} is a link with a target of {} bytes", object.bytes);
        return Err(GitError::new("cat-file", detail).into());
    }
    Ok(utf8(&object.read()?)?.to_owned())
}

fn refuse_lfs_pointer(entry: &TreeEntry, content: &[u8]) -> Result<(), ArtifactError> {
    if content.len() as u64 <= LFS_BYTES_MAX && content.starts_with(LFS_PREFIX) {
        return Err(ArtifactError::LfsPointer(utf8(&entry.path)?.to_owned()));
    }
    Ok(())
}
