use super::*;
use cutover_core::check::{Severity, SeverityCounts};

fn read_text(text: &str) -> Result<Findings, Fault> {
    read(text.as_bytes(), Bounds::default())
}

/// A report of one run with these members.
fn run(members: &str) -> Findings {
    read_text(&format!(r#"{{"version": "2.1.0", "runs": [{{{members}}}]}}"#)).unwrap()
}

const TOOL: &str = r#""tool": {"driver": {"name": "scan", "rules": [
    {"id": "R1", "defaultConfiguration": {"level": "error"}},
    {"id": "R2", "properties": {"security-severity": "9.1"}},
    {"id": "R3", "defaultConfiguration": {"level": "note"}, "properties": {"security-severity": 5}}]},
    "extensions": [{"name": "x", "rules": [{"id": "X1", "defaultConfiguration": {"level": "none"}}]}]}"#;

#[test]
fn a_level_comes_from_the_result_its_rule_or_is_warning_and_a_score_decides() {
    let results = r#""results": [{"ruleId": "R1"}, {"ruleId": "R1", "level": "note"}, {"ruleId": "R2", "level": "note"},
        {"ruleId": "R3"}, {"ruleId": "unknown"}, {"ruleIndex": 0}, {"ruleId": "R1/part"},
        {"rule": {"index": 0, "toolComponent": {"index": 0}}}]"#;
    for members in [format!("{TOOL}, {results}"), format!("{results}, {TOOL}")] {
        let findings = run(&members);
        assert_eq!(findings.counts, SeverityCounts { none: 1, low: 1, medium: 2, high: 3, critical: 1 });
        let severities: Vec<_> = findings.list.items.iter().map(|finding| finding.severity).collect();
        use Severity::{Critical, High, Low, Medium, None};
        assert_eq!(severities, [High, Low, Critical, Medium, Medium, High, High, None]);
        assert_eq!(findings.list.items[5].rule, "R1");
        assert_eq!((findings.list.items[7].rule.as_str(), findings.list.items[7].tool.as_str()), ("X1", "scan"));
    }
}

#[test]
fn an_invocations_configuration_goes_before_a_rules() {
    let overridden = r#""invocations": [{"executionSuccessful": true, "ruleConfigurationOverrides":
        [{"descriptor": {"id": "R1"}, "configuration": {"level": "note"}}]}]"#;
    let findings = run(&format!(r#"{TOOL}, {overridden}, "results": [{{"ruleId": "R1"}}]"#));
    assert_eq!(findings.counts, SeverityCounts { low: 1, ..SeverityCounts::default() });
}

#[test]
fn only_failures_that_are_neither_suppressed_nor_absent_are_findings() {
    let findings =
        run(r#""results": [{"kind": "fail"}, {"kind": "pass"}, {"kind": "notApplicable"}, {"kind": "review"},
        {"baselineState": "absent"}, {"baselineState": "unchanged"},
        {"suppressions": [{"kind": "inSource"}]}, {"suppressions": []},
        {"suppressions": [{"kind": "external", "status": "underReview"}, {"kind": "inSource"}]}]"#);
    assert_eq!((findings.counts.total(), findings.suppressed_count), (4, 1));
}

#[test]
fn a_finding_has_its_place_as_a_path() {
    let findings = run(r#""results": [{"message": {"text": "bad"}, "locations": [{"physicalLocation":
        {"artifactLocation": {"uri": "file:///src/a%20b.py"}, "region": {"startLine": 3}}}]},
        {"message": {"markdown": "**m**"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "c"}}}]},
        {"message": {}, "locations": []}]"#);
    let places: Vec<_> = findings.list.items.iter().map(|finding| (finding.file.as_deref(), finding.line)).collect();
    assert_eq!(places, [(Some("/src/a b.py"), Some(3)), (Some("c"), None), (None, None)]);
    assert_eq!(findings.list.items[1].message, "**m**");
}

#[test]
fn a_clean_run_is_no_fault_and_one_that_did_not_look_is() {
    assert_eq!(run(r#""results": []"#), Findings::default());
    for text in [r#"{"runs": []}"#, r#"{"runs": [{"results": null}]}"#, r#"{"runs": [{"tool": {"driver": {}}}]}"#] {
        assert!(matches!(read_text(text), Err(Fault::Empty { .. })), "{text}");
    }
    for text in
        [r#"{"version": "2.1.0"}"#, r#"{"runs": {}}"#, r#"{"runs": [{"results": []}]"#, "[]", r#"{"runs": []} x"#]
    {
        assert!(matches!(read_text(text), Err(Fault::Malformed { .. })), "{text}");
    }
}

#[test]
fn a_run_that_failed_is_told() {
    let findings = run(r#""invocations": [{"executionSuccessful": false}], "results": []"#);
    assert_eq!(findings.failed_run_count, 1);
    let findings = read_text(r#"{"runs": [{"results": []}, {"results": null}]}"#).unwrap();
    assert_eq!(findings.failed_run_count, 1);
}

#[test]
fn kinds_of_results_are_bounded() {
    let results: Vec<_> = (0..=KINDS_MAX).map(|number| format!(r#"{{"ruleId": "{number}"}}"#)).collect();
    let read = read_text(&format!(r#"{{"runs": [{{"results": [{}]}}]}}"#, results.join(",")));
    assert!(read.unwrap_err().to_string().contains("kinds"));
}
