//! The supervisor itself: one thread, one loop.

use super::SupervisorError;
use super::place::{Phase, Place, Spec, SupervisorState};
use super::rolling_log::RollingLog;
use super::service_process::{ServiceProcess, start};
use crate::process::{ProcessIdentity, descendants, signal, signal_group};
use crate::service::end_of;
use cutover_child::{make_nonblocking, signal_name};
use cutover_core::mask::{Masker, Stream};
use cutover_core::target::Cancel;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitOptions, WaitStatus, wait};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the loop sleeps at most: then it reaps strangers' orphans and tries failed writes again.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// How often it looks whether processes have ended that were told to.
const END_INTERVAL: Duration = Duration::from_millis(5);
/// How long killed processes are waited for: one that hangs in the kernel is left.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How much is read from the service at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many chunks are read before the loop looks at anything else.
const CHUNK_COUNT_MAX: usize = 64;

/// Runs the service of a directory until it is asked to stop.
///
/// It leaves the caller's terminal and session; whoever began it may go. `stop` may be set by a
/// signal handler; clients ask through the directory's named pipe.
pub fn supervise(dir: &Path, stop: &Cancel) -> Result<(), SupervisorError> {
    let place = Place::new(dir);
    let spec_missing = || SupervisorError::Damaged { path: dir.join("spec.json"), why: "it is missing".to_owned() };
    let Some(_lock) = place.try_lock("lock")? else { return Err(SupervisorError::Running(dir.to_owned())) };
    let spec = place.read_spec()?.ok_or_else(spec_missing)?;
    // A session's leader has left its terminal already.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| SupervisorError::System("become the reaper of the service's orphans", e.into()))?;
    Supervisor::new(place, spec, stop)?.run()
}

