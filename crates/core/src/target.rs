//! The hands: what every adapter can do with a step.

use crate::plan::{Step, StepId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a step will replace, as its adapter captured it. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Before(pub serde_json::Value);

impl Before {
    /// Keeps a typed before-image.
    pub fn encode(image: &impl Serialize) -> Result<Self, Failure> {
        serde_json::to_value(image).map(Self).map_err(|e| Failure::new(format!("encode the before-image: {e}")))
    }

    /// Gives the typed before-image back.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_value(self.0.clone()).map_err(|e| Failure::new(format!("decode the before-image: {e}")))
    }
}

/// What a step that was applied did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether anything changed.
    pub changed: bool,
    /// One line for people: "12 files, 4.1 MB; 988 already here".
    pub note: String,
    /// Things that people should know though nothing failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What probes saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<crate::probe::ProbeResult>,
}

impl Outcome {
    /// An outcome that changed something.
    pub fn changed(note: impl Into<String>) -> Self {
        Self { changed: true, note: note.into(), ..Self::default() }
    }

    /// An outcome that found everything as wanted.
    pub fn unchanged(note: impl Into<String>) -> Self {
        Self { changed: false, note: note.into(), ..Self::default() }
    }
}

/// What sort of failure it was, for exit codes and hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The step could not be done.
    #[default]
    Failed,
    /// It took longer than allowed.
    TimedOut,
    /// The disk has no room.
    NoSpace,
    /// A person or a signal asked to stop.
    Cancelled,
    /// The release was observed to be unhealthy.
    Unhealthy,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// The message of a step that was asked to stop, and the reason of a deployment that was: somebody wished it.
const CANCELLED: &str = "cancelled";
const ASKED: &str = "asked to stop";

/// Whether a deployment that was cancelled for this reason was so on somebody's wish, and for no other reason.
pub(crate) fn is_wish(reason: &str) -> bool {
    // A step says what it was at before.
    reason.is_empty() || reason == ASKED || reason.ends_with(CANCELLED)
}

/// The largest excerpt of a log in a failure, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 8 * 1024;

/// Why a step failed: what, where, why, and the log's last lines. Secrets are masked before it is made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Failure {
    /// What sort it was.
    #[serde(default)]
    pub kind: FailureKind,
    /// A fragment that names its subject: "restart unit app.service: exit code 1".
    pub message: String,
    /// What to do about it, when the adapter knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The last lines of what was said, at most [`EXCERPT_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
    /// The whole log's path on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// What probes saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<crate::probe::ProbeResult>,
}

impl Failure {
    /// A plain failure.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The same failure of another kind.
    #[must_use]
    pub fn kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same failure with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with the end of a log, cut to [`EXCERPT_BYTES_MAX`] at a line's start.
    #[must_use]
    pub fn excerpt(mut self, log: &str) -> Self {
        self.excerpt = tail(log, EXCERPT_BYTES_MAX).to_owned();
        self
    }

    /// The failure of having been asked to stop.
    pub fn cancelled() -> Self {
        Self::new(CANCELLED).kind(FailureKind::Cancelled)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The last `bytes_max` bytes of a text, from a line's start where there is one.
pub fn tail(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut at = text.len() - bytes_max;
    while !text.is_char_boundary(at) {
        at += 1;
    }
    let cut = &text[at..];
    cut.split_once('\n').map_or(cut, |(_, rest)| rest)
}

/// Why a step is being restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A step failed.
    Failed,
    /// A person, a signal or a newer deployment asked to stop.
    Cancelled,
}

/// What a step that is being restored may know of the whole way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwinding {
    /// Why.
    pub cause: Cause,
    /// Which step's failure began it; None where none failed.
    pub failed: Option<StepId>,
    /// Whether a release was made `current` meanwhile: then the way back must be seen to be healthy.
    pub switched: bool,
    /// Whether a step after this one acted. Until then, what runs is what ran.
    pub went_on: bool,
}

/// What a step brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restoration {
    /// One line for people.
    pub note: String,
    /// Whether what was brought back does not run, because it did not run before either.
    pub down: bool,
}

impl<T: Into<String>> From<T> for Restoration {
    fn from(note: T) -> Self {
        Self { note: note.into(), down: false }
    }
}

/// Carries "stop" from a signal handler to whatever is at work. Once set it stays set.
#[derive(Debug, Default)]
pub struct Cancel {
    is_set: AtomicBool,
    why: OnceLock<String>,
}

impl Cancel {
    /// A flag that is not set.
    pub const fn new() -> Self {
        Self { is_set: AtomicBool::new(false), why: OnceLock::new() }
    }

    /// Asks to stop.
    pub fn cancel(&self) {
        self.is_set.store(true, Ordering::SeqCst);
    }

    /// Asks to stop for a reason that is no person's wish; of several, the first one counts.
    pub fn cancel_because(&self, why: &str) {
        if !why.is_empty() {
            // One that is known already stays.
            let _ = self.why.set(why.to_owned());
        }
        self.cancel();
    }

    /// Why, as a journal has it; `said` is what a step says of it.
    pub(crate) fn reason(&self, said: Option<String>) -> String {
        self.why().map(str::to_owned).or(said).unwrap_or_else(|| ASKED.to_owned())
    }

    /// Why, where that is known.
    pub fn why(&self) -> Option<&str> {
        self.why.get().map(String::as_str)
    }

    /// Whether stopping was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }
}

/// What a step may say while it acts. Progress may be dropped; nothing depends on it.
pub trait Progress {
    /// So much of so much is done; `total` 0 means unknown. `unit` is "files", "bytes" …
    fn advance(&self, done: u64, total: u64, unit: &'static str);
    /// One line of output of a child process, masked already.
    fn output(&self, line: &str);
    /// One probe was made.
    fn probed(&self, result: &crate::probe::ProbeResult);
    /// Whether the step should stop early with [`Failure::cancelled`]. Never true while restoring.
    fn cancelled(&self) -> bool;
}

/// Nobody follows.
#[derive(Debug, Clone, Copy)]
pub struct Unheard;

impl Progress for Unheard {
    fn advance(&self, _done: u64, _total: u64, _unit: &'static str) {}
    fn output(&self, _line: &str) {}
    fn probed(&self, _result: &crate::probe::ProbeResult) {}
    fn cancelled(&self) -> bool {
        false
    }
}

/// An adapter: three verbs, each safe to repeat.
pub trait Target {
    /// What its steps do.
    type Action;

    /// Reads what the step would replace; changes nothing.
    fn capture(&self, step: &Step<Self::Action>) -> Result<Before, Failure>;

    /// Does the step. Twice equals once, also after a half-finished attempt.
    fn apply(&self, step: &Step<Self::Action>, before: &Before, progress: &dyn Progress) -> Result<Outcome, Failure>;

    /// Brings back what was there, also after a half-finished `apply` or `restore`.
    fn restore(
        &self,
        step: &Step<Self::Action>,
        before: &Before,
        unwinding: Unwinding,
        progress: &dyn Progress,
    ) -> Result<Restoration, Failure>;
}
