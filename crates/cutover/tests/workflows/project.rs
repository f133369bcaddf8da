//! A project at GitHub that deploys to this machine: its repository, its runner, and the service that is deployed.

use crate::clean::clean_command;
use cutover_testkit::runner::{Run, Runner};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The service: it says which version it is.
const SERVER: &str = r#"import os, socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
listener.listen(64)
version = open("VERSION").read().strip()
while True:
    connection, _ = listener.accept()
    connection.recv(4096)
    body = f"ok {version}"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall((head + body).encode())
    connection.close()
"#;

/// A check that fails where the repository says so, and waits where somebody holds the gate.
const CHECK: &str = "test ! -e broken && if [ -p gate ]; then cat gate || test ! -e gate; fi";

/// A project.
pub(crate) struct Project {
    dir: TempDir,
    pub(crate) runner: Runner,
    /// A secret of production.
    pub(crate) token: String,
    port: u16,
}

impl Project {
    /// A project with one commit on `main`, its workflows among it. Production deploys from `main`; `more` are further tables.
    pub(crate) fn new(more: &str) -> Self {
        let dir = TempDir::with_prefix("cutover-workflows-").unwrap();
        let port = free_port();
        let runner = Runner::new(dir.path());
        let mut project = Self { runner, token: format!("token-{:016x}", random()), port, dir };
        let token = project.token.clone();
        project.runner.secret("production", "APP_TOKEN", &token);
        fs::create_dir(project.runner.origin()).unwrap();
        project.git(&["init", "--quiet", "--initial-branch", "main"]);
        // As GitHub's servers do.
        project.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        project.write("server.py", SERVER);
        project.write("cutover.toml", &project.config(more));
        let written = project.cutover(&["workflows"]);
        assert!(written.status.success(), "{}", told(&written));
        project.commit("1");
        project
    }

    fn config(&self, more: &str) -> String {
        let (srv, port, gate) = (self.path("srv"), self.port, self.path("gate"));
        let (url, sha256) = binary();
        let check = CHECK.replace("gate", gate.to_str().unwrap());
        format!(
            r#"name = "shop"

[checks.tests]
run = "{check}"
cache = {{ key = "{{VERSION,lock}}", paths = ["~/.cache/tests"] }}

[targets.api.host]
deploy_to = "{srv}"
env_file = ".env"
disk_free_min = "0 B"
inodes_free_min = 0
service.process.command = ["python3", "-S", "-E", "-B", "server.py"]

[targets.api.host.verify]
within = "30s"
interval = "50ms"
probes = [{{ http = {{ url = "http://127.0.0.1:{port}/", body = "ok" }} }}]

[environments.production]
branch = "main"
env = {{ PORT = "{port}" }}
secrets = ["APP_TOKEN"]
hosts.api = ["localhost"]

[workflows]
url = "{url}"
sha256 = "{sha256}"
{more}
"#,
            srv = srv.display(),
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.runner.origin().join(path), text).unwrap();
    }

    /// Commits what is there as this version.
    pub(crate) fn commit(&self, version: &str) {
        self.write("VERSION", version);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", &format!("Version {version}")]);
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let output = self.command("git").args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", told(&output));
    }

    /// Delivers the push of `main`, which one workflow wants to know of.
    pub(crate) fn push(&self) -> Run {
        let mut runs = self.runner.deliver(&self.runner.push("main"));
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    /// Holds all checks that begin from now on, until what is returned is let go.
    pub(crate) fn hold_checks(&self) -> Gate {
        let path = self.path("gate");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Gate { path }
    }

    /// The version that answers; None when nobody does.
    pub(crate) fn serving(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.rsplit_once("ok ")?.1.to_owned())
    }

    /// The deployments of an environment, the oldest first.
    pub(crate) fn history(&self, environment: &str) -> Vec<Value> {
        let output = self.cutover(&["history", environment, "--json"]);
        assert!(output.status.success(), "{}", told(&output));
        let history: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut deployments = history["deployments"].as_array().unwrap_or_else(|| panic!("{history}")).clone();
        deployments.reverse();
        deployments
    }

    /// Runs Cutover by hand, in the repository.
    pub(crate) fn cutover(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_cutover")).args(args).output().unwrap()
    }

    fn command(&self, program: &str) -> Command {
        clean_command(program, &self.runner.origin(), &self.path("home"), &self.path("home/cutover"))
    }

    /// What all artifacts hold, in one text.
    pub(crate) fn kept(&self) -> String {
        let output = Command::new("grep").args(["-ra", "", "."]).current_dir(self.path("artifacts")).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let within = |pid: &Path| fs::read_link(pid.join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.dir.path()));
        // A supervisor first would be one that can't start its service anew; in either order nothing is left after two rounds.
        for _ in 0..2 {
            let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
            for process in processes.filter(|process| within(process)) {
                let pid = process.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
                let _gone = pid.map(|pid| kill_process(pid, Signal::KILL));
            }
        }
    }
}

/// Something that checks wait for.
pub(crate) struct Gate {
    path: PathBuf,
}

impl Gate {
    /// Waits until a check has come to the gate, and lets that one and all later ones pass.
    pub(crate) fn open(self) {
        self.open_after(|| {});
    }

    /// Does something else before it lets the check pass.
    pub(crate) fn open_after(self, meanwhile: impl FnOnce()) {
        // Opened only when somebody reads.
        let gate = fs::OpenOptions::new().write(true).open(&self.path).unwrap();
        meanwhile();
        fs::remove_file(&self.path).unwrap();
        drop(gate);
    }
}

impl Drop for Gate {
    /// A test that fails lets everybody go, else it would wait for them.
    fn drop(&mut self) {
        if let Ok(gate) = fs::OpenOptions::new().read(true).write(true).open(&self.path) {
            let _removed = fs::remove_file(&self.path);
            drop(gate);
        }
    }
}

pub(crate) fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The binary under test, as a runner gets it.
pub(crate) fn binary() -> (String, String) {
    static SHA256: OnceLock<String> = OnceLock::new();
    let path = env!("CARGO_BIN_EXE_cutover");
    let sum = || {
        let output = Command::new("sha256sum").arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    (format!("file://{path}"), SHA256.get_or_init(sum).clone())
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections.
fn free_port() -> u16 {
    loop {
        let port = 10_000 + u16::try_from(random() % 20_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Something new at every call.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
