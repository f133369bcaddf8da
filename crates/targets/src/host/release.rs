//! Releases on a host: explicit state in `release.json`, never guessed from times or names.

use super::layout::Layout;
use super::standing::obstacle;
use cutover_core::artifact::Digest;
use cutover_core::config::{ServiceConfig, VerifyConfig};
use cutover_core::id::{DeploymentId, ProjectName, ReleaseId, TargetName};
use cutover_core::record::ReleaseRecord;
pub use cutover_core::record::ReleaseState;
use cutover_core::target::Failure;
use cutover_disk::{DiskError, overwrite_in_place, read_bounded, write_atomic};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file in a release that describes it. Artifacts may not have one of that name.
pub const RELEASE_FILE: &str = "release.json";
/// The newest format of it that is known.
const FORMAT_VERSION: u32 = 1;
/// The largest release file that is read, in bytes.
const RELEASE_FILE_BYTES_MAX: u64 = 1 << 20;
/// The most releases that are listed.
const RELEASE_COUNT_MAX: usize = 10_000;

/// How the reason of a release begins whose service could not be started. Versions before had it in these words alone.
const NEVER_STARTED: &str = "never started";

/// What `release.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Format version, now 1.
    pub version: u32,
    /// Its id, and the name of its directory.
    pub id: ReleaseId,
    /// Its number in the order of this target's releases.
    pub seq: u64,
    /// How far it has come.
    pub state: ReleaseState,
    /// Why it is in that state, when there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// That it is bad since its service could not be started, and not for what it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_started: bool,
    /// The artifact it was assembled from.
    pub artifact: Digest,
    /// Full commit hash; empty when there is none.
    pub commit: String,
    /// Whether uncommitted changes are in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
    /// First line of the commit message.
    #[serde(default)]
    pub subject: String,
    /// The deployment that made it.
    pub deployment: DeploymentId,
    /// Who asked for that.
    pub by: String,
    /// When it was assembled.
    pub created_at: Timestamp,
    /// Size of its files in bytes; hard links are counted as if they were copies.
    pub bytes: u64,
    /// Digest of the target's config that it was made with.
    #[serde(default)]
    pub config: Option<Digest>,
    /// Digests of its keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config_keys: BTreeMap<String, Digest>,
    /// The project that it is of; None where an older version made it.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// The target that it was made for: a target that is renamed leaves its service behind under the old name.
    #[serde(default)]
    pub target: Option<TargetName>,
    /// The service that runs it.
    #[serde(default)]
    pub service: Option<ServiceConfig>,
    /// How its health is observed.
    #[serde(default)]
    pub verify: Option<VerifyConfig>,
}

impl Release {
    /// Reads a release's own description.
    pub fn read(layout: &Layout, id: &ReleaseId) -> Result<Self, Failure> {
        let path = layout.release(id).join(RELEASE_FILE);
        let release: Self = read_json(&path).map_err(|failure| newer(&path).unwrap_or(failure))?;
        if release.id == *id {
            Ok(release)
        } else {
            Err(Failure::new(format!("read {}: it describes release {}", path.display(), release.id)))
        }
    }

