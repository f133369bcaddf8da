use super::*;
use cutover_core::check::{CaseCounts, CaseFailure, CaseOutcome, Cases, Coverage, Kept, PatchCoverage, SeverityCounts};

fn percent(number: f64) -> Percent {
    Percent::new(number).unwrap()
}

/// The only judgement of a report by these limits, besides that of failed cases.
fn only(limits: Limits, report: &Report) -> (Verdict, String) {
    let mut judged = judge(&limits, report);
    judged.retain(|one| one.gate != Gate::TestsPass);
    let [Judgement { verdict, words, .. }] = judged.as_slice() else { panic!("{judged:?}") };
    (*verdict, words.clone())
}

fn with_cases(counts: CaseCounts) -> Report {
    Report { cases: Some(Cases { counts, ..Cases::default() }), ..Report::default() }
}

fn with_lines(covered: u64, total: u64) -> Report {
    let coverage = Coverage { lines: Counted { covered, total }, ..Coverage::default() };
    Report { coverage: Some(coverage), ..Report::default() }
}

fn with_patch(covered: u64, total: u64, unknown_file_count: u64) -> Report {
    let patch = PatchCoverage { lines: Counted { covered, total }, unknown_file_count };
    Report { patch: Some(patch), ..Report::default() }
}

fn with_findings(severities: &[Severity]) -> Report {
    let mut findings = Findings::default();
    for severity in severities {
        findings.counts.add(*severity, 1);
        let (tool, rule, file) = ("scan".to_owned(), severity.to_string(), Some("a.py".to_owned()));
        let finding = Finding { tool, rule, severity: *severity, file, line: Some(3), message: String::new() };
        findings.list.push(finding, 100);
    }
    Report { findings: Some(findings), ..Report::default() }
}

#[test]
fn a_failed_case_fails_without_any_limit() {
    let all = |passed, failed, errored| {
        let counts = CaseCounts { passed, failed, errored, ..CaseCounts::default() };
        judge(&Limits::default(), &with_cases(counts))
            .into_iter()
            .map(|one| (one.verdict, one.words))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(3, 1, 1), [(Verdict::Failed, "2 of 5 tests failed".to_owned())]);
    assert_eq!(all(3, 0, 0), [(Verdict::Passed, "3 tests ran, and none failed".to_owned())]);
}

#[test]
fn what_is_unknown_fails_whichever_gate_asks() {
    let all = Limits {
        tests_min: Some(0),
        coverage_min: Some(percent(0.0)),
        coverage_wanted: Some(percent(0.0)),
        patch_coverage_min: Some(percent(0.0)),
        severity_max: Some(Severity::Critical),
        flaky_max: Some(u64::MAX),
    };
    let judged = judge(&all, &Report::default());
    assert_eq!(judged.len(), 6);
    assert!(
        judged.iter().all(|one| one.verdict == Verdict::Failed && one.words.contains("cannot be judged")),
        "{judged:?}"
    );
    assert!(judged.iter().all(|one| one.words.starts_with(one.gate.as_str())), "{judged:?}");
    assert_eq!(judge(&Limits::default(), &Report::default()), []);
}

#[test]
fn skipped_tests_do_not_count_as_run() {
    let limits = Limits { tests_min: Some(3), ..Limits::default() };
    let counts = CaseCounts { passed: 1, failed: 1, errored: 1, ..CaseCounts::default() };
    assert_eq!(only(limits, &with_cases(counts)), (Verdict::Passed, "3 tests ran, tests_min = 3".to_owned()));
    let counts = CaseCounts { passed: 2, skipped: 5, ..CaseCounts::default() };
    let words = "2 tests ran and 5 were skipped, fewer than tests_min = 3".to_owned();
    assert_eq!(only(limits, &with_cases(counts)), (Verdict::Failed, words));
    let words = "1 test ran, fewer than tests_min = 3".to_owned();
    assert_eq!(only(limits, &with_cases(CaseCounts { passed: 1, ..CaseCounts::default() })), (Verdict::Failed, words));
}

