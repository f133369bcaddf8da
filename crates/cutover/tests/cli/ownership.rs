//! A place that was deployed to as root once, and is another user's now. Only root can make such a place.

use crate::sandbox::{Ran, Sandbox};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// A user that has nothing here.
const USER: &str = "65534";

/// A sandbox whose place has a release of root's, and whose repository is the user's.
fn deployed_as_root(test: &str) -> Option<Sandbox> {
    let sandbox = Sandbox::deployable("");
    let is_able = Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success());
    if fs::metadata(sandbox.path()).unwrap().uid() != 0 || !is_able {
        eprintln!("skipped: {test} needs root, and setpriv");
        return None;
    }
    fs::set_permissions(sandbox.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let deployed = sandbox.run(&["deploy", "production"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    give(&sandbox.path().join("home"), true);
    give(&sandbox.repo(), true);
    Some(sandbox)
}

fn give(path: &Path, is_recursive: bool) {
    let mut chown = Command::new("chown");
    chown.args(is_recursive.then_some("-R")).args([USER, "--"]).arg(path);
    assert!(chown.status().unwrap().success());
}

/// Runs `cutover` as that user.
fn run(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let inner = sandbox.cutover(args);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(inner.get_program());
    command.args(inner.get_args()).env_clear().current_dir(sandbox.repo());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    sandbox.ran(&command.output().unwrap())
}

#[test]
fn what_root_left_is_said_to_be_roots_with_the_command_that_mends_it() {
    let Some(sandbox) = deployed_as_root("what_root_left_is_said_to_be_roots") else { return };
    let srv = sandbox.path().join("srv");

    // Given a directory that was given back without what is in it.
    give(&srv, false);
    let (doctor, deploy) = (run(&sandbox, &["doctor", "production"]), run(&sandbox, &["deploy", "production"]));
    let lock = run(&sandbox, &["lock", "production", "acquire", "--reason", "x"]);

    let mended = format!("`sudo chown -R {} DIR/srv` gives all of it to who deploys now", name());
    for (ran, code) in [(&doctor, 1), (&deploy, 1), (&lock, 1)] {
        assert_eq!(ran.code, code, "{ran:?}");
        let told = ran.told();
        assert!(told.contains(" belongs to root, who may have deployed here once"), "{told}");
        assert!(told.contains(&mended), "{told}");
    }
    assert!(doctor.stdout.contains("✗ deploy_to  DIR/srv/.cutover/"), "{doctor:?}");

    // When what is named is done.
    give(&srv, true);
    let deployed = run(&sandbox, &["deploy", "production"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    let well = run(&sandbox, &["doctor", "production", "-v"]);
    assert!(well.stdout.contains("✓ deploy_to  DIR/srv can be written to"), "{well:?}");
}

#[test]
fn a_place_that_is_not_this_users_is_told_before_a_deployment_begins() {
    let Some(sandbox) = deployed_as_root("a_place_that_is_not_this_users_is_told") else { return };

    let plan = run(&sandbox, &["plan", "production"]);

    assert_eq!(plan.code, 0, "{plan:?}");
    let why = "! a deployment would fail: DIR/srv is no directory that this user can write in; `sudo chown -R ";
    assert!(plan.stdout.contains(why), "{plan:?}");
    let rehearsed = run(&sandbox, &["deploy", "production", "--dry-run"]);
    assert!(rehearsed.code == 1 && rehearsed.told().matches("sudo chown -R").count() == 1, "{rehearsed:?}");
}

fn name() -> String {
    let name = Command::new("id").args(["-un", USER]).output().unwrap();
    String::from_utf8(name.stdout).unwrap().trim().to_owned()
}
