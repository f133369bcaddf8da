use super::*;
use cutover_core::check::run::{Attempt, Exit};
use cutover_core::check::{CaseCounts, CaseOutcome, Cases, Findings, Gate, Judgement, Severity};
use insta::assert_snapshot;
use jiff::Timestamp;

fn passed(name: &str) -> CheckRun {
    let exit = Exit::Code(0);
    let attempt = Attempt { started_at: Timestamp::UNIX_EPOCH, seconds: 1.5, exit };
    CheckRun { attempts: vec![attempt], ..CheckRun::queued(name) }
}

fn failure(name: &str, message: &str) -> CaseFailure {
    let (suite, file) = ("shop".to_owned(), Some("tests/a,b.py".to_owned()));
    let (name, message) = (name.to_owned(), message.to_owned());
    CaseFailure { suite, name, file, line: Some(7), outcome: CaseOutcome::Failed, message, seconds: None }
}

fn with_cases(name: &str, failures: Vec<CaseFailure>) -> CheckRun {
    let counts = CaseCounts { passed: 3, failed: failures.len() as u64, ..CaseCounts::default() };
    let cases = Cases {
        counts,
        failures: cutover_core::check::Kept { items: failures, left_out_count: 0 },
        ..Cases::default()
    };
    let report = Report { cases: Some(cases), ..Report::default() };
    let words = "1 of 4 tests failed".to_owned();
    let judgements = vec![Judgement { gate: Gate::TestsPass, verdict: Verdict::Failed, words }];
    CheckRun { report: Some(report), judgements, ..passed(name) }.judged()
}

fn with_findings(name: &str, severities: &[Severity]) -> CheckRun {
    let mut findings = Findings::default();
    for severity in severities {
        let (tool, rule, file) = ("scan".to_owned(), "R1".to_owned(), Some("app.py".to_owned()));
        let message = "a <b>secret</b> | here".to_owned();
        findings.list.push(Finding { tool, rule, severity: *severity, file, line: None, message }, 1000);
    }
    let report = Report { findings: Some(findings), ..Report::default() };
    let judged = Judgement { gate: Gate::SeverityMax, verdict: Verdict::Failed, words: "too bad".to_owned() };
    CheckRun { report: Some(report), judgements: vec![judged], ..passed(name) }.judged()
}

fn run(checks: Vec<CheckRun>) -> Run {
    Run::new(Timestamp::UNIX_EPOCH, 3.25, checks)
}

#[test]
fn failures_are_marked_where_they_stand_the_worst_first() {
    let wanted = Judgement { gate: Gate::CoverageWanted, verdict: Verdict::Warned, words: "60 %: less".to_owned() };
    let warned = CheckRun { judgements: vec![wanted], ..passed("cover") }.judged();
    let run = run(vec![
        warned,
        with_findings("scan", &[Severity::Low, Severity::Critical]),
        with_cases("unit", vec![failure("adds: up", "assert 1 == 2\nat 100%")]),
    ]);

    assert_snapshot!(annotations(&run).join("\n"), @r"
    ::error title=check scan::✗ failed after 1.50s: a gate failed%0Atoo bad
    ::error title=check unit::✗ failed after 1.50s: a gate failed%0A1 of 4 tests failed
    ::error file=tests/a%2Cb.py,line=7,title=unit%3A adds%3A up::assert 1 == 2%0Aat 100%25
    ::error file=app.py,title=scan%3A scan R1::critical: a <b>secret</b> | here
    ::error file=app.py,title=scan%3A scan R1::low: a <b>secret</b> | here
    ::warning title=check cover::60 %25: less
    ");
}

#[test]
fn what_a_runner_would_hide_is_counted() {
    let failures = (0..30).map(|number| failure(&number.to_string(), "x")).collect();
    let lines = annotations(&run(vec![with_cases("unit", failures)]));
    assert_eq!(lines.len(), 10);
    assert!(lines[0].starts_with("::error title=check unit::"), "{lines:?}");
    assert!(
        lines[9].ends_with("::22 more are not shown here; the summary of this step and its log have them"),
        "{lines:?}"
    );
}

#[test]
fn nothing_that_a_check_says_becomes_a_command_or_a_property() {
    let evil = "x\n::set-output name=a::b\r\n::error::c";
    let case = CaseFailure { file: Some("a\n::error::b,line=1:2".to_owned()), ..failure(evil, evil) };
    for line in annotations(&run(vec![with_cases("unit", vec![case])])) {
        assert!(!line.contains(['\n', '\r']), "{line:?}");
        let (properties, _) = line.strip_prefix("::error ").and_then(|rest| rest.split_once("::")).unwrap();
        let is_own = |property: &str| ["file=", "line=", "title="].iter().any(|name| property.starts_with(name));
        assert!(properties.split(',').all(is_own) && !properties.contains(':'), "{line:?}");
    }
}

#[test]
fn the_summary_has_failures_first_and_folds_what_is_fine() {
    let multi = failure("adds", "assert 1 == 2\n\n<script>alert(1)</script> @everyone");
    let failed = run(vec![passed("lint").judged(), with_cases("unit", vec![failure("counts", "short"), multi])]);
    assert_snapshot!(summary(&failed), @r"
    ### ✗ The checks failed in 3.25s: 1 failed, 1 passed; 5 tests ran

    | check | |
    |---|---|
    | unit | ✗ failed after 1.50s: a gate failed |
    | lint | ✓ passed in 1.50s |

    #### unit

    - ✗ 1 of 4 tests failed

    <div>✗ shop::counts (tests/a,b.py:7): short</div>
    <details><summary>✗ shop::adds (tests/a,b.py:7): assert 1 == 2</summary>
    <pre>assert 1 == 2
    &#8203;
    &lt;script&gt;alert(1)&lt;/script&gt; &#64;&#8203;everyone</pre></details>
    ");
    let fine = run(vec![passed("lint").judged()]);
    assert_snapshot!(summary(&fine), @r"
    ### ✓ The checks passed in 3.25s: 1 passed

    <details><summary>All checks</summary>

    | check | |
    |---|---|
    | lint | ✓ passed in 1.50s |

    </details>
    ");
    assert_eq!(outputs(&failed), "conclusion=failure\nfailed=1\npassed=1\nskipped=0\n");
}

#[test]
fn a_summary_stays_within_what_is_shown_at_all() {
    let failures = || (0..1000).map(|number| failure(&number.to_string(), &"y\n".repeat(4000))).collect();
    let run = run((0..20).map(|number| with_cases(&format!("unit-{number}"), failures())).collect());
    let summary = summary(&run);
    assert!(summary.len() < 1 << 20, "{}", summary.len());
    assert!(
        summary.contains("more</div>") && summary.contains("more checks are only in the log"),
        "nothing is left out in silence"
    );
}
