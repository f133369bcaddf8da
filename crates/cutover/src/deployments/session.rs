//! One change of an environment: order, conduct, remember, tell.

use super::agents::agents;
use super::conductor::{Conductor, open_service};
use super::identity::{asker, deployment_id};
use super::memory::remember_releases;
use super::order::{Order, Task};
use super::remote::{Errand, Host};
use super::signals::{self, CANCEL};
use super::ssh_options::ssh_options;
use super::{Place, Variables, VariablesError, audit};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Output;
use cutover_artifacts::{ArtifactBlobs, ArtifactStore};
use cutover_core::artifact::BlobSource;
use cutover_core::config::{EnvironmentConfig, HostConfig, ServiceConfig};
use cutover_core::event::{Event, Observer};
use cutover_core::id::{DeploymentId, ProjectName, TargetName};
use cutover_core::journal::Record;
use cutover_core::mask::MASKABLE_LENGTH_MIN;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind};
use cutover_core::store::{KEPT_COUNT, Store, StoreError};
use cutover_core::target::Failure;
use cutover_store::SqliteStore;
use cutover_targets::host::planner::Wish;
use cutover_targets::host::transaction::Ended;
use cutover_targets::host::{Layout, Offer, SupervisorProgram};
use cutover_targets::service;
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long reporters may take to tell what they have left.
const PATIENCE: Duration = Duration::from_secs(2);

/// An environment that a command is about to change.
pub(crate) struct Session<'a> {
    context: &'a Context,
    project: &'a ProjectName,
    /// The environment's targets on this machine.
    pub(crate) place: Place<'a>,
    environment: &'a EnvironmentConfig,
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
        let resolved = Variables::resolve(self.place.name.as_str(), self.environment, root);
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
            environment,
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

    /// Begins the connection to a host that is another machine, so that the handshake passes while other things are done.
    pub(crate) fn connect(&self) -> Result<Option<Host>, CommandError> {
        if self.place.is_here() {
            return Ok(None);
        }
        connect(self.context, self.place.host, &self.supervisor).map(Some)
    }

    /// Makes one change under the lock and tells how it ended.
    pub(crate) fn change(&self, purpose: &str, task: Task) -> Result<Exit, CommandError> {
        self.change_through(self.connect()?, purpose, task)
    }

    /// The same, through a connection that was begun before.
    pub(crate) fn change_through(&self, host: Option<Host>, purpose: &str, task: Task) -> Result<Exit, CommandError> {
        signals::begin_change(self.place.name, self.place.is_here())
            .map_err(|e| Failure::new(format!("watch for signals: {e}")))?;
        let order = self.order(purpose, task)?;
        let tee = self.context.output.tee(self.usual_times());
        let ended = match host {
            Some(host) => self.send(host, &order, &tee, &|ended| self.remember(ended)),
            None => self.conduct(&order, &tee, &|ended| self.remember(ended)),
        };
        tee.finish(PATIENCE);
        self.conclude(ended?)
    }

    fn conduct(
        &self,
        order: &Order,
        observer: &dyn Observer,
        ended: &dyn Fn(&Ended),
    ) -> Result<Option<DeploymentOutcome>, CommandError> {
        let blobs = self.artifacts.blobs()?;
        let conductor = Conductor {
            order,
            variables: &self.variables,
            supervisor: &self.supervisor,
            observer: &self.auditor(&blobs, observer),
            cancel: &CANCEL,
            offers: &|artifact| self.offer(artifact, &blobs),
            ended,
        };
        Ok(conductor.conduct()?.map(|ended| ended.outcome))
    }

    fn send(
        &self,
        host: Host,
        order: &Order,
        observer: &dyn Observer,
        ended: &dyn Fn(&Ended),
    ) -> Result<Option<DeploymentOutcome>, CommandError> {
        let blobs = self.artifacts.blobs()?;
        let artifact = match &order.task {
            Task::Deploy { artifact, .. } => Some(self.artifacts.get(&artifact.to_string())?),
            Task::Rollback { .. } | Task::Restart | Task::Resume | Task::Abandon => None,
        };
        host.send(&Errand {
            order,
            variables: self.variables.known(),
            artifact: artifact.as_ref().map(|artifact| (&artifact.manifest, &blobs as &dyn BlobSource)),
            observer: &self.auditor(&blobs, observer),
            cancel: &CANCEL,
            ended,
        })
    }

    fn auditor<'s>(&'s self, blobs: &'s ArtifactBlobs, inner: &'s dyn Observer) -> Auditor<'s> {
        let Self { context, place, variables, artifacts, .. } = self;
        Auditor { output: &context.output, place, variables, artifacts, blobs, inner }
    }

    fn order(&self, purpose: &str, task: Task) -> Result<Order, CommandError> {
        let made_at = Timestamp::now();
        Ok(Order {
            project: self.project.clone(),
            environment: self.place.name.clone(),
            host: self.place.host.to_owned(),
            targets: self.place.targets.iter().map(|(name, config)| (name.clone(), (*config).clone())).collect(),
            secret_names: self.variables.secret_names.clone(),
            deployment: deployment_id(made_at)?,
            made_at,
            by: self.by.clone(),
            reason: self.reason.clone(),
            purpose: purpose.to_owned(),
            wait: self.wait,
            supersede: self.supersede,
            task,
        })
    }

    /// Closes whatever is unfinished, as it stands, and remembers it so.
    pub(crate) fn abandon(&self) -> Result<Vec<DeploymentId>, CommandError> {
        let order = self.order("close what is unfinished", Task::Abandon)?;
        let tee = self.context.output.tee(BTreeMap::new());
        let closed = RefCell::new(Vec::new());
        let ended = |ended: &Ended| {
            self.remember(ended);
            closed.borrow_mut().push(ended.plan.deployment.clone());
        };
        match self.connect()? {
            Some(host) => self.send(host, &order, &tee, &ended)?,
            None => self.conduct(&order, &tee, &ended)?,
        };
        Ok(closed.into_inner())
    }

    /// What supervises `process` services.
    pub(crate) fn supervisor(&self) -> &SupervisorProgram {
        &self.supervisor
    }

    /// An artifact, when this machine has it.
    fn offer<'b>(&self, artifact: &str, blobs: &'b ArtifactBlobs) -> Option<Offer<'b>> {
        let artifact = self.artifacts.get(artifact).ok()?;
        Some(Offer { id: artifact.id, manifest: artifact.manifest, blobs, variables: self.variables.offered() })
    }

    fn usual_times(&self) -> BTreeMap<String, Duration> {
        let scope = self.context.scope(Some(self.place.name)).ok();
        let times = scope.and_then(|scope| self.store.as_ref()?.usual_times(&scope, None).ok()).unwrap_or_default();
        times.into_iter().map(|(step, ms)| (step, Duration::from_millis(ms))).collect()
    }

    /// The journal is the truth: a history that can't be written now catches up later, and fails no deployment.
    fn remember(&self, ended: &Ended) {
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
        // What lies on another machine cannot be seen from here.
        let mut here = self.place.layouts().filter(|_| self.place.is_here());
        here.try_for_each(|(target, _, layout)| {
            remember_releases(store, self.project, self.place.name, target, &layout)
        })
    }

    fn conclude(&self, ended: Option<DeploymentOutcome>) -> Result<Exit, CommandError> {
        let Some(outcome) = ended else {
            self.say_nothing_unfinished()?;
            return Ok(Exit::Done);
        };
        Ok(outcome.into())
    }

    fn say_nothing_unfinished(&self) -> Result<(), CommandError> {
        if self.context.output.json {
            return self.context.output.json(&serde_json::json!({ "v": 1, "unfinished": null }));
        }
        self.context.output.text("nothing is unfinished\n")
    }
}

