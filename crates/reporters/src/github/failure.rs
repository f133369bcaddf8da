//! Why something is not live, for those who read a pull request and no log.

use crate::markdown::{beginning, escaped, markup};
use cutover_core::event::Event;
use cutover_core::journal::Entry;
use cutover_core::target::{Failure, tail};

/// The longest reason that is shown, in bytes; the log has all of it.
const REASON_BYTES_MAX: usize = 600;
/// How much is shown of what was said last, in bytes.
const EXCERPT_BYTES_MAX: usize = 2_000;

/// What failed first, and on which host.
#[derive(Debug, Default)]
pub(super) struct FirstFailure(Option<(String, Failure)>);

impl FirstFailure {
    /// Hears what happened, on one of several hosts or on the only one.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::OnHost { host, happened } => self.hear_of(host, happened),
            event => self.hear_of("", event),
        }
    }

    fn hear_of(&mut self, host: &str, event: &Event) {
        // What began before this and was taken back first is another story.
        if matches!(event, Event::Began { .. }) && self.0.as_ref().is_some_and(|(known, _)| known == host) {
            self.0 = None;
        }
        if let Event::Recorded { record } = event
            && let Entry::Failed { error, .. } = &record.entry
        {
            self.0.get_or_insert_with(|| (host.to_owned(), error.clone()));
        }
    }

    /// The reason in Markdown, with what was said last beneath where that may be shown; nothing where nothing failed.
    pub(super) fn told(&self, shows_log: bool) -> String {
        let Some((host, failure)) = &self.0 else { return String::new() };
        let on = if host.is_empty() { String::new() } else { format!("{}: ", markup(host)) };
        let reason = format!("\n\n{on}{}", markup(beginning(&failure.message, REASON_BYTES_MAX)));
        match tail(&failure.excerpt, EXCERPT_BYTES_MAX).trim() {
            "" => reason,
            _ if !shows_log => reason,
            said => format!(
                "{reason}\n<details><summary>What was said last</summary>\n<pre>{}</pre></details>",
                escaped(said)
            ),
        }
    }
}
