//! The append-only record of a deployment, and how it is written as bytes.
//!
//! A journal is text, one record a line: `<checksum> <json>\n`. The checksum is the first 16
//! hexadecimal characters of BLAKE3 over the previous line's checksum and this line's JSON, so that
//! a changed, lost or reordered line is noticed. The first record is the header with the plan; then
//! come entries with rising sequence numbers. Behind the last record there may be zero bytes, which
//! are room reserved so that a full disk cannot stop the unwinding from being recorded.

mod bounds;

pub use bounds::{LINE_BYTES_MAX, LIST_LENGTH_MAX, TEXT_BYTES_MAX};

use crate::plan::{Plan, StepId};
use crate::target::{Before, Failure, Outcome};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A step is about to act; this is what it will replace.
    Started {
        /// The step.
        step: StepId,
        /// What it will replace.
        before: Before,
    },
    /// A step acted.
    Applied {
        /// The step.
        step: StepId,
        /// What it did.
        outcome: Outcome,
    },
    /// A step failed, perhaps half-way.
    Failed {
        /// The step.
        step: StepId,
        /// Why.
        error: Failure,
    },
    /// Stopping was asked for.
    Cancelled {
        /// By whom or what.
        reason: String,
    },
    /// What a step replaced is back.
    Restored {
        /// The step.
        step: StepId,
        /// One line for people.
        note: String,
        /// Whether it does not run, as it did not before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        down: bool,
    },
    /// A step could not be restored.
    RestoreFailed {
        /// The step.
        step: StepId,
        /// Why.
        error: Failure,
    },
    /// An engine took the deployment up again after another one ended without finishing it.
    Resumed {
        /// Who took it up.
        by: String,
    },
}

/// An entry with its place and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its place; the first entry has 1.
    pub seq: u64,
    /// When it was appended, by the clock of the machine that did.
    pub at: Timestamp,
    /// Whose journal has it, where several hosts' are read as one; None in a host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What happened.
    pub entry: Entry,
}

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header<A = serde_json::Value> {
    /// Always `cutover-journal`.
    pub format: String,
    /// Format version, now 1.
    pub version: u32,
    /// What is being done.
    pub plan: Plan<A>,
}

/// Names the format in a header.
pub const FORMAT: &str = "cutover-journal";
/// The format version that this code writes. It reads 1.
pub const VERSION: u32 = 1;
/// The largest journal that is read, in bytes.
pub const JOURNAL_BYTES_MAX: usize = 64 << 20;

/// Where entries go. Only what this returned `Ok` for has happened.
pub trait Journal {
    /// Appends an entry durably, if it becomes number `seq`.
    fn append(&mut self, seq: u64, entry: &Entry) -> Result<Record, JournalError>;
}

/// Why an entry could not be appended or a journal not read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another engine appended meanwhile.
    #[error("journal has entry {found} where {expected} was to be written: another process drives this deployment")]
    Conflict {
        /// The sequence number that was to be written.
        expected: u64,
        /// What the journal would give next.
        found: u64,
    },
    /// The journal cannot be written or read.
    #[error("{operation} journal {path}")]
    Io {
        /// What was tried: `write`, `open`, `read`.
        operation: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The journal is not what was written.
    #[error("journal is damaged at line {line}: {why}")]
    Damaged {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// An entry is of a kind that this version does not know.
    #[error(
        "journal has an entry {kind:?} at line {line} that this version does not know: it was written by a newer version"
    )]
    UnknownEntry {
        /// Line, counted from 1.
        line: usize,
        /// The kind, cut to a printable length.
        kind: String,
    },
    /// The journal was written by a newer version.
    #[error("journal has format version {0}; this version reads up to {VERSION}")]
    TooNew(u32),
}

/// A checksum in a chain: of everything up to and including a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(String);

impl Default for Chain {
    fn default() -> Self {
        Self("0".repeat(CHECKSUM_LENGTH))
    }
}

const CHECKSUM_LENGTH: usize = 16;

impl Chain {
    fn next(&self, json: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.0.as_bytes()).update(json.as_bytes());
        Self(hasher.finalize().to_hex()[..CHECKSUM_LENGTH].to_owned())
    }

    /// Encodes one record as a line and moves the chain on.
    pub fn encode(&mut self, record: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_string(record)?;
        *self = self.next(&json);
        Ok(format!("{} {json}\n", self.0).into_bytes())
    }
}

