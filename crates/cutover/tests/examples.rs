//! The examples work: their own tests pass, and the worker is deployed, broken and taken back for real.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use cutover_targets::supervisor;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    text(&output)
}

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
struct Ticker {
    dir: TempDir,
}

impl Ticker {
    fn new() -> Self {
        let ticker = Self { dir: tempfile::tempdir().unwrap() };
        run(Command::new("cp").arg("-R").arg(example("ticker")).arg(ticker.repository()));
        let site = ticker.site();
        ticker.edit("cutover.toml", "/opt/ticker", site.to_str().unwrap());
        ticker.git(&["init", "--quiet"]);
        ticker.commit();
        ticker
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("ticker")
    }

    fn site(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.repository().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]);
        run(command.args(arguments).current_dir(self.repository()));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "A change"]);
    }

    fn cutover(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).env("CUTOVER_HOME", self.dir.path().join("home")).current_dir(self.repository());
        command.output().unwrap()
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
    fs::write(ticker.repository().join("VERSION"), "2\n").unwrap();
    ticker.edit("bin/healthy", "[ \"$age\" -le", "[ \"$age\" -lt 0 ] && [ \"$age\" -le");
    ticker.edit("cutover.toml", "within = \"10s\"", "within = \"2s\"");
    ticker.commit();
    let second = ticker.cutover(&["deploy", "local"]);

    assert_eq!(second.status.code(), Some(3), "{}", text(&second));
    assert_eq!(ticker.live(), label);
    assert!(ticker.site().join("shared/data/last-tick").exists(), "what it wrote outlives its release");
}

#[test]
fn a_failing_install_hook_touches_nothing() {
    let ticker = Ticker::new();
    fs::write(ticker.repository().join("bin/install"), "#!/bin/sh\necho no luck\nexit 7\n").unwrap();
    fs::set_permissions(ticker.repository().join("bin/install"), fs::Permissions::from_mode(0o755)).unwrap();
    ticker.commit();

    let deployed = ticker.cutover(&["deploy", "local"]);

    assert_eq!(deployed.status.code(), Some(1), "{}", text(&deployed));
    assert!(text(&deployed).contains("no luck"), "{}", text(&deployed));
    assert!(!ticker.site().join("current").exists());
}

#[test]
fn a_restarted_service_has_the_variables_that_it_was_deployed_with() {
    let ticker = Ticker::new();
    ticker.edit("cutover.toml", "INTERVAL = \"1\"", "INTERVAL = \"2\"");
    ticker.commit();
    let deployed = ticker.cutover(&["deploy", "local"]);
    assert_eq!(deployed.status.code(), Some(0), "{}", text(&deployed));

    let restarted = ticker.cutover(&["app", "local", "restart"]);

    assert_eq!(restarted.status.code(), Some(0), "{}", text(&restarted));
    let log = fs::read_to_string(ticker.site().join(".cutover/process/ticker/service.log")).unwrap();
    assert_eq!(log.matches("one tick every 2 s").count(), 2, "{log}");
}
