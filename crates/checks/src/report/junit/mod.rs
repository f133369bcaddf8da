//! JUnit's XML, which has no specification: each tool has its own habits, and Ant's and Jenkins' readers are what they
//! agree on.
//!
//! - The root is `testsuites`, or a bare `testsuite`; suites may lie in each other (jest-junit, surefire's aggregates).
//! - `tests=` is often wrong. Cases are counted here; a number that no way of counting explains is a warning.
//! - A case with `failure` failed, with `error` alone errored, with `skipped` alone was skipped. googletest marks tests
//!   that it was told to leave out by `status="notrun"` only.
//! - pytest writes a second case of the same name when a test that failed errors in its teardown, too. It is one case,
//!   failed. jest-junit does the like for a suite that could not be loaded: an error, and then a failure. It is one
//!   case, errored.
//! - `flakyFailure`, `flakyError`, `rerunFailure` and `rerunError` tell of earlier attempts (surefire, nextest). Beside
//!   no `failure` and no `error` the case passed in the end, and is flaky. surefire counts every attempt as a test.
//! - pytest's plugin for repeating failed tests writes a case for each attempt, and shows those before the last as
//!   passed. They are one case, as the last of them ended; if it passed, it is flaky. pytest's names are unique, so
//!   nothing else repeats one.
//! - jest-junit leaves suites out that could not be loaded, unless it is told otherwise, and shows a test that is still
//!   to be written as one that passed. vitest has a case named as the file for a suite that could not be loaded or
//!   taken down.
//! - pytest counts lines from 0; all others that tell lines count from 1.
//! - A failure's words are in its attribute `message`, or its text where there is none (jest-junit).

mod attempts;
mod case;
mod suite;

use super::bounded::Bounds;
use super::xml::{Node, Tag, Xml};
use super::{Fault, Format};
use attempts::{Attempts, Light};
use case::{Case, Said};
use cutover_core::check::{CaseOutcome, Cases, FAILURES_MAX, Kept, WARNINGS_MAX};
use std::collections::HashMap;
use std::io::BufRead;
use suite::Suite;

pub use attempts::PASSED_MAX;

/// The most cases that failed or errored among which a later one of the same name is looked for.
pub const REMEMBERED_MAX: usize = 100_000;

/// Reads a report.
///
/// Fails if it is no JUnit XML, goes beyond a bound, or has no cases.
pub(super) fn read(input: impl BufRead, bounds: Bounds) -> Result<(Cases, Kept<String>), Fault> {
    let mut xml = Xml::new(input, Format::Junit, bounds);
    let mut reading = Reading::default();
    loop {
        match xml.next()? {
            Node::Open(tag) => reading.open(&tag)?,
            Node::Text(text) => reading.case.text(&text),
            Node::Close => reading.close(),
            Node::End => break,
        }
    }
    let Reading { mut cases, attempts, warnings, .. } = reading;
    if cases.counts.total() == 0 {
        return Err(Fault::Empty { what: "test cases" });
    }
    attempts.count(&mut cases.counts, &mut cases.flaky);
    Ok((cases, warnings))
}

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Suite,
    Case,
    /// What a case, or a suite as a whole, tells of itself.
    Said,
    Other,
}

#[derive(Default)]
struct Reading {
    open: Vec<Element>,
    suites: Vec<Suite>,
    /// The case that is read; kept between cases, so that one that passed allocates nothing.
    case: Case,
    /// Cases that failed or errored, by the hash of their names.
    bad: HashMap<u64, CaseOutcome>,
    attempts: Attempts,
    cases: Cases,
    warnings: Kept<String>,
}

impl Reading {
    fn open(&mut self, tag: &Tag<'_>) -> Result<(), Fault> {
        let element = match (self.open.last(), tag.name()) {
            (None | Some(Element::Suite), "testsuites" | "testsuite") => self.open_suite(tag)?,
            (None, other) => {
                return Err(tag.malformed(&format!("its root is `{other}`, not `testsuites` or `testsuite`")));
            }
            (Some(Element::Suite), "testcase") => self.open_case(tag)?,
            (Some(Element::Case), name) => self.open_said(Said::of(name), tag)?,
            // A suite that could not begin or end: counted as a case, for it must not pass unseen.
            (Some(Element::Suite), name @ ("error" | "failure")) => {
                self.case.begin();
                self.open_said(Said::of(name), tag)?
            }
            (Some(Element::Suite | Element::Said | Element::Other), _) => Element::Other,
        };
        self.open.push(element);
        Ok(())
    }

