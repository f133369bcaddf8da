//! Several reports, united.

use super::bounded::Bounds;
use super::detect::{BEGINNING_BYTES, detect};
use super::lines::{CoveredLines, TooMuch};
use super::{Fault, Format, Place, ReportError, Tree, cobertura, coverage_py, istanbul, junit, lcov, sarif};
use cutover_core::check::{Cases, Counted, Findings, Kept, PatchCoverage, Report, WARNINGS_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

/// What is read at once, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Lines that a change adds or alters: for each path from the repository's top, line numbers from 1 as they are after
/// it.
pub type ChangedLines = BTreeMap<String, BTreeSet<u32>>;

/// What was read of reports so far.
pub struct Reports<'a> {
    tree: Tree<'a>,
    cases: Option<Cases>,
    lines: Option<CoveredLines>,
    findings: Option<Findings>,
    warnings: Kept<String>,
}

impl<'a> Reports<'a> {
    /// Nothing yet. The tree is asked for the files that coverage is of.
    pub fn new(tree: Tree<'a>) -> Self {
        Self { tree, cases: None, lines: None, findings: None, warnings: Kept::default() }
    }

    /// Reads one more report, in the format that its beginning has, and tells which that is.
    ///
    /// `name` stands in errors and warnings. A report in which nothing is found has a fault, too ([`Fault::Empty`]).
    /// After a fault all numbers here are too small, and not to be judged.
    pub fn read(&mut self, name: &str, input: impl Read) -> Result<Format, ReportError> {
        self.read_any(name, input).map_err(|fault| ReportError { report: name.to_owned(), fault })
    }

    fn read_any(&mut self, name: &str, mut input: impl Read) -> Result<Format, Fault> {
        let mut beginning = Vec::new();
        input.by_ref().take(BEGINNING_BYTES as u64).read_to_end(&mut beginning).map_err(Fault::Read)?;
        let format = detect(&beginning).ok_or(Fault::Unknown)?;
        let all = BufReader::with_capacity(BUFFER_BYTES, beginning.chain(input));
        self.read_as(format, name, all)?;
        Ok(format)
    }

    fn read_as(&mut self, format: Format, name: &str, input: impl BufRead) -> Result<(), Fault> {
        let bounds = Bounds::default();
        match format {
            Format::Junit => {
                let (mut cases, odd) = junit::read(input, bounds)?;
                let kept = cases.failures.items.iter_mut().chain(&mut cases.flaky.items);
                kept.for_each(|case| self.locate(&mut case.file));
                self.warnings.left_out_count += odd.left_out_count;
                for odd in odd.items {
                    self.warnings.push(format!("report `{name}`: {odd}"), WARNINGS_MAX);
                }
                self.cases.get_or_insert_default().merge(cases);
                Ok(())
            }
            Format::Cobertura => {
                let (sources, lines) = cobertura::read(input, bounds)?;
                self.absorb(lines, &sources)
            }
            Format::Lcov => self.absorb(lcov::read(input, bounds)?, &[]),
            Format::CoveragePy => self.absorb(coverage_py::read(input, bounds)?, &[]),
            Format::Istanbul => self.absorb(istanbul::read(input, bounds)?, &[]),
            Format::Sarif => {
                let mut findings = sarif::read(input, bounds)?;
                findings.list.items.iter_mut().for_each(|finding| self.locate(&mut finding.file));
                self.findings.get_or_insert_default().merge(findings);
                Ok(())
            }
        }
    }

    fn locate(&self, file: &mut Option<String>) {
        *file = file.take().map(|file| self.tree.locate(&file, &[]));
    }

    /// Coverage of several reports is united: a line that one of them covers is covered.
    fn absorb(&mut self, lines: CoveredLines, sources: &[String]) -> Result<(), Fault> {
        let tree = self.tree;
        let absorbed = self.lines.get_or_insert_default().absorb(lines, |path| tree.locate(&path, sources));
        absorbed.map_err(|much: TooMuch| Fault::Refused {
            place: Place::Byte(0),
            why: format!("with the reports before it, {much}"),
        })
    }

