//! One change of an environment: order, conduct, remember, tell.

use super::afar::catch_up;
use super::agents::agents;
use super::ahead::sift;
use super::apart::assert_apart;
use super::conductor::open_service;
use super::earlier::Earlier;
use super::fleet::{Fleet, FleetEnd, Member};
use super::gone::Gone;
use super::hands::{Hands, Job, Stock};
use super::identity::{asker, deployment_id};
use super::memory::remember_releases;
use super::order::{Order, Part, Task};
use super::remote::{Host, Voice};
use super::signals::{self, CANCEL};
use super::ssh_options::ssh_options;
use super::{Place, Variables, VariablesError, audit};
use crate::commands::words;
use crate::context::Context;
use crate::depot::{self, Noted};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::github::DeploymentVoice;
use crate::output::Output;
use cutover_core::artifact::{Digest, Manifest};
use cutover_core::config::{EnvironmentConfig, HostConfig, OnUnreachable, RolloutConfig, ServiceConfig};
use cutover_core::event::{Event, Observer};
use cutover_core::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use cutover_core::mask::MASKABLE_LENGTH_MIN;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind};
use cutover_core::record::{Part as RecordPart, gather, split, unite};
use cutover_core::rollout::{Rollout, Terms, Whole};
use cutover_core::store::{Filter, KEPT_COUNT, Standing, Store, StoreError};
use cutover_core::target::Failure;
use cutover_reporters::Tee;
use cutover_store::SqliteStore;
use cutover_targets::host::planner::FleetPart;
use cutover_targets::host::transaction::Ended;
use cutover_targets::host::{Layout, SupervisorProgram};
use cutover_targets::remote::ssh::Options;
use cutover_targets::service;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long reporters may take to tell what they have left.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many of the last deployments are looked at when one is resumed.
const RESUMED_COUNT_MAX: usize = 20;

/// An environment that a command is about to change.
pub(crate) struct Session<'a> {
    context: &'a Context,
    project: &'a ProjectName,
    /// The environment's targets on each of its hosts; there is at least one.
    places: Vec<Place<'a>>,
    environment: &'a EnvironmentConfig,
    /// Its variables.
    pub(crate) variables: Variables,
    /// Why, in the asker's words.
    pub(crate) reason: String,
    /// The environment that has verified the artifact, where it is promoted from one.
    pub(crate) promoted_from: Option<EnvironmentName>,
    /// How long to wait for the lock.
    pub(crate) wait: Option<Duration>,
    /// Whether older waiters give up for this one.
    pub(crate) supersede: bool,
    /// The release at which a rollback leaves a host of several, by its name.
    pub(super) stays_at: BTreeMap<String, ReleaseId>,
    by: String,
    supervisor: SupervisorProgram,
}

