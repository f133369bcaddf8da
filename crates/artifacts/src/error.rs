//! What can go wrong with artifacts.

use cutover_child::{ChildError, GitError};
use cutover_core::artifact::{Digest, InvalidManifest, InvalidPath};
use cutover_disk::{BlobError, DiskError};
use std::path::PathBuf;
use std::time::Duration;

/// An artifact that could not be packed, found, written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A git command failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A revision that the repository does not have, or that is not a commit.
    #[error("revision {0:?} is not a commit of this repository")]
    UnknownRevision(String),
    /// A branch whose history meets that of `HEAD` nowhere, as far as it is here.
    #[error("{0} and HEAD have no commit in common here")]
    NothingInCommon(String),
    /// A clone that ends with `HEAD`.
    #[error("the commit before HEAD is not here: the clone is shallow")]
    Shallow,
    /// A pattern that cannot be understood.
    #[error("pattern {pattern:?}: {detail}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A path that no artifact can hold.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// A path that is not UTF-8 text; unreadable bytes are shown as `�`.
    #[error("path {0:?} is not UTF-8 text")]
    PathNotUtf8(String),
    /// Two things at one path, which a broken tree can hold.
    #[error("path {0} comes twice")]
    PathTwice(String),
    /// A submodule or a nested repository, whose files are not in this repository.
    #[error("{0} is a repository of its own (a submodule): its files are not part of the commit")]
    Submodule(String),
    /// A Git LFS pointer, whose content is not in this repository.
    #[error("{0} is a Git LFS pointer: its content is not part of the commit")]
    LfsPointer(String),
    /// A file that is outside of a sparse checkout.
    #[error("{0} is outside of the sparse checkout: it cannot be packed from the work tree")]
    Sparse(String),
    /// A device, socket or pipe.
    #[error("{0} is neither a file, a directory nor a symbolic link")]
    SpecialFile(String),
    /// A manifest that is not safe to unpack.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// The build command failed.
    #[error("build command: {0}")]
    Build(#[from] BuildError),
    /// The store's files failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A blob failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// No artifact with this id or prefix.
    #[error("artifact {0} is not in the local store")]
    NotFound(String),
    /// A prefix that several artifacts share.
    #[error("artifact {prefix} is ambiguous: {}", .matches.join(", "))]
    Ambiguous {
        /// The prefix as given.
        prefix: String,
        /// Short ids of those that begin with it.
        matches: Vec<String>,
    },
    /// A text that is neither an id nor a prefix of one.
    #[error("artifact id {0:?}: expected at least {min} hexadecimal characters", min = crate::ID_PREFIX_LENGTH_MIN)]
    InvalidId(String),
    /// A stored artifact that does not match its id.
    #[error("artifact {} is damaged: {detail}", .id.short())]
    Damaged {
        /// Its id.
        id: Digest,
        /// What does not match.
        detail: String,
    },
    /// Another process keeps the store locked.
    #[error("artifact store {} is locked by another process for more than {} s", .path.display(), .waited.as_secs())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// An exported artifact that is not what it says.
    #[error("import: {0}")]
    Import(#[from] ImportError),
    /// An artifact could not be written out.
    #[error("export artifact {}", .id.short())]
    Export {
        /// Its id.
        id: Digest,
        /// Why.
        source: std::io::Error,
    },
}

/// A build command that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It ended with another exit code than 0.
    #[error("exit code {0}")]
    ExitCode(i32),
    /// It did not end by itself.
    #[error(transparent)]
    Child(ChildError),
}

/// An exported artifact that was refused; nothing of it is visible in the store.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not an exported artifact.
    #[error("not an exported artifact")]
    NotAnArtifact,
    /// Written by another version.
    #[error("format version {0} is unknown; this version reads {version}", version = crate::export::VERSION)]
    Version(u32),
    /// It ends early, cannot be decompressed, or cannot be read.
    #[error("cannot be read to its end")]
    Read(#[source] std::io::Error),
    /// It is not the artifact that was asked for.
    #[error("it holds another artifact, {}", .0.short())]
    Another(Digest),
    /// It is larger than the limit.
    #[error("unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// Its manifest or record cannot be understood.
    #[error("{0} is malformed: {1}")]
    Malformed(&'static str, String),
    /// Something follows where it should end.
    #[error("something follows after its end")]
    TrailingBytes,
}

impl ArtifactError {
    /// Whether the file system has no room left.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Disk(error) | Self::Blob(BlobError::Disk(error)) if error.is_no_space())
    }

    /// What a person can do about it, as a sentence's beginning in small letters.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Manifest(InvalidManifest::Reserved(_)) => {
                Some("rename it, or leave it out with `exclude` in [artifact]")
            }
            Self::Submodule(_) => Some(
                "leave it out with `exclude` in [artifact], vendor its files into this repository, or fetch them in the `build` command and exclude the path",
            ),
            Self::LfsPointer(_) => {
                Some("leave it out with `exclude` in [artifact], or commit the file itself instead of the pointer")
            }
            Self::Sparse(_) => Some("widen the sparse checkout, or pack a commit instead of the work tree"),
            Self::SpecialFile(_) => Some("leave it out with `exclude` in [artifact]"),
            Self::Manifest(InvalidManifest::LinkEscapes { .. }) => {
                Some("make the link relative and let it end inside of the artifact, or leave it out with `exclude`")
            }
            Self::PathNotUtf8(_) => Some("rename the file, or leave out its directory with `exclude` in [artifact]"),
            Self::UnknownRevision(_) => {
                Some("fetch it first; a shallow clone (as CI makes by default) lacks older commits")
            }
            Self::Shallow | Self::NothingInCommon(_) => {
                Some("fetch all of the history: a shallow clone (as CI makes by default) lacks older commits")
            }
            Self::NotFound(_) => Some("`cutover build` packs one; it may also have been pruned"),
            Self::Damaged { .. } => Some("pack the commit again with `cutover build`"),
            Self::Blob(BlobError::Missing(_) | BlobError::Damaged(_)) => {
                Some("pack the commit again with `cutover build`")
            }
            Self::Build(BuildError::Child(ChildError::TimedOut { .. })) => Some("raise `build_timeout` in [artifact]"),
            Self::Git(_)
            | Self::Pattern { .. }
            | Self::Path(_)
            | Self::PathTwice(_)
            | Self::Manifest(_)
            | Self::Build(_)
            | Self::Disk(_)
            | Self::Blob(_)
            | Self::Ambiguous { .. }
            | Self::InvalidId(_)
            | Self::Locked { .. }
            | Self::Import(_)
            | Self::Export { .. } => None,
        }
    }
}
