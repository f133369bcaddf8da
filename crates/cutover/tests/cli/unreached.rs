//! An environment one of whose hosts cannot be reached.

use crate::sandbox::{Ran, Sandbox};

/// This machine and one whose door is closed.
fn half() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"sleep\", \"1000\"]", "");
    let config = sandbox.config().replace("[\"localhost\"]", "[\"localhost\", \"deploy@nowhere\"]");
    sandbox.write("cutover.toml", &config);
    sandbox.commit("Go to two hosts");
    sandbox.script("ssh", "echo 'ssh: connect to host nowhere port 22: Connection refused' >&2; exit 255");
    sandbox
}

/// The same for what asks `ssh` beforehand what it makes of a host.
fn closed(hosts: &str) -> Sandbox {
    let sandbox = half();
    sandbox.write("cutover.toml", &sandbox.config().replace("\"localhost\", \"deploy@nowhere\"", hosts));
    let answer = "printf 'user ada\\nhostname nowhere\\nport 22\\n'; exit";
    let refuse = "echo 'ssh: connect to host nowhere port 22: Connection refused' >&2; exit 255";
    sandbox.script("ssh", &format!("[ \"$1\" = -G ] && {{ {answer}; }}; {refuse}"));
    sandbox
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let path = format!("{}:{}", sandbox.bin().display(), std::env::var("PATH").unwrap());
    sandbox.run_with(args, &[("PATH", &path)])
}

#[test]
fn a_status_says_why_a_host_was_not_seen_and_shows_the_others() {
    let sandbox = half();

    insta::assert_snapshot!(run(&sandbox, &["status"]).told());

    let json = run(&sandbox, &["status", "--json"]);
    assert_eq!(json.code, 7, "{json:?}");
    let hosts = &json.json()["environments"];
    assert!(hosts[0]["host"] == "localhost" && hosts[0]["targets"][0]["name"] == "api", "{hosts}");
    assert_eq!(hosts[1]["host"], "deploy@nowhere");
    assert!(hosts[1]["error"].as_str().unwrap().contains("Connection refused"), "{hosts}");
}

#[test]
fn a_status_of_one_host_that_is_not_reached_says_why_and_fails() {
    let sandbox = half();
    sandbox.write("cutover.toml", &sandbox.config().replace("\"localhost\", ", ""));

    insta::assert_snapshot!(run(&sandbox, &["status"]).told());
}

#[test]
fn a_history_says_which_host_stopped_the_others_and_why() {
    let sandbox = half();

    let deployed = run(&sandbox, &["deploy", "production"]);

    assert_eq!(deployed.code, 7, "{deployed:?}");
    let history = run(&sandbox, &["history", "production", "--offline"]);
    assert!(history.stdout.contains("— stopped: cannot reach deploy@nowhere: "), "{history:?}");
    let logs = run(&sandbox, &["logs", &history.stdout.lines().nth(1).unwrap()[..20]]);
    assert!(logs.stdout.contains("— cannot reach deploy@nowhere"), "{logs:?}");
}

#[test]
fn a_key_that_is_not_there_is_named_by_whatever_would_use_it() {
    let sandbox = half();
    let config = sandbox.config().replace("\"localhost\", ", "\"ada@elsewhere\", ");
    sandbox.write("cutover.toml", &format!("{config}\n[ssh]\nidentity = \"no-key\"\n"));
    let missing = "/repo/no-key, and there is no such file";
    for command in [&["status"][..], &["doctor"], &["setup", "production"], &["setup", "production", "--dry-run"]] {
        let ran = run(&sandbox, command);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, 7, "{command:?}: {ran:?}");
        assert!(told.matches(missing).count() == 2, "each host is told of: {command:?}: {ran:?}");
        assert!(!told.contains(" ENV"), "{command:?}: {ran:?}");
    }
    let deployed = run(&sandbox, &["deploy", "production"]);
    assert!(deployed.code == 7 && deployed.stderr.contains(missing), "{deployed:?}");
}

#[test]
fn a_setup_that_began_on_no_host_does_not_say_that_it_goes_on() {
    let sandbox = closed("\"ada@elsewhere\", \"deploy@nowhere\"");
    let key = sandbox.path().join("key");
    let made = sandbox.command("ssh-keygen").args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let public = format!("{}.pub", key.display());

    let setup = run(&sandbox, &["setup", "production", "--key", &public]);
    let dry = run(&sandbox, &["setup", "production", "--dry-run", "--key", &public]);

    assert_eq!(
        (setup.code, setup.stdout.as_str()),
        (7, "2 of 2 hosts failed; nothing was changed on any\n"),
        "{setup:?}"
    );
    assert_eq!(dry.stdout, "2 of 2 hosts failed; nothing was changed: this was a dry run\n", "{dry:?}");
}

#[test]
fn who_takes_a_setup_back_at_a_terminal_is_asked_first() {
    let sandbox = closed("\"deploy@nowhere\"");
    let path = format!("{}:{}", sandbox.bin().display(), std::env::var("PATH").unwrap());
    let line = format!("{} setup production --remove", env!("CARGO_BIN_EXE_cutover"));
    // script(1) gives it a terminal.
    let answered = |answer: &str| {
        let piped = format!("echo {answer} | script -qefc '{line}' /dev/null");
        sandbox.ran(&sandbox.command("sh").args(["-c", &piped]).env("PATH", &path).output().unwrap())
    };

    let (no, yes) = (answered("no"), answered("yes"));

    assert!(no.code == 1 && no.stdout.contains("stops the services of production on its host"), "{no:?}");
    assert!(no.stdout.contains("state: nothing was changed") && !no.stdout.contains("nowhere"), "{no:?}");
    assert!(yes.code == 7 && yes.stdout.contains("reach nowhere"), "{yes:?}");
    let scripted = run(&sandbox, &["setup", "production", "--remove"]);
    assert!(scripted.code == 7 && !scripted.stderr.contains("yes or no"), "{scripted:?}");
}

#[test]
fn a_config_without_environments_is_told_as_that() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", "name = \"shop\"\n\n[targets.api.host]\ndeploy_to = \"/srv/api\"\n");

    let ran = sandbox.run(&["setup", "production"]);

    assert!(ran.code == 2 && ran.stderr.contains("there are none yet: [environments.production.hosts]"), "{ran:?}");
}
