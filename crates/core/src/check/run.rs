//! The record of a run of checks: one type that the terminal, `--json`, other services and an artifact's provenance are
//! made from.
//!
//! Statuses and conclusions have the words that GitHub has for them, so that nobody has to translate.

use super::{CaseCounts, Counted, Judgement, Report, SeverityCounts, Verdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of the shapes in this module, as they are serialized.
pub const RUN_VERSION: u32 = 1;

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for a processor or for what it needs.
    Queued,
    /// It runs.
    InProgress,
    /// It ended, or never will begin.
    Completed,
}

/// What became of a check, or of a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// It passed.
    Success,
    /// It ran, and did not pass.
    Failure,
    /// It did not run, or not to its end. That is no success.
    Cancelled,
    /// It was left out on purpose.
    Skipped,
}

impl Conclusion {
    /// The conclusion as records write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal: `SIGKILL`.
    Signal(String),
    /// It ran for longer than so many seconds, and was ended.
    TimedOut(f64),
    /// It could not be started or observed, for this reason.
    Broken(String),
    /// It was ended because the run was.
    Cancelled,
}

impl Exit {
    /// Whether it ended as a command does that has nothing to complain of.
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exit code {code}"),
            Self::Signal(name) => write!(out, "killed by {name}"),
            Self::TimedOut(seconds) => write!(out, "timed out after {seconds} s"),
            Self::Broken(why) => write!(out, "could not run: {why}"),
            Self::Cancelled => out.write_str("cancelled"),
        }
    }
}

/// One time that a check's command ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How it ended.
    pub exit: Exit,
}

/// Why a check has its conclusion, where that is not success. Its text says it to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its last attempt ended so.
    Exit(Exit),
    /// A gate failed: [`CheckRun::judgements`] says which.
    Gates,
    /// A report is missing or cannot be read: [`CheckRun::faults`] says which.
    Reports,
    /// This check, which it needs, did not pass.
    Needed(String),
    /// This check failed, and the first failure ends all.
    FailFast(String),
    /// Somebody asked the run to stop, with this reason where it is known.
    Stopped(String),
    /// It was left out for this reason: nothing of its paths changed.
    LeftOut(String),
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(exit) => exit.fmt(out),
            Self::Gates => out.write_str("a gate failed"),
            Self::Reports => out.write_str("a report is missing or cannot be read"),
            Self::Needed(check) => write!(out, "needs `{check}`, which did not pass"),
            Self::FailFast(check) => write!(out, "`{check}` failed, and the first failure ends all"),
            Self::Stopped(reason) if reason.is_empty() => out.write_str("asked to stop"),
            Self::Stopped(reason) => write!(out, "asked to stop: {reason}"),
            Self::LeftOut(reason) => out.write_str(reason),
        }
    }
}

/// One check, as it went so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRun {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: Status,
    /// What became of it, once it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// Why, where it is completed without success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// Each time that it ran, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Whether it passed, but only when it was repeated.
    #[serde(default)]
    pub flaky: bool,
    /// What its reports said; None where none was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// What its gates said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judgements: Vec<Judgement>,
    /// Reports that were asked for and are missing or unreadable, in words. Each is a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// The path of the log with what it said, masked; None where nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl CheckRun {
    /// A check that has not begun.
    pub fn queued(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status: Status::Queued,
            conclusion: None,
            why: None,
            attempts: Vec::new(),
            flaky: false,
            report: None,
            judgements: Vec::new(),
            faults: Vec::new(),
            log: None,
        }
    }

    /// The same check, ended without success.
    #[must_use]
    pub fn ended(mut self, conclusion: Conclusion, why: Why) -> Self {
        self.status = Status::Completed;
        self.conclusion = Some(conclusion);
        self.why = Some(why);
        self
    }

    /// The same check, its last attempt over and its reports judged: it passes when nothing of these speaks against it.
    #[must_use]
    pub fn judged(mut self) -> Self {
        let exit = self.attempts.last().map_or(Exit::Cancelled, |attempt| attempt.exit.clone());
        if !exit.is_success() {
            return self.ended(Conclusion::Failure, Why::Exit(exit));
        }
        if !self.faults.is_empty() {
            return self.ended(Conclusion::Failure, Why::Reports);
        }
        if self.judgements.iter().any(|judgement| judgement.verdict == Verdict::Failed) {
            return self.ended(Conclusion::Failure, Why::Gates);
        }
        self.flaky = self.attempts.len() > 1;
        self.status = Status::Completed;
        self.conclusion = Some(Conclusion::Success);
        self
    }

    /// What all its attempts took together, in seconds.
    pub fn seconds(&self) -> f64 {
        // A sum of nothing would be -0.
        self.attempts.iter().map(|attempt| attempt.seconds).fold(0.0, |sum, seconds| sum + seconds)
    }

    /// Whether those that need it may run.
    pub fn lets_pass(&self) -> bool {
        matches!(self.conclusion, Some(Conclusion::Success | Conclusion::Skipped))
    }
}

