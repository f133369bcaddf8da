//! What the doctor says of this machine, in words that help.

use crate::sandbox::{Ran, Sandbox};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn doctor(sandbox: &Sandbox) -> Ran {
    sandbox.run(&["doctor", "production", "-v"])
}

#[test]
fn a_repository_without_a_commit_is_told_of() {
    let sandbox = Sandbox::new();
    assert!(doctor(&sandbox).stdout.contains("a commit can be deployed"));
    fs::remove_dir_all(sandbox.repo().join(".git")).unwrap();
    sandbox.begin_repository();

    let told = doctor(&sandbox);

    assert!(told.code == 0 && told.stdout.contains("! repository has no commit yet"), "{told:?}");
}

#[test]
fn a_place_that_is_not_there_is_made_by_the_first_deployment_or_the_doctor_says_by_whom() {
    let sandbox = Sandbox::deployable("");
    let fine = doctor(&sandbox);
    assert!(fine.stdout.contains("DIR/srv is not there yet, and the first deployment makes it"), "{fine:?}");
    fs::write(sandbox.path().join("file"), "").unwrap();
    sandbox.write("cutover.toml", &sandbox.config().replace("/srv\"", "/file/srv\""));

    let told = doctor(&sandbox);

    let why = "✗ deploy_to  DIR/file/srv cannot be made: DIR/file is no directory";
    assert!(told.code == 1 && told.stdout.contains(why), "{told:?}");
    assert!(told.stdout.contains("-> move DIR/file out of the way, or choose another deploy_to"), "{told:?}");
    for command in ["plan", "deploy"] {
        let refused = sandbox.run(&[command, "production"]);
        assert!(
            refused.code == 1 && refused.stderr.contains("cannot be made: DIR/file is no directory: move DIR/file"),
            "{refused:?}"
        );
    }
}

#[test]
fn what_packing_sharing_and_signing_need_is_looked_at_before_anybody_packs() {
    let sandbox = Sandbox::new();
    let store = sandbox.path().join("store");
    let artifact = format!(
        "\n[artifact]\nsigners = \"signers\"\nsigning_key = \"keys/ours\"\nstore.directory = \"{}\"\n",
        store.display()
    );
    sandbox.write("cutover.toml", &(sandbox.config() + &artifact));

    let lacking = doctor(&sandbox);

    assert_eq!(lacking.code, 1, "{lacking:?}");
    for told in [
        "✗ store      cannot look for artifacts in the directory DIR/store: there is no such directory",
        "-> mount it, or make it once, for all who share it",
        "✗ signers    nobody knows whose signatures count: DIR/repo/signers cannot be read: No such file",
        "-> `signers` of [artifact] names it",
        "✗ signing    what is packed here cannot be signed: DIR/repo/keys/ours cannot be read: No such file",
        "-> `signing_key` of [artifact] names it",
    ] {
        assert!(lacking.stdout.contains(told), "{told}: {lacking:?}");
    }

    fs::create_dir(&store).unwrap();
    sandbox.write("signers", "# nobody yet\n");
    sandbox.write("keys/ours", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let spoiled = doctor(&sandbox);
    assert!(spoiled.code == 1 && spoiled.stdout.contains("DIR/repo/signers names nobody"), "{spoiled:?}");
    assert!(spoiled.stdout.contains("ssh-keygen refuses DIR/repo/keys/ours, which others may read"), "{spoiled:?}");

    sandbox.write("signers", "builds@example.org ssh-ed25519 AAAA\n");
    fs::set_permissions(sandbox.repo().join("keys/ours"), fs::Permissions::from_mode(0o600)).unwrap();
    let fine = doctor(&sandbox);
    assert!(fine.code == 0 && fine.stdout.contains("✓ store      DIR/store can be written to"), "{fine:?}");
}

#[test]
fn a_home_in_which_nothing_can_be_kept_is_told_of_with_the_way_to_another_one() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("file"), "").unwrap();
    let home = sandbox.path().join("file/home").display().to_string();

    let told = sandbox.run_with(&["doctor", "production"], &[("CUTOVER_HOME", &home)]);

    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains("✗ data       artifacts and history cannot be kept in DIR/file/home/"), "{told:?}");
    assert!(told.stdout.contains("DIR/file is no directory") && told.stdout.contains("CUTOVER_HOME"), "{told:?}");
}

#[test]
fn a_host_that_nobody_knows_is_told_of_by_its_name() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", &sandbox.config().replace("localhost", "deploy@nowhere"));
    sandbox.script("ssh", "echo 'ssh: Could not resolve hostname nowhere: Name or service not known' >&2; exit 255");
    let path = format!("{}:{}", sandbox.bin().display(), std::env::var("PATH").unwrap());

    let told = sandbox.run_with(&["doctor", "production"], &[("PATH", &path)]);

    assert_eq!(told.code, 7, "{told:?}");
    assert!(told.stdout.contains("nobody knows a machine of the name nowhere: ssh: Could not resolve"), "{told:?}");
    let asked = sandbox.run(&["doctor", "deploy@nowhere"]);
    assert!(asked.code == 2 && asked.stderr.contains("deploy@nowhere is a host of production: name that"), "{asked:?}");
}

#[test]
fn who_asks_is_known_by_the_account_when_no_variable_says_it() {
    let sandbox = Sandbox::deployable("");
    let mut deploy = sandbox.cutover(&["deploy", "production"]);
    for name in ["USER", "LOGNAME", "SUDO_USER", "CUTOVER_BY", "GITHUB_ACTOR"] {
        deploy.env_remove(name);
    }
    assert!(deploy.output().unwrap().status.success());

    let history = sandbox.run(&["history", "--json"]).json();

    let name = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap();
    let by = history["deployments"][0]["by"].as_str().unwrap();
    assert!(by.starts_with(&format!("{}@", name.trim())), "{by}");
}
