//! What a host of several hears of its coordinator, and how it waits for that.

use cutover_core::rollout::Gate;
use cutover_targets::host::gate::{Coordinator, Heard, WaitingHost};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether stopping was asked for.
const POLL: Duration = Duration::from_millis(50);

/// What was heard so far.
pub(super) struct Line {
    heard: Mutex<Words>,
    changed: Condvar,
}

struct Words {
    go: Option<Gate>,
    /// The gate at which the host waits.
    gate: Option<Gate>,
    last_at: Instant,
    closed: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        let words = Words { go: None, gate: None, last_at: Instant::now(), closed: false };
        Self { heard: Mutex::new(words), changed: Condvar::new() }
    }

    /// It spoke: it is there.
    pub(super) fn alive(&self) {
        self.words().last_at = Instant::now();
    }

    /// The gate at which the host waits.
    pub(super) fn gate(&self) -> Option<Gate> {
        self.words().gate
    }

    /// It said to go on behind this gate.
    pub(super) fn go(&self, gate: Gate) {
        self.words().go = Some(gate);
        self.changed.notify_all();
    }

    /// Nothing will be heard any more.
    pub(super) fn close(&self) {
        self.words().closed = true;
        self.changed.notify_all();
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The coordinator at the other end of a line.
pub(super) struct FarCoordinator<'a> {
    pub(super) line: &'a Line,
    /// For how long it is believed in while it says nothing.
    pub(super) lease: Duration,
    /// Tells it that this host stands at a gate, with which artifact.
    pub(super) tell: &'a (dyn Fn(Gate, &str) + Sync),
}

impl Coordinator for FarCoordinator<'_> {
    fn wait_at(&self, waiting: &WaitingHost<'_>, stopped: &dyn Fn() -> bool) -> Heard {
        let gate = waiting.gate;
        self.line.words().gate = Some(gate);
        (self.tell)(gate, waiting.artifact);
        let mut words = self.line.words();
        let heard = loop {
            if stopped() {
                break Heard::Stop;
            }
            if words.go == Some(gate) {
                break Heard::Go;
            }
            if words.closed || words.last_at.elapsed() > self.lease {
                break Heard::Lost;
            }
            words = self.line.changed.wait_timeout(words, POLL).unwrap_or_else(PoisonError::into_inner).0;
        };
        words.gate = None;
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::id::DeploymentId;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What is heard at the first gate when the line is used like this meanwhile.
    fn hear(lease: Duration, stopped: bool, meanwhile: impl FnOnce(&Line) + Send) -> Heard {
        let (line, told) = (Line::new(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| meanwhile(&line));
            let tell = |_: Gate, _: &str| {
                told.fetch_add(1, Ordering::SeqCst);
            };
            let deployment = DeploymentId::new("d").unwrap();
            let waiting = WaitingHost { gate: Gate::Switch, deployment: &deployment, artifact: "a" };
            let heard = FarCoordinator { line: &line, lease, tell: &tell }.wait_at(&waiting, &|| stopped);
            assert_eq!(told.load(Ordering::SeqCst), 1);
            heard
        })
    }

    #[test]
    fn a_host_waits_until_it_is_told_or_nobody_is_there_to_tell() {
        let long = Duration::from_secs(600);
        assert_eq!(hear(long, false, |line| line.go(Gate::Switch)), Heard::Go);
        assert_eq!(hear(long, false, Line::close), Heard::Lost);
        assert_eq!(hear(Duration::ZERO, false, |_| {}), Heard::Lost, "whoever says nothing is gone");
        assert_eq!(hear(long, true, |_| {}), Heard::Stop);
        let word_for_another_gate = |line: &Line| {
            line.go(Gate::Settle);
            line.close();
        };
        assert_eq!(hear(long, false, word_for_another_gate), Heard::Lost);
    }
}
