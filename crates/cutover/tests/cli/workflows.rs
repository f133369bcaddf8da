//! `cutover workflows`

use crate::sandbox::{CONFIG, Sandbox};
use insta::assert_snapshot;
use std::fs;

const CHECKS: &str = ".github/workflows/cutover-checks.yml";

/// A repository with a check, and no workflows yet.
fn checked() -> Sandbox {
    let sandbox = Sandbox::new();
    let url =
        "runs_on = \"own\"\nurl = \"https://example.org/cutover\"\nsha256 = \"".to_owned() + &"0".repeat(64) + "\"\n";
    sandbox.write("cutover.toml", &format!("{CONFIG}\n[checks.tests]\nrun = \"true\"\n\n[workflows]\n{url}"));
    sandbox
}

fn read(sandbox: &Sandbox, path: &str) -> String {
    fs::read_to_string(sandbox.repo().join(path)).unwrap()
}

#[test]
fn workflows_are_written_once_and_are_what_the_config_says_from_then_on() {
    let sandbox = checked();
    assert_snapshot!(sandbox.run(&["workflows"]).told(), @"
    exit 0
    ✓ written .github/actions/cutover/action.yml
    ✓ written .github/workflows/cutover-checks.yml
    ✓ written .github/workflows/cutover-manual.yml
    ✓ written .github/workflows/cutover-report.yml
    ✓ written .github/workflows/cutover-rollback.yml
    ");
    assert_snapshot!(sandbox.run(&["workflows"]).told(), @"
    exit 0
    ✓ 5 files are what cutover.toml says
    ");
    assert_snapshot!(sandbox.run(&["workflows", "--check"]).told(), @"
    exit 0
    ✓ 5 files are what cutover.toml says
    ");
}

#[test]
fn badges_are_printed_for_the_readme_and_nothing_is_written() {
    let sandbox = checked();
    let nowhere = sandbox.run(&["workflows", "--badges"]);
    sandbox.git(&["remote", "add", "origin", "https://somebody:secret@github.com/shop/app.git"]);

    assert_snapshot!(sandbox.run(&["workflows", "--badges"]).told(), @"
    exit 0
    [![checks](https://github.com/shop/app/actions/workflows/cutover-checks.yml/badge.svg)](https://github.com/shop/app/actions/workflows/cutover-checks.yml)
    ");
    assert_snapshot!(sandbox.run(&["workflows", "--badges", "--gitlab"]).told(), @r#"
    exit 2
    --- stderr
    error: no run can be shown: no environment with hosts has a `branch`
      hint: `branch = "main"` under [environments.ENV]
    "#);
    assert_snapshot!(nowhere.told(), @"
    exit 2
    --- stderr
    error: origin is at no server whose badges could be shown
      hint: `git remote add origin git@github.com:OWNER/NAME.git`
    ");
    assert!(!sandbox.repo().join(".github").exists());
}

#[test]
fn the_files_of_the_other_ci_are_kept_true_as_a_whole() {
    let sandbox = checked();
    let config = sandbox.config();
    let (unchecked, _) = config.split_once("[checks.tests]").unwrap();
    let (_, workflows) = config.split_once("[workflows]").unwrap();
    sandbox.write("cutover.toml", &format!("{unchecked}[workflows]{workflows}"));
    assert_eq!((sandbox.run(&["workflows"]).code, sandbox.run(&["workflows", "--gitlab"]).code), (0, 0));
    assert!(!sandbox.repo().join(CHECKS).exists());
    // Others of its files call the one of the checks now, which was not there before.
    sandbox.write("cutover.toml", &config);

    let stale = sandbox.run(&["workflows", "--gitlab", "--check"]);
    let written = sandbox.run(&["workflows", "--gitlab"]);

    assert_eq!((stale.code, written.code), (1, 0), "{}{}", stale.told(), written.told());
    assert!(stale.stdout.contains(CHECKS) && sandbox.repo().join(CHECKS).exists(), "{}", stale.told());
}

#[test]
fn a_check_fails_and_shows_what_differs_and_changes_nothing() {
    let sandbox = checked();
    sandbox.run(&["workflows"]);
    let config = sandbox.config();
    sandbox.write("cutover.toml", &format!("{config}timeout = \"7m\"\n[checks.more]\nrun = \"true\"\n"));
    let before = read(&sandbox, CHECKS);

    let ran = sandbox.run(&["workflows", "--check"]);

    assert_eq!(ran.code, 1, "{}", ran.told());
    assert!(ran.stdout.contains("-    timeout-minutes: 30\n+    timeout-minutes: 7\n"), "{}", ran.told());
    assert!(ran.stderr.contains("run cutover workflows\n"), "{}", ran.told());
    assert_eq!(read(&sandbox, CHECKS), before);
    // A file that was changed by hand differs, too, and one that is missing.
    sandbox.write("cutover.toml", &config);
    sandbox.write(CHECKS, &before.replace("contents: read", "contents: write"));
    assert!(sandbox.run(&["workflows", "--check"]).stdout.contains("-      contents: write\n"));
    fs::remove_file(sandbox.repo().join(CHECKS)).unwrap();
    assert!(sandbox.run(&["workflows", "--check"]).stdout.contains("--- /dev/null\n"));
}

#[test]
fn a_file_that_cutover_did_not_write_is_not_replaced_and_nothing_else_is_written() {
    let sandbox = checked();
    sandbox.write(CHECKS, "on: push\n");
    assert_snapshot!(sandbox.run(&["workflows"]).told(), @"
    exit 2
    --- stderr
    error: .github/workflows/cutover-checks.yml is there already, and Cutover did not write it
      state: nothing was changed
      hint: move what it does into a workflow of another name, and remove it
      hint: to have it replaced, let its first line be: # Written by `cutover workflows` from cutover.toml. Change that, and run it again.
    ");
    assert_eq!(read(&sandbox, CHECKS), "on: push\n");
    assert!(!sandbox.repo().join(".github/actions").exists());
}

#[test]
fn a_workflow_that_the_config_does_not_ask_for_any_more_is_removed_if_it_is_ours() {
    let sandbox = checked();
    sandbox.run(&["workflows"]);
    sandbox.write("cutover.toml", &sandbox.config().replace("[checks.tests]\nrun = \"true\"\n", ""));

    let ran = sandbox.run(&["workflows"]);

    assert!(ran.stdout.contains("✓ removed .github/workflows/cutover-checks.yml\n"), "{}", ran.told());
    assert!(!sandbox.repo().join(CHECKS).exists());
    sandbox.write(CHECKS, "on: push\n");
    assert_eq!(sandbox.run(&["workflows", "--check"]).code, 0);
    assert_eq!(read(&sandbox, CHECKS), "on: push\n", "somebody else's");
}

#[test]
fn machines_are_told_the_state_of_each_file() {
    let sandbox = checked();
    let state = |args: &[&str]| {
        let told = sandbox.run(args).json();
        let files = told["files"].as_array().unwrap().clone();
        files.iter().find(|file| file["path"] == CHECKS).unwrap()["state"].clone()
    };
    assert_eq!(state(&["workflows", "--check", "--json"]), "differs");
    assert_eq!(state(&["workflows", "--json"]), "written");
    assert_eq!(state(&["workflows", "--json"]), "same");
}

#[test]
fn a_pipeline_for_gitlab_is_one_file_and_leaves_those_for_github_alone() {
    let sandbox = checked();
    assert_snapshot!(sandbox.run(&["workflows", "--gitlab"]).told(), @"
    exit 0
    ✓ written .gitlab-ci.yml
    ");
    assert!(!sandbox.repo().join(".github").exists());
}

#[test]
fn what_was_written_for_the_other_ci_is_kept_true_too() {
    let sandbox = checked();
    sandbox.run(&["workflows", "--gitlab"]);
    sandbox.run(&["workflows"]);
    sandbox.write("cutover.toml", &sandbox.config().replace("\"own\"", "\"other\""));

    let checked = sandbox.run(&["workflows", "--check"]);
    let written = sandbox.run(&["workflows"]);

    assert_eq!((checked.code, written.code), (1, 0), "{}", checked.told());
    assert!(checked.stdout.contains("+++ .gitlab-ci.yml"), "{}", checked.told());
    assert!(written.stdout.contains("✓ written .gitlab-ci.yml\n"), "{}", written.told());
    assert_eq!(sandbox.run(&["workflows", "--gitlab", "--check"]).code, 0);
}

#[test]
fn in_a_directory_of_the_repository_workflows_lie_at_its_top_and_work_in_the_directory() {
    let sandbox = checked();
    sandbox.write("services/api/cutover.toml", &sandbox.config());
    fs::remove_file(sandbox.repo().join("cutover.toml")).unwrap();

    let ran = sandbox.run(&["-C", "services/api", "workflows"]);

    assert_eq!(ran.code, 0, "{}", ran.told());
    assert!(read(&sandbox, CHECKS).contains("    working-directory: services/api\n"), "{}", read(&sandbox, CHECKS));
}

#[test]
fn with_nothing_to_judge_and_nowhere_to_deploy_there_is_nothing_to_write() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", "name = \"shop\"\n");

    let ran = sandbox.run(&["workflows"]);

    assert_eq!(ran.stdout, "Nothing to write: cutover.toml has no checks, and no environment with hosts\n");
    assert_eq!(ran.code, 0);
}

#[test]
fn another_config_of_the_repository_keeps_its_workflows() {
    let sandbox = checked();
    sandbox.run(&["workflows"]);
    let (own, config) = (read(&sandbox, CHECKS), sandbox.config());
    fs::create_dir(sandbox.repo().join("second")).unwrap();
    sandbox.write("second/cutover.toml", &config);

    let ran = sandbox.run(&["-C", "second", "workflows"]);

    assert_eq!(ran.code, 2, "{}", ran.told());
    assert!(ran.stderr.contains("from another cutover.toml of this repository"), "{}", ran.told());
    // Nor are they removed where the second one asks for none.
    sandbox.write("second/cutover.toml", "name = \"second\"\n");
    assert_eq!(sandbox.run(&["-C", "second", "workflows"]).code, 0);
    assert_eq!(read(&sandbox, CHECKS), own);
}
