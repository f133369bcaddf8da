//! The local store of artifacts.

mod lock;
mod prune;

pub use prune::{PruneReport, Retention};

use crate::depot::Provenance;
use crate::error::ArtifactError;
use crate::record::{Artifact, ArtifactRecord, CommitInfo};
use crate::vouched::{self, VOUCHED_BYTES_MAX};
use cutover_core::artifact::{BlobSource, Digest, MANIFEST_BYTES_MAX, Manifest};
use cutover_core::check::CommitChecks;
use cutover_core::id::ProjectName;
use cutover_core::provenance::{Packing, about};
use cutover_disk::{Blob, BlobStore, DiskError, parallel, read_bounded, write_atomic, write_unsynced};
use jiff::{SignedDuration, Timestamp};
use lock::Lock;
use std::cmp::Reverse;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The shortest beginning of an id that names an artifact.
pub const ID_PREFIX_LENGTH_MIN: usize = 6;
/// The largest record in bytes: most of it are names of checks.
pub(crate) const RECORD_BYTES_MAX: u64 = 256 << 10;
/// The largest note of how an artifact was packed in bytes: most of it is from a config, as text in JSON.
const PACKING_BYTES_MAX: u64 = 8 * cutover_core::config::TEXT_BYTES_MAX as u64;
/// The most artifacts that are listed.
const ARTIFACT_COUNT_MAX: usize = 100_000;
/// How old `packed_at` may be before packing the same again renews it.
const RENEW_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Artifacts in a directory.
///
/// `blobs/` holds the content, `manifests/<id>.json` what an artifact holds, `records/<id>.json`
/// where it comes from, `provenance/` what its builder says of it, `recipes/` which commits were packed to what, `packed/` how those
/// were packed that were packed here and not taken in, `objects/` what is known of git's objects. An artifact exists once its manifest does, which is written last. Several
/// processes may use one store at once.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    dir: PathBuf,
    blobs: BlobStore,
}

impl ArtifactStore {
    /// Opens the store in a directory, which is made when it does not exist.
    pub fn open(dir: &Path) -> Result<Self, ArtifactError> {
        let blobs = BlobStore::open(&dir.join("blobs"))?;
        for name in ["manifests", "records", "recipes", "objects", "provenance", "packed"] {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(|error| DiskError::new("make directory", &path, error))?;
        }
        Ok(Self { dir: dir.to_owned(), blobs })
    }

    /// Finds an artifact by its id or by a beginning of at least [`ID_PREFIX_LENGTH_MIN`]
    /// characters that no other has.
    pub fn get(&self, id: &str) -> Result<Artifact, ArtifactError> {
        self.read(&self.resolve(id)?)
    }

    /// All artifacts, newest first.
    pub fn list(&self) -> Result<Vec<ArtifactRecord>, ArtifactError> {
        let mut records = self.ids()?.iter().map(|id| self.record(id)).collect::<Result<Vec<_>, _>>()?;
        records.sort_by_key(|record| Reverse((record.packed_at, record.id)));
        Ok(records)
    }

    /// The content of the artifacts; none is pruned as long as this is held.
    pub fn blobs(&self) -> Result<ArtifactBlobs, ArtifactError> {
        Ok(ArtifactBlobs { blobs: self.blobs.clone(), _lock: self.lock_shared()? })
    }

    pub(crate) fn blob_store(&self) -> &BlobStore {
        &self.blobs
    }