impl<'a> Session<'a> {
    /// The environment for a deployment, with all its variables and secrets.
    pub(crate) fn open(context: &'a Context, environment: &str) -> Result<Self, CommandError> {
        let mut session = Self::open_without_variables(context, environment)?;
        assert_apart(context.project()?, &session.places)?;
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

    /// The environment for a look: with the variables that can be had, and why the others cannot.
    pub(crate) fn open_for_look(
        context: &'a Context,
        environment: &str,
    ) -> Result<(Self, Option<VariablesError>), CommandError> {
        let mut session = Self::open_without_variables(context, environment)?;
        assert_apart(context.project()?, &session.places)?;
        let root = &context.project()?.dir;
        let (variables, error) = Variables::as_far_as_known(session.place().name.as_str(), session.environment, root);
        if let Some(error) = error.as_ref().filter(|error| error.cancelled) {
            return Err(CommandError::from(error.clone()));
        }
        warn_of_short(context, &variables);
        warn_of_open(context, session.environment)?;
        session.variables = variables;
        Ok((session, error))
    }

    fn resolve(&self, context: &Context) -> Result<Result<Variables, VariablesError>, CommandError> {
        let root = &context.project()?.dir;
        let resolved = Variables::resolve(self.place().name.as_str(), self.environment, root);
        resolved.iter().for_each(|variables| warn_of_short(context, variables));
        warn_of_open(context, self.environment)?;
        Ok(resolved)
    }

    /// The environment for what needs no new values: a rollback uses the ones that the release had.
    pub(crate) fn open_without_variables(context: &'a Context, environment: &str) -> Result<Self, CommandError> {
        let (name, environment) = context.environment(environment)?;
        let places = Place::all(name, environment)?;
        Ok(Self {
            context,
            project: &context.project()?.config.name,
            places,
            environment,
            variables: Variables::unknown(environment),
            reason: String::new(),
            promoted_from: None,
            wait: None,
            supersede: false,
            stays_at: BTreeMap::new(),
            by: asker(),
            supervisor: supervisor()?,
        })
    }

    /// Leaves out all but these hosts and targets; empty lists mean all.
    pub(crate) fn narrow(&mut self, hosts: &[String], targets: &[String]) -> Result<(), CommandError> {
        self.places = Place::narrowed(std::mem::take(&mut self.places), hosts, targets)?;
        Ok(())
    }

    /// What the last deployment brought to where the config has nothing any more.
    pub(crate) fn gone(&self) -> Vec<Gone> {
        Gone::from(self.context, self.place().name)
    }

    /// Says so.
    pub(crate) fn warn_of_gone(&self, gone: &[Gone]) {
        Gone::warn(self.context, self.place().name, gone);
    }

    /// The environment's targets on its first host.
    pub(crate) fn place(&self) -> &Place<'a> {
        &self.places[0]
    }

    /// Begins the connections to the hosts that are other machines, so that the handshakes pass while other things are done.
    pub(crate) fn connect(&self) -> Result<Vec<Option<Host>>, CommandError> {
        connect_all(self.context, &self.supervisor, &self.places)?.into_iter().collect()
    }

    /// Its targets on each of its hosts.
    pub(super) fn places(&self) -> &[Place<'a>] {
        &self.places
    }

    /// How a release spreads over its hosts.
    pub(super) fn rollout(&self) -> &RolloutConfig {
        &self.environment.rollout
    }

    /// Makes one change under the lock and tells how it ended.
    pub(crate) fn change(&self, purpose: &str, task: &Task) -> Result<Exit, CommandError> {
        self.change_through(self.connect()?, purpose, task)
    }

    /// The same, through connections that were begun before.
    pub(crate) fn change_through(
        &self,
        connections: Vec<Option<Host>>,
        purpose: &str,
        task: &Task,
    ) -> Result<Exit, CommandError> {
        let ended = self.perform(connections, purpose, task, self.usual_times())?;
        self.note_live(&ended.all);
        match ended.how {
            How::One(Some(DeploymentOutcome::RolledBack)) if is_done_without(task, &ended.all) => {
                self.say_taken_back(&ended.all);
                Ok(Exit::Done)
            }
            How::One(None) => self.say_nothing_unfinished(),
            How::One(Some(outcome)) => Ok(outcome.into()),
            How::Several(end) if ended.all.is_empty() && end.is_quiet() => self.say_nothing_unfinished(),
            How::Several(end) => {
                if end.whole() == Whole::Unchanged && matches!(task, Task::Rollback { release: None }) {
                    self.say_taken_back(&ended.all);
                }
                end.conclude()
            }
        }
    }

    /// Says that what was unfinished was taken back, and that this was all.
    fn say_taken_back(&self, all: &[Ended]) {
        let taken_back = all.iter().rev().find(|ended| ended.outcome == DeploymentOutcome::RolledBack);
        let Some(Plan { deployment, original, .. }) = taken_back.map(|ended| &ended.plan) else { return };
        let live = original.as_ref().map_or_else(String::new, |release| format!(": {release} is live and healthy"));
        let once_more = format!("`cutover rollback {}` once more goes one further", self.place().name);
        self.context.output.warn(&format!("{deployment} was unfinished and was taken back{live}; {once_more}"));
    }

