//! A systemd unit, through the machine's own `systemctl`.

use super::journal::Journal;
use super::{LogMark, Service, ServiceState};
use crate::child::{ChildCommand, ChildExit, Leftovers, run, signal_name};
use crate::process::{ProcessIdentity, cgroup_members};
use cutover_core::config::{CommandLine, SystemdScope};
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::secret::Secret;
use cutover_core::target::{EXCERPT_BYTES_MAX, Failure, Progress};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// How long `systemctl show` may take.
const SHOW_TIMEOUT: Duration = Duration::from_secs(10);
/// The result of a unit that systemd refuses to start for now.
const START_LIMIT: &str = "start-limit-hit";
/// What is asked for.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,MainPID,ExecMainCode,ExecMainStatus,NRestarts,\
                          ActiveEnterTimestampMonotonic,MemoryCurrent,CPUUsageNSec,ControlGroup";

pub(super) struct Systemd {
    unit: String,
    timeout: Duration,
    journal: Journal,
    manager: Manager,
}

/// Whose systemd it is, and how its programs are called.
#[derive(Clone)]
pub(super) struct Manager {
    pub(super) scope: SystemdScope,
    pub(super) masker: Masker,
}

impl Systemd {
    pub(super) fn new(unit: String, scope: SystemdScope, timeout: Duration, masker: Masker) -> Self {
        let manager = Manager { scope, masker };
        Self { journal: Journal { unit: unit.clone(), manager: manager.clone() }, unit, timeout, manager }
    }

    fn show(&self) -> Result<BTreeMap<String, String>, Failure> {
        let subject = format!("look at unit {}", self.unit);
        let properties = format!("--property={PROPERTIES}");
        let said = self.manager.ask(&["systemctl", "show", &properties, "--", &self.unit], SHOW_TIMEOUT, &subject)?;
        Ok(parse_show(&said))
    }

    /// Changes the unit, as root where that is needed.
    fn act(&self, verb: &str, progress: &dyn Progress) -> Result<(), Failure> {
        let since = LogMark::now(super::LogPlace::Time);
        let subject = format!("{verb} unit {}", self.unit);
        let exit = self.manager.run(&["systemctl", verb, "--", &self.unit], true, self.timeout, &subject, progress)?;
        exit.success(&subject).map_err(|failure| self.explain(failure, &since))
    }

    /// `systemctl` says only that something went wrong; the state and the journal say what.
    fn explain(&self, mut failure: Failure, since: &LogMark) -> Failure {
        if failure.excerpt.contains("password is required") {
            return failure.hint(format!(
                "allow this user to run `systemctl restart {}` in sudoers without a password",
                self.unit
            ));
        }
        if let Ok(state) = self.state().map(|state| state.description) {
            failure.message = format!("{} ({state})", failure.message);
        }
        let log = self.journal.since(since, EXCERPT_BYTES_MAX / 2);
        let said = format!("{}{log}", failure.excerpt);
        failure.excerpt(&said)
    }
}

impl Service for Systemd {
    fn state(&self) -> Result<ServiceState, Failure> {
        Ok(state_of(&self.show()?, Timestamp::now(), monotonic_us()))
    }

    fn restart(&self, progress: &dyn Progress) -> Result<(), Failure> {
        let first = self.act("restart", progress);
        let is_refused = first.is_err() && self.state().is_ok_and(|state| state.description.contains(START_LIMIT));
        // A unit that failed too often is not started again before it is forgiven.
        if is_refused && self.act("reset-failed", progress).is_ok() {
            return self.act("restart", progress);
        }
        first
    }

    fn stop(&self, progress: &dyn Progress) -> Result<(), Failure> {
        self.act("stop", progress)
    }

    fn processes(&self) -> Result<BTreeSet<u32>, Failure> {
        let shown = self.show()?;
        let mut members = shown.get("ControlGroup").map(|path| cgroup_members(path)).unwrap_or_default();
        members.extend(main_process(&shown).map(|main| main.pid));
        Ok(members)
    }

    fn log_mark(&self) -> LogMark {
        self.journal.mark()
    }

    fn log_since(&self, mark: &LogMark, bytes_max: usize) -> String {
        self.journal.since(mark, bytes_max)
    }
}

