//! Drafts the plan of an order from what lies on this machine. Changes nothing.

use super::conductor::open_service;
use super::order::{Order, Task};
use super::place::Place;
use super::variables::Variables;
use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::Manifest;
use cutover_core::config::HostConfig;
use cutover_core::id::{ReleaseId, TargetName};
use cutover_core::target::Failure;
use cutover_targets::host::planner::{self, Subject, Wish};
use cutover_targets::host::{
    HostPlan, Layout, Listing, Release, ReleaseState, SupervisorProgram, Unreadable, amiss, linked,
};
use cutover_targets::setup::{Outdated, outdated_units};
use std::collections::BTreeSet;

/// What a plan is drafted from, whether it is carried out or only looked at.
pub(super) struct Draft<'a> {
    /// What is asked for.
    pub(super) order: &'a Order,
    /// The environment's variables.
    pub(super) variables: &'a Variables,
    /// What supervises `process` services.
    pub(super) supervisor: &'a SupervisorProgram,
}

impl Draft<'_> {
    /// The plan; a task that brings an artifact needs that one's manifest.
    pub(super) fn plan(&self, manifest: Option<&Manifest>) -> Result<HostPlan, CommandError> {
        let place = self.order.place();
        let mut wish = self.wish(&place);
        match (&self.order.task, manifest) {
            (Task::Deploy { artifact, subject, committed_at, restart }, Some(manifest)) => {
                match planner::unchanged(&wish, artifact) {
                    Some(live) => Ok(self.unchanged(wish, &live, *restart)?),
                    None => {
                        let committed_at = Some(*committed_at);
                        Ok(planner::deploy(&wish, &Subject { artifact: *artifact, manifest, subject, committed_at })?)
                    }
                }
            }
            (Task::Deploy { artifact, .. }, None) => Err(not_offered(&artifact.to_string())),
            (Task::Rollback { release }, _) => match self.stays(&place)? {
                // One that nobody has seen healthy is started anew, and seen.
                Some(live) => Ok(self.unchanged(wish, live, !is_good(&place, live))?),
                None => rollback(&place, wish, release.as_deref()),
            },
            (Task::Start, _) => {
                let live = pass_over_what_is_not_live(&mut wish)?;
                Ok(self.start(wish, &live)?)
            }
            (Task::Restart | Task::Resume | Task::Abandon | Task::Recall { .. }, _) => {
                let live = pass_over_what_is_not_live(&mut wish)?;
                Ok(planner::restart(&wish, &live, true)?)
            }
        }
    }

    /// Why a new release is made of what is live, where that is so.
    pub(super) fn why_anew(&self) -> Vec<String> {
        match &self.order.task {
            Task::Deploy { artifact, .. } => planner::why_anew(&self.wish(&self.order.place()), artifact),
            Task::Rollback { .. }
            | Task::Restart
            | Task::Start
            | Task::Resume
            | Task::Abandon
            | Task::Recall { .. } => Vec::new(),
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
            promoted_from: self.order.promoted_from.clone(),
            made_at: self.order.made_at,
            targets: place.targets.clone(),
            variables: &self.variables.values,
            secret_names: self.order.secret_names.clone(),
            part: self.order.part.as_ref().map(|part| part.plan.clone()),
            remarks: self.remarks(),
        }
    }

    /// What a deployment does not see to.
    fn remarks(&self) -> Vec<String> {
        let Order { project, environment, targets, .. } = self.order;
        let told = |outdated: Outdated| {
            let why = if outdated.hides_variables && !self.variables.values.is_empty() {
                "and its service does not see the variables and secrets, for it does not read their file"
            } else {
                "and a deployment changes no units"
            };
            let (unit, advice) = (&outdated.unit, outdated.advice().replace("ENV", environment.as_str()));
            format!("{unit} is not what cutover.toml asks for now, {why}: {advice}")
        };
        outdated_units(project, environment, targets).into_iter().map(told).collect()
    }

    /// The release at which a rollback leaves the place, where all of it is there.
    fn stays(&self, place: &Place<'_>) -> Result<Option<&ReleaseId>, Failure> {
        let release = self.order.stays_at.as_ref();
        for (_, _, layout) in place.layouts() {
            if linked(&layout.current())?.as_ref() != release {
                return Ok(None);
            }
        }
        Ok(release)
    }

    /// Looks at every service.
    fn services(&self, place: &Place<'_>) -> Services {
        let mut seen = Services { are_active: true, superseded: Vec::new() };
        for (name, config, layout) in place.layouts() {
            let Some(service) = &config.service else { continue };
            let service = open_service(self.variables, self.supervisor, name, (config, service), &layout);
            let state = service.state().ok().filter(|state| state.active);
            seen.are_active &= state.is_some();
            seen.superseded.extend(state.and_then(|state| service.superseded(&state)));
        }
        seen
    }

    /// The plan that starts what does not run. What runs is left alone.
    fn start(&self, mut wish: Wish<'_>, live: &ReleaseId) -> Result<HostPlan, Failure> {
        let place = self.order.place();
        let down: BTreeSet<TargetName> = place
            .layouts()
            .filter(|(name, _, _)| wish.targets.contains_key(*name))
            .filter(|(name, config, layout)| self.is_down(name, config, layout))
            .map(|(name, _, _)| name.clone())
            .collect();
        if down.is_empty() {
            return planner::restart(&wish, live, false);
        }
        wish.targets.retain(|name, _| down.contains(name));
        Ok(HostPlan { starts: true, ..planner::restart(&wish, live, true)? })
    }

    /// Whether a target has a service, and it does not run. One that cannot be looked at is taken for one that does not.
    fn is_down(&self, name: &TargetName, config: &HostConfig, layout: &Layout) -> bool {
        config.service.as_ref().is_some_and(|service| {
            let service = open_service(self.variables, self.supervisor, name, (config, service), layout);
            !service.state().is_ok_and(|state| state.active)
        })
    }

    /// The plan where exactly this is live: what runs is left alone as long as it runs.
    fn unchanged(&self, mut wish: Wish<'_>, live: &ReleaseId, restart: bool) -> Result<HostPlan, Failure> {
        let services = self.services(&self.order.place());
        let restart = restart || !services.are_active;
        if !restart {
            let advice = format!("`cutover app {} restart` starts it anew", self.order.environment);
            wish.remarks.extend(services.superseded.into_iter().map(|what| format!("{what}: {advice}")));
        }
        planner::restart(&wish, live, restart)
    }
}

