//! A repository here, a machine there, and ssh between the two.

use crate::clean::clean_command;
use crate::host::Host;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Who deploys there.
const USER: &str = "deploy";
/// Serves the text in `VERSION`, or ends at once when that says so.
const SERVICE: &str = r#"import http.server, pathlib, sys
version = pathlib.Path("VERSION").read_text().strip()
if "broken" in version:
    sys.exit("the till is jammed")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(version.encode())
    def log_message(self, *_): pass
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer(("127.0.0.1", 8000), Answer).serve_forever()
"#;
const UNIT: &str = "[Service]\nUser=deploy\nWorkingDirectory=/opt/shop/current\nExecStart=/usr/bin/python3 shop.py\n";

/// A shop that is deployed from here to a machine.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) host: Host,
    /// Further machines with the same shop.
    pub(crate) others: Vec<Host>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl World {
    /// A machine that knows the key of who deploys, and whose own key is known here. None where there is no bed.
    pub(crate) fn new(test: &str) -> Option<Self> {
        Self::with_hosts(test, 1)
    }

    /// The same with several machines.
    pub(crate) fn with_hosts(test: &str, count: usize) -> Option<Self> {
        let host = Host::boot(test)?;
        let others = (1..count).map(|_| Host::boot(test)).collect::<Option<Vec<_>>>()?;
        let world = Self { dir: tempfile::tempdir().unwrap(), host, others };
        world.hosts().for_each(prepare_machine);
        world.prepare_ssh();
        world.write("shop.py", SERVICE);
        world.write("cutover.toml", &config(&world.addresses()));
        world.run_here("git", &["init", "--quiet", "--initial-branch", "main"]);
        Some(world)
    }

    /// A machine as it comes: root knows the key of who sets it up, and nobody knows the machine's own.
    pub(crate) fn bare(test: &str, config: &str) -> Option<Self> {
        let world = Self { dir: tempfile::tempdir().unwrap(), host: Host::boot(test)?, others: Vec::new() };
        world.make_key();
        let public = fs::read_to_string(world.path("key.pub")).unwrap();
        world.host.write("root", "/root/.ssh/authorized_keys", &public);
        fs::write(world.path("known_hosts"), "").unwrap();
        world.configure_client();
        world.write("shop.py", SERVICE);
        world.write("cutover.toml", &config.replace("ADDRESS", &world.host.address()));
        world.run_here("git", &["init", "--quiet", "--initial-branch", "main"]);
        Some(world)
    }

    /// All machines.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.host).chain(&self.others)
    }

    fn addresses(&self) -> Vec<String> {
        self.hosts().map(Host::address).collect()
    }

    /// Says how a release spreads.
    pub(crate) fn configure_rollout(&self, keys: &str) {
        self.add_config(&format!("[environments.production.rollout]\n{keys}\n"));
    }

    /// Says more under `[ssh]`.
    pub(crate) fn configure_ssh(&self, keys: &str) {
        self.write("cutover.toml", &config(&self.addresses()).replace("[ssh]\n", &format!("[ssh]\n{keys}\n")));
    }

    /// Says more at the end.
    pub(crate) fn add_config(&self, tables: &str) {
        self.write("cutover.toml", &(config(&self.addresses()) + tables));
    }

    /// The machine's own public key.
    pub(crate) fn host_key(&self) -> String {
        let line = self.host.shell("root", "cat /etc/ssh/ssh_host_ed25519_key.pub");
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Changes a line of the user's own configuration of ssh, or takes it away.
    pub(crate) fn edit_ssh_config(&self, key: &str, line: &str) {
        let text = fs::read_to_string(self.path("repo/ssh_config")).unwrap();
        let lines = text.lines().map(|old| if old.trim_start().starts_with(key) { line } else { old });
        self.write("ssh_config", &lines.collect::<Vec<_>>().join("\n"));
    }

    fn prepare_ssh(&self) {
        self.make_key();
        let public = fs::read_to_string(self.path("key.pub")).unwrap();
        let meet = |host: &Host| {
            host.write(USER, "/home/deploy/.ssh/authorized_keys", &public);
            host.shell(USER, "chmod 700 ~/.ssh; chmod 600 ~/.ssh/authorized_keys");
            format!("{} {}\n", host.address(), host.shell("root", "cat /etc/ssh/ssh_host_ed25519_key.pub"))
        };
        fs::write(self.path("known_hosts"), self.hosts().map(meet).collect::<String>()).unwrap();
        self.configure_client();
    }

    fn make_key(&self) {
        self.run_here("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", self.path("key").to_str().unwrap()]);
    }

    fn configure_client(&self) {
        let lines = [
            format!("IdentityFile {}", self.path("key").display()),
            "IdentitiesOnly yes".to_owned(),
            format!("UserKnownHostsFile {}", self.path("known_hosts").display()),
            "GlobalKnownHostsFile /dev/null".to_owned(),
            "LogLevel ERROR".to_owned(),
        ];
        self.write("ssh_config", &lines.join("\n"));
    }

    /// A `PATH` with a program of this name before the real one: it runs the script and then becomes the real one.
    pub(crate) fn path_with(&self, program: &str, script: &str) -> String {
        let (dir, path) = (self.path("programs"), std::env::var("PATH").unwrap());
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join(program);
        fs::write(&file, format!("#!/bin/sh\n{script}\nPATH='{path}' exec {program} \"$@\"\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{path}", dir.display())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path("repo")).unwrap();
        fs::write(self.path("repo").join(path), text).unwrap();
    }

    /// Commits a version of the service.
    pub(crate) fn commit(&self, version: &str) {
        self.write("VERSION", version);
        self.run_here("git", &["add", "--all"]);
        self.run_here("git", &["commit", "--quiet", "--message", version]);
    }

    #[track_caller]
    fn run_here(&self, program: &str, args: &[&str]) {
        let status = self.command(program).args(args).status().unwrap();
        assert!(status.success(), "{program} {args:?}");
    }

    fn command(&self, program: &str) -> Command {
        fs::create_dir_all(self.path("repo")).unwrap();
        let mut command = clean_command(program, &self.path("repo"), self.dir.path(), &self.path("home"));
        command.envs(std::env::var_os("CUTOVER_BED").map(|bed| ("CUTOVER_BED", bed)));
        command
    }

    /// A `cutover` that was not started yet.
    pub(crate) fn cutover(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cutover"));
        command.args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.cutover(args).output().unwrap().into()
    }

    /// Starts a command in a process group of its own, and returns once it has said this.
    pub(crate) fn start_until(&self, args: &[&str], words: &str) -> Started {
        let mut child = self.cutover(args).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut started = Started { child, lines };
        started.await_words(words);
        started
    }

    /// Lets the verification of a release pass.
    pub(crate) fn open(&self) {
        let_verification_pass(&self.host, true);
    }

    /// Makes the verification of a release wait until the shop is opened.
    pub(crate) fn close(&self) {
        let_verification_pass(&self.host, false);
    }

    /// What the service answers.
    pub(crate) fn answer(&self) -> String {
        answer(&self.host)
    }

    /// Whether anything answers where the service listens.
    pub(crate) fn has_answer(&self) -> bool {
        let asked = "import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000\")";
        self.host.command("root", &["python3", "-c", asked]).output().unwrap().status.success()
    }

    /// What the service answers on each machine.
    pub(crate) fn answers(&self) -> Vec<String> {
        self.hosts().map(answer).collect()
    }

    /// The version that `current` leads to.
    pub(crate) fn current(&self) -> String {
        self.host.shell("root", "cat /opt/shop/current/VERSION")
    }

    /// Waits until the machine has no deployment at work; the kernel's lock tells.
    pub(crate) fn await_idle(&self) {
        for host in self.hosts() {
            host.shell("root", "flock --timeout 60 /opt/shop/.cutover/lock true");
        }
    }
}

