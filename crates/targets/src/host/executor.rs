//! The executor: finds the code of each step. It decides nothing.

use super::action::{Action, Holding, Verification, Work};
use super::gate::{self, Coordinator, Nobody};
use super::layout::Layout;
use super::site::{Offer, Site, SupervisorProgram};
use super::standing::explained;
use super::steps::switch::Verdict;
use super::steps::{
    assemble, dependencies, env_file, hold, hook, link, preflight, prune, receive, restart, settle, smoke, stop,
    switch, verify,
};
use super::succession::Planned;
use cutover_core::config::VerifyConfig;
use cutover_core::id::TargetName;
use cutover_core::plan::{Plan, Step};
use cutover_core::target::{Before, Cause, Failure, Outcome, Progress, Restoration, Target, Unwinding};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A plan for hosts.
pub type HostPlan = Plan<Action>;

/// This machine, as the target of one plan.
pub struct LocalHost<'a> {
    plan: &'a HostPlan,
    offer: Option<&'a Offer<'a>>,
    supervisor: &'a SupervisorProgram,
    coordinator: &'a dyn Coordinator,
    layouts: BTreeMap<PathBuf, Layout>,
    env_files: BTreeMap<PathBuf, PathBuf>,
    services: Vec<Planned>,
    secret_names: BTreeSet<String>,
    verified: BTreeMap<PathBuf, VerifyConfig>,
}

const NOTHING: &str = "nothing to take back";

impl<'a> LocalHost<'a> {
    /// This machine for a plan. Without an offer, as in a recovery, only what the host has can be used.
    pub fn new(
        plan: &'a HostPlan,
        offer: Option<&'a Offer<'a>>,
        supervisor: &'a SupervisorProgram,
        coordinator: &'a dyn Coordinator,
    ) -> Self {
        let layouts =
            plan.steps.iter().map(|step| (step.action.deploy_to.clone(), Layout::new(&step.action.deploy_to)));
        let mut host = Self {
            plan,
            offer,
            supervisor,
            coordinator,
            layouts: layouts.collect(),
            env_files: BTreeMap::new(),
            services: Vec::new(),
            secret_names: BTreeSet::new(),
            verified: BTreeMap::new(),
        };
        for step in &plan.steps {
            host.learn(&step.target, &step.action);
        }
        host
    }

    /// What one step says about the others' surroundings.
    fn learn(&mut self, target: &TargetName, action: &Action) {
        if let Work::Restart(service) = &action.work {
            let original = self.plan.original.as_ref();
            self.services.push(Planned::new(service, target, &action.deploy_to, original));
        }
        if let Work::Hold(Holding { env, .. }) = &action.work {
            self.secret_names.extend(env.secrets.iter().cloned());
            self.env_files.extend(env.path.clone().map(|file| (action.deploy_to.clone(), file)));
        }
        if let Work::Verify(Verification { verify, .. }) = &action.work {
            self.verified.insert(action.deploy_to.clone(), verify.clone());
        }
    }

    /// What the whole way back says of the release that a step had switched to.
    fn verdict(&self, switch: &Step<Action>, unwinding: Unwinding) -> Verdict {
        if unwinding.cause == Cause::Cancelled {
            return Verdict::None;
        }
        let deployment = &self.plan.deployment;
        let Some(failed) = unwinding.failed.and_then(|id| self.plan.step(id)) else {
            return Verdict::Bad(format!("taken back by deployment {deployment}"));
        };
        // Whoever waits for the other hosts was healthy: that the client is gone says nothing of the release.
        if matches!(failed.action.work, Work::Await(_)) {
            return Verdict::None;
        }
        if failed.target != switch.target {
            let (name, target) = (&failed.name, &failed.target);
            return Verdict::Bad(format!("taken back by deployment {deployment}, where {name} of {target} failed"));
        }
        if matches!(failed.action.work, Work::Restart(_)) {
            return Verdict::NeverStarted(deployment.clone());
        }
        if matches!(failed.action.work, Work::Verify(_)) {
            return Verdict::Bad(format!("not healthy in deployment {deployment}"));
        }
        Verdict::Bad(format!("taken back by deployment {deployment}, where {} failed", failed.name))
    }

    fn site<'s>(&'s self, step: &'s Step<Action>) -> Site<'s> {
        Site {
            // Every step's directory was put there by `new`.
            layout: &self.layouts[&step.action.deploy_to],
            target: &step.target,
            release: &self.plan.release,
            original: self.plan.original.as_ref(),
            deployment: &self.plan.deployment,
            kind: self.plan.kind,
            project: &self.plan.project,
            environment: self.plan.environment.as_str(),
            commit: &self.plan.commit,
            subject: &self.plan.subject,
            by: &self.plan.by,
            made_at: self.plan.made_at,
            offer: self.offer,
            supervisor: self.supervisor,
            env_file: self.env_files.get(&step.action.deploy_to).cloned(),
            steps: &self.plan.steps,
            services: &self.services,
            secret_names: &self.secret_names,
            verify: self.verified.get(&step.action.deploy_to),
        }
    }
}