impl Manager {
    /// Runs a program of systemd's, through `sudo -n` when the system's manager must be told something.
    fn run(
        &self,
        argv: &[&str],
        changes: bool,
        timeout: Duration,
        subject: &str,
        progress: &dyn Progress,
    ) -> Result<ChildExit, Failure> {
        let root = rustix::process::geteuid().is_root();
        let prefix: &[&str] =
            if changes && self.scope == SystemdScope::System && !root { &["sudo", "-n"] } else { &[] };
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
struct Said(RefCell<String>);

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

/// Reads `systemctl show`: one `Name=value` a line.
fn parse_show(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn main_process(shown: &BTreeMap<String, String>) -> Option<ProcessIdentity> {
    ProcessIdentity::of(number(shown, "MainPID").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0)?)
}

/// A number; systemd writes `[not set]` or the largest one for what it doesn't know.
fn number(shown: &BTreeMap<String, String>, name: &str) -> Option<u64> {
    shown.get(name)?.parse().ok().filter(|number| *number != u64::MAX)
}

fn state_of(shown: &BTreeMap<String, String>, now: Timestamp, now_us: u64) -> ServiceState {
    let text = |name: &str| shown.get(name).map_or("", String::as_str);
    let missing = text("LoadState") == "not-found";
    let active = matches!(text("ActiveState"), "active" | "reloading" | "refreshing");
    let entered_us = number(shown, "ActiveEnterTimestampMonotonic").filter(|us| active && *us > 0);
    let uptime = entered_us.map(|us| i64::try_from(now_us.saturating_sub(us)).unwrap_or(i64::MAX));
    ServiceState {
        active,
        failed: missing || text("ActiveState") == "failed",
        description: describe(shown, missing),
        main: main_process(shown),
        restart_count: number(shown, "NRestarts").unwrap_or(0),
        since: uptime.and_then(|us| now.checked_sub(SignedDuration::from_micros(us)).ok()),
        memory_bytes: number(shown, "MemoryCurrent"),
        cpu_ms: number(shown, "CPUUsageNSec").map(|ns| ns / 1_000_000),
    }
}

fn describe(shown: &BTreeMap<String, String>, missing: bool) -> String {
    let text = |name: &str| shown.get(name).map_or("", String::as_str);
    if missing {
        return "no such unit".to_owned();
    }
    let state = format!("{} ({})", text("ActiveState"), text("SubState"));
    let status = i32::try_from(number(shown, "ExecMainStatus").unwrap_or(0)).unwrap_or(i32::MAX);
    match (text("ActiveState"), text("Result")) {
        ("active" | "reloading" | "refreshing" | "inactive", _) | (_, "success" | "") => state,
        // `CLD_EXITED` and friends, see waitid(2).
        (active, "exit-code") => format!("{active}: exit code {status}"),
        (active, "signal" | "core-dump") => format!("{active}: killed by {}", signal_name(status)),
        (active, result) => format!("{active}: {result}"),
    }
}

fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> ServiceState {
        state_of(&parse_show(text), "2026-01-02T03:04:05Z".parse().unwrap(), 60_000_000)
    }

    #[test]
    fn a_running_unit_is_read() {
        let me = std::process::id();
        let state = state(&format!(
            "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nMainPID={me}\nNRestarts=2\n\
             ActiveEnterTimestampMonotonic=50000000\nMemoryCurrent=1048576\nCPUUsageNSec=2500000000\n\
             ControlGroup=/system.slice/app.service\nExecMainStatus=0\n"
        ));
        assert!(state.active && !state.failed);
        assert_eq!(state.description, "active (running)");
        assert_eq!((state.restart_count, state.memory_bytes, state.cpu_ms), (2, Some(1 << 20), Some(2500)));
        assert_eq!(state.main.unwrap().pid, me);
        assert_eq!(state.since.unwrap().to_string(), "2026-01-02T03:03:55Z");
    }

    #[test]
    fn what_systemd_does_not_know_is_not_a_number() {
        let state = state(
            "ActiveState=active\nSubState=exited\nMainPID=0\nMemoryCurrent=[not set]\nCPUUsageNSec=18446744073709551615\n",
        );
        assert!(state.active);
        assert_eq!((state.main, state.memory_bytes, state.cpu_ms), (None, None, None));
    }

    #[test]
    fn a_failed_unit_says_how_it_ended() {
        let of = |text: &str| {
            let state = state(text);
            (state.active, state.failed, state.description)
        };
        assert_eq!(
            of("ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainCode=1\nExecMainStatus=3\n"),
            (false, true, "failed: exit code 3".into())
        );
        assert_eq!(
            of("ActiveState=failed\nResult=signal\nExecMainCode=2\nExecMainStatus=9\n"),
            (false, true, "failed: killed by SIGKILL".into())
        );
        assert_eq!(of("ActiveState=failed\nResult=start-limit-hit\n"), (false, true, "failed: start-limit-hit".into()));
        assert_eq!(
            of("ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nExecMainStatus=1\n"),
            (false, false, "activating: exit code 1".into())
        );
        assert_eq!(of("LoadState=not-found\nActiveState=inactive\n"), (false, true, "no such unit".into()));
        assert_eq!(
            of("LoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\n"),
            (false, false, "inactive (dead)".into())
        );
    }
}
