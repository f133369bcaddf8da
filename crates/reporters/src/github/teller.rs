//! Tells GitHub of a deployment while it goes on: a deployment with statuses, and a section of the comment.

use super::client::Client;
use super::comment::{self, Place, Section};
use super::deployment::{DeploymentNumber, State, Wish, begin, deactivate_predecessors, tell};
use super::failure::FirstFailure;
use super::fault::Fault;
use super::names::{CommitId, login};
use super::pull;
use crate::markdown::markup;
use crate::{Reporter, duration};
use cutover_core::event::Event;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind};
use cutover_core::rollout::Whole;
use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// Where a deployment is told.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The page with the logs.
    pub log_url: String,
    /// Where what is deployed can be seen.
    pub environment_url: Option<String>,
    /// Whether the comment may show what was said last, the service's log among it: where only some can read the repository.
    pub shows_log: bool,
    /// The pull request that the run is about. None: the one that was merged as what is deployed, if there is one.
    pub pull: Option<JudgedPull>,
}

/// A pull request that a run is about.
#[derive(Debug, Clone)]
pub struct JudgedPull {
    /// Its number.
    pub number: u64,
    /// Its last commit, which people know.
    pub head: CommitId,
    /// What GitHub made of that and the branch that it is to be merged into, which people do not see.
    pub merge: CommitId,
}

/// Tells GitHub. What it does not take is a warning to whoever started the deployment.
pub struct DeploymentTeller {
    client: Client,
    stage: Stage,
    warnings: Sender<String>,
    begun: Vec<Begun>,
    failure: FirstFailure,
}

/// A deployment that was begun here.
struct Begun {
    plan: Plan,
    /// None where GitHub does not have it.
    number: Option<DeploymentNumber>,
    /// Whether it went on from where another process left it, on every host that it began on.
    is_resumed: bool,
}

impl DeploymentTeller {
    /// Tells through this client, and warns through `warnings`.
    pub fn new(client: Client, stage: Stage, warnings: Sender<String>) -> Self {
        Self { client, stage, warnings, begun: Vec::new(), failure: FirstFailure::default() }
    }

    fn begin(&mut self, plan: &Plan, is_resumed: bool) {
        if let Some(known) = self.begun.iter_mut().find(|one| one.plan.deployment == plan.deployment) {
            known.is_resumed &= is_resumed;
            return;
        }
        // A restart brings nothing live, and what has no commit cannot be told of.
        if plan.kind == PlanKind::Restart || plan.commit.is_empty() {
            return;
        }
        let began = self.wish(plan).and_then(|(commit, description)| {
            let id = plan.deployment.to_string();
            let wish = wish_of(plan, &commit, &description, &id);
            let number = begin(&self.client, &wish, is_resumed).map_err(|fault| fault.to_string())?;
            self.status(number, State::InProgress, &description).map_err(|fault| fault.to_string())?;
            Ok(number)
        });
        let number = began.map_err(|why| self.warn(&why)).ok();
        // The steps are not told, and of many hosts they are many.
        self.begun.push(Begun { plan: Plan { steps: Vec::new(), ..plan.clone() }, number, is_resumed });
    }

    fn end(&mut self, whole: Whole, elapsed_ms: u64) {
        let mut begun = std::mem::take(&mut self.begun);
        // Of several hosts each may have had something unfinished to take back first, some when others were at the change.
        let Some(change) = begun.iter().rposition(|one| !one.is_resumed).or(begun.len().checked_sub(1)) else { return };
        let change = begun.remove(change);
        for earlier in begun.iter().filter_map(|earlier| earlier.number) {
            let told = self.status(earlier, State::Error, "it was unfinished, and ended before another one");
            told.unwrap_or_else(|fault| self.warn(&fault.to_string()));
        }
        let took = duration(Duration::from_millis(elapsed_ms));
        let (state, words) = ended(&change.plan, whole, &took);
        if let Some(number) = change.number {
            self.conclude(&change.plan, number, state, &words).unwrap_or_else(|why| self.warn(&why));
        }
        self.comment(&change.plan, state, &words).unwrap_or_else(|fault| self.warn(&fault.to_string()));
    }

    fn conclude(&self, plan: &Plan, number: DeploymentNumber, state: State, words: &str) -> Result<(), String> {
        self.status(number, state, words).map_err(|fault| fault.to_string())?;
        if state != State::Success {
            return Ok(());
        }
        let (commit, description) = self.wish(plan)?;
        let id = plan.deployment.to_string();
        let wish = wish_of(plan, &commit, &description, &id);
        let told = deactivate_predecessors(&self.client, &wish, number, &self.stage.log_url);
        told.map(drop).map_err(|fault| fault.to_string())
    }

    fn status(&self, number: DeploymentNumber, state: State, words: &str) -> Result<(), Fault> {
        let Stage { log_url, environment_url, .. } = &self.stage;
        tell(&self.client, number, state, words, log_url, environment_url.as_deref())
    }

    fn comment(&self, plan: &Plan, state: State, words: &str) -> Result<(), Fault> {
        let Ok(commit) = self.shown(plan) else { return Ok(()) };
        let Some(pull) = self.pull(plan, &commit)? else { return Ok(()) };
        let why = if state == State::Success { String::new() } else { self.failure.told(self.stage.shows_log) };
        let section = section(plan, &commit, state, words, (&self.stage, &why));
        let login = login(&self.client)?;
        let place = Place { pull, project: plan.project.as_str(), login: &login };
        comment::keep(&self.client, place, &section).map(drop)
    }

