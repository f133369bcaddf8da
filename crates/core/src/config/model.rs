//! What a sound `cutover.toml` says.

use crate::check::Limits;
use crate::id::{CheckName, EnvironmentName, ProjectName, TargetName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// A whole `cutover.toml`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The project's name.
    pub name: ProjectName,
    /// How a commit becomes an artifact.
    pub artifact: ArtifactConfig,
    /// What judges a change.
    pub checks: BTreeMap<CheckName, CheckConfig>,
    /// The targets as written, before an environment overrides them.
    pub targets: BTreeMap<TargetName, TargetConfig>,
    /// How hosts are reached.
    pub ssh: SshConfig,
    /// The environments, each with its own targets already merged.
    pub environments: BTreeMap<EnvironmentName, EnvironmentConfig>,
    /// What a CI does.
    pub workflows: WorkflowsConfig,
    /// How what is live gets a version, where it shall have one.
    pub release: Option<ReleaseConfig>,
    /// What changes to the branch of production must have passed.
    pub protection: ProtectionConfig,
}

/// `[artifact]`: what goes into an artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactConfig {
    /// Glob patterns of files to take; `["**"]` by default.
    pub include: Vec<String>,
    /// Glob patterns of files to leave out; they win over `include`.
    pub exclude: Vec<String>,
    /// A command that runs in a clean checkout before packing.
    pub build: Option<CommandLine>,
    /// How long the build may take; 15 minutes by default.
    pub build_timeout: Duration,
    /// How many artifacts are kept locally at most; 20 by default.
    pub keep: u32,
    /// How long artifacts are kept locally; 30 days by default.
    pub keep_for: Duration,
    /// Where several machines share artifacts; None where each has its own only.
    pub store: Option<ArtifactStoreConfig>,
    /// Whose signatures count, as OpenSSH's `allowed_signers`, relative to `cutover.toml`; None where none is asked for.
    pub signers: Option<PathBuf>,
    /// The key that provenance is signed with, as `ssh-keygen -f` takes it, relative to `cutover.toml` or beginning with `~/`.
    pub signing_key: Option<PathBuf>,
}

/// `[artifact.store]`: where several machines share artifacts.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactStoreConfig {
    /// What it is.
    pub kind: ArtifactStoreKind,
    /// How long artifacts are kept there after they were last packed; 30 days by default.
    pub keep_for: Duration,
}

/// What a shared store of artifacts is.
#[derive(Debug, Clone, PartialEq)]
pub enum ArtifactStoreKind {
    /// A directory that all these machines see.
    Directory(PathBuf),
    /// A bucket of an S3-compatible service.
    S3(S3Config),
    /// The files of a release at GitHub.
    GitHub(GitHubStoreConfig),
}

/// `[artifact.store.github]`: a release at GitHub that holds artifacts. Tokens come from the environment only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHubStoreConfig {
    /// `owner/name`; None: the repository that the project itself is in.
    pub repository: Option<String>,
    /// The release's tag, which is made with it; `cutover-artifacts` by default.
    pub tag: String,
}

/// `[artifact.store.s3]`: a bucket. Credentials come from the environment only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// The service's address; AWS's of the region when there is none.
    pub endpoint: Option<String>,
    /// The region that requests are signed for; `us-east-1` by default.
    pub region: String,
    /// What all names in the bucket begin with, without a `/` at the end; empty by default.
    pub prefix: String,
    /// Whether the bucket is the first part of the path instead of the host's name; the default where there is an endpoint.
    pub path_style: Option<bool>,
}

/// `[checks.NAME]`: a command whose result judges a change.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckConfig {
    /// What is run.
    pub run: CommandLine,
    /// Checks that must have passed before; never itself, not through others either.
    pub needs: Vec<CheckName>,
    /// Where it runs, relative to the repository's top; there by default.
    pub directory: Option<PathBuf>,
    /// Variables on top of those that Cutover itself has.
    pub env: BTreeMap<String, String>,
    /// Glob patterns of what it judges; `["**"]` by default.
    pub paths: Vec<String>,
    /// How long it may take; 15 minutes by default.
    pub timeout: Duration,
    /// How often it is repeated when it fails; 0 by default.
    pub retries: u32,
    /// What a CI keeps between runs.
    pub cache: Option<CacheConfig>,
    /// The reports that it writes.
    pub reports: ReportsConfig,
    /// What its reports are compared with.
    pub limits: Limits,
}

/// `[checks.NAME.cache]`: what a CI keeps between runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Glob patterns of the files that decide whether what is kept still fits.
    pub key: Vec<String>,
    /// What is kept: relative to the repository's top, or beginning with `~/`.
    pub paths: Vec<PathBuf>,
}

