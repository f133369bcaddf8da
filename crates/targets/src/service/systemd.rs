//! A systemd unit, through the machine's own `systemctl`.

use super::bus::{self, Bus};
use super::journal::Journal;
use super::manager::{Manager, is_booted};
use super::{CRASH_LOOP_COUNT, LogMark, Retired, Service, ServiceState, sudo, unit_files};
use crate::host::own_name;
use crate::process::{ProcessIdentity, cgroup_members, memory_bytes, stat_of};
use cutover_child::signal_name;
use cutover_core::config::SystemdScope;
use cutover_core::mask::Masker;
use cutover_core::target::{EXCERPT_BYTES_MAX, Failure, Progress};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

/// How long `systemctl show` may take.
const SHOW_TIMEOUT: Duration = Duration::from_secs(10);
/// A unit that has run for so long since it was last started again is in no crash loop.
const LASTING: Duration = Duration::from_secs(60);
/// Where Debian and its like have it.
const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// What a deployment and its way back may ask of the manager.
const VERBS: [&str; 3] = ["restart", "stop", "reset-failed"];
pub(super) struct Systemd {
    unit: String,
    /// Whether setup writes the unit.
    is_written: bool,
    timeout: Duration,
    journal: Journal,
    manager: Manager,
    bus: Bus,
}

impl Systemd {
    pub(super) fn new(
        (unit, is_written): (String, bool),
        scope: SystemdScope,
        timeout: Duration,
        masker: Masker,
    ) -> Self {
        let manager = Manager { scope, masker };
        Self {
            journal: Journal { unit: unit.clone(), manager: manager.clone() },
            unit,
            is_written,
            timeout,
            manager,
            bus: Bus::default(),
        }
    }

    /// Looks at the unit: over the message bus where that answers, since a process for each look costs more than all else
    /// that is done here.
    fn show(&self) -> Result<BTreeMap<String, String>, Failure> {
        self.bus.properties(self.manager.scope, &self.unit).or_else(|_| self.show_by_systemctl())
    }

    fn show_by_systemctl(&self) -> Result<BTreeMap<String, String>, Failure> {
        let subject = format!("look at unit {}", self.unit);
        let names: Vec<&str> = bus::PROPERTIES.iter().map(|(_, name)| *name).collect();
        let properties = format!("--property={}", names.join(","));
        let said = self.manager.ask(&["systemctl", "show", &properties, "--", &self.unit], SHOW_TIMEOUT, &subject);
        Ok(parse_show(&said.map_err(|failure| self.manager.without_answer(failure, is_booted()))?))
    }

    /// Looks at unit and journal; neither waits for the other.
    fn show_and_mark(&self) -> (Result<BTreeMap<String, String>, Failure>, LogMark) {
        std::thread::scope(|scope| {
            let shown = scope.spawn(|| self.show());
            let mark = self.journal.mark();
            let died = |_| Err(Failure::new(format!("look at unit {}: that was cut short", self.unit)));
            (shown.join().unwrap_or_else(died), mark)
        })
    }

    fn read(&self, shown: &BTreeMap<String, String>) -> ServiceState {
        let mut state = state_of(shown, Timestamp::now(), monotonic_us());
        self.count(&mut state, shown);
        state
    }

    /// Changes the unit, as root where that is needed.
    fn act(&self, verb: &str, progress: &dyn Progress) -> Result<(), Failure> {
        let since = LogMark::now(super::LogPlace::Time);
        let subject = format!("{verb} unit {}", self.unit);
        // Just these words: a rule in sudoers names them. A unit's name never begins with a dash.
        let exit = self.manager.run(&["systemctl", verb, &self.unit], true, self.timeout, &subject, progress)?;
        exit.success(&subject).map_err(|failure| self.explain(failure, &since))
    }

    /// Makes systemd forget earlier starts: a release that crashed a few times would else use up the unit's start limit,
    /// and the release before it could not be brought back. Nothing to forget, and not being allowed to, are fine:
    /// the start itself tells. That the limit was hit cannot be seen afterwards: `Result` keeps what was there before it.
    fn forgive(&self) {
        let subject = format!("reset unit {}", self.unit);
        let argv = ["systemctl", "reset-failed", &self.unit];
        drop(self.manager.listen(&argv, true, SHOW_TIMEOUT, &subject));
    }

