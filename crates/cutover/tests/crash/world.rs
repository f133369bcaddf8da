//! One small world on disk: a repository with its tags, a home, and a `deploy_to`, always at the same path, so that
//! a copy of it can be put back and killed again.

use crate::run::Ran;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment that everything is deployed to.
pub(crate) const ENVIRONMENT: &str = "local";
/// Every version has a tag of this name; behind it the version whose place it takes.
///
/// `broken` deploys and then is not healthy; the migration of `half` changes something and then fails.
const HISTORY: [(&str, &str); 6] =
    [("v0", "nothing"), ("v1", "v0"), ("v2", "v1"), ("v3", "v2"), ("broken", "v1"), ("half", "v1")];
/// The names of all versions.
pub(crate) const VERSIONS: [&str; 6] = ["v0", "v1", "v2", "v3", "broken", "half"];

/// What runs beside the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Nothing: the release is files only, and its health is a command.
    None,
    /// A small web server under Cutover's own supervisor, on this port.
    Web(u16),
}

/// The world of one worker.
pub(crate) struct World {
    slot: PathBuf,
    service: Service,
}

impl World {
    /// A world in an empty directory: tagged versions, nothing deployed.
    pub(crate) fn new(slot: &Path, service: Service) -> Self {
        let world = Self { slot: slot.to_owned(), service };
        for name in ["repo", "home", "tmp"] {
            fs::create_dir_all(world.path(name)).unwrap();
        }
        world.git(&["init", "--quiet", "--initial-branch", "main"]);
        for (version, before) in HISTORY {
            world.commit(version, before);
        }
        world.configure("v0");
        world
    }

