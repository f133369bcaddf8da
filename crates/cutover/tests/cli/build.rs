//! `cutover build`

use crate::sandbox::{CONFIG, Sandbox};
use insta::assert_snapshot;
use std::hash::{BuildHasher, RandomState};

/// A build command that gives away a secret of production.
const BUILD_WITH_TOKEN: &str = r#"[environments.production.secrets]
TOKEN = { file = "FILE" }

[artifact]
build = "echo token is $(cat FILE); exit 3"
"#;

#[test]
fn the_same_commit_gives_the_same_id_whatever_the_work_tree_looks_like() {
    let sandbox = Sandbox::new();
    let first = sandbox.run(&["build"]);
    sandbox.write("app.py", "print('not committed')\n");
    let again = sandbox.run(&["build", "--again"]);
    assert_eq!((first.code, &first.stdout), (0, &again.stdout));
    assert_eq!(first.stdout.trim().len(), 64, "only the id is printed: {first:?}");
    assert!(first.stderr.starts_with("packed ") && first.stderr.contains(" Sell things: 2 files, "), "{first:?}");
}

#[test]
fn uncommitted_changes_are_packed_only_when_asked_for_and_then_said() {
    let sandbox = Sandbox::new();
    sandbox.write("app.py", "print('not committed')\n");
    let clean = sandbox.run(&["build"]);
    let dirty = sandbox.run(&["build", "--dirty"]);
    assert_ne!(clean.stdout, dirty.stdout);
    assert!(dirty.stderr.contains("with uncommitted changes"), "{dirty:?}");
}

#[test]
fn an_earlier_commit_can_be_packed_and_an_unknown_one_is_a_usage_error() {
    let sandbox = Sandbox::new();
    let first = sandbox.run(&["build"]);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    assert_ne!(sandbox.run(&["build"]).stdout, first.stdout);
    assert_eq!(sandbox.run(&["build", "--commit", "HEAD~1"]).stdout, first.stdout);
    assert_snapshot!(sandbox.run(&["build", "--commit", "no-such"]).told(), @r#"
    exit 2
    --- stderr
    error: revision "no-such" is not a commit of this repository
      state: nothing was deployed
      hint: fetch it first; a shallow clone (as CI makes by default) lacks older commits
    "#);
}

#[test]
fn machines_are_told_everything_in_one_object() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["build", "--json", "--output", "shop.cutover"]);
    let told = ran.json();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!((&told["v"], &told["artifact"]["file_count"]), (&1.into(), &2.into()));
    assert_eq!(told["exported"], "shop.cutover");
    assert!(sandbox.repo().join("shop.cutover").metadata().unwrap().len() > 0);
}

#[test]
fn an_export_that_fails_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["build", "--output", "nowhere/shop.cutover"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("write nowhere/shop.cutover"), "{ran:?}");
}

#[test]
fn a_build_command_that_fails_is_quoted_without_its_secrets() {
    let sandbox = Sandbox::new();
    let secret = format!("{:016x}", RandomState::new().hash_one("build"));
    sandbox.write("../token", &secret);
    let token = sandbox.path().join("token").display().to_string();
    sandbox.write("cutover.toml", &format!("{CONFIG}\n{}", BUILD_WITH_TOKEN.replace("FILE", &token)));
    sandbox.commit("Build");
    let ran = sandbox.run(&["build", "-v"]);
    assert!(!ran.stderr.contains(&secret) && !ran.stdout.contains(&secret), "{ran:?}");
    assert_snapshot!(ran.told(), @"
    exit 1
    --- stderr
      build | token is ***
    error: build command: exit code 3
        | token is ***
      state: nothing was deployed
      hint: -v shows all that it says
    ");
}

#[test]
fn the_artifact_is_remembered() {
    let sandbox = Sandbox::new();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    let store = cutover_store::SqliteStore::open(&sandbox.data_dir().join("history.db")).unwrap();
    let artifacts = cutover_core::store::Store::artifacts(&store, &cutover_testkit::name("shop")).unwrap();
    assert_eq!(artifacts.iter().map(|artifact| artifact.id.clone()).collect::<Vec<_>>(), [id]);
}

#[test]
fn what_was_built_on_one_machine_is_planned_for_on_another() {
    let here = Sandbox::new();
    let built = here.run(&["build", "--output", "shop.cutover"]);
    // Given another machine, with another commit and no artifact yet.
    let there = Sandbox::new();
    there.write("app.py", "print('v2')\n");
    there.commit("Sell more");
    std::fs::copy(here.repo().join("shop.cutover"), there.repo().join("shop.cutover")).unwrap();

    let planned = there.run(&["plan", "production", "--artifact", "shop.cutover"]);

    assert_eq!(planned.code, 0, "{planned:?}");
    let commit = built.stderr.split(' ').nth(1).unwrap();
    assert!(planned.stdout.contains(&format!("({commit})")), "{planned:?}");
    let known = there.run(&["plan", "production", "--artifact", built.stdout.trim()]);
    assert_eq!(known.code, 0, "from now on it is known by its id: {known:?}");
}

#[test]
fn a_file_that_is_no_artifact_of_this_project_is_refused() {
    let other = Sandbox::new();
    other.write("cutover.toml", &CONFIG.replace("\"shop\"", "\"bank\""));
    other.run(&["build", "--output", "bank.cutover"]);
    let sandbox = Sandbox::new();
    std::fs::copy(other.repo().join("bank.cutover"), sandbox.repo().join("bank.cutover")).unwrap();
    assert_snapshot!(sandbox.run(&["plan", "production", "--artifact", "bank.cutover"]).told(), @r#"
    exit 2
    --- stderr
    error: bank.cutover holds an artifact of project bank, and this is shop
      state: nothing was deployed
    "#);
    assert_snapshot!(sandbox.run(&["plan", "production", "--artifact", "./app.py"]).told(), @r#"
    exit 1
    --- stderr
    error: cannot take in ./app.py
      because: import: not an exported artifact
      state: nothing was deployed
    "#);
    assert_snapshot!(sandbox.run(&["plan", "production", "--artifact", "./gone"]).told(), @r#"
    exit 2
    --- stderr
    error: artifact id "./gone": expected at least 6 hexadecimal characters
      state: nothing was deployed
      hint: there is no file of that name either
    "#);
}
