//! What runs a release: a systemd unit, commands of the user's own, or Cutover's own supervisor.

mod bus;
mod command;
mod journal;
mod log;
mod manager;
mod process;
mod sudo;
mod systemd;
mod tail;
mod unit_files;

pub use log::{LogMark, LogPlace};
pub(crate) use log::{end_of, rotated};
pub(crate) use process::CRASH_LOOP_COUNT;
pub(crate) use systemd::{sudo_commands, sudo_rule};

use crate::host::Layout;
use crate::process::ProcessIdentity;
use cutover_core::config::ServiceConfig;
use cutover_core::id::TargetName;
use cutover_core::mask::Masker;
use cutover_core::target::{Failure, Progress};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What a service is seen to be doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Whether it runs.
    pub active: bool,
    /// Whether it ended and nothing will start it again, or runs and nothing would.
    pub failed: bool,
    /// Whether it is meant to run: it was started and nobody stopped it, whatever has become of it since.
    #[serde(default)]
    pub wanted: bool,
    /// In words: "active (running)", "failed: exit code 1", "waiting to be started again: exit code 1".
    pub description: String,
    /// Its main process, when it runs and is known.
    pub main: Option<ProcessIdentity>,
    /// How often it was started again by itself since somebody last started it.
    pub restart_count: u64,
    /// Whether it ends again and again soon after it was started: that it runs at a moment says nothing then.
    #[serde(default)]
    pub crash_looping: bool,
    /// How it ended last, where that is known: "exit code 1".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
    /// Since when it runs.
    pub since: Option<Timestamp>,
    /// Memory of all its processes in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time of all its processes in milliseconds.
    pub cpu_ms: Option<u64>,
}

impl ServiceState {
    /// Nothing runs, and nothing shall.
    pub(crate) fn inactive(description: &str, failed: bool) -> Self {
        Self {
            active: false,
            failed,
            wanted: false,
            description: description.to_owned(),
            main: None,
            restart_count: 0,
            crash_looping: false,
            last_end: None,
            since: None,
            memory_bytes: None,
            cpu_ms: None,
        }
    }
}

/// What became of a service that is not needed any more.
#[derive(Debug)]
pub enum Retired {
    /// It does not run. In words, what somebody should see to besides.
    Gone(Option<String>),
    /// It runs as before: this user may not stop it. The hint says how it is stopped.
    Refused(Failure),
}

/// Something that runs a release.
pub trait Service: Send + Sync {
    /// What it is seen to be doing now.
    fn state(&self) -> Result<ServiceState, Failure>;

    /// What of it is not run as it is said to be by now, in words: a change takes effect with its next start.
    fn superseded(&self, _state: &ServiceState) -> Option<String> {
        None
    }

    /// Whether it is known here and this user may start and stop it; changes nothing.
    fn check(&self) -> Result<(), Failure> {
        self.state().map(drop)
    }

    /// Whether what it logs can be read; changes nothing.
    fn check_log(&self) -> Result<(), Failure>;

    /// Starts it, or stops and starts it; returns when it is started.
    fn restart(&self, progress: &dyn Progress) -> Result<(), Failure>;

    /// Stops it and what it left behind. One that is stopped already, failed or is not there any more is fine.
    fn stop(&self, progress: &dyn Progress) -> Result<(), Failure>;

    /// Stops it for good.
    fn retire(&self, progress: &dyn Progress) -> Result<Retired, Failure> {
        self.stop(progress).map(|()| Retired::Gone(None))
    }

    /// Its living processes. Empty when they cannot be known.
    fn processes(&self) -> Result<BTreeSet<u32>, Failure>;

    /// The present end of its log; to be taken before a restart.
    fn log_mark(&self) -> LogMark;

    /// Both at once, which may be quicker; more so where nobody decides by what the log says, so that the moment is mark enough.
    fn state_and_mark(&self, _is_log_watched: bool) -> Result<(ServiceState, LogMark), Failure> {
        Ok((self.state()?, self.log_mark()))
    }

    /// What its log says since then, the last `bytes_max` bytes of it. **Not masked.**
    ///
    /// Fails when it cannot be read; a service that said nothing gives an empty text.
    fn log_since(&self, mark: &LogMark, bytes_max: usize) -> Result<String, Failure>;