    /// `systemctl` says only that something went wrong; the state and the journal say what.
    fn explain(&self, mut failure: Failure, since: &LogMark) -> Failure {
        if self.is_refused(&failure) {
            return failure.hint(self.sudo_advice());
        }
        if let Ok(state) = self.state().map(|state| state.description) {
            failure.message = format!("{} ({state})", failure.message);
        }
        let log = self.journal.since(since, EXCERPT_BYTES_MAX / 2).unwrap_or_else(|failure| format!("({failure})\n"));
        let said = format!("{}{log}", failure.excerpt);
        failure.excerpt(&said)
    }

    /// Whether it was sudo that did not want to.
    fn is_refused(&self, failure: &Failure) -> bool {
        self.manager.needs_sudo() && failure.excerpt.lines().any(|line| line.starts_with("sudo: "))
    }

    /// Whether this user may do all that a deployment and its way back need. What the list of all that is allowed does not
    /// tell is asked side by side: each answer takes a while.
    fn check_sudo(&self) -> Result<(), Failure> {
        if !self.manager.needs_sudo() || self.is_listed() {
            return Ok(());
        }
        std::thread::scope(|scope| {
            let asked = VERBS.map(|verb| scope.spawn(move || self.check_verb(verb)));
            let died = |_| Err(Failure::new("asking what sudo allows was cut short"));
            asked.into_iter().try_for_each(|answer| answer.join().unwrap_or_else(died))
        })
    }

    fn is_listed(&self) -> bool {
        let commands = VERBS.map(|verb| format!("{SYSTEMCTL} {verb} {}", self.unit));
        let list = self.manager.ask(&["sudo", "-n", "-l"], SHOW_TIMEOUT, "ask what sudo allows");
        list.is_ok_and(|list| sudo::allows(&list, &commands))
    }

    fn check_verb(&self, verb: &str) -> Result<(), Failure> {
        let subject = format!("ask whether {verb} of unit {} is allowed", self.unit);
        let argv = ["sudo", "-n", "-l", "systemctl", verb, &self.unit];
        // Says the program's path when it may be run, else ends with 1 (sudo(8), `-l`).
        let exit = self.manager.listen(&argv, false, SHOW_TIMEOUT, &subject)?;
        if exit.code == 0 {
            return Ok(());
        }
        let why = format!("this user may not run `sudo -n systemctl {verb} {}`", self.unit);
        Err(Failure::new(why).excerpt(&exit.excerpt).hint(self.sudo_advice()))
    }

    /// What to do about a unit that is not there.
    fn placing(&self) -> String {
        if self.is_written { "`cutover setup ENV` writes it".to_owned() } else { self.manager.place_of_units() }
    }

    fn sudo_advice(&self) -> String {
        let rule = sudo_rule(&own_name(), [self.unit.as_str()]);
        format!("allow it in sudoers (visudo -f /etc/sudoers.d/cutover): {rule}; `cutover setup ENV` does that")
    }

    /// What keeps it from being started with the machine, where it is.
    fn told_at_boot(&self) -> Option<String> {
        let (unit, subject) = (&self.unit, format!("ask whether {} is enabled", self.unit));
        let said = self.manager.ask(&["systemctl", "is-enabled", "--", unit], SHOW_TIMEOUT, &subject).ok()?;
        let command = self.manager.command_of_people();
        (said.trim() == "enabled").then(|| {
            format!("{unit} is enabled, so that it starts with the machine: `{command} disable {unit}` ends that")
        })
    }

    /// What systemd counts only where accounting is on is counted here, as far as `/proc` tells.
    fn count(&self, state: &mut ServiceState, shown: &BTreeMap<String, String>) {
        if state.memory_bytes.is_some() && state.cpu_ms.is_some() {
            return;
        }
        let members = members(shown);
        let sum = |values: Vec<u64>| (!values.is_empty()).then(|| values.iter().sum());
        let memory = || sum(members.iter().filter_map(|pid| memory_bytes(*pid)).collect());
        let cpu = || sum(members.iter().filter_map(|pid| stat_of(*pid)).map(|stat| stat.cpu_ms()).collect());
        state.memory_bytes = state.memory_bytes.or_else(memory);
        state.cpu_ms = state.cpu_ms.or_else(cpu);
    }
}

impl Service for Systemd {
    fn state(&self) -> Result<ServiceState, Failure> {
        Ok(self.read(&self.show()?))
    }

