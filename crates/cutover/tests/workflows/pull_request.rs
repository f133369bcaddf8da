//! Pull requests, which can be tried out in an environment of theirs.

use crate::project::Project;
use cutover_testkit::github::FakeGitHub;
use std::sync::Arc;
use std::thread;

const CHANNEL: &str = "pull_requests = \"test\"\n\n[environments.test]\nhosts.api = \"localhost\"\ntargets.api.host.deploy_to = \"/nowhere\"\n";
/// The group of the pull request's checks.
const GROUP: &str = "cutover-pull-request-7-checks";

/// A project whose pull requests are deployed to `test`, with a branch for one.
fn project() -> Project {
    project_with("")
}

/// The same, with further tables.
pub(crate) fn project_with(more: &str) -> Project {
    let project = Project::new(&format!("{CHANNEL}{more}"));
    project.git(&["switch", "--quiet", "--create", "topic"]);
    let config = std::fs::read_to_string(project.runner.origin().join("cutover.toml")).unwrap();
    let port = config.split("PORT = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let test = config.replace("[environments.test]", &format!("[environments.test]\nenv = {{ PORT = \"{port}\" }}"));
    let test = test.replace("/nowhere", project.path("test").to_str().unwrap());
    project.write("cutover.toml", &test);
    project.commit("2");
    project
}

#[test]
fn a_pull_request_is_deployed_where_it_can_be_tried_out() {
    let project = project();

    // Given a check that sees where the pull request shall be merged into,
    let config = std::fs::read_to_string(project.runner.origin().join("cutover.toml")).unwrap();
    project.write("cutover.toml", &config.replace("run = \"", "run = \"test $GITHUB_BASE_REF = main && "));
    project.commit("2");

    let runs = project.runner.deliver(&project.runner.pull_request(7, "topic", "ada/shop"));

    assert_eq!(runs.len(), 1, "it is judged once: {runs:?}");
    assert_eq!(
        runs[0].told(),
        "build: success\nchecks: success\nchecks/checks: success\ndeploy-test: success\n",
        "{}",
        runs[0].log()
    );
    assert_eq!(project.serving().as_deref(), Some("2"));
    assert_eq!(project.history("test")[0]["reason"], "https://github.com/ada/shop/pull/7");
}

#[test]
fn a_pull_request_is_tried_out_without_the_shared_store_and_without_a_word_of_it() {
    let github = Arc::new(FakeGitHub::start("ghs_of_nobody_here").unwrap());
    let mut project = project_with("\n[artifact.store.github]\n");
    project.runner.connect(Arc::clone(&github));

    let run = project.runner.deliver(&project.runner.pull_request(7, "topic", "shop/app")).remove(0);

    assert_eq!(run.jobs["deploy-test"].result, "success", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("2"));
    assert!(github.releases().is_empty(), "nothing was put there: {:?}", github.releases());
    for warning in
        ["known on this machine only", "may remove it when it is old", "does not let the token", "artifact store"]
    {
        assert!(!run.log().contains(warning), "{}", run.log());
    }
}

#[test]
fn a_pull_request_in_whose_jobs_the_secrets_of_a_bucket_are_missing_is_tried_out() {
    let project =
        project_with("\n[artifact]\nstore.s3 = { bucket = \"shop-artifacts\", endpoint = \"https://127.0.0.1:1\" }\n");

    let run = project.runner.deliver(&project.runner.pull_request(7, "topic", "ada/shop")).remove(0);

    assert_eq!(run.jobs["deploy-test"].result, "success", "{}", run.log());
    assert!(!run.log().contains("artifact store"), "{}", run.log());
}

#[test]
fn a_pull_request_of_a_fork_is_judged_and_goes_nowhere() {
    let project = project();

    let runs = project.runner.deliver(&project.runner.pull_request(7, "topic", "eve/shop"));

    assert_eq!(
        runs[0].told(),
        "build: skipped\nchecks: success\nchecks/checks: success\ndeploy-test: skipped\n",
        "{}",
        runs[0].log()
    );
    assert_eq!(project.serving(), None);
}

#[test]
fn a_pull_request_of_dependabot_which_has_no_secrets_is_judged_and_goes_nowhere() {
    let project = project();
    let mut event = project.runner.pull_request(7, "topic", "ada/shop");
    event.payload["pull_request"]["user"]["login"] = "dependabot[bot]".into();

    let run = project.runner.deliver(&event).remove(0);

    assert_eq!(run.jobs["checks/checks"].result, "success", "{}", run.log());
    assert_eq!(run.jobs["build"].result, "skipped", "{}", run.log());
    assert_eq!(run.jobs["deploy-test"].result, "skipped", "{}", run.log());
}

#[test]
fn a_newer_commit_of_a_pull_request_ends_the_run_of_the_older_one() {
    let project = project();
    let first = project.runner.pull_request(7, "topic", "ada/shop");
    let held = project.hold_checks();
    let runner = &project.runner;
    let (ended, newer) = thread::scope(|scope| {
        let one = scope.spawn(|| project.runner.deliver(&first));
        project.runner.await_line(GROUP, 1);
        project.commit("3");
        let second = project.runner.pull_request(7, "topic", "ada/shop");
        let two = scope.spawn(move || runner.deliver(&second));
        let ended = one.join().unwrap();
        held.open();
        (ended, two.join().unwrap())
    });

    let results: Vec<&str> = ended[0].jobs.values().map(|job| job.result.as_str()).collect();
    assert!(!results.contains(&"success") && results.contains(&"cancelled"), "{}", ended[0].told());
    assert_eq!(newer[0].jobs["deploy-test"].result, "success", "{}", newer[0].log());
    assert_eq!(project.serving().as_deref(), Some("3"));
}
