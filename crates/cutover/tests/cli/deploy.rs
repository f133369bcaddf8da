//! Deployments to this machine, as far as they need no service.

use crate::sandbox::Sandbox;
use insta::assert_snapshot;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
fn a_secret_in_a_file_that_everybody_may_read_is_warned_of_once() {
    let sandbox = Sandbox::new();
    sandbox.host("", "secrets = { TOKEN = { file = \"../token\" } }");
    let file = sandbox.path().join("token");
    fs::write(&file, "made up for this test\n").unwrap();
    let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let warned = |args: &[&str]| {
        let ran = sandbox.run(args);
        assert_eq!(ran.code, 0, "{}", ran.told());
        warnings(&ran.stderr)
            .into_iter()
            .filter(|line| line.contains("that everybody on this machine may read"))
            .count()
    };
    allow(sandbox.path(), 0o755);

    allow(&file, 0o644);
    assert_eq!(warned(&["env", "production", "diff"]), 1);
    assert_eq!(warned(&["deploy", "production"]), 1);
    allow(&file, 0o640);
    assert_eq!(warned(&["deploy", "production"]), 0, "a group may be meant");
    allow(&file, 0o644);
    allow(sandbox.path(), 0o700);
    assert_eq!(warned(&["deploy", "production"]), 0, "nobody else gets there");
}

#[test]
fn a_secret_in_a_reason_is_not_kept_and_not_told() {
    let sandbox = Sandbox::new();
    sandbox.host("", "secrets = { TOKEN = { command = \"cat ../token\" }, KEY = { file = \"../key\" } }");
    fs::write(sandbox.path().join("token"), "made-up-token\n").unwrap();
    fs::write(sandbox.path().join("key"), "made-up-key\n").unwrap();
    // Given a secret that no command has to be run for.
    let because = ["--reason", "that made-up-key leaked"];
    let locked = sandbox.run(&[&["lock", "production", "acquire"][..], &because].concat());
    assert_eq!(locked.code, 0, "{}", locked.told());
    assert!(locked.stdout.contains("that *** leaked"), "{}", locked.told());
    sandbox.run(&["lock", "production", "release"]);

    let deployed = sandbox.run(&["deploy", "production", "--reason", "that made-up-token leaked"]);
    assert_eq!(deployed.code, 0, "{}", deployed.told());
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let back = sandbox.run(&[&["rollback", "production"][..], &because].concat());
    assert_eq!(back.code, 0, "{}", back.told());

    let history = sandbox.run(&["history"]);
    assert_eq!(history.stdout.matches("that *** leaked").count(), 2, "{}", history.told());
    let kept =
        sandbox.command("grep").args(["-rlE", "made-up-(key|token) leaked", "../srv", "../home"]).output().unwrap();
    assert_eq!(String::from_utf8(kept.stdout).unwrap(), "");
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
    assert!(!refused.stderr.contains("then run `cutover resume production`"), "trying again is no use: {refused:?}");
    let told = resumed.told();
    assert!(told.contains("migrate cannot be taken back"), "{told}");
    assert!(
        told.contains("put right by hand what it left, then close it: cutover resume production --abandon"),
        "{told}"
    );
    assert!(closed.stdout.contains("it stays as it is"), "{closed:?}");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
}

#[test]
fn a_rehearsal_refuses_what_the_artifact_cannot_give_and_the_deployment_does_so_too() {
    let sandbox = Sandbox::deployable(
        "python.requirements = \"reqs.txt\"\nlinked_dirs = [\"app.py\"]\nconfig_links = { \"c.json\" = \"none.json\" }",
    );

    let rehearsed = sandbox.run(&["deploy", "production", "--dry-run"]);
    let made = sandbox.path().join("srv").exists();
    let deployed = sandbox.run(&["deploy", "production"]);

    assert_eq!((rehearsed.code, deployed.code), (1, 1), "{rehearsed:?} {deployed:?}");
    for fault in [
        "the artifact has no reqs.txt: is it committed, and not excluded?",
        "the artifact has no none.json: is it committed, and not excluded?",
        "linked_dirs has app.py, which is a file of the artifact",
    ] {
        assert!(rehearsed.stderr.contains(fault) && deployed.stdout.contains(fault), "{rehearsed:?} {deployed:?}");
    }
    assert!(!made, "a rehearsal makes no directory");
    assert!(!sandbox.path().join("srv/shared/app.py").exists(), "nothing was put in the place of a committed file");
}