/// What is seen of a place's services.
struct Services {
    /// Whether all of them run.
    are_active: bool,
    /// Which of them do not run as they are said to by now.
    superseded: Vec<String>,
}

/// The release that is live. Targets that have none, since they came into the config after it, are left out, and that is said.
fn pass_over_what_is_not_live(wish: &mut Wish<'_>) -> Result<ReleaseId, CommandError> {
    let (mut live, mut without) = (None, Vec::new());
    for (target, config) in &wish.targets {
        match live_in(&Layout::new(&config.deploy_to))? {
            Some(release) => live = live.or(Some(release)),
            None => without.push(target.clone()),
        }
    }
    let live = live.ok_or_else(nothing_live)?;
    for target in without {
        wish.targets.remove(&target);
        wish.remarks.push(format!("{target} is passed over: nothing is live there; `cutover deploy` brings something"));
    }
    Ok(live)
}

/// The release that is live on the first target.
fn live(place: &Place<'_>) -> Result<Option<ReleaseId>, Failure> {
    place.layouts().next().map_or(Ok(None), |(_, _, layout)| linked(&layout.current()))
}

fn rollback(place: &Place<'_>, mut wish: Wish<'_>, named: Option<&str>) -> Result<HostPlan, CommandError> {
    let live = live(place)?;
    let release = match (named, place.targets.values().next()) {
        (Some(named), Some(config)) => find(&Layout::new(&config.deploy_to), named)?,
        (None, Some(config)) => {
            let unreadable = Listing::of(&Layout::new(&config.deploy_to))?.unreadable;
            let passed_over: Vec<String> =
                unreadable.iter().filter(|release| Some(&release.id) != live.as_ref()).map(passed_over).collect();
            let tell = |failure: Failure| passed_over.iter().cloned().fold(failure.into(), CommandError::hint);
            let release = planner::last_good(config, wish.project).map_err(tell)?;
            wish.remarks.extend(passed_over);
            release
        }
        (_, None) => return Err(CommandError::new(ErrorKind::Config, "the environment has no targets")),
    };
    if live.as_ref() == Some(&release) {
        return Err(CommandError::new(ErrorKind::Usage, format!("release {release} is live already"))
            .state("nothing was changed"));
    }
    Ok(planner::rollback(&wish, &release)?)
}

/// Nobody knows whether it was good.
fn passed_over(release: &Unreadable) -> String {
    format!("release {} was passed over, as it cannot be read: {}", release.id, release.why)
}

/// Whether a release was seen healthy wherever it is live here.
fn is_good(place: &Place<'_>, live: &ReleaseId) -> bool {
    let is_good = |release: Release| release.state == ReleaseState::Good;
    place.layouts().all(|(_, _, layout)| Release::read(&layout, live).is_ok_and(is_good))
}

/// The one release whose id is this or begins with it. One that can't be read is found, too: the plan says why.
pub(super) fn find(layout: &Layout, named: &str) -> Result<ReleaseId, CommandError> {
    let Listing { releases, unreadable } = Listing::of(layout)?;
    let readable = releases.into_iter().rev().map(|release| release.id);
    let ids: Vec<ReleaseId> = readable.chain(unreadable.into_iter().map(|release| release.id)).collect();
    let fitting: Vec<&ReleaseId> = ids.iter().filter(|id| id.as_str().starts_with(named)).collect();
    match (ids.iter().find(|id| id.as_str() == named), fitting.as_slice()) {
        (Some(id), _) => Ok(id.clone()),
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

/// The release that is live there. Where `current` leads to none, that is said: a service may run all the same.
pub(crate) fn live_release(layout: &Layout) -> Result<ReleaseId, CommandError> {
    live_in(layout)?.ok_or_else(nothing_live)
}

fn live_in(layout: &Layout) -> Result<Option<ReleaseId>, CommandError> {
    match amiss(layout, None) {
        Some(amiss) => Err(CommandError::from(amiss.failure).state("nothing was changed")),
        None => Ok(linked(&layout.current())?),
    }
}

/// Nothing was ever deployed here.
fn nothing_live() -> CommandError {
    CommandError::new(ErrorKind::Usage, "nothing is live yet").hint("`cutover deploy` comes first")
}
