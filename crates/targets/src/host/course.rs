//! One deployment's course: its plan, its journal on disk, and what has happened so far.

use super::action::Action;
use super::executor::{HostPlan, LocalHost};
use super::journal_file::FileJournal;
use super::site::Offer;
use super::transaction::{Surroundings, TransactionError};
use cutover_core::engine::{Clock, Engine};
use cutover_core::event::Nobody;
use cutover_core::journal::{Entry, Journal, JournalError, Record};
use cutover_core::next::{DeploymentOutcome, Next, next};
use cutover_core::plan::Step;
use cutover_core::target::{Before, Cancel, Failure, Outcome, Progress, Restoration, Target, Unwinding};
use jiff::Timestamp;
use std::path::PathBuf;

/// A deployment with its journal open.
pub(super) struct Course {
    pub(super) plan: HostPlan,
    pub(super) journal: FileJournal,
    pub(super) records: Vec<Record>,
    /// The journal's own path.
    pub(super) path: PathBuf,
}

impl Course {
    /// Begins a journal; nothing is done yet.
    pub(super) fn begin(plan: HostPlan, path: PathBuf) -> Result<Self, TransactionError> {
        let journal = FileJournal::create(&path, &plan, Timestamp::now).map_err(TransactionError::Begin)?;
        Ok(Self { plan, journal, records: Vec::new(), path })
    }

    /// Takes up a journal. None: it has no header, so nothing was done, and it is removed.
    pub(super) fn open(path: PathBuf) -> Result<Option<Self>, TransactionError> {
        match FileJournal::open(&path, Timestamp::now) {
            Ok(Some((journal, recorded))) => {
                Ok(Some(Self { plan: recorded.plan, journal, records: recorded.records, path }))
            }
            Ok(None) => {
                // One that stays is found again, and says again that nothing was done.
                let _ = std::fs::remove_file(&path);
                Ok(None)
            }
            Err(source) => Err(TransactionError::Read { path, source }),
        }
    }

    /// Drives it to its end on this machine.
    pub(super) fn drive(
        &mut self,
        offer: Option<&Offer<'_>>,
        surroundings: &Surroundings<'_>,
    ) -> Result<DeploymentOutcome, TransactionError> {
        let Self { plan, journal, records, .. } = self;
        let host = LocalHost::new(plan, offer, surroundings.supervisor, surroundings.coordinator);
        run(plan, journal, records, &host, surroundings)
    }

    /// Brings its journal to an end without touching anything: what is not done is recorded as left.
    pub(super) fn give_up(&mut self, surroundings: &Surroundings<'_>) -> Result<DeploymentOutcome, TransactionError> {
        let entries: Vec<Entry> = self.records.iter().map(|record| record.entry.clone()).collect();
        if let Next::Done(outcome) = next(&self.plan, &entries) {
            return Ok(outcome);
        }
        let cancel = Cancel::new();
        cancel.cancel();
        let Self { plan, journal, records, .. } = self;
        let left = LeftAsItIs { by: surroundings.by };
        run(plan, journal, records, &left, &Surroundings { observer: &Nobody, cancel: &cancel, ..*surroundings })
    }
}

fn run(
    plan: &HostPlan,
    journal: &mut FileJournal,
    records: &mut Vec<Record>,
    target: &impl Target<Action = Action>,
    surroundings: &Surroundings<'_>,
) -> Result<DeploymentOutcome, TransactionError> {
    let recorded = records.clone();
    let Surroundings { observer, cancel, by, .. } = *surroundings;
    let mut keeper = Keeper { inner: journal, records };
    let mut engine = Engine { plan, target, journal: &mut keeper, observer, clock: &WallClock, cancel, by };
    let interrupted = |source| TransactionError::Interrupted { deployment: plan.deployment.clone(), source };
    engine.run(&recorded).map_err(interrupted)
}

/// Gives the wall clock's time.
#[derive(Debug, Clone, Copy)]
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Keeps what was appended, so that the store can be told without reading the file again.
struct Keeper<'a> {
    inner: &'a mut FileJournal,
    records: &'a mut Vec<Record>,
}

impl Journal for Keeper<'_> {
    fn append(&mut self, seq: u64, entry: &Entry) -> Result<Record, JournalError> {
        let record = self.inner.append(seq, entry)?;
        self.records.push(record.clone());
        Ok(record)
    }
}

/// Where nothing is done any more: a person closed the deployment.
struct LeftAsItIs<'a> {
    by: &'a str,
}

impl LeftAsItIs<'_> {
    fn refusal(&self) -> Failure {
        Failure::new(format!("left as it is: {} closed the deployment", self.by))
    }
}

impl Target for LeftAsItIs<'_> {
    type Action = Action;

    fn capture(&self, _step: &Step<Action>) -> Result<Before, Failure> {
        Err(self.refusal())
    }

    fn apply(&self, _step: &Step<Action>, _before: &Before, _progress: &dyn Progress) -> Result<Outcome, Failure> {
        Err(self.refusal())
    }

    fn restore(
        &self,
        _step: &Step<Action>,
        _before: &Before,
        _unwinding: Unwinding,
        _progress: &dyn Progress,
    ) -> Result<Restoration, Failure> {
        Err(self.refusal())
    }
}
