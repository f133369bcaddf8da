//! A service that another one takes over from: nothing of it may stay.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod service_support;
mod support;

use cutover_core::config::{CommandLine, HostConfig, ProbeConfig, ProbeKind, ProbeOwner, ServiceConfig};
use cutover_core::next::DeploymentOutcome::Deployed;
use cutover_targets::host::SupervisorProgram;
use cutover_targets::process::{ProcessIdentity, signal};
use cutover_targets::supervisor;
use rustix::process::Signal;
use service_support::{process, supervisor_args, wait_for, written_pid};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use support::{Artifact, Place, command_probe, plain};

fn v(number: u32) -> Artifact {
    Artifact::of(&format!("{number}").repeat(40), &[("VERSION", &format!("v{number}"))])
}

/// A service that is a file: it "runs" while the file is there.
fn by_command(place: &Place) -> ServiceConfig {
    let up = place.path("up").display().to_string();
    let shell = |line: String| CommandLine::Shell(line);
    let (restart, stop, status) =
        (shell(format!("touch {up}")), shell(format!("rm -f {up}")), shell(format!("test -e {up}")));
    ServiceConfig::Command { restart, stop, status, pid_file: None, timeout: Duration::from_secs(10) }
}

/// Deploys a `process` service that leaves a child in a session of its own; gives that child.
fn deploy_with_a_stray(place: &mut Place) -> ProcessIdentity {
    let script = "setsid sh -c 'echo $$ > stray; exec sleep 1000' & exec sleep 1000";
    place.supervisor = SupervisorProgram { program: std::env::current_exe().unwrap(), arguments: supervisor_args() };
    place.config.service = Some(ServiceConfig::Process(process(CommandLine::Shell(script.to_owned()))));
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    written_pid(&place.path("current/stray"))
}

#[test]
fn what_a_process_service_left_behind_is_ended_though_its_supervisor_and_its_main_process_died() {
    // Given a service of which only a stray child is left.
    let mut place = Place::new();
    let stray = deploy_with_a_stray(&mut place);
    let told = supervisor::state(&place.path(".cutover/process/app")).unwrap().unwrap();
    let main = told.child.unwrap();
    for process in [&told.supervisor, &main] {
        signal(process.pid, Signal::KILL);
        wait_for("it is gone", || !process.is_alive());
    }
    assert!(stray.is_alive());
    // When another kind of service takes over.
    place.config.service = Some(by_command(&place));
    let ended = place.deploy(&v(2));
    // Then the stray is gone, too.
    assert_eq!(ended.outcome, Deployed);
    let was_ended = !stray.is_alive();
    supervisor::stop(&place.path(".cutover/process/app")).unwrap();
    assert!(was_ended, "the stray child of the dead supervisor still runs");
}

#[test]
fn a_service_that_another_target_took_over_before_is_not_put_down_by_what_replaces_it() {
    // Given a service of "web", which "app" has from now on.
    let mut place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    place.supervisor = SupervisorProgram { program: std::env::current_exe().unwrap(), arguments: supervisor_args() };
    place.second = Some(HostConfig { service: Some(by_command(&place)), ..plain(elsewhere.path()) });
    for config in [&mut place.config].into_iter().chain(&mut place.second) {
        config.verify.probes = vec![command_probe("true")];
    }
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    let run = ServiceConfig::Process(process(CommandLine::Shell("exec sleep 1000".to_owned())));
    // When another kind of service runs "web", which goes live last.
    place.config.service = place.second.as_mut().unwrap().service.replace(run);
    let ended = place.deploy(&v(2));
    // Then both run.
    let runs = supervisor::state(&elsewhere.path().join(".cutover/process/web")).unwrap().is_some();
    supervisor::stop(&elsewhere.path().join(".cutover/process/web")).unwrap();
    assert_eq!(ended.outcome, Deployed);
    assert!(runs && place.path("up").exists());
}

/// A process that listens at a port, and is asked there.
fn listening(deploy_to: &Path, port: u16) -> HostConfig {
    let script = format!("import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(1000)");
    let command = CommandLine::Argv(vec!["python3".into(), "-c".into(), script]);
    let kind = ProbeKind::Tcp { address: format!("127.0.0.1:{port}"), timeout: Duration::from_secs(5) };
    let mut config = HostConfig { service: Some(ServiceConfig::Process(process(command))), ..plain(deploy_to) };
    config.verify.within = Duration::from_secs(20);
    config.verify.probes = vec![ProbeConfig { name: "port".into(), owner: ProbeOwner::Release, kind }];
    config
}

#[test]
fn a_port_that_another_target_lets_go_of_first_is_taken_over() {
    let [old, new] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [old, new] = [old, new].map(|listener| listener.local_addr().unwrap().port());
    let (mut place, elsewhere) = (Place::new(), tempfile::tempdir().unwrap());
    place.supervisor = SupervisorProgram { program: std::env::current_exe().unwrap(), arguments: supervisor_args() };
    // Given "app" at a port, and nothing of "web", which goes live after it.
    (place.config, place.second) = (listening(place.dir.path(), old), Some(plain(elsewhere.path())));
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    // When "app" moves to another port and "web" takes this one.
    (place.config, place.second) = (listening(place.dir.path(), new), Some(listening(elsewhere.path(), old)));
    let ended = place.deploy(&v(2));

    supervisor::stop(&elsewhere.path().join(".cutover/process/web")).unwrap();
    supervisor::stop(&place.path(".cutover/process/app")).unwrap();
    assert_eq!(ended.outcome, Deployed, "{:?}", ended.records);
}
