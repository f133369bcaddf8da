//! Pull requests, which can be tried out in an environment of theirs.

use crate::project::Project;
use std::thread;

const CHANNEL: &str = "pull_requests = \"test\"\n\n[environments.test]\nhosts.api = \"localhost\"\ntargets.api.host.deploy_to = \"/nowhere\"\n";
/// The group of the pull request's checks.
const GROUP: &str = "cutover-pull-request-7-checks";

/// A project whose pull requests are deployed to `test`, with a branch for one.
fn project() -> Project {
    let project = Project::new(CHANNEL);
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
