//! How systemd's programs are called: for the system through `sudo` where needed, or for the user.

use cutover_child::{ChildCommand, ChildExit, Leftovers, listen, run};
use cutover_core::config::{CommandLine, SystemdScope};
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::{Failure, Progress};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How much of what a program says is kept, in bytes: its newest lines.
const SAID_BYTES_MAX: usize = 4 << 20;

/// Whose systemd it is, and how its programs are called.
#[derive(Clone)]
pub(super) struct Manager {
    pub(super) scope: SystemdScope,
    pub(super) masker: Masker,
}

impl Manager {
    /// Runs a program of systemd's, through `sudo -n` when the system's manager must be told something.
    pub(super) fn run(
        &self,
        argv: &[&str],
        changes: bool,
        timeout: Duration,
        subject: &str,
        progress: &dyn Progress,
    ) -> Result<ChildExit, Failure> {
        let command = self.command(argv, changes);
        run(&self.child(&command, &self.variables(), timeout), progress).map_err(|e| e.failure(subject))
    }

    /// Runs it like [`Manager::run`] and tells nobody what it says, of which the newest is kept.
    pub(super) fn listen(
        &self,
        argv: &[&str],
        changes: bool,
        timeout: Duration,
        subject: &str,
    ) -> Result<ChildExit, Failure> {
        let (command, variables) = (self.command(argv, changes), self.variables());
        let child = self.child(&command, &variables, timeout);
        listen(&child, SAID_BYTES_MAX, &|| false).map_err(|e| e.failure(subject))
    }

    /// Runs a program that changes nothing and gives what it said.
    pub(super) fn ask(&self, argv: &[&str], timeout: Duration, subject: &str) -> Result<String, Failure> {
        let exit = self.listen(argv, false, timeout, subject)?;
        let said = exit.excerpt.clone();
        exit.success(subject).map(|()| said)
    }

    fn command(&self, argv: &[&str], changes: bool) -> CommandLine {
        let prefix: &[&str] = if changes && self.needs_sudo() { &["sudo", "-n"] } else { &[] };
        let scope = (self.scope == SystemdScope::User && argv[0] == "systemctl").then_some("--user");
        let words = prefix.iter().copied().chain([argv[0]]).chain(scope).chain(argv[1..].iter().copied());
        CommandLine::Argv(words.map(str::to_owned).collect())
    }

    fn child<'a>(
        &'a self,
        command: &'a CommandLine,
        variables: &'a BTreeMap<String, Secret>,
        timeout: Duration,
    ) -> ChildCommand<'a> {
        let (cwd, masker, leftovers) = (Path::new("/"), &self.masker, Leftovers::Leave);
        ChildCommand { command, cwd, variables, timeout, log: None, masker, leftovers }
    }

    /// Whether its manager listens to this user only through `sudo`.
    pub(super) fn needs_sudo(&self) -> bool {
        self.scope == SystemdScope::System && !rustix::process::geteuid().is_root()
    }

    /// How people call it.
    pub(super) fn systemctl(&self) -> &'static str {
        match self.scope {
            SystemdScope::System => "systemctl",
            SystemdScope::User => "systemctl --user",
        }
    }

    /// What to do about a unit that is not there.
    pub(super) fn place_of_units(&self) -> String {
        let directory = match self.scope {
            SystemdScope::System => "/etc/systemd/system",
            SystemdScope::User => "~/.config/systemd/user",
        };
        format!("write it to {directory}, then run `{} daemon-reload`", self.systemctl())
    }

    /// A user whose manager does not run has no bus to ask.
    pub(super) fn without_bus(&self, failure: Failure) -> Failure {
        if self.scope == SystemdScope::User && failure.excerpt.contains("connect to bus") {
            return failure.hint(
                "this user's systemd does not run: `sudo loginctl enable-linger USER` starts it, now and at boot",
            );
        }
        failure
    }

    fn variables(&self) -> BTreeMap<String, Secret> {
        let mut variables =
            BTreeMap::from([("SYSTEMD_PAGER", String::new()), ("SYSTEMD_COLORS", "0".into()), ("LC_ALL", "C".into())]);
        if self.scope == SystemdScope::User && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            // Where systemd puts it for every user; sessions without PAM don't name it (pam_systemd(8)).
            variables.insert("XDG_RUNTIME_DIR", format!("/run/user/{}", rustix::process::geteuid().as_raw()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value))).collect()
    }
}
