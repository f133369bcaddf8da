//! The engine: asks `next`, journals, acts, journals, tells. The only place that does.

use crate::event::{Event, Observer};
use crate::journal::{Entry, Journal, JournalError, Record};
use crate::next::{DeploymentOutcome, Next, next, unwinding};
use crate::plan::{Phase, Plan, Step, StepId};
use crate::probe::ProbeResult;
use crate::target::{Before, Cancel, FailureKind, Progress, Restoration, Target};
use jiff::Timestamp;
use serde::Serialize;

/// Gives the time; passed in so that tests can freeze it.
pub trait Clock {
    /// Now, by the wall.
    fn now(&self) -> Timestamp;
}

/// Everything that drives one plan.
pub struct Engine<'a, T: Target> {
    /// What is to be done.
    pub plan: &'a Plan<T::Action>,
    /// Who does it.
    pub target: &'a T,
    /// What has happened.
    pub journal: &'a mut dyn Journal,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Whether stopping was asked for.
    pub cancel: &'a Cancel,
    /// Who drives it, for the record of a resumption.
    pub by: &'a str,
}

/// The journal could not be written, so nothing more was done. What was begun stays as it is
/// until the deployment is resumed.
#[derive(Debug, thiserror::Error)]
#[error("deployment stopped where it was: nothing is done that cannot be recorded")]
pub struct Interrupted(#[from] pub JournalError);

impl<T: Target> Engine<'_, T>
where
    T::Action: Serialize,
{
    /// Drives the plan to its end from whatever is recorded already.
    pub fn run(&mut self, recorded: &[Record]) -> Result<DeploymentOutcome, Interrupted> {
        let mut entries: Vec<Entry> = recorded.iter().map(|record| record.entry.clone()).collect();
        let began = self.clock.now();
        self.announce(!recorded.is_empty(), began);
        let resumed = Entry::Resumed { by: self.by.to_owned() };
        if !recorded.is_empty() && may_go_on(self.plan, &entries, &resumed) {
            self.record(&mut entries, resumed)?;
        }
        let outcome = self.drive(&mut entries)?;
        let at = self.clock.now();
        let elapsed_ms = u64::try_from(at.duration_since(began).as_millis()).unwrap_or(0);
        self.observer.event(&Event::Ended { outcome, at, elapsed_ms });
        Ok(outcome)
    }

    fn announce(&self, resumed: bool, at: Timestamp) {
        // A plan that cannot be shown is still driven: telling never fails a deployment.
        if let Ok(plan) = self.plan.erased() {
            self.observer.event(&Event::Began { plan: Box::new(plan), resumed, at });
        }
    }

    fn drive(&mut self, entries: &mut Vec<Entry>) -> Result<DeploymentOutcome, Interrupted> {
        let mut cancel_recorded = entries.iter().any(|entry| matches!(entry, Entry::Cancelled { .. }));
        loop {
            if self.cancel.is_cancelled() && !cancel_recorded && !is_done(self.plan, entries) {
                cancel_recorded = true;
                self.record(entries, Entry::Cancelled { reason: self.cancel.reason(None) })?;
            }
            let entry = match next(self.plan, entries) {
                Next::Done(outcome) => return Ok(outcome),
                Next::Start(id) => self.start(id),
                Next::Apply(id) => self.apply(id, entries),
                Next::Restore(id) => self.restore(id, entries),
            };
            cancel_recorded |= matches!(entry, Entry::Cancelled { .. });
            self.record(entries, entry)?;
        }
    }

    fn record(&mut self, entries: &mut Vec<Entry>, entry: Entry) -> Result<(), Interrupted> {
        // What a step says may be of any length; the way back must fit into the room that is reserved.
        let entry = entry.bounded();
        let record = self.journal.append(entries.len() as u64 + 1, &entry)?;
        entries.push(entry);
        self.observer.event(&Event::Recorded { record });
        Ok(())
    }

    fn start(&self, id: StepId) -> Entry {
        match self.target.capture(self.step(id)) {
            Ok(before) => Entry::Started { step: id, before },
            Err(error) => Entry::Failed { step: id, error },
        }
    }

    fn apply(&self, id: StepId, entries: &[Entry]) -> Entry {
        // What settles comes after the point of no return: it cannot be cancelled, only fail.
        let settles = self.step(id).phase == Phase::Settle;
        let told = Told { step: id, observer: self.observer, cancel: (!settles).then_some(self.cancel) };
        match self.target.apply(self.step(id), &before(id, entries), &told) {
            Ok(outcome) => Entry::Applied { step: id, outcome },
            Err(error) if error.kind == FailureKind::Cancelled && !settles => {
                Entry::Cancelled { reason: self.cancel.reason(Some(error.message)) }
            }
            Err(error) => Entry::Failed { step: id, error },
        }
    }

    fn restore(&self, id: StepId, entries: &[Entry]) -> Entry {
        let told = Told { step: id, observer: self.observer, cancel: None };
        let unwinding = unwinding(self.plan, entries, id);
        match self.target.restore(self.step(id), &before(id, entries), unwinding, &told) {
            Ok(Restoration { note, down }) => Entry::Restored { step: id, note, down },
            Err(error) => Entry::RestoreFailed { step: id, error },
        }
    }

    fn step(&self, id: StepId) -> &Step<T::Action> {
        // `next` only names steps of this plan.
        &self.plan.steps[id.0 as usize]
    }
}

/// Whether there is anything left for a resumption. A restore that failed is tried again; what is stuck on something
/// irreversible stays stuck however often it is taken up.
fn may_go_on<A>(plan: &Plan<A>, entries: &[Entry], resumed: &Entry) -> bool {
    !is_done(plan, entries) || !is_done(plan, &[entries, std::slice::from_ref(resumed)].concat())
}

fn is_done<A>(plan: &Plan<A>, entries: &[Entry]) -> bool {
    matches!(next(plan, entries), Next::Done(_))
}

/// What was captured when the step was started; empty when capturing itself failed.
fn before(id: StepId, entries: &[Entry]) -> Before {
    let captured = entries.iter().rev().find_map(|entry| match entry {
        Entry::Started { step, before } if *step == id => Some(before.clone()),
        Entry::Started { .. }
        | Entry::Applied { .. }
        | Entry::Failed { .. }
        | Entry::Cancelled { .. }
        | Entry::Restored { .. }
        | Entry::RestoreFailed { .. }
        | Entry::Resumed { .. } => None,
    });
    captured.unwrap_or_default()
}

/// Passes on what a step says while it acts.
struct Told<'a> {
    step: StepId,
    observer: &'a dyn Observer,
    cancel: Option<&'a Cancel>,
}

impl Progress for Told<'_> {
    fn advance(&self, done: u64, total: u64, unit: &'static str) {
        self.observer.event(&Event::Progressed { step: self.step, done, total, unit: unit.into() });
    }

    fn output(&self, line: &str) {
        self.observer.event(&Event::Output { step: self.step, line: line.to_owned() });
    }

    fn probed(&self, result: &ProbeResult) {
        self.observer.event(&Event::Probed { step: self.step, result: result.clone() });
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_cancelled)
    }
}
