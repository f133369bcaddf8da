//! A unit's log in systemd's journal.

use super::manager::Manager;
use super::{LogMark, LogPlace};
use cutover_child::{Kin, Running};
use cutover_core::config::SystemdScope;
use cutover_core::target::{Failure, tail};
use jiff::Timestamp;
use rustix::fs::Access;
use serde::Deserialize;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// How long the journal may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The most lines that are asked for when everything is meant.
const LAST_LINES: &str = "--lines=20000";
/// Asks for what was said, and nothing else.
const TEXT: &str = "--output=cat";
/// Asks for an object a line, where a line must be told from the run that said it.
const JSON: &str = "--output=json";
/// What is in such an object; see systemd.journal-fields(7).
const FIELDS: &str = "--output-fields=MESSAGE,_SYSTEMD_INVOCATION_ID,INVOCATION_ID,USER_INVOCATION_ID";
/// How much of it is passed on at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Where journald keeps its files: for this start of the machine, and for good (journald.conf(5), `Storage=`).
const PLACES: [&str; 2] = ["/run/log/journal", "/var/log/journal"];

pub(super) struct Journal {
    pub(super) unit: String,
    pub(super) manager: Manager,
}

impl Journal {
    /// The place behind the unit's last entry; the present moment for a unit that never said anything.
    ///
    /// It must be the unit's own entry: behind another one's, `journalctl` leaves out the unit's first (systemd 252).
    pub(super) fn mark(&self) -> LogMark {
        let said = self.ask(&[TEXT, "--lines=1", "--show-cursor"]).unwrap_or_default();
        LogMark::now(parse_cursor(&said).map_or(LogPlace::Time, LogPlace::Cursor))
    }

    /// What the unit said since then, without what the run at the mark still said. Fails when this user may not know.
    pub(super) fn since(&self, mark: &LogMark, bytes_max: usize) -> Result<String, Failure> {
        let from = from(mark);
        let said =
            if mark.run.is_some() { self.ask(&[JSON, "--all", FIELDS, &from]) } else { self.ask(&[TEXT, &from]) };
        match said {
            // A user sees what own processes said also where the rest is kept from them.
            Ok(said) if !said.is_empty() || self.may_read() => {
                let said = mark.run.as_deref().map(|run| after_run(&said, run)).unwrap_or(said);
                Ok(tail(&said, bytes_max).to_owned())
            }
            Err(failure) if self.may_read() => Err(failure),
            Ok(_) | Err(_) => Err(self.refused()),
        }
    }

    /// Whether this user may read what the unit says.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let may = self.may_read() || self.ask(&[TEXT, "--lines=1"]).is_ok_and(|said| !said.is_empty());
        if may { Ok(()) } else { Err(self.refused()) }
    }

    /// Tells the unit's last lines and then what comes. Its `journalctl` ends when it is not read any more, whatever
    /// became of this process: it watches its output (systemd 231 and newer).
    pub(super) fn follow(&self, lines: usize, tell: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Failure> {
        let subject = format!("follow the journal of {}", self.unit);
        let failed = |why: &str| Failure::new(format!("{subject}: {why}"));
        let (unit, lines) = (self.unit_argument(), format!("--lines={lines}"));
        let mut command =
            self.manager.program(&["journalctl", "--no-pager", "--quiet", &unit, TEXT, "--follow", &lines]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut journalctl = Running::start(&mut command, Kin::Group).map_err(|error| failed(&error.to_string()))?;
        let mut said = journalctl.child().stdout.take().ok_or_else(|| failed("it has no output"))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match said.read(&mut piece) {
                Ok(0) => return Err(failed("it ended by itself")),
                Ok(count) if tell(&piece[..count]).is_err() => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&error.to_string())),
            }
        }
    }

    fn ask(&self, what: &[&str]) -> Result<String, Failure> {
        let unit = self.unit_argument();
        // Quiet: no notices between the lines.
        let argv = [&["journalctl", "--no-pager", "--quiet", &unit], what].concat();
        self.manager.ask(&argv, TIMEOUT, &format!("read the journal of {}", self.unit))
    }

    fn unit_argument(&self) -> String {
        match self.manager.scope {
            SystemdScope::System => format!("--unit={}", self.unit),
            SystemdScope::User => format!("--user-unit={}", self.unit),
        }
    }

    /// `journalctl` does not reliably say that it may not show everything, so the files themselves are asked.
    fn may_read(&self) -> bool {
        let files: Vec<PathBuf> = self.files().into_iter().filter(|file| file.exists()).collect();
        // Without files journald works in a way that is not known here, and nothing is claimed.
        files.is_empty() || files.iter().any(|file| rustix::fs::access(file, Access::READ_OK).is_ok())
    }

    /// The files that hold what the unit and its manager say.
    fn files(&self) -> Vec<PathBuf> {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let own = format!("user-{}.journal", rustix::process::getuid().as_raw());
        let names = match self.manager.scope {
            SystemdScope::System => vec!["system.journal"],
            SystemdScope::User => vec!["system.journal", &own],
        };
        let at = |place: &&str| names.iter().map(|name| [*place, machine.trim(), name].iter().collect()).collect();
        PLACES.iter().flat_map(|place| -> Vec<PathBuf> { at(place) }).collect()
    }

    fn refused(&self) -> Failure {
        let user = rustix::process::getuid().as_raw();
        Failure::new(format!("the journal of {} cannot be read by this user", self.unit))
            .hint(format!("`sudo gpasswd --add \"$(id -nu {user})\" systemd-journal` lets it; a new login takes it up"))
    }
}

