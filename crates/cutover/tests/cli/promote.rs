//! Bringing to one environment what another one has verified.

use crate::sandbox::Sandbox;
use insta::assert_snapshot;
use std::path::{Path, PathBuf};

/// A repository with staging and production on this machine, each in a place of its own, and version 1 in staging.
fn staged(staging: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.host("", "");
    let srv = sandbox.path().join("staging").display().to_string();
    let environment = format!(
        "[environments.staging]\nhosts.api = [\"localhost\"]\ntargets.api.host.deploy_to = \"{srv}\"\n{staging}"
    );
    sandbox.write("cutover.toml", &format!("{}\n{environment}", sandbox.config()));
    sandbox.commit("Add staging");
    let deployed = sandbox.run(&["deploy", "staging"]);
    assert_eq!(deployed.code, 0, "{}", deployed.told());
    sandbox
}

fn live(root: &Path) -> String {
    std::fs::read_to_string(root.join("current/app.py")).unwrap()
}

fn staging_release(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("staging/current").canonicalize().unwrap()
}

#[test]
fn what_staging_has_goes_to_production_and_not_what_was_committed_since() {
    let sandbox = staged("");
    let verified = live(&sandbox.path().join("staging"));
    sandbox.write("app.py", "print('newer, and not staged')\n");
    sandbox.commit("Go on working");

    let promoted = sandbox.run(&["promote", "staging", "production"]);

    assert_eq!(promoted.code, 0, "{}", promoted.told());
    assert_eq!(live(&sandbox.path().join("srv")), verified);
    let [from, to] = ["staging", "production"].map(|name| sandbox.run(&["status", name, "--json"]).json());
    let artifact = |status: &serde_json::Value| status["environments"][0]["targets"][0]["release"]["artifact"].clone();
    assert_eq!(artifact(&from), artifact(&to));
    let again = sandbox.run(&["promote", "staging", "production"]);
    assert!(again.code == 0 && again.stdout.contains("Nothing changed"), "{}", again.told());
}

#[test]
fn the_history_says_where_it_was_promoted_from() {
    let sandbox = staged("");

    let promoted = sandbox.run(&["promote", "staging", "production"]);

    assert!(promoted.stdout.contains("  promoted from staging\n"), "{}", promoted.told());
    let told = sandbox.run(&["history", "production"]).stdout;
    assert!(told.contains(" — promoted from staging\n"), "{told}");
    let rows = sandbox.run(&["history", "--json"]).json();
    assert_eq!(rows["deployments"][0]["promoted_from"], "staging");
    assert!(rows["deployments"][1].get("promoted_from").is_none(), "{rows}");
}

#[test]
fn what_was_not_found_good_is_not_promoted() {
    let sandbox = staged("");
    let release = staging_release(&sandbox).join("release.json");
    let said = std::fs::read_to_string(&release).unwrap();
    assert!(said.contains("\"good\""), "{said}");
    std::fs::remove_file(&release).unwrap();
    std::fs::write(&release, said.replace("\"good\"", "\"live\"")).unwrap();

    let refused = sandbox.run(&["promote", "staging", "production"]);

    assert_eq!(refused.code, 1, "{}", refused.told());
    assert!(!sandbox.path().join("srv/current").exists());
    let id = staging_release(&sandbox).file_name().unwrap().to_str().unwrap().to_owned();
    assert_snapshot!(refused.stderr.replace(&id, "RELEASE"), @r"
    error: staging has verified nothing that could be promoted: api on localhost: release RELEASE was not found good: it is live, unverified
      state: nothing was deployed
      hint: `cutover status staging` shows what is live there
    ");
}

#[test]
fn an_environment_with_an_unfinished_deployment_has_verified_nothing() {
    let sandbox = staged("");
    let journals = sandbox.path().join("staging/.cutover/journal");
    let last = std::fs::read_dir(journals.join("done")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let text = std::fs::read_to_string(&last).unwrap();
    let begun: String = text.split_inclusive('\n').take(3).collect();
    std::fs::write(journals.join("open").join(last.file_name().unwrap()), begun).unwrap();

    let refused = sandbox.run(&["promote", "staging", "production"]);

    assert_eq!(refused.code, 1, "{}", refused.told());
    assert!(refused.stderr.contains("a deployment is unfinished"), "{}", refused.told());
}

#[test]
fn where_nothing_is_live_there_is_nothing_to_promote_and_nobody_promotes_to_himself() {
    let sandbox = staged("");

    let empty = sandbox.run(&["promote", "production", "staging"]);
    let same = sandbox.run(&["promote", "staging", "staging"]);
    let unknown = sandbox.run(&["promote", "stagin", "production"]);

    assert_eq!((empty.code, same.code, unknown.code), (1, 2, 2), "{}", empty.told());
    assert!(empty.stderr.contains("nothing is live"), "{}", empty.told());
    assert!(unknown.stderr.contains("staging"), "{}", unknown.told());
}

#[test]
fn an_artifact_that_is_not_on_this_machine_is_named_with_how_to_get_it() {
    let sandbox = staged("");
    std::fs::remove_dir_all(sandbox.data_dir().join("artifacts/manifests")).unwrap();

    let refused = sandbox.run(&["promote", "staging", "production"]);

    assert_eq!(refused.code, 1, "{}", refused.told());
    assert!(refused.stderr.contains("live in staging, is not on this machine"), "{}", refused.told());
    assert!(refused.stderr.contains("`cutover build --commit "), "{}", refused.told());
}
