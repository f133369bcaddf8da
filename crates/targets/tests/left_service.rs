//! A service that the live release has and the one to come has not: it is stopped, and runs again on the way back.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod service_support;
mod support;

use cutover_core::config::{CommandLine, MigrateConfig, ServiceConfig};
use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome::{Deployed, Failed, RolledBack};
use cutover_targets::host::transaction::{Ended, Recovery};
use cutover_targets::host::{SupervisorProgram, journal_name};
use cutover_targets::supervisor;
use service_support::{process, supervisor_args};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;
use support::{Artifact, Place, command_probe, plain};

fn v(number: u32) -> Artifact {
    Artifact::of(&format!("{number}").repeat(40), &[("VERSION", &format!("v{number}")), ("stop.sh", "rm -f ../../up")])
}

/// A place whose live release runs in a service that is a file: it "runs" while the file is there, and what was done to it is
/// on record. It is stopped by a script of the release.
fn with_live_service() -> Place {
    let place = with_service();
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    place
}

/// The same before anything is live.
fn with_service() -> Place {
    let mut place = Place::new();
    let dir = place.dir.path().display().to_string();
    let shell = |line: &str| CommandLine::Shell(line.replace("DIR", &dir));
    place.config.service = Some(ServiceConfig::Command {
        restart: shell("echo restart in $(cat VERSION) >> DIR/record; touch DIR/up"),
        stop: shell("echo stop in $(cat VERSION) >> DIR/record; sh stop.sh"),
        status: shell("test -e DIR/up"),
        pid_file: None,
        timeout: Duration::from_secs(10),
    });
    place.config.verify.within = Duration::from_millis(300);
    place.config.verify.probes = vec![command_probe("grep -qv v3 VERSION")];
    place
}

fn remarks(ended: &Ended) -> Vec<String> {
    ended.plan.steps.iter().flat_map(|step| step.action.work.remarks().to_vec()).collect()
}

#[test]
fn a_release_without_a_service_stops_the_one_of_the_release_before_and_says_so_in_its_plan() {
    let mut place = with_live_service();
    place.config.service = None;
    // When it comes live, by a deployment whose release has not even the script that stops the old service.
    let ended = place.deploy(&Artifact::of(&"2".repeat(40), &[("VERSION", "v2")]));
    // Then nothing of it runs on.
    assert_eq!(ended.outcome, Deployed);
    assert!(!place.path("up").exists());
    assert_eq!(place.read("record"), "restart in v1\nstop in v1\n");
    let stops = "app: stops the service of app that its own commands stop, which this release has no more";
    assert_eq!(remarks(&ended), [stops]);
    // And a rollback to the one that has it starts it; back again, it is stopped.
    assert_eq!(place.rollback(None).outcome, Deployed);
    assert!(place.path("up").exists());
    let newest = ended.plan.release.as_str();
    assert_eq!(remarks(&place.rollback(Some(newest))).last().unwrap(), stops);
    assert!(!place.path("up").exists());
}

#[test]
fn a_service_that_was_stopped_for_a_release_that_is_not_healthy_runs_again() {
    let mut place = with_live_service();
    place.config.service = None;

    let ended = place.deploy(&v(3));

    assert_eq!(ended.outcome, RolledBack);
    assert!(place.path("up").exists());
    assert_eq!(place.read("record"), "restart in v1\nstop in v1\nrestart in v1\n");
}

