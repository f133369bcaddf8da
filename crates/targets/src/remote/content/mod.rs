//! Contents on their way: the host says which it lacks, and gets them as one compressed stream, in that order.
//!
//! A large one comes as what changed, where the host has something like it.

mod ahead;
mod delivery;
mod send;

pub use ahead::{Ahead, pack_ahead, unpack_ahead};
pub use delivery::{Inlet, Remote};
pub use send::send;

use cutover_core::artifact::{Digest, MANIFEST_BYTES_MAX, Manifest, ManifestEntry};
use std::io::{self, Read};

/// Zstandard's fastest ordinary level: a network is rarely faster than it.
const LEVEL: i32 = 1;
/// The largest window that is unpacked, as a power of two: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// The files of a manifest: the place of the entry, the content and its length.
fn files(manifest: &Manifest) -> impl Iterator<Item = (u32, Digest, u64)> {
    (0..).zip(manifest.entries.values()).filter_map(|(entry, of)| match of {
        ManifestEntry::File { digest, bytes, .. } => Some((entry, *digest, *bytes)),
        ManifestEntry::Symlink { .. } => None,
    })
}

/// A manifest, compressed.
pub fn pack_manifest(manifest: &Manifest) -> io::Result<Vec<u8>> {
    zstd::encode_all(manifest.canonical().as_slice(), LEVEL)
}

/// The opposite of [`pack_manifest`]: checked, and never larger than a manifest may be.
pub fn unpack_manifest(bytes: &[u8]) -> io::Result<Manifest> {
    let mut decoder = zstd::Decoder::new(bytes)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let mut json = Vec::new();
    decoder.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut json)?;
    if json.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the manifest is too large"));
    }
    let manifest: Manifest = serde_json::from_slice(&json)?;
    manifest.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(manifest)
}