/// Makes the checks of a plan's preflight steps without a deployment; nothing is changed.
pub fn check_preflight(plan: &HostPlan, supervisor: &SupervisorProgram) -> Result<(), Failure> {
    let host = LocalHost::new(plan, None, supervisor, &Nobody);
    plan.steps.iter().try_for_each(|step| match &step.action.work {
        Work::Preflight(wanted) => preflight::apply(&host.site(step), wanted).map(|_| ()),
        _ => Ok(()),
    })
}

impl Target for LocalHost<'_> {
    type Action = Action;

    fn capture(&self, step: &Step<Action>) -> Result<Before, Failure> {
        let site = self.site(step);
        match &step.action.work {
            Work::Hold(holding) => hold::capture(&site, holding),
            Work::Env(env) => env_file::capture(&site, env),
            Work::Switch => switch::capture(&site),
            Work::Restart(service) => restart::capture(&site, service),
            Work::Preflight(_)
            | Work::Receive(_)
            | Work::Assemble(_)
            | Work::Link(_)
            | Work::StageEnv(_)
            | Work::Dependencies(_)
            | Work::Install(_)
            | Work::Smoke(_)
            | Work::Migrate(_)
            | Work::Stop
            | Work::Verify(_)
            | Work::Settle(_)
            | Work::After(_)
            | Work::Prune(_)
            | Work::Await(_) => Ok(Before::default()),
        }
    }

    fn apply(&self, step: &Step<Action>, before: &Before, progress: &dyn Progress) -> Result<Outcome, Failure> {
        let site = self.site(step);
        let applied = match &step.action.work {
            Work::Preflight(preflight) => preflight::apply(&site, preflight),
            Work::Receive(artifact) => receive::apply(&site, artifact, progress),
            Work::Assemble(assembly) => assemble::apply(&site, assembly, progress),
            Work::Link(links) => link::apply(&site, links),
            Work::StageEnv(env) => env_file::stage(&site, env),
            Work::Dependencies(python) => dependencies::apply(&site, python, progress),
            Work::Install(hook) | Work::After(hook) => hook::apply(&site, hook, progress),
            Work::Smoke(smoke) => smoke::apply(&site, smoke, progress),
            Work::Hold(holding) => hold::apply(holding, before),
            Work::Env(env) => env_file::apply(&site, env, before),
            Work::Migrate(migration) => hook::migrate(&site, migration, progress),
            Work::Stop => stop::apply(&site, progress),
            Work::Switch => switch::apply(&site, before),
            Work::Restart(service) => restart::apply(&site, service, before, progress),
            Work::Verify(wanted) => verify::apply(&site, wanted, progress),
            Work::Settle(settlement) => settle::apply(&site, settlement),
            Work::Prune(retention) => prune::apply(&site, retention),
            Work::Await(awaited) => {
                let of = (&self.plan.deployment, self.plan.artifact.as_str());
                gate::apply(self.coordinator, awaited, of, progress)
            }
        };
        applied.map_err(|failure| explained(failure, site.layout))
    }

    fn restore(
        &self,
        step: &Step<Action>,
        before: &Before,
        unwinding: Unwinding,
        progress: &dyn Progress,
    ) -> Result<Restoration, Failure> {
        let site = self.site(step);
        match &step.action.work {
            Work::Hold(holding) => return hold::restore(&site, holding, before, unwinding, progress),
            Work::Assemble(_) => assemble::restore(&site),
            Work::StageEnv(_) => env_file::restore_stage(&site),
            Work::Dependencies(python) => dependencies::restore(&site, python),
            Work::Env(env) => env_file::restore(&site, env, before),
            Work::Migrate(migration) => hook::migrate_back(&site, migration, progress),
            Work::Switch => switch::restore(&site, before, &self.verdict(step, unwinding)),
            Work::Restart(service) => restart::restore(&site, service, before, progress),
            // These change nothing, or only the release's own directory, which `assemble` takes away, or what `hold` brings back.
            Work::Preflight(_)
            | Work::Receive(_)
            | Work::Link(_)
            | Work::Install(_)
            | Work::Smoke(_)
            | Work::Stop
            | Work::Verify(_)
            | Work::Settle(_)
            | Work::After(_)
            | Work::Prune(_)
            | Work::Await(_) => Ok(NOTHING.to_owned()),
        }
        .map(Restoration::from)
    }
}
