//! What others do with a supervisor: start one, ask how it is, stop it.

use super::account::{Account, account, marked_supervisor};
use super::place::{Phase, Place, Spec, SupervisorState, private};
use super::{SERVICE_MARK, SUPERVISOR_MARK, SupervisorError};
use crate::process::{ProcessIdentity, signal, with_variable};
use cutover_child::Inherited;
use cutover_core::target::tail;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a fresh supervisor may take to tell of itself.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// What a supervisor may take to stop, beyond what its service may.
const STOP_MARGIN: Duration = Duration::from_secs(10);
/// How long killed processes are waited for.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// The stop timeout where the specification cannot be read any more.
const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How often anything is looked at again.
const POLL_INTERVAL: Duration = Duration::from_millis(3);
/// How much of what a failed supervisor said is told, in bytes.
const LOG_BYTES_MAX: usize = 2000;

/// How a supervisor is started: a program that calls [`super::supervise`] with its last argument.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its arguments; the directory follows them.
    pub args: &'a [String],
}

/// What the supervisor of this directory last told of itself. None when there never was one.
///
/// It may be dead: look at its identity. Where its word is lost, [`account`] looks at the processes.
pub fn state(dir: &Path) -> Result<Option<SupervisorState>, SupervisorError> {
    Place::new(dir).read_state()
}

/// Stops what runs, if anything does, and starts a new supervisor; returns when it has started the service.
///
/// When the service cannot be started this fails, and the supervisor stays and keeps trying.
pub fn spawn(dir: &Path, launch: Launch<'_>, spec: &Spec) -> Result<SupervisorState, SupervisorError> {
    let place = Place::new(dir);
    place.create()?;
    let _lock = client_lock(&place, patience(spec.config.stop_timeout) + START_TIMEOUT)?;
    let stop_timeout = stop_timeout(&place);
    // Before anything is stopped: where it cannot be written, what runs shall run on.
    place.write_spec(spec)?;
    stop_locked(&place, stop_timeout)?;
    let mut child = launch_supervisor(&place, launch)?;
    let told = await_first_word(&place, &mut child);
    // It outlives this process, but must not stay a zombie while this process lives.
    thread::spawn(move || child.wait());
    let state = told?;
    // Without a release it never came so far as to have a process.
    if state.phase == Phase::Waiting && state.release.is_none() {
        return Err(SupervisorError::NotStarted(state.last_exit.unwrap_or_default()));
    }
    Ok(state)
}

/// Stops the service and its supervisor. Ok when nothing runs.
pub fn stop(dir: &Path) -> Result<(), SupervisorError> {
    let place = Place::new(dir);
    if matches!(account(dir), Ok(Account::None)) {
        return Ok(());
    }
    place.create()?;
    let stop_timeout = stop_timeout(&place);
    let _lock = client_lock(&place, patience(stop_timeout) + START_TIMEOUT)?;
    stop_locked(&place, stop_timeout)?;
    note_stopped(&place);
    Ok(())
}

/// Says for a supervisor that died that its service is stopped by now, and is not one that should run.
fn note_stopped(place: &Place) {
    // Nothing runs, whether that can be written or not.
    let _ = match place.read_state() {
        Ok(Some(told)) if told.phase != Phase::Stopped => {
            place.write_state(&SupervisorState { phase: Phase::Stopped, child: None, ..told })
        }
        // What cannot be read would be taken for the word of one that should run.
        Err(SupervisorError::Damaged { .. }) => place.forget_state(),
        Ok(_) | Err(_) => Ok(()),
    };
}

/// How long stopping may take: the service's processes, then what they left.
fn patience(stop_timeout: Duration) -> Duration {
    stop_timeout.saturating_mul(2) + STOP_MARGIN
}

fn stop_timeout(place: &Place) -> Duration {
    let spec = place.read_spec().ok().flatten();
    spec.map_or(STOP_TIMEOUT_DEFAULT, |spec| spec.config.stop_timeout)
}

