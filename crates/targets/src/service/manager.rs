//! How systemd's programs are called: for the system through `sudo` where needed, or for the user.

use crate::child::{ChildCommand, ChildExit, Leftovers, run};
use cutover_core::config::{CommandLine, SystemdScope};
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::secret::Secret;
use cutover_core::target::{Failure, Progress};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

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
        let prefix: &[&str] = if changes && self.needs_sudo() { &["sudo", "-n"] } else { &[] };
        let scope = (self.scope == SystemdScope::User && argv[0] == "systemctl").then_some("--user");
        let words = prefix.iter().copied().chain([argv[0]]).chain(scope).chain(argv[1..].iter().copied());
        let command = CommandLine::Argv(words.map(str::to_owned).collect());
        let (variables, masker) = (self.variables(), &self.masker);
        let leftovers = Leftovers::Leave;
        let cwd = Path::new("/");
        run(
            &ChildCommand { command: &command, cwd, variables: &variables, timeout, log: None, masker, leftovers },
            progress,
        )
        .map_err(|e| e.failure(subject))
    }

    /// Runs a program that changes nothing and gives what it said.
    pub(super) fn ask(&self, argv: &[&str], timeout: Duration, subject: &str) -> Result<String, Failure> {
        let said = Said::default();
        self.run(argv, false, timeout, subject, &said)?.success(subject)?;
        Ok(said.0.into_inner())
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

/// Keeps what a program says instead of passing it on.
#[derive(Default)]
pub(super) struct Said(RefCell<String>);

impl Progress for Said {
    fn advance(&self, _done: u64, _total: u64, _unit: &'static str) {}
    fn output(&self, line: &str) {
        self.0.borrow_mut().push_str(line);
        self.0.borrow_mut().push('\n');
    }
    fn probed(&self, _result: &ProbeResult) {}
    fn cancelled(&self) -> bool {
        false
    }
}
