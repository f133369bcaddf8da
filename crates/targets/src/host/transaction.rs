//! A transaction on this host: the lock is held, whatever died before is recovered, and a plan is driven to its end
//! with its journal on disk.

use super::course::Course;
use super::executor::HostPlan;
use super::gate::{Coordinator, Nobody};
use super::journal_file::journal_name;
use super::layout::Layout;
use super::leftovers;
use super::lock::{self, Holder, Lock, LockError, Waiting};
use super::release::{chain, io};
use super::site::{Offer, SupervisorProgram};
use super::steps::preflight::make_directories;
use super::unfinished;
use cutover_core::engine::Interrupted;
use cutover_core::event::Observer;
use cutover_core::id::DeploymentId;
use cutover_core::journal::{Entry, JournalError, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::target::{Cancel, Failure};
use serde::{Deserialize, Serialize};
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
    /// Who coordinates this host with others.
    pub coordinator: &'a dyn Coordinator,
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
    /// Another deployment of this name has ended here; nothing was done.
    #[error("there was a deployment {deployment} already, in {deploy_to}")]
    NameTaken {
        /// The deployment.
        deployment: DeploymentId,
        /// Where its journal is.
        deploy_to: PathBuf,
    },
    /// The journal cannot be read.
    #[error("read journal {path}")]
    Read {
        /// The journal.
        path: PathBuf,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// A deployment that died acted on a place that this transaction does not hold.
    #[error("deployment {deployment} is unfinished, and it also acts on {deploy_to}, which is none of these targets")]
    Elsewhere {
        /// The deployment.
        deployment: DeploymentId,
        /// The place.
        deploy_to: PathBuf,
    },
    /// The journal of an ended deployment cannot be moved away.
    #[error("file journal {path}")]
    File {
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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

impl Ended {
    /// Whether it is stuck on a restore that can be tried again, and not on something that has no way back.
    pub fn may_be_retried(&self) -> bool {
        matches!(self.records.last().map(|record| &record.entry), Some(Entry::RestoreFailed { .. }))
    }
}

/// What becomes of a deployment whose engine died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It goes on where it stopped.
    GoOn,
    /// It is taken back, unless its release was verified already: something newer is wanted.
    TakeBack,
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
        for course in self.unfinished()? {
            self.refuse_elsewhere(&course.plan)?;
            ended.push(self.recover_one(course, recovery, offers)?);
        }
        Ok(ended)
    }

    /// Every deployment that was begun here and whose journal is still open, each once.
    fn unfinished(&self) -> Result<Vec<Course>, TransactionError> {
        let paths =
            unfinished::in_all(&self.layouts).map_err(|(path, source)| TransactionError::Read { path, source })?;
        paths.into_iter().filter_map(|path| Course::open(path).transpose()).collect()
    }

    /// A place that this transaction has not locked is nobody's to act on.
    fn refuse_elsewhere(&self, plan: &HostPlan) -> Result<(), TransactionError> {
        let is_ours = |deploy_to: &Path| self.layouts.iter().any(|layout| is_same(layout.root(), deploy_to));
        let elsewhere = plan.steps.iter().map(|step| &step.action.deploy_to).find(|deploy_to| !is_ours(deploy_to));
        elsewhere.map_or(Ok(()), |deploy_to| {
            let (deployment, deploy_to) = (plan.deployment.clone(), deploy_to.clone());
            Err(TransactionError::Elsewhere { deployment, deploy_to })
        })
    }

    fn recover_one(
        &self,
        mut course: Course,
        recovery: Recovery,
        offers: &dyn Fn(&HostPlan) -> Option<Offer<'a>>,
    ) -> Result<Ended, TransactionError> {
        leftovers::end(&course.plan.deployment);
        self.layouts.iter().for_each(|layout| leftovers::sweep(layout, &course.plan));
        let offer = offers(&course.plan);
        let taken_back = Cancel::new();
        taken_back.cancel();
        let (cancel, coordinator): (_, &dyn Coordinator) = match recovery {
            Recovery::TakeBack => (&taken_back, &Nobody),
            Recovery::GoOn => (self.surroundings.cancel, self.surroundings.coordinator),
        };
        let outcome = course.drive(offer.as_ref(), &Surroundings { cancel, coordinator, ..*self.surroundings })?;
        Ok(self.end(course, outcome))
    }

    /// Drives a new plan to its end.
    pub fn run(&self, plan: HostPlan, offer: Option<&Offer<'_>>) -> Result<Ended, TransactionError> {
        self.refuse_taken(&plan.deployment)?;
        let name = journal_name(&plan.deployment);
        let first = plan.steps.first().map(|step| Layout::new(&step.action.deploy_to));
        // A plan without steps has nothing to do anywhere; its journal may lie in any place.
        let home = first.unwrap_or_else(|| self.layouts[0].clone());
        let mut course = Course::begin(plan, home.open_journals().join(&name))?;
        for other in self.layouts.iter().filter(|other| *other != &home) {
            let link = other.open_journals().join(&name);
            std::os::unix::fs::symlink(&course.path, &link).map_err(|e| io("link", &link, &e))?;
        }
        let outcome = course.drive(offer, self.surroundings)?;
        Ok(self.end(course, outcome))
    }

    /// Two deployments of one name would have one journal: the later would be filed over the earlier one, and whoever knows the
    /// earlier one would take the later for it.
    fn refuse_taken(&self, deployment: &DeploymentId) -> Result<(), TransactionError> {
        let has = |layout: &&Layout| layout.done_journals().join(journal_name(deployment)).exists();
        self.layouts.iter().find(has).map_or(Ok(()), |layout| {
            let (deployment, deploy_to) = (deployment.clone(), layout.root().to_owned());
            Err(TransactionError::NameTaken { deployment, deploy_to })
        })
    }

    /// Files the journal, unless a person is needed: then it stays open, and in the way of anything newer.
    fn end(&self, course: Course, outcome: DeploymentOutcome) -> Ended {
        let filed = if outcome == DeploymentOutcome::Stuck { Ok(()) } else { self.file(&course) };
        let unfiled = filed.err().map(|error| chain(&error));
        Ended { plan: course.plan, records: course.records, outcome, unfiled }
    }

    /// Moves the journal among those that have ended, and removes the links to it.
    fn file(&self, course: &Course) -> Result<(), JournalError> {
        let deployment = &course.plan.deployment;
        course.journal.finish(&unfinished::done_beside(&course.path), deployment)?;
        for layout in &self.layouts {
            // A link that stays dangles, and the next contact removes it.
            let _ = std::fs::remove_file(layout.open_journals().join(journal_name(deployment)));
        }
        Ok(())
    }

    /// Gives up on what is unfinished or stuck, as it stands: a person has put things right, or lives with them.
    pub fn abandon(&self) -> Result<Vec<Ended>, TransactionError> {
        let mut ended = Vec::new();
        for mut course in self.unfinished()? {
            let outcome = course.give_up(self.surroundings)?;
            self.file(&course).map_err(|source| TransactionError::File { path: course.path.clone(), source })?;
            ended.push(Ended { plan: course.plan, records: course.records, outcome, unfiled: None });
        }
        Ok(ended)
    }
}

/// Whether two paths lead to one directory.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}
