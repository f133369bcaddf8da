//! How large an entry may be: whatever a step says must fit into the room that is reserved for the way back.

use super::Entry;
use crate::probe::ProbeResult;
use crate::target::{EXCERPT_BYTES_MAX, Failure, Outcome, tail};

/// The longest message, hint, note or reason in an entry, in bytes.
pub const TEXT_BYTES_MAX: usize = 4 << 10;
/// The longest warning, and the longest text of a probe, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 10;
/// The most warnings and the most probes in an entry; of more, the last ones are kept.
pub const LIST_LENGTH_MAX: usize = 50;

impl Entry {
    /// The same entry, its texts cut where they are too long, each with a mark that says so.
    ///
    /// A before-image is never cut: what it lacks could not be restored.
    #[must_use]
    pub fn bounded(self) -> Self {
        match self {
            Self::Started { .. } => self,
            Self::Applied { step, outcome } => Self::Applied { step, outcome: bounded_outcome(outcome) },
            Self::Failed { step, error } => Self::Failed { step, error: bounded_failure(error) },
            Self::Cancelled { reason } => Self::Cancelled { reason: cut(reason, TEXT_BYTES_MAX) },
            Self::Restored { step, note, down } => Self::Restored { step, note: cut(note, TEXT_BYTES_MAX), down },
            Self::RestoreFailed { step, error } => Self::RestoreFailed { step, error: bounded_failure(error) },
            Self::Resumed { by } => Self::Resumed { by: cut(by, TEXT_BYTES_MAX) },
        }
    }
}

fn bounded_outcome(outcome: Outcome) -> Outcome {
    let hidden = outcome.warnings.len().saturating_sub(LIST_LENGTH_MAX);
    let mark = (hidden > 0).then(|| format!("{hidden} more are left out"));
    let warnings = last(outcome.warnings).map(|warning| cut(warning, LINE_BYTES_MAX)).chain(mark).collect();
    let note = cut(outcome.note, TEXT_BYTES_MAX);
    Outcome { changed: outcome.changed, note, warnings, probes: bounded_probes(outcome.probes) }
}

fn bounded_failure(error: Failure) -> Failure {
    Failure {
        kind: error.kind,
        message: cut(error.message, TEXT_BYTES_MAX),
        hint: error.hint.map(|hint| cut(hint, TEXT_BYTES_MAX)),
        excerpt: tail(&error.excerpt, EXCERPT_BYTES_MAX).to_owned(),
        log: error.log.map(|log| cut(log, TEXT_BYTES_MAX)),
        probes: bounded_probes(error.probes),
    }
}

fn bounded_probes(probes: Vec<ProbeResult>) -> Vec<ProbeResult> {
    let bounded = |probe: ProbeResult| ProbeResult {
        name: cut(probe.name, LINE_BYTES_MAX),
        endpoint: cut(probe.endpoint, LINE_BYTES_MAX),
        body: cut(probe.body, LINE_BYTES_MAX),
        error: cut(probe.error, LINE_BYTES_MAX),
        ..probe
    };
    last(probes).map(bounded).collect()
}

fn last<T>(list: Vec<T>) -> impl Iterator<Item = T> {
    let hidden = list.len().saturating_sub(LIST_LENGTH_MAX);
    list.into_iter().skip(hidden)
}

/// The beginning of a text that is too long, and how much of it is left out.
fn cut(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{} … ({} bytes more)", &text[..end], text.len() - end)
}