#[test]
fn a_rehearsal_of_a_first_deployment_needs_no_directory_yet() {
    let sandbox = Sandbox::deployable("");

    let ran = sandbox.run(&["deploy", "production", "--dry-run"]);

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.ends_with("preflight passed; nothing was changed\n"), "{ran:?}");
}

#[test]
fn uncommitted_changes_are_said_to_stay_behind_and_those_of_the_config_to_count() {
    let sandbox = Sandbox::deployable("");
    sandbox.write(".gitignore", ".env\n");
    sandbox.commit("Keep secrets out");
    let clean = sandbox.run(&["deploy", "production"]);
    sandbox.write("app.py", "print('not committed')\n");
    let code = sandbox.run(&["deploy", "production"]);
    sandbox.write("cutover.toml", &(sandbox.config() + "\n# not committed\n"));
    let both = sandbox.run(&["plan", "production"]);
    let earlier = sandbox.run(&["plan", "production", "--commit", "HEAD~1"]);
    let dirty = sandbox.run(&["plan", "production", "--dirty"]);

    let left = "warning: the work tree has uncommitted changes, which are not deployed; --dirty deploys them too\n";
    let counts = "warning: cutover.toml has uncommitted changes, which count: the config is read from the work tree\n";
    assert_eq!((clean.stderr.as_str(), code.stderr.as_str()), ("", left));
    assert_eq!(both.stderr, format!("{left}{counts}"));
    assert_eq!((earlier.stderr.as_str(), dirty.stderr.as_str()), (counts, ""));
}

#[test]
fn a_unit_on_a_machine_without_systemd_is_refused_in_its_own_words_with_what_to_use_instead() {
    let sandbox = Sandbox::deployable("service.unit = \"shop.service\"");
    let words = "System has not been booted with systemd as init system (PID 1). Can't operate.";
    sandbox.script("systemctl", &format!("echo \"{words}\" >&2; exit 1"));
    let path = format!("{}:{}", sandbox.bin().display(), std::env::var("PATH").unwrap());

    let ran = sandbox.run_with(&["deploy", "production"], &[("PATH", &path)]);
    let status = sandbox.run_with(&["status"], &[("PATH", &path)]).stdout;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains(&format!("| {words}")) && ran.stdout.contains("use `service.process`"), "{ran:?}");
    assert!(status.contains(words) && status.contains("use `service.process`"), "{status}");
}

#[test]
fn uncommitted_changes_are_said_before_anything_is_packed() {
    let sandbox = Sandbox::deployable("");
    sandbox.write("cutover.toml", &(sandbox.config() + "\n[artifact]\nbuild = \"exit 3\"\n"));

    let ran = sandbox.run(&["deploy", "production"]);

    let (warning, error) = (ran.stderr.find("warning: cutover.toml has uncommitted"), ran.stderr.find("error: "));
    assert!(warning.is_some() && warning < error, "{ran:?}");
}

