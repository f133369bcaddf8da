//! Where the decoder's diagnostics gather.

use super::diagnostic::{Diagnostic, Severity};
use std::collections::HashSet;
use std::ops::Range;

/// The most diagnostics that are told; a text with more is not worth reading to its end.
pub(super) const DIAGNOSTIC_COUNT_MAX: usize = 100;
/// The longest key that is compared with the valid ones; the comparison is quadratic.
const GUESS_LENGTH_MAX: usize = 64;
/// How alike two keys must be (Jaro-Winkler) for a "did you mean".
const GUESS_LIKENESS_MIN: f64 = 0.82;

/// Gathers diagnostics and knows the path of the key that is being decoded.
#[derive(Default)]
pub(super) struct Sink {
    found: HashSet<Diagnostic>,
    path: Vec<String>,
    omitted: usize,
    partial: bool,
}

/// What is wrong with a value, to follow its key in a sentence: "must be absolute".
pub(super) struct Fault {
    pub(super) why: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    /// A fault without a hint.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    /// A fault and what to do about it.
    pub(super) fn hinted(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: Some(hint.into()) }
    }
}

impl Sink {
    /// A sink for what could be read of a text with syntax errors: that something is missing is not told.
    pub(super) fn partial() -> Self {
        Self { partial: true, ..Self::default() }
    }

    /// Adds an error that something is missing.
    pub(super) fn absent(&mut self, span: Range<usize>, message: String, label: &str, hint: Option<String>) {
        if !self.partial {
            self.error(span, message, label, hint);
        }
    }

    /// Runs `work` one key deeper.
    pub(super) fn within<T>(&mut self, key: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.descend(format!("{dot}{}", show(key)), work)
    }

    /// Runs `work` one list element deeper.
    pub(super) fn within_index<T>(&mut self, index: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        self.descend(format!("[{index}]"), work)
    }

    fn descend<T>(&mut self, part: String, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(part);
        let result = work(self);
        self.path.pop();
        result
    }

    /// The path of what is being decoded: "`targets.app.host`", or "the file" at its top.
    pub(super) fn subject(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path.concat()) }
    }

    /// Adds an error about what is being decoded.
    pub(super) fn fault(&mut self, span: Range<usize>, label: &str, fault: Fault) {
        let message = format!("{} {}", self.subject(), fault.why);
        self.error(span, message, label, fault.hint);
    }

    /// Adds an error with a message of its own.
    pub(super) fn error(&mut self, span: Range<usize>, message: String, label: &str, hint: Option<String>) {
        self.add(Diagnostic { severity: Severity::Error, message, span, label: label.to_owned(), hint });
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, span: Range<usize>, message: String, label: &str, hint: Option<String>) {
        self.add(Diagnostic { severity: Severity::Warning, message, span, label: label.to_owned(), hint });
    }

    /// Keeps it once: a target is decoded again for each environment.
    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < DIAGNOSTIC_COUNT_MAX {
            self.found.insert(diagnostic);
        } else if !self.found.contains(&diagnostic) {
            self.omitted += 1;
        }
    }

    /// Every diagnostic, by place in the text.
    pub(super) fn finish(self, text: &str) -> Vec<Diagnostic> {
        let mut found: Vec<_> = self.found.into_iter().collect();
        found.iter_mut().for_each(|diagnostic| diagnostic.clamp(text));
        if self.omitted > 0 {
            found.push(too_many(text));
        }
        found.sort_by(|a, b| (a.span.start, a.span.end, &a.message).cmp(&(b.span.start, b.span.end, &b.message)));
        found
    }
}

fn too_many(text: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        message: format!("more than {DIAGNOSTIC_COUNT_MAX} mistakes; the rest is not shown"),
        span: text.len()..text.len(),
        label: "and more".to_owned(),
        hint: None,
    }
}

/// The valid word that was probably meant.
pub(super) fn guess<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > GUESS_LENGTH_MAX {
        return None;
    }
    let rated = valid.into_iter().map(|valid| (strsim::jaro_winkler(word, valid), valid));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= GUESS_LIKENESS_MIN).then_some(best.1)
}

/// "did you mean …", or all that would be valid.
pub(super) fn suggest(word: &str, valid: &[&str]) -> String {
    match guess(word, valid.iter().copied()) {
        Some(meant) => format!("did you mean `{}`?", show(meant)),
        None => format!("valid here: {}", valid.iter().map(|key| show(key)).collect::<Vec<_>>().join(", ")),
    }
}

/// A key as it can be printed in one line.
pub(super) fn show(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.len() <= GUESS_LENGTH_MAX && key.chars().all(bare) {
        return key.to_owned();
    }
    let cut: String = key.chars().take(GUESS_LENGTH_MAX).collect();
    format!("{cut:?}")
}
