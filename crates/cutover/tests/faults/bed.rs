//! A repository, a home and a `deploy_to` of their own; everything that is started in it ends with it.

use crate::clean::clean_command;
use crate::eyes::{self, World};
use crate::ran::Ran;
use crate::run::Running;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything that should happen is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The service: it says which release it is, on one port, until it is told to end.
const SERVER: &str = r#"
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
version = open("VERSION").read().strip()
exec(open("behaviour.py").read())
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
listener.listen(64)
print("serving", version, flush=True)
def answer(connection, status, text):
    body = text.encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)
while True:
    connection, _ = listener.accept()
    connection.settimeout(5)
    try:
        connection.recv(4096)
        reply(connection)
    except OSError:
        pass
    connection.close()
"#;

/// A service that is well.
pub(crate) const HEALTHY: &str = "def reply(connection): answer(connection, 200, 'ok ' + version)";
/// A service that runs, and says that it is not well.
pub(crate) const UNWELL: &str = "def reply(connection): answer(connection, 503, 'not well: ' + version)";

/// What `cutover.toml` says beyond what every test has.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Keys of `[targets.app.host]`.
    pub(crate) host: String,
    /// Keys of `[targets.app.host.verify]` besides the probes.
    pub(crate) verify: String,
    /// Probes besides the one that asks the service.
    pub(crate) probes: String,
    /// Whole tables.
    pub(crate) tables: String,
    /// Keys of the environment's `env`.
    pub(crate) env: String,
    /// The port of service and probe.
    pub(crate) port: u16,
    /// Keys of `[artifact]`.
    pub(crate) artifact: String,
    /// The target's name.
    pub(crate) target: &'static str,
}

/// A small world for one test.
pub(crate) struct Bed {
    dir: TempDir,
    pub(crate) config: Config,
    version: std::cell::Cell<u32>,
}

impl Bed {
    /// A repository whose service is well; nothing is committed or deployed yet.
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("cutover-faults-").unwrap();
        let config = Config {
            host: "disk_free_min = \"0 B\"\ninodes_free_min = 0\n".to_owned(),
            verify: "within = \"20s\"\ninterval = \"50ms\"\n".to_owned(),
            probes: String::new(),
            tables: String::new(),
            env: String::new(),
            port: free_port(),
            artifact: String::new(),
            target: "app",
        };
        let bed = Self { dir, config, version: std::cell::Cell::new(0) };
        for name in ["repo", "home", "home/cutover", "app"] {
            fs::create_dir(bed.path(name)).unwrap();
        }
        bed.git(&["init", "--quiet", "--initial-branch", "main"]);
        bed.write("server.py", SERVER);
        bed.write("behaviour.py", HEALTHY);
        bed
    }

    /// A bed with one release live and well.
    pub(crate) fn live() -> Self {
        let bed = Self::new();
        bed.commit();
        bed.deploy().expect(0);
        bed
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `deploy_to`.
    pub(crate) fn app(&self) -> PathBuf {
        self.path("app")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path("repo").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Commits the next version with the config as it is now; gives the version's number.
    pub(crate) fn commit(&self) -> u32 {
        self.version.set(self.version.get() + 1);
        let version = self.version.get();
        self.write("VERSION", &format!("{version}\n"));
        self.write("cutover.toml", &self.config.text(&self.app()));
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", &format!("Version {version}")]);
        version
    }

    /// Commits a version whose service behaves like this.
    pub(crate) fn commit_behaving(&self, behaviour: &str) -> u32 {
        self.write("behaviour.py", behaviour);
        self.commit()
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let status = self.command("git").args(args).status().unwrap();
        assert!(status.success(), "git {args:?}");
    }

    /// A program that works in the repository, cut off from this machine's settings.
    pub(crate) fn command(&self, program: &str) -> Command {
        clean_command(program, &self.path("repo"), &self.path("home"), &self.path("home/cutover"))
    }

    /// A `cutover` that was not started yet.
    pub(crate) fn cutover(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cutover"));
        command.args(args);
        command
    }

    /// Runs `cutover` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Running::start(self.cutover(args)).end()
    }

    /// Deploys what is committed.
    pub(crate) fn deploy(&self) -> Ran {
        self.run(&["deploy", "production"])
    }

    /// Begins to deploy what is committed.
    pub(crate) fn begin_deploy(&self) -> Running {
        Running::start(self.cutover(&["deploy", "production"]))
    }

    /// What the service answers; None when nobody does.
    pub(crate) fn answer(&self) -> Option<String> {
        ask(self.config.port)
    }

    /// The version that answers as it should.
    pub(crate) fn serving(&self) -> Option<u32> {
        self.answer()?.rsplit_once("ok ")?.1.trim().parse().ok()
    }

    /// The version that `current` leads to.
    pub(crate) fn current(&self) -> Option<u32> {
        fs::read_to_string(self.app().join("current/VERSION")).ok()?.trim().parse().ok()
    }

    /// What is under `deploy_to`, as far as it counts.
    pub(crate) fn world(&self) -> World {
        World::of(&self.app())
    }

    /// Asserts that this version is live and answers, and that nothing is left half-way or running.
    pub(crate) fn assert_settled_at(&self, version: u32, about: &str) {
        assert_eq!(self.current(), Some(version), "current, {about}");
        assert_eq!(self.serving(), Some(version), "who answers, {about}");
        self.assert_at_rest(about);
    }

    /// Asserts that nothing is left half-way, locked or running.
    pub(crate) fn assert_at_rest(&self, about: &str) {
        let status = self.run(&["status", "production", "--json"]).expect(0).json();
        let target = &status["environments"][0]["targets"][0];
        assert!(target["lock"].is_null(), "locked, {about}: {target}");
        assert_eq!(target["unfinished"], serde_json::json!([]), "unfinished, {about}");
        assert_eq!(eyes::half_done(&self.app()), Vec::<PathBuf>::new(), "left half-way, {about}");
        assert_eq!(eyes::of_deployments(self.dir.path()), Vec::<String>::new(), "left running, {about}");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        eyes::end_all(self.dir.path());
    }
}

impl Config {
    fn text(&self, app: &Path) -> String {
        let Self { host, verify, probes, tables, env, port, artifact, target } = self;
        let (app, python) = (app.display(), python());
        format!(
            r#"name = "shop"

[artifact]
{artifact}
[targets.{target}.host]
deploy_to = "{app}"
env_file = ".env"
{host}
[targets.{target}.host.service.process]
command = ["{python}", "-S", "-E", "-B", "server.py"]
stop_timeout = "3s"
backoff = "200ms"

[targets.{target}.host.verify]
{verify}
probes = [{{ http = {{ url = "http://127.0.0.1:{port}/", body = "ok" }} }}, {probes}]

{tables}
[environments.production]
env = {{ PORT = "{port}", {env} }}
hosts.{target} = ["localhost"]
"#
        )
    }
}

/// The interpreter itself: what lies on the `PATH` may be a slow script that looks for it.
pub(crate) fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        String::from_utf8(output.expect("python3 is needed").stdout).unwrap().trim().to_owned()
    })
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 10_000 + u16::try_from(random() % 20_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Something new at every call.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// What answers an HTTP request at this port of this machine.
pub(crate) fn ask(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Looks until it is so; fails the test when it never is.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
