//! The examples work: their own tests pass, and the worker is deployed, broken and taken back for real.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

#[path = "shared/example.rs"]
mod example;

use cutover_targets::supervisor;
use example::{Copy, example, run, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn the_tests_of_greeter_pass() {
    let mut command = Command::new("python3");
    run(command.args(["-B", "-m", "unittest", "discover", "tests"]).current_dir(example("greeter")));
}

#[test]
fn the_tests_of_ticker_pass() {
    run(Command::new("sh").arg("tests/ticker.sh").current_dir(example("ticker")));
}

/// The worker in a repository of its own, deployed beneath a directory of the test.
struct Ticker(Copy);

impl Ticker {
    fn new() -> Self {
        let ticker = Self(Copy::of("ticker"));
        ticker.0.edit("cutover.toml", "/opt/ticker", ticker.site().to_str().unwrap());
        ticker.0.commit();
        ticker
    }

    fn site(&self) -> PathBuf {
        self.0.path("site")
    }

    fn cutover(&self, arguments: &[&str]) -> Output {
        self.0.cutover(arguments).output().unwrap()
    }

    fn live(&self) -> String {
        fs::read_to_string(self.site().join("current/build/label")).unwrap()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        let _ = supervisor::stop(&self.site().join(".cutover/process/ticker"));
    }
}

#[test]
fn a_worker_without_a_port_and_without_python_is_deployed_and_taken_back() {
    let ticker = Ticker::new();

    let first = ticker.cutover(&["deploy", "local"]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    let label = ticker.live();
    assert!(label.starts_with("1 "), "{label}");

    // Alive, and says so, but it does not do its work.
    fs::write(ticker.0.repository().join("VERSION"), "2\n").unwrap();
    ticker.0.edit("bin/healthy", "[ \"$age\" -le", "[ \"$age\" -lt 0 ] && [ \"$age\" -le");
    ticker.0.edit("cutover.toml", "within = \"10s\"", "within = \"2s\"");
    ticker.0.commit();
    let second = ticker.cutover(&["deploy", "local"]);

    assert_eq!(second.status.code(), Some(3), "{}", text(&second));
    assert_eq!(ticker.live(), label);
    assert!(ticker.site().join("shared/data/last-tick").exists(), "what it wrote outlives its release");
}

#[test]
fn a_failing_install_hook_touches_nothing() {
    let ticker = Ticker::new();
    fs::write(ticker.0.repository().join("bin/install"), "#!/bin/sh\necho no luck\nexit 7\n").unwrap();
    fs::set_permissions(ticker.0.repository().join("bin/install"), fs::Permissions::from_mode(0o755)).unwrap();
    ticker.0.commit();

    let deployed = ticker.cutover(&["deploy", "local"]);

    assert_eq!(deployed.status.code(), Some(1), "{}", text(&deployed));
    assert!(text(&deployed).contains("no luck"), "{}", text(&deployed));
    assert!(!ticker.site().join("current").exists());
}

#[test]
fn a_restarted_service_has_the_variables_that_it_was_deployed_with() {
    let ticker = Ticker::new();
    ticker.0.edit("cutover.toml", "INTERVAL = \"1\"", "INTERVAL = \"2\"");
    ticker.0.commit();
    let deployed = ticker.cutover(&["deploy", "local"]);
    assert_eq!(deployed.status.code(), Some(0), "{}", text(&deployed));

    let restarted = ticker.cutover(&["app", "local", "restart"]);

    assert_eq!(restarted.status.code(), Some(0), "{}", text(&restarted));
    let log = fs::read_to_string(ticker.site().join(".cutover/process/ticker/service.log")).unwrap();
    assert_eq!(log.matches("one tick every 2 s").count(), 2, "{log}");
}
