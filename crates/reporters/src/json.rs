//! One JSON object a line, for machines.

use crate::reporter::Reporter;
use crate::terminal::words::is_steering;
use cutover_core::event::Event;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};

/// The version of the lines' format.
const VERSION: u32 = 1;

/// The value as one line of JSON. What could steer a terminal is escaped too, as JSON allows but does not demand.
pub fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if is_steering(c) {
            // Such a character stands within a string, and writing to a string cannot fail.
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    Ok(line)
}

/// Writes each event as one line: `{"v":1,"event":"recorded",…}`.
pub struct JsonLines<W> {
    out: W,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    /// Where it happened, of several hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`, which is flushed after every line.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Reporter for JsonLines<W> {
    fn tell(&mut self, event: &Event) -> io::Result<()> {
        let (host, event) = match event {
            Event::OnHost { host, happened } => (Some(host.as_str()), &**happened),
            event => (None, event),
        };
        self.out.write_all(json_line(&Line { v: VERSION, host, event })?.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_line_steers_a_terminal_and_each_comes_back_as_it_was() {
        let text = "\x1b[31m \u{9b}31m \u{7f} \u{202e} größe \n";
        let line = json_line(&text).unwrap();
        assert!(line.trim_end_matches('\n').chars().all(|c| !is_steering(c)), "{line:?}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