    /// Tells the last `lines` lines of its log and then what comes, across restarts, until it is not taken any more;
    /// that is no failure. **Not masked.**
    fn follow_log(&self, lines: usize, tell: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Failure>;
}

/// Where a service is, and what Cutover may use to run it.
#[derive(Debug, Clone)]
pub struct Site {
    /// The target's name.
    pub name: TargetName,
    /// The directory that holds `releases/` and `current`.
    pub deploy_to: PathBuf,
    /// Path of the env file in a release.
    pub env_file: Option<PathBuf>,
    /// Cutover's own binary, for the supervisor.
    pub supervisor_program: PathBuf,
    /// Its arguments that make it the supervisor; the supervisor's directory follows them.
    pub supervisor_args: Vec<String>,
    /// Hides secrets in what commands say.
    pub masker: Masker,
    /// Variables of the env file whose values the supervisor hides in the service's log.
    pub secret_names: BTreeSet<String>,
}

impl Site {
    /// A place from which a service is only looked at, never started.
    pub fn to_look_at(name: TargetName, deploy_to: &Path) -> Self {
        Self {
            name,
            deploy_to: deploy_to.to_owned(),
            env_file: None,
            supervisor_program: PathBuf::new(),
            supervisor_args: Vec::new(),
            masker: Masker::new([]),
            secret_names: BTreeSet::new(),
        }
    }

    /// The link to the live release.
    pub(crate) fn current(&self) -> PathBuf {
        self.deploy_to.join("current")
    }

    /// The directory of what runs the service.
    pub(crate) fn process(&self) -> PathBuf {
        Layout::new(&self.deploy_to).process(&self.name)
    }
}

/// The service that the configuration names.
pub fn open(config: &ServiceConfig, site: &Site) -> Box<dyn Service> {
    match config {
        ServiceConfig::Systemd { unit, scope, timeout, start } => {
            let unit = (unit.clone(), start.is_some());
            Box::new(systemd::Systemd::new(unit, *scope, *timeout, site.masker.clone()))
        }
        ServiceConfig::Command { restart, stop, status, pid_file, timeout } => Box::new(command::CommandService {
            restart: restart.clone(),
            stop: stop.clone(),
            status: status.clone(),
            pid_file: pid_file.as_ref().map(|path| site.deploy_to.join(path)),
            timeout: *timeout,
            site: site.clone(),
        }),
        ServiceConfig::Process(config) => Box::new(process::ProcessService::new(config.clone(), site.clone())),
    }
}

/// A service and where it is.
pub(crate) struct Named {
    pub(crate) config: ServiceConfig,
    pub(crate) site: Site,
}

impl Named {
    pub(crate) fn open(&self) -> Box<dyn Service> {
        open(&self.config, &self.site)
    }

    /// What it is called: "shop.service".
    pub(crate) fn told(&self) -> String {
        match &self.config {
            ServiceConfig::Systemd { unit, .. } => unit.clone(),
            ServiceConfig::Command { .. } => format!("the service of {} that its own commands stop", self.site.name),
            ServiceConfig::Process(_) => format!("the process of {}", self.site.name),
        }
    }

    /// Whether both are one service, perhaps with other options: restarting it then replaces what runs.
    ///
    /// Commands have no name of their own, and run where their release is: a place's commands are taken for one service's.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_one_place = self.site.deploy_to == other.site.deploy_to;
        match (&self.config, &other.config) {
            (
                ServiceConfig::Systemd { unit, scope, .. },
                ServiceConfig::Systemd { unit: other_unit, scope: other_scope, .. },
            ) => unit == other_unit && scope == other_scope,
            (ServiceConfig::Process(_), ServiceConfig::Process(_)) => is_one_place && self.site.name == other.site.name,
            (ServiceConfig::Command { .. }, ServiceConfig::Command { .. }) => is_one_place,
            (ServiceConfig::Systemd { .. } | ServiceConfig::Command { .. } | ServiceConfig::Process(_), _) => false,
        }
    }

    /// Whether this is what ran before in its target, with no more than other options: commands also have to stop it by the same words.
    pub(crate) fn is_kept_from(&self, old: &Self) -> bool {
        let is_by_commands = matches!(self.config, ServiceConfig::Command { .. });
        self.is_same(old) && (!is_by_commands || self.is_stopped_alike(old))
    }

    /// Whether both are stopped by the same words, which may mean one service wherever these are said.
    pub(crate) fn is_stopped_alike(&self, other: &Self) -> bool {
        match (&self.config, &other.config) {
            (ServiceConfig::Command { stop, .. }, ServiceConfig::Command { stop: other_stop, .. }) => {
                stop == other_stop
            }
            (ServiceConfig::Systemd { .. } | ServiceConfig::Command { .. } | ServiceConfig::Process(_), _) => false,
        }
    }
}
