//! The service of a world that has one.

use crate::processes::{self, Process};
use crate::world::{ENVIRONMENT, World};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A port that nobody uses now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts the service again after its world was put back.
pub(crate) fn revive(world: &World) {
    if world.port().is_some() && world.srv().join("current").exists() {
        // With the patience of a version that is well, whatever is configured.
        let config = std::fs::read(world.path("repo/cutover.toml")).unwrap();
        world.configure("v1");
        world.run(&["app", ENVIRONMENT, "restart"]).expect(0);
        std::fs::write(world.path("repo/cutover.toml"), config).unwrap();
    }
}

/// What the service answers; None when nobody does.
pub(crate) fn answer(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// Whether a process is the service or its supervisor.
pub(crate) fn is_service(process: &Process) -> bool {
    process.command.contains("server.py") || process.command.contains(" supervise ")
}

/// What is wrong with the service: it must answer as the version that is current, once, and not at all when nothing is.
pub(crate) fn faults(world: &World) -> Vec<String> {
    let Some(port) = world.port() else { return Vec::new() };
    let current = std::fs::read_to_string(world.srv().join("current/VERSION")).ok();
    let expected = current.map(|version| format!("{} is well", version.trim()));
    let mut faults = Vec::new();
    let answered = answer(port);
    if answered != expected {
        faults.push(format!("the service answers {answered:?} instead of {expected:?}"));
    }
    let running: Vec<Process> = processes::of_world(&world.root()).into_iter().filter(is_service).collect();
    let wanted = if expected.is_some() { 2 } else { 0 };
    if running.len() != wanted {
        faults.push(format!("{wanted} processes of the service should run: {running:?}"));
    }
    faults
}