#[test]
fn a_deployment_that_was_killed_while_it_stopped_the_service_starts_it_again_or_goes_on() {
    for (recovery, outcome, runs) in [(Recovery::TakeBack, Failed, true), (Recovery::GoOn, Deployed, false)] {
        let mut place = with_live_service();
        let live = place.live().unwrap();
        place.config.service = None;
        let ended = place.deploy(&v(2));
        // Given a journal that ends where the stop was begun, and what was live then.
        let stop = ended.plan.steps.iter().find(|step| step.name == "stop").unwrap().id;
        let is_begun = |record: &Record| matches!(&record.entry, Entry::Started { step, .. } if *step == stop);
        let count = 2 + ended.records.iter().position(is_begun).unwrap();
        let file = journal_name(&ended.plan.deployment);
        let (done, open) =
            (place.path(".cutover/journal/done").join(&file), place.path(".cutover/journal/open").join(&file));
        let text = fs::read_to_string(&done).unwrap();
        fs::write(open, text.split_inclusive('\n').take(count).collect::<String>()).unwrap();
        fs::remove_file(done).unwrap();
        fs::remove_file(place.path("current")).unwrap();
        symlink(&live, place.path("current")).unwrap();

        let recovered = place.recover(recovery).unwrap();

        assert_eq!(recovered[0].outcome, outcome, "{recovery:?}");
        assert_eq!(place.path("up").exists(), runs, "{recovery:?}");
    }
}

#[test]
fn a_restart_of_what_is_live_stops_no_service() {
    let mut place = with_live_service();
    place.config.service = None;

    assert_eq!(place.restart().outcome, Deployed);

    assert!(place.path("up").exists());
}

#[test]
fn a_process_that_nothing_takes_over_from_is_ended_with_its_supervisor() {
    let mut place = Place::new();
    place.supervisor = SupervisorProgram { program: std::env::current_exe().unwrap(), arguments: supervisor_args() };
    place.config.service = Some(ServiceConfig::Process(process(CommandLine::Shell("exec sleep 1000".to_owned()))));
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    let told = supervisor::state(&place.path(".cutover/process/app")).unwrap().unwrap();

    place.config.service = None;
    let ended = place.deploy(&v(2));

    assert_eq!(ended.outcome, Deployed);
    let (main, supervisor) = (told.child.unwrap(), told.supervisor);
    let still_run = [main.is_alive(), supervisor.is_alive()];
    supervisor::stop(&place.path(".cutover/process/app")).unwrap();
    assert_eq!(still_run, [false, false]);
}

#[test]
fn a_service_that_takes_over_is_named_with_the_one_that_is_stopped() {
    let mut place = with_live_service();
    place.supervisor = SupervisorProgram { program: std::env::current_exe().unwrap(), arguments: supervisor_args() };
    place.config.service = Some(ServiceConfig::Process(process(CommandLine::Shell("exec sleep 1000".to_owned()))));
    // The script that stops the old one does not come with the new release.
    let ended = place.deploy(&Artifact::of(&"2".repeat(40), &[("VERSION", "v2")]));

    supervisor::stop(&place.path(".cutover/process/app")).unwrap();
    assert_eq!(ended.outcome, Deployed);
    assert!(!place.path("up").exists());
    let told = remarks(&ended);
    assert!(told[0].ends_with("which this release has no more, but the process of app"), "{told:?}");
}

#[test]
fn a_service_that_another_target_takes_over_runs_on_whichever_of_them_goes_first() {
    for is_first in [false, true] {
        let mut place = with_live_service();
        let elsewhere = tempfile::tempdir().unwrap();
        let mut service = place.config.service.take();
        if let Some(ServiceConfig::Command { stop, .. }) = &mut service {
            *stop = CommandLine::Shell(format!("rm -f {}", place.path("up").display()));
        }
        let (mut runs, mut rests) = (plain(place.dir.path()), plain(elsewhere.path()));
        for config in [&mut runs, &mut rests] {
            config.verify.probes = vec![command_probe("true")];
        }
        runs.service.clone_from(&service);
        (place.config, place.second) = (runs, Some(rests));
        if is_first {
            place.config.service = None;
            place.second.as_mut().unwrap().service.clone_from(&service);
        }
        assert_eq!(place.deploy(&v(1)).outcome, Deployed);
        // Given that it is the other target's from now on.
        let second = place.second.as_mut().unwrap();
        std::mem::swap(&mut place.config.service, &mut second.service);

        let ended = place.deploy(&v(2));
        // Then nobody stops it, and nobody says so; back again as well.
        assert_eq!(ended.outcome, Deployed);
        assert!(place.path("up").exists(), "{is_first}");
        assert!(!remarks(&ended).concat().contains("has no more"), "{:?}", remarks(&ended));
        assert_eq!(place.rollback(None).outcome, Deployed);
        assert!(place.path("up").exists(), "{is_first}");
    }
}