    fn superseded(&self, state: &ServiceState) -> Option<String> {
        let changed = unit_files::changed_at(&self.unit, self.manager.scope)?;
        is_superseded(changed, state.since?, Timestamp::now())
            .then(|| format!("{} was changed after it was started, and still runs as it was said before", self.unit))
    }

    fn check(&self) -> Result<(), Failure> {
        // Neither waits for the other; of a unit that cannot be started, what sudo allows is of no interest.
        let (shown, allowed) = std::thread::scope(|scope| {
            let allowed = scope.spawn(|| self.check_sudo());
            let died = |_| Err(Failure::new("asking what sudo allows was cut short"));
            (self.show(), allowed.join().unwrap_or_else(died))
        });
        let shown = shown?;
        match shown.get("LoadState").map_or("", String::as_str) {
            "loaded" => allowed,
            "not-found" => Err(Failure::new(format!("there is no unit {}", self.unit)).hint(self.placing())),
            other => Err(Failure::new(format!("unit {} cannot be started: it is {other}", self.unit)).hint(format!(
                "`{} status {}` says why",
                self.manager.systemctl(),
                self.unit
            ))),
        }
    }

    fn check_log(&self) -> Result<(), Failure> {
        self.journal.check()
    }

    fn restart(&self, progress: &dyn Progress) -> Result<(), Failure> {
        // A new connection for the next look: meanwhile systemd says a lot to whoever listens.
        let shown = self.show().unwrap_or_default();
        self.bus.hang_up();
        if may_be_limited(&shown, monotonic_us()) {
            self.forgive();
        }
        self.act("restart", progress)
    }

    fn stop(&self, progress: &dyn Progress) -> Result<(), Failure> {
        let state = self.state()?;
        // A failed unit runs nothing, and systemctl refuses to stop one that was removed.
        if state.failed && !state.active { Ok(()) } else { self.act("stop", progress) }
    }

    fn retire(&self, progress: &dyn Progress) -> Result<Retired, Failure> {
        let state = self.state()?;
        // One that somebody stopped already needs nobody who may.
        let stopped = if state.active || state.wanted { self.stop(progress) } else { Ok(()) };
        match stopped {
            Err(failure) if self.is_refused(&failure) => {
                let (command, unit) = (self.manager.command_of_people(), &self.unit);
                let way = format!("this user may not stop it; `{command} disable --now {unit}` does, for good");
                Ok(Retired::Refused(failure.hint(way)))
            }
            stopped => stopped.map(|()| Retired::Gone(self.told_at_boot())),
        }
    }

    fn processes(&self) -> Result<BTreeSet<u32>, Failure> {
        Ok(members(&self.show()?))
    }

    fn log_mark(&self) -> LogMark {
        let (shown, mark) = self.show_and_mark();
        LogMark { run: shown.ok().as_ref().and_then(run), ..mark }
    }

    fn state_and_mark(&self, is_log_watched: bool) -> Result<(ServiceState, LogMark), Failure> {
        let by_the_moment = || (self.show(), LogMark::now(super::LogPlace::Time));
        let (shown, mark) = if is_log_watched { self.show_and_mark() } else { by_the_moment() };
        let shown = shown?;
        Ok((self.read(&shown), LogMark { run: run(&shown), ..mark }))
    }

    fn follow_log(&self, lines: usize, tell: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Failure> {
        self.journal.follow(lines, tell)
    }

    fn log_since(&self, mark: &LogMark, bytes_max: usize) -> Result<String, Failure> {
        self.journal.since(mark, bytes_max)
    }
}

/// The rule that lets a user do with these units what Cutover does with them, and nothing else.
pub(crate) fn sudo_rule<'u>(user: &str, units: impl IntoIterator<Item = &'u str>) -> String {
    format!("{user} ALL=(root) NOPASSWD: {}", sudo_commands(units).collect::<Vec<_>>().join(", "))
}

/// The commands of that rule.
pub(crate) fn sudo_commands<'u>(units: impl IntoIterator<Item = &'u str>) -> impl Iterator<Item = String> {
    units.into_iter().flat_map(|unit| VERBS.map(|verb| format!("{SYSTEMCTL} {verb} {}", escaped(unit))))
}

/// A unit's name as sudoers takes it: these have a meaning there, and a backslash once more in the pattern that it is read as
/// (sudoers(5)).
fn escaped(unit: &str) -> String {
    unit.replace('\\', r"\\\\").replace(':', "\\:")
}

