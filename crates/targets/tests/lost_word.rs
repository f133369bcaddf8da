//! A `process` service whose supervisor's word, `state.json`, is lost: what runs is seen from the processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod service_support;
mod support;

use cutover_core::config::ServiceConfig;
use cutover_core::id::TargetName;
use cutover_core::next::DeploymentOutcome::{Deployed, RolledBack};
use cutover_targets::host::SupervisorProgram;
use cutover_targets::process::{cwd_of, signal, with_variable};
use cutover_targets::service::{self, Service, ServiceState};
use cutover_targets::supervisor::{self, SupervisorState};
use rustix::process::Signal;
use service_support::{Place, Told, process, supervisor_args, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Artifact, command_probe};

/// What may become of the file.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Missing,
    Empty,
    Garbage,
}

const LOSSES: [Loss; 3] = [Loss::Missing, Loss::Empty, Loss::Garbage];

impl Loss {
    fn befall(self, supervisor: &Path) {
        let state = supervisor.join("state.json");
        match self {
            Self::Missing => fs::remove_file(state),
            Self::Empty => fs::write(state, ""),
            Self::Garbage => fs::write(state, "{ torn"),
        }
        .unwrap();
    }

    fn is_damage(self) -> bool {
        matches!(self, Self::Empty | Self::Garbage)
    }
}

/// A service that runs and has left a child behind.
fn started() -> (Place, Box<dyn Service>, SupervisorState) {
    let place = Place::new();
    let service = place.shell("setsid sh -c 'exec sleep 1000' & exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    let told = place.told();
    (place, service, told)
}

/// Kills the supervisor alone, or its service as well.
fn kill(told: &SupervisorState, with_service: bool, place: &Place) {
    let child = told.child.as_ref().filter(|_| with_service);
    for process in [&told.supervisor].into_iter().chain(child) {
        signal(process.pid, Signal::KILL);
        wait_for("it is gone", || !process.is_alive());
    }
    if with_service {
        marked(place).into_iter().for_each(|pid| signal(pid, Signal::KILL));
        wait_for("nothing is left", || marked(place).is_empty());
    }
}

fn marked(place: &Place) -> Vec<u32> {
    with_variable("CUTOVER_SERVICE", &place.supervisor().to_string_lossy()).into_iter().collect()
}

#[track_caller]
fn assert_is(state: &ServiceState, active: bool, failed: bool, wanted: bool, case: &str) {
    assert_eq!((state.active, state.failed, state.wanted), (active, failed, wanted), "{case}: {state:?}");
    assert_ne!(state.description, "never started", "{case}");
}

#[test]
fn a_service_that_runs_is_seen_and_stopped() {
    for loss in LOSSES {
        let (place, service, told) = started();
        wait_for("its child runs", || service.processes().unwrap().len() == 2);
        let child = told.child.unwrap();

        loss.befall(&place.supervisor());

        let state = service.state().unwrap();
        assert_is(&state, true, false, true, &format!("{loss:?}"));
        assert_eq!(state.main.as_ref(), Some(&child), "{loss:?}");
        assert!(state.since.is_some() && state.memory_bytes.unwrap() > 0, "{state:?}");
        assert!(state.description.starts_with("active (running), as its processes show"), "{state:?}");
        assert_eq!(service.processes().unwrap().len(), 2, "{loss:?}");

        service.stop(&Told::default()).unwrap();
        assert!(!child.is_alive() && !told.supervisor.is_alive() && marked(&place).is_empty(), "{loss:?}");
        assert_eq!(service.state().unwrap().description, "stopped", "{loss:?}");
    }
}

#[test]
fn an_orphaned_service_is_seen_and_stopped() {
    for loss in LOSSES {
        let (place, service, told) = started();
        let child = told.child.clone().unwrap();
        kill(&told, false, &place);

        loss.befall(&place.supervisor());

        let state = service.state().unwrap();
        assert_is(&state, true, true, true, &format!("{loss:?}"));
        assert_eq!(state.main.as_ref(), Some(&child), "{loss:?}");
        assert!(state.description.contains("its supervisor is gone"), "{state:?}");

        service.stop(&Told::default()).unwrap();
        assert!(!child.is_alive() && marked(&place).is_empty(), "{loss:?}");
        assert_is(&service.state().unwrap(), false, false, false, &format!("{loss:?}, stopped"));
    }
}

#[test]
fn a_service_that_does_not_run_is_not_called_never_started_and_can_be_started() {
    for loss in LOSSES {
        let (place, service, told) = started();
        kill(&told, true, &place);

        loss.befall(&place.supervisor());

        // What broke off, as by a power cut, was the word of one that should run.
        let is_damage = loss.is_damage();
        assert_is(&service.state().unwrap(), false, is_damage, is_damage, &format!("{loss:?}"));
        service.stop(&Told::default()).unwrap();
        assert_is(&service.state().unwrap(), false, false, false, &format!("{loss:?}, stopped"));
        service.restart(&Told::default()).unwrap();
        assert_eq!(service.state().unwrap().main, place.told().child, "{loss:?}");
    }
}

#[test]
fn a_restart_replaces_what_runs() {
    for loss in LOSSES {
        let (place, service, told) = started();
        loss.befall(&place.supervisor());
        // Not even the supervisor's lock is left.
        fs::remove_file(place.supervisor().join("lock")).unwrap();

        service.restart(&Told::default()).unwrap();

        assert!(!told.supervisor.is_alive() && !told.child.unwrap().is_alive(), "{loss:?}");
        assert_eq!(service.state().unwrap().main, place.told().child, "{loss:?}");
    }
}

/// Ends what runs beneath a place, however a test ends.
struct Ends(PathBuf);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = supervisor::stop(&self.0);
    }
}

#[test]
fn the_old_release_runs_after_a_broken_one_was_deployed() {
    for loss in LOSSES {
        // Given a release whose service runs, and whose supervisor's word is lost.
        let v = |number: u32| Artifact::of(&format!("{number}").repeat(40), &[("VERSION", &format!("v{number}"))]);
        let mut place = support::Place::new();
        place.supervisor =
            SupervisorProgram { program: std::env::current_exe().unwrap(), arguments: supervisor_args() };
        let runs = "exec sleep 1000".to_owned();
        let config = ServiceConfig::Process(process(cutover_core::config::CommandLine::Shell(runs)));
        place.config.service = Some(config.clone());
        place.config.verify.within = Duration::from_secs(2);
        place.config.verify.probes = vec![command_probe("grep -qv v2 VERSION")];
        let ends = Ends(place.path(".cutover/process/app"));
        assert_eq!(place.deploy(&v(1)).outcome, Deployed);
        let old = place.live().unwrap();
        loss.befall(&ends.0);
        // When a broken one is deployed.
        let ended = place.deploy(&v(2));
        // Then the old one is back, and serves.
        assert_eq!(ended.outcome, RolledBack, "{loss:?}: {:?}", ended.records);
        assert_eq!(place.live().unwrap(), old, "{loss:?}");
        let site = service::Site::to_look_at(TargetName::new("app").unwrap(), place.dir.path());
        let state = service::open(&config, &site).state().unwrap();
        let cwd = cwd_of(state.main.as_ref().unwrap().pid).unwrap();
        assert!(state.active && cwd.ends_with(&old), "{loss:?}: {state:?} in {}", cwd.display());
    }
}