#[test]
fn a_service_that_another_target_took_over_first_is_started_again_on_the_way_back() {
    // Given a service of "web", and another one of "app".
    let mut place = with_live_service();
    let elsewhere = tempfile::tempdir().unwrap();
    let dir = place.dir.path().display().to_string();
    let shell = |line: &str| CommandLine::Shell(line.replace("DIR", &dir));
    let service = |name: &str| ServiceConfig::Command {
        restart: shell(&format!("echo {name} in $(cat VERSION) >> DIR/record; touch DIR/{name}")),
        stop: shell(&format!("rm -f DIR/{name}")),
        status: shell(&format!("test -e DIR/{name}")),
        pid_file: None,
        timeout: Duration::from_secs(10),
    };
    let mut second = plain(elsewhere.path());
    second.verify = place.config.verify.clone();
    (place.config.service, second.service) = (Some(service("two")), Some(service("one")));
    place.config.verify.probes = vec![command_probe("true")];
    place.second = Some(second);
    assert_eq!(place.deploy(&v(2)).outcome, Deployed);
    fs::write(place.path("record"), "").unwrap();
    // When "app", which goes live first, takes it over, and "web" is not healthy.
    place.config.service = place.second.as_mut().unwrap().service.take();
    let ended = place.deploy(&v(3));
    // Then both run as before: the one by its own target, and by the one that had it, which does not know that.
    assert_eq!(ended.outcome, RolledBack);
    assert_eq!(place.read("record"), "one in v3\none in v2\ntwo in v2\none in v2\n");
    assert!(place.path("one").exists() && place.path("two").exists());
}

fn failing_migration() -> MigrateConfig {
    MigrateConfig {
        up: CommandLine::Shell("exit 1".to_owned()),
        down: Some(CommandLine::Shell("true".to_owned())),
        compatible: true,
        timeout: Duration::from_secs(10),
    }
}

/// Runs as long as a file is there in the place of its target: the same words mean another one elsewhere.
fn of_its_place() -> ServiceConfig {
    let shell = |line: &str| CommandLine::Shell(line.to_owned());
    ServiceConfig::Command {
        restart: shell("touch ../../up"),
        stop: shell("rm -f ../../up"),
        status: shell("test -e ../../up"),
        pid_file: None,
        timeout: Duration::from_secs(10),
    }
}

/// Says which release started it, and whose, and runs as long as a file is there.
fn recorded(place: &Place, name: &str) -> ServiceConfig {
    let dir = place.dir.path().display().to_string();
    let shell = |line: &str| CommandLine::Shell(line.replace("DIR", &dir).replace("NAME", name));
    ServiceConfig::Command {
        restart: shell("echo NAME in $(cat VERSION) of $(cat ../../whose) >> DIR/record; touch DIR/NAME"),
        stop: shell("rm -f DIR/NAME"),
        status: shell("test -e DIR/NAME"),
        pid_file: None,
        timeout: Duration::from_secs(10),
    }
}

