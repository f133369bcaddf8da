//! `cutover rollback` to a release that is named.

use crate::sandbox::Sandbox;

/// A sandbox with two releases, and their ids, the live one last.
fn two_releases() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more things");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let listed = sandbox.run(&["releases", "production", "--json"]).json();
    let listed = listed["targets"]["api"].as_array().unwrap().clone();
    let ids = listed.iter().rev().map(|release| release["id"].as_str().unwrap().to_owned()).collect();
    (sandbox, ids)
}

#[test]
fn a_release_can_be_named_by_a_beginning_that_no_other_has() {
    let (sandbox, ids) = two_releases();
    let length = (1..).find(|length| ids[0][..*length] != ids[1][..*length]).unwrap();

    let ran = sandbox.run(&["rollback", "production", &ids[0][..length]]);

    assert_eq!(ran.code, 0, "{}", ran.told());
    assert_eq!(std::fs::read_to_string(sandbox.path().join("srv/current/app.py")).unwrap(), "print('v1')\n");
}

#[test]
fn what_is_marked_bad_is_said_to_be_before_it_goes_live_again() {
    let (sandbox, ids) = two_releases();
    let well = sandbox.run(&["rollback", "production"]);
    assert!(well.code == 0 && !well.stdout.contains("marked bad: "), "{well:?}");
    let bad = format!("release {} is marked bad: left by rollback ", ids[1]);

    let planned = sandbox.run(&["plan", "production"]);
    let back = sandbox.run(&["rollback", "production", &ids[1]]);

    assert!(planned.stdout.contains(&format!("! the same files were live before: {bad}")), "{planned:?}");
    assert!(back.code == 0 && back.stdout.contains(&format!("! {bad}")), "{back:?}");
}

#[test]
fn the_status_tells_that_the_release_before_is_marked_bad_once_it_is() {
    let (sandbox, ids) = two_releases();
    let good = sandbox.run(&["status", "production"]);
    assert!(good.stdout.contains(&format!("before it: {}\n", ids[0])), "{good:?}");

    assert_eq!(sandbox.run(&["rollback", "production"]).code, 0);

    let bad = sandbox.run(&["status", "production"]);
    assert!(bad.stdout.contains(&format!("before it: {}, which is marked bad\n", ids[1])), "{bad:?}");
    let told = sandbox.run(&["status", "production", "--json"]).json();
    assert_eq!(told["environments"][0]["targets"][0]["previous_state"], "bad");
}

#[test]
fn a_release_that_is_not_there_is_a_usage_error_that_names_those_that_are() {
    let (sandbox, ids) = two_releases();

    let unknown = sandbox.run(&["rollback", "production", "v3"]);
    let ambiguous = sandbox.run(&["rollback", "production", "2"]);

    let there = format!("hint: there are: {}, {}", ids[1], ids[0]);
    assert_eq!((unknown.code, ambiguous.code), (2, 2), "{unknown:?} {ambiguous:?}");
    assert!(unknown.stderr.starts_with("error: no release \"v3\" in DIR/srv/releases\n"), "{unknown:?}");
    assert!(unknown.stderr.contains(&there), "{unknown:?}");
    assert!(ambiguous.stderr.starts_with("error: release \"2\" is ambiguous\n"), "{ambiguous:?}");
    assert!(ambiguous.stderr.contains(&there), "{ambiguous:?}");
}

#[test]
fn the_release_of_another_project_is_not_brought_back() {
    let (sandbox, ids) = two_releases();
    let config = sandbox.config().replace("name = \"shop\"", "name = \"bank\"");
    sandbox.write("cutover.toml", &config);

    let refused = sandbox.run(&["rollback", "production"]);

    assert!(refused.code == 1 && refused.stderr.contains("is a release of project shop"), "{}", refused.told());
    let live = std::fs::read_link(sandbox.path().join("srv/current")).unwrap();
    assert!(live.ends_with(&ids[1]), "{}", live.display());
}

