//! Finding the processes of a command by what they carry in their environment, which survives whatever became of their
//! parents and their group. Only who takes it away by himself is not found.

use crate::stat::{stat_of, with_variable_anywhere};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The variable that marks the processes of one command.
const MARK_VARIABLE: &str = "CUTOVER_COMMAND";
/// How long killed processes are waited for: one that hangs in the kernel is given up.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether they are gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What all processes of one command carry, and no others.
#[derive(Debug)]
pub(crate) struct Mark(String);

impl Mark {
    /// A mark that no other command has or had.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (me, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let since = stat_of(me).map_or(0, |stat| stat.start_ticks);
        Self(format!("{me}-{since}-{number}"))
    }

    /// Gives it to a command that is to be started.
    pub(crate) fn put(&self, command: &mut Command) {
        command.env(MARK_VARIABLE, &self.0);
    }

    /// Whether nobody carries it any more.
    pub(crate) fn is_gone(&self) -> bool {
        with_variable_anywhere(MARK_VARIABLE, &self.0).is_empty()
    }

    /// Tells whoever carries it to end.
    pub(crate) fn terminate(&self) {
        signal_all(&with_variable_anywhere(MARK_VARIABLE, &self.0), Signal::TERM);
    }

    /// Kills whoever carries it.
    pub(crate) fn kill(&self) {
        kill_marked(MARK_VARIABLE, &self.0);
    }
}

/// Kills every process of this user, but this one, that was started with this variable, and waits until they are gone.
pub fn kill_marked(name: &str, value: &str) {
    let began = Instant::now();
    loop {
        let mut found = with_variable_anywhere(name, value);
        found.remove(&std::process::id());
        if found.is_empty() || began.elapsed() > KILL_GRACE {
            return;
        }
        signal_all(&found, Signal::KILL);
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// One that ended by itself meanwhile is fine.
fn signal_all(processes: &BTreeSet<u32>, signal: Signal) {
    for pid in processes.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
        let _ = kill_process(pid, signal);
    }
}
