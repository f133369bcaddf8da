//! Whether the journals of a place can be looked at.

use cutover_targets::host::Layout;
use std::fs;
use std::io::ErrorKind;

/// Why the journals of a place cannot be listed; None when they can, or when there are none yet. Whoever lists them
/// in spite of it sees none, which is not the same.
pub(crate) fn journals_fault(layout: &Layout) -> Option<String> {
    let fault = |directory: std::path::PathBuf| match fs::read_dir(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Some(format!("read {}: {error}", directory.display())),
        Ok(_) | Err(_) => None,
    };
    fault(layout.open_journals()).or_else(|| fault(layout.done_journals()))
}