    /// Notes in the shared store what is live now, so that it is kept there.
    fn note_live(&self, all: &[Ended]) {
        let live = all.iter().filter(|ended| ended.outcome == DeploymentOutcome::Deployed);
        let artifacts: BTreeSet<Digest> = live.filter_map(|ended| ended.plan.artifact.parse().ok()).collect();
        artifacts.iter().for_each(|id| depot::note(self.context, self.place().name, id, Noted::Deployed));
    }

    fn perform(
        &self,
        connections: Vec<Option<Host>>,
        purpose: &str,
        task: &Task,
        usual: BTreeMap<String, Duration>,
    ) -> Result<Performed, CommandError> {
        signals::begin_change(self.place().name, self.places.iter().any(Place::is_here))
            .map_err(|e| Failure::new(format!("watch for signals: {e}")))?;
        let hands = self.hands(task)?;
        let tee = self.context.output.tee(usual);
        let github = DeploymentVoice::here(&self.context.output, self.environment.url.as_deref());
        let ears = Ears { near: &tee, far: github.as_ref().map(DeploymentVoice::tee) };
        let ended = Mutex::new(Vec::new());
        let keep = |one: &Ended| ended.lock().unwrap_or_else(PoisonError::into_inner).push(one.clone());
        let how = self.earlier(task).and_then(|earlier| {
            let orders = self.orders(purpose, task, &earlier.settled())?;
            let auditor = self.auditor(hands.stock.as_ref(), &ears);
            let mut members: Vec<Member> =
                connections.into_iter().zip(orders).map(|(connection, order)| Member { connection, order }).collect();
            if members.len() > 1 {
                let end = self.coordinate(members, self.terms(task), &earlier, &hands, &auditor, &keep);
                return Ok(How::Several(Box::new(end)));
            }
            let Some(Member { connection, order }) = members.pop() else { return Ok(How::One(None)) };
            let job = Job { order: &order, voice: Voice::Cancel(&CANCEL), observer: &auditor, ended: &keep };
            hands.perform(connection, &job).map(How::One).map_err(|undone| undone.error)
        });
        tee.finish(PATIENCE);
        let all = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.remember(&all);
        // Nothing of ours waits for others.
        if let Some(github) = github {
            github.finish(&self.context.output);
        }
        Ok(Performed { how: how?, all })
    }