/// Numbers of all checks of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Checks that passed, flaky ones with them.
    pub success: u64,
    /// Checks that failed.
    pub failure: u64,
    /// Checks that were cancelled.
    pub cancelled: u64,
    /// Checks that were left out.
    pub skipped: u64,
    /// Checks that passed only when repeated.
    pub flaky: u64,
    /// The test cases of all checks; None where no check reports any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<CaseCounts>,
    /// The findings of all checks; None where no check has a scanner's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<SeverityCounts>,
    /// The lines that are covered. None also where several checks report coverage: one line may be in the counts of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Counted>,
}

impl Totals {
    /// The numbers of these checks; those that are not completed are in none.
    pub fn of(checks: &[CheckRun]) -> Self {
        let mut totals = Self::default();
        checks.iter().for_each(|check| totals.add(check));
        let mut covered = checks.iter().filter_map(|check| check.report.as_ref()?.coverage.as_ref());
        totals.lines = covered.next().map(|coverage| coverage.lines).filter(|_| covered.next().is_none());
        totals
    }

    fn add(&mut self, check: &CheckRun) {
        match check.conclusion {
            Some(Conclusion::Success) => self.success += 1,
            Some(Conclusion::Failure) => self.failure += 1,
            Some(Conclusion::Cancelled) => self.cancelled += 1,
            Some(Conclusion::Skipped) => self.skipped += 1,
            None => {}
        }
        self.flaky += u64::from(check.flaky);
        let Some(report) = &check.report else { return };
        if let Some(cases) = &report.cases {
            self.cases.get_or_insert_default().merge(cases.counts);
        }
        if let Some(findings) = &report.findings {
            self.findings.get_or_insert_default().merge(findings.counts);
        }
    }

    /// What became of all: one failure is a failure, and where nothing ran there is no success.
    pub fn conclusion(&self) -> Conclusion {
        match self {
            Self { failure: 1.., .. } => Conclusion::Failure,
            Self { cancelled: 1.., .. } => Conclusion::Cancelled,
            Self { success: 1.., .. } => Conclusion::Success,
            Self { .. } => Conclusion::Skipped,
        }
    }
}

/// A run of checks that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The version of this shape, [`RUN_VERSION`].
    pub version: u32,
    /// Full hash of the commit whose tree was judged; None where there is none, or where anything in the work tree was not
    /// committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// How long all took, by the clock, in seconds.
    pub seconds: f64,
    /// What became of it.
    pub conclusion: Conclusion,
    /// The numbers of all checks.
    pub totals: Totals,
    /// The checks, in the order in which they were given.
    pub checks: Vec<CheckRun>,
}

impl Run {
    /// The record of these checks.
    pub fn new(started_at: Timestamp, seconds: f64, checks: Vec<CheckRun>) -> Self {
        let totals = Totals::of(&checks);
        Self {
            version: RUN_VERSION,
            commit: None,
            started_at,
            seconds,
            conclusion: totals.conclusion(),
            totals,
            checks,
        }
    }
}

#[cfg(test)]
mod tests;
