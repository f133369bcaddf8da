//! The words for checks that ended.

use crate::duration;
use cutover_core::check::run::{CheckRun, Conclusion, Run};
use cutover_core::check::{CaseFailure, Finding, Judgement, Kept, Verdict};
use std::time::Duration;

/// How a check ended, in one line.
pub fn ended(check: &CheckRun) -> String {
    let took = seconds(check.seconds());
    let why = check.why.as_ref().map(ToString::to_string).unwrap_or_default();
    match check.conclusion {
        Some(Conclusion::Success) if check.flaky => {
            format!("✓ passed in {took}, but only the {} time: it is flaky", ordinal(check.attempts.len() as u32))
        }
        Some(Conclusion::Success) => format!("✓ passed in {took}"),
        Some(Conclusion::Failure) => format!("✗ failed after {took}: {why}"),
        Some(Conclusion::Cancelled) => format!("✗ cancelled: {why}"),
        Some(Conclusion::Skipped) => format!("- skipped: {why}"),
        None => "has not ended".to_owned(),
    }
}

/// What became of all, in one line.
pub fn total(run: &Run) -> String {
    let totals = &run.totals;
    let counts = [
        (totals.failure, "failed"),
        (totals.cancelled, "cancelled"),
        (totals.success, "passed"),
        (totals.skipped, "skipped"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let tests = totals.cases.map(|cases| format!("; {} tests ran", cases.ran())).unwrap_or_default();
    let verdict = match run.conclusion {
        Conclusion::Success => "✓ The checks passed",
        Conclusion::Failure => "✗ The checks failed",
        Conclusion::Cancelled => "✗ The checks did not come to their end",
        Conclusion::Skipped => "- Nothing was checked",
    };
    format!("{verdict} in {}: {counts}{tests}", seconds(run.seconds))
}

/// The checks, those that failed first and those that were left out last.
pub fn ranked(run: &Run) -> Vec<&CheckRun> {
    let mut checks: Vec<&CheckRun> = run.checks.iter().collect();
    checks.sort_by_key(|check| rank(check));
    checks
}

fn rank(check: &CheckRun) -> u8 {
    match check.conclusion {
        Some(Conclusion::Failure) => 0,
        Some(Conclusion::Cancelled) | None => 1,
        Some(Conclusion::Success) => 2,
        Some(Conclusion::Skipped) => 3,
    }
}

/// What a gate said, with its verdict in front.
pub fn judged(judgement: &Judgement) -> String {
    let mark = match judgement.verdict {
        Verdict::Passed => '✓',
        Verdict::Warned => '!',
        Verdict::Failed => '✗',
    };
    format!("{mark} {}", judgement.words)
}

/// A case that did not pass, in one line.
pub fn case(case: &CaseFailure) -> String {
    let suite = if case.suite.is_empty() { String::new() } else { format!("{}::", case.suite) };
    let message = case.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("✗ {suite}{}{}: {message}", case.name, place(case.file.as_deref(), case.line))
}

/// A finding, in one line.
pub fn finding(finding: &Finding) -> String {
    let (place, message) = (place(finding.file.as_deref(), finding.line), finding.message.lines().next());
    format!("✗ {} {} {}{place}: {}", finding.severity, finding.tool, finding.rule, message.unwrap_or_default())
}

/// The first ones in words, and how many more there are.
pub fn some<T>(kept: &Kept<T>, count_max: usize, what: &str, words: fn(&T) -> String) -> Vec<String> {
    let hidden = kept.left_out_count.saturating_add(kept.items.len().saturating_sub(count_max) as u64);
    let shown = kept.items.iter().take(count_max).map(words);
    shown.chain((hidden > 0).then(|| format!("and {hidden} more {what}"))).collect()
}

/// `2nd`, `3rd`, `11th`.
pub fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        (_, _) => "th",
    };
    format!("{number}{ending}")
}

fn place(file: Option<&str>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!(" ({file}:{line})"),
        (Some(file), None) => format!(" ({file})"),
        (None, _) => String::new(),
    }
}

fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
