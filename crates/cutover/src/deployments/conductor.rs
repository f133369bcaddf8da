//! Carries out an order on this machine: lock, recover, plan, run.

use super::afar::RECALLED_COUNT_MAX;
use super::draft::Draft;
use super::order::{Order, Task};
use super::variables::Variables;
use crate::error::CommandError;
use cutover_core::config::{HostConfig, ServiceConfig};
use cutover_core::event::{Event, Observer};
use cutover_core::id::{DeploymentId, InvalidId, TargetName};
use cutover_core::mask::Masker;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::PlanKind;
use cutover_core::record::summarize;
use cutover_core::target::{Cancel, Failure};
use cutover_targets::host::gate::{Coordinator, Successor};
use cutover_targets::host::lock::{Holder, Waiting};
use cutover_targets::host::transaction::{Ended, Surroundings, Transaction, TransactionError};
use cutover_targets::host::{HostPlan, Layout, Offer, SupervisorProgram, ended_in, follow};
use cutover_targets::service;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Why a change could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The lock, the place, or the journal.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The plan could not be made.
    #[error(transparent)]
    Plan(#[from] Failure),
    /// The name of the attempt is no name.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// An earlier deployment is stuck, and nothing may be built on that.
    #[error("deployment {deployment} is stuck: {why}")]
    Stuck {
        /// The earlier deployment.
        deployment: DeploymentId,
        /// Its last failure.
        why: String,
        /// Whether what failed can be tried again.
        may_be_retried: bool,
    },
}

/// Everything that carrying out an order needs.
pub(crate) struct Conductor<'a> {
    /// What is asked for.
    pub(crate) order: &'a Order,
    /// The environment's variables.
    pub(crate) variables: &'a Variables,
    /// What supervises `process` services.
    pub(crate) supervisor: &'a SupervisorProgram,
    /// Who is told.
    pub(crate) observer: &'a dyn Observer,
    /// Whether stopping was asked for.
    pub(crate) cancel: &'a Cancel,
    /// Who coordinates this host with others.
    pub(crate) coordinator: &'a dyn Coordinator,
    /// What can be had of the artifact with this id.
    pub(crate) offers: &'a dyn Fn(&str) -> Option<Offer<'a>>,
    /// Told of each deployment that came to its end, also of those that had died before.
    pub(crate) ended: &'a dyn Fn(&Ended),
}

