//! What the doctor says of this machine, in words that help.

use crate::sandbox::{Ran, Sandbox};
use std::fs;

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

    assert!(told.code == 1 && told.stdout.contains("DIR/file is not theirs"), "{told:?}");
    assert!(
        told.stdout.contains("by hand: `sudo install -d -o ") && told.stdout.contains("`cutover setup production`")
    );
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
