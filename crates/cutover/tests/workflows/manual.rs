//! What people start.

use crate::api::serve_kept;
use crate::project::Project;
use serde_json::{Value, json};

const DEPLOY: &str = ".github/workflows/cutover-manual.yml";
const ROLLBACK: &str = ".github/workflows/cutover-rollback.yml";

/// What GitHub says of an artifact that a run kept.
fn kept(run: u64, head: u64) -> Value {
    let run = json!({ "id": run, "repository_id": 1, "head_repository_id": head, "head_branch": "main" });
    json!({ "expired": false, "workflow_run": run })
}

#[test]
fn an_artifact_that_was_built_before_is_deployed_by_its_id() {
    let mut project = Project::new("");
    let built = project.push();
    let id = built.jobs["build"].outputs["id"].clone();
    project.commit("2");
    project.push();
    // A fork's run says that it has it, too, and one of a branch that nobody deploys from.
    let mut topic = kept(98, 1);
    topic["workflow_run"]["head_branch"] = "topic".into();
    project.runner.variable("GITHUB_API_URL", &serve_kept(&id, &[topic, kept(99, 2), kept(built.number, 1)]));
    let inputs =
        json!({ "environment": "production", "artifact": id, "reason": "Version 2 sells \"nothing\" $(date)" });

    let run = project.runner.run(DEPLOY, &project.runner.dispatch("main", inputs));

    assert_eq!(run.told(), "build: skipped\nchecks: skipped\ndeploy-production: success\n", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("1"));
    let last = project.history("production").pop().unwrap();
    let reason = "Version 2 sells \"nothing\" $(date) (https://github.com/ada/shop/actions/runs/3)";
    assert_eq!((&last["artifact"], &last["reason"]), (&json!(id), &json!(reason)));
}

#[test]
fn what_lies_under_the_name_of_an_artifact_and_is_another_is_not_deployed() {
    let mut project = Project::new("");
    let first = project.push();
    project.commit("2");
    let second = project.push();
    // Given a run that kept the one under the name of the other,
    let (id, other) = (&first.jobs["build"].outputs["id"], &second.jobs["build"].outputs["id"]);
    let place =
        |number: u64, id: &str| project.path(&format!("artifacts/{number}/cutover-artifact-{id}/artifact.cutover"));
    std::fs::copy(place(second.number, other), place(first.number, id)).unwrap();
    project.runner.variable("GITHUB_API_URL", &serve_kept(id, &[kept(first.number, 1)]));
    let inputs = json!({ "environment": "production", "artifact": id, "reason": "back" });

    let run = project.runner.run(DEPLOY, &project.runner.dispatch("main", inputs));

    assert_eq!(run.jobs["deploy-production"].result, "failure", "{}", run.log());
    assert_eq!(project.history("production").len(), 2, "{}", run.log());
}

#[test]
fn an_artifact_that_nobody_kept_is_told_of() {
    let mut project = Project::new("");
    project.runner.variable("GITHUB_API_URL", &serve_kept("00ff", &[]));
    let inputs = json!({ "environment": "production", "artifact": "00ff", "reason": "try" });

    let run = project.runner.run(DEPLOY, &project.runner.dispatch("main", inputs));

    let job = &run.jobs["deploy-production"];
    assert!(
        job.log.contains("has kept the artifact 00ff:") && job.log.contains("Nothing was deployed."),
        "{}",
        job.log
    );
}

#[test]
fn a_tag_is_judged_packed_and_deployed_whatever_is_on_the_branch_now() {
    let project = Project::new("");
    project.git(&["tag", "v1"]);
    project.write("broken", "");
    project.commit("2");
    let inputs = json!({ "environment": "production", "commit": "v1", "reason": "hotfix" });

    let run = project.runner.run(DEPLOY, &project.runner.dispatch("main", inputs));

    assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("1"));
}

#[test]
fn a_hotfix_that_fails_its_checks_goes_out_only_when_they_are_left_out() {
    let project = Project::new("");
    project.write("broken", "");
    project.commit("2");
    let run = |checks: bool| {
        let inputs = json!({ "environment": "production", "checks": checks, "reason": "the shop burns" });
        project.runner.run(DEPLOY, &project.runner.dispatch("main", inputs))
    };

    let judged = run(true);
    assert_eq!(judged.jobs["deploy-production"].result, "skipped", "{}", judged.log());
    assert_eq!(project.serving(), None);

    let hurried = run(false);
    assert_eq!(hurried.jobs["deploy-production"].result, "success", "{}", hurried.log());
    assert_eq!(project.serving().as_deref(), Some("2"));
}

#[test]
fn a_rollback_brings_the_release_before_back() {
    let project = Project::new("");
    project.push();
    project.commit("2");
    project.push();
    assert_eq!(project.serving().as_deref(), Some("2"));
    let inputs = json!({ "environment": "production", "reason": "it lies" });

    let run = project.runner.run(ROLLBACK, &project.runner.dispatch("main", inputs));

    assert_eq!(run.told(), "rollback-production: success\n", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("1"));
    let last = project.history("production").pop().unwrap();
    assert_eq!(last["reason"], "it lies (https://github.com/ada/shop/actions/runs/3)");
}

#[test]
fn what_was_not_judged_goes_where_checks_are_required_only_when_somebody_says_so() {
    let project = Project::new("");
    let config = std::fs::read_to_string(project.runner.origin().join("cutover.toml")).unwrap();
    let required = "[environments.production]\nrequired_checks = \"tests\"\n";
    project.write("cutover.toml", &config.replace("[environments.production]\n", required));
    project.write("broken", "");
    project.commit("2");
    let run = |overridden: bool| {
        let inputs = json!({
            "environment": "production", "checks": false, "override_checks": overridden, "reason": "the shop burns"
        });
        project.runner.run(DEPLOY, &project.runner.dispatch("main", inputs))
    };

    let refused = run(false);
    assert_eq!(refused.jobs["deploy-production"].result, "failure", "{}", refused.log());
    assert_eq!(project.serving(), None);

    let hurried = run(true);
    assert_eq!(hurried.jobs["deploy-production"].result, "success", "{}", hurried.log());
    assert_eq!(project.serving().as_deref(), Some("2"));
}

#[test]
fn a_branch_is_built_as_it_was_judged_whatever_is_pushed_meanwhile() {
    let project = Project::new("");
    let held = project.hold_checks();
    let inputs = json!({ "environment": "production", "commit": "main", "reason": "now" });
    let event = project.runner.dispatch("main", inputs);

    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| project.runner.run(DEPLOY, &event));
        // The checks have begun when they come to the gate,
        held.open_after(|| project.commit("2"));
        run.join().unwrap()
    });

    assert_eq!(run.jobs["deploy-production"].result, "success", "{}", run.log());
    assert_eq!(project.serving().as_deref(), Some("1"));
}
