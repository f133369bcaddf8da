//! Contents that go with the order, before the host has said what it lacks: it saves a round trip where the guess is right.
//!
//! One compressed stream of contents, each behind the place of an entry in the manifest that has it: four bytes,
//! little-endian. The manifest says how long each of them is.

use super::{LEVEL, WINDOW_LOG_MAX, files};
use cutover_core::artifact::{BlobSource, Digest, Manifest};
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};

/// The most bytes of contents that go ahead. Whoever has more to send hardly notices the round trip.
const AHEAD_BYTES_MAX: u64 = 256 << 10;

/// Contents that have arrived before anybody asked for them.
pub type Ahead = HashMap<Digest, Vec<u8>>;

/// What a manifest has and an earlier one has not, packed; None when that is nothing, or too much to be sent on a guess.
pub fn pack_ahead(manifest: &Manifest, earlier: &Manifest, source: &dyn BlobSource) -> io::Result<Option<Vec<u8>>> {
    let mut known: HashSet<Digest> = files(earlier).map(|(_, digest, _)| digest).collect();
    let fresh: Vec<_> = files(manifest).filter(|(_, digest, _)| known.insert(*digest)).collect();
    if fresh.is_empty() || fresh.iter().map(|(_, _, bytes)| bytes).sum::<u64>() > AHEAD_BYTES_MAX {
        return Ok(None);
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    for (entry, digest, bytes) in fresh {
        encoder.write_all(&entry.to_le_bytes())?;
        if io::copy(&mut source.open(&digest)?.take(bytes), &mut encoder)? < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(encoder.finish()?))
}

/// The opposite of [`pack_ahead`]: never more than may go ahead. Whoever stores the contents verifies them.
pub fn unpack_ahead(manifest: &Manifest, packed: &[u8]) -> io::Result<Ahead> {
    let mut decoder = zstd::Decoder::new(packed)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let sizes: HashMap<u32, (Digest, u64)> =
        files(manifest).map(|(entry, digest, bytes)| (entry, (digest, bytes))).collect();
    let (mut ahead, mut left) = (Ahead::new(), AHEAD_BYTES_MAX);
    while let Some(entry) = next_entry(&mut decoder)? {
        let (digest, bytes) = sizes.get(&entry).copied().ok_or_else(|| invalid("a content of no entry"))?;
        left = left.checked_sub(bytes).ok_or_else(|| invalid("more than may be sent ahead"))?;
        let mut content = Vec::new();
        if (&mut decoder).take(bytes).read_to_end(&mut content)? as u64 != bytes {
            return Err(invalid("half of a content"));
        }
        if ahead.insert(digest, content).is_some() {
            return Err(invalid("a content twice"));
        }
    }
    Ok(ahead)
}

fn next_entry(from: &mut impl Read) -> io::Result<Option<u32>> {
    let mut number = Vec::new();
    from.take(4).read_to_end(&mut number)?;
    match number.as_slice() {
        [] => Ok(None),
        [a, b, c, d] => Ok(Some(u32::from_le_bytes([*a, *b, *c, *d]))),
        _ => Err(invalid("half of a number")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the client sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::artifact::{ManifestEntry, RelativePath};
    use std::path::PathBuf;

    /// Contents by their names.
    struct Texts(Vec<(&'static str, Vec<u8>)>);

    impl Texts {
        fn manifest(&self) -> Manifest {
            let entry = |(path, text): &(&str, Vec<u8>)| {
                let (digest, bytes) = (Digest::of(text), text.len() as u64);
                (RelativePath::new(*path).unwrap(), ManifestEntry::File { digest, bytes, executable: false })
            };
            let entries = self.0.iter().map(entry).collect();
            Manifest { version: 1, project: "shop".into(), commit: String::new(), dirty: false, entries }
        }
    }

    impl BlobSource for Texts {
        fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
            let found = self.0.iter().find(|(_, text)| Digest::of(text) == *digest);
            Ok(Box::new(found.ok_or(io::ErrorKind::NotFound)?.1.as_slice()))
        }

        fn path(&self, _: &Digest) -> Option<PathBuf> {
            None
        }
    }

    fn texts(texts: &[(&'static str, &str)]) -> Texts {
        Texts(texts.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect())
    }

    #[test]
    fn what_is_new_goes_ahead_once_and_arrives_as_it_was() {
        let earlier = texts(&[("a", "one"), ("b", "two")]).manifest();
        let now = texts(&[("a", "one"), ("b", "three"), ("c", ""), ("d", "three")]);

        let packed = pack_ahead(&now.manifest(), &earlier, &now).unwrap().unwrap();

        let ahead = unpack_ahead(&now.manifest(), &packed).unwrap();
        let expected = ["three", ""].map(|text| (Digest::of(text.as_bytes()), text.as_bytes().to_vec()));
        assert_eq!(ahead, Ahead::from(expected));
    }

    #[test]
    fn nothing_goes_ahead_when_nothing_is_new_or_too_much_is() {
        let earlier = texts(&[("a", "one")]);
        assert_eq!(pack_ahead(&earlier.manifest(), &earlier.manifest(), &earlier).unwrap(), None);
        let large = Texts(vec![("a", vec![b'x'; AHEAD_BYTES_MAX as usize]), ("b", b"y".to_vec())]);
        assert_eq!(pack_ahead(&large.manifest(), &earlier.manifest(), &large).unwrap(), None);
    }

    #[test]
    fn what_is_none_of_the_manifests_or_comes_twice_or_in_part_is_refused() {
        let now = texts(&[("a", "one"), ("b", "two")]);
        let unpack = |bytes: &[&[u8]]| {
            let packed = zstd::encode_all(bytes.concat().as_slice(), LEVEL).unwrap();
            unpack_ahead(&now.manifest(), &packed).map_err(|error| error.to_string())
        };
        let [first, ninth] = [0_u32, 9].map(u32::to_le_bytes);
        assert_eq!(unpack(&[&first, b"one"]).unwrap().len(), 1);
        for wrong in [&[&ninth[..], b"one"][..], &[&first, b"one", &first, b"one"], &[&first, b"on"], &[&first[..2]]] {
            assert!(unpack(wrong).is_err(), "{wrong:?}");
        }
        // Nor is memory filled by what unpacks to much.
        let large = Texts(vec![("a", vec![b'x'; AHEAD_BYTES_MAX as usize + 1])]);
        let packed = zstd::encode_all([&first[..], &large.0[0].1].concat().as_slice(), LEVEL).unwrap();
        assert!(unpack_ahead(&large.manifest(), &packed).is_err());
    }
}
