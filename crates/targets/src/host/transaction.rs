//! A transaction on this host: the lock is held, whatever died before is recovered, and a plan is driven to its end
//! with its journal on disk.

use super::executor::{HostPlan, LocalHost};
use super::journal_file::{FileJournal, journal_name};
use super::layout::Layout;
use super::leftovers;
use super::lock::{self, Holder, Lock, LockError, Waiting};
use super::release::chain;
use super::site::{Offer, SupervisorProgram};
use super::steps::preflight::make_directories;
use cutover_core::engine::{Clock, Engine, Interrupted};
use cutover_core::event::Observer;
use cutover_core::id::DeploymentId;
use cutover_core::journal::{Entry, JournalError, Record};
use cutover_core::next::{DeploymentOutcome, Next, next};
use cutover_core::target::{Cancel, Failure};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// What a transaction needs besides its plan.
pub struct Surroundings<'a> {
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// Whether stopping was asked for.
    pub cancel: &'a Cancel,
    /// Who asks.
    pub by: &'a str,
    /// What supervises `process` services.
    pub supervisor: &'a SupervisorProgram,
}

/// Why a transaction could not be begun or carried on.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Someone else has the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The directories under `deploy_to` cannot be made or read.
    #[error(transparent)]
    Place(#[from] Failure),
    /// The journal cannot be begun; nothing was done.
    #[error("begin the journal")]
    Begin(#[source] JournalError),
    /// The journal cannot be read.
    #[error("read journal {path}")]
    Read {
        /// The journal.
        path: PathBuf,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// The journal could not be written on the way.
    #[error("deployment {deployment} stopped half-way")]
    Interrupted {
        /// The deployment that is left to be resumed.
        deployment: DeploymentId,
        /// Why.
        #[source]
        source: Interrupted,
    },
}

/// A deployment that came to an end.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What was to be done.
    pub plan: HostPlan,
    /// What happened.
    pub records: Vec<Record>,
    /// How it ended.
    pub outcome: DeploymentOutcome,
    /// Why its journal could not be filed among the others. That changes nothing about how it ended;
    /// the next contact files it.
    pub unfiled: Option<String>,
}

/// What becomes of a deployment whose engine died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It goes on where it stopped.
    GoOn,
    /// It is taken back, unless its release was verified already: something newer is wanted.
    TakeBack,
}

/// Gives the wall clock's time.
#[derive(Debug, Clone, Copy)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The locks of every place that a plan acts on, held.
pub struct Transaction<'a> {
    layouts: Vec<Layout>,
    surroundings: &'a Surroundings<'a>,
    _locks: Vec<Lock>,
}

impl<'a> Transaction<'a> {
    /// Makes the directories and takes the locks, in one order for everybody so that nobody waits in a circle.
    pub fn begin(
        deploy_to: &[&Path],
        me: &Holder,
        waiting: &Waiting<'_>,
        surroundings: &'a Surroundings<'a>,
    ) -> Result<Self, TransactionError> {
        let mut paths = deploy_to.to_vec();
        paths.sort_unstable();
        paths.dedup();
        let layouts: Vec<Layout> = paths.into_iter().map(Layout::new).collect();
        let mut locks = Vec::new();
        for layout in &layouts {
            make_directories(layout)?;
            locks.push(lock::acquire(layout, me, waiting)?);
        }
        Ok(Self { layouts, surroundings, _locks: locks })
    }

    /// Recovers whatever an earlier engine left unfinished here. `offers` gives back what it was to deploy, if that is still there.
    pub fn recover(
        &self,
        recovery: Recovery,
        offers: &dyn Fn(&HostPlan) -> Option<Offer<'a>>,
    ) -> Result<Vec<Ended>, TransactionError> {
        let mut ended = Vec::new();
        for path in self.layouts.iter().flat_map(open_journals) {
            ended.extend(self.recover_one(&path, recovery, offers)?);
        }
        Ok(ended)
    }

    fn recover_one(
        &self,
        path: &Path,
        recovery: Recovery,
        offers: &dyn Fn(&HostPlan) -> Option<Offer<'a>>,
    ) -> Result<Option<Ended>, TransactionError> {
        let Ok(real) = path.canonicalize() else {
            // The journal of another target's directory, which has been filed meanwhile.
            let _ = std::fs::remove_file(path);
            return Ok(None);
        };
        let opened = FileJournal::open(&real, Timestamp::now)
            .map_err(|source| TransactionError::Read { path: real.clone(), source })?;
        let Some((journal, recorded)) = opened else {
            // Without a header nothing was done.
            let _ = std::fs::remove_file(&real);
            return Ok(None);
        };
        leftovers::end(&recorded.plan.deployment);
        self.layouts.iter().for_each(|layout| leftovers::sweep(layout, &recorded.plan));
        let offer = offers(&recorded.plan);
        let taken_back = Cancel::new();
        if recovery == Recovery::TakeBack {
            taken_back.cancel();
        }
        let cancel = if recovery == Recovery::TakeBack { &taken_back } else { self.surroundings.cancel };
        self.drive(recorded.plan, journal, recorded.records, offer.as_ref(), cancel, &real).map(Some)
    }

