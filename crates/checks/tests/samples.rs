//! Reports that the tools themselves made (`tools/reports/make`), beside what each of them says that it counted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use cutover_checks::report::{Format, Reports, Tree, detect};
use cutover_core::check::{CaseOutcome, Report, Severity};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

/// Where the samples were made, as they have it.
const TREE: Tree<'_> = Tree { top: "/src/project", is_file: &|_| false };

fn read(sample: &str) -> (Format, Report) {
    let mut reports = Reports::new(TREE);
    let format = reports.read(sample, fs::File::open(samples().join(sample)).unwrap()).unwrap();
    (format, reports.report(None))
}

/// What was counted, in the shape of counts.json.
fn counted(report: &Report) -> Value {
    if let Some(cases) = &report.cases {
        return serde_json::to_value(cases.counts).unwrap();
    }
    if let Some(coverage) = &report.coverage {
        return json!({"lines": coverage.lines, "branches": coverage.branches});
    }
    let findings = report.findings.as_ref().unwrap();
    let mut counts = serde_json::to_value(findings.counts).unwrap();
    counts["suppressed"] = findings.suppressed_count.into();
    counts
}

#[test]
fn counts_are_those_of_the_tools_themselves() {
    let mut wrong = Vec::new();
    let mut report_count = 0;
    for tool in fs::read_dir(samples()).unwrap() {
        let tool = tool.unwrap().path();
        let own: Value = serde_json::from_slice(&fs::read(tool.join("counts.json")).unwrap()).unwrap();
        for sample in fs::read_dir(&tool).unwrap() {
            let sample = sample.unwrap().path();
            let file = sample.file_name().unwrap().to_str().unwrap();
            let Some(own) = own.get(file).or(own.get("*")).filter(|_| file != "counts.json") else { continue };
            let name = format!("{}/{file}", tool.file_name().unwrap().to_str().unwrap());
            let counts = counted(&read(&name).1);
            report_count += 1;
            if counts != *own {
                wrong.push(format!("{name}: the tool counted {own}, and we {counts}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(report_count >= 20, "only {report_count} samples");
}

#[test]
fn no_sample_makes_a_warning() {
    for sample in [
        "pytest/xunit1.xml",
        "vitest/junit.xml",
        "nextest/junit.xml",
        "gtest/gtest.xml",
        "surefire/TEST-sample.SampleTest.xml",
    ] {
        let (_, report) = read(sample);
        assert!(report.warnings.is_empty(), "{sample}: {:?}", report.warnings);
    }
}

/// The failure of this name.
fn failure(sample: &str, name: &str) -> (Option<String>, Option<u32>, CaseOutcome, String) {
    let failures = read(sample).1.cases.unwrap().failures.items;
    let failure = failures.iter().find(|failure| failure.name.contains(name));
    let failure = failure.unwrap_or_else(|| panic!("{sample}: no {name:?} in {failures:#?}")).clone();
    (failure.file, failure.line, failure.outcome, failure.message)
}

#[test]
fn failures_have_the_tools_words_and_places() {
    let (file, line, outcome, message) = failure("pytest/xunit1.xml", "test_fails");
    let source = include_str!("../../../tools/reports/projects/python/test_sample.py");
    let expected = 1 + source.lines().position(|line| line.contains("def test_fails()")).unwrap() as u32;
    assert_eq!((file.as_deref(), line, outcome), (Some("test_sample.py"), Some(expected), CaseOutcome::Failed));
    assert_eq!(message, "AssertionError: grades & <more>\nassert 'good' == 'bad'\n  \n  - bad\n  + good");

    let (file, line, _, message) = failure("gtest/gtest.xml", "FailsTwice");
    assert_eq!((file.as_deref(), line), (Some("sample_test.cc"), Some(8)));
    assert!(message.contains("sums & <more>"), "{message}");

    let (_, _, _, message) = failure("jest/suite-errors-false.xml", "fails & says <why>");
    assert!(message.starts_with("Error: expect(received).toBe(expected)"), "{message}");
    let (_, _, _, message) = failure("vitest/junit.xml", "teardown.test.js");
    assert_eq!(message, "teardown broke");
    let (_, _, outcome, message) = failure("nextest/junit.xml", "aborts");
    assert_eq!(outcome, CaseOutcome::Failed, "{message}");
}

#[test]
fn flaky_cases_are_named() {
    for sample in ["pytest/xunit2.xml", "nextest/junit.xml", "surefire/TEST-sample.SampleTest.xml"] {
        let flaky = read(sample).1.cases.unwrap().flaky.items;
        assert!(flaky.len() == 1 && flaky[0].name.to_lowercase().contains("attempt"), "{sample}: {flaky:?}");
    }
}

#[test]
fn findings_have_their_rule_and_place_from_the_top_of_the_tree() {
    let findings = read("bandit/bandit.sarif").1.findings.unwrap();
    let worst = findings.list.items.iter().find(|finding| finding.severity == Severity::High).unwrap();
    assert_eq!((worst.tool.as_str(), worst.rule.as_str(), worst.line), ("Bandit", "B602", Some(10)));
    assert_eq!(worst.file.as_deref(), Some("insecure.py"));
    let findings = read("ruff/ruff.sarif").1.findings.unwrap();
    assert!(findings.list.items.iter().all(|finding| finding.tool == "ruff" && finding.line.is_some()));
    assert!(findings.list.items.iter().any(|finding| finding.file.as_deref() == Some("insecure.py")), "{findings:?}");
}

#[test]
fn the_format_is_seen_from_the_content() {
    let formats = [
        ("pytest/xunit1.xml", Format::Junit),
        ("coverage.py/cobertura.xml", Format::Cobertura),
        ("gcovr/cobertura.xml", Format::Cobertura),
        ("nyc/lcov.info", Format::Lcov),
        ("coverage.py/coverage.json", Format::CoveragePy),
        ("c8/coverage-final.json", Format::Istanbul),
        ("nyc/coverage-summary.json", Format::Istanbul),
        ("ruff/ruff.sarif", Format::Sarif),
    ];
    for (sample, format) in formats {
        assert_eq!(detect(&fs::read(samples().join(sample)).unwrap()), Some(format), "{sample}");
    }
}

#[test]
fn reports_of_several_kinds_become_one_record() {
    let mut reports = Reports::new(TREE);
    for sample in [
        "pytest/xunit2.xml",
        "vitest/junit.xml",
        "coverage.py/cobertura.xml",
        "coverage.py/coverage.lcov",
        "ruff/ruff.sarif",
    ] {
        reports.read(sample, fs::File::open(samples().join(sample)).unwrap()).unwrap();
    }
    let report = reports.report(None);
    let total = ["pytest/xunit2.xml", "vitest/junit.xml"].map(|sample| read(sample).1.cases.unwrap().counts.total());
    assert_eq!(report.cases.as_ref().unwrap().counts.total(), total.iter().sum::<u64>());
    // The same lines twice are the same lines.
    assert_eq!(report.coverage.as_ref().unwrap().lines, read("coverage.py/coverage.json").1.coverage.unwrap().lines);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}
