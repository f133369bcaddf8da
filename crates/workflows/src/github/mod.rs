//! Workflows for GitHub Actions.
//!
//! Every job says what it may, gets its own secrets only, and has a time limit. Each environment has one queue, whatever
//! workflow changes it. A file for each reason to run, so that the list of runs reads by itself.

mod action;
mod checks;
mod deploy;
mod manual;
mod model;
mod pull_request;
mod release;
mod report;
mod steps;

pub use action::project_action;
pub(crate) use checks::unbraced;

use crate::names::job_names;
use crate::yaml::{Yaml, document};
use crate::{File, Project, Rendered, store_variables, warnings};
use cutover_core::config::{Config, EnvironmentConfig, SecretSource};
use cutover_core::id::EnvironmentName;
use model::{Concurrency, Job, Manner, Work, Workflow};

pub(crate) const CHECKS: &str = ".github/workflows/cutover-checks.yml";
pub(crate) const DEPLOY: &str = ".github/workflows/cutover-deploy.yml";
pub(crate) const PULL_REQUEST: &str = ".github/workflows/cutover-pull-request.yml";
pub(crate) const MANUAL: &str = ".github/workflows/cutover-manual.yml";
pub(crate) const REPORT: &str = ".github/workflows/cutover-report.yml";
pub(crate) const ROLLBACK: &str = ".github/workflows/cutover-rollback.yml";

/// What a job may that judges, and tells GitHub: a check run, a comment on the pull request.
const JUDGES: [&str; 3] = ["checks: write", "contents: read", "pull-requests: write"];

/// The variable with the token that Cutover tells GitHub with; a fork's pull request has one that may only read.
fn token() -> (String, String) {
    ("GITHUB_TOKEN".to_owned(), expression("github.token"))
}

/// The same, unless the secrets of the environment have one of that name.
fn token_beside(env: &[(String, String)]) -> Option<(String, String)> {
    Some(token()).filter(|(token, _)| env.iter().all(|(name, _)| name != token))
}

/// Makes the workflows that a config asks for.
pub fn github(project: &Project<'_>) -> Rendered {
    let files = [
        checks::workflow(project).map(|workflow| file(project, CHECKS, &workflow)),
        deploy::workflow(project).map(|workflow| file(project, DEPLOY, &workflow)),
        manual::deploy(project).map(|workflow| file(project, MANUAL, &workflow)),
        pull_request::workflow(project).map(|workflow| file(project, PULL_REQUEST, &workflow)),
        report::workflow(project).map(|workflow| file(project, REPORT, &workflow)),
        manual::rollback(project).map(|workflow| file(project, ROLLBACK, &workflow)),
    ];
    let mut files: Vec<File> = files.into_iter().flatten().collect();
    if !files.is_empty() {
        files.insert(0, action::local(project));
    }
    let mut warnings = warnings::common(project.config);
    warnings.extend(impossible_secrets(project.config));
    warnings.extend(alike(project.config));
    warnings.extend(deploy::out_of_order(project.config));
    Rendered { files, warnings }
}

fn file(project: &Project<'_>, path: &str, workflow: &Workflow) -> File {
    File { path: path.to_owned(), text: marked(project, &workflow.yaml()) }
}

fn marked(project: &Project<'_>, yaml: &Yaml) -> String {
    format!("{}\n{}", project.mark(), document(yaml))
}

/// GitHub does not tell names apart by case, of environments and in conditions.
fn alike(config: &Config) -> Vec<String> {
    let names: Vec<&str> = config.environments.keys().map(EnvironmentName::as_str).collect();
    let pairs = names.iter().enumerate().flat_map(|(at, one)| names[at + 1..].iter().map(move |other| (one, other)));
    let same = pairs.filter(|(one, other)| one.eq_ignore_ascii_case(other));
    same.map(|(one, other)| format!("GitHub takes the environments {one} and {other} for one: rename one of them"))
        .collect()
}