    /// What carries out orders for this.
    pub(super) fn hands(&self, task: &Task) -> Result<Hands<'_>, CommandError> {
        let goes_far = matches!(task, Task::Deploy { .. }) && !self.is_here();
        let hosts = self.places.iter().map(|place| place.host.to_owned()).collect();
        let told = (hosts, &self.context.output);
        let last = |stock: &Stock| goes_far.then(|| self.last_deployed(stock))?;
        Hands::new(&self.variables, &self.supervisor, Stock::open(self.context), task, &last, told)
    }

    /// What was deployed last, as far as it is known here: hosts probably have it.
    fn last_deployed(&self, stock: &Stock) -> Option<Manifest> {
        let filter = Filter { standing: Some(Standing::Ended(DeploymentOutcome::Deployed)), ..self.filter().ok()? };
        let last = self.context.memory().ok()?.ask(|store| store.history(&filter, 1)).ok()?.rows.pop()?;
        Some(stock.store.get(&last.artifact).ok()?.manifest)
    }

    /// How many hosts it has.
    pub(super) fn host_count(&self) -> usize {
        self.places.len()
    }

    /// Whether all of it is on this machine.
    pub(super) fn is_here(&self) -> bool {
        self.places.iter().all(Place::is_here)
    }

    fn coordinate(
        &self,
        members: Vec<Member>,
        terms: Terms,
        earlier: &Earlier,
        hands: &Hands<'_>,
        observer: &dyn Observer,
        ended: &(dyn Fn(&Ended) + Sync),
    ) -> FleetEnd {
        let rollout = members.iter().all(|member| member.order.part.is_some()).then(|| Rollout {
            config: &self.environment.rollout,
            migrating: members.iter().position(|member| member.order.migrates()),
        });
        let perform = |member: Member, voice: Voice<'_>, observer: &dyn Observer| {
            hands.perform(member.connection, &Job { order: &member.order, voice, observer, ended: &ended })
        };
        let brings_one_artifact = members.iter().all(|member| member.order.task.names_what_it_brings());
        Fleet { rollout, observer, cancel: &CANCEL, perform: &perform, brings_one_artifact, terms, earlier }
            .run(members)
    }

    fn auditor<'s>(&'s self, stock: Option<&'s Stock>, inner: &'s dyn Observer) -> Auditor<'s> {
        let Self { context, variables, .. } = self;
        let is_done = AtomicBool::new(false);
        Auditor { output: &context.output, place: self.place(), variables, stock, inner, is_done }
    }

    /// What the end of several hosts depends on. Who closes what is unfinished wants that everywhere.
    fn terms(&self, task: &Task) -> Terms {
        let closes = matches!(task, Task::Abandon);
        let on_unreachable = if closes { OnUnreachable::Refuse } else { self.environment.rollout.on_unreachable };
        Terms { on_unreachable, brings_release: task.brings_release() }
    }

    /// One order for each host. Those deployments have settled on one of them.
    pub(super) fn orders(
        &self,
        purpose: &str,
        task: &Task,
        settled: &BTreeSet<DeploymentId>,
    ) -> Result<Vec<Order>, CommandError> {
        let made_at = Timestamp::now();
        let deployment = deployment_id(made_at)?;
        // The first host that has a migration runs it for all of them: they share what it changes.
        let migrating = self.places.iter().position(has_migration).filter(|_| matches!(task, Task::Deploy { .. }));
        let rollout = &self.environment.rollout;
        let waits = self.places.len() > 1 && task.is_coordinated();
        let hosts: Vec<String> = self.places.iter().map(|place| place.host.to_owned()).collect();
        let orders = self.places.iter().enumerate().map(|(at, place)| Order {
            project: self.project.clone(),
            environment: place.name.clone(),
            host: place.host.to_owned(),
            targets: place.targets.iter().map(|(name, config)| (name.clone(), (*config).clone())).collect(),
            secret_names: self.variables.secret_names.clone(),
            deployment: deployment.clone(),
            made_at,
            by: self.by.clone(),
            reason: self.reason.clone(),
            promoted_from: self.promoted_from.clone(),
            purpose: purpose.to_owned(),
            wait: self.wait,
            supersede: self.supersede,
            task: task.clone(),
            stays_at: self.stays_at.get(place.host).cloned(),
            settled: settled.clone(),
            part: waits.then(|| Part {
                plan: FleetPart {
                    hosts: hosts.clone(),
                    migrates: migrating == Some(at),
                    on_lost: rollout.on_lost_coordinator,
                },
                lease: rollout.lease,
            }),
        });
        Ok(orders.collect())
    }

    /// How the last deployments ended where one of several hosts is to be resumed, as the hosts say themselves.
    fn earlier(&self, task: &Task) -> Result<Earlier, CommandError> {
        if !matches!(task, Task::Resume) || self.places.len() == 1 {
            return Ok(Earlier::default());
        }
        catch_up(self.context, self)?;
        let filter = self.filter()?;
        self.context.recall(|store| {
            let mut earlier = Earlier::default();
            for row in store.history(&filter, RESUMED_COUNT_MAX)?.rows {
                let parts = split(&store.plan(&row.deployment)?, &store.entries(&row.deployment)?);
                earlier.note(row.deployment, &parts);
            }
            Ok(earlier)
        })
    }

    /// Closes whatever is unfinished, as it stands, and remembers it so.
    pub(crate) fn abandon(&self) -> Result<Vec<DeploymentId>, CommandError> {
        let purpose = "close what is unfinished";
        let performed = self.perform(self.connect()?, purpose, &Task::Abandon, BTreeMap::new())?;
        if let How::Several(end) = performed.how {
            end.conclude()?;
        }
        let mut closed: Vec<DeploymentId> = performed.all.into_iter().map(|ended| ended.plan.deployment).collect();
        closed.sort();
        closed.dedup();
        Ok(closed)
    }

    /// What supervises `process` services.
    pub(super) fn supervisor(&self) -> &SupervisorProgram {
        &self.supervisor
    }

    fn usual_times(&self) -> BTreeMap<String, Duration> {
        let scope = self.context.scope(Some(self.place().name)).ok();
        let ask = |scope| self.context.memory().ok()?.ask(|store| store.usual_times(&scope, None)).ok();
        let times: BTreeMap<String, u64> = scope.and_then(ask).unwrap_or_default();
        times.into_iter().map(|(step, ms)| (step, Duration::from_millis(ms))).collect()
    }

    /// The journal is the truth: a history that can't be written now catches up later, and fails no deployment.
    pub(super) fn remember(&self, all: &[Ended]) {
        for ended in all {
            if let Some(why) = &ended.unfiled {
                let id = &ended.plan.deployment;
                let told = format!("the journal of {id} could not be filed, which the next command does: {why}");
                self.context.output.warn(&told);
            }
        }
        let (all, warnings) = sift(all, Timestamp::now());
        warnings.iter().for_each(|warning| self.context.output.warn(warning));
        let written = parts(&all).and_then(|parts| {
            let keep = |store: &SqliteStore| {
                parts.iter().try_for_each(|part| store.ingest(&part.plan, &part.records))?;
                self.tidy(store)
            };
            Ok(self.context.memory()?.ask(keep)?)
        });
        if written.is_err() {
            self.context.output.warn("the history was not written; it will catch up later");
        }
    }

    fn tidy(&self, store: &SqliteStore) -> Result<(), StoreError> {
        store.prune(self.project, self.place().name, KEPT_COUNT)?;
        // What lies on another machine cannot be seen from here.
        let here = self.places.iter().filter(|place| place.is_here()).flat_map(Place::layouts);
        for (target, _, layout) in here {
            remember_releases(store, self.project, self.place().name, target, &layout)?;
        }
        Ok(())
    }

    /// Says so, and how the last one ended: whoever lost a connection wants to know that.
    fn say_nothing_unfinished(&self) -> Result<Exit, CommandError> {
        // Several hosts told it before they were asked to resume.
        if self.host_count() == 1 {
            catch_up(self.context, self)?;
        }
        let filter = self.filter()?;
        let rows = self.context.recall(|store| store.history(&filter, RESUMED_COUNT_MAX))?.rows;
        // Of what another host called off there is nothing to know.
        let last = rows.into_iter().find(|row| !row.was_called_off());
        if self.context.output.json {
            self.context.output.json(&serde_json::json!({ "v": 1, "unfinished": null, "last": last }))?;
            return Ok(Exit::Done);
        }
        let ended = last.map_or_else(String::new, |last| {
            format!("; the last deployment was {}: {}", last.deployment, words::end(&last))
        });
        self.context.output.text(&format!("nothing is unfinished{ended}\n"))?;
        Ok(Exit::Done)
    }

    /// The environment's deployments.
    pub(super) fn filter(&self) -> Result<Filter, CommandError> {
        Ok(Filter { scope: self.context.scope(Some(self.place().name))?, ..Filter::default() })
    }
}

