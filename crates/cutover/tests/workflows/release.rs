//! What is deployed by a push is released, by a job that may do that and nothing else.

use crate::project::Project;
use cutover_testkit::github::FakeGitHub;
use std::fs;

/// The token that the runner gives to jobs.
const TOKEN: &str = "a-token-that-ends-with-the-job";
const RELEASE: &str = "\n[release]\nenvironment = \"production\"\n";

/// A project whose jobs speak to a GitHub.
fn project() -> (Project, FakeGitHub) {
    let github = FakeGitHub::start(TOKEN).unwrap();
    github.rename("ada/shop");
    let mut project = Project::new(RELEASE);
    project.runner.variable("GITHUB_API_URL", &github.url());
    (project, github)
}

#[test]
fn what_is_deployed_is_released_with_the_artifact_that_is_live() {
    let (project, github) = project();

    let run = project.push();

    assert_eq!(run.jobs["release"].result, "success", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("1"));
    let releases = github.releases();
    assert_eq!((releases.len(), releases[0]["tag_name"].as_str()), (1, Some("v1.0.0")), "{}", run.log());
    assert!(
        releases[0]["body"].as_str().unwrap().contains(&run.jobs["build"].outputs["id"]),
        "{}",
        releases[0]["body"]
    );
    let names: Vec<_> = releases[0]["assets"].as_array().unwrap().iter().map(|asset| &asset["name"]).collect();
    assert_eq!(names, ["shop-1.0.0.cutover", "shop-1.0.0.cutover.intoto.json"], "{}", run.log());
    assert!(!project.kept().contains(&project.token));
}

#[test]
fn what_is_not_deployed_is_not_released() {
    let (project, github) = project();
    project.write("broken", "");
    project.commit("2");

    let run = project.push();

    assert_eq!(run.jobs["release"].result, "skipped", "{}", run.log());
    assert_eq!(github.releases().len(), 0);
}

#[test]
fn only_the_job_that_releases_may_write_to_the_repository_and_it_has_no_secret() {
    let (project, _github) = project();
    let text = fs::read_to_string(project.runner.origin().join(".github/workflows/cutover-deploy.yml")).unwrap();
    let (before, release) = text.split_once("\n  release:\n").unwrap();
    assert!(!before.contains("contents: write") && release.contains("contents: write"), "{text}");
    assert!(!release.contains("secrets.") && !release.contains("environment:"), "{release}");
}