    /// Writes the description into a directory, durably.
    pub fn write(&self, directory: &Path) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(self).map_err(|e| Failure::new(format!("encode {RELEASE_FILE}: {e}")))?;
        let path = directory.join(RELEASE_FILE);
        let written = match write_atomic(&path, &json, 0o644) {
            // A mark is a few other letters in the same file: a full disk must not keep it from being set.
            Err(error) if error.is_no_space() => overwrite_in_place(&path, &json).map_err(|_| error),
            other => other,
        };
        written.map_err(disk)
    }

    /// Moves a release to another state, durably.
    pub fn mark(layout: &Layout, id: &ReleaseId, state: ReleaseState, reason: &str) -> Result<(), Failure> {
        Mark { state, reason: reason.to_owned(), never_started: false }.set(layout, id)
    }

    /// That it is a release of another project than this one, where it is. Two projects in one place would take each other's releases
    /// for their own.
    pub fn foreign(&self, layout: &Layout, project: &ProjectName) -> Option<Failure> {
        let theirs = self.project.as_ref().filter(|theirs| *theirs != project)?;
        let (id, root, file) = (&self.id, layout.root().display(), layout.release(&self.id).join(RELEASE_FILE));
        let is_live = linked(&layout.current()).is_ok_and(|live| live.as_ref() == Some(id));
        let place = if is_live { format!("{id}, live in {root},") } else { format!("{id} in {root}") };
        let failure = Failure::new(format!("{place} is a release of project {theirs}"));
        Some(failure.hint(format!(
            "give {project} a deploy_to of its own; if it is {theirs} under a new name, change `project` in {}",
            file.display()
        )))
    }

    /// Whether it is bad only because its service could not be started, which may have been due to the machine.
    pub(crate) fn never_started(&self) -> bool {
        self.state == ReleaseState::Bad && (self.never_started || self.reason.starts_with(NEVER_STARTED))
    }

    /// The release as lists show it.
    pub fn record(&self, layout: &Layout) -> ReleaseRecord {
        let is = |link: &Path| linked(link).ok().flatten().as_ref() == Some(&self.id);
        ReleaseRecord {
            id: self.id.clone(),
            artifact: self.artifact.to_string(),
            commit: self.commit.clone(),
            dirty: self.dirty,
            state: self.state,
            reason: self.reason.clone(),
            seq: self.seq,
            size_bytes: self.bytes,
            created_at: self.created_at,
            deployment: Some(self.deployment.clone()),
            current: is(&layout.current()),
            previous: previous_release(layout).ok().flatten().as_ref() == Some(&self.id),
        }
    }

    /// All releases that can be read, oldest first. Others are passed over: they are no candidates for anything.
    pub fn list(layout: &Layout) -> Vec<Self> {
        Listing::of(layout).map_or_else(|_| Vec::new(), |listing| listing.releases)
    }
}

/// How far a release has come, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    state: ReleaseState,
    reason: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    never_started: bool,
}

impl Mark {
    /// The one that a release has.
    pub(crate) fn of(release: &Release) -> Self {
        Self { state: release.state, reason: release.reason.clone(), never_started: release.never_started() }
    }

    /// That its service could not be started in this deployment.
    pub(crate) fn never_started(deployment: &DeploymentId) -> Self {
        let reason = format!("{NEVER_STARTED} in deployment {deployment}");
        Self { state: ReleaseState::Bad, reason, never_started: true }
    }

    /// Whether it says that the release was healthy.
    pub(crate) fn is_good(&self) -> bool {
        self.state == ReleaseState::Good
    }

    /// Gives it to a release, durably.
    pub(crate) fn set(&self, layout: &Layout, id: &ReleaseId) -> Result<(), Failure> {
        let mut release = Release::read(layout, id)?;
        if Self::of(&release) == *self {
            return Ok(());
        }
        let Self { state, reason, never_started } = self.clone();
        (release.state, release.reason, release.never_started) = (state, reason, never_started);
        release.write(&layout.release(id))
    }
}

/// What lies among a place's releases.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be read, oldest first.
    pub releases: Vec<Release>,
    /// The others, by name.
    pub unreadable: Vec<Unreadable>,
}

/// A release that nobody can say anything of.
#[derive(Debug)]
pub struct Unreadable {
    /// The name of its directory.
    pub id: ReleaseId,
    /// Why it cannot be read.
    pub why: String,
}

impl Listing {
    /// Reads all of them. Where nothing was deployed yet there are none.
    pub fn of(layout: &Layout) -> Result<Self, Failure> {
        let mut listing = Self::default();
        let directory = match std::fs::read_dir(layout.releases()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
            opened => opened.map_err(|error| io("read", &layout.releases(), &error))?,
        };
        let names = directory.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for id in names.filter_map(|name| ReleaseId::new(name).ok()).take(RELEASE_COUNT_MAX) {
            match Release::read(layout, &id) {
                Ok(release) => listing.releases.push(release),
                // A file that somebody left there is no release.
                Err(failure) if layout.release(&id).is_dir() => {
                    listing.unreadable.push(Unreadable { id, why: failure.message });
                }
                Err(_) => {}
            }
        }
        listing.releases.sort_by_key(|release| release.seq);
        listing.unreadable.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(listing)
    }
}

