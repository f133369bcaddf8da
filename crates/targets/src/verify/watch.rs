//! Watching the service itself: does it run, is it still the same run, what does it log.

use super::Verification;
use crate::process::ProcessIdentity;
use crate::service::{CRASH_LOOP_COUNT, ServiceState};
use cutover_core::config::ProbeKind;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How much of the log since the restart is searched at once, in bytes.
const LOG_BYTES_MAX: usize = 4 << 20;
/// The longest part of a fatal line that is told, in characters.
const LINE_LENGTH_MAX: usize = 300;

/// What was seen of the service so far.
pub(super) struct Watch<'a> {
    asked: &'a Verification<'a>,
    state: Option<ServiceState>,
    /// Why the state is not known.
    unknown: String,
    restarts_at_first: Option<u64>,
    /// How often the main process was seen to be another one.
    change_count: u64,
    main: Option<ProcessIdentity>,
    active_since: Option<Instant>,
    /// How it was last seen to have ended.
    last_end: Option<String>,
    /// Texts that log probes wait for and that were seen.
    logged: BTreeSet<String>,
    /// Why the log could not be read when it was last tried.
    log_fault: Option<String>,
}

/// One run of the service: as long as this stays equal, it was not restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    main: Option<ProcessIdentity>,
    restart_count: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(asked: &'a Verification<'a>) -> Self {
        Self {
            asked,
            state: None,
            unknown: String::new(),
            restarts_at_first: None,
            change_count: 0,
            main: None,
            active_since: None,
            last_end: None,
            logged: BTreeSet::new(),
            log_fault: None,
        }
    }

    /// Looks at state and log. Gives a verdict when waiting longer cannot help.
    pub(super) fn look(&mut self) -> Option<String> {
        let service = self.asked.service?;
        match service.state() {
            Ok(state) => self.take(state),
            Err(failure) => (self.state, self.unknown) = (None, failure.message),
        }
        self.search_log().or_else(|| self.verdict())
    }

    fn take(&mut self, state: ServiceState) {
        self.restarts_at_first.get_or_insert(state.restart_count);
        if state.main.is_some() && state.main != self.main {
            self.change_count += u64::from(self.main.is_some());
            self.main.clone_from(&state.main);
            self.active_since = None;
        }
        self.last_end = state.last_end.clone().or_else(|| self.last_end.take());
        self.active_since = if state.active { self.active_since.or_else(|| Some(Instant::now())) } else { None };
        self.state = Some(state);
    }

    fn verdict(&self) -> Option<String> {
        let state = self.state.as_ref()?;
        if state.failed {
            let how = state.description.strip_prefix("failed: ").unwrap_or(&state.description);
            return Some(format!("the service failed: {how}"));
        }
        let count = self.restart_count();
        // Whether it runs at this very moment says nothing.
        let last = self.last_end.as_ref().map_or_else(String::new, |end| format!(" (last: {end})"));
        (count >= CRASH_LOOP_COUNT).then(|| {
            format!("the service keeps crashing: it ended {count} times and was started again each time{last}")
        })
    }

    /// How often the service was started again while it was watched.
    fn restart_count(&self) -> u64 {
        let counted = self.state.as_ref().map_or(0, |state| state.restart_count);
        counted.saturating_sub(self.restarts_at_first.unwrap_or(0)).max(self.change_count)
    }

    /// Remembers what log probes wait for. Gives a verdict when a fatal pattern was logged.
    fn search_log(&mut self) -> Option<String> {
        let wanted = self.asked.config.probes.iter().filter_map(|probe| match &probe.kind {
            ProbeKind::Log { contains } => Some(contains),
            ProbeKind::Http { .. } | ProbeKind::Tcp { .. } | ProbeKind::Command { .. } | ProbeKind::Unit { .. } => None,
        });
        let missing: Vec<&String> = wanted.filter(|text| !self.logged.contains(*text)).collect();
        let fatal = &self.asked.config.fatal;
        if missing.is_empty() && fatal.is_empty() {
            return None;
        }
        let read = self.asked.service?.log_since(self.asked.mark, LOG_BYTES_MAX);
        self.log_fault = read.as_ref().err().map(|failure| failure.message.clone());
        // What cannot be read holds no fatal line that anybody saw; preflight has told.
        let log = read.unwrap_or_default();
        self.logged.extend(missing.into_iter().filter(|text| log.lines().any(|line| line.contains(*text))).cloned());
        let line = log.lines().find(|line| fatal.iter().any(|pattern| line.contains(pattern)))?;
        // Masked before it is cut, so that no part of a secret is left.
        let line: String = self.asked.masker.mask(line).chars().take(LINE_LENGTH_MAX).collect();
        Some(format!("the service logged a fatal line: {line}"))
    }

    /// Whether the service runs; true when nothing runs the release.
    pub(super) fn is_active(&self) -> bool {
        self.asked.service.is_none() || self.state.as_ref().is_some_and(|state| state.active)
    }

    /// How long this run has been going on, as far as it is known.
    pub(super) fn uptime(&self) -> Duration {
        let seen = self.active_since.map(|since| since.elapsed()).unwrap_or_default();
        let main = self.state.as_ref().and_then(|state| state.main.as_ref());
        if self.is_active() { main.map_or(seen, |main| main.age().max(seen)) } else { Duration::ZERO }
    }

    pub(super) fn run(&self) -> Run {
        Run { main: self.main.clone(), restart_count: self.restart_count() }
    }

    pub(super) fn main(&self) -> Option<&ProcessIdentity> {
        self.main.as_ref()
    }

    /// Whether the main process has ended since the last look, when it was alive.
    pub(super) fn has_main_ended(&self) -> bool {
        let main = self.state.as_ref().and_then(|state| state.main.as_ref());
        main.is_some_and(|main| !main.is_alive())
    }

    pub(super) fn has_logged(&self, text: &str) -> bool {
        self.logged.contains(text)
    }

    /// Why nothing is known of what was logged; None when the log could be read.
    pub(super) fn log_fault(&self) -> Option<&str> {
        self.log_fault.as_deref()
    }

    /// What is wrong with the service, in words.
    pub(super) fn fault(&self) -> String {
        match &self.state {
            None => self.unknown.clone(),
            Some(state) if state.active && self.restart_count() > 0 => {
                format!("the service ended and was started again ({} times)", self.restart_count())
            }
            Some(state) if state.active => "the service was not running all the time".to_owned(),
            Some(state) => format!("the service is not running: {}", state.description),
        }
    }
}
