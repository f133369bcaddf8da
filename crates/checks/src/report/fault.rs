//! What can be wrong with a report.

use super::Format;
use std::fmt;
use std::io;

/// Why a report was not read, with the report's name.
#[derive(Debug, thiserror::Error)]
#[error("report `{report}`: {fault}")]
pub struct ReportError {
    /// The report, as the caller names it.
    pub report: String,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a report.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It could not be read to its end.
    #[error("read: {0}")]
    Read(#[source] io::Error),
    /// It begins like none of the formats.
    #[error(
        "its beginning is that of no known format (JUnit, Cobertura, LCOV, coverage.py's or Istanbul's JSON, SARIF)"
    )]
    Unknown,
    /// It is not what its format wants.
    #[error("{place} is no {format}: {why}")]
    Malformed {
        /// The format that it was read as.
        format: Format,
        /// Where the mistake is.
        place: Place,
        /// What is wrong there.
        why: String,
    },
    /// It goes beyond a bound, or has what no honest report has.
    #[error("refused at {place}: {why}")]
    Refused {
        /// Where that is.
        place: Place,
        /// What is not accepted.
        why: String,
    },
    /// It is well formed, and nothing is in it: whoever wrote it looked at nothing.
    #[error("there are no {what} in it: see whether the command that wrote it ran what it should")]
    Empty {
        /// What should be there.
        what: &'static str,
    },
}

/// A place in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A byte, from 0.
    Byte(u64),
    /// A line, from 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(byte) => write!(out, "byte {byte}"),
            Self::Line(line) => write!(out, "line {line}"),
        }
    }
}
