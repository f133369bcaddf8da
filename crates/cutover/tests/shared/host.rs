//! A machine of the bed: booted for one test, thrown away after it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where machines see the Cutover that is tested.
const CUTOVER: &str = "/usr/local/bin/cutover";

/// A machine with systemd, journald, sudo, git and Python.
pub(crate) struct Host {
    name: String,
}

impl Host {
    /// Boots a machine. None, and a line that says so, where there is no bed; `./dev test` says it too.
    pub(crate) fn boot(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let check = bed(&["check"]);
        if !check.status.success() {
            let why = String::from_utf8_lossy(&check.stderr).trim().to_owned();
            // Not a macro that the test harness would catch: who reads the log should see what was not tested.
            let _unheard = writeln!(std::io::stderr(), "skipped: {test}: {why}");
            return None;
        }
        let name = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let host = Self { name };
        host.power_on();
        Some(host)
    }

    /// Boots it, with the disk that it had when its power was cut.
    pub(crate) fn power_on(&self) {
        let bind = format!("--bind-ro={}:{CUTOVER}", env!("CARGO_BIN_EXE_cutover"));
        let up = bed(&["up", &self.name, &bind]);
        assert!(up.status.success(), "boot: {}", String::from_utf8_lossy(&up.stderr));
    }

    /// Ends everything in it at once.
    pub(crate) fn cut_power(&self) {
        let cut = bed(&["cut", &self.name]);
        assert!(cut.status.success(), "cut: {}", String::from_utf8_lossy(&cut.stderr));
    }

    /// Pulls the cable of its network.
    pub(crate) fn unplug(&self) {
        assert!(bed(&["link", &self.name, "down"]).status.success());
    }

    /// Puts the cable back.
    pub(crate) fn plug_in(&self) {
        assert!(bed(&["link", &self.name, "up"]).status.success());
    }

    /// Gives all that runs in it together no more memory than this; false where that cannot be done.
    pub(crate) fn limit_memory(&self, bytes: u64) -> bool {
        bed(&["memory", &self.name, &bytes.to_string()]).status.success()
    }

    /// Where its sshd listens.
    pub(crate) fn address(&self) -> String {
        String::from_utf8(bed(&["address", &self.name]).stdout).unwrap().trim().to_owned()
    }

    /// A command of a user of the machine, not started yet.
    pub(crate) fn command(&self, user: &str, argv: &[&str]) -> Command {
        let mut command = Command::new(bed_script());
        let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
        command.args(["exec", &self.name, "setpriv", &uid, &gid, "--init-groups", "--reset-env", "--"]);
        command.args(argv).stdin(Stdio::null());
        command
    }

    /// Runs a shell script as a user; gives what it said when it went well.
    #[track_caller]
    pub(crate) fn shell(&self, user: &str, script: &str) -> String {
        let output = self.command(user, &["sh", "-euc", script]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}: {told}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Writes a file as a user, with the directories above it.
    pub(crate) fn write(&self, user: &str, path: &str, text: &str) {
        let script = "mkdir -p \"$(dirname \"$1\")\"; cat >\"$1\"";
        let mut command = self.command(user, &["sh", "-euc", script, "sh", path]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "write {path}");
    }

    /// Whether somebody has this name.
    pub(crate) fn has_user(&self, user: &str) -> bool {
        self.command("root", &["id", user]).output().unwrap().status.success()
    }

    /// What systemd says of a unit.
    pub(crate) fn property(&self, unit: &str, property: &str) -> String {
        self.shell("root", &format!("systemctl show --value --property={property} {unit}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _thrown_away = bed(&["down", &self.name]);
    }
}

fn bed_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bed/bed")
}

fn bed(args: &[&str]) -> Output {
    let mut command = Command::new(bed_script());
    command.args(args).env("CUTOVER_BED_OWNER", std::process::id().to_string()).stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{}: {error}", bed_script().display()))
}