/// That a description which cannot be understood is of a newer format, where it says so.
fn newer(path: &Path) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Format {
        version: u32,
    }
    let Format { version } = read_json(path).ok().filter(|format: &Format| format.version > FORMAT_VERSION)?;
    let (path, known) = (path.display(), FORMAT_VERSION);
    let failure =
        Failure::new(format!("read {path}: it has format version {version}; this version knows up to {known}"));
    Some(failure.hint("a newer Cutover wrote it: use that one here too"))
}

/// The release that a link (`current` or `previous`) names; None when there is no such link.
pub fn linked(link: &Path) -> Result<Option<ReleaseId>, Failure> {
    match std::fs::read_link(link) {
        Ok(target) => release_of_link(link, &target).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            if error.kind() == std::io::ErrorKind::InvalidInput {
                return Err(no_link(link));
            }
            // Beneath a file, or in a directory that nobody lets this user into.
            let obstacle = link.parent().and_then(|root| obstacle(&Layout::new(root)));
            let failure = Failure::new(format!("read link {}: {error}", link.display()));
            Err(obstacle.map_or(failure.clone(), |obstacle| failure.hint(obstacle.advice())))
        }
    }
}

/// The release that `previous` names. A link that leads nowhere, as scripts of before leave it behind, names none.
pub fn previous_release(layout: &Layout) -> Result<Option<ReleaseId>, Failure> {
    let link = layout.previous();
    if stray(&link).is_some() { Ok(None) } else { linked(&link) }
}

/// Where a link leads that names no release and leads to nothing.
pub(crate) fn stray(link: &Path) -> Option<PathBuf> {
    let target = std::fs::read_link(link).ok()?;
    let leads_nowhere = std::fs::metadata(link).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    (leads_nowhere && release_of_link(link, &target).is_err()).then_some(target)
}

/// Whether it is the link to the live release, and not to the one before it.
fn is_current(link: &Path) -> bool {
    link.parent().is_some_and(|root| Layout::new(root).current() == link)
}

/// Something else is where a link shall be.
fn no_link(link: &Path) -> Failure {
    let (shown, kind) = (link.display(), if link.is_dir() { "directory" } else { "file" });
    let away = format!("move it out of the way (`mv {shown} {shown}.was`)");
    let again =
        format!(", and make it a link to the release that is live, if one is: `ln -s releases/RELEASE {shown}`");
    let hint = if is_current(link) { away + &again } else { away };
    Failure::new(format!("{shown} is a {kind} and no link")).hint(hint)
}

fn release_of_link(link: &Path, target: &Path) -> Result<ReleaseId, Failure> {
    let name = target.strip_prefix("releases").ok().and_then(Path::to_str);
    name.and_then(|name| ReleaseId::new(name).ok()).ok_or_else(|| {
        Failure::new(format!("read link {}: it points to {}, which is no release", link.display(), target.display()))
            .hint(if is_current(link) {
                format!(
                    "point it to the release that is live (`ln -sfn releases/RELEASE {0}`), or remove it (`rm {0}`) to begin anew",
                    link.display()
                )
            } else {
                format!("remove it (`rm {}`): there is none before the live one then", link.display())
            })
    })
}

/// Reads a small JSON file.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::new(format!("read {}: {e}", path.display()));
    let text = read_bounded(path, RELEASE_FILE_BYTES_MAX).map_err(disk)?;
    serde_json::from_slice(&text).map_err(|e| failed(&e))
}

/// A disk error as a step's failure, with its kind.
#[allow(clippy::needless_pass_by_value, reason = "so that it fits map_err")]
pub(crate) fn disk(error: DiskError) -> Failure {
    let failure = Failure::new(chain(&error));
    if error.is_no_space() { no_space(failure) } else { failure }
}

/// An IO error as a step's failure, with its kind.
pub(crate) fn io(operation: &str, path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::new(format!("{operation} {}: {error}", path.display()));
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    if full { no_space(failure) } else { failure }
}

fn no_space(failure: Failure) -> Failure {
    failure.kind(cutover_core::target::FailureKind::NoSpace).hint("free some space (df -h; df -i), then deploy again")
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
