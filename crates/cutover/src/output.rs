//! Everything that is printed: text, JSON, colours, and the reporters of a deployment.

use crate::cli::{ColorChoice, GlobalArgs};
use crate::error::{CommandError, output_failed};
use anstyle::{AnsiColor, Style};
use cutover_reporters::{JsonLines, Live, Manner, Plain, Reporter, Tee, json_line, one_line};
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How this process prints.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Whether machines read the standard output.
    pub(crate) json: bool,
    /// Whether to show more.
    pub(crate) verbose: bool,
    /// The terminal's width in characters; None when the standard output is none.
    pub(crate) width: Option<usize>,
    /// Whether lines may move: the standard output is a terminal that can.
    live: bool,
    color: bool,
    color_errors: bool,
}

impl Output {
    /// Looks at the flags, the environment and the terminal.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            json: global.json,
            verbose: global.verbose > 0,
            width: if terminal { width() } else { None },
            live: terminal && !is_dumb() && !is_set("CI"),
            color: wants_color(global.color, terminal),
            color_errors: wants_color(global.color, io::stderr().is_terminal()),
        }
    }

    /// Writes text to the standard output at once.
    pub(crate) fn text(&self, text: &str) -> Result<(), CommandError> {
        write_all(io::stdout().lock(), text.as_bytes())
    }

    /// Writes one JSON object as a line to the standard output.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), CommandError> {
        write_all(io::stdout().lock(), json_line(value)?.as_bytes())
    }

    /// Writes text for people at once: to the standard error where machines read the standard output.
    pub(crate) fn aside(&self, text: &str) -> Result<(), CommandError> {
        if self.json { self.error(text) } else { self.text(text) }
    }

    /// Writes text to the standard error at once.
    pub(crate) fn error(&self, text: &str) -> Result<(), CommandError> {
        write_all(io::stderr().lock(), text.as_bytes())
    }

    /// Warns on the standard error. A warning that cannot be written stops nothing.
    pub(crate) fn warn(&self, text: &str) {
        let _told = self.error(&format!("{} {}\n", self.paint_errors().warning("warning:"), one_line(text)));
    }

    /// Whether the standard output is coloured.
    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    /// Colours for the standard output.
    pub(crate) fn paint(&self) -> Paint {
        Paint(self.color)
    }

    /// Colours for the standard error.
    pub(crate) fn paint_errors(&self) -> Paint {
        Paint(self.color_errors)
    }

    /// How people want to be told a deployment whose steps usually take so long.
    pub(crate) fn manner(&self, usual: BTreeMap<String, Duration>) -> Manner {
        Manner { color: self.color, verbose: self.verbose, width: self.width, retold: false, usual }
    }

    /// The reporters of a deployment on the standard output: JSON lines, live, or plain.
    pub(crate) fn tee(&self, usual: BTreeMap<String, Duration>) -> Tee {
        let manner = self.manner(usual);
        let reporter: Box<dyn Reporter> = match (self.json, self.live) {
            (true, _) => Box::new(JsonLines::new(io::stdout())),
            (false, true) => Box::new(Live::stdout(manner)),
            (false, false) => Box::new(Plain::new(io::stdout(), manner)),
        };
        Tee::new(vec![reporter])
    }
}

fn write_all(mut out: impl Write, bytes: &[u8]) -> Result<(), CommandError> {
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| output_failed(&error))
}

fn width() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// <https://no-color.org>: set and not empty means no colours, unless the flag says otherwise.
fn wants_color(choice: ColorChoice, terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && !is_set("NO_COLOR") && !is_dumb(),
    }
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Colours, or none. What is painted is one line and steers no terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Whether there are colours at all.
    pub(crate) fn is_on(self) -> bool {
        self.0
    }

    /// In green.
    pub(crate) fn good(self, text: impl fmt::Display) -> String {
        self.styled(AnsiColor::Green.on_default(), text)
    }

    /// In red and bold.
    pub(crate) fn bad(self, text: impl fmt::Display) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    /// In yellow.
    pub(crate) fn warning(self, text: impl fmt::Display) -> String {
        self.styled(AnsiColor::Yellow.on_default(), text)
    }

    /// In bold.
    pub(crate) fn strong(self, text: impl fmt::Display) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// Dimmed.
    pub(crate) fn dim(self, text: impl fmt::Display) -> String {
        self.styled(Style::new().dimmed(), text)
    }

    fn styled(self, style: Style, text: impl fmt::Display) -> String {
        let text = one_line(&text.to_string());
        if self.0 { format!("{style}{text}{style:#}") } else { text }
    }
}
