//! A unit's log in systemd's journal.

use super::systemd::Manager;
use super::{LogMark, LogPlace};
use cutover_core::config::SystemdScope;
use cutover_core::target::tail;
use std::time::Duration;

/// How long the journal may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The most lines that are asked for at once.
const LINES: &str = "--lines=20000";
/// How many first lines may be the program's own notices.
const NOTICE_COUNT_MAX: usize = 4;

pub(super) struct Journal {
    pub(super) unit: String,
    pub(super) manager: Manager,
}

impl Journal {
    /// The present end of the whole journal: a unit that never ran has no end of its own.
    pub(super) fn mark(&self) -> LogMark {
        let argv = ["journalctl", "--no-pager", "--quiet", "--lines=1", "--output=cat", "--show-cursor"];
        let said = self.manager.ask(&argv, TIMEOUT, "read the journal").unwrap_or_default();
        LogMark::now(parse_cursor(&said).map_or(LogPlace::Time, LogPlace::Cursor))
    }

    /// What the unit said since then; a note in parentheses when this user may not know.
    pub(super) fn since(&self, mark: &LogMark, bytes_max: usize) -> String {
        let from = match &mark.place {
            LogPlace::Cursor(cursor) => format!("--after-cursor={cursor}"),
            LogPlace::Time | LogPlace::File { .. } | LogPlace::None => format!("--since=@{}", mark.at.as_second()),
        };
        let unit = match self.manager.scope {
            SystemdScope::System => format!("--unit={}", self.unit),
            SystemdScope::User => format!("--user-unit={}", self.unit),
        };
        let argv = ["journalctl", "--no-pager", "--output=cat", LINES, &unit, &from];
        match self.manager.ask(&argv, TIMEOUT, &format!("read the journal of {}", self.unit)) {
            Ok(said) => tail(&self.without_notices(&said), bytes_max).to_owned(),
            Err(failure) => format!("({failure})\n"),
        }
    }

    fn without_notices(&self, said: &str) -> String {
        if is_refused(said) {
            return format!(
                "(the journal of {} cannot be read by this user: add it to the group systemd-journal)\n",
                self.unit
            );
        }
        let is_notice = |line: &str| line.starts_with("-- ") && line.ends_with(" --");
        said.lines().filter(|line| !is_notice(line)).flat_map(|line| [line, "\n"]).collect()
    }
}

/// `journalctl` says in its first lines when it may not show everything.
fn is_refused(said: &str) -> bool {
    let phrases = ["due to insufficient permissions", "You are currently not seeing messages"];
    said.lines().take(NOTICE_COUNT_MAX).any(|line| phrases.iter().any(|phrase| line.contains(phrase)))
}

fn parse_cursor(said: &str) -> Option<String> {
    said.lines().rev().find_map(|line| line.strip_prefix("-- cursor: ")).map(|cursor| cursor.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::mask::Masker;

    fn journal() -> Journal {
        let manager = Manager { scope: SystemdScope::System, masker: Masker::new([]) };
        Journal { unit: "app.service".into(), manager }
    }

    #[test]
    fn the_cursor_stands_behind_the_last_line() {
        let said = "Started app.\n-- cursor: s=0639;i=bd;b=c9;m=1;t=2;x=3\n";
        assert_eq!(parse_cursor(said).as_deref(), Some("s=0639;i=bd;b=c9;m=1;t=2;x=3"));
        assert_eq!(parse_cursor("-- No entries --\n"), None);
    }

    #[test]
    fn a_journal_that_may_not_be_read_is_not_an_empty_one() {
        let refused =
            "Hint: You are currently not seeing messages from other users and the system.\n      Users in groups …\n";
        assert!(journal().without_notices(refused).contains("systemd-journal"));
        assert_eq!(journal().without_notices("-- No entries --\n"), "");
        assert_eq!(journal().without_notices("ready\n"), "ready\n");
    }
}
