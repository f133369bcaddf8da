//! The workflow that speaks for pull requests from forks, whose own runs may only read.

use super::model::{Job, Step, Uses, Workflow};
use super::steps::{checkout, install, steps};
use super::{JUDGES, channel, checks, expression, pull_request, token};
use crate::Project;
use crate::actions::DOWNLOAD;
use crate::yaml::Yaml;

/// Where the record is put, as an expression.
const FETCHED: &str = "${{ runner.temp }}/cutover-report";
/// Pull requests of the repository itself were told of by their own run.
const OF_A_FORK: &str = "github.event.workflow_run.event == 'pull_request' && \
                         github.event.workflow_run.head_repository.full_name != github.repository";

/// Told when the checks of a pull request have ended. It runs nothing of the pull request: the repository is fetched as its
/// default branch has it, and the record is read as the word of a stranger. None where nothing judges.
pub(super) fn workflow(project: &Project<'_>) -> Option<Workflow> {
    let judged = match channel(project.config) {
        Some(_) => pull_request::NAME,
        None => checks::NAME,
    };
    // This is the split that GitHub recommends for this trigger; what makes it dangerous is to run what was handed over.
    let workflows = Yaml::List(vec![Yaml::Noted(judged.to_owned(), "zizmor: ignore[dangerous-triggers]".to_owned())]);
    let trigger = Yaml::table([("workflows", workflows), ("types", Yaml::texts(["completed"]))]);
    (!project.config.checks.is_empty()).then(|| Workflow {
        name: "Cutover report",
        on: Yaml::table([("workflow_run", trigger)]),
        concurrency: None,
        directory: project.directory.map(str::to_owned),
        jobs: vec![("report".to_owned(), job(project))],
    })
}

fn job(project: &Project<'_>) -> Job {
    let with = vec![
        ("name", Yaml::text(checks::RECORD_NAME)),
        ("path", Yaml::text(FETCHED)),
        ("run-id", Yaml::text(expression("github.event.workflow_run.id"))),
        ("github-token", Yaml::text(expression("github.token"))),
    ];
    let fetch = Step { name: "Take the record", uses: Some(Uses::Pinned(DOWNLOAD)), with, ..Step::default() };
    let tell = Step {
        name: "Tell it",
        env: vec![("CUTOVER_CI_RECORD".to_owned(), format!("{FETCHED}/{}", checks::RECORD_FILE)), token()],
        run: Some("cutover github report \"$CUTOVER_CI_RECORD\"\n".to_owned()),
        ..Step::default()
    };
    Job {
        name: "report".to_owned(),
        condition: Some(OF_A_FORK.to_owned()),
        permissions: ["actions: read"].into_iter().chain(JUDGES).collect(),
        work: steps(project, vec![checkout(None, false), install(), fetch, tell]),
        ..Job::default()
    }
}
