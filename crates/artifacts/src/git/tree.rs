//! What git lists.

use super::failed;
use crate::error::ArtifactError;
use std::fmt::{self, Write};

/// A git object's id: SHA-1 or SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Oid {
    length: u8,
    bytes: [u8; 32],
}

/// One path of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    /// Not always UTF-8.
    pub(crate) path: Vec<u8>,
    pub(crate) oid: Oid,
    pub(crate) kind: TreeKind,
}

/// What lies at a path of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TreeKind {
    File { executable: bool },
    Symlink,
    Submodule,
}

impl Oid {
    /// Reads 40 or 64 hexadecimal characters.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let length = text.len() / 2;
        if !matches!(text.len(), 40 | 64) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
        }
        Some(Self { length: length as u8, bytes })
    }

    /// 33 bytes that stand for the id in the cache.
    pub(crate) fn to_bytes(self) -> [u8; 33] {
        let mut bytes = [self.length; 33];
        bytes[1..].copy_from_slice(&self.bytes);
        bytes
    }

    /// The opposite of [`Oid::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8; 33]) -> Option<Self> {
        let [length, rest @ ..] = *bytes;
        matches!(length, 20 | 32).then_some(Self { length, bytes: rest })
    }
}

fn nibble(character: u8) -> Option<u8> {
    (character as char).to_digit(16).map(|digit| digit as u8)
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.bytes[..usize::from(self.length)].iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        f.write_str(&hex)
    }
}

/// Reads `100644 blob <oid>\t<path>` of `ls-tree -z`.
pub(super) fn parse(record: &[u8]) -> Result<TreeEntry, ArtifactError> {
    let malformed = || failed("ls-tree", format!("unexpected line {:?}", String::from_utf8_lossy(record)));
    let tab = record.iter().position(|byte| *byte == b'\t').ok_or_else(malformed)?;
    let mut fields = record[..tab].split(|byte| *byte == b' ');
    let (mode, _, oid) = (fields.next(), fields.next(), fields.next());
    let kind = match mode {
        Some(b"100755") => TreeKind::File { executable: true },
        // 100664 is found in very old repositories.
        Some(b"100644" | b"100664") => TreeKind::File { executable: false },
        Some(b"120000") => TreeKind::Symlink,
        Some(b"160000") => TreeKind::Submodule,
        Some(_) | None => return Err(malformed()),
    };
    let oid = oid.and_then(Oid::parse).ok_or_else(malformed)?;
    Ok(TreeEntry { path: record[tab + 1..].to_vec(), oid, kind })
}

/// Reads `H <path>` of `ls-files -t -z`.
pub(super) fn parse_tagged(record: &[u8]) -> Result<Vec<u8>, ArtifactError> {
    match record {
        [b'S', b' ', rest @ ..] => Err(ArtifactError::Sparse(String::from_utf8_lossy(rest).into_owned())),
        [_, b' ', rest @ ..] => Ok(rest.to_vec()),
        _ => Err(failed("ls-files", "unexpected output")),
    }
}

/// A path as text, or the error that names it.
pub(crate) fn utf8(path: &[u8]) -> Result<&str, ArtifactError> {
    std::str::from_utf8(path).map_err(|_| ArtifactError::PathNotUtf8(String::from_utf8_lossy(path).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_reading_and_showing() {
        for hex in ["0123456789abcdef0123456789abcdef01234567", &"0f".repeat(32)] {
            let oid = Oid::parse(hex.as_bytes()).unwrap();
            assert_eq!(oid.to_string(), hex);
            assert_eq!(Oid::from_bytes(&oid.to_bytes()), Some(oid));
        }
        assert!(Oid::parse(b"").is_none() && Oid::parse("xy".repeat(20).as_bytes()).is_none());
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_and_no_guess() {
        let oid = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(parse(format!("100755 blob {oid}\ta b").as_bytes()).unwrap().path, b"a b");
        for line in ["", "100644 blob\tx", &format!("100600 blob {oid}\tx"), &format!("100644 blob {oid} x")] {
            assert!(matches!(parse(line.as_bytes()), Err(ArtifactError::Git(_))), "{line}");
        }
        let bytes = [format!("100644 blob {oid}\t").as_bytes(), b"\xff"].concat();
        assert!(matches!(utf8(&parse(&bytes).unwrap().path), Err(ArtifactError::PathNotUtf8(_))));
    }
}
