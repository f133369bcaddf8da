//! A small service under systemd, its repository, and the commands that deploy it; all of it inside of a machine.

use crate::host::Host;
use crate::ran::Ran;
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long anything that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says which release it is until it is told to end; `behaviour.py` decides how.
const SERVICE: &str = r#"import http.server, os, pathlib, subprocess, sys, time
version = pathlib.Path("VERSION").read_text().strip()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"shop {version}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
def serve():
    http.server.HTTPServer.allow_reuse_address = True
    server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer)
    print("open", version, flush=True)
    server.serve_forever()
exec(pathlib.Path("behaviour.py").read_text())
"#;

/// The unit's name without its suffix.
const UNIT: &str = "shop";

/// Answers as it should.
pub(crate) const HEALTHY: &str = "serve()";
/// Says why, and ends.
pub(crate) const BROKEN: &str = "print('the till', version, 'is jammed', flush=True)\nsys.exit(7)";
/// Runs, and neither answers nor says anything.
pub(crate) const SILENT: &str = "time.sleep(1000)";
/// Asks it for the version that it is.
pub(crate) const HTTP_PROBE: &str = r#"{ http = { url = "http://127.0.0.1:8000/", body = "shop" } }"#;

/// The service on one machine.
pub(crate) struct Shop {
    pub(crate) host: Host,
    /// Who deploys.
    pub(crate) user: &'static str,
    /// `system` or `user`.
    pub(crate) scope: &'static str,
    /// Keys of `[targets.app.host.verify]`.
    pub(crate) verify: String,
    version: Cell<u32>,
}

impl Shop {
    /// A repository and an empty `/opt/shop` of this user's.
    pub(crate) fn new(host: Host, user: &'static str, scope: &'static str) -> Self {
        let verify = format!("within = \"15s\"\nprobes = [{HTTP_PROBE}]\n");
        if !host.has_user(user) {
            host.shell("root", &format!("useradd --create-home --shell /bin/bash {user}"));
        }
        host.shell("root", &format!("install -d -o {user} -g {user} /opt/shop /srv/shop"));
        host.shell(user, "git init --quiet --initial-branch main /srv/shop");
        host.write(user, "/srv/shop/shop.py", SERVICE);
        Self { host, user, scope, verify, version: Cell::new(0) }
    }

    /// The same with its unit, which runs as the user who deploys.
    pub(crate) fn with_unit(host: Host, user: &'static str, scope: &'static str) -> Self {
        let shop = Self::new(host, user, scope);
        shop.write_unit("Restart=on-failure\nRestartSec=200ms\n");
        shop
    }

    /// Writes the unit, with these lines in its `[Service]`, and lets systemd read it.
    pub(crate) fn write_unit(&self, lines: &str) {
        let (unit_name, user) = (format!("{UNIT}.service"), self.user);
        let is_system = self.scope == "system";
        let runs_as = if is_system { format!("User={user}\n") } else { String::new() };
        let wanted_by = if is_system { "multi-user.target" } else { "default.target" };
        let unit = format!(
            "[Unit]\nDescription=Shop\n[Service]\n{runs_as}WorkingDirectory=/opt/shop/current\n\
             EnvironmentFile=/opt/shop/shared/.env\nExecStart=/usr/bin/python3 -B shop.py\n{lines}\n\
             [Install]\nWantedBy={wanted_by}\n"
        );
        if is_system {
            self.host.write("root", &format!("/etc/systemd/system/{unit_name}"), &unit);
            self.host.shell("root", &format!("systemctl daemon-reload; systemctl enable --quiet {unit_name}"));
        } else {
            self.host.write(user, &format!("/home/{user}/.config/systemd/user/{unit_name}"), &unit);
            let systemctl = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user";
            self.host.shell(user, &format!("{systemctl} daemon-reload; {systemctl} enable --quiet {unit_name}"));
        }
    }

    /// Commits the next version, which behaves like this; gives its number.
    pub(crate) fn commit(&self, behaviour: &str) -> u32 {
        self.version.set(self.version.get() + 1);
        let version = self.version.get();
        self.host.write(self.user, "/srv/shop/behaviour.py", behaviour);
        self.host.write(self.user, "/srv/shop/VERSION", &format!("{version}\n"));
        self.host.write(self.user, "/srv/shop/cutover.toml", &self.config());
        let git = "git -C /srv/shop -c user.name=Ada -c user.email=ada@example.org";
        self.host.shell(self.user, &format!("{git} add --all; {git} commit --quiet --message 'Version {version}'"));
        version
    }

    fn config(&self) -> String {
        let Self { scope, verify, .. } = self;
        format!(
            r#"name = "shop"

[targets.app.host]
deploy_to = "/opt/shop"
env_file = ".env"
disk_free_min = "0 B"
inodes_free_min = 0

[targets.app.host.service]
unit = "{UNIT}.service"
scope = "{scope}"
timeout = "20s"

[targets.app.host.verify]
interval = "50ms"
{verify}
[environments.production]
env = {{ PORT = "8000" }}
hosts.app = ["localhost"]
"#
        )
    }

