//! Reading objects that git has not packed yet, without a process: those of fresh commits, which are the ones to deploy.

use super::Oid;
use cutover_disk::read_bounded;
use flate2::bufread::ZlibDecoder;
use std::io::Read;
use std::path::Path;

/// The longest header: a type, a size, NUL.
const HEADER_LENGTH_MAX: usize = 32;
/// How much longer than its content a file may be: what zlib adds to what cannot be compressed is far less.
const OVERHEAD_BYTES_MAX: u64 = 64 << 10;

/// The content of a blob in a directory of objects, if it lies there alone and has at most `bytes_max` bytes.
///
/// `None` also stands for one that cannot be read or understood: git is asked then, and its word is told.
/// Such a file is a zlib stream of `blob <size>\0<content>`, named by the object's id (gitformat-loose(5)).
pub(crate) fn read_loose(objects: &Path, oid: &Oid, bytes_max: u64) -> Option<Vec<u8>> {
    let name = oid.to_string();
    // At once: a decoder asks its file again for each byte of the header.
    let path = objects.join(name.get(..2)?).join(name.get(2..)?);
    let stored = read_bounded(&path, bytes_max + OVERHEAD_BYTES_MAX).ok()?;
    let mut reader = ZlibDecoder::new(&stored[..]);
    let bytes = read_size(&mut reader).filter(|bytes| *bytes <= bytes_max)?;
    let mut content = Vec::with_capacity(bytes as usize);
    // One byte more than announced: the end must be seen, where zlib compares its checksum.
    reader.take(bytes + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 == bytes).then_some(content)
}

/// Reads `blob <size>\0`.
fn read_size(reader: &mut dyn Read) -> Option<u64> {
    let mut header = Vec::with_capacity(HEADER_LENGTH_MAX);
    while header.len() < HEADER_LENGTH_MAX {
        let mut byte = [0];
        reader.read_exact(&mut byte).ok()?;
        if byte == [0] {
            return std::str::from_utf8(&header).ok()?.strip_prefix("blob ")?.parse().ok();
        }
        header.extend(byte);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write;

    const BYTES_MAX: u64 = 1000;

    /// What is read of a file with these bytes, where the object lies.
    fn read_file(bytes: &[u8]) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ab")).unwrap();
        fs::write(dir.path().join("ab").join("0".repeat(38)), bytes).unwrap();
        let oid = Oid::parse(format!("ab{}", "0".repeat(38)).as_bytes()).unwrap();
        read_loose(dir.path(), &oid, BYTES_MAX)
    }

    fn compressed(content: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_blob_is_read_and_all_else_is_left_to_git() {
        assert_eq!(read_file(&compressed(b"blob 5\0right")).as_deref(), Some(&b"right"[..]));
        assert_eq!(read_file(&compressed(b"blob 0\0")).as_deref(), Some(&b""[..]));
        let not_ours: [&[u8]; 8] = [
            b"tree 5\0right",
            b"blob 4\0longer",
            b"blob 9\0short",
            b"blob -1\0x",
            b"blob 99999999999999999999\0x",
            b"blob",
            b"",
            &[b"blob 1001\0".to_vec(), vec![0; 1001]].concat(),
        ];
        for content in not_ours {
            assert_eq!(read_file(&compressed(content)), None, "{}", String::from_utf8_lossy(content));
        }
        assert_eq!(read_file(b"no zlib"), None);
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let sound = compressed(b"blob 5\0right");
        for place in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[place] ^= 0x10;
            assert!(read_file(&damaged).is_none_or(|content| content == b"right"), "byte {place}");
        }
        assert_eq!(read_file(&sound[..sound.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_neither_panic_nor_fill_the_memory(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read_file(&bytes).is_none_or(|content| content.len() as u64 <= BYTES_MAX));
            prop_assert!(read_file(&compressed(&bytes)).is_none_or(|content| content.len() as u64 <= BYTES_MAX));
        }
    }
}
