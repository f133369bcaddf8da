//! What is wrong in a `cutover.toml`, shown at its exact place.

use crate::output::Paint;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use cutover_core::config::{Diagnostic, LocatedDiagnostic, Severity};
use serde::Serialize;

/// Everything that was found in one `cutover.toml`.
#[derive(Debug, Serialize)]
pub(crate) struct ConfigFindings {
    /// The file.
    path: String,
    #[serde(skip)]
    text: String,
    /// What was found, by place.
    diagnostics: Vec<LocatedDiagnostic>,
}

impl ConfigFindings {
    /// Findings in this text of the file at `path`.
    pub(crate) fn new(path: String, text: String, diagnostics: Vec<Diagnostic>) -> Self {
        let diagnostics = diagnostics.into_iter().map(|diagnostic| diagnostic.located(&text)).collect();
        Self { path, text, diagnostics }
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// "cutover.toml: 2 errors", with the warnings where there are some.
    pub(crate) fn summary(&self) -> String {
        let count = |severity| self.diagnostics.iter().filter(|found| found.diagnostic.severity == severity).count();
        let some = |count: usize, noun: &str| match count {
            0 => None,
            1 => Some(format!("1 {noun}")),
            count => Some(format!("{count} {noun}s")),
        };
        let counts = [some(count(Severity::Error), "error"), some(count(Severity::Warning), "warning")];
        format!("{}: {}", self.path, counts.into_iter().flatten().collect::<Vec<_>>().join(" and "))
    }

    /// All findings for people, each with its line and a caret, and an empty line behind each.
    pub(crate) fn render(&self, paint: Paint, width: Option<usize>) -> String {
        let renderer = if paint.is_on() { Renderer::styled() } else { Renderer::plain() };
        let renderer = match width {
            Some(width) => renderer.term_width(width),
            None => renderer,
        };
        self.diagnostics.iter().map(|found| renderer.render(&[self.group(&found.diagnostic)]) + "\n\n").collect()
    }

    fn group<'a>(&'a self, found: &'a Diagnostic) -> Group<'a> {
        let level = match found.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let place = AnnotationKind::Primary.span(found.span.clone()).label(found.label.as_str());
        let snippet = Snippet::source(self.text.as_str()).path(self.path.as_str()).annotation(place);
        let group = level.primary_title(found.message.as_str()).element(snippet);
        found
            .hint
            .iter()
            .fold(group, |group, hint| group.element(Level::HELP.with_name(Some("hint")).message(hint.as_str())))
    }
}
