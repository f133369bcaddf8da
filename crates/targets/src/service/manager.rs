//! How systemd's programs are called: for the system through `sudo` where needed, or for the user.

use crate::tool::{Tool, variables};
use cutover_child::{ChildError, ChildExit, Leftovers, listen, run, withhold_own};
use cutover_core::config::{CommandLine, SystemdScope};
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::{Failure, Progress};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How much of what a program says is kept, in bytes: its newest lines.
const SAID_BYTES_MAX: usize = 4 << 20;

/// What to do on a machine that systemd does not run.
const WITHOUT_SYSTEMD: &str = "systemd does not run this machine: use `service.process`, which needs none, or \
                               `service` with commands of your own";

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
        let (command, variables) = (self.command(argv, changes), variables(self.scope));
        run(&self.tool(&command, &variables, timeout).child(), progress).map_err(|e| failure(e, subject))
    }

    /// Runs it like [`Manager::run`] and tells nobody what it says, of which the newest is kept.
    pub(super) fn listen(
        &self,
        argv: &[&str],
        changes: bool,
        timeout: Duration,
        subject: &str,
    ) -> Result<ChildExit, Failure> {
        let (command, variables) = (self.command(argv, changes), variables(self.scope));
        let tool = self.tool(&command, &variables, timeout);
        listen(&tool.child(), SAID_BYTES_MAX, &|| false).map_err(|e| failure(e, subject))
    }

    /// Runs a program that changes nothing and gives what it said.
    pub(super) fn ask(&self, argv: &[&str], timeout: Duration, subject: &str) -> Result<String, Failure> {
        let exit = self.listen(argv, false, timeout, subject)?;
        let said = exit.excerpt.clone();
        exit.success(subject).map(|()| said)
    }

    /// One of its programs, to be read from as it runs.
    pub(super) fn program(&self, argv: &[&str]) -> Command {
        let mut program = Command::new(argv[0]);
        withhold_own(&mut program).args(&argv[1..]).current_dir("/");
        program.envs(variables(self.scope).iter().map(|(name, value)| (name, value.expose())));
        program
    }

    fn command(&self, argv: &[&str], changes: bool) -> CommandLine {
        let prefix: &[&str] = if changes && self.needs_sudo() { &["sudo", "-n"] } else { &[] };
        let scope = (self.scope == SystemdScope::User && argv[0] == "systemctl").then_some("--user");
        let words = prefix.iter().copied().chain([argv[0]]).chain(scope).chain(argv[1..].iter().copied());
        CommandLine::Argv(words.map(str::to_owned).collect())
    }

    fn tool<'a>(
        &'a self,
        command: &'a CommandLine,
        variables: &'a BTreeMap<String, Secret>,
        timeout: Duration,
    ) -> Tool<'a> {
        Tool { command, variables, timeout, masker: &self.masker, leftovers: Leftovers::Leave }
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

    /// How people call it who change something.
    pub(super) fn command_of_people(&self) -> &'static str {
        match self.scope {
            SystemdScope::System => "sudo systemctl",
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

    /// What to do where no manager answers: there is no systemd here, or this user's does not run.
    pub(super) fn without_answer(&self, failure: Failure, is_booted: bool) -> Failure {
        if !is_booted || failure.excerpt.contains("not been booted with systemd") {
            return failure.hint(WITHOUT_SYSTEMD);
        }
        if self.scope == SystemdScope::User && failure.excerpt.contains("connect to bus") {
            return failure.hint(
                "this user's systemd does not run: `sudo loginctl enable-linger USER` starts it, now and at boot",
            );
        }
        failure
    }
}

/// Whether systemd runs this machine, as sd_booted(3) finds out.
pub(super) fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Where its own programs are missing there is no systemd.
fn failure(error: ChildError, subject: &str) -> Failure {
    let is_missing = matches!(
        &error,
        ChildError::Start { program, source } if source.kind() == ErrorKind::NotFound && !program.ends_with("sudo")
    );
    let failure = error.failure(subject);
    if is_missing { failure.hint(WITHOUT_SYSTEMD) } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(scope: SystemdScope) -> Manager {
        Manager { scope, masker: Masker::new([]) }
    }

    fn told(scope: SystemdScope, said: &str, is_booted: bool) -> (String, Option<String>) {
        let failure = manager(scope).without_answer(Failure::new("look at unit app.service").excerpt(said), is_booted);
        (failure.excerpt, failure.hint)
    }

    #[test]
    fn a_machine_without_systemd_is_told_in_its_own_words_with_what_to_use_instead() {
        let said = "System has not been booted with systemd as init system (PID 1). Can't operate.\n";
        for (said, is_booted) in [(said, true), ("Failed to connect to bus: No medium found\n", false)] {
            for scope in [SystemdScope::System, SystemdScope::User] {
                assert_eq!(told(scope, said, is_booted), (said.to_owned(), Some(WITHOUT_SYSTEMD.to_owned())));
            }
        }
    }

    #[test]
    fn a_user_whose_systemd_does_not_run_is_told_how_to_start_it() {
        let (_, hint) = told(SystemdScope::User, "Failed to connect to bus: No medium found\n", true);
        assert!(hint.unwrap().contains("loginctl enable-linger"));
        assert_eq!(told(SystemdScope::System, "Failed to connect to bus: Host is down\n", true).1, None);
    }

    #[test]
    fn a_program_of_systemds_that_is_missing_means_that_there_is_none() {
        let missing = |program: &str| {
            let (program, source) = (program.to_owned(), ErrorKind::NotFound.into());
            failure(ChildError::Start { program, source }, "look at unit app.service").hint.unwrap()
        };
        assert_eq!(missing("systemctl"), WITHOUT_SYSTEMD);
        assert!(missing("sudo").contains("not installed"));
    }
}
