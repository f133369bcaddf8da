//! What an artifact is: a manifest of digests, modes and links.

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

/// A BLAKE3 digest, written as 64 hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected 64 hexadecimal characters")]
pub struct InvalidDigest;

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal characters, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl std::str::FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| InvalidDigest)?;
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let [high, low] = [digits[2 * at], digits[2 * at + 1]].map(|digit| HEX_VALUES[usize::from(digit)]);
            if high | low > 15 {
                return Err(InvalidDigest);
            }
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// What each character is worth as a hexadecimal digit; 255 for none. Manifests name a digest for each file: looked up,
/// they are read in a fraction of the time that it takes to compare.
const HEX_VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;
    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// The most entries that a manifest may have.
pub const ENTRY_COUNT_MAX: usize = 1_000_000;
/// The largest manifest that is read, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// Whether this is a full hash of a commit, as git writes it.
pub fn is_commit_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The longest path in bytes (Linux `PATH_MAX` less the room for `deploy_to`).
pub const PATH_LENGTH_MAX: usize = 3_000;
/// The deepest path in components.
pub const PATH_DEPTH_MAX: usize = 100;
/// The file at the top of every release that Cutover writes itself: an artifact cannot hold it.
pub const RESERVED_NAME: &str = "release.json";
/// The longest commit hash in characters: SHA-256's.
const COMMIT_LENGTH_MAX: usize = 64;
/// The largest single file in bytes: 16 GiB.
pub const FILE_BYTES_MAX: u64 = 16 << 30;

/// A relative path of UTF-8 text that cannot leave its root: no `..`, no `.`, no empty component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// A path that could leave its root or that no file system would take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} {why}")]
pub struct InvalidPath {
    /// The refused path, cut to a printable length.
    pub path: String,
    /// What is wrong with it, to follow the path in a sentence.
    pub why: &'static str,
}

impl RelativePath {
    /// Accepts a path that stays under its root.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPath> {
        let text = text.into();
        match fault(&text) {
            None => Ok(Self(text)),
            Some(why) => Err(InvalidPath { path: text.chars().take(200).collect(), why }),
        }
    }

    /// The path with `/` between components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories above, nearest last: `a/b/c` gives `a`, `a/b`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > PATH_LENGTH_MAX {
        return Some("is too long");
    }
    if text.starts_with('/') {
        return Some("is absolute");
    }
    if text.contains('\0') {
        return Some("has a NUL character");
    }
    if text.split('/').count() > PATH_DEPTH_MAX {
        return Some("is too deep");
    }
    let bad = |part: &str| match part {
        "" => Some("has an empty component"),
        "." | ".." => Some("has a '.' or '..' component"),
        part if part.len() > 255 => Some("has a component of more than 255 bytes"),
        _ => None,
    };
    text.split('/').find_map(bad)
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<std::path::Path> for RelativePath {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl TryFrom<String> for RelativePath {
    type Error = InvalidPath;
    fn try_from(text: String) -> Result<Self, InvalidPath> {
        Self::new(text)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> String {
        path.0
    }
}

/// What lies at one path of an artifact. Directories are implied by the paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManifestEntry {
    /// A regular file.
    File {
        /// Digest of its content.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
        /// Whether it may be executed (mode 0555, else 0444).
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, relative to the link's own directory, never outside of the artifact.
        target: String,
    },
}

/// Everything that an artifact holds, and where it came from.
///
/// Its canonical JSON (fields in this order, paths sorted) is what the artifact's id is the digest of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version, now 1.
    pub version: u32,
    /// The project's name.
    pub project: String,
    /// Full commit hash; empty when there is none.
    pub commit: String,
    /// Whether uncommitted changes were packed.
    pub dirty: bool,
    /// What lies at each path.
    #[serde(deserialize_with = "bounded_entries")]
    pub entries: BTreeMap<RelativePath, ManifestEntry>,
}

/// Reads entries, refusing a path that comes twice, and stopping at [`ENTRY_COUNT_MAX`] before
/// memory is spent on more.
fn bounded_entries<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<RelativePath, ManifestEntry>, D::Error> {
    input.deserialize_map(EntriesVisitor)
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = BTreeMap<RelativePath, ManifestEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of at most {ENTRY_COUNT_MAX} paths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((path, entry)) = map.next_entry::<RelativePath, ManifestEntry>()? {
            if entries.len() == ENTRY_COUNT_MAX {
                return Err(A::Error::custom(format_args!("more than {ENTRY_COUNT_MAX} entries")));
            }
            if let Some(_twice) = entries.insert(path, entry) {
                return Err(A::Error::custom("a path comes twice"));
            }
        }
        Ok(entries)
    }
}

