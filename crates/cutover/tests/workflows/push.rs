//! What is pushed to the branch of an environment.

use crate::api::serve;
use crate::project::Project;
use cutover_testkit::runner::Run;
use serde_json::json;
use std::fs;
use std::thread;

const DEPLOY: &str = ".github/workflows/cutover-deploy.yml";

#[test]
fn what_is_pushed_is_judged_packed_once_and_deployed_and_serves() {
    let project = Project::new("");

    let run = project.push();

    assert_eq!(
        run.told(),
        "build: success\nchecks: success\nchecks/checks: success\ndeploy-production: success\n",
        "{}",
        run.log()
    );
    assert_eq!(project.serving().as_deref(), Some("1"));
    // The artifact that is live is the one that was packed, and the run is the reason.
    let history = project.history("production");
    assert_eq!(history.len(), 1, "{history:?}");
    let id = &run.jobs["build"].outputs["id"];
    assert_eq!(history[0]["artifact"], **id, "{history:?}");
    assert_eq!(history[0]["reason"], "https://github.com/ada/shop/actions/runs/1", "{history:?}");
    assert_eq!(history[0]["by"], "ada", "{history:?}");
    assert_eq!(run.jobs["build"].summary, format!("Artifact `{id}`\n"));
    assert!(run.jobs["checks/checks"].summary.contains("tests"), "{}", run.jobs["checks/checks"].summary);
}

#[test]
fn a_secret_reaches_the_service_and_nothing_that_people_see() {
    let project = Project::new("");

    let run = project.push();

    let env = fs::read_to_string(project.path("srv/shared/.env")).unwrap();
    assert!(env.contains(&project.token), "{}", run.log());
    assert!(run.jobs.values().all(|job| !job.leaked), "{}", run.log());
    assert!(!project.kept().contains(&project.token));
}

#[test]
fn a_change_that_fails_its_checks_is_not_deployed_and_its_record_is_kept() {
    let project = Project::new("");
    project.push();
    project.write("broken", "");
    project.commit("2");

    let run = project.push();

    assert_eq!(
        run.told(),
        "build: skipped\nchecks: failure\nchecks/checks: failure\ndeploy-production: skipped\n",
        "{}",
        run.log()
    );
    assert_eq!(project.serving().as_deref(), Some("1"));
    let record =
        fs::read(project.path(&format!("artifacts/{}/cutover-checks/cutover-checks.json", run.number))).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["run"]["conclusion"], "failure", "{record}");
}

#[test]
fn pushes_queue_and_all_are_deployed_in_their_order() {
    let project = Project::new("");
    let first = project.runner.push("main");
    let held = project.hold_checks();
    let runner = &project.runner;
    thread::scope(|scope| {
        // Given a run that is still judging, when two more come,
        let one = scope.spawn(|| project.runner.deliver(&first));
        project.runner.await_line("cutover-deploy-refs/heads/main", 1);
        project.commit("2");
        let second = project.runner.push("main");
        let two = scope.spawn(move || runner.deliver(&second));
        project.runner.await_line("cutover-deploy-refs/heads/main", 2);
        project.commit("3");
        let third = project.runner.push("main");
        let three = scope.spawn(move || runner.deliver(&third));
        project.runner.await_line("cutover-deploy-refs/heads/main", 3);
        held.open();

        // then none was dropped,
        for run in [one, two, three].map(|run| run.join().unwrap()).into_iter().flatten() {
            assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
        }
    });
    // and each was live after the one before.
    let subjects: Vec<_> =
        project.history("production").iter().map(|deployment| deployment["subject"].clone()).collect();
    assert_eq!(subjects, ["Version 1", "Version 2", "Version 3"]);
    assert_eq!(project.serving().as_deref(), Some("3"));
}

