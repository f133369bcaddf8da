//! SARIF 2.1.0, as ruff, bandit, semgrep, trivy and eslint write it.
//!
//! Facts from the OASIS standard, by section:
//! - 3.27.9: a result whose `kind` is there and not `fail` is no finding.
//! - 3.27.10: where a result has no `level`, its rule's configuration decides, as an invocation overrides it (3.20.5)
//!   or as the tool's default is (3.50), and is `warning` where there is none.
//! - 3.27.23, 3.35.3: a result is suppressed if it has suppressions, none of which is `underReview` or `rejected`.
//!   Some viewers hide what has one that was accepted beside one that was not; here such a result stays.
//! - 3.27.24: `baselineState: absent` is a result of an earlier run.
//! - 3.20.14: a run whose invocation was not `executionSuccessful` did not look at everything.
//! - 3.14.23: a run without `results` did not look at anything. Beside runs that did, it counts as one that failed.
//!
//! How bad a finding is: a rule's property `security-severity`, a score from 0 to 10 in CVSS' bands (`critical` from
//! 9.0, `high` from 7.0, `medium` from 4.0, `low` above 0.0) decides where there is one, as it does for GitHub's code
//! scanning. Else the level: `note` is low, `warning` medium, `error` high. Without a score nothing is critical.

mod results;
mod rules;
mod run;

use super::bounded::Bounds;
use super::json::{self, Each, Only};
use super::{Fault, Format, Place};
use cutover_core::check::Findings;
use run::RunSeed;
use std::io::BufRead;

pub use results::KINDS_MAX;

/// Reads a report.
///
/// Fails if it is not SARIF, goes beyond a bound, or no run of a tool in it has results: an empty list of results is
/// one.
pub(super) fn read(input: impl BufRead, bounds: Bounds) -> Result<Findings, Fault> {
    let mut all = Reading::default();
    let runs = std::cell::RefCell::new(&mut all);
    let found = json::read(input, Format::Sarif, bounds, Only { key: "runs", seed: Each(|| RunSeed { all: &runs }) })?;
    if found.is_none() {
        let why = "it has no `runs`".to_owned();
        return Err(Fault::Malformed { format: Format::Sarif, place: Place::Line(1), why });
    }
    if all.looked_count == 0 {
        return Err(Fault::Empty { what: "results of a scanner" });
    }
    Ok(all.findings)
}

/// What was read of all runs.
#[derive(Default)]
struct Reading {
    findings: Findings,
    /// Runs that have results.
    looked_count: u64,
}

#[cfg(test)]
mod tests;
