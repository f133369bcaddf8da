//! Retention: which artifacts stay, and removing what the others needed.

use super::{ArtifactStore, file_names, lock::Lock};
use crate::error::ArtifactError;
use crate::record::ArtifactRecord;
use cutover_core::artifact::Digest;
use cutover_core::id::ProjectName;
use cutover_disk::{DiskError, remove_tree, sync_dir};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What is kept of one project's artifacts.
#[derive(Debug, Clone)]
pub struct Retention<'a> {
    /// Whose artifacts are looked at; those of other projects stay.
    pub project: &'a ProjectName,
    /// The time now.
    pub now: Timestamp,
    /// How many are kept at most, newest first.
    pub keep: u32,
    /// How long one is kept after it was last packed.
    pub keep_for: Duration,
    /// Those that stay in any case: what is live, what a rollback may want, what was just packed.
    pub pinned: &'a HashSet<Digest>,
}

/// What pruning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Nothing was done because another process uses the store; the next time will do.
    pub busy: bool,
    /// The artifacts that were removed.
    pub removed: Vec<Digest>,
    /// How many blobs that no artifact needs any more were removed.
    pub blob_count: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

impl ArtifactStore {
    /// Removes a project's old artifacts, then everything that no artifact of any project needs.
    pub fn prune(&self, retention: &Retention<'_>) -> Result<PruneReport, ArtifactError> {
        let Some(_lock) = Lock::exclusive(&self.dir.join("lock"))? else {
            return Ok(PruneReport { busy: true, ..PruneReport::default() });
        };
        let removed = retention.outdated(self.list()?);
        for id in &removed {
            remove_file(&self.manifest_path(id))?;
            remove_file(&self.record_path(id))?;
            remove_file(&self.packed_path(id))?;
            remove_file(&self.provenance_path(id))?;
        }
        // Durable before the blobs go, or a crash could bring back a manifest without its blobs.
        sync_dir(&self.dir.join("manifests"))?;
        let (blob_count, bytes) = self.remove_leftovers()?;
        Ok(PruneReport { busy: false, removed, blob_count, bytes })
    }

    /// Nobody else is here, so whatever no manifest names is left over, however fresh.
    fn remove_leftovers(&self) -> Result<(u64, u64), ArtifactError> {
        let ids: HashSet<Digest> = self.ids()?.into_iter().collect();
        let mut needed = HashSet::new();
        for id in &ids {
            needed.extend(self.needed_by(id)?);
        }
        self.remove_recipes(&ids)?;
        remove_tree(&self.builds_dir())?;
        let far_future = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 2);
        let removed = self.blobs.remove_unlinked(&needed, far_future)?;
        Ok((removed.blob_count, removed.bytes))
    }

    fn needed_by(&self, id: &Digest) -> Result<Vec<Digest>, ArtifactError> {
        match self.manifest_text(id) {
            // It cannot be deployed any more, so it needs nothing.
            Err(ArtifactError::Damaged { .. }) => Ok(Vec::new()),
            Ok(text) => Ok(digests_in(&text).collect()),
            Err(other) => Err(other),
        }
    }

    fn remove_recipes(&self, ids: &HashSet<Digest>) -> Result<(), ArtifactError> {
        let dir = self.dir.join("recipes");
        for name in file_names(&dir).map_err(|error| DiskError::new("read directory", &dir, error))? {
            let path = dir.join(name);
            let id = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok());
            if !id.is_some_and(|id| ids.contains(&id)) {
                remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Every digest that a manifest names. It is not read any further: this is done with all manifests for each artifact that
/// goes, and understanding them took longer than all else that a deployment does here.
fn digests_in(manifest: &[u8]) -> impl Iterator<Item = Digest> {
    let strings = manifest.split(|byte| *byte == b'"').filter(|string| string.len() == 64);
    strings.filter_map(|string| str::from_utf8(string).ok()?.parse().ok())
}

impl Retention<'_> {
    /// Those of the project that are neither pinned nor new enough; `records` are newest first.
    fn outdated(&self, records: Vec<ArtifactRecord>) -> Vec<Digest> {
        let own = records.into_iter().filter(|record| record.project == self.project.as_str());
        let outdated = own.enumerate().filter(|(rank, record)| !self.keeps(*rank, record));
        outdated.map(|(_, record)| record.id).collect()
    }

    fn keeps(&self, rank: usize, record: &ArtifactRecord) -> bool {
        let keep_for = SignedDuration::try_from(self.keep_for).unwrap_or(SignedDuration::MAX);
        let age = self.now.duration_since(record.packed_at);
        self.pinned.contains(&record.id) || (rank < self.keep as usize && age <= keep_for)
    }
}

pub(super) fn remove_file(path: &Path) -> Result<(), ArtifactError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove", path, error).into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