    fn open_suite(&mut self, tag: &Tag<'_>) -> Result<Element, Fault> {
        let suite = Suite::of(tag, self.suites.last())?;
        self.suites.push(suite);
        Ok(Element::Suite)
    }

    fn open_case(&mut self, tag: &Tag<'_>) -> Result<Element, Fault> {
        self.case.begin();
        self.case.describe(tag)?;
        Ok(Element::Case)
    }

    fn open_said(&mut self, said: Option<Said>, tag: &Tag<'_>) -> Result<Element, Fault> {
        let Some(said) = said else { return Ok(Element::Other) };
        self.case.say(said, tag)?;
        Ok(Element::Said)
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Element::Suite) => self.close_suite(),
            Some(Element::Case) => self.close_case(),
            Some(Element::Said) => {
                self.case.said();
                if self.open.last() == Some(&Element::Suite) {
                    self.close_case();
                }
            }
            Some(Element::Other) | None => (),
        }
    }

    fn close_suite(&mut self) {
        let Some(suite) = self.suites.pop() else { return };
        if let Some(above) = self.suites.last_mut() {
            above.take_in(&suite);
        }
        if let Some(odd) = suite.odd() {
            self.warnings.push(odd, WARNINGS_MAX);
        }
    }

    fn close_case(&mut self) {
        let outcome = self.case.outcome();
        self.cases.seconds += self.case.seconds().unwrap_or(0.0);
        if self.is_repeated(outcome) {
            return;
        }
        if matches!(outcome, CaseOutcome::Failed | CaseOutcome::Errored) && self.is_told_again(outcome) {
            return;
        }
        self.cases.counts.add(outcome);
        if let Some(suite) = self.suites.last_mut() {
            suite.count(outcome, self.case.attempt_count());
        }
        match outcome {
            CaseOutcome::Failed | CaseOutcome::Errored | CaseOutcome::Flaky => self.keep(outcome),
            CaseOutcome::Passed | CaseOutcome::Skipped => (),
        }
    }

    /// Whether a case is counted already: once as failed, and now as errored, or the other way round.
    fn is_told_again(&mut self, outcome: CaseOutcome) -> bool {
        let key = self.key();
        if self.bad.len() < REMEMBERED_MAX {
            return *self.bad.entry(key).or_insert(outcome) != outcome;
        }
        self.bad.get(&key).is_some_and(|before| *before != outcome)
    }

    /// Whether a case is an attempt of one that is counted already, and stays so. If not, that one is taken back.
    fn is_repeated(&mut self, outcome: CaseOutcome) -> bool {
        if !self.suites.last().is_some_and(Suite::is_pytest) {
            return false;
        }
        let (key, case, suites) = (self.key(), &self.case, &self.suites);
        match self.attempts.take(key, outcome, || case.failure(CaseOutcome::Flaky, suites)) {
            Light::New => false,
            Light::Repeated => true,
            Light::Corrects => {
                self.cases.counts.passed = self.cases.counts.passed.saturating_sub(1);
                self.suites.last_mut().into_iter().for_each(Suite::take_back);
                false
            }
        }
    }

    fn key(&self) -> u64 {
        self.case.key(self.suites.last().map_or("", Suite::name))
    }

    fn keep(&mut self, outcome: CaseOutcome) {
        let kept = if outcome == CaseOutcome::Flaky { &mut self.cases.flaky } else { &mut self.cases.failures };
        if kept.items.len() < FAILURES_MAX {
            kept.items.push(self.case.failure(outcome, &self.suites));
        } else {
            kept.left_out_count += 1;
        }
    }
}

#[cfg(test)]
mod tests;
