//! `cutover init` and `cutover schema`

use crate::sandbox::{CONFIG, Sandbox};
use insta::assert_snapshot;
use std::fs;

/// A repository with a small Python service and no config yet.
fn unconfigured() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write("requirements.txt", "flask==3.0\n");
    sandbox
}

#[test]
fn a_config_is_written_that_other_commands_accept() {
    let sandbox = unconfigured();
    assert_snapshot!(sandbox.run(&["init"]).told(), @"
    exit 0
    ✓ wrote cutover.toml
      found Python (requirements.txt)
      found the script app.py

    next:
      read cutover.toml: what could not be known is a comment
      git add it and commit: only what is committed is deployed
      cutover setup production    first, where hosts are other machines: prepares them
      cutover plan production     what a deployment would do; touches nothing
      cutover deploy production   does it, and takes it back when it is not healthy
    ");
    assert_eq!(sandbox.run(&["history"]).told(), "exit 0\nNo deployments.\n");
}

#[test]
fn a_config_that_is_there_is_replaced_only_when_told_to() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["init"]).told(), @"
    exit 2
    --- stderr
    error: cutover.toml is there already
      state: nothing was changed
      hint: --stdout shows what would be written
      hint: --force replaces it
    ");
    assert_eq!(fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap(), CONFIG);
    assert_eq!(sandbox.run(&["init", "--force"]).code, 0);
    assert_ne!(fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap(), CONFIG);
}

#[test]
fn the_config_can_be_shown_without_writing_it() {
    let sandbox = unconfigured();
    let shown = sandbox.run(&["init", "--stdout"]);
    assert!(!sandbox.repo().join("cutover.toml").exists());
    sandbox.run(&["init"]);
    assert_eq!(shown.stdout, fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap());
}

#[test]
fn machines_are_told_what_was_found() {
    let told = unconfigured().run(&["init", "--json"]).json();
    assert_eq!((&told["v"], &told["path"]), (&1.into(), &"cutover.toml".into()));
    assert!(!told["found"].as_array().unwrap().is_empty(), "{told}");
}

#[test]
fn the_schema_is_json_and_the_reference_is_markdown() {
    let sandbox = unconfigured();
    assert_eq!(sandbox.run(&["schema"]).json()["title"], "cutover.toml");
    assert!(sandbox.run(&["schema", "--reference"]).stdout.contains("| key | value | default | meaning |"));
}

#[test]
fn below_the_top_of_a_repository_nothing_is_written_that_could_not_work() {
    let sandbox = unconfigured();
    sandbox.write("services/api/requirements.txt", "flask==3.0\n");

    let ran = sandbox.run(&["-C", "services/api", "init"]);

    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: DIR/repo/services/api is a directory of the repository DIR/repo
      state: nothing was changed: a release holds the whole repository, and paths in cutover.toml begin at its top
      hint: cutover -C DIR/repo init
      hint: to deploy this directory only, set include = ["services/api/**"] in [artifact] there
    "#);
    assert!(!sandbox.repo().join("services/api/cutover.toml").exists());
}