/// The header of a plan's journal.
pub fn header<A: Clone>(plan: &Plan<A>) -> Header<A> {
    Header { format: FORMAT.to_owned(), version: VERSION, plan: plan.clone() }
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<A = serde_json::Value> {
    /// The plan of its header.
    pub plan: Plan<A>,
    /// Its entries in order.
    pub records: Vec<Record>,
    /// How many bytes are sound; whatever follows was never acknowledged.
    pub sound_bytes: usize,
    /// The chain after the last sound line.
    pub chain: Chain,
}

impl<A> Recorded<A> {
    /// The entries without place and time.
    pub fn entries(&self) -> Vec<Entry> {
        self.records.iter().map(|record| record.entry.clone()).collect()
    }
}

/// Reads a journal. A torn last line is dropped: it was never acknowledged, so nothing was done on its word.
/// Who goes on appending must first cut the file to `sound_bytes` (zeros may follow), so that nothing of a torn line
/// stands behind the next one.
///
/// Ok(None) is a journal whose header was never completed: nothing was done at all.
pub fn decode<A: DeserializeOwned>(bytes: &[u8]) -> Result<Option<Recorded<A>>, JournalError> {
    if bytes.len() > JOURNAL_BYTES_MAX {
        return Err(damaged(1, format!("it has {} bytes; the most is {JOURNAL_BYTES_MAX}", bytes.len())));
    }
    let written = &bytes[..bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)];
    let mut lines = Lines { rest: written, number: 0, chain: Chain::default(), sound_bytes: 0 };
    let Some(json) = lines.next()? else { return Ok(None) };
    let plan = read_header(json)?;
    let mut records = Vec::new();
    while let Some(json) = lines.next()? {
        let record: Record = serde_json::from_str(json).map_err(|e| unread(lines.number, json, &e))?;
        let expected = records.len() as u64 + 1;
        if record.seq != expected {
            return Err(damaged(lines.number, format!("entry {} stands where {expected} should", record.seq)));
        }
        records.push(record);
    }
    Ok(Some(Recorded { plan, records, sound_bytes: lines.sound_bytes, chain: lines.chain }))
}

fn read_header<A: DeserializeOwned>(json: &str) -> Result<Plan<A>, JournalError> {
    #[derive(Deserialize)]
    struct Version {
        format: String,
        version: u32,
    }
    let version: Version = serde_json::from_str(json).map_err(|e| damaged(1, e.to_string()))?;
    if version.format != FORMAT {
        return Err(damaged(1, "it is not a Cutover journal".to_owned()));
    }
    if version.version > VERSION {
        return Err(JournalError::TooNew(version.version));
    }
    let header: Header<A> = serde_json::from_str(json).map_err(|e| damaged(1, e.to_string()))?;
    header.plan.check().map_err(|e| damaged(1, e.to_string()))?;
    Ok(header.plan)
}

/// The kinds of entries that this version knows, as they are written.
const KINDS: [&str; 7] = ["started", "applied", "failed", "cancelled", "restored", "restore_failed", "resumed"];

/// Why a line with a sound checksum could not be read: most likely it is newer than this version.
fn unread(line: usize, json: &str, error: &serde_json::Error) -> JournalError {
    #[derive(Deserialize)]
    struct Kind {
        entry: serde_json::Value,
    }
    let entry = serde_json::from_str::<Kind>(json).map(|kind| kind.entry).unwrap_or_default();
    let kind = entry.as_str().or_else(|| entry.as_object().and_then(|entry| entry.keys().next()).map(String::as_str));
    match kind {
        Some(kind) if !KINDS.contains(&kind) => {
            JournalError::UnknownEntry { line, kind: kind.chars().take(100).collect() }
        }
        Some(_) | None => damaged(line, error.to_string()),
    }
}

fn damaged(line: usize, why: String) -> JournalError {
    JournalError::Damaged { line, why }
}

struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
    chain: Chain,
    sound_bytes: usize,
}

impl<'a> Lines<'a> {
    /// The next sound line's JSON; None at the end or at a torn tail.
    fn next(&mut self) -> Result<Option<&'a str>, JournalError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let end = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = (&self.rest[..end], self.rest.get(end + 1..));
        let (Some((json, chain)), Some(rest)) = (self.verified(line), rest) else {
            return if self.is_torn(line, rest) {
                Ok(None)
            } else {
                Err(damaged(self.number, "its checksum does not match".to_owned()))
            };
        };
        (self.chain, self.rest, self.sound_bytes) = (chain, rest, self.sound_bytes + end + 1);
        Ok(Some(json))
    }

    /// Whether a line can be what an append left that was cut off by a crash: the last one, without its end or,
    /// since lines are written where zeros were, with a hole of zeros. Everything else was changed after it was written.
    fn is_torn(&self, line: &[u8], rest: Option<&[u8]>) -> bool {
        let ends_here = rest.is_none_or(<[u8]>::is_empty);
        let has_hole = line.contains(&0);
        ends_here && (rest.is_none() || has_hole) && !self.begins_sound(line)
    }

    /// Whether a whole sound record stands at the beginning of a longer line: its newline was changed.
    fn begins_sound(&self, line: &[u8]) -> bool {
        let Some(json) = line.get(CHECKSUM_LENGTH + 1..) else { return false };
        let mut values = serde_json::Deserializer::from_slice(json).into_iter::<serde::de::IgnoredAny>();
        let is_json = values.next().is_some_and(|value| value.is_ok());
        let end = CHECKSUM_LENGTH + 1 + values.byte_offset();
        is_json && end < line.len() && self.verified(&line[..end]).is_some()
    }

    fn verified<'l>(&self, line: &'l [u8]) -> Option<(&'l str, Chain)> {
        let (sum, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let chain = self.chain.next(json);
        (chain.0 == sum).then_some((json, chain))
    }
}
