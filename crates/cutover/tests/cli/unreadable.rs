//! What cannot be read is said, and not shown as absent. Root may read everything, so these tests make files that nobody
//! can.

use crate::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A link to itself, in place of whatever is there.
fn spoil(path: &Path) {
    let _gone = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(path.file_name().unwrap(), path).unwrap();
}

#[test]
fn an_env_file_that_cannot_be_read_is_not_compared_with() {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"true\"]", "env = { LEVEL = \"info\" }\nsecrets = [\"TOKEN\"]");
    spoil(&sandbox.path().join("srv/shared/.env"));

    for command in [["env", "production", "diff"].as_slice(), &["plan", "production"], &["app", "production", "logs"]] {
        let ran = sandbox.run_with(command, &[("TOKEN", "made up for this test")]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{command:?}: {ran:?}");
        assert!(ran.stderr.contains("error: read env file DIR/srv/shared/.env: Too many levels"), "{ran:?}");
    }
}

#[test]
fn an_env_file_without_an_end_is_refused_and_taken_for_none_of_ours() {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"true\"]", "env = { LEVEL = \"info\" }\nsecrets = [\"TOKEN\"]");
    let live = sandbox.path().join("srv/shared/.env");
    fs::create_dir_all(live.parent().unwrap()).unwrap();
    symlink("/dev/zero", live).unwrap();

    for command in [["env", "production", "diff"], ["app", "production", "logs"]] {
        let ran = sandbox.run_with(&command, &[("TOKEN", "made up for this test")]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{command:?}: {ran:?}");
        let why = "error: read env file DIR/srv/shared/.env: it is no regular file";
        assert!(ran.stderr.contains(why) && ran.stderr.contains("hint: Cutover did not write it"), "{ran:?}");
    }
}

#[test]
fn a_service_log_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let sandbox = Sandbox::deployable("service.process.command = [\"true\"]");
    spoil(&sandbox.path().join("srv/.cutover/process/api/service.log"));

    let ran = sandbox.run(&["app", "production", "logs"]);

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("error: read log DIR/srv/.cutover/process/api/service.log: Too many levels"),
        "{ran:?}"
    );
}

#[test]
fn journals_that_cannot_be_read_are_said_with_the_history_and_the_status() {
    let sandbox = Sandbox::deployable("");
    spoil(&sandbox.path().join("srv/.cutover/journal/done"));

    let history = sandbox.run(&["history"]);
    let status = sandbox.run(&["status"]);

    assert_eq!((history.code, history.stdout.as_str()), (0, "No deployments.\n"));
    assert!(
        history.stderr.contains("warning: the history may lack deployments: read DIR/srv/.cutover/journal/done: "),
        "{history:?}"
    );
    assert!(status.stdout.contains("read DIR/srv/.cutover/journal/done: Too many levels"), "{status:?}");
    for command in ["history", "metrics"] {
        let told = sandbox.run(&[command, "--json"]).json();
        let incomplete = told["incomplete"].as_array().unwrap();
        let why = incomplete.first().and_then(|why| why.as_str()).unwrap_or_default();
        assert!(incomplete.len() == 1 && why.contains("/srv/.cutover/journal/done: "), "{command}: {told}");
    }
}

#[test]
fn an_env_file_that_is_committed_is_not_said_to_be_unignored() {
    let sandbox = Sandbox::deployable("");
    sandbox.write(".env", "A=b\n");
    sandbox.commit("Give the secrets away");
    sandbox.write(".gitignore", ".env\n");
    sandbox.commit("Too late");

    let in_artifact = sandbox.run(&["plan", "production"]);
    sandbox.write("cutover.toml", &format!("{}\n[artifact]\nexclude = [\".env\"]\n", sandbox.config()));
    sandbox.commit("Leave it out");
    let left_out = sandbox.run(&["plan", "production"]);

    assert_eq!(in_artifact.stderr.lines().count(), 1, "{in_artifact:?}");
    assert!(in_artifact.stderr.starts_with("warning: .env is in the artifact"), "{in_artifact:?}");
    assert_eq!(left_out.stderr.lines().count(), 1, "{left_out:?}");
    assert!(left_out.stderr.starts_with("warning: .env is committed: take it out"), "{left_out:?}");
}

