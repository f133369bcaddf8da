//! `cutover app`: the service itself, or that there is none.

use crate::sandbox::Sandbox;
use insta::assert_snapshot;
use std::fs::{self, File};

#[test]
fn what_has_no_service_cannot_be_restarted_and_has_no_log() {
    let sandbox = Sandbox::deployable("");
    let deployed = sandbox.run(&["deploy", "production"]);
    assert!(deployed.stdout.contains("nothing to observe: no service, no probes"), "{deployed:?}");

    let restarted = sandbox.run(&["app", "production", "restart"]);

    assert_snapshot!(restarted.told(), @"
    exit 2
    --- stderr
    error: nothing runs here: no target has a service
      state: nothing was changed
      hint: `service` of a target in cutover.toml says what runs its releases
    ");
    assert_eq!(sandbox.run(&["app", "production", "logs"]).told(), restarted.told());
}

#[test]
fn a_restart_can_queue_up_behind_a_lock_as_the_advice_says() {
    let sandbox = Sandbox::deployable("service.command = { restart = \"true\", stop = \"true\", status = \"true\" }");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let lock = File::options().write(true).open(sandbox.path().join("srv/.cutover/lock")).unwrap();
    lock.lock().unwrap();

    let refused = sandbox.run(&["app", "production", "restart"]);
    let waited = sandbox.run(&["app", "production", "restart", "--wait=0"]);

    assert!(refused.stderr.contains("--wait queues up behind it (deploy, rollback, app restart)"), "{refused:?}");
    assert!(refused.stderr.contains("`cutover lock production status`"), "no placeholder is left: {refused:?}");
    assert_eq!((refused.code, waited.code), (6, 6), "{waited:?}");
    assert!(waited.stderr.contains("still locked after 0 s"), "{waited:?}");
}

#[test]
fn a_target_that_is_not_there_is_named_with_those_that_are() {
    let sandbox = Sandbox::deployable("");
    let ran = sandbox.run(&["app", "production", "logs", "--target", "apo"]);
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: no target "apo" in this environment
      hint: there are: api
    "#);
}

#[test]
fn a_log_is_shown_without_its_terminal_escapes() {
    let sandbox = Sandbox::deployable("service.process.command = [\"true\"]");
    let log = sandbox.path().join("srv/.cutover/process/api/service.log");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    fs::write(&log, "one\t1\n\x1b[31mtwo\x1b]0;title\x07 \u{9b}31mred\x08\n").unwrap();

    let ran = sandbox.run(&["app", "production", "logs"]);

    assert_eq!(ran.stdout, "one\t1\ntwo red\\u{8}\n");
    let json = sandbox.run(&["app", "production", "logs", "--json"]);
    assert!(json.stdout.trim_end().chars().all(|c| !c.is_control()), "{json:?}");
}