    /// Drives a new plan to its end.
    pub fn run(&self, plan: HostPlan, offer: Option<&Offer<'_>>) -> Result<Ended, TransactionError> {
        let home = self.home(&plan);
        let path = home.open_journals().join(journal_name(&plan.deployment));
        let journal = FileJournal::create(&path, &plan, Timestamp::now).map_err(TransactionError::Begin)?;
        for other in self.layouts.iter().filter(|other| *other != &home) {
            let link = other.open_journals().join(journal_name(&plan.deployment));
            std::os::unix::fs::symlink(&path, &link).map_err(|e| super::release::io("link", &link, &e))?;
        }
        self.drive(plan, journal, Vec::new(), offer, self.surroundings.cancel, &path)
    }

    fn home(&self, plan: &HostPlan) -> Layout {
        let first = plan.steps.first().map(|step| Layout::new(&step.action.deploy_to));
        // A plan without steps has nothing to do anywhere; its journal may lie in any place.
        first.unwrap_or_else(|| self.layouts[0].clone())
    }

    fn drive(
        &self,
        plan: HostPlan,
        mut journal: FileJournal,
        mut records: Vec<Record>,
        offer: Option<&Offer<'_>>,
        cancel: &Cancel,
        path: &Path,
    ) -> Result<Ended, TransactionError> {
        let host = LocalHost::new(&plan, offer, self.surroundings.supervisor);
        let mut keeper = Keeper { inner: &mut journal, records: records.clone() };
        let Surroundings { observer, by, .. } = *self.surroundings;
        let mut engine =
            Engine { plan: &plan, target: &host, journal: &mut keeper, observer, clock: &WallClock, cancel, by };
        let outcome = engine
            .run(&records)
            .map_err(|source| TransactionError::Interrupted { deployment: plan.deployment.clone(), source })?;
        records = keeper.records;
        let filed = if may_be_retried(&records) { Ok(()) } else { self.file(&plan, journal, path) };
        let unfiled = filed.err().map(|error| chain(&error));
        Ok(Ended { plan, records, outcome, unfiled })
    }

    /// Moves the journal among those that have ended.
    fn file(&self, plan: &HostPlan, journal: FileJournal, path: &Path) -> Result<(), JournalError> {
        let home = self.home(plan);
        journal.finish(&home.done_journals(), &plan.deployment)?;
        for layout in &self.layouts {
            let link = layout.open_journals().join(journal_name(&plan.deployment));
            if link != path {
                // A link that stays dangles, and the next contact removes it.
                let _ = std::fs::remove_file(link);
            }
        }
        Ok(())
    }

    /// Gives up on a stuck deployment: a person has put things right, or lives with them.
    pub fn abandon(&self) -> Result<Vec<DeploymentId>, TransactionError> {
        let mut abandoned = Vec::new();
        for path in self.layouts.iter().flat_map(open_journals) {
            let read = |source| TransactionError::Read { path: path.clone(), source };
            if let Some((journal, recorded)) =
                FileJournal::open::<super::Action>(&path, Timestamp::now).map_err(read)?
            {
                self.file(&recorded.plan, journal, &path).map_err(read)?;
                abandoned.push(recorded.plan.deployment);
            }
        }
        Ok(abandoned)
    }
}

/// Whether the deployment is stuck on a restore that can be tried again: its journal then stays open.
fn may_be_retried(records: &[Record]) -> bool {
    matches!(records.last().map(|record| &record.entry), Some(Entry::RestoreFailed { .. }))
}

/// Journals that have not been filed yet.
pub fn open_journals(layout: &Layout) -> Vec<PathBuf> {
    journals(&layout.open_journals())
}

/// Journals of deployments that have ended, oldest name first.
pub fn done_journals(layout: &Layout) -> Vec<PathBuf> {
    journals(&layout.done_journals())
}

fn journals(directory: &Path) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = listing.filter_map(|entry| Some(entry.ok()?.path()));
    let mut journals: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "journal")).collect();
    journals.sort();
    journals
}

/// Whether a journal says that something is left to do.
pub fn is_unfinished<A>(plan: &cutover_core::plan::Plan<A>, entries: &[Entry]) -> bool {
    !matches!(next(plan, entries), Next::Done(_)) || matches!(entries.last(), Some(Entry::RestoreFailed { .. }))
}

/// Keeps what was appended, so that the store can be told without reading the file again.
struct Keeper<'a> {
    inner: &'a mut FileJournal,
    records: Vec<Record>,
}

impl cutover_core::journal::Journal for Keeper<'_> {
    fn append(&mut self, seq: u64, entry: &Entry) -> Result<Record, JournalError> {
        let record = self.inner.append(seq, entry)?;
        self.records.push(record.clone());
        Ok(record)
    }
}
