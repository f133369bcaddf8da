//! A rollback of several hosts that are not alike: this machine by two names, with a directory each.

use crate::sandbox::{Ran, Sandbox};
use std::fs;
use std::path::PathBuf;

/// Version 1 on both hosts. A release is healthy on a host unless it has a file that says otherwise.
fn two_hosts() -> Sandbox {
    two_hosts_with("")
}

/// The same with this key of both targets.
fn two_hosts_with(key: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let srv = sandbox.path().join("srv").display().to_string();
    let target = |name: &str| {
        format!(
            "[targets.{name}.host]\ndeploy_to = \"{srv}/{name}\"\ndisk_free_min = \"0 B\"\ninodes_free_min = 0\n\
             {key}\nverify = {{ within = \"1s\", soak = \"0s\", probes = [{{ command.run = [\"test\", \"!\", \"-e\", \"bad-on-{name}\"] }}] }}\n"
        )
    };
    let config = format!(
        "name = \"shop\"\n{}{}[environments.production]\nhosts = {{ near = [\"localhost\"], far = [\"far.test\"] }}\n\
         rollout = {{ canary = 1, on_failure = \"keep\" }}\n",
        target("near"),
        target("far")
    );
    sandbox.write("cutover.toml", &config);
    sandbox.commit("Say where it goes");
    let home = sandbox.path().join("far");
    fs::create_dir(&home).unwrap();
    sandbox.script("ssh", &format!("for last; do :; done; HOME={} exec sh -c \"$last\"", home.display()));
    let first = run(&sandbox, &["deploy", "production"]);
    assert_eq!(first.code, 0, "{}", first.told());
    sandbox
}

/// The same with a version 2 that stays on the far host only.
fn divided() -> Sandbox {
    divide(two_hosts())
}

fn divide(sandbox: Sandbox) -> Sandbox {
    let second = deploy_v2(&sandbox, "near");
    assert_eq!(second.code, 4, "{}", second.told());
    sandbox
}

/// Deploys a version 2 that is not healthy on this host.
fn deploy_v2(sandbox: &Sandbox, bad_on: &str) -> Ran {
    sandbox.write("app.py", "print('v2')\n");
    sandbox.write(&format!("bad-on-{bad_on}"), "");
    sandbox.commit("Sell more things");
    run(sandbox, &["deploy", "production"])
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut command = sandbox.cutover(args);
    let usual = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{usual}", sandbox.bin().display()));
    sandbox.ran(&command.output().unwrap())
}

fn current(sandbox: &Sandbox, target: &str) -> PathBuf {
    sandbox.path().join("srv").join(target).join("current")
}

/// What is live on both.
fn live(sandbox: &Sandbox) -> [String; 2] {
    ["near", "far"].map(|target| fs::read_to_string(current(sandbox, target).join("app.py")).unwrap())
}

/// The release that is live on the near host.
fn release(sandbox: &Sandbox) -> String {
    let link = fs::read_link(current(sandbox, "near")).unwrap();
    link.file_name().unwrap().to_str().unwrap().to_owned()
}

const V1: &str = "print('v1')\n";
const V2: &str = "print('v2')\n";

#[test]
fn hosts_that_are_divided_come_together_on_the_release_that_some_never_left() {
    let sandbox = divided();
    assert_eq!(live(&sandbox), [V1, V2]);
    let stayed = fs::symlink_metadata(current(&sandbox, "near")).unwrap().modified().unwrap();

    let back = run(&sandbox, &["rollback", "production"]);

    assert_eq!((back.code, live(&sandbox)), (0, [V1, V1].map(str::to_owned)), "{}", back.told());
    assert!(back.stdout.contains("1 unchanged"), "{}", back.told());
    assert_eq!(fs::symlink_metadata(current(&sandbox, "near")).unwrap().modified().unwrap(), stayed);
    let history = run(&sandbox, &["history", "production"]);
    let last = history.stdout.lines().find(|line| line.contains("rollback"));
    assert!(last.is_some_and(|row| row.contains("✓ done")), "{}", history.told());
    // It is the first release: there is none before it on either.
    let again = run(&sandbox, &["rollback", "production"]);
    assert!(again.code == 1 && again.stderr.contains("no earlier release"), "{}", again.told());
}

#[test]
fn hosts_that_are_divided_come_together_on_a_release_that_is_named() {
    let sandbox = divided();
    let release = release(&sandbox);

    let back = run(&sandbox, &["rollback", "production", &release]);

    assert_eq!((back.code, live(&sandbox)), (0, [V1, V1].map(str::to_owned)), "{}", back.told());
    // Now all have it, and that is refused as on one host.
    let again = run(&sandbox, &["rollback", "production", &release]);
    assert!(again.code == 2 && again.stderr.contains("is live already"), "{}", again.told());
}