fn answer(host: &Host) -> String {
    host.shell(
        "root",
        "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8000\").read().decode())'",
    )
}

/// Makes the verification of a release pass, or wait until it may.
pub(crate) fn let_verification_pass(host: &Host, passes: bool) {
    host.shell("root", if passes { "touch /opt/shop/open" } else { "rm /opt/shop/open" });
}

fn prepare_machine(host: &Host) {
    host.shell("root", &format!("useradd --create-home --shell /bin/bash --groups systemd-journal {USER}"));
    host.shell("root", &format!("install -d -o {USER} -g {USER} /opt/shop"));
    host.write("root", "/etc/systemd/system/shop.service", UNIT);
    host.shell("root", "systemctl daemon-reload");
    let_verification_pass(host, true);
    host.write("root", "/etc/sudoers.d/deploy", &format!("{USER} ALL=(root) NOPASSWD: /usr/bin/systemctl\n"));
}

fn config(addresses: &[String]) -> String {
    let hosts: Vec<String> = addresses.iter().map(|address| format!("\"{USER}@{address}\"")).collect();
    let hosts = hosts.join(", ");
    format!(
        r#"name = "shop"

[targets.app.host]
deploy_to = "/opt/shop"
disk_free_min = "0 B"
inodes_free_min = 0

[targets.app.host.service]
unit = "shop.service"

[targets.app.host.verify]
within = "30s"
probes = [
  {{ http = {{ url = "http://127.0.0.1:8000/" }} }},
  {{ command = {{ run = ["test", "-e", "/opt/shop/open"] }} }},
]

[ssh]
config_file = "ssh_config"

[environments.production.hosts]
app = [{hosts}]
"#
    )
}

/// A command at work.
pub(crate) struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    /// Kills it with all that it started here.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Waits until it has said this.
    pub(crate) fn await_words(&mut self, words: &str) {
        let said = self.lines.by_ref().map_while(Result::ok).any(|line| line.contains(words));
        assert!(said, "it ended without {words:?}");
    }

    /// Lets it stand still.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What else it says, and how it ends.
    pub(crate) fn end(mut self) -> (String, i32) {
        let said: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        (said.join("\n"), self.child.wait().unwrap().code().unwrap_or(-1))
    }
}
