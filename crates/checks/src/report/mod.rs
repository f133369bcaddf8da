//! Reading reports: one reader for each format, over a stream, so that nothing is held whole.

mod bounded;
mod cobertura;
mod coverage_py;
mod detect;
mod fault;
mod istanbul;
mod json;
mod junit;
mod lcov;
mod lines;
mod reports;
mod sarif;
mod tree;
mod xml;

pub use bounded::{PIECE_BYTES_MAX, REPORT_BYTES_MAX};
pub use cobertura::SOURCES_MAX;
pub use detect::{BEGINNING_BYTES, detect};
pub use fault::{Fault, Place, ReportError};
pub use json::ITEMS_MAX;
pub use junit::{PASSED_MAX, REMEMBERED_MAX};
pub use lcov::LINE_BYTES_MAX;
pub use lines::{BRANCHES_OF_LINE_MAX, FILES_MAX, LINES_MAX, PATH_BYTES_MAX};
pub use reports::{ChangedLines, Reports};
pub use sarif::KINDS_MAX;
pub use tree::Tree;
pub use xml::{ATTRIBUTES_MAX, DEPTH_MAX, TAG_BYTES_MAX};

use std::fmt;

/// A format of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Test cases as XML, in the dialects of pytest, jest, vitest, nextest, googletest and surefire.
    Junit,
    /// Coverage as XML.
    Cobertura,
    /// Coverage as lines of text, as `lcov` and `geninfo` write it.
    Lcov,
    /// Coverage as coverage.py's own JSON.
    CoveragePy,
    /// Coverage as Istanbul's JSON: its full map, or its summary.
    Istanbul,
    /// Findings of scanners as JSON: SARIF 2.1.0.
    Sarif,
}

impl Format {
    /// The format's name as people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Junit => "JUnit XML",
            Self::Cobertura => "Cobertura XML",
            Self::Lcov => "LCOV",
            Self::CoveragePy => "coverage.py JSON",
            Self::Istanbul => "Istanbul JSON",
            Self::Sarif => "SARIF",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
