//! One line for people, before it is painted.

use super::words::cut;
use anstyle::{AnsiColor, Style};

/// What sort of line it is. Each has a symbol or words too: colours never stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Good,
    Bad,
    Back,
    Warning,
    Dim,
}

/// A line whose beginning has the tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) tone: Tone,
    /// Painted, never cut.
    pub(super) head: String,
    /// Not painted.
    pub(super) rest: String,
    /// Whether it may be cut to the terminal's width: nothing that explains a failure is.
    pub(super) cuttable: bool,
}

impl Line {
    /// A line that is all painted and never cut.
    pub(super) fn whole(tone: Tone, head: impl Into<String>) -> Self {
        Self { tone, head: head.into(), rest: String::new(), cuttable: false }
    }

    /// A line whose rest may be cut.
    pub(super) fn headed(tone: Tone, head: impl Into<String>, rest: impl Into<String>) -> Self {
        Self { tone, head: head.into(), rest: rest.into(), cuttable: true }
    }

    /// The same line with a host's name before it.
    pub(super) fn of_host(mut self, name: &str) -> Self {
        self.head = format!("  {name}  {}", self.head);
        self
    }

    /// The line as text, without its end.
    pub(super) fn render(&self, color: bool, width: Option<usize>) -> String {
        let room = width.filter(|_| self.cuttable).map(|width| width.saturating_sub(self.head.chars().count()));
        let rest = cut(&self.rest, room);
        let style = self.tone.style();
        if color { format!("{style}{}{style:#}{rest}", self.head) } else { format!("{}{rest}", self.head) }
    }
}

impl Tone {
    fn style(self) -> Style {
        let colored = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Good => colored(AnsiColor::Green),
            Self::Bad => colored(AnsiColor::Red).bold(),
            Self::Back => colored(AnsiColor::Cyan),
            Self::Warning => colored(AnsiColor::Yellow),
            Self::Dim => Style::new().dimmed(),
        }
    }
}
