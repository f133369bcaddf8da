//! Scripts of events with a frozen clock, and what each reporter makes of them.
#![allow(clippy::unwrap_used, reason = "a script that cannot be made is a broken test")]

use cutover_core::event::Event;
use cutover_core::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Phase, Plan, PlanKind, Reversal, Step, StepId};
use cutover_core::target::{Before, Failure, Outcome};
use cutover_reporters::{JsonLines, Live, Manner, Plain, Reporter};
use indicatif::{ProgressDrawTarget, TermLike};
use jiff::{SignedDuration, Timestamp};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) fn start() -> Timestamp {
    "2026-11-21T10:15:00Z".parse().unwrap()
}

/// Events of one deployment; every entry says how long after the one before it came.
pub(crate) struct Script {
    events: Vec<Event>,
    now: Timestamp,
    seq: u64,
}

impl Script {
    pub(crate) fn empty() -> Self {
        Self { events: Vec::new(), now: start(), seq: 0 }
    }

    pub(crate) fn begun() -> Self {
        Self::of(plan(), false)
    }

    /// A deployment where no release is live.
    pub(crate) fn first() -> Self {
        Self::of(Plan { original: None, ..plan() }, false)
    }

    pub(crate) fn resumed() -> Self {
        Self { seq: 5, ..Self::of(plan(), true) }
    }

    /// A deployment with a switch that has no way back, taken up again.
    pub(crate) fn resumed_without_a_way_back() -> Self {
        let mut plan = plan();
        plan.steps[crate::SWITCH as usize].reversal = Reversal::Irreversible;
        Self { seq: 5, ..Self::of(plan, true) }
    }

    pub(crate) fn on_hosts(hosts: &[&str]) -> Self {
        let step = |(at, host): (usize, &&str)| Step {
            host: (*host).to_owned(),
            ..step(at as u32, "preflight", Phase::Prepare)
        };
        Self::of(Plan { steps: hosts.iter().enumerate().map(step).collect(), ..plan() }, false)
    }

    fn of(plan: Plan, resumed: bool) -> Self {
        Self::empty().event(Event::Began { plan: Box::new(plan), resumed, at: start() })
    }

    pub(crate) fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    pub(crate) fn entry(mut self, after_ms: i64, entry: Entry) -> Self {
        self.now += SignedDuration::from_millis(after_ms);
        self.seq += 1;
        let record = Record { seq: self.seq, at: self.now, host: None, entry };
        self.event(Event::Recorded { record })
    }

    pub(crate) fn started(self, step: u32, after_ms: i64) -> Self {
        self.entry(after_ms, Entry::Started { step: StepId(step), before: Before::default() })
    }

    pub(crate) fn applied(self, step: u32, after_ms: i64, note: &str) -> Self {
        self.entry(after_ms, Entry::Applied { step: StepId(step), outcome: Outcome::changed(note) })
    }

    pub(crate) fn done(self, step: u32, after_ms: i64, note: &str) -> Self {
        self.started(step, 0).applied(step, after_ms, note)
    }

    pub(crate) fn done_late(self, step: u32) -> Self {
        self.applied(step, 1, "")
    }

    pub(crate) fn failed(self, step: u32, after_ms: i64, error: Failure) -> Self {
        self.entry(after_ms, Entry::Failed { step: StepId(step), error })
    }

    pub(crate) fn cancelled(self, after_ms: i64) -> Self {
        self.entry(after_ms, Entry::Cancelled { reason: "asked to stop".to_owned() })
    }

    pub(crate) fn restored(self, step: u32, after_ms: i64, note: &str) -> Self {
        self.entry(after_ms, Entry::Restored { step: StepId(step), note: note.to_owned(), down: false })
    }

    pub(crate) fn restore_failed(self, step: u32, after_ms: i64, error: Failure) -> Self {
        self.entry(after_ms, Entry::RestoreFailed { step: StepId(step), error })
    }

    pub(crate) fn ended(self, outcome: DeploymentOutcome) -> Self {
        let (at, elapsed_ms) = (self.now, u64::try_from(self.now.duration_since(start()).as_millis()).unwrap());
        self.event(Event::Ended { outcome, at, elapsed_ms })
    }
}

