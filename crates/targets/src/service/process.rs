//! A service that Cutover's own supervisor keeps running.

use super::log::{end_of, read_since};
use super::tail::Tail;
use super::{LogMark, LogPlace, Service, ServiceState, Site};
use crate::process::{ProcessIdentity, descendants, memory_bytes, stat_of};
use crate::supervisor::{self, Account, Launch, Phase, Place, Spec, SupervisorState, Traces};
use cutover_core::config::ProcessConfig;
use cutover_core::target::{Failure, Progress};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// From so many restarts on, a service that ended again is in a crash loop.
pub(crate) const CRASH_LOOP_COUNT: u64 = 3;

/// What is said of a service that runs without a supervisor.
const UNATTENDED: &str = "active (running), but its supervisor is gone: nobody will start it again";

/// How long a supervisor is given to notice that its service ended, or to write its word to its end on a full disk.
const SETTLE_MAX: Duration = Duration::from_millis(200);
/// How often it is asked meanwhile.
const SETTLE_INTERVAL: Duration = Duration::from_millis(5);

pub(super) struct ProcessService {
    spec: Spec,
    place: Place,
    site: Site,
}

impl ProcessService {
    pub(super) fn new(config: ProcessConfig, site: Site) -> Self {
        let dir = site.process();
        let (deploy_to, env_file) = (site.deploy_to.clone(), site.env_file.clone());
        let spec = Spec { config, deploy_to, env_file, secret_names: site.secret_names.clone() };
        Self { spec, place: Place::new(dir), site }
    }

    fn account(&self) -> Result<Account, Failure> {
        supervisor::account(self.place.dir()).map_err(|e| e.failure(&format!("look at service {}", self.site.name)))
    }

    /// What is known once the supervisor, where it is about to tell more, has told it.
    fn settled(&self) -> Result<Account, Failure> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let account = self.account()?;
            if !is_outdated(&account) || Instant::now() >= deadline {
                return Ok(account);
            }
            std::thread::sleep(SETTLE_INTERVAL);
        }
    }

    fn as_told(&self, told: &SupervisorState) -> ServiceState {
        let main = told.child.clone().filter(|child| told.phase == Phase::Running && child.is_alive());
        if !told.supervisor.is_alive() && main.is_none() {
            return gone(told.phase);
        }
        let (used, main_age) = (Used::by(&family(told)), main.as_ref().map(ProcessIdentity::age));
        ServiceState {
            active: main.is_some(),
            failed: !told.supervisor.is_alive(),
            wanted: !matches!(told.phase, Phase::Stopping | Phase::Stopped),
            description: describe(told, main.as_ref()),
            main,
            restart_count: told.restart_count,
            crash_looping: self.is_crash_looping(told, main_age),
            last_end: told.last_exit.clone(),
            since: told.started_at,
            memory_bytes: Some(used.memory_bytes),
            cpu_ms: Some(used.cpu_ms),
        }
    }

    /// Whether it was started again often without ever having run for long.
    fn is_crash_looping(&self, told: &SupervisorState, age: Option<Duration>) -> bool {
        let is_short = age.is_none_or(|age| age < self.spec.config.backoff_max);
        let is_kept = told.supervisor.is_alive() && matches!(told.phase, Phase::Running | Phase::Waiting);
        is_kept && is_short && told.quick_restart_count >= CRASH_LOOP_COUNT
    }
}

/// What a supervisor that is no more leaves behind: a service that was stopped, or one that it should have kept running.
fn gone(phase: Phase) -> ServiceState {
    match phase {
        Phase::Stopped => ServiceState::inactive("stopped", false),
        Phase::Starting | Phase::Running | Phase::Waiting | Phase::Stopping => {
            ServiceState { wanted: true, ..ServiceState::inactive("its supervisor is gone", true) }
        }
    }
}

/// The service's processes: all that descend from its supervisor, or from its main process where that is an orphan.
fn family(told: &SupervisorState) -> BTreeSet<u32> {
    if told.supervisor.is_alive() {
        return descendants(told.supervisor.pid);
    }
    let orphan = told.child.as_ref().filter(|child| child.is_alive()).map(|child| child.pid);
    orphan.into_iter().flat_map(|pid| descendants(pid).into_iter().chain([pid])).collect()
}

impl Service for ProcessService {
    fn state(&self) -> Result<ServiceState, Failure> {
        Ok(match self.settled()? {
            Account::None => ServiceState::inactive("never started", false),
            Account::Told(told) => self.as_told(&told),
            Account::Lost(traces) => as_seen(&traces),
        })
    }

