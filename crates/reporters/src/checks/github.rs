//! A run of checks as GitHub Actions shows it: annotations, a summary of the step, outputs.
//!
//! The limits are GitHub's: it shows 10 annotations of a kind for each step and hides the rest without a word, and drops a
//! summary of more than 1 MiB whole ("Workflow commands for GitHub Actions").

use super::words::{case, ended, finding, judged, ranked, total};
use crate::markdown::{beginning, escaped, markup};
use crate::one_line;
use cutover_core::check::run::{CheckRun, Conclusion, Run};
use cutover_core::check::{CaseFailure, Finding, Report, Verdict};
use std::fmt::Write;

/// How many annotations of one kind are shown.
const ANNOTATION_COUNT_MAX: usize = 10;
/// The room of a step's summary: there is some left for what other commands of the step add.
const STEP_ROOM: Room = Room { bytes_max: 900 << 10, section_bytes_max: 200 << 10 };
/// How long the line may be that says how many checks are left out, in bytes.
const HIDDEN_BYTES_MAX: usize = 200;
/// How long a message in a summary or an annotation may be, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// How large a summary may become, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// All of it.
    pub(crate) bytes_max: usize,
    /// The details of one check.
    pub(crate) section_bytes_max: usize,
}

/// What is marked at a place, or at none.
pub(crate) struct Annotation<'a> {
    pub(crate) title: String,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
    pub(crate) message: String,
}

/// The lines that mark what is wrong, the most important first: checks that failed, their failed cases, their findings.
/// What is more than GitHub shows is counted in the last one.
pub fn annotations(run: &Run) -> Vec<String> {
    let lines = |kind: &str, all: Vec<Annotation<'_>>| shown(all).iter().map(|one| line(kind, one)).collect::<Vec<_>>();
    [lines("error", errors(run)), lines("warning", warnings(run))].concat()
}

/// What is wrong, the most important first.
pub(crate) fn errors(run: &Run) -> Vec<Annotation<'_>> {
    let failed = || run.checks.iter().filter(|check| check.conclusion == Some(Conclusion::Failure));
    let reports = || failed().filter_map(|check| Some((check, check.report.as_ref()?)));
    let checks = failed().map(|check| {
        let reasons = check.faults.iter().cloned().chain(verdicts(check, Verdict::Failed));
        let message = std::iter::once(ended(check)).chain(reasons).collect::<Vec<_>>().join("\n");
        Annotation { title: format!("check {}", check.name), file: None, line: None, message }
    });
    let cases = reports().flat_map(|(check, report)| {
        let failures = report.cases.iter().flat_map(|cases| &cases.failures.items);
        failures.map(move |failure| of_case(check, failure))
    });
    let mut findings: Vec<(&CheckRun, &Finding)> =
        reports().flat_map(|(check, report)| of_findings(check, report)).collect();
    findings.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
    let findings = findings.into_iter().map(|(check, finding)| of_finding(check, finding));
    checks.chain(cases).chain(findings).collect()
}

fn of_findings<'a>(check: &'a CheckRun, report: &'a Report) -> impl Iterator<Item = (&'a CheckRun, &'a Finding)> {
    report.findings.iter().flat_map(|findings| &findings.list.items).map(move |finding| (check, finding))
}

fn of_case<'a>(check: &CheckRun, failure: &'a CaseFailure) -> Annotation<'a> {
    let title = format!("{}: {}", check.name, failure.name);
    Annotation { title, file: failure.file.as_deref(), line: failure.line, message: failure.message.clone() }
}

fn of_finding<'a>(check: &CheckRun, finding: &'a Finding) -> Annotation<'a> {
    let title = format!("{}: {} {}", check.name, finding.tool, finding.rule);
    let message = format!("{}: {}", finding.severity, finding.message);
    Annotation { title, file: finding.file.as_deref(), line: finding.line, message }
}

/// What is odd.
pub(crate) fn warnings(run: &Run) -> Vec<Annotation<'_>> {
    let of_check = |check: &CheckRun| {
        let flaky = check.flaky.then(|| ended(check));
        let all: Vec<String> = verdicts(check, Verdict::Warned).into_iter().chain(flaky).chain(odd(check)).collect();
        let title = format!("check {}", check.name);
        all.into_iter().map(move |message| Annotation { title: title.clone(), file: None, line: None, message })
    };
    run.checks.iter().flat_map(of_check).collect()
}

/// What its reports have that is odd.
fn odd(check: &CheckRun) -> impl Iterator<Item = String> {
    check.report.iter().flat_map(|report| report.warnings.items.clone())
}

fn verdicts(check: &CheckRun, verdict: Verdict) -> Vec<String> {
    let such = check.judgements.iter().filter(|judgement| judgement.verdict == verdict);
    such.map(|judgement| judgement.words.clone()).collect()
}