#[test]
fn coverage_is_compared_unrounded_and_shown_rounded_down() {
    let limits = Limits { coverage_min: Some(percent(70.0)), ..Limits::default() };
    let words = "69.99 % of the lines (69999 of 100000) are covered, less than coverage_min = 70 %".to_owned();
    assert_eq!(only(limits, &with_lines(69_999, 100_000)), (Verdict::Failed, words));
    assert_eq!(only(limits, &with_lines(7, 10)).0, Verdict::Passed);
    assert_eq!(only(limits, &with_lines(0, 0)).0, Verdict::Failed);
    // 0.701 has no exact value in binary.
    let limits = Limits { coverage_min: Some(percent(70.1)), ..Limits::default() };
    let words = "70.10 % of the lines (701 of 1000) are covered, coverage_min = 70.1 %".to_owned();
    assert_eq!(only(limits, &with_lines(701, 1000)), (Verdict::Passed, words));
}

#[test]
fn coverage_that_is_only_wanted_warns() {
    let limits = Limits { coverage_wanted: Some(percent(90.0)), ..Limits::default() };
    assert_eq!(only(limits, &with_lines(89, 100)).0, Verdict::Warned);
    assert_eq!(only(limits, &with_lines(90, 100)).0, Verdict::Passed);
}

#[test]
fn a_change_without_lines_of_code_passes_and_says_so() {
    let limits = Limits { patch_coverage_min: Some(percent(80.0)), ..Limits::default() };
    let words = "no changed line is known as code, so patch_coverage_min = 80 % asks for nothing; \
        2 changed files are not in any report of coverage"
        .to_owned();
    assert_eq!(only(limits, &with_patch(0, 0, 2)), (Verdict::Passed, words));
    let words = "75.00 % of the lines (3 of 4) that were changed are covered, less than patch_coverage_min = 80 %; \
        1 changed file is not in any report of coverage"
        .to_owned();
    assert_eq!(only(limits, &with_patch(3, 4, 1)), (Verdict::Failed, words));
    assert_eq!(only(limits, &with_patch(4, 5, 0)).0, Verdict::Passed);
}

#[test]
fn a_finding_above_the_limit_fails_and_is_named() {
    use Severity::{Critical, High, Low, Medium};
    let limits = Limits { severity_max: Some(Medium), ..Limits::default() };
    assert_eq!(only(limits, &with_findings(&[])), (Verdict::Passed, "0 findings, severity_max = medium".to_owned()));
    let words = "2 findings, the worst of them medium, severity_max = medium".to_owned();
    assert_eq!(only(limits, &with_findings(&[Low, Medium])), (Verdict::Passed, words));
    let words = "2 of 3 findings are above severity_max = medium, the worst of them critical, such as `critical` of scan at a.py:3";
    assert_eq!(only(limits, &with_findings(&[Low, High, Critical])), (Verdict::Failed, words.to_owned()));
}

#[test]
fn a_scan_that_failed_passes_nothing() {
    let limits = Limits { severity_max: Some(Severity::Critical), ..Limits::default() };
    let findings = Findings { failed_run_count: 1, counts: SeverityCounts::default(), ..Findings::default() };
    let (verdict, words) = only(limits, &Report { findings: Some(findings), ..Report::default() });
    assert!(verdict == Verdict::Failed && words.contains("1 scan failed or looked at nothing"), "{words}");
}

#[test]
fn flaky_tests_are_limited_and_one_is_named() {
    let limits = Limits { flaky_max: Some(1), ..Limits::default() };
    let counts = |flaky| CaseCounts { passed: 9, flaky, ..CaseCounts::default() };
    assert_eq!(only(limits, &with_cases(counts(1))).0, Verdict::Passed);
    let case = CaseFailure {
        suite: String::new(),
        name: "waits".to_owned(),
        file: None,
        line: None,
        outcome: CaseOutcome::Flaky,
        message: String::new(),
        seconds: None,
    };
    let flaky = Kept { items: vec![case], left_out_count: 1 };
    let report = Report { cases: Some(Cases { counts: counts(2), flaky, ..Cases::default() }), ..Report::default() };
    let words = "2 tests passed only when repeated, such as `waits`, more than flaky_max = 1".to_owned();
    assert_eq!(only(limits, &report), (Verdict::Failed, words));
}

#[test]
fn shares_are_from_nothing_to_all() {
    assert_eq!([-0.1, 100.1, f64::NAN, f64::INFINITY].map(Percent::new), [None; 4]);
    assert_eq!([0.0, 100.0, 69.96].map(|number| percent(number).to_string()), ["0 %", "100 %", "69.96 %"]);
}