fn client_lock(place: &Place, patience: Duration) -> Result<File, SupervisorError> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(lock) = place.try_lock("client.lock")? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            return Err(SupervisorError::Busy(patience));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Stops what runs, with the time that its own specification gives it.
fn stop_locked(place: &Place, stop_timeout: Duration) -> Result<(), SupervisorError> {
    if let Some(supervisor) = running_supervisor(place) {
        let mut asked = false;
        let stopped = wait_until(patience(stop_timeout), || {
            asked = asked || place.ask_to_stop();
            !supervisor.is_alive()
        });
        if !stopped {
            // It hangs or was itself stopped: what it leaves behind is ended next.
            signal(supervisor.pid, Signal::KILL);
        }
    }
    end_orphans(place, stop_timeout)
}

/// The living supervisor: as it told, or else, when its word is lost, by its mark.
fn running_supervisor(place: &Place) -> Option<ProcessIdentity> {
    let told = place.read_state().ok().flatten().map(|state| state.supervisor).filter(ProcessIdentity::is_alive);
    told.or_else(|| marked_supervisor(place))
}

/// Ends processes of the service whose supervisor is gone.
fn end_orphans(place: &Place, stop_timeout: Duration) -> Result<(), SupervisorError> {
    let mut told = BTreeSet::new();
    let mut tell = |with: Signal| {
        let left = orphans(place);
        left.iter().filter(|pid| with == Signal::KILL || told.insert(**pid)).for_each(|pid| signal(*pid, with));
        left.is_empty()
    };
    if wait_until(stop_timeout, || tell(Signal::TERM)) || wait_until(KILL_GRACE, || tell(Signal::KILL)) {
        return Ok(());
    }
    Err(SupervisorError::Unkillable(orphans(place).into_iter().collect()))
}

/// The living processes of a service whose supervisor is gone: those that the next start or stop of it ends.
pub fn left_by(dir: &Path) -> BTreeSet<u32> {
    orphans(&Place::new(dir))
}

fn orphans(place: &Place) -> BTreeSet<u32> {
    let mut found = with_variable(SERVICE_MARK, &place.dir().to_string_lossy());
    // One that took its environment away is still known by its identity.
    let child = place.read_state().ok().flatten().and_then(|state| state.child);
    found.extend(child.filter(ProcessIdentity::is_alive).map(|child| child.pid));
    found
}

/// Looks again and again until it is so. False when the time ran out.
fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn launch_supervisor(place: &Place, launch: Launch<'_>) -> Result<Child, SupervisorError> {
    let path = place.supervisor_log();
    let log =
        private().write(true).create(true).truncate(true).open(&path).map_err(SupervisorError::file("open", &path))?;
    let mut command = Command::new(launch.program);
    command.args(launch.args).arg(place.dir()).current_dir("/");
    command.env_clear().envs(Inherited::Services.variables()).env(SUPERVISOR_MARK, place.dir());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().map_err(|source| SupervisorError::Launch { program: PathBuf::from(launch.program), source })
}

/// Waits until the new supervisor has started the service or says why it could not.
fn await_first_word(place: &Place, child: &mut Child) -> Result<SupervisorState, SupervisorError> {
    let deadline = Instant::now() + START_TIMEOUT;
    let identity = ProcessIdentity::of_child(child);
    loop {
        let told = place.read_state().ok().flatten();
        if let Some(state) =
            told.filter(|state| Some(&state.supervisor) == identity.as_ref() && state.phase != Phase::Starting)
        {
            return Ok(state);
        }
        if let Ok(Some(status)) = child.try_wait() {
            let log = fs::read_to_string(place.supervisor_log()).unwrap_or_default();
            return Err(SupervisorError::Ended {
                status: status.to_string(),
                log: tail(&log, LOG_BYTES_MAX).to_owned(),
            });
        }
        if Instant::now() >= deadline {
            signal(child.id(), Signal::KILL);
            return Err(SupervisorError::Silent(START_TIMEOUT));
        }
        thread::sleep(POLL_INTERVAL);
    }
}