/// A manifest that cannot be unpacked safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// Written by another version.
    #[error("manifest version {0} is unknown; this version reads 1")]
    Version(u32),
    /// A commit that is no commit's name.
    #[error("the manifest's commit is no hash")]
    Commit,
    /// More than [`ENTRY_COUNT_MAX`] entries.
    #[error("manifest has {0} entries; the most is {ENTRY_COUNT_MAX}")]
    TooMany(usize),
    /// A file that is larger than [`FILE_BYTES_MAX`].
    #[error("{path} has {bytes} bytes; the most is {FILE_BYTES_MAX}")]
    TooLarge {
        /// The file.
        path: RelativePath,
        /// Its size.
        bytes: u64,
    },
    /// A path that Cutover writes to itself.
    #[error("{0} is reserved: Cutover writes {RESERVED_NAME} into every release itself")]
    Reserved(RelativePath),
    /// A path lies beneath a file or a symbolic link.
    #[error("{path} lies beneath {parent}, which is not a directory")]
    BeneathFile {
        /// The path.
        path: RelativePath,
        /// The file or link above it.
        parent: String,
    },
    /// A symbolic link points outside of the artifact.
    #[error("symbolic link {path} points to {target:?}, outside of the artifact")]
    LinkEscapes {
        /// The link.
        path: RelativePath,
        /// Where it points.
        target: String,
    },
}

impl Manifest {
    /// The format version that this code writes.
    pub const VERSION: u32 = 1;

    /// The artifact's id: the digest of the canonical JSON.
    pub fn id(&self) -> Digest {
        Digest::of(&self.canonical())
    }

    /// The bytes that the id is the digest of.
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has only strings, numbers and string keys")
    }

    /// The sum of all file sizes in bytes.
    pub fn unpacked_bytes(&self) -> u64 {
        self.entries
            .values()
            .map(|e| match e {
                ManifestEntry::File { bytes, .. } => *bytes,
                ManifestEntry::Symlink { .. } => 0,
            })
            .fold(0, u64::saturating_add)
    }

    /// Checks everything that the types cannot say: bounds, nesting, links.
    pub fn check(&self) -> Result<(), InvalidManifest> {
        if self.version != Self::VERSION {
            return Err(InvalidManifest::Version(self.version));
        }
        // It becomes part of a release's name.
        if self.commit.len() > COMMIT_LENGTH_MAX || !self.commit.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(InvalidManifest::Commit);
        }
        if self.entries.len() > ENTRY_COUNT_MAX {
            return Err(InvalidManifest::TooMany(self.entries.len()));
        }
        self.entries.iter().try_for_each(|(path, entry)| self.check_entry(path, entry))
    }

    fn check_entry(&self, path: &RelativePath, entry: &ManifestEntry) -> Result<(), InvalidManifest> {
        if path.as_str().split('/').next() == Some(RESERVED_NAME) {
            return Err(InvalidManifest::Reserved(path.clone()));
        }
        for parent in path.parents() {
            let key = RelativePath(parent.to_owned());
            if self.entries.contains_key(&key) {
                return Err(InvalidManifest::BeneathFile { path: path.clone(), parent: key.0 });
            }
        }
        match entry {
            ManifestEntry::File { bytes, .. } if *bytes > FILE_BYTES_MAX => {
                Err(InvalidManifest::TooLarge { path: path.clone(), bytes: *bytes })
            }
            ManifestEntry::Symlink { target } if !link_stays_inside(path, target) => {
                Err(InvalidManifest::LinkEscapes { path: path.clone(), target: target.chars().take(200).collect() })
            }
            ManifestEntry::File { .. } | ManifestEntry::Symlink { .. } => Ok(()),
        }
    }
}