    /// The pull request whose comment tells of it: the one that the run is about, where its own commit is deployed, or the one
    /// that was merged as what is deployed. A way back is told where it is asked for.
    fn pull(&self, plan: &Plan, commit: &CommitId) -> Result<Option<u64>, Fault> {
        match &self.stage.pull {
            Some(pull) => Ok((*commit == pull.head).then_some(pull.number)),
            None if plan.kind == PlanKind::Deploy => pull::merged_as(&self.client, commit),
            None => Ok(None),
        }
    }

    /// The commit that it is told at: GitHub runs the merge of a pull request, and shows what is said of its head.
    fn shown(&self, plan: &Plan) -> Result<CommitId, String> {
        let commit: CommitId =
            plan.commit.parse().map_err(|error| format!("GitHub is not told of the deployment: {error}"))?;
        let pull = self.stage.pull.as_ref().filter(|pull| pull.merge == commit);
        Ok(pull.map_or(commit, |pull| pull.head.clone()))
    }

    /// The commit and the description of what a plan brings live.
    fn wish(&self, plan: &Plan) -> Result<(CommitId, String), String> {
        let verb = match plan.kind {
            PlanKind::Deploy => "deploy",
            PlanKind::Rollback => "roll back to",
            PlanKind::Restart => "restart",
        };
        let dirty = if plan.dirty { ", with uncommitted changes" } else { "" };
        Ok((self.shown(plan)?, format!("{verb} {}{dirty}", plan.release)))
    }

    fn warn(&self, why: &str) {
        // Whoever does not listen any more does not want to be warned.
        let _heard = self.warnings.send(why.to_owned());
    }
}

impl Drop for DeploymentTeller {
    /// Nothing more comes: what has not ended is with its hosts, and nobody here hears of its end.
    fn drop(&mut self) {
        for begun in std::mem::take(&mut self.begun).into_iter().filter(|_| !std::thread::panicking()) {
            let Some(number) = begun.number else { continue };
            let told = self.status(number, State::Error, "nobody knows how it ended: `cutover resume` finds out");
            told.unwrap_or_else(|fault| self.warn(&fault.to_string()));
        }
    }
}

impl Reporter for DeploymentTeller {
    /// Tells how a deployment begins and how it ends; what lies between is in the run's log.
    fn tell(&mut self, event: &Event) -> io::Result<()> {
        self.failure.hear(event);
        match event {
            Event::Began { plan, resumed, .. } => self.begin(plan, *resumed),
            Event::OnHost { happened, .. } => {
                if let Event::Began { plan, resumed, .. } = &**happened {
                    self.begin(plan, *resumed);
                }
            }
            Event::Ended { outcome, elapsed_ms, .. } => self.end(alone(*outcome), *elapsed_ms),
            Event::FleetEnded { whole, elapsed_ms, .. } => self.end(*whole, *elapsed_ms),
            Event::Recorded { .. }
            | Event::Progressed { .. }
            | Event::Output { .. }
            | Event::Probed { .. }
            | Event::Waiting { .. }
            | Event::Silent { .. }
            | Event::Fleet { .. }
            | Event::Stands { .. }
            | Event::Wave { .. } => {}
        }
        Ok(())
    }
}

fn wish_of<'a>(plan: &'a Plan, commit: &'a CommitId, description: &'a str, id: &'a str) -> Wish<'a> {
    Wish { commit, environment: plan.environment.as_str(), project: plan.project.as_str(), id, description }
}

/// The end of one host as that of the whole.
fn alone(outcome: DeploymentOutcome) -> Whole {
    match outcome {
        DeploymentOutcome::Deployed => Whole::Done,
        DeploymentOutcome::RolledBack => Whole::RolledBack,
        DeploymentOutcome::Failed => Whole::Failed,
        DeploymentOutcome::Stuck => Whole::Stuck,
    }
}

fn ended(plan: &Plan, whole: Whole, took: &str) -> (State, String) {
    let before = plan.original.as_ref().map(|release| format!(", {release} is live and healthy")).unwrap_or_default();
    let release = &plan.release;
    match whole {
        Whole::Done | Whole::Unchanged => (State::Success, format!("{release} went live in {took}")),
        Whole::Skipped => {
            (State::Success, format!("{release} went live in {took}, but not on hosts that were out of reach"))
        }
        Whole::RolledBack => (State::Failure, format!("rolled back after {took}{before}")),
        Whole::Divided => (State::Failure, format!("divided after {took}: {release} is live on some hosts only")),
        Whole::Failed => (State::Failure, format!("failed after {took}, nothing was switched")),
        Whole::NotDone => (State::Failure, format!("not done after {took}: a host refused or was out of reach")),
        Whole::Stuck => (State::Error, format!("stuck after {took}: a person is needed")),
        Whole::InDoubt => (State::Error, format!("after {took} nobody knows how it ended: look at its hosts")),
    }
}

fn section(plan: &Plan, commit: &CommitId, state: State, words: &str, (stage, why): (&Stage, &str)) -> Section {
    let mark = if state == State::Success { "✓" } else { "✗" };
    let environment = plan.environment.as_str();
    let link = stage.environment_url.as_ref().map(|url| format!(" · [Open]({url})")).unwrap_or_default();
    // The subject of a merge that GitHub made names two hashes, and nothing that anybody knows.
    let subject = if commit.to_string() == plan.commit { format!(" {}", markup(&plan.subject)) } else { String::new() };
    let commit = commit.short();
    let dirty = if plan.dirty { " with uncommitted changes" } else { "" };
    let text = format!(
        "**{}**: {mark} {}{why}\n\n`{commit}`{dirty}{subject} · [Logs]({}){link}",
        markup(environment),
        markup(words),
        stage.log_url,
    );
    Section::new(&format!("deploy {environment}"), &text)
}