fn warn_of_short(context: &Context, variables: &Variables) {
    variables.too_short().iter().for_each(|name| {
        context.output.warn(&format!(
            "secret {name} is too short to be masked: it will be seen in logs and output that have it; give it {MASKABLE_LENGTH_MIN} characters or more"
        ));
    });
}

/// Whether what was asked for was done by taking back what was unfinished: a rollback to no release in particular.
fn is_done_without(task: &Task, all: &[Ended]) -> bool {
    matches!(task, Task::Rollback { release: None })
        && all.last().is_some_and(|ended| ended.plan.kind == PlanKind::Deploy)
}

/// No error: where the file is may be nobody else's machine.
fn warn_of_open(context: &Context, environment: &EnvironmentConfig) -> Result<(), CommandError> {
    for (name, file) in Variables::open_to_all(environment, &context.project()?.dir) {
        let file = file.display();
        context
            .output
            .warn(&format!("secret {name} is in a file that everybody on this machine may read: chmod 600 {file}"));
    }
    Ok(())
}

/// How a change ended, and every deployment that ended with it.
struct Performed {
    how: How,
    all: Vec<Ended>,
}

/// How a change of one host or of several ended.
enum How {
    One(Option<DeploymentOutcome>),
    Several(Box<FleetEnd>),
}