/// Reads `systemctl show`: one `Name=value` a line.
fn parse_show(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// Whether starts of before may count against the next one. They don't for a unit that has been running for longer than
/// systemd remembers them (systemd.unit(5), `StartLimitIntervalSec=`).
fn may_be_limited(shown: &BTreeMap<String, String>, now_us: u64) -> bool {
    let is_active = shown.get("ActiveState").is_some_and(|state| state == "active");
    let uptime_us = number(shown, "ActiveEnterTimestampMonotonic").map(|us| now_us.saturating_sub(us));
    let remembered_us = number(shown, "StartLimitIntervalUSec");
    !is_active || uptime_us.zip(remembered_us).is_none_or(|(uptime, remembered)| uptime <= remembered)
}

/// Whether a unit was changed while it ran. A time that is still to come tells nothing: a clock was wrong.
fn is_superseded(changed: Timestamp, started: Timestamp, now: Timestamp) -> bool {
    started < changed && changed <= now
}

/// The run of the unit, as systemd numbers it.
fn run(shown: &BTreeMap<String, String>) -> Option<String> {
    shown.get("InvocationID").filter(|run| !run.is_empty()).cloned()
}

/// The unit's living processes.
fn members(shown: &BTreeMap<String, String>) -> BTreeSet<u32> {
    let mut members = shown.get("ControlGroup").map(|path| cgroup_members(path)).unwrap_or_default();
    members.extend(main_process(shown).map(|main| main.pid));
    members
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
    let uptime = entered_us.map(|us| Duration::from_micros(now_us.saturating_sub(us)));
    let restart_count = number(shown, "NRestarts").unwrap_or(0);
    ServiceState {
        active,
        failed: missing || text("ActiveState") == "failed",
        wanted: !missing && !matches!(text("ActiveState"), "inactive" | "deactivating" | ""),
        description: describe(shown, missing),
        main: main_process(shown),
        restart_count,
        crash_looping: is_crash_looping(shown, restart_count, uptime),
        last_end: ended(shown),
        since: uptime.and_then(|uptime| now.checked_sub(SignedDuration::try_from(uptime).ok()?).ok()),
        memory_bytes: number(shown, "MemoryCurrent"),
        cpu_ms: number(shown, "CPUUsageNSec").map(|ns| ns / 1_000_000),
    }
}

fn describe(shown: &BTreeMap<String, String>, missing: bool) -> String {
    let text = |name: &str| shown.get(name).map_or("", String::as_str);
    if missing {
        return "no such unit".to_owned();
    }
    let (active, ended) = (text("ActiveState"), ended(shown));
    match (is_waiting(shown), ended) {
        (true, Some(ended)) => format!("waiting to be started again: {ended}"),
        (true, None) => "waiting to be started again: it ended".to_owned(),
        (false, Some(ended)) => format!("{active}: {ended}"),
        (false, None) => format!("{active} ({})", text("SubState")),
    }
}

/// How a unit ended that does not run, where that was no success.
fn ended(shown: &BTreeMap<String, String>) -> Option<String> {
    let text = |name: &str| shown.get(name).map_or("", String::as_str);
    let status = i32::try_from(number(shown, "ExecMainStatus").unwrap_or(0)).unwrap_or(i32::MAX);
    Some(match (text("ActiveState"), text("Result")) {
        ("active" | "reloading" | "refreshing" | "inactive", _) | (_, "success" | "") => return None,
        // Not the main process: `ExecStartPre=`, `ExecStartPost=` …
        (_, "exit-code") if status == 0 => "a command before or after it failed".to_owned(),
        // `CLD_EXITED` and friends, see waitid(2).
        (_, "exit-code") => format!("exit code {status}"),
        (_, "signal" | "core-dump") => format!("killed by {}", signal_name(status)),
        (_, "start-limit-hit") => "start-limit-hit (it ended too often within a short time)".to_owned(),
        (_, result) => result.to_owned(),
    })
}

/// Whether it ended, and systemd lets a moment pass before it starts it again: org.freedesktop.systemd1(5), `SubState`.
fn is_waiting(shown: &BTreeMap<String, String>) -> bool {
    shown.get("SubState").is_some_and(|state| state.starts_with("auto-restart"))
}

/// Whether systemd has started it again often, and it has not run for long since. systemd counts from when somebody last started
/// it, however long ago that was.
fn is_crash_looping(shown: &BTreeMap<String, String>, restart_count: u64, uptime: Option<Duration>) -> bool {
    let is_up_and_down = is_waiting(shown)
        || shown.get("ActiveState").is_some_and(|state| state == "activating")
        || uptime.is_some_and(|uptime| uptime < LASTING);
    restart_count >= CRASH_LOOP_COUNT && is_up_and_down
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
    fn a_unit_that_is_not_there_is_setups_to_write_where_the_config_says_what_runs() {
        let placing = |is_written: bool, scope: SystemdScope| {
            let unit = ("shop.service".to_owned(), is_written);
            Systemd::new(unit, scope, SHOW_TIMEOUT, Masker::new([])).placing()
        };
        assert_eq!(placing(true, SystemdScope::System), "`cutover setup ENV` writes it");
        let by_hand = placing(false, SystemdScope::User);
        assert_eq!(by_hand, "write it to ~/.config/systemd/user, then run `systemctl --user daemon-reload`");
    }

    #[test]
    fn what_sudo_lacks_is_told_with_who_lacks_it() {
        let unit = ("shop.service".to_owned(), false);
        let advice = Systemd::new(unit, SystemdScope::System, SHOW_TIMEOUT, Masker::new([])).sudo_advice();
        assert!(advice.contains(&format!(": {} ALL=(root) NOPASSWD: ", own_name())), "{advice}");
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
    fn only_starts_that_systemd_still_remembers_have_to_be_forgotten() {
        let limited = |state: &str, interval: &str| {
            let text = format!("ActiveState={state}\nActiveEnterTimestampMonotonic=50000000\n{interval}\n");
            may_be_limited(&parse_show(&text), 60_000_001)
        };
        assert!(!limited("active", "StartLimitIntervalUSec=10000000"));
        assert!(limited("active", "StartLimitIntervalUSec=10000001"));
        assert!(limited("failed", "StartLimitIntervalUSec=10000000"));
        // As `systemctl` writes it, and where it is not known.
        assert!(limited("active", "StartLimitIntervalUSec=10s") && limited("active", ""));
    }

    #[test]
    fn a_unit_that_was_changed_while_it_ran_is_not_what_runs() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(is_superseded(at(20), at(10), at(30)));
        assert!(!is_superseded(at(10), at(20), at(30)));
        assert!(!is_superseded(at(40), at(10), at(30)), "that is not told by a clock that jumped");
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
    fn a_unit_that_is_started_again_and_again_is_in_a_crash_loop_also_in_the_moments_that_it_runs() {
        let of = |text: &str| state(text).crash_looping;
        let running = |count: u64, entered_us: u64| {
            format!(
                "ActiveState=active\nSubState=running\nNRestarts={count}\nActiveEnterTimestampMonotonic={entered_us}\n"
            )
        };
        assert!(of(&running(3, 59_000_000)));
        assert!(of("ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=3\n"));
        assert!(of("ActiveState=activating\nSubState=start\nNRestarts=40\n"));
        assert!(!of(&running(2, 59_000_000)), "that can happen");
        assert!(!of("ActiveState=failed\nSubState=failed\nNRestarts=5\n"), "nothing starts it any more");
        let long_ago = state_of(&parse_show(&running(40, 1)), Timestamp::now(), 60_000_002);
        assert!(!long_ago.crash_looping, "it has run well since");
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
            of("ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainCode=0\nExecMainStatus=0\n"),
            (false, true, "failed: a command before or after it failed".into())
        );
        assert_eq!(
            of("ActiveState=failed\nResult=signal\nExecMainCode=2\nExecMainStatus=9\n"),
            (false, true, "failed: killed by SIGKILL".into())
        );
        let limited = "failed: start-limit-hit (it ended too often within a short time)";
        assert_eq!(of("ActiveState=failed\nResult=start-limit-hit\n"), (false, true, limited.into()));
        assert_eq!(
            of("ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nExecMainStatus=1\n"),
            (false, false, "waiting to be started again: exit code 1".into())
        );
        assert_eq!(
            of("ActiveState=activating\nSubState=auto-restart\nResult=success\n"),
            (false, false, "waiting to be started again: it ended".into())
        );
        assert_eq!(of("LoadState=not-found\nActiveState=inactive\n"), (false, true, "no such unit".into()));
        assert_eq!(
            of("LoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\n"),
            (false, false, "inactive (dead)".into())
        );
    }
}
