//! The one place where errors become words, hints and exit codes.
//!
//! Libraries say what failed; here it is said what that means for the user: what stands now, and
//! what to do. To add a library's error: add a `From` below.

mod deployments;

use crate::diagnostics::ConfigFindings;
use crate::exit::Exit;
use crate::output::Output;
use cutover_artifacts::depot::{DepotError, ObjectError};
use cutover_artifacts::{ArtifactError, BuildError};
use cutover_child::GitError;
use cutover_core::id::InvalidId;
use cutover_core::store::StoreError;
use cutover_disk::{DiskError, is_no_space};
use cutover_reporters::{in_environment, one_line};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io;

/// The version of the JSON that errors are told in.
const VERSION: u32 = 1;
/// The most causes of an error that are told.
const CAUSE_COUNT_MAX: usize = 20;

/// What sort of error it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorKind {
    /// The command line is wrong, or names something that does not exist.
    Usage,
    /// `cutover.toml` is missing or wrong.
    Config,
    /// It could not be done; nothing new is live.
    Failed,
    /// Checks did not pass, or did not run.
    ChecksFailed,
    /// Another deployment or a lock is in the way.
    Locked,
    /// A person is needed.
    Stuck,
    /// A host could not be reached, or was lost on the way.
    Unreachable,
    /// Cutover itself is wrong.
    Bug,
    /// Whoever read our output went away. No other machine can say that of us, and so end us as if all were well.
    #[serde(skip_deserializing)]
    OutputClosed,
}

impl ErrorKind {
    fn exit(self) -> Exit {
        match self {
            Self::Usage | Self::Config => Exit::Usage,
            Self::Failed | Self::Bug => Exit::Failed,
            Self::ChecksFailed => Exit::ChecksFailed,
            Self::Locked => Exit::Locked,
            Self::Stuck => Exit::Stuck,
            Self::Unreachable => Exit::Unreachable,
            // `cutover history | head` is no failure.
            Self::OutputClosed => Exit::Done,
        }
    }
}

/// An error as it is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommandError {
    kind: ErrorKind,
    /// On which of several hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// What failed.
    message: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    /// What stands now, where that is in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
    /// The last lines of what a command said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    excerpt: String,
    /// What is wrong in `cutover.toml`, and where.
    #[serde(flatten, skip_deserializing)]
    findings: Option<Box<ConfigFindings>>,
}

/// What machines get.
#[derive(Serialize)]
struct JsonError<'a> {
    v: u32,
    exit_code: u8,
    error: &'a CommandError,
}

