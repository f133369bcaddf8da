//! What the tests of host deployments share: artifacts from a few lines, a place to deploy to, and its picture.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use cutover_core::artifact::{BlobSource, Digest, Manifest, ManifestEntry, RelativePath};
use cutover_core::config::{CommandLine, HostConfig, ProbeConfig, ProbeKind, ProbeOwner, RunConfig, VerifyConfig};
use cutover_core::event::{Event, Observer};
use cutover_core::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use cutover_core::secret::Secret;
use cutover_core::target::{Cancel, Failure};
use cutover_targets::host::gate::{Coordinator, Nobody};
use cutover_targets::host::lock::{Holder, Waiting};
use cutover_targets::host::planner::{self, FleetPart, Subject, Wish};
use cutover_targets::host::transaction::{Ended, Recovery, Surroundings, Transaction, TransactionError};
use cutover_targets::host::{HostPlan, Offer, SupervisorProgram};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// An artifact that exists in memory only.
pub struct Artifact {
    pub manifest: Manifest,
    blobs: HashMap<Digest, Vec<u8>>,
}

impl Artifact {
    /// An artifact of these files.
    pub fn of(commit: &str, files: &[(&str, &str)]) -> Self {
        let mut artifact = Self {
            manifest: Manifest {
                version: 1,
                project: "demo".into(),
                commit: commit.into(),
                dirty: false,
                entries: BTreeMap::new(),
            },
            blobs: HashMap::new(),
        };
        for (path, content) in files {
            let digest = Digest::of(content.as_bytes());
            artifact.blobs.insert(digest, content.as_bytes().to_vec());
            let entry = ManifestEntry::File { digest, bytes: content.len() as u64, executable: path.ends_with(".sh") };
            artifact.manifest.entries.insert(RelativePath::new(*path).unwrap(), entry);
        }
        artifact
    }
}

impl BlobSource for Artifact {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        let blob = self.blobs.get(digest).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(blob.as_slice()))
    }

    fn path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

/// Takes every event and says nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event) {}
}