/// `[checks.NAME.reports]`: glob patterns of what a check writes, inside the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportsConfig {
    /// Test cases.
    pub junit: Vec<String>,
    /// Coverage.
    pub coverage: Vec<String>,
    /// Findings of scanners.
    pub sarif: Vec<String>,
}

/// A command: a string is given to `sh -c` as the user wrote it, a list is run as it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandLine {
    /// One line for `sh -c`.
    Shell(String),
    /// A program and its arguments; never empty.
    Argv(Vec<String>),
}

/// One target of an environment.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetConfig {
    /// `[targets.NAME.host]`: releases on Linux hosts.
    Host(HostConfig),
}

/// `[targets.NAME.host]`: a service in `releases/` on a host.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HostConfig {
    /// Absolute directory that holds `releases/`, `current` and `shared/`.
    #[serde(deserialize_with = "super::arrived::directory")]
    pub deploy_to: PathBuf,
    /// How many good releases to keep, live one included; 3 by default, at least 2.
    #[serde(deserialize_with = "super::arrived::kept_releases")]
    pub keep_releases: u32,
    /// Directories of `shared/` linked into every release.
    #[serde(deserialize_with = "super::arrived::paths")]
    pub linked_dirs: Vec<PathBuf>,
    /// Files of `shared/` linked into every release.
    #[serde(deserialize_with = "super::arrived::paths")]
    pub linked_files: Vec<PathBuf>,
    /// Links made inside a release: link path to the release's file it points to
    /// (`config.json = "config-prod.json"`).
    #[serde(deserialize_with = "super::arrived::links")]
    pub config_links: BTreeMap<PathBuf, PathBuf>,
    /// Path of the env file in a release; the file itself lies in `shared/`. None: no env file is written.
    #[serde(deserialize_with = "super::arrived::path")]
    pub env_file: Option<PathBuf>,
    /// How many backups of the env file are kept; 5 by default.
    #[serde(deserialize_with = "super::arrived::env_backups")]
    pub env_backups: u32,
    /// Free bytes that must remain after the release is unpacked.
    pub disk_free_min_bytes: u64,
    /// Free inodes that must remain; 1000 by default.
    pub inodes_free_min: u64,
    /// Python dependencies and smoke imports.
    pub python: Option<PythonConfig>,
    /// Commands of the user's own: `[targets.NAME.host.run]`.
    pub run: RunConfig,
    /// What runs the release.
    pub service: Option<ServiceConfig>,
    /// How health is observed.
    pub verify: VerifyConfig,
}

/// `[targets.NAME.host.python]`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PythonConfig {
    /// Requirements file inside the release; None: no virtual environment is built.
    #[serde(deserialize_with = "super::arrived::path")]
    pub requirements: Option<PathBuf>,
    /// Directory of wheels inside the release: the install is then offline.
    #[serde(deserialize_with = "super::arrived::path")]
    pub wheels: Option<PathBuf>,
    /// Interpreter that builds the environment; `python3` by default.
    pub interpreter: String,
    /// Modules that must import before the switch.
    pub smoke: Vec<String>,
    /// How long the install may take; 10 minutes by default.
    pub install_timeout: Duration,
    /// How long the smoke imports may take; 60 s by default.
    pub smoke_timeout: Duration,
}

/// `[targets.NAME.host.run]`: hooks, run in the release directory with the environment's variables.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct RunConfig {
    /// Runs before the switch, after dependencies (`npm ci`, `make`).
    pub install: Option<HookConfig>,
    /// Runs just before the switch.
    pub migrate: Option<MigrateConfig>,
    /// Runs after verification; its failure does not take the release back.
    pub after: Option<HookConfig>,
}

/// A hook's command and its time limit.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HookConfig {
    /// What to run.
    pub command: CommandLine,
    /// 10 minutes by default.
    pub timeout: Duration,
}

/// `run.migrate`: changes the database; irreversible unless `down` or `compatible` says otherwise.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MigrateConfig {
    /// Applies the migrations; must do nothing when there is nothing to do.
    pub up: CommandLine,
    /// Takes them back.
    pub down: Option<CommandLine>,
    /// The old release works with the new schema, so there is nothing to take back.
    pub compatible: bool,
    /// 10 minutes by default.
    pub timeout: Duration,
}

