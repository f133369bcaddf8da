//! A run of checks in words.

use crate::output::Paint;
use cutover_core::check::run::{CheckRun, Conclusion, Run};
use cutover_core::check::{Judgement, Verdict};
use cutover_core::config::CommandLine;
use cutover_reporters::checks::words::{case, ended, finding, judged, ranked, some, total};
use cutover_reporters::one_line;

/// How many failed cases and how many findings of one check are shown; the record has more.
const SHOWN_COUNT_MAX: usize = 10;

/// A command in one line.
pub(super) fn command(command: &CommandLine) -> String {
    one_line(&match command {
        CommandLine::Shell(line) => line.clone(),
        CommandLine::Argv(argv) => argv.join(" "),
    })
}

/// What became of all, those that failed first and with their reasons.
pub(crate) fn summary(run: &Run, paint: Paint, is_verbose: bool) -> String {
    let width = run.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text = String::from("\n");
    for check in ranked(run) {
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

fn details(check: &CheckRun, is_verbose: bool) -> Vec<String> {
    let has_failed = check.conclusion == Some(Conclusion::Failure);
    let is_shown = |judgement: &&Judgement| is_verbose || judgement.verdict != Verdict::Passed;
    let judgements = check.judgements.iter().filter(is_shown).map(judged);
    let mut lines: Vec<String> = check.faults.iter().map(|fault| format!("✗ {fault}")).chain(judgements).collect();
    if let Some(report) = check.report.as_ref() {
        lines.extend(report.warnings.items.iter().map(|warning| format!("! {warning}")));
        if let Some(cases) = report.cases.as_ref().filter(|_| has_failed) {
            lines.extend(some(&cases.failures, SHOWN_COUNT_MAX, "failed tests", case));
        }
        if let Some(findings) = report.findings.as_ref().filter(|_| has_failed) {
            lines.extend(some(&findings.list, SHOWN_COUNT_MAX, "findings", finding));
        }
    }
    if let Some(log) = check.log.as_ref().filter(|_| has_failed) {
        lines.push(format!("log: {log}"));
    }
    lines
}
