//! A shop on a machine, which is deployed from here again and again.

use crate::client::{Client, Started};
use crate::host::Host;
use crate::prober::Prober;
use std::cell::Cell;
use std::fs;
use std::time::{Duration, Instant};

/// Who deploys.
pub(crate) const USER: &str = "deploy";
/// How long anything that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(10);

/// Answers with its version.
const SERVICE: &str = r#"import http.server, pathlib
version = pathlib.Path("VERSION").read_text().strip().encode()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(version)))
        self.end_headers()
        self.wfile.write(version)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Answer).serve_forever()
"#;

const UNIT: &str = "[Service]\nUser=deploy\nWorkingDirectory=/opt/shop/current\nEnvironmentFile=/opt/shop/shared/.env\n\
    ExecStart=/usr/bin/python3 -B shop.py\nRestart=on-failure\nRestartSec=100ms\n[Install]\nWantedBy=multi-user.target\n";

/// A shop, its machine, and who deploys it.
pub(crate) struct Shop {
    pub(crate) client: Client,
    pub(crate) host: Host,
    /// Further machines with the same shop.
    pub(crate) others: Vec<Host>,
    version: Cell<u32>,
}

impl Shop {
    /// A shop with a healthy release. None where there is no bed.
    pub(crate) fn open(test: &str) -> Option<Self> {
        Self::open_on(test, 1)
    }

    /// The same on several machines.
    pub(crate) fn open_on(test: &str, host_count: usize) -> Option<Self> {
        let host = Host::boot(test)?;
        let others = (1..host_count).map(|_| Host::boot(test)).collect::<Option<Vec<_>>>()?;
        let shop = Self { client: Client::new(), host, others, version: Cell::new(0) };
        for host in shop.hosts() {
            prepare(host);
            shop.client.befriend(host, USER);
        }
        shop.client.write("shop.py", SERVICE);
        shop.commit();
        shop.client.run(&["deploy", "production"]).expect(0);
        Some(shop)
    }

    /// All machines.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.host).chain(&self.others)
    }

    /// Commits the next version: another program, and another env file. Gives its number.
    pub(crate) fn commit(&self) -> u32 {
        self.version.set(self.version.get() + 1);
        let version = self.version.get();
        self.client.write("VERSION", &format!("{version}\n"));
        self.client.write("cutover.toml", &self.config(version));
        self.client.commit(&format!("Version {version}"));
        version
    }

    fn config(&self, version: u32) -> String {
        let gate = self.client.path("gate");
        let gate = gate.display();
        let hosts: Vec<String> = self.hosts().map(|host| format!("{USER}@{}", host.address())).collect();
        format!(
            r#"name = "shop"

[artifact]
build = "while [ -e {gate} ]; do sleep 0.02; done"

[targets.app.host]
deploy_to = "/opt/shop"
env_file = ".env"
keep_releases = 2
disk_free_min = "0 B"
inodes_free_min = 0

[targets.app.host.run]
install = "if [ -e /srv/eat ]; then exec python3 /srv/eat; fi"
migrate = {{ up = "true", compatible = true }}
after = "true"

[targets.app.host.service]
unit = "shop.service"

[targets.app.host.verify]
within = "60s"
interval = "50ms"
probes = [
  {{ http = {{ url = "http://127.0.0.1:8000/", body = "{version}" }} }},
  {{ command = {{ run = ["true"] }} }},
]

[environments.production]
env = {{ SINCE = "{version}" }}
hosts.app = {hosts:?}
{}"#,
            self.client.ssh_table()
        )
    }

    /// Begins a deployment and returns while the agent waits for its order, before anything is done.
    pub(crate) fn begin(&self) -> Started {
        fs::write(self.client.path("gate"), "").unwrap();
        self.client.start(&["deploy", "production"])
    }

    /// Lets a deployment that was begun go on.
    pub(crate) fn go(&self) {
        fs::remove_file(self.client.path("gate")).unwrap();
    }

    /// The version that `current` leads to, and that is a whole release.
    #[track_caller]
    pub(crate) fn current(&self) -> u32 {
        version_on(&self.host)
    }

    /// Waits until no deployment acts on the machine; the kernel's lock tells.
    pub(crate) fn await_idle(&self) {
        await_idle(&self.host);
    }

    /// Asks the shop all the time.
    pub(crate) fn prober(&self) -> Prober {
        Prober::start(&self.host.address())
    }
}

/// The version that `current` leads to on a machine, and that is a whole release.
#[track_caller]
pub(crate) fn version_on(host: &Host) -> u32 {
    let version = host.shell("root", "cd /opt/shop/current; test -s release.json; test -s shop.py; cat VERSION");
    version.parse().unwrap()
}

/// Waits until no deployment acts on a machine.
pub(crate) fn await_idle(host: &Host) {
    host.shell("root", "flock --timeout 120 /opt/shop/.cutover/lock true");
}

fn prepare(host: &Host) {
    host.shell("root", &format!("useradd --create-home --shell /bin/bash --groups systemd-journal {USER}"));
    host.shell("root", &format!("install -d -o {USER} -g {USER} /opt/shop"));
    host.write("root", "/etc/systemd/system/shop.service", UNIT);
    host.shell("root", "systemctl daemon-reload; systemctl enable --quiet shop");
    host.write("root", "/etc/sudoers.d/shop", &format!("{USER} ALL=(root) NOPASSWD: /usr/bin/systemctl\n"));
}

/// Looks until it is so.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(POLL);
    }
}
