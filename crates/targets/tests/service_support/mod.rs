//! What the tests of services share: a small deployed release, a supervisor, and eyes.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses its part")]

use cutover_core::config::{CommandLine, ProcessConfig, ServiceConfig};
use cutover_core::id::TargetName;
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::target::{Cancel, Progress};
use cutover_targets::process::ProcessIdentity;
use cutover_targets::service::{Service, Site, open};
use cutover_targets::supervisor::{self, SupervisorState};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long anything that should happen is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks until it is so; fails the test when it never is.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Run by the tests themselves as the supervisor's program: its last argument is the directory.
#[test]
#[ignore = "not a test: it is the supervisor that tests start"]
fn supervisor_program() {
    let dir = PathBuf::from(std::env::args_os().next_back().unwrap());
    if dir.join("spec.json").exists() {
        supervisor::supervise(&dir, &Cancel::new()).unwrap();
    }
}

/// The arguments that make a test binary the supervisor.
pub fn supervisor_args() -> Vec<String> {
    ["service_support::supervisor_program", "--exact", "--ignored", "--nocapture", "--test-threads=1"]
        .map(str::to_owned)
        .to_vec()
}

/// A directory with one release, live. Whatever runs in it ends with it.
pub struct Place {
    dir: tempfile::TempDir,
    pub site: Site,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let deploy_to = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(deploy_to.join("releases/1")).unwrap();
        symlink("releases/1", deploy_to.join("current")).unwrap();
        let site = Site {
            name: TargetName::new("app").unwrap(),
            deploy_to,
            env_file: None,
            supervisor_program: std::env::current_exe().unwrap(),
            supervisor_args: supervisor_args(),
            masker: Masker::new([]),
            secret_names: BTreeSet::new(),
        };
        Self { dir, site }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.site.deploy_to.join(name)
    }

    pub fn release(&self) -> PathBuf {
        self.path("releases/1")
    }

    /// Writes an executable script into the release.
    pub fn script(&self, name: &str, text: &str) -> CommandLine {
        let path = self.release().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        CommandLine::Argv(vec![format!("./{name}")])
    }

    /// The supervisor's directory.
    pub fn supervisor(&self) -> PathBuf {
        self.path(".cutover/process/app")
    }

    pub fn told(&self) -> SupervisorState {
        supervisor::state(&self.supervisor()).unwrap().expect("the supervisor told of itself")
    }

    pub fn service_log(&self) -> String {
        fs::read_to_string(self.supervisor().join("service.log")).unwrap_or_default()
    }

    pub fn service(&self, config: ProcessConfig) -> Box<dyn Service> {
        open(&ServiceConfig::Process(config), &self.site)
    }

    /// A service that runs this shell script.
    pub fn shell(&self, script: &str) -> Box<dyn Service> {
        self.service(process(CommandLine::Shell(script.to_owned())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stopped = supervisor::stop(&self.supervisor());
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

/// A process service with short times.
pub fn process(command: CommandLine) -> ProcessConfig {
    ProcessConfig {
        command,
        stop_timeout: Duration::from_secs(5),
        backoff: Duration::from_millis(20),
        backoff_max: Duration::from_millis(80),
        log_max_bytes: 1 << 20,
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The process that wrote its number to this file, once it has.
pub fn written_pid(path: &Path) -> ProcessIdentity {
    let mut found = None;
    wait_for(&format!("a living process writes {}", path.display()), || {
        let pid = fs::read_to_string(path).ok().and_then(|text| text.strip_suffix('\n')?.trim().parse().ok());
        found = pid.and_then(ProcessIdentity::of);
        found.is_some()
    });
    found.unwrap()
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Told {
    pub lines: Mutex<Vec<String>>,
    pub probes: Mutex<Vec<ProbeResult>>,
    pub cancel: Cancel,
}

impl Told {
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Progress for Told {
    fn advance(&self, _done: u64, _total: u64, _unit: &'static str) {}
    fn output(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
    fn probed(&self, result: &ProbeResult) {
        self.probes.lock().unwrap().push(result.clone());
    }
    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