fn step(id: u32, name: &str, phase: Phase) -> Step<serde_json::Value> {
    Step {
        id: StepId(id),
        target: TargetName::new("app").unwrap(),
        host: "localhost".to_owned(),
        name: name.to_owned(),
        phase,
        switches: name == "switch",
        reversal: Reversal::Restorable,
        action: serde_json::Value::Null,
    }
}

fn plan() -> Plan {
    let steps = [
        ("preflight", Phase::Prepare),
        ("assemble", Phase::Prepare),
        ("switch", Phase::Live),
        ("verify", Phase::Live),
        ("prune", Phase::Settle),
    ];
    Plan {
        deployment: DeploymentId::new("20261121T101500-7f3a").unwrap(),
        kind: PlanKind::Deploy,
        project: ProjectName::new("shop").unwrap(),
        environment: EnvironmentName::new("production").unwrap(),
        artifact: "ab".repeat(32),
        commit: "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".to_owned(),
        subject: "Fix the cart".to_owned(),
        committed_at: None,
        dirty: false,
        release: ReleaseId::new("20261121101500-a1b2c3d").unwrap(),
        original: Some(ReleaseId::new("20261120090000-9f8e7d6").unwrap()),
        by: "ada".to_owned(),
        reason: String::new(),
        made_at: start(),
        fleet: Vec::new(),
        forward: false,
        starts: false,
        promoted_from: None,
        steps: steps.iter().enumerate().map(|(at, (name, phase))| step(at as u32, name, *phase)).collect(),
    }
}

/// Bytes that can be read while their writer still lives.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn told(script: &Script, out: &Shared, reporter: &mut dyn Reporter) -> String {
    script.events.iter().for_each(|event| reporter.tell(event).unwrap());
    String::from_utf8(out.0.lock().unwrap().clone()).unwrap()
}

pub(crate) fn plain(script: &Script, manner: &Manner) -> String {
    let out = Shared::default();
    told(script, &out, &mut Plain::new(out.clone(), manner.clone()))
}

/// JSON lines; the first event's plan is checked to be there and left out.
pub(crate) fn json(script: &Script) -> String {
    let out = Shared::default();
    let text = told(script, &out, &mut JsonLines::new(out.clone()));
    let short = |line: &str| match line.split_once(r#""plan":"#) {
        Some((before, plan)) => format!(r#"{before}"plan":…{}"#, &plan[plan.rfind(r#","resumed""#).unwrap()..]),
        None => line.to_owned(),
    };
    text.lines().map(|line| short(line) + "\n").collect()
}

pub(crate) fn fails_on_a_full_disk(script: &Script) -> bool {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut reporters: [Box<dyn Reporter>; 2] =
        [Box::new(Plain::new(full(), Manner::default())), Box::new(JsonLines::new(full()))];
    reporters.iter_mut().all(|reporter| reporter.tell(&script.events[0]).is_err())
}

/// A terminal that remembers everything that was drawn on it.
#[derive(Debug, Clone, Default)]
struct Screen(Arc<Mutex<Vec<String>>>);

impl TermLike for Screen {
    fn width(&self) -> u16 {
        100
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().push(text.to_owned());
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells the events to the live reporter and returns, for each, the text that never came to be seen.
///
/// What each event should show is awaited: the terminal redraws at most so often.
pub(crate) fn unseen_live(script: &Script, manner: &Manner, expected: &[&'static str]) -> Vec<&'static str> {
    assert_eq!(script.events.len(), expected.len(), "one expectation for each event");
    let screen = Screen::default();
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
    let mut live = Live::new(target, manner.clone());
    let mut seen = |event: &Event, text: &str| {
        let before = screen.0.lock().unwrap().len();
        live.tell(event).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if screen.0.lock().unwrap()[before..].concat().contains(text) {
                return true;
            }
            std::thread::yield_now();
        }
        false
    };
    script.events.iter().zip(expected).filter(|(event, text)| !seen(event, text)).map(|(_, text)| *text).collect()
}
