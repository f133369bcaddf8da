//! What the steps of a host deployment do, as it stands in plans and journals.

use super::gate::Await;
use cutover_core::artifact::Digest;
use cutover_core::config::{CommandLine, HookConfig, MigrateConfig, PythonConfig, ServiceConfig, VerifyConfig};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One step's work under one `deploy_to`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The target's directory on the host.
    pub deploy_to: PathBuf,
    /// What is done there.
    pub work: Work,
}

/// The work of each step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Finds out whether the rest can succeed.
    Preflight(Preflight),
    /// Gets the manifest and the blobs that the host lacks.
    Receive(Digest),
    /// Puts the release together and gives it its name.
    Assemble(Assembly),
    /// Links what releases share into the release.
    Link(Links),
    /// Writes the environment's variables where only this user can read them.
    StageEnv(EnvFile),
    /// Builds or reuses the dependency environment.
    Dependencies(PythonConfig),
    /// Runs the user's install command in the release.
    Install(Hook),
    /// Imports the release's modules with its own interpreter.
    Smoke(Smoke),
    /// Remembers what runs; taking it back brings that to life again and verifies it.
    Hold(Holding),
    /// Makes the staged env file the live one.
    Env(EnvFile),
    /// Runs the user's migrations.
    Migrate(Migration),
    /// Stops the service of the live release, which the one to come has no more.
    Stop,
    /// Makes the release `current`.
    Switch,
    /// Restarts the service.
    Restart(ServiceConfig),
    /// Observes health.
    Verify(Verification),
    /// Marks the release good, and the one it replaced on purpose bad.
    Settle(Settlement),
    /// Runs the user's command after everything else.
    After(Hook),
    /// Removes what is no longer needed.
    Prune(Retention),
    /// Waits for the other hosts.
    Await(Await),
}

impl Work {
    /// What people should know beforehand, and this step says.
    pub fn remarks(&self) -> &[String] {
        match self {
            Self::Preflight(preflight) => &preflight.remarks,
            Self::Hold(holding) => &holding.remarks,
            Self::Receive(_)
            | Self::Assemble(_)
            | Self::Link(_)
            | Self::StageEnv(_)
            | Self::Dependencies(_)
            | Self::Install(_)
            | Self::Smoke(_)
            | Self::Env(_)
            | Self::Migrate(_)
            | Self::Stop
            | Self::Switch
            | Self::Restart(_)
            | Self::Verify(_)
            | Self::Settle(_)
            | Self::After(_)
            | Self::Prune(_)
            | Self::Await(_) => &[],
        }
    }
}

/// What must hold before anything is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preflight {
    /// Bytes that the release will add.
    pub bytes: u64,
    /// Inodes that the release will add.
    pub inodes: u64,
    /// Bytes that must remain free.
    pub bytes_free_min: u64,
    /// Inodes that must remain free.
    pub inodes_free_min: u64,
    /// Programs that must be found.
    pub programs: BTreeSet<String>,
    /// Files of `shared/` that must be there.
    pub linked_files: Vec<PathBuf>,
    /// The service that must be known.
    pub service: Option<ServiceConfig>,
    /// Whether a probe waits for a line of the service's log.
    #[serde(default)]
    pub awaits_log: bool,
    /// Whether lines of the service's log can mean failure.
    #[serde(default)]
    pub watches_log: bool,
    /// What the config asks of the artifact and the artifact does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misfits: Vec<String>,
    /// What people should know of the host beforehand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// How a release is put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assembly {
    /// The artifact.
    pub artifact: Digest,
    /// The release's number in the order of releases of this target; clocks may jump, this does not.
    pub seq: u64,
    /// Digest of the target's config, to find out whether anything changed.
    pub config: Digest,
    /// Digests of its keys, to say which of them changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config_keys: BTreeMap<String, Digest>,
    /// The service that will run it, for a later restart of just this release.
    pub service: Option<ServiceConfig>,
    /// How its health is observed, for a later verification of just this release.
    pub verify: VerifyConfig,
}

/// What is linked into a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Links {
    /// Directories of `shared/`.
    pub dirs: Vec<PathBuf>,
    /// Files of `shared/`.
    pub files: Vec<PathBuf>,
    /// The env file's path in the release.
    pub env_file: Option<PathBuf>,
    /// Links between files of the release.
    pub config: BTreeMap<PathBuf, PathBuf>,
}

/// The environment's variables by name; values never stand here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvFile {
    /// Path under `shared/`; None when variables are only given to hooks.
    pub path: Option<PathBuf>,
    /// Which of the variables are secret.
    pub secrets: BTreeSet<String>,
    /// How many backups are kept.
    pub backups: u32,
}

/// What runs, and with which variables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// The service that runs the release; None when nothing does.
    pub service: Option<ServiceConfig>,
    /// The env file that the service reads, and the names whose values no log may show. It stands here because every
    /// plan holds, also one that only restarts.
    pub env: EnvFile,
    /// How health is observed on the way back where the live release does not say it.
    #[serde(default)]
    pub verify: Option<VerifyConfig>,
    /// What people should know of the host, where no preflight says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A user's command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Names it in logs: `install`, `after`.
    pub name: String,
    /// What is run.
    pub hook: HookConfig,
}

/// What must import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Smoke {
    /// Interpreter and modules.
    pub python: PythonConfig,
}

/// The user's migrations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// What is run, forth and back.
    pub migrate: MigrateConfig,
}

impl Migration {
    /// The command that takes it back, if there is anything to take back.
    pub fn down(&self) -> Option<&CommandLine> {
        self.migrate.down.as_ref()
    }
}

/// What makes a release healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The service that must run.
    pub service: Option<ServiceConfig>,
    /// What is observed.
    pub verify: VerifyConfig,
}

/// Which marks are set at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    /// Mark the release that was live before as bad: a manual rollback leaves it on purpose.
    pub leave_original_bad: bool,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// Good releases, the live one included.
    pub releases: u32,
    /// Backups of the env file.
    pub env: EnvFile,
}
