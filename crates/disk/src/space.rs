//! How much room a file system has.

use crate::error::{Context, DiskError};
use std::path::Path;

/// What an unprivileged user may still write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Free bytes.
    pub bytes: u64,
    /// Free inodes; `u64::MAX` where the file system makes them as needed.
    pub inodes: u64,
}

/// Measures the free space of the file system that holds `path`.
pub fn free_space(path: &Path) -> Result<FreeSpace, DiskError> {
    let stat = rustix::fs::statvfs(path).on("measure the free space of", path)?;
    // btrfs and some network file systems have no table of inodes and report a total of 0.
    let inodes = if stat.f_files == 0 { u64::MAX } else { stat.f_favail };
    Ok(FreeSpace { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), inodes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_a_missing_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let space = free_space(dir.path()).unwrap();
        assert!(space.bytes > 0 && space.inodes > 0);

        let missing = dir.path().join("missing");
        assert_eq!(free_space(&missing).unwrap_err().path, missing);
    }
}