/// `[targets.NAME.host.service]`: what runs the release.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceConfig {
    /// `unit = "app.service"`, `scope = "system" | "user"`.
    Systemd {
        /// Unit name with its suffix.
        unit: String,
        /// Whose service manager.
        scope: SystemdScope,
        /// How long a stop or start may take; 90 s by default.
        timeout: Duration,
        /// What the unit runs, for `cutover setup` to write the unit. None: the unit is the user's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<CommandLine>,
    },
    /// `command = { restart = …, stop = …, status = …, pid_file = … }`.
    Command {
        /// Starts the service or restarts it when it runs.
        restart: CommandLine,
        /// Stops it; must succeed when it is stopped already.
        stop: CommandLine,
        /// Exit 0 when it runs.
        status: CommandLine,
        /// File that holds the main process's id; relative paths are under `deploy_to`.
        pid_file: Option<PathBuf>,
        /// 90 s by default.
        timeout: Duration,
    },
    /// `process = { command = … }`: Cutover's own supervisor.
    Process(ProcessConfig),
}

/// Whose systemd runs a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemdScope {
    /// `systemctl`, through `sudo -n` when not root.
    System,
    /// `systemctl --user`.
    User,
}

/// `service.process`: a command kept running by Cutover's own supervisor, in the `current` release.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProcessConfig {
    /// What to run, in the release directory, with the env file's variables.
    pub command: CommandLine,
    /// Time between TERM and KILL; 10 s by default.
    pub stop_timeout: Duration,
    /// First pause before a crashed process is started again; doubles up to `backoff_max`. 500 ms by default.
    pub backoff: Duration,
    /// 30 s by default.
    pub backoff_max: Duration,
    /// Size at which the log is rotated (one old file is kept); 10 MiB by default.
    pub log_max_bytes: u64,
}

/// `[targets.NAME.host.verify]`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VerifyConfig {
    /// All probes must pass within this time after the restart; 60 s by default.
    pub within: Duration,
    /// Pause between attempts; 500 ms by default, and the first attempts come faster.
    pub interval: Duration,
    /// How long the service must stay healthy after that; 0 s by default.
    pub soak: Duration,
    /// Log patterns that mean failure when seen since the restart.
    pub fatal: Vec<String>,
    /// What is observed.
    pub probes: Vec<ProbeConfig>,
}

impl VerifyConfig {
    /// Whether a probe waits for a line of the service's log.
    pub fn awaits_log(&self) -> bool {
        self.probes.iter().any(|probe| matches!(probe.kind, ProbeKind::Log { .. }))
    }

    /// Whether what the service logs decides about its health.
    pub fn watches_log(&self) -> bool {
        self.awaits_log() || !self.fatal.is_empty()
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProbeConfig {
    /// Shown in reports; made from the probe when not given.
    pub name: String,
    /// Who must answer.
    pub owner: ProbeOwner,
    /// What is done.
    pub kind: ProbeKind,
}

/// Whose process must answer a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOwner {
    /// A process of the new release's service (the default).
    Release,
    /// Anyone: a proxy, a container engine, another host.
    Any,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// `{ http = { url, status, body, headers, latency_max, redirects, timeout } }`.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// Expected status; 200 by default.
        status: u16,
        /// Text that the body must contain.
        body: Option<String>,
        /// Response headers that must be there, and the text each must contain.
        headers: BTreeMap<String, String>,
        /// Slower answers fail.
        latency_max: Option<Duration>,
        /// How many redirects to follow; 0 by default.
        redirects: u32,
        /// 5 s by default.
        timeout: Duration,
    },
    /// `{ tcp = { address = "127.0.0.1:5432", timeout } }`: a connection is accepted.
    Tcp {
        /// `host:port`.
        address: String,
        /// 5 s by default.
        timeout: Duration,
    },
    /// `{ command = { run = …, timeout } }`: exit code 0.
    Command {
        /// What to run, in the release directory.
        run: CommandLine,
        /// 10 s by default.
        timeout: Duration,
    },
    /// `{ log = { contains = "connected" } }`: a line since the restart.
    Log {
        /// Text that a line must contain.
        contains: String,
    },
    /// `{ unit = { stable = "3s" } }`: the service is active and has not restarted for this long.
    Unit {
        /// How long without a restart; 0 s by default.
        stable: Duration,
    },
}

/// `[ssh]`: how the user's own OpenSSH client is called.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SshConfig {
    /// `ssh -F`; relative to `cutover.toml`.
    pub config_file: Option<PathBuf>,
    /// Default user.
    pub user: Option<String>,
    /// Default port.
    pub port: Option<u16>,
    /// Private key to use, and no other; relative to `cutover.toml`, or beginning with `~/`.
    pub identity: Option<PathBuf>,
    /// Hosts on the way, in order.
    pub jump: Vec<String>,
    /// Public keys that hosts may have besides those that the user's own `ssh` knows: by host, with its port when that is not 22.
    pub host_keys: BTreeMap<String, Vec<String>>,
}

