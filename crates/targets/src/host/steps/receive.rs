//! Receive: the manifest, and the blobs that this host lacks.

use super::bases;
use crate::host::release::{chain, disk, io};
use crate::host::site::Site;
use cutover_core::artifact::{BlobSource, Digest, MANIFEST_BYTES_MAX, Manifest, Wanted};
use cutover_core::size;
use cutover_core::target::{Failure, Outcome, Progress};
use cutover_disk::{Blob, BlobStore, parallel, read_bounded, write_atomic};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;

/// Bytes between two looks at whether stopping was asked for and between two progress reports.
const REPORT_EVERY: u64 = 64;

/// Gets what this host lacks of an artifact.
pub(crate) fn apply(site: &Site<'_>, artifact: &Digest, progress: &dyn Progress) -> Result<Outcome, Failure> {
    let manifest = received(site, artifact)?;
    let store = BlobStore::open(&site.layout.blobs()).map_err(disk)?;
    let wanted: BTreeSet<_> = manifest.entries.values().filter_map(Blob::of_entry).collect();
    let lacking = lacking(&store, &wanted.iter().copied().collect::<Vec<_>>())?;
    announce(site, &manifest, &lacking)?;
    let bytes: u64 = lacking.iter().map(|blob| blob.bytes).sum();
    for (done, blob) in (0u64..).zip(&lacking) {
        fetch(site, &store, blob)?;
        if done % REPORT_EVERY == 0 {
            progress.advance(done, lacking.len() as u64, "files");
            stop_if_asked(progress)?;
        }
    }
    if lacking.is_empty() {
        return Ok(Outcome::unchanged(format!("all {} already here", files(wanted.len()))));
    }
    store.sync().map_err(disk)?;
    Ok(Outcome::changed(format!(
        "{}, {}; {} already here",
        files(lacking.len()),
        size::bytes(bytes),
        wanted.len() - lacking.len()
    )))
}

/// The blobs that a store lacks, in their order.
fn lacking(store: &BlobStore, wanted: &[Blob]) -> Result<Vec<Blob>, Failure> {
    let lacks = |blob: &Blob| store.has(blob).map(|has| (!has).then_some(*blob)).map_err(disk);
    Ok(parallel::map(wanted, lacks)?.into_iter().flatten().collect())
}

/// Fails when stopping was asked for.
pub(crate) fn stop_if_asked(progress: &dyn Progress) -> Result<(), Failure> {
    if progress.cancelled() { Err(Failure::cancelled()) } else { Ok(()) }
}

/// The artifact's manifest: the one offered now, which is written down, or the one received before.
fn received<'s>(site: &Site<'s>, artifact: &Digest) -> Result<Cow<'s, Manifest>, Failure> {
    let Some(offered) = offered(site, artifact) else {
        return stored(site, artifact).map(Cow::Owned).map_err(|failure| failure.hint("deploy again"));
    };
    let path = site.layout.manifest(artifact);
    let text = offered.canonical();
    if !read_bounded(&path, MANIFEST_BYTES_MAX).is_ok_and(|known| known == text) {
        write_atomic(&path, &text, 0o644).map_err(disk)?;
    }
    Ok(Cow::Borrowed(offered))
}

/// The manifest that the client brought, if it is this artifact's; it was checked when it came.
fn offered<'s>(site: &Site<'s>, artifact: &Digest) -> Option<&'s Manifest> {
    site.offer.filter(|offer| offer.id == *artifact).map(|offer| &offer.manifest)
}

/// The manifest of an artifact that was received, without reading it again where it is at hand.
pub(crate) fn known<'s>(site: &Site<'s>, artifact: &Digest) -> Result<Cow<'s, Manifest>, Failure> {
    offered(site, artifact).map_or_else(|| stored(site, artifact).map(Cow::Owned), |known| Ok(Cow::Borrowed(known)))
}

/// The manifest of an artifact that was received, checked.
pub(crate) fn stored(site: &Site<'_>, artifact: &Digest) -> Result<Manifest, Failure> {
    let path = site.layout.manifest(artifact);
    let bytes = read_bounded(&path, MANIFEST_BYTES_MAX).map_err(disk)?;
    if Digest::of(&bytes) != *artifact {
        return Err(Failure::new(format!("read {}: its digest is wrong", path.display())));
    }
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|e| Failure::new(format!("read {}: {e}", path.display())))?;
    manifest.check().map_err(|e| Failure::new(format!("read {}: {e}", path.display())))?;
    Ok(manifest)
}

fn announce(site: &Site<'_>, manifest: &Manifest, lacking: &[Blob]) -> Result<(), Failure> {
    let Some(offer) = site.offer.filter(|_| !lacking.is_empty()) else { return Ok(()) };
    let mut bases = bases::find(site, manifest, lacking);
    let wanted = lacking.iter().map(|blob| Wanted { digest: blob.digest, base: bases.remove(&blob.digest) });
    let wanted: Vec<Wanted> = wanted.collect();
    offer.blobs.announce(&wanted).map_err(|e| Failure::new(format!("ask for what this host lacks: {e}")))
}

fn fetch(site: &Site<'_>, store: &BlobStore, blob: &Blob) -> Result<(), Failure> {
    let failed = |why: String| Failure::new(format!("receive blob {}: {why}", blob.digest.short()));
    let source: &dyn BlobSource = site
        .offer
        .as_ref()
        .map(|offer| offer.blobs)
        .ok_or_else(|| failed("nobody offers it any more".into()).hint("deploy again"))?;
    let inserted = match source.path(&blob.digest) {
        Some(path) => {
            let file = File::open(&path).map_err(|e| io("open", &path, &e))?;
            store.insert_file(blob, &file)
        }
        None => store.insert(blob, &mut source.open(&blob.digest).map_err(|e| failed(e.to_string()))?),
    };
    inserted.map_err(|error| match error {
        cutover_disk::BlobError::Disk(error) => disk(error),
        other => failed(chain(&other)),
    })
}

/// A count of files in words.
pub(crate) fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
