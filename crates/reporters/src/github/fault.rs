//! What can go wrong when GitHub is spoken to.

use std::time::Duration;

/// Why something was not done at GitHub. Its text never has the token in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The token is not known.
    #[error("GitHub does not know the token, so it cannot {doing} (401: {message}); it is wrong or has expired")]
    Unknown {
        /// What was asked for: "make a check run".
        doing: &'static str,
        /// What GitHub said.
        message: String,
    },
    /// The token may not do this.
    #[error("GitHub does not let the token {doing} ({status}: {message}); that needs the permission `{permission}`")]
    Refused {
        /// What was asked for.
        doing: &'static str,
        /// The answer's status: 403 or 404.
        status: u16,
        /// What GitHub said.
        message: String,
        /// What is missing, as workflows write it: `pull-requests: write`.
        permission: &'static str,
    },
    /// GitHub does not take what was sent.
    #[error("GitHub did not {doing} ({status}: {message})")]
    Rejected {
        /// What was asked for.
        doing: &'static str,
        /// The answer's status.
        status: u16,
        /// What GitHub said.
        message: String,
    },
    /// There were more requests than GitHub takes, and it asks for more time than there is.
    #[error("GitHub has had too many requests to {doing} ({status}), and wants a pause of {} s", wait.as_secs())]
    Limited {
        /// What was asked for.
        doing: &'static str,
        /// The answer's status: 403 or 429.
        status: u16,
        /// How long it wants to be left alone.
        wait: Duration,
    },
    /// GitHub gave no answer of use, however often it was asked.
    #[error("GitHub could not {doing}: {why}")]
    Unheard {
        /// What was asked for.
        doing: &'static str,
        /// What came instead of an answer.
        why: String,
        /// Whether it may have been done all the same.
        may_have_landed: bool,
    },
    /// It is this machine that failed, and not GitHub.
    #[error("this machine could not {doing}: {why}")]
    Here {
        /// What was asked for.
        doing: &'static str,
        /// What it said.
        why: String,
        /// What kind of error that was.
        kind: std::io::ErrorKind,
    },
}

impl Fault {
    pub(super) fn here(doing: &'static str, error: &std::io::Error) -> Self {
        Self::Here { doing, why: error.to_string(), kind: error.kind() }
    }

    /// Whether the token may not do this: others of its rights may do.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Unknown { .. }
            | Self::Rejected { .. }
            | Self::Limited { .. }
            | Self::Unheard { .. }
            | Self::Here { .. } => false,
        }
    }
}
