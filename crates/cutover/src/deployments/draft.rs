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
use cutover_targets::host::{HostPlan, Layout, Release, SupervisorProgram, linked};
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
        let wish = self.wish(&place);
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
            (Task::Rollback { release }, _) => rollback(&place, &wish, release.as_deref()),
            (Task::Start, _) => {
                let live = live(&place)?.ok_or_else(nothing_live)?;
                Ok(self.start(wish, &live)?)
            }
            (Task::Restart | Task::Resume | Task::Abandon | Task::Recall { .. }, _) => {
                let live = live(&place)?.ok_or_else(nothing_live)?;
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
            .filter(|(name, config, layout)| self.is_down(name, config, layout))
            .map(|(name, _, _)| name.clone())
            .collect();
        if down.is_empty() {
            return planner::restart(&wish, live, false);
        }
        wish.targets.retain(|name, _| down.contains(name));
        planner::restart(&wish, live, true)
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
