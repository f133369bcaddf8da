//! What machines share: artifacts, what checks said of commits, and what was brought live.
//!
//! ```text
//! <project>/artifacts/<id>/<sha256>.cutover            the exported file
//! <project>/artifacts/<id>/<sha256>.provenance.json    what its builder says of it, with the signature of that
//! <project>/artifacts/<id>/record.json                 the artifact is there when this is
//! <project>/artifacts/<id>/<token>.leaving             somebody is removing something of it
//! <project>/commits/<commit>/<id>                      which artifacts a commit has
//! <project>/checks/<commit>/<digest>.json              what checks said of it
//! <project>/deploying/<environment>/<time>-<id>        what was about to be brought live
//! <project>/deployed/<environment>/<time>-<id>         what was brought live
//! ```
//! Nothing but `record.json` and provenance is ever replaced by something else, and these as a whole, so nobody has to be kept out
//! but whoever puts there what somebody else is removing. docs/design/0021 says why.

mod beneath;
mod checks;
mod directory;
mod error;
mod exported;
mod leaving;
mod names;
mod objects;
mod prune;
mod s3;
pub(crate) mod sha256;
mod spare;

pub use directory::Directory;
pub use error::DepotError;
pub use exported::Exported;
pub use objects::{Content, FileContent, Listed, ObjectError, Objects, checked, is_sound};
pub use prune::{DepotPruned, DepotRetention, PruneCut};
pub use s3::{Credentials, S3, S3Access};

use crate::error::ArtifactError;
use crate::record::{Artifact, ArtifactRecord};
use crate::store::{ArtifactStore, ID_PREFIX_LENGTH_MIN, RECORD_BYTES_MAX};
use crate::vouched::{self, VOUCHED_BYTES_MAX};
use cutover_core::artifact::{Digest, Manifest, is_commit_hash};
use cutover_core::id::{EnvironmentName, ProjectName};
use jiff::{SignedDuration, Timestamp};
use names::Names;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The version of records in a shared store.
const RECORD_VERSION: u32 = 1;
/// The largest record there, in bytes: that of the artifact, and what is said of its file.
const KEPT_BYTES_MAX: u64 = RECORD_BYTES_MAX + (16 << 10);
/// The largest exported file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 30;
/// The most names that are listed.
const NAME_COUNT_MAX: usize = 200_000;
/// The most artifacts of one commit that are looked at, the newest of them.
const COMMIT_ARTIFACT_COUNT_MAX: usize = 50;
/// How far ahead of this machine's clock a time may be; later ones are made up, or of a clock that is wrong.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How old `packed_at` may be before packing the same again renews it there.
const RENEW_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A store of artifacts that several machines share, as far as it is one project's.
pub struct Depot {
    objects: Box<dyn Objects>,
    names: Names,
    project: ProjectName,
}

/// An artifact of a shared store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    v: u32,
    /// Where it comes from.
    pub record: ArtifactRecord,
    /// SHA-256 of the file that holds it.
    pub sha256: String,
    /// How many bytes that file has.
    pub file_bytes: u64,
}

/// What a builder says of an artifact, and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// An in-toto Statement, as JSON.
    pub statement: Vec<u8>,
    /// OpenSSH's signature of it, as `ssh-keygen -Y sign` writes it.
    pub signature: Option<Vec<u8>>,
}

/// How an artifact is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is said of it.
    pub kept: Kept,
    /// Whether its file is there.
    pub has_file: bool,
}

/// The newest artifacts of a shared store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    /// The artifacts, newest first.
    pub artifacts: Vec<Kept>,
    /// How many there are in all.
    pub count: usize,
    /// Names of records that cannot be understood.
    pub damaged: Vec<String>,
}

impl Depot {
    /// What is this project's in a place.
    pub fn new(objects: Box<dyn Objects>, project: ProjectName) -> Self {
        Self { objects, names: Names::of(&project), project }
    }

    /// Where it is, for people.
    pub fn place(&self) -> &str {
        self.objects.place()
    }