/// A `deploy_to` of its own, with what a deployment there needs.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub config: HostConfig,
    /// A second target, "web", elsewhere.
    pub second: Option<HostConfig>,
    pub variables: BTreeMap<String, Secret>,
    pub secret_names: BTreeSet<String>,
    pub cancel: Cancel,
    /// What supervises `process` services: nothing, unless a test brings it.
    pub supervisor: SupervisorProgram,
    /// Its part where it is one of several hosts, and who coordinates them: nobody, unless a test brings it.
    pub part: Option<FleetPart>,
    pub coordinator: Box<dyn Coordinator>,
    count: AtomicU32,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = plain(dir.path());
        Self {
            dir,
            config,
            second: None,
            variables: BTreeMap::new(),
            secret_names: BTreeSet::new(),
            cancel: Cancel::new(),
            supervisor: SupervisorProgram { program: "/nonexistent".into(), arguments: Vec::new() },
            part: None,
            coordinator: Box::new(Nobody),
            count: AtomicU32::new(0),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn live(&self) -> Option<String> {
        std::fs::read_link(self.path("current")).ok().map(|target| target.display().to_string())
    }

    pub fn deploy(&self, artifact: &Artifact) -> Ended {
        self.try_deploy(artifact).unwrap()
    }

    pub fn try_deploy(&self, artifact: &Artifact) -> Result<Ended, TransactionError> {
        let id = artifact.manifest.id();
        let offer =
            Offer { id, manifest: artifact.manifest.clone(), blobs: artifact, variables: Some(self.variables.clone()) };
        let subject = Subject { artifact: id, manifest: &artifact.manifest, subject: "a change", committed_at: None };
        self.transact(|wish| planner::deploy(wish, &subject).unwrap(), Some(&offer))
    }

    /// Gives what is done next the name of what was done last.
    pub fn name_once_more(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn rollback(&self, to: Option<&str>) -> Ended {
        let to = to.map_or_else(|| self.last_good().unwrap(), |name| ReleaseId::new(name).unwrap());
        self.transact(|wish| planner::rollback(wish, &to).unwrap(), None).unwrap()
    }

    /// Where a rollback goes to by itself.
    pub fn last_good(&self) -> Result<ReleaseId, Failure> {
        self.with_wish(|wish| planner::last_good(&self.config, wish.project))
    }

    /// Makes a release one of another project, "shop".
    pub fn give_to_shop(&self, release: &ReleaseId) {
        let name = format!("releases/{release}/release.json");
        let ours = self.read(&name);
        let theirs = ours.replace("\"project\": \"demo\"", "\"project\": \"shop\"");
        assert_ne!(ours, theirs);
        std::fs::write(self.path(&name), theirs).unwrap();
    }

    /// Why a rollback to this release is refused.
    pub fn refused_rollback(&self, to: &ReleaseId) -> Failure {
        self.with_wish(|wish| planner::rollback(wish, to).err()).unwrap()
    }

    pub fn restart(&self) -> Ended {
        let live = self.live().unwrap();
        let live = ReleaseId::new(live.trim_start_matches("releases/")).unwrap();
        self.transact(|wish| planner::restart(wish, &live, true).unwrap(), None).unwrap()
    }

    pub fn is_unchanged(&self, artifact: &Artifact) -> bool {
        self.with_wish(|wish| planner::unchanged(wish, &artifact.manifest.id()).is_some())
    }

    pub fn why_anew(&self, artifact: &Artifact) -> Vec<String> {
        self.with_wish(|wish| planner::why_anew(wish, &artifact.manifest.id()))
    }

    /// Recovers what is unfinished without anything being offered.
    pub fn recover(&self, recovery: Recovery) -> Result<Vec<Ended>, TransactionError> {
        self.locked(|transaction| transaction.recover(recovery, &|_| None))
    }

    pub fn abandon(&self) -> Result<Vec<Ended>, TransactionError> {
        self.locked(|transaction| transaction.abandon())
    }

    fn transact(
        &self,
        plan: impl FnOnce(&Wish<'_>) -> HostPlan,
        offer: Option<&Offer<'_>>,
    ) -> Result<Ended, TransactionError> {
        self.locked(|transaction| {
            transaction.recover(Recovery::TakeBack, &|_| None)?;
            let plan = self.with_wish(plan);
            transaction.run(plan, offer)
        })
    }

    fn targets(&self) -> impl Iterator<Item = &HostConfig> {
        std::iter::once(&self.config).chain(&self.second)
    }

    fn locked<T>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, TransactionError>,
    ) -> Result<T, TransactionError> {
        let (cancel, supervisor) = (&self.cancel, &self.supervisor);
        let coordinator = &*self.coordinator;
        let surroundings = Surroundings { observer: &Silent, cancel, by: "ann", supervisor, coordinator };
        let directories: Vec<&Path> = self.targets().map(|config| config.deploy_to.as_path()).collect();
        act(&Transaction::begin(&directories, &holder(), &AT_ONCE, &surroundings)?)
    }

    fn with_wish<T>(&self, with: impl FnOnce(&Wish<'_>) -> T) -> T {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let wish = Wish {
            host: "localhost",
            deployment: DeploymentId::new(format!("20260102T030405-{number:04}")).unwrap(),
            project: &ProjectName::new("demo").unwrap(),
            environment: &EnvironmentName::new("production").unwrap(),
            by: "ann",
            reason: "",
            promoted_from: None,
            made_at: Timestamp::now(),
            targets: ["app", "web"]
                .into_iter()
                .zip(self.targets())
                .map(|(name, config)| (TargetName::new(name).unwrap(), config))
                .collect(),
            variables: &self.variables,
            secret_names: self.secret_names.clone(),
            part: self.part.clone(),
            remarks: Vec::new(),
        };
        with(&wish)
    }

    /// Everything under `deploy_to` but Cutover's own directory: what a user would see.
    pub fn picture(&self) -> BTreeMap<String, String> {
        let mut picture = BTreeMap::new();
        paint(self.dir.path(), self.dir.path(), &mut picture);
        picture
    }
}

fn paint(root: &Path, dir: &Path, picture: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let data = std::fs::symlink_metadata(&path).unwrap();
        if name == ".cutover" {
            continue;
        }
        let shown = if data.is_symlink() {
            format!("-> {}", std::fs::read_link(&path).unwrap().display())
        } else if data.is_dir() {
            paint(root, &path, picture);
            "directory".to_owned()
        } else {
            format!("{:o} {}", data.permissions().mode() & 0o777, std::fs::read_to_string(&path).unwrap())
        };
        picture.insert(name, shown);
    }
}

pub fn holder() -> Holder {
    Holder {
        by: "ann".into(),
        reason: "test".into(),
        deployment: None,
        pid: std::process::id(),
        since: Some(Timestamp::now()),
        until: None,
        supersedes: false,
    }
}

pub const AT_ONCE: Waiting<'_> =
    Waiting { limit: None, now: &Timestamp::now, heeds_own: true, cancelled: &|| false, told: &|_, _| {} };

/// A host target without service, environment or probes.
pub fn plain(deploy_to: &Path) -> HostConfig {
    HostConfig {
        deploy_to: deploy_to.to_owned(),
        keep_releases: 3,
        linked_dirs: Vec::new(),
        linked_files: Vec::new(),
        config_links: BTreeMap::new(),
        env_file: None,
        env_backups: 5,
        disk_free_min_bytes: 0,
        inodes_free_min: 0,
        python: None,
        run: RunConfig::default(),
        service: None,
        verify: VerifyConfig {
            within: Duration::from_secs(5),
            interval: Duration::from_millis(50),
            soak: Duration::ZERO,
            fatal: Vec::new(),
            probes: Vec::new(),
        },
    }
}

/// A probe that runs a shell line in the release.
pub fn command_probe(line: &str) -> ProbeConfig {
    let run = CommandLine::Shell(line.to_owned());
    ProbeConfig {
        name: "probe".into(),
        owner: ProbeOwner::Any,
        kind: ProbeKind::Command { run, timeout: Duration::from_secs(5) },
    }
}
