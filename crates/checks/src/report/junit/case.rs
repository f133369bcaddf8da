//! A case that is open.

use super::super::Fault;
use super::super::xml::Tag;
use super::suite::Suite;
use cutover_core::check::{CaseFailure, CaseOutcome, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, excerpt};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How much of a text is looked at for a message, in bytes: more than is kept, since colours are taken out.
const TEXT_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

/// What an element in a case tells of it. The later in this order, the more it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    /// An earlier attempt did not pass.
    Attempt,
    /// It was left out.
    Skipped,
    /// It could not run.
    Error,
    /// It ran, and failed.
    Failure,
}

impl Said {
    /// What an element of this name tells, if anything.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "failure" => Some(Self::Failure),
            "error" => Some(Self::Error),
            "skipped" | "skip" | "ignored" | "disabled" => Some(Self::Skipped),
            "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => Some(Self::Attempt),
            _ => None,
        }
    }
}

/// A case as far as it was read. Texts are as they stand in the report.
#[derive(Default)]
pub(super) struct Case {
    class: String,
    name: String,
    file: String,
    line: String,
    time: String,
    said: Option<Said>,
    message: String,
    /// Whether texts belong to the message now.
    listening: bool,
    not_run: bool,
    /// How many earlier attempts it tells of.
    attempt_count: u64,
}

impl Case {
    /// Forgets the case before.
    pub(super) fn begin(&mut self) {
        let texts =
            [&mut self.class, &mut self.name, &mut self.file, &mut self.line, &mut self.time, &mut self.message];
        texts.into_iter().for_each(String::clear);
        (self.said, self.listening, self.not_run, self.attempt_count) = (None, false, false, 0);
    }

    pub(super) fn describe(&mut self, tag: &Tag<'_>) -> Result<(), Fault> {
        tag.attributes(|key, value| match key {
            "classname" => self.class.push_str(value),
            "name" => self.name.push_str(value),
            "file" | "filepath" => self.file.push_str(value),
            "line" | "lineno" => self.line.push_str(value),
            "time" => self.time.push_str(value),
            "status" | "result" => self.not_run |= matches!(value, "notrun" | "suppressed" | "disabled" | "skipped"),
            _ => (),
        })
    }

    /// Takes what an element tells; its text follows, if it has one.
    pub(super) fn say(&mut self, said: Said, tag: &Tag<'_>) -> Result<(), Fault> {
        self.attempt_count += u64::from(said == Said::Attempt);
        // Of several, the first of the kind that decides gives the message.
        if self.said.is_some_and(|before| before >= said) {
            return Ok(());
        }
        self.said = Some(said);
        self.message.clear();
        tag.attributes(|key, value| {
            if key == "message" {
                self.message.push_str(value.trim());
            }
        })?;
        self.listening = self.message.is_empty();
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) {
        if !self.listening || self.message.len() >= TEXT_BYTES_MAX {
            return;
        }
        let text = if self.message.is_empty() { text.trim_start() } else { text };
        let end = text.ceil_char_boundary(TEXT_BYTES_MAX - self.message.len());
        self.message.push_str(&text[..end]);
    }

    /// The element that told has ended.
    pub(super) fn said(&mut self) {
        self.listening = false;
    }

    /// How many earlier attempts it tells of.
    pub(super) fn attempt_count(&self) -> u64 {
        self.attempt_count
    }

    pub(super) fn outcome(&self) -> CaseOutcome {
        match self.said {
            Some(Said::Failure) => CaseOutcome::Failed,
            Some(Said::Error) => CaseOutcome::Errored,
            Some(Said::Skipped) => CaseOutcome::Skipped,
            Some(Said::Attempt) => CaseOutcome::Flaky,
            None if self.not_run => CaseOutcome::Skipped,
            None => CaseOutcome::Passed,
        }
    }

    /// How long it took. surefire may group digits by commas.
    pub(super) fn seconds(&self) -> Option<f64> {
        let seconds = if self.time.contains(',') { self.time.replace(',', "").parse() } else { self.time.parse() };
        seconds.ok().filter(|seconds: &f64| (0.0..1e9).contains(seconds))
    }

    /// A hash of what names the case.
    pub(super) fn key(&self, suite: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (suite, &self.file, &self.class, &self.name).hash(&mut hasher);
        hasher.finish()
    }

    /// The case's details, cut to bounds.
    pub(super) fn failure(&self, outcome: CaseOutcome, suites: &[Suite]) -> CaseFailure {
        let suite = suites.last();
        let suite_name = suite.map_or("", Suite::name);
        let first_line = u32::from(suite.is_some_and(Suite::is_pytest));
        let file = if self.file.is_empty() { suite.map_or("", Suite::file) } else { &self.file };
        CaseFailure {
            suite: excerpt(if self.class.is_empty() { suite_name } else { &self.class }, NAME_BYTES_MAX),
            name: excerpt(if self.name.is_empty() { "(without a name)" } else { &self.name }, NAME_BYTES_MAX),
            file: Some(excerpt(file, NAME_BYTES_MAX)).filter(|file| !file.is_empty()),
            line: self.line.parse().ok().and_then(|line: u32| line.checked_add(first_line)).filter(|line| *line > 0),
            outcome,
            message: excerpt(&self.message, MESSAGE_BYTES_MAX),
            seconds: self.seconds(),
        }
    }
}