fn from(mark: &LogMark) -> String {
    match &mark.place {
        LogPlace::Cursor(cursor) => format!("--after-cursor={cursor}"),
        LogPlace::Time | LogPlace::File { .. } | LogPlace::None if mark.at == Timestamp::UNIX_EPOCH => {
            LAST_LINES.to_owned()
        }
        LogPlace::Time | LogPlace::File { .. } | LogPlace::None => {
            format!("--since=@{}.{:06}", mark.at.as_second(), mark.at.subsec_microsecond())
        }
    }
}

fn parse_cursor(said: &str) -> Option<String> {
    said.lines().rev().find_map(|line| line.strip_prefix("-- cursor: ")).map(|cursor| cursor.trim().to_owned())
}

/// One line of the journal, and which run of a unit it belongs to: said by its processes, or by systemd about it.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "MESSAGE", default)]
    message: serde_json::Value,
    #[serde(rename = "_SYSTEMD_INVOCATION_ID", default)]
    by: Option<String>,
    #[serde(rename = "INVOCATION_ID", alias = "USER_INVOCATION_ID", default)]
    about: Option<String>,
}

impl Line {
    fn is_of(&self, run: &str) -> bool {
        self.about.as_deref().or(self.by.as_deref()) == Some(run)
    }

    /// What is not UTF-8 comes as numbers.
    fn text(&self) -> String {
        match &self.message {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(bytes) => {
                let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
                String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
            }
            _ => String::new(),
        }
    }
}

/// The text of all lines but those of one run. A line that cannot be read is kept as it stands.
fn after_run(said: &str, run: &str) -> String {
    let texts = said.lines().filter_map(|line| match serde_json::from_str::<Line>(line) {
        Ok(line) => (!line.is_of(run)).then(|| line.text()),
        Err(_) => Some(line.to_owned()),
    });
    texts.map(|text| text + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_says_while_it_is_stopped_is_not_the_next_ones_word() {
        let said = concat!(
            r#"{"MESSAGE":"Stopping app","INVOCATION_ID":"aa","_SYSTEMD_INVOCATION_ID":"init"}"#,
            "\n",
            r#"{"MESSAGE":"Traceback","_SYSTEMD_INVOCATION_ID":"aa"}"#,
            "\n",
            r#"{"MESSAGE":[72,105,255],"_SYSTEMD_INVOCATION_ID":"bb"}"#,
            "\n",
            "{\"MESSAGE\":\"cut he\n",
        );
        assert_eq!(after_run(said, "aa"), "Hi\u{fffd}\n{\"MESSAGE\":\"cut he\n");
    }

    #[test]
    fn the_cursor_stands_behind_the_last_line() {
        let said = "Started app.\n-- cursor: s=0639;i=bd;b=c9;m=1;t=2;x=3\n";
        assert_eq!(parse_cursor(said).as_deref(), Some("s=0639;i=bd;b=c9;m=1;t=2;x=3"));
        assert_eq!(parse_cursor(""), None);
    }

    #[test]
    fn a_mark_says_where_reading_begins() {
        let mut mark = LogMark::now(LogPlace::Time);
        mark.at = "2026-01-02T03:04:05.000678Z".parse().unwrap();
        assert_eq!(from(&mark), "--since=@1767323045.000678");
        mark.at = Timestamp::UNIX_EPOCH;
        assert_eq!(from(&mark), "--lines=20000", "all of it is the last of it");
        mark.place = LogPlace::Cursor("s=1;i=2".to_owned());
        assert_eq!(from(&mark), "--after-cursor=s=1;i=2");
    }
}
