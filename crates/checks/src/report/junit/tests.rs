use super::*;
use cutover_core::check::CaseCounts;

fn read_text(text: &str) -> Result<(Cases, Kept<String>), Fault> {
    read(text.as_bytes(), Bounds::default())
}

fn read_ok(text: &str) -> (Cases, Vec<String>) {
    let (cases, warnings) = read_text(text).unwrap();
    (cases, warnings.items)
}

fn counts(passed: u64, failed: u64, errored: u64, skipped: u64, flaky: u64) -> CaseCounts {
    CaseCounts { passed, failed, errored, skipped, flaky }
}

#[test]
fn each_outcome_is_counted_once() {
    let (cases, warnings) = read_ok(
        r#"<testsuites><testsuite name="s" tests="6">
        <testcase name="passed" time="0.5"/>
        <testcase name="failed" time="1,000.25"><failure>a</failure><failure>b</failure></testcase>
        <testcase name="errored"><error message="m"/></testcase>
        <testcase name="both"><error message="teardown"/><failure message="assert"/></testcase>
        <testcase name="skipped"><skipped/></testcase>
        <testcase name="left out" status="notrun" result="suppressed"/>
        </testsuite></testsuites>"#,
    );
    assert_eq!(cases.counts, counts(1, 2, 1, 2, 0));
    assert_eq!(cases.seconds, 1000.75);
    assert_eq!(warnings, [""; 0]);
    let messages: Vec<_> = cases.failures.items.iter().map(|case| case.message.as_str()).collect();
    assert_eq!(messages, ["a", "m", "assert"]);
}

