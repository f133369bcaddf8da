//! What a large file that this host lacks is probably much like: what the host has at the same path, or at one like it.

use super::receive::stored;
use crate::host::release::Release;
use crate::host::site::Site;
use cutover_core::artifact::{Digest, Manifest, ManifestEntry, RelativePath};
use cutover_disk::{Blob, BlobStore};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Smaller files are sent whole: to look for what changed would cost more than that.
const BYTES_MIN: u64 = 256 << 10;
/// As many are told by what changed, the largest; each holds a file open.
const COUNT_MAX: usize = 256;
/// How many files that are gone are compared with a new one, the largest.
const GONE_COUNT_MAX: usize = 256;

/// For each large content among those that are lacking a file to begin with, when there is one.
pub(super) fn find(site: &Site<'_>, manifest: &Manifest, lacking: &[Blob]) -> HashMap<Digest, PathBuf> {
    let mut large: Vec<Blob> = lacking.iter().copied().filter(is_large).collect();
    large.sort_by_key(|blob| std::cmp::Reverse(blob.bytes));
    large.truncate(COUNT_MAX);
    let (Some(before), Ok(store)) = (before(site).filter(|_| !large.is_empty()), BlobStore::open(&site.layout.blobs()))
    else {
        return HashMap::new();
    };
    let (large, gone): (HashSet<Blob>, _) = (large.into_iter().collect(), gone(&before, manifest));
    let new = large_files(manifest).filter(|(_, blob)| large.contains(blob));
    let base = |(path, blob): (&RelativePath, Blob)| {
        let same = before.entries.get(path).and_then(Blob::of_entry).filter(is_large);
        let base = same.or_else(|| most_alike(path, &gone))?;
        Some((blob.digest, store.path(&base.digest, base.executable)))
    };
    new.filter_map(base).collect()
}

fn is_large(blob: &Blob) -> bool {
    blob.bytes >= BYTES_MIN
}

fn large_files(manifest: &Manifest) -> impl Iterator<Item = (&RelativePath, Blob)> {
    manifest.entries.iter().filter_map(|(path, entry)| Some((path, Blob::of_entry(entry).filter(is_large)?)))
}

/// What the live release holds, else the newest one whose manifest is still here.
fn before(site: &Site<'_>) -> Option<Manifest> {
    let manifest = |release: Release| stored(site, &release.artifact).ok();
    let live = site.original_release().and_then(manifest);
    live.or_else(|| Release::list(site.layout).into_iter().rev().find_map(manifest))
}

/// The large files that are not in the new manifest any more: one of them may have a new name there.
fn gone<'m>(before: &'m Manifest, manifest: &Manifest) -> Vec<(&'m RelativePath, Blob)> {
    let is_gone = |path: &RelativePath| !matches!(manifest.entries.get(path), Some(ManifestEntry::File { .. }));
    let mut gone: Vec<_> = large_files(before).filter(|(path, _)| is_gone(path)).collect();
    gone.sort_by_key(|(_, blob)| std::cmp::Reverse(blob.bytes));
    gone.truncate(GONE_COUNT_MAX);
    gone
}

/// The file whose path begins and ends most like this one: `lib/shop-1.2.jar` for `lib/shop-1.3.jar`.
fn most_alike(path: &RelativePath, gone: &[(&RelativePath, Blob)]) -> Option<Blob> {
    gone.iter().max_by_key(|(other, _)| likeness(path.as_str(), other.as_str())).map(|(_, blob)| *blob)
}

fn likeness(one: &str, other: &str) -> usize {
    let front = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let back = one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
    front + back
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_new_name_is_like_the_one_whose_name_is_most_like_it() {
        let path = |text: &str| RelativePath::new(text).unwrap();
        let blob = |name: &str| Blob { digest: Digest::of(name.as_bytes()), bytes: BYTES_MIN, executable: false };
        let names = ["lib/shop-1.2.jar", "lib/till-1.2.jar", "model.bin"].map(path);
        let gone: Vec<_> = names.iter().map(|name| (name, blob(name.as_str()))).collect();

        for (new, old) in [
            ("lib/shop-1.10.jar", "lib/shop-1.2.jar"),
            ("lib/till-2.jar", "lib/till-1.2.jar"),
            ("data/model.bin", "model.bin"),
        ] {
            assert_eq!(most_alike(&path(new), &gone), Some(blob(old)), "{new}");
        }
        assert_eq!(most_alike(&path("new"), &[]), None);
    }
}