    /// Coverage of the lines of a change; None where no report knows lines.
    pub fn patch(&self, changed: &ChangedLines) -> Option<PatchCoverage> {
        let known = self.lines.as_ref().filter(|lines| lines.has_lines())?;
        let mut patch = PatchCoverage { lines: Counted::default(), unknown_file_count: 0 };
        for (path, numbers) in changed {
            let Some(lines) = known.lines(path) else {
                patch.unknown_file_count += 1;
                continue;
            };
            numbers.iter().filter_map(|number| lines.get(number)).for_each(|covered| patch.lines.add(*covered));
        }
        Some(patch)
    }

    /// The record of all that was read, with the coverage of a change where one is given.
    pub fn report(&self, changed: Option<&ChangedLines>) -> Report {
        Report {
            cases: self.cases.clone(),
            coverage: self.lines.as_ref().map(CoveredLines::coverage),
            patch: changed.and_then(|changed| self.patch(changed)),
            findings: self.findings.clone(),
            warnings: self.warnings.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: Tree<'_> = Tree { top: "/top", is_file: &|path| path == "src/a.py" };

    fn changed(files: &[(&str, &[u32])]) -> ChangedLines {
        files.iter().map(|(path, lines)| ((*path).to_owned(), lines.iter().copied().collect())).collect()
    }

    #[test]
    fn of_a_change_only_lines_count_that_are_known_as_code() {
        let mut reports = Reports::new(TREE);
        let lcov = "SF:/top/src/a.py\nDA:1,1\nDA:2,0\nDA:4,1\nend_of_record\n";
        reports.read("a.info", lcov.as_bytes()).unwrap();
        let files: [(&str, &[u32]); 3] = [("src/a.py", &[2, 3, 4]), ("README.md", &[1]), ("src/b.py", &[])];
        let patch = reports.patch(&changed(&files)).unwrap();
        assert_eq!(patch, PatchCoverage { lines: Counted { covered: 1, total: 2 }, unknown_file_count: 2 });
        assert_eq!(reports.report(None).patch, None);
        assert_eq!(reports.report(Some(&changed(&files))).patch, Some(patch));
    }

    #[test]
    fn without_lines_the_coverage_of_a_change_is_unknown() {
        let mut reports = Reports::new(TREE);
        let change = changed(&[("src/a.py", &[1])]);
        assert_eq!(reports.patch(&change), None);
        let summary = r#"{"/top/src/a.py": {"statements": {}, "lines": {"total": 2, "covered": 1}}}"#;
        reports.read("coverage-summary.json", summary.as_bytes()).unwrap();
        assert_eq!(reports.patch(&change), None);
        assert_eq!(reports.report(None).coverage.unwrap().lines, Counted { covered: 1, total: 2 });
    }

    #[test]
    fn files_are_named_from_the_trees_top_whatever_the_report_calls_them() {
        let mut reports = Reports::new(TREE);
        let cobertura = r#"<coverage><sources><source>/top/src</source></sources>
            <class filename="a.py"><lines><line number="1" hits="0"/></lines></class></coverage>"#;
        reports.read("coverage.xml", cobertura.as_bytes()).unwrap();
        reports.read("a.info", "SF:src/a.py\nDA:1,1\nend_of_record\n".as_bytes()).unwrap();
        let coverage = reports.report(None).coverage.unwrap();
        assert_eq!((coverage.lines, coverage.files.total()), (Counted { covered: 1, total: 1 }, 1));
        assert_eq!(coverage.files.items[0].path, "src/a.py");
    }

    #[test]
    fn faults_and_warnings_name_their_report() {
        let mut reports = Reports::new(TREE);
        let fault = reports.read("out/junit.xml", "<testsuites/>".as_bytes()).unwrap_err();
        let words = "report `out/junit.xml`: there are no test cases in it: see whether the command that wrote it ran what it should";
        assert_eq!(fault.to_string(), words);
        let fault = reports.read("a.txt", "hello".as_bytes()).unwrap_err();
        assert!(matches!(fault.fault, Fault::Unknown));
        reports.read("b.xml", "<testsuite name='s' tests='2'><testcase name='a'/></testsuite>".as_bytes()).unwrap();
        let warnings = reports.report(None).warnings.items;
        assert_eq!(warnings, [r#"report `b.xml`: suite "s" says that it has 2 tests, and has 1"#]);
    }
}