    /// A path in the world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.slot.join("world").join(name)
    }

    /// `deploy_to`.
    pub(crate) fn srv(&self) -> PathBuf {
        self.path("srv")
    }

    /// Everything in it; no process that is none of ours has this in its surroundings.
    pub(crate) fn root(&self) -> PathBuf {
        self.slot.join("world")
    }

    /// The port of its service.
    pub(crate) fn port(&self) -> Option<u16> {
        match self.service {
            Service::None => None,
            Service::Web(port) => Some(port),
        }
    }

    /// Keeps a copy of the world as it is now. Nothing may run in it.
    pub(crate) fn keep(&self, name: &str) {
        copy_tree(&self.root(), &self.slot.join(name));
    }

    /// Puts a kept copy back, hard links included.
    pub(crate) fn put_back(&self, name: &str) {
        copy_tree(&self.slot.join(name), &self.root());
    }

    /// Writes `cutover.toml` with the variables of a version.
    pub(crate) fn configure(&self, version: &str) {
        fs::write(self.path("repo/cutover.toml"), self.config(version)).unwrap();
    }

    /// Configures and deploys a version.
    pub(crate) fn deploy(&self, version: &str) -> Ran {
        self.configure(version);
        self.run(&["deploy", ENVIRONMENT, "--commit", version])
    }

    /// Runs `cutover` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(env!("CARGO_BIN_EXE_cutover")).args(args))
    }

    /// Runs `cutover` to its end, which must be this one; gives its JSON.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<serde_json::Value, String> {
        let ran = self.run(args);
        let value = if ran.code == Some(0) { serde_json::from_str(&ran.stdout).ok() } else { None };
        value.ok_or_else(|| format!("{args:?}: {ran}"))
    }

    /// A program that works in the repository, cut off from this machine's settings.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path("repo")).stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.path("home"));
        command.env("CUTOVER_HOME", self.path("home/cutover")).env("CUTOVER_BY", "ada").env("TMPDIR", self.path("tmp"));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
            command.env(format!("GIT_{who}_DATE"), "2026-11-20T09:00:00Z");
        }
        command
    }

    fn commit(&self, version: &str, before: &str) {
        let files = [
            ("VERSION", format!("{version}\n")),
            ("BEFORE", format!("{before}\n")),
            (".gitignore", "cutover.toml\n".to_owned()),
            ("lib/same.txt", "in every version\n".to_owned()),
            ("lib/changing.txt", format!("of {version}\n")),
            ("config-a.json", format!("{{\"version\":\"{version}\"}}\n")),
            ("server.py", SERVER.to_owned()),
            ("bin/install", script(INSTALL)),
            ("bin/migrate", script(MIGRATE)),
            ("bin/after", script(AFTER)),
            ("bin/healthy", script(HEALTHY)),
        ];
        for (name, text) in files {
            self.write(name, &text);
        }
        let link = self.path("repo/lib/link.txt");
        if fs::symlink_metadata(&link).is_err() {
            std::os::unix::fs::symlink("same.txt", link).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", &format!("Version {version}")]);
        self.git(&["tag", version]);
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path("repo").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let mode = if name.starts_with("bin/") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn git(&self, args: &[&str]) {
        let ran = Ran::of(self.command("git").args(args));
        assert_eq!(ran.code, Some(0), "git {args:?}: {ran}");
    }

    fn config(&self, version: &str) -> String {
        let srv = self.srv().display().to_string();
        let (service, probe) = match self.service {
            Service::None => (String::new(), "{ command = { run = [\"bin/healthy\"] } }".to_owned()),
            Service::Web(port) => (
                format!(
                    "[targets.app.host.service.process]\ncommand = [\"{}\", \"-S\", \"-E\", \"-B\", \"server.py\"]\n\
                     stop_timeout = \"3s\"\nbackoff = \"100ms\"\n",
                    crate::processes::python().display()
                ),
                format!("{{ http = {{ url = \"http://127.0.0.1:{port}/\", body = \"well\" }} }}"),
            ),
        };
        // A healthy release may take its time on a busy machine; of one that is not, nobody waits for long.
        let within = if version == "broken" { "300ms" } else { "60s" };
        format!(
            r#"name = "shop"

[targets.app.host]
deploy_to = "{srv}"
keep_releases = 2
disk_free_min = "0 B"
inodes_free_min = 0
linked_dirs = ["data"]
config_links = {{ "config.json" = "config-a.json" }}
env_file = ".env"
env_backups = 2

[targets.app.host.run]
install = ["bin/install"]
after = ["bin/after"]
migrate = {{ up = ["bin/migrate", "up"], down = ["bin/migrate", "down"] }}

{service}
[targets.app.host.verify]
within = "{within}"
interval = "20ms"
probes = [{probe}]

[environments.{ENVIRONMENT}]
env = {{ GREETING = "hello from {version}", LEVEL = "info", PORT = "{port}" }}
hosts.app = ["localhost"]
"#,
            port = self.port().unwrap_or(0),
        )
    }
}

fn script(body: &str) -> String {
    format!("#!/bin/sh\nset -eu\nstep=${{0##*/}}\n{PAUSE}{body}")
}

/// Where a test wants to find a command in its middle, it makes a file for it; the command says that it is there.
/// Where the command of a release shall be killed, the test writes a file with the release's version.
const PAUSE: &str = r#"world=${HOME%/home}
if [ -e "$world/pause-$step" ]; then
    rm "$world/pause-$step"
    echo $$ >"$world/paused.new"
    mv "$world/paused.new" "$world/paused"
    sleep 1000
fi
if [ -e "$world/die-$step" ] && grep -qx -f "$world/die-$step" VERSION; then
    kill -KILL $$
fi
"#;
const INSTALL: &str = "mkdir -p build\ncp VERSION build/label\n";
/// The database is a file with the version that it is for; each way can be gone again and again.
const MIGRATE: &str = r#"case $1 in
up)
    cp VERSION data/schema
    ! grep -qx half VERSION
    ;;
down) if grep -qx nothing BEFORE; then rm -f data/schema; else cp BEFORE data/schema; fi ;;
esac
"#;
const AFTER: &str = "cp VERSION data/announced\n";
const HEALTHY: &str = "cmp -s VERSION build/label\n! grep -qx broken VERSION\n";
/// Says which version it is, and whether it is well; HTTP/1.0 without any module that takes long to import.
const SERVER: &str = r#"import os, signal, socket
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
version = open("VERSION").read().strip()
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
listener.listen(64)
while True:
    connection, _ = listener.accept()
    try:
        connection.settimeout(5)
        connection.recv(4096)
        body = (version + (" is ill" if version == "broken" else " is well")).encode()
        connection.sendall(b"HTTP/1.0 200 x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    except OSError:
        pass
    connection.close()
"#;

/// Replaces a tree by a copy of another one.
fn copy_tree(from: &Path, to: &Path) {
    for command in [vec!["rm", "-rf", "--"], vec!["cp", "-a", "--"]] {
        let from = (command[0] == "cp").then_some(from);
        let status = Command::new(command[0]).args(&command[1..]).args(from).arg(to).status().unwrap();
        assert!(status.success(), "{command:?} {}", to.display());
    }
}
