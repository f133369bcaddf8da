//! One change of an environment: lock, recover, plan, run, remember, tell.

use super::begun::Begun;
use super::identity::{asker, deployment_id};
use super::memory::remember_releases;
use super::signals::{self, CANCEL};
use super::{Place, Variables, VariablesError};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use cutover_artifacts::{ArtifactBlobs, ArtifactStore};
use cutover_core::event::{Event, Observer};
use cutover_core::id::{DeploymentId, InvalidId, ProjectName};
use cutover_core::journal::Record;
use cutover_core::mask::MASKABLE_LENGTH_MIN;
use cutover_core::plan::Plan;
use cutover_core::store::{KEPT_COUNT, Store, StoreError};
use cutover_core::target::Failure;
use cutover_reporters::Tee;
use cutover_store::SqliteStore;
use cutover_targets::host::lock::{Holder, Waiting};
use cutover_targets::host::planner::Wish;
use cutover_targets::host::transaction::{Ended, Recovery, Surroundings, Transaction, TransactionError};
use cutover_targets::host::{HostPlan, Layout, Offer, SupervisorProgram};
use cutover_targets::service;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long reporters may take to tell what they have left.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// An environment that a command is about to change.
pub(crate) struct Session<'a> {
    context: &'a Context,
    project: &'a ProjectName,
    /// The environment and its targets on this machine.
    pub(crate) place: Place<'a>,
    /// Its variables.
    pub(crate) variables: Variables,
    /// Why, in the asker's words.
    pub(crate) reason: String,
    /// How long to wait for the lock.
    pub(crate) wait: Option<Duration>,
    /// Whether older waiters give up for this one.
    pub(crate) supersede: bool,
    by: String,
    supervisor: SupervisorProgram,
    /// A history that can't be opened fails no deployment: it catches up later.
    store: Option<SqliteStore>,
    artifacts: ArtifactStore,
}

impl<'a> Session<'a> {
    /// The environment with all its variables and secrets.
    pub(crate) fn open(context: &'a Context, environment: &str) -> Result<Self, CommandError> {
        let mut session = Self::open_without_variables(context, environment)?;
        session.variables = session.resolve(context)??;
        Ok(session)
    }

    /// The environment for what is unfinished: it may not need its variables any more, and a step that needs them fails.
    pub(crate) fn open_for_recovery(context: &'a Context, environment: &str) -> Result<Self, CommandError> {
        let mut session = Self::open_without_variables(context, environment)?;
        match session.resolve(context)? {
            Ok(variables) => session.variables = variables,
            Err(error) if error.cancelled => return Err(error.into()),
            Err(error) => context.output.warn(&format!("{error}; a step that needs its variables will fail")),
        }
        Ok(session)
    }

    fn resolve(&self, context: &Context) -> Result<Result<Variables, VariablesError>, CommandError> {
        let root = &context.project()?.dir;
        let resolved = Variables::resolve(self.place.name.as_str(), self.place.environment, root);
        resolved.iter().flat_map(Variables::too_short).for_each(|name| {
            context.output.warn(&format!(
                "secret {name} is too short to be masked: it will be seen in logs and output that have it; give it {MASKABLE_LENGTH_MIN} characters or more"
            ));
        });
        Ok(resolved)
    }

    /// The environment for what needs no new values: a rollback uses the ones that the release had.
    pub(crate) fn open_without_variables(context: &'a Context, environment: &str) -> Result<Self, CommandError> {
        let (name, environment) = context.environment(environment)?;
        let place = Place::of(name, environment)?;
        let store = context
            .store()
            .inspect_err(|_| context.output.warn("the history cannot be opened; it will catch up later"))
            .ok();
        Ok(Self {
            context,
            project: &context.project()?.config.name,
            place,
            variables: Variables::unknown(environment),
            reason: String::new(),
            wait: None,
            supersede: false,
            by: asker(),
            supervisor: supervisor()?,
            store,
            artifacts: context.artifacts()?,
        })
    }

    /// Makes one change under the lock and tells how it ended.
    pub(crate) fn change(
        &self,
        purpose: &str,
        recovery: Recovery,
        change: impl FnOnce(&Begun<'_>) -> Result<Option<Ended>, CommandError>,
    ) -> Result<Exit, CommandError> {
        signals::begin_change(self.place.name).map_err(|e| Failure::new(format!("watch for signals: {e}")))?;
        let tee = self.context.output.tee(self.usual_times());
        let ended = self.changed(&tee, purpose, recovery, change);
        tee.finish(PATIENCE);
        self.conclude(ended?)
    }

    fn changed(
        &self,
        tee: &Tee,
        purpose: &str,
        recovery: Recovery,
        change: impl FnOnce(&Begun<'_>) -> Result<Option<Ended>, CommandError>,
    ) -> Result<Option<Ended>, CommandError> {
        let surroundings = self.surroundings(tee);
        let begun = self.begin(&surroundings, purpose, recovery)?;
        change(&begun)
    }

    /// Closes whatever is unfinished, as it stands, and remembers it so.
    pub(crate) fn abandon(&self) -> Result<Vec<DeploymentId>, CommandError> {
        let tee = self.context.output.tee(BTreeMap::new());
        let surroundings = self.surroundings(&tee);
        let me = self.holder("close what is unfinished", None, Timestamp::now());
        let transaction = self.lock(&me, &surroundings)?;
        let ended = transaction.abandon().map_err(RunError::from)?;
        ended.iter().for_each(|ended| self.remember(ended));
        Ok(ended.into_iter().map(|ended| ended.plan.deployment).collect())
    }

    /// What supervises `process` services.
    pub(crate) fn supervisor(&self) -> &SupervisorProgram {
        &self.supervisor
    }

    fn surroundings<'s>(&'s self, observer: &'s dyn Observer) -> Surroundings<'s> {
        Surroundings { observer, cancel: &CANCEL, by: &self.by, supervisor: &self.supervisor }
    }

    fn begin<'s>(
        &'s self,
        surroundings: &'s Surroundings<'s>,
        purpose: &str,
        recovery: Recovery,
    ) -> Result<Begun<'s>, CommandError> {
        let now = Timestamp::now();
        let id = deployment_id(now)?;
        let me = self.holder(purpose, Some(id.clone()), now);
        let transaction = self.lock(&me, surroundings)?;
        let blobs = self.artifacts.blobs()?;
        let offers = |plan: &HostPlan| self.offer_again(plan, &blobs);
        let recovered = transaction.recover(recovery, &offers).map_err(RunError::from)?;
        recovered.iter().for_each(|ended| self.remember(ended));
        Ok(Begun { session: self, transaction, id, now, recovered })
    }

