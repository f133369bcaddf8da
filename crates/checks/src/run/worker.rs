//! One check: its attempts, its log, its judgement.

use super::{Job, Judge, Judged, Observer, Settings};
use cutover_child::{ChildCommand, ChildError, Leftovers, signal_name};
use cutover_core::check::run::{Attempt, CheckRun, Conclusion, Exit, Why};
use cutover_core::probe::ProbeResult;
use cutover_core::target::{Cancel, Progress};
use jiff::Timestamp;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

/// Whether all shall end, and why.
#[derive(Debug)]
pub(super) struct Stop<'a> {
    cancel: &'a Cancel,
    /// The check whose failure ends all.
    failed: OnceLock<String>,
}

impl<'a> Stop<'a> {
    pub(super) fn new(cancel: &'a Cancel) -> Self {
        Self { cancel, failed: OnceLock::new() }
    }

    /// Ends all since this check failed; of several, the first one counts.
    pub(super) fn because_of(&self, check: &str) {
        self.failed.get_or_init(|| check.to_owned());
    }

    /// Why all shall end; None while it shall not.
    pub(super) fn why(&self) -> Option<Why> {
        match self.failed.get() {
            Some(check) => Some(Why::FailFast(check.clone())),
            None if self.cancel.is_cancelled() => Some(Why::Stopped(self.cancel.why().unwrap_or_default().to_owned())),
            None => None,
        }
    }
}

/// What every check's thread needs.
pub(super) struct Worker<'a> {
    pub(super) jobs: &'a [Job],
    pub(super) settings: &'a Settings,
    pub(super) observer: &'a dyn Observer,
    pub(super) judge: &'a dyn Judge,
    pub(super) stop: &'a Stop<'a>,
}

impl Worker<'_> {
    /// The record of a check that did not begin yet; one that is left out ends here.
    pub(super) fn skip(&self, job: &Job) -> CheckRun {
        let check = CheckRun::queued(&job.name);
        let Some(reason) = &job.skip else { return check };
        let check = check.ended(Conclusion::Skipped, Why::LeftOut(reason.clone()));
        self.observer.ended(&check);
        check
    }

    /// The record of a check that no thread could be had for.
    pub(super) fn unstarted(&self, job: usize, error: &io::Error) -> CheckRun {
        let why = Why::Exit(Exit::Broken(format!("start a thread: {error}")));
        let check = CheckRun::queued(&self.jobs[job].name).ended(Conclusion::Failure, why);
        self.observer.ended(&check);
        check
    }

    /// Runs a check to its end.
    pub(super) fn perform(&self, job: &Job) -> CheckRun {
        self.observer.started(&job.name);
        let log = self.log(job);
        let mut check = CheckRun::queued(&job.name);
        for number in 1..=job.retries.saturating_add(1) {
            check.attempts.push(self.attempt(job, number, &log));
            if self.is_last(&check) {
                break;
            }
        }
        // Not there when nothing could be written.
        check.log = log.is_file().then(|| log.display().to_string());
        let check = self.conclude(job, check);
        self.observer.ended(&check);
        check
    }

    fn is_last(&self, check: &CheckRun) -> bool {
        self.stop.why().is_some() || check.attempts.last().is_some_and(|attempt| attempt.exit.is_success())
    }

    fn attempt(&self, job: &Job, number: u32, log: &Path) -> Attempt {
        let (started_at, began) = (Timestamp::now(), Instant::now());
        self.observer.attempt(&job.name, number);
        let exit = match self.judge.prepare(&job.name) {
            Ok(()) => self.execute(job, number, log),
            Err(why) => Exit::Broken(why),
        };
        Attempt { started_at, seconds: began.elapsed().as_secs_f64(), exit }
    }

    fn execute(&self, job: &Job, number: u32, log: &Path) -> Exit {
        if number > 1 {
            // Where even this cannot be written, the log is lost, and no check fails by that.
            let _ = note(log, &format!("[attempt {number}]\n"));
        }
        let child = ChildCommand {
            command: &job.command,
            cwd: &job.directory,
            variables: &job.variables,
            timeout: job.timeout,
            log: Some(log),
            masker: &self.settings.masker,
            leftovers: Leftovers::Kill,
        };
        let said = Said { check: &job.name, observer: self.observer, stop: self.stop };
        match cutover_child::run(&child, &said) {
            Ok(exit) => Exit::Code(exit.code),
            Err(error) => exit(&error),
        }
    }

    /// What was ended is not judged; nor is it a failure that was not repeated since all shall end.
    fn conclude(&self, job: &Job, check: CheckRun) -> CheckRun {
        let exit = check.attempts.last().map(|attempt| &attempt.exit);
        let is_cut_short = check.attempts.len() <= job.retries as usize && exit.is_some_and(|exit| !exit.is_success());
        if let Some(why) = self.stop.why().filter(|_| exit == Some(&Exit::Cancelled) || is_cut_short) {
            return check.ended(Conclusion::Cancelled, why);
        }
        let Judged { report, judgements, faults } = self.judge.judge(&job.name);
        CheckRun { report, judgements, faults, ..check }.judged()
    }

    /// The path of a check's log, where there is no older one any more.
    fn log(&self, job: &Job) -> PathBuf {
        let log = self.settings.log_dir.join(format!("{}.log", job.name));
        // Mostly there is none. One that cannot be removed is appended to: nothing is lost.
        let _ = fs::remove_file(&log);
        log
    }
}

fn note(log: &Path, words: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(log)?.write_all(words.as_bytes())
}

fn exit(error: &ChildError) -> Exit {
    match error {
        ChildError::Signalled { signal, .. } => Exit::Signal(signal_name(*signal)),
        ChildError::TimedOut { timeout, .. } => Exit::TimedOut(timeout.as_secs_f64()),
        ChildError::Cancelled => Exit::Cancelled,
        ChildError::Refused { code } => Exit::Code(*code),
        ChildError::Directory { .. } | ChildError::Start { .. } | ChildError::Pipe(_) | ChildError::Wait(_) => {
            Exit::Broken(error.to_string())
        }
    }
}

/// Passes on what a check says, and asks whether it shall end.
struct Said<'a> {
    check: &'a str,
    observer: &'a dyn Observer,
    stop: &'a Stop<'a>,
}

impl Progress for Said<'_> {
    fn advance(&self, _done: u64, _total: u64, _unit: &'static str) {}

    fn output(&self, line: &str) {
        self.observer.output(self.check, line);
    }

    fn probed(&self, _result: &ProbeResult) {}

    fn cancelled(&self) -> bool {
        self.stop.why().is_some()
    }
}