/// `[environments.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentConfig {
    /// Branch that deploys here by itself.
    pub branch: Option<String>,
    /// Where people see what is deployed here.
    pub url: Option<String>,
    /// Plain variables.
    pub env: BTreeMap<String, String>,
    /// Secret variables and where their values come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Hosts by target; `"localhost"` is this machine.
    pub hosts: BTreeMap<TargetName, Vec<String>>,
    /// How a release spreads over several hosts.
    pub rollout: RolloutConfig,
    /// Checks that a commit must have passed before it is deployed here.
    pub required_checks: Vec<CheckName>,
    /// This environment's targets: those that `hosts` names, with its overrides merged in.
    pub targets: BTreeMap<TargetName, TargetConfig>,
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `secrets = ["NAME"]` or `{ env = "NAME" }`: an environment variable of the CLI.
    Variable(String),
    /// `{ file = "path" }`: a file's content without its last newline.
    File(PathBuf),
    /// `{ command = ["op", "read", "…"] }`: a command's standard output without its last newline.
    Command(CommandLine),
}

/// `[environments.NAME.rollout]`: how a release spreads over several hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutConfig {
    /// How many hosts are switched first, alone; None: no more than any other wave.
    pub canary: Option<Share>,
    /// How many hosts each further wave has.
    pub batch: Share,
    /// How many hosts may be switched at the same time within a wave.
    pub max_unavailable: Share,
    /// How long to wait between two waves.
    pub pause: Duration,
    /// What becomes of the hosts that were switched before another one failed.
    pub on_failure: OnFailure,
    /// What a host that was switched does by itself when the coordinator is gone.
    pub on_lost_coordinator: OnLostCoordinator,
    /// For how long a host believes in a coordinator that says nothing.
    pub lease: Duration,
    /// What is done about hosts that cannot be reached before anything is switched.
    pub on_unreachable: OnUnreachable,
}

/// Some of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many in a hundred, rounded up.
    Percent(u32),
}

impl Share {
    /// How many that are of `host_count`: at least one, at most all.
    pub fn of(self, host_count: usize) -> usize {
        let count = match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (host_count * percent as usize).div_ceil(100),
        };
        count.clamp(1, host_count.max(1))
    }
}

/// What becomes of the hosts that were switched before another one failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They go back to what they had.
    RestoreAll,
    /// They keep the new release.
    Keep,
}

/// What a host that was switched does by itself when the coordinator is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLostCoordinator {
    /// It goes back to what it had.
    Restore,
    /// It keeps the new release, which it has seen healthy.
    Keep,
}

/// What is done about hosts that cannot be reached before anything is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnreachable {
    /// Nothing is deployed anywhere.
    Refuse,
    /// The others are deployed, and these are named.
    Skip,
}

/// `[workflows]`: what a CI needs to know to run Cutover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowsConfig {
    /// Where a runner gets Cutover from; None: it is there already.
    pub download: Option<CutoverDownload>,
    /// Labels of the runners; a CI's usual ones where there are none.
    pub runs_on: Vec<String>,
    /// Image that GitLab's jobs run in.
    pub image: Option<String>,
    /// How long a job may take; 30 minutes by default.
    pub timeout: Duration,
    /// How many days a CI keeps artifacts, logs and records; 30 by default.
    pub retention_days: u16,
    /// Python's version for checks and builds.
    pub python: Option<String>,
    /// Node's version for checks and builds.
    pub node: Option<String>,
    /// Environments that a person lets a deployment into.
    pub approval: BTreeSet<EnvironmentName>,
    /// Environments that wait for another one of the same branch to be healthy; never for themselves in the end.
    pub after: BTreeMap<EnvironmentName, EnvironmentName>,
    /// Environment that pull requests are deployed to.
    pub pull_requests: Option<EnvironmentName>,
}

/// A binary of Cutover, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutoverDownload {
    /// `https://` or `file:///`.
    pub url: String,
    /// 64 lowercase hexadecimal digits.
    pub sha256: String,
}

/// `[release]`: how what is live gets a version, a tag and a release at GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseConfig {
    /// The environment whose good deployments are released.
    pub environment: EnvironmentName,
    /// The file with the version, relative to `cutover.toml`; None: conventional commits make the version.
    pub version_file: Option<PathBuf>,
    /// What stands before the version in a tag; `v` by default. Sound in a name of git and in a URL.
    pub tag_prefix: String,
    /// Whether the artifact is attached to the release at GitHub; it is by default.
    pub attach: bool,
}

/// `[protection]`: what `cutover github protect` demands of changes to the branch of production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtectionConfig {
    /// How many people must approve a change; nobody by default.
    pub approvals: u8,
    /// Whether a change must be judged together with the newest of the branch; not by default.
    pub up_to_date: bool,
}
