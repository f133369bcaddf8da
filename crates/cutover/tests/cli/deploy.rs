//! Deployments to this machine, as far as they need no service.

use crate::sandbox::Sandbox;

/// The lines of a standard error that warn of something.
fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.starts_with("warning:")).collect()
}

#[test]
fn a_rehearsal_of_what_is_live_already_does_not_speak_of_a_preflight() {
    let sandbox = Sandbox::new();
    sandbox.host("", "");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);

    let unchanged = sandbox.run(&["deploy", "production", "--dry-run"]);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more things");
    let changed = sandbox.run(&["deploy", "production", "--dry-run"]);

    assert_eq!((unchanged.code, unchanged.stdout.lines().count()), (0, 1), "{unchanged:?}");
    assert!(unchanged.stdout.starts_with("nothing changed: "), "{unchanged:?}");
    assert!(changed.stdout.ends_with("preflight passed; nothing was changed\n"), "{changed:?}");
}

#[test]
fn the_environment_may_follow_the_wish_to_wait() {
    let sandbox = Sandbox::new();
    sandbox.host("", "");

    let ran = sandbox.run(&["deploy", "--wait", "production"]);

    assert_eq!(ran.code, 0, "{}", ran.told());
}

#[test]
fn a_secret_that_cannot_be_masked_is_warned_of_once_by_its_name() {
    let sandbox = Sandbox::new();
    sandbox.host("", "secrets = [\"PIN\", \"TOKEN\"]");

    let ran = sandbox.run_with(&["deploy", "production"], &[("PIN", "q7!"), ("TOKEN", "made up for this test")]);

    assert_eq!(ran.code, 0, "{}", ran.told());
    let warnings = warnings(&ran.stderr);
    assert_eq!(warnings.len(), 1, "{ran:?}");
    assert!(warnings[0].starts_with("warning: secret PIN is too short to be masked"), "{ran:?}");
    assert!(!ran.told().contains("q7!"), "{ran:?}");
}

#[test]
fn what_has_no_way_back_stays_stuck_until_it_is_closed() {
    let sandbox = Sandbox::new();
    let verify = "verify = { within = \"100ms\", interval = \"50ms\", probes = [{ command = { run = \"false\" } }] }";
    sandbox.host(&format!("run.migrate = \"true\"\n{verify}"), "");
    let deployed = sandbox.run(&["deploy", "production"]);
    assert_eq!(deployed.code, 4, "{}", deployed.told());
    sandbox.host("", "");

    let refused = sandbox.run(&["deploy", "production"]);
    let resumed = sandbox.run(&["resume", "production"]);
    let closed = sandbox.run(&["resume", "production", "--abandon"]);

    assert_eq!((refused.code, resumed.code, closed.code), (4, 4, 0), "{}", refused.told());
    assert!(refused.stderr.contains("a step that cannot be taken back was begun"), "{refused:?}");
    assert!(!refused.stderr.contains("then run `cutover resume ENV`"), "trying again is no use: {refused:?}");
    let told = resumed.told();
    assert!(told.contains("migrate cannot be taken back"), "{told}");
    assert!(
        told.contains("put right by hand what it left, then close it: cutover resume production --abandon"),
        "{told}"
    );
    assert!(closed.stdout.contains("it stays as it is"), "{closed:?}");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
}