impl CommandError {
    /// An error with a message that says what failed: "cannot read cutover.toml".
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            kind,
            host: None,
            message,
            causes: Vec::new(),
            state: None,
            hints: Vec::new(),
            excerpt: String::new(),
            findings: None,
        }
    }

    /// The same error as one of another sort.
    #[must_use]
    pub(crate) fn of_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// The same error with the chain of errors that led to it.
    #[must_use]
    pub(crate) fn because(mut self, cause: &dyn Error) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next.filter(|_| self.causes.len() < CAUSE_COUNT_MAX) {
            self.add_cause(error.to_string());
            next = error.source();
        }
        self
    }

    /// Some errors repeat their source in their own words; it is told once.
    fn add_cause(&mut self, cause: String) {
        let above = self.causes.last().unwrap_or(&self.message);
        if !above.ends_with(&cause) {
            self.causes.push(cause);
        }
    }

    /// The same error with what stands now: "nothing was changed".
    #[must_use]
    pub(crate) fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// The same error where something else was done before: what it says of the host is of the host only.
    #[must_use]
    pub(crate) fn besides(mut self, done: &str) -> Self {
        let state = self.state.take().map(|state| {
            let is_whole = state == "nothing was changed";
            if is_whole { "nothing was changed on the host; ".to_owned() } else { format!("{state}; ") }
        });
        self.state = Some(state.unwrap_or_default() + done);
        self
    }

    /// The same error as one of several hosts'.
    #[must_use]
    pub(crate) fn on_host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// The same error with advice.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error with the end of what a command said, masked already.
    #[must_use]
    pub(crate) fn excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.excerpt = excerpt.into();
        self
    }

    /// The same error with the environment's name where its advice says `ENV`.
    #[must_use]
    pub(crate) fn in_environment(mut self, environment: &str) -> Self {
        self.hints.iter_mut().for_each(|hint| *hint = in_environment(hint, environment));
        self
    }

    /// How a command ends by it.
    pub(crate) fn exit(&self) -> Exit {
        self.kind.exit()
    }

    /// What sort of error it is.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether all is as it was before.
    pub(crate) fn changed_nothing(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.starts_with("nothing was changed"))
    }

    /// What failed, for a warning about it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What failed and the last that was said to it, else what led to it, in one sentence.
    pub(crate) fn reason(&self) -> String {
        let said = self.excerpt.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let said = said.or_else(|| self.causes.last().map(String::as_str));
        said.map_or_else(|| self.message.clone(), |said| format!("{}: {said}", self.message))
    }

    /// What to do, in one sentence.
    pub(crate) fn advice(&self) -> String {
        self.hints.join("; ")
    }

    /// The same, with the environment's name where it says `ENV`.
    pub(crate) fn advice_in(&self, environment: &str) -> String {
        in_environment(&self.advice(), environment)
    }

    /// The findings in a `cutover.toml` that is not sound.
    pub(crate) fn config(findings: ConfigFindings) -> Self {
        let mut error = Self::new(ErrorKind::Config, findings.summary()).state("nothing was changed");
        error.findings = Some(Box::new(findings));
        error
    }

    /// A panic: a mistake in Cutover, not in its use.
    pub(crate) fn bug(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, format!("this is a bug in Cutover: {}", what.into()))
            .state("what a deployment had done is in its journal, under .cutover/ in its deploy_to")
            .hint("`cutover resume ENV` takes up a deployment that was not finished")
            .hint("please report this message")
    }

    fn of(kind: ErrorKind, error: &dyn Error) -> Self {
        let told = Self::new(kind, error.to_string());
        error.source().map_or_else(|| Self::new(kind, error.to_string()), |source| told.because(source))
    }

    /// The same error with what to do about a full disk, when that is what led to it.
    #[must_use]
    pub(crate) fn advise_on_space(self, source: Option<&(dyn Error + 'static)>) -> Self {
        let mut chain = std::iter::successors(source, |error| (*error).source()).take(CAUSE_COUNT_MAX);
        let is_full = chain.any(|error| error.downcast_ref().is_some_and(is_no_space));
        if is_full { self.hint("free some space (df -h; df -i), then try again") } else { self }
    }

    /// Tells the error: on the standard error for people, as one JSON object on the standard output
    /// for machines. Returns how the process ends.
    pub(crate) fn tell(&self, output: &Output) -> Exit {
        let exit = self.exit();
        if self.kind != ErrorKind::OutputClosed {
            // When even this cannot be written, the exit code still says it.
            let _told = if output.json { self.tell_json(output, exit) } else { output.error(&self.text(output)) };
        }
        exit
    }

    fn tell_json(&self, output: &Output, exit: Exit) -> Result<(), CommandError> {
        output.json(&JsonError { v: VERSION, exit_code: exit as u8, error: self })
    }

    fn text(&self, output: &Output) -> String {
        let paint = output.paint_errors();
        let mut text = self.findings.as_ref().map_or_else(String::new, |findings| findings.render(paint, output.width));
        // Some name the host themselves.
        let host = self.host.as_ref().filter(|host| !self.message.contains(host.as_str()));
        let host = host.map(|host| format!("{host}: ")).unwrap_or_default();
        text += &format!("{} {}\n", paint.bad("error:"), one_line(&(host + &self.message)));
        text.extend(self.causes.iter().map(|cause| format!("  because: {}\n", one_line(cause))));
        text.extend(self.excerpt.lines().map(|line| format!("    | {}\n", one_line(line))));
        text.extend(self.state.iter().map(|state| format!("  state: {}\n", one_line(state))));
        text.extend(self.hints.iter().map(|hint| format!("  {} {}\n", paint.strong("hint:"), one_line(hint))));
        text
    }
}

