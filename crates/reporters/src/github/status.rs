//! Commit statuses: one word and one line at a commit.

use super::client::Client;
use super::fault::Fault;
use super::names::CommitId;
use super::wire::Call;
use crate::markdown::beginning;
use crate::one_line;
use cutover_core::check::run::Conclusion;
use serde_json::json;

/// The longest description that GitHub takes, in characters. Counted in bytes here, which are never fewer.
pub(super) const DESCRIPTION_BYTES_MAX: usize = 140;

/// The state of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is not known yet.
    Pending,
    /// All is well.
    Success,
    /// It did not pass.
    Failure,
    /// It could not be judged.
    Error,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

impl From<Conclusion> for State {
    fn from(conclusion: Conclusion) -> Self {
        match conclusion {
            Conclusion::Success | Conclusion::Skipped => Self::Success,
            Conclusion::Failure => Self::Failure,
            Conclusion::Cancelled => Self::Error,
        }
    }
}

/// Writes a status. Of several with one context the last one counts, so that one may be written twice.
pub fn write(
    client: &Client,
    commit: &CommitId,
    context: &str,
    state: State,
    description: &str,
    url: &str,
) -> Result<(), Fault> {
    let body = json!({
        "state": state.as_str(),
        "context": context,
        "description": described(description),
        "target_url": url,
    });
    let path = client.path(&format!("statuses/{commit}"));
    client.send(&Call::post(path, body, "write a commit status", "statuses: write").repeatable()).map(drop)
}

/// A description in one line, cut to what GitHub takes.
pub(super) fn described(text: &str) -> String {
    let line = one_line(text);
    if line.len() <= DESCRIPTION_BYTES_MAX {
        return line;
    }
    format!("{}…", beginning(&line, DESCRIPTION_BYTES_MAX - "…".len()).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_fits_whatever_it_is_made_of() {
        assert_eq!(described("short\nline"), "short line");
        assert_eq!(described(&"x".repeat(140)).len(), 140);
        let cut = described(&"ä".repeat(500));
        assert!(cut.len() <= 140 && cut.ends_with("ä…"), "{cut}");
    }
}
