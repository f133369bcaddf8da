use super::*;
use crate::check::{Cases, Coverage, Findings, Gate, Severity};

fn attempt(exit: Exit) -> Attempt {
    Attempt { started_at: Timestamp::UNIX_EPOCH, seconds: 1.5, exit }
}

fn ran(name: &str, exits: &[Exit]) -> CheckRun {
    CheckRun { attempts: exits.iter().cloned().map(attempt).collect(), ..CheckRun::queued(name) }
}

fn judgement(verdict: Verdict) -> Judgement {
    Judgement { gate: Gate::TestsMin, verdict, words: "3 tests ran".to_owned() }
}

#[test]
fn a_check_passes_only_when_exit_reports_and_gates_all_agree() {
    let passed = ran("a", &[Exit::Code(0)]);
    let warned = CheckRun { judgements: vec![judgement(Verdict::Warned)], ..passed.clone() };
    assert_eq!(warned.judged().conclusion, Some(Conclusion::Success));
    let gate = CheckRun { judgements: vec![judgement(Verdict::Passed), judgement(Verdict::Failed)], ..passed.clone() };
    let gate = gate.judged();
    assert_eq!((gate.conclusion, gate.why), (Some(Conclusion::Failure), Some(Why::Gates)));
    let fault = CheckRun { faults: vec!["report `a.xml` is missing".to_owned()], ..passed }.judged();
    assert_eq!((fault.conclusion, fault.why), (Some(Conclusion::Failure), Some(Why::Reports)));
    let exit = CheckRun { judgements: vec![judgement(Verdict::Passed)], ..ran("a", &[Exit::Code(2)]) }.judged();
    assert_eq!((exit.conclusion, exit.why), (Some(Conclusion::Failure), Some(Why::Exit(Exit::Code(2)))));
    assert_eq!(ran("a", &[]).judged().conclusion, Some(Conclusion::Failure));
}

#[test]
fn what_passes_only_when_repeated_is_flaky_and_what_never_passes_is_not() {
    assert!(ran("a", &[Exit::Code(1), Exit::Code(0)]).judged().flaky);
    assert!(!ran("a", &[Exit::Code(0)]).judged().flaky);
    let gate = CheckRun { judgements: vec![judgement(Verdict::Failed)], ..ran("a", &[Exit::Code(1), Exit::Code(0)]) };
    assert!(!gate.judged().flaky);
    assert!(!ran("a", &[Exit::Code(1), Exit::Code(1)]).judged().flaky);
}

fn of(conclusions: &[Conclusion]) -> Conclusion {
    let checks: Vec<_> =
        conclusions.iter().map(|conclusion| CheckRun::queued("a").ended(*conclusion, Why::Gates)).collect();
    Run::new(Timestamp::UNIX_EPOCH, 0.0, checks).conclusion
}

#[test]
fn one_failure_fails_the_run_and_nothing_is_no_success() {
    use Conclusion::{Cancelled, Failure, Skipped, Success};
    assert_eq!(of(&[Success, Skipped]), Success);
    assert_eq!(of(&[Success, Cancelled]), Cancelled);
    assert_eq!(of(&[Cancelled, Failure, Success]), Failure);
    assert_eq!(of(&[Skipped, Skipped]), Skipped);
    assert_eq!(of(&[]), Skipped);
}

fn with_numbers(name: &str, has_coverage: bool) -> CheckRun {
    let cases = Cases { counts: CaseCounts { passed: 2, failed: 1, ..CaseCounts::default() }, ..Cases::default() };
    let mut findings = Findings::default();
    findings.counts.add(Severity::High, 3);
    let coverage = Coverage { lines: Counted { covered: 1, total: 4 }, ..Coverage::default() };
    let report = Report {
        cases: Some(cases),
        coverage: has_coverage.then_some(coverage),
        findings: Some(findings),
        ..Report::default()
    };
    CheckRun { report: Some(report), ..ran(name, &[Exit::Code(0)]) }.judged()
}

#[test]
fn totals_unite_counts_but_not_the_lines_of_several_reports() {
    let totals = Totals::of(&[with_numbers("a", true), with_numbers("b", false)]);
    assert_eq!(totals.success, 2);
    assert_eq!(totals.cases.map(|counts| (counts.passed, counts.failed)), Some((4, 2)));
    assert_eq!(totals.findings.map(|counts| counts.high), Some(6));
    assert_eq!(totals.lines, Some(Counted { covered: 1, total: 4 }));
    assert_eq!(Totals::of(&[with_numbers("a", true), with_numbers("b", true)]).lines, None);
    assert_eq!(Totals::of(&[CheckRun::queued("a")]), Totals::default());
}

#[test]
fn a_record_is_written_as_it_always_was_and_read_again() {
    let cancelled = CheckRun::queued("b").ended(Conclusion::Cancelled, Why::Needed("a".to_owned()));
    let failed = CheckRun { log: Some("a.log".to_owned()), ..ran("a", &[Exit::TimedOut(1.5)]) }.judged();
    let run = Run::new(Timestamp::UNIX_EPOCH, 1.5, vec![failed, cancelled]);
    let json = serde_json::to_string(&run).unwrap();
    let wanted = concat!(
        r#"{"version":1,"started_at":"1970-01-01T00:00:00Z","seconds":1.5,"conclusion":"failure","#,
        r#""totals":{"success":0,"failure":1,"cancelled":1,"skipped":0,"flaky":0},"checks":["#,
        r#"{"name":"a","status":"completed","conclusion":"failure","why":{"exit":{"timed_out":1.5}},"#,
        r#""attempts":[{"started_at":"1970-01-01T00:00:00Z","seconds":1.5,"exit":{"timed_out":1.5}}],"#,
        r#""flaky":false,"log":"a.log"},"#,
        r#"{"name":"b","status":"completed","conclusion":"cancelled","why":{"needed":"a"},"flaky":false}]}"#,
    );
    assert_eq!(json, wanted);
    assert_eq!(serde_json::from_str::<Run>(&json).unwrap(), run);
}

#[test]
fn why_says_it_to_people() {
    let words = |why: Why| why.to_string();
    assert_eq!(words(Why::Exit(Exit::Signal("SIGKILL".to_owned()))), "killed by SIGKILL");
    assert_eq!(words(Why::Exit(Exit::TimedOut(90.0))), "timed out after 90 s");
    assert_eq!(words(Why::Needed("lint".to_owned())), "needs `lint`, which did not pass");
    assert_eq!(words(Why::Stopped(String::new())), "asked to stop");
}