impl From<ArtifactError> for CommandError {
    fn from(error: ArtifactError) -> Self {
        let kind = match &error {
            ArtifactError::UnknownRevision(_)
            | ArtifactError::NothingInCommon(_)
            | ArtifactError::Shallow
            | ArtifactError::NotFound(_)
            | ArtifactError::Ambiguous { .. }
            | ArtifactError::InvalidId(_) => ErrorKind::Usage,
            ArtifactError::Locked { .. } => ErrorKind::Locked,
            ArtifactError::Git(_)
            | ArtifactError::Pattern { .. }
            | ArtifactError::Path(_)
            | ArtifactError::PathNotUtf8(_)
            | ArtifactError::PathTwice(_)
            | ArtifactError::Submodule(_)
            | ArtifactError::LfsPointer(_)
            | ArtifactError::Sparse(_)
            | ArtifactError::SpecialFile(_)
            | ArtifactError::Manifest(_)
            | ArtifactError::Build(_)
            | ArtifactError::Disk(_)
            | ArtifactError::Blob(_)
            | ArtifactError::Damaged { .. }
            | ArtifactError::Import(_)
            | ArtifactError::Export { .. } => ErrorKind::Failed,
        };
        let told = Self::of(kind, &error).state("nothing was deployed").advise_on_space(error.source());
        let told = error.hint().into_iter().fold(told, Self::hint);
        if matches!(error, ArtifactError::Build(BuildError::ExitCode(_))) {
            told.hint("-v shows all that it says")
        } else {
            told
        }
    }
}

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        Self::new(ErrorKind::Failed, format!("git {} failed: {}", error.command, one_line(&error.detail)))
    }
}

impl From<DepotError> for CommandError {
    fn from(error: DepotError) -> Self {
        let kind = match error {
            DepotError::Artifact(error) => return error.into(),
            DepotError::Ambiguous { .. } => ErrorKind::Usage,
            DepotError::Object(_)
            | DepotError::Damaged { .. }
            | DepotError::Leaving { .. }
            | DepotError::Unseen(_)
            | DepotError::Crowded(_) => ErrorKind::Failed,
        };
        error.hint().into_iter().fold(Self::of(kind, &error).advise_on_space(error.source()), Self::hint)
    }
}

impl From<ObjectError> for CommandError {
    fn from(error: ObjectError) -> Self {
        DepotError::from(error).into()
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let (kind, hint) = match &error {
            StoreError::NotFound { .. } => (ErrorKind::Usage, Some("`cutover history` lists what is remembered")),
            StoreError::Ambiguous { .. } => (ErrorKind::Usage, Some("give more of its id")),
            StoreError::TooNew { .. } => (ErrorKind::Failed, Some("a newer Cutover wrote it: use that one here too")),
            StoreError::Damaged { .. } => (
                ErrorKind::Failed,
                Some("a row of it cannot be understood: move it away, and the hosts' journals make it anew"),
            ),
            StoreError::Failed { .. } => (ErrorKind::Failed, None),
        };
        hint.into_iter().fold(Self::of(kind, &error).advise_on_space(error.source()), Self::hint)
    }
}

impl From<DiskError> for CommandError {
    fn from(error: DiskError) -> Self {
        Self::of(ErrorKind::Failed, &error).advise_on_space(error.source())
    }
}

impl From<InvalidId> for CommandError {
    fn from(error: InvalidId) -> Self {
        Self::of(ErrorKind::Usage, &error)
    }
}

impl From<serde_json::Error> for CommandError {
    fn from(error: serde_json::Error) -> Self {
        Self::bug(format!("something cannot be told as JSON: {error}"))
    }
}

/// An error of writing to the standard output or error.
pub(crate) fn output_failed(error: &io::Error) -> CommandError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => CommandError::new(ErrorKind::OutputClosed, "the output was closed"),
        _ => CommandError::new(ErrorKind::Failed, "cannot write the output").because(error),
    }
}
