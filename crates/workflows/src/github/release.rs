//! The release of what was deployed.

use super::model::{Concurrency, Job, Manner, Step, Uses};
use super::steps::{checkout, download, install, packed, steps, upload};
use super::{Place, token};
use crate::Project;
use crate::actions::DOWNLOAD;
use crate::yaml::Yaml;

/// What the record of what is live is kept as.
const LIVE_NAME: &str = "cutover-live";
/// Where it lies on a runner, as an expression.
const LIVE: &str = "${{ runner.temp }}/cutover-live";
/// The file's name in there.
const LIVE_FILE: &str = "live.json";

const SEE: &str = "mkdir -p \"$(dirname \"$CUTOVER_CI_LIVE\")\"\n\
                   cutover release --see \"$CUTOVER_CI_LIVE\" -- \"$CUTOVER_CI_ENVIRONMENT\"\n";

/// Whether what is deployed here is released.
pub(super) fn is_released(project: &Project<'_>, place: &Place<'_>) -> bool {
    project.config.release.as_ref().is_some_and(|release| release.environment == *place.name)
}

fn live() -> (String, String) {
    ("CUTOVER_CI_LIVE".to_owned(), format!("{LIVE}/{LIVE_FILE}"))
}

/// Steps after a deployment: the hosts are asked what is live where their key is, and where nothing may be written.
pub(super) fn see(project: &Project<'_>, place: &Place<'_>) -> Vec<Step> {
    let env = place.ssh_key().into_iter().chain([place.named(), live()]).collect();
    let see = Step { name: "See what is live", env, run: Some(SEE.to_owned()), ..Step::default() };
    vec![see, upload(project, LIVE_NAME.to_owned(), format!("{LIVE}/{LIVE_FILE}"), "error")]
}

/// The job that releases, the only one that may write to the repository, unless that is where artifacts are shared. It has neither the hosts' key nor the environment's
/// secrets, and nobody is asked a second time.
pub(super) fn job(project: &Project<'_>, place: &Place<'_>) -> Job {
    // What is packed names its commit, and what was deployed here and nothing else is released.
    let script = "cutover release --seen \"$CUTOVER_CI_LIVE\" --artifact \"$CUTOVER_CI_PACKED\" -- \"$CUTOVER_CI_ENVIRONMENT\"\n";
    let take = Step {
        name: "Take what is live",
        uses: Some(Uses::Pinned(DOWNLOAD)),
        with: vec![("name", Yaml::text(LIVE_NAME)), ("path", Yaml::text(LIVE))],
        ..Step::default()
    };
    let env = [place.named(), live()].into_iter().chain([packed(), token()]).collect();
    let release = Step { name: "Release", env, run: Some(script.to_owned()), ..Step::default() };
    // Versions are made from tags and the commits since.
    let all = vec![checkout(None, true), install(), take, download("needs.build.outputs.id"), release];
    Job {
        name: format!("release {}", place.name),
        needs: vec!["build".to_owned(), place.job.clone()],
        permissions: vec!["contents: write"],
        // One release after the other, whatever run it is of.
        concurrency: Some(Concurrency { group: "cutover-release".to_owned(), manner: Manner::Queue }),
        work: steps(project, all),
        ..Job::default()
    }
}
