//! Artifacts that are shared in a release of the repository, by jobs whose tokens may what each of them says and no more.

use crate::project::Project;
use cutover_testkit::github::FakeGitHub;
use std::sync::Arc;

#[test]
fn what_a_job_packs_and_what_another_one_deploys_is_in_the_release_with_the_tokens_of_these_jobs_alone() {
    let github = Arc::new(FakeGitHub::start("ghs_of_nobody_here").unwrap());
    let mut project = Project::new("\n[artifact.store.github]\n");
    project.runner.connect(Arc::clone(&github));

    let run = project.push();

    assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("1"));
    let releases = github.releases();
    assert!(releases.len() == 1 && releases[0]["prerelease"] == true, "{releases:?}");
    let files = releases[0]["assets"].as_array().unwrap();
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    let has = |part: &str| names.iter().any(|name| name.starts_with("shop_-") && name.contains(part));
    let id = &run.jobs["build"].outputs["id"];
    assert!(has(&format!("artifacts_-{id}_-record.json")), "{names:?}");
    assert!(has("deployed_-production_-") && has(id), "{names:?}");
    // What the checks said came along with the artifact: the job that ran them may not write.
    assert!(has("checks_-"), "{names:?}");
    for warning in ["known on this machine only", "may remove it when it is old", "does not let the token"] {
        assert!(!run.log().contains(warning), "{}", run.log());
    }
}