/// Begins a connection as the config says that hosts are reached.
pub(super) fn connect(context: &Context, host: &str, supervisor: &SupervisorProgram) -> Result<Host, CommandError> {
    let project = context.project()?;
    // The agent there is what supervises here: this very binary.
    Host::connect(host, &ssh_options(project), agents(&supervisor.program)?)
}

/// This very binary, which knows how to supervise a process.
pub(crate) fn supervisor() -> Result<SupervisorProgram, Failure> {
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
            host: self.place.host,
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
        name: &TargetName,
        config: &HostConfig,
        service: &ServiceConfig,
        layout: &Layout,
    ) -> Box<dyn service::Service> {
        open_service(&self.variables, &self.supervisor, name, (config, service), layout)
    }
}

/// Warns of secrets in an artifact once it is known that the deployment changes something.
struct Auditor<'a> {
    output: &'a Output,
    place: &'a Place<'a>,
    variables: &'a Variables,
    artifacts: &'a ArtifactStore,
    blobs: &'a ArtifactBlobs,
    inner: &'a dyn Observer,
}

impl Auditor<'_> {
    fn audit(&self, plan: &Plan) {
        if plan.kind != PlanKind::Deploy || plan.original.as_ref() == Some(&plan.release) {
            return;
        }
        let Ok(artifact) = self.artifacts.get(&plan.artifact) else { return };
        let warnings = audit::artifact_warnings(self.place, self.variables, &artifact.manifest, self.blobs);
        warnings.iter().for_each(|warning| self.output.warn(warning));
    }
}

impl Observer for Auditor<'_> {
    fn event(&self, event: &Event) {
        if let Event::Began { plan, resumed: false, .. } = event {
            self.audit(plan);
        }
        self.inner.event(event);
    }
}
