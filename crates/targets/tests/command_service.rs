//! A service that the user's own commands run.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod service_support;

use cutover_core::config::{CommandLine, ServiceConfig};
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::FailureKind;
use cutover_targets::service::{Service, open};
use service_support::{Place, Told};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn service(place: &Place, restart: &str, pid_file: Option<&str>) -> Box<dyn Service> {
    let config = ServiceConfig::Command {
        restart: CommandLine::Shell(restart.to_owned()),
        stop: CommandLine::Shell("kill $(cat app.pid) 2>/dev/null; rm -f app.pid".into()),
        status: CommandLine::Shell("kill -0 $(cat app.pid)".into()),
        pid_file: pid_file.map(Into::into),
        timeout: Duration::from_millis(2000),
    };
    open(&config, &place.site)
}

const START: &str = "sh -c 'sleep 1000 & wait' > /dev/null 2>&1 & echo $! > app.pid";

#[test]
fn commands_start_find_and_stop_the_service() {
    let place = Place::new();
    let service = service(&place, START, Some("current/app.pid"));
    assert!(!service.state().unwrap().active);

    service.restart(&Told::default()).unwrap();

    let state = service.state().unwrap();
    assert!(state.active && state.since.is_some(), "{state:?}");
    let main = state.main.unwrap();
    service_support::wait_for("its child is seen", || service.processes().unwrap().len() == 2);
    let processes = service.processes().unwrap();
    assert!(processes.contains(&main.pid));

    service.stop(&Told::default()).unwrap();
    service_support::wait_for("it is gone", || !main.is_alive());
    assert!(!service.state().unwrap().active);
    service.stop(&Told::default()).unwrap();
    processes.iter().for_each(|pid| cutover_targets::process::signal(*pid, rustix::process::Signal::KILL));
}

#[test]
fn a_status_that_is_contradicted_by_the_pid_file_is_not_believed() {
    let place = Place::new();
    let config = ServiceConfig::Command {
        restart: CommandLine::Shell("true".into()),
        stop: CommandLine::Shell("true".into()),
        status: CommandLine::Shell("true".into()),
        pid_file: Some("app.pid".into()),
        timeout: Duration::from_secs(5),
    };
    let state = open(&config, &place.site).state().unwrap();
    assert_eq!((state.active, state.description.as_str()), (false, "its pid file names no living process"));
}

#[test]
fn a_restart_that_fails_or_hangs_says_so() {
    let place = Place::new();
    let told = Told::default();
    let failure = service(&place, "echo no config; exit 4", None).restart(&told).unwrap_err();
    assert_eq!(failure.message, "restart service app: exit code 4");
    assert_eq!(failure.excerpt, "no config\n");
    assert_eq!(told.lines(), ["no config"]);

    let failure = service(&place, "sleep 1000", None).restart(&Told::default()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut, "{failure}");
}

#[test]
fn a_secret_that_its_commands_print_is_masked_in_all_that_is_told() {
    // Given commands that read a secret where it lies, and print it.
    let mut place = Place::new();
    let secret = format!("pw-{:x}", u64::from(std::process::id()) * 7_368_787);
    std::fs::write(place.release().join("secret"), &secret).unwrap();
    place.site.masker = Masker::new([("TOKEN", &Secret::new(secret.clone()))]);
    let told = Told::default();

    let failure = service(&place, "cat secret; exit 4", None).restart(&told).unwrap_err();

    assert_eq!((failure.excerpt.trim(), told.lines()), ("***", vec!["***".to_owned()]));
    assert!(!format!("{failure:?}").contains(&secret), "{failure:?}");
}

#[test]
fn a_service_that_goes_on_talking_to_its_inherited_output_lives_on() {
    let place = Place::new();
    let talk = "echo starting; (echo $$ > /dev/null; while ! [ -e go ]; do sleep 0.01; done; echo said; echo again; touch done; exec sleep 1000) & echo $! > app.pid";
    let service = service(&place, talk, Some("current/app.pid"));
    let told = Told::default();

    service.restart(&told).unwrap();

    assert_eq!(told.lines(), ["starting"]);
    let main = service.state().unwrap().main.unwrap();
    std::fs::write(place.release().join("go"), "").unwrap();
    service_support::wait_for("it spoke", || place.release().join("done").exists() || !main.is_alive());
    assert!(main.is_alive());
    let log = place.supervisor().join("command.log");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "starting\nsaid\nagain\n");
    assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    service.stop(&Told::default()).unwrap();
}

#[test]
fn each_restart_begins_the_output_anew_and_none_is_needed() {
    let place = Place::new();
    let service = service(&place, "echo started", None);
    let log = place.supervisor().join("command.log");
    for _ in 0..2 {
        service.restart(&Told::default()).unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "started\n");
    }
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();

    service.restart(&Told::default()).unwrap();
}