#[test]
fn a_service_that_another_target_took_over_later_is_started_again_where_it_was() {
    // Given a service of "app" that has no process of which it is known.
    let mut place = with_live_service();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(place.path("whose"), "app").unwrap();
    fs::write(elsewhere.path().join("whose"), "web").unwrap();
    let mut second = plain(elsewhere.path());
    second.verify = place.config.verify.clone();
    place.config.service = Some(recorded(&place, "one"));
    place.config.verify.probes = vec![command_probe("true")];
    place.second = Some(second);
    assert_eq!(place.deploy(&v(2)).outcome, Deployed);
    fs::write(place.path("record"), "").unwrap();
    // When "web", which goes live after it, takes it over and is not healthy.
    place.second.as_mut().unwrap().service = place.config.service.take();
    let ended = place.deploy(&v(3));
    // Then it runs as "app" started it.
    assert_eq!(ended.outcome, RolledBack);
    assert_eq!(place.read("record"), "one in v3 of web\none in v2 of app\n");
}

#[test]
fn a_service_that_a_target_took_from_a_later_one_is_given_back_though_that_one_had_no_turn() {
    for own in [None, Some("two")] {
        let mut place = with_live_service();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(place.path("whose"), "app").unwrap();
        fs::write(elsewhere.path().join("whose"), "web").unwrap();
        // Given that "web" has it, and "app" none or another one.
        let mut second = plain(elsewhere.path());
        second.verify.probes = vec![command_probe("true")];
        second.service = Some(recorded(&place, "one"));
        place.config.service = own.map(|own| recorded(&place, own));
        place.second = Some(second);
        assert_eq!(place.deploy(&v(2)).outcome, Deployed);
        fs::write(place.path("record"), "").unwrap();
        // When "app", which goes live first, takes it over and is not healthy.
        place.config.service = place.second.as_mut().unwrap().service.take();
        let ended = place.deploy(&v(3));
        // Then all runs as before.
        assert_eq!(ended.outcome, RolledBack, "{own:?}");
        let own = own.map_or_else(String::new, |own| format!("{own} in v2 of app\n"));
        assert_eq!(place.read("record"), format!("one in v3 of app\n{own}one in v2 of web\n"));
    }
}

#[test]
fn a_service_that_moves_to_a_target_with_one_of_its_own_runs_on() {
    let mut place = with_live_service();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = plain(elsewhere.path());
    (place.config.service, second.service) = (Some(recorded(&place, "two")), Some(recorded(&place, "one")));
    for config in [&mut place.config, &mut second] {
        config.verify.probes = vec![command_probe("true")];
    }
    place.second = Some(second);
    assert_eq!(place.deploy(&v(2)).outcome, Deployed);

    place.config.service = place.second.as_mut().unwrap().service.take();
    let ended = place.deploy(&v(3));

    assert_eq!(ended.outcome, Deployed);
    assert!(place.path("one").exists());
    assert_eq!(remarks(&ended), [] as [&str; 0]);
}

#[test]
fn a_target_that_comes_beside_another_one_with_the_same_words_takes_nothing_over() {
    let mut place = with_live_service();
    let elsewhere = tempfile::tempdir().unwrap();
    let live = place.config.service.clone();
    fs::write(place.path("record"), "").unwrap();
    // Given that "web" comes new, and "app" fails before its service is restarted.
    let mut second = plain(elsewhere.path());
    second.verify = place.config.verify.clone();
    second.service = live;
    place.second = Some(second);
    place.config.run.migrate = Some(failing_migration());

    let ended = place.deploy(&v(2));

    assert_eq!(ended.outcome, Failed);
    assert_eq!(place.read("record"), "");
}

#[test]
fn a_service_whose_look_came_with_an_unhealthy_release_is_stopped() {
    // Given a service that somebody set up, of which only a release can say whether it runs.
    let mut place = with_service();
    let dir = place.dir.path().display().to_string();
    if let Some(ServiceConfig::Command { status, stop, .. }) = &mut place.config.service {
        *status = CommandLine::Shell("sh status.sh".to_owned());
        *stop = CommandLine::Shell(format!("rm -f {dir}/up"));
    }
    fs::write(place.path("up"), "").unwrap();
    let files = [("VERSION", "v3"), ("status.sh", "test -e ../../up")];

    let ended = place.deploy(&Artifact::of(&"3".repeat(40), &files));

    assert_eq!(ended.outcome, Failed);
    assert!(!place.path("up").exists());
}