/// Whether a link at `path` that points to `target` stays inside of the root.
///
/// `..` may stand only at the front and not climb above the root. Behind a name it could follow
/// another link and climb from wherever that one leads; this way every link leads from a real
/// directory of the artifact downwards, so chains of links stay inside too.
pub fn link_stays_inside(path: &RelativePath, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') || target.len() > PATH_LENGTH_MAX {
        return false;
    }
    let depth = path.parents().count();
    let parts: Vec<&str> = target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let climb = parts.iter().take_while(|part| **part == "..").count();
    climb <= depth && !parts[climb..].contains(&"..")
}

/// A content that is lacking here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its digest.
    pub digest: Digest,
    /// A file on this machine that is probably much like it.
    pub base: Option<PathBuf>,
}

/// Where the content of an artifact's files comes from.
pub trait BlobSource: Sync {
    /// Is told which contents will be opened, in this order, before the first of them is: a source that is far away
    /// sends them all at once.
    fn announce(&self, _wanted: &[Wanted]) -> io::Result<()> {
        Ok(())
    }

    /// Opens the content with this digest; the reader's user verifies it.
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>>;

    /// A file on this machine that holds the content, when there is one: it may be cloned or copied,
    /// never written.
    fn path(&self, digest: &Digest) -> Option<PathBuf>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written_in_small_letters_or_capitals() {
        let digest = Digest::from_bytes(std::array::from_fn(|at| (at * 37) as u8));
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        for wrong in ["", &text[1..], &format!("{text}0"), &text.replacen('0', "g", 1), &text.replacen('0', "é", 1)] {
            assert_eq!(wrong.parse::<Digest>(), Err(InvalidDigest), "{wrong}");
        }
    }

    #[test]
    fn a_manifest_that_names_a_path_twice_is_refused() {
        let entry = r#"{"symlink":{"target":"b"}}"#;
        let text = |second: &str| {
            format!(
                r#"{{"version":1,"project":"p","commit":"","dirty":false,"entries":{{"a":{entry},"{second}":{entry}}}}}"#
            )
        };
        assert!(serde_json::from_str::<Manifest>(&text("c")).is_ok());
        assert!(serde_json::from_str::<Manifest>(&text("a")).is_err());
    }

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    #[test]
    fn a_path_that_could_leave_its_root_is_refused() {
        for text in ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "a\0b"] {
            assert!(RelativePath::new(text).is_err(), "{text:?}");
        }
        assert!(RelativePath::new("a/b.c/..d").is_ok());
    }

    #[test]
    fn a_link_may_point_anywhere_inside_and_nowhere_else() {
        assert!(link_stays_inside(&path("a/b/link"), "../../top"));
        assert!(link_stays_inside(&path("link"), "dir/./file"));
        for target in ["..", "../x", "/etc", "", "dir/../../x", "other-link/../x"] {
            assert!(!link_stays_inside(&path("link"), target), "{target:?}");
        }
    }

    #[test]
    fn the_file_that_cutover_writes_itself_is_refused_at_the_top_only() {
        let entry = || ManifestEntry::File { digest: Digest::of(b""), bytes: 0, executable: false };
        for (text, is_sound) in [("release.json", false), ("release.json/a", false), ("a/release.json", true)] {
            let entries = BTreeMap::from([(path(text), entry())]);
            let manifest = Manifest { version: 1, project: "p".into(), commit: String::new(), dirty: false, entries };
            assert_eq!(manifest.check().is_ok(), is_sound, "{text}");
        }
    }

    #[test]
    fn a_commit_that_is_no_hash_is_refused() {
        for (commit, is_sound) in [
            ("", true),
            ("0123abc", true),
            ("a\u{e9}b\u{e9}c\u{e9}", false),
            ("../../x", false),
            (&"a".repeat(65), false),
        ] {
            let entries = BTreeMap::new();
            let manifest = Manifest { version: 1, project: "p".into(), commit: commit.into(), dirty: false, entries };
            assert_eq!(manifest.check().is_ok(), is_sound, "{commit}");
        }
    }

    #[test]
    fn a_path_beneath_a_link_is_refused() {
        let mut manifest =
            Manifest { version: 1, project: "p".into(), commit: String::new(), dirty: false, entries: BTreeMap::new() };
        manifest.entries.insert(path("a"), ManifestEntry::Symlink { target: "b".into() });
        manifest
            .entries
            .insert(path("a/evil"), ManifestEntry::File { digest: Digest::of(b""), bytes: 0, executable: false });
        assert!(matches!(manifest.check(), Err(InvalidManifest::BeneathFile { .. })));
    }
}