#[test]
fn without_a_repository_or_a_commit_it_is_said_what_to_do() {
    let sandbox = Sandbox::deployable("");
    let git = sandbox.repo().join(".git");
    std::fs::remove_dir_all(&git).unwrap();
    let no_repository = sandbox.run(&["plan", "production"]);
    sandbox.begin_repository();
    let no_commit = sandbox.run(&["plan", "production"]);

    assert_snapshot!(no_repository.told(), @"
    exit 1
    --- stderr
    error: DIR/repo is in no git repository
      state: nothing was deployed
      hint: cutover.toml lies in the repository that is deployed: git init, git add and git commit make one
    ");
    assert_snapshot!(no_commit.stderr, @"
    error: the repository of DIR/repo has no commits yet
      state: nothing was deployed
      hint: git add and git commit come first: what is committed is what is deployed
    ");
}

#[test]
fn a_service_whose_environment_has_no_variables_finds_an_empty_env_file() {
    let sandbox = Sandbox::new();
    sandbox.write("serve", "#!/bin/sh\nexec sleep 1000\n");
    let service = "service.process.command = [\"sh\", \"serve\"]\nverify.soak = \"100ms\"";
    sandbox.host(service, "");

    let deployed = sandbox.run(&["deploy", "production"]);
    let again = sandbox.run(&["deploy", "production", "--restart"]);
    sandbox.stop_service();

    assert_eq!((deployed.code, again.code), (0, 0), "{}\n{}", deployed.told(), again.told());
    let written = std::fs::read_to_string(sandbox.path().join("srv/shared/.env")).unwrap();
    assert!(written.lines().all(|line| line.starts_with('#')), "{written}");
}

#[test]
fn an_env_file_that_somebody_else_wrote_stays_where_there_are_no_variables() {
    let sandbox = Sandbox::new();
    sandbox.host("", "");
    std::fs::create_dir_all(sandbox.path().join("srv/shared")).unwrap();
    std::fs::write(sandbox.path().join("srv/shared/.env"), "BY=hand\n").unwrap();

    let deployed = sandbox.run(&["deploy", "production"]);

    assert_eq!(deployed.code, 0, "{}", deployed.told());
    assert_eq!(std::fs::read_to_string(sandbox.path().join("srv/shared/.env")).unwrap(), "BY=hand\n");
}

#[test]
fn a_release_of_uncommitted_work_is_shown_as_such_wherever_its_commit_is() {
    let sandbox = Sandbox::deployable("");
    sandbox.write("app.py", "print('not committed')\n");
    let planned = sandbox.run(&["plan", "production", "--dirty"]);
    assert_eq!(sandbox.run(&["deploy", "production", "--dirty"]).code, 0);

    let [status, releases] = ["status", "releases"].map(|command| sandbox.run(&[command, "production"]));

    for told in [&planned, &status, &releases] {
        assert!(told.stdout.contains(" with uncommitted changes"), "{told:?}");
    }
    let json = sandbox.run(&["releases", "production", "--json"]).json();
    assert_eq!(json["targets"]["api"][0]["dirty"], true);
    // It stays so when it comes back.
    sandbox.commit("Say it");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let clean = sandbox.run(&["status", "production"]);
    assert!(!clean.stdout.contains("uncommitted"), "{clean:?}");
    assert_eq!(sandbox.run(&["rollback", "production"]).code, 0);
    let row = &sandbox.run(&["history", "production", "-n", "1", "--json"]).json()["deployments"][0];
    assert_eq!((&row["kind"], &row["dirty"]), (&"rollback".into(), &true.into()));
}

#[test]
fn a_plan_says_why_a_new_release_is_made_where_only_the_config_changed() {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let config = sandbox.config();
    sandbox.write("cutover.toml", &config.replace("[targets.api.host]\n", "[targets.api.host]\nkeep_releases = 7\n"));

    let planned = sandbox.run(&["plan", "production"]);

    assert!(planned.stdout.contains("\napi: the same files are live; config changed: keep_releases\n"), "{planned:?}");
    let told = sandbox.run(&["plan", "production", "--json"]).json();
    assert_eq!(told["why"][0], "api: the same files are live; config changed: keep_releases");
}

#[test]
fn looks_do_without_secrets_that_are_not_there_and_say_which_they_do_not_know() {
    let sandbox = Sandbox::new();
    sandbox.host("", "secrets = [\"TOKEN\"]\nenv = { LEVEL = \"info\" }");
    let mut deploy = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    let deployed = deploy.env("TOKEN", "made-up-value").args(["deploy", "production"]).output().unwrap();
    assert!(deployed.status.success(), "{deployed:?}");
    let config = sandbox.config();
    sandbox.write("cutover.toml", &config.replace("[\"TOKEN\"]", "[\"TOKEN\", \"KEY\"]").replace("info", "debug"));

    let (compared, planned) = (sandbox.run(&["env", "production", "diff"]), sandbox.run(&["plan", "production"]));
    let same = {
        sandbox.write("cutover.toml", &config);
        sandbox.run(&["plan", "production"])
    };

    assert_snapshot!(compared.told(), @"
    exit 0
    api: add KEY; change LEVEL; perhaps change (not known here) TOKEN
    --- stderr
    warning: 2 secrets of environment production cannot be had: KEY: set the environment variable KEY; TOKEN: set the environment variable TOKEN; a deployment would be refused
    ");
    let line = "api: variables add KEY; change LEVEL; perhaps change (not known here) TOKEN\n";
    assert!(planned.code == 0 && planned.stdout.contains(line), "{planned:?}");
    assert!(planned.stderr.contains("warning: a deployment would be refused: 2 secrets of "), "{planned:?}");
    assert!(same.stdout.starts_with("nothing changed: "), "what is not known is taken to be as it is: {same:?}");
    assert_eq!(
        sandbox.run(&["deploy", "production", "--dry-run"]).code,
        2,
        "a rehearsal needs what a deployment needs"
    );
}
