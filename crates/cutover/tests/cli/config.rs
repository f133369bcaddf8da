//! A `cutover.toml` that is not sound.

use crate::sandbox::Sandbox;
use insta::assert_snapshot;

const WRONG: &str = r#"name = "shop"

[targets.api.host]
deploy_too = "/srv/shop"
keep_releases = "three"

[environments.production.hosts]
api = ["localhost"]
"#;

#[test]
fn every_mistake_is_shown_at_its_place() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", WRONG);
    assert_snapshot!(sandbox.run(&["history"]).told(), @r#"
    exit 2
    --- stderr
    error: `targets.api.host` lacks the key `deploy_to`
     --> cutover.toml:3:1
      |
    3 | [targets.api.host]
      | ^^^^^^^^^^^^^^^^^^ `deploy_to` is missing
      |
      = hint: add deploy_to = "/opt/app"

    error: unknown key `deploy_too` in `targets.api.host`
     --> cutover.toml:4:1
      |
    4 | deploy_too = "/srv/shop"
      | ^^^^^^^^^^ unknown key
      |
      = hint: did you mean `deploy_to`?

    error: `targets.api.host.keep_releases` must be a whole number from 2 to 1000, found a string
     --> cutover.toml:5:17
      |
    5 | keep_releases = "three"
      |                 ^^^^^^^ expected a whole number from 2 to 1000

    error: cutover.toml: 3 errors
      state: nothing was changed
    "#);
}

#[test]
fn machines_get_lines_and_columns() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", WRONG);
    let ran = sandbox.run(&["history", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (2, ""));
    let error = &ran.json()["error"];
    assert_eq!((&error["kind"], &error["path"]), (&"config".into(), &"cutover.toml".into()));
    let lines: Vec<_> = error["diagnostics"].as_array().unwrap().iter().map(|found| &found["start"]["line"]).collect();
    assert!(lines.contains(&&4.into()) && lines.contains(&&5.into()), "{lines:?}");
}

#[test]
fn colours_come_only_when_they_are_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", WRONG);
    assert!(!sandbox.run(&["history"]).stderr.contains('\x1b'));
    assert!(sandbox.run_with(&["history", "--color", "always"], &[("NO_COLOR", "1")]).stderr.contains('\x1b'));
    assert!(!sandbox.run(&["history", "--color", "never"]).stderr.contains('\x1b'));
}

#[test]
fn a_config_that_is_no_text_or_endless_is_an_error() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.repo().join("cutover.toml"), b"name = \"\xff\"").unwrap();
    assert_snapshot!(sandbox.run(&["history"]).told(), @"
    exit 2
    --- stderr
    error: cannot read cutover.toml
      because: stream did not contain valid UTF-8
      state: nothing was changed
    ");
    assert_eq!(sandbox.run(&["history", "--config", "/dev/zero"]).code, 2);
}
