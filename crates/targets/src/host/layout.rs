//! Where things lie under a target's `deploy_to`.

use cutover_core::artifact::Digest;
use cutover_core::id::{DeploymentId, ReleaseId, TargetName};
use std::path::{Path, PathBuf};

/// The paths under one `deploy_to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of this `deploy_to`.
    pub fn new(deploy_to: impl Into<PathBuf>) -> Self {
        Self { root: deploy_to.into() }
    }

    /// `deploy_to` itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `releases/`.
    pub fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }

    /// One release's directory.
    pub fn release(&self, id: &ReleaseId) -> PathBuf {
        self.releases().join(id.as_str())
    }

    /// The directory in which a release is assembled before it gets its name.
    pub fn partial(&self, id: &ReleaseId) -> PathBuf {
        self.releases().join(format!(".{id}.partial"))
    }

    /// The link to the live release.
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The link to the release that was live before.
    pub fn previous(&self) -> PathBuf {
        self.root.join("previous")
    }

    /// What releases share.
    pub fn shared(&self) -> PathBuf {
        self.root.join("shared")
    }

    /// Cutover's own directory.
    pub fn own(&self) -> PathBuf {
        self.root.join(".cutover")
    }

    /// Blobs by digest.
    pub fn blobs(&self) -> PathBuf {
        self.own().join("blobs")
    }

    /// The manifest of an artifact that was received.
    pub fn manifest(&self, artifact: &Digest) -> PathBuf {
        self.own().join("manifests").join(format!("{artifact}.json"))
    }

    /// A dependency environment, at its final path.
    pub fn dependencies(&self, key: &Digest) -> PathBuf {
        self.own().join("envs").join(&key.to_string()[..32])
    }

    /// The kernel lock that a transaction holds.
    pub fn lock(&self) -> PathBuf {
        self.own().join("lock")
    }

    /// The maintenance lock, there while someone wants no deployments.
    pub fn maintenance(&self) -> PathBuf {
        self.own().join("maintenance.json")
    }

    /// Tickets of those who wait for the lock.
    pub fn queue(&self) -> PathBuf {
        self.own().join("queue")
    }

    /// Journals of deployments that have not ended.
    pub fn open_journals(&self) -> PathBuf {
        self.own().join("journal").join("open")
    }

    /// Journals of deployments that have ended.
    pub fn done_journals(&self) -> PathBuf {
        self.own().join("journal").join("done")
    }

    /// A deployment's logs: of the install, of hooks, of a failed start.
    pub fn logs(&self, deployment: &DeploymentId) -> PathBuf {
        self.own().join("logs").join(deployment.as_str())
    }

    /// The env files of kept releases, and of a deployment under way.
    pub fn envs(&self) -> PathBuf {
        self.own().join("env")
    }

    /// The env file of a deployment before it becomes the live one.
    pub fn staged_env(&self, deployment: &DeploymentId) -> PathBuf {
        self.envs().join(format!("{deployment}.staged"))
    }

    /// The env file that a release was live with.
    pub fn release_env(&self, id: &ReleaseId) -> PathBuf {
        self.envs().join(id.as_str())
    }

    /// What the last restart left for the verification after it.
    pub fn restart_record(&self, target: &TargetName) -> PathBuf {
        self.own().join(format!("restart-{target}.json"))
    }

    /// What belongs to a target's service: the supervisor of a `process`, the output of a `command`.
    pub fn process(&self, target: &TargetName) -> PathBuf {
        self.own().join("process").join(target.as_str())
    }
}