    pub(crate) fn lock_shared(&self) -> Result<Lock, ArtifactError> {
        Lock::shared(&self.dir.join("lock"))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn builds_dir(&self) -> PathBuf {
        self.dir.join("builds")
    }

    pub(crate) fn cache_path(&self, project: &ProjectName) -> PathBuf {
        self.dir.join("objects").join(project.as_str())
    }

    /// The artifact that a recipe gave before, if all of it is still there, and how it was packed is known.
    pub(crate) fn packed_before(&self, recipe: &Digest, now: Timestamp) -> Result<Option<Artifact>, ArtifactError> {
        let id = read_bounded(&self.recipe_path(recipe), 64)
            .ok()
            .and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        let known = id.filter(|id| self.packing(id).is_some());
        let Some(artifact) = known.and_then(|id| self.read(&id).ok()) else { return Ok(None) };
        if !self.is_complete(&artifact.manifest)? {
            return Ok(None);
        }
        self.renew(artifact, now).map(Some)
    }

    pub(crate) fn remember(&self, recipe: &Digest, id: &Digest) -> Result<(), ArtifactError> {
        Ok(write_unsynced(&self.recipe_path(recipe), id.to_string().as_bytes(), 0o600)?)
    }

    /// Makes an artifact whose blobs are stored durable and visible.
    pub(crate) fn save(
        &self,
        manifest: Manifest,
        commit: CommitInfo,
        now: Timestamp,
    ) -> Result<Artifact, ArtifactError> {
        let canonical = manifest.canonical();
        let id = Digest::of(&canonical);
        let record = ArtifactRecord::new(id, &manifest, commit, now);
        let artifact = Artifact { id, manifest, record };
        if self.manifest_path(&id).exists() {
            return self.renew(artifact, now);
        }
        self.write_record(&artifact.record)?;
        // Covers the blobs and the record, before the manifest refers to them.
        self.blobs.sync()?;
        write_atomic(&self.manifest_path(&id), &canonical, 0o600)?;
        Ok(artifact)
    }

    /// Counts an artifact that was packed again as new, so that it is not pruned as old, and keeps what is known of its checks.
    fn renew(&self, mut artifact: Artifact, now: Timestamp) -> Result<Artifact, ArtifactError> {
        let known = self.record(&artifact.id)?;
        let is_old = now.duration_since(known.packed_at) > RENEW_AFTER;
        artifact.record.packed_at = if is_old { now } else { known.packed_at };
        let mut checks = known.checks.clone();
        checks.merge(std::mem::take(&mut artifact.record.checks));
        artifact.record.checks = checks;
        if is_old || artifact.record.checks != known.checks {
            self.write_record(&artifact.record)?;
        }
        Ok(artifact)
    }

    /// Notes what checks said of an artifact's commit, beside what was known of it.
    pub fn note_checks(&self, mut artifact: Artifact, checks: &CommitChecks) -> Result<Artifact, ArtifactError> {
        let _lock = self.lock_shared()?;
        // Others may have noted something since it was read.
        artifact.record = self.record(&artifact.id)?;
        let known = artifact.record.checks.clone();
        artifact.record.checks.merge(checks.clone());
        if artifact.record.checks != known {
            self.write_record(&artifact.record)?;
        }
        Ok(artifact)
    }

    /// How an artifact was packed here; None where it was only taken in, or nobody knows any more: who signs knows what was done.
    pub fn packing(&self, id: &Digest) -> Option<Packing> {
        let text = read_bounded(&self.packed_path(id), PACKING_BYTES_MAX).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Notes how an artifact was packed. Whoever only finds it packed has done nothing that could be noted.
    pub(crate) fn note_packed(&self, id: &Digest, packing: &Packing) -> Result<(), ArtifactError> {
        let path = self.packed_path(id);
        let json =
            serde_json::to_vec(packing).map_err(|error| DiskError::new("write", &path, io::Error::from(error)))?;
        Ok(write_unsynced(&path, &json, 0o600)?)
    }

    fn packed_path(&self, id: &Digest) -> PathBuf {
        self.dir.join("packed").join(id.to_string())
    }

    /// What its builder says of an artifact, as far as that is here. What a crash has left of it says nothing.
    pub fn provenance(&self, id: &Digest) -> Option<Provenance> {
        let found = vouched::from_json(&read_bounded(&self.provenance_path(id), VOUCHED_BYTES_MAX).ok()?)?;
        about(&found.statement).is_ok().then_some(found)
    }

    /// Keeps what its builder says of an artifact, instead of what was known of it.
    pub fn keep_provenance(&self, id: &Digest, provenance: &Provenance) -> Result<(), ArtifactError> {
        let path = self.provenance_path(id);
        let json =
            vouched::to_json(provenance).map_err(|error| DiskError::new("write", &path, io::Error::from(error)))?;
        Ok(write_unsynced(&path, &json, 0o600)?)
    }

    fn provenance_path(&self, id: &Digest) -> PathBuf {
        self.dir.join("provenance").join(format!("{id}.json"))
    }

    fn write_record(&self, record: &ArtifactRecord) -> Result<(), ArtifactError> {
        let path = self.record_path(&record.id);
        let json =
            serde_json::to_vec(record).map_err(|error| DiskError::new("write", &path, io::Error::from(error)))?;
        Ok(write_unsynced(&path, &json, 0o600)?)
    }

    fn is_complete(&self, manifest: &Manifest) -> Result<bool, ArtifactError> {
        let blobs: Vec<Blob> = manifest.entries.values().filter_map(Blob::of_entry).collect();
        Ok(parallel::map(&blobs, |blob| self.blobs.has(blob))?.into_iter().all(|has| has))
    }

    fn resolve(&self, text: &str) -> Result<Digest, ArtifactError> {
        if let Ok(id) = text.parse::<Digest>() {
            return Ok(id);
        }
        let is_prefix = (ID_PREFIX_LENGTH_MIN..64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_prefix {
            return Err(ArtifactError::InvalidId(text.chars().take(64).collect()));
        }
        let prefix = text.to_ascii_lowercase();
        let matches: Vec<Digest> = self.ids()?.into_iter().filter(|id| id.to_string().starts_with(&prefix)).collect();
        match matches[..] {
            [] => Err(ArtifactError::NotFound(prefix)),
            [id] => Ok(id),
            [..] => Err(ArtifactError::Ambiguous { prefix, matches: matches.iter().map(Digest::short).collect() }),
        }
    }

    /// Reads an artifact and verifies it against its id.
    fn read(&self, id: &Digest) -> Result<Artifact, ArtifactError> {
        let manifest = self.manifest(id)?;
        Ok(Artifact { id: *id, manifest, record: self.record(id)? })
    }

    fn manifest(&self, id: &Digest) -> Result<Manifest, ArtifactError> {
        let text = self.manifest_text(id)?;
        let read = serde_json::from_slice::<Manifest>(&text);
        let manifest = read.map_err(|error| ArtifactError::Damaged { id: *id, detail: error.to_string() })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The canonical JSON of a manifest, verified against its id.
    fn manifest_text(&self, id: &Digest) -> Result<Vec<u8>, ArtifactError> {
        let text = match read_bounded(&self.manifest_path(id), MANIFEST_BYTES_MAX) {
            Err(error) if error.is_not_found() => return Err(ArtifactError::NotFound(id.to_string())),
            other => other?,
        };
        if Digest::of(&text) != *id {
            return Err(ArtifactError::Damaged { id: *id, detail: "its manifest does not match its id".into() });
        }
        Ok(text)
    }

    /// Reads a record, or makes up for one that a crash lost from what the manifest says.
    fn record(&self, id: &Digest) -> Result<ArtifactRecord, ArtifactError> {
        let bytes = read_bounded(&self.record_path(id), RECORD_BYTES_MAX).ok();
        match bytes.and_then(|bytes| serde_json::from_slice::<ArtifactRecord>(&bytes).ok()) {
            Some(record) if record.id == *id => Ok(record),
            Some(_) | None => self.record_from_manifest(id),
        }
    }

    fn record_from_manifest(&self, id: &Digest) -> Result<ArtifactRecord, ArtifactError> {
        let path = self.manifest_path(id);
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let written = written.map_err(|error| DiskError::new("examine", &path, error))?;
        let written = Timestamp::try_from(written).unwrap_or(Timestamp::UNIX_EPOCH);
        let (subject, author, branch, checks) = Default::default();
        let unknown = CommitInfo { subject, author, committed_at: written, branch, checks };
        Ok(ArtifactRecord::new(*id, &self.manifest(id)?, unknown, written))
    }

    /// The ids of all manifests.
    fn ids(&self) -> Result<Vec<Digest>, ArtifactError> {
        let dir = self.dir.join("manifests");
        let names = file_names(&dir).map_err(|error| DiskError::new("read directory", &dir, error))?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).take(ARTIFACT_COUNT_MAX).collect())
    }

    fn manifest_path(&self, id: &Digest) -> PathBuf {
        self.dir.join("manifests").join(format!("{id}.json"))
    }

    fn record_path(&self, id: &Digest) -> PathBuf {
        self.dir.join("records").join(format!("{id}.json"))
    }

    fn recipe_path(&self, recipe: &Digest) -> PathBuf {
        self.dir.join("recipes").join(recipe.to_string())
    }
}

/// The content of a store's artifacts, kept from being pruned.
#[derive(Debug)]
pub struct ArtifactBlobs {
    blobs: BlobStore,
    _lock: Lock,
}

impl BlobSource for ArtifactBlobs {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.blobs.open_blob(digest)?))
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        [false, true].into_iter().map(|executable| self.blobs.path(digest, executable)).find(|path| path.is_file())
    }
}

/// The names in a directory; those that are not UTF-8 are not ours.
fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
}