#[test]
fn a_teardowns_error_beside_its_failure_is_one_case_also_when_others_stand_between() {
    let case =
        |name: &str, said: &str| format!(r#"<testcase classname="c" name="{name}"><{said} message="m"/></testcase>"#);
    let text = [case("a", "failure"), case("b", "failure"), case("a", "error"), case("d", "error")].concat();
    let (cases, warnings) = read_ok(&format!(r#"<testsuite name="pytest" tests="3">{text}</testsuite>"#));
    assert_eq!(cases.counts, counts(0, 2, 1, 0, 0));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn cases_of_the_same_name_that_both_failed_are_two() {
    let (cases, _) = read_ok(
        r#"<testsuite><testcase name="a"><failure/></testcase><testcase name="a"><failure/></testcase><testcase name="a"/></testsuite>"#,
    );
    assert_eq!(cases.counts, counts(1, 2, 0, 0, 0));
}

#[test]
fn earlier_attempts_make_a_case_flaky_only_if_it_passed_in_the_end() {
    let (cases, _) = read_ok(
        r#"<testsuite name="s">
        <testcase name="a"><flakyFailure message="first"><stackTrace>at</stackTrace></flakyFailure><flakyError message="second"/></testcase>
        <testcase name="b"><rerunFailure/></testcase>
        <testcase name="c"><failure message="last"/><rerunFailure message="first"/></testcase></testsuite>"#,
    );
    assert_eq!(cases.counts, counts(2, 1, 0, 0, 2));
    assert_eq!(cases.flaky.items[0].message, "first");
    assert_eq!(cases.failures.items[0].message, "last");
}

#[test]
fn suites_lie_in_each_other_and_a_suite_that_could_not_begin_is_an_errored_case() {
    let (cases, warnings) = read_ok(
        r#"<testsuites tests="3"><testsuite name="outer" tests="1" file="a.js"><testcase name="a"/>
        <testsuite name="inner" tests="1"><testcase name="b"/></testsuite></testsuite>
        <testsuite name="broken"><error message="cannot load"/></testsuite></testsuites>"#,
    );
    assert_eq!(cases.counts, counts(2, 0, 1, 0, 0));
    let broken = &cases.failures.items[0];
    assert_eq!((broken.suite.as_str(), broken.message.as_str()), ("broken", "cannot load"));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn numbers_that_no_way_of_counting_explains_are_warnings() {
    let (cases, warnings) = read_ok(
        r#"<testsuites><testsuite name="s" tests="9"><testcase name="a"/></testsuite>
        <testsuite name="t" tests="1" errors="2"><testcase name="a"/></testsuite></testsuites>"#,
    );
    assert_eq!(cases.counts.total(), 2);
    let expected = [
        r#"suite "s" says that it has 9 tests, and has 1"#,
        r#"suite "t" says that 2 of its tests failed, and shows none of them"#,
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn attempts_explain_why_a_suite_says_that_it_has_more_tests_and_failures_than_cases() {
    let (cases, warnings) = read_ok(
        r#"<testsuites tests="4" failures="2"><testsuite name="s" tests="4" failures="2" time="1,234.5">
        <testcase name="a" time="1,234.5"><flakyFailure message="1"/><flakyFailure message="2"/></testcase>
        <testcase name="b"/></testsuite></testsuites>"#,
    );
    assert_eq!((cases.counts.total(), cases.counts.flaky), (2, 1));
    assert!((cases.seconds - 1234.5).abs() < 0.01, "{}", cases.seconds);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn a_failures_details_are_kept_without_what_would_harm_a_terminal() {
    let (cases, _) = read_ok(
        r#"<testsuite name="pytest" file="f.py"><testcase classname="pkg.T" name="t&#10;&lt;1&gt;" line="6" time="0.25">
        <failure>  first &amp; <![CDATA[<second>]]>&#27;[31m
third</failure><system-out>not this</system-out></testcase></testsuite>"#,
    );
    let failure = &cases.failures.items[0];
    assert_eq!((failure.suite.as_str(), failure.name.as_str()), ("pkg.T", "t\n<1>"));
    assert_eq!((failure.file.as_deref(), failure.line), (Some("f.py"), Some(7)));
    assert_eq!((failure.message.as_str(), failure.seconds), ("first & <second>\nthird", Some(0.25)));
    assert_eq!(failure.outcome, CaseOutcome::Failed);
}

#[test]
fn details_are_bounded_and_counts_are_not() {
    let case = format!("<testcase name='a'><failure>{}</failure></testcase>", "m".repeat(10_000));
    let (cases, _) = read_ok(&format!("<testsuite>{}</testsuite>", case.repeat(FAILURES_MAX + 7)));
    assert_eq!(cases.counts.failed, FAILURES_MAX as u64 + 7);
    assert_eq!((cases.failures.items.len(), cases.failures.left_out_count), (FAILURES_MAX, 7));
    assert!(cases.failures.items.iter().all(|case| case.message.len() <= 2048));
}

#[test]
fn a_report_without_cases_is_a_fault() {
    for text in ["<testsuites/>", "<testsuites tests='0'><testsuite name='s'/></testsuites>"] {
        assert!(matches!(read_text(text), Err(Fault::Empty { .. })), "{text}");
    }
}

#[test]
fn what_is_no_junit_or_no_whole_document_is_malformed() {
    let texts = [
        "<html><testcase/></html>",
        "<testsuite><testcase name='a'/>",
        "<testsuite><testcase name='a'></testsuite></testcase>",
        "<testsuite><testcase name='a'/></testsuite><testsuite><testcase name='b'/></testsuite>",
        "<testsuite><testcase name=a/></testsuite>",
        "",
    ];
    for text in texts {
        let read = read_text(text);
        assert!(matches!(read, Err(Fault::Malformed { .. } | Fault::Empty { .. })), "{text}: {read:?}");
    }
}

#[test]
fn attempts_that_pytest_repeats_are_one_case_and_flaky_if_the_last_passed() {
    // Others stand between where tests run side by side.
    let text = r#"<testcase name="a"/><testcase name="b"/><testcase name="a"/><testcase name="b"/><testcase name="c"/>
        <testcase name="b"><failure/></testcase><testcase name="a"/><testcase name="d"/><testcase name="d"/>"#;
    let (cases, warnings) = read_ok(&format!(r#"<testsuite name="pytest" tests="4">{text}</testsuite>"#));
    assert_eq!(cases.counts, counts(3, 1, 0, 0, 2));
    assert_eq!(warnings, [""; 0]);
    let flaky: Vec<_> = cases.flaky.items.iter().map(|case| (case.name.as_str(), case.outcome)).collect();
    assert_eq!(flaky, [("a", CaseOutcome::Flaky), ("d", CaseOutcome::Flaky)]);
    let (cases, _) = read_ok(&format!(r#"<testsuite name="vitest">{text}</testsuite>"#));
    assert_eq!(cases.counts, counts(8, 1, 0, 0, 0));
}

#[test]
fn repeated_cases_beyond_the_bound_are_counted() {
    let cases: String = (0..FAILURES_MAX + 3).map(|number| format!("<testcase name='{number}'/>").repeat(2)).collect();
    let (cases, _) = read_ok(&format!("<testsuite name='pytest'>{cases}</testsuite>"));
    assert_eq!((cases.counts.flaky, cases.counts.passed), (FAILURES_MAX as u64 + 3, FAILURES_MAX as u64 + 3));
    assert_eq!((cases.flaky.items.len(), cases.flaky.left_out_count), (FAILURES_MAX, 3));
}
