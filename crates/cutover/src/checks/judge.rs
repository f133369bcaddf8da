//! Reading what checks reported, and judging by it.

use super::files::{Stamp, TICK_MAX, matching};
use cutover_checks::gate::judge;
use cutover_checks::report::{ChangedLines, Format, Reports, Tree};
use cutover_checks::run::{Judge, Judged};
use cutover_core::check::Report;
use cutover_core::config::CheckConfig;
use cutover_core::id::CheckName;
use cutover_core::mask::Masker;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Judges checks by the reports that lie in a work tree.
pub(crate) struct ReportJudge<'a> {
    top: &'a Path,
    checks: &'a BTreeMap<CheckName, CheckConfig>,
    /// The lines that the change touches; None where that is not known.
    changed: Option<&'a ChangedLines>,
    masker: &'a Masker,
    /// What lay where reports are written when a check began, by the check: it speaks for an earlier run.
    earlier: Mutex<BTreeMap<String, BTreeMap<String, Stamp>>>,
}

/// What a pattern's reports are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Junit,
    Coverage,
    Sarif,
}

impl Kind {
    fn of(format: Format) -> Self {
        match format {
            Format::Junit => Self::Junit,
            Format::Cobertura | Format::Lcov | Format::CoveragePy | Format::Istanbul => Self::Coverage,
            Format::Sarif => Self::Sarif,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Coverage => "coverage",
            Self::Sarif => "sarif",
        }
    }
}

impl<'a> ReportJudge<'a> {
    /// Judges these checks, which run in the work tree with this top.
    pub(crate) fn new(
        top: &'a Path,
        checks: &'a BTreeMap<CheckName, CheckConfig>,
        changed: Option<&'a ChangedLines>,
        masker: &'a Masker,
    ) -> Self {
        Self { top, checks, changed, masker, earlier: Mutex::default() }
    }

    fn config(&self, check: &str) -> Option<&CheckConfig> {
        self.checks.iter().find(|(name, _)| name.as_str() == check).map(|(_, config)| config)
    }

    /// The reports that a pattern names and that were written since the check began.
    fn written(&self, check: &str, kind: Kind, pattern: &str) -> Result<Vec<String>, String> {
        let found = matching(self.top, pattern)?;
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = earlier.get(check);
        let is_new = |(path, stamp): &(&String, &Stamp)| earlier.and_then(|earlier| earlier.get(*path)) != Some(*stamp);
        let written: Vec<String> = found.iter().filter(is_new).map(|(path, _)| path.clone()).collect();
        match (written.is_empty(), found.keys().next()) {
            (false, _) => Ok(written),
            (true, Some(old)) => {
                Err(format!("reports.{} {pattern:?}: the check wrote none; {old} is of an earlier run", kind.key()))
            }
            (true, None) => Err(format!("reports.{} {pattern:?}: the check wrote none", kind.key())),
        }
    }

    fn read(&self, reports: &mut Reports<'_>, kind: Kind, path: &str) -> Result<(), String> {
        let file = open(&self.top.join(path)).map_err(|error| format!("cannot open report {path}: {error}"))?;
        let format = reports.read(path, file).map_err(|error| error.to_string())?;
        match Kind::of(format) == kind {
            true => Ok(()),
            false => Err(format!("report {path} is {}, and not what reports.{} takes", format.as_str(), kind.key())),
        }
    }
}

/// Opens a regular file, also where something else has taken its place meanwhile.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, OFlags::RDONLY | flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file any more")) }
}

/// Hides secrets in what reports say: whoever wrote them may have printed one.
fn mask(report: &mut Report, masker: &Masker) {
    let hide = |text: &mut String| *text = masker.mask(text);
    for cases in report.cases.iter_mut() {
        for case in cases.failures.items.iter_mut().chain(&mut cases.flaky.items) {
            [&mut case.suite, &mut case.name, &mut case.message].into_iter().chain(&mut case.file).for_each(hide);
        }
    }
    for finding in report.findings.iter_mut().flat_map(|findings| &mut findings.list.items) {
        [&mut finding.tool, &mut finding.rule, &mut finding.message]
            .into_iter()
            .chain(&mut finding.file)
            .for_each(hide);
    }
    report.warnings.items.iter_mut().for_each(hide);
}

/// All patterns of a check, with what they are of.
fn patterns(config: &CheckConfig) -> impl Iterator<Item = (Kind, &String)> {
    let reports = &config.reports;
    let all = [(Kind::Junit, &reports.junit), (Kind::Coverage, &reports.coverage), (Kind::Sarif, &reports.sarif)];
    all.into_iter().flat_map(|(kind, patterns)| patterns.iter().map(move |pattern| (kind, pattern)))
}

impl Judge for ReportJudge<'_> {
    fn prepare(&self, check: &str) -> Result<(), String> {
        let Some(config) = self.config(check) else { return Ok(()) };
        let mut earlier = BTreeMap::new();
        for (_, pattern) in patterns(config) {
            earlier.extend(matching(self.top, pattern)?);
        }
        // What is written again within one tick of the file system's clock would look the same.
        if earlier.values().any(Stamp::is_fresh) {
            std::thread::sleep(TICK_MAX);
        }
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner).insert(check.to_owned(), earlier);
        Ok(())
    }

    fn judge(&self, check: &str) -> Judged {
        let Some(config) = self.config(check) else { return Judged::default() };
        if patterns(config).next().is_none() {
            return Judged::default();
        }
        let top = self.top.to_string_lossy();
        let is_file = |path: &str| self.top.join(path).is_file();
        let (mut reports, mut faults) = (Reports::new(Tree { top: &top, is_file: &is_file }), Vec::new());
        // Two patterns may name one file: its cases count once.
        let mut paths: BTreeMap<String, Kind> = BTreeMap::new();
        for (kind, pattern) in patterns(config) {
            let written = self.written(check, kind, pattern).unwrap_or_else(|fault| {
                faults.push(fault);
                Vec::new()
            });
            for path in written {
                let known = *paths.entry(path.clone()).or_insert(kind);
                if known != kind {
                    faults.push(format!(
                        "report {path} is named by reports.{} and reports.{}",
                        known.key(),
                        kind.key()
                    ));
                }
            }
        }
        faults.extend(paths.iter().filter_map(|(path, kind)| self.read(&mut reports, *kind, path).err()));
        let mut report = reports.report(self.changed);
        mask(&mut report, self.masker);
        faults.iter_mut().for_each(|fault| *fault = self.masker.mask(fault));
        // After a fault all numbers are too small to be judged.
        let judgements = if faults.is_empty() { judge(&config.limits, &report) } else { Vec::new() };
        Judged { report: Some(report), judgements, faults }
    }
}
