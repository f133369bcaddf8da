//! The workflow that deploys what is pushed.

use super::model::{Concurrency, Job, Manner, Step, Work, Workflow};
use super::steps::{build, checkout, download, install, packed, steps};
use super::{Place, call_checks, checks, expression, places, release, run_url, token_beside};
use crate::Project;
use crate::expression::string;
use crate::yaml::Yaml;
use cutover_core::config::Config;
use std::collections::BTreeSet;

/// Pushes to the branches of environments: judged, packed once, and deployed to each of its environments. None where no
/// environment has a branch.
pub(super) fn workflow(project: &Project<'_>) -> Option<Workflow> {
    let config = project.config;
    let branches = checks::deploying_branches(config);
    let all = places(config, "deploy");
    let own: Vec<&Place<'_>> = all.iter().filter(|place| place.environment.branch.is_some()).collect();
    if own.is_empty() {
        return None;
    }
    let (mut jobs, needs) = judged(project);
    jobs.push(("build".to_owned(), Job { needs, ..build(project, None) }));
    jobs.extend(own.iter().map(|place| (place.job.clone(), pushed(project, place, &all))));
    let released = own.iter().filter(|place| release::is_released(project, place));
    jobs.extend(released.map(|place| ("release".to_owned(), release::job(project, place))));
    Some(Workflow {
        name: "Cutover deploy",
        on: Yaml::table([("push", Yaml::table([("branches", Yaml::texts(branches))]))]),
        concurrency: Some(Concurrency { group: format!("cutover-deploy-{}", line(config)), manner: Manner::Queue }),
        directory: project.directory.map(str::to_owned),
        jobs,
    })
}

/// The line that a run waits in: its branch's. A run that waits for a person must not hold up those behind it: it has a line of its
/// own, and people choose what goes live.
fn line(config: &Config) -> String {
    let branches = unordered_branches(config);
    let is_one = branches.iter().map(|branch| format!("github.ref_name == {}", string(branch))).collect::<Vec<_>>();
    if is_one.is_empty() {
        return expression("github.ref");
    }
    expression(&format!("({}) && github.run_id || github.ref", is_one.join(" || ")))
}

/// The branches whose pushes are not deployed in their order: a person says when one of their environments is.
fn unordered_branches(config: &Config) -> BTreeSet<&str> {
    let waiting = config.workflows.approval.iter().filter_map(|name| config.environments.get(name));
    waiting.filter(|environment| !environment.targets.is_empty()).filter_map(|it| it.branch.as_deref()).collect()
}

/// What is not deployed in the order of its pushes, though no person is asked about it.
pub(super) fn out_of_order(config: &Config) -> Vec<String> {
    let branches = unordered_branches(config);
    let by_itself = config.environments.iter().filter_map(|(name, environment)| {
        let branch = environment.branch.as_deref().filter(|branch| branches.contains(branch))?;
        (!environment.targets.is_empty() && !config.workflows.approval.contains(name)).then_some((name, branch))
    });
    let told = by_itself.map(|(name, branch)| {
        format!(
            "pushes to {branch} do not wait for each other, since another environment of it is in `approval`: {name} gets them in \
             the order in which their checks end; give one of the two a branch of its own"
        )
    });
    told.collect()
}

/// The job that judges the change, where anything does, and what is to wait for it.
pub(super) fn judged(project: &Project<'_>) -> (Vec<(String, Job)>, Vec<String>) {
    if project.config.checks.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let job = call_checks(vec![("run", expression("github.run_id"))]);
    (vec![("checks".to_owned(), job)], vec!["checks".to_owned()])
}

fn pushed(project: &Project<'_>, place: &Place<'_>, all: &[Place<'_>]) -> Job {
    let before = project.config.workflows.after.get(place.name);
    let before = before.and_then(|name| all.iter().find(|other| other.name == name));
    let needs = ["build".to_owned()].into_iter().chain(before.map(|other| other.job.clone())).collect();
    let branch = place.environment.branch.as_deref().unwrap_or_default();
    let script = "cutover deploy --artifact \"$CUTOVER_CI_PACKED\" --wait=\"$CUTOVER_CI_WAIT\" --reason=\"$CUTOVER_CI_REASON\" -- \"$CUTOVER_CI_ENVIRONMENT\"\n";
    let mut job = job(project, place, "needs.build.outputs.id", deployment(project, place, run_url(), script));
    if let (Work::Steps { steps, .. }, true) = (&mut job.work, release::is_released(project, place)) {
        steps.extend(release::see(project, place));
    }
    Job {
        needs,
        condition: Some(format!("github.ref_name == {}", string(branch))),
        concurrency: place.queue(project),
        ..job
    }
}

/// The step that deploys.
pub(super) fn deployment(project: &Project<'_>, place: &Place<'_>, reason: String, script: &str) -> Step {
    let mut env = place.secrets_and_store(project);
    env.extend([place.named(), packed(), place.patience(project), ("CUTOVER_CI_REASON".to_owned(), reason)]);
    env.extend(token_beside(&env));
    Step { name: "Deploy", env, run: Some(script.to_owned()), ..Step::default() }
}

/// A job that deploys the artifact with the id of this expression by this step.
pub(super) fn job(project: &Project<'_>, place: &Place<'_>, id: &str, deploy: Step) -> Job {
    let seen = [place.see_approval(project), place.see_secrets(project, &place.secrets_and_store(project))];
    let mut all: Vec<Step> = seen.into_iter().flatten().collect();
    all.extend([checkout(None, false), install(), download(id), deploy]);
    Job {
        name: format!("deploy to {}", place.name),
        permissions: place.rights(project),
        environment: Some(place.name.to_string()),
        work: steps(project, all),
        ..Job::default()
    }
}