impl Conductor<'_> {
    /// Carries the order out; gives how it ended, or None when there was nothing to do.
    pub(crate) fn conduct(&self) -> Result<Option<Ended>, CommandError> {
        let successor = Successor { settled: &self.order.settled };
        let surroundings = Surroundings {
            observer: self.observer,
            cancel: self.cancel,
            by: &self.order.by,
            supervisor: self.supervisor,
            coordinator: if let Task::Resume = self.order.task { &successor } else { self.coordinator },
        };
        if let Task::Recall { known } = &self.order.task {
            self.recall(known);
            return Ok(None);
        }
        if let Task::Resume = self.order.task
            && let Some(ended) = follow(&self.order.place().directories(), &surroundings).map_err(RunError::from)?
        {
            (self.ended)(&ended);
            return Ok(Some(ended));
        }
        let transaction = self.begin(&surroundings)?;
        let Task::Abandon = self.order.task else { return self.change(&transaction) };
        let ended = transaction.abandon().map_err(RunError::from)?;
        ended.iter().for_each(self.ended);
        Ok(ended.into_iter().next_back())
    }

    /// Tells what ended here. A deployment to several targets has its journal at one of them.
    fn recall(&self, known: &BTreeSet<DeploymentId>) {
        let is_known = |name: &str| DeploymentId::new(name).is_ok_and(|id| known.contains(&id));
        let places = self.order.place();
        let ended = places.layouts().flat_map(|(_, _, layout)| ended_in(&layout, &is_known, RECALLED_COUNT_MAX));
        ended.for_each(|ended| (self.ended)(&ended));
    }

    fn begin<'s>(&self, surroundings: &'s Surroundings<'s>) -> Result<Transaction<'s>, RunError> {
        let cancelled = || self.cancel.is_cancelled();
        let told = |holder: &Holder, ahead_count: u32| {
            let holder = format!("{}: {}", holder.by, holder.reason);
            self.observer.event(&Event::Waiting { holder, ahead_count });
        };
        let waiting = Waiting {
            limit: self.order.wait,
            now: &Timestamp::now,
            heeds_own: !matches!(self.order.task, Task::Restart | Task::Start),
            cancelled: &cancelled,
            told: &told,
        };
        let place = self.order.place();
        Ok(Transaction::begin(&place.directories(), &self.order.holder(), &waiting, surroundings)?)
    }

    fn change(&self, transaction: &Transaction<'_>) -> Result<Option<Ended>, CommandError> {
        let offers = |plan: &HostPlan| (self.offers)(&plan.artifact);
        let recovered = transaction.recover(self.order.task.recovery(), &offers).map_err(RunError::from)?;
        recovered.iter().for_each(self.ended);
        let (plan, offer) = match &self.order.task {
            Task::Resume | Task::Abandon | Task::Recall { .. } => return Ok(recovered.into_iter().next_back()),
            task => {
                refuse_if_stuck(&recovered)?;
                if let Some(ended) = self.went_back(&recovered) {
                    return Ok(Some(ended));
                }
                self.plan(task)?
            }
        };
        let ended = transaction.run(plan, offer.as_ref()).map_err(RunError::from)?;
        (self.ended)(&ended);
        Ok(Some(ended))
    }

    /// The unfinished deployment with which a rollback to no release in particular is done: its release had been live, and was
    /// taken back. Several hosts go to the same release in any case, whichever of them had something unfinished.
    fn went_back(&self, recovered: &[Ended]) -> Option<Ended> {
        let is_done =
            |ended: &&Ended| ended.plan.kind == PlanKind::Deploy && ended.outcome == DeploymentOutcome::RolledBack;
        let is_asked = matches!(self.order.task, Task::Rollback { release: None }) && self.order.part.is_none();
        recovered.last().filter(|_| is_asked).filter(is_done).cloned()
    }

    /// What will be done, and what is offered for it.
    fn plan(&self, task: &Task) -> Result<(HostPlan, Option<Offer<'_>>), CommandError> {
        let offer = task.artifact().and_then(|artifact| (self.offers)(&artifact.to_string()));
        let draft = Draft { order: self.order, variables: self.variables, supervisor: self.supervisor };
        Ok((draft.plan(offer.as_ref().map(|offer| &offer.manifest))?, offer))
    }
}

/// A target's service.
pub(crate) fn open_service(
    variables: &Variables,
    supervisor: &SupervisorProgram,
    name: &TargetName,
    (config, service): (&HostConfig, &ServiceConfig),
    layout: &Layout,
) -> Box<dyn service::Service> {
    service::open(
        service,
        &service::Site {
            name: name.clone(),
            deploy_to: layout.root().to_owned(),
            env_file: config.env_file.clone(),
            supervisor_program: supervisor.program.clone(),
            supervisor_args: supervisor.arguments.clone(),
            masker: Masker::new(variables.secrets()),
            secret_names: variables.secret_names.clone(),
        },
    )
}

/// Fails when something that was recovered needs a person first.
fn refuse_if_stuck(recovered: &[Ended]) -> Result<(), RunError> {
    let stuck = recovered.iter().find(|ended| ended.outcome == DeploymentOutcome::Stuck);
    stuck.map_or(Ok(()), |ended| {
        let (deployment, why) = (ended.plan.deployment.clone(), last_error(ended));
        Err(RunError::Stuck { deployment, why, may_be_retried: ended.may_be_retried() })
    })
}

/// The failure that a person must deal with.
fn last_error(ended: &Ended) -> String {
    let record = ended.plan.erased().ok().map(|plan| summarize(&plan, &ended.records));
    let restore_failure = record.and_then(|record| record.restore_failure);
    restore_failure.map_or_else(
        || "a step that cannot be taken back was begun, and then it failed".to_owned(),
        |failure| failure.failure.message,
    )
}