/// GitHub keeps names that begin with `GITHUB_` to itself, and workflows have variables of their own.
fn impossible_secrets(config: &Config) -> Vec<String> {
    let secrets = config.environments.iter().flat_map(|(name, environment)| {
        let variables = variables(environment);
        variables.into_iter().map(move |variable| (name, variable)).collect::<Vec<_>>()
    });
    let is_taken = |variable: &str| {
        let variable = variable.to_ascii_uppercase();
        variable.starts_with("CUTOVER_CI_") || variable.starts_with("GITHUB_") && variable != "GITHUB_TOKEN"
    };
    let told = secrets.filter(|(_, variable)| is_taken(variable)).map(|(name, variable)| {
        let taken = "none may begin with GITHUB_, and CUTOVER_CI_ is what these workflows call their own";
        format!("there can be no secret called {variable}, which {name} needs: {taken}")
    });
    told.collect()
}

/// The secrets of an environment that come from variables.
pub(crate) fn variables(environment: &EnvironmentConfig) -> Vec<&str> {
    let sources = environment.secrets.values().filter_map(|source| match source {
        SecretSource::Variable(name) => Some(name.as_str()),
        SecretSource::File(_) | SecretSource::Command(_) => None,
    });
    let mut names: Vec<&str> = sources.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The name that the checks of a pull request are reported by, for a rule that demands them; None where nothing judges.
pub fn required_check(config: &Config) -> Option<&'static str> {
    // A job of a workflow that is called is named by both.
    let name = if channel(config).is_some() { "checks / checks" } else { "checks" };
    (!config.checks.is_empty()).then_some(name)
}

/// The names of the secrets that the workflows want of an environment.
pub fn needed_secrets(environment: &EnvironmentConfig) -> Vec<String> {
    let mut names: Vec<String> = variables(environment).into_iter().map(str::to_owned).collect();
    if warnings::is_remote(environment) && !names.iter().any(|name| name == steps::SSH_KEY) {
        names.push(steps::SSH_KEY.to_owned());
    }
    // Every job has that one by itself.
    names.retain(|name| name != "GITHUB_TOKEN");
    names
}

/// The names of the secrets that the workflows want of the repository, for jobs of no environment: they pack and share artifacts.
pub fn needed_repository_secrets(config: &Config) -> Vec<&'static str> {
    let signing_key = config.artifact.signers.is_some().then_some(steps::SIGNING_KEY);
    store_variables(config).iter().copied().chain(signing_key).collect()
}

/// An environment that is deployed to, and the name of its job.
struct Place<'a> {
    name: &'a EnvironmentName,
    environment: &'a EnvironmentConfig,
    job: String,
}

/// The environments that have somewhere to deploy to.
fn places<'a>(config: &'a Config, prefix: &str) -> Vec<Place<'a>> {
    let deployable = || config.environments.iter().filter(|(_, environment)| !environment.targets.is_empty());
    let jobs = job_names(prefix, deployable().map(|(name, _)| name.as_str()));
    let place = |((name, environment), (_, job))| Place { name, environment, job };
    deployable().zip(jobs).map(place).collect()
}

/// The environment that pull requests are deployed to, if they can be.
fn channel(config: &Config) -> Option<Place<'_>> {
    let name = config.workflows.pull_requests.as_ref()?;
    places(config, "deploy").into_iter().find(|place| place.name == name)
}

impl Place<'_> {
    /// The one queue of this environment, for every workflow. None where a person is asked: a job holds its group while it
    /// waits for one, and a way back would wait with it for days. Cutover's own lock is the queue there.
    fn queue(&self, project: &Project<'_>) -> Option<Concurrency> {
        let asks = project.config.workflows.approval.contains(self.name);
        (!asks).then(|| Concurrency { group: format!("cutover-environment-{}", self.name), manner: Manner::Queue })
    }
}

/// The call of the checks' workflow.
fn call_checks(with: Vec<(&'static str, String)>) -> Job {
    Job {
        name: "checks".to_owned(),
        permissions: JUDGES.to_vec(),
        work: Work::Call { workflow: CHECKS.to_owned(), with },
        ..Job::default()
    }
}

/// An expression that stands by itself.
fn expression(inside: &str) -> String {
    format!("${{{{ {inside} }}}}")
}

/// Where a run is told of; it goes into the history as the reason.
fn run_url() -> String {
    "${{ github.server_url }}/${{ github.repository }}/actions/runs/${{ github.run_id }}".to_owned()
}
