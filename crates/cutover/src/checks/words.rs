//! A run of checks in words.

use crate::output::Paint;
use cutover_core::check::run::{CheckRun, Conclusion, Run};
use cutover_core::check::{CaseFailure, Finding, Judgement, Kept, Verdict};
use cutover_core::config::CommandLine;
use cutover_reporters::{duration, one_line};
use std::time::Duration;

/// How many failed cases and how many findings of one check are shown; the record has more.
const SHOWN_COUNT_MAX: usize = 10;

/// A command in one line.
pub(super) fn command(command: &CommandLine) -> String {
    one_line(&match command {
        CommandLine::Shell(line) => line.clone(),
        CommandLine::Argv(argv) => argv.join(" "),
    })
}

/// `2nd`, `3rd`, `11th`.
pub(super) fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        (_, _) => "th",
    };
    format!("{number}{ending}")
}

/// How a check ended, in one line.
pub(super) fn ended(check: &CheckRun) -> String {
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

/// What became of all, those that failed first and with their reasons.
pub(crate) fn summary(run: &Run, paint: Paint, is_verbose: bool) -> String {
    let width = run.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut checks: Vec<&CheckRun> = run.checks.iter().collect();
    checks.sort_by_key(|check| rank(check));
    let mut text = String::from("\n");
    for check in checks {
        let name = format!("{:width$}", check.name);
        let ended = ended(check);
        let ended = match check.conclusion {
            Some(Conclusion::Success) => paint.good(ended),
            Some(Conclusion::Failure | Conclusion::Cancelled) | None => paint.bad(ended),
            Some(Conclusion::Skipped) => paint.dim(ended),
        };
        text += &format!("{}  {ended}\n", paint.strong(name));
        details(check, is_verbose).iter().for_each(|line| text += &format!("  {}\n", one_line(line)));
    }
    let total = total(run);
    text + &match run.conclusion {
        Conclusion::Success => paint.good(total),
        Conclusion::Failure | Conclusion::Cancelled => paint.bad(total),
        Conclusion::Skipped => paint.warning(total),
    } + "\n"
}

fn rank(check: &CheckRun) -> u8 {
    match check.conclusion {
        Some(Conclusion::Failure) => 0,
        Some(Conclusion::Cancelled) | None => 1,
        Some(Conclusion::Success) => 2,
        Some(Conclusion::Skipped) => 3,
    }
}

fn details(check: &CheckRun, is_verbose: bool) -> Vec<String> {
    let has_failed = check.conclusion == Some(Conclusion::Failure);
    let is_shown = |judgement: &&Judgement| is_verbose || judgement.verdict != Verdict::Passed;
    let judgements = check.judgements.iter().filter(is_shown).map(judged);
    let mut lines: Vec<String> = check.faults.iter().map(|fault| format!("✗ {fault}")).chain(judgements).collect();
    if let Some(report) = check.report.as_ref() {
        lines.extend(report.warnings.items.iter().map(|warning| format!("! {warning}")));
        if let Some(cases) = report.cases.as_ref().filter(|_| has_failed) {
            lines.extend(some(&cases.failures, "failed tests", case));
        }
        if let Some(findings) = report.findings.as_ref().filter(|_| has_failed) {
            lines.extend(some(&findings.list, "findings", finding));
        }
    }
    if let Some(log) = check.log.as_ref().filter(|_| has_failed) {
        lines.push(format!("log: {log}"));
    }
    lines
}

fn judged(judgement: &Judgement) -> String {
    let mark = match judgement.verdict {
        Verdict::Passed => '✓',
        Verdict::Warned => '!',
        Verdict::Failed => '✗',
    };
    format!("{mark} {}", judgement.words)
}

/// The first ones in words, and how many more there are.
fn some<T>(kept: &Kept<T>, what: &str, words: fn(&T) -> String) -> Vec<String> {
    let hidden = kept.items.len().saturating_sub(SHOWN_COUNT_MAX) as u64 + kept.left_out_count;
    let shown = kept.items.iter().take(SHOWN_COUNT_MAX).map(words);
    shown.chain((hidden > 0).then(|| format!("and {hidden} more {what}"))).collect()
}

fn case(case: &CaseFailure) -> String {
    let suite = if case.suite.is_empty() { String::new() } else { format!("{}::", case.suite) };
    let message = case.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("✗ {suite}{}{}: {message}", case.name, place(case.file.as_deref(), case.line))
}

fn finding(finding: &Finding) -> String {
    let (place, message) = (place(finding.file.as_deref(), finding.line), finding.message.lines().next());
    format!("✗ {} {} {}{place}: {}", finding.severity, finding.tool, finding.rule, message.unwrap_or_default())
}

fn place(file: Option<&str>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!(" ({file}:{line})"),
        (Some(file), None) => format!(" ({file})"),
        (None, _) => String::new(),
    }
}

fn total(run: &Run) -> String {
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

fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