#[test]
fn the_way_back_needs_no_home_on_this_machine() {
    let (sandbox, ids) = two_releases();
    let nowhere = [("CUTOVER_HOME", "/proc/nope")];
    let on = |args: &[&str]| sandbox.run_with(args, &nowhere);

    let back = on(&["rollback", "production"]);

    assert_eq!(back.code, 0, "{}", back.told());
    let warning = "warning: this machine's history /proc/nope/projects/";
    assert_eq!(back.stderr.matches(warning).count(), 1, "{}", back.told());
    let later =
        "what the hosts did stays in their journals and is read from there later (CUTOVER_HOME can name another place)";
    assert!(back.stderr.contains(later), "{}", back.told());
    for args in [
        ["status"].as_slice(),
        &["history"],
        &["metrics"],
        &["resume", "production"],
        &["resume", "production", "--abandon"],
        &["lock", "production", "acquire"],
        &["lock", "production", "release"],
        &["releases", "production"],
    ] {
        assert_eq!(on(args).code, 0, "{args:?}: {}", on(args).told());
    }
    assert_eq!(
        on(&["history"]).stdout.matches(&ids[0]).count(),
        2,
        "it is in the journals: {}",
        on(&["history"]).told()
    );
    // And the history has it once it can be written.
    assert!(sandbox.run(&["history"]).stdout.contains("rollback"), "{}", sandbox.run(&["history"]).told());
}

#[test]
fn what_must_be_packed_is_refused_early_without_a_home_on_this_machine() {
    let (sandbox, ids) = two_releases();

    let ran = sandbox.run_with(&["deploy", "production"], &[("CUTOVER_HOME", "/proc/nope")]);

    assert_eq!(ran.code, 1, "{}", ran.told());
    assert!(ran.stderr.contains("error: cannot make directory /proc/nope/projects/"), "{}", ran.told());
    assert!(ran.stderr.contains("state: nothing was deployed\n"), "{}", ran.told());
    assert!(sandbox.run(&["status"]).stdout.contains(&format!("live: {}", ids[1])));
}

#[test]
fn a_rollback_that_finds_a_deployment_killed_after_its_switch_takes_that_back_and_goes_no_further() {
    let (sandbox, ids) = two_releases();
    sandbox.write("app.py", "print('v3')\n");
    sandbox.commit("Sell everything");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    // Its verification had begun.
    sandbox.reopen_last_journal(lines_until_verified(&sandbox) - 1);
    let live = || std::fs::read_to_string(sandbox.path().join("srv/current/app.py")).unwrap();
    assert_eq!(live(), "print('v3')\n");

    let first = sandbox.run(&["rollback", "production"]);

    assert_eq!((first.code, live().as_str()), (0, "print('v2')\n"), "{}", first.told());
    let told = format!(
        "was unfinished and was taken back: {} is live and healthy; `cutover rollback production` once more",
        ids[1]
    );
    assert!(first.stderr.contains(&told), "{}", first.told());
    // Once more goes one further.
    let second = sandbox.run(&["rollback", "production"]);
    assert_eq!((second.code, live().as_str()), (0, "print('v1')\n"), "{}", second.told());
}

#[test]
fn a_rollback_to_a_release_that_is_named_goes_there_whatever_was_unfinished() {
    let (sandbox, ids) = two_releases();
    sandbox.reopen_last_journal(lines_until_verified(&sandbox) - 1);

    let ran = sandbox.run(&["rollback", "production", &ids[0]]);

    // It was live again already, once the unfinished one was taken back.
    assert_eq!(ran.code, 2, "{}", ran.told());
    assert!(ran.stderr.contains("is live already"), "{ran:?}");
}

/// How many lines of the last journal there are until its release was verified, that line included.
fn lines_until_verified(sandbox: &Sandbox) -> usize {
    let done = std::fs::read_dir(sandbox.path().join("srv/.cutover/journal/done")).unwrap();
    let newest = done
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .unwrap();
    let text = std::fs::read_to_string(newest).unwrap();
    let json = |line: &str| serde_json::from_str::<serde_json::Value>(line.split_once(' ').unwrap().1).unwrap();
    1 + text.lines().map(json).position(|record| record.to_string().contains("nothing to observe")).unwrap()
}
