//! The workflow that lets people try a pull request out.

use super::channel;
use super::deploy::{deployment, job, judged};
use super::model::{Concurrency, Job, Manner, Workflow};
use super::steps::build;
use crate::Project;
use crate::yaml::Yaml;
use cutover_core::config::Config;

/// The workflow's name.
pub(super) const NAME: &str = "Cutover pull request";
/// Forks' pull requests have no secrets, and what they bring runs on no host; Dependabot's have no secrets, either.
const OWN: &str = "github.event.pull_request.head.repo.full_name == github.repository \
                   && github.event.pull_request.user.login != 'dependabot[bot]'";
/// The pull request's number, as an expression.
const NUMBER: &str = "${{ github.event.pull_request.number }}";

/// Pull requests: judged, and those of the repository itself deployed. None where no environment is meant for them.
pub(super) fn workflow(project: &Project<'_>) -> Option<Workflow> {
    let config = unreviewed(project.config);
    let project = &Project { config: &config, ..*project };
    let place = channel(project.config)?;
    let (mut jobs, needs) = judged(project);
    let condition = Some(OWN.to_owned());
    jobs.iter_mut().for_each(|(_, job)| job.concurrency = replaced("checks"));
    let concurrency = replaced("build");
    jobs.push(("build".to_owned(), Job { needs, condition: condition.clone(), concurrency, ..build(project, None) }));
    let reason = "${{ github.event.pull_request.html_url }}".to_owned();
    // Several pull requests share the environment: Cutover's own lock is their queue, where the newest goes first.
    let script = "cutover deploy --artifact \"$CUTOVER_CI_PACKED\" --wait=\"$CUTOVER_CI_WAIT\" --supersede --reason=\"$CUTOVER_CI_REASON\" -- \"$CUTOVER_CI_ENVIRONMENT\"\n";
    let deploy = Job {
        needs: vec!["build".to_owned()],
        condition,
        ..job(project, &place, "needs.build.outputs.id", deployment(project, &place, reason, script))
    };
    jobs.push((place.job, deploy));
    Some(Workflow {
        name: NAME,
        on: Yaml::table([("pull_request", Yaml::Nothing)]),
        concurrency: None,
        directory: project.directory.map(str::to_owned),
        jobs,
    })
}

/// The config for what nobody has looked at yet: its build can read all that its job was given, so that neither the store that
/// others deploy from is open to it nor the key that they believe. What it packs goes on as a file.
fn unreviewed(config: &Config) -> Config {
    let mut config = config.clone();
    (config.artifact.store, config.artifact.signers) = (None, None);
    config
}

/// What a newer commit ends of the older one's run: all but a deployment that has begun.
fn replaced(job: &str) -> Option<Concurrency> {
    Some(Concurrency { group: format!("cutover-pull-request-{NUMBER}-{job}"), manner: Manner::Replace })
}