/// Those that are shown; the last one says how many are not.
fn shown(mut all: Vec<Annotation<'_>>) -> Vec<Annotation<'_>> {
    if all.len() > ANNOTATION_COUNT_MAX {
        let hidden = all.len() - (ANNOTATION_COUNT_MAX - 1);
        all.truncate(ANNOTATION_COUNT_MAX - 1);
        let message = format!("{hidden} more are not shown here; the summary of this step and its log have them");
        all.push(Annotation { title: "and more".to_owned(), file: None, line: None, message });
    }
    all
}

fn line(kind: &str, annotation: &Annotation<'_>) -> String {
    let file = annotation.file.map(|file| format!("file={},", property(file))).unwrap_or_default();
    let line = annotation.line.filter(|_| annotation.file.is_some());
    let line = line.map(|line| format!("line={line},")).unwrap_or_default();
    let message = beginning(&annotation.message, MESSAGE_BYTES_MAX);
    format!("::{kind} {file}{line}title={}::{}", property(&one_line(&annotation.title)), data(message))
}

/// Text behind the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The lines between which a runner takes nothing for a command, whatever is printed there. Nobody must be able to guess the
/// token.
pub fn silenced(token: &str) -> [String; 2] {
    [format!("::stop-commands::{token}"), format!("::{token}::")]
}

/// The outputs of the step: one line each.
pub fn outputs(run: &Run) -> String {
    let totals = &run.totals;
    let mut lines = format!("conclusion={}\n", run.conclusion);
    for (name, count) in [("failed", totals.failure), ("passed", totals.success), ("skipped", totals.skipped)] {
        lines += &format!("{name}={count}\n");
    }
    lines
}

/// The summary of the step, as Markdown: failures first and with their details, all that passed in a table that is folded
/// away where nothing failed.
pub fn summary(run: &Run) -> String {
    summary_within(run, STEP_ROOM)
}

/// The same where there is less room.
pub(crate) fn summary_within(run: &Run, room: Room) -> String {
    let mut text = format!("### {}\n\n", markup(&total(run)));
    let checks = ranked(run);
    let is_fine = run.conclusion == Conclusion::Success;
    let table = table(&checks, room.bytes_max / 2);
    text += &if is_fine { format!("<details><summary>All checks</summary>\n\n{table}\n</details>\n") } else { table };
    let mut hidden = 0;
    for check in
        checks.iter().filter(|check| check.conclusion != Some(Conclusion::Success) || !warned(check).is_empty())
    {
        let section = section(check, room.section_bytes_max);
        if text.len() + section.len() + HIDDEN_BYTES_MAX <= room.bytes_max {
            text += &section;
        } else {
            hidden += 1;
        }
    }
    if hidden > 0 {
        let _ = write!(text, "\nThe details of {hidden} more checks are only in the log: a summary is bounded.\n");
    }
    text
}

fn table(checks: &[&CheckRun], bytes_max: usize) -> String {
    let mut table = "| check | |\n|---|---|\n".to_owned();
    for (at, check) in checks.iter().enumerate() {
        let row = format!("| {} | {} |\n", markup(&check.name), markup(&ended(check)));
        if table.len() + row.len() > bytes_max {
            let _ = writeln!(table, "| and {} more | |", checks.len() - at);
            break;
        }
        table += &row;
    }
    table
}

fn warned(check: &CheckRun) -> Vec<String> {
    verdicts(check, Verdict::Warned).into_iter().chain(odd(check)).collect()
}

fn section(check: &CheckRun, bytes_max: usize) -> String {
    let judgements = check.judgements.iter().filter(|judgement| judgement.verdict != Verdict::Passed).map(judged);
    let points = check.faults.iter().cloned().chain(judgements).chain(odd(check));
    let points: String = points.map(|point| format!("- {}\n", markup(&point))).collect();
    let report = check.report.as_ref().filter(|_| check.conclusion == Some(Conclusion::Failure));
    let cases = report.and_then(|report| report.cases.as_ref());
    let cases = cases.map(|cases| &cases.failures);
    let cases = cases.map(|all| blocks(&all.items, all.left_out_count, bytes_max, case, |case| &case.message));
    let findings = report.and_then(|report| report.findings.as_ref());
    let findings = findings.map(|findings| &findings.list);
    let findings = findings.map(|all| blocks(&all.items, all.left_out_count, bytes_max, finding, |_| ""));
    let details = [cases, findings].into_iter().flatten().collect::<String>();
    if points.is_empty() && details.is_empty() {
        return String::new();
    }
    format!("\n#### {}\n\n{points}\n{details}", markup(&check.name))
}

/// Each in a line, with what was said folded beneath.
fn blocks<T>(
    items: &[T],
    left_out_count: u64,
    bytes_max: usize,
    words: fn(&T) -> String,
    message: fn(&T) -> &str,
) -> String {
    let (mut text, mut hidden) = (String::new(), left_out_count);
    for item in items {
        let message = beginning(message(item), MESSAGE_BYTES_MAX);
        let line = escaped(&one_line(&words(item)));
        let block = if message.lines().nth(1).is_some() {
            format!("<details><summary>{line}</summary>\n<pre>{}</pre></details>\n", escaped(message))
        } else {
            format!("<div>{line}</div>\n")
        };
        if text.len() + block.len() <= bytes_max {
            text += &block;
        } else {
            hidden = hidden.saturating_add(1);
        }
    }
    if hidden > 0 {
        let _ = writeln!(text, "<div>and {hidden} more</div>");
    }
    text
}

#[cfg(test)]
mod tests;