/// A sandbox with two releases, and their ids, the live one last; the first one's description is spoilt like this.
fn with_a_spoilt_release(spoil: impl Fn(&Path)) -> (Sandbox, [String; 2]) {
    let sandbox = Sandbox::deployable("");
    let ids = ["print('v1')\n", "print('v2')\n"].map(|text| {
        sandbox.write("shop.py", text);
        sandbox.commit("Sell");
        assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
        let live = fs::read_link(sandbox.path().join("srv/current")).unwrap();
        live.file_name().unwrap().to_str().unwrap().to_owned()
    });
    spoil(&sandbox.path().join("srv/releases").join(&ids[0]).join("release.json"));
    (sandbox, ids)
}

#[test]
fn a_release_that_cannot_be_read_is_listed_and_refused_with_why() {
    let remove: fn(&Path) = |file| fs::remove_file(file).unwrap();
    let garble: fn(&Path) = |file| fs::write(file, "garbage").unwrap();
    let renew: fn(&Path) = |file| fs::write(file, "{\"version\":2,\"id\":[]}").unwrap();
    let spoil: fn(&Path) = |file| spoil(file);
    for (spoil, why) in [
        (remove, "No such file or directory"),
        (garble, "expected value at line 1"),
        (renew, "it has format version 2; this version knows up to 1"),
        (spoil, "Too many levels of symbolic links"),
    ] {
        let (sandbox, [bad, live]) = with_a_spoilt_release(spoil);

        let listed = sandbox.run(&["releases", "production"]);
        let json = sandbox.run(&["releases", "production", "--json"]).json();
        let named = sandbox.run(&["rollback", "production", &bad[..bad.len() - 1]]);
        let unnamed = sandbox.run(&["rollback", "production"]);

        let row = listed.stdout.lines().find(|line| line.starts_with(&bad)).unwrap_or_else(|| panic!("{listed:?}"));
        assert!(row.contains("unknown") && row.contains("cannot be read: ") && row.contains(why), "{row}");
        assert_eq!(json["targets"]["api"].as_array().unwrap().len(), 1, "{json}");
        assert_eq!(json["unreadable"]["api"][0]["id"], bad.as_str(), "{json}");
        assert!(json["unreadable"]["api"][0]["why"].as_str().unwrap().contains(why), "{json}");
        assert!(named.code == 1 && named.stderr.contains(why), "{named:?}");
        let told = format!("hint: release {bad} was passed over, as it cannot be read: ");
        assert!(unnamed.code == 1 && unnamed.stderr.contains(&told), "{unnamed:?}");
        assert!(sandbox.run(&["status"]).stdout.contains(&live));
    }
}

#[test]
fn a_rollback_says_which_release_it_passed_over() {
    let (sandbox, [bad, _]) = with_a_spoilt_release(|_| {});
    sandbox.write("shop.py", "print('v3')\n");
    sandbox.commit("Sell");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let releases = sandbox.path().join("srv/releases");
    let second = fs::read_link(sandbox.path().join("srv/previous")).unwrap();
    fs::remove_file(releases.join(second.file_name().unwrap()).join("release.json")).unwrap();

    let ran = sandbox.run(&["rollback", "production"]);

    let second = second.file_name().unwrap().to_str().unwrap();
    assert!(ran.stdout.contains(&format!("! release {second} was passed over, as it cannot be read: ")), "{ran:?}");
    assert!(ran.code == 0 && sandbox.run(&["status"]).stdout.contains(&format!("live: {bad}")), "{ran:?}");
}

#[test]
fn releases_that_cannot_be_listed_are_not_taken_for_none() {
    let sandbox = Sandbox::deployable("");
    spoil(&sandbox.path().join("srv/releases"));

    let ran = sandbox.run(&["releases", "production"]);

    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("error: read DIR/srv/releases: Too many levels"), "{ran:?}");
}

#[test]
fn a_service_whose_state_cannot_be_read_is_not_passed_over_when_it_is_to_be_stopped() {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"sleep\", \"1000\"]", "");
    spoil(&sandbox.path().join("srv/.cutover/process/api"));

    let ran = sandbox.run(&["app", "production", "stop"]);

    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.told());
    assert!(ran.stderr.contains("Too many levels"), "{}", ran.told());
}
