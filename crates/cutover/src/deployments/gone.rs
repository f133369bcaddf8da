//! What an earlier deployment brought to where the config has nothing any more: its service may run on for ever.

use super::place::{Place, is_asked_from_elsewhere};
use crate::context::Context;
use cutover_core::config::EnvironmentConfig;
use cutover_core::id::{DeploymentId, EnvironmentName, TargetName};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind, Step};
use cutover_core::store::{Filter, Standing, Store, StoreError};
use cutover_targets::host::{Action, Work};
use cutover_targets::remote::destination::Destination;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// A target with a service, on a host and in a place that the config has no more.
pub(crate) struct Gone {
    target: TargetName,
    host: String,
    deploy_to: PathBuf,
    deployment: DeploymentId,
}

impl Gone {
    /// What the last deployment that changed an environment had, and the config has not, as far as this machine remembers. Nobody is
    /// asked. An environment of pull requests comes and goes with them.
    pub(crate) fn from(context: &Context, name: &EnvironmentName) -> Vec<Self> {
        let Ok(project) = context.project() else { return Vec::new() };
        let is_of_pull_requests = project.config.workflows.pull_requests.as_ref() == Some(name);
        if is_asked_from_elsewhere() || is_of_pull_requests || !context.remembers() {
            return Vec::new();
        }
        let known: BTreeSet<Spot> =
            project.config.environments.iter().flat_map(|(name, config)| spots(name, config)).collect();
        // A history that cannot be read keeps nobody from anything.
        last_change(context, name).map_or_else(Vec::new, |plan| left(&plan, &known))
    }

    /// What was found, in words.
    pub(crate) fn what(&self) -> String {
        let Self { target, host, deploy_to, deployment } = self;
        let place = deploy_to.display();
        format!(
            "{target} in {place} on {host} was deployed by {deployment} and is in cutover.toml no more: its service may still run"
        )
    }

    /// What to do about it.
    pub(crate) fn fix(&self, environment: &EnvironmentName) -> String {
        let Self { target, host, .. } = self;
        format!("put it back, `cutover app {environment} stop --target {target} --host {host}`, and take it out again")
    }

    /// Says so of all of them.
    pub(crate) fn warn(context: &Context, name: &EnvironmentName, all: &[Self]) {
        all.iter().for_each(|gone| context.output.warn(&format!("{}; to stop it, {}", gone.what(), gone.fix(name))));
    }
}

/// A host whoever logs in there, and a directory on it.
type Spot = (String, PathBuf);

fn spot(host: &str, deploy_to: PathBuf) -> Spot {
    (Destination::parse(host).place(), deploy_to)
}

fn spots(name: &EnvironmentName, config: &EnvironmentConfig) -> Vec<Spot> {
    let places = Place::all(name, config).unwrap_or_default();
    let of = |place: &Place<'_>| {
        place.targets.values().map(|config| spot(place.host, config.deploy_to.clone())).collect::<Vec<_>>()
    };
    places.iter().flat_map(of).collect()
}

/// The plan of the last deployment that went well and brought another release.
fn last_change(context: &Context, name: &EnvironmentName) -> Option<Plan> {
    let scope = context.scope(Some(name)).ok()?;
    let filter = Filter { scope, standing: Some(Standing::Ended(DeploymentOutcome::Deployed)), ..Filter::default() };
    context.memory().ok()?.ask(|store| last_of(store, &filter)).ok()?
}

/// The plan of the newest of these that brought another release: a restart may be of some targets only.
fn last_of(store: &impl Store, filter: &Filter) -> Result<Option<Plan>, StoreError> {
    let mut last = None;
    store.each(filter, &mut |row| {
        if row.is_change() || row.kind == PlanKind::Rollback {
            last = Some(row.deployment);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    last.map(|deployment| store.plan(&deployment)).transpose()
}

/// The targets of a plan that are in none of these places.
fn left(plan: &Plan, known: &BTreeSet<Spot>) -> Vec<Gone> {
    let gone = |step: &Step<serde_json::Value>| {
        let Action { deploy_to, work: Work::Hold(holding) } = Action::deserialize(&step.action).ok()? else {
            return None;
        };
        let is_known = known.contains(&spot(&step.host, deploy_to.clone()));
        (holding.service.is_some() && !is_known).then(|| Gone {
            target: step.target.clone(),
            host: step.host.clone(),
            deploy_to,
            deployment: plan.deployment.clone(),
        })
    };
    plan.steps.iter().filter_map(gone).collect()
}