    /// Runs `cutover` in the repository to its end.
    pub(crate) fn cutover(&self, args: &[&str]) -> Ran {
        let argv = [&["cutover", "-C", "/srv/shop"], args].concat();
        self.host.command(self.user, &argv).output().unwrap().into()
    }

    /// Commits and deploys a version that behaves like this.
    pub(crate) fn deploy(&self, behaviour: &str) -> Ran {
        self.commit(behaviour);
        self.cutover(&["deploy", "production"])
    }

    /// Begins to deploy what is committed and waits until a line with this text is told; false when none ever is.
    pub(crate) fn deploy_until(&self, told: &str) -> bool {
        let argv = ["cutover", "-C", "/srv/shop", "deploy", "production"];
        let mut child = self.host.command(self.user, &argv).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_told = lines.any(|line| line.is_ok_and(|line| line.contains(told)));
        // It goes with the machine's power; its end is nobody's business but must not leave a zombie.
        std::thread::spawn(move || child.wait());
        is_told
    }

    /// What answers at the service's port; empty when nobody does.
    pub(crate) fn answer(&self) -> String {
        let ask = "exec 3<>/dev/tcp/127.0.0.1/8000; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";
        let output = self.host.command("root", &["bash", "-c", ask]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The version that `current` leads to; empty when there is none.
    pub(crate) fn current(&self) -> String {
        self.host.shell("root", "cat /opt/shop/current/VERSION 2>/dev/null || true")
    }

    /// What `cutover status` says of the target.
    pub(crate) fn status(&self) -> serde_json::Value {
        self.cutover(&["status", "production", "--json"]).expect(0).json()["environments"][0]["targets"][0].clone()
    }

    /// Asserts that this version is live, runs and answers, and that nothing is unfinished or locked.
    #[track_caller]
    pub(crate) fn assert_serves(&self, version: u32, about: &str) {
        assert_eq!(self.current(), version.to_string(), "current, {about}");
        wait_for("the service answers", || self.answer() == format!("shop {version}"));
        self.assert_at_rest(about);
    }

    /// Asserts that nothing is unfinished or locked, and that the service runs.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self, about: &str) {
        let status = self.status();
        assert_eq!(status["service"]["active"], true, "{about}: {status}");
        assert_eq!(status["unfinished"], serde_json::json!([]), "{about}: {status}");
        assert!(status["lock"].is_null(), "{about}: {status}");
    }

    /// Asserts that the unit is looked at without `systemctl`, and seen to be as `systemctl` shows it.
    #[track_caller]
    pub(crate) fn assert_looks_by_itself(&self) {
        self.host.shell("root", "mv /usr/bin/systemctl /usr/bin/systemctl.away");
        let seen = self.status()["service"].clone();
        self.host.shell("root", "mv /usr/bin/systemctl.away /usr/bin/systemctl");
        let systemctl = match self.scope {
            "user" => "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user",
            _ => "systemctl",
        };
        let show = |name: &str| self.host.shell(self.user, &format!("{systemctl} show --value -p {name} {UNIT}"));
        let description = format!("{} ({})", show("ActiveState"), show("SubState"));
        let shown = [description, show("MainPID"), show("NRestarts")];
        let seen_too = [&seen["description"], &seen["main"]["pid"], &seen["restart_count"]];
        assert_eq!(seen_too.map(|value| value.to_string().trim_matches('"').to_owned()), shown, "{seen}");
        assert!(seen["memory_bytes"].as_u64().unwrap() > 1 << 20 && seen["since"].is_string(), "{seen}");
    }

    /// Asserts that nothing was ever brought here.
    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        let found =
            self.host.shell("root", "cd /opt/shop; find current releases shared -mindepth 1 2>/dev/null || true");
        assert_eq!(found, "");
    }
}

impl Ran {
    /// Fails the test when it said any of this.
    #[track_caller]
    pub(crate) fn never_says(self, words: &[&str]) -> Self {
        let told = self.told();
        let said: Vec<&&str> = words.iter().filter(|word| told.contains(**word)).collect();
        assert!(said.is_empty(), "said: {said:?}\n{told}");
        self
    }

    /// The text of the service's log that was kept, in the file that is named.
    #[track_caller]
    pub(crate) fn kept_log(&self, host: &Host) -> String {
        let path = self.stdout.lines().find_map(|line| line.split_once("log kept in ")).map(|(_, path)| path);
        host.shell("root", &format!("cat {}", path.unwrap_or_else(|| panic!("no log is named: {}", self.told()))))
    }
}

/// Looks until it is so; fails the test when it never is.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
