//! An example, with the machine that it is deployed to.

use crate::client::Client;
use crate::host::Host;
use crate::ran::Ran;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An example of `examples/`, and who deploys it.
pub(crate) struct Example {
    pub(crate) name: &'static str,
    pub(crate) user: &'static str,
    /// The variable of its secret.
    pub(crate) secret: &'static str,
}

/// A FastAPI service.
pub(crate) const WEBHOOK: Example = Example { name: "webhook", user: "deploy", secret: "WEBHOOK_SECRET" };
/// A worker without a port.
pub(crate) const STREAMER: Example = Example { name: "streamer", user: "tgstream", secret: "STREAM_KEY" };

/// An example on its way to a machine.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) host: Host,
    pub(crate) secret: String,
    name: &'static str,
}

impl Site {
    /// A machine that was prepared as the example's README says, and somebody with the example in a repository. None where
    /// there is no bed.
    pub(crate) fn prepared(example: &Example, test: &str) -> Option<Self> {
        let Example { name, user, secret } = *example;
        let host = Host::boot(test)?;
        prepare(&host, example);
        let mut client = Client::new();
        client.befriend(&host, user);
        client.copy(&directory(example));
        client.edit("cutover.toml", &format!("{name}.example.org"), &host.address());
        let text = std::fs::read_to_string(client.path("repo/cutover.toml")).unwrap();
        client.write("cutover.toml", &(text + &client.ssh_table()));
        let value = random_word();
        client.set(secret, &value);
        Some(Self { client, host, secret: value, name })
    }

    /// Commits what is there as this version, and deploys it.
    pub(crate) fn deploy(&self, version: &str) -> Ran {
        self.commit(version);
        self.client.run(&["deploy", "production"])
    }

    /// Commits what is there as this version; gives the commit.
    pub(crate) fn commit(&self, version: &str) -> String {
        self.client.write("VERSION", &format!("{version}\n"));
        self.client.commit(&format!("Version {version}"))
    }

    /// What a shell on the machine says, as root, in the directory that is deployed to.
    #[track_caller]
    pub(crate) fn there(&self, script: &str) -> String {
        self.host.shell("root", &format!("cd /opt/{}; {script}", self.name))
    }

    /// The version that `current` leads to.
    #[track_caller]
    pub(crate) fn current(&self) -> String {
        self.there("cat current/VERSION")
    }

    /// What `cutover status` says of the only target.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.client.run(&["status", "production", "--json"]).expect(0).json()["environments"][0]["targets"][0].clone()
    }

    /// What `cutover releases` lists.
    #[track_caller]
    pub(crate) fn releases(&self) -> Vec<Value> {
        let listed = self.client.run(&["releases", "production", "--json"]).expect(0).json();
        listed["targets"][self.name].as_array().unwrap().clone()
    }

    /// What `cutover history` lists, newest first.
    #[track_caller]
    pub(crate) fn history(&self) -> Vec<Value> {
        let listed = self.client.run(&["history", "production", "--json"]).expect(0).json();
        listed["deployments"].as_array().unwrap().clone()
    }

    /// Asserts that this version is live, that its unit runs, and that nothing is unfinished or locked.
    #[track_caller]
    pub(crate) fn assert_serves(&self, version: &str) {
        assert_eq!(self.current(), version);
        let status = self.status();
        assert_eq!(status["service"]["active"], true, "{status}");
        assert_eq!(status["unfinished"], serde_json::json!([]), "{status}");
        assert!(status["lock"].is_null(), "{status}");
    }

    /// Asserts that the secret stands nowhere but in env files that only their owner may read.
    #[track_caller]
    pub(crate) fn assert_secret_is_kept(&self, told: &str) {
        assert!(!told.contains(&self.secret), "it was told: {told}");
        let found = self.there(&format!("grep -rlF {} . /var/log /home --exclude-dir=.ssh || true", self.secret));
        for path in found.lines() {
            assert_eq!(self.there(&format!("stat -c %a {path}")), "600", "{path}");
            assert!(path.contains(".env") || path.contains(".cutover/env/"), "{path}");
        }
        let journal = self.host.shell("root", &format!("journalctl --no-pager | grep -cF {} || true", self.secret));
        assert_eq!(journal, "0", "lines of the machine's journal");
    }
}

fn prepare(host: &Host, example: &Example) {
    let Example { name, user, .. } = *example;
    let commands = ["restart", "stop", "reset-failed"].map(|verb| format!("/usr/bin/systemctl {verb} {name}.service"));
    host.shell("root", &format!("useradd --create-home --shell /bin/bash --groups systemd-journal {user}"));
    host.shell("root", &format!("install -d -o {user} -g {user} /opt/{name}"));
    host.write(
        "root",
        &format!("/etc/sudoers.d/{name}"),
        &format!("{user} ALL=(root) NOPASSWD: {}\n", commands.join(", ")),
    );
    let unit = std::fs::read_to_string(directory(example).join(format!("deploy/{name}.service"))).unwrap();
    host.write("root", &format!("/etc/systemd/system/{name}.service"), &unit);
    host.shell("root", &format!("systemctl daemon-reload; systemctl enable --quiet {name}"));
}

/// Where an example lies.
pub(crate) fn directory(example: &Example) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example.name)
}

/// A word that nobody has said before.
fn random_word() -> String {
    let mut bytes = [0; 12];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