    /// The artifact with this id or this beginning of one; None where there is none.
    pub fn find(&self, id: &str) -> Result<Option<Digest>, DepotError> {
        if let Ok(id) = id.parse::<Digest>() {
            return Ok(self.kept(&id)?.map(|_| id));
        }
        let prefix = id.to_ascii_lowercase();
        if prefix.len() < ID_PREFIX_LENGTH_MIN || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ArtifactError::InvalidId(id.chars().take(64).collect()).into());
        }
        let listed = self.objects.list(&self.names.artifacts_from(&prefix), NAME_COUNT_MAX)?;
        let found: BTreeSet<Digest> = listed.iter().filter_map(|listed| self.names.recorded(&listed.name)).collect();
        match found.iter().collect::<Vec<_>>()[..] {
            [] => Ok(None),
            [id] => Ok(Some(*id)),
            [..] => Err(DepotError::Ambiguous {
                prefix,
                place: self.place().to_owned(),
                matches: found.iter().take(5).map(Digest::short).collect(),
            }),
        }
    }

    /// What is said of an artifact; None where it is not there.
    pub fn kept(&self, id: &Digest) -> Result<Option<Kept>, DepotError> {
        let name = self.names.record(id);
        let Some(bytes) = self.read(&name, KEPT_BYTES_MAX)? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| self.damaged(&name, &error))?;
        let why = match &kept {
            Kept { v, .. } if *v != RECORD_VERSION => {
                Some(format!("version {v} is unknown, and was written by a newer Cutover perhaps"))
            }
            Kept { record, .. } if record.id != *id => Some("it is about another artifact".to_owned()),
            Kept { record, .. } if record.project != self.project.as_str() => {
                Some(format!("it is about project {}", record.project))
            }
            Kept { sha256, .. } if !sha256::is_digest(sha256) => Some("it names no file".to_owned()),
            Kept { .. } => None,
        };
        why.map_or(Ok(Some(kept)), |why| Err(self.damaged(&name, &why)))
    }

    /// How an artifact is there; None where it is not.
    pub fn standing(&self, id: &Digest) -> Result<Option<Standing>, DepotError> {
        let Some(kept) = self.kept(id)? else { return Ok(None) };
        let file = self.names.file(id, &kept.sha256);
        let has_file = self.parts(id)?.iter().any(|listed| listed.name == file);
        Ok(Some(Standing { kept, has_file }))
    }

    /// The artifacts that a commit has there, newest first.
    pub fn of_commit(&self, commit: &str) -> Result<Vec<Kept>, DepotError> {
        if !is_commit_hash(commit) {
            return Ok(Vec::new());
        }
        let mut listed = self.objects.list(&self.names.commit(commit), NAME_COUNT_MAX)?;
        listed.sort_by_key(|listed| Reverse(listed.put_at));
        let ids = listed.iter().filter_map(|listed| self.names.committed(&listed.name)).map(|(_, id)| id);
        let ids = ids.take(COMMIT_ARTIFACT_COUNT_MAX);
        let (mut found, mut damaged) = (Vec::new(), None);
        for id in ids {
            match self.kept(&id) {
                Ok(kept) => found.extend(kept.filter(|kept| kept.record.commit == commit && !kept.record.dirty)),
                // One of the others will do.
                Err(error @ DepotError::Damaged { .. }) => damaged = Some(error),
                Err(error) => return Err(error),
            }
        }
        newest_first(&mut found);
        damaged.filter(|_| found.is_empty()).map_or(Ok(found), Err)
    }

    /// The newest artifacts, how many there are, and the names of records that cannot be understood.
    pub fn newest(&self, count_max: usize) -> Result<Newest, DepotError> {
        let mut listed = self.objects.list(&self.names.artifacts_from(""), NAME_COUNT_MAX)?;
        listed.retain(|listed| self.names.recorded(&listed.name).is_some());
        listed.sort_by_key(|listed| Reverse(listed.put_at));
        let ids = listed.iter().filter_map(|listed| self.names.recorded(&listed.name)).take(count_max);
        let mut newest = Newest { count: listed.len(), ..Newest::default() };
        for id in ids {
            match self.kept(&id) {
                // It may have been removed since it was listed.
                Ok(kept) => newest.artifacts.extend(kept),
                Err(DepotError::Damaged { name, .. }) => newest.damaged.push(name),
                Err(error) => return Err(error),
            }
        }
        newest_first(&mut newest.artifacts);
        Ok(newest)
    }

    /// Puts an exported artifact there with what is said of it. It is there once the last request is done, and when nobody was removing
    /// it meanwhile: then it may be put again.
    pub fn put(&self, exported: &mut Exported, provenance: Option<&Provenance>) -> Result<Kept, DepotError> {
        let Exported { record, file } = exported;
        let (id, sha256, file_bytes) = (record.id, file.sha256.clone(), file.bytes);
        // What is small goes first: whether this may be done is known before much is sent.
        let said = self.names.provenance(&id, &sha256);
        if let Some(provenance) = provenance {
            let json = vouched::to_json(provenance).map_err(|error| self.damaged(&said, &error))?;
            self.objects.put(&said, &mut &json[..])?;
        }
        self.objects.put(&self.names.file(&id, &sha256), file)?;
        let kept = Kept { v: RECORD_VERSION, record: record.clone(), sha256, file_bytes };
        self.record(&kept)?;
        let stays = self.stays(&kept, provenance.map(|_| said.as_str()))?;
        if stays { Ok(kept) } else { Err(self.leaving(&id)) }
    }

    fn record(&self, kept: &Kept) -> Result<(), DepotError> {
        let id = &kept.record.id;
        if let Some(commit) = kept.commit() {
            self.objects.put(&self.names.commit_artifact(commit, id), &mut &id.to_string().as_bytes()[..])?;
        }
        let json = serde_json::to_vec(kept).map_err(|error| self.damaged("record.json", &error))?;
        Ok(self.objects.put(&self.names.record(id), &mut &json[..])?)
    }

    /// Counts an artifact that is there as packed now, when that was long ago, so that it is not removed as old. None where it
    /// was removed meanwhile; an error while somebody is at it.
    pub fn renew(&self, kept: Kept, now: Timestamp) -> Result<Option<Kept>, DepotError> {
        self.renew_beside(kept, None, now)
    }

    /// The same of one whose provenance was there; None also where that was removed meanwhile.
    pub fn renew_vouched(&self, kept: Kept, now: Timestamp) -> Result<Option<Kept>, DepotError> {
        let said = self.names.provenance(&kept.record.id, &kept.sha256);
        self.renew_beside(kept, Some(&said), now)
    }

    fn renew_beside(&self, mut kept: Kept, said: Option<&str>, now: Timestamp) -> Result<Option<Kept>, DepotError> {
        if !count_as_packed(&mut kept.record, now) {
            return Ok(Some(kept));
        }
        self.record(&kept)?;
        Ok(self.stays(&kept, said)?.then_some(kept))
    }

    /// Reads what has a name; what is there and can be none of ours is damaged.
    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, DepotError> {
        self.objects.read(name, bytes_max).map_err(|error| self.odd(name, error))
    }

    /// What something is that nobody put there as it is.
    fn odd(&self, name: &str, error: ObjectError) -> DepotError {
        match error {
            ObjectError::TooMuch { what_max, .. } => self.damaged(name, &format!("there is more than {what_max}")),
            ObjectError::Odd { why, .. } => self.damaged(name, &why),
            error @ (ObjectError::Failed { .. }
            | ObjectError::Refused { .. }
            | ObjectError::Unheard { .. }
            | ObjectError::Here { .. }
            | ObjectError::Name(_)) => error.into(),
        }
    }

    /// What its builder says of an artifact's file; None where that cannot be understood.
    pub fn provenance(&self, kept: &Kept) -> Result<Option<Provenance>, DepotError> {
        let name = self.names.provenance(&kept.record.id, &kept.sha256);
        Ok(self.read(&name, VOUCHED_BYTES_MAX)?.and_then(|json| vouched::from_json(&json)))
    }

    /// An artifact's file as it is there, verified by its SHA-256; the file here has no name, and lies beside the local store.
    pub fn fetch(&self, kept: &Kept, local: &ArtifactStore) -> Result<FileContent, DepotError> {
        let name = self.names.file(&kept.record.id, &kept.sha256);
        if kept.file_bytes > FILE_BYTES_MAX {
            return Err(self.damaged(&name, &format!("its record says that it has {} bytes", kept.file_bytes)));
        }
        let mut file = local.temporary()?;
        if !self.objects.fetch(&name, kept.file_bytes, &mut file).map_err(|error| self.odd(&name, error))? {
            return Err(self.damaged(&name, &"its record is there, and the file is not"));
        }
        let (bytes, sha256) = exported::digest(&mut file).map_err(|source| local.temporary_failed("read", source))?;
        if (bytes, &sha256) != (kept.file_bytes, &kept.sha256) {
            return Err(self.damaged(&name, &"its SHA-256 or its size is not what its record says"));
        }
        Ok(FileContent { file, bytes, sha256 })
    }

    /// Takes a fetched file into the local store; nothing of it is kept that is not the artifact that its record says.
    pub fn take_in(
        &self,
        kept: &Kept,
        fetched: &mut FileContent,
        local: &ArtifactStore,
        bytes_max: u64,
        now: Timestamp,
    ) -> Result<Artifact, DepotError> {
        let name = self.names.file(&kept.record.id, &kept.sha256);
        let mut reader = fetched.reader().map_err(|source| local.temporary_failed("read", source))?;
        let imported = local.import_as(&kept.record.id, &mut reader, bytes_max, now);
        let artifact = imported.map_err(|error| match error {
            ArtifactError::Import(error) => self.damaged(&name, &error),
            other => other.into(),
        })?;
        // The id vouches for what the manifest says, and nothing for the record.
        match self.contradiction(kept, &artifact.manifest) {
            None => Ok(artifact),
            Some(why) => Err(self.damaged(&self.names.record(&artifact.id), &why)),
        }
    }

    /// How an artifact's record says something else of it than its manifest.
    fn contradiction(&self, kept: &Kept, manifest: &Manifest) -> Option<String> {
        let Manifest { project, commit, dirty, .. } = manifest;
        if project != self.project.as_str() {
            return Some(format!("its artifact is of project {project}"));
        }
        let is_same = *commit == kept.record.commit && *dirty == kept.record.dirty;
        let changed = if *dirty { " with uncommitted changes" } else { "" };
        (!is_same).then(|| format!("its artifact is of commit {commit}{changed}"))
    }

    /// Takes an artifact into the local store.
    pub fn pull(
        &self,
        kept: &Kept,
        local: &ArtifactStore,
        bytes_max: u64,
        now: Timestamp,
    ) -> Result<Artifact, DepotError> {
        self.take_in(kept, &mut self.fetch(kept, local)?, local, bytes_max, now)
    }

    /// Notes that an artifact is about to be brought live in an environment, so that it stays for a while; an error while somebody is
    /// removing it. Says whether it is there.
    pub fn note_deploying(
        &self,
        environment: &EnvironmentName,
        id: &Digest,
        at: Timestamp,
    ) -> Result<bool, DepotError> {
        self.note(&self.names.deploying(environment, at, id), id)
    }

    /// Notes that an artifact was brought live in an environment; the rest as above.
    pub fn note_deployed(&self, environment: &EnvironmentName, id: &Digest, at: Timestamp) -> Result<bool, DepotError> {
        self.note(&self.names.deployed(environment, at, id), id)
    }

    fn note(&self, name: &str, id: &Digest) -> Result<bool, DepotError> {
        self.objects.note(name, &mut &id.to_string().as_bytes()[..])?;
        self.remains(id).map_err(|error| match error {
            error @ DepotError::Leaving { .. } => error,
            error => DepotError::Unseen(Box::new(error)),
        })
    }

    fn leaving(&self, id: &Digest) -> DepotError {
        DepotError::Leaving { id: id.short(), place: self.place().to_owned() }
    }

    fn damaged(&self, name: &str, why: &dyn std::fmt::Display) -> DepotError {
        DepotError::Damaged { name: name.to_owned(), place: self.place().to_owned(), why: why.to_string() }
    }
}

/// Whether a time is later than any clock that is about right says.
fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > AHEAD_MAX
}

/// Counts what was packed long ago, or in the future, as packed now; says whether it was.
fn count_as_packed(record: &mut ArtifactRecord, now: Timestamp) -> bool {
    let is_renewed = now.duration_since(record.packed_at) > RENEW_AFTER || is_ahead(record.packed_at, now);
    if is_renewed {
        record.packed_at = now;
    }
    is_renewed
}

/// Orders artifacts; what was packed in the future is the last, since anybody can say that.
fn newest_first(artifacts: &mut [Kept]) {
    let now = Timestamp::now();
    artifacts.sort_by_key(|kept| {
        let packed_at = kept.record.packed_at;
        Reverse((!is_ahead(packed_at, now), packed_at, kept.record.id))
    });
}