    fn check_log(&self) -> Result<(), Failure> {
        let path = self.place.service_log();
        match File::open(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::new(format!("read log {}: {error}", path.display())))
            }
            // A service that never started has no log yet.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn restart(&self, _progress: &dyn Progress) -> Result<(), Failure> {
        let launch = Launch { program: &self.site.supervisor_program, args: &self.site.supervisor_args };
        supervisor::spawn(self.place.dir(), launch, &self.spec)
            .map(drop)
            .map_err(|e| e.failure(&format!("start service {}", self.site.name)))
    }

    fn stop(&self, _progress: &dyn Progress) -> Result<(), Failure> {
        supervisor::stop(self.place.dir()).map_err(|e| e.failure(&format!("stop service {}", self.site.name)))
    }

    fn processes(&self) -> Result<BTreeSet<u32>, Failure> {
        Ok(match self.account()? {
            Account::None => BTreeSet::new(),
            Account::Told(told) if told.supervisor.is_alive() => family(&told),
            // A worker that outlived its main process descends from nobody who is known.
            Account::Told(told) => family(&told).into_iter().chain(supervisor::left_by(self.place.dir())).collect(),
            Account::Lost(traces) => traces.family,
        })
    }

    fn log_mark(&self) -> LogMark {
        LogMark::now(end_of(&self.place.service_log()))
    }

    fn follow_log(&self, lines: usize, tell: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Failure> {
        let path = self.place.service_log();
        let mut is_taken = true;
        let ended = Tail::new(&path).follow(lines, &mut |piece| tell(piece).inspect_err(|_| is_taken = false));
        ended.or_else(|error| {
            if is_taken { Err(Failure::new(format!("read log {}: {error}", path.display()))) } else { Ok(()) }
        })
    }

    fn log_since(&self, mark: &LogMark, bytes_max: usize) -> Result<String, Failure> {
        // The old run's last words are behind the mark as well, when it was stopped after it.
        let told = supervisor::state(self.place.dir()).ok().flatten();
        let told = told.filter(|told| mark.clock.is_before(&told.supervisor));
        let (inode, offset_bytes) = match told.and_then(|told| told.log_began).unwrap_or_else(|| mark.place.clone()) {
            LogPlace::File { inode, offset_bytes } => (inode, offset_bytes),
            LogPlace::Cursor(_) | LogPlace::Time | LogPlace::None => (0, 0),
        };
        Ok(read_since(&self.place.service_log(), inode, offset_bytes, bytes_max))
    }
}

/// Whether the supervisor has not noticed yet that its service ended, or may be writing what cannot be read.
fn is_outdated(account: &Account) -> bool {
    match account {
        Account::None => false,
        Account::Told(told) => {
            let ended = told.child.as_ref().is_some_and(|child| !child.is_alive());
            told.phase == Phase::Running && ended && told.supervisor.is_alive()
        }
        Account::Lost(traces) => traces.is_damaged && traces.supervisor.is_some(),
    }
}

/// What is seen of a service whose supervisor's word is lost: what runs was started and not stopped.
fn as_seen(traces: &Traces) -> ServiceState {
    if !traces.is_anything_alive() {
        return silent(traces.is_damaged);
    }
    let used = Used::by(&traces.family);
    ServiceState {
        active: traces.main.is_some(),
        failed: traces.supervisor.is_none(),
        wanted: true,
        since: traces.main.as_ref().and_then(|main| Timestamp::now().checked_sub(main.age()).ok()),
        main: traces.main.clone(),
        memory_bytes: Some(used.memory_bytes),
        cpu_ms: Some(used.cpu_ms),
        ..ServiceState::inactive(&describe_traces(traces), false)
    }
}

/// What is left where nothing runs. A word that broke off was cut by what ended the machine, and with it a service that should run.
fn silent(is_damaged: bool) -> ServiceState {
    if is_damaged {
        let lost = "its supervisor is gone, and what it told last cannot be read";
        return ServiceState { wanted: true, ..ServiceState::inactive(lost, true) };
    }
    ServiceState::inactive("not running", false)
}

fn describe_traces(traces: &Traces) -> String {
    let lost = if traces.is_damaged { "cannot be read" } else { "is missing" };
    match (&traces.main, &traces.supervisor) {
        (Some(_), Some(_)) => format!("active (running), as its processes show: the supervisor's state.json {lost}"),
        (Some(_), None) => UNATTENDED.to_owned(),
        (None, _) => format!("not running, though its supervisor does, whose state.json {lost}"),
    }
}

/// What processes take of the machine, as far as it can be seen.
struct Used {
    memory_bytes: u64,
    cpu_ms: u64,
}

impl Used {
    fn by(processes: &BTreeSet<u32>) -> Self {
        Self {
            memory_bytes: processes.iter().filter_map(|pid| memory_bytes(*pid)).sum(),
            cpu_ms: processes.iter().filter_map(|pid| stat_of(*pid)).map(|stat| stat.cpu_ms()).sum(),
        }
    }
}

fn describe(told: &SupervisorState, main: Option<&ProcessIdentity>) -> String {
    let why = told.last_exit.as_deref().unwrap_or("it ended");
    match told.phase {
        Phase::Starting => "starting".to_owned(),
        Phase::Running if main.is_some() && !told.supervisor.is_alive() => UNATTENDED.to_owned(),
        Phase::Running if main.is_some() => "active (running)".to_owned(),
        Phase::Running => "it has just ended".to_owned(),
        Phase::Waiting => format!("waiting to be started again: {why}"),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Stopped => "stopped".to_owned(),
    }
}