struct Supervisor<'a> {
    place: Place,
    spec: Spec,
    stop: &'a Cancel,
    control: File,
    output: PipeReader,
    /// Kept open, so that the pipe never ends.
    input: PipeWriter,
    log: RollingLog,
    mask: Stream,
    state: SupervisorState,
    /// Whether `state` is not on disk yet.
    untold: bool,
    running: Option<ServiceProcess>,
    started: Instant,
    pause: Duration,
    due: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    fn new(place: Place, spec: Spec, stop: &'a Cancel) -> Result<Self, SupervisorError> {
        let control = place.open_control()?;
        let (output, input) = io::pipe().map_err(|e| SupervisorError::System("make a pipe", e))?;
        make_nonblocking(&output).map_err(|e| SupervisorError::System("make a pipe", e))?;
        let me = ProcessIdentity::of(std::process::id());
        let supervisor =
            me.ok_or_else(|| SupervisorError::System("find myself in /proc", io::ErrorKind::NotFound.into()))?;
        let (child, release, started_at, last_exit) = (None, None, None, None);
        let state = SupervisorState {
            supervisor,
            phase: Phase::Starting,
            child,
            release,
            started_at,
            restart_count: 0,
            quick_restart_count: 0,
            last_exit,
            log_began: Some(end_of(&place.service_log())),
        };
        // The first word must come through: a supervisor that cannot tell of itself could not be stopped.
        place.write_state(&state)?;
        let log = RollingLog::new(&place.service_log(), spec.config.log_max_bytes);
        let mask = Masker::new([]).stream();
        let (pause, started) = (spec.config.backoff, Instant::now());
        Ok(Self {
            place,
            spec,
            stop,
            control,
            output,
            input,
            log,
            mask,
            state,
            untold: false,
            running: None,
            started,
            pause,
            due: None,
        })
    }

    fn run(mut self) -> Result<(), SupervisorError> {
        self.start();
        while !self.is_asked_to_stop() {
            self.sleep();
            self.pump();
            self.reap();
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.state.restart_count += 1;
                self.state.quick_restart_count += 1;
                self.start();
            }
            if self.untold {
                self.tell();
            }
        }
        self.end()
    }

    fn start(&mut self) {
        self.due = None;
        self.started = Instant::now();
        match start(&self.spec, self.place.dir(), &self.input) {
            Ok(process) => {
                self.state.phase = Phase::Running;
                self.state.child = Some(process.identity.clone());
                self.state.release = Some(process.release.clone());
                self.state.started_at = Some(Timestamp::now());
                self.mask = process.masker.stream();
                self.running = Some(process);
                self.tell();
            }
            Err(why) => self.wait_to_start(why),
        }
    }

    /// Starts the service again after a pause, which doubles while it keeps ending.
    fn wait_to_start(&mut self, why: String) {
        let config = &self.spec.config;
        if self.started.elapsed() >= config.backoff_max {
            self.pause = config.backoff;
            self.state.quick_restart_count = 0;
        }
        self.due = Some(Instant::now() + self.pause);
        self.pause = self.pause.saturating_mul(2).min(config.backoff_max.max(config.backoff));
        self.tell_ended(why);
    }

    fn tell(&mut self) {
        // A full disk must not stop the service: it is tried again.
        self.untold = self.place.write_state(&self.state).is_err();
    }

    fn is_asked_to_stop(&mut self) -> bool {
        let mut asked = [0; 16];
        self.stop.is_cancelled() || self.control.read(&mut asked).is_ok_and(|count| count > 0)
    }

    /// Waits for output, a request, the service's end or the time to start it again.
    fn sleep(&self) {
        let until_due = self.due.map_or(IDLE_INTERVAL, |due| due.saturating_duration_since(Instant::now()));
        self.poll(until_due.min(IDLE_INTERVAL), true);
    }

    fn poll(&self, limit: Duration, for_control: bool) {
        let mut fds = vec![PollFd::new(&self.output, PollFlags::IN)];
        if for_control {
            fds.push(PollFd::new(&self.control, PollFlags::IN));
        }
        fds.extend(
            self.running.as_ref().and_then(|it| it.ended.as_ref()).map(|ended| PollFd::new(ended, PollFlags::IN)),
        );
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: i64::from(limit.subsec_nanos()) };
        // An interruption by a signal is just another look.
        let _ = poll(&mut fds, Some(&limit));
    }

    /// Takes what the service says, without waiting for more.
    fn pump(&mut self) {
        let (mut chunk, mut masked) = ([0; CHUNK_BYTES], Vec::new());
        for _ in 0..CHUNK_COUNT_MAX {
            match self.output.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    masked.clear();
                    self.mask.push(&chunk[..count], &mut masked);
                    self.log.append(&masked);
                }
                // Empty for now; anything else cannot happen to our own pipe.
                Err(_) => return,
            }
        }
    }

    /// Takes the rest of what an ended service said.
    fn flush(&mut self) {
        self.pump();
        let mut masked = Vec::new();
        self.mask.finish(&mut masked);
        self.log.append(&masked);
    }

    /// Takes the exit status of every child that ended, adopted ones included.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get().cast_unsigned();
            if self.running.as_ref().is_some_and(|running| running.identity.pid == pid) {
                self.running = None;
                self.on_exit(describe(status));
            }
        }
    }

    fn on_exit(&mut self, how: String) {
        self.flush();
        if self.state.phase == Phase::Stopping {
            self.state.last_exit = Some(how);
            return;
        }
        // Told at once: ending what it left may take its time.
        self.tell_ended(how.clone());
        // Workers of a crashed master would hold its port.
        let left = self.end_descendants();
        self.wait_to_start(if left.is_empty() { how } else { format!("{how}; processes {left:?} cannot be killed") });
    }

    fn tell_ended(&mut self, why: String) {
        self.state.phase = Phase::Waiting;
        self.state.child = None;
        self.state.started_at = None;
        self.state.last_exit = Some(why);
        self.tell();
    }

    fn end(&mut self) -> Result<(), SupervisorError> {
        self.state.phase = Phase::Stopping;
        self.tell();
        let left = self.end_descendants();
        self.flush();
        self.state.phase = Phase::Stopped;
        self.state.child = None;
        self.state.started_at = None;
        self.tell();
        if left.is_empty() { Ok(()) } else { Err(SupervisorError::Unkillable(left.into_iter().collect())) }
    }

    /// Tells everything that descends from this process to end, and kills what has not after the
    /// stop timeout. Gives what is left even then.
    fn end_descendants(&mut self) -> BTreeSet<u32> {
        let kill_at = Instant::now() + self.spec.config.stop_timeout;
        let give_up_at = kill_at + KILL_GRACE;
        if let Some(running) = &self.running {
            signal_group(running.identity.pid, Signal::TERM);
        }
        let mut told = self.running.iter().map(|running| running.identity.pid).collect::<BTreeSet<_>>();
        loop {
            self.reap_quietly();
            let alive = descendants(std::process::id());
            let now = Instant::now();
            if alive.is_empty() || now >= give_up_at {
                // The last one may have ended since.
                self.reap_quietly();
                return alive;
            }
            for pid in &alive {
                if now >= kill_at {
                    signal(*pid, Signal::KILL);
                } else if told.insert(*pid) {
                    signal(*pid, Signal::TERM);
                }
            }
            self.poll(END_INTERVAL, false);
            self.pump();
        }
    }

    /// Reaps while everything is being ended: what ends now is not a crash.
    fn reap_quietly(&mut self) {
        let phase = std::mem::replace(&mut self.state.phase, Phase::Stopping);
        self.reap();
        self.state.phase = phase;
    }
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by {}", signal_name(signal)),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}
