//! Deciding by numbers: pure, all gates at once, each with its number and its limit in words.
//!
//! A gate whose number is unknown fails. Nothing passes because there was nothing to see, with one exception that its
//! words tell: a change without a line that is known as code has no lines to cover.

use cutover_core::check::{
    CaseCounts, Counted, Finding, Findings, Gate, Judgement, Limits, Percent, Report, Severity, Verdict,
};
use std::fmt;

/// Judges a report: its tests must pass where it has any, and all limits that are set must be kept, in the order of [`Limits`].
pub fn judge(limits: &Limits, report: &Report) -> Vec<Judgement> {
    let lines = report.coverage.as_ref().map(|coverage| coverage.lines);
    let judged = [
        report.cases.as_ref().map(|cases| tests_pass(cases.counts)),
        limits.tests_min.map(|min| tests_min(min, report)),
        limits.coverage_min.map(|min| coverage(Gate::CoverageMin, min, lines)),
        limits.coverage_wanted.map(|wanted| coverage(Gate::CoverageWanted, wanted, lines)),
        limits.patch_coverage_min.map(|min| patch_coverage_min(min, report)),
        limits.severity_max.map(|max| severity_max(max, report)),
        limits.flaky_max.map(|max| flaky_max(max, report)),
    ];
    judged.into_iter().flatten().collect()
}

fn tests_pass(counts: CaseCounts) -> Judgement {
    let (gate, ran, bad) = (Gate::TestsPass, counted(counts.ran(), "test"), counts.failed + counts.errored);
    match bad {
        0 => passed(gate, format!("{ran} ran, and none failed")),
        bad => failed(gate, format!("{bad} of {ran} failed")),
    }
}

fn tests_min(min: u64, report: &Report) -> Judgement {
    let gate = Gate::TestsMin;
    let Some(cases) = &report.cases else { return unknown(gate, min, "no report of tests was read") };
    let ran = cases.counts.ran();
    let tests = counted(ran, "test");
    match cases.counts.skipped {
        _ if ran >= min => passed(gate, format!("{tests} ran, {gate} = {min}")),
        0 => failed(gate, format!("{tests} ran, fewer than {gate} = {min}")),
        skipped => failed(gate, format!("{tests} ran and {skipped} were skipped, fewer than {gate} = {min}")),
    }
}

fn coverage(gate: Gate, limit: Percent, lines: Option<Counted>) -> Judgement {
    let Some(lines) = lines else { return unknown(gate, limit, "no report of coverage was read") };
    let Some(share) = share(lines) else { return unknown(gate, limit, "the reports of coverage know no line of code") };
    if limit.is_reached_by(lines) {
        return passed(gate, format!("{share} are covered, {gate} = {limit}"));
    }
    let words = format!("{share} are covered, less than {gate} = {limit}");
    if gate == Gate::CoverageWanted { Judgement { gate, verdict: Verdict::Warned, words } } else { failed(gate, words) }
}

fn patch_coverage_min(min: Percent, report: &Report) -> Judgement {
    let gate = Gate::PatchCoverageMin;
    let Some(patch) = &report.patch else {
        let why = "no report of coverage tells lines, or what was changed is not known";
        return unknown(gate, min, why);
    };
    let left_out = match patch.unknown_file_count {
        0 => String::new(),
        count => format!("; {} not in any report of coverage", changed_files(count)),
    };
    let Some(share) = share(patch.lines) else {
        return passed(gate, format!("no changed line is known as code, so {gate} = {min} asks for nothing{left_out}"));
    };
    if min.is_reached_by(patch.lines) {
        passed(gate, format!("{share} that were changed are covered, {gate} = {min}{left_out}"))
    } else {
        failed(gate, format!("{share} that were changed are covered, less than {gate} = {min}{left_out}"))
    }
}

fn severity_max(max: Severity, report: &Report) -> Judgement {
    let gate = Gate::SeverityMax;
    let Some(findings) = &report.findings else { return unknown(gate, max, "no report of findings was read") };
    if findings.failed_run_count > 0 {
        let runs = counted(findings.failed_run_count, "scan");
        return unknown(gate, max, &format!("{runs} failed or looked at nothing, as the report itself says"));
    }
    let total = counted(findings.counts.total(), "finding");
    match (findings.counts.above(max), findings.counts.worst()) {
        (0, None) => passed(gate, format!("{total}, {gate} = {max}")),
        (0, Some(worst)) => passed(gate, format!("{total}, the worst of them {worst}, {gate} = {max}")),
        (above, worst) => {
            let worst = worst.map_or("unknown", Severity::as_str);
            let example = example(findings, max).map(|example| format!(", such as {example}")).unwrap_or_default();
            failed(gate, format!("{above} of {total} are above {gate} = {max}, the worst of them {worst}{example}"))
        }
    }
}

fn flaky_max(max: u64, report: &Report) -> Judgement {
    let gate = Gate::FlakyMax;
    let Some(cases) = &report.cases else { return unknown(gate, max, "no report of tests was read") };
    let flaky = cases.counts.flaky;
    let tests = counted(flaky, "test");
    if flaky <= max {
        return passed(gate, format!("{tests} passed only when repeated, {gate} = {max}"));
    }
    let example = cases.flaky.items.first().map(|case| format!(", such as `{}`", case.name)).unwrap_or_default();
    failed(gate, format!("{tests} passed only when repeated{example}, more than {gate} = {max}"))
}

/// The first of the worst findings that are above a limit, with its place.
fn example(findings: &Findings, max: Severity) -> Option<String> {
    let above = findings.list.items.iter().filter(|finding| finding.severity > max);
    let worst = above.min_by_key(|finding| std::cmp::Reverse(finding.severity))?;
    let Finding { tool, rule, file, line, .. } = worst;
    let place = match (file, line) {
        (Some(file), Some(line)) => format!(" at {file}:{line}"),
        (Some(file), None) => format!(" in {file}"),
        (None, _) => String::new(),
    };
    Some(format!("`{rule}` of {tool}{place}"))
}

/// "69.96 % of lines (1749 of 2500)", rounded down; None of nothing.
fn share(lines: Counted) -> Option<String> {
    let points = lines.basis_points()?;
    Some(format!("{}.{:02} % of the lines ({} of {})", points / 100, points % 100, lines.covered, lines.total))
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn changed_files(count: u64) -> String {
    if count == 1 { "1 changed file is".to_owned() } else { format!("{count} changed files are") }
}

fn passed(gate: Gate, words: String) -> Judgement {
    Judgement { gate, verdict: Verdict::Passed, words }
}

fn failed(gate: Gate, words: String) -> Judgement {
    Judgement { gate, verdict: Verdict::Failed, words }
}

fn unknown(gate: Gate, limit: impl fmt::Display, why: &str) -> Judgement {
    failed(gate, format!("{gate} = {limit} cannot be judged: {why}"))
}

#[cfg(test)]
mod tests;
