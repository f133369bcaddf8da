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

/// Lines that a change adds or alters: for each path from the repository's top, line numbers from 1 as they are after it.
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
    /// `name` stands in errors and warnings. A report in which nothing is found has a fault, too ([`Fault::Empty`]). After a fault
    /// all numbers here are too small, and not to be judged.
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
