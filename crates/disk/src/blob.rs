//! One file's content in the store: what it is called and how an untouched one looks.

use crate::stamp::Stamp;
use cutover_core::artifact::{Digest, ManifestEntry};
use std::path::PathBuf;

/// A file's content together with whether it may be executed.
///
/// The two belong together because hard links share one mode: the same content with and without
/// the executable bit is stored twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob {
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub bytes: u64,
    /// Whether it may be executed (mode 0555, else 0444).
    pub executable: bool,
}

/// How many characters of a digest name the directory that its blob lies in.
///
/// Sixteen directories hold a million blobs; more of them cost more to make and to walk than they save.
pub(crate) const FAN_OUT_LENGTH: usize = 1;

impl Blob {
    /// The blob that a manifest's entry needs; `None` for a symbolic link.
    pub fn of_entry(entry: &ManifestEntry) -> Option<Self> {
        match entry {
            ManifestEntry::File { digest, bytes, executable } => {
                Some(Self { digest: *digest, bytes: *bytes, executable: *executable })
            }
            ManifestEntry::Symlink { .. } => None,
        }
    }

    /// Where it lies in a store: `a/bcdef…`, with `.x` behind an executable one.
    pub(crate) fn relative_path(digest: &Digest, executable: bool) -> PathBuf {
        let name = digest.to_string();
        let (fan_out, rest) = name.split_at(FAN_OUT_LENGTH);
        let mut path = String::with_capacity(name.len() + 3);
        path.extend([fan_out, "/", rest, if executable { ".x" } else { "" }]);
        path.into()
    }

    /// How the stored file looks as long as nobody has touched it.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::of(&self.digest, self.bytes, self.mode())
    }

    /// The permissions of its file: nobody may write to it.
    pub(crate) fn mode(&self) -> u32 {
        if self.executable { 0o555 } else { 0o444 }
    }
}
