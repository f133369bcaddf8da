//! What is known of git objects that were packed before, so that they are neither read nor hashed again.

use crate::git::Oid;
use cutover_core::artifact::Digest;
use cutover_disk::{DiskError, write_unsynced};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const MAGIC: &[u8; 8] = b"ctvroid1";
/// Id, digest, size.
const RECORD_BYTES: usize = 33 + 32 + 8;
/// The largest cache file: about 3.6 million objects.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// How many objects that the last pack did not use are kept beside those that it did.
const UNUSED_COUNT_MAX: usize = 20_000;

/// Digest and size of git blobs by their object id.
#[derive(Debug, Default)]
pub(crate) struct OidCache {
    known: HashMap<Oid, (Digest, u64)>,
    changed: bool,
}

impl OidCache {
    /// Reads a cache; a missing or damaged one is empty, for it only saves time.
    pub(crate) fn load(path: &Path) -> Self {
        Self { known: read(path).and_then(|bytes| parse(&bytes)).unwrap_or_default(), changed: false }
    }

    pub(crate) fn get(&self, oid: &Oid) -> Option<(Digest, u64)> {
        self.known.get(oid).copied()
    }

    pub(crate) fn put(&mut self, oid: Oid, digest: Digest, bytes: u64) {
        self.changed |= self.known.insert(oid, (digest, bytes)) != Some((digest, bytes));
    }

    /// Writes the cache when it has changed, dropping old objects when there are many of them.
    pub(crate) fn save(mut self, path: &Path, used: &HashSet<Oid>) -> Result<(), DiskError> {
        if !self.changed {
            return Ok(());
        }
        if self.known.len() > used.len() + UNUSED_COUNT_MAX {
            self.known.retain(|oid, _| used.contains(oid));
        }
        write_unsynced(path, &self.to_bytes(), 0o600)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAGIC.len() + self.known.len() * RECORD_BYTES + 32);
        bytes.extend(MAGIC);
        for (oid, (digest, size)) in &self.known {
            bytes.extend(oid.to_bytes());
            bytes.extend(digest.as_bytes());
            bytes.extend(size.to_le_bytes());
        }
        // It is not synced: after a power cut the check tells whether all of it arrived.
        let check = Digest::of(&bytes);
        bytes.extend(check.as_bytes());
        bytes
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn parse(bytes: &[u8]) -> Option<HashMap<Oid, (Digest, u64)>> {
    let (body, check) = bytes.split_last_chunk::<32>()?;
    if Digest::of(body).as_bytes() != check {
        return None;
    }
    let (records, rest) = body.strip_prefix(MAGIC)?.as_chunks::<RECORD_BYTES>();
    rest.is_empty().then(|| records.iter().map(parse_record).collect())?
}

fn parse_record(record: &[u8; RECORD_BYTES]) -> Option<(Oid, (Digest, u64))> {
    let (oid, rest) = record.split_first_chunk::<33>()?;
    let (digest, size) = rest.split_first_chunk::<32>()?;
    let size = u64::from_le_bytes(size.try_into().ok()?);
    Some((Oid::from_bytes(oid)?, (Digest::from_bytes(*digest), size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(number: u8) -> Oid {
        Oid::parse(format!("{number:02x}").repeat(20).as_bytes()).unwrap()
    }

    #[test]
    fn what_was_put_is_found_after_saving_and_loading() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let mut cache = OidCache::load(&path);
        cache.put(oid(1), Digest::of(b"1"), 1);
        cache.put(oid(2), Digest::of(b"2"), 2);
        cache.save(&path, &HashSet::new()).unwrap();

        let cache = OidCache::load(&path);

        assert_eq!(cache.get(&oid(2)), Some((Digest::of(b"2"), 2)));
        assert_eq!(cache.get(&oid(3)), None);
    }

    #[test]
    fn a_damaged_cache_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let mut cache = OidCache::default();
        cache.put(oid(1), Digest::of(b"1"), 1);
        let good = cache.to_bytes();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(OidCache::load(&path).known.is_empty(), "byte {at}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(OidCache::load(&path).known.is_empty(), "cut at {at}");
        }
    }

    #[test]
    fn old_objects_are_dropped_when_they_are_many() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let mut cache = OidCache::default();
        for number in 0..=UNUSED_COUNT_MAX + 1 {
            cache.put(Oid::parse(format!("{number:040x}").as_bytes()).unwrap(), Digest::of(b""), 0);
        }
        let used = Oid::parse(format!("{:040x}", 7).as_bytes()).unwrap();
        cache.save(&path, &HashSet::from([used])).unwrap();

        assert_eq!(OidCache::load(&path).known.into_keys().collect::<Vec<_>>(), [used]);
    }
}
