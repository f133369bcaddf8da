//! What went wrong on disk, and where.

use cutover_core::artifact::Digest;
use std::io;
use std::path::{Path, PathBuf};

/// A file operation that failed: `write /opt/app/release.json`, with the cause as its source.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct DiskError {
    /// What was attempted: a verb, such as `write` or `rename`.
    pub operation: &'static str,
    /// What it was attempted on.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// Whether a file system has no room left for this user or for all, by space, inodes or quota.
pub fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl DiskError {
    /// Names the operation and the path of a failure.
    pub fn new(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { operation, path: path.to_owned(), source: source.into() }
    }

    /// Whether the file system has no room left, by space, inodes or quota.
    pub fn is_no_space(&self) -> bool {
        is_no_space(&self.source)
    }

    /// Whether the path does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// A blob that could not be stored or linked.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not in the store.
    #[error("blob {} is missing", .0.short())]
    Missing(Digest),
    /// Somebody changed it; it has been removed and must be fetched anew.
    #[error("blob {} was damaged and has been removed", .0.short())]
    Damaged(Digest),
    /// The content that was offered is not what was announced.
    #[error("content offered for blob {} is not what was announced", .0.short())]
    Mismatch(Digest),
    /// The content that was offered is larger than allowed.
    #[error("content has more than {0} bytes")]
    TooLarge(u64),
    /// The content could not be read from where it comes from.
    #[error("read content")]
    Read(#[from] io::Error),
    /// The store's own files failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Adds operation and path to a result.
pub(crate) trait Context<T> {
    /// Turns the error into a [`DiskError`].
    fn on(self, operation: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn on(self, operation: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError::new(operation, path, source))
    }
}
