//! The way back: a service ends as it began, and "rolled back" is said only of what was seen healthy.

mod support;

use cutover_core::config::{CommandLine, HookConfig, MigrateConfig, ServiceConfig};
use cutover_core::next::DeploymentOutcome::{Deployed, Failed, RolledBack, Stuck};
use std::time::Duration;
use support::{Artifact, Place, command_probe};

fn v(number: u32) -> Artifact {
    let commit = format!("{number}").repeat(40);
    Artifact::of(&commit, &[("VERSION", &format!("v{number}"))])
}

/// A place whose service is a file: it "runs" while the file is there, and what was done to it is on record.
fn with_service() -> Place {
    let mut place = Place::new();
    let dir = place.dir.path().display().to_string();
    let shell = |line: &str| CommandLine::Shell(line.replace("DIR", &dir));
    place.config.service = Some(ServiceConfig::Command {
        restart: shell("echo restart >> DIR/record; touch DIR/up"),
        stop: shell("echo stop >> DIR/record; rm -f DIR/up"),
        status: shell("test -e DIR/up"),
        pid_file: None,
        timeout: Duration::from_secs(10),
    });
    place.config.verify.within = Duration::from_millis(300);
    place.config.verify.probes = vec![command_probe("grep -qv v2 VERSION")];
    place
}

fn migration(up: &str) -> MigrateConfig {
    let line = |text: &str| CommandLine::Shell(text.to_owned());
    MigrateConfig { up: line(up), down: Some(line("true")), compatible: false, timeout: Duration::from_secs(10) }
}

#[test]
fn a_service_that_ran_before_the_first_release_is_left_alone_by_a_failure_before_the_switch() {
    // Given a service that somebody set up by hand, and no release.
    let mut place = with_service();
    std::fs::write(place.path("up"), "").unwrap();
    place.config.run.migrate = Some(migration("exit 1"));
    // When the first deployment fails before the switch.
    let ended = place.deploy(&v(1));
    // Then nobody touched it.
    assert_eq!(ended.outcome, Failed);
    assert!(place.path("up").exists() && !place.path("record").exists());
}

#[test]
fn a_service_that_ran_before_the_first_release_runs_again_when_that_is_unhealthy() {
    let place = with_service();
    std::fs::write(place.path("up"), "").unwrap();

    let ended = place.deploy(&v(2));

    assert_eq!(ended.outcome, Failed);
    assert!(place.live().is_none() && place.path("up").exists());
    assert_eq!(place.read("record"), "restart\nrestart\n");
}

#[test]
fn a_service_that_was_down_is_put_down_again_and_nobody_calls_that_rolled_back() {
    // Given a release whose service was stopped, by hand or by a crash.
    let place = with_service();
    let first = place.deploy(&v(1));
    std::fs::remove_file(place.path("up")).unwrap();
    // When its remedy is unhealthy too.
    let ended = place.deploy(&v(2));
    // Then all is as before, and that is not health.
    assert_eq!(ended.outcome, Failed);
    assert!(place.live().unwrap().ends_with(first.plan.release.as_str()));
    assert!(!place.path("up").exists());
}

#[test]
fn a_release_that_came_back_is_probed_also_where_no_service_runs_it() {
    let mut place = Place::new();
    place.config.verify.within = Duration::from_millis(300);
    let fine = place.path("fine").display().to_string();
    place.config.verify.probes = vec![command_probe(&format!("test -e {fine} && grep -qv v2 VERSION"))];
    std::fs::write(&fine, "").unwrap();
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    // Given an unhealthy release, and an old one that is healthy still.
    assert_eq!(place.deploy(&v(2)).outcome, RolledBack);
    // Given an old release that is not healthy any more.
    std::fs::remove_file(&fine).unwrap();
    let ended = place.deploy(&v(2));
    assert_eq!(ended.outcome, Stuck);
    assert!(format!("{:?}", ended.records).contains("bring release"));
}

#[test]
fn a_service_that_kept_running_is_probed_once_a_release_was_switched_to() {
    // Given a service that cannot be restarted any more, so that the old one runs on.
    let mut place = with_service();
    place.deploy(&v(1));
    let fine = place.path("fine").display().to_string();
    place.config.verify.probes = vec![command_probe(&format!("test -e {fine}"))];
    std::fs::write(&fine, "").unwrap();
    place.deploy(&v(3));
    place.config.verify.within = Duration::from_millis(200);
    place.config.run.migrate =
        Some(MigrateConfig { down: Some(CommandLine::Shell("true".into())), ..migration("true") });
    // When the deployment fails at a probe, and what it brings back does not pass either.
    std::fs::remove_file(&fine).unwrap();
    let ended = place.deploy(&v(4));
    // Then a person is needed.
    assert_eq!(ended.outcome, Stuck);
}

#[test]
fn an_install_that_fails_asks_no_question_of_a_service_that_is_down() {
    let mut place = with_service();
    place.deploy(&v(1));
    std::fs::remove_file(place.path("up")).unwrap();
    let record = place.read("record");
    place.config.run.install =
        Some(HookConfig { command: CommandLine::Shell("exit 1".into()), timeout: Duration::from_secs(10) });
    assert_eq!(place.deploy(&v(3)).outcome, Failed);
    assert_eq!(place.read("record"), record);
}