#[test]
fn the_service_of_a_host_that_stays_runs_on_and_is_started_where_it_does_not() {
    let sandbox = divide(two_hosts_with("service.process.command = [\"sleep\", \"1000\"]"));
    let near = || {
        let state = sandbox.path().join("srv/near/.cutover/process/near");
        cutover_targets::supervisor::state(&state).unwrap().unwrap().child.map(|child| child.pid)
    };
    let runs = near();
    assert!(runs.is_some());

    let back = run(&sandbox, &["rollback", "production"]);

    assert_eq!((back.code, live(&sandbox)), (0, [V1, V1].map(str::to_owned)), "{}", back.told());
    assert_eq!(near(), runs);

    // Once more, from where it does not run.
    sandbox.write("app.py", "print('v3')\n");
    sandbox.commit("Sell even more things");
    assert_eq!(run(&sandbox, &["deploy", "production"]).code, 4);
    assert_eq!(run(&sandbox, &["app", "production", "stop", "--target", "near"]).code, 0);
    let back = run(&sandbox, &["rollback", "production"]);
    assert_eq!((back.code, live(&sandbox)), (0, [V1, V1].map(str::to_owned)), "{}", back.told());
    let status = run(&sandbox, &["status", "production"]);
    assert_eq!(run(&sandbox, &["app", "production", "stop"]).code, 0);
    assert_eq!(status.stdout.matches("active (running)").count(), 2, "{}", status.told());
}

#[test]
fn a_host_that_stays_on_what_nobody_has_seen_healthy_is_seen_healthy() {
    let sandbox = divided();
    let release = current(&sandbox, "near").canonicalize().unwrap().join("release.json");
    let text = fs::read_to_string(&release).unwrap();
    let unseen =
        text.replace("\"state\":\"good\"", "\"state\":\"live\"").replace("\"state\": \"good\"", "\"state\": \"live\"");
    assert_ne!(text, unseen);
    fs::write(&release, unseen).unwrap();

    let back = run(&sandbox, &["rollback", "production"]);

    assert_eq!((back.code, live(&sandbox)), (0, [V1, V1].map(str::to_owned)), "{}", back.told());
    assert!(back.stdout.contains("restarted and healthy"), "{}", back.told());
}

/// Three versions on both hosts, of which the last was not brought to its end on these.
fn died_on(hosts: &[&str]) -> Sandbox {
    let sandbox = two_hosts();
    assert_eq!(deploy_v2(&sandbox, "none").code, 0);
    sandbox.write("app.py", "print('v3')\n");
    sandbox.commit("Sell everything");
    assert_eq!(run(&sandbox, &["deploy", "production"]).code, 0);
    hosts.iter().for_each(|target| reopen_before_it_was_verified(&sandbox, target));
    sandbox
}

#[test]
fn hosts_whose_deployment_died_when_it_was_live_go_back_from_that_and_no_further() {
    let sandbox = died_on(&["near", "far"]);

    let first = run(&sandbox, &["rollback", "production"]);

    assert_eq!((first.code, live(&sandbox)), (0, [V2, V2].map(str::to_owned)), "{}", first.told());
    let told =
        format!("was unfinished and was taken back: {} is live and healthy; `cutover rollback", release(&sandbox));
    assert!(first.stderr.contains(&told), "{}", first.told());
    // Once more goes one further.
    let second = run(&sandbox, &["rollback", "production"]);
    assert_eq!((second.code, live(&sandbox)), (0, [V1, V1].map(str::to_owned)), "{}", second.told());
}

#[test]
fn a_host_that_had_finished_goes_back_to_where_the_others_are_taken_back_to() {
    let sandbox = died_on(&["near"]);

    let back = run(&sandbox, &["rollback", "production"]);

    assert_eq!((back.code, live(&sandbox)), (0, [V2, V2].map(str::to_owned)), "{}", back.told());
}

/// Makes the last deployment of a host look as if it had been killed while it was verified.
fn reopen_before_it_was_verified(sandbox: &Sandbox, target: &str) {
    let journals = sandbox.path().join("srv").join(target).join(".cutover/journal");
    let done = fs::read_dir(journals.join("done")).unwrap().map(|entry| entry.unwrap().path());
    let last = done.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
    let text = fs::read_to_string(&last).unwrap();
    let kept: String = text.split_inclusive('\n').take_while(|line| !line.contains("1 probe passed")).collect();
    assert!(kept.len() < text.len(), "{text}");
    fs::write(journals.join("open").join(last.file_name().unwrap()), kept).unwrap();
    fs::remove_file(last).unwrap();
}