#[test]
fn where_people_choose_a_push_is_judged_while_another_still_is_and_does_not_end_it() {
    // Given a run that may wait for a person, so that no other waits for it,
    let mut project = Project::new("approval = [\"production\"]");
    let rules = json!({ "protection_rules": [{ "type": "required_reviewers" }] });
    project.runner.variable("GITHUB_API_URL", &serve("environments/production", &rules));
    let first = project.runner.push("main");
    let held = project.hold_checks();
    let runner = &project.runner;
    let runs = thread::scope(|scope| {
        let one = scope.spawn(move || runner.run(DEPLOY, &first));
        runner.await_line("cutover-checks-1", 1);
        // when another push comes,
        project.commit("2");
        let second = runner.push("main");
        let two = scope.spawn(move || runner.run(DEPLOY, &second));
        runner.await_line("cutover-checks-2", 1);
        held.open();
        [one, two].map(|run| run.join().unwrap())
    });
    // then both are judged.
    for run in runs {
        assert_eq!(run.jobs["checks/checks"].result, "success", "{}", run.log());
        assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
    }
}

#[test]
fn other_branches_are_judged_only_and_an_older_run_of_one_ends() {
    let project = Project::new("");
    project.git(&["switch", "--quiet", "--create", "feature/c++"]);
    project.commit("2");
    let first = project.runner.push("feature/c++");
    let held = project.hold_checks();
    let runner = &project.runner;
    let (ended, newer) = thread::scope(|scope| {
        let one = scope.spawn(|| project.runner.deliver(&first));
        project.runner.await_line("cutover-checks-refs/heads/feature/c++", 1);
        project.commit("3");
        let second = project.runner.push("feature/c++");
        let two = scope.spawn(move || runner.deliver(&second));
        let ended = one.join().unwrap();
        held.open();
        (ended, two.join().unwrap())
    });
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((ended[0].workflow.as_str(), ended[0].told().as_str()), ("Cutover checks", "checks: cancelled\n"));
    assert_eq!(newer[0].told(), "checks: success\n", "{}", newer[0].log());
    assert_eq!(project.serving(), None);
}

#[test]
fn secrets_that_are_missing_are_told_before_anything_is_done() {
    let mut project = Project::new("");
    project.runner.secret("production", "APP_TOKEN", "");

    let run = project.push();

    let job = &run.jobs["deploy-production"];
    assert_eq!(job.result, "failure", "{}", run.log());
    assert_eq!(
        job.log,
        "## See that all secrets are there\nSecrets are missing: APP_TOKEN\n\
         Add them in the repository's settings: Environments, production. Nothing was deployed.\n"
    );
}

#[test]
fn a_binary_that_is_not_what_the_config_says_is_not_run() {
    let project = Project::new("");
    let config = fs::read_to_string(project.runner.origin().join("cutover.toml")).unwrap();
    let (_, sha256) = crate::project::binary();
    project.write("cutover.toml", &config.replace(&sha256, &"0".repeat(64)));
    project.cutover(&["workflows"]);
    project.commit("2");

    let run = project.push();

    let job = &run.jobs["checks/checks"];
    assert_eq!(job.result, "failure");
    assert!(job.log.contains("Cutover was not installed") && job.log.contains(&sha256), "{}", job.log);
    assert!(!job.log.contains("cutover 0."), "{}", job.log);
}

#[test]
fn production_waits_until_staging_is_healthy_and_gets_the_same_artifact() {
    let project = Project::new(
        "after = { production = \"staging\" }\n\n[environments.staging]\nbranch = \"main\"\nenv = { LEVEL = \"debug\" }\nhosts.api = \"localhost\"\n\
         [environments.staging.targets.api.host]\ndeploy_to = \"/nowhere\"\n",
    );
    let config = fs::read_to_string(project.runner.origin().join("cutover.toml")).unwrap();
    // The other environment is another directory, and what is probed there fails at first.
    let staging = project.path("staging").display().to_string();
    let probe = |run: &str| {
        format!(
            "\"{staging}\"\nservice.process.command = [\"sleep\", \"1000\"]\nverify.within = \"2s\"\nverify.probes = [{{ command = {{ run = \"{run}\" }} }}]"
        )
    };
    project.write("cutover.toml", &config.replace("\"/nowhere\"", &probe("false")));
    project.commit("2");
    let run = project.push();
    assert_eq!(run.jobs["deploy-staging"].result, "failure", "{}", run.log());
    assert_eq!((run.jobs["deploy-production"].result.as_str(), project.serving()), ("skipped", None));

    project.write("cutover.toml", &config.replace("\"/nowhere\"", &probe("true")));
    project.commit("3");
    let run = project.push();

    assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("3"));
    let artifact = |environment: &str| project.history(environment).last().unwrap()["artifact"].clone();
    assert_eq!(artifact("staging"), artifact("production"));
}

