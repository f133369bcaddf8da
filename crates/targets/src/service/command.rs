//! A service that the user's own commands start, stop and look at.

use super::{LogMark, LogPlace, Service, ServiceState, Site};
use crate::process::{ProcessIdentity, descendants, memory_bytes, stat_of};
use cutover_child::{ChildCommand, ChildError, ChildExit, Leftovers, listen, run};
use cutover_core::config::CommandLine;
use cutover_core::target::{EXCERPT_BYTES_MAX, Failure, Progress};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest pid file that makes sense, in bytes.
const PID_FILE_BYTES_MAX: u64 = 64;
/// Where a service says what it does not log elsewhere, in the directory of its own.
const OUTPUT_FILE: &str = "command.log";
/// How long `status` may take.
const STATUS_TIMEOUT_MAX: Duration = Duration::from_secs(10);

pub(super) struct CommandService {
    pub(super) restart: CommandLine,
    pub(super) stop: CommandLine,
    pub(super) status: CommandLine,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) site: Site,
}

impl CommandService {
    fn run(
        &self,
        command: &CommandLine,
        timeout: Duration,
        leftovers: Leftovers<'_>,
        with: impl FnOnce(&ChildCommand<'_>) -> Result<ChildExit, ChildError>,
    ) -> Result<ChildExit, ChildError> {
        let (current, variables) = (self.site.current(), BTreeMap::new());
        // Before the first release is live there is no `current`, and a service may have to be stopped all the same.
        let cwd = if current.is_dir() { &current } else { &self.site.deploy_to };
        let masker = &self.site.masker;
        with(&ChildCommand { command, cwd, variables: &variables, timeout, log: None, masker, leftovers })
    }

    fn act(
        &self,
        verb: &str,
        command: &CommandLine,
        leftovers: Leftovers<'_>,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let subject = format!("{verb} service {}", self.site.name);
        let exit = self.run(command, self.timeout, leftovers, |child| run(child, progress));
        exit.map_err(|e| e.failure(&subject))?.success(&subject)
    }

    fn main(&self) -> Option<ProcessIdentity> {
        ProcessIdentity::of(read_pid(self.pid_file.as_deref()?)?)
    }
}

/// Reads the number in a pid file; the first process's is not believed.
fn read_pid(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.take(PID_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

impl Service for CommandService {
    fn state(&self) -> Result<ServiceState, Failure> {
        let subject = format!("look at service {}", self.site.name);
        let unheard = |child: &ChildCommand<'_>| listen(child, EXCERPT_BYTES_MAX, &|| false);
        let exit = match self.run(&self.status, self.timeout.min(STATUS_TIMEOUT_MAX), Leftovers::Leave, unheard) {
            // A command that comes with the release is not there before the first one is live.
            Err(ChildError::Start { .. }) if !self.site.current().exists() => {
                return Ok(ServiceState::inactive("its status command is not there yet", false));
            }
            other => other.map_err(|e| e.failure(&subject))?,
        };
        let main = self.main();
        // Where a pid file is configured, its process must be there whatever the status command says.
        let active = exit.code == 0 && (self.pid_file.is_none() || main.is_some());
        let description = match (exit.code, active) {
            (0, true) => "active".to_owned(),
            (0, false) => "its pid file names no living process".to_owned(),
            (code, _) => format!("inactive: its status command ended with exit code {code}"),
        };
        let uptime = main.as_ref().and_then(|main| SignedDuration::try_from(main.age()).ok());
        Ok(ServiceState {
            active,
            failed: false,
            wanted: active,
            description,
            restart_count: 0,
            crash_looping: false,
            last_end: None,
            since: uptime.and_then(|uptime| Timestamp::now().checked_sub(uptime).ok()),
            memory_bytes: main.as_ref().and_then(|main| memory_bytes(main.pid)),
            cpu_ms: main.as_ref().and_then(|main| stat_of(main.pid)).map(|stat| stat.cpu_ms()),
            main,
        })
    }

    fn check_log(&self) -> Result<(), Failure> {
        Err(Failure::new(format!("service {} has no log that Cutover can read", self.site.name)))
    }

    fn restart(&self, progress: &dyn Progress) -> Result<(), Failure> {
        let directory = self.site.process();
        // Without it, what the service says is lost; that must not keep it from being started.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        let output = directory.join(OUTPUT_FILE);
        self.act("restart", &self.restart, Leftovers::Serve { output: &output }, progress)
    }

    fn stop(&self, progress: &dyn Progress) -> Result<(), Failure> {
        self.act("stop", &self.stop, Leftovers::Leave, progress)
    }

    fn processes(&self) -> Result<BTreeSet<u32>, Failure> {
        let Some(main) = self.main() else { return Ok(BTreeSet::new()) };
        let mut all = descendants(main.pid);
        all.insert(main.pid);
        Ok(all)
    }

    fn log_mark(&self) -> LogMark {
        LogMark::now(LogPlace::None)
    }

    fn follow_log(&self, _lines: usize, _tell: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Failure> {
        self.check_log()
    }

    fn log_since(&self, _mark: &LogMark, _bytes_max: usize) -> Result<String, Failure> {
        Ok(String::new())
    }
}