/// Each deployment as one, whatever the number of its hosts.
fn parts(all: &[&Ended]) -> Result<Vec<RecordPart>, CommandError> {
    let part = |ended: &Ended| Ok(RecordPart { plan: ended.plan.erased()?, records: ended.records.clone() });
    let parts = all.iter().copied().map(part).collect::<Result<Vec<_>, CommandError>>()?;
    let united = gather(parts).into_iter().filter_map(unite);
    Ok(united.map(|(plan, records)| RecordPart { plan, records }).collect())
}

fn has_migration(place: &Place<'_>) -> bool {
    place.targets.values().any(|config| config.run.migrate.is_some())
}

/// Begins a connection as the config says that hosts are reached.
pub(super) fn connect(context: &Context, host: &str, supervisor: &SupervisorProgram) -> Result<Host, CommandError> {
    // The agent there is what supervises here: this very binary.
    Host::connect(host, &ssh_options(context.project()?), agents(&supervisor.program)?)
}

/// The same to each of these places that is another machine; None for this one, and an error for one of which it is plain
/// already that it cannot be reached.
pub(super) fn connect_all<'p>(
    context: &Context,
    supervisor: &SupervisorProgram,
    places: impl IntoIterator<Item = &'p Place<'p>>,
) -> Result<Vec<Result<Option<Host>, CommandError>>, CommandError> {
    let (options, agents) = (ssh_options(context.project()?), agents(&supervisor.program)?);
    let connect =
        |place: &Place<'_>| (!place.is_here()).then(|| Host::connect(place.host, &options, agents.clone())).transpose();
    Ok(places.into_iter().map(connect).collect())
}

/// Begins a connection with options of its own, to a host that names who logs in.
pub(crate) fn connect_as(host: &str, options: &Options) -> Result<Host, CommandError> {
    Host::connect(host, options, agents(&supervisor()?.program)?)
}

/// This very binary, which knows how to supervise a process.
pub(crate) fn supervisor() -> Result<SupervisorProgram, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::new(format!("find Cutover's own executable: {e}")))?;
    Ok(SupervisorProgram { program, arguments: vec!["supervise".to_owned()] })
}

impl Session<'_> {
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

/// Those who listen here, and those elsewhere, who may take longer.
struct Ears<'a> {
    near: &'a Tee,
    far: Option<&'a Tee>,
}

impl Observer for Ears<'_> {
    fn event(&self, event: &Event) {
        self.near.event(event);
        if let Some(far) = self.far {
            far.event(event);
        }
    }
}

/// Warns of secrets in an artifact once it is known that the deployment changes something, on whichever host first.
struct Auditor<'a> {
    output: &'a Output,
    place: &'a Place<'a>,
    variables: &'a Variables,
    stock: Option<&'a Stock>,
    inner: &'a dyn Observer,
    is_done: AtomicBool,
}

impl Auditor<'_> {
    fn audit(&self, plan: &Plan) {
        if plan.kind != PlanKind::Deploy || plan.original.as_ref() == Some(&plan.release) {
            return;
        }
        if self.is_done.swap(true, Ordering::SeqCst) {
            return;
        }
        let held = self.stock.and_then(|stock| Some((stock.store.get(&plan.artifact).ok()?, &stock.blobs)));
        let Some((artifact, blobs)) = held else { return };
        let warnings = audit::artifact_warnings(self.place, self.variables, &artifact.manifest, blobs);
        warnings.iter().for_each(|warning| self.output.warn(warning));
    }
}

impl Observer for Auditor<'_> {
    fn event(&self, event: &Event) {
        let happened = if let Event::OnHost { happened, .. } = event { happened } else { event };
        if let Event::Began { plan, resumed: false, .. } = happened {
            self.audit(plan);
        }
        self.inner.event(event);
    }
}