#[test]
fn where_an_approval_is_wanted_and_github_asks_nobody_nothing_is_deployed() {
    let mut project = Project::new("approval = [\"production\"]");
    let rules = |rules: serde_json::Value| serve("environments/production", &json!({ "protection_rules": rules }));
    project.runner.variable("GITHUB_API_URL", &rules(json!([{ "type": "wait_timer" }])));

    let run = project.push();

    let job = &run.jobs["deploy-production"];
    assert!(job.result == "failure" && job.log.contains("GitHub asks nobody"), "{}", run.log());
    assert_eq!(project.serving(), None);
    let rights = json!({ "actions": "read", "contents": "read", "deployments": "write", "pull-requests": "write" });
    assert_eq!(job.permissions, rights);

    project.runner.variable("GITHUB_API_URL", &rules(json!([{ "type": "required_reviewers", "reviewers": [{}] }])));
    let run = project.push();
    assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
}

#[test]
fn jobs_may_read_what_they_fetch_and_tell_what_they_do() {
    let project = Project::new("");

    let run = project.push();

    let may = |id: &str| run.jobs[id].permissions.clone();
    assert_eq!(may("build"), json!({ "contents": "read" }));
    let judges = json!({ "checks": "write", "contents": "read", "pull-requests": "write" });
    assert_eq!((may("checks"), may("checks/checks")), (judges.clone(), judges));
    let deploys = json!({ "contents": "read", "deployments": "write", "pull-requests": "write" });
    assert_eq!(may("deploy-production"), deploys);
}

#[test]
fn what_a_check_keeps_is_there_again_as_long_as_its_key_is_the_same() {
    let project = Project::new("");
    let config = fs::read_to_string(project.runner.origin().join("cutover.toml")).unwrap();
    let keeping = "mkdir -p ~/.cache/tests; ls ~/.cache/tests; touch ~/.cache/tests/kept; test ! -e broken";
    project.write("cutover.toml", &config.replace("test ! -e broken", keeping));
    project.commit("2");

    let (first, second) = (project.push(), project.push());

    let log = |run: &cutover_testkit::runner::Run| run.jobs["checks/checks"].log.clone();
    assert!(log(&first).contains("cache: nothing\n") && !log(&first).contains("| kept"), "{}", log(&first));
    assert!(
        log(&second).contains("cache: cutover-tests-Linux-") && log(&second).contains("| kept"),
        "{}",
        log(&second)
    );
}

/// Production takes what is pushed to `live` and has passed its check, which a change that touches none of its paths leaves out.
fn strict() -> Project {
    let project = Project::new("");
    let config = fs::read_to_string(project.runner.origin().join("cutover.toml")).unwrap();
    let required = "[environments.production]\nrequired_checks = \"tests\"\n";
    let config = config.replace("[environments.production]\n", required).replace("\"main\"", "\"live\"");
    project.write("cutover.toml", &config.replace("[checks.tests]\n", "[checks.tests]\npaths = [\"src/**\"]\n"));
    let written = project.cutover(&["workflows"]);
    assert!(written.status.success(), "{written:?}");
    project.commit("1");
    project.git(&["switch", "--quiet", "--create", "live"]);
    project.commit("2");
    project
}

/// Delivers the push of `live`.
fn push_live(project: &Project) -> Run {
    project.runner.deliver(&project.runner.push("live")).remove(0)
}

#[test]
fn what_an_environment_requires_is_judged_and_comes_with_the_artifact() {
    let project = strict();

    let run = push_live(&project);

    assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("2"));
}

#[test]
fn what_is_required_and_was_not_told_to_the_build_is_refused() {
    let project = strict();
    let workflow = fs::read_to_string(project.runner.origin().join(DEPLOY)).unwrap();
    let forgetful = workflow.replace("/cutover-checks/cutover-checks.json", "/elsewhere.json");
    assert_ne!(workflow, forgetful);
    project.write(DEPLOY, &forgetful);
    project.commit("3");

    let run = push_live(&project);

    assert_eq!(run.jobs["build"].result, "success", "{}", run.log());
    let job = &run.jobs["deploy-production"];
    assert!(job.result == "failure" && job.log.contains("tests"), "{}", run.log());
    assert_eq!(project.serving(), None);
}