    fn holder(&self, purpose: &str, deployment: Option<DeploymentId>, since: Timestamp) -> Holder {
        let (by, reason) = (self.by.clone(), purpose.to_owned());
        Holder {
            by,
            reason,
            deployment,
            pid: std::process::id(),
            since: Some(since),
            until: None,
            supersedes: self.supersede,
        }
    }

    fn lock<'s>(&self, me: &Holder, surroundings: &'s Surroundings<'s>) -> Result<Transaction<'s>, CommandError> {
        let cancelled = || CANCEL.is_cancelled();
        let told = |holder: &Holder, ahead_count: u32| {
            surroundings
                .observer
                .event(&Event::Waiting { holder: format!("{}: {}", holder.by, holder.reason), ahead_count });
        };
        let waiting = Waiting { limit: self.wait, now: &Timestamp::now, cancelled: &cancelled, told: &told };
        Ok(Transaction::begin(&self.place.directories(), me, &waiting, surroundings).map_err(RunError::from)?)
    }

    /// What a deployment that died was to bring live, when this machine still has it.
    fn offer_again<'b>(&self, plan: &HostPlan, blobs: &'b ArtifactBlobs) -> Option<Offer<'b>> {
        let artifact = self.artifacts.get(&plan.artifact).ok()?;
        Some(Offer { id: artifact.id, manifest: artifact.manifest, blobs, variables: self.variables.offered() })
    }

    fn usual_times(&self) -> BTreeMap<String, Duration> {
        let scope = self.context.scope(Some(self.place.name)).ok();
        let times = scope.and_then(|scope| self.store.as_ref()?.usual_times(&scope, None).ok()).unwrap_or_default();
        times.into_iter().map(|(step, ms)| (step, Duration::from_millis(ms))).collect()
    }

    /// The journal is the truth: a history that can't be written now catches up later, and fails no deployment.
    pub(super) fn remember(&self, ended: &Ended) {
        if let Some(why) = &ended.unfiled {
            let id = &ended.plan.deployment;
            self.context
                .output
                .warn(&format!("the journal of {id} could not be filed, which the next command does: {why}"));
        }
        let Some(store) = &self.store else { return };
        let written = ended.plan.erased().map_err(CommandError::from).and_then(|plan| {
            self.context.in_sound_history(store, |store| self.write_down(store, &plan, &ended.records))
        });
        if written.is_err() {
            self.context.output.warn("the history was not written; it will catch up later");
        }
    }

    fn write_down(&self, store: &SqliteStore, plan: &Plan, records: &[Record]) -> Result<(), StoreError> {
        store.ingest(plan, records)?;
        store.prune(self.project, self.place.name, KEPT_COUNT)?;
        self.place.layouts().try_for_each(|(target, _, layout)| {
            remember_releases(store, self.project, self.place.name, target, &layout)
        })
    }

    fn conclude(&self, ended: Option<Ended>) -> Result<Exit, CommandError> {
        let Some(ended) = ended else {
            self.say_nothing_unfinished()?;
            return Ok(Exit::Done);
        };
        Ok(ended.outcome.into())
    }

    fn say_nothing_unfinished(&self) -> Result<(), CommandError> {
        if self.context.output.json {
            return self.context.output.json(&serde_json::json!({ "v": 1, "unfinished": null }));
        }
        self.context.output.text("nothing is unfinished\n")
    }
}

/// This very binary, which knows how to supervise a process.
fn supervisor() -> Result<SupervisorProgram, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::new(format!("find Cutover's own executable: {e}")))?;
    Ok(SupervisorProgram { program, arguments: vec!["supervise".to_owned()] })
}

impl Session<'_> {
    /// What a plan is made from.
    pub(crate) fn wish<'w>(&'w self, deployment: DeploymentId, made_at: Timestamp, by: &'w str) -> Wish<'w> {
        Wish {
            deployment,
            project: self.project,
            environment: self.place.name,
            by,
            reason: &self.reason,
            made_at,
            targets: self.place.targets.clone(),
            variables: &self.variables.values,
            secret_names: self.variables.secret_names.clone(),
        }
    }

    /// A target's service.
    pub(crate) fn service(
        &self,
        name: &cutover_core::id::TargetName,
        config: &cutover_core::config::ServiceConfig,
        layout: &Layout,
    ) -> Box<dyn service::Service> {
        let env_file = self.place.targets.get(name).and_then(|target| target.env_file.clone());
        service::open(
            config,
            &service::Site {
                name: name.clone(),
                deploy_to: layout.root().to_owned(),
                env_file,
                supervisor_program: self.supervisor.program.clone(),
                supervisor_args: self.supervisor.arguments.clone(),
                masker: cutover_core::mask::Masker::new(self.variables.secrets()),
                secret_names: self.variables.secret_names.clone(),
            },
        )
    }
}
