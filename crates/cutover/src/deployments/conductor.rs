//! Carries out an order on this machine: lock, recover, plan, run.

use super::afar::RECALLED_COUNT_MAX;
use super::order::{Order, Task};
use super::place::Place;
use super::variables::Variables;
use crate::error::{CommandError, ErrorKind};
use cutover_core::config::{HostConfig, ServiceConfig};
use cutover_core::event::{Event, Observer};
use cutover_core::id::{DeploymentId, InvalidId, ReleaseId, TargetName};
use cutover_core::mask::Masker;
use cutover_core::next::DeploymentOutcome;
use cutover_core::record::summarize;
use cutover_core::target::{Cancel, Failure};
use cutover_targets::host::gate::{Coordinator, Successor};
use cutover_targets::host::lock::{Holder, Waiting};
use cutover_targets::host::planner::{self, Subject, Wish};
use cutover_targets::host::transaction::{Ended, Surroundings, Transaction, TransactionError};
use cutover_targets::host::{HostPlan, Layout, Offer, Release, SupervisorProgram, ended_in, follow, linked};
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
        let waiting = Waiting { limit: self.order.wait, now: &Timestamp::now, cancelled: &cancelled, told: &told };
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
                self.plan(task)?
            }
        };
        let ended = transaction.run(plan, offer.as_ref()).map_err(RunError::from)?;
        (self.ended)(&ended);
        Ok(Some(ended))
    }

    /// What will be done, and what is offered for it.
    fn plan(&self, task: &Task) -> Result<(HostPlan, Option<Offer<'_>>), CommandError> {
        let place = self.order.place();
        let wish = self.wish(&place);
        match task {
            Task::Deploy { artifact, subject, committed_at, restart } => {
                let offer = (self.offers)(&artifact.to_string()).ok_or_else(|| not_offered(&artifact.to_string()))?;
                let plan = match planner::unchanged(&wish, artifact) {
                    Some(live) => planner::restart(&wish, &live, *restart || !self.is_serving(&place))?,
                    None => {
                        let committed_at = Some(*committed_at);
                        let (artifact, manifest) = (*artifact, &offer.manifest);
                        planner::deploy(&wish, &Subject { artifact, manifest, subject, committed_at })?
                    }
                };
                Ok((plan, Some(offer)))
            }
            Task::Rollback { release } => Ok((rollback(&place, &wish, release.as_deref())?, None)),
            Task::Restart | Task::Resume | Task::Abandon | Task::Recall { .. } => {
                let live = live(&place)?.ok_or_else(nothing_live)?;
                Ok((planner::restart(&wish, &live, true)?, None))
            }
        }
    }

    fn wish<'w>(&'w self, place: &Place<'w>) -> Wish<'w> {
        Wish {
            deployment: self.order.deployment.clone(),
            project: &self.order.project,
            environment: &self.order.environment,
            host: &self.order.host,
            by: &self.order.by,
            reason: &self.order.reason,
            made_at: self.order.made_at,
            targets: place.targets.clone(),
            variables: &self.variables.values,
            secret_names: self.order.secret_names.clone(),
            part: self.order.part.map(|part| part.plan),
        }
    }

    /// Whether every service runs.
    fn is_serving(&self, place: &Place<'_>) -> bool {
        place.layouts().all(|(name, config, layout)| {
            let Some(service) = &config.service else { return true };
            let service = open_service(self.variables, self.supervisor, name, (config, service), &layout);
            service.state().is_ok_and(|state| state.active)
        })
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

/// The release that is live on the first target.
fn live(place: &Place<'_>) -> Result<Option<ReleaseId>, Failure> {
    place.layouts().next().map_or(Ok(None), |(_, _, layout)| linked(&layout.current()))
}

fn rollback(place: &Place<'_>, wish: &Wish<'_>, named: Option<&str>) -> Result<HostPlan, CommandError> {
    let release = match (named, place.targets.values().next()) {
        (Some(named), Some(config)) => find(&Layout::new(&config.deploy_to), named)?,
        (None, Some(config)) => planner::last_good(config)?,
        (_, None) => return Err(CommandError::new(ErrorKind::Config, "the environment has no targets")),
    };
    if live(place)?.as_ref() == Some(&release) {
        return Err(CommandError::new(ErrorKind::Usage, format!("release {release} is live already"))
            .state("nothing was changed"));
    }
    Ok(planner::rollback(wish, &release)?)
}

/// The one release whose id is this or begins with it.
fn find(layout: &Layout, named: &str) -> Result<ReleaseId, CommandError> {
    let ids: Vec<ReleaseId> = Release::list(layout).into_iter().rev().map(|release| release.id).collect();
    // A release that is not listed can't be read: the plan says why.
    let exact = ReleaseId::new(named).ok().filter(|id| layout.release(id).is_dir());
    let fitting: Vec<&ReleaseId> = ids.iter().filter(|id| id.as_str().starts_with(named)).collect();
    match (exact, fitting.as_slice()) {
        (Some(id), _) => Ok(id),
        (None, [id]) => Ok((*id).clone()),
        (None, []) => Err(unknown(format!("no release {named:?} in {}", layout.releases().display()), &ids)),
        (None, _) => Err(unknown(format!("release {named:?} is ambiguous"), fitting)),
    }
}

fn unknown<'a>(what: String, ids: impl IntoIterator<Item = &'a ReleaseId>) -> CommandError {
    let ids: Vec<&str> = ids.into_iter().map(ReleaseId::as_str).collect();
    let there = if ids.is_empty() { "there are none yet".to_owned() } else { format!("there are: {}", ids.join(", ")) };
    CommandError::new(ErrorKind::Usage, what).state("nothing was changed").hint(there)
}

fn not_offered(artifact: &str) -> CommandError {
    CommandError::new(ErrorKind::Failed, format!("artifact {artifact} is not there any more"))
        .state("nothing was changed")
        .hint("deploy the commit again")
}

/// Nothing was ever deployed here.
pub(crate) fn nothing_live() -> CommandError {
    CommandError::new(ErrorKind::Usage, "nothing is live yet").hint("`cutover deploy` comes first")
}