#[test]
fn a_service_that_is_not_seen_to_run_is_stopped_all_the_same() {
    // Given a service by commands that takes over from a process, and of which nobody sees that it runs.
    let mut place = with_service();
    place.supervisor = SupervisorProgram { program: std::env::current_exe().unwrap(), arguments: supervisor_args() };
    let commands = place.config.service.take();
    place.config.service = Some(ServiceConfig::Process(process(CommandLine::Shell("exec sleep 1000".to_owned()))));
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    place.config.service = commands;
    if let Some(ServiceConfig::Command { status, .. }) = &mut place.config.service {
        *status = CommandLine::Shell("exit 1".to_owned());
    }

    let ended = place.deploy(&v(2));

    supervisor::stop(&place.path(".cutover/process/app")).unwrap();
    assert_eq!(ended.outcome, RolledBack);
    assert!(!place.path("up").exists());
}

#[test]
fn the_same_words_that_move_to_another_place_are_stopped_there_when_they_mean_a_service_of_their_own() {
    let service = of_its_place();
    for is_first in [true, false] {
        let mut place = Place::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let (mut first, mut second) = (plain(place.dir.path()), plain(elsewhere.path()));
        for config in [&mut first, &mut second] {
            config.verify.probes = vec![command_probe("grep -qv v3 VERSION")];
            config.verify.within = Duration::from_millis(300);
        }
        let owner = if is_first { &mut first } else { &mut second };
        owner.service = Some(service.clone());
        (place.config, place.second) = (first, Some(second));
        assert_eq!(place.deploy(&v(1)).outcome, Deployed);
        // When the other target has it from now on, and is not healthy.
        std::mem::swap(&mut place.config.service, &mut place.second.as_mut().unwrap().service);
        let ended = place.deploy(&v(3));
        // Then it runs where it ran, and nowhere else.
        assert_eq!(ended.outcome, RolledBack, "{is_first}");
        let runs = [place.path("up").exists(), elsewhere.path().join("up").exists()];
        assert_eq!(runs, [is_first, !is_first], "{is_first}");
    }
}

#[test]
fn what_could_not_be_started_need_not_be_stopped() {
    let mut place = with_service();
    if let Some(ServiceConfig::Command { restart, stop, .. }) = &mut place.config.service {
        (*restart, *stop) = (CommandLine::Shell("exit 1".to_owned()), CommandLine::Shell("exit 1".to_owned()));
    }

    let ended = place.deploy(&v(1));

    assert_eq!(ended.outcome, Failed);
    assert!(place.live().is_none());
}

#[test]
fn the_same_words_in_two_places_are_two_services() {
    let mut place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let service = of_its_place();
    let mut second = plain(elsewhere.path());
    (place.config.service, second.service) = (Some(service.clone()), Some(service));
    for config in [&mut place.config, &mut second] {
        config.verify.probes = vec![command_probe("true")];
    }
    place.second = Some(second);
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);

    place.config.service = None;
    let ended = place.deploy(&v(2));

    assert_eq!(ended.outcome, Deployed);
    let run = [place.path("up").exists(), elsewhere.path().join("up").exists()];
    assert_eq!(run, [false, true]);
    assert_eq!(remarks(&ended).len(), 1, "{:?}", remarks(&ended));
}

#[test]
fn a_first_release_that_is_not_healthy_is_stopped_by_the_script_that_came_with_it() {
    let place = with_service();

    let ended = place.deploy(&v(3));

    assert_eq!(ended.outcome, Failed);
    assert!(!place.path("up").exists() && place.live().is_none());
    assert_eq!(place.read("record"), "restart in v3\nstop in v3\nstop in\n");
}
