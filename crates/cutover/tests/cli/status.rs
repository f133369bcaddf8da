//! `cutover status` and `cutover lock`: what is live, and what is in the way.

use crate::sandbox::Sandbox;
use insta::assert_snapshot;
use std::fs;
use std::os::unix::fs::symlink;

/// A deployment that reaches traffic, is not healthy, and has a migration that cannot be taken back either.
const NO_WAY_BACK: &str = r#"
run.migrate = { up = "true", down = "exit 2" }
verify = { within = "50ms", probes = [{ command = { run = "exit 1" } }] }
"#;

#[test]
fn a_current_that_names_no_release_is_said_and_not_taken_for_nothing() {
    let sandbox = Sandbox::deployable("");
    let current = sandbox.path().join("srv/current");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    fs::remove_file(&current).unwrap();

    fs::create_dir(&current).unwrap();
    assert_snapshot!(sandbox.run(&["status"]).settled(), @"
    exit 0
    production
      api in DIR/srv
        DIR/srv/current is a directory and no link (move it out of the way (`mv DIR/srv/current DIR/srv/current.was`), and make it a link to the release that is live, if one is: `ln -s releases/RELEASE DIR/srv/current`)
    ");

    fs::remove_dir(&current).unwrap();
    symlink("/srv/elsewhere", &current).unwrap();
    let ran = sandbox.run(&["status"]);
    assert!(ran.stdout.contains("it points to /srv/elsewhere, which is no release"), "{ran:?}");
    assert!(!ran.stdout.contains("nothing is live"), "{ran:?}");
    let json = sandbox.run(&["status", "--json"]).json();
    let fault = json["environments"][0]["targets"][0]["faults"][0].as_str().unwrap();
    assert!(fault.contains("/srv/elsewhere"), "{json}");
}

#[test]
fn a_stuck_deployment_is_said_with_its_reason_and_the_way_on() {
    let sandbox = Sandbox::deployable(NO_WAY_BACK);
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 4);

    let ran = sandbox.run(&["status"]);

    assert_snapshot!(ran.settled(), @"
    exit 0
    production
      api in DIR/srv
        nothing is live yet
        deployment DEPLOYMENT is stuck: could not take back migrate: run migrate-down: exit code 2
          put that right, then: cutover resume production (with --abandon when nothing is left to do)
    ");
    let json = sandbox.run(&["status", "--json"]).json();
    assert_eq!(json["environments"][0]["targets"][0]["unfinished"][0]["state"], "stuck");
}

#[test]
fn a_deployment_stuck_behind_a_migration_without_a_way_back_is_for_a_person_to_close() {
    let sandbox = Sandbox::deployable("run.migrate = \"exit 3\"");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 4);

    let told = sandbox.run(&["status"]).settled();

    assert!(told.contains("is stuck: migrate: run migrate: exit code 3; migrate cannot be taken back"), "{told}");
    assert!(told.contains("cutover resume production --abandon"), "{told}");
}

#[test]
fn an_unfinished_deployment_says_where_it_stopped() {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    // The plan, and a first step that was begun and has no end.
    sandbox.reopen_last_journal(2);

    assert_snapshot!(sandbox.run(&["status"]).settled(), @"
    exit 0
    production
      api in DIR/srv
        live: RELEASE · COMMIT Say where it goes · just now
        deployment DEPLOYMENT is unfinished: it stopped at preflight
          go on with it: cutover resume production; the next deployment or rollback takes it back first
    ");
}

#[test]
fn a_live_release_that_is_not_verified_yet_is_told_as_such() {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let current = sandbox.path().join("srv/current/release.json");
    let described = fs::read_to_string(&current).unwrap();
    let is_told = || sandbox.run(&["status"]).stdout.contains("\n    not verified yet: it may be taken back\n");
    assert!(!is_told());

    // As it is from the switch to the end of the deployment.
    fs::write(&current, described.replace("\"state\": \"good\"", "\"state\": \"live\"")).unwrap();

    assert!(is_told());
}

#[test]
fn a_journal_that_cannot_be_read_is_said_with_the_way_on() {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    fs::write(sandbox.path().join("srv/.cutover/journal/open/20261121T101500-7f3a.journal"), "zero\n").unwrap();

    let ran = sandbox.run(&["status"]);

    assert!(ran.stdout.contains("the journal of deployment 20261121T101500-7f3a cannot be read: "), "{ran:?}");
    assert!(!ran.stdout.contains("cutover resume"), "resume cannot read it either: {ran:?}");
}

#[test]
fn what_a_lock_says_cannot_steer_the_terminal() {
    let sandbox = Sandbox::deployable("");
    let reason = "\x1b[31mboo\x07\u{9b}1m\nlive: nothing";

    let told = sandbox.run(&["lock", "production", "acquire", "--reason", reason, "--for", "2h"]);

    assert_snapshot!(told.settled(), @"
    exit 0
    maintenance lock by ada since DAY TIME UTC (just now), until DAY TIME UTC: boo live: nothing
    ");
    assert_eq!(sandbox.run(&["lock", "production", "status"]).stdout, told.stdout);
    let status = sandbox.run(&["status"]).stdout;
    assert!(status.contains("boo live: nothing") && !status.contains(['\x1b', '\x07', '\u{9b}']), "{status:?}");
    let json = sandbox.run(&["lock", "production", "status", "--json"]);
    assert!(json.stdout.trim_end().chars().all(|c| !c.is_control()), "{json:?}");
    assert_eq!(json.json()["maintenance"]["reason"], reason);
}

#[test]
fn a_holder_who_left_no_word_holds_since_an_unknown_time() {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let lock = fs::File::options().write(true).open(sandbox.path().join("srv/.cutover/lock")).unwrap();
    lock.lock().unwrap();

    let (told, json) =
        (sandbox.run(&["lock", "production", "status"]), sandbox.run(&["lock", "production", "status", "--json"]));

    assert!(told.stdout.starts_with("locked by an unknown process since an unknown time: it left no"), "{told:?}");
    assert!(json.json()["deployment"]["since"].is_null(), "{json:?}");
}

#[test]
fn a_maintenance_lock_is_renewed_by_its_holder_only_and_that_is_said() {
    let sandbox = Sandbox::deployable("");
    sandbox.run(&["lock", "production", "acquire", "--reason", "database move", "--for", "2h"]);

    let other = sandbox.run_with(&["lock", "production", "acquire"], &[("CUTOVER_BY", "bob")]);
    let renewed = sandbox.run(&["lock", "production", "acquire"]);
    let json = sandbox.run(&["lock", "production", "acquire", "--for", "1h", "--json"]);

    assert_snapshot!(other.settled(), @"
    exit 6
    --- stderr
    error: maintenance lock by ada since DAY TIME UTC until DAY TIME UTC: database move
      state: nothing was changed
      hint: `cutover lock production release` ends it
    ");
    assert_snapshot!(renewed.settled(), @"
    exit 0
    your maintenance lock is renewed: it was to end DAY TIME UTC, now it ends when it is released
    maintenance lock by ada since DAY TIME UTC (just now): database move
    ");
    let (was, is) = (&json.json()["renewed"], &json.json()["maintenance"]);
    assert!(was["until"].is_null() && is["until"].is_string() && was["since"] == is["since"], "{json:?}");
}
