//! Collecting a manifest's entries, each checked.

use crate::error::ArtifactError;
use cutover_core::artifact::{ENTRY_COUNT_MAX, InvalidManifest, ManifestEntry, RelativePath};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Entries whose paths are safe and different.
#[derive(Debug, Default)]
pub(crate) struct Entries(BTreeMap<RelativePath, ManifestEntry>);

impl Entries {
    pub(crate) fn insert(&mut self, path: &str, entry: ManifestEntry) -> Result<(), ArtifactError> {
        let path = RelativePath::new(path)?;
        if self.0.len() == ENTRY_COUNT_MAX {
            return Err(InvalidManifest::TooMany(ENTRY_COUNT_MAX + 1).into());
        }
        match self.0.entry(path) {
            Entry::Occupied(occupied) => Err(ArtifactError::PathTwice(occupied.key().to_string())),
            Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(())
            }
        }
    }

    pub(crate) fn into_map(self) -> BTreeMap<RelativePath, ManifestEntry> {
        self.0
    }
}
